#!/usr/bin/python3
"""Two sites of one host that do not trust each other: hostile code of the one, in its deploy and in its units, against the other."""

import json
import os
import re
import unittest

import lib

A, B = lib.SLUG, 'plain-django'
ROOT_A, ROOT_B = lib.SITE, f'/srv/sum/{B}'
DOMAIN_B, REPO_B = 'plain.test', '/srv/git/plain.git'
YAML_A, YAML_B, HOST_YAML = f'/etc/goldpath/sites/{A}.yaml', f'/etc/goldpath/sites/{B}.yaml', '/etc/goldpath/host.yaml'
MORE_B = '''
settings: config.settings
secrets: [SECRET_KEY]
health: {path: /, contract: http}
sitemap: null
database: {url: true}
'''
# Loaded by gunicorn too, and run for one command of a deploy only.
IN_SETTINGS = '''
import subprocess, sys
if sys.argv[1:2] == ["check"]:
    subprocess.run([sys.executable, str(BASE_DIR / "probe.py"), str(BASE_DIR / "probe-manage.json"), %s], check=True)
'''


class Neighbours(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'neighbours')
        cls.a, cls.b = lib.Repo(cls), lib.Repo(cls, 'plain-django')
        cls.b.put(cls.host, REPO_B)
        cls.host.sh('''
            install -d -m 700 -o deploy -g deploy /home/deploy/.ssh
            echo a-key >/home/deploy/.ssh/id_ed25519; chown deploy: /home/deploy/.ssh/id_ed25519; chmod 600 /home/deploy/.ssh/id_ed25519''')
        cls.host.goldpath('init', B, '--domain', DOMAIN_B, '--repo', f'file://{REPO_B}', '--project', 'config', '--tls', 'internal')
        cls.host.write(YAML_B, cls.host.read(YAML_B) + MORE_B)
        cls.host.goldpath('provision')
        cls.host.goldpath('deploy', B)
        cls.host.sh(f'echo upload >{ROOT_B}/media/upload.txt; touch {ROOT_B}/backups/dump')
        with open(os.path.join(lib.ROOT, 'tests', 'e2e', 'probe.py'), encoding='utf-8') as f:
            cls.probe = f.read()

    def words(self):
        """What the probe is told of its neighbour."""
        pids = self.host.sh(f'systemctl show -P MainPID sum-{B}-gunicorn.service; pgrep -u sum-{B} | head -n 3').split()
        return [A, B, *pids]

    def fingerprint(self):
        """Whatever of the neighbour somebody could have changed."""
        return self.host.sh(f'''
            cd {ROOT_B}; ls -lA . static media backups releases venvs; readlink app venv; md5sum .env media/upload.txt app/manage.py
            find app/ static repo.git -type f -exec md5sum {{}} + | sort | md5sum
            md5sum /etc/systemd/system/sum-{B}* /etc/caddy/sites-enabled/* /etc/caddy/Caddyfile /etc/sudoers.d/* {YAML_B} {HOST_YAML}
            ls -lA /home/deploy/.ssh; systemctl show -P MainPID sum-{B}-gunicorn.service''')

    def serves(self):
        self.assertEqual(self.host.get('/', domain=DOMAIN_B).status, 200)
        self.host.healthy()

    def check(self, text, own):
        answers = json.loads(text)
        self.assertGreater(len(answers), 80)
        self.assertTrue(own <= set(answers), answers)
        for name, got in answers.items():
            with self.subTest(name):
                self.assertEqual(got != '', name in own, got)

    def test_1_from_its_deploy(self):
        """A build command and manage.py: all that goldpath runs of a repository runs like one of these."""
        words = self.words()
        self.a.commit({'probe.py': self.probe, 'acme_kitchens/settings/production.py': lambda old: old + IN_SETTINGS % repr(words)[1:-1]},
                      'probe')
        self.a.put(self.host, lib.REPO)
        self.host.write(YAML_A, self.host.read(YAML_A) + f'\nbuild: [[python3, probe.py, probe-build.json, {", ".join(map(repr, words))}]]\n')
        before = self.fingerprint()
        done = self.host.goldpath('deploy', A)
        self.assertEqual(self.fingerprint(), before)
        own = {'own code', 'own temporary files', 'own database'}
        for name in ('build', 'manage'):
            with self.subTest(name):
                self.check(self.host.read(f'{ROOT_A}/app/probe-{name}.json'), own)
        self.assertNotEqual(self.host.run('pgrep', '-f', 'sleep 98765.4321').rc, 0, done)
        self.assertEqual(self.host.sh(f'find {ROOT_A}/static {ROOT_A}/media -type l; ls -A {ROOT_A} | grep tmp || true'), '')
        self.serves()

    def test_2_from_its_units(self):
        """A copy of each unit, all its properties but what is started."""
        before = self.fingerprint()
        left_out = r'(?m)^(Type|NotifyAccess|ExecStart|ExecReload|KillMode|Restart|RestartSec|RuntimeDirectory\w*|WantedBy)=.*\n'
        for kind in ('gunicorn', 'celery'):
            with self.subTest(kind):
                text = self.host.read(f'/etc/systemd/system/sum-{A}-{kind}.service')
                text = re.sub(left_out, '', text).replace('[Install]\n', '')
                out = f'{ROOT_A}/media/probe-{kind}.json'
                self.host.write('/etc/systemd/system/probe.service', text + '\n[Service]\nType=oneshot\nKillSignal=SIGKILL\n'
                                f'ExecStart=/usr/bin/python3 {ROOT_A}/app/probe.py {out} {" ".join(self.words())}\n')
                self.host.sh('systemctl daemon-reload; systemctl start probe.service')
                self.check(self.host.read(out), {'own code', 'own temporary files', 'own database'})
                self.host.sh(f'systemctl stop probe.service; rm {out} /etc/systemd/system/probe.service; systemctl daemon-reload')
        self.assertEqual(self.fingerprint(), before)
        self.serves()

    def test_3_both_still_deploy(self):
        self.host.write(YAML_A, re.sub(r'(?m)^build: .*\n', '', self.host.read(YAML_A) + '\n'))
        self.a.git('reset', '--quiet', '--hard', 'HEAD~1')
        self.a.put(self.host, lib.REPO)
        for slug in (A, B):
            self.assertIn('is live at', self.host.goldpath('deploy', slug).out)
        self.serves()
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    def test_4_other_users_of_the_host(self):
        self.host.sh('id somebody >/dev/null 2>&1 || useradd --create-home somebody')
        for user in ('somebody', f'sum-{A}'):
            for path in ('.env', 'app/manage.py', 'releases', 'venvs', 'repo.git', 'backups', '.cache', '.'):
                with self.subTest(user=user, path=path):
                    self.assertNotEqual(self.host.run('ls' if path == '.' else 'head', *(['-c1'] if path != '.' else []), f'{ROOT_B}/{path}',
                                                      user=user).rc, 0)

    def test_5_no_namespaces(self):
        """As in a container that refuses them."""
        refused = ('systemd-run', '--quiet', '--pipe', '--wait', '--collect', '-p', 'RestrictNamespaces=yes', 'goldpath', 'deploy', A)
        before = self.host.state()
        done = self.host.run(*refused)
        self.assertEqual(done.rc, 7, done)
        self.assertRegex(done.err, r'(?m)^error: this host does not let goldpath confine')
        self.assertRegex(done.err, r'(?m)^hint: .*`confine: false` in host\.yaml')
        self.assertEqual(self.host.state(), before)
        old = self.host.read(HOST_YAML) + '\n'
        self.host.write(HOST_YAML, old + 'confine: false\n')
        try:
            self.assertEqual(self.host.run(*refused).rc, 0)
        finally:
            self.host.write(HOST_YAML, old)
        self.host.goldpath('deploy', A)

    def test_6_a_deploy_user_of_its_own(self):
        self.host.write(YAML_B, self.host.read(YAML_B) + '\ndeploy_user: plainer\n')
        first = self.host.goldpath('provision')
        self.assertRegex(first.all, r'\+ user plainer')
        self.host.sh(f'chown -R -h --from=deploy plainer {ROOT_B} {REPO_B}')
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        done = self.host.run('su', '-', 'plainer', '-c', f'goldpath deploy {B}')
        self.assertEqual(done.rc, 0, done)
        self.assertEqual(self.host.sh(f'stat -c %U {ROOT_B}/app/manage.py'), 'plainer')
        done = self.host.run('su', '-', 'deploy', '-c', f'goldpath deploy {B}')
        self.assertEqual(done.rc, 1, done)
        self.assertRegex(done.err, 'needs root, or the deploy user')
        done = self.host.run('su', '-', 'plainer', '-c', f'goldpath deploy {A}')
        self.assertEqual(done.rc, 1, done)
        for path in ('.env', 'app/manage.py', 'releases', 'repo.git'):
            self.assertNotEqual(self.host.run('head', '-c1', f'{ROOT_B}/{path}', user='deploy').rc, 0, path)
            self.assertNotEqual(self.host.run('head', '-c1', f'{ROOT_A}/{path}', user='plainer').rc, 0, path)
        self.host.goldpath('deploy', A)
        self.serves()


if __name__ == '__main__':
    unittest.main()
