#!/usr/bin/python3
"""Whatever dies at whatever boundary of a deploy, one whole release serves, and `deploy --resume` finishes or takes back.

The boundaries are the lines of the journal of one whole deploy: goldpath is stopped or killed by the kernel the moment a line is synced
(strace injects the signal at that very fsync), so that each case is exact. Every boundary is met at least once here; with
GOLDPATH_E2E_ALL=1 every fault meets every boundary.
"""

import json
import os
import unittest

import lib
import visitors

ALL = os.environ.get('GOLDPATH_E2E_ALL') == '1'
STATE = f'/var/lib/goldpath/{lib.SLUG}'
JOURNAL = f'{STATE}/journal'
GUNICORN = f'sum-{lib.SLUG}-gunicorn.service'
NEXT = f'sum-{lib.SLUG}-gunicorn-next.service'

# So that no step is left out: something to build, and something to migrate each time.
MIGRATION = '''
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("home", "0002_home_page")]
    operations = [migrations.RunSQL("select 1", "select 1")]
'''
UNMIGRATE = f"runuser -u postgres -- psql -q {lib.SLUG.replace('-', '_')} -c \"delete from django_migrations where name = '0003_again'\""

# Runs inside: deploy, stopped by the kernel as that line of the journal is synced. Prints the pid of goldpath once it stands still; how it
# ends in the end is in /root/held.code.
HOLD = f'''
import os, subprocess, sys, time
number = int(sys.argv[1])
for name in ('pid', 'code'):
    if os.path.exists('/root/held.' + name):
        os.remove('/root/held.' + name)

def put(name, text):
    with open('/root/new', 'w') as f:
        f.write(str(text))
    os.rename('/root/new', '/root/held.' + name)

def goldpath_of(tracer):
    with open('/proc/%d/task/%d/children' % (tracer, tracer)) as f:
        for pid in f.read().split():
            with open('/proc/%s/comm' % pid) as comm:
                if comm.read().strip() == 'goldpath':
                    return pid

def watch():
    old = os.stat('{JOURNAL}').st_ino
    with open('/root/held', 'w') as out:
        tracer = subprocess.Popen(['strace', '-o', '/dev/null', '-P', '{JOURNAL}', '-e', 'trace=fsync', '-e',
                                   'inject=fsync:signal=STOP:when=%d' % number, 'goldpath', 'deploy', '{lib.SLUG}', '--ref', 'again'],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    while tracer.poll() is None:
        if os.stat('{JOURNAL}').st_ino != old:
            with open('{JOURNAL}') as f:
                if len(f.read().splitlines()) > number:
                    time.sleep(0.1)
                    put('pid', goldpath_of(tracer.pid))
                    break
        time.sleep(0.01)
    put('code', tracer.wait())

if os.fork() == 0:
    os.setsid()
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    watch()
    os._exit(0)
while True:
    for name in ('pid', 'code'):
        if os.path.exists('/root/held.' + name):
            with open('/root/held.' + name) as f:
                sys.exit(print(f.read() if name == 'pid' else 'ended ' + f.read()))
    time.sleep(0.01)
'''


