#!/usr/bin/python3
"""goldpath remove: a second site comes and goes, and the host is as it was, but for the backup. The first one does not notice."""

import json
import re
import threading
import unittest

import lib

SLUG, DOMAIN, DB = 'plain-django', 'plain.test', 'plain_django'
YAML = f'/etc/goldpath/sites/{SLUG}.yaml'
REPO = '/srv/git/plain.git'
FLAG = '--i-know-this-will-delete'
MORE = '''
settings: config.settings
secrets: [SECRET_KEY]
packages: [tree]
health: {path: /, contract: http}
sitemap: null
database: {url: true}
'''

# What a site can leave behind. Not: what moves by itself (systemd's own folders in /run, the account files' backups).
INVENTORY = r'''
cd /
cut -d: -f1,3,4 /etc/passwd; cut -d: -f1 /etc/shadow; cat /etc/group; cut -d: -f1 /etc/gshadow
systemctl list-unit-files --no-legend --state=enabled,disabled,static,linked,masked | awk '{print "unit", $1, $2}'
systemctl list-units --all --plain --no-legend 'sum-*' | awk '{print "loaded", $1, $2, $3, $4}'
find /etc /var/lib/goldpath \( -name '*-' -o -name .pwd.lock \) -prune -o -print
find /srv -path /srv/git -prune -o -path '/srv/sum/acme-kitchens/*' -prune -o -print
find /run \( -path '/run/systemd/*' -o -path '/run/user' -o -path '/run/log' -o -path '/run/postgresql' -o -path '/run/sandbox*' \) -prune \
    -o -print 2>/dev/null
cat /var/lib/goldpath/redis-databases
runuser -u postgres -- psql -tAc 'select datname from pg_database union all select rolname from pg_roles'
redis-cli info keyspace | sed -n 's/:.*//p'
'''

COUNTS = '''select string_agg(t.n || '=' || (xpath('/row/c/text()', query_to_xml('select count(*) c from ' || t.n, false, true, '')))[1]::text, ','
    order by t.n) from (select quote_ident(schemaname) || '.' || quote_ident(tablename) n from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')) t'''


class Visitors:
    """Asks the neighbour without a pause; every answer that is not 200 is kept."""

    def __init__(self, host):
        self.host, self.asked, self.bad, self.end = host, 0, [], threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.end.is_set():
            try:
                status = self.host.get('/health/').status
            except OSError as error:
                status = repr(error)
            self.asked += 1
            if status != 200:
                self.bad.append(status)

    def __enter__(self):
        self.host.get('/health/')
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


