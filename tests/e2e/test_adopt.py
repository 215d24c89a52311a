#!/usr/bin/python3
"""A site that was set up by hand, along the runbook, becomes goldpath's: no request is lost, nothing is, and a kill in the middle neither."""

import http.client
import json
import re
import socket
import ssl
import threading
import time
import unittest

import lib

PACKAGES = ('ca-certificates curl git python3 python3-venv python3-pip build-essential libpq-dev postgresql postgresql-contrib '
            'postgresql-client redis-server ufw caddy')
SECRET, PASSWORD = 'k1' * 25, 'p2' * 12
UNIT, CELERY = f'sum-{lib.SLUG}-gunicorn.service', f'sum-{lib.SLUG}-celery.service'
SOCKET = f'/run/sum-{lib.SLUG}/gunicorn.sock'
CADDY = f'/etc/caddy/sites-enabled/sum-{lib.SLUG}.caddy'
FLAG = '--i-know-changes-stay-behind'

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

ENV = f'''DJANGO_SETTINGS_MODULE=acme_kitchens.settings.production
DJANGO_SECRET_KEY={SECRET}
ALLOWED_HOSTS={lib.DOMAIN}
DJANGO_DB_NAME=sum_site_db
DJANGO_DB_USER=sum_site_user
DJANGO_DB_PASSWORD={PASSWORD}
DJANGO_DB_HOST=127.0.0.1
DJANGO_DB_PORT=5432
DJANGO_STATIC_ROOT={lib.SITE}/static
DJANGO_MEDIA_ROOT={lib.SITE}/media
SITE_DOMAIN={lib.DOMAIN}
ACME_SLOW_VIEW=1
REDIS_URL=redis://localhost:6379/3
CELERY_BROKER_URL=redis://localhost:6379/3
CELERY_RESULT_BACKEND=redis://localhost:6379/3
'''

SERVICE = '''[Unit]
Description=by hand
After=network.target redis-server.service

[Service]
User=deploy
Group=www-data
WorkingDirectory={site}/app
EnvironmentFile={site}/.env
Environment=PYTHONUNBUFFERED=1
{more}ExecStart={command}
Restart=always

[Install]
WantedBy=multi-user.target
'''

GUNICORN = SERVICE.format(site=lib.SITE, more=f'RuntimeDirectory=sum-{lib.SLUG}\nRuntimeDirectoryMode=0755\n', command=(
    f'{lib.SITE}/venv/bin/gunicorn --workers 2 --timeout 40 \\\n    --bind unix:{SOCKET} \\\n'
    '    --access-logfile - acme_kitchens.wsgi:application'))
WORKER = SERVICE.format(site=lib.SITE, more='', command=f'{lib.SITE}/venv/bin/celery -A acme_kitchens worker -l info --concurrency=1')

BLOCK = f'''# by hand
{lib.DOMAIN} {{
	tls internal
	encode gzip
	handle_path /static/* {{
		root * {lib.SITE}/static
		file_server
	}}
	handle_path /media/* {{
		root * {lib.SITE}/media
		file_server
	}}
	reverse_proxy unix/{SOCKET}
}}
'''


def by_hand(host, repo):
    """The runbook, as a person would follow it."""
    host.sh(f'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q {PACKAGES}', timeout=600)
    # Before there are visitors: a connection that is open when the kernel begins to follow connections may be taken for one of the host's own, and
    # whoever comes from its port later has no answer until that is forgotten.
    host.sh('ufw allow OpenSSH; ufw allow 80/tcp; ufw allow 443/tcp; ufw --force enable')
    host.sh(f'''
        adduser --disabled-password --gecos "" deploy
        usermod -aG sudo deploy
        usermod -aG www-data caddy
        systemctl restart caddy
        su postgres -c "psql -qc \\"CREATE USER sum_site_user WITH PASSWORD '{PASSWORD}'\\""
        su postgres -c 'psql -qc "CREATE DATABASE sum_site_db OWNER sum_site_user"'
        for d in {lib.SITE} {lib.SITE}/backups {lib.SITE}/static {lib.SITE}/media /var/log/sum/{lib.SLUG}; do
            install -d -m 0755 -o deploy -g deploy $d
        done''')
    repo.put_bare(host, lib.REPO)
    host.sh(f'chown -R deploy: {lib.REPO}')
    host.sh(f'''
        git clone -q file://{lib.REPO} {lib.SITE}/app
        python3 -m venv {lib.SITE}/venv
        {lib.SITE}/venv/bin/pip install -q -r {lib.SITE}/app/requirements.txt''', user='deploy', timeout=600)
    host.write(f'{lib.SITE}/.env', ENV, mode='0600', owner='deploy:deploy')
    host.sh(f'''
        set -a; . {lib.SITE}/.env; cd {lib.SITE}/app
        ../venv/bin/python manage.py migrate --noinput
        ../venv/bin/python manage.py collectstatic --noinput
        mkdir -p {lib.SITE}/media/letters
        echo by hand >{lib.SITE}/media/letters/one.txt
        echo kept >{lib.SITE}/backups/old.sql.gz''', user='deploy')
    host.write(f'/etc/systemd/system/{UNIT}', GUNICORN)
    host.write(f'/etc/systemd/system/{CELERY}', WORKER)
    host.write('/etc/sudoers.d/deploy', 'deploy ALL=NOPASSWD: /bin/systemctl restart sum-*-gunicorn.service\n', mode='0440')
    host.write(CADDY, BLOCK)
    host.sh(f'''
        sed -i '1i import /etc/caddy/sites-enabled/*.caddy' /etc/caddy/Caddyfile
        systemctl daemon-reload
        systemctl enable -q --now {UNIT} {CELERY}
        systemctl reload caddy''')
    host.sh('''su postgres -c "psql -q sum_site_db" <<'SQL'
        create table by_hand (words text); alter table by_hand owner to sum_site_user; insert into by_hand values ('still here');
SQL''')
    host.healthy_by_hand = lib.wait_for(lambda: host.health() and host.health()['status'] == 'ok', 'the site by hand', 60)


