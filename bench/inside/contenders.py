"""Runs inside a host that goldpath has provisioned: writes an Ansible playbook and a bash script that ask what goldpath asks there.

What should be is read off the host itself. Which items there are: the table `known`, and what the first provision said that it did
(its story, argument 2), so that a file, folder, unit, … which goldpath learns to look after later is asked by the others, too. What
the others have no question for is named in the result and counted for goldpath alone.

usage: contenders.py FOLDER [STORY]    prints one JSON object
"""
import glob
import grp
import json
import os
import pwd
import re
import shlex
import stat
import subprocess
import sys

OUT = sys.argv[1]
PACKAGES = ("ca-certificates curl git python3 python3-venv python3-pip build-essential libpq-dev postgresql postgresql-contrib "
            "postgresql-client redis-server ufw caddy sudo openssh-client").split()
DROPIN_FOLDERS = [f"{top}/systemd/{name}" for name in ("system.control", "system") for top in ("/etc", "/run")]
REDIS_LIVE = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")


def output(*argv, **kw):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, **kw).stdout


def read(path):
    with open(path) as f:
        return f.read()


def there(path):
    return os.path.lexists(path)


def state_of(path):
    """goldpath's own folder for the site that lies at path."""
    return path.replace("/srv/sum", "/var/lib/goldpath")


def env_of(slug):
    """The keys of a site's .env."""
    pairs = re.findall(r'^(\w+)=(.*)$', read(f"/srv/sum/{slug}/.env"), re.M)
    return {key: value.strip('"') for key, value in pairs}


# ---------------------------------------------------------------- the items: (kind, name), in goldpath's order

def known(slugs):
    """What goldpath looks after without always saying so on a new host."""
    items = [("packages", "")]
    items += [("folder", path) for path in ("/var/lib/goldpath", "/srv/sum", "/srv/sum/bin", "/var/log/sum")]
    items += [("user", "deploy"), ("unit", "redis-server.service"), ("redis live", ""), ("file", "/etc/redis/goldpath.conf"),
              ("line in", "/etc/redis/redis.conf"), ("redis", ""), ("unit", "postgresql.service"),
              ("folder", "/etc/caddy/sites-enabled"), ("line in", "/etc/caddy/Caddyfile"), ("membership", "caddy in www-data"),
              ("unit", "caddy.service"), ("symlink", "/srv/sum/bin/provision_vps.sh"), ("symlink", "/srv/sum/bin/deploy.sh"),
              ("uv", "/var/lib/goldpath/uv"), ("firewall", "")]
    for slug in slugs:
        root, state, run = f"/srv/sum/{slug}", f"/var/lib/goldpath/{slug}", f"sum-{slug}"
        units = [f"{run}-gunicorn.service", f"{run}-gunicorn.socket", f"{run}-celery.service"]
        files = [f"/etc/systemd/system/{unit}" for unit in units]
        items += [("place", root), ("user", run), ("membership", f"deploy in {run}")]
        items += [("folder", f"{root}{part}") for part in ("", "/backups", "/static", "/releases", "/venvs", "/media")]
        items += [("folder", path) for path in (f"/var/log/sum/{slug}", state) if there(path)]
        items += [("environment", f"{root}/.env"), ("environment copy", f"{state}/site.env"), ("database role", slug),
                  ("database", slug), ("database login", slug)]
        items += [("file", path) for path in files if there(path)]
        items += [("drop-in of", unit) for unit in units]
        items += [("file", path) for path in (f"/etc/sudoers.d/goldpath-{slug}", f"/etc/caddy/sites-enabled/{run}.caddy")]
        items += [("unit", unit) for unit in units]
    return items


def told(story):
    """(kind, name) of each change that the first provision said it made, of the kinds that anybody can be asked about by name; and
    the lines of other kinds."""
    plain = ("folder", "file", "line in", "symlink", "user", "membership", "unit", "drop-in of")
    covered = ("packages", "redis", "environment", "database", "database login", "firewall", "uv", "place", "run")
    items, others = [], []
    for line in story.splitlines():
        match = re.match(r"\s*[+~-] (.*)", line)
        if not match or line.startswith("    "):
            continue
        kind = max((kind for kind in plain + covered if match[1].startswith(kind + " ")), key=len, default=None)
        name = match[1][len(kind) + 1:].split(": ")[0] if kind else None
        if kind in plain and (kind != "line in" or there(name)):
            items.append((kind, name))
        elif not kind:
            others.append(match[1])
    return items, others


