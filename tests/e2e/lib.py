"""What the end-to-end tests share: throw-away hosts, git repositories made from the examples, and the image of a host with a live site.

The package under test is $GOLDPATH_DEB, or the newest dist/goldpath_*.deb, which `make deb` makes where there is none.

The image e2e-<release>-<digest> is a host where acme-kitchens was provisioned and deployed once. It is made anew when the package
or the example has changed; `tools/sandbox rmi` takes it away. Hosts are named e2e-<pid>-…: those of a run that was killed are
taken down by the next one.
"""

import atexit
import contextlib
import fcntl
import functools
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANDBOX = os.path.join(ROOT, 'tools', 'sandbox')
CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'goldpath-e2e')
RELEASES = ('bookworm', 'trixie')

SLUG, DOMAIN = 'acme-kitchens', 'acme.test'
SITE = f'/srv/sum/{SLUG}'
REPO = '/srv/git/acme.git'
INIT = ('init', SLUG, '--domain', DOMAIN, '--repo', f'file://{REPO}', '--tls', 'internal', '--celery')
CADDY_CA = '/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt'

_started = set()


# ---------------------------------------------------------------- small things

class Result:
    """What a command said, and how it ended."""

    def __init__(self, argv, rc, out, err):
        self.argv, self.rc, self.out, self.err = argv, rc, out, err

    @property
    def all(self):
        return self.out + self.err

    def __str__(self):
        return f'$ {" ".join(self.argv)}\nexit {self.rc}\n--- stdout\n{self.out}--- stderr\n{self.err}'


class Broken(AssertionError):
    """Something that a test stands on did not work."""


def wait_for(question, what, seconds=20, every=0.1):
    """Until question() answers something true; that is returned."""
    deadline = time.monotonic() + seconds
    why = None
    while True:
        try:
            answer = question()
            if answer:
                return answer
        except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as error:
            why = error
        if time.monotonic() > deadline:
            raise Broken(f'{what}: not within {seconds} s' + (f' ({why})' if why else ''))
        time.sleep(every)


def machine(*argv, check=True, **kw):
    kw.setdefault('stdin', subprocess.DEVNULL)
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace', **kw)
    if check and done.returncode:
        raise Broken(str(Result(argv, done.returncode, done.stdout, done.stderr)))
    return done


def deb():
    """The package to test."""
    path = os.environ.get('GOLDPATH_DEB')
    if path:
        return os.path.abspath(path)
    found = glob.glob(os.path.join(ROOT, 'dist', 'goldpath_*.deb'))
    if not found:
        machine('make', '-C', ROOT, 'deb')
        found = glob.glob(os.path.join(ROOT, 'dist', 'goldpath_*.deb'))
    return max(found, key=os.path.getmtime)


def digest(*paths):
    """Of files and folders, names and contents."""
    total = hashlib.sha256()
    for top in paths:
        files = [top] if os.path.isfile(top) else sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names if '__pycache__' not in folder)
        for path in files:
            with open(path, 'rb') as f:
                total.update(os.path.relpath(path, ROOT).encode() + b'\0' + hashlib.sha256(f.read()).digest())
    return total.hexdigest()


def clean_up(test, function, *args):
    """Register a clean-up where it belongs: a test case, a class of them, or (None) the module."""
    if test is None:
        unittest.addModuleCleanup(function, *args)
    elif isinstance(test, type):
        test.addClassCleanup(function, *args)
    else:
        test.addCleanup(function, *args)


def _stop(number, _frame):
    sys.exit(128 + number)


for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, _stop)


@functools.cache
def _take_down_stale():
    """Hosts of an earlier run whose process is gone."""
    for line in machine(SANDBOX, 'list').stdout.splitlines()[1:]:
        name = line.split()[0]
        owner = re.match(r'e2e-(\d+)-', name)
        if owner and not os.path.exists(f'/proc/{owner[1]}'):
            machine(SANDBOX, 'down', name, check=False)


