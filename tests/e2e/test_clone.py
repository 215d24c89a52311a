#!/usr/bin/python3
"""A site cloned to a second slug: both live, the same rows and media, no secret shared, the first one untouched; killed anywhere, gone on with."""

import json
import re
import unittest

import lib

TWO, THREE = 'acme-two', 'acme-three'
YAML = '/etc/goldpath/sites'
MEDIA = f'{lib.SITE}/media'
OWN = ('DJANGO_SECRET_KEY', 'DJANGO_DB_PASSWORD', 'DJANGO_DB_NAME', 'DJANGO_DB_USER', 'SITE_DOMAIN', 'REDIS_URL', 'CELERY_BROKER_URL')
# In order; the last ones are the deploy's.
STEPS = ('source', 'provision', 'backup', 'media', 'load', 'swap', 'checkout', 'venv', 'healthy', 'celery')
# Runs inside: a clone that is killed as soon as its lock says that it is at a step, or at a later one where that was over too soon to be seen.
KILL = '''
import signal, subprocess, sys, time
to, step = sys.argv[1:]
steps = %r
run = subprocess.Popen(['goldpath', 'clone', %r, '--to', to], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open('/root/killed', 'w'))
while run.poll() is None:
    try:
        if set(open('/run/goldpath/%%s.lock' %% to).read().split()) & set(steps[steps.index(step):]):
            break
    except OSError:
        pass
    time.sleep(0.002)
run.send_signal(signal.SIGKILL)
run.wait()
print(run.returncode)
''' % (STEPS, lib.SLUG)


