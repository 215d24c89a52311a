#!/usr/bin/python3
"""The restic repository of a live site, in a folder and over sftp: what goes there, what comes back, and what may go wrong on the way."""

import json
import unittest

import lib

DB = 'acme_kitchens'
BACKUPS, MEDIA = f'{lib.SITE}/backups', f'{lib.SITE}/media'
OFFSITE = f'/var/lib/goldpath/{lib.SLUG}/offsite'
YAML, CREDENTIALS = f'/etc/goldpath/sites/{lib.SLUG}.yaml', f'/etc/goldpath/sites/{lib.SLUG}.offsite'
VAULT = '/srv/vault/acme'


class Offsite(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'offsite')
        cls.yaml = cls.host.read(YAML)
        cls.host.sh('mkdir -p /srv/vault')
        cls.to(VAULT)

    @classmethod
    def to(cls, repository):
        cls.host.write(YAML, cls.yaml + f'\nbackup:\n  offsite: {repository}\n  keep: {{daily: 2, weekly: 0, monthly: 0}}\n')
        cls.host.goldpath('provision')

    def setUp(self):
        """From the beginning."""
        self.host.sh(f'rm -rf {VAULT} {OFFSITE} {CREDENTIALS}')

    def tearDown(self):
        self.host.healthy()

    def backup(self, rc=0):
        done = self.host.goldpath('backup', lib.SLUG, '--media', '--json', rc=rc)
        for secret in (*self.host.secrets(), *self.host.sh(f'cat {OFFSITE}/password 2>/dev/null || true').split()):
            self.assertNotIn(secret, done.all)
        return done

    def restic(self, *args, repository=VAULT):
        return self.host.sh(f'restic -q --repo {repository} --password-file {OFFSITE}/password --no-lock ' + ' '.join(args))

    def snapshots(self, repository=VAULT):
        return json.loads(self.restic('snapshots', '--json', repository=repository))

    # ------------------------------------------------------------ all well

    def test_there_and_back(self):
        self.host.sh(f'''
            cd {MEDIA}; rm -rf odd; install -d -o sum-{lib.SLUG} -g sum-{lib.SLUG} odd; cd odd
            head -c 3000000 /dev/urandom >private; chown sum-{lib.SLUG} private; chmod 600 private
            mkfifo fifo; ln -s /etc/shadow link; truncate -s 300M sparse; touch "new\nline" -- "-o" "'; touch x;'"''')
        said = json.loads(self.backup().out.splitlines()[-1])
        self.assertRegex(said['snapshot'], '^[0-9a-f]{8}$')
        self.assertEqual(self.host.sh(f'stat -c "%a %U" {OFFSITE}/password {VAULT}/config {VAULT}'), '600 root\n400 root\n700 root')
        again = json.loads(self.backup().out.splitlines()[-1])
        self.assertLess(again['snapshot_added'], 1000000)       # but for what changed, it is there already
        self.restic('restore', 'latest', '--target', '/root/back')
        self.addCleanup(self.host.sh, 'rm -rf /root/back')
        self.host.sh(f'''
            cd /root/back && diff -r --no-dereference --exclude=fifo .{MEDIA} {MEDIA}
            cmp .{lib.SITE}/.env {lib.SITE}/.env; cmp .{YAML} {YAML}; diff -r .{BACKUPS} {BACKUPS}
            [ "$(stat -c "%a %U" .{MEDIA}/odd/private)" = "600 sum-{lib.SLUG}" ]; [ "$(readlink .{MEDIA}/odd/link)" = /etc/shadow ]
            [ -p .{MEDIA}/odd/fifo ]''')
        tags = self.snapshots()[-1]['tags']
        self.assertEqual(sorted(tags), sorted([f'site={lib.SLUG}', f'release={self.host.healthy()}']))

    def test_rehearsed_from_there(self):
        self.backup()
        self.host.sh(f'mkdir /root/aside; mv {BACKUPS}/* /root/aside/')
        self.addCleanup(self.host.sh, f'mv /root/aside/* {BACKUPS}/; rmdir /root/aside')
        said = json.loads(self.host.goldpath('rehearse', lib.SLUG, '--offsite', '--json').out)
        self.assertEqual((said['ok'], said['manifest'], said['health']), (True, True, 'ok'))
        self.assertEqual(self.host.sh(f'ls -A {OFFSITE}'), 'cache\npassword\nrepository\ntmp')

    def test_by_the_timer(self):
        self.host.sh(f'rm -r /run/goldpath; systemctl start sum-{lib.SLUG}-backup.service')
        self.assertEqual(len(self.snapshots()), 1)

    def test_old_snapshots_go(self):
        self.backup()
        for day in range(1, 6):
            self.restic('backup', f'--time "2020-01-0{day} 00:00:00"', '--host $(hostname)', '--tag', f'site={lib.SLUG}', '/etc/hostname')
        self.restic('backup', '--host another', '--tag', f'site={lib.SLUG}', '/etc/hostname')
        self.restic('backup', '--tag', 'site=another', '/etc/hostname')
        self.backup()
        ours = [s for s in self.snapshots() if s['hostname'] != 'another' and f'site={lib.SLUG}' in s['tags']]
        self.assertEqual(len([s for s in ours if s['time'] < '2021']), 1)       # of two days, the other is today
        self.assertEqual(len(self.snapshots()) - len(ours), 2)

    def test_over_sftp(self):
        self.host.sh('''
            id vault 2>/dev/null || useradd -m -s /bin/sh vault
            install -d -m 700 /root/.ssh; [ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
            install -d -m 700 -o vault -g vault /home/vault/.ssh; install -m 600 -o vault -g vault /root/.ssh/id_ed25519.pub /home/vault/.ssh/authorized_keys
            rm -rf /home/vault/acme /root/.ssh/known_hosts''')
        self.addCleanup(self.to, VAULT)
        self.to('sftp:vault@127.0.0.1:acme')
        done = self.backup(rc=3)
        self.assertIn("host that root's ssh does not know", done.out)
        self.host.sh('ssh-keyscan -t ed25519 127.0.0.1 >/root/.ssh/known_hosts 2>/dev/null; chmod 000 /home/vault/.ssh/authorized_keys')
        self.assertIn("does not let root's key in", self.backup(rc=3).out)
        self.host.sh('chmod 600 /home/vault/.ssh/authorized_keys')
        self.backup()
        self.assertEqual(len(self.snapshots('sftp:vault@127.0.0.1:acme')), 1)
        self.assertTrue(json.loads(self.host.goldpath('rehearse', lib.SLUG, '--offsite', '--json').out)['ok'])

    def test_in_s3(self):
        """In a bucket, which is not there yet, of a server that speaks S3's protocol; it knows no keys at first, and then takes any."""
        self.host.sh('''
            apt-get install -y -qq python3-venv >/dev/null
            python3 -m venv /opt/s3; /opt/s3/bin/pip -q install 'moto[s3,server]>=5,<6'
            ''')
        serve = ("systemd-run -q --collect --unit=s3 {} /opt/s3/bin/moto_server -H 127.0.0.1 -p 5000;"
                 " until curl -s -o /dev/null http://127.0.0.1:5000/; do sleep 0.2; done")
        self.host.sh(serve.format('--setenv=INITIAL_NO_AUTH_ACTION_COUNT=0'))
        self.addCleanup(self.to, VAULT)
        self.addCleanup(self.host.sh, 'systemctl stop s3')
        self.to('s3:http://127.0.0.1:5000/vault/acme')
        self.host.write(CREDENTIALS, 'AWS_ACCESS_KEY_ID=an-access-key\nAWS_SECRET_ACCESS_KEY=a-very-secret-key\n', mode='0600')
        done = self.backup(rc=3)
        self.assertIn('does not know the access key', done.out)
        self.host.sh(f'systemctl stop s3; {serve.format("")}')
        for _ in range(2):
            done = self.backup()
            self.assertNotIn('a-very-secret-key', done.all)
        self.assertTrue(json.loads(self.host.goldpath('rehearse', lib.SLUG, '--offsite', '--json').out)['ok'])

    # ------------------------------------------------------------ what may go wrong

    def test_another_password(self):
        self.backup()
        before = self.host.sh(f'find {VAULT} -type f | sort | xargs sha256sum')
        self.host.sh(f'rm -r {OFFSITE}')
        self.assertIn('has another password than the one in', self.backup(rc=3).out)
        self.assertEqual(self.host.sh(f'find {VAULT} -type f | sort | xargs sha256sum'), before)

    def test_the_password_is_gone(self):
        """A new one would not open what is there: none is made, and with the copy all is as it was."""
        self.backup()
        self.host.sh(f'mv {OFFSITE}/password /root/password')
        for command in ('backup', '--media'), ('rehearse', '--offsite'):
            self.assertIn('put the copy of it there', self.host.goldpath(command[0], lib.SLUG, command[1], '--json', rc=3).out)
        self.host.sh(f'[ ! -e {OFFSITE}/password ]; mv /root/password {OFFSITE}/password')
        self.backup()

    def test_none_was_made(self):
        self.backup()
        self.addCleanup(self.to, VAULT)
        self.to('/srv/vault/typo')
        said = json.loads(self.host.goldpath('rehearse', lib.SLUG, '--offsite', '--json', rc=1).out)
        self.assertIn('there is no repository /srv/vault/typo', said['error']['message'])
        self.assertNotIn(OFFSITE, said['error']['hint'])

    def test_something_of_it_is_gone(self):
        self.backup()
        self.host.sh(f'find {VAULT}/data -type f | head -n 1 | xargs rm')
        done = self.backup(rc=5)
        self.assertIn('the backup is made, and a snapshot of it: the repository', done.all)
        self.assertIn('hint: something of it is damaged or gone', done.all)
        self.assertFalse(self.host.run('test', '-e', f'{OFFSITE}/working').rc == 0)      # nobody else's lock is taken away next time

    def test_a_disk_that_is_not_mounted(self):
        self.backup()
        self.host.sh(f'mv {VAULT} /root/vault')
        said = json.loads(self.backup(rc=1).out)        # one object, with the backup that is made all the same
        self.assertIn('is not there any more', said['error']['message'])
        self.assertEqual((said['ok'], said['exit'], self.host.sh(f"stat -c %s {said['path']}")), (False, 1, str(said['bytes'])))
        self.host.sh(f'[ ! -e {VAULT}/config ]; rm -rf {VAULT}; mv /root/vault {VAULT}')
        self.backup()
        self.to('/srv/none/acme')
        self.addCleanup(self.to, VAULT)
        self.assertIn('there is no folder /srv/none', self.backup(rc=3).out)
        self.assertEqual(self.host.sh('ls -d /srv/none 2>/dev/null || true'), '')

    def test_a_full_disk(self):
        self.host.sh(f'mkdir -p {VAULT}; mount -t tmpfs -o size=1m tmpfs {VAULT}; head -c 5000000 /dev/urandom >{MEDIA}/large')
        self.addCleanup(self.host.sh, f'umount {VAULT}; rm {MEDIA}/large')
        self.assertRegex(self.backup(rc=1).out, 'is on a disk that is full|No space left|no space left')
        self.host.sh(f'mount -o remount,size=100m {VAULT}')
        self.backup()
        self.restic('check')

    def test_killed_and_gone_on_with(self):
        self.backup()
        self.host.sh(f'head -c 30000000 /dev/urandom >{MEDIA}/large')
        self.addCleanup(self.host.sh, f'rm {MEDIA}/large')
        for after in ('1', '1.5', '2', '3', '4'):
            self.host.run('timeout', '-s', 'KILL', after, 'goldpath', 'backup', lib.SLUG, '--media')
        self.assertIn('snapshot', self.backup().out)
        self.assertEqual(self.restic('list', 'locks'), '')
        self.restic('check', '--read-data')

    def test_locked_by_somebody_else(self):
        self.backup()
        self.host.sh(f'''
            {{ (sleep 30; echo) | restic --repo {VAULT} --password-file {OFFSITE}/password backup --stdin --stdin-filename slow; }} >/dev/null 2>&1 &
            until [ -n "$(ls {VAULT}/locks)" ]; do sleep 0.1; done''')
        done = self.backup(rc=1)
        self.assertIn('is in use by somebody else', done.out)
        lib.wait_for(lambda: not self.host.sh(f'ls {VAULT}/locks'), 'the end of the other one', 60)
        self.backup()

    def test_credentials(self):
        self.host.write(CREDENTIALS, 'AWS_ACCESS_KEY_ID=an-access-key\nAWS_SECRET_ACCESS_KEY=a-very-secret-key\n', mode='0644')
        self.assertIn("is not root's alone", self.backup(rc=3).out)
        self.host.sh(f'chmod 600 {CREDENTIALS}')
        self.backup()
        self.host.write(CREDENTIALS, 'RESTIC_PASSWORD=x\n', mode='0600')
        self.assertIn('RESTIC_PASSWORD is set by goldpath', self.backup(rc=3).out)

    def test_nobody_else_sees_it(self):
        """Neither argument nor environment of what runs has a secret that others could read."""
        self.backup()
        self.host.sh(f'''
            head -c 30000000 /dev/urandom >{MEDIA}/large
            goldpath backup {lib.SLUG} --media >/dev/null 2>&1 & pid=$!
            : >/root/seen
            while [ -e /proc/$pid ]; do for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline >>/root/seen 2>/dev/null || true; done; sleep 0.05; done
            rm {MEDIA}/large''')
        seen = self.host.read('/root/seen')
        self.assertIn('restic', seen)
        self.assertNotIn(self.host.read(f'{OFFSITE}/password').strip(), seen)
        self.assertNotEqual(self.host.run('cat', f'{OFFSITE}/password', user='deploy').rc, 0)


if __name__ == '__main__':
    unittest.main()
