#!/usr/bin/python3
"""Bad input and bad luck: a clear one-line error, a hint, the right exit code, and nothing changed."""

import contextlib
import json
import re
import time
import unittest

import lib

USAGE, CONFIG, FAILED, DEPLOY, LOCKED = 2, 3, 1, 6, 75
YAML = f'/etc/goldpath/sites/{lib.SLUG}.yaml'
GUNICORN = f'sum-{lib.SLUG}-gunicorn.service'


def replaced(old, new):
    return lambda text: text.replace(old, new)


class BadInput(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'bad')
        cls.secrets = cls.host.secrets()
        assert len(cls.secrets) == 2, cls.secrets
        repo = cls.repo = lib.Repo(cls)
        repo.branch('both', {'README.md': 'a branch'})
        repo.branch('tagged', {'README.md': 'a tag'})
        repo.git('tag', 'both', 'tagged')
        repo.branch('no-requirements', {'requirements.txt': None, 'requirements.in': None})
        repo.branch('no-manage', {'manage.py': None})
        repo.branch('no-gunicorn', {'requirements.txt': 'django==5.2.19\n'})
        repo.branch('no-package', {'requirements.txt': lambda old: old + 'goldpath-e2e-no-such-package==1.0\n'})
        repo.branch('new-python', {'pyproject.toml': '[project]\nname = "acme"\nversion = "1"\nrequires-python = ">=3.99"\n'})
        repo.branch('library', {'home/__init__.py': 'import ctypes\n\nctypes.CDLL("libyajl.so.2")\n'})
        repo.branch('big-venv', {'requirements.txt': lambda old: old + 'mypy==1.19.1\n'})
        repo.branch('migration', {'home/migrations/0003_broken.py': (
            'import os\n\nfrom django.db import migrations\n\n\ndef run(apps, editor):\n'
            '    print("now in the migration")\n'
            '    raise RuntimeError("no kettle, and " + os.environ["DJANGO_DB_PASSWORD"])\n\n\n'
            'class Migration(migrations.Migration):\n    dependencies = [("home", "0002_home_page")]\n'
            '    operations = [migrations.RunPython(run)]\n')})
        repo.branch('sick', {'health/views.py': replaced('    if failed & {"db", "cache"}:', '    if True:')})
        repo.branch('other-host', {'acme_kitchens/settings/production.py': lambda old: old + '\nALLOWED_HOSTS = ["other.test"]\n'})
        repo.branch('dies', {'acme_kitchens/wsgi.py': 'import os\n\nraise RuntimeError("no kettle, and " + os.environ["DJANGO_DB_PASSWORD"])\n'})
        repo.branch('reserved', {'.goldpath/x': ''})
        repo.branch('syntax', {'acme_kitchens/urls.py': 'def f(:\n'})
        repo.put(cls.host, lib.REPO)
        cls.yaml = cls.host.read(YAML) + '\n'
        cls.live = cls.host.healthy()

    # ------------------------------------------------------------ tools

    @contextlib.contextmanager
    def site_file(self, change):
        """The site's file changed for a while: by a function, or text to add."""
        text = change(self.yaml) if callable(change) else self.yaml + change
        self.assertNotEqual(text, self.yaml)
        self.host.write(YAML, text)
        try:
            yield
        finally:
            self.host.write(YAML, self.yaml)

    def says(self, done, rc, error, hint=None):
        """It failed as it should: one error line, a hint, no traceback of anything but what is quoted, no secret."""
        self.assertEqual(done.rc, rc, done)
        self.assertEqual(done.out, '', done)
        own = [line for line in done.err.splitlines() if not line.startswith('  | ')]
        errors = [line for line in own if line.startswith('error: ')]
        self.assertEqual(len(errors), 1, done)
        self.assertRegex(errors[0], error, done)
        hints = [line for line in own if line.startswith('hint: ')]
        self.assertLessEqual(len(hints), 1, done)
        if hint:
            self.assertRegex('\n'.join(hints), hint, done)
        self.assertNotIn('Traceback', '\n'.join(own), done)
        for secret in self.secrets:
            self.assertNotIn(secret, done.all)

    @contextlib.contextmanager
    def unchanged(self):
        """What happens inside leaves links, releases, files and the running site, down to its process, as they were."""
        before = self.host.state()
        yield
        self.assertEqual(self.host.healthy(), self.live)
        self.assertEqual(self.host.state(), before)

    def refused(self, *argv, rc, error, hint=None, state=True):
        """A command that fails, and leaves all as it was."""
        with self.unchanged():
            done = self.host.goldpath(*argv, rc=None)
            self.says(done, rc, error, hint)
            if argv[0] == 'deploy' and state:
                self.assertRegex(done.err, f'still serving {self.live}[,\n]', done)
        return done

    def deploy(self, ref, **kw):
        return self.refused('deploy', lib.SLUG, '--ref', ref, **kw)

    # ------------------------------------------------------------ the command line

    def test_slug(self):
        with self.unchanged():
            for slug in ('../x', 'a b', '-x', 'Acme', 'a_b', '9a', 'a' * 32, '', 'a/../b', 'küche', 'a\nb', '.', '*'):
                for argv in (('deploy', slug), ('provision', slug), ('deploy', '--site-slug', slug),
                             ('init', slug, '--domain', 'a.test', '--repo', 'file:///srv/git/a.git')):
                    with self.subTest(argv=argv):
                        self.says(self.host.goldpath(*argv, rc=None), USAGE, re.escape(slug.replace('\n', ' ')[:20]) or 'slug', 'hint: .')

    def test_domain(self):
        with self.unchanged():
            for domain in ('nodots', 'http://a.test', 'a..test', '-a.test', '1.2.3.4', 'a_b.test', 'a.test/x', '', 'a.test ', 'a b.test',
                           'a.test\nb', '{a.test', 'x' * 64 + '.test'):
                with self.subTest(domain=domain):
                    self.says(self.host.goldpath('init', 'other', '--domain', domain, '--repo', 'file:///srv/git/a.git', rc=None),
                              USAGE, 'is no valid domain', 'hint: .')
            self.says(self.host.goldpath('deploy', lib.SLUG, '--domain', 'a b', rc=None), USAGE, 'is no valid domain', 'hint: .')
            with self.site_file(replaced(f'domain: {lib.DOMAIN}', 'domain: "acme test"')):
                for verb in ('deploy', 'provision'):
                    self.says(self.host.goldpath(verb, lib.SLUG, rc=None), CONFIG, rf'{YAML}, line \d+: .*is no valid domain')

    def test_repository(self):
        with self.unchanged():
            for repo in ('ext::sh -c touch% /tmp/pwned', 'ext::touch', 'fd::17', '-oProxyCommand=touch', 'ssh://-oProxyCommand=x/y',
                         'https://user:hunter2@example.invalid/x.git', 'user:hunter2@example.invalid:x', '', 'file://x', 'ftp://a/b'):
                with self.subTest(repo=repo):
                    done = self.host.goldpath('init', 'other', '--domain', 'a.test', '--repo', repo, rc=None)
                    self.says(done, USAGE, 'repository', 'hint: .')
                    self.assertNotIn('hunter2', done.all)
            with self.site_file(replaced(f'"file://{lib.REPO}"', '"ext::sh -c touch% /tmp/pwned"')):
                self.says(self.host.goldpath('deploy', lib.SLUG, rc=None), CONFIG, rf'{YAML}, line \d+: .*repo')
            self.assertNotEqual(self.host.run('test', '-e', '/tmp/pwned').rc, 0)

    def test_unknown_words(self):
        with self.unchanged():
            for argv, error, hint in (((), 'no command', ''), (('deplyo',), "'deplyo'", 'deploy'), (('deploy',), 'needs a site', '--help'),
                                      (('deploy', lib.SLUG, '--reff', 'x'), "'--reff'", '--ref'),
                                      (('deploy', lib.SLUG, 'more'), "'more'", '--help'),
                                      (('deploy', lib.SLUG, '--ref'), '--ref needs a value', ''),
                                      (('deploy', lib.SLUG, '--ref', 'a', '--ref', 'b'), '--ref comes twice', ''),
                                      (('init', 'other', '--domain', 'a.test'), '--repo', '--help'),
                                      (('init', 'other', '--domain', 'a.test', '--repo', '/srv/git/x', '--tls', 'maybe'), 'tls', '')):
                with self.subTest(argv=argv):
                    done = self.host.goldpath(*argv, rc=None)
                    self.assertIn(done.rc, (USAGE, CONFIG) if '--tls' in argv else (USAGE,), done)
                    self.says(done, done.rc, re.escape(error), re.escape(hint))

    def test_site_that_is_not_there(self):
        self.refused('deploy', 'other', rc=CONFIG, error='there is no /etc/goldpath/sites/other.yaml', hint='goldpath init', state=False)
        self.refused('provision', 'other', rc=CONFIG, error='there is no /etc/goldpath/sites/other.yaml', hint='goldpath init')
        with self.unchanged():
            self.host.goldpath('init', 'other', '--domain', 'other.test', '--repo', 'file:///srv/git/a.git')
            try:
                self.says(self.host.goldpath('deploy', 'other', rc=None), CONFIG, 'other is not provisioned', 'goldpath provision other')
            finally:
                self.host.sh('rm /etc/goldpath/sites/other.yaml')

    def test_without_root(self):
        with self.unchanged():
            for argv in (('provision',), ('provision', lib.SLUG), ('init', 'x', '--domain', 'a.test', '--repo', '/srv/x')):
                with self.subTest(argv=argv):
                    self.says(self.host.goldpath(*argv, user='deploy', rc=None), FAILED, 'needs root', 'sudo goldpath')
            with self.subTest('deploy as somebody without a sudoers line'):
                self.says(self.host.goldpath('deploy', lib.SLUG, user='nobody', rc=None), FAILED, 'root|sudo|deploy user', 'hint: .')
            with self.subTest('a ref through sudo is checked too'):
                done = self.host.run('sudo', '-n', '/usr/bin/goldpath', 'deploy', lib.SLUG, '--options-from-stdin', user='deploy',
                                     stdin='--ref\0-x\0')
                self.says(done, USAGE, "'-x' is no valid ref", 'hint: .')
                done = self.host.run('sudo', '-n', '/usr/bin/goldpath', 'deploy', lib.SLUG, '--options-from-stdin', user='deploy',
                                     stdin='other\0')
                self.says(done, USAGE, "'other'")

    # ------------------------------------------------------------ the files

    def test_yaml(self):
        big = ''.join(f'x-{i}: "{"y" * 90}"\n' for i in range(10 << 20 >> 6))[:10 << 20]
        rows = {
            'unknown key': ('\ndomian: x\n', "unknown key 'domian'", "did you mean 'domain'"),
            'unknown key in a group': ('\ngunicorn: {wrokers: 3}\n', "unknown key 'wrokers' in gunicorn", "workers"),
            'a text for a number': ('\ngunicorn: {workers: many}\n', "'workers' must be a number from 1 to 64", None),
            'a list for a group': ('\nhealth: [1, 2]\n', "'health' must be a mapping", None),
            'a text for a list': ('\npackages: libmagic1\n', "'packages' must be a list", None),
            'a command as a text': ('\nbuild: [npm ci]\n', "'build' must be a list of argument lists", None),
            'a number out of bounds': ('\nkeep: {releases: 1}\n', "'releases' must be a number from 2", None),
            'a choice that is none': ('\nrequirements: Pipfile\n', "'requirements' must be one of", None),
            'a key twice': ('\ntls: off\n', "'tls' comes twice", None),
            'a tab': ('\ngunicorn:\n\tworkers: 3\n', 'line', 'tab'),
            'an open bracket': ('\nbuild: [[a\n', 'line', None),
            'no mapping': (lambda old: '- a\n- b\n', "mapping", None),
            'nothing': (lambda old: '', "'domain' is missing", None),
            'no YAML': (lambda old: '\0\1\2\xff\n', 'yaml', None),
            '10 MB': (lambda old: old + big, 'larger than|too large|bytes', None),
            'a deep nest': (lambda old: old + 'build: ' + '[' * 30000, 'yaml', None),
            'an alias to itself': ('\nbuild: &a [*a]\n', 'build', None),
            'two documents': ('\n---\ndomain: b.test\n', 'more than one document', None),
        }
        with self.unchanged():
            for name, (change, error, hint) in rows.items():
                with self.subTest(name), self.site_file(change):
                    for verb in ('deploy', 'provision'):
                        done = self.host.goldpath(verb, lib.SLUG, rc=None)
                        self.says(done, CONFIG, f'{YAML}.*({error})' if error != 'yaml' else YAML, hint)
            with self.subTest('others may write it'):
                self.host.sh(f'chmod 666 {YAML}')
                self.says(self.host.goldpath('deploy', lib.SLUG, rc=None), CONFIG, 'can be changed by others', 'chmod 644')
                self.host.sh(f'chmod 644 {YAML}')
            with self.subTest('host.yaml'):
                old = self.host.read('/etc/goldpath/host.yaml') + '\n'
                self.host.write('/etc/goldpath/host.yaml', old + '\nfirewal: true\n')
                self.says(self.host.goldpath('provision', rc=None), CONFIG, "host.yaml, line .*unknown key 'firewal'", "'firewall'")
                self.host.write('/etc/goldpath/host.yaml', old)
            self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    # ------------------------------------------------------------ the repository and what is in it

    def test_ref(self):
        with self.unchanged():
            for ref in ('-x', '--upload-pack=touch /tmp/pwned', 'a..b', 'a b', 'main^', 'main~1', 'a:b', '@{u}', '', 'x\ny'):
                with self.subTest(ref=ref):
                    self.says(self.host.goldpath('deploy', lib.SLUG, f'--ref={ref}', rc=None), USAGE, 'is no valid ref', 'hint: .')
            self.says(self.host.goldpath('deploy', lib.SLUG, '--ref', '-x', rc=None), USAGE, "'-x' is no valid ref", 'hint: .')
        self.deploy('no-such-branch', rc=USAGE, error="no branch, tag or commit 'no-such-branch'", hint='pushed')
        self.deploy('0123456', rc=USAGE, error="no branch, tag or commit '0123456'")
        self.deploy('both', rc=USAGE, error="'both' is ambiguous: a branch and a tag", hint='refs/heads/both')
        with self.site_file('\nref: gone\n'):
            self.refused('deploy', lib.SLUG, rc=CONFIG, error="no branch, tag or commit 'gone'")

    def test_repository_unreachable(self):
        for repo, error in (('file:///srv/git/none.git', 'does not (exist|appear to be)'), ('https://127.0.0.1:1/x.git', 'fetch .*127.0.0.1'),
                            ('git@127.0.0.1:x.git', 'fetch git@127'), ('https://no-such-host.invalid/x.git', 'resolve')):
            with self.subTest(repo=repo), self.site_file(replaced(f'file://{lib.REPO}', repo)):
                self.refused('deploy', lib.SLUG, rc=DEPLOY, error=error, hint='hint: .')

    def test_repository_of_somebody_else(self):
        self.host.sh(f'chown -R root: {lib.REPO}')
        try:
            self.refused('deploy', lib.SLUG, rc=DEPLOY, error='fetch', hint='must belong to user deploy')
        finally:
            self.host.sh(f'chown -R deploy: {lib.REPO}')

    def test_contents(self):
        self.deploy('no-requirements', rc=CONFIG, error='no uv.lock, requirements.txt or pyproject.toml beside manage.py', hint='hint: .')
        self.deploy('no-manage', rc=CONFIG, error='no manage.py in the root', hint='subdir')
        self.deploy('reserved', rc=CONFIG, error=r'\.goldpath')
        self.deploy('no-package', rc=DEPLOY, error='install requirements.txt', hint='does not exist')
        self.deploy('new-python', rc=CONFIG, error=r'wants Python >=3\.99 .*this host has 3\.11', hint='python:')
        self.deploy('syntax', rc=DEPLOY, error='manage.py check')

    def test_no_gunicorn(self):
        self.deploy('no-gunicorn', rc=CONFIG, error='requirements.txt does not install gunicorn', hint='add gunicorn')

    def test_shared_library(self):
        done = self.deploy('library', rc=DEPLOY, error=r'shared library libyajl\.so\.2 is missing', hint='`packages` in the site')
        self.assertIn('cannot open shared object file', done.err)

    def test_build_command(self):
        for build, error, hint in (('[[sh, -c, "echo making; echo no kettle >&2; exit 3"]]', "build command 'sh -c ", ''),
                                   ('[[no-such-program, x]]', "build command 'no-such-program x'", 'Debian packages go into'),
                                   ('[[touch, /etc/probe]]', "build command 'touch /etc/probe'", ''),
                                   ('[[sh, -c, "test -z \\"$DJANGO_DB_PASSWORD\\" && cat /etc/shadow"]]', 'build command', '')):
            with self.subTest(build=build), self.site_file(f'\nbuild: {build}\n'):
                self.refused('deploy', lib.SLUG, rc=DEPLOY, error=error, hint=hint)

    def test_migration(self):
        done = self.deploy('migration', rc=DEPLOY, error='manage.py migrate')
        self.assertIn('no kettle, and ', done.err)

    # ------------------------------------------------------------ a release that does not come up

    def test_never_healthy(self):
        with self.site_file('\nhealth: {wait: 15}\n'):
            self.deploy('sick', rc=DEPLOY, error='did not get healthy on its socket within 15')
            self.deploy('other-host', rc=DEPLOY, error='answers 400', hint='acme.test in ALLOWED_HOSTS')
        with self.site_file('\nhealth: {wait: 15, path: /nowhere/}\n'):
            self.deploy('main', rc=DEPLOY, error='/nowhere/ answers 404', hint='health.path')

    def test_dies_at_start(self):
        done = self.deploy('dies', rc=DEPLOY, error='gunicorn died at start', hint='journalctl -u sum-acme-kitchens-gunicorn-next.service')
        self.assertRegex(done.err, r'\n  \| .*no kettle')

    # ------------------------------------------------------------ the host

    @contextlib.contextmanager
    def broken(self, how, mend):
        """Something on the host is out of order for a while."""
        with self.unchanged():
            self.host.sh(how)
            try:
                yield
            finally:
                self.host.sh(mend)

    def preflight(self, error, hint, rc=DEPLOY):
        began = time.monotonic()
        done = self.host.goldpath('deploy', lib.SLUG, rc=None)
        self.says(done, rc, error, hint)
        self.assertRegex(done.err, f'still serving {self.live}[,\n]', done)
        self.assertNotIn('fetch the repository', done.err)
        self.assertLess(time.monotonic() - began, 8)

    def test_redis_down(self):
        with self.broken('systemctl stop redis-server', 'systemctl start redis-server'):
            self.preflight('Redis does not answer on 127.0.0.1:6379', 'systemctl status redis-server')
            # Its cache is gone, and it says so itself; it is the same release, and nobody restarted it.
            self.assertEqual((self.host.health()['status'], self.host.health()['version']['release']), ('unhealthy', self.live))

    def test_redis_is_looked_at_first(self):
        with self.broken('systemctl stop redis-server postgresql; mount -t tmpfs -o size=1M none /srv/sum/acme-kitchens/backups',
                         'umount /srv/sum/acme-kitchens/backups; systemctl start redis-server postgresql'):
            self.preflight('Redis does not answer', 'systemctl status redis-server')

    def test_redis_wants_a_password(self):
        with self.broken('redis-cli config set requirepass e2e', 'redis-cli -a e2e --no-auth-warning config set requirepass ""'):
            self.preflight('Redis .* asks for a password', 'requirepass')
            self.says(self.host.goldpath('provision', rc=None), FAILED, 'Redis .* asks for a password', 'requirepass')

    def test_postgres_down(self):
        with self.broken('systemctl stop postgresql', 'systemctl start postgresql'):
            self.preflight('Postgres does not answer on 127.0.0.1:5432', 'systemctl status postgresql')

    def test_postgres_password(self):
        with self.broken(f"cp -p {lib.SITE}/.env /root/env; sed -i 's/^DJANGO_DB_PASSWORD=.*/DJANGO_DB_PASSWORD=not-that-one/' {lib.SITE}/.env",
                         f'cp -p /root/env {lib.SITE}/.env'):
            self.preflight("Postgres refuses the password of role 'acme_kitchens'", 'hint: .')

    def test_env_gone(self):
        with self.broken(f'mv {lib.SITE}/.env /root/env', f'mv /root/env {lib.SITE}/.env'):
            self.preflight(f'there is no {lib.SITE}/.env', f'goldpath provision {lib.SLUG}', CONFIG)

    def test_disk_too_small(self):
        releases = f'{lib.SITE}/releases'
        with self.broken(f'mount -t tmpfs -o size=60M,mode=755,uid=deploy,gid=deploy none /mnt; cp -a {releases}/. /mnt; mount --bind /mnt {releases}; umount /mnt',
                         f'umount {releases}'):
            self.preflight(r'MiB free, and a release may need \d+', 'df -h')

    def test_disk_full_under_way(self):
        venvs = f'{lib.SITE}/venvs'
        with self.unchanged():
            self.host.sh(f'''
                mount -t tmpfs -o mode=755,uid=deploy,gid=deploy none /mnt; cp -a {venvs}/. /mnt
                mount -o remount,size=$(($(du -sm /mnt | cut -f1) + 3))M /mnt; mount --bind /mnt {venvs}; umount /mnt''')
            try:
                done = self.host.goldpath('deploy', lib.SLUG, '--ref', 'big-venv', rc=None)
                self.says(done, DEPLOY, 'install requirements.txt|uv', 'disk is full')
                self.assertEqual(len(self.host.sh(f'ls -A {venvs}').split()), 1)
            finally:
                self.host.sh(f'umount {venvs}')

    def test_two_at_once(self):
        with self.unchanged(), self.site_file('\nbuild: [[sh, -c, "sleep 5; false"]]\n'):
            first = self.host.start_run('goldpath', 'deploy', lib.SLUG)
            lock = f'/run/goldpath/{lib.SLUG}.lock'
            lib.wait_for(lambda: 'step: build' in self.host.run('cat', lock).out, 'the first deploy builds')
            pid = re.search(r'pid: (\d+)', self.host.read(lock))[1]
            with self.subTest('lock status'):
                said = self.host.goldpath('lock', 'status').out
                self.assertRegex(said, rf"(?m)^host +free\n{lib.SLUG} +deploy {lib.SLUG} \(pid {pid}\) since \S+, in step 'build'$")
                locks = json.loads(self.host.goldpath('lock', 'status', lib.SLUG, '--json').out)['locks']
                self.assertEqual([(l['name'], l['held'], l.get('step')) for l in locks], [('host', False, None), (lib.SLUG, True, 'build')])
                # the build command is a child of it, and has no lock open
                self.assertEqual(self.host.sh("find /proc/[0-9]*/fd -lname '/run/goldpath/*' 2>/dev/null | cut -d/ -f3 | sort -u").split(), [pid])
            second = self.host.goldpath('deploy', lib.SLUG, rc=None)
            self.says(second, LOCKED, rf"deploy {lib.SLUG} \(pid {pid}\) has been running since .*, in step 'build'", 'wait for it')
            first.communicate(timeout=60)
            self.assertEqual(first.returncode, DEPLOY)
        with self.subTest('provision'):
            first = self.host.start_run('flock', '/run/goldpath/host.lock', 'sleep', '3')
            lib.wait_for(lambda: self.host.run('flock', '-n', '/run/goldpath/host.lock', 'true').rc, 'the lock is held')
            self.says(self.host.goldpath('provision', rc=None), LOCKED, 'host is locked', 'hint: .')
            first.communicate(timeout=60)

    def test_systemd_is_not_running(self):
        """In a view of the filesystem without /run: as in a chroot, or in a container whose first process is something else."""
        with self.unchanged():
            for verb, rc in (('provision', FAILED), ('deploy', FAILED)):
                with self.subTest(verb):
                    done = self.host.run('unshare', '-m', 'sh', '-c', f'mount -t tmpfs none /run && exec goldpath {verb} {lib.SLUG}')
                    self.says(done, rc, 'systemd is not running', 'booted by systemd')

    # ------------------------------------------------------------ what lies in folders of the deploy user, and two sites

    def test_env_is_a_fifo(self):
        """systemd opens environment files as root and would wait for ever; what it reads is a copy."""
        env = f'{lib.SITE}/.env'
        self.host.sh(f'mv {env} {env}.real && mkfifo -m 600 {env} && chown deploy: {env}')
        try:
            self.host.sh(f'timeout 60 systemctl restart {GUNICORN} && timeout 20 systemctl is-system-running --wait || true')
            self.assertEqual(self.host.healthy(60), self.live)
            self.says(self.host.goldpath('deploy', lib.SLUG, rc=None), CONFIG, 'is no regular file', 'hint: .')
        finally:
            self.host.sh(f'rm {env} && mv {env}.real {env}')
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    def test_release_env_leads_elsewhere(self):
        self.host.sh('echo ROOTSECRET=hunter22 >/root/secret.env; chmod 600 /root/secret.env')
        self.host.sh(f'ln -sf /root/secret.env {lib.SITE}/app/.goldpath/other; mv {lib.SITE}/app/.goldpath/release.env /root/kept;'
                     f'mv {lib.SITE}/app/.goldpath/other {lib.SITE}/app/.goldpath/release.env; systemctl restart {GUNICORN}')
        try:
            pid = self.host.sh(f'systemctl show -p MainPID --value {GUNICORN}')
            self.assertNotIn('ROOTSECRET', self.host.sh(f'tr "\\0" "\\n" </proc/{pid}/environ'))
        finally:
            self.host.sh(f'mv /root/kept {lib.SITE}/app/.goldpath/release.env')
        self.host.healthy(60)

    def test_two_sites_of_one_name(self):
        sites = '/etc/goldpath/sites'
        with self.unchanged():
            self.host.sh(f'sed "s/^domain:.*/domain: ACME.test/" {sites}/{lib.SLUG}.yaml >{sites}/two.yaml')
            try:
                self.says(self.host.goldpath('provision', 'two', rc=None), CONFIG, 'both want the name', 'two.yaml|acme')
            finally:
                self.host.sh(f'rm {sites}/two.yaml')
        for slug in ('bin', 'caddy', 'host', 'pending', 'redis-databases', 'uv'):
            with self.subTest(slug):
                self.says(self.host.goldpath('init', slug, '--domain', 'x.test', '--repo', '/srv/x', rc=None), CONFIG,
                          'a name that goldpath uses itself')
                self.assertEqual(self.host.run('test', '-e', f'{sites}/{slug}.yaml').rc, 1)

    # ------------------------------------------------------------ and then

    def test_zz_all_is_well(self):
        """After all that: nothing to provision, and a deploy that works, with the library's package named in the site's file."""
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        with self.site_file('\npackages: [libyajl2]\n'):
            done = self.host.goldpath('provision')
            self.assertEqual(done.out, '1 change\n', done)
            self.assertIn('libyajl2', done.err)
            done = self.host.goldpath('deploy', lib.SLUG, '--ref', 'library')
            self.assertEqual(self.host.healthy(), done.out.split()[0])
        history = self.host.sh(f'cat /var/lib/goldpath/{lib.SLUG}/history')
        for secret in self.secrets:
            self.assertNotIn(secret, history)


if __name__ == '__main__':
    unittest.main()
