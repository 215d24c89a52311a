#!/usr/bin/python3
"""The restore drill on a live site: what it proves, what it notices, and that the live database is not come near, whatever the site's code does."""

import json
import re
import unittest

import lib

DB = 'acme_kitchens'
BACKUPS, STATE = f'{lib.SITE}/backups', f'/var/lib/goldpath/{lib.SLUG}'
YAML = f'/etc/goldpath/sites/{lib.SLUG}.yaml'
BACKUP, REHEARSE = f'sum-{lib.SLUG}-backup', f'sum-{lib.SLUG}-rehearse'
BASE = 'acme_kitchens/settings/base.py'
# Only where the database is that of a rehearsal: else the release could not be deployed.
SICK = '''
from django.conf import settings
from django.http import HttpResponse
class Middleware:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        if "_gp_drill_" in settings.DATABASES["default"]["NAME"]:
            return HttpResponse("sick", status=500)
        return self.get_response(request)
'''
# What code could do that means harm. It tells by a log file.
NOSY = f'''
import json, os, psycopg
if "_gp_drill_" in DATABASES["default"]["NAME"]:
    def attempt(do):
        try:
            return repr(do())
        except Exception as error:
            return type(error).__name__ + ": " + str(error).splitlines()[0]
    def live():
        own = DATABASES["default"]
        with psycopg.connect(host=own["HOST"], port=own["PORT"], dbname="{DB}", user=own["USER"], password=own["PASSWORD"]) as c:
            return c.execute("drop table django_migrations cascade").statusmessage
    said = {{
        "environment": dict(os.environ),
        "file": attempt(lambda: open("{lib.SITE}/.env").read()),
        "copy": attempt(lambda: open("{STATE}/site.env").read()),
        "live": attempt(live),
        "media": attempt(lambda: open("{lib.SITE}/media/drill", "w")),
        "release": attempt(lambda: open(__file__ + ".new", "w")),
        "backups": attempt(lambda: os.listdir("{BACKUPS}")),
    }}
    with open("/var/log/sum/{lib.SLUG}/nosy", "w") as f:
        json.dump(said, f)
'''
# It knows better which database is its own.
STUBBORN = f'''
DATABASES["default"]["NAME"] = "{DB}"
'''

