#!/usr/bin/python3
"""Who may log in over ssh: hardened on a real host, over real connections, and never so that somebody is locked out."""

import os
import re
import subprocess
import tempfile
import unittest

import lib

DROP_IN = '/etc/ssh/sshd_config.d/00-goldpath.conf'
CLOUD = '/etc/ssh/sshd_config.d/50-cloud-init.conf'
ROOT_KEYS, DEPLOY_KEYS = '/root/.ssh/authorized_keys', '/home/deploy/.ssh/authorized_keys'
PASSWORD = 'Tr0ub4dor-and-3'
HARD = {'permitrootlogin': 'without-password', 'passwordauthentication': 'no', 'kbdinteractiveauthentication': 'no',
        'permitemptypasswords': 'no', 'x11forwarding': 'no'}
OPEN = {**HARD, 'permitrootlogin': 'yes', 'passwordauthentication': 'yes', 'x11forwarding': 'yes'}
FAILED, REFUSED, CONFIG = 1, 7, 3

# Inside: goldpath is killed after that many milliseconds, unless it ends before.
KILLER = '''
import subprocess, sys
p = subprocess.Popen(['goldpath', 'provision', '--yes'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    p.wait(float(sys.argv[1]) / 1000)
except subprocess.TimeoutExpired:
    p.kill()
    p.wait()
print(p.returncode)
'''


