#!/usr/bin/env python3
"""Each rule of layers.py, on trees of a few lines: that it fires, where, and that it leaves alone what is allowed."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("layers.py")


def run(files):
    with tempfile.TemporaryDirectory() as tmp:
        for name, text in files.items():
            path = Path(tmp, "src", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, SCRIPT, tmp], capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout + done.stderr


def function(lines):
    return "int f(void)\n{\n" + "\tg();\n" * (lines - 3) + "}\n"


class Layers(unittest.TestCase):
    def fires(self, files, *wants):
        code, text = run(files)
        self.assertEqual(code, 1, text)
        self.assertNotIn("ok", text.split())
        for want in wants:
            self.assertIn(want, text)

    def passes(self, files, *wants):
        code, text = run(files)
        self.assertEqual(code, 0, text)
        self.assertIn("ok", text)
        for want in wants:
            self.assertIn(want, text)

    def test_includes_to_the_right(self):
        order = [["cli"], ["cmd"], ["ops", "out"], ["plan", "conf"], ["sys"], ["base"]]
        for i, group in enumerate(order):
            for left in group:
                for right in (layer for later in order[i + 1:] for layer in later):
                    self.passes({f"{left}/a.c": f'#include "{right}/b.h"\n#include "{left}/c.h"\n#include <stdio.h>\n'})
                    self.fires({f"{right}/a.c": f'\n#include "{left}/b.h"\n'}, f"src/{right}/a.c:2:", f'"{left}/b.h"')

    def test_siblings(self):
        for a, b in (("ops", "out"), ("out", "ops"), ("plan", "conf"), ("conf", "plan")):
            self.fires({f"{a}/a.h": f'#include "{b}/b.h"\n'}, f"src/{a}/a.h:1:")

    def test_embedded_files(self):
        for layer in ("cli", "cmd", "ops", "plan"):
            self.passes({f"{layer}/a.c": '#include "data/embed.h"\n'})
        for layer in ("out", "conf", "sys", "base"):
            self.fires({f"{layer}/a.c": '#include "data/embed.h"\n'}, f"src/{layer}/a.c:1:")
        self.passes({"data/embed.h": "extern const char x[];\n"})
        self.fires({"ops/a.c": '#include "data/other.h"\n'}, "no layer")
        self.fires({"data/other.c": ""}, "src/data/other.c:1:")

    def test_no_layer(self):
        self.fires({"utils/a.c": "int x;\n"}, "src/utils/a.c:1:")
        self.fires({"ops/a.c": '#include "b.h"\n'}, "src/ops/a.c:1:")
        self.fires({"ops/a.c": '#include "base/../cli/b.h"\n'}, "src/ops/a.c:1:")
        self.fires({"ops/a.c": '#  include  "nope/b.h"\n'}, "src/ops/a.c:1:")

    def test_main_is_cli(self):
        self.passes({"main.c": '#include "cli/a.h"\nint main(void)\n{\n\texit(0);\n}\n'})

    def test_cycles(self):
        self.fires({"sys/a.h": '#include "sys/b.h"\n', "sys/b.h": '#include "sys/c.h"\n', "sys/c.h": '#include "sys/a.h"\n'},
                   "include cycle: sys/a.h → sys/b.h → sys/c.h → sys/a.h")
        self.fires({"sys/a.h": '#include "sys/a.h"\n'}, "include cycle")
        self.passes({"sys/a.h": '#include "sys/b.h"\n#include "sys/c.h"\n', "sys/b.h": '#include "sys/c.h"\n', "sys/c.h": ""})

    def test_printing_and_exit(self):
        calls = ['printf("x")', 'puts("x")', 'fprintf(stderr, "x")', "fprintf ( stdout, x)", 'fputs("x", stderr)', "exit(1)", "perror(x)",
                 "vprintf(x, ap)", "putchar('x')", "vfprintf(stderr, x, ap)", "dprintf(2, x)"]
        for call in calls:
            text = f"void f(void)\n{{\n\t{call};\n}}\n"
            for layer in ("ops", "plan", "conf", "sys", "base"):
                self.fires({f"{layer}/a.c": text}, f"src/{layer}/a.c:3:")
            for layer in ("cli", "cmd", "out"):
                self.passes({f"{layer}/a.c": text})

    def test_what_only_looks_like_printing(self):
        self.passes({"sys/a.c": 'int x __attribute__((format(printf, 1, 2)));\nvoid f(void)\n{\n\tsnprintf(b, 1, "printf(");\n'
                                '\tvsnprintf(b, 1, f, ap);\n\tgp_buf_puts(b, "exit(1)");\n\tgp_buf_printf(b, "x");\n\t_exit(1);\n'
                                '\tfprintf(file, "x");\n\tfputs(x, file); /* exit(1) */\n\t// puts("x");\n\tstr = "a\\"puts(";\n'
                                '\tgp_sprintf(a, "x");\n\tc = \'"\';\n}\n'})

    def test_out_of_memory_may_speak(self):
        self.passes({"base/arena.c": 'void f(void)\n{\n\tfputs("x", stderr);\n}\n'})
        self.fires({"base/buf.c": 'void f(void)\n{\n\tfputs("x", stderr);\n}\n'}, "src/base/buf.c:3:")
        self.fires({"base/arena.c": 'void f(void)\n{\n\tprintf("x");\n}\n'}, "src/base/arena.c:3:")

    def test_never(self):
        for call in ("system(x)", "popen(x, y)", "strcpy(x, y)", "strcat(x, y)", "sprintf(x, y)", "vsprintf(x, y, z)", "gets(x)",
                     "alloca(1)", "longjmp(x, 1)", "siglongjmp(x, 1)", "execl(x, y, 0)", "execlp(x, y, 0)", "execle(x, y, 0, e)"):
            for name in ("cli/a.c", "base/a.c", "sys/proc.c", "out/a.h"):
                self.fires({name: f"\n\n\t{call};\n"}, f"src/{name}:3:")
        self.passes({"base/a.c": "\tstpcpy(x, y);\n\tfgets(x, 1, f);\n\tgp_sprintf(x);\n\tfile_system(x);\n"})

    def test_processes(self):
        for call in ("fork()", "vfork()", "execv(x, y)", "execve(x, y, z)", "execvpe(x, y, z)", "fexecve(x, y, z)", "posix_spawn(x)",
                     "clone3(x)"):
            self.fires({"sys/unit.c": f"\tx = {call};\n"}, "src/sys/unit.c:1:", "sys/proc.c")
            self.fires({"cli/main.c": f"\tx = {call};\n"}, "src/cli/main.c:1:")
            self.passes({"sys/proc.c": f"\tx = {call};\n"})

    def test_long_files(self):
        self.assertNotIn("note", run({"ops/a.c": "\n" * 400})[1])
        self.passes({"ops/a.c": "\n" * 401}, "note: src/ops/a.c:1: 401 lines")
        self.passes({"ops/a.c": "\n" * 600}, "note: ")
        self.fires({"ops/a.c": "\n" * 601}, "src/ops/a.c:1: 601 lines")

    def test_long_functions(self):
        self.assertNotIn("note", run({"ops/a.c": function(60)})[1])
        self.passes({"ops/a.c": "\n" + function(61)}, "note: src/ops/a.c:2: f() has 61 lines")
        self.passes({"ops/a.c": function(120)}, "note: ")
        self.fires({"ops/a.c": function(50) + function(121)}, "src/ops/a.c:51: f() has 121 lines")
        table = "static const int x[] = {\n" + "\t1,\n" * 200 + "};\n"
        self.assertNotIn("note", run({"ops/a.c": table + function(20)})[1])

    def test_nothing_to_check(self):
        self.fires({"README": ""}, "no sources")

    def test_all_violations_are_told(self):
        self.fires({"base/a.c": '#include "sys/b.h"\n\tputs(x);\n\tsystem(x);\n'}, "a.c:1:", "a.c:2:", "a.c:3:")


if __name__ == "__main__":
    unittest.main()
