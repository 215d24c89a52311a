#!/usr/bin/python3
"""The whole path on each Debian release: `apt install ./goldpath….deb` on a bare host, init, provision, deploy, and life after that."""

import concurrent.futures
import gzip
import html
import json
import re
import struct
import unittest
import zlib

import lib

EXTRA_SSH_PORT = 2222
hosts, said = {}, {}


def bring_live(release):
    """From bare to live, and kept as the image of the other tests."""
    with lib.image_lock(release):
        host = lib.Host(None, f'path-{release}', release)
        hosts[release] = host
        host.write('/etc/ssh/sshd_config.d/extra.conf', f'Port 22\nPort {EXTRA_SSH_PORT}\n')
        host.sh('systemctl restart ssh')
        said[release] = lib.bare_to_live(host, lib.Repo(None))
        lib.keep_live(host)
        host.healthy(60)


def setUpModule():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(bring_live, release) for release in lib.RELEASES]:
            done.result()


def png(width=64, height=48):
    """A small picture."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + bytes((x * 4, y * 5, 90)[i] for x in range(width) for i in range(3)) for y in range(height))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


class Editor:
    """A person in Wagtail's admin: keeps cookies, sends forms."""

    def __init__(self, host):
        self.host, self.cookies = host, {}

    def send(self, method, path, body=None, content_type=None):
        headers = {'Cookie': '; '.join(f'{k}={v}' for k, v in self.cookies.items()), 'Referer': f'https://{lib.DOMAIN}{path}'}
        if body is not None:
            headers['Content-Type'] = content_type
        answer = self.host.get(path, method=method, headers=headers, body=body)
        for line in answer.msg.get_all('Set-Cookie') or []:
            name, value = line.split(';')[0].split('=', 1)
            self.cookies[name] = value
        return answer

    def form(self, path, fields, files=()):
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.send('GET', path).body.decode())[1]
        edge = 'e2eboundary'
        body = b''
        for name, value in {'csrfmiddlewaretoken': token, **fields}.items():
            body += f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, file_name, data in files:
            body += (f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
                     'Content-Type: image/png\r\n\r\n').encode() + data + b'\r\n'
        return self.send('POST', path, body + f'--{edge}--\r\n'.encode(), f'multipart/form-data; boundary={edge}')


# A mail server, as far as this needs one: it takes what comes and writes it down.
SMTP = '''
import socketserver

class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 e2e\\r\\n")
        data = False
        for line in self.rfile:
            if data:
                with open("/root/mail", "ab") as f:
                    f.write(line)
                if line == b".\\r\\n":
                    data = False
                    self.wfile.write(b"250 taken\\r\\n")
            elif line[:4].upper() == b"DATA":
                data = True
                self.wfile.write(b"354 go on\\r\\n")
            else:
                self.wfile.write(b"221 bye\\r\\n" if line[:4].upper() == b"QUIT" else b"250 yes\\r\\n")

socketserver.ThreadingTCPServer(("127.0.0.1", 2525), Mail).serve_forever()
'''

OUTGOING = '''
import urllib.request

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.http import JsonResponse


def go_out(who):
    with urllib.request.urlopen("https://" + settings.ALLOWED_HOSTS[0] + "/robots.txt", timeout=20) as answer:
        status = answer.status
    connection = get_connection("django.core.mail.backends.smtp.EmailBackend", host="localhost", port=2525)
    EmailMessage("from %s, %d" % (who, status), "text", "site@example.com", ["you@example.com"], connection=connection).send()


def view(request):
    from home.tasks import go_out as task

    task.delay()
    go_out("gunicorn")
    return JsonResponse({"ok": True})
'''