class Ssh(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'ssh')
        folder = tempfile.TemporaryDirectory(prefix='goldpath-e2e-')
        cls.addClassCleanup(folder.cleanup)
        cls.key = os.path.join(folder.name, 'key')
        cls.askpass = os.path.join(folder.name, 'askpass')
        lib.machine('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'owner@laptop', '-f', cls.key)
        with open(f'{cls.key}.pub') as f:
            cls.public = f.read().strip()
        with open(cls.askpass, 'w') as f:
            f.write(f'#!/bin/sh\necho {PASSWORD}\n')
        os.chmod(cls.askpass, 0o700)
        cls.host_yaml = cls.host.read('/etc/goldpath/host.yaml') + '\n'
        cls.sshd_config = cls.host.read('/etc/ssh/sshd_config') + '\n'
        cls.host.write('/root/killer.py', KILLER)

    def setUp(self):
        """As a cloud hands it out: root has the owner's key and a password, and both let root in."""
        self.host.write('/etc/goldpath/host.yaml', self.host_yaml)
        self.host.write('/etc/ssh/sshd_config', self.sshd_config)
        self.host.write(CLOUD, 'PermitRootLogin yes\nPasswordAuthentication yes\n', '0600')
        self.host.write(ROOT_KEYS, self.public + '\n', '0600')
        self.forget()
        self.host.sh(f'echo root:{PASSWORD} | chpasswd')

    def forget(self):
        self.host.sh(f'''
            cd /etc/ssh/sshd_config.d
            rm -rf {DROP_IN} 00-a.conf 60-users.conf extra.conf /home/deploy/.ssh
            cd /var/lib/goldpath
            rm -f root-keys-copied sshd-former pending/reload-ssh
            sshd -t && systemctl reload-or-restart ssh.service''')
        lib.wait_for(lambda: self.greets(22), 'sshd')

    # ------------------------------------------------------------ asking

    def greets(self, port):
        with lib.socket.create_connection((self.host.ip, port), timeout=2) as connection:
            return connection.recv(4) == b'SSH-'

    def effective(self):
        lines = dict(line.partition(' ')[::2] for line in self.host.sh('sshd -T').splitlines())
        return {key: lines[key] for key in HARD}

    def ssh_argv(self, user, *options, port=22):
        return ['ssh', '-F', '/dev/null', '-p', str(port), '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
                '-o', 'LogLevel=ERROR', '-o', 'IdentitiesOnly=yes', '-o', 'ConnectTimeout=10', *options, f'{user}@{self.host.ip}']

    def by_key(self, user, *command, port=22):
        return subprocess.run([*self.ssh_argv(user, '-i', self.key, '-o', 'BatchMode=yes', port=port), *command], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)

    def by_password(self, user='root', port=22):
        """Does the password let in? Nothing else is tried."""
        env = {**os.environ, 'SSH_ASKPASS': self.askpass, 'SSH_ASKPASS_REQUIRE': 'force', 'DISPLAY': 'none'}
        done = subprocess.run([*self.ssh_argv(user, '-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1',
                                              '-o', 'PreferredAuthentications=password,keyboard-interactive', port=port), 'id', '-un'],
                              env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        return done.returncode == 0 and done.stdout.strip() == user

    def settings(self, text):
        self.host.write('/etc/goldpath/host.yaml', self.host_yaml + text)

    def provision(self, rc=0):
        return self.host.goldpath('provision', rc=rc)

    def settled(self):
        self.assertEqual(self.provision().out, '0 changes\n')
        self.host.sh('! ls /etc/ssh/sshd_config.d/.*~ /home/deploy/.ssh/.*~ /var/lib/goldpath/sshd-former 2>/dev/null')

    # ------------------------------------------------------------ as it should go

    def test_hardened_over_ssh_with_an_open_session(self):
        self.assertEqual(self.effective(), OPEN)
        self.assertTrue(self.by_password())
        with subprocess.Popen([*self.ssh_argv('root', '-i', self.key), 'cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as session:
            try:
                session.stdin.write('before\n')
                session.stdin.flush()
                self.assertEqual(session.stdout.readline(), 'before\n')
                pid = self.host.sh('systemctl show -P MainPID ssh.service')
                dry = self.host.goldpath('provision', '--dry-run', rc=4).err
                done = self.by_key('root', 'goldpath', 'provision', '--yes')
                self.assertEqual(done.returncode, 0, done.stderr)
                changes = [line for line in done.stderr.splitlines() if re.match(r'[-+~!] ', line)]
                self.assertEqual([line for line in dry.splitlines() if re.match(r'[-+~!] ', line)], changes)
                self.assertIn(f'+ sshd {DROP_IN}', changes)
                self.assertIn(f'~ sshd {DROP_IN}: PasswordAuthentication yes → no', changes)
                self.assertRegex(done.stderr, rf'\+ authorized keys {DEPLOY_KEYS}: ssh-ed25519 …\S{{8}} owner@laptop, which is root\'s')
                session.stdin.write('after\n')
                session.stdin.flush()
                self.assertEqual(session.stdout.readline(), 'after\n')
                self.assertEqual(self.host.sh('systemctl show -P MainPID ssh.service'), pid)
            finally:
                session.kill()
        self.assertEqual(self.effective(), HARD)
        self.assertFalse(self.by_password())
        for user in ('root', 'deploy'):
            self.assertEqual(self.by_key(user, 'id', '-un').stdout.strip(), user)
        self.assertEqual(self.host.sh(f'stat -c "%U:%G %a" {DROP_IN} /home/deploy/.ssh {DEPLOY_KEYS}').split('\n'),
                         ['root:root 644', 'deploy:deploy 700', 'deploy:deploy 600'])
        self.settled()

    def test_another_port(self):
        self.host.write(CLOUD, 'Port 2222\nPermitRootLogin yes\nPasswordAuthentication yes\n', '0600')
        self.host.sh('ufw allow 2222/tcp; systemctl reload ssh.service')
        lib.wait_for(lambda: self.greets(2222), 'sshd on 2222')
        done = self.by_key('root', 'goldpath', 'provision', '--yes', port=2222)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.effective(), HARD)
        self.assertFalse(self.by_password(port=2222))
        self.assertEqual(self.by_key('deploy', 'id', '-un', port=2222).stdout, 'deploy\n')
        self.settled()

    def test_a_port_that_a_reload_would_close(self):
        self.host.write(CLOUD, 'Port 2222\nPermitRootLogin yes\nPasswordAuthentication yes\n', '0600')
        done = self.provision(rc=CONFIG)
        self.assertIn('sshd listens on port 22, and its files name other ports', done.err)
        self.assertTrue(self.greets(22))
        self.host.write(CLOUD, 'PermitRootLogin yes\nPasswordAuthentication yes\n', '0600')
        self.provision()
        self.assertFalse(self.by_password())
        self.settled()

    def test_a_forwarded_port_is_nobodys_business(self):
        with subprocess.Popen(self.ssh_argv('root', '-i', self.key, '-N', '-R', '7070:127.0.0.1:1', '-o', 'ExitOnForwardFailure=yes'),
                              stdin=subprocess.DEVNULL) as session:
            try:
                lib.wait_for(lambda: self.host.run('sh', '-c', 'ss -tln | grep 7070').out, 'the forwarded port')
                self.assertNotIn('warning', self.provision().err)
                self.assertEqual(self.effective(), HARD)
                self.assertIsNone(session.poll())
            finally:
                session.kill()

    def test_keys_of_host_yaml(self):
        other = self.public.replace('owner@laptop', 'by hand')
        self.settings(f'ssh:\n  authorized_keys: ["{self.public}"]\n')
        self.host.write(ROOT_KEYS, '# none\n', '0600')
        done = self.provision()
        self.assertNotIn("root's", done.err)
        self.assertIn('passwords stay on: root has no usable key; put one into /root/.ssh/authorized_keys', done.err)
        self.assertEqual(self.host.read(DEPLOY_KEYS), self.public)
        self.host.write(DEPLOY_KEYS, f'# mine\n{other}', '0600', 'deploy:deploy')
        self.settled()                                              # the same key under another name
        self.host.write(DEPLOY_KEYS, '# mine', '0666', 'deploy:deploy')
        done = self.provision()
        self.assertIn('mode 0666 → 0600', done.err)
        self.assertEqual(self.host.read(DEPLOY_KEYS), f'# mine\n{self.public}')
        self.settled()
        self.host.sh(f'rm {DEPLOY_KEYS}; ln -s /etc/shadow {DEPLOY_KEYS}; chown -h deploy: {DEPLOY_KEYS}; md5sum /etc/shadow >/root/sum')
        self.assertRegex(self.provision(rc=None).err, 'Permission denied|symlink')
        self.host.sh(f'md5sum -c /root/sum; rm {DEPLOY_KEYS}')

    def test_a_sudoer_is_an_administrator(self):
        self.host.sh('id -u anna || useradd -m -s /bin/bash -G sudo anna; echo anna:x1y2z3a4 | chpasswd')
        self.addCleanup(self.host.sh, 'loginctl terminate-user anna; userdel --force --remove anna 2>/dev/null')
        self.settings('ssh:\n  root_login: no\n')
        said = self.provision().err
        self.assertIn('! sshd', said)
        self.assertIn('root may still log in: no member of group sudo has a usable key', said)
        self.assertEqual(self.effective()['permitrootlogin'], 'yes')
        self.assertEqual(self.by_key('root', 'id', '-un').stdout, 'root\n')
        self.host.write('/home/anna/.ssh/authorized_keys', self.public + '\n', '0600', 'anna:anna')
        self.host.sh('chown anna: /home/anna/.ssh')
        self.provision()
        self.assertEqual(self.effective(), {**HARD, 'permitrootlogin': 'no'})
        self.assertNotEqual(self.by_key('root', 'id', '-un').returncode, 0)
        self.assertEqual(self.by_key('anna', 'id', '-un').stdout, 'anna\n')
        self.settled()

    # ------------------------------------------------------------ nobody is locked out

    def test_no_key_for_anybody(self):
        self.host.write(ROOT_KEYS, '', '0600')
        dry = self.host.goldpath('provision', '--dry-run', rc=None).err
        done = self.provision()
        for said in (dry, done.err):
            self.assertIn(f'! sshd {DROP_IN}: passwords stay on: deploy has no usable key; put one into {DEPLOY_KEYS}', said)
            self.assertIn('root may still log in with a password: root has no usable key', said)
        self.assertEqual(self.effective(), {**HARD, 'permitrootlogin': 'yes', 'passwordauthentication': 'yes'})
        self.assertTrue(self.by_password())
        self.settled()

    def test_keys_that_are_no_use(self):
        self.provision()
        for spoil, why, mend in (
                ('chmod 777 /home/deploy', r'others may write to /home/deploy; chmod go-w /home/deploy', 'chmod 755 /home/deploy'),
                ('usermod -s /usr/sbin/nologin deploy', 'deploy has the shell /usr/sbin/nologin', 'usermod -s /bin/bash deploy'),
                (f"sed -i 's/^/command=\"id\" /' {ROOT_KEYS}", 'root has no usable key', f"sed -i 's/^command=\"id\" //' {ROOT_KEYS}"),
                ('echo AllowUsers root >/etc/ssh/sshd_config.d/60-users.conf', "deploy is not let in by sshd's AllowUsers",
                 'rm /etc/ssh/sshd_config.d/60-users.conf')):
            with self.subTest(spoil=spoil):
                self.host.sh(f'rm -f {DROP_IN}; systemctl reload ssh.service; {spoil}')
                self.assertIn(why, self.provision().err)
                self.assertEqual(self.effective()['passwordauthentication'], 'yes')
                self.host.sh(mend)
        self.provision()
        self.assertEqual(self.effective(), HARD)

    def test_roots_keys_are_copied_once(self):
        self.provision()
        self.host.sh(f'rm {DEPLOY_KEYS}')
        self.provision()
        self.host.sh(f'! test -e {DEPLOY_KEYS}')
        self.assertEqual(self.effective()['passwordauthentication'], 'no')   # what is closed stays closed

    # ------------------------------------------------------------ what stands in the way

    def refused(self, said, *words):
        self.assertEqual(said.rc, CONFIG, said.err)
        for word in (*words, "sshd's configuration is as it was"):
            self.assertIn(word, said.err)
        self.assertTrue(self.greets(22))

    def test_broken_configuration(self):
        self.host.write('/etc/ssh/sshd_config', self.sshd_config + 'NoSuchKeyword yes\n')
        done = self.provision(rc=FAILED)
        self.assertIn('NoSuchKeyword', done.err)
        self.host.sh(f'! test -e {DROP_IN}')
        self.assertTrue(self.greets(22))

    def test_include_is_missing(self):
        text = re.sub(r'(?m)^Include.*\n', 'PermitRootLogin yes\n', self.sshd_config)
        self.host.write('/etc/ssh/sshd_config', text)
        self.refused(self.provision(rc=None), '/etc/ssh/sshd_config does not include', 'Include /etc/ssh/sshd_config.d/*.conf')
        self.host.sh(f'! test -e {DROP_IN}')

    def test_include_comes_too_late(self):
        self.host.write('/etc/ssh/sshd_config', 'PasswordAuthentication yes\n' + self.sshd_config)
        self.refused(self.provision(rc=None), '/etc/ssh/sshd_config, line 1, sets it first')
        self.host.sh(f'! test -e {DROP_IN}')

    def test_a_file_that_sorts_before(self):
        self.provision()
        self.host.write('/etc/ssh/sshd_config.d/00-a.conf', '# mine\nX11Forwarding yes\n')
        before = self.host.read(DROP_IN)
        self.refused(self.provision(rc=None), '/etc/ssh/sshd_config.d/00-a.conf, line 2, sets it first')
        self.assertEqual(self.host.read(DROP_IN), before)

    def test_a_match_block(self):
        self.host.write('/etc/ssh/sshd_config', self.sshd_config + '\nMatch User root\n\tPasswordAuthentication yes\n')
        self.refused(self.provision(rc=None), 'PasswordAuthentication is yes for root', '/etc/ssh/sshd_config, line', 'Match block')
        self.host.write('/etc/ssh/sshd_config', self.sshd_config + '\nMatch User backup\n\tPasswordAuthentication yes\n')
        self.assertIn('Match User backup sets PasswordAuthentication yes', self.provision().err)
        self.settled()

    def test_drift(self):
        self.provision()
        for spoil, said in ((f'echo "# x" >>{DROP_IN}', 'content'), (f'rm {DROP_IN}', f'+ sshd {DROP_IN}'),
                            (f'chmod 666 {DROP_IN}', 'mode 0666 → 0644'), (f'chown deploy {DROP_IN}', 'owner deploy → root')):
            with self.subTest(spoil=spoil):
                self.host.sh(spoil)
                self.assertIn(said, self.provision().err)
                self.assertEqual(self.effective(), HARD)
                self.settled()

    def test_not_managed(self):
        self.settings('ssh:\n  manage: false\n')
        self.provision()
        self.assertEqual(self.effective(), OPEN)
        self.host.sh(f'! test -e {DROP_IN}')

    def test_sshd_does_not_come_back_from_a_reload(self):
        folder = '/etc/systemd/system/ssh.service.d'
        self.host.write(f'{folder}/test.conf', '[Service]\nExecReload=\nExecReload=/bin/false\n')
        self.host.sh('systemctl daemon-reload')
        try:
            done = self.provision(rc=FAILED)
        finally:
            self.host.sh(f'rm -r {folder}; systemctl daemon-reload')
        self.assertIn('sshd was restarted with the configuration it had, and answers', done.err)
        self.host.sh(f'! test -e {DROP_IN}; ! test -e /var/lib/goldpath/sshd-former')
        self.assertTrue(self.by_password())
        self.provision()
        self.assertFalse(self.by_password())
        self.settled()

    # ------------------------------------------------------------ killed

    def test_killed_anywhere(self):
        ended = 0
        for ms in range(20, 400, 20):
            self.forget()
            ended += self.host.sh(f'python3 /root/killer.py {ms}') == '0'
            lib.wait_for(lambda: self.greets(22), "sshd greets", 5)     # a reload closes and opens its port
            self.host.sh('sshd -t')
            self.provision()
            self.assertEqual(self.effective(), HARD, f'killed after {ms} ms')
            self.assertFalse(self.by_password(), f'killed after {ms} ms')
            self.assertEqual(self.by_key('deploy', 'id', '-un').stdout, 'deploy\n')
            self.settled()
            if ended > 2:
                break


if __name__ == '__main__':
    unittest.main()