class Matrix(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'crash')
        cls.repo = lib.Repo(cls)
        cls.repo.branch('again', {'home/migrations/0003_again.py': MIGRATION})
        cls.repo.put(cls.host, lib.REPO)
        cls.host.sh(f'which strace >/dev/null || apt-get install -y -qq strace >/dev/null; echo "build: [[\\"true\\"]]" >>/etc/goldpath/sites/{lib.SLUG}.yaml')
        cls.host.write('/root/hold.py', HOLD)
        cls.host.goldpath('deploy', lib.SLUG, '--ref', 'again')
        cls.lines = visitors.journal(cls.host)
        cls.steps = [line['step'] for line in cls.lines if line['what'] == 'begin']

    def number(self, what, step=None):
        """Of a line in the journal, as strace counts: the first one, which begins it, is written another way."""
        return next(n for n, line in enumerate(self.lines) if line['what'] == what and (step is None or line.get('step') == step))

    def boundaries(self):
        """(number, its line): each step's begin and the end; and each step's done where all are wanted."""
        return [(n, line) for n, line in enumerate(self.lines) if line['what'] in ('begin', 'end') or (ALL and line['what'] == 'done')]

    def killed(self, number):
        self.host.sh(UNMIGRATE)
        done = self.host.run('strace', '-o', '/dev/null', '-P', JOURNAL, '-e', 'trace=fsync', '-e', f'inject=fsync:signal=KILL:when={number}',
                             'goldpath', 'deploy', lib.SLUG, '--ref', 'again')
        self.assertIn(done.rc, (137, -9), done)
        return visitors.journal(self.host)[-1]

    def hold(self, number):
        self.host.sh(UNMIGRATE)
        said = self.host.sh(f'python3 /root/hold.py {number}')
        self.assertRegex(said, r'^\d+$')
        return visitors.journal(self.host)[-1], said

    def proven(self, line):
        """Is a deploy that died with this line the last one finished, and not taken back?"""
        return line['what'] == 'end' or self.steps.index(line['step']) > self.steps.index('commit') or (
            line['what'] == 'done' and line['step'] == 'commit')

    def resume(self, line, before):
        """What is left of a deploy that died with this line is finished or taken back, and told of. How the site stands then."""
        done = self.host.goldpath('deploy', lib.SLUG, '--resume')
        if line['what'] == 'end':
            self.assertNotIn('cut off', done.err)
        else:
            self.assertIn(f"was cut off in step '{line['step']}'", done.err)
        now = visitors.stands(self.host)
        live = visitors.assert_whole(self, now)
        new = line.get('release')
        if self.proven(line):
            self.assertEqual(live, new, done)
            if line['what'] != 'end':
                self.assertIn(f'{new} had been proven: finished', done.err)
        else:
            self.assertEqual(live, before['live'], done)
            self.assertEqual(now['releases'], before['releases'], done)
            if self.steps.index(line['step']) > self.steps.index('start'):
                self.assertIn('taken back', done.err)
        self.assertIn(f'still serving {live}', done.out)
        again = self.host.goldpath('deploy', lib.SLUG, '--resume')
        self.assertEqual(again.err, '')
        return now

    def test_1_kill(self):
        """Nobody notices, before, while and after."""
        crowd = visitors.Visitors(self.host)
        self.addCleanup(crowd.end)
        before = visitors.stands(self.host)
        for number, expected in self.boundaries():
            with self.subTest(number=number, what=expected['what'], step=expected.get('step')):
                line = self.killed(number)
                self.assertEqual((line['what'], line.get('step')), (expected['what'], expected.get('step')))
                after = self.resume(line, before)
                failed, seen = crowd.look()
                self.assertEqual(failed, [])
                self.assertLessEqual(set(seen), {before['live'], line.get('release')})
                before = after
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        self.assertEqual(set(self.host.sh(f'ls -A {lib.SITE}').split()) - {'.cache'},
                         {'app', 'venv', '.env', 'static', 'media', 'backups', 'releases', 'venvs', 'repo.git'})

    def test_2_power(self):
        """The site is back by itself, with one release."""
        steps = self.steps[self.steps.index('migrate'):]
        for step in steps if ALL else ('migrate', 'healthy', 'commit', 'drain', 'return'):
            with self.subTest(step=step):
                before = visitors.stands(self.host)
                line, _ = self.hold(self.number('begin', step))
                self.host.reboot('--hard')
                self.host.healthy(60)
                now = lib.wait_for(lambda: (lambda s: s['units']['celery.service'] == 'active' and s)(visitors.stands(self.host)), 'Celery', 30)
                live = visitors.assert_whole(self, now, resting=False)
                self.assertEqual(live, line['release'] if self.proven(line) else before['live'])
                self.resume(line, before)

    def test_3_fault(self):
        """Something else dies while goldpath stands at a boundary."""
        faults = (self.gunicorn, self.next_unit, self.postgres, self.network)
        first = self.steps.index('start')
        crowd = visitors.Visitors(self.host)
        self.addCleanup(crowd.end)
        for n, step in enumerate(self.steps):
            if not ALL and n < self.steps.index('prepare'):
                continue        # up to there nothing of the host is asked that could notice
            which = faults if ALL and n >= first else [faults[(n + k) % 4] for k in range(2 if ALL else 1)]
            for fault in which:
                with self.subTest(step=step, fault=fault.__name__):
                    self.one_fault(step, fault, crowd)
        self.assertEqual(self.host.goldpath('deploy', lib.SLUG).rc, 0)

    def one_fault(self, step, fault, crowd):
        before = visitors.stands(self.host)
        line, pid = self.hold(self.number('begin', step))
        try:
            mend = fault()
        finally:
            self.host.sh(f'kill -CONT {pid}')
        code = int(lib.wait_for(lambda: self.host.run('cat', '/root/held.code').out, 'the deploy ends', 200))
        if mend:
            mend()
        said = self.host.read('/root/held')
        self.assertIn(code, (0, 1, 6), said)
        self.assertEqual(sum(text.startswith('error: ') for text in said.splitlines()), code != 0, said)
        self.host.healthy(15)
        self.assertEqual(self.host.goldpath('deploy', lib.SLUG, '--resume').err, '', said)
        now = lib.wait_for(lambda: (lambda s: s['units']['celery.service'] == 'active' and s)(visitors.stands(self.host)), 'Celery', 30)
        live = visitors.assert_whole(self, now)
        begun = [entry.get('release') for entry in visitors.journal(self.host)][-1]
        self.assertEqual(live, begun if code == 0 else before['live'], said)
        failed, seen = crowd.look()
        self.assertLessEqual(set(seen), {before['live'], begun})
        if fault == self.network:
            self.assertEqual(failed, [])
        for one in failed:
            self.assertLess(one[-1] - failed[0][0], 16, failed)
        return code

    def kill_main(self, unit):
        self.host.sh(f'pid=$(systemctl show -P MainPID {unit}); [ "$pid" = 0 ] || kill -9 "$pid"')

    def gunicorn(self):
        """The one that serves."""
        route = self.host.sh(f'readlink /run/sum-{lib.SLUG}/gunicorn.sock')
        self.kill_main(NEXT if route.startswith('next') else GUNICORN)

    def next_unit(self):
        self.kill_main(NEXT)

    def postgres(self):
        self.host.sh('systemctl restart postgresql')

    def network(self):
        """Outwards, and what a nameserver is asked by."""
        device = self.host.sh("ip -o route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'")
        self.host.sh(f'ip route save >/root/routes; ip link set {device} down')
        return lambda: self.host.sh(f'ip link set {device} up; ip route restore </root/routes || true; ip route show default | grep -q .')


