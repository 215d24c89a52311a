#!/usr/bin/python3
"""The package: what it holds, what it asks for, that it runs nothing of its own, and that it can be built again byte for byte."""
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Deb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.tmp = Path(folder.name)
        cls.deb = cls.build("one.deb")
        cls.list = cls.output("dpkg-deb", "--contents", cls.deb)
        cls.control = cls.output("dpkg-deb", "--field", cls.deb)
        cls.root = cls.tmp / "root"
        subprocess.run(["dpkg-deb", "--raw-extract", cls.deb, cls.root], check=True)

    @classmethod
    def build(cls, name, **env):
        subprocess.run([ROOT / "packaging/build-deb", cls.tmp / name], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **env})
        return cls.tmp / name

    @staticmethod
    def output(*argv):
        return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C", "TZ": "UTC"}).stdout

    def field(self, name):
        return re.search(rf"^{name}: (.*)$", self.control, re.M).group(1)

    def test_files(self):
        for line in (r"-rwxr-xr-x root/root +\d+ \S+ \S+ \./usr/bin/goldpath", r"drwxr-xr-x root/root +0 \S+ \S+ \./etc/goldpath/sites/",
                     r"-rw-r--r-- root/root +\d+ \S+ \S+ \./usr/share/doc/goldpath/copyright"):
            self.assertRegex(self.list, rf"(?m)^{line}$")
        for line in self.list.splitlines():
            self.assertRegex(line, r"^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) root/root ")
            self.assertRegex(line, r" \./(|usr/.*|etc/|etc/goldpath/|etc/goldpath/sites/)$")

    def test_everything_that_is_there_is_packed(self):
        for page in ROOT.glob("man/*.[1-8]"):
            self.assertIn(f"./usr/share/man/man{page.suffix[1:]}/{page.name}.gz\n", self.list)
        if (ROOT / "README.md").exists():
            self.assertIn("./usr/share/doc/goldpath/README.md\n", self.list)

    def test_stripped(self):
        self.assertNotIn(".symtab", self.output("readelf", "-SW", self.root / "usr/bin/goldpath"))

    def test_nothing_runs(self):
        self.assertEqual(sorted(p.name for p in (self.root / "DEBIAN").iterdir()), ["control", "md5sums"])

    def test_depends(self):
        depends = self.field("Depends").split(", ")
        for wanted in ("libsystemd0 (>= 249)", "libcurl4 (>= 7.81) | libcurl4t64", "libssl3 (>= 3.0.2) | libssl3t64", "libdeflate0 (>= 1.10)",
                       "ca-certificates"):
            self.assertIn(wanted, depends)
        self.assertEqual(len([d for d in depends if d.startswith(("libc6 (>= 2.", "libpq5 (>= 14"))]), 2)

    def test_version(self):
        self.assertEqual(self.field("Version"), re.search(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.M).group(1))

    def test_licences_of_what_is_linked_in(self):
        text = (self.root / "usr/share/doc/goldpath/copyright").read_text()
        for words in ("hiredis", "LibYAML", "Jansson", "Redistributions in binary form", "Permission is hereby granted"):
            self.assertIn(words, text)

    def test_same_bytes_again(self):
        again = self.build("two.deb", TZ="Asia/Tokyo", LC_ALL="C.UTF-8", HOME="/nonexistent")
        self.assertEqual(self.deb.read_bytes(), again.read_bytes())


if __name__ == "__main__":
    unittest.main()
