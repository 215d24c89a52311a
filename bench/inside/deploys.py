"""Runs inside a host that has the sample site twice, from goldpath and in the seeds' way: deploys a new commit while the site is asked.

usage: deploys.py < JOB    prints one JSON object

A job: {"way": "goldpath" | "seeds", "connections": of wrk, "close": a connection for each request, "steady": seconds before the deploy,
"held": {"kind": slow | stream | socket, "seconds", "clients"}, "deploys": how many in a row}. Every deploy is of a commit of its own, which
changes a template and a static file. What is measured beside wrk: /health/ is asked every 20 ms, one request after the other, until the
new release has answered; memory is the sum of PSS of the site's gunicorns and of all that the deploy runs, looked at five times a second.
"""
import contextlib
import glob
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORK, REPO = "/root/work", "/srv/git/acme.git"
WAYS = {
    "goldpath": {"domain": "acme.test", "units": ("sum-acme-kitchens-gunicorn", "sum-acme-kitchens-gunicorn-next"),
                 "deploy": lambda sha: ["goldpath", "deploy", "acme-kitchens"]},
    "seeds": {"domain": "seeds.test", "units": ("sum-seeds-gunicorn",),
              "deploy": lambda sha: ["runuser", "-u", "deploy", "--", "/srv/seeds/deploy.sh", sha]},
}
PROBE_EVERY, MEMORY_EVERY, LIVE_WITHIN, PATIENCE = 0.020, 0.200, 120, 120


def output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def git(*argv):
    return output("git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-C", WORK, *argv).strip()


def commit():
    """What a release changes: a page, and a static file, whose name with a hash is a new one then."""
    if not os.path.isdir(WORK):
        output("git", "clone", "-q", REPO, WORK)
    mark = time.time_ns()
    with open(f"{WORK}/acme_kitchens/templates/base.html", "a") as f:
        f.write(f"<!-- {mark} -->\n")
    with open(f"{WORK}/acme_kitchens/static/css/site.css", "a") as f:
        f.write(f"/* {mark} */\n")
    with open(f"{HERE}/held.py") as source, open(f"{WORK}/acme_kitchens/held.py", "w") as f:
        f.write(source.read())
    git("add", "-A")
    git("commit", "-q", "-m", f"release {mark}")
    git("push", "-q", "origin", "HEAD:main")
    return git("rev-parse", "HEAD")


# ---------------------------------------------------------------- as a visitor

