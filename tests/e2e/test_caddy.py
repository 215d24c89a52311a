#!/usr/bin/python3
"""Caddy as goldpath keeps it: files of others that are broken, the admin API, ports that somebody else has, its own package repository."""

import re
import unittest

import lib

SITES = '/etc/caddy/sites-enabled'
OURS = f'{SITES}/sum-{lib.SLUG}.caddy'
YAML = f'/etc/goldpath/sites/{lib.SLUG}.yaml'
HOST = '/etc/goldpath/host.yaml'
CADDYFILE = '/etc/caddy/Caddyfile'
SOCKET = '/run/caddy/admin.sock'
REPO, PORT = '/srv/apt', 8099
SOURCES, KEY = '/etc/apt/sources.list.d/goldpath-caddy.sources', '/etc/apt/keyrings/goldpath-caddy.gpg'

# A signed repository with one package, by hand: apt-ftparchive is in no package that a host has anyway.
MAKE_REPO = r'''
export GNUPGHOME=/root/gnupg-$1; mkdir -pm 700 $GNUPGHOME
[ -e $GNUPGHOME/fpr ] || {
    gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key "caddy-$1@example.com" rsa2048 sign never
    gpg --batch --with-colons --list-keys | awk -F: '/^fpr/ { print $10; exit }' >$GNUPGHOME/fpr
}
version=9.9.9; pool=/srv/apt/pool; dist=/srv/apt/dists/any-version; bin=$dist/main/binary-$(dpkg --print-architecture)
mkdir -p $pool $bin /root/repack
if [ ! -e $pool/caddy_$version.deb ]; then
    cd /root/repack
    rm -rf tree; mkdir -p tree/DEBIAN
    for path in $(dpkg -L caddy); do [ -d $path ] || { mkdir -p tree$(dirname $path); cp -a $path tree$path; }; done
    dpkg-query -W -f='Package: caddy\nVersion: '$version'\nArchitecture: ${Architecture}\nMaintainer: ${Maintainer}\nDepends: ${Depends}\nDescription: caddy\n' caddy >tree/DEBIAN/control
    echo /etc/caddy/Caddyfile >tree/DEBIAN/conffiles
    dpkg-deb -Zgzip --build tree $pool/caddy_$version.deb
fi
cd /srv/apt
{ dpkg-deb -f pool/caddy_$version.deb
  echo "Filename: pool/caddy_$version.deb"
  echo "Size: $(stat -c %s pool/caddy_$version.deb)"
  echo "SHA256: $(sha256sum pool/caddy_$version.deb | cut -d' ' -f1)"; echo; } >$bin/Packages
cd $dist
rel=${bin#$dist/}/Packages
{ echo "Origin: test"; echo "Suite: any-version"; echo "Codename: any-version"; echo "Components: main"
  echo "Architectures: $(dpkg --print-architecture)"; echo "Date: $(LC_ALL=C date -Ru)"; echo SHA256:
  echo " $(sha256sum $rel | cut -d' ' -f1) $(stat -c %s $rel) $rel"; } >Release
rm -f InRelease; gpg --batch --quiet --pinentry-mode loopback --passphrase '' --clearsign -o InRelease Release
gpg --armor --export >/srv/apt/key.asc
cat $GNUPGHOME/fpr
'''


def changes(said):
    return [line for line in said.splitlines() if re.match('[-+~!] ', line)]


