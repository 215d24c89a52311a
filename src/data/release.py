"""What a release is to Django: its checks, its migrations, its static files. One start of Django for all that a step asks.

Run as the deploy user with the release's own Python, in the folder of manage.py, as `python -c`. On stdin: what is asked, as JSON. The
answer goes to the file `answer`, whatever the site prints. manage.py itself sets up settings and paths; only what it would then run is
something else. On failure the last line of stderr says why, and the answer has which part failed.
"""
import sys

if sys.path and sys.path[0] in ("", "."):
    del sys.path[0]     # what follows is the standard library's, not a json.py of the site's
import json
import os
import re
import runpy
import traceback

ASK = json.load(sys.stdin)
ANSWER = {"v": 1}
# A file's name or an app's label, without what could move a cursor or turn the order of letters round.
PART = re.compile("[^\x00-\x1f\x7f-\x9f./\\\\\"'`\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]{1,255}")
INTEGERS = ["smallint", "integer", "bigint"]
HARMLESS = ("CreateModel", "AddIndex", "RemoveIndex", "RenameIndex", "AlterIndexTogether", "RemoveConstraint", "AlterModelOptions",
            "AlterModelManagers", "AlterModelTableComment", "CreateExtension", "CreateCollation", "RemoveCollation", "ValidateConstraint")


def label(key):
    return ".".join(key)


def labels(keys):
    """As texts, in order; a row of the database that no file can be called by is nothing."""
    return sorted(label(k) for k in keys if len(k) == 2 and all(isinstance(p, str) and PART.fullmatch(p) for p in k))


def part(name):
    ANSWER["part"] = name


# ---------------------------------------------------------------- what old code cannot live with

