"""What /proc tells about processes."""
import contextlib
import os
import pathlib
import re

import patience

PROC = pathlib.Path("/proc")
BECOMING = 1 # s; then it is taken for one that has none


def read(pid, name):
    """A short file; this is done for every process, many times a second."""
    fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def words(pid):
    """Its command line; [] when it has ended."""
    try:
        line = read(pid, "cmdline")
        if not line: # while it becomes another program; no memory is what has ended, or is the kernel's
            line = patience.within(lambda: read(pid, "cmdline") or read(pid, "statm").startswith(b"0 "), BECOMING)
            line = b"" if line is True else line
    except OSError:
        return []
    return line.decode(errors="replace").split("\0")


def lines():
    """The command line of each process that has one, by its id."""
    found = {int(pid): words(pid) for pid in os.listdir(PROC) if pid.isdigit()}
    return {pid: line for pid, line in found.items() if line}


def running(program, word):
    """Process ids of those that were started by this name, and with this word; with a path in front
    it is one that has forked and not become it yet."""
    return [pid for pid, line in lines().items()
            if line[0].rpartition("/")[2] == program and word in line]


def birth(pid):
    """(process id of its parent, when it was started, its own), (0, 0, pid) when it has ended."""
    try:
        fields = read(pid, "stat").rpartition(b")")[2].split()
        return int(fields[1]), int(fields[19]), pid
    except (OSError, IndexError):
        return 0, 0, pid


def forked(program, word, ours):
    """Process ids of those that bear a program's name and are none of its own: it forked them to
    become something else. Its own are the ones of `ours`, what these started as such, as inetd does,
    and the first child of each, which is the session."""
    born = sorted(birth(pid) for pid in running(program, word))
    inetds = set(ours) - {pid for _, _, pid in born}
    first = {pid for parent, _, pid in born if pid in ours or parent in inetds}
    others = [(parent, pid) for parent, _, pid in born if pid not in first]
    sessions = {}
    for parent, pid in others:
        if parent in first:
            sessions.setdefault(parent, pid)
    return [pid for _, pid in others if pid not in sessions.values()]


def children(pid):
    return [int(x) for x in (PROC / f"{pid}/task/{pid}/children").read_text().split()]


def sockets(pid):
    """Those that it has open, by their names in /proc; not what it closes while we look."""
    links = set()
    for fd in os.listdir(PROC / f"{pid}/fd"):
        with contextlib.suppress(OSError):
            links.add(os.readlink(PROC / f"{pid}/fd/{fd}"))
    return {link for link in links if link.startswith("socket:")}


def pss(pid):
    """Memory of a process, KiB: its own, and its share of what it shares."""
    text = (PROC / f"{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Pss: +(\d+) kB$", text, re.M)[1])
