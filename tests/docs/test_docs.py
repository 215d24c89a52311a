#!/usr/bin/python3
"""Do the documents say what the program does?

The truth comes from the program: its --help, the rows of src/conf, src/base/error.h, the step table. Man pages, completion, README and
changelog are held against it, in both directions. The program: $GOLDPATH, else $GOLDPATH_BINARY, else build/goldpath.
"""
import os
import re
import shlex
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAN1, MAN5 = ROOT / "man/goldpath.1", ROOT / "man/goldpath.yaml.5"
COMPLETION = ROOT / "completions/goldpath.bash"
LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


# ---------------------------------------------------------------- the program

def program():
    name = os.environ.get("GOLDPATH") or os.environ.get("GOLDPATH_BINARY") or ROOT / "build/goldpath"
    if not os.access(name, os.X_OK):
        raise FileNotFoundError(f"{name}: there is no such program: make, or GOLDPATH=path")
    return str(Path(name).resolve())


def goldpath(*args):
    done = subprocess.run([program(), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr


class Help:
    """What --help prints. options: command → {option: value's name or ""}, in the order of the help."""

    def __init__(self):
        self.overview = goldpath("--help")[1]
        self.commands = re.findall(r"^  ([a-z]+) +\S", self.overview, re.M)
        self.texts = {c: goldpath(c, "--help")[1] for c in self.commands if c != "help"}
        self.options = {c: dict(re.findall(r"^  (--[a-z-]+)(?: ([A-Z]+))?(?:  |\n|$)", t, re.M)) for c, t in self.texts.items()}
        self.operand = {c: (re.search(rf"^usage: goldpath {c} ((?:[a-z]+ )?\[?SLUG\]?)", t, re.M) or [None, None])[1] for c, t in self.texts.items()}
        # Common: what the command without operand and options of its own has.
        self.common = dict(self.options["version"])

    def own(self, command):
        return {o: v for o, v in self.options[command].items() if o not in self.common}


HELP = None


def setUpModule():
    global HELP
    HELP = Help()


# ---------------------------------------------------------------- man pages, read from their source

def roff_text(source):
    """Plain text of a piece of man(7): macros and fonts taken away, one blank between words, none before punctuation.

    .BR and its like join their arguments; an argument in quotes keeps its blanks.
    """
    words = []
    for line in source.splitlines():
        macro = re.match(r"\.([A-Z]{1,2})(?: (.*))?$", line)
        if macro:
            args = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', macro[2] or "")]
            line = ("" if len(macro[1]) == 2 and macro[1] not in ("SH", "SS", "TP") else " ").join(args)
        words.append(line)
    text = " ".join(words)
    for escape, plain in ((r"\-", "-"), (r"\(dq", '"'), (r"\(lq", '"'), (r"\(rq", '"'), (r"\(aq", "'"), (r"\&", ""), (r"\e", "\\")):
        text = text.replace(escape, plain)
    text = re.sub(r"\\f[A-Z]", "", text)
    return re.sub(r"\s+", " ", text).strip()


def sections(path, macro, text=None):
    """{heading: source} of a page's .SH or of a section's .SS."""
    parts = re.split(rf"^\.{macro} (.*)$", path.read_text(encoding="utf-8") if text is None else text, flags=re.M)
    return {roff_text(h): body for h, body in zip(parts[1::2], parts[2::2])}


def tagged(source):
    """[(tag, text)] of the .TP paragraphs."""
    found = []
    for part in re.split(r"^\.TP\n", source, flags=re.M)[1:]:
        tag, _, text = part.partition("\n")
        text = re.split(r"^\.(?:SS|SH|PP)\b", text, maxsplit=1, flags=re.M)[0]
        found.append((roff_text(tag), roff_text(text)))
    return found


def options_of(source):
    """{option: value's name or ""} of the tags that are options."""
    return {m[1]: m[2] or "" for tag, _ in tagged(source) for m in [re.match(r"(--[a-z-]+)(?: ([A-Z]+))?", tag)] if m}


# ---------------------------------------------------------------- the rows of the YAML files

def c_strings(text):
    """C string literals of an expression, joined."""
    return "".join(m.replace(r"\"", '"').replace("\\\\", "\\") for m in re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def rows_of(path, top):
    """{dotted key: {def, required, lo, hi, choices}} from the row tables of a C file."""
    tables = {}
    for name, body in re.findall(r"^(?:static )?const struct gp_key (\w+)\[\] = \{\n(.*?)^\};", read(path), re.M | re.S):
        starts = [m.start() for m in re.finditer(r'^\t\{ "', body, re.M)] + [len(body)]
        tables[name] = [body[a:b] for a, b in zip(starts, starts[1:])]

    def walk(table, prefix):
        found = {}
        for row in tables[table]:
            name = re.match(r'\t\{ "(\w+)", (GP_KEY_\w+)', row)
            group = re.search(r"\.group = (\w+)", row)
            default = re.search(r'\.def = ("(?:[^"\\]|\\.)*")', row)
            bounds = re.search(r"\.lo = (\d+), \.hi = (\d+)", row)
            choices = re.search(r"\.choices = \(const char \*const\[\]\)\{ (.*?), NULL \}", row)
            if name[2] != "GP_KEY_GROUP":
                hidden = re.search(r'\.group_choice = "(\w+)"', row)
                found[prefix + name[1]] = {
                    "def": c_strings(default[1]) if default else None,
                    "required": ".required = true" in row,
                    "bounds": bounds.groups() if bounds else None,
                    "choices": [c for c in re.findall(r'"(.*?)"', choices[1]) if not hidden or c != hidden[1]] if choices else [],
                }
            if group:
                found.update(walk(group[1], prefix + name[1] + "."))
        return found

    return walk(top, "")


# ---------------------------------------------------------------- the tests

class Manual(unittest.TestCase):
    def commands(self):
        return {h.split()[0]: (h, body) for h, body in sections(None, "SS", sections(MAN1, "SH")["COMMANDS"]).items()}

    def test_every_command_stands_in_the_page_and_no_other(self):
        self.assertEqual(list(self.commands()), HELP.commands)

    def test_operands(self):
        for command, operand in HELP.operand.items():
            with self.subTest(command):
                self.assertEqual(self.commands()[command][0], " ".join(filter(None, (command, operand))))

    def test_every_option_stands_under_its_command_and_no_other(self):
        for command in HELP.texts:
            with self.subTest(command):
                self.assertEqual(options_of(self.commands()[command][1]), HELP.own(command))

    def test_common_options(self):
        self.assertEqual(options_of(sections(MAN1, "SH")["COMMON OPTIONS"]), HELP.common)

    def test_exit_codes(self):
        source = read("src/base/error.h")
        kinds = re.findall(r'^\tX\(GP_E_\w+, (\d+), "([^"]*)"\)', source, re.M)
        self.assertGreater(len(kinds), 5)
        page = tagged(sections(MAN1, "SH")["EXIT STATUS"])
        self.assertEqual([code for code, _ in page], ["0"] + [code for code, _ in kinds])
        for (_, text), (code, name) in zip(page[1:], kinds):
            with self.subTest(code):
                self.assertTrue(text.lower().startswith(name.split(",")[0]) or name.split()[0] in text.lower().split(":")[0], (name, text))

    def test_steps_of_a_deploy(self):
        page = [tag for tag, _ in tagged(sections(MAN1, "SH")["A DEPLOY, STEP BY STEP"])]
        self.assertEqual(page, [name for name, _ in deploy_steps()])

    def test_files_of_the_program_are_listed(self):
        page = roff_text(sections(MAN1, "SH")["FILES"])
        for path in ("/etc/goldpath/host.yaml", "/etc/goldpath/sites/SLUG.yaml", "/srv/sum/SLUG/", "/var/lib/goldpath/SLUG/history"):
            self.assertIn(path, page)


class YamlManual(unittest.TestCase):
    def check(self, rows, section):
        page = dict(tagged(sections(MAN5, "SH")[section]))
        self.assertGreater(len(rows), 3)
        self.assertEqual(sorted(page), sorted(rows), "keys in the page, keys in the program")
        for key, row in rows.items():
            with self.subTest(key):
                text = page[key]
                if row["required"]:
                    self.assertRegex(text, r"Required\b")
                else:
                    self.assertIn("Default: ", text)
                if row["def"] is not None:
                    said = text.split("Default: ")[1]
                    self.assertRegex(said, rf"^{re.escape(row['def'])}(?:\.| \()", "its default")
                if row["bounds"]:
                    self.assertIn("{} to {}".format(*row["bounds"]), text)
                for choice in row["choices"]:
                    self.assertRegex(text, rf"(?<![\w.]){re.escape(choice)}(?!\w)")

    def test_host(self):
        self.check(rows_of("src/conf/host.c", "gp_host_keys"), "KEYS OF HOST.YAML")

    def test_site(self):
        self.check(rows_of("src/conf/site.c", "gp_site_keys"), "KEYS OF A SITE")

    def test_environment_keys(self):
        source = read("src/ops/provision_site.c")
        body = source[source.index("static int add_dotenv("):]
        body = body[:body.index("\n}\n")]
        keys = re.findall(r'(?:KEY|SAME)\("([A-Z_]+)"', body) + re.findall(r'\.key = "([A-Z_]+)"', body)
        page = re.findall(r"^([A-Z_]{5,})  +\S", sections(MAN5, "SH")["THE ENVIRONMENT FILE"], re.M)
        self.assertEqual(sorted(page), sorted(keys))


class Typesetting(unittest.TestCase):
    def complaints(self, *argv):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**LOCALE, "MANWIDTH": "80"}, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), " ".join(argv))
        return done.stdout

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_groff_has_nothing_to_say(self):
        for page in (MAN1, MAN5):
            with self.subTest(page.name):
                self.complaints("groff", "-ww", "-man", "-Tutf8", "-z", str(page))

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_man_has_nothing_to_say(self):
        for page in (MAN1, MAN5):
            with self.subTest(page.name):
                text = self.complaints("man", "--warnings", "-l", str(page))
                self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])

    def test_version_of_the_pages(self):
        version = project_version()
        for page in (MAN1, MAN5):
            self.assertIn(f'"goldpath {version}"', page.read_text(encoding="utf-8").splitlines()[0])


