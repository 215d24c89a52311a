#!/usr/bin/python3
"""Write the files named on the command line as C strings: embed.py OUT.c FILE... Each becomes gp_data_<name, with _ for . and ->."""
import os
import re
import sys

out, files = sys.argv[1], sys.argv[2:]
with open(out, "w", encoding="utf-8") as c:
    c.write('#include "data/embed.h"\n')
    for path in files:
        name = re.sub(r"[^a-z0-9]", "_", os.path.basename(path).lower())
        with open(path, encoding="utf-8") as source:
            lines = source.read().splitlines(keepends=True)
        c.write(f"\nconst char gp_data_{name}[] =\n")
        for line in lines:
            text = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n").replace("??", '?""?')
            c.write(f'\t"{text}"\n')
        c.write("\t;\n")