# ---------------------------------------------------------------- what is so, and so should be

def ownership(path):
    st = os.lstat(path)
    return pwd.getpwuid(st.st_uid).pw_name, grp.getgrgid(st.st_gid).gr_name, f"{stat.S_IMODE(st.st_mode):04o}"


def include_line(path):
    """The line that goldpath wants in a file of somebody else's."""
    return next(line for line in read(path).splitlines() if re.match(r"(include|import) .*(goldpath|sites-enabled)", line))


def unit_facts(unit):
    text = output("systemctl", "show", "-p", "LoadState", "-p", "UnitFileState", "-p", "ActiveState", unit)
    return dict(line.split("=", 1) for line in text.splitlines())


def redis(*keys):
    return {key: output("redis-cli", "CONFIG", "GET", key).split("\n")[1] for key in keys}


def role_limit(role):
    return output("runuser", "-u", "postgres", "--", "psql", "-XAtqc", f"select rolconnlimit from pg_roles where rolname = '{role}'",
                  cwd="/").strip()


def ports():
    """The TCP ports that UFW lets in."""
    rules = read("/etc/ufw/user.rules")
    return sorted({int(port) for port in re.findall(r"^### tuple ### allow tcp (\d+) 0\.0\.0\.0/0 any 0\.0\.0\.0/0 in", rules, re.M)})


# ---------------------------------------------------------------- Ansible: each item's tasks

def template(name, path, **more):
    """The file as it is, as a template where Jinja leaves the rest of it alone."""
    owner, group, mode = ownership(path)
    text = read(path)
    source = path.strip("/").replace("/", "-")
    slug = re.search(r"/sum-([a-z0-9-]+?)(-gunicorn|-celery)?\.", path)
    module = "ansible.builtin.copy" if re.search(r"\{[{%#]", text) else "ansible.builtin.template"
    variables = {}
    if slug and module.endswith("template"):
        text = text.replace(slug[1], "{{ slug }}")
        variables = {"vars": {"slug": slug[1]}}
    with open(f"{OUT}/{source}", "w") as f:
        f.write(text)
    return [{"name": name, module: dict(src=f"{OUT}/{source}", dest=path, owner=owner, group=group, mode=mode, **more), **variables}]


def folder_task(name, path):
    owner, group, mode = ownership(path)
    return [{"name": name, "ansible.builtin.file": dict(path=path, state="directory", owner=owner, group=group, mode=mode)}]


def user_task(name, user):
    entry = pwd.getpwnam(user)
    return [{"name": name, "ansible.builtin.user": dict(
        name=user, home=entry.pw_dir, shell=entry.pw_shell, system=entry.pw_uid < 1000, create_home=os.path.isdir(entry.pw_dir))}]


def member_task(name, what):
    user, group = what.split(" in ")
    return [{"name": name, "ansible.builtin.user": dict(name=user, groups=[group], append=True)}]


def unit_task(name, unit):
    facts = unit_facts(unit)
    if facts["LoadState"] == "not-found":
        return [{"name": name, "ansible.builtin.stat": dict(path=f"/etc/systemd/system/{unit}"), "register": "unit",
                 "failed_when": "unit.stat.exists"}]
    state = {"state": "started"} if facts["ActiveState"] == "active" else {}
    return [{"name": name, "ansible.builtin.systemd_service": dict(name=unit, enabled=True, **state)}]


def asked(name, command, must, **more):
    """No module fits: a command that changes nothing, and what its answer must be."""
    return {"name": name, "ansible.builtin.command": dict(argv=command, **more), "register": "said", "changed_when": False,
            "failed_when": f"not ({must})"}


def redis_live_task(name, _):
    answer = json.dumps("\n".join(f"{key}\n{value}" for key, value in redis(*REDIS_LIVE).items()))
    return [asked(name, ["redis-cli"], f"said.stdout == {answer}", stdin="\n".join(f"CONFIG GET {key}" for key in REDIS_LIVE))]


