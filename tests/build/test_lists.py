#!/usr/bin/python3
"""meson's lists are by hand, so this holds them against the folders: nothing lies beside the build, nothing is listed twice."""
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUOTED = re.compile(r"'([^'\n]*)'")


def lists(path, opening):
    """The quoted words in all lists of a meson file that begin so."""
    text = re.sub(r"#.*", "", (ROOT / path).read_text())
    return [word for m in re.finditer(opening + r"([^])]*)", text, re.M) for word in QUOTED.findall(m.group(1))]


def below(folder, *patterns):
    found = [p for pattern in patterns for p in (ROOT / folder).glob(pattern) if p.is_file()]
    return sorted(p.relative_to(ROOT / folder).as_posix() for p in found)


class Lists(unittest.TestCase):
    def test_sources(self):
        listed = lists("src/meson.build", r"^\w+ = files\(")
        self.assertEqual(sorted(f for f in listed if f.endswith(".c")), below("src", "*/*.c"))

    def test_sources_stand_in_the_list_of_their_layer(self):
        for layer in sorted({f.split("/")[0] for f in below("src", "*/*.c")}):
            listed = lists("src/meson.build", rf"^{layer} = files\(")
            self.assertEqual(sorted({f.split("/")[0] for f in listed}), [layer] if listed else [])

    def test_embedded_files(self):
        self.assertEqual(sorted(lists("src/meson.build", r"^data = files\(")), below("src", "data/*.py", "data/templates/*"))

    def test_embedded_files_are_declared(self):
        declared = re.findall(r"\bgp_data_\w+", (ROOT / "src/data/embed.h").read_text())
        listed = lists("src/meson.build", r"^data = files\(")
        self.assertEqual(sorted(declared), sorted("gp_data_" + re.sub(r"[^a-z0-9]", "_", Path(f).name) for f in listed))

    def test_unit_tests(self):
        text = (ROOT / "tests/meson.build").read_text()
        table = re.search(r"^unit_tests = \{(.*?)^\}", text, re.M | re.S).group(1)
        layers = re.findall(r"'(\w+)': \[(.*?)\]", table, re.S)
        listed = [f"{layer}/test_{name}.c" for layer, names in layers for name in QUOTED.findall(names)]
        self.assertEqual(sorted(listed), below("tests/unit", "*/test_*.c"))

    def test_fuzzers(self):
        listed = lists("tests/meson.build", r"^fuzzers = \[")
        self.assertEqual([f"fuzz_{name}.c" for name in sorted(listed)], below("tests/fuzz", "fuzz_*.c"))
        self.assertEqual(sorted(listed), sorted(p.name for p in (ROOT / "tests/fuzz/corpus").iterdir()))


if __name__ == "__main__":
    unittest.main()
