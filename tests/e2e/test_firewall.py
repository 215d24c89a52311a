#!/usr/bin/python3
"""The firewall of a live host: what breaks it is found by a dry run and mended by provision, what others did to it is told of and stays,
and ssh is never shut out. Connections are tried from this machine."""

import re
import unittest

import lib

FAILED, PENDING, REFUSED = 1, 4, 7
SSH_PORTS = (22, 2222)
PORTS = [f'{port}/tcp' for port in SSH_PORTS] + ['80/tcp', '443/tcp', '443/udp']
EVERY_PORT = [f'+ allow {port}' for port in PORTS]
# ufw keeps what it takes away under the second's name, and refuses to do it twice in one.
RESET = 'rm -f /etc/ufw/*.rules.2*; ufw --force reset'
LOAD = '~ load: its rules are not in the kernel'

# (what, how it is broken, what provision has to do)
BREAKAGES = (
    ('a rule removed', 'ufw delete allow 443/tcp', ['+ allow 443/tcp']),
    ('the rule for HTTP/3 removed', 'ufw delete allow 443/udp', ['+ allow 443/udp']),
    ('the rule of the second ssh port removed', 'ufw delete allow 2222/tcp', ['+ allow 2222/tcp']),
    ('a rule of IPv6 removed', r"sed -i '/### tuple ### allow tcp 80 ::/,+1d' /etc/ufw/user6.rules; ufw reload", ['+ allow 80/tcp']),
    ('a rule that lets in some only', 'ufw delete allow 80/tcp; ufw allow from 10.99.0.0/16 to any port 80 proto tcp', ['+ allow 80/tcp']),
    ('incoming allowed by default', 'ufw default allow incoming', ['~ default deny incoming']),
    ('disabled', 'ufw disable', ['~ enable']),
    ('not started at boot', 'systemctl disable --quiet ufw', ['~ start at boot']),
    ('chains emptied', 'iptables -F', [LOAD]),
    ('chains of IPv6 emptied', 'ip6tables -F', [LOAD]),
    ('the chain of the rules emptied', 'iptables -F ufw-user-input', [LOAD]),
    ('only the way into the chains gone', 'iptables -F INPUT', [LOAD]),
    ('chains gone', 'for t in iptables ip6tables; do $t -P INPUT ACCEPT; $t -F; $t -X; done', [LOAD]),
    ('emptied, then disabled', 'iptables -F; ufw disable', ['~ enable']),
    ('emptied, and a rule removed', 'iptables -F; ufw delete allow 443/udp', ['+ allow 443/udp', LOAD]),
    ('reset', RESET, [*EVERY_PORT, '~ enable']),
    ('all at once', RESET + '; ufw default allow incoming; systemctl disable --quiet ufw',
     [*EVERY_PORT, '~ default deny incoming', '~ start at boot', '~ enable']),
)

# (ufw's arguments, what is said of the rule)
FOREIGN = (
    ('allow from 10.99.0.0/16 to any port 8080 proto tcp', 'allow 8080/tcp from 10.99.0.0/16'),
    ('allow 5432/tcp', 'allow 5432/tcp opens 5432 to the world: `ufw delete allow 5432/tcp`'),
    ('allow 6000:7000/tcp', 'allow 6000:7000/tcp opens 6379 to the world: `ufw delete allow 6000:7000/tcp`'),
    ('allow in on wg0 to any port 5432 proto tcp', 'allow 5432/tcp on wg0'),
    ('allow from 10.99.0.0/16 to any port 6379 proto tcp', 'allow 6379/tcp from 10.99.0.0/16'),
    ('deny from 192.0.2.7', 'deny anywhere from 192.0.2.7'),
    ('deny out 25/tcp', 'deny out 25/tcp'),
    ('route allow in on wg0 out on eth0', 'route allow anywhere in on wg0 out on eth0'),
    ('allow 9000/tcp comment metrics', 'allow 9000/tcp'),
    ("allow 'WWW Cache'", 'allow WWW Cache'),
)