class Path:
    """The tests, in the order of their numbers: one host's life."""
    release = None
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.host, cls.said = hosts[cls.release], said[cls.release]
        cls.repo = lib.Repo(cls)

    def release_of(self, done):
        """The release that a deploy said is live."""
        line = re.fullmatch(rf'(\d{{8}}T\d{{6}}Z-[0-9a-f]{{7}}) is live at https://{lib.DOMAIN}/ \(ok\)\n', done.out)
        self.assertIsNotNone(line, done)
        return line[1]

    def as_run_user(self, script):
        """A script with the running site's user, groups and view of the filesystem."""
        return self.host.run('sh', '-euc', f'''
            pid=$(systemctl show -P MainPID sum-{lib.SLUG}-gunicorn.service)
            exec nsenter -t $pid -m -- setpriv --reuid sum-{lib.SLUG} --regid www-data --groups sum-{lib.SLUG} -- sh -c '{script}' ''')

    # ------------------------------------------------------------ provision and deploy, as they were run

    def test_10_init_writes_two_files(self):
        self.assertEqual(self.said['init'].out, '/etc/goldpath/host.yaml written\n'
                         f'/etc/goldpath/sites/{lib.SLUG}.yaml written\n')
        again = self.host.goldpath(*lib.INIT)
        self.assertEqual(again.out.count('is there already and stays as it is'), 2, again)
        self.assertEqual(self.host.sh('stat -c %U:%G:%a /etc/goldpath/host.yaml /etc/goldpath/sites/*.yaml'),
                         'root:root:644\nroot:root:644')

    def test_11_provision(self):
        self.assertRegex(self.said['provision'].out, r'\A[1-9]\d* changes\n\Z')
        self.assertNotIn('warning:', self.said['provision'].err)

    def test_11_plan_of_the_bare_host(self):
        """What plan says of a host that has nothing yet is what provision then does, line by line."""
        def changes(text):
            return [line for line in text.splitlines() if re.match(r'[-+~!] ', line)]
        self.assertEqual(changes(self.said['plan'].out), changes(self.said['provision'].err))

    def test_12_second_provision_changes_nothing(self):
        self.assertEqual((self.said['again'].out, self.said['again'].err), ('0 changes\n', ''))

    def test_13_deploy(self):
        self.release_of(self.said['deploy'])
        self.assertRegex(self.said['deploy'].err, r'/sitemap\.xml answers 200')
        self.assertNotIn('warning:', self.said['deploy'].err)

    def test_14_provision_after_deploy_changes_nothing(self):
        self.assertEqual(self.host.goldpath('provision', '--dry-run').out, '0 changes\n')
        again = self.host.goldpath('provision')
        self.assertEqual((again.out, again.err), ('0 changes\n', ''))

    def test_15_no_secret_was_said(self):
        for secret in self.host.secrets():
            for name, done in self.said.items():
                self.assertNotIn(secret, done.all, name)
        journal = self.host.sh('journalctl --no-pager -o cat')
        for secret in self.host.secrets():
            self.assertNotIn(secret, journal)

    # ------------------------------------------------------------ as a visitor

    def test_20_health(self):
        self.host.healthy()
        answer = self.host.get('/health/')
        body = json.loads(answer.body)
        self.assertEqual((answer.status, body['status']), (200, 'ok'))
        self.assertEqual(body['version']['release'], self.release_of(self.said['deploy']))
        self.assertEqual({name: check['status'] for name, check in body['checks'].items()},
                         {'db': 'ok', 'cache': 'ok', 'celery': 'ok'})

    def test_21_page_and_static_files(self):
        page = self.host.get('/')
        self.assertEqual(page.status, 200)
        hashed = re.search(r'/static/[^"\' ]+\.[0-9a-f]{12}\.css', page.body.decode())[0]
        plain = re.sub(r'\.[0-9a-f]{12}\.css$', '.css', hashed)
        answer = self.host.get(hashed, headers={'Accept-Encoding': 'gzip'})
        self.assertEqual((answer.status, answer.headers['Content-Encoding']), (200, 'gzip'))
        self.assertEqual(gzip.decompress(answer.body), self.host.get(hashed).body)
        self.assertIn('text/css', answer.headers['Content-Type'])
        self.assertEqual(answer.headers['Cache-Control'], 'public, max-age=31536000, immutable')
        answer = self.host.get(plain)
        self.assertEqual(answer.status, 200)
        self.assertNotIn('immutable', answer.headers['Cache-Control'])
        self.assertEqual(self.host.get('/', headers={'Accept-Encoding': 'zstd, gzip'}).headers['Content-Encoding'], 'zstd')
        self.assertEqual(self.host.get('/static/no-such.css').status, 404)
        self.assertNotEqual(self.host.get('/static/../.env').status, 200)
        self.assertNotEqual(self.host.get('/static/%2e%2e/.env').status, 200)

    def test_22_security_headers(self):
        for path in ('/', '/health/', '/admin/login/', '/static/no-such.css'):
            with self.subTest(path=path):
                headers = self.host.get(path).headers
                for name, value in (('X-Content-Type-Options', r'nosniff'), ('X-Frame-Options', r'SAMEORIGIN|DENY'),
                                    ('Referrer-Policy', r'strict-origin-when-cross-origin|same-origin'),
                                    ('Strict-Transport-Security', r'max-age=\d{8}.*')):
                    got = headers.get_all(name) or []
                    self.assertEqual(len(got), 1, f'{name}: {got}')
                    self.assertRegex(got[0], f'^({value})$')
                self.assertIsNone(headers['Server'])

    def test_23_http_goes_to_https(self):
        answer = self.host.get('/journal/?page=2', scheme='http')
        self.assertIn(answer.status, (301, 308))
        self.assertEqual(answer.headers['Location'], f'https://{lib.DOMAIN}/journal/?page=2')

    def test_24_sitemap(self):
        answer = self.host.get('/sitemap.xml')
        self.assertEqual(answer.status, 200)
        self.assertIn(b'<urlset', answer.body)

    # ------------------------------------------------------------ the host

    def test_30_listeners(self):
        lines = [line.split()[3] for line in self.host.sh('ss -H -tln').splitlines()]
        for port in (6379, 5432):
            got = sorted(line for line in lines if line.endswith(f':{port}'))
            self.assertTrue(got, lines)
            self.assertTrue(set(got) <= {f'127.0.0.1:{port}', f'[::1]:{port}'}, got)
        for port in (6379, 5432):
            with self.assertRaises(OSError):
                lib.socket.create_connection((self.host.ip, port), timeout=1)

    def test_31_firewall(self):
        status = self.host.sh('ufw status verbose')
        self.assertIn('Status: active', status)
        self.assertIn('Default: deny (incoming)', status)
        allowed = set(re.findall(r'^(\S+)\s+ALLOW IN\s+Anywhere\s*$', status, re.M))
        self.assertEqual(allowed, {'22/tcp', '80/tcp', '443/tcp', '443/udp', f'{EXTRA_SSH_PORT}/tcp'})
        for port in (22, EXTRA_SSH_PORT):
            lib.socket.create_connection((self.host.ip, port), timeout=5).close()

    def test_32_owners_and_modes(self):
        site, slug = lib.SITE, lib.SLUG
        expected = {
            '/srv/sum': 'root root 755', '/srv/sum/bin': 'root root 755',
            site: 'deploy deploy 711', f'{site}/static': 'deploy deploy 755',
            f'{site}/releases': f'deploy sum-{slug} 750', f'{site}/venvs': f'deploy sum-{slug} 750',
            f'{site}/repo.git': 'deploy deploy 700', f'{site}/backups': 'deploy deploy 700', f'{site}/.cache': 'deploy deploy 700',
            f'{site}/media': f'deploy sum-{slug} 2775', f'{site}/.env': 'deploy deploy 600',
            f'/var/log/sum/{slug}': 'deploy deploy 755', f'/var/lib/goldpath/{slug}': 'root root 700',
            f'/run/sum-{slug}': 'root root 755',
            f'/run/sum-{slug}/gunicorn.sock': 'root root 777',     # a link, where only root can lead it elsewhere
            f'/run/sum-{slug}/stable': f'sum-{slug} www-data 750',
            f'/run/sum-{slug}/stable/gunicorn.sock': f'sum-{slug} www-data 660',
            f'/etc/sudoers.d/goldpath-{slug}': 'root root 440',
            f'/etc/systemd/system/sum-{slug}-gunicorn.service': 'root root 644',
        }
        got = self.host.sh(f"stat -c '%n %U %G %a' {' '.join(expected)}")
        self.assertEqual(dict(line.split(' ', 1) for line in got.splitlines()), expected)
        self.assertEqual(self.host.sh(f'find {site}/releases {site}/venvs {site}/repo.git ! -user deploy | head'), '')
        self.assertEqual(self.host.sh(f'find /srv/sum /etc/goldpath -name .cache -prune -o -perm -0002 ! -type l -print | head'), '')
        self.assertIn(f'sum-{slug}', self.host.sh('id -nG deploy').split())
        self.assertIn('www-data', self.host.sh('id -nG caddy').split())
        self.assertRegex(self.host.sh('getent shadow deploy'), r'^deploy:[!*]')

    def test_33_run_user(self):
        """The site can write media, and neither read the secrets on disk nor change its code."""
        for script, works in ((f'touch {lib.SITE}/media/probe', True), (f'touch {lib.SITE}/app/probe', False),
                              (f'touch {lib.SITE}/venv/bin/probe', False), (f'touch {lib.SITE}/static/probe', False),
                              (f'cat {lib.SITE}/.env', False), ('ls /etc/goldpath', False), (f'ls {lib.SITE}/repo.git', False),
                              (f'ls {lib.SITE}/backups', False), ('ls /home/deploy', False), ('touch /etc/probe', False),
                              ('test -d /srv/sum/bin', False), ('echo > /tmp/probe', True)):
            with self.subTest(script=script):
                done = self.as_run_user(script)
                self.assertEqual(done.rc == 0, works, done)
        self.assertEqual(self.host.sh(f'stat -c "%U %G" {lib.SITE}/media/probe'), f'sum-{lib.SLUG} sum-{lib.SLUG}')
        for path in ('.env', 'repo.git/config', 'backups/x', 'app/manage.py'):
            done = self.host.run('sh', '-c', f'echo >> {lib.SITE}/{path}', user=f'sum-{lib.SLUG}')
            self.assertNotEqual(done.rc, 0, done)
        self.assertNotEqual(self.host.run('cat', f'{lib.SITE}/.env', user=f'sum-{lib.SLUG}').rc, 0)
        self.host.sh(f'rm {lib.SITE}/media/probe')

    def test_34_sudoers(self):
        self.host.sh('visudo -c -q')
        for command in ('id', '/usr/bin/goldpath provision', f'/usr/bin/goldpath deploy {lib.SLUG}',
                        f'/usr/bin/goldpath deploy {lib.SLUG} --ref main', f'/usr/bin/goldpath deploy {lib.SLUG} --options-from-stdin --ref x',
                        'systemctl restart ssh.service', f'systemctl restart sum-{lib.SLUG}-gunicorn.service ssh.service',
                        f'systemctl edit sum-{lib.SLUG}-gunicorn.service', 'visudo', 'su'):
            with self.subTest(command=command):
                done = self.host.run('sh', '-c', f'sudo -n {command}', user='deploy')
                self.assertNotEqual(done.rc, 0, done)
                self.assertRegex(done.err, 'password is required|not allowed')
        for unit in ('gunicorn', 'celery'):
            self.host.sh(f'sudo -n systemctl restart sum-{lib.SLUG}-{unit}.service', user='deploy')
        self.host.healthy()

    def test_35_units_are_sandboxed(self):
        for unit in ('gunicorn', 'celery'):
            text = self.host.sh(f'systemd-analyze security --no-pager sum-{lib.SLUG}-{unit}.service | tail -n 1')
            level = float(re.search(r': ([\d.]+) ', text)[1])
            self.assertLessEqual(level, 1.5, text)
        wants = self.host.sh(f'systemctl show -P Wants -P After sum-{lib.SLUG}-gunicorn.service sum-{lib.SLUG}-celery.service')
        self.assertEqual(wants.count('redis-server.service'), 4, wants)

    # ------------------------------------------------------------ content, media, Celery

    def test_40_demo_content(self):
        done = self.host.run('systemd-run', '--quiet', '--pipe', '--wait', '--collect', '-p', 'User=deploy', '-p', 'UMask=0002',
                             '-p', f'WorkingDirectory={lib.SITE}/app', '-p', f'EnvironmentFile={lib.SITE}/.env',
                             '--setenv=ADMIN_PASSWORD=a-password-of-e2e', f'{lib.SITE}/venv/bin/python', 'manage.py', 'seed_demo',
                             '--admin', 'editor')
        self.assertEqual(done.rc, 0, done)
        page = self.host.get('/').body.decode()
        pictures = re.findall(r'/media/images/[^"\' ,]+', page)
        self.assertTrue(pictures, page[:2000])
        answer = self.host.get(html.unescape(pictures[0]))
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer.headers['Content-Type'], '^image/')
        self.assertEqual(answer.headers['X-Content-Type-Options'], 'nosniff')
        self.assertGreater(self.host.get('/sitemap.xml').body.count(b'<loc>'), 10)

    def test_41_upload_in_the_admin(self):
        """Through the running site: its user, its sandbox, a rendition made by it, served by Caddy."""
        editor = Editor(self.host)
        self.assertEqual(editor.form('/admin/login/', {'username': 'editor', 'password': 'a-password-of-e2e'}).status, 302)
        done = editor.form('/admin/images/add/', {'title': 'Uploaded', 'tags': '', 'focal_point_x': '', 'focal_point_y': '',
                                                  'focal_point_width': '', 'focal_point_height': '', 'collection': '1'},
                           [('file', 'uploaded.png', png())])
        self.assertEqual(done.status, 302, done.body.decode(errors='replace')[-3000:])
        listing = editor.send('GET', '/admin/images/').body.decode()
        path = re.search(r'/media/images/uploaded[^"\' ]+', listing)[0]
        self.assertEqual(self.host.get(path).status, 200)
        self.assertEqual(self.host.sh(f'stat -c "%G" {lib.SITE}/media/original_images/uploaded.png'), f'sum-{lib.SLUG}')

    def test_42_celery_works(self):
        done = self.host.manage('shell', '-c', 'from home.tasks import warm_renditions; warm_renditions.delay(None)')
        self.assertEqual(done.rc, 0, done)
        lib.wait_for(lambda: 'renditions warmed for' in self.host.sh(f'journalctl --no-pager -o cat -u sum-{lib.SLUG}-celery'),
                     'a Celery task', 30)

    def test_43_mail_and_https_go_out(self):
        """From inside both units: mail to a server of this host's, and https to a name, by the CAs that the host trusts."""
        self.host.write('/root/smtp.py', SMTP)
        self.host.sh(f'cp {lib.CADDY_CA} /usr/local/share/ca-certificates/e2e.crt; update-ca-certificates >/dev/null 2>&1; '
                     f'grep -q " {lib.DOMAIN}$" /etc/hosts || echo "127.0.0.1 {lib.DOMAIN}" >>/etc/hosts; '
                     'systemd-run --quiet --unit e2e-smtp python3 /root/smtp.py')
        self.repo.branch('outgoing', {
            'home/outgoing.py': OUTGOING,
            'home/tasks.py': lambda old: old + '\n\n@app.task\ndef go_out():\n    from home.outgoing import go_out\n\n    return go_out("Celery")\n',
            'acme_kitchens/urls.py': lambda old: old + '\nfrom home.outgoing import view  # noqa: E402\n\nurlpatterns.insert(0, path("e2e/", view))\n'})
        self.repo.put(self.host, lib.REPO)
        self.host.goldpath('deploy', lib.SLUG, '--ref', 'outgoing')
        answer = self.host.get('/e2e/', timeout=60)
        self.assertEqual(answer.status, 200, answer.body[-2000:])
        def mails():
            return set(re.findall('^Subject: (.*?)\\r?$', self.host.sh('cat /root/mail 2>/dev/null || true'), re.M))
        lib.wait_for(lambda: mails() == {'from gunicorn, 200', 'from Celery, 200'}, f'two mails: {mails()}', 30)
        self.host.goldpath('deploy', lib.SLUG, '--ref', 'main')

    # ------------------------------------------------------------ further deploys, by other ways

    def test_50_deploy_as_the_deploy_user(self):
        before = self.host.healthy()
        done = self.host.run('su', '-', 'deploy', '-c', f'goldpath deploy {lib.SLUG} --ref main')
        self.assertEqual(done.rc, 0, done)
        release = self.release_of(done)
        self.assertNotEqual(release, before)
        self.assertRegex(done.err, r'requirements\.txt unchanged, venv [0-9a-f]{16} reused')
        self.assertIn('nothing to migrate', done.err)
        self.assertEqual(self.host.healthy(), release)
        line = json.loads(self.host.sh(f'tail -n 1 /var/lib/goldpath/{lib.SLUG}/history'))
        self.assertEqual((line['release'], line['result'], line['by'], line['ref']), (release, 'ok', 'deploy', 'main'))
        # Nothing of it ran as root where the deploy user's work was meant, and it left nothing behind.
        self.assertEqual(self.host.sh(f'find {lib.SITE}/releases {lib.SITE}/repo.git {lib.SITE}/venvs ! -user deploy'), '')
        self.assertEqual(self.host.sh('ls -A /home/deploy/.cache 2>/dev/null || true'), '')
        self.assertEqual(self.host.sh(f'ls -A {lib.SITE} | grep -c "^.tmp$" || true'), '0')

    def test_51_old_command_lines(self):
        done = self.host.run('/srv/sum/bin/provision_vps.sh', '--site-slug', lib.SLUG, '--deploy-user', 'deploy', '--install-packages')
        self.assertEqual((done.rc, done.out), (0, '0 changes\n'), done)
        sha = self.repo.commit({'acme_kitchens/templates/base.html': lambda old: old.replace('</body>', '<!-- e2e second --></body>')},
                               'second')
        self.repo.put(self.host, lib.REPO)
        done = self.host.run('su', '-', 'deploy', '-c',
                             f'/srv/sum/bin/deploy.sh --site-slug {lib.SLUG} --ref main --domain {lib.DOMAIN}')
        self.assertEqual(done.rc, 0, done)
        release = self.release_of(done)
        self.assertTrue(release.endswith(sha[:7]), release)
        body = json.loads(self.host.get('/health/').body)
        self.assertEqual((body['version']['release'], body['version']['git_sha']), (release, sha))
        self.assertIn(b'<!-- e2e second -->', self.host.get('/').body)
        self.assertIn(release, body['checks']['celery'].get('detail', release))

    def test_52_no_restart(self):
        before = self.host.healthy()
        done = self.host.run('/srv/sum/bin/deploy.sh', '--site-slug', lib.SLUG, '--no-restart')
        self.assertEqual(done.rc, 0, done)
        self.assertIn('left out (--no-restart)', done.err)
        release = done.out.split()[0]
        self.assertEqual(self.host.healthy(), before)
        self.assertEqual(self.host.sh(f'readlink {lib.SITE}/app'), f'releases/{release}')
        self.host.sh(f'sudo -n systemctl restart sum-{lib.SLUG}-gunicorn.service', user='deploy')
        self.assertEqual(self.host.healthy(), release)

    def test_60_provision_still_changes_nothing(self):
        again = self.host.goldpath('provision', lib.SLUG)
        self.assertEqual((again.out, again.err), ('0 changes\n', ''))

    def test_70_reboot(self):
        before = self.host.healthy()
        self.host.reboot()
        self.assertEqual(self.host.healthy(60), before)
        units = ('redis-server', 'postgresql', 'caddy', f'sum-{lib.SLUG}-gunicorn', f'sum-{lib.SLUG}-celery', 'ufw')
        for unit in units:
            self.assertEqual(self.host.run('systemctl', 'is-active', unit).out, 'active\n', unit)
        self.assertEqual(self.host.sh('redis-cli ping'), 'PONG')
        self.assertIn('Status: active', self.host.sh('ufw status'))
        again = self.host.goldpath('provision')
        self.assertEqual((again.out, again.err), ('0 changes\n', ''))


class Bookworm(Path, unittest.TestCase):
    release = 'bookworm'


class Trixie(Path, unittest.TestCase):
    release = 'trixie'


if __name__ == '__main__':
    unittest.main()
