#!/usr/bin/python3
"""Drift: each kind is broken on a real host, seen by plan, mended by provision, and gone. And what plan says is what provision does."""

import json
import unittest

import lib

UNITS = '/etc/systemd/system'
GUNICORN, CELERY = f'sum-{lib.SLUG}-gunicorn.service', f'sum-{lib.SLUG}-celery.service'
TIMER = f'sum-{lib.SLUG}-backup.timer'
ENV = f'{lib.SITE}/.env'
CADDY = f'/etc/caddy/sites-enabled/sum-{lib.SLUG}.caddy'
ROLE = 'acme_kitchens'


def psql(sql):
    return f"runuser -u postgres -- psql -qtAXc \"{sql}\""


# name, what breaks it, what plan says (marker and words that stand in a line), what shows that it is mended
TABLE = (
    ('unit edited', f'echo "# x" >>{UNITS}/{GUNICORN}', f'~ file {UNITS}/{GUNICORN}: content', None),
    ('unit removed', f'rm {UNITS}/{CELERY}', f'+ file {UNITS}/{CELERY}', None),
    ('unit masked', f'mv {UNITS}/{GUNICORN} /root/x && ln -s /dev/null {UNITS}/{GUNICORN} && systemctl daemon-reload',
     f'~ file {UNITS}/{GUNICORN}: a symlink to /dev/null → a file', None),
    ('unit disabled', f'systemctl -q disable {GUNICORN}', f'~ unit {GUNICORN}: disabled → enabled', f'systemctl -q is-enabled {GUNICORN}'),
    ('unit stopped', f'systemctl stop {CELERY}', f'~ unit {CELERY}: inactive → running', f'systemctl -q is-active {CELERY}'),
    ('timer edited', f'sed -i s/Persistent=true/Persistent=false/ {UNITS}/{TIMER}', f'~ file {UNITS}/{TIMER}: content', None),
    ('timer stopped', f'systemctl stop {TIMER}', f'~ unit {TIMER}: inactive → running', f'systemctl -q is-active {TIMER}'),
    ('timer disabled', f'systemctl -q disable {TIMER}', f'~ unit {TIMER}: disabled → enabled', f'systemctl -q is-enabled {TIMER}'),
    ('mode of a unit', f'chmod 0600 {UNITS}/{GUNICORN}', f'~ file {UNITS}/{GUNICORN}: mode 0600 → 0644', None),
    ('drop-in added', f'mkdir {UNITS}/{GUNICORN}.d && printf "[Service]\\nUMask=0\\n" >{UNITS}/{GUNICORN}.d/evil.conf && systemctl daemon-reload',
     f'- drop-in of {GUNICORN}: {UNITS}/{GUNICORN}.d/evil.conf',
     f'! test -e {UNITS}/{GUNICORN}.d && [ "$(systemctl show -P UMask {GUNICORN})" = 0002 ] && grep -q UMask=0 '
     f'/var/lib/goldpath/{lib.SLUG}/removed/*{GUNICORN}-evil.conf'),
    ('property set at run time', f'systemctl set-property --runtime {CELERY} CPUWeight=1',
     f'- drop-in of {CELERY}: /run/systemd/', None),
    ('Caddy file edited', f"sed -i 's/nosniff/no/' {CADDY}", f'~ file {CADDY}: content', None),
    ('Caddy file removed', f'rm {CADDY}', f'+ file {CADDY}', None),
    ('import line gone', "sed -i '/^import/d' /etc/caddy/Caddyfile", '~ line in /etc/caddy/Caddyfile: add', None),
    ('caddy out of www-data', 'gpasswd -d caddy www-data', '+ membership caddy in www-data', 'id -nG caddy | grep -qw www-data'),
    ('sudoers edited', f'echo "deploy ALL=(ALL) NOPASSWD: ALL" >>/etc/sudoers.d/goldpath-{lib.SLUG}',
     f'~ file /etc/sudoers.d/goldpath-{lib.SLUG}: content', '! runuser -u deploy -- sudo -n id'),
    ('mode of sudoers', f'chmod 0644 /etc/sudoers.d/goldpath-{lib.SLUG}', f'sudoers.d/goldpath-{lib.SLUG}: mode 0644 → 0440', None),
    ('mode of .env', f'chmod 0644 {ENV}', f'~ environment {ENV}: mode 0644 → 0600', None),
    ('owner of .env', f'chown root:root {ENV}', f'~ environment {ENV}: owner root → deploy', None),
    ('.env key missing', f'sed -i /^SITE_DOMAIN=/d {ENV}', f'+ environment {ENV}: SITE_DOMAIN', f'grep -q ^SITE_DOMAIN= {ENV}'),
    ('copy of .env', f'echo "A=b" >>/var/lib/goldpath/{lib.SLUG}/site.env', f'~ environment /var/lib/goldpath/{lib.SLUG}/site.env', None),
    ('folder removed', f'rm -r {lib.SITE}/backups', f'+ folder {lib.SITE}/backups', None),
    ('owner of a folder', f'chown root {lib.SITE}/media', f'~ folder {lib.SITE}/media: owner root → deploy', None),
    ('mode of a folder', f'chmod 0777 {lib.SITE}/releases', f'~ folder {lib.SITE}/releases: mode 0777', None),
    ('symlink for a folder', f'rmdir {lib.SITE}/backups && mkdir -p /root/none && ln -s /root/none {lib.SITE}/backups',
     f'~ folder {lib.SITE}/backups: a symlink to /root/none', f'test -d {lib.SITE}/backups && ! test -L {lib.SITE}/backups'),
    ('helper name', 'ln -sfn /bin/true /srv/sum/bin/deploy.sh', '~ symlink /srv/sum/bin/deploy.sh: /bin/true → /usr/bin/goldpath', None),
    ("role's right", psql(f'alter role {ROLE} superuser createdb'), f'~ database role {ROLE}: superuser, createdb → none of that', None),
    ('connection limit', psql(f'alter role {ROLE} connection limit 1000'), f'~ database role {ROLE}: connection limit 1000', None),
    ('password', psql(f"alter role {ROLE} password 'another'"), f'~ database role {ROLE}: password is not the one in {ENV}', None),
    ('password by md5', psql(f"set password_encryption = md5; alter role {ROLE} password 'x'"), f'~ database role {ROLE}: password → stored', None),
    ('database open to all', psql(f'grant connect on database {ROLE} to public'), f'~ database {ROLE}: every role may connect', None),
    ("database's owner", psql(f'alter database {ROLE} owner to postgres'), f'~ database {ROLE}: owner postgres → {ROLE}', None),
    ('Redis stopped', 'systemctl stop redis-server', '~ unit redis-server.service: inactive → running', 'redis-cli ping'),
    ('Redis disabled', 'systemctl -q disable redis-server', '~ unit redis-server.service: disabled → enabled', None),
    ('Redis set otherwise', 'redis-cli config set maxmemory-policy allkeys-lru', '~ redis running: maxmemory-policy allkeys-lru → volatile-lru',
     'redis-cli config get maxmemory-policy | grep -qx volatile-lru'),
    ('Redis file edited', "sed -i 's/^bind .*/bind 0.0.0.0/' /etc/redis/goldpath.conf", '~ file /etc/redis/goldpath.conf: content', None),
    ('Redis listens outside', 'redis-cli config set protected-mode no && redis-cli config set bind 0.0.0.0',
     '~ redis on 127.0.0.1:6379: listens on 0.0.0.0 → loopback only', '! ss -ltn | grep 0.0.0.0:6379'),
    ('Redis include gone', "sed -i '/goldpath/d' /etc/redis/redis.conf", '~ line in /etc/redis/redis.conf: add', None),
    ('Postgres stopped', 'systemctl stop postgresql postgresql@*', '~ unit postgresql.service: inactive → running', None),
    ('deploy out of the group', f'gpasswd -d deploy sum-{lib.SLUG}', f'+ membership deploy in sum-{lib.SLUG}', None),
    ('package removed', 'DEBIAN_FRONTEND=noninteractive apt-get remove -y -qq libpq-dev', '+ packages the baseline: libpq-dev',
     'dpkg-query -W libpq-dev'),
)

