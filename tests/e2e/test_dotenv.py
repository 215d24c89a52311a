#!/usr/bin/python3
"""`.env` is read as systemd reads it: a few hundred generated files, each given to goldpath's parser and to a real unit."""

import glob
import os
import random
import shutil
import subprocess
import tempfile
import unittest

import lib

FILES = 400
SEED = 20261121     # the same files each time: what fails once fails again

# Pieces of lines: what people write, and what breaks parsers.
KEYS = ('A', 'DJANGO_SECRET_KEY', '_x', 'a1', 'LONG_' + 'K' * 60, '1A', 'A-B', 'A B', 'é', '', ' PADDED ', 'export A')
PLAIN = ('', 'x', 'a b', ' lead', 'trail ', 'with#hash', '#hash', 'a;b', '$HOME', '$(id)', '`id`', '${A}', 'p@ss:w/rd?=&', '100%', '%h', '!bang',
         'back\\slash', 'a\\ b', 'end\\', '\\n', '\\\\', 'küche', '東京', '\t', '~', '*', '{a,b}', 'a=b', '==', "it's", 'a"b', '\x7f', '\x01', 'x' * 500)
ENDS = ('\n',) * 8 + ('\r\n', '\r', '\n\n', ' \n', '\t\n', '')


def quoted(rng, text):
    how = rng.randrange(7)
    if how == 0:
        return "'" + text.replace("'", '') + "'"
    if how == 1:
        return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'
    if how == 2:
        return '"' + text                                       # never closed
    if how == 3:
        return "'" + text + '\n' + text + "'"                   # over two lines
    if how == 4:
        return '"' + text + '"' + rng.choice(PLAIN)             # something behind
    if how == 5:
        return '"' + text + '\\\n' + rng.choice(PLAIN) + '"'    # continued
    return rng.choice(PLAIN) + "'" + text + "'"


def line(rng):
    kind = rng.randrange(12)
    if kind == 0:
        return rng.choice(('#', ';', ' # ', '\t;')) + rng.choice(PLAIN)
    if kind == 1:
        return rng.choice(PLAIN)                                # no assignment
    key = rng.choice(KEYS[:4]) if rng.random() < 0.7 else rng.choice(KEYS)
    equals = rng.choice(('=',) * 8 + (' =', '= ', ' = '))
    value = rng.choice(PLAIN) if kind < 8 else quoted(rng, rng.choice(PLAIN))
    if kind == 8:
        value = quoted(rng, value.replace('"', ''))
    return key + equals + value


def generate(number):
    rng = random.Random(SEED + number)
    text = ''.join(line(rng) + rng.choice(ENDS) for _ in range(rng.randrange(0, 9)))
    data = text.encode()
    if number % 40 == 7:
        data = data[:len(data) // 2] + b'\0' + data[len(data) // 2:]
    if number % 40 == 17:
        data += b'LATIN=\xe9\n'
    if number % 40 == 27:
        data = b'\xef\xbb\xbf' + data
    return data


class DotEnv(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix='goldpath-e2e-')
        cls.addClassCleanup(shutil.rmtree, cls.dir, True)
        os.mkdir(f'{cls.dir}/env')
        cls.names = [f'{n:03}' for n in range(FILES)]
        for n, name in enumerate(cls.names):
            with open(f'{cls.dir}/env/{name}', 'wb') as f:
                f.write(generate(n))
        cls.host = lib.Host(cls, 'dotenv', 'bookworm')

    def by_goldpath(self):
        program = f'{self.dir}/dump'
        sources = [lib.ROOT + '/tests/e2e/dotenv_dump.c', *sorted(glob.glob(lib.ROOT + '/src/base/*.c'))]
        lib.machine('cc', '-std=gnu17', '-D_GNU_SOURCE', '-I', lib.ROOT + '/src', '-o', program, *sources)
        said = lib.machine(program, *(f'{self.dir}/env/{name}' for name in self.names)).stdout.splitlines()
        self.assertEqual(len(said), FILES)
        return {name: None if text == 'refused' else dict(
            (bytes.fromhex(part) for part in pair.split('=')) for pair in text.split()) for name, text in zip(self.names, said)}

    def by_systemd(self):
        """What a unit finds in its environment, by file; None where it was not started."""
        self.host.push(f'{self.dir}/env', '/root/env')
        self.host.sh('''
            mkdir /root/out
            cat >/etc/systemd/system/ask@.service <<'END'
[Service]
Type=oneshot
EnvironmentFile=/root/env/%i
ExecStart=/usr/bin/env -0
StandardOutput=truncate:/root/out/%i
END
            : >/root/env/none
            systemctl daemon-reload
            for f in /root/env/*; do systemctl start "ask@${f##*/}" 2>/dev/null || rm -f "/root/out/${f##*/}"; done''')
        lib.machine(lib.SANDBOX, 'pull', self.host.name, '/root/out', f'{self.dir}/out')

        def read(name):
            try:
                with open(f'{self.dir}/out/{name}', 'rb') as f:
                    return dict(pair.split(b'=', 1) for pair in f.read().split(b'\0') if pair)
            except FileNotFoundError:
                return None
        given = set(read('none'))       # what every unit has: PATH, INVOCATION_ID, …
        self.assertIn(b'PATH', given)
        return {name: env and {k: v for k, v in env.items() if k not in given} for name in self.names for env in (read(name),)}

    def test_as_systemd(self):
        ours, theirs = self.by_goldpath(), self.by_systemd()
        refused = [name for name in self.names if ours[name] is None]
        # What is refused is so for a reason: NUL, no UTF-8, a comment that ends in a backslash (systemd's versions differ there).
        for name in refused:
            data = generate(int(name))
            comment = any(part.lstrip()[:1] in (b'#', b';') and part.endswith(b'\\') for part in data.replace(b'\r', b'\n').split(b'\n'))
            bad = b'\0' in data or comment
            try:
                data.decode()
            except UnicodeDecodeError:
                bad = True
            self.assertTrue(bad or theirs[name] is None, f'file {name} is refused, and systemd takes it: {data!r}')
        self.assertLess(len(refused), FILES // 5)
        compared = [name for name in self.names if ours[name] is not None]
        self.assertGreater(sum(bool(ours[name]) for name in compared), FILES // 2)
        for name in compared:
            with self.subTest(file=generate(int(name))):
                self.assertEqual(ours[name], theirs[name] or {})


if __name__ == '__main__':
    unittest.main()
