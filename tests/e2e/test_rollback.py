#!/usr/bin/python3
"""Releases go back, with their database: what a deploy migrates and keeps, and every way back from it."""

import contextlib
import json
import re
import unittest

import lib
import visitors

DATABASE = lib.SLUG.replace('-', '_')
STATE = f'/var/lib/goldpath/{lib.SLUG}'

NOTE = '''
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("home", "0002_home_page")]
    operations = [migrations.AddField("homepage", "note", models.CharField(max_length=20, null=True, blank=True))]
'''
DROP = '''
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("home", "0002_home_page")]
    operations = [migrations.RemoveField("homepage", "closing")]
'''
ONE_WAY = '''
from django.db import migrations
def forwards(apps, schema_editor):
    apps.get_model("home", "HomePage").objects.update(headline="one way")
class Migration(migrations.Migration):
    dependencies = [("home", "0002_home_page")]
    operations = [migrations.RunPython(forwards)]
'''
HALF = '''
from django.db import migrations
def forwards(apps, schema_editor):
    apps.get_model("home", "HomePage").objects.update(headline="half way")
    raise ValueError("row 17 is odd")
class Migration(migrations.Migration):
    dependencies = [("home", "0003_note")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
'''
# Well when it is asked on its own socket; a visitor, who comes through Caddy, gets a 503 as long as a file lies in media.
SICK = '''
import os
from django.conf import settings
from django.http import HttpResponse
class Middleware:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        if "HTTP_X_FORWARDED_FOR" in request.META and os.path.exists(os.path.join(settings.MEDIA_ROOT, "sick")):
            return HttpResponse("sick", status=503)
        return self.get_response(request)
'''
NO_WORKER = '''
import sys
if "worker" in sys.argv:
    raise RuntimeError("no worker")
'''
BASE = 'acme_kitchens/settings/base.py'
MODELS = 'home/models.py'


def with_note(text):
    return text.replace('    closing = models', '    note = models.CharField(max_length=20, null=True, blank=True)\n    closing = models', 1)


def without_closing(text):
    return re.sub(r'    closing = models.*\n', '', text).replace('        FieldPanel("closing"),\n', '')


def with_sick(text):
    return text.replace('MIDDLEWARE = [', 'MIDDLEWARE = [\n    "acme_kitchens.sick.Middleware",')


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'rollback')
        repo = lib.Repo(cls)
        note = {'home/migrations/0003_note.py': NOTE, MODELS: with_note}
        repo.branch('note', note)
        repo.branch('drop', {'home/migrations/0003_drop.py': DROP, MODELS: without_closing})
        repo.branch('one-way', {'home/migrations/0003_one_way.py': ONE_WAY})
        repo.branch('half', {**note, 'home/migrations/0004_half.py': HALF})
        repo.branch('sick', {'acme_kitchens/sick.py': SICK, BASE: with_sick})
        repo.branch('dead', {'health/views.py': lambda old: old.replace('results = {"db"', 'raise ValueError("dead")\n    results = {"db"')})
        repo.branch('no-worker', {'acme_kitchens/celery.py': lambda old: old + NO_WORKER})
        repo.branch('styled', {'acme_kitchens/static/css/site.css': lambda old: '/* styled */\n' + old})
        repo.put(cls.host, lib.REPO)

    def deploy(self, ref='main', rc=0):
        done = self.host.goldpath('deploy', lib.SLUG, '--ref', ref, '--json', rc=rc)
        done.release = json.loads(done.out.splitlines()[-1]).get('release')
        return done

    def rollback(self, *args, rc=0, **kw):
        return self.host.goldpath('rollback', lib.SLUG, *args, rc=rc, **kw)

    def whole(self, release=None):
        now = visitors.stands(self.host)
        live = visitors.assert_whole(self, now)
        if release:
            self.assertEqual(live, release)
        return live

    def releases(self):
        """By their name; what the table says of each stands in .mark."""
        table = [line for line in self.host.goldpath('releases', lib.SLUG).out.splitlines()[1:]]
        marks = {line.split()[0]: (re.search(r'\(([a-z ]+)\)$', line) or ('', ''))[1] for line in table}
        rows = [json.loads(line) for line in self.host.goldpath('releases', lib.SLUG, '--json').out.splitlines()]
        self.assertEqual([row['release'] for row in rows], list(marks))
        return {row['release']: {**row, 'mark': marks[row['release']]} for row in rows}

    def sql(self, text, database=DATABASE):
        return self.host.sh(f"runuser -u postgres -- psql -qAt -d {database} <<'END'\n{text}\nEND")

    def databases(self):
        return set(self.sql('select datname from pg_database').split())

    def applied(self):
        return self.sql("select name from django_migrations where app = 'home' order by name").split()

    def columns(self):
        return self.sql("select column_name from information_schema.columns where table_name = 'home_homepage'").split()

    def untouched(self):
        """What a refused command leaves as it was."""
        return (self.host.state(), self.applied(), self.columns(), self.databases(), self.host.read(f'{STATE}/journal'),
                self.host.sh(f'ls -A {lib.SITE}/backups'))

    def refused(self, *args, rc=7):
        was = self.untouched()
        done = self.rollback(*args, rc=rc)
        self.assertEqual(self.untouched(), was)
        return done

    @contextlib.contextmanager
    def visited(self, allowed=lambda line: False):
        crowd = visitors.Visitors(self.host)
        try:
            yield
            failed, _ = crowd.look()
            self.assertEqual([line for line in failed if not allowed(line)], [])
        finally:
            crowd.end()


