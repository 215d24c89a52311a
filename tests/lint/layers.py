#!/usr/bin/env python3
"""Checks the layers of src/: cli → cmd → ops | out → plan | conf → sys → base.

Left may include right, never back, and siblings not each other. Refuses include cycles, output and exit below the command line,
calls that have no place in this program, and processes started anywhere but in the process runner. Usage: layers.py [root of the project]
"""
import re
import sys
from pathlib import Path

RANK = {"cli": 5, "cmd": 4, "ops": 3, "out": 3, "plan": 2, "conf": 2, "sys": 1, "base": 0}
EMBED, EMBED_USERS = "data/embed.h", {"cli", "cmd", "ops", "plan"}  # generated: the files built into the program
MAY_PRINT = {"cli", "cmd", "out"}
RUNNER = {"sys/proc.c", "sys/proc_child.c"}
OUT_OF_MEMORY = "base/arena.c"  # nothing is left to report that with, so it speaks for itself: fputs to stderr only
LINES, MAX_LINES, BODY, MAX_BODY = 400, 600, 60, 120

STD = r"\bv?fprintf\s*\(\s*std|\bf(?:puts|putc|write)\s*\([^;]*\bstd(?:out|err)\b|\bv?dprintf\s*\(\s*(?:[12]|STD)|\bputc\s*\([^;]*\bstd"
PRINT = re.compile(STD + r"|\b(?:v?printf|puts|putchar|perror|psignal|exit|quick_exit)\s*\(")
NEVER = re.compile(r"\b(?:system|popen|strcpy|strcat|v?sprintf|gets|alloca|(?:sig|_)?longjmp|execle?|execlp)\s*\(")
PROCESS = re.compile(r"\b(?:v?fork|_Fork|clone3?|posix_spawnp?|execvp?e?|execveat|fexecve)\s*\(")
TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', re.M)
FUNCTION = re.compile(r"^(?!#)\w[^;{}]*\)[^;{}]*\n\{\n.*?^\}", re.M | re.S)


def blank(text, keep_strings):
    """text with comments (and strings) replaced by as many line ends as they had."""
    def one(match):
        found = match.group()
        return found if keep_strings and found[0] in "\"'" else "\n" * found.count("\n") or " "
    return TEXT.sub(one, text)


def check_include(layer, target):
    other = target.split("/")[0]
    if target == EMBED:
        return None if layer in EMBED_USERS else f'{layer} may not include "{EMBED}"'
    if target == "version.h" and layer in ("cmd", "ops"):  # generated: what `goldpath version` prints, and the day no clock is before
        return None
    if other not in RANK or "/" not in target or ".." in target:
        return f'"{target}" is in no layer'
    if other != layer and RANK[other] >= RANK[layer]:
        return f'{layer} may not include "{target}"'
    return None


def check_file(name, text, report):
    """Reports what is wrong with one file; returns what it includes as (line, target)."""
    layer = name.split("/")[0] if "/" in name else "cli"  # src/main.c
    code, with_strings = blank(text, False), blank(text, True)
    includes = [(with_strings.count("\n", 0, m.start(1)) + 1, m.group(1)) for m in INCLUDE.finditer(with_strings)]
    if layer not in RANK:
        if name != EMBED:
            report(name, 1, f"'{layer}' is no layer")
        return []
    for line, target in includes:
        wrong = check_include(layer, target)
        if wrong:
            report(name, line, wrong)
    rules = [(NEVER, "has no place in this program")]
    if layer not in MAY_PRINT:
        rules.append((PRINT, "belongs to the command line"))
    if name not in RUNNER:
        rules.append((PROCESS, "belongs to sys/proc.c"))
    for rule, words in rules:
        for m in rule.finditer(code):
            if not (name == OUT_OF_MEMORY and m.group().startswith("fputs")):
                report(name, code.count("\n", 0, m.start()) + 1, f"{' '.join(m.group().split())}…) {words}")
    check_sizes(name, text, code, report)
    return includes


def check_sizes(name, text, code, report):
    lines = len(text.splitlines())
    if lines > LINES:
        report(name, 1, f"{lines} lines", note=lines <= MAX_LINES)
    for m in FUNCTION.finditer(code):
        lines = m.group().count("\n") + 1
        if lines > BODY:
            title = re.search(r"(\w+)\s*\(", m.group())
            report(name, code.count("\n", 0, m.start()) + 1, f"{title.group(1)}() has {lines} lines", note=lines <= MAX_BODY)


def check_cycles(graph, report):
    done = set()

    def visit(name, way):
        if name in way:
            report(name, 1, "include cycle: " + " → ".join(way[way.index(name):] + [name]))
        elif name not in done:
            for target in graph.get(name, []):
                visit(target, way + [name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])


def main(root):
    violations, graph = [], {}

    def report(name, line, words, note=False):
        print(f"{'note: ' if note else ''}src/{name}:{line}: {words}")
        if not note:
            violations.append(name)

    files = sorted(p for p in (root / "src").rglob("*") if p.suffix in (".c", ".h"))
    for path in files:
        name = path.relative_to(root / "src").as_posix()
        includes = check_file(name, path.read_text(encoding="utf-8"), report)
        if path.suffix == ".h":
            graph[name] = [target for _, target in includes]
    check_cycles(graph, report)
    if not files:
        print(f"no sources in {root / 'src'}")
    elif not violations:
        print(f"ok: {len(files)} files")
    return 1 if violations or not files else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]))