class Load:
    """Requests through Caddy from this machine, one after the other: over one connection, and each over its own."""

    def __init__(self, host):
        self.host, self.stop = host, threading.Event()
        self.tls = ssl.create_default_context(cadata=host.read(lib.CADDY_CA))
        self.tls.set_alpn_protocols(['http/1.1'])
        self.sent, self.failed, self.longest, self.reused, self.releases = 0, [], 0.0, 0, set()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(keep,)) for keep in (True, True, False, False)]

    def connect(self):
        plain = socket.socket()
        plain.settimeout(20)
        try:
            plain.connect((self.host.ip, 443))
        except TimeoutError as error:       # nobody answers the SYN: what the host's firewall made of it
            raise TimeoutError(f'{error}: ' + self.host.sh(
                f'grep -w sport={plain.getsockname()[1]} /proc/net/nf_conntrack || :; iptables -vnxL ufw-before-input | grep INVALID || :')) from error
        connection = http.client.HTTPConnection(lib.DOMAIN, timeout=20)
        connection.auto_open = 0
        connection.sock = self.tls.wrap_socket(plain, server_hostname=lib.DOMAIN)
        return connection

    def work(self, keep):
        connection, used = None, False
        while not self.stop.is_set():
            begin, phase = time.monotonic(), 'connecting'
            try:
                if connection is None:
                    connection, used = self.connect(), False
                try:
                    phase = 'asking over a connection ' + ('used before' if used else 'of its own')
                    connection.request('GET', '/health/')
                    answer = connection.getresponse()
                except (ConnectionError, http.client.RemoteDisconnected, ssl.SSLError):
                    # A server may close an idle connection at any time (RFC 9112, 9.3.1): whoever used it before asks again.
                    if not used:
                        raise
                    with self.lock:
                        self.reused += 1
                    connection.close()
                    connection, used = self.connect(), False
                    connection.request('GET', '/health/')
                    answer = connection.getresponse()
                body = answer.read()
                used = True
                said = json.loads(body)['version'].get('release') if answer.status == 200 else None
                why = None if answer.status == 200 else f'{answer.status} {body[:80]!r}'
            except Exception as error:      # whatever it is, a visitor saw it
                since = time.strftime('%H:%M:%S', time.gmtime(time.time() - (time.monotonic() - begin)))
                why, said, connection = f'{phase} at {since}: {type(error).__name__}: {error}', None, None
            with self.lock:
                self.sent += 1
                self.longest = max(self.longest, time.monotonic() - begin)
                if why:
                    self.failed.append(why)
                else:
                    self.releases.add(said or '')
            if connection and (not keep or answer.will_close):
                connection.close()
                connection = None
        if connection:
            connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        print(f'load: {self.sent} requests, {len(self.failed)} failed, longest {self.longest:.2f} s, '
              f'{self.reused} idle connections closed by the server', flush=True)


