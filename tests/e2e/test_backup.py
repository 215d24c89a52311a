#!/usr/bin/python3
"""Backups of a live site: what is in them, and that whatever goes wrong leaves no file that looks like one and is none."""

import json
import re
import time
import unittest

import lib

BACKUPS = f'{lib.SITE}/backups'
YAML = f'/etc/goldpath/sites/{lib.SLUG}.yaml'
DB = 'acme_kitchens'
NAME = rf'{lib.SLUG}_db_\d{{8}}T\d{{6}}Z\.sql\.gz'
# Every file that looks like a backup is whole, is what its manifest says, and ends as pg_dump ends. Prints their names.
CHECK = f'''
import gzip, hashlib, json, os, re
os.chdir('{BACKUPS}')
for name in sorted(os.listdir('.')):
    if re.fullmatch(r'{NAME}', name):
        data = open(name, 'rb').read()
        m = json.load(open(name + '.json'))
        assert m['sha256'] == hashlib.sha256(data).hexdigest() and m['bytes'] == len(data), name
        text = gzip.decompress(data)
        assert m['sql_bytes'] == len(text) and b'PostgreSQL database dump complete' in text[-300:], name
        print(name)
'''
# Runs inside: backups, each killed by the kernel at the k-th call of a kind that changes something on the disk, until one is not. Prints how
# many calls of each kind there were.
KILLED = f'''
import json, subprocess
calls = {{}}
for call in 'write', 'fsync', 'unlinkat', 'renameat', 'renameat2', 'fchown', 'fchmod':
    for k in range(1, 100):
        code = subprocess.call(['strace', '-o', '/dev/null', '-e', 'trace=' + call, '-e', 'inject=%s:signal=KILL:when=%d' % (call, k),
                                'goldpath', 'backup', '{lib.SLUG}'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        exec(open('/root/check.py').read().replace('print(name)', 'pass'))
        if code != -9:
            break
        calls[call] = k
    assert code == 0, (call, k, code)
print(json.dumps(calls))
'''


