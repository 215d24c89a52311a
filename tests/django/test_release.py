#!/usr/bin/python3
"""src/data/release.py against a real Django: what it says of checks and migrations, and how it goes back. Run by a Python that has Django."""
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = (ROOT / "src/data/release.py").read_text()

MANAGE = """
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps"))
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
import os
SECRET_KEY = "x" * 60
DEBUG = False
ALLOWED_HOSTS = ["example.com"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DB"]}}
STATIC_URL, STATIC_ROOT = "/static/", os.environ["STATIC"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
print("noise from the settings", '{"v": 1, "ok": true}')
"""
INITIAL = """
    migrations.CreateModel("Product", [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("code", models.CharField(max_length=50, null=True)),
        ("count", models.IntegerField(default=0)),
        ("note", models.TextField(default="")),
    ]),
    migrations.CreateModel("Tag", [("id", models.BigAutoField(primary_key=True))]),
    migrations.CreateModel("Ghost", [("id", models.BigAutoField(primary_key=True))], options={"managed": False}),
"""


class Site(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.source = self.top / "source"
        self.write("manage.py", MANAGE)
        self.write("conf.py", SETTINGS)
        self.write("apps/shop/__init__.py", "")
        self.write("apps/shop/models.py", "")
        self.write("apps/shop/static/shop.css", "p {}")
        self.write("json.py", "raise RuntimeError('a module of the site in the place of a library')")
        self.write("apps/shop/migrations/__init__.py", "")
        self.migration("0001_initial", INITIAL, None)

    def write(self, name, text):
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def migration(self, name, operations, after, more=""):
        after = [after] if isinstance(after, str) else after or []
        self.write(f"apps/shop/migrations/{name}.py", "from django.db import migrations, models\n"
                   "from django.db.models.deletion import CASCADE\n"
                   f"class Migration(migrations.Migration):\n    dependencies = {[('shop', a) for a in after]!r}\n{textwrap.indent(more, '    ')}\n"
                   f"    operations = [{operations}]\n")

    def ask(self, do, ok=True, **more):
        answer = self.top / "answer"
        answer.unlink(missing_ok=True)
        env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "conf", "DB": str(self.top / "db"), "STATIC": str(self.top / "static"),
               "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=self.source, env=env, text=True, capture_output=True, timeout=120, check=False,
                              input=json.dumps({"do": do, "answer": str(answer), **more}))
        self.said = done.stdout + done.stderr
        self.assertEqual(done.returncode == 0, ok, self.said)
        return json.loads(answer.read_text()) if answer.exists() else None

    def prepare(self):
        return self.ask("prepare", dangers=True)

    def shop(self, names):
        return [n for n in names if n.startswith("shop.")]

    def dangers(self, operations, more=""):
        """Of one migration after the first, which is applied."""
        if not (self.top / "db").exists():
            self.ask("migrate")
        self.migration("0002_next", operations, "0001_initial", more)
        pending = self.prepare()["pending"]
        self.assertEqual([p["name"] for p in pending], ["0002_next"])
        return [f"{d['kind']} {d['on']}" for d in pending[0]["dangers"]]


class Drill(Site):
    """sqlite says what it is called by a function of the test's."""
    WSGI = """
def application(environ, start_response):
    with open(%r, "w") as f:
        f.write(repr([environ["PATH_INFO"], environ["HTTP_HOST"], environ["wsgi.url_scheme"], environ["HTTP_X_FORWARDED_PROTO"]]))
    start_response("503 Sick", [("Location", "/there")])
    yield b"x" * 40000
    yield b"y" * 40000
"""
    NAMED = """
from django.apps import AppConfig
from django.db.backends.signals import connection_created
def named(connection, **kw):
    connection.connection.create_function("current_database", 0, lambda: "acme_gp_drill")
connection_created.connect(named)
class Shop(AppConfig):
    name = "shop"
"""

    def drill(self, database="acme_gp_drill", ok=True):
        self.write("apps/shop/apps.py", self.NAMED)
        self.write("site_wsgi.py", self.WSGI % str(self.top / "asked"))
        self.ask("migrate")
        return self.ask("drill", ok=ok, database=database, wsgi="site_wsgi:application", path="/health/", host="example.com", https=True)

    def test_the_app_is_asked_as_by_caddy(self):
        said = self.drill()
        self.assertEqual((said["ok"], said["http"], said["location"]), (True, 503, "/there"))
        self.assertEqual(said["body"], "x" * 40000 + "y" * 25536)
        self.assertEqual((self.top / "asked").read_text(), "['/health/', 'example.com', 'https', 'https']")
        self.assertEqual((said["pending"], said["applied"]), ([], said["known"]))

    def test_another_database_is_refused_before_anything_is_asked(self):
        said = self.drill(database="acme", ok=False)
        self.assertIn("another database", said["refused"])
        self.assertFalse((self.top / "asked").exists())
        self.assertNotIn("http", said)

    def test_an_app_that_raises(self):
        self.WSGI = "raise RuntimeError('no app today')\n# %s"
        said = self.drill(ok=False)
        self.assertFalse(said["ok"])
        self.assertIn("no app today", self.said)