class HelpTexts(unittest.TestCase):
    def test_they_fit_80_columns(self):
        for command, text in {"goldpath": HELP.overview, **HELP.texts}.items():
            for line in text.splitlines():
                with self.subTest(command):
                    self.assertLessEqual(len(line), 80, line)

    def test_short_long_and_by_command_are_the_same(self):
        self.assertEqual(goldpath("help"), (0, HELP.overview, ""))
        self.assertEqual(goldpath("-h"), (0, HELP.overview, ""))
        for command, text in HELP.texts.items():
            with self.subTest(command):
                for args in ((command, "--help"), (command, "-h"), ("help", command)):
                    self.assertEqual(goldpath(*args), (0, text, ""))


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last of these words."""
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _goldpath; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "--norc", "-uc", script, "bash", str(COMPLETION), *words], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete("goldpath", ""), HELP.commands)
        self.assertEqual(self.complete("goldpath", "help", ""), HELP.commands)
        self.assertEqual(self.complete("goldpath", "dep"), ["deploy"])

    def test_options(self):
        for command, options in HELP.options.items():
            with self.subTest(command):
                self.assertEqual(sorted(self.complete("goldpath", command, "--")), sorted(options))
                self.assertEqual(sorted(self.complete("goldpath", command, "some-site", "--json", "--")), sorted(options))

    def test_old_names(self):
        for name, command in (("deploy.sh", "deploy"), ("backup_db.sh", "backup"), ("/srv/sum/bin/provision_vps.sh", "provision")):
            with self.subTest(name):
                self.assertEqual(sorted(self.complete(name, "--")), sorted(HELP.options[command]))

    def test_every_option_with_a_value_takes_its_value(self):
        for command, options in HELP.options.items():
            for option, value in options.items():
                if value:
                    with self.subTest(f"{command} {option}"):
                        self.assertNotIn("--json", self.complete("goldpath", command, option, "--"))

    def test_values(self):
        choices = rows_of("src/conf/site.c", "gp_site_keys")["tls"]["choices"]
        self.assertEqual(self.complete("goldpath", "init", "acme", "--tls", ""), choices)
        self.assertEqual(self.complete("goldpath", "init", "acme", "--tls", "=", "int"), ["internal"])

    def test_the_word_before_the_site(self):
        self.assertEqual(self.complete("goldpath", "lock", ""), ["status"])
        self.assertNotIn("status", self.complete("goldpath", "lock", "status", ""))

    def test_unknown_command(self):
        self.assertEqual(self.complete("goldpath", "nonsense", "--"), [])


# ---------------------------------------------------------------- README and changelog

def project_version():
    return re.search(r"^  version: '(.*)'", read("meson.build"), re.M)[1]


def deploy_steps():
    """[(name, words)] of the step table."""
    table = re.search(r"^static const struct gp_step steps\[\] = \{\n(.*?)^\};", read("src/ops/deploy.c"), re.M | re.S)[1]
    return re.findall(r'^\t\{ "([a-z]+)", "([^"]*)"', table, re.M)


def fenced(text):
    """[(language, [lines])] of the fenced blocks."""
    return [(m[1], m[2].splitlines()) for m in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)]


def commands_of(language, lines):
    """sh: every line; console: what stands behind a prompt. Lines that end with a backslash go on."""
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    if language == "console":
        joined = [m[1] for line in joined for m in [re.match(r"[\w@:~-]*[$#] (.*)", line)] if m]
    elif language != "sh":
        return []
    return [line for line in joined if line.strip() and not line.startswith("#")]


class Readme(unittest.TestCase):
    def setUp(self):
        self.text = read("README.md")
        self.blocks = fenced(self.text)
        self.commands = [c for language, lines in self.blocks for c in commands_of(language, lines)]

    def words(self, program_name):
        """The arguments of every call of a program in the fenced blocks."""
        for command in self.commands:
            words = shlex.split(command, comments=True)
            while words and (words[0] == "sudo" or "=" in words[0]):
                words = words[3:] if words[1:2] == ["-u"] else words[1:]
            if words and words[0] == program_name:
                yield words[1:]

    def test_there_is_something_to_check(self):
        self.assertGreater(len(list(self.words("goldpath"))), 3)
        self.assertIn(["demo"], self.words("make"))
        self.assertIn(["test"], self.words("make"))

    def test_make_targets(self):
        targets = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.M))
        for words in self.words("make"):
            self.assertLessEqual({w for w in words if "=" not in w}, targets)
        self.assertLessEqual(set(re.findall(r"`make ([a-z][a-z-]*)`", self.text)), targets)

    def test_tools_and_tests(self):
        named = set(re.findall(r"(?<![\w/.])((?:tools|tests|packaging|examples|src)/[\w/.-]*\w)", self.text))
        self.assertTrue(named)
        for path in named:
            with self.subTest(path):
                self.assertTrue((ROOT / path).exists(), path)
        for command in self.commands:
            if re.match(r"(tools|tests)/", command):
                self.assertTrue(os.access(ROOT / shlex.split(command)[0], os.X_OK), command)

    def test_sandbox_commands(self):
        text = subprocess.run([ROOT / "tools/sandbox", "--help"], capture_output=True, text=True, timeout=20, check=False).stdout
        known = set(re.findall(r"^  ([a-z]+) ", text, re.M))
        for words in self.words("tools/sandbox"):
            self.assertIn(words[0], known)

    def test_goldpath_commands(self):
        for words in self.words("goldpath"):
            with self.subTest(" ".join(words)):
                self.assertIn(words[0], HELP.commands)
                used = {w.split("=")[0] for w in words if w.startswith("--")}
                self.assertLessEqual(used, set(HELP.options.get(words[0], ())))

    def test_goldpath_commands_in_sentences(self):
        for command, rest in re.findall(r"`goldpath ([a-z]+)([^`]*)`", self.text):
            self.assertIn(command, HELP.commands)
            self.assertLessEqual(set(re.findall(r"--[a-z-]+", rest)), set(HELP.options.get(command, ())))

    def test_deploy_as_shown_has_the_steps_of_today(self):
        whole = [lines for _, lines in self.blocks if any(line.startswith("[ 1/") for line in lines) and "goldpath deploy" in lines[0]]
        self.assertTrue(whole)
        steps = deploy_steps()
        for lines in whole:
            shown = [m for line in lines for m in [re.match(r"\[ ?(\d+)/(\d+)\] (.*?)  ", line)] if m]
            with self.subTest(shown[-1][0]):
                self.assertEqual([(int(m[1]), int(m[2]), m[3]) for m in shown],
                                 [(i + 1, len(steps), words) for i, (_, words) in enumerate(steps[:len(shown)])])

    def test_keys_in_the_site_file(self):
        """What stands in yaml blocks is known to the program."""
        keys = {**rows_of("src/conf/site.c", "gp_site_keys"), **rows_of("src/conf/host.c", "gp_host_keys")}
        groups = {k.split(".")[0] for k in keys}
        for language, lines in self.blocks:
            group = ""
            for line in lines if language == "yaml" else []:
                key = re.match(r"( *)([a-z_]+):", line)
                if key:
                    group = group if key[1] else key[2]
                    self.assertIn(f"{group}.{key[2]}" if key[1] else key[2], set(keys) | groups)

    def test_exit_codes(self):
        codes = set(re.findall(r'^\tX\(GP_E_\w+, (\d+),', read("src/base/error.h"), re.M)) | {"0"}
        for code in re.findall(r"exit (?:code|status) (\d+)", self.text):
            self.assertIn(code, codes)

    def test_links(self):
        for target in re.findall(r"\]\(((?!http|#)[^)#]+)", self.text):
            self.assertTrue((ROOT / target).exists(), target)


class Changelog(unittest.TestCase):
    def test_the_top_is_this_version(self):
        self.assertEqual(re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)[1], project_version())


class Commands(unittest.TestCase):
    def test_pages_call_nothing_that_does_not_exist(self):
        """Calls of goldpath stand in bold, or as a line of an example."""
        for page in (MAN1, MAN5):
            for command in re.findall(r'^(?:\.(?:B|BR) "?)?goldpath ([a-z]+)', page.read_text(encoding="utf-8"), re.M):
                with self.subTest(f"{page.name} {command}"):
                    self.assertIn(command, HELP.commands)


if __name__ == "__main__":
    unittest.main()