class Backup(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'backup')
        cls.host.write('/root/check.py', CHECK)
        cls.host.write('/root/killed.py', KILLED)

    def setUp(self):
        self.host.sh(f'rm -rf {BACKUPS}/* {BACKUPS}/.goldpath*')

    def tearDown(self):
        self.host.healthy()

    def sql(self, sql, db=DB):
        return self.host.sh(f'cd / && su postgres -c "psql -qAt -v ON_ERROR_STOP=1 {db}"' + f" <<'END'\n{sql}\nEND")

    def good(self):
        return self.host.sh('python3 /root/check.py').split()

    def left(self):
        return sorted(self.host.sh(f'ls -A {BACKUPS}').split())

    def backup(self, *args, rc=0):
        return self.host.goldpath('backup', lib.SLUG, *args, rc=rc)

    def check_only(self, good):
        """These are there, with their manifests, and nothing else."""
        self.assertEqual(self.good(), sorted(good))
        self.assertEqual(self.left(), sorted([*good, *(name + '.json' for name in good)]))

    def large(self):
        """A table that takes pg_dump a few seconds and does not pack well."""
        self.sql("CREATE TABLE IF NOT EXISTS large AS SELECT md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 2500000) n")
        self.addCleanup(self.sql, 'DROP TABLE large')

    def begin(self):
        """goldpath backup in the background, once pg_dump is well under way."""
        self.host.sh(f'''
            goldpath backup {lib.SLUG} >/root/out 2>/root/err & echo $! >/root/pid
            until [ "$(stat -c %s {BACKUPS}/.goldpath-backup.part 2>/dev/null || echo 0)" -gt 3000000 ]; do sleep 0.01; done''')

    def end(self):
        """How it ended: its exit code by what it said."""
        lib.wait_for(lambda: not self.host.sh('[ ! -e /proc/$(cat /root/pid) ] || echo runs'), 'the end of the backup', 60)
        return self.host.read('/root/err')

    # ------------------------------------------------------------ all well

    def test_what_is_in_it(self):
        self.sql('CREATE TABLE "Odd ""name" (a text); INSERT INTO "Odd ""name" VALUES (NULL), (\'\\.\'), (E\'a\\nb\'); SELECT lo_from_bytea(0, \'x\')')
        self.addCleanup(self.sql, 'DROP TABLE "Odd ""name"; SELECT lo_unlink(oid) FROM pg_largeobject_metadata')
        done = self.backup()
        path = done.out.splitlines()[-1]
        self.assertRegex(path, rf'^{BACKUPS}/{NAME}$')
        self.assertEqual(self.host.sh(f'stat -c "%U %G %a %h" {path} {path}.json').splitlines(), ['deploy deploy 600 1'] * 2)
        self.check_only([path.rsplit('/', 1)[1]])
        manifest = json.loads(self.host.read(path + '.json'))
        rows = self.sql("SELECT format('select %L, count(*) from %s', c.oid::regclass, c.oid::regclass) FROM pg_class c JOIN pg_namespace n"
                        " ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'public'\n\\gexec")
        self.assertEqual({name.removeprefix('public.'): n for name, n in manifest['tables'].items()},
                         {name: int(n) for name, n in (line.rsplit('|', 1) for line in rows.splitlines())})
        self.assertEqual(manifest['tables']['public."Odd ""name"'], 3)
        self.assertEqual(sorted(manifest['migrations']), self.sql(
            "SELECT app || '.' || name FROM django_migrations ORDER BY (app || '.' || name) COLLATE \"C\"").split())
        self.assertEqual((manifest['site'], manifest['database'], manifest['reason'], manifest['release']),
                         (lib.SLUG, DB, 'by hand', self.host.healthy()))
        self.assertEqual(str(manifest['server_number']), self.sql('SHOW server_version_num'))
        self.assertIn('read back whole', done.err)
        # It loads, and what comes out of it is the same again.
        self.host.sh(f'cd / && su postgres -c "createdb again" && su deploy -c "gunzip -c {path}" | su postgres -c "psql -q -v ON_ERROR_STOP=1 again" '
                     '>/dev/null')
        self.addCleanup(self.host.sh, 'cd / && su postgres -c "dropdb again"')
        for table in ('wagtailcore_page', '"Odd ""name"', 'django_migrations'):
            digest = f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {table} t'
            self.assertEqual(self.sql(digest, 'again'), self.sql(digest), table)

    def test_old_name_and_the_deploy_user(self):
        done = self.host.run('/srv/sum/bin/backup_db.sh', '--site-slug', lib.SLUG, user='deploy')
        self.assertEqual(done.rc, 0, done)
        self.assertEqual([f'{BACKUPS}/{name}' for name in self.good()], [done.out.splitlines()[-1]])
        self.assertEqual(len(done.out.splitlines()), 1)

    def test_list(self):
        self.assertEqual(self.host.goldpath('backups', lib.SLUG).out, 'no backup yet\n')
        said = json.loads(self.backup('--json').out)
        self.host.sh(f'touch {BACKUPS}/{lib.SLUG}_db_20200101T000000Z.sql.gz')
        self.assertRegex(self.host.goldpath('backups', lib.SLUG).out, rf'(?s)^FILE .*\n{NAME} .* yes *\n{NAME} .* no \(no manifest\) *\n$')
        listed = [json.loads(line) for line in self.host.goldpath('backups', lib.SLUG, '--json').out.splitlines()]
        self.assertEqual([(b['good'], b['path']) for b in listed], [(True, said['path']), (False, f'{BACKUPS}/{lib.SLUG}_db_20200101T000000Z.sql.gz')])
        self.assertEqual((listed[0]['rows'], listed[0]['sha256']), (said['rows'], said['sha256']))

    def test_two_in_a_second_and_two_at_once(self):
        self.host.sh(f'goldpath backup {lib.SLUG}; goldpath backup {lib.SLUG}; goldpath backup {lib.SLUG}')
        self.assertEqual(len(self.good()), 3)
        self.large()
        self.begin()
        self.assertIn('is locked: backup', self.backup(rc=75).err)
        self.end()
        self.assertEqual(len(self.good()), 4)

    def test_another_host(self):
        """The database by another name than that of this host: the deploy user dumps it, with the password of `.env`."""
        old = self.host.read(YAML)
        self.host.sh('echo 127.0.0.1 db.test >>/etc/hosts')
        self.host.write(YAML, old + '\ndatabase: {host: db.test}\n')
        self.addCleanup(self.host.write, YAML, old + '\n')
        self.backup()
        self.assertEqual(len(self.good()), 1)
        self.assertNotIn('postgres', self.host.sh(f'stat -c %U {BACKUPS}/*'))
        self.host.sh(f'cp -p {lib.SITE}/.env /root/env; sed -i s/^DJANGO_DB_PASSWORD=.*/DJANGO_DB_PASSWORD=wrong/ {lib.SITE}/.env')
        self.addCleanup(self.host.sh, f'cp -p /root/env {lib.SITE}/.env')
        self.assertIn('password', self.backup(rc=1).err)

    def test_retention(self):
        self.backup()
        [new] = self.good()
        for stamp in ('20250101T000000Z', '20250102T000000Z', '20250210T000000Z', '20250211T000000Z'):
            name = f'{lib.SLUG}_db_{stamp}.sql.gz'
            self.host.sh(f'cd {BACKUPS}; cp -p {new} {name}; sed s/{new}/{name}/ {new}.json >{name}.json')
        old = self.host.read(YAML)
        self.host.write(YAML, old + '\nbackup: {keep: {daily: 2, weekly: 0, monthly: 3}}\n')
        self.addCleanup(self.host.write, YAML, old + '\n')
        done = self.backup()
        self.assertEqual(re.findall(r'_db_(\w+)\.sql\.gz is kept no longer', done.err), ['20250210T000000Z', '20250101T000000Z'])
        self.assertEqual(len(self.good()), 4)
        self.check_only(self.good())

    # ------------------------------------------------------------ what goes wrong

    def test_pg_dump_is_killed(self):
        self.large()
        for how, words in (('pkill -9 -x pg_dump', 'pg_dump was ended by signal 9'),
                           ('cd / && su postgres -c "psql -qAt -c \\"select pg_terminate_backend(pid) from pg_stat_activity'
                            " where application_name = 'pg_dump'\\\"\" >/dev/null", 'pg_dump exited with status 1')):
            with self.subTest(how):
                self.begin()
                self.host.sh(how)
                self.assertIn(words, self.end())
                self.check_only([])

    def test_killed_in_the_middle(self):
        self.large()
        self.backup()
        [first] = self.good()
        for delay in (0, 0.5, 1.2):
            self.host.sh(f'cd {BACKUPS}; ls -A | grep -v ^{first} | xargs rm -f')
            self.begin()
            time.sleep(delay)
            self.host.sh('kill -9 $(cat /root/pid) 2>/dev/null || true')
            lib.wait_for(lambda: not self.host.sh('pgrep -x pg_dump || true'), 'pg_dump is gone')
            self.assertIn(first, self.good())
        self.backup()
        self.check_only(self.good())

    def test_killed_at_every_step(self):
        self.host.sh('command -v strace >/dev/null || { apt-get update -q && apt-get install -y -q strace; } >/dev/null 2>&1')
        calls = json.loads(self.host.sh('python3 /root/killed.py', timeout=600))
        self.assertEqual(set(calls), {'write', 'fsync', 'unlinkat', 'renameat', 'renameat2', 'fchown', 'fchmod'}, calls)
        self.assertGreater(sum(calls.values()), 15)
        self.check_only(self.good())

    def test_disk_full(self):
        """First so little room that it is seen before, then a disk that fills up in the middle."""
        self.large()
        for size, before, words in (('10M', '', 'MiB free, and a dump of the database may need'),
                                    ('30M', f'echo x >{BACKUPS}/{lib.SLUG}_db_20200101T000000Z.sql.gz', 'No space left on device')):
            with self.subTest(size):
                self.host.sh(f'mount -t tmpfs -o size={size},uid=$(id -u deploy),gid=$(id -g deploy),mode=700 none {BACKUPS}; {before}')
                try:
                    self.assertIn(words, self.backup(rc=1).err)
                    self.assertEqual([name for name in self.left() if '2020' not in name], [])
                finally:
                    self.host.sh(f'umount {BACKUPS}')
        self.backup()

    def test_nobody_reads_for_a_while(self):
        """goldpath itself is stopped for some seconds, as by a disk that hangs: pg_dump waits."""
        self.large()
        self.begin()
        self.host.sh('kill -STOP $(cat /root/pid); sleep 3; kill -CONT $(cat /root/pid)')
        self.assertIn('read back whole', self.end())
        self.assertEqual(len(self.good()), 1)

    def test_links(self):
        """The folder is the deploy user's, who lays a link in its place: before, and in the middle."""
        self.large()
        self.host.sh(f'cd {lib.SITE} && mv backups away && ln -s /etc backups')
        try:
            self.assertIn('open folder', self.backup(rc=1).err)
        finally:
            self.host.sh(f'cd {lib.SITE} && rm -f backups && mv away backups')
        self.begin()
        self.host.sh(f'cd {lib.SITE} && mv backups away && ln -s /etc backups')
        try:
            self.assertIn('error: ', self.end())
        finally:
            self.host.sh(f'cd {lib.SITE} && rm -f backups && mv away backups')
        self.assertEqual(self.host.sh('find /etc -name "*.sql.gz*" -o -name ".goldpath*"'), '')
        self.check_only([])

    def test_hostile_manifests(self):
        self.backup()
        [good] = self.good()
        for number, text in enumerate(("python3 -c \"print('x' * 9000000)\"", "python3 -c \"print('[' * 4000000)\"",
                                       "python3 -c \"print('{\\\"a\\\":' * 500000)\"", 'printf "\\033[2J"', 'true')):
            name = f'{BACKUPS}/{lib.SLUG}_db_2020010{number + 1}T000000Z.sql.gz'
            self.host.sh(f'echo x >{name}; {text} >{name}.json')
        self.host.sh(f'ln -s /etc/shadow {BACKUPS}/{lib.SLUG}_db_20200107T000000Z.sql.gz.json; touch {BACKUPS}/{lib.SLUG}_db_20200107T000000Z.sql.gz;'
                     f'mkfifo {BACKUPS}/{lib.SLUG}_db_20200108T000000Z.sql.gz')
        begin = time.monotonic()
        listed = [json.loads(line) for line in self.host.goldpath('backups', lib.SLUG, '--json').out.splitlines()]
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual([b['path'].rsplit('/', 1)[1] for b in listed if b['good']], [good])
        self.assertEqual(len(listed), 7)
        self.assertNotIn('\033', self.host.goldpath('backups', lib.SLUG).out)
        self.backup()

    def test_no_site_no_database(self):
        self.assertIn('nosuch', self.host.goldpath('backup', 'nosuch', rc=3).err)
        self.sql(f"ALTER DATABASE {DB} ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DB}';"
                 f'SELECT pg_sleep(0.2); ALTER DATABASE {DB} RENAME TO gone', 'postgres')
        try:
            self.assertIn(f'there is no database {DB}', self.backup(rc=3).err)
        finally:
            self.sql(f'ALTER DATABASE gone RENAME TO {DB}; ALTER DATABASE {DB} ALLOW_CONNECTIONS true', 'postgres')
        self.host.sh('systemctl stop postgresql')
        try:
            self.assertIn('hint: ', self.backup(rc=1).err)
        finally:
            self.host.sh('systemctl start postgresql')
        self.check_only([])


if __name__ == '__main__':
    unittest.main()
