#!/usr/bin/python3
"""kill -9 at any moment: provision converges, a deploy leaves one whole release serving, and the next one works."""

import json
import re
import unittest

import lib

# Runs inside: a command is killed a little after its lock file says a step (or, with `-`, ends by itself).
KILLER = '''
import subprocess, sys, time
lock, steps, delay, argv = sys.argv[1], sys.argv[2].split(','), float(sys.argv[3]), sys.argv[4:]
p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=open('/root/out', 'w'), stderr=open('/root/err', 'w'))
mine = 'pid: %d\\n' % p.pid
while p.poll() is None:
    try:
        text = open(lock).read()
    except FileNotFoundError:
        continue
    step = text.rsplit('step: ', 1)[-1].strip()
    if mine in text and step in steps:
        time.sleep(delay)
        if p.poll() is None:
            p.kill()
            p.wait()
            print(open(lock).read().rsplit('step: ', 1)[-1].strip() or '-')
            sys.exit()
print('ended', p.returncode)
'''

STEPS = ('preflight', 'fetch', 'checkout', 'venv', 'build', 'compile', 'prepare', 'backup', 'migrate', 'switch', 'restart', 'healthy',
         'celery', 'smoke')
LEFT_OUT = ('backup', 'migrate')    # with nothing to migrate: never begun


class Deploy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'kill')
        cls.repo = lib.Repo(cls)
        cls.repo.branch('venv', {'requirements.txt': lambda old: old + '# another venv\n'})
        cls.repo.put(cls.host, lib.REPO)
        cls.host.write('/root/killer.py', KILLER)

    def killed_in(self, step, delay=0.0, ref='main'):
        """A deploy killed in a step: the step it was in, and what the deploy had said."""
        later = ','.join(STEPS[STEPS.index(step):])
        said = self.host.sh(f'python3 /root/killer.py /run/goldpath/{lib.SLUG}.lock {later} {delay} '
                            f'goldpath deploy {lib.SLUG} --ref {ref}')
        return said, self.host.read('/root/err')

    def one_whole_release(self):
        """The site answers, all of its workers with the same release, one that is on disk."""
        release = self.host.healthy(30)
        self.assertEqual({self.host.health()['version']['release'] for _ in range(6)}, {release})
        self.assertEqual(self.host.get('/').status, 200)
        self.host.sh(f'test -e {lib.SITE}/releases/{release}/.goldpath/release.env && test -e {lib.SITE}/app/.goldpath/venv/bin/python')
        return release

    def test_every_step(self):
        first = self.host.healthy()
        last = None             # the step in which the deploy before was killed
        for step in STEPS:
            for delay, ref in ((0.0, 'main'), (2.0, 'venv')) if step == 'venv' else ((0.0, 'main'),):
                with self.subTest(step=step, delay=delay):
                    now, err = self.killed_in(step, delay, ref)
                    self.assertNotIn('ended', now, err)
                    if last:
                        cut = re.search(r"the deploy of \S+ before this one was cut off in step '(\w*)'", err)
                        self.assertIsNotNone(cut, f'killed in {last}; the next one says:\n{err}')
                        index = STEPS.index(last)
                        begun = [s for s in STEPS[:index + 1] if s not in LEFT_OUT]
                        self.assertIn(cut[1], begun[-2:])
                    last = now
                    self.one_whole_release()
                    lib.wait_for(lambda: not self.host.run('pgrep', '-u', 'deploy').out, 'nothing of the killed deploy runs on', 5)
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        done = self.host.goldpath('deploy', lib.SLUG)
        self.assertIn('was cut off in step', done.err)
        release = done.out.split()[0]
        self.assertEqual(self.host.healthy(), release)
        self.assertEqual(self.host.health()['checks']['celery']['status'], 'ok')
        # Nothing of them is left: no half release, no index, no half venv.
        self.assertEqual(sorted(self.host.sh(f'ls -A {lib.SITE}/releases').split()), sorted({first, release}))
        self.assertEqual(self.host.sh(f'for v in {lib.SITE}/venvs/*; do test -e $v/.goldpath-complete || echo $v; done; ls -A {lib.SITE}'
                                      f' | grep -v "^\\(app\\|venv\\|.env\\|static\\|media\\|backups\\|releases\\|venvs\\|repo.git\\|.cache\\)$" || true'), '')
        done = self.host.goldpath('deploy', lib.SLUG)
        self.assertNotIn('cut off', done.err)
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    def test_half_release(self):
        """Killed the moment the folder of the release is there: nothing in it says yet whose it is, and it goes all the same."""
        self.host.write('/root/half.py', f'''
import os, subprocess
there = set(os.listdir('{lib.SITE}/releases'))
p = subprocess.Popen(['goldpath', 'deploy', '{lib.SLUG}'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while p.poll() is None:
    half = set(os.listdir('{lib.SITE}/releases')) - there
    if half:
        p.kill()
        p.wait()
        print(*half)
        break
''')
        before = set(self.host.sh(f'ls -A {lib.SITE}/releases').split())
        self.assertNotEqual(self.host.sh('python3 /root/half.py'), '')
        done = self.host.goldpath('deploy', lib.SLUG)
        self.assertIn('was cut off in step', done.err)
        self.assertEqual(set(self.host.sh(f'ls -A {lib.SITE}/releases').split()), before | {done.out.split()[0]})

    def test_power_cut(self):
        """The plug is pulled while gunicorn is restarted on the new release."""
        self.host.write('/root/wait.sh', f'until grep -qx "step: restart" /run/goldpath/{lib.SLUG}.lock; do :; done\n')
        deploy = self.host.start_run('goldpath', 'deploy', lib.SLUG)
        self.host.run('timeout', '60', 'sh', '/root/wait.sh')
        self.host.reboot('--hard')
        deploy.kill()
        deploy.communicate()
        self.host.healthy(60)
        self.one_whole_release()
        done = self.host.goldpath('deploy', lib.SLUG)
        self.assertIn('was cut off in step', done.err)
        self.assertEqual(self.host.healthy(), done.out.split()[0])


