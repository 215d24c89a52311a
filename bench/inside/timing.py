"""Runs inside a host: times whole processes in turn, so that what the machine does to one it does to all.

usage: timing.py < [{"name", "argv", "runs", "env", "must"}, …]    prints {name: {"wall": [s, …], "cpu": [s, …]}}

`must` is a regular expression that the output of each run has to match: a run that found something to change is not the run that is
compared. `cpu` is user and system time of the process and of all it waited for; what servers do to answer is not in it.
"""
import json
import os
import re
import sys
import tempfile
import time


def run(contender):
    with tempfile.TemporaryFile() as out:
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                       **contender.get("env", {})}
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                   (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        start = time.perf_counter()
        pid = os.posix_spawn(contender["argv"][0], contender["argv"], environment, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - start
        out.seek(0)
        said = out.read().decode(errors="replace")
    if os.waitstatus_to_exitcode(status) != 0 or not re.search(contender["must"], said):
        sys.exit(f"{contender['name']}: exit {os.waitstatus_to_exitcode(status)}, its output does not match {contender['must']}:\n{said}")
    return wall, usage.ru_utime + usage.ru_stime


def main():
    contenders = json.load(sys.stdin)
    result = {contender["name"]: {"wall": [], "cpu": []} for contender in contenders}
    rounds = max(contender["runs"] for contender in contenders)
    for contender in contenders:
        run(contender)  # once unseen: caches, byte code
    for i in range(rounds):
        for contender in contenders:
            # Those with fewer runs have them spread over the whole time.
            if i * contender["runs"] // rounds != (i + 1) * contender["runs"] // rounds:
                wall, cpu = run(contender)
                result[contender["name"]]["wall"].append(wall)
                result[contender["name"]]["cpu"].append(cpu)
    json.dump(result, sys.stdout)


main()
