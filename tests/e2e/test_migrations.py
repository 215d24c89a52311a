#!/usr/bin/env python3
"""Deploys that migrate: what is told before, the dump that is made first, and what is known of it afterwards."""

import json
import unittest

import lib

RECORDS = f'/var/lib/goldpath/{lib.SLUG}/releases'
BACKUPS = f'{lib.SITE}/backups'
HEAD = 'from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    dependencies = [("home", "%s")]\n    operations = [%s]\n'
FIELD = HEAD % ('0002_home_page', 'migrations.AddField("HomePage", "stars", models.IntegerField(default=0))')
ELSEWHERE = HEAD % ('0003_stars', 'migrations.AddField("HomePage", "moons", models.IntegerField(default=0))')
BAD = HEAD % ('0003_stars', 'migrations.RunSQL("this is no SQL")')


class Migrations(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'migrations')
        cls.repo = lib.Repo(cls)
        cls.repo.branch('stars', {'home/migrations/0003_stars.py': FIELD})
        cls.repo.branch('elsewhere', {'home/migrations/0003_stars.py': FIELD, 'home/migrations/0004_elsewhere.py': ELSEWHERE})
        cls.repo.branch('bad', {'home/migrations/0003_stars.py': FIELD, 'home/migrations/0004_bad.py': BAD})
        cls.repo.put(cls.host, lib.REPO)

    def deploy(self, ref, rc=0):
        return self.host.goldpath('deploy', lib.SLUG, '--ref', ref, rc=rc)

    def dumps(self):
        return [name for name in self.host.sh(f'ls -A {BACKUPS}').split() if not name.endswith('.json')]

    def releases(self):
        return [json.loads(line) for line in self.host.goldpath('releases', lib.SLUG, '--json').out.splitlines()]

    def record(self, release):
        return json.loads(self.host.read(f'{RECORDS}/{release}.json'))

    def sql(self, sql):
        return self.host.sh(f"cd / && su postgres -c \"psql -At acme_kitchens -c \\\"{sql}\\\"\"").strip()

    def test_1_nothing_to_migrate(self):
        before = self.dumps()
        done = self.deploy('main')
        self.assertRegex(done.err, r'back up the database +left out \(nothing to migrate\)')
        self.assertRegex(done.err, r'manage.py migrate +left out \(nothing to migrate\)')
        self.assertEqual(self.dumps(), before)
        self.assertNotIn('backup', self.record(done.out.split()[0]))

    def test_2_no_dump_no_migration(self):
        """Where it cannot be written, or a link leads elsewhere: nothing is migrated, and root writes nowhere."""
        live = self.host.healthy()
        for how, error in (('ln -s /etc backups', 'backups'), ('true', 'error: backup: open folder')):
            with self.subTest(how):
                self.host.sh(f'cd {lib.SITE} && mv backups away && {how}')
                try:
                    done = self.deploy('stars', rc=None)
                    self.assertNotEqual(done.rc, 0)
                    self.assertIn(error, done.err)
                    self.assertIn(f'still serving {live}', done.err)
                finally:
                    self.host.sh(f'cd {lib.SITE} && rm -f backups && mv away backups')
        self.assertEqual(self.host.sh('find /etc -name "*.sql.gz*" -o -name ".goldpath-*"'), '')
        self.host.sh(f'cp -p {lib.SITE}/.env /root/env; sed -i s/^DJANGO_DB_NAME=.*/DJANGO_DB_NAME=template1/ {lib.SITE}/.env')
        try:
            self.assertIn('error: backup: ', self.deploy('stars', rc=3).err)
        finally:
            self.host.sh(f'cp -p /root/env {lib.SITE}/.env')
        self.assertEqual(self.sql("select count(*) from django_migrations where name = '0003_stars'"), '0')
        self.assertEqual(self.dumps(), [])

    def test_3_a_migration(self):
        live = self.host.healthy()
        done = self.deploy('stars')
        release = done.out.split()[0]
        self.assertRegex(done.err, r'1 migration pends: home\.0003_stars\n')
        self.assertRegex(done.err, r'warning: home\.0003_stars adds home\.HomePage\.stars, without which')
        self.assertRegex(done.err, rf'warning: {live} meets that database')
        self.assertIn('1 migration applied', done.err)
        [dump] = self.dumps()
        self.assertRegex(dump, rf'^{lib.SLUG}_db_\d{{8}}T\d{{6}}Z\.sql\.gz$')
        self.assertEqual(self.host.sh(f'stat -c "%U %G %a" {BACKUPS}/{dump}').strip(), 'deploy deploy 600')
        text = self.host.sh(f'su deploy -c "gunzip -c {BACKUPS}/{dump}"')
        self.assertIn('PostgreSQL database dump complete', text)
        self.assertIn('0002_home_page', text)
        self.assertNotIn('0003_stars', text)
        self.assertEqual(json.loads(self.host.read(f'{BACKUPS}/{dump}.json'))['reason'], 'deploy')
        record = self.record(release)
        self.assertEqual((record['backup'], record['result'], record['ref']), (f'{BACKUPS}/{dump}', 'ok', 'stars'))
        self.assertEqual(set(record['applied_after']) - set(record['applied_before']), {'home.0003_stars'})
        self.assertIn('home.0003_stars', record['migrations'])
        self.assertEqual(self.host.sh(f'stat -c "%U %a" {RECORDS}/{release}.json').strip(), 'root 600')
        first = self.releases()[0]
        self.assertEqual((first['release'], first['current'], first['backup'], first['failed']), (release, True, record['backup'], False))
        self.assertEqual([r['release'] for r in self.releases() if r['previous']], [live])

    def test_4_a_migration_that_fails(self):
        live, dumps = self.host.healthy(), self.dumps()
        done = self.deploy('bad', rc=6)
        self.assertRegex(done.err, r'error: migrate: home\.0004_bad: manage\.py migrate: .*syntax error')
        self.assertEqual(self.host.healthy(), live)
        self.assertEqual(len(self.dumps()), len(dumps) + 1)
        last = self.releases()[0]
        self.assertEqual((last['failed'], last['ref'], last['bytes'], last['current']), (True, 'bad', 0, False))
        self.assertRegex(self.host.goldpath('releases', lib.SLUG).out, r'bad .* \(failed\)\n')
        self.assertEqual([r['release'] for r in self.releases() if r['current']], [live])

    def test_5_without_a_dump(self):
        path = f'/etc/goldpath/sites/{lib.SLUG}.yaml'
        old, dumps = self.host.read(path), self.dumps()
        self.host.write(path, old + '\nbackup_before_migrate: false\n')
        try:
            done = self.deploy('bad', rc=6)
        finally:
            self.host.write(path, old)
        self.assertRegex(done.err, r'back up the database +left out \(backup_before_migrate: false\)')
        self.assertEqual(self.dumps(), dumps)

    def test_6_a_database_on_another_host(self):
        """Dumped by the site's own login."""
        path, address, dumps = f'/etc/goldpath/sites/{lib.SLUG}.yaml', self.host.ip, self.dumps()
        yaml = self.host.read(path)
        lib.database_elsewhere(self.host)
        try:
            done = self.deploy('elsewhere', rc=None)
            self.assertIn(f'names a database on {address}, the site\'s file one on this host', done.err)
            self.assertIn('hint: set `database.host`', done.err)
            self.assertEqual(self.dumps(), dumps)
            self.host.write(path, yaml + f'\ndatabase: {{host: {address}}}\n')
            release = self.deploy('elsewhere').out.split()[0]
            [dump] = set(self.dumps()) - set(dumps)
            self.assertEqual(self.record(release)['backup'], f'{BACKUPS}/{dump}')
            text = self.host.sh(f'gunzip -c {BACKUPS}/{dump}')
            self.assertIn('PostgreSQL database dump complete', text)
            self.assertNotIn('0004_elsewhere', text)
        finally:
            self.host.write(path, yaml)
            self.host.sh(f'cp -p /root/env {lib.SITE}/.env')
            self.deploy('elsewhere')


if __name__ == '__main__':
    unittest.main()
