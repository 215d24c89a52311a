#!/usr/bin/python3
"""A second site where something is in its way: somebody's files, users, databases, a full disk, a name that leads nowhere, `.env` files of
every kind. Each is said in one line with a hint, nothing is half done, and once it is out of the way the same command goes on."""

import contextlib
import re
import unittest

import lib

SLUG, DOMAIN = 'two', 'two.test'
SITE = f'/srv/sum/{SLUG}'
YAML = f'/etc/goldpath/sites/{SLUG}.yaml'
CONFIG, REFUSED, FAILED = 3, 7, 1


class Strangers(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'strangers')
        cls.host.goldpath('provision')

    def setUp(self):
        self.host.goldpath('init', SLUG, '--domain', DOMAIN, '--repo', '/srv/git/two.git', '--project', 'two', '--tls', 'internal')
        self.addCleanup(self.remove)

    def remove(self):
        done = self.host.goldpath('remove', SLUG, '--i-know-this-will-delete', rc=None)
        self.assertIn(done.rc, (0, CONFIG), done)
        self.host.sh(f'rm -rf {YAML} {SITE}')
        # The neighbour has not noticed.
        self.host.healthy()
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    def refused(self, rc, error, hint):
        """provision fails for that, and has laid nothing into the site's folder, made no user, no database and no unit."""
        before = self.host.sh(f'find {SITE} -printf "%p %u %m\\n" 2>/dev/null | sort || true')
        done = self.host.goldpath('provision', SLUG, rc=rc)
        lines = done.err.splitlines()
        errors = [line for line in lines if line.startswith('error: ')]
        self.assertEqual(len(errors), 1, done)
        self.assertRegex(errors[0], error, done)
        self.assertRegex('\n'.join(line for line in lines if line.startswith('hint: ')), hint, done)
        self.assertEqual(self.host.sh(f'find {SITE} -printf "%p %u %m\\n" 2>/dev/null | sort || true'), before)
        self.host.healthy()
        return done

    def provisioned(self):
        done = self.host.goldpath('provision', SLUG)
        self.assertEqual(self.host.goldpath('provision', SLUG).out, '0 changes\n')
        return done

    # ------------------------------------------------------------ what is somebody else's

    def test_folder_full_of_files(self):
        self.host.sh(f'mkdir {SITE}; echo mine >{SITE}/thesis.odt; mkdir {SITE}/app')
        done = self.refused(REFUSED, rf'{SITE} is there already and holds what is not goldpath\'s: app, thesis.odt', 'move it away')
        self.assertNotIn('+ user', done.err)
        self.assertEqual(self.host.run('id', f'sum-{SLUG}').rc, 1)
        self.host.sh(f'rm -r {SITE}')
        self.provisioned()

    def test_what_is_laid_there_beforehand_stays(self):
        self.host.sh(f'mkdir -p {SITE}/media; echo "DJANGO_SECRET_KEY=chosen-by-hand-1234567890" >{SITE}/.env; echo picture >{SITE}/media/a.txt')
        self.provisioned()
        self.assertIn('DJANGO_SECRET_KEY=chosen-by-hand-1234567890', self.host.read(f'{SITE}/.env'))
        self.assertEqual(self.host.read(f'{SITE}/media/a.txt'), 'picture')
        self.assertEqual(self.host.sh(f'stat -c "%U %a" {SITE}/.env'), 'deploy 600')

    def test_user_is_a_person(self):
        self.host.sh(f'useradd --create-home --uid 1234 sum-{SLUG}')
        try:
            self.refused(REFUSED, f"user 'sum-{SLUG}' exists and is no system user", 'another slug')
        finally:
            self.host.sh(f'userdel --remove sum-{SLUG} 2>/dev/null')
        self.provisioned()

    def test_database_of_another_role(self):
        psql = 'runuser -u postgres -- psql -qtAXc'
        self.host.sh(f'{psql} "create role somebody"; {psql} "create database two owner somebody"')
        try:
            done = self.host.goldpath('provision', SLUG, rc=REFUSED)
            self.assertRegex(done.err, r"error: .*database 'two' exists and belongs to role 'somebody'")
            self.assertRegex(done.err, r'hint: set database\.name')
            self.assertEqual(self.host.sh(f"{psql} \"select rolname from pg_database d join pg_roles r on r.oid = datdba where datname = 'two'\""),
                             'somebody')
        finally:
            self.host.sh(f'{psql} "drop database two"; {psql} "drop role somebody"')
        self.provisioned()

    # ------------------------------------------------------------ disks

    def test_another_filesystem(self):
        self.host.sh(f'mkdir {SITE}; mount -t tmpfs -o size=64m tmpfs {SITE}')
        try:
            self.provisioned()
            self.host.sh(f'chmod 0777 {SITE}/releases')
            self.assertIn(f'~ folder {SITE}/releases: mode', self.host.goldpath('provision', SLUG).err)
        finally:
            self.host.sh(f'umount {SITE}')

    def test_disk_full_in_the_middle(self):
        self.host.sh(f'mkdir {SITE}; mount -t tmpfs -o nr_inodes=5 tmpfs {SITE}')
        try:
            done = self.host.goldpath('provision', SLUG, rc=FAILED)
            self.assertRegex(done.err, r'error: .*No space left on device')
            self.assertRegex(done.err, r'hint: the disk is full: `df -h`')
            self.host.sh(f'mount -o remount,nr_inodes=1000 {SITE}')
            self.provisioned()
        finally:
            self.host.sh(f'umount {SITE}')

    # ------------------------------------------------------------ files

    def test_env_of_every_kind(self):
        secret = 'chosen-by-hand-1234567890'
        kinds = {
            'CRLF': f'DJANGO_SECRET_KEY={secret}\r\nMINE=a b\r\n',
            'quotes': f'DJANGO_SECRET_KEY="{secret}"\nMINE=\'it is "quoted"\'\n',
            'shell': f'DJANGO_SECRET_KEY={secret}\nMINE=$(touch /root/executed)\nTOO=`touch /root/executed`\n',
            'no newline': f'MINE=x\nDJANGO_SECRET_KEY={secret}',
            'empty': '',
        }
        self.provisioned()
        for kind, text in kinds.items():
            with self.subTest(kind):
                self.host.write(f'{SITE}/.env', text, owner='nobody:nogroup')
                self.provisioned()
                after = self.host.run('cat', f'{SITE}/.env').out
                if text:
                    self.assertTrue(after.startswith(text.replace('\r\n', '\n')) or text.encode() in self.raw(f'{SITE}/.env'), after)
                self.assertEqual(self.host.sh(f'stat -c "%U %a" {SITE}/.env'), 'deploy 600')
                self.assertEqual(self.host.sh(f'grep -c "^DJANGO_SECRET_KEY=" {SITE}/.env'), '1')
                self.assertEqual(self.host.run('test', '-e', '/root/executed').rc, 1)

    def raw(self, path):
        import base64
        return base64.b64decode(self.host.sh(f'base64 {path}'))

    def test_env_that_is_refused(self):
        self.provisioned()
        cases = {
            'printf "A=b\\000c\\n" >%s': (CONFIG, 'NUL'),
            'printf "A=\\351\\n" >%s': (CONFIG, 'UTF-8'),
            'printf "A=\\"open\\n" >%s': (CONFIG, 'not finished'),
            'ln -s /etc/shadow %s': (FAILED, 'Too many levels|symlink'),
            'mkdir %s': (FAILED, 'no regular file|directory'),
        }
        for make, (rc, words) in cases.items():
            with self.subTest(make):
                self.host.sh(f'rm -rf {SITE}/.env; ' + make % f'{SITE}/.env')
                done = self.host.goldpath('provision', SLUG, rc=None)
                self.assertNotEqual(done.rc, 0, done)
                self.assertRegex(done.err, rf'error: .*{re.escape(SITE)}/\.env.*({words})', done)
                self.assertNotIn('root:', done.all)
        self.host.sh(f'rm -rf {SITE}/.env')
        self.provisioned()

    def test_a_broken_file_stops_its_own_site_only(self):
        self.provisioned()
        sites = '/etc/goldpath/sites'
        for name, text, why in (('broken', 'domain: [\n', 'line'), ('Bad_Name', f'domain: x.test\nrepo: /srv/x\nproject: x\n', 'slug')):
            with self.subTest(name), contextlib.ExitStack() as stack:
                self.host.write(f'{sites}/{name}.yaml', text)
                stack.callback(self.host.sh, f'rm {sites}/{name}.yaml')
                self.host.sh(f'chmod 0600 {SITE}/releases')
                done = self.host.goldpath('provision', rc=CONFIG)
                self.assertRegex(done.err, rf'warning: left out: .*{name}.*{why}')
                self.assertRegex(done.err, rf'error: one site is left out, all else was gone through: .*{name}')
                self.assertIn(f'~ folder {SITE}/releases', done.err)
                self.assertEqual(self.host.goldpath('provision', SLUG).out, '0 changes\n')
                # plan says so too, and on a terminal the others can be agreed to.
                done = self.host.goldpath('plan', rc=CONFIG)
                self.assertRegex(done.err, f'warning: left out: .*{name}')
                self.host.sh(f'chmod 0600 {SITE}/releases')
                done = self.host.run('sh', '-c', "(sleep 1; echo y) | script -qec 'goldpath provision' /dev/null")
                self.assertEqual(done.rc, CONFIG, done)
                self.assertEqual(self.host.sh(f'stat -c %a {SITE}/releases'), '750')

    def test_what_is_wrong_with_one_site_is_its_own(self):
        """Hostile or broken state of one site: the others are mended, what is owed to Caddy and systemd is done."""
        self.provisioned()
        neighbour = f'/etc/caddy/sites-enabled/sum-{lib.SLUG}.caddy'
        psql = 'runuser -u postgres -- psql -qtAXc'
        for broken, rc, words, back in (
                (f'rm {SITE}/.env; mkfifo {SITE}/.env', CONFIG, rf'{SITE}/\.env', f'rm {SITE}/.env'),
                (f'mv {SITE}/media /root/media2; ln -s /etc {SITE}/media', REFUSED, 'media is a symlink to /etc',
                 f'rm {SITE}/media; mv /root/media2 {SITE}/media')):
            with self.subTest(broken):
                self.host.sh(broken)
                # Sorted after this one and before it: both are gone through.
                self.host.sh(f'echo "# x" >>{neighbour}; rm /etc/sudoers.d/goldpath-{lib.SLUG}')
                done = self.host.goldpath('provision', rc=rc)
                self.assertRegex(done.err, f'error: .*{words}')
                self.assertRegex(done.err, f'the rest of {SLUG} was left out, everything else was gone through')
                for line in (f'~ file {neighbour}: content', f'+ file /etc/sudoers.d/goldpath-{lib.SLUG}', '~ run reload caddy'):
                    self.assertIn(line, done.err.splitlines())
                self.host.sh(back)
                self.provisioned()
        # What a site's own role can do to its database.
        self.host.sh(f'{psql} "alter database two allow_connections false"; {psql} "alter database two is_template true"')
        self.assertIn('~ database two: closed, a template → open, no template', self.host.goldpath('provision').err)
        self.provisioned()

    # ------------------------------------------------------------ names

    def test_domain_that_leads_nowhere(self):
        self.host.sh(f"sed -i 's/^tls:.*/tls: auto/; s/^domain:.*/domain: nowhere.invalid/' {YAML}")
        done = self.host.goldpath('provision', SLUG)
        self.assertRegex(done.err, 'warning: nowhere.invalid does not resolve: Caddy gets no certificate')
        # Asked when the name may have changed, not each time.
        self.assertEqual(self.host.goldpath('provision', SLUG).err, '')
        self.host.sh(f"echo 192.0.2.7 elsewhere.invalid >>/etc/hosts; sed -i 's/^domain:.*/domain: elsewhere.invalid/' {YAML}")
        done = self.host.goldpath('provision', SLUG)
        self.assertIn('elsewhere.invalid leads to 192.0.2.7, which is no address of this host', done.err)
        self.host.sh("sed -i /elsewhere.invalid/d /etc/hosts")


if __name__ == '__main__':
    unittest.main()