class Dangers:
    """Of the migrations that pend, one after the other: `state` is what the database will be like by then."""

    def __init__(self, connection, state):
        self.connection, self.state = connection, state
        self.new_models, self.new_fields = set(), set()     # the release that runs knows nothing of these
        self.found = []

    def add(self, kind, *on):
        entry = {"kind": kind, "on": re.sub(r"[^\w.-]", "_", ".".join(str(o) for o in on if o))[:200]}
        if entry not in self.found:
            self.found.append(entry)

    def model(self, app, name):
        return self.state.models.get((app, name.lower()))

    def field(self, app, model, name):
        found = self.model(app, model)
        return found.fields.get(name) if found else None

    def of(self, migration):
        self.found = []
        try:
            for operation in migration.operations:
                self.look(migration.app_label, operation)
                operation.state_forwards(migration.app_label, self.state)
        except Exception:       # whatever migrations may raise: then nobody knows
            self.add("unknown", "")
        return self.found[:20]

    def look(self, app, op):
        kinds = [c.__name__ for c in type(op).__mro__]
        name = getattr(op, "model_name", None) or getattr(op, "name", None) or ""
        key = (app, str(name).lower())
        model = self.model(*key) if name else None
        options = model.options if model else {}
        if "SeparateDatabaseAndState" in kinds:
            self.inside(app, op)
        elif "CreateModel" in kinds:
            self.new_models.add(key)
        elif "RunPython" in kinds or "RunSQL" in kinds:
            if not does_nothing(op):
                self.add("unknown", kinds[0])
        elif "RenameModel" in kinds:
            old, new = (app, op.old_name.lower()), (app, op.new_name.lower())
            if old in self.new_models:
                self.new_models.add(new)
            elif self.counts(old):
                self.add("rename_model", app, op.old_name)
        elif any(k in HARMLESS for k in kinds) or key in self.new_models or options.get("managed") is False or options.get("proxy"):
            pass
        else:
            known = [k for k in kinds if hasattr(self, "on_" + k)]
            if known:
                getattr(self, "on_" + known[0])(app, op, name)
            else:
                self.add("unknown", kinds[0])

    def counts(self, key):
        model = self.model(*key)
        return not model or not (model.options.get("managed") is False or model.options.get("proxy"))

    def inside(self, app, op):
        """Only what is done to the database; its states lead nowhere."""
        was = self.state
        self.state = was.clone()
        try:
            for inner in op.database_operations:
                self.look(app, inner)
                inner.state_forwards(app, self.state)
        finally:
            self.state = was

    def on_DeleteModel(self, app, op, name):
        self.add("delete_model", app, name)

    def on_RemoveField(self, app, op, name):
        if (app, name.lower(), op.name) not in self.new_fields:
            self.add("remove_field", app, name, op.name)

    def on_RenameField(self, app, op, name):
        if (app, name.lower(), op.old_name) in self.new_fields:
            self.new_fields.add((app, name.lower(), op.new_name))
        elif attname(self.field(app, name, op.old_name), op.old_name) != attname(self.field(app, name, op.old_name), op.new_name):
            self.add("rename_field", app, name, op.old_name)

    def on_AddField(self, app, op, name):
        field = op.field
        self.new_fields.add((app, name.lower(), op.name))
        # A default is Django's, not the database's, unless it is a db_default: an INSERT of older code fails.
        if not (field.null or field.many_to_many or getattr(field, "generated", False) or field.primary_key or has_db_default(field)):
            self.add("add_required", app, name, op.name)

    def on_AlterField(self, app, op, name):
        old, new = self.field(app, name, op.name), op.field
        on = (app, name, op.name)
        if old is None:
            self.add("unknown", "AlterField")
            return
        if old.null and not new.null and not has_db_default(new):
            self.add("not_null", *on)
        if (app, name.lower(), op.name) in self.new_fields:
            return
        if attname(old, op.name) != attname(new, op.name):
            self.add("rename_field", *on)
        if new.unique and not old.unique:
            self.add("unique", *on)
        if has_db_default(old) and not has_db_default(new) and not new.null:
            self.add("add_required", *on)
        if not self.same_type(old, new):
            self.add("change_type", *on)

    def same_type(self, old, new):
        """Can what old code writes and reads be written and read? A wider type is the same to it."""
        if old.is_relation or new.is_relation:
            return shape(old) == shape(new)
        was, will = (f.db_type(self.connection) or "" for f in (old, new))
        if was == will:
            return True
        if was in INTEGERS and will in INTEGERS:
            return INTEGERS.index(was) <= INTEGERS.index(will)
        lengths = [re.fullmatch(r"(?:varchar|character varying)\((\d+)\)", t) for t in (was, will)]
        text = will in ("text", "varchar")
        return bool(lengths[0] and (text or (lengths[1] and int(lengths[0][1]) <= int(lengths[1][1]))))

    def on_AlterUniqueTogether(self, app, op, name):
        model = self.model(app, name)
        old = {tuple(t) for t in (model.options.get("unique_together") or ())} if model else set()
        if {tuple(t) for t in (op.unique_together or ())} - old:
            self.add("unique", app, name)

    def on_AddConstraint(self, app, op, name):
        self.add("unique", app, name, getattr(op.constraint, "name", ""))

    def on_AlterConstraint(self, app, op, name):
        self.add("unique", app, name, op.name)

    def on_AlterModelTable(self, app, op, name):
        model = self.model(app, name)
        default = f"{app}_{name.lower()}"
        if not model or (model.options.get("db_table") or default) != (op.table or default):
            self.add("alter_table", app, name)

    def on_AlterOrderWithRespectTo(self, app, op, name):
        model = self.model(app, name)
        if op.order_with_respect_to and not (model and model.options.get("order_with_respect_to")):
            self.add("add_required", app, name, "_order")


def does_nothing(op):
    return getattr(op, "sql", None) in ("", [], ()) or getattr(op, "code", None) is type(op).noop


def has_db_default(field):
    try:
        from django.db.models import NOT_PROVIDED
    except ImportError:
        from django.db.models.fields import NOT_PROVIDED
    return getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED


def attname(field, name):
    """The column."""
    if field is None:
        return name
    return field.db_column or (name + "_id" if field.is_relation and not field.many_to_many else name)