def tls(domain):
    """A connection to Caddy. Its certificate is from a CA of its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", 443), timeout=PATIENCE), server_hostname=domain)


def browser(domain):
    connection = http.client.HTTPConnection(domain, timeout=PATIENCE)
    connection.sock = tls(domain)
    return connection


class Prober(threading.Thread):
    """Which release answers, from when on."""

    def __init__(self, domain):
        super().__init__(daemon=True)
        self.domain, self.connection = domain, None
        self.answers = []  # (when it had come, release or "")
        self.unwell = []   # why there was none
        self.ended = threading.Event()

    def ask(self):
        try:
            if not self.connection:
                self.connection = browser(self.domain)
            self.connection.request("GET", "/health/")
            answer = self.connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                return json.loads(body)["version"]["release"]
            self.unwell.append(f"{answer.status} {body[:300].decode(errors='replace')}")
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            self.connection = None
            self.unwell.append(repr(error))
        return ""

    def run(self):
        while not self.ended.is_set():
            start = time.monotonic()
            release = self.ask()
            self.answers.append((time.monotonic(), release))
            time.sleep(max(0.0, start + PROBE_EVERY - time.monotonic()))

    def seen(self, release_before, since):
        """When another release than that one answered first, from then on: in a soak others have answered before."""
        return next((when for when, release in list(self.answers) if when > since and release and release != release_before), None)

    def steps_back(self):
        """Answers of a release after those of another that came later: none, if visitors are led over once."""
        order = list(dict.fromkeys(release for _, release in self.answers if release))
        ranks = [order.index(release) for _, release in self.answers if release]
        return sum(later < earlier for earlier, later in zip(ranks, ranks[1:]))


class Held(threading.Thread):
    """One request after the other that takes long. Each has to come to its end."""

    def __init__(self, domain, kind, seconds):
        super().__init__(daemon=True)
        self.domain, self.kind, self.seconds = domain, kind, seconds
        self.whole, self.cut = 0, []
        self.ended = threading.Event()

    def once(self):
        with contextlib.closing(tls(self.domain)) as connection:
            extra = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     if self.kind == "socket" else "Connection: close\r\n")
            connection.sendall(f"GET /held/{self.kind}?s={self.seconds} HTTP/1.1\r\nHost: {self.domain}\r\n{extra}\r\n".encode())
            got = b""
            while b"end\n" not in got:
                piece = connection.recv(65536)
                if not piece:
                    break
                got += piece
        if b"end\n" not in got:
            raise OSError("cut: " + (got.split(b"\r\n")[0].decode(errors="replace") or "no answer") + f", {len(got)} bytes")

    def run(self):
        while not self.ended.is_set():
            start = time.monotonic()
            try:
                self.once()
                self.whole += 1
            except OSError as error:
                self.cut.append(f"after {time.monotonic() - start:.2f} s: {error}")
                time.sleep(0.1)


# ---------------------------------------------------------------- memory

def processes_of(units):
    for unit in units:
        for path in glob.glob(f"/sys/fs/cgroup/system.slice/{unit}.service/**/cgroup.procs", recursive=True):
            with contextlib.suppress(OSError), open(path) as f:
                yield from map(int, f.read().split())


def descendants(top):
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path) as f:
            text = f.read()
            children.setdefault(int(text[text.rindex(")") + 2:].split()[1]), []).append(int(text.split()[0]))
    found = [top]
    for pid in found:
        found += children.get(pid, [])
    return found


def pss(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
        match = re.search(r"^Pss: +(\d+)", f.read(), re.M)
        return int(match[1]) if match else 0
    return 0


class Memory(threading.Thread):
    def __init__(self, units):
        super().__init__(daemon=True)
        self.units, self.deploy, self.peak = units, None, 0
        self.ended = threading.Event()

    def look(self):
        pids = set(processes_of(self.units)) | set(descendants(self.deploy) if self.deploy else ())
        return sum(map(pss, pids)) / 1024

    def run(self):
        while not self.ended.wait(MEMORY_EVERY):
            self.peak = max(self.peak, self.look())


# ---------------------------------------------------------------- load

class Load:
    """wrk, until it is told to end. Nothing that is only slow is called lost."""

    def __init__(self, domain, connections, close, seconds=3600):
        argv = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", f"--timeout={PATIENCE}s", "-s", f"{HERE}/load.lua",
                *(["-H", "Connection: close"] if close else []), f"https://{domain}/"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def end(self, at_once=True):
        if at_once:
            self.process.send_signal(signal.SIGINT)
        text = self.process.communicate()[0]
        found = json.loads(re.search(r"^JSON (.*)", text, re.M)[1])
        found["requests"] = sum(found["statuses"].values()) + found["read"] + found["timeout"]
        refused = sum(n for status, n in found["statuses"].items() if not status.startswith("2"))
        found["failed"] = refused + found["connect"] + found["read"] + found["write"] + found["timeout"]
        return found


def story(way, since):
    """What Caddy and gunicorn said about a request that was lost."""
    units = [argument for unit in ("caddy", *WAYS[way]["units"]) for argument in ("-u", unit)]
    said = output("journalctl", "--no-pager", "-o", "short-precise", f"--since=@{since:.3f}", *units)
    return [line for line in said.splitlines()
            if not re.search(r'" (2|3)\d\d \d+ "', line) and re.search(r"error|[Ee]xception|CRITICAL|WARN|Started|Stopp|Listening|Shutting", line)][:60]


# ---------------------------------------------------------------- one deploy under load

def release_of(domain):
    connection = browser(domain)
    connection.request("GET", "/health/")
    return json.loads(connection.getresponse().read())["version"]["release"]


def deploy(way, sha, memory):
    start = time.monotonic()
    process = subprocess.Popen(WAYS[way]["deploy"](sha), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    memory.deploy = process.pid
    said = process.communicate()[0]
    memory.deploy = None
    return {"status": process.returncode, "total": time.monotonic() - start, "start": start, "said": said}


def live_after(prober, before, start):
    deadline = time.monotonic() + LIVE_WITHIN
    while time.monotonic() < deadline:
        seen = prober.seen(before, start)
        if seen:
            return seen - start
        time.sleep(0.01)
    return None


def measure(job):
    way, domain = job["way"], WAYS[job["way"]]["domain"]
    connections, close, held = job.get("connections", 0), job.get("close", False), job.get("held")
    holders = [Held(domain, held["kind"], held["seconds"]) for _ in range(held["clients"])] if held else []
    since, result = time.time(), {"deploys": []}
    for i, holder in enumerate(holders):
        holder.start()
        time.sleep(1 if i + 1 < len(holders) else 0)
    # From the start: what they take of the host, visitors are without in both parts.
    memory, prober = Memory(WAYS[way]["units"]), Prober(domain)
    memory.start()
    prober.start()
    if connections and job.get("steady"):
        result["steady"] = Load(domain, connections, close, job["steady"]).end(at_once=False)
    load = Load(domain, connections, close) if connections else None
    time.sleep(0.5)
    for _ in range(job.get("deploys", 1)):
        sha, before = commit(), release_of(domain)
        done = deploy(way, sha, memory)
        start = done.pop("start")
        # The seeds' script ends in an error before the release answers; after one of goldpath's no other release will.
        done["live"] = live_after(prober, before, start) if way == "seeds" or done["status"] == 0 else None
        result["deploys"].append(done)
    if load:
        result["during"] = load.end()
    for thread in (prober, memory, *holders):
        thread.ended.set()
    for thread in (prober, *holders):
        thread.join()
    result.update(peak=memory.peak, steps_back=prober.steps_back(), unwell=prober.unwell,
                  whole=sum(holder.whole for holder in holders), cut=[why for holder in holders for why in holder.cut])
    failed = result.get("during", {}).get("failed", 0) + result.get("steady", {}).get("failed", 0)
    if failed or result["cut"] or result["unwell"]:
        result["story"] = story(way, since)
    return result


def main():
    job = json.load(sys.stdin)
    if job.get("prepare"):
        commit()
        return
    json.dump(measure(job), sys.stdout)


main()
