#!/usr/bin/python3
"""kill -9 at any moment: provision converges, and what a deploy had half made goes. (Deploys at each boundary of a step: test_crash.py.)"""

import json
import re
import unittest

import lib


class Deploy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'kill')

    def one_whole_release(self):
        """The site answers, all of its workers with the same release, one that is on disk."""
        release = self.host.healthy(30)
        self.assertEqual({self.host.health()['version']['release'] for _ in range(6)}, {release})
        self.assertEqual(self.host.get('/').status, 200)
        self.host.sh(f'test -e {lib.SITE}/releases/{release}/.goldpath/release.env && test -e {lib.SITE}/app/.goldpath/venv/bin/python')
        return release

    def test_half_venv(self):
        """Killed while pip works: nothing of it runs on, and the next deploy builds the whole venv."""
        repo = lib.Repo(self)
        repo.branch('venv', {'requirements.txt': lambda old: old + '# another venv\n'})
        repo.put(self.host, lib.REPO)
        before = set(self.host.sh(f'ls -A {lib.SITE}/releases').split())
        self.host.write('/root/half.sh', f'''
            goldpath deploy {lib.SLUG} --ref venv >/root/out 2>/root/err & pid=$!
            until grep -qx 'step: venv' /run/goldpath/{lib.SLUG}.lock && grep -qx "pid: $pid" /run/goldpath/{lib.SLUG}.lock; do sleep 0.01; done
            sleep 1.5; kill -9 $pid; wait $pid; echo $?''')
        self.assertEqual(self.host.run('timeout', '60', 'bash', '/root/half.sh').out.strip(), '137')
        lib.wait_for(lambda: not self.host.run('pgrep', '-u', 'deploy').out, 'nothing of the killed deploy runs on', 5)
        self.one_whole_release()
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        self.assertIn("was cut off in step 'venv'", self.host.goldpath('plan', lib.SLUG, '--ref', 'venv', rc=7).err)
        self.host.sh(f'test ! -e {lib.SITE}/.tmp')
        done = self.host.goldpath('deploy', lib.SLUG, '--ref', 'venv')
        self.assertIn("was cut off in step 'venv'", done.err)
        release = done.out.split()[0]
        self.assertEqual(self.host.healthy(), release)
        self.assertEqual(set(self.host.sh(f'ls -A {lib.SITE}/releases').split()), before | {release})
        self.assertEqual(self.host.sh(f'for v in {lib.SITE}/venvs/*; do test -e $v/.goldpath-complete || echo $v; done; ls -A {lib.SITE}'
                                      f' | grep -v "^\\(app\\|venv\\|.env\\|static\\|media\\|backups\\|releases\\|venvs\\|repo.git\\|.cache\\)$" || true'), '')
        done = self.host.goldpath('deploy', lib.SLUG)
        self.assertNotIn('cut off', done.err)

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