class Firewall(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'firewall')
        cls.host.write('/etc/ssh/sshd_config.d/second.conf', ''.join(f'Port {port}\n' for port in SSH_PORTS))
        cls.host.sh('systemctl restart ssh')
        cls.host.goldpath('provision')
        cls.yaml = cls.host.read('/etc/goldpath/host.yaml')

    def tearDown(self):
        """As the next test wants it, whatever this one left."""
        self.doCleanups()
        self.host.write('/etc/goldpath/host.yaml', self.yaml + '\n')
        self.host.sh(f'systemctl unmask --quiet ufw; {RESET}')
        self.host.goldpath('provision')

    def lines(self, *args):
        """What goldpath says about the firewall: "+ allow 80/tcp"."""
        said = self.host.goldpath('provision', *args, rc=None if args else 0)
        lines = [f'{mark} {what}' for mark, what in re.findall(r'^(\S) firewall ufw: (.*)$', said.err, re.M)]
        if args and LOAD in lines:      # a host that cannot reach its own Redis: what depends on that cannot be looked at
            self.assertIn(said.rc, (PENDING, FAILED), str(said))
        elif args:
            self.assertEqual(said.rc, PENDING if any(line[0] != '!' for line in lines) else 0, str(said))
        return lines

    def set(self, text):
        self.host.write('/etc/goldpath/host.yaml', f'{self.yaml}\n{text}\n')

    def reachable(self, *ports):
        for port in ports or SSH_PORTS:
            with self.subTest(port=port), lib.socket.create_connection((self.host.ip, port), timeout=5) as connection:
                if port in SSH_PORTS:
                    self.assertTrue(connection.recv(64).startswith(b'SSH-'))

    def shut(self, port):
        with self.assertRaises(OSError):
            lib.socket.create_connection((self.host.ip, port), timeout=1)

    def test_breakages(self):
        self.host.sh('systemd-run --quiet --unit probe python3 -m http.server 8999')
        self.addCleanup(self.host.sh, 'systemctl stop probe')
        for what, breaks, wanted in BREAKAGES:
            with self.subTest(what):
                self.host.sh(breaks)
                dry = [line for line in self.lines('--dry-run') if not line.startswith('!')]
                self.assertEqual(dry, wanted)
                done = [line for line in self.lines() if not line.startswith('!')]
                self.assertEqual(done, wanted)
                self.assertTrue(self.host.goldpath('provision').out.endswith('0 changes\n'))
                self.reachable(*SSH_PORTS, 80, 443)
                self.shut(8999)
                self.assertRegex(self.host.sh('ufw status verbose'), r'Status: active\n(.*\n)*Default: deny \(incoming\)')
                self.assertEqual(self.host.sh('systemctl is-enabled ufw'), 'enabled')

    def test_ipv6_switched_off_stays_so(self):
        self.addCleanup(self.host.sh, "sed -i 's/^IPV6=.*/IPV6=yes/' /etc/default/ufw; ufw reload")
        self.host.sh("sed -i 's/^IPV6=.*/IPV6=no/' /etc/default/ufw; ufw reload; ufw delete allow 443/udp")
        self.assertEqual(self.lines(), ['+ allow 443/udp'])
        self.assertEqual(self.lines(), [])
        self.assertIn('IPV6=no', self.host.read('/etc/default/ufw'))
        # ufw's rules for lo, which it leaves in the kernel, are no firewall of somebody else's
        self.host.sh('ufw disable')
        self.assertEqual(self.lines(), ['~ enable'])
        self.reachable()

    def test_rules_of_others(self):
        for argv, _ in FOREIGN:
            self.host.sh(f'ufw {argv}')
        before = self.host.sh('ufw show added')
        wanted = sorted(f'! foreign rule: {words}' for _, words in FOREIGN)
        for args in (('--dry-run',), (), ()):
            self.assertEqual(sorted(self.lines(*args)), wanted)
        self.assertEqual(self.host.sh('ufw show added'), before)
        for command in re.findall(r'`(.*?)`', '\n'.join(wanted)):
            self.host.sh(command)
        self.assertFalse([line for line in self.lines() if 'world' in line])

    def test_many_rules_of_others(self):
        rules = ''.join(f'### tuple ### deny any any 0.0.0.0/0 any 10.99.{i // 250}.{i % 250 + 1} in\n'
                        f'-A ufw-user-input -s 10.99.{i // 250}.{i % 250 + 1} -j DROP\n\n' for i in range(3000))
        self.host.write('/root/rules', rules)
        self.host.sh("sed -i '/^### RULES ###/r /root/rules' /etc/ufw/user.rules; ufw reload")
        said = self.lines()
        self.assertEqual(len(said), 51)
        self.assertEqual(said[-1], '! and 2950 more foreign rules: `ufw status` shows them')
        self.reachable()

    def test_a_file_that_is_no_rules_file(self):
        self.host.sh(r"printf '### tuple ### allow tcp \000 $(id)\n### tuple ### what is this\n%70000s\n' x >>/etc/ufw/user.rules")
        self.assertEqual(len(self.lines()), 1)
        self.assertRegex(self.lines()[0], r'^! /etc/ufw/user.rules: 2 rules that cannot be read, the first in line \d+$')

    def test_ports_of_the_host(self):
        self.set('ports: [8080, 51820/udp, 443/udp]')
        self.assertEqual(self.lines('--dry-run'), ['+ allow 8080/tcp', '+ allow 51820/udp'])
        self.assertEqual(self.lines(), ['+ allow 8080/tcp', '+ allow 51820/udp'])
        self.assertEqual(self.lines(), [])
        self.set('ports: [8080]')
        self.assertEqual(self.lines(), ['! foreign rule: allow 51820/udp'])
        self.set('ports: [5432]')
        self.assertIn('never opened', self.host.goldpath('provision', rc=3).err)

    def test_ssh_is_not_shut_out(self):
        for rule, again in (('deny 2222/tcp', True), ('prepend reject 22', True), ('prepend deny to any', True),
                            ('prepend deny in on eth0 to any port 22', True), (f'prepend deny to {self.host.ip} port 22', True),
                            ('limit 22/tcp', False), ('prepend deny from 192.0.2.7 to any port 22', False)):
            with self.subTest(rule):
                self.host.sh(f'{RESET}; for p in {" ".join(PORTS)}; do ufw allow $p; done; ufw {rule}')
                if again:
                    for args in (('--dry-run',), ()):
                        said = self.host.goldpath('provision', *args, rc=REFUSED)
                        self.assertRegex(said.err, r"error: .*sshd listens on (22|2222): to enable it would lock you out")
                    self.assertIn('inactive', self.host.sh('ufw status'))
                    self.reachable()
                    self.host.sh(re.search(r'^hint: `(ufw .*?)`', said.err, re.M)[1])
                self.lines()
                self.assertIn('Status: active', self.host.sh('ufw status'))
                self.reachable()

    def test_a_rule_in_force_that_shuts_a_port(self):
        self.host.sh('ufw deny 80/tcp; ufw limit 443/tcp')
        wanted = ["! 80/tcp is shut by a rule 'deny 80/tcp': `ufw delete deny 80/tcp`",
                  "! 443/tcp is shut by a rule 'limit 443/tcp': `ufw delete limit 443/tcp`"]
        self.assertEqual(self.lines('--dry-run'), wanted)
        self.assertEqual(self.lines(), wanted)
        self.host.sh('ufw delete deny 80/tcp; ufw delete limit 443/tcp')
        self.assertEqual(self.lines(), ['+ allow 80/tcp', '+ allow 443/tcp'])

    def test_masked(self):
        self.host.sh('systemctl mask --quiet ufw')
        said = self.host.goldpath('provision', rc=REFUSED)
        self.assertIn('systemctl unmask ufw.service', said.err)

    def test_off(self):
        self.set('firewall: off')
        self.host.sh('ufw disable; ufw allow 5432/tcp')
        self.assertEqual(self.lines(), [])
        self.assertIn('inactive', self.host.sh('ufw status'))

    def test_rules_of_its_own(self):
        """Whoever has a firewall keeps it; the two keys of the hint do what they say. Rules of fail2ban are none."""
        self.host.sh('ufw disable; iptables -F; iptables -X; ip6tables -F; ip6tables -X')
        self.addCleanup(self.host.sh, 'iptables -F; iptables -t nat -F; iptables -X; iptables -t nat -X; ip6tables -F; ip6tables -X')
        cases = (
            ('iptables -A INPUT -p tcp --dport 9 -j DROP', 'iptables -F', 'there are rules in table ip filter, chain INPUT'),
            ('ip6tables -A INPUT -p tcp --dport 9 -j DROP', 'ip6tables -F', 'there are rules in table ip6 filter, chain INPUT'),
            ('iptables -t nat -N DOCKER; iptables -t nat -A DOCKER -i docker0 -j RETURN', 'iptables -t nat -F; iptables -t nat -X',
             'there are rules in table ip nat, chain DOCKER'),
            ('iptables -N f2b-sshd; iptables -A f2b-sshd -s 192.0.2.7 -j DROP; iptables -I INPUT -p tcp --dport 22 -j f2b-sshd',
             'iptables -F; iptables -X', None),
        )
        for make, unmake, found in cases:
            with self.subTest(make):
                self.host.sh(make)
                if not found:
                    self.assertEqual(self.lines('--dry-run'), ['~ enable'])
                for args in (('--dry-run',), ()) if found else ():
                    said = self.lines(*args)
                    self.assertEqual(len(said), 1)
                    self.assertIn(f'! left alone: {found}; `firewall: ufw` in host.yaml', said[0])
                    self.assertIn('inactive', self.host.sh('ufw status'))
                self.host.sh(unmake)
        self.host.sh(cases[0][0])
        self.set('firewall: off')
        self.assertEqual(self.lines(), [])
        self.set('firewall: ufw')
        self.assertEqual(self.lines(), ['~ enable'])
        self.assertIn('--dport 9 -j DROP', self.host.sh('iptables-save'))
        # enabled: nobody asks any more
        self.set('firewall: auto')
        self.assertEqual(self.lines(), [])

    def test_tables_of_nft(self):
        self.host.sh('DEBIAN_FRONTEND=noninteractive apt-get install -y -q nftables; ufw disable')
        self.addCleanup(self.host.sh, 'systemctl disable --now --quiet nftables; nft delete table inet filter || true')
        self.host.sh('systemctl enable --now --quiet nftables')
        self.assertEqual(len(self.lines()), 1)
        self.assertIn('! left alone: nftables.service is active, with table inet filter;', self.lines()[0])
        self.host.sh('systemctl stop nftables; nft add table inet mine; nft add chain inet mine input')
        self.assertEqual(self.lines('--dry-run'), ['~ enable'])     # nothing in it
        self.host.sh('nft add rule inet mine input tcp dport 9 drop')
        self.assertIn('! left alone: there are rules in table inet mine, chain input;', self.lines()[0])
        self.host.sh('nft delete table inet mine')
        self.assertEqual(self.lines(), ['~ enable'])

    def test_as_announced_where_ufw_is_not_installed(self):
        self.host.sh('ufw disable; DEBIAN_FRONTEND=noninteractive apt-get purge -y -q ufw; rm -rf /etc/ufw')
        announced = self.lines('--dry-run')
        self.assertEqual(announced, [*EVERY_PORT, '~ enable'])
        self.assertEqual(self.lines(), announced)
        self.assertEqual(self.lines(), [])
        self.reachable()

    def test_a_run_that_finds_nothing_starts_no_program_for_it(self):
        self.host.sh('mv /usr/sbin/ufw /usr/sbin/ufw.away; mv /usr/sbin/iptables /usr/sbin/iptables.away')
        self.addCleanup(self.host.sh, 'mv /usr/sbin/ufw.away /usr/sbin/ufw; mv /usr/sbin/iptables.away /usr/sbin/iptables')
        self.assertEqual(self.lines(), [])


if __name__ == '__main__':
    unittest.main(verbosity=2)