class Database(Case):
    def check_dump(self, path):
        self.assertEqual(self.host.sh(f'stat -c "%a %U" {path}'), '600 deploy')
        self.host.sh('runuser -u postgres -- createdb scratch')
        self.host.sh(f'gunzip -c {path} | runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 scratch >/dev/null')
        self.assertEqual(self.sql("select name from django_migrations where app = 'home' order by name", 'scratch').split(),
                         ['0001_initial', '0002_home_page'])
        self.host.sh('runuser -u postgres -- dropdb scratch')

    def test_1_migrate_back(self):
        """Additive: shown, dumped, and taken back out of the database. A second rollback goes on further back."""
        first, second = self.whole(), self.deploy().release
        with self.visited():
            done = self.deploy('note')
        self.assertRegex(done.err, r'1 migration pends: home\.0003_note')
        self.assertNotIn('warning: home.0003_note', done.err)
        self.assertIn('1 migration applied', done.err)
        listed = self.releases()
        self.assertEqual((listed[done.release]['mark'], listed[second]['mark'], listed[first]['mark']), ('current', 'previous', ''))
        self.check_dump(listed[done.release]['backup'])
        self.assertEqual(self.host.sh(f'stat -c "%a %U" {STATE}/releases/{done.release}.json'), '600 root')

        said = self.refused()
        self.assertIn('home.0003_note', visitors.one_line_error(self, said))
        self.assertRegex(said.err, 'hint: .*--migrate-back.*--code-only.*--restore-db.*' + re.escape(listed[done.release]['backup']))
        said = self.refused('--plan', rc=4)
        self.assertIn(f'~ release {done.release} → {second}', said.out)
        self.assertIn('home.0003_note', said.out)
        self.refused('--code-only', '--migrate-back', rc=2)

        with self.visited():
            said = self.rollback('--migrate-back')
        self.assertIn('1 migration taken back', said.err)
        self.assertEqual((self.applied(), 'note' in self.columns()), (['0001_initial', '0002_home_page'], False))
        self.whole(second)
        listed = self.releases()
        self.assertEqual((listed[done.release]['mark'], listed[second]['mark'], listed[first]['mark']), ('rolled back', 'current', 'previous'))

        self.rollback()
        self.whole(first)
        # Nothing of the newer ones is where the next one would go.
        before = [r for r in sorted(self.releases()) if r < first]
        if not before:
            self.assertIn('no release to go back to', visitors.one_line_error(self, self.refused(rc=1)))
        self.assertIn('is live already', self.refused('--to', first, rc=0).out)
        for name, why in (('20200101T000000Z-abcdef1', 'has no release'), ('nonsense', '')):
            self.assertIn(why, visitors.one_line_error(self, self.refused('--to', name, rc=2)))
        self.rollback('--to', second)       # forward, when told so by name
        self.whole(second)
        self.assertEqual(self.releases()[second]['mark'], 'current')
        # What needs a migration that is gone is deployed, and not gone to.
        said = self.refused('--to', done.release, '--code-only')
        self.assertIn('home.0003_note', visitors.one_line_error(self, said))
        self.assertIn('goldpath deploy', said.err)

    def test_2_code_only(self):
        """A field that is dropped is warned of; the code goes back, the database stays."""
        older = self.whole()
        done = self.deploy('note')
        self.assertIn('note', self.columns())
        self.rollback('--code-only')
        self.whole(older)
        self.assertIn('note', self.columns())
        again = self.deploy('note')
        self.assertIn('nothing to migrate', again.err)
        self.rollback('--migrate-back', '--to', older)
        self.assertNotIn('note', self.columns())
        self.assertEqual(self.releases()[done.release]['mark'], 'rolled back')

        done = self.deploy('drop')
        self.assertRegex(done.err, r'warning: home\.0003_drop .*closing')
        self.assertIn(f'{older} meets that database', done.err)
        self.refused()
        self.rollback('--migrate-back')
        self.assertIn('closing', self.columns())
        self.whole(older)

    def test_3_irreversible(self):
        """Refused before anything is touched."""
        older = self.whole()
        done = self.deploy('one-way')
        said = self.refused('--migrate-back')
        self.assertIn('home.0003_one_way cannot be reversed', visitors.one_line_error(self, said))
        self.whole(done.release)
        self.rollback('--restore-db')
        self.whole(older)
        self.assertEqual(self.sql("select count(*) from home_homepage where headline = 'one way'"), '0')

    def test_4_half_way(self):
        """What failed in the middle of its migrations serves nobody; what is applied stays, and is said."""
        older = self.whole()
        with self.visited():
            done = self.deploy('half', rc=6)
        said = json.loads(done.out)
        self.assertIn('home.0004_half', done.all)
        self.assertIn('row 17 is odd', done.all)
        self.assertIn('1 of 2 migrations are applied', done.err)
        self.assertIn(f'still serving {older}', done.all, said)
        self.whole(older)
        self.assertEqual(self.applied(), ['0001_initial', '0002_home_page', '0003_note'])
        self.assertEqual(self.sql("select count(*) from home_homepage where headline = 'half way'"), '0')
        failed = [r for r in self.releases().values() if r['failed']]
        self.assertEqual(failed[0]['mark'], 'failed')
        self.assertTrue(failed[0]['backup'])
        self.refused('--to', failed[0]['release'], rc=2)
        # Its dump is the way back for the release that came after it, too.
        self.deploy('note')
        self.rollback('--restore-db')
        self.whole(older)
        self.assertNotIn('note', self.columns())

    def test_5_restore(self):
        """The database of before comes back with its rows; what was written since is kept aside."""
        older = self.whole()
        # The same migration came and went before: its dump of then is not the one that is meant.
        self.deploy('note')
        self.rollback('--migrate-back')
        self.sql('create table if not exists mark (text text); truncate mark; grant all on mark to public')
        self.sql("insert into mark values ('before')")
        newer = self.deploy('note').release
        self.sql("insert into mark values ('after')")
        known = self.databases()
        # No visitor is turned away for longer than the swap takes.
        with self.visited(lambda line: line[3] in (500, 503) and line[5] - line[0] < 20):
            said = self.rollback('--restore-db')
        away = re.search(r'the database was away for (\d+) ms; what was live is kept as (\w+)', said.err)
        self.assertIsNotNone(away, said)
        self.assertLess(int(away[1]), 3000)
        self.whole(older)
        self.assertEqual((self.sql('select text from mark'), self.applied()[-1]), ('before', '0002_home_page'))
        self.sql(f'alter database "{away[2]}" allow_connections true')      # closed to whoever comes too late
        self.assertEqual(self.sql('select text from mark', away[2]).split(), ['before', 'after'])
        self.assertEqual(self.databases() - known, {away[2]})
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        self.assertEqual(self.releases()[newer]['mark'], 'rolled back')

    def test_6_restore_undone(self):
        """A release that is not well for visitors once its database is in place: both go back."""
        self.host.sh(f'rm -f {lib.SITE}/media/sick')
        sick = self.deploy('sick').release
        newer = self.deploy('note').release
        self.sql("create table if not exists mark (text text); truncate mark; insert into mark values ('after')")
        self.host.sh(f'touch {lib.SITE}/media/sick')
        done = self.rollback('--restore-db', rc=6)
        self.assertRegex(visitors.one_line_error(self, done), r'smoke: .*503')
        self.assertIn(f'still serving {newer}', done.err)
        self.assertIn('the database is again the one that was live', done.err)
        self.whole(newer)
        self.assertEqual((self.sql('select text from mark'), self.applied()[-1]), ('after', '0003_note'))
        self.host.sh(f'rm {lib.SITE}/media/sick')
        self.rollback('--restore-db')
        self.whole(sick)
        self.rollback()
        self.whole()


    def test_7_behind(self):
        """Code that does not know what is in the database is told of; where that belongs to a release already, no dump does."""
        note = self.deploy('note').release
        behind = self.deploy()
        self.assertIn('warning: the database has 1 migration that this commit does not know: home.0003_note', behind.err)
        again = self.deploy('note').release
        self.assertIn('not ahead of', visitors.one_line_error(self, self.refused('--to', behind.release, '--restore-db')))
        self.assertIn('--restore-db', self.refused('--to', behind.release, '--restore-db', '--plan').err)
        self.whole(again)
        self.rollback('--to', note)
        self.whole(note)