class Rehearse(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'rehearse')
        cls.repo = lib.Repo(cls)
        base = f'{cls.repo.tree}/{BASE}'
        with open(base, encoding='utf-8') as f:
            text = f.read()
        cls.repo.branch('sick', {'acme_kitchens/sick.py': SICK, BASE: text.replace('MIDDLEWARE = [', 'MIDDLEWARE = ["acme_kitchens.sick.Middleware", ', 1)})
        cls.repo.branch('nosy', {BASE: text + NOSY})
        cls.repo.branch('stubborn', {BASE: text + STUBBORN})
        cls.repo.put(cls.host, lib.REPO)

    def setUp(self):
        self.host.sh(f'rm -rf {BACKUPS}/*; goldpath backup {lib.SLUG} --quiet')
        self.file = self.host.sh(f'ls {BACKUPS}/*.sql.gz')
        self.before = self.live()

    def tearDown(self):
        """Whatever happened: the live database is as it was, nothing is left over, the site serves."""
        self.assertEqual(self.live(), self.before)
        self.assertEqual(self.left(), [])
        self.host.healthy()

    def sql(self, text, database='postgres'):
        return self.host.run('sudo', '-u', 'postgres', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', '-', stdin=text).out.strip()

    def live(self):
        """All that is in it but for sessions, which come and go, and whose it is."""
        return self.host.sh(f"cd / && sudo -u postgres pg_dump --exclude-table-data=django_session {DB} | grep -v '^.\\(un\\)\\?restrict' | sha256sum")

    def left(self):
        return self.sql("select datname from pg_database where datname like '%gp%' union all select rolname from pg_roles where rolname like '%gp%'").split()

    def noted(self):
        return json.loads(self.host.sh(f'tail -n 1 {STATE}/rehearsals'))

    def rehearse(self, *args, rc=0):
        done = self.host.goldpath('rehearse', lib.SLUG, *args, rc=rc)
        for secret in self.host.secrets():
            self.assertNotIn(secret, done.all)
        return done

    def fails(self, words, *args, rc=1):
        done = self.rehearse(*args, rc=rc)
        self.assertRegex(done.err, r'error: .*' + words)
        self.assertIn('are as they were', done.err)
        noted = self.noted()
        self.assertEqual((noted['ok'], noted['file']), (False, args[1] if args else self.file))
        self.assertRegex(noted['error'], words)
        self.assertEqual(json.loads(self.host.sh(f'tail -n 1 {STATE}/history'))['result'], 'failed')
        return done

    def deploy(self, ref):
        self.host.goldpath('deploy', lib.SLUG, '--ref', ref)
        self.host.sh(f'rm -f {BACKUPS}/*; goldpath backup {lib.SLUG} --quiet')
        self.file = self.host.sh(f'ls {BACKUPS}/*.sql.gz')
        self.before = self.live()

    def change_manifest(self, code):
        self.host.sh(f"""python3 -c '
import json
m = json.load(open("{self.file}.json"))
{code}
json.dump(m, open("{self.file}.json", "w"))'""")

    # ------------------------------------------------------------ all well

    def test_the_newest(self):
        rows = int(self.sql("select sum((xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %s', oid::regclass), false, true,"
                            " '')))[1]::text::bigint) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace", DB))
        said = json.loads(self.rehearse('--json').out)
        self.assertEqual((said['ok'], said['file'], said['rows'], said['release'], said['health'], said['manifest']),
                         (True, self.file, rows, self.host.healthy(), 'ok', True))
        self.assertGreater(said['ms'], said['load_ms'])
        noted = self.noted()
        self.assertEqual((noted['ok'], noted['error'], noted['ms']), (True, None, said['ms']))
        self.assertEqual(noted['sha256'], self.host.sh(f'sha256sum {self.file}').split()[0])
        history = json.loads(self.host.sh(f'tail -n 1 {STATE}/history'))
        self.assertEqual((history['what'], history['result'], history['file']), ('rehearse', 'ok', self.file))
        listed = json.loads(self.host.goldpath('backups', lib.SLUG, '--json').out)
        self.assertTrue(listed['rehearsed']['ok'])

    def test_a_dump_of_others(self):
        self.host.sh(f'cd / && sudo -u postgres pg_dump {DB} >/root/plain.sql')
        done = self.rehearse('--file', '/root/plain.sql')
        self.assertIn('it has no manifest', done.err)
        self.assertIn('can be restored', done.out)

    def test_options(self):
        self.rehearse('--latest', '--offsite', rc=2)
        self.assertIn('has no repository', self.rehearse('--offsite', rc=3).err)

    # ------------------------------------------------------------ what it notices

    def test_a_file_that_is_not_what_it_was(self):
        for name, broken, words in (
                ('cut short', f'truncate -s -100 {self.file}', '.'),
                ('a bit', f'printf x | dd of={self.file} bs=1 seek=3000 conv=notrunc status=none', '.'),
                ('another one', f'echo "-- PostgreSQL database dump complete" | gzip >{self.file}', '.'),
                ('empty', f': >{self.file}', '.')):
            with self.subTest(name):
                self.host.sh(f'cp {self.file} /root/good; {broken}')
                self.fails(words, '--file', self.file)
                self.host.sh(f'cat /root/good >{self.file}')
        self.rehearse()

    def test_a_manifest_that_says_something_else(self):
        for name, code, words in (
                ('rows', 'm["tables"]["public.django_migrations"] += 1', 'django_migrations'),
                ('a table', 'm["tables"]["public.another"] = 1', 'another'),
                ('digest', 'm["sha256"] = "0" * 64', 'SHA-256'),
                ('a migration', 'm["migrations"].append("shop.0001_initial")', 'shop.0001_initial is not among'),
                ('one less', 'm["migrations"].remove("auth.0001_initial")', 'auth.0001_initial is not among')):
            with self.subTest(name):
                self.host.sh(f'cp {self.file}.json /root/good.json')
                self.change_manifest(code)
                self.fails(words, '--file', self.file)
                self.host.sh(f'cat /root/good.json >{self.file}.json')

    def test_an_app_that_is_not_well_on_it(self):
        self.deploy('sick')
        self.fails('app: .* is not well on it: /health/ answers 500')
        self.deploy('main')

    # ------------------------------------------------------------ the live database

    def test_code_that_means_harm(self):
        password = re.search(r'^DJANGO_DB_PASSWORD="?([^"\n]+)', self.host.read(f'{lib.SITE}/.env'), re.M)[1]
        self.deploy('nosy')
        self.rehearse()
        text = self.host.read(f'/var/log/sum/{lib.SLUG}/nosy')
        said = json.loads(text)
        self.assertNotIn(password, text)
        self.assertIn('_gp_drill_', said['environment']['DJANGO_DB_NAME'])
        self.assertIn('_gp_drill_', said['file'])
        self.assertRegex(said['live'], 'permission denied for database')
        for key in ('media', 'release'):
            self.assertRegex(said[key], 'Read-only file system', key)
        self.assertRegex(said['copy'], 'FileNotFoundError')
        self.assertEqual(said['backups'], '[]')
        self.deploy('main')

    def test_settings_that_lead_elsewhere(self):
        self.deploy('stubborn')
        self.fails('permission denied for database')
        self.deploy('main')

    def test_a_locked_site(self):
        self.host.sh(f'flock /run/goldpath/{lib.SLUG}.lock sleep 300 >/dev/null 2>&1 & sleep 0.5')
        self.assertRegex(self.rehearse(rc=75).err, 'error: ')
        self.host.sh('pkill -x sleep; sleep 0.2')

    def test_killed_anywhere(self):
        whole = json.loads(self.rehearse('--json').out)['ms']
        killed = 0
        for part in range(1, 11):
            killed += self.host.run('timeout', '-s', 'KILL', f'{whole * part / 10000:.3f}', 'goldpath', 'rehearse', lib.SLUG).rc != 0
            self.assertEqual(self.live(), self.before)
        self.assertGreater(killed, 5)
        self.rehearse()

    def test_what_is_left_over_goes(self):
        name = f'"{DB}_gp_drill_20200101T000000Z"'
        self.sql(f'create role {name};\ncreate database {name} owner {name};\nalter database {name} is_template true')
        self.assertIn('was left over', self.rehearse().err)

    # ------------------------------------------------------------ timers

    def test_timers(self):
        for unit in (BACKUP, REHEARSE):
            self.host.sh(f'systemctl is-enabled {unit}.timer && systemctl is-active {unit}.timer')
            self.host.sh(f'systemctl start {unit}.service')
        self.assertEqual(self.host.sh(f'ls {BACKUPS}/*.sql.gz | wc -l'), '2')
        self.assertIn('"reason": "timer"', self.host.sh(f'cat {BACKUPS}/*.json'))
        self.assertTrue(self.noted()['ok'])

    def test_a_failed_one_is_seen(self):
        self.addCleanup(self.host.sh, 'systemctl reset-failed')
        self.change_manifest('m["sha256"] = "0" * 64')
        self.assertNotEqual(self.host.run('systemctl', 'start', f'{REHEARSE}.service').rc, 0)
        self.assertIn(REHEARSE, self.host.sh('systemctl --failed --no-legend'))
        self.assertRegex(self.host.sh(f'journalctl -u {REHEARSE} -o cat -n 20'), 'error: check: .*SHA-256')

    def test_no_timers(self):
        yaml = self.host.read(YAML)
        self.addCleanup(self.host.goldpath, 'provision')
        self.addCleanup(self.host.write, YAML, yaml)
        self.host.write(YAML, yaml + '\nbackup: {time: null, rehearse: null}\n')
        self.host.goldpath('provision')
        self.host.goldpath('plan', rc=0)
        self.assertEqual(self.host.sh(f'ls /etc/systemd/system | grep -e {BACKUP} -e {REHEARSE} || true'), '')
        self.assertEqual(self.host.sh('systemctl list-timers --all --no-legend | grep sum- || true'), '')


if __name__ == '__main__':
    unittest.main()
