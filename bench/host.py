"""A throw-away host for the benchmarks (tools/sandbox, as root): one at a time, down when the program ends."""
import atexit
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANDBOX = os.path.join(ROOT, "tools", "sandbox")
HOST = f"bench-{os.getpid()}"
SLUG, DOMAIN, REPO = "acme-kitchens", "acme.test", "/srv/git/acme.git"


def sandbox(*argv, stdin=None, check=True):
    done = subprocess.run([SANDBOX, *argv], input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace")
    if check and done.returncode:
        sys.exit(f"tools/sandbox {' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def inside(*argv, **kw):
    return sandbox("exec", HOST, "--", *argv, **kw)


def sh(script):
    return inside("bash", "-euc", "export DEBIAN_FRONTEND=noninteractive\n" + script).stdout


@atexit.register
def down():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if HOST in sandbox("list", check=False).stdout.split():
        sandbox("down", HOST, check=False)


def end_on_signals():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def package():
    found = [os.environ.get("GOLDPATH_DEB")] if os.environ.get("GOLDPATH_DEB") else glob.glob(f"{ROOT}/dist/goldpath_*.deb")
    return max(found, key=os.path.getmtime) if found else sys.exit(f"{sys.argv[0]}: no package: make deb")


def push_repo():
    with tempfile.TemporaryDirectory() as work:
        tree = shutil.copytree(f"{ROOT}/examples/{SLUG}", f"{work}/tree", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
        git = ["git", "-C", tree, "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
        for argv in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
            subprocess.run(git + argv, check=True)
        subprocess.run(["git", "clone", "-q", "--bare", tree, f"{work}/bare.git"], check=True)
        sandbox("push", HOST, f"{work}/bare.git", REPO)


def init(slug, domain):
    sh(f"goldpath init {slug} --domain {domain} --repo file://{REPO} --tls internal --celery")


def bare(release):
    """A host with the package and the site's file, as it is before the first provision."""
    sandbox("up", HOST, "--release", release)
    sandbox("push", HOST, package(), "/root/goldpath.deb")
    push_repo()
    sh("apt-get update -qq; apt-get install -y -qq /root/goldpath.deb")
    init(SLUG, DOMAIN)


def provisioned(release, image):
    """A host with one site. What the first provision said that it did is in /root/story."""
    if image:
        sandbox("up", HOST, "--from", image)
        sandbox("push", HOST, package(), "/root/goldpath.deb")
        sh("dpkg -i /root/goldpath.deb || { apt-get update -qq; apt-get install -y -qq -f; }; goldpath provision --yes")
    else:
        bare(release)
    sh("goldpath provision --yes >/root/story 2>&1")
    nothing_to_do()


def nothing_to_do():
    """Some sources settle only after a moment; a host on which goldpath still finds something is none to time."""
    said = sh("goldpath provision --yes 2>&1")
    if not re.search(r"^0 changes", said, re.M):
        sys.exit(f"a second provision is not without changes:\n{said}")