class Provision(unittest.TestCase):
    """On a bare host, which has no Python yet: a shell watches what goldpath says."""
    maxDiff = None

    # What is waited for, and how much longer. In the order of the plan: each run goes on where the one before was cut off.
    points = (('', 0.0), ('', 1.5), ('', 5), ('', 9), ('', 12), ('packages', 0.0), ('user deploy', 0.0), ('redis.conf', 0.0),
              ('Caddyfile', 0.0), ('deploy.sh', 0.8), ('uv ', 0.0), ('allow 22', 0.0), ('allow 443', 0.05), ('user sum-', 0.0),
              ('environment', 0.0), ('database role', 0.0), ('gunicorn.service', 0.0), ('sites-enabled/sum-', 0.0), ('daemon-reload', 0.0),
              ('run/caddy', 0.0), ('option in', 0.0), ('reload caddy', 0.0))

    def killed(self, host, pattern, delay):
        """A provision killed a little after it has said something (nothing: after its start): None, or how it ended before that."""
        done = host.run('sh', '-c', f'''
            goldpath provision --yes >/root/out 2>/root/err & pid=$!
            until grep -q -- '{pattern}' /root/err; do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
            sleep {delay}
            kill -9 $pid 2>/dev/null; wait $pid; echo $?; cat /root/out /root/err''')
        code = int(done.out.split('\n')[0])
        return None if code == 137 else done

    def test_converges(self):
        host = lib.Host(self, 'bare', 'bookworm')
        host.install()
        lib.Repo(self).put_bare(host, lib.REPO)
        host.goldpath(*lib.INIT)
        host.sh('touch /root/err')
        for pattern, delay in self.points:
            ended = self.killed(host, pattern, delay)
            if ended:
                self.assertEqual(ended.out.split('\n')[0], '0', f'to be killed {delay} s after "{pattern}"\n{ended}')
        done = host.goldpath('provision', rc=None)
        self.assertEqual(done.rc, 0, done)
        again = host.goldpath('provision')
        self.assertEqual((again.out, again.err), ('0 changes\n', ''))
        host.sh('! dpkg --audit | grep .; visudo -c -q')
        self.assertEqual(host.sh("find /etc /srv/sum /var/lib/goldpath -name '.*.????????~'"), '')     # half-written files
        host.sh(f'chown -R deploy: {lib.REPO}')
        host.goldpath('deploy', lib.SLUG)
        host.healthy()
        self.assertEqual(host.goldpath('provision').out, '0 changes\n')