def redis_task(name, _):
    databases = redis("databases")["databases"]
    outside = r"said.stdout is not search('(?m)^\S+ +\S+ +\S+ +(?!127\.|\[::1\])\S*:6379 ')"
    return [asked(f"{name}: answers", ["redis-cli"], f"said.stdout_lines == ['PONG', 'databases', '{databases}']",
                  stdin="PING\nCONFIG GET databases"),
            asked(f"{name}: on loopback only", ["ss", "-Hltn"], outside)]


def firewall_task(name, _):
    return [asked(f"{name}: sshd's port", ["/usr/sbin/sshd", "-T"], "said.stdout is search('(?m)^port 22$')"),
            {"name": f"{name}: rules", "community.general.ufw": dict(rule="allow", port="{{ item }}", proto="tcp"),
             "loop": [str(port) for port in ports()]},
            {"name": name, "community.general.ufw": dict(state="enabled", policy="deny", direction="incoming")}]


def uv_task(name, folder):
    version = re.search(r"uv-([\d.]+)\.dist-info", " ".join(glob.glob(f"{folder}/uv-*.dist-info")))[1]
    return [{"name": name, "ansible.builtin.command": dict(
        argv=["python3", "-m", "pip", "install", "--no-deps", "--target", folder, f"uv=={version}"],
        creates=f"{folder}/uv-{version}.dist-info/RECORD")}]


def dropin_task(name, unit):
    folders = [f"{top}/{unit}.d" for top in DROPIN_FOLDERS]
    return [{"name": name, "ansible.builtin.find": dict(paths=folders, patterns="*.conf"), "register": "found"},
            {"name": f"{name}: gone", "ansible.builtin.file": dict(path="{{ item.path }}", state="absent"), "loop": "{{ found.files }}",
             "loop_control": {"label": "{{ item.path }}"}}]


def as_postgres(what, module, **arguments):
    return {"name": what, f"community.postgresql.{module}": arguments, "become": True, "become_user": "postgres"}


def role_task(name, slug):
    env = env_of(slug)
    return [as_postgres(name, "postgresql_user", name=env["DJANGO_DB_USER"], password=env["DJANGO_DB_PASSWORD"],
                        conn_limit=int(role_limit(env["DJANGO_DB_USER"])),
                        role_attr_flags="LOGIN,NOSUPERUSER,NOCREATEDB,NOCREATEROLE,NOREPLICATION,NOBYPASSRLS")]


def database_task(name, slug):
    env = env_of(slug)
    return [as_postgres(name, "postgresql_db", name=env["DJANGO_DB_NAME"], owner=env["DJANGO_DB_USER"], encoding="UTF8"),
            as_postgres(f"{name}: its owner's alone", "postgresql_privs", login_db=env["DJANGO_DB_NAME"], type="database",
                        objs=env["DJANGO_DB_NAME"], privs="ALL", roles="PUBLIC", state="absent")]


def login_task(name, slug):
    env = env_of(slug)
    return [{"name": name, "community.postgresql.postgresql_ping":
             dict(login_host=env["DJANGO_DB_HOST"], login_port=int(env["DJANGO_DB_PORT"]), login_db=env["DJANGO_DB_NAME"],
                  login_user=env["DJANGO_DB_USER"], login_password=env["DJANGO_DB_PASSWORD"]),
             "register": "login", "failed_when": "not login.is_available"}]


def file_task(name, path):
    check = {"validate": "visudo -cf %s"} if path.startswith("/etc/sudoers.d/") else {}
    return template(name, path, **check)


