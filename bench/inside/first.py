"""Runs inside a bare host: the first `goldpath provision`, and which of the programs it started took how long.

The kernel is asked every few milliseconds which children goldpath has. Nothing is traced: apt and dpkg start thousands of processes,
and each would be slower. What lives shorter than that is counted as goldpath's own time.

Prints {"total", "apt", "itself": s, "programs": {name: s}}; the programs are those that goldpath itself started, and "itself" is the time in
which none of them ran. Where two run beside each other, the sum is more than the total.
"""
import collections
import contextlib
import json
import os
import re
import subprocess
import sys
import time

INTERVAL_S = 0.003


def title(words):
    """The program, and what it was told to do: apt-get install, ufw allow, python3 -m pip."""
    program = os.path.basename(words[0])
    if words[1:2] == ["-m"]:
        return f"{program} -m {words[2]}"
    verb = next((word for word in words[1:] if re.fullmatch("[a-z][a-z-]+", word)), None)
    return f"{program} {verb}" if verb and program in ("apt-get", "dpkg", "ufw") else program


def of_script(words):
    """ufw is a Python script: python3 /usr/sbin/ufw allow …"""
    return words[1:] if len(words) > 1 and re.match(r"python3?$", os.path.basename(words[0])) and words[1].startswith("/usr/") else words


def unnamed(words):
    """Not asked yet, or asked too early: before exec a child is goldpath still, and within exec it has no command line at all."""
    return not words or words[0].endswith("goldpath")


def watch(pid, ended):
    """Until ended(): when each child was seen first and last, and its first command line that was its own."""
    first, last, words = {}, {}, {}
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        while not ended():
            children.seek(0)
            now = time.perf_counter()
            for child in children.read().split():
                first.setdefault(child, now)
                last[child] = now
                if unnamed(words.get(child)):
                    with contextlib.suppress(OSError), open(f"/proc/{child}/cmdline") as f:
                        words[child] = f.read().split("\0")[:-1] or words.get(child)
            time.sleep(INTERVAL_S)
    programs = collections.Counter()
    for child in first:
        programs[title(of_script(words.get(child) or ["?"]))] += last[child] - first[child]
    return programs, covered((first[child], last[child]) for child in first)


def covered(spans):
    """How long there was at least one: some programs run beside others."""
    total, until = 0, 0
    for begin, end in sorted(spans):
        total += max(0, end - max(begin, until))
        until = max(until, end)
    return total


def main():
    with open("/root/story", "w+") as story:
        began = time.perf_counter()
        goldpath = subprocess.Popen(["goldpath", "provision", "--yes"], stdin=subprocess.DEVNULL, stdout=story, stderr=story)
        programs, busy = watch(goldpath.pid, lambda: goldpath.poll() is not None)
        total = time.perf_counter() - began
        if goldpath.returncode:
            story.seek(0)
            sys.exit(f"goldpath provision: exit {goldpath.returncode}\n{story.read()}")
    apt = sum(seconds for program, seconds in programs.items() if program.split()[0] in ("apt-get", "dpkg"))
    json.dump({"total": total, "apt": apt, "itself": total - busy, "programs": dict(programs.most_common())}, sys.stdout)


main()