# Runs inside: provision again and again, each time killed by the kernel at its k-th write (of a line, of a file), until one ends by
# itself. A few writes are one or two resources further, so each run dies in the next of them, whatever they are. A run that came no
# further than the one before is followed by one that may write more. Prints what each run said, and how the last one ended.
EVERY = '''
import json, re, subprocess
runs, k = [], 4
while len(runs) < 250:
    with open('/root/said', 'w') as f:
        code = subprocess.call(['strace', '-o', '/dev/null', '-e', 'trace=write', '-e', 'inject=write:signal=KILL:when=%d' % k,
                                'goldpath', 'provision', '--yes'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=f)
    runs.append([line.rstrip() for line in open('/root/said', errors='replace')])
    first = [[line for line in run if re.match(r'[-+~] ', line)][:1] for run in runs[-2:]]
    k = k + 2 if first[0] == first[-1] and len(first) == 2 else 4
    if code != -9:
        break
print(json.dumps([runs, code]))
'''


class EveryResource(unittest.TestCase):
    maxDiff = None

    def test_converges(self):
        host = lib.Host(self, 'every', 'trixie')
        host.install()
        host.sh('apt-get install -y -qq python3-minimal strace')     # for the script
        lib.Repo(self).put_bare(host, lib.REPO)
        host.goldpath(*lib.INIT)
        planned = [line for line in host.goldpath('plan', rc=4).out.splitlines() if re.match(r'[-+~] ', line)]
        host.write('/root/every.py', EVERY)
        done = host.run('python3', '/root/every.py', timeout=900)
        self.assertEqual(done.rc, 0, done)
        runs, code = json.loads(done.out)
        self.assertEqual(code, 0, runs[-1])
        def resources(lines):
            return {re.match(r'[-+~] ([^:]*)', line)[1] for line in lines if re.match(r'[-+~] ', line)}
        killed = set.union(*(resources([line for line in said if re.match(r'[-+~] ', line)][-1:]) for said in runs[:-1]))
        # Most of the plan was what a run that died had just begun; the others died with a neighbour, between its line and its end.
        self.assertGreater(len(killed & resources(planned)), len(resources(planned)) // 2, (sorted(resources(planned) - killed), len(runs)))
        # Who died after a change was made is told of by who comes next, unless that one dies before it says anything.
        told = [said[0] for before, said in zip(runs, runs[1:]) if said and len([line for line in before if re.match(r'[-+~] ', line)]) > 1]
        self.assertGreater(len(told), 10)
        for line in told:
            self.assertRegex(line, 'an earlier run was cut off')
        again = host.goldpath('provision')
        self.assertEqual((again.out, again.err), ('0 changes\n', ''))
        host.sh('! dpkg --audit | grep .; visudo -c -q; sshd -t')
        self.assertEqual(host.sh("find /etc /srv/sum /var/lib/goldpath -name '.*.????????~'"), '')     # half-written files
        host.sh(f'chown -R deploy: {lib.REPO}')
        host.goldpath('deploy', lib.SLUG)
        host.healthy()


if __name__ == '__main__':
    unittest.main()
