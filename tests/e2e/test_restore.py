#!/usr/bin/python3
"""A dump takes the live database's place, or nothing happens: round trip and undo, killed at each step, files that are not what they
should be, dumps that mean harm, a site that is in use meanwhile. By tests/e2e/restore.c, which calls what the commands call."""

import os
import re
import threading
import unittest

import lib

DB = 'acme_kitchens'
BUILD = lib.ROOT + '/build-e2e'
CLOSING = '\n--\n-- PostgreSQL database dump complete\n--\n\n'
# Everything that a dump can do to others by SQL, one for each: none of it may happen.
HARM = {
    'DROP DATABASE': f'DROP DATABASE {DB};',
    'with force': f'DROP DATABASE IF EXISTS {DB} WITH (FORCE);',
    'rename': f'ALTER DATABASE {DB} RENAME TO gone;',
    'settings': f"ALTER DATABASE {DB} SET default_transaction_read_only = on;",
    'role': f"ALTER ROLE {DB} PASSWORD 'x';",
    'owned': f'DROP OWNED BY {DB};',
    'sessions': f"DO $$ BEGIN IF (SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{DB}') IS NULL THEN "
                "RAISE 'none'; END IF; END $$;",
    'program': "COPY (SELECT 1) TO PROGRAM 'touch /tmp/pwned';",
    'file': "CREATE TABLE f (t text); COPY f FROM '/etc/passwd';",
    'out': 'COPY (SELECT 1) TO STDOUT;',
    'shell': '\\! touch /tmp/pwned',
    'shell in the middle': 'SELECT 1 \\! touch /tmp/pwned\n;',
    'shell behind': 'SELECT 1; \\! touch /tmp/pwned',
    'connect': f'\\connect {DB}\nDROP TABLE django_migrations CASCADE;',
    'short connect': f'\\c {DB}\nDROP TABLE django_migrations CASCADE;',
    'output': '\\o /tmp/pwned\nSELECT 1;',
    'backslash ends no rows': 'CREATE TABLE r (t text);\nCOPY r FROM stdin;\n\\.x\n\\! touch /tmp/pwned\n\\.\n',
    'create': 'CREATE DATABASE another;',
    'superuser': 'CREATE ROLE mighty SUPERUSER;',
    'half-way': 'CREATE TABLE half (i int);\nCOPY half FROM stdin;\n1\nnot a number\n\\.\n',
    'quote left open': "SELECT 'and so on;",
}