def shape(field):
    remote = getattr(field, "remote_field", None)
    model = getattr(remote, "model", None)
    through = getattr(remote, "through", None)
    kind = "many" if field.many_to_many else "one" if field.is_relation else type(field).__name__
    return kind, *(str(getattr(getattr(m, "_meta", None), "label", m)).lower() for m in (model, through))


def reversible(operations):
    return all(op.reversible and reversible(getattr(op, "database_operations", [])) for op in operations)


# ---------------------------------------------------------------- what is asked

class Refused(Exception):
    """Nothing was touched."""


def executor():
    from django.core.management.base import CommandError
    from django.db import DEFAULT_DB_ALIAS, connections
    from django.db.migrations.executor import MigrationExecutor

    connection = connections[DEFAULT_DB_ALIAS]
    connection.prepare_database()
    made = MigrationExecutor(connection)
    made.loader.check_consistent_history(connection)
    conflicts = made.loader.detect_conflicts()
    if conflicts:
        raise CommandError("Conflicting migrations detected; multiple leaf nodes in the migration graph: (%s). "
                           "To fix them run 'python manage.py makemigrations --merge'"
                           % "; ".join(f"{', '.join(names)} in {app}" for app, names in conflicts.items()))
    return made


def described(migration, dangers=()):
    return {"app": migration.app_label, "name": migration.name, "reversible": reversible(migration.operations),
            "atomic": bool(migration.atomic), "dangers": list(dangers)}


def applied():
    from django.db import DEFAULT_DB_ALIAS, connections
    from django.db.migrations.recorder import MigrationRecorder

    return labels(MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations())


def note_applied():
    """After a failure too, and that one is what is told."""
    try:
        ANSWER["applied"] = applied()
    except Exception:
        ANSWER.pop("applied", None)


def state(made):
    disk = made.loader.disk_migrations
    ANSWER.update(known=labels(disk), applied=applied(),
                  replaces={label(k): labels(m.replaces) for k, m in disk.items() if m.replaces})


def plan_forwards(made):
    pending = [m for m, _ in made.migration_plan(made.loader.graph.leaf_nodes())]
    dangers = None
    if pending and ASK.get("dangers"):
        dangers = Dangers(made.connection, made._create_project_state(with_applied_migrations=True))
    ANSWER["pending"] = [described(m, dangers.of(m) if dangers else ()) for m in pending]


def check():
    from django.core import checks, management

    found, original = [], checks.run_checks

    def counted(*args, **kw):
        messages = original(*args, **kw)
        found.extend(m for m in messages if m.level >= checks.WARNING and not m.is_silenced())
        return messages

    checks.run_checks = counted
    try:
        # With the database's own checks, as `migrate` has them.
        management.call_command("check", "--deploy", "--database", "default")
    finally:
        checks.run_checks = original
        ANSWER["warnings"] = len(found)


def look(_run):
    part("check --deploy")
    check()
    part("migrate --plan")
    made = executor()
    state(made)
    plan_forwards(made)


def prepare(run):
    from django.core import management

    look(run)
    part("collectstatic")
    said = management.call_command("collectstatic", interactive=False)
    ANSWER["static"] = " ".join((said or "").split())[:300]
    if not ANSWER["pending"]:
        part("migrate")
        management.call_command("migrate", interactive=False)
        ANSWER["applied"] = applied()


def migrate(run):
    """The very command, so that a site's own one is taken too."""
    part("migrate")
    try:
        run(sys.argv)
    finally:
        note_applied()