TASKS = {
    "packages": lambda name, _: [{"name": name, "ansible.builtin.apt": dict(name=PACKAGES, state="present")}],
    "folder": folder_task,
    "file": file_task,
    "line in": lambda name, path: [{"name": name, "ansible.builtin.lineinfile": dict(path=path, line=include_line(path))}],
    "symlink": lambda name, path: [{"name": name, "ansible.builtin.file": dict(path=path, src=os.readlink(path), state="link")}],
    "user": user_task,
    "membership": member_task,
    "unit": unit_task,
    "drop-in of": dropin_task,
    "place": lambda name, path: [{"name": name, "ansible.builtin.stat": dict(path=state_of(path)),
                                  "register": "place", "failed_when": "not place.stat.exists"}],
    "environment": template,
    "environment copy": lambda name, path: [{"name": name, "ansible.builtin.copy": dict(
        src=path.replace("/var/lib/goldpath", "/srv/sum").replace("site.env", ".env"), dest=path, remote_src=True, mode="0600")}],
    "redis live": redis_live_task,
    "redis": redis_task,
    "uv": uv_task,
    "firewall": firewall_task,
    "database role": role_task,
    "database": database_task,
    "database login": login_task,
}


def playbook(items):
    tasks = []
    for kind, name in items:
        tasks += TASKS[kind](f"{kind} {name}".strip(), name)
    return [{"hosts": "localhost", "connection": "local", "gather_facts": False,
             "vars": {"ansible_python_interpreter": "/usr/bin/python3"}, "tasks": tasks}]


# ---------------------------------------------------------------- bash: one command for all items that it can answer for

HEAD = r"""#!/bin/bash
# Is this host as it should be? Exit 0: nothing to do. 1: what is not so is said, a line each.
# One process for each source that is asked, bash itself for the rest.
set -uf
export LC_ALL=C
cd / || exit 1
wrong=0

no() { printf 'not so: %s\n' "$1"; wrong=1; }
same() { [[ $2 == "$3" ]] || no "$1"; }     # what, is, should be
has() { [[ $2 == *"$3"* ]] || no "$1"; }    # what, text, part of it
slurp() { text=; IFS= read -r -d '' text <"$1"; [[ $text ]] || no "$1 is not there"; }
is_file() { slurp "$1"; same "content of $1" "$text" "$2"; }
has_line() { slurp "$1"; has "$1: $2" $'\n'"$text" $'\n'"$2"$'\n'; }
"""


def quoted(text):
    return shlex.quote(text)


def asks(what, command, should=None):
    """One line of bash: a command, and what it must answer, which is what it answers now."""
    if should is None:
        should = output("bash", "-c", "cd /; export LC_ALL=C; " + command).rstrip("\n")
    return f"same {quoted(what)} \"$({command})\" {quoted(should)}\n"


def of(items, *kinds):
    return [name for kind, name in items if kind in kinds]


def bash_accounts(items):
    users = " ".join(of(items, "user"))
    script = asks("users", f"getent passwd {users}")
    members = [what.split(" in ") for what in of(items, "membership")]
    script += "groups=$(getent group " + " ".join(group for _, group in members) + ")\n"
    return script + "".join(f"[[ $'\\n'$groups =~ $'\\n'{group}:[^:]*:[0-9]+:([^$'\\n']*,)?{user}(,|$'\\n'|$) ]] || "
                            f"no '{user} in {group}'\n" for user, group in members)


def bash_files(items):
    paths = of(items, "folder", "symlink", "file", "environment", "environment copy")
    script = asks("folders, links, owners, modes", "stat --format '%N %F %U:%G %a' " + " ".join(paths))
    script += "".join(f"is_file {path} {quoted(read(path))}\n" for path in of(items, "file"))
    script += "".join(f"has_line {path} {quoted(include_line(path))}\n" for path in of(items, "line in"))
    script += "".join(f"[[ -d {state_of(path)} ]] || no 'place {path}'\n" for path in of(items, "place"))
    script += "".join(f"[[ -e {path} ]] || no uv\n" for folder in of(items, "uv")
                      for path in glob.glob(f"{folder}/uv-*.dist-info/RECORD"))
    for path in of(items, "environment"):
        keys = " ".join(env_of(path.split("/")[3]))
        script += f"slurp {path}\nfor key in {keys}; do has \"$key in {path}\" $'\\n'\"$text\" $'\\n'\"$key=\"; done\n"
    for path in of(items, "environment copy"):
        source = path.replace("/var/lib/goldpath", "/srv/sum").replace("site.env", ".env")
        script += f"slurp {source}; is_file {path} \"$text\"\n"
    return script