class Prepare(Site):
    def test_first_time_and_again(self):
        said = self.prepare()
        self.assertTrue(said["ok"])
        self.assertEqual(said["applied"], [])
        self.assertIn("shop.0001_initial", said["known"])
        self.assertEqual(len(said["pending"]), len(said["known"]))
        self.assertEqual(said["pending"][-1]["app"] + "." + said["pending"][-1]["name"], said["known"][-1])
        self.assertGreater(said["warnings"], 2)
        self.assertRegex(said["static"], "1 static file copied to")
        self.assertTrue((self.top / "static/shop.css").exists())
        self.assertEqual(self.ask("migrate")["applied"], said["known"])
        said = self.prepare()
        self.assertEqual((said["pending"], said["applied"]), ([], said["known"]))
        self.assertRegex(said["static"], "1 unmodified")

    def test_signals_of_migrate_come_with_nothing_pending(self):
        self.ask("migrate")
        self.write("apps/shop/apps.py", "from django.apps import AppConfig\nfrom django.db.models.signals import post_migrate\n"
                   "def told(sender, **kw):\n    print('post_migrate came')\n"
                   "class Shop(AppConfig):\n    name = 'shop'\n    def ready(self):\n        post_migrate.connect(told, sender=self)\n")
        self.prepare()
        self.assertIn("post_migrate came", self.said)

    def test_check_fails(self):
        self.write("apps/shop/models.py", "from django.db import models\nclass A(models.Model):\n    f = models.CharField()\n    c = models.ForeignKey('B', models.CASCADE)\n")
        said = self.ask("prepare", ok=False)
        self.assertEqual((said["ok"], said["part"]), (False, "check --deploy"))
        self.assertIn("SystemCheckError", self.said)
        self.assertNotIn("Traceback", self.said)

    def test_settings_that_cannot_be_imported(self):
        self.write("conf.py", "import nothing_of_this_name")
        said = self.ask("prepare", ok=False)
        self.assertIn("ModuleNotFoundError", self.said)
        self.assertFalse(said["ok"])

    def test_a_site_that_exits(self):
        self.write("apps/shop/models.py", "import sys\nsys.exit(0)")
        self.assertFalse(self.ask("prepare", ok=False)["ok"])

    def test_conflict(self):
        self.ask("migrate")
        self.migration("0002_a", "", "0001_initial")
        self.migration("0002_b", "", "0001_initial")
        said = self.ask("prepare", ok=False)
        self.assertEqual(said["part"], "migrate --plan")
        self.assertRegex(self.said, "CommandError: Conflicting migrations .*0002_[ab], 0002_[ab] in shop")

    def test_inconsistent_history(self):
        self.ask("migrate")
        self.migration("0000_before", "", None)
        self.migration("0001_initial", INITIAL, "0000_before")
        self.ask("prepare", ok=False)
        self.assertIn("InconsistentMigrationHistory", self.said)

    def test_migrate_fails_half_way(self):
        self.ask("migrate")
        self.migration("0002_good", "", "0001_initial")
        self.migration("0003_bad", "migrations.RunSQL('this is no SQL')", "0002_good")
        said = self.ask("migrate", ok=False)
        self.assertEqual(self.shop(said["applied"]), ["shop.0001_initial", "shop.0002_good"])
        self.assertIn("syntax error", self.said.splitlines()[-1])

    def test_another_main(self):
        self.write("manage.py", "import os\nos.environ['SEEN'] = 'yes'\n")
        self.write("apps/shop/__init__.py", "import os\nassert os.environ['SEEN']")
        self.write("conf.py", SETTINGS + "\nimport sys\nsys.path.insert(0, 'apps')\n")
        self.assertTrue(self.prepare()["ok"])