class Caddy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'caddy')
        cls.host.goldpath('provision')

    def tearDown(self):
        """Whatever a test left: the files of others gone, and nothing more to do."""
        self.host.sh(f'''find {SITES} -type f ! -name 'sum-{lib.SLUG}.caddy' -delete; rm -f {HOST}.bak
                         systemctl stop holder 2>/dev/null || true''')
        self.host.goldpath('provision')
        self.assertEqual(self.host.goldpath('provision').out.strip().splitlines()[-1], '0 changes')

    def site(self, name, says, more=''):
        self.host.write(f'{SITES}/{name}.caddy', f'{name}.test {{\n\ttls internal\n\trespond "{says}"\n{more}}}\n')

    def said(self, name):
        # A name that is new has its certificate a moment after the reload.
        return lib.wait_for(lambda: self.host.get('/', domain=f'{name}.test'), f'{name}.test answers').body.decode()

    def provision(self, *args, **kw):
        done = self.host.goldpath('provision', *args, **kw)
        return done.all

    # ------------------------------------------------------------ files of others

    def test_broken_neighbour(self):
        self.site('other', 'one')
        self.assertIn('~ run reload caddy', self.provision())
        self.assertEqual(self.said('other'), 'one')
        # Broken, and at the same time this site changes: the change goes live, and the neighbour's last good copy stays.
        self.site('other', 'two', '\tnonsense x\n')
        self.site('never', 'seen', '\toops\n')
        old = self.host.read(YAML) + '\n'
        self.host.write(YAML, old + 'aliases: [New.Acme.Test]\n')
        try:
            said = self.provision(lib.SLUG)
            self.assertRegex(said, rf'! .*{SITES}/other\.caddy:4: .*nonsense.*last good copy.*will not start anew')
            self.assertRegex(said, rf'! .*{SITES}/never\.caddy:4: .*oops.*left out')
            self.assertEqual(self.said('other'), 'one')
            self.assertEqual(self.host.get('/', domain='new.acme.test').status, 308)
            self.assertEqual(self.host.get('/health/').status, 200)
            # It is said again as long as it is so, and nothing is done about it.
            again = self.provision()
            self.assertIn('other.caddy:4', again)
            self.assertIn('0 changes', again)
        finally:
            self.host.write(YAML, old)
        self.site('other', 'three')
        self.host.sh(f'rm {SITES}/never.caddy')
        self.assertNotIn('!', self.provision())
        self.assertEqual(self.said('other'), 'three')
        self.assertEqual(self.host.sh('stat -c "%a %U" /var/lib/goldpath/caddy'), '700 root')
        self.assertEqual(self.host.sh('find /var/lib/caddy -user root'), '', 'what root left there Caddy cannot write')

    def test_broken_caddyfile(self):
        old = self.host.read(CADDYFILE) + '\n'
        self.host.write(CADDYFILE, old + 'x {\n')
        try:
            self.assertRegex(self.provision(), rf'! .*{CADDYFILE}:\d+')
            self.assertEqual(self.host.get('/health/').status, 200)
        finally:
            self.host.write(CADDYFILE, old)

    def test_neighbour_takes_our_name(self):
        self.host.write(f'{SITES}/aaa.caddy', f'{lib.DOMAIN} {{\n\ttls internal\n\trespond stolen\n}}\n')
        self.assertRegex(self.provision(), r'! .*aaa\.caddy.*ambiguous')
        self.assertEqual(self.host.get('/health/').status, 200)

    def test_edited_by_hand(self):
        """A goldpath site's file is mended whichever site is asked for."""
        self.host.write('/etc/goldpath/sites/second.yaml', self.host.read(YAML).replace(lib.DOMAIN, 'second.test') + '\n')
        try:
            self.host.goldpath('provision', 'second')
            self.host.sh(f'echo "garbage {{" >>{OURS}')
            said = self.provision('second')
            self.assertIn(f'~ file {OURS}: content', said)
            self.assertEqual(self.host.get('/health/').status, 200)
        finally:
            self.host.sh('rm /etc/goldpath/sites/second.yaml')
        self.assertIn(f'{SITES}/sum-second.caddy has no site file any more: goldpath remove second', self.provision())

    def test_import_line_gone(self):
        self.host.sh(f"sed -i '/^import/d' {CADDYFILE}")
        self.assertIn("add 'import /etc/caddy/sites-enabled/*.caddy'", self.provision())
        self.assertEqual(self.host.get('/health/').status, 200)

    # ------------------------------------------------------------ the admin API

    def test_admin(self):
        self.assertEqual(self.host.run('curl', '-s', 'http://localhost:2019/config/').rc, 7, 'nobody listens there')
        self.assertEqual(self.host.sh(f'stat -c "%a %U" /run/caddy; test -S {SOCKET}'), '700 caddy')
        self.assertNotEqual(self.host.run('curl', '-s', '--unix-socket', SOCKET, 'http://x/config/', user='deploy').rc, 0)
        self.host.sh('systemctl reload caddy; systemctl restart caddy; systemctl reload caddy')
        self.assertEqual(self.host.get('/health/').status, 200)

    def test_admin_moves_without_a_restart(self):
        """A host that an earlier version set up: the API leaves port 2019, the process stays."""
        self.host.sh(f'''sed -i '/admin unix/d' {CADDYFILE}
                         rm -r /etc/systemd/system/caddy.service.d; systemctl daemon-reload; systemctl restart caddy; rm -rf /run/caddy''')
        self.assertEqual(self.host.run('curl', '-sf', 'http://localhost:2019/config/').rc, 0)
        pid = self.host.sh('systemctl show -P MainPID caddy')
        dry = self.provision('--dry-run', rc=4)
        done = self.provision()
        self.assertEqual(changes(dry), changes(done))
        self.assertEqual(self.host.sh('systemctl show -P MainPID caddy'), pid)
        self.test_admin()

    def test_admin_of_somebody_else(self):
        self.host.sh(f"sed -i 's#admin unix.*#admin localhost:2020#' {CADDYFILE}")
        try:
            self.assertRegex(self.provision(), r"! .*'admin localhost:2020' is there and stays")
            self.assertEqual(self.host.run('curl', '-sf', 'http://localhost:2020/config/').rc, 0)
        finally:
            self.host.sh(f"sed -i '/admin localhost/d' {CADDYFILE}")
        self.provision()
        self.test_admin()

    # ------------------------------------------------------------ ports

    def test_port_taken(self):
        self.host.sh('systemctl stop caddy; systemd-run -q -u holder python3 -m http.server 80')
        lib.wait_for(lambda: self.host.run('curl', '-s', 'http://localhost/').rc == 0, 'somebody on port 80')
        for args in ((), ('--dry-run',)):
            done = self.host.goldpath('provision', *args, rc=7)
            self.assertRegex(done.err, r'port 80 is taken by python3 \(pid \d+\)')
            self.assertIn('systemctl disable --now holder.service', done.err)
        self.host.sh('systemctl stop holder')
        self.assertIn('caddy.service: inactive → running', self.provision())

    # ------------------------------------------------------------ a package repository of Caddy's

    def repository(self, key):
        """Serve one, signed by this key; its fingerprint."""
        self.host.sh('command -v gpg >/dev/null || apt-get install -y -q gpg gpg-agent >/dev/null')
        self.host.write('/root/make-repo', MAKE_REPO)
        fingerprint = self.host.sh(f'sh -eu /root/make-repo {key}').splitlines()[-1]
        self.host.sh(f'systemctl is-active -q repo || systemd-run -q -u repo python3 -m http.server -d {REPO} --bind 127.0.0.1 {PORT}')
        lib.wait_for(lambda: self.host.run('curl', '-s', f'http://127.0.0.1:{PORT}/').rc == 0, 'the repository')
        return fingerprint

    def ask_for(self, fingerprint):
        text = re.sub(r'(?ms)^caddy:.*', '', self.host.read(HOST)).rstrip()
        where = f'{{repository: "http://127.0.0.1:{PORT}", key: "http://127.0.0.1:{PORT}/key.asc", fingerprint: {fingerprint}}}'
        self.host.write(HOST, text + f'\ncaddy: {where if fingerprint else "distribution"}\n')

    def written(self):
        return self.host.sh(f'ls {SOURCES} {KEY} 2>/dev/null || true')

    def test_repository(self):
        good = self.repository('good')
        before = self.host.sh("dpkg-query -W -f='${Version}' caddy")
        # Another key than the pinned one: nothing is written.
        self.ask_for('0' * 40)
        done = self.host.goldpath('provision', rc=1)
        self.assertIn(good, done.err)
        self.assertIn('0' * 40, done.err)
        self.assertEqual(self.written(), '')
        # The right key, but the repository is signed by another one.
        self.host.sh(f'cp {REPO}/key.asc /root/good.asc')
        self.repository('bad')
        self.host.sh(f'cp /root/good.asc {REPO}/key.asc')
        self.ask_for(good)
        self.host.goldpath('provision', rc=1)
        self.assertEqual(self.written(), '')
        # The key can be had, the repository cannot.
        self.repository('good')
        self.host.sh(f'mv {REPO}/dists {REPO}/away')
        done = self.host.goldpath('provision', rc=1)
        self.assertIn(f'http://127.0.0.1:{PORT}', done.err)
        self.assertIn('hint: ', done.err)
        self.assertEqual(self.written(), '')
        self.host.sh(f'mv {REPO}/away {REPO}/dists; systemctl stop repo')
        done = self.host.goldpath('provision', rc=1)
        self.assertIn(f'http://127.0.0.1:{PORT}/key.asc', done.err)
        self.assertEqual(self.written(), '')
        self.assertEqual(self.host.sh("dpkg-query -W -f='${Version}' caddy"), before)
        # All is well.
        self.repository('good')
        dry = self.provision('--dry-run', rc=4)
        self.assertRegex(dry, rf'~ package caddy: {re.escape(before)} → from ')
        # The package restarts Caddy, which must not be when it would not come back.
        self.site('broken', 'x', '\tnonsense x\n')
        self.assertIn('broken.caddy:4', self.host.goldpath('provision', rc=1).err)
        self.assertEqual(self.host.sh("dpkg-query -W -f='${Version}' caddy"), before)
        self.host.sh(f'rm {SITES}/broken.caddy')
        done = self.provision()
        self.assertRegex(done, rf'~ package caddy: {re.escape(before)} → from ')
        self.assertEqual(self.host.sh("dpkg-query -W -f='${Version}' caddy"), '9.9.9')
        self.assertEqual(self.host.sh(f'stat -c "%a %U" {SOURCES} {KEY}'), '644 root\n644 root')
        self.assertIn(f'Signed-By: {KEY}', self.host.read(SOURCES))
        self.host.sh('systemctl restart caddy')
        self.assertEqual(self.host.get('/health/').status, 200)
        self.host.sh('systemctl stop repo')
        self.assertIn('0 changes', self.provision())
        # A key that somebody put in its place is seen.
        self.host.sh(f'rm {KEY}')
        self.assertIn('its key', self.provision('--dry-run', rc=4))
        # And back: the source goes, the newer package stays.
        self.ask_for(None)
        self.assertIn(f'- package source {SOURCES}', self.provision())
        self.assertEqual(self.written(), '')