class Restore(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(f'{BUILD}/build.ninja'):
            lib.machine('meson', 'setup', BUILD, lib.ROOT, '-Dtests=true')
        lib.machine('ninja', '-C', BUILD, 'tests/restore')
        cls.host = lib.live(cls, 'restore')
        cls.host.push(f'{BUILD}/tests/restore', '/root/restore')
        # Once through it first: Postgres writes a condition of Wagtail's, read from a dump, in another way, and keeps to that.
        dump = f'cd / && sudo -u postgres pg_dump --no-owner --no-privileges --clean --if-exists {DB} | gzip >/root/good.sql.gz'
        cls.host.sh(f"{dump}; set -- $(/root/restore {lib.SLUG} restore /root/good.sql.gz); /root/restore {lib.SLUG} drop $1; {dump}")
        cls.good = cls.contents()

    @classmethod
    def sql(cls, text, database='postgres'):
        return cls.host.run('sudo', '-u', 'postgres', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', '-', stdin=text).out.strip()

    @classmethod
    def contents(cls, database=DB):
        """All that is in the database, schema and rows, but for what a dump makes up each time; and whose it is."""
        return cls.host.sh(f"cd / && sudo -u postgres pg_dump {database} | grep -v '^.\\(un\\)\\?restrict' | sha256sum")

    def facts(self):
        """What belongs to the database and is not in it."""
        return self.sql(f"select pg_get_userbyid(datdba), datallowconn, datconnlimit, encoding, datcollate, datctype, datacl::text from pg_database"
                        f" where datname = '{DB}'; select setrole::regrole, setconfig from pg_db_role_setting s join pg_database d on"
                        f" d.oid = setdatabase where datname = '{DB}' order by 1")

    def names(self):
        return self.sql(f"select datname from pg_database where datname like '{DB}%' union all select rolname from pg_roles"
                        f" where rolname like '{DB}%' order by 1").split()

    def restore(self, *args, rc=0, kill_at=0):
        done = self.host.run('env', f'KILL_AT={kill_at}', '/root/restore', lib.SLUG, *args)
        if rc is not None:
            self.assertEqual(done.rc, rc, done)
        return done

    def forget_kept(self):
        for name in self.names():
            if '_gp_old_' in name:
                self.restore('drop', name)

    def tearDown(self):
        self.forget_kept()

    def test_round_trip(self):
        self.sql(f'alter database {DB} set work_mem = \'5MB\'; alter database {DB} set search_path = public, "a b; drop";'
                 f'alter role {DB} in database {DB} set statement_timeout = 12345; grant connect on database {DB} to postgres with grant option')
        facts = self.facts()
        self.sql("update wagtailcore_page set title = 'after the dump'", DB)
        after = self.contents()
        self.assertNotEqual(after, self.good)
        done = self.restore('restore', '/root/good.sql.gz')
        self.assertEqual((self.contents(), self.facts()), (self.good, facts))
        self.assertRegex(done.out, rf'^{DB}_gp_old_\d{{8}}T\d{{6}}Z load \d+ ms swap \d+ ms')
        old = done.out.split()[0]
        self.assertEqual(self.names(), [DB, DB, old])
        self.assertEqual(self.sql(f"select datallowconn from pg_database where datname = '{old}'"), 'f')
        self.host.healthy()
        self.assertEqual(self.host.goldpath('plan').out, '0 changes\n')
        back = self.restore('undo')
        self.assertEqual((self.contents(), self.facts()), (after, facts))
        self.host.healthy()
        self.restore('undo', back.out.split()[0])
        self.host.sh(f'/root/restore {lib.SLUG} undo; /root/restore {lib.SLUG} undo')       # twice within a second
        self.assertEqual(self.contents(), self.good)
        self.assertEqual(self.restore('undo', 'other', rc=7).out.splitlines()[-1][-9:], 'questions')

    def test_foreign_files(self):
        """Not gzipped, in several members, with owners and rights, with psql's lock on its commands, by INSERT."""
        make = {
            'plain': 'gunzip -c good.sql.gz',
            'members': "gunzip -c good.sql.gz | head -n 50 | gzip; gunzip -c good.sql.gz | tail -n +51 | gzip",
            'owners': f'cd /; sudo -u postgres pg_dump {DB}',
            'inserts': f'cd /; sudo -u postgres pg_dump --inserts {DB}',
            'restricted': "printf '%s\\n' '\\restrict Abc'; gunzip -c good.sql.gz; printf '%s\\n' '\\unrestrict Abc'",
        }
        for name, how in make.items():
            with self.subTest(name):
                self.host.sh(f'cd /root; ({how}) >/root/foreign.sql')
                self.restore('restore', '/root/foreign.sql')
                self.assertEqual(self.contents(), self.good)
                self.forget_kept()

    def test_killed_at_each_step(self):
        self.restore('restore', '/root/good.sql.gz')
        self.forget_kept()
        total, swapped = 0, 0
        for n in range(1, 100):
            done = self.restore('restore', '/root/good.sql.gz', kill_at=n, rc=None)
            if done.rc == 0:
                total = n
                break
            with self.subTest(kill_at=n):
                names = self.names()
                self.assertEqual(names.count(DB), 2, names)     # the database and the role
                self.assertEqual(self.sql(f'select count(*) > 0 from {"django_migrations"}', DB), 't')
                swapped += any('_gp_old_' in x for x in names)
                self.restore('settle')
                self.assertEqual([x for x in self.names() if '_gp_old_' not in x], [DB, DB])
                self.assertEqual(self.contents(), self.good)
        self.assertGreater(total, 10)
        self.host.healthy()

    def test_killed_in_the_middle_of_the_load(self):
        self.host.sh("(gunzip -c /root/good.sql.gz | sed 's/^-- PostgreSQL database dump complete/SELECT pg_sleep(60);\\n&/') >/root/slow.sql")
        first = self.host.start_run('/root/restore', lib.SLUG, 'restore', '/root/slow.sql')
        lib.wait_for(lambda: self.sql("select 1 from pg_stat_activity where query like 'SELECT pg_sleep%'"), 'it loads')
        self.host.sh('kill -9 $(pgrep -x restore)')
        first.communicate(timeout=60)
        self.assertTrue(any('_gp_new_' in x for x in self.names()))
        self.assertIn('left over', self.restore('settle').err)
        self.assertEqual(self.names(), [DB, DB])
        self.assertEqual(self.contents(), self.good)

    def test_what_remove_would_take(self):
        """A former database is the role's too: it would keep the role from going."""
        old = self.restore('restore', '/root/good.sql.gz').out.split()[0]
        said = self.host.goldpath('remove', lib.SLUG, rc=7).out
        self.assertRegex(said, rf'(?m)^- database {old}$')
        self.assertRegex(said, rf'(?m)^- database role {DB}$')

    def test_settle_brings_the_name_back(self):
        stamp = '20260101T000000Z'
        self.host.sh('systemctl stop sum-acme-kitchens-gunicorn sum-acme-kitchens-celery')
        self.sql(f'alter database {DB} allow_connections false; '
                 f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{DB}'; select pg_sleep(0.2);"
                 f'alter database {DB} rename to "{DB}_gp_old_{stamp}"')
        said = self.restore('settle').err
        self.assertIn('has that name again', said)
        self.assertIn('took no connections', said)
        self.host.sh('systemctl start sum-acme-kitchens-gunicorn sum-acme-kitchens-celery')
        self.assertEqual((self.names(), self.contents()), ([DB, DB], self.good))
        self.host.healthy()

    def test_bad_files(self):
        whole = int(self.host.sh('stat -c %s /root/good.sql.gz'))
        cuts = [0, 1, 10, whole // 2, whole - 9, whole - 1]
        cases = {f'cut at {n}': f'head -c {n} good.sql.gz' for n in cuts}
        cases.update({
            'flipped': f'python3 -c "d=bytearray(open(\'good.sql.gz\',\'rb\').read()); d[{whole // 2}]^=4; open(1,\'wb\').write(d)"',
            'no dump': 'gzip -c /etc/passwd',
            'cut before it was packed': 'gunzip -c good.sql.gz | head -n -5 | gzip',
            'noise': 'head -c 5000 /dev/urandom',
        })
        for name, how in cases.items():
            with self.subTest(name):
                self.host.sh(f'cd /root; ({how}) >bad.sql.gz')
                done = self.restore('restore', '/root/bad.sql.gz', rc=1)
                self.assertIn('error: the dump /root/bad.sql.gz: ', done.err)
                self.assertNotIn('load', done.err)
        self.restore('restore', '/root/none.sql.gz', rc=1)
        self.host.sh('ln -sf good.sql.gz /root/link.sql.gz')
        self.restore('restore', '/root/link.sql.gz', rc=1)
        self.restore('restore', '/dev/zero', rc=7)
        self.assertEqual((self.names(), self.contents()), ([DB, DB], self.good))

    def test_dumps_that_mean_harm(self):
        facts = self.facts()
        roles = self.sql('select rolname, rolpassword, rolsuper from pg_authid order by 1')
        self.host.healthy()
        start = self.sql(f"select min(backend_start) from pg_stat_activity where datname = '{DB}'")
        for name, harm in HARM.items():
            with self.subTest(name):
                self.host.write('/root/harm.sql', f'CREATE TABLE a (i int);\n{harm}\n{CLOSING}')
                done = self.restore('restore', '/root/harm.sql', rc=None)
                self.assertIn(done.rc, (1, 7), done)
                self.assertRegex(done.err, f'error: load /root/harm.sql: (?s:.*)the database {DB} is as it was')
                self.assertEqual(self.names(), [DB, DB])
        self.assertEqual((self.contents(), self.facts()), (self.good, facts))
        self.assertEqual(self.sql('select rolname, rolpassword, rolsuper from pg_authid order by 1'), roles)
        self.assertEqual(self.sql(f"select min(backend_start) from pg_stat_activity where datname = '{DB}'"), start)
        self.assertEqual(self.host.sh('find /tmp /var/lib/postgresql -name pwned'), '')

    def test_in_use(self):
        """Visitors while it is loaded and swapped: they miss the database for the swap at most."""
        answers, stop = [], threading.Event()

        def visit():
            while not stop.is_set():
                try:
                    answers.append(self.host.get('/').status)
                except OSError:
                    answers.append(0)

        visitors = [threading.Thread(target=visit) for _ in range(4)]
        for v in visitors:
            v.start()
        try:
            for _ in range(5):
                done = self.restore('restore', '/root/good.sql.gz')
                swap = int(re.search(r'swap (\d+) ms', done.out)[1])
                self.assertLess(swap, 1000)
                self.forget_kept()
        finally:
            stop.set()
            for v in visitors:
                v.join()
        bad = sum(a != 200 for a in answers)
        self.assertGreater(len(answers), 50)
        self.assertLess(bad, 5 * 8, f'{bad} of {len(answers)}')
        self.assertEqual(self.contents(), self.good)
        self.host.healthy()


if __name__ == '__main__':
    unittest.main()
