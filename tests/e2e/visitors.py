"""What the tests of releases share: visitors who never stop asking, and a look at whether a host's site is of one piece.

Both run inside the host, so that what they see does not hang on this machine's network to it.
"""

import json
import re

import lib

COMMON = f'''
import http.client, json, os, re, socket, ssl, subprocess, sys, threading, time
SLUG, DOMAIN, SITE = {lib.SLUG!r}, {lib.DOMAIN!r}, {lib.SITE!r}
STATE, RUN = '/var/lib/goldpath/' + SLUG, '/run/sum-' + SLUG
context = ssl.create_default_context(cafile={lib.CADDY_CA!r})

class Caddy(http.client.HTTPConnection):
    def connect(self):
        self.sock = context.wrap_socket(socket.create_connection(('127.0.0.1', 443), 25), server_hostname=DOMAIN)

def ask(connection, path):
    connection.request('GET', path)
    answer = connection.getresponse()
    return answer.status, answer.read()

def ask_once(path):
    connection = Caddy(DOMAIN)
    try:
        return ask(connection, path)
    finally:
        connection.close()

def read(path):
    try:
        with open(path, 'rb') as f:
            return f.read().decode(errors='replace')
    except OSError:
        return ''

def release_in(text):
    found = re.search('(?:^|[\\\\0\\\\n])RELEASE=([^\\\\0\\\\n]*)', text)
    return found[1] if found else ''
'''

# Two visitors: one with a new connection for every request, one that keeps its own. Every answer is a line.
VISITORS = COMMON + '''
log = os.open('/root/visitors', os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC)
def visitor(kind):
    connection = Caddy(DOMAIN)
    for n in range(10 ** 9):
        begin = time.time()
        path = '/health/' if n % 4 else '/'
        try:
            status, body = ask(connection, path)
            line = [begin, kind, path, status, json.loads(body)['version']['release'] if path == '/health/' and status == 200 else '']
        except Exception as error:
            line = [begin, kind, path, 0, '%s: %s' % (type(error).__name__, error)]
            connection.close()
        if kind == 'new':
            connection.close()
        os.write(log, (json.dumps(line + [time.time()]) + '\\n').encode())
        time.sleep(0.1)
for kind in ('new', 'kept'):
    threading.Thread(target=visitor, args=(kind,)).start()
'''

STANDS = COMMON + '''
def main_pid(unit):
    return int(subprocess.run(['systemctl', 'show', '-P', 'MainPID', unit], stdout=subprocess.PIPE, text=True).stdout or 0)

def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ''

def statics():
    """What the front page and its style sheet ask for: {path: status}."""
    status, body = ask_once('/')
    if status != 200:
        return {'/': status}
    paths = set(re.findall('(?:href|src)="(/static/[^"?#]+)', body.decode(errors='replace')))
    return {path: ask_once(path)[0] for path in sorted(paths)}

answers = []
for _ in range(9):
    try:
        status, body = ask_once('/health/')
        answers.append(json.loads(body)['version']['release'] if status == 200 else status)
    except Exception as error:
        answers.append('%s: %s' % (type(error).__name__, error))
unit = 'sum-%s-' % SLUG
states = {name: subprocess.run(['systemctl', 'is-active', unit + name], stdout=subprocess.PIPE, text=True).stdout.strip()
          for name in ('gunicorn.service', 'gunicorn-next.service', 'celery.service')}
journal = [json.loads(line) for line in read(STATE + '/journal').splitlines()]
print(json.dumps({
    'answers': sorted(set(map(str, answers))),
    'live': release_in(read(STATE + '/release.env')),
    'app': os.path.basename(link(SITE + '/app')),
    'venv': os.path.exists(SITE + '/venv/bin/python'),
    'celery': release_in(read('/proc/%d/environ' % main_pid(unit + 'celery.service'))),
    'gunicorn': release_in(read('/proc/%d/environ' % main_pid(unit + 'gunicorn.service'))),
    'units': states,
    'route': link(RUN + '/gunicorn.sock'),
    'next_env': os.path.exists(STATE + '/next.env'),
    'releases': sorted(os.listdir(SITE + '/releases')),
    'ended': bool(journal) and journal[-1]['what'] == 'end',
    'statics': statics(),
    'halves': [os.path.join(folder, name) for top in (STATE, RUN, SITE + '/releases', SITE + '/static', SITE + '/backups')
               for folder, _, names in os.walk(top) for name in names if re.search('[.]part$|^[.].*[.][0-9A-Za-z]{8}~$', name)],
}))
'''


class Visitors:
    """They begin at once. `failed` and `releases` are about what was asked since the last mark()."""

    def __init__(self, host):
        self.host, self.seen = host, 0
        host.write('/root/visitors.py', VISITORS)
        host.sh('rm -f /root/visitors; systemd-run --quiet --collect --unit visitors python3 /root/visitors.py')
        lib.wait_for(lambda: int(host.sh('wc -l </root/visitors || echo 0')) > 3, 'visitors')
        self.mark()

    def mark(self):
        self.seen = int(self.host.sh('wc -l </root/visitors'))

    def lines(self):
        """Until one that was asked now has its answer."""
        now = float(self.host.sh('date +%s.%N'))
        def answered():
            text = self.host.sh(f'tail -n +{self.seen + 1} /root/visitors')
            lines = [json.loads(line) for line in text.splitlines()]
            return lines if {line[1] for line in lines if line[0] > now} == {'new', 'kept'} else None
        return lib.wait_for(answered, 'the visitors get an answer', 40)

    def look(self):
        """(what failed, the releases that answered, in order of their first answer) since the last look."""
        lines = self.lines()
        self.seen += len(lines)
        failed = [line for line in lines if line[3] != 200]
        return failed, list(dict.fromkeys(line[4] for line in lines if line[3] == 200 and line[4]))

    def end(self):
        self.host.run('systemctl', 'kill', '-s', 'KILL', 'visitors.service')


def stands(host):
    """How the site stands, as root and a visitor see it."""
    host.write('/root/stands.py', STANDS)
    return json.loads(host.sh('python3 /root/stands.py'))


def assert_whole(test, now, resting=True):
    """One release, everywhere. resting: no deploy is under way, and none was cut off."""
    release = now['live']
    test.assertRegex(release, r'^\d{8}T\d{6}Z-', now)
    test.assertEqual({key: now[key] for key in ('answers', 'app', 'celery', 'venv')},
                     {'answers': [release], 'app': release, 'celery': release, 'venv': True}, now)
    test.assertIn(release, now['releases'])
    test.assertGreater(len(now['statics']), 1, now)
    test.assertEqual(set(now['statics'].values()), {200}, now)
    if resting:
        test.assertEqual((now['gunicorn'], now['route'], now['next_env'], now['ended'], now['halves']),
                         (release, 'stable/gunicorn.sock', False, True, []), now)
        test.assertEqual(now['units'], {'gunicorn.service': 'active', 'gunicorn-next.service': 'inactive', 'celery.service': 'active'}, now)
    return release


def journal(host):
    return [json.loads(line) for line in host.read(f'/var/lib/goldpath/{lib.SLUG}/journal').splitlines()]


def one_line_error(test, done):
    """What goldpath says of a failure: one line of error, whatever it adds to it."""
    lines = [line for line in done.err.splitlines() if line.startswith('error: ')]
    test.assertEqual(len(lines), 1, done)
    return lines[0]
