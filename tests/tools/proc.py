"""What /proc tells about processes."""
import pathlib
import time

PROC = pathlib.Path("/proc")


def words(pid):
    """Its command line; [] when it has ended."""
    try:
        line = (PROC / str(pid) / "cmdline").read_bytes()
        for _ in range(50): # none while it becomes another program; no memory is what has ended, or is the kernel's
            if line or (PROC / str(pid) / "statm").read_bytes().startswith(b"0 "):
                break
            time.sleep(0.001)
            line = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return line.decode(errors="replace").split("\0")


def running(program, word):
    """Process ids of those that were started by this name, and with this word; with a path in front
    it is one that has forked and not become it yet."""
    found = {int(p.name): words(p.name) for p in PROC.glob("[0-9]*")}
    return [pid for pid, line in found.items()
            if line and line[0].rpartition("/")[2] == program and word in line]


def parent(pid):
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def forked(program, word, ours):
    """Process ids of those that bear a program's name and are none of its own: it forked them to
    become something else. Its own are the ones of `ours`, what these started as such, as inetd does,
    and the first child of each, which is the session."""
    left = set(running(program, word))
    first = {pid for pid in left if pid in ours or parent(pid) in ours}
    sessions = {}
    for pid in sorted(left - first):
        sessions.setdefault(parent(pid), pid)
    return sorted(left - first - {pid for above, pid in sessions.items() if above in first})


def children(pid):
    return [int(x) for x in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
