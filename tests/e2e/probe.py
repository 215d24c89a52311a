#!/usr/bin/python3
"""What hostile code of one site tries against its neighbour: run inside the site by test_neighbours.py, from its deploy and its units.

argv: where the answers go, own slug, neighbour's slug, pids of the neighbour's processes. The answers: {name of the try: "" or what
was got}. Tries whose name starts with "own " are what a site may do; they show that the others fail for the right reason.
"""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

out, own, other, *pids = sys.argv[1:]
OWN, OTHER = f'/srv/sum/{own}', f'/srv/sum/{other}'
answers = {}


def attempt(name, function, *args):
    try:
        got = function(*args)
        answers[name] = str(got)[:200] if got not in (None, '', [], {}, b'', False) else ''
    except (OSError, subprocess.SubprocessError, ValueError):
        answers[name] = ''


def read(path):
    if os.path.isdir(path):
        return os.listdir(path)
    with open(path, 'rb') as f:
        return f.read(100)


def write(path):
    target = os.path.join(path, 'planted') if os.path.isdir(path) else path
    with open(target, 'ab') as f:
        f.write(b'# planted\n')
    return 'written'


def replace(path):
    os.rename(path, path + '.gone')
    return 'renamed'


def run(*argv, **kw):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, text=True, **kw)
    return done.stdout.strip() if done.returncode == 0 else ''


def unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(3)
        s.connect(path)
        return 'connected'


def own_env():
    """Own credentials: from the environment, else from own .env."""
    env = {k: v for k, v in os.environ.items() if k.startswith('DJANGO_DB_')}
    if 'DJANGO_DB_PASSWORD' not in env:
        with open(f'{OWN}/.env', encoding='utf-8') as f:
            env = dict(re.findall(r'^(\w+)="?(.*?)"?$', f.read(), re.M))
    return env


def database(name):
    env = own_env()
    psql = sorted(glob.glob('/usr/lib/postgresql/*/bin/psql'))[-1]
    return run(psql, '-h', '127.0.0.1', '-U', env['DJANGO_DB_USER'], '-d', name, '-tAc', 'select current_database()',
               env={**os.environ, 'PGPASSWORD': env['DJANGO_DB_PASSWORD']})


def caddy_admin():
    with urllib.request.urlopen('http://127.0.0.1:2019/config/', timeout=5) as answer:
        return answer.status


def seen_processes():
    """Processes of the neighbour, and roots of others through /proc."""
    found = []
    for path in glob.glob('/proc/[0-9]*'):
        if path == f'/proc/{os.getpid()}' or os.path.samefile(path, '/proc/self'):
            continue
        try:
            with open(f'{path}/cmdline', 'rb') as f:
                if other.encode() in f.read() and b'probe.py' not in read(f'{path}/cmdline'):
                    found.append(path)
        except OSError:
            pass
        try:
            if other in os.listdir(f'{path}/root/srv/sum'):
                found.append(f'{path}/root')
        except OSError:
            pass
    return found


def kill(pid):
    os.kill(int(pid), 0)
    # In a pid namespace the number may be somebody else's: own processes do not count.
    with open(f'/proc/{pid}/cmdline', 'rb') as f:
        return other.encode() in f.read()


def plant(path):
    os.symlink('/var/lib/caddy', path)
    return 'linked'


attempt('own code', read, f'{OWN}/releases')
attempt('own temporary files', write, '/tmp/probe')
attempt('own database', database, own.replace('-', '_'))

for where in ('', '/.env', '/app', '/app/', '/app/manage.py', '/releases', '/venv/bin', '/venvs', '/static', '/media', '/repo.git',
              '/repo.git/config', '/backups', '/.cache'):
    attempt(f'read {where or "/"}', read, OTHER + where)
    attempt(f'write {where or "/"}', write, OTHER + where)
    attempt(f'rename {where or "/"}', replace, OTHER + where)
attempt('folders of sites', lambda: [name for name in os.listdir('/srv/sum') if name != own])
for path in ('/etc/goldpath', '/etc/goldpath/host.yaml', f'/etc/goldpath/sites/{other}.yaml', f'/etc/sudoers.d/goldpath-{other}',
             f'/etc/caddy/sites-enabled/sum-{other}.caddy', '/etc/caddy/Caddyfile', f'/etc/systemd/system/sum-{other}-gunicorn.service',
             f'/var/lib/goldpath/{other}', f'/var/lib/goldpath/{other}/site.env', f'/var/lib/goldpath/{other}/history',
             f'/run/sum-{other}', '/home/deploy', '/home/deploy/.ssh', '/home/deploy/.ssh/id_ed25519', '/home/deploy/.cache',
             '/var/lib/caddy', '/var/log/journal', f'/var/log/sum/{other}', '/root', '/run/goldpath', '/etc/shadow'):
    attempt(f'read {path}', read, path)
    attempt(f'write {path}', write, path)
attempt('journal', run, 'journalctl', '-q', '--no-pager', '-n', '5', '-o', 'cat', '-u', f'sum-{other}-gunicorn.service')
attempt('socket', unix, f'/run/sum-{other}/gunicorn.sock')
attempt('system bus', unix, '/run/dbus/system_bus_socket')
attempt('systemd', unix, '/run/systemd/private')
attempt('database of the neighbour', database, other.replace('-', '_'))
attempt("Caddy's admin port", caddy_admin)
attempt('processes', seen_processes)
for number in pids:
    attempt('signal', kill, number)
attempt('sudo', run, 'sudo', '-n', 'true')
attempt('restart of the neighbour', run, 'sudo', '-n', '/usr/bin/systemctl', 'restart', f'sum-{other}-gunicorn.service')
attempt('crontab', lambda: subprocess.run(['crontab', '-'], input=b'* * * * * true\n', stderr=subprocess.DEVNULL, check=True, timeout=20) and 'set')
attempt('own configuration of git', write, f'{OWN}/repo.git/config')
attempt('own releases', replace, f'{OWN}/releases')
attempt('own .env', write, f'{OWN}/.env')
attempt('link in static', plant, f'{OWN}/static/planted')
attempt('link in media', plant, f'{OWN}/media/planted')
attempt('host', write, '/etc/planted')
attempt('program', write, '/usr/local/bin/planted')
attempt('mounts', lambda: run('unshare', '-rm', 'sh', '-c', f'umount -l /srv/sum; umount -l /srv; ls -d {OTHER}'))
# A daemon, which must be gone when the deploy is.
subprocess.Popen(['setsid', 'sh', '-c', 'exec sleep 98765.4321'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
with open(out, 'w', encoding='utf-8') as result:
    json.dump(answers, result, indent=1)