class Dangers(Site):
    def test_harmless(self):
        self.assertEqual(self.dangers("""
            migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True)), ("x", models.IntegerField(null=True))]),
            migrations.AddField("New", "y", models.IntegerField(default=1)), migrations.RemoveField("New", "x"),
            migrations.AddField("Product", "size", models.IntegerField(null=True)),
            migrations.RenameField("Product", "size", "height"), migrations.RemoveField("Product", "height"),
            migrations.AddField("Product", "tags", models.ManyToManyField("shop.Tag")),
            migrations.AddField("Product", "kept", models.IntegerField(db_default=3)),
            migrations.AlterField("Product", "name", models.CharField(max_length=90, help_text="x", blank=True)),
            migrations.AlterField("Product", "count", models.BigIntegerField(default=5)),
            migrations.AlterField("Product", "note", models.TextField(default="y", null=True)),
            migrations.AddIndex("Product", models.Index(fields=["name"], name="by_name")),
            migrations.AlterModelOptions("Product", {"ordering": ["name"]}),
            migrations.DeleteModel("Ghost"),
            migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop), migrations.RunSQL(migrations.RunSQL.noop),
            migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("Product", "code")]),
        """), [])

    def test_each(self):
        for operation, danger in (
                ('migrations.RemoveField("Product", "code")', "remove_field shop.Product.code"),
                ('migrations.DeleteModel("Tag")', "delete_model shop.Tag"),
                ('migrations.RenameField("Product", "code", "sku")', "rename_field shop.Product.code"),
                ('migrations.RenameModel("Tag", "Label")', "rename_model shop.Tag"),
                ('migrations.AlterModelTable("Tag", "labels")', "alter_table shop.Tag"),
                ('migrations.AlterField("Product", "code", models.CharField(max_length=50, default=""))', "not_null shop.Product.code"),
                ('migrations.AlterField("Product", "count", models.TextField())', "change_type shop.Product.count"),
                ('migrations.AlterField("Product", "name", models.CharField(max_length=9))', "change_type shop.Product.name"),
                ('migrations.AlterField("Product", "name", models.CharField(max_length=50, unique=True))', "unique shop.Product.name"),
                ('migrations.AlterField("Product", "name", models.CharField(max_length=50, db_column="n"))', "rename_field shop.Product.name"),
                ('migrations.AddField("Product", "price", models.IntegerField(default=0))', "add_required shop.Product.price"),
                ('migrations.AddField("Product", "tag", models.ForeignKey("shop.Tag", CASCADE, default=1))', "add_required shop.Product.tag"),
                ('migrations.AlterUniqueTogether("Product", {("name", "code")})', "unique shop.Product"),
                ('migrations.AddConstraint("Product", models.UniqueConstraint(fields=["name"], name="one name"))',
                 "unique shop.Product.one_name"),
                ('migrations.AlterOrderWithRespectTo("Product", "name")', "add_required shop.Product._order"),
                ('migrations.RunSQL("select 1")', "unknown RunSQL"),
                ('migrations.RunPython(print)', "unknown RunPython"),
                ('migrations.SeparateDatabaseAndState([migrations.RunSQL("select 1")])', "unknown RunSQL"),
                ('migrations.SeparateDatabaseAndState([migrations.RemoveField("Product", "code")])', "remove_field shop.Product.code"),
                ('migrations.AddField("Product", "x", models.IntegerField(null=True)), '
                 'migrations.AlterField("Product", "x", models.IntegerField(default=0))', "not_null shop.Product.x"),
                ('migrations.RemoveField("Product", "none")', "remove_field shop.Product.none")):     # "unknown" too: it will fail
            with self.subTest(operation):
                self.assertEqual([d for d in self.dangers(operation) if d != "unknown "], [danger])

    def test_over_several_migrations(self):
        self.ask("migrate")
        self.migration("0002_add", 'migrations.AddField("Product", "x", models.IntegerField(null=True))', "0001_initial")
        self.migration("0003_away", 'migrations.RemoveField("Product", "x"), migrations.RemoveField("Product", "code")', "0002_add")
        self.assertEqual([[d["on"] for d in p["dangers"]] for p in self.prepare()["pending"]], [[], ["shop.Product.code"]])

    def test_reversible_and_atomic(self):
        self.ask("migrate")
        self.migration("0002_a", 'migrations.RunPython(print, migrations.RunPython.noop)', "0001_initial")
        self.migration("0003_b", 'migrations.RunPython(print)', "0002_a", "atomic = False")
        self.migration("0004_c", 'migrations.SeparateDatabaseAndState([migrations.RunSQL("select 1")])', "0003_b")
        self.assertEqual([(p["reversible"], p["atomic"]) for p in self.prepare()["pending"]], [(True, True), (False, False), (False, True)])

    def test_names_from_the_database_that_no_file_can_have(self):
        self.ask("migrate")
        import sqlite3
        with sqlite3.connect(self.top / "db") as db:
            db.execute("insert into django_migrations (app, name, applied) values ('a.b', '\x1b[2J', '2026-01-01')")
        self.assertNotIn("2J", str(self.prepare()["applied"]))