class Code(Case):
    def test_1_smoke(self):
        """Switched back by itself: visitors meet the new release for the length of the smoke test."""
        older = self.whole()
        self.host.sh(f'touch {lib.SITE}/media/sick')
        with self.visited(lambda line: line[3] == 503):
            done = self.deploy('sick', rc=6)
        self.host.sh(f'rm {lib.SITE}/media/sick')
        self.assertRegex(done.all, r'smoke: .*through Caddy')
        self.assertIn(f'still serving {older}', done.all)
        self.whole(older)
        self.assertEqual([r['mark'] for r in self.releases().values()][0], 'failed')

    def test_2_dead(self):
        """Never exposed."""
        older = self.whole()
        self.host.sh(f'printf "health:\\n  wait: 6\\n" >>/etc/goldpath/sites/{lib.SLUG}.yaml')
        with self.visited():
            done = self.deploy('dead', rc=6)
        self.host.sh(f"sed -i '/^health:$/,$d' /etc/goldpath/sites/{lib.SLUG}.yaml")
        self.assertRegex(done.all, 'healthy: .*did not get healthy')
        self.assertIn(f'still serving {older}', done.all)
        self.whole(older)

    def test_25_worker_dead(self):
        """A Celery that dies at its start is no release that is well."""
        older = self.whole()
        with self.visited():
            done = self.deploy('no-worker', rc=6)
        self.assertRegex(done.all, "celery: Celery's worker died at its start")
        self.assertIn('RuntimeError: no worker', done.all)
        self.assertIn(f'still serving {older}', done.all)
        self.host.healthy(30)
        self.whole(older)

    def css(self):
        page = self.host.get('/').body.decode()
        return re.search(r'/static/css/site\.[0-9a-f]+\.css', page)[0]

    def test_3_static(self):
        """Pages of the release before keep their files, and a release that is gone back to has its own again."""
        self.deploy()
        old = self.css()
        self.deploy('styled')
        new = self.css()
        self.assertNotEqual(old, new)
        self.assertEqual([self.host.get(path).status for path in (old, new)], [200, 200])
        self.assertIn(b'styled', self.host.get('/static/css/site.css').body)
        with self.visited():
            self.rollback()
        self.assertEqual(self.css(), old)
        self.assertEqual([self.host.get(path).status for path in (old, new)], [200, 200])
        self.assertNotIn(b'styled', self.host.get('/static/css/site.css').body)

    def test_4_redis_down(self):
        """The way back does not wait for what the release that serves lacks as well."""
        older = self.whole()
        newer = self.deploy().release
        self.host.sh('systemctl mask --runtime --now redis-server')     # gunicorn's unit would start it
        try:
            done = self.rollback()
            self.assertIn(f'{older} is live', done.out)
            self.assertRegex(done.err, f'warning: {newer} itself is unhealthy: .*cache')
        finally:
            self.host.sh('systemctl unmask --runtime redis-server; systemctl start redis-server')
        self.host.healthy(30)
        self.whole(older)
        self.assertEqual(self.releases()[newer]['mark'], 'rolled back')

    def test_45_jumped_over(self):
        """What was jumped over is not where the next rollback goes."""
        goal = self.deploy().release
        over, left = self.deploy().release, self.deploy().release
        self.rollback('--to', goal)
        self.assertEqual([self.releases()[r]['mark'] for r in (left, over, goal)], ['rolled back', 'rolled back', 'current'])
        self.deploy()
        self.assertEqual(self.releases()[goal]['mark'], 'previous')
        self.rollback()
        self.whole(goal)

    def test_5_prune(self):
        """What a rollback goes to stays, one with a dump, and the newest that was gone back from; what is gone is gone for good."""
        left = max(release for release, row in self.releases().items() if row['mark'] == 'rolled back')
        self.host.sh(f'printf "keep:\\n  releases: 2\\n" >>/etc/goldpath/sites/{lib.SLUG}.yaml')
        with_dump = self.deploy('note').release
        made = [self.deploy(ref).release for ref in ('note', 'note', 'note')]
        listed = self.releases()
        there = [r for r in listed if r in visitors.stands(self.host)['releases']]
        self.assertEqual(sorted(there), sorted([left, with_dump, *made[1:]]))
        self.assertEqual(listed[made[1]]['mark'], 'previous')
        self.assertIn('has no release', visitors.one_line_error(self, self.refused('--to', made[0], rc=2)))
        self.rollback()
        self.rollback()
        self.whole(with_dump)

    def test_6_full_disk(self):
        """Nothing is built: less than a MiB will do. (Last: the site moves to a small disk.)"""
        units = f'sum-{lib.SLUG}-gunicorn.service sum-{lib.SLUG}-celery.service'
        self.host.sh(f'''
            systemctl stop {units}
            mkdir /mnt/disk; mount -t tmpfs -o size=1500M,mode=755 none /mnt/disk
            cp -a {lib.SITE} /mnt/disk/site; cp -a {STATE} /mnt/disk/state
            mount --bind /mnt/disk/site {lib.SITE}; mount --bind /mnt/disk/state {STATE}
            systemctl start {units}''')
        self.host.healthy(30)
        older = self.whole()
        newer = self.deploy().release
        self.host.run('sh', '-c', 'dd if=/dev/zero of=/mnt/disk/filler bs=64k; truncate -s -512K /mnt/disk/filler')
        said = self.deploy(rc=None)
        self.assertIn(said.rc, (1, 6), said)
        self.whole(newer)
        self.rollback()
        self.whole(older)


if __name__ == '__main__':
    unittest.main()