class Adopt(unittest.TestCase):
    """The tests, in the order of their numbers: one host's life."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host = lib.Host(cls, 'adopt', 'bookworm')
        cls.repo = lib.Repo(cls)
        by_hand(cls.host, cls.repo)
        cls.host.install()
        cls.host.write('/root/killer.py', KILLER)

    def everything(self):
        """What a command that changes nothing leaves as it is."""
        return self.host.sh(f'''
            cd {lib.SITE}; ls -la --time-style=full-iso . | grep -v ' \\.\\.$'; git -c safe.directory=* --no-optional-locks -C app status --porcelain
            find . /etc/systemd/system /etc/caddy /etc/sudoers.d /etc/redis /etc/postgresql -path ./app/.git -prune -o -type f -print0 | sort -z |
                xargs -0 md5sum | md5sum
            ls -la /run/sum-{lib.SLUG} /var/lib/goldpath /etc/goldpath 2>&1 | grep -v ' \\.\\.$'
            systemctl show -P MainPID {UNIT} {CELERY}; id deploy; getent passwd | md5sum''')

    def old_pid(self):
        return self.host.sh(f'systemctl show -P MainPID {UNIT}')

    def serves_by_hand(self):
        self.assertTrue(self.host.sh(f'stat -c %F {SOCKET}').endswith('socket'))
        self.assertFalse(self.host.health()['version'].get('release'))
        self.assertEqual(self.host.read(CADDY) + '\n', BLOCK)

    def test_10_dry_run_changes_nothing(self):
        before = self.everything()
        done = self.host.goldpath('adopt', lib.SLUG, '--dry-run', rc=4)
        self.assertRegex(done.out, r'\A\d+ changes to be made\n\Z')
        for line in (rf'\+ file /etc/goldpath/sites/{lib.SLUG}.yaml', rf'~ file {CADDY}: content', rf'~ file /etc/systemd/system/{UNIT}: content',
                     r'\+ release of [0-9a-f]{12}: built', rf'~ socket {SOCKET}: the old', rf'~ folder {lib.SITE}/app: → app.before-goldpath',
                     rf'\+ redis database of {lib.SLUG}: 3', r'! adoption of .*: /etc/sudoers.d/deploy, line 1, lets more'):
            self.assertRegex(done.err, rf'(?m)^{line}')
        self.assertNotIn('restart redis', done.err)
        for secret in (SECRET, PASSWORD):
            self.assertNotIn(secret, done.all)
        self.assertEqual(self.everything(), before)
        self.serves_by_hand()

    def test_11_provision_and_init_do_not_touch_it(self):
        before = self.everything()
        self.assertIn('needs', self.host.goldpath('adopt', rc=2).err)
        self.assertIn('there is no site in', self.host.goldpath('adopt', 'other', '--yes', rc=7).err)
        self.assertEqual(self.everything(), before)

    def test_12_uncommitted_work_is_named_and_refused(self):
        self.host.sh(f'echo mine >{lib.SITE}/app/notes.txt', user='deploy')
        before = self.everything()
        done = self.host.goldpath('adopt', lib.SLUG, '--yes', rc=7)
        self.assertIn('notes.txt', done.err)
        self.assertIn(FLAG, done.err)
        self.assertEqual(self.everything(), before)

    def test_13_a_proof_that_fails_leaves_the_old_one(self):
        """The commit cannot start without a setting that the old one was started with."""
        pid = self.old_pid()
        self.host.sh(f"sed -i 's/^ALLOWED_HOSTS=.*/ALLOWED_HOSTS=elsewhere.test/' {lib.SITE}/.env")
        with Load(self.host) as load:
            done = self.host.goldpath('adopt', lib.SLUG, '--yes', FLAG, rc=6)
        self.host.sh(f"sed -i 's/^ALLOWED_HOSTS=.*/ALLOWED_HOSTS={lib.DOMAIN}/' {lib.SITE}/.env")
        self.assertIn('still serving what was set up by hand', done.err)
        self.assertEqual((load.failed, load.releases, self.old_pid()), ([], {''}, pid), done)
        self.serves_by_hand()
        self.assertEqual(self.host.sh(f'ls -A {lib.SITE}/releases'), '')
        for args in (('provision', lib.SLUG), ('deploy', lib.SLUG)):
            self.assertIn('has not been finished', self.host.goldpath(*args, rc=7).err)
        self.serves_by_hand()

    def killed_in(self, step, delay=0.0):
        said = self.host.sh(f'python3 /root/killer.py /run/goldpath/{lib.SLUG}.lock {step} {delay} goldpath adopt {lib.SLUG} --yes {FLAG}')
        self.assertEqual(said, step)

    def test_20_killed_before_and_after_the_switch(self):
        pid = self.old_pid()
        with Load(self.host) as load:
            for step in ('provision', 'venv', 'healthy', 'switch', 'smoke'):
                self.killed_in(step)
                self.assertIn(self.host.get('/').status, (200, 302, 404))
        self.assertEqual(load.failed, [])
        self.assertEqual(self.old_pid(), pid)

    def test_21_reboot_before_it_is_proven(self):
        self.host.reboot()
        lib.wait_for(lambda: self.host.health() and self.host.health()['status'] == 'ok', 'the old one after a reboot', 60)
        self.assertTrue(self.host.sh(f'stat -c %F {SOCKET}').endswith('socket'))
        self.assertFalse(self.host.health()['version'].get('release'))

    def test_30_adopt(self):
        """With somebody in the middle of a slow request, and once cut off after the release had become the site's."""
        slow = {}

        def ask_slowly():
            slow['status'] = self.host.get('/slow/?s=8', timeout=60).status
        with Load(self.host) as load:
            self.killed_in('drain')
            thread = threading.Thread(target=ask_slowly)
            thread.start()
            done = self.host.goldpath('adopt', lib.SLUG, '--yes', FLAG)
            thread.join()
        self.assertEqual(load.failed, [], done)
        self.assertEqual(slow['status'], 200)
        self.assertLess(load.longest, 8)      # hung: a machine under load takes 3 s for a start of Django
        self.assertRegex(done.out, rf'\A\S+ is live at https://{lib.DOMAIN}/, and goldpath.s from now on\n\Z')
        self.assertEqual(self.host.healthy(), done.out.split()[0])

    def test_31_nothing_is_lost(self):
        host = self.host
        self.assertEqual(host.sh(f'grep ^DJANGO_SECRET_KEY= {lib.SITE}/.env'), f'DJANGO_SECRET_KEY={SECRET}')
        self.assertEqual(host.sh('su postgres -c "psql -Atc \'select words from by_hand\' sum_site_db"'), 'still here')
        self.assertEqual(host.read(f'{lib.SITE}/app.before-goldpath/notes.txt'), 'mine')
        host.sh(f'test -d {lib.SITE}/app.before-goldpath/.git && test -x {lib.SITE}/venv.before-goldpath/bin/gunicorn')
        self.assertRegex(host.sh(f'readlink {lib.SITE}/app'), r'\Areleases/')
        self.assertEqual(host.read(f'{lib.SITE}/backups/old.sql.gz'), 'kept')
        self.assertEqual(host.read(f'/var/lib/goldpath/{lib.SLUG}/removed/{UNIT}.before-goldpath') + '\n', GUNICORN)
        self.assertEqual(host.read(f'/var/lib/goldpath/{lib.SLUG}/removed/sum-{lib.SLUG}.caddy.before-goldpath') + '\n', BLOCK)
        self.assertEqual(host.sh(f'readlink {SOCKET}; stat -c %U /run/sum-{lib.SLUG}; ls /run/sum-{lib.SLUG}'), 'stable/gunicorn.sock\nroot\ngunicorn.sock\nstable')
        self.assertEqual(host.read('/var/lib/goldpath/redis-databases').splitlines(), [f'{lib.SLUG} 3', f'{lib.SLUG}:celery 3'])
        yaml = host.read(f'/etc/goldpath/sites/{lib.SLUG}.yaml')
        for line in (f'domain: {lib.DOMAIN}', f'repo: "file://{lib.REPO}"', 'project: "acme_kitchens"', 'tls: internal', '  workers: 2', '  timeout: 40',
                     '  enabled: true', '  concurrency: 1', "  name: 'sum_site_db'", "  user: 'sum_site_user'"):
            self.assertRegex(yaml, rf'(?m)^{re.escape(line)}$')

    def test_32_media_is_the_sites(self):
        """The running site reads what was there, and changes it."""
        host = self.host
        self.assertEqual(host.get('/media/letters/one.txt').body, b'by hand\n')
        host.sh(f'''pid=$(systemctl show -P MainPID {UNIT})
            nsenter -t $pid -m -- setpriv --reuid sum-{lib.SLUG} --regid www-data --groups sum-{lib.SLUG} -- \
                sh -euc 'cd {lib.SITE}/media/letters; cat one.txt; echo more >>one.txt; echo two >two.txt; rm two.txt' ''')

    def test_33_provision_and_deploy_as_ever(self):
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')
        self.assertEqual(self.host.goldpath('adopt', lib.SLUG, '--yes').out, f"{lib.SLUG} is goldpath's already: 0 changes\n")
        sha = self.repo.commit({'README.md': lambda old: old + 'more\n'}, 'more')
        self.repo.put(self.host, lib.REPO)
        with Load(self.host) as load:
            done = self.host.goldpath('deploy', lib.SLUG)
        self.assertEqual(load.failed, [], done)
        self.assertTrue(self.host.healthy().endswith(sha[:7]))
        self.assertEqual(self.host.goldpath('provision').out, '0 changes\n')

    def test_34_reboot(self):
        self.host.reboot()
        self.host.healthy(60)
        self.assertEqual(self.host.sh(f'readlink {SOCKET}'), 'stable/gunicorn.sock')


if __name__ == '__main__':
    unittest.main()