class Remove(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'remove')
        cls.acme = cls.host.healthy()
        lib.Repo(cls, 'plain-django').put(cls.host, REPO)
        cls.host.sh('DEBIAN_FRONTEND=noninteractive apt-get install -y -q tree')   # packages stay: here before
        cls.host.goldpath('provision')
        cls.before = cls.inventory()

    @classmethod
    def inventory(cls):
        return sorted(set(cls.host.sh(INVENTORY).splitlines()))

    def setUp(self):
        """The site, with something in its database, its media and Redis."""
        if self.host.run('test', '-e', YAML).rc:
            self.host.goldpath('init', SLUG, '--domain', DOMAIN, '--repo', f'file://{REPO}', '--project', 'config', '--tls', 'internal')
            self.host.write(YAML, self.host.read(YAML) + MORE)
        self.host.goldpath('provision', SLUG)
        self.host.goldpath('deploy', SLUG)
        number = re.search(rf'^{SLUG} (\d+)$', self.host.read('/var/lib/goldpath/redis-databases'), re.M)[1]
        self.host.sh(f'''
            cd /srv/sum/{SLUG}; mkdir -p media/a/b; head -c 300000 /dev/urandom >media/a/b/x; echo hello >'media/a file'
            echo mine >notes.txt; redis-cli -n {number} set {SLUG} 1
            mkdir -p /etc/systemd/system/sum-{SLUG}-celery.service.d
            echo '[Service]' >/etc/systemd/system/sum-{SLUG}-celery.service.d/mine.conf
            cd /; runuser -u postgres -- psql -q {DB} -c 'drop table if exists extra; create table extra as select generate_series(1, 5000) n' ''')
        self.media = self.checksums(f'/srv/sum/{SLUG}/media')
        self.counts = self.psql(DB, COUNTS)
        self.assertIn('public.extra=5000', self.counts)

    def checksums(self, folder):
        return self.host.sh(f'cd {folder}; find . -type f -print0 | sort -z | xargs -0 md5sum')

    def psql(self, database, sql):
        return self.host.sh(f"cd /; runuser -u postgres -- psql -tA {database} <<'X'\n{sql}\nX")

    def backups(self):
        return set(self.host.sh('ls -d /var/backups/goldpath/* 2>/dev/null || true').split())

    def standing(self):
        """The site as a refused command must leave it."""
        return (self.inventory(), self.backups(), self.checksums(f'/srv/sum/{SLUG}/media'), self.psql(DB, COUNTS),
                self.host.sh(f'''readlink /srv/sum/{SLUG}/app; systemctl show -P MainPID sum-{SLUG}-gunicorn.service
                    find /srv/sum/{SLUG}/.env /etc/systemd/system/sum-* /etc/caddy/sites-enabled /etc/sudoers.d -type f -exec md5sum {{}} +'''))

    def removed(self, done, database=True):
        """The result of a whole removal: nothing is left, and the backup has everything."""
        self.assertEqual(done.rc, 0, done)
        backup = re.search(r'is removed; what it had is in (\S+)$', done.out, re.M)[1]
        self.assertEqual(self.inventory(), self.before)
        self.assertEqual(self.checksums(f'{backup}/site/media'), self.media)
        self.assertEqual(self.host.read(f'{backup}/site/notes.txt'), 'mine')
        self.assertEqual(self.host.sh(f'stat -c "%U %a" {backup}; stat -c "%U %a" {backup}/*.sql.gz'), 'root 700\nroot 600')
        self.host.sh(f'test -s {backup}/site/.env && test -s {backup}/state/history && test -s {backup}/state/site.env')
        self.host.sh(f'test -e {backup}/sum-{SLUG}-celery.service.d/mine.conf && gunzip -t {backup}/{SLUG}_db_*Z.sql.gz')
        self.assertEqual(self.host.run('sh', '-c', f'ls -d {backup}/part {backup}/*.new {backup}/*.part 2>/dev/null').out, '')
        if database:
            # As provision would have made them; the dump is loaded by the site's own role.
            line = re.search(r'^then its database, by the password in \.env: (.*)$', done.out, re.M)[1]
            self.assertIn(f' -U {DB} {DB}', line)
            self.host.sh(f"""cd /tmp; had=1; runuser -u postgres -- createuser {DB} 2>/dev/null && had=
                runuser -u postgres -- psql -qc "alter role {DB} login password 'again'"
                runuser -u postgres -- createdb -T template0 -E UTF8 -O {DB} {DB}
                PGPASSWORD=again; export PGPASSWORD; {line} >/dev/null""")
            self.assertEqual(self.psql(DB, COUNTS), self.counts)
            self.assertEqual(self.psql(DB, "select distinct tableowner from pg_tables where schemaname = 'public'"), DB)
            self.host.sh(f'cd /; runuser -u postgres -- dropdb {DB}; runuser -u postgres -- dropuser {DB}')
        self.assertEqual(self.host.healthy(), self.acme)
        return backup

    def test_1_refused_without_the_flag(self):
        before = self.standing()
        done = self.host.goldpath('remove', SLUG, rc=7)
        for line in (f'- database {DB}', f'- database role {DB}', f'- unit sum-{SLUG}-gunicorn.service', f'- folder /srv/sum/{SLUG}',
                     f'- file {YAML}', f'- user sum-{SLUG}: and its group'):
            self.assertIn(line, done.out.splitlines())
        self.assertIn(f'hint: goldpath remove {SLUG} {FLAG}\n', done.err)
        self.assertNotIn('acme', done.out)
        told = self.host.goldpath('remove', SLUG, '--json', rc=7).out.splitlines()
        self.assertEqual(len(told), 1)
        told = json.loads(told[0])
        self.assertEqual((told['ok'], told['applied'], told['exit'], told['error']['hint']), (False, False, 7, f'goldpath remove {SLUG} {FLAG}'))
        self.assertIn(f'database {DB}', [change['what'] for change in told['changes']])
        self.assertEqual(self.standing(), before)
        with self.subTest('a deploy is under way'):
            deploy = self.host.start_run('goldpath', 'deploy', SLUG)
            lib.wait_for(lambda: 'pid' in self.host.run('cat', f'/run/goldpath/{SLUG}.lock').out, 'the deploy', every=0.02)
            self.host.goldpath('remove', SLUG, FLAG, rc=75)
            deploy.communicate()
            self.assertEqual(deploy.returncode, 0)

    def test_2_there_and_gone(self):
        pid = self.host.sh(f'systemctl show -P MainPID sum-{lib.SLUG}-gunicorn.service sum-{lib.SLUG}-celery.service')
        with Visitors(self.host) as visitors:
            done = self.host.goldpath('remove', SLUG, FLAG)
        self.assertGreater(visitors.asked, 5)
        self.assertEqual(visitors.bad, [])
        self.assertEqual(self.host.sh(f'systemctl show -P MainPID sum-{lib.SLUG}-gunicorn.service sum-{lib.SLUG}-celery.service'), pid)
        backup = self.removed(done)
        self.assertIn(f'domain: {DOMAIN}', self.host.read(f'{backup}/{SLUG}.yaml'))
        self.assertIn('Debian packages stay: tree', done.err)
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        for args in ((), (FLAG,)):
            done = self.host.goldpath('remove', SLUG, *args, rc=3)
            self.assertIn(f"error: there is no site '{SLUG}'", done.err)
        self.assertEqual(self.inventory(), self.before)

    def test_3_killed(self):
        """Again and again, each time a little later, until one comes to its end. The same backup all the way."""
        known = self.backups()
        self.host.write('/root/kill.py', f'''
import subprocess, sys, time
for n in range(400):
    p = subprocess.Popen(['goldpath', 'remove', {SLUG!r}, {FLAG!r}], stdin=subprocess.DEVNULL, stdout=open('/root/out', 'w'),
                         stderr=open('/root/err', 'w'))
    try:
        p.wait(0.02 + 0.01 * n)
        break
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
print(n, p.returncode)
''')
        n, rc = map(int, self.host.sh('python3 /root/kill.py').split())
        err = self.host.read('/root/err')
        self.assertEqual(rc, 0, err)
        self.assertGreater(n, 5)
        self.assertEqual(len(self.backups() - known), 1)
        self.removed(lib.Result(['remove'], rc, self.host.read('/root/out') + '\n', err))

    def test_4_without_its_file(self):
        """Leftovers; somebody is still connected to the database; the backup is on another filesystem."""
        self.host.sh('mount -t tmpfs -o size=300m none /var/backups')
        self.addCleanup(self.host.run, 'umount', '/var/backups')
        self.host.sh(f'rm {YAML}')
        session = self.host.start_run('runuser', '-u', 'postgres', '--', 'psql', '-d', DB, '-c', 'select pg_sleep(100)')
        lib.wait_for(lambda: self.psql('postgres', f"select 1 from pg_stat_activity where datname = '{DB}' and query like '%sleep(100)%'"
                                                   ' and pid <> pg_backend_pid()') == '1', 'the session')
        self.removed(self.host.goldpath('remove', SLUG, FLAG))
        session.communicate()

    def test_5_no_room(self):
        self.host.sh('mount -t tmpfs -o size=1m none /var/backups')
        try:
            before = self.standing()
            done = self.host.goldpath('remove', SLUG, FLAG, rc=1)
            self.assertRegex(done.err, r'(?m)^error: .*/var/backups/goldpath: a backup needs about \d+ MiB, 1 MiB are free$')
            self.assertRegex(done.err, r'(?m)^nothing was removed$')
            self.assertEqual(self.standing(), before)
            self.assertEqual(self.host.sh('ls -A /var/backups'), '')
        finally:
            self.host.sh('umount /var/backups')
        self.assertEqual(self.host.get('/', domain=DOMAIN).status, 200)

    def test_6_what_is_not_its_own(self):
        """Another site's file names the database; something is mounted; then neither, with a role that has rights elsewhere."""
        other = YAML.replace(SLUG, 'other')
        self.host.write(other, f'domain: other.test\nrepo: {REPO}\nproject: other\ndatabase: {{name: {DB}}}\n')
        self.addCleanup(self.host.run, 'rm', '-f', other)
        done = self.host.goldpath('remove', SLUG, rc=7)
        self.assertIn(f'! left alone: database {DB}: another site names it', done.out)
        self.assertNotIn('- database', done.out)
        self.host.sh(f'rm {other}')
        self.host.sh(f'mkdir -p /mnt/m && mount --bind /mnt/m /srv/sum/{SLUG}/media')
        done = self.host.goldpath('remove', SLUG, FLAG, rc=7)
        self.assertIn(f'error: something is mounted at /srv/sum/{SLUG}/media', done.err)
        self.host.sh(f'umount /srv/sum/{SLUG}/media')
        self.psql('postgres', 'create database shared')
        self.psql('shared', f'create table t(); grant select on t to {DB}')
        done = self.host.goldpath('remove', SLUG, FLAG)
        self.assertIn(f'! left alone: database role {DB}: it owns things, or has rights, elsewhere: shared', done.err)
        self.assertEqual(self.psql('postgres', f"select 1 from pg_roles where rolname = '{DB}'"), '1')
        self.psql('postgres', f'drop database shared;\ndrop role {DB}')
        self.removed(done)

    def test_7_written_to_after_the_first_dump(self):
        """A site that writes a last row as it is stopped: the dump has it."""
        self.host.write(f'/etc/systemd/system/sum-{SLUG}-gunicorn.service.d/last.conf', '[Service]\nExecStopPost=+/usr/sbin/runuser -u postgres'
                        f' -- psql -q {DB} -c "insert into extra values (0)"\n')
        self.host.sh('systemctl daemon-reload')
        self.counts = self.counts.replace('public.extra=5000', 'public.extra=5001')
        done = self.host.goldpath('remove', SLUG, FLAG)
        self.assertRegex(done.err, r'(?m)^~ dump of database plain_django: \S+: was written to since$')
        self.removed(done)


if __name__ == '__main__':
    unittest.main()
