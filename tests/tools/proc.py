"""What /proc tells about processes."""
import contextlib
import os
import pathlib
import re

import patience

PROC = pathlib.Path("/proc")
GONE = (FileNotFoundError, ProcessLookupError) # between two looks
BECOMING = 30 # s; then it is taken for one that has none
nameless = set() # births of those
without_memory = set() # (process id, inode in /proc): the kernel's own, and what has ended; they stay so


def read(pid, name):
    """A short file; this is done for every process, many times a second."""
    fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def name_to_come(pid):
    """The command line of one that is becoming another program. No memory is what has ended, or is the kernel's."""
    born = birth(pid)
    if born in nameless:
        return b""
    line = patience.within(lambda: read(pid, "cmdline") or read(pid, "statm").startswith(b"0 "), BECOMING)
    if line is True:
        return b""
    if not line:
        nameless.add(born)
    return line


def words(pid):
    """Its command line; [] when it has ended."""
    try:
        line = read(pid, "cmdline") or name_to_come(pid)
    except OSError:
        return []
    return line.decode(errors="replace").split("\0")


def lines():
    """The command line of each process that has one, by its id."""
    found = {}
    with os.scandir(PROC) as entries:
        there = [(int(e.name), e.inode()) for e in entries if e.name.isdigit()]
    for process in there:
        line = words(process[0]) if process not in without_memory else []
        if line == [""]:
            without_memory.add(process)
        elif line:
            found[process[0]] = line
    return found


def running(program, word, found=None):
    """Process ids of those that were started by this name, and with this word; with a path in front
    it is one that has forked and not become it yet. `found`: of these, lines() at some time."""
    return [pid for pid, line in (lines() if found is None else found).items()
            if line[0].rpartition("/")[2] == program and word in line]


def birth(pid):
    """(process id of its parent, when it was started, its own), (0, 0, pid) when it has ended."""
    try:
        fields = read(pid, "stat").rpartition(b")")[2].split()
        return int(fields[1]), int(fields[19]), pid
    except (OSError, IndexError):
        return 0, 0, pid


def lives(born):
    """Is the one of this birth() there, and has not ended?"""
    try:
        fields = read(born[2], "stat").rpartition(b")")[2].split()
        return int(fields[19]) == born[1] and fields[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def oldest_first(pids):
    """Process ids start at small numbers again, so they tell nothing of the order."""
    return sorted(pids, key=lambda pid: birth(pid)[1:])


def forked(program, word, ours, found=None):
    """Process ids of those that bear a program's name and are none of its own: it forked them to
    become something else. Its own are the ones of `ours`, what these started as such, as inetd does,
    and the first child of each, which is the session."""
    born = sorted(birth(pid) for pid in running(program, word, found))
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


def descriptors(pid):
    """{number: what it is} of what it has open; what it closes meanwhile is gone, and so is one that has ended."""
    found = {}
    with contextlib.suppress(*GONE):
        for fd in os.listdir(PROC / f"{pid}/fd"):
            with contextlib.suppress(*GONE):
                found[int(fd)] = os.readlink(PROC / f"{pid}/fd/{fd}")
    return found


def sockets(pid):
    """Those that it has open, by their names in /proc."""
    return {what for what in descriptors(pid).values() if what.startswith("socket:")}


def pss(pid):
    """Memory of a process, KiB: its own, and its share of what it shares."""
    text = (PROC / f"{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Pss: +(\d+) kB$", text, re.M)[1])
