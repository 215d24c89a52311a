#!/usr/bin/python3
"""A site that nobody prepared for goldpath, beside another one: plain-django. Private repositories, gunicorn's socket, Python versions."""

import contextlib
import re
import unittest

import lib

SLUG, DOMAIN = 'plain-django', 'plain.test'
YAML = f'/etc/goldpath/sites/{SLUG}.yaml'
REPO = '/srv/git/plain.git'
KEY = '/home/deploy/.ssh/id_ed25519.pub'
MORE = '''
settings: config.settings
secrets: [SECRET_KEY]
aliases: [www.plain.test]
health: {path: /, contract: http}
sitemap: null
database: {url: true}
'''


class Plain(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'plain')
        cls.acme = cls.host.healthy()
        cls.repo = lib.Repo(cls, 'plain-django')
        cls.repo.put(cls.host, REPO)

    def get(self, path='/', **kw):
        return self.host.get(path, domain=DOMAIN, **kw)

    def sign(self, name):
        """A line in the guest book, by its form."""
        page = self.get()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.body.decode())[1]
        cookie = '; '.join(line.split(';')[0] for line in page.headers.get_all('Set-Cookie'))
        done = self.get(method='POST', body=f'csrfmiddlewaretoken={token}&name={name}&message=hello',
                        headers={'Cookie': cookie, 'Referer': f'https://{DOMAIN}/', 'Content-Type': 'application/x-www-form-urlencoded'})
        self.assertEqual(done.status, 302, done.body)
        self.assertIn(name.encode(), self.get().body)

    @contextlib.contextmanager
    def site_file(self, change, provision=False):
        """The site's file changed for a while (and provisioned, before and after)."""
        old = self.host.read(YAML) + '\n'
        text = change(old) if callable(change) else old + change
        self.assertNotEqual(text, old)
        self.host.write(YAML, text)
        try:
            yield self.host.goldpath('provision', SLUG) if provision else None
        finally:
            self.host.write(YAML, old)
            if provision:
                self.host.goldpath('provision', SLUG)

    def test_1_deploy(self):
        self.host.goldpath('init', SLUG, '--domain', DOMAIN, '--repo', f'file://{REPO}', '--project', 'config', '--tls', 'internal')
        self.host.write(YAML, self.host.read(YAML) + MORE)
        first = self.host.goldpath('provision')
        self.assertRegex(first.out, r'^\d+ changes$')
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        done = self.host.goldpath('deploy', SLUG)
        self.assertRegex(done.out, rf'^\d{{8}}T\d{{6}}Z-[0-9a-f]{{7}} is live at https://{DOMAIN}/ \(ok\)\n$')
        self.assertRegex(done.err, r'uv\.lock, installed by uv into venv')
        self.assertNotIn('sitemap', done.err)
        self.assertNotIn('warning:', done.err)
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    def test_2_both_serve(self):
        self.sign('Erika')
        self.assertEqual(self.host.healthy(), self.acme)
        static = re.search(r'/static/[^"]+', self.get().body.decode())
        if static:
            self.assertEqual(self.get(static[0]).status, 200)
        answer = self.host.get('/x?y=1', domain=f'www.{DOMAIN}')
        self.assertEqual((answer.status, answer.headers['Location']), (308, f'https://{DOMAIN}/x?y=1'))

    def test_3_they_do_not_see_each_other(self):
        env = self.host.read(f'/srv/sum/{SLUG}/.env')
        for key in ('SECRET_KEY', 'DJANGO_SECRET_KEY', 'DJANGO_DB_PASSWORD', 'DATABASE_URL', 'REDIS_URL'):
            self.assertRegex(env, rf'(?m)^{key}=.')
        theirs = self.host.read(f'{lib.SITE}/.env')
        numbers = re.findall(r'redis://127\.0\.0\.1:6379/(\d+)', env) + sorted(set(re.findall(r'redis://127\.0\.0\.1:6379/(\d+)', theirs)))
        self.assertEqual(len(numbers), len(set(numbers)), numbers)
        password = re.search(r'^DJANGO_DB_PASSWORD=(.*)$', env, re.M)[1]
        done = self.host.run('env', f'PGPASSWORD={password}', 'psql', '-h', '127.0.0.1', '-U', 'plain_django', '-tA', 'acme_kitchens',
                             '-c', 'select count(*) from auth_user')
        self.assertNotEqual(done.rc, 0, done)
        pid = self.host.sh(f'systemctl show -P MainPID sum-{SLUG}-gunicorn.service')
        for path in (lib.SITE, f'/run/sum-{lib.SLUG}', '/srv/git'):
            done = self.host.run('nsenter', '-t', pid, '-m', '--', 'setpriv', '--reuid', f'sum-{SLUG}', '--regid', 'www-data',
                                 '--clear-groups', '--', 'ls', path)
            self.assertEqual(done.rc == 0, path == '/srv/git', done)

    def test_4_private_repository(self):
        self.host.sh(f'''
            useradd --create-home --shell /usr/bin/git-shell git; usermod -p '*' git
            cp -r {REPO} /home/git/plain.git; chown -R git: /home/git''')
        before = self.host.state(SLUG)
        with self.site_file(lambda old: old.replace(f'file://{REPO}', 'git@127.0.0.1:plain.git'), provision=True) as said:
            self.assertTrue(self.host.sh('stat -c "%U %a" /home/deploy/.ssh/id_ed25519') == 'deploy 600')
            public = self.host.read(KEY)
            self.assertIn(' '.join(public.split()[:2]), said.all)
            self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
            done = self.host.goldpath('deploy', SLUG, rc=6)
            self.assertRegex(done.err, r'(?m)^error: .*git@127\.0\.0\.1:plain\.git')
            self.assertRegex(done.err, rf'(?m)^hint: add {re.escape(KEY)} to the repository as a deploy key$')
            self.assertEqual(self.host.state(SLUG), before)
            self.host.sh(f'''
                install -d -m 700 -o git -g git /home/git/.ssh
                install -m 600 -o git -g git {KEY} /home/git/.ssh/authorized_keys''')
            self.host.goldpath('deploy', SLUG)
            with self.subTest('as the deploy user'):
                self.assertEqual(self.host.run('su', '-', 'deploy', '-c', f'goldpath deploy {SLUG}').rc, 0)
            with self.subTest('another server behind the name'):
                self.host.sh('''ssh-keygen -q -t ed25519 -N '' -f /root/other
                    echo "127.0.0.1 $(cut -d' ' -f1,2 /root/other.pub)" >/home/deploy/.ssh/known_hosts''')
                done = self.host.goldpath('deploy', SLUG, rc=6)
                self.assertRegex(done.err, r'(?m)^hint: .*known_hosts$')
        self.sign('Otto')

    def test_5_gunicorn_socket(self):
        with self.site_file('\ngunicorn: {socket: true}\n', provision=True):
            self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
            self.assertEqual(self.host.sh(f'systemctl is-active sum-{SLUG}-gunicorn.socket'), 'active')
            lib.wait_for(lambda: self.get().status == 200, 'the site answers through the socket')
            done = self.host.goldpath('deploy', SLUG)
            self.assertRegex(done.out, r'is live')
            self.assertEqual(self.get().status, 200)
            self.assertEqual(self.host.sh(f'stat -L -c "%U %G %a" /run/sum-{SLUG}/gunicorn.sock'), f'sum-{SLUG} www-data 660')
            self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
            with self.subTest('a restart loses nobody'):
                self.host.sh(f'systemctl restart --no-block sum-{SLUG}-gunicorn.service')
                self.assertEqual({self.get().status for _ in range(20)}, {200})
            with self.subTest('a reboot'):
                self.host.reboot()
                lib.wait_for(lambda: self.get().status == 200, 'the site after the reboot', 60)
        self.assertNotEqual(self.host.run('systemctl', 'is-active', f'sum-{SLUG}-gunicorn.socket').rc, 0)
        lib.wait_for(lambda: self.get().status == 200, 'the site without the socket unit')
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        self.host.goldpath('deploy', SLUG)
        self.sign('Frida')
        self.assertEqual(self.host.healthy(60), self.acme)

    def test_6_python_that_nobody_has(self):
        before = self.host.state(SLUG)
        with self.site_file('\npython: "3.99"\n'):
            done = self.host.goldpath('deploy', SLUG, rc=6)
            self.assertEqual(len(re.findall(r'(?m)^error: .*', done.err)), 1, done)
            self.assertRegex(done.err, r'(?m)^hint: .*Python 3\.99')
        self.assertEqual(self.host.state(SLUG), before)
        with self.site_file('\npython: 4\n'):
            done = self.host.goldpath('deploy', SLUG, rc=3)
            self.assertRegex(done.err, "(?m)^error: .*'4' is no valid python")

    def test_7_with_pip(self):
        """uv switched off: pip, from what is left to it."""
        host_yaml = '/etc/goldpath/host.yaml'
        old = self.host.read(host_yaml) + '\n'
        self.host.write(host_yaml, old + '\nuv: false\n')
        self.host.goldpath('provision')
        with self.subTest('uv.lock asked for'), self.site_file('\nrequirements: uv.lock\n'):
            done = self.host.goldpath('deploy', SLUG, rc=3)
            self.assertRegex(done.err, 'error: .*uv.lock needs uv')
        self.repo.commit({'requirements.txt': 'django>=5.2,<5.3\ndj-database-url\ngunicorn\npsycopg[binary]\n'}, 'for pip')
        self.repo.put(self.host, REPO)
        done = self.host.goldpath('deploy', SLUG)
        self.assertIn('requirements.txt, installed by pip', done.err)
        self.sign('Hugo')
        self.host.write(host_yaml, old)
        self.host.goldpath('provision')
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')


if __name__ == '__main__':
    unittest.main()
