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


def children(pid):
    return [int(x) for x in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