def targets_back(made, keep):
    """What is to be taken back, as (migrations in order, [(app, the migration to go back to, or "zero")]). Refused where it cannot be."""
    graph, done = made.loader.graph, made.loader.applied_migrations
    extra = [k for k in graph.nodes if k in done and label(k) not in keep]
    whole = []
    for key in sorted(extra):
        replaced = [label(tuple(r)) for r in graph.nodes[key].replaces]
        if replaced and all(r in keep for r in replaced):
            continue        # a squashed one, all of which the older release knows by the names that it was made of
        if any(r in keep for r in replaced):
            raise Refused(f"{label(key)} is squashed from migrations of which the older release knows some: it cannot be taken back in part")
        whole.append(key)
    order = []
    for key in whole:
        order += [k for k in graph.backwards_plan(key) if k in done and k not in order]
    for key in order:
        if key not in whole:
            raise Refused(f"{label(key)}, which the older release knows, depends on one that it does not know")
    for key in order:
        if not reversible(graph.nodes[key].operations):
            raise Refused(f"{label(key)} cannot be reversed")
    back = []
    for app in dict.fromkeys(k[0] for k in order):
        kept = sorted(k for k in graph.nodes if k[0] == app and k in done and k not in order)
        heads = [k for k in kept if any(c.key in order and c.key[0] == app for c in graph.node_map[k].children)]
        roots = [k for k in order if k[0] == app and not any(p.key[0] == app for p in graph.node_map[k].parents)]
        if kept and roots:
            raise Refused(f"{label(roots[0])} has no migration before it to go back to")
        back += [(app, k[1]) for k in heads] if kept else [(app, "zero")]
    return [graph.nodes[k] for k in order], back


def back_plan(_run):
    part("migrate back")
    made = executor()
    state(made)
    plan, _ = targets_back(made, set(ASK["keep"]))
    ANSWER["back"] = [described(m) for m in plan]


def back(_run):
    from django.core import management

    part("migrate back")
    made = executor()
    plan, targets = targets_back(made, set(ASK["keep"]))
    ANSWER["back"] = [described(m) for m in plan]
    try:
        for app, name in targets:
            management.call_command("migrate", app, name, interactive=False)
    finally:
        note_applied()
    left = set(label((m.app_label, m.name)) for m in plan) & set(ANSWER["applied"])
    if left:
        raise Refused(f"{sorted(left)[0]} is still applied")


# ---------------------------------------------------------------- as manage.py does it

DO = {"prepare": (prepare, ["check", "--deploy"]), "look": (look, ["check", "--deploy"]), "migrate": (migrate, ["migrate", "--noinput"]), "back_plan": (back_plan, ["migrate"]),
      "back": (back, ["migrate"])}


def say(error):
    """As manage.py says it: in one line where Django means it for people."""
    from django.core.management.base import CommandError
    from django.db.migrations.exceptions import InconsistentMigrationHistory, NodeNotFoundError

    if isinstance(error, (CommandError, InconsistentMigrationHistory, NodeNotFoundError, Refused)):
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    else:
        traceback.print_exc()
        lines = str(error).splitlines()
        if len(lines) > 1:      # a database's: its first line says it, the last ones point into the SQL
            print(f"error: {type(error).__name__}: {lines[0]}", file=sys.stderr)


def main():
    do, argv = DO[ASK["do"]]
    state = {"ran": False, "code": 1}
    folder = os.getcwd()

    def run_instead(argv=None):
        if state["ran"]:
            return
        state["ran"] = True
        os.chdir(folder)
        try:
            if do is not migrate:
                import django
                django.setup()
            do(original)
            state["code"] = 0
        except SystemExit as error:     # no command that went well ends so
            state["code"] = error.code if isinstance(error.code, int) and error.code else 1
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
        except BaseException as error:
            if isinstance(error, Refused):
                ANSWER["refused"] = str(error)[:300]
            say(error)
        finally:
            ANSWER["ok"] = state["code"] == 0
            sys.stdout.flush()
            sys.stderr.flush()
            with open(ASK["answer"], "x", encoding="utf-8") as file:
                json.dump(ANSWER, file)

    part(" ".join(a for a in argv if a != "--noinput"))
    ANSWER["ok"] = False
    sys.path.insert(0, folder)
    sys.argv = ["manage.py", *argv]
    from django.core import management
    original, management.execute_from_command_line = management.execute_from_command_line, run_instead
    runpy.run_path("manage.py", run_name="__main__")
    run_instead()       # a manage.py that calls something else: DJANGO_SETTINGS_MODULE is in the environment
    sys.exit(state["code"])


main()