class FullDisk(unittest.TestCase):
    """The disk that holds the site and goldpath's records fills up while goldpath stands at a boundary."""
    maxDiff = None

    def test_full(self):
        self.host = lib.live(self, 'crash-full')
        repo = lib.Repo(self)
        repo.branch('again', {'home/migrations/0003_again.py': MIGRATION})
        repo.put(self.host, lib.REPO)
        self.host.sh('which strace >/dev/null || apt-get install -y -qq strace >/dev/null')
        self.host.write('/root/hold.py', HOLD)
        self.host.goldpath('deploy', lib.SLUG, '--ref', 'again')
        lines = visitors.journal(self.host)
        # Both on one disk, as they are on a small host.
        self.host.sh(f'''
            systemctl stop {GUNICORN} sum-{lib.SLUG}-celery.service
            mkdir /mnt/disk; mount -t tmpfs -o size=1G,mode=755 none /mnt/disk
            cp -a {lib.SITE} /mnt/disk/site; cp -a {STATE} /mnt/disk/state
            mount -o remount,size=$(($(du -sm /mnt/disk | cut -f1) + 700))M /mnt/disk
            mount --bind /mnt/disk/site {lib.SITE}; mount --bind /mnt/disk/state {STATE}
            systemctl start {GUNICORN} sum-{lib.SLUG}-celery.service''')
        self.host.healthy(30)
        for step in ('prepare', 'start', 'commit', 'return') if ALL else ('prepare', 'start', 'commit'):
            with self.subTest(step=step):
                self.one(step, next(n for n, line in enumerate(lines) if line['what'] == 'begin' and line['step'] == step))

    def one(self, step, number):
        before = visitors.stands(self.host)
        self.host.sh(UNMIGRATE)
        pid = self.host.sh(f'python3 /root/hold.py {number}')
        self.assertRegex(pid, r'^\d+$')
        self.host.run('sh', '-c', 'dd if=/dev/zero of=/mnt/disk/filler bs=64k; dd if=/dev/zero of=/mnt/disk/filler2 bs=1k')
        self.host.sh(f'kill -CONT {pid}')
        code = int(lib.wait_for(lambda: self.host.run('cat', '/root/held.code').out, 'the deploy ends', 200))
        said = self.host.read('/root/held')
        # Once it is the site's release there is nothing better to go back to.
        after = step not in ('prepare', 'start', 'commit')
        self.assertIn(code, (0, 6) if after else (1, 6), said)
        self.assertEqual(sum(text.startswith('error: ') for text in said.splitlines()), code != 0, said)
        release = self.host.healthy(15)
        if not after:
            self.assertEqual(release, before['live'], said)
        self.host.sh('rm /mnt/disk/filler /mnt/disk/filler2')
        self.host.goldpath('deploy', lib.SLUG, '--resume')
        now = visitors.stands(self.host)
        self.assertEqual(visitors.assert_whole(self, now), release, said)
        if not after:
            self.assertEqual(now['releases'], before['releases'], said)
        done = json.loads(self.host.goldpath('deploy', lib.SLUG, '--ref', 'again', '--json').out)
        self.assertEqual(visitors.assert_whole(self, visitors.stands(self.host)), done['release'])


if __name__ == '__main__':
    unittest.main()