def bash_units(items):
    units = of(items, "unit")
    script = asks("units", "systemctl show -p Id -p LoadState -p UnitFileState -p ActiveState " + " ".join(units))
    globs = " ".join(f"{top}/{unit}.d/*.conf" for unit in of(items, "drop-in of") for top in DROPIN_FOLDERS)
    return script + (f"set +f; shopt -s nullglob; dropins=({globs}); set -f\n"
                     "[[ ${#dropins[@]} == 0 ]] || no \"drop-ins ${dropins[*]}\"\n")


def bash_network(_):
    script = "listeners=$(ss -Hltn)\n"
    script += r"[[ $'\n'$listeners =~ $'\n'[A-Z]+' '+[0-9]+' '+[0-9]+' '+('0.0.0.0'|'*'|'[::]'):6379' ' ]] && no 'redis on loopback only'"
    script += "\n"
    keys = "".join(rf"\nCONFIG GET {key}" for key in ("databases",) + REDIS_LIVE)
    script += asks("redis", f"redis-cli <<<$'PING{keys}'")
    script += "ssh=$(sshd -T)\nwant='80 443'\nwhile read -r key value; do [[ $key == port ]] && want+=\" $value\"; done <<<\"$ssh\"\n"
    script += "ufw=$(ufw status verbose)\nhas 'firewall on' \"$ufw\" 'Status: active'\n"
    script += "has 'firewall denies' \"$ufw\" 'Default: deny (incoming)'\n"
    return script + ("for port in $want; do\n\t[[ $ufw =~ $'\\n'$port/tcp' '+'ALLOW IN'' '+Anywhere' ' ]] || no \"port $port\"\n"
                     "\t[[ $ufw =~ $'\\n'$port/tcp' (v6)'' '+'ALLOW IN' ]] || no \"port $port (v6)\"\ndone\n")


def bash_postgres(items):
    slugs = of(items, "database")
    names = ", ".join(f"'{env_of(slug)['DJANGO_DB_NAME']}'" for slug in slugs)
    sql = ("select r.rolname, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls, r.rolcanlogin, "
           "r.rolvaliduntil, r.rolconnlimit, r.rolpassword like 'SCRAM%', d.datname, pg_encoding_to_char(d.encoding), "
           "has_database_privilege('public', d.oid, 'connect'), (select count(*) from pg_auth_members m where m.member = r.oid) "
           f"from pg_database d join pg_authid r on r.oid = d.datdba where d.datname in ({names}) order by 1")
    script = asks("roles and databases", f"runuser -u postgres -- psql -XAtqc {quoted(sql)}")
    for slug in slugs:
        env = env_of(slug)
        script += (f"PGPASSWORD={quoted(env['DJANGO_DB_PASSWORD'])} psql -XAtq -h {env['DJANGO_DB_HOST']} -p {env['DJANGO_DB_PORT']} "
                   f"-U {env['DJANGO_DB_USER']} -d {env['DJANGO_DB_NAME']} -c '' || no 'login of {env['DJANGO_DB_USER']}'\n")
    return script


def bash(items):
    packages = "dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' " + " ".join(PACKAGES)
    parts = [HEAD, asks("packages", packages), bash_accounts(items), bash_files(items), bash_units(items), bash_network(items),
             bash_postgres(items)]
    return "\n".join(parts) + "\nexit $wrong\n"


def main():
    slugs = sorted(name[:-len(".yaml")] for name in os.listdir("/etc/goldpath/sites") if name.endswith(".yaml"))
    more, others = told(read(sys.argv[2])) if len(sys.argv) > 2 else ([], [])
    items = known(slugs)
    items += [item for item in dict.fromkeys(more) if item not in items and (item[0] not in ("file", "folder") or there(item[1]))]
    os.makedirs(OUT, mode=0o700, exist_ok=True)
    with open(f"{OUT}/playbook.yml", "w") as f:
        json.dump(playbook(items), f, indent=1)
    with open(f"{OUT}/check.sh", "w") as f:
        f.write(bash(items))
    commands = [task["name"] for task in playbook(items)[0]["tasks"] if "ansible.builtin.command" in task]
    json.dump({"items": len(items), "sites": slugs, "tasks": len(playbook(items)[0]["tasks"]), "commands": commands,
               "goldpath alone": others}, sys.stdout)


main()