# what a person has to decide: reported, never touched
ATTENTION = (
    ('setting in .env', f"sed -i 's/^SITE_DOMAIN=.*/SITE_DOMAIN=other.test/' {ENV}", f"! environment {ENV}: SITE_DOMAIN is 'other.test'",
     f'grep -q other.test {ENV}', f"sed -i 's/^SITE_DOMAIN=.*/SITE_DOMAIN={lib.DOMAIN}/' {ENV}"),
    ('group of the role', psql(f'grant pg_monitor to {ROLE}'), f'! database role {ROLE}: is a member of pg_monitor',
     psql(f"select 1/count(*) from pg_auth_members where member = '{ROLE}'::regrole"), psql(f'revoke pg_monitor from {ROLE}')),
)


class Drift(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.live(cls, 'drift')
        cls.secrets = cls.host.secrets()

    def changes(self, *argv, rc):
        done = self.host.goldpath(*argv, '--json', rc=rc)
        for secret in self.secrets:
            self.assertNotIn(secret, done.all)
        return json.loads(done.out.splitlines()[0])['changes']

    def lines(self, changes):
        return [f'{c["mark"]} {c["what"]}' for c in changes]

    def assert_said(self, words, lines):
        self.assertTrue(any(words in line for line in lines), f'"{words}" is not in\n' + '\n'.join(lines))

    def test_each_kind(self):
        self.assertEqual(self.lines(self.changes('plan', rc=0)), [])
        for name, broken, words, mended in TABLE:
            with self.subTest(name):
                self.host.sh(broken)
                plan = self.changes('plan', rc=4)
                self.assert_said(words, self.lines(plan))
                again = self.changes('plan', rc=4)      # plan itself changed nothing
                self.assertEqual(again, plan)
                made = self.changes('provision', rc=0)
                self.assertEqual(made, plan)
                self.assertEqual(self.lines(self.changes('plan', rc=0)), [])
                if mended:
                    self.host.sh(mended)
        self.host.goldpath('deploy', lib.SLUG)
        self.host.healthy()

    def test_attention(self):
        for name, broken, words, still, back in ATTENTION:
            with self.subTest(name):
                self.host.sh(broken)
                self.assert_said(words, self.lines(self.changes('provision', rc=0)))
                self.assert_said(words, self.lines(self.changes('plan', rc=0)))
                done = self.host.goldpath('provision', '--quiet')
                self.assertIn(words, done.err)
                self.assertEqual(done.out, '0 changes\n')
                self.host.sh(still)
                self.host.sh(back)
        self.changes('provision', rc=0)
        self.assertEqual(self.lines(self.changes('plan', rc=0)), [])

    def test_diff_is_shown_and_masked(self):
        password = next(line.split('=', 1)[1].strip('"') for line in self.host.read(ENV).splitlines() if line.startswith('DJANGO_DB_PASSWORD='))
        self.host.sh(f'cat >>{CADDY} <<END\n# password {password}\nEND')
        done = self.host.goldpath('plan', rc=4)
        self.assertIn(f'--- {CADDY}', done.out)
        self.assertIn('    -# password ********\n', done.out)
        self.assertEqual(done.err, '')
        self.host.goldpath('provision')

    def test_a_drop_in_that_is_named_stays(self):
        yaml = f'/etc/goldpath/sites/{lib.SLUG}.yaml'
        path = f'{UNITS}/{CELERY}.d/memory.conf'
        self.host.sh(f'echo "drop_ins: [memory.conf]" >>{yaml}; mkdir -p {UNITS}/{CELERY}.d; printf "[Service]\\nMemoryHigh=1G\\n" >{path}; '
                     'systemctl daemon-reload')
        self.assertEqual(self.lines(self.changes('plan', rc=0)), [])
        self.host.sh(f"sed -i '/^drop_ins/d' {yaml}")
        self.assert_said(f'- drop-in of {CELERY}: {path}', self.lines(self.changes('provision', rc=0)))

    def test_asks_on_a_terminal_only(self):
        self.host.sh(f'chmod 0644 {ENV}')
        done = self.host.run('goldpath', 'provision')
        self.assertEqual(done.rc, 7, done)
        self.assertIn('~ environment', done.err)
        self.assertIn('hint: --yes', done.err)
        self.assertEqual(self.host.sh(f'stat -c %a {ENV}'), '644')
        for answer, rc, mode in (('n', 4, '644'), ('', 4, '644'), ('y', 0, '600')):
            with self.subTest(answer):
                done = self.host.run('sh', '-c', f"(sleep 1; echo {answer}) | script -qec 'goldpath provision' /dev/null")
                self.assertEqual(done.rc, rc, done)
                self.assertIn('make this 1 change? [y/N]', done.out)
                self.assertEqual(self.host.sh(f'stat -c %a {ENV}'), mode)

    def test_what_cannot_be_mended_is_refused(self):
        """A symlink with something behind it: mending would hide what the site has."""
        self.host.sh(f'touch {lib.SITE}/media/one; mv {lib.SITE}/media /root/media && ln -s /root/media {lib.SITE}/media')
        done = self.host.goldpath('provision', rc=7)
        self.assertRegex(done.err, f'error: .*{lib.SITE}/media is a symlink to /root/media')
        self.assertIn('hint: ', done.err)
        self.host.sh(f'rm {lib.SITE}/media && mv /root/media {lib.SITE}/media')
        self.assertEqual(self.lines(self.changes('plan', rc=0)), [])


if __name__ == '__main__':
    unittest.main()