@atexit.register
def _take_down_all():
    if _started:
        machine(SANDBOX, 'down', *sorted(_started), check=False)


# ---------------------------------------------------------------- a git repository

class Repo:
    """A working copy of an example on this machine. Its branches and tags are carried into hosts as a bundle."""

    def __init__(self, test, example='acme-kitchens'):
        self.dir = tempfile.mkdtemp(prefix='goldpath-e2e-')
        clean_up(test, shutil.rmtree, self.dir, True)
        self.tree = os.path.join(self.dir, 'tree')
        shutil.copytree(os.path.join(ROOT, 'examples', example), self.tree,
                        ignore=shutil.ignore_patterns('__pycache__', '.venv', '*.pyc', 'db.sqlite3', 'staticfiles'))
        self.git('init', '--quiet', '-b', 'main')
        self.commit({}, 'start')

    def git(self, *args):
        env = dict(os.environ, GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_SYSTEM='/dev/null', GIT_AUTHOR_NAME='Test',
                   GIT_COMMITTER_NAME='Test', GIT_AUTHOR_EMAIL='test@example.invalid', GIT_COMMITTER_EMAIL='test@example.invalid',
                   # One repository, one name for its first commit: the image has it already.
                   GIT_AUTHOR_DATE='1780000000 +0000', GIT_COMMITTER_DATE='1780000000 +0000')
        return machine('git', *args, cwd=self.tree, env=env).stdout.strip()

    def commit(self, files, message):
        """Write, change (a function of the old text) or remove (None) files; commit; the commit's name."""
        for name, text in files.items():
            path = os.path.join(self.tree, name)
            if text is None:
                os.remove(path)
                continue
            if callable(text):
                with open(path) as f:
                    old = f.read()
                text = text(old)
                if text == old:
                    raise Broken(f'{name} did not change')
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as f:
                f.write(text)
        self.git('add', '--all')
        self.git('commit', '--quiet', '--allow-empty', '-m', message)
        return self.git('rev-parse', 'HEAD')

    def branch(self, name, files, message='change'):
        """A branch off main with one commit."""
        self.git('checkout', '--quiet', '-B', name, 'main')
        sha = self.commit(files, message)
        self.git('checkout', '--quiet', 'main')
        return sha

    def put(self, host, path, owner='deploy'):
        """The bare repository inside the host, made or brought up to date."""
        bundle = os.path.join(self.dir, 'bundle')
        self.git('bundle', 'create', '--quiet', bundle, '--all')
        host.push(bundle, '/root/bundle')
        host.sh(f'''
            [ -d {path} ] || git init --quiet --bare -b main {path}
            git -c safe.directory='*' -C {path} fetch --quiet --force --prune /root/bundle '+refs/*:refs/*'
            chown -R {owner}: {path}''')

    def put_bare(self, host, path):
        """The same where the host has no git yet. It belongs to root."""
        bare = os.path.join(self.dir, 'bare.git')
        shutil.rmtree(bare, ignore_errors=True)
        machine('git', 'clone', '--quiet', '--bare', self.tree, bare)
        host.push(bare, path)


# ---------------------------------------------------------------- a host