class Clone(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'clone')
        cls.host.write('/root/kill.py', KILL)
        cls.host.sh(f'''
            mkdir -p {MEDIA}/deep/er && head -c 2000000 /dev/urandom >{MEDIA}/deep/er/a.bin && chmod 600 {MEDIA}/deep/er/a.bin
            chown -R sum-{lib.SLUG}:sum-{lib.SLUG} {MEDIA}/deep
            ln -sfn deep/er/a.bin {MEDIA}/link; ln -sfn /etc/shadow {MEDIA}/out; rm -f {MEDIA}/fifo; mkfifo {MEDIA}/fifo; truncate -s 1G {MEDIA}/sparse; touch "{MEDIA}/a
line"; chown -h deploy: {MEDIA}/link {MEDIA}/sparse
            printf 'EXTRA_KEY="a b"\\nELSEWHERE=https://{lib.DOMAIN}/x\\n' >>{lib.SITE}/.env''')

    def sql(self, db, sql):
        return self.host.sh(f'cd / && su postgres -c "psql -qAt -v ON_ERROR_STOP=1 {db}"' + f" <<'END'\n{sql}\nEND")

    def rows(self, db):
        """A digest of each table."""
        return self.sql(db, "SELECT format('select %L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %s t', c.oid::regclass, c.oid::regclass)"
                        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'public'"
                        " AND relname <> 'django_session' ORDER BY relname\n\\gexec")

    def env(self, slug):
        text = self.host.read(f'/srv/sum/{slug}/.env')
        return dict(re.findall(r'^(\w+)="?(.*?)"?$', text, re.M))

    def files(self, slug):
        """Names, kinds, sizes, modes and contents."""
        return self.host.sh(f'''cd /srv/sum/{slug}/media
            find . -mindepth 1 ! -type p ! -name out -printf '%P %y %s %m %l %T@ ' \\( -type f -size -100M -exec md5sum {{}} \\; -o -printf '\\n' \\) | LC_ALL=C sort''')

    def source(self):
        """All that a clone must leave as it was; a backup more is no harm."""
        return self.rows('acme_kitchens'), self.files(lib.SLUG), self.host.sh(f'''
            md5sum {lib.SITE}/.env {YAML}/{lib.SLUG}.yaml /etc/systemd/system/sum-{lib.SLUG}-* /etc/caddy/sites-enabled/sum-{lib.SLUG}.caddy
            ls {lib.SITE} {lib.SITE}/releases; readlink {lib.SITE}/app; systemctl show -P MainPID sum-{lib.SLUG}-gunicorn.service''')

    def remove(self, slug):
        self.host.goldpath('remove', slug, '--i-know-this-will-delete', rc=None)
        self.host.sh(f'rm -rf /var/backups/goldpath/{slug}-*')

    def check_clone(self, slug):
        """It serves under its own name, what the first one has, and nothing is left of the way there."""
        answer = self.host.get('/health/', domain=f'{slug}.{lib.DOMAIN}')
        said = json.loads(answer.body)
        self.assertEqual((answer.status, said['status']), (200, 'ok'))
        self.assertNotEqual(said['version']['release'], self.host.healthy())
        self.assertEqual(self.rows(slug.replace('-', '_')), self.rows('acme_kitchens'))
        self.assertEqual(self.files(slug), self.files(lib.SLUG))
        self.assertEqual(self.host.sh(f'[ ! -e /var/lib/goldpath/{slug}/clone ] || echo there'), '')
        self.assertEqual(self.sql('postgres', f"SELECT datname FROM pg_database WHERE datname LIKE '{slug.replace('-', '_')}%'"), slug.replace('-', '_'))
        first, second = self.env(lib.SLUG), self.env(slug)
        self.assertEqual([key for key in OWN if first[key] == second[key]], [])
        self.assertEqual((second['EXTRA_KEY'], second['ELSEWHERE'], first.keys()), (first['EXTRA_KEY'], first['ELSEWHERE'], second.keys()))

    def test_a_second_site(self):
        self.addCleanup(self.remove, TWO)
        before = self.source()
        done = self.host.goldpath('clone', lib.SLUG, '--to', TWO, '--json', timeout=600)
        said = json.loads(done.out)
        self.assertEqual((said['site'], said['of'], said['domain'], said['database'], said['health']),
                         (TWO, lib.SLUG, f'{TWO}.{lib.DOMAIN}', 'acme_two', 'ok'))
        self.assertGreater(said['rows'], 100)
        self.assertEqual(self.source(), before)
        self.check_clone(TWO)
        for secret in {*self.host.secrets(), self.env(TWO)['DJANGO_SECRET_KEY'], self.env(TWO)['DJANGO_DB_PASSWORD']}:
            self.assertNotIn(secret, done.all)
        self.assertIn('ELSEWHERE in .env names', done.err)
        self.assertIn("Wagtail's sites still have the host name", done.err)
        # Whose they are: the deploy user's is the deploy user's, the site's is the new site's. A hole stays one.
        self.assertEqual(self.host.sh(f'cd /srv/sum/{TWO}/media && stat -c "%U %G %a" deep deep/er/a.bin sparse && stat -c %b sparse').splitlines(),
                         [f'sum-{TWO} sum-{TWO} 2755', f'sum-{TWO} sum-{TWO} 600', f'deploy sum-{TWO} 644', '0'])
        self.assertEqual(self.host.goldpath('plan', TWO).rc, 0)
        # What one writes, the other does not see.
        self.sql('acme_two', "UPDATE wagtailcore_site SET site_name = 'two'")
        self.assertNotIn('two', self.sql('acme_kitchens', 'SELECT site_name FROM wagtailcore_site'))
        # A second time there is something in the way.
        again = self.host.goldpath('clone', lib.SLUG, '--to', TWO, rc=7)
        self.assertIn('is there already', again.err)
        self.check_serves(TWO)

    def check_serves(self, slug):
        self.assertEqual(self.host.get('/health/', domain=f'{slug}.{lib.DOMAIN}').status, 200)

    def test_killed_and_gone_on_with(self):
        self.addCleanup(self.remove, THREE)
        before = self.source()
        for step in STEPS:
            with self.subTest(step):
                self.assertEqual(self.host.sh(f'python3 /root/kill.py {THREE} {step}', timeout=600), '-9', self.host.read('/root/killed'))
                self.assertEqual(self.source(), before)
                self.host.healthy()
        # Another clone to the same name does not go on with this one.
        self.assertIn('unfinished clone', self.host.goldpath('clone', TWO, '--to', THREE, rc=7).err)
        self.host.goldpath('clone', lib.SLUG, '--to', THREE, timeout=600)
        self.check_clone(THREE)
        self.assertEqual(self.source(), before)

    def test_bad_input(self):
        before = self.source()
        sites = self.host.sh(f'ls -A /srv/sum {YAML} /var/lib/goldpath')
        self.host.sh('mkdir -p /srv/sum/taken && cd / && su postgres -c "createdb taken_two"')
        self.addCleanup(self.host.sh, 'rm -rf /srv/sum/taken; cd / && su postgres -c "dropdb taken_two"')
        for rc, args, words in (
                (2, (lib.SLUG,), '--to'),
                (2, (lib.SLUG, '--to', 'No Slug'), 'slug'),
                (2, (lib.SLUG, '--to', lib.SLUG), 'itself'),
                (2, (lib.SLUG, '--to', TWO, '--domain', 'a b'), 'domain'),
                (2, (lib.SLUG, '--to', TWO, '--offsite', '/srv/vault'), '--password-file'),
                (3, (lib.SLUG, '--to', 'uv'), 'goldpath uses itself'),
                (3, ('missing', '--to', TWO), 'missing.yaml'),
                (3, (lib.SLUG, '--to', TWO, '--domain', lib.DOMAIN), 'both want the name'),
                (3, (lib.SLUG, '--to', TWO, '--offsite', '/srv/vault', '--password-file', '/root/none'), '/root/none'),
                (7, (lib.SLUG, '--to', 'taken'), '/srv/sum/taken'),
                (7, (lib.SLUG, '--to', 'taken-two'), 'taken_two')):
            with self.subTest(args):
                done = self.host.goldpath('clone', *args, rc=rc)
                self.assertIn(words, done.err)
                self.assertEqual(self.source(), before)
        self.host.sh('rmdir /srv/sum/taken')
        self.assertEqual(self.host.sh(f'ls -A /srv/sum {YAML} /var/lib/goldpath'), sites)
        # Neither room nor a live release: nothing of it is made.
        self.host.sh(f'mv /var/lib/goldpath/{lib.SLUG}/release.env /root/; systemctl stop sum-{lib.SLUG}-gunicorn.service')
        done = self.host.goldpath('clone', lib.SLUG, '--to', TWO, rc=7)
        self.host.sh(f'mv /root/release.env /var/lib/goldpath/{lib.SLUG}/; systemctl start sum-{lib.SLUG}-gunicorn.service')
        self.assertIn('is live', done.err)
        self.host.healthy(60)
        self.host.sh('mkdir -p /srv/sum/taken && rmdir /srv/sum/taken')
        self.assertEqual(self.host.sh(f'ls -A /srv/sum {YAML} /var/lib/goldpath'), sites)

    def test_z_out_of_a_repository(self):
        """Last: the site itself goes, as with its host, and comes back out of the repository."""
        env, rows, files = self.env(lib.SLUG), self.rows('acme_kitchens'), self.files(lib.SLUG)
        self.host.sh(f"printf '\\nbackup:\\n  offsite: /srv/vault/acme\\n' >>{YAML}/{lib.SLUG}.yaml; mkdir -p /srv/vault")
        self.host.goldpath('provision')
        self.host.goldpath('backup', lib.SLUG, '--media')
        self.host.sh(f'install -m 600 /var/lib/goldpath/{lib.SLUG}/offsite/password /root/pw; echo wrong >/root/bad; chmod 600 /root/bad; cp /root/pw /root/open; '
                     'chmod 644 /root/open')
        out = ('--offsite', '/srv/vault/acme', '--password-file')
        sites = self.host.sh(f'ls -A /srv/sum {YAML} /var/lib/goldpath')
        for rc, args, words in (
                (7, (lib.SLUG, '--to', lib.SLUG, *out, '/root/pw'), 'is there already'),
                (3, (lib.SLUG, '--to', TWO, *out, '/root/bad'), 'another password'),
                (3, (lib.SLUG, '--to', TWO, *out, '/root/open'), "not root's alone"),
                (1, ('missing', '--to', TWO, *out, '/root/pw'), 'no snapshot of missing'),
                (1, (lib.SLUG, '--to', TWO, '--offsite', '/srv/vault/none', '--password-file', '/root/pw'), 'there is no repository /srv/vault/none')):
            with self.subTest(args):
                self.assertIn(words, self.host.goldpath('clone', *args, rc=rc).err)
                self.assertEqual(self.host.sh(f'ls -A /srv/sum {YAML} /var/lib/goldpath'), sites)
        self.host.goldpath('remove', lib.SLUG, '--i-know-this-will-delete')
        done = self.host.goldpath('clone', lib.SLUG, '--to', lib.SLUG, *out, '/root/pw', timeout=600)
        self.host.healthy(60)
        self.assertEqual((self.rows('acme_kitchens'), self.files(lib.SLUG)), (rows, files))
        after = self.env(lib.SLUG)
        self.assertEqual([key for key in env if not key.startswith(('REDIS', 'CELERY')) and env[key] != after[key]], [])
        self.assertIn('offsite: null', self.host.read(f'{YAML}/{lib.SLUG}.yaml'))
        self.assertIn('set `backup.offsite`', done.err)
        self.assertEqual(self.host.sh(f'cmp /root/pw /var/lib/goldpath/{lib.SLUG}/offsite/password; ls /var/lib/goldpath/{lib.SLUG}/clone 2>/dev/null || :'), '')
        for secret in self.host.secrets():
            self.assertNotIn(secret, done.all)
        # With its file as it was, it goes on in the same repository.
        self.host.sh(f"sed -i 's|offsite: null|offsite: /srv/vault/acme|' {YAML}/{lib.SLUG}.yaml")
        self.host.goldpath('backup', lib.SLUG, '--media')


if __name__ == '__main__':
    unittest.main(verbosity=2)
