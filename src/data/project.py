"""Say what a checkout needs from Python, as one JSON object. Run as the deploy user, with the site's own python3.

argv: the folder with manage.py. The parsers are pip's own.
"""
import json
import os
import platform
import sys

from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet

try:
    import tomllib
except ImportError:  # Python 3.10 (Ubuntu 22.04)
    from pip._vendor import tomli as tomllib

folder = sys.argv[1]
answer = {"version": platform.python_version(), "requires": "", "fits": True, "error": ""}
path = os.path.join(folder, "pyproject.toml")
if os.path.exists(path):
    try:
        with open(path, "rb") as file:
            project = tomllib.load(file).get("project", {})
        answer["requires"] = str(project.get("requires-python", ""))
        answer["fits"] = SpecifierSet(answer["requires"]).contains(answer["version"], prereleases=True)
    except (tomllib.TOMLDecodeError, InvalidSpecifier, UnicodeDecodeError, AttributeError) as error:
        answer["error"] = f"pyproject.toml: {error}"
print(json.dumps(answer))