class Host:
    def __init__(self, test, purpose, release=None, image=None):
        _take_down_stale()
        self.name = f'e2e-{os.getpid()}-{purpose}'
        self.release = release
        _started.add(self.name)
        clean_up(test, self.down)
        self.start('--from', image) if image else self.start('--release', release)

    def start(self, *how):
        self.ip = machine(SANDBOX, 'up', self.name, *how).stdout.strip()
        self._tls = None

    def down(self):
        machine(SANDBOX, 'down', self.name, check=False)
        _started.discard(self.name)

    def reboot(self, *how):
        machine(SANDBOX, 'reboot', self.name, *how)

    def save(self, image):
        """Keep the disk as an image; the host is gone."""
        machine(SANDBOX, 'save', self.name, image)

    def push(self, path, to):
        machine(SANDBOX, 'push', self.name, path, to)

    def run(self, *argv, user=None, stdin=None, timeout=300):
        """A command inside, whatever comes of it."""
        full = [SANDBOX, 'exec', self.name, *(['-u', user] if user else []), '--', *argv]
        try:
            done = subprocess.run(full, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors='replace', timeout=timeout)
        except subprocess.TimeoutExpired as late:
            raise Broken(f'$ {" ".join(argv)}\nstill running after {timeout} s\n{late.stdout}\n{late.stderr}') from None
        return Result(argv, done.returncode, done.stdout, done.stderr)

    def start_run(self, *argv):
        """A command inside that is not waited for: its Popen."""
        return subprocess.Popen([SANDBOX, 'exec', self.name, '--', *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, errors='replace')

    def sh(self, script, user=None, timeout=300):
        """Shell commands inside that must work; what they print."""
        done = self.run('sh', '-euc', script, user=user, timeout=timeout)
        if done.rc:
            raise Broken(str(done))
        return done.out.strip()

    def goldpath(self, *args, rc=0, **kw):
        """goldpath inside. Another exit code than rc is a failure; rc=None: any will do. There is no terminal to ask on."""
        if args[:1] == ('provision',) and '--dry-run' not in args:
            args += ('--yes',)
        done = self.run('goldpath', *args, **kw)
        if rc is not None and done.rc != rc:
            raise Broken(f'exit {done.rc}, expected {rc}\n{done}')
        return done

    def write(self, path, text, mode='0644', owner='root:root'):
        done = self.run('sh', '-euc', f'mkdir -p "$(dirname {path})"; cat >{path}; chmod {mode} {path}; chown {owner} {path}', stdin=text)
        if done.rc:
            raise Broken(str(done))

    def read(self, path):
        return self.sh(f'cat {path}')

    def install(self):
        """The package, as a person would."""
        self.push(deb(), '/root/goldpath.deb')
        done = self.run('sh', '-c', 'cd /root && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q ./goldpath.deb')
        if done.rc:
            raise Broken(str(done))

    # ------------------------------------------------------------ as a visitor

    def get(self, path, domain=DOMAIN, scheme='https', method='GET', headers=None, body=None, timeout=15):
        """One request from this machine: the response, with .body. https is checked against the CA of the host's Caddy."""
        with contextlib.closing(socket.create_connection((self.ip, 443 if scheme == 'https' else 80), timeout=timeout)) as plain:
            if scheme == 'https':
                if not self._tls:
                    self._tls = ssl.create_default_context(cadata=self.read(CADDY_CA))
                plain = self._tls.wrap_socket(plain, server_hostname=domain)
            with contextlib.closing(http.client.HTTPConnection(domain, timeout=timeout)) as connection:
                connection.sock = plain
                connection.request(method, path, body=body, headers=headers or {})
                answer = connection.getresponse()
                answer.body = answer.read()
                return answer

    def health(self):
        """The health JSON, or None while there is none."""
        with contextlib.suppress(OSError, ssl.SSLError, http.client.HTTPException, ValueError):
            answer = self.get('/health/')
            if answer.status in (200, 503):
                return json.loads(answer.body)
        return None

    def healthy(self, seconds=30):
        """Wait until the site says ok; the release that said it."""
        def ok():
            said = self.health()
            return said and said['status'] == 'ok' and said['version']['release']
        return wait_for(ok, f'health of {DOMAIN} on {self.name}: {self.health()}', seconds)

    # ------------------------------------------------------------ how things stand

    def state(self, slug=SLUG):
        """What a refused command must leave as it was."""
        root = f'/srv/sum/{slug}'
        return self.sh(f'''
            cd {root}
            echo app: $(readlink app) venv: $(readlink venv)
            echo releases: $(ls -A releases)
            echo pid: $(systemctl show -P MainPID sum-{slug}-gunicorn.service)
            md5sum .env /etc/systemd/system/sum-{slug}-* /etc/caddy/sites-enabled/* /etc/sudoers.d/*
            ls -A /srv/sum /etc/goldpath /etc/goldpath/sites''')

    def secrets(self):
        """Every value of .env that nobody may see."""
        text = self.read(f'{SITE}/.env')
        return re.findall(r'^\w*(?:SECRET_KEY|PASSWORD)="?([^"\n]{8,})"?$', text, re.M)

    def manage(self, *args, slug=SLUG):
        """manage.py as the deploy user, with the site's environment, as its unit has it."""
        return self.run('systemd-run', '--quiet', '--pipe', '--wait', '--collect', '-p', 'User=deploy', '-p', 'UMask=0002',
                        '-p', f'WorkingDirectory=/srv/sum/{slug}/app', '-p', f'EnvironmentFile=/srv/sum/{slug}/.env',
                        '-p', f'EnvironmentFile=/srv/sum/{slug}/app/.goldpath/release.env',
                        f'/srv/sum/{slug}/venv/bin/python', 'manage.py', *args)


# ---------------------------------------------------------------- a host with a live site

def image_of(release):
    """Named by what is in it: runs of two packages side by side do not take each other's image away."""
    return f'e2e-{release}-{fingerprint()[:10]}'


@functools.cache
def fingerprint():
    return digest(deb(), os.path.join(ROOT, 'examples', 'acme-kitchens'), os.path.join(ROOT, 'tools', 'sandbox'))


@contextlib.contextmanager
def image_lock(release):
    """Who makes an image holds this; who wants one waits for it."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, f'{release}.lock'), 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def images():
    return [line.split()[0] for line in machine(SANDBOX, 'images').stdout.splitlines()[1:]]


def keep_live(host):
    """Save a host where acme-kitchens is live as the image for the other tests, and start it again from there. Where there is such an
    image already (another test was first), the host simply goes on. Images of other packages go, unless somebody uses them."""
    image = image_of(host.release)
    known = images()
    for old in known:
        if old.startswith(f'e2e-{host.release}-') and old != image:
            machine(SANDBOX, 'rmi', old, check=False)
    if image not in known:
        host.save(image)
        host.start('--from', image)


def bare_to_live(host, repo):
    """The whole way, each command as a person types it: what they said, by name."""
    said = {}
    host.install()
    repo.put_bare(host, REPO)
    said['init'] = host.goldpath(*INIT)
    said['plan'] = host.goldpath('plan', rc=4)
    said['provision'] = host.goldpath('provision')
    host.sh(f'chown -R deploy: {REPO}')
    said['again'] = host.goldpath('provision')
    said['deploy'] = host.goldpath('deploy', SLUG)
    return said


def database_elsewhere(host):
    """The site's .env leads to its database by the host's own address, as to one on another host. What it was is in /root/env."""
    host.sh(f'''
        cp -p {SITE}/.env /root/env
        echo "listen_addresses = '*'" >>$(ls -d /etc/postgresql/*/main)/postgresql.conf
        echo "host acme_kitchens acme_kitchens 0.0.0.0/0 scram-sha-256" >>$(ls -d /etc/postgresql/*/main)/pg_hba.conf
        systemctl restart postgresql
        sed -i 's/^DJANGO_DB_HOST=.*/DJANGO_DB_HOST={host.ip}/' {SITE}/.env''')


def live(test, purpose, release='bookworm'):
    """A host with acme-kitchens live, from the image; the image is made where there is none of this package."""
    with image_lock(release):
        if image_of(release) in images():
            host = Host(test, purpose, release, image=image_of(release))
        else:
            host = Host(test, purpose, release)
            bare_to_live(host, Repo(test))
            keep_live(host)
    host.healthy(60)
    return host
