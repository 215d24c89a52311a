#!/usr/bin/python3
"""The rest of the host's baseline on a real host: updates, clock, journal, swap, kernel settings; and what stands in apt's way."""

import contextlib
import re
import time
import unittest

import lib

HOST_YAML = '/etc/goldpath/host.yaml'
UPGRADES = '/etc/apt/apt.conf.d/80goldpath-upgrades'
JOURNALD = '/etc/systemd/journald.conf.d/50-goldpath.conf'
SYSCTL = '/etc/sysctl.d/60-goldpath.conf'
KEY = '/proc/sys/net/ipv4/tcp_keepalive_time'    # one that each network namespace has of its own
HOLD = '''
import fcntl, sys, time
with open(sys.argv[1], 'a') as f:
    fcntl.lockf(f, fcntl.LOCK_EX)
    print('held', flush=True)
    time.sleep(float(sys.argv[2]))
'''


class Baseline(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'baseline')
        cls.yaml = cls.host.read(HOST_YAML) + '\n'

    def setUp(self):
        self.host.goldpath('provision')    # whatever the test before it left

    @contextlib.contextmanager
    def host_file(self, more):
        """host.yaml with more in it for a while."""
        self.host.write(HOST_YAML, self.yaml + more)
        try:
            yield
        finally:
            self.host.write(HOST_YAML, self.yaml)

    def lines(self, said):
        """The changes. systemd calls some units failed, not inactive, once they are masked."""
        return [line.replace('failed → running', 'inactive → running') for line in said.err.splitlines() if re.match(r'[-+~!] ', line)]

    def mends(self, *expected):
        """A dry run tells these lines, provision the same, and then there is nothing left."""
        dry = self.host.goldpath('provision', '--dry-run', rc=4)
        self.assertEqual(self.lines(dry), list(expected))
        self.assertEqual(self.lines(self.host.goldpath('provision')), list(expected))
        self.settled()

    def settled(self):
        done = self.host.goldpath('provision')
        self.assertEqual((done.out, self.lines(done)), ('0 changes\n', []))

    def error(self, done, what, hint):
        self.assertEqual(len(re.findall(r'(?m)^error: ', done.err)), 1, done)
        self.assertRegex(done.err, rf'(?m)^error: .*{what}')
        self.assertRegex(done.err, rf'(?m)^hint: .*{hint}')

    def test_1_as_it_should_be(self):
        self.settled()
        conf = self.host.sh('apt-config dump')
        for line in ('APT::Periodic::Update-Package-Lists "1";', 'APT::Periodic::Unattended-Upgrade "1";',
                     'Unattended-Upgrade::Automatic-Reboot "false";'):
            self.assertIn(line, conf.splitlines())
        self.assertEqual(self.host.sh('systemctl is-active apt-daily.timer apt-daily-upgrade.timer'), 'active\nactive')
        self.assertRegex(self.host.sh('unattended-upgrade --dry-run --verbose'), 'Allowed origins are: .*[Ss]ecurity')
        # in a container the clock is the host's: systemd itself leaves timesyncd out, and that is fine
        self.assertEqual(self.host.sh('systemctl is-enabled systemd-timesyncd'), 'enabled')
        self.assertEqual(self.host.sh('systemctl show -P ConditionResult systemd-timesyncd'), 'no')
        self.assertEqual(self.host.sh('systemd-analyze cat-config systemd/journald.conf | grep ^SystemMaxUse'), 'SystemMaxUse=500M')
        self.assertNotEqual(self.host.run('test', '-e', '/swapfile').rc, 0)

    def test_2_drift(self):
        timer, other = 'apt-daily.timer', 'apt-daily-upgrade.timer'
        restart = '~ run restart systemd-journald'
        for change, *expected in (
                (f'echo >>{UPGRADES}', f'~ file {UPGRADES}: content'),
                (f'rm {UPGRADES}', f'+ file {UPGRADES}'),
                (f'chmod 600 {UPGRADES}', f'~ file {UPGRADES}: mode 0600 → 0644'),
                (f'systemctl stop {timer}', f'~ unit {timer}: inactive → running'),
                (f'systemctl disable --now {timer}', f'~ unit {timer}: disabled → enabled', f'~ unit {timer}: inactive → running'),
                (f'systemctl mask --now {other}', f'~ unit {other}: masked → enabled', f'~ unit {other}: inactive → running'),
                (f'systemctl mask --now --runtime {timer}', f'~ unit {timer}: masked → enabled', f'~ unit {timer}: inactive → running'),
                ('systemctl mask --now redis-server', '~ unit redis-server.service: masked → enabled',
                 '~ unit redis-server.service: inactive → running'),
                # disabled, systemd forgets the unit, and with it that a start was left out: it is tried once more
                ('systemctl disable systemd-timesyncd', '~ unit systemd-timesyncd.service: disabled → enabled',
                 '~ unit systemd-timesyncd.service: inactive → running'),
                (f'sed -i s/500M/2G/ {JOURNALD}', f'~ file {JOURNALD}: content', restart),
                ('rm -r /etc/systemd/journald.conf.d', '+ folder /etc/systemd/journald.conf.d', f'+ file {JOURNALD}', restart),
                (f'echo "vm.swappiness = 1" >{SYSCTL}', f'- file {SYSCTL}')):
            with self.subTest(change):
                self.host.sh(change)
                self.mends(*expected)
        self.host.healthy(60)

    def test_3_services_log_on_while_journald_restarts(self):
        loop = 'i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.2; done'.replace('$', '$$')
        self.assertEqual(self.host.run('systemd-run', '--quiet', '--collect', '--unit', 'ticker', 'sh', '-c', loop).rc, 0)

        def ticks():
            return [int(n) for n in re.findall(r'(?m)^tick (\d+)$', self.host.sh('journalctl -o cat -u ticker'))]
        lib.wait_for(ticks, 'the first tick')
        with self.host_file('journal_max: 300M\n'):
            said = self.host.goldpath('provision')
            self.assertEqual(self.lines(said), [f'~ file {JOURNALD}: content', '~ run restart systemd-journald'])
            last = ticks()[-1]
            lib.wait_for(lambda: ticks()[-1] > last + 5, 'ticks after the restart')
            said = ticks()
            self.assertEqual(said, list(range(len(said))), 'none is missing')
        self.host.sh('systemctl stop ticker')

    def test_4_kernel_settings(self):
        old = self.host.read(KEY)
        with self.host_file('sysctl: {net.ipv4.tcp_keepalive_time: 600}\n'):
            self.mends(f'~ sysctl net.ipv4.tcp_keepalive_time: {old} → 600', f'+ file {SYSCTL}')
            self.assertEqual(self.host.read(KEY), '600')
            self.host.sh(f'echo 1234 >{KEY}')
            self.mends('~ sysctl net.ipv4.tcp_keepalive_time: 1234 → 600')
        with self.host_file('sysctl: {net.ipv4.tcp_keepalive_time: many}\n'):
            self.error(self.host.goldpath('provision', rc=1), "the kernel refuses 'many' for net.ipv4.tcp_keepalive_time: Invalid", 'docs.kernel')
        with self.host_file('sysctl: {net.ipv4.no_such_thing: 1}\n'):
            self.error(self.host.goldpath('provision', rc=3), 'this kernel has no setting net.ipv4.no_such_thing', 'spelt right')
        with self.host_file('sysctl: {vm.swappiness: 11}\n'):
            self.error(self.host.goldpath('provision', rc=1), 'vm.swappiness', 'in a container')
        self.assertEqual(self.host.read(KEY), '600')
        self.mends(f'- file {SYSCTL}')
        self.host.sh(f'echo {old} >{KEY}')

    def test_5_switched_off(self):
        with self.host_file('upgrades: off\ntime_sync: false\nswap: off\n'):
            self.mends(f'- file {UPGRADES}')
            self.assertEqual(self.host.sh("dpkg-query -W -f '${db:Status-Status}' unattended-upgrades"), 'installed')
        self.mends(f'+ file {UPGRADES}')
        with self.subTest('swap in a container'), self.host_file('swap: 1G\n'):
            done = self.host.goldpath('provision')
            self.assertEqual(self.lines(done), ['! swap /swapfile: in a container, swap is a matter of its host'])
            self.assertNotEqual(self.host.run('test', '-e', '/swapfile').rc, 0)
        with self.subTest('another time daemon'):
            self.host.sh('DEBIAN_FRONTEND=noninteractive apt-get install -y -q chrony')
            self.settled()
            self.assertNotEqual(self.host.run('systemctl', 'cat', 'systemd-timesyncd').rc, 0)
            self.host.sh('DEBIAN_FRONTEND=noninteractive apt-get purge -y -q chrony')
            self.mends('+ packages the baseline: systemd-timesyncd')

    def test_6_what_only_a_person_can_mend(self):
        name = self.host.sh('hostname')
        self.host.sh('touch /run/reboot-required; cp /etc/hosts /root/hosts; echo 127.0.0.1 localhost >/etc/hosts')
        try:
            done = self.host.goldpath('provision')
            self.assertEqual(self.lines(done), [
                f"! host {name}: its own name is not in /etc/hosts, sudo waits for DNS: add '127.0.1.1 {name}'",
                f'! host {name}: a reboot is required (/run/reboot-required)'])
        finally:
            self.host.sh('rm /run/reboot-required; cp /root/hosts /etc/hosts')
        self.settled()

    def test_7_apt_is_locked(self):
        for lock in ('/var/lib/dpkg/lock-frontend', '/var/lib/apt/lists/lock'):
            with self.subTest(lock), self.host_file('packages: [hello]\n'):
                self.host.sh('touch -d "2 days ago" /var/lib/apt/lists/partial')    # so that the lists are updated first
                self.host.sh('apt-get purge -y -q hello')
                holder = self.host.start_run('python3', '-c', HOLD, lock, '6')
                self.assertEqual(holder.stdout.readline(), 'held\n')
                start = time.monotonic()
                done = self.host.goldpath('provision')
                self.assertGreater(time.monotonic() - start, 4)
                self.assertRegex(done.err, r"(?m)^waiting for python3 \(pid \d+\), which holds apt's lock$")
                self.assertEqual(self.host.sh("dpkg-query -W -f '${db:Status-Status}' hello"), 'installed')
                holder.wait()
                holder.stdout.close()
                holder.stderr.close()

    def test_8_a_package_source_is_down(self):
        down = '/etc/apt/sources.list.d/down.list'
        self.host.sh('apt-get purge -y -q hello')
        self.host.write(down, 'deb [trusted=yes] http://127.0.0.1:9/debian down main\n')
        try:
            with self.subTest('and not needed'), self.host_file('packages: [hello]\n'):
                self.host.sh('touch -d "2 days ago" /var/lib/apt/lists/partial')
                done = self.host.goldpath('provision')
                self.assertRegex(done.err, r'(?m)^warning: a package source could not be read: http://127\.0\.0\.1:9/\S+: .*onnect')
            with self.subTest('and needed'), self.host_file('packages: [goldpath-no-such-package]\n'):
                done = self.host.goldpath('provision', rc=1)
                self.error(done, 'Unable to locate package goldpath-no-such-package', r'a package source could not be read: http://127\.0\.0\.1:9/')
        finally:
            self.host.sh(f'rm {down}; apt-get update -q')
        with self.subTest('a name that nobody has'), self.host_file('packages: [goldpath-no-such-package]\n'):
            self.error(self.host.goldpath('provision', rc=1), 'Unable to locate package', 'is the name right')
        self.settled()

    def test_9_the_disk_is_nearly_full(self):
        self.host.sh(f'apt-get purge -y -q hello; rm {UPGRADES}; mount -t tmpfs -o size=50M tmpfs /var/cache/apt/archives')
        try:
            with self.host_file('packages: [hello]\n'):
                done = self.host.goldpath('provision', rc=1)
                self.error(done, r'only 52 MB are free on /var/cache/apt/archives, and packages \(hello\) need up to 500 MB: nothing was changed',
                           '`df -h /var/cache/apt/archives`')
                self.assertEqual(self.lines(done), [])
                self.assertNotEqual(self.host.run('test', '-e', UPGRADES).rc, 0)
            self.mends(f'+ file {UPGRADES}')    # nothing to install: no room needed
        finally:
            self.host.sh('umount /var/cache/apt/archives')

    def test_b_the_clock_is_behind(self):
        """A sandbox cannot set its clock: a package source from the future is what apt sees then."""
        source, check = '/etc/apt/sources.list.d/future.list', '/etc/apt/apt.conf.d/zz-date'
        self.host.sh('command -v gpg >/dev/null || apt-get install -y -q gpg gpg-agent >/dev/null; apt-get purge -y -q hello')
        self.host.sh('''
            export GNUPGHOME=/root/gnupg-future; mkdir -m 700 $GNUPGHOME
            gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key future@example.com rsa2048 sign never
            mkdir -p /srv/future/dists/stable/main/binary-amd64; cd /srv/future; gpg --batch --quiet --export >key.gpg
            cd dists/stable; : >main/binary-amd64/Packages
            { echo 'Suite: stable'; echo "Date: $(LC_ALL=C date -Ru -d '+4 days')"; echo 'Components: main'; echo 'Architectures: amd64'; echo SHA256:
              echo " $(sha256sum main/binary-amd64/Packages | cut -d' ' -f1) 0 main/binary-amd64/Packages"; } >Release
            gpg --batch --quiet --pinentry-mode loopback --passphrase '' --clearsign -o InRelease Release''')
        self.host.write(source, 'deb [signed-by=/srv/future/key.gpg] file:/srv/future stable main\n')
        self.host.write(check, 'Acquire::Check-Date "true";\n')
        try:
            with self.host_file('packages: [hello]\n'):
                self.host.sh('touch -d "2 days ago" /var/lib/apt/lists/partial')
                done = self.host.goldpath('provision', rc=1)
                self.error(done, 'is not valid yet', "this host's clock is behind: `timedatectl`")
                self.assertNotEqual(self.host.run('dpkg', '-s', 'hello').rc, 0)
        finally:
            self.host.sh(f'rm -r {source} {check} /srv/future /root/gnupg-future; apt-get update -q')
        self.settled()

    def test_a_locale_that_is_not_there(self):
        self.host.sh(f'rm {UPGRADES}; apt-get purge -y -q hello')
        with self.host_file('packages: [hello]\n'):
            done = self.host.run('env', 'LANG=xx_YY.UTF-8', 'LC_ALL=xx_YY.UTF-8', 'LANGUAGE=xx', 'goldpath', 'provision', '--yes')
            self.assertEqual(done.rc, 0, done)
            self.assertEqual(self.lines(done), ['+ packages the baseline: hello', f'+ file {UPGRADES}'])
            self.assertNotIn('locale', done.all.lower())
        self.settled()


if __name__ == '__main__':
    unittest.main()