class Back(Site):
    def forwards(self):
        keep = self.ask("migrate")["applied"]
        self.migration("0002_two", 'migrations.AddField("Product", "two", models.IntegerField(null=True))', "0001_initial")
        self.migration("0003_three", 'migrations.AddField("Product", "three", models.IntegerField(null=True))', "0002_two")
        self.ask("migrate")
        return keep

    def columns(self):
        import sqlite3
        with sqlite3.connect(self.top / "db") as db:
            return [row[1] for row in db.execute("pragma table_info(shop_product)")]

    def test_exactly_what_the_older_one_does_not_know(self):
        keep = self.forwards()
        plan = self.ask("back_plan", keep=keep)
        self.assertEqual([p["name"] for p in plan["back"]], ["0003_three", "0002_two"])
        self.assertIn("three", self.columns())
        said = self.ask("back", keep=keep)
        self.assertEqual((said["applied"], said["ok"]), (keep, True))
        self.assertNotIn("two", self.columns())
        self.assertEqual(self.ask("back", keep=keep)["back"], [])

    def test_irreversible_is_named_and_nothing_is_touched(self):
        keep = self.forwards()
        self.migration("0004_one_way", "migrations.RunPython(lambda a, s: None)", "0003_three")
        self.migration("0005_five", "", "0004_one_way")
        self.ask("migrate")
        for do in ("back_plan", "back"):
            said = self.ask(do, ok=False, keep=keep)
            self.assertEqual(said["refused"], "shop.0004_one_way cannot be reversed")
            self.assertIn("shop.0005_five", self.ask("migrate")["applied"])
        # to where the one-way one stays, the way is free
        said = self.ask("back", keep=keep + ["shop.0002_two", "shop.0003_three", "shop.0004_one_way"])
        self.assertEqual([p["name"] for p in said["back"]], ["0005_five"])

    def test_a_whole_app(self):
        keep = [n for n in self.ask("migrate")["applied"] if not n.startswith("shop.")]
        self.assertEqual([p["name"] for p in self.ask("back", keep=keep)["back"]], ["0001_initial"])
        self.assertEqual(self.columns(), [])

    def test_branches_that_were_merged(self):
        self.migration("0002_a", "", "0001_initial")
        self.migration("0002_b", "", "0001_initial")
        self.migration("0003_merge", "", ["0002_a", "0002_b"])
        applied = self.ask("migrate")["applied"]
        keep = [n for n in applied if not n.endswith("0003_merge")]
        self.assertEqual(self.ask("back", keep=keep)["applied"], keep)
        self.ask("migrate")
        keep.remove("shop.0002_b")
        self.assertEqual(self.ask("back", keep=keep)["applied"], keep)

    def test_one_that_stays_needs_one_that_goes(self):
        keep = self.forwards()
        said = self.ask("back", ok=False, keep=keep + ["shop.0003_three"])
        self.assertIn("shop.0003_three", said["refused"])
        self.assertIn("three", self.columns())

    def test_squashed(self):
        keep = self.forwards() + ["shop.0002_two", "shop.0003_three"]
        self.migration("0002_squashed_0003", 'migrations.AddField("Product", "two", models.IntegerField(null=True)),'
                       'migrations.AddField("Product", "three", models.IntegerField(null=True))', "0001_initial",
                       'replaces = [("shop", "0002_two"), ("shop", "0003_three")]')
        applied = self.ask("migrate")["applied"]
        self.assertIn("shop.0002_squashed_0003", applied)
        self.assertEqual(self.ask("back", keep=keep)["back"], [])
        said = self.ask("back", ok=False, keep=[k for k in keep if k != "shop.0003_three"])
        self.assertIn("in part", said["refused"])
        self.assertEqual(self.prepare()["replaces"]["shop.0002_squashed_0003"], ["shop.0002_two", "shop.0003_three"])
        self.assertIn("three", self.columns())


if __name__ == "__main__":
    unittest.main()
