"""Runs inside a host: makes a database like a CMS's, and times a way to back it up, or to put it back.

usage: backups.py < {"prepare": MB}    tables of about so many MB of SQL in the site's database
       backups.py < {"line": LINE}     prints {"wall", "cpu", "rss", "bytes", "said"}

A way is a line for the shell that leaves its file as $OUT, or nothing. `cpu` is of the processes it waited for, Postgres' own is not in it; `rss`, in MB,
is that of the largest of them. What a way has written is deleted before the next one, so that none pays for what another wrote.
"""
import json
import os
import random
import subprocess
import sys
import time
import uuid

DATABASE = "acme_kitchens"
OUT = "/var/tmp/goldpath-bench.out"
SAID_MAX = 4096
TABLES = """
    DROP TABLE IF EXISTS bench_page, bench_revision, bench_search, bench_reference, bench_log;
    CREATE TABLE bench_page (id serial PRIMARY KEY, path varchar(255) UNIQUE, title varchar(255), slug varchar(255), seo text,
        published timestamptz, live boolean, body text);
    CREATE TABLE bench_revision (id serial PRIMARY KEY, page_id integer, created timestamptz, user_id integer, content jsonb);
    CREATE TABLE bench_search (id serial PRIMARY KEY, object_id varchar(50), title_norm double precision, autocomplete tsvector, body tsvector);
    CREATE TABLE bench_reference (id serial PRIMARY KEY, object_id varchar(255), to_object_id varchar(255), content_type_id integer,
        model_path text, content_path text, content_path_hash uuid);
    CREATE TABLE bench_log (id serial PRIMARY KEY, label text, action varchar(255), data jsonb, uuid uuid, at timestamptz, page_id integer)"""
INDEXES = """
    CREATE INDEX ON bench_revision (page_id); CREATE INDEX ON bench_revision (created); CREATE INDEX ON bench_log (page_id);
    CREATE INDEX ON bench_log (at); CREATE INDEX ON bench_page (slug); ANALYZE"""


class Text:
    """Sentences of made-up words, the common ones often; gzip takes about as much of them as of a real site's."""

    def __init__(self):
        letters = ["".join(random.choices("etaoinshrdlucmfwygpbvk", k=random.randint(1, 4))) for _ in range(400)]
        words = sorted({"".join(random.choices(letters, k=random.randint(1, 3))) for _ in range(8000)})
        weights = [1 / (rank + 3) for rank in range(len(words))]
        random.shuffle(words)
        picked = random.choices(words, weights, k=900_000)
        self.sentences, at = [], 0
        while at < len(picked) - 20:
            n = random.randint(6, 20)
            self.sentences.append(" ".join(picked[at:at + n]).capitalize() + ".")
            at += n
        self.slugs = words

    def paragraphs(self, n):
        return ["".join(("<p data-block-key=\"", f"{random.getrandbits(25):05x}", "\">", " ".join(random.choices(self.sentences, k=5)), "</p>"))
                for _ in range(n)]


def when():
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1_600_000_000 + random.randrange(150_000_000))) + f".{random.randrange(10**6):06}+00"


def page(text, i):
    return (i, f"0001{i:08}", random.choice(text.sentences)[:60], "-".join(random.choices(text.slugs, k=4)), random.choice(text.sentences), when(),
            "t", "".join(text.paragraphs(random.randint(2, 8))))


def revision(text, i):
    blocks = [{"type": "paragraph", "value": p, "id": str(uuid.UUID(int=random.getrandbits(128)))} for p in text.paragraphs(random.randint(1, 6))]
    content = {"pk": i % 9999, "title": random.choice(text.sentences)[:60], "live": True, "has_unpublished_changes": False, "locale": 1,
               "first_published_at": when(), "last_published_at": when(), "latest_revision_created_at": when(), "body": json.dumps(blocks)}
    return i, i % 9999, when(), i % 7, json.dumps(content)


def vector(text, n):
    words = sorted(set(random.choices(text.slugs, k=n)))
    return " ".join(f"'{word}':" + ",".join(str(at) for at in sorted(random.sample(range(1, 600), random.randint(1, 3)))) for word in words)


def search(text, i):
    return i, i % 9999, random.random(), vector(text, 8), vector(text, 60)


def reference(_, i):
    block = uuid.UUID(int=random.getrandbits(128))
    return i, random.randrange(9999), random.randrange(9999), i % 40, f"body.item{i % 12}.image", f"body.{block}.image", uuid.UUID(int=random.getrandbits(128))


def log(text, i):
    return (i, random.choice(text.sentences)[:40], random.choice(("wagtail.edit", "wagtail.publish", "wagtail.create")),
            json.dumps({"revision": {"id": random.randrange(10**6), "created": when()}}), uuid.UUID(int=random.getrandbits(128)), when(),
            random.randrange(9999))


# What of the whole each kind of rows is: pages, their revisions, and what a CMS keeps about them.
SHARES = {"bench_page": (page, 0.2), "bench_revision": (revision, 0.4), "bench_search": (search, 0.15), "bench_reference": (reference, 0.15),
          "bench_log": (log, 0.1)}


def psql(sql):
    subprocess.run(["runuser", "-u", "postgres", "--", "psql", "-qX", "-v", "ON_ERROR_STOP=1", DATABASE, "-c", sql], cwd="/", check=True)


def fill(table, row, text, mb):
    """By COPY, as a dump has it."""
    copy = subprocess.Popen(["runuser", "-u", "postgres", "--", "psql", "-qX", DATABASE, "-c", f"COPY {table} FROM stdin"], cwd="/",
                            stdin=subprocess.PIPE)
    size, i = 0, 0
    while size < mb * 1_000_000:
        i += 1
        line = ("\t".join(str(value).replace("\\", "\\\\") for value in row(text, i)) + "\n").encode()
        copy.stdin.write(line)
        size += len(line)
    copy.stdin.close()
    if copy.wait():
        sys.exit(f"COPY {table} failed")


def prepare(mb):
    random.seed(1)
    text = Text()
    psql(TABLES)
    for table, (row, share) in SHARES.items():
        fill(table, row, text, mb * share)
        psql(f"ALTER TABLE {table} OWNER TO {DATABASE}")
    psql(INDEXES)
    psql("CHECKPOINT")


def run(line):
    if os.path.exists(OUT):
        os.remove(OUT)
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "OUT": OUT}
    start = time.perf_counter()
    pid = os.posix_spawn("/bin/bash", ["bash", "-o", "pipefail", "-c", line], environment,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)])
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{line}: exit {os.waitstatus_to_exitcode(status)}")
    with open(OUT if os.path.exists(OUT) else "/dev/null", "rb") as f:
        said = f.read(SAID_MAX).decode(errors="ignore")
    return {"said": said if said.isprintable() or said.startswith("{") else "", "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024,
            "bytes": os.stat(OUT).st_size if os.path.exists(OUT) else 0}


def main():
    asked = json.load(sys.stdin)
    if "prepare" in asked:
        prepare(asked["prepare"])
        return
    os.chdir("/")
    json.dump(run(asked["line"]), sys.stdout)


main()