class Bare(unittest.TestCase):
    """Before anything is installed."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.Host(cls, 'bare', 'bookworm')
        cls.host.install()
        cls.host.goldpath(*lib.INIT)

    def test_port_taken(self):
        """Debian's package would start its server at once, and fail."""
        listen = '@ARGV = IO::Socket::INET->new(LocalPort => 80, Listen => 1, ReuseAddr => 1) or die; sleep 1000'
        self.host.sh(f"systemd-run -q -u holder perl -MIO::Socket::INET -e '{listen}'")
        lib.wait_for(lambda: ' 00000000:0050 00000000:0000 0A' in self.host.read('/proc/net/tcp'), 'somebody on port 80')
        done = self.host.goldpath('provision', rc=7)
        self.assertRegex(done.err, r'port 80 is taken by perl \(pid \d+\)')
        self.assertIn('systemctl disable --now holder.service', done.err)
        self.assertNotEqual(self.host.run('dpkg', '-s', 'caddy').rc, 0)
        self.host.sh('systemctl stop holder')

    def test_dry_run(self):
        """What the package brings is not announced; what it does not, is."""
        said = [line for line in changes(self.host.goldpath('provision', '--dry-run', rc=4).err) if 'caddy' in line.lower()]
        self.assertEqual([line for line in said if 'baseline' not in line], [
            f'+ folder {SITES}',
            f"~ line in {CADDYFILE}: add 'import /etc/caddy/sites-enabled/*.caddy'",
            '+ folder /etc/systemd/system/caddy.service.d',
            '+ file /etc/systemd/system/caddy.service.d/goldpath.conf',
            f'+ file {OURS}',
            '+ folder /run/caddy',
            f"~ option in {CADDYFILE}: add 'admin unix/{SOCKET}'",
            f"~ option in {CADDYFILE}: add 'grace_period 30s'",
            '~ run reload caddy',
        ])


if __name__ == '__main__':
    unittest.main()
