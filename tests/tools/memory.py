"""What a process has in its memory. Needs root, or a process of ours that lets itself be traced."""
import errno
import pathlib
import re

LOOKS = 100 # more than a process can spoil that unmaps now and then
SHADOW = 1 << 30 # what is larger is a sanitizer's own, and no memory of ours


def regions(pid):
    """(name, octets) of all that it can read. What it gave back while we were reading raises EIO."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in lines:
            low, high, flags, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
            at, end = int(low, 16), int(high, 16)
            if flags[0] != "r" or name.startswith("[v") or end - at >= SHADOW:
                continue
            memory.seek(at)
            octets = b""
            while len(octets) < end - at and (piece := memory.read(end - at - len(octets))):
                octets += piece
            yield name or "nameless", octets


def look(pid):
    """All of it at one time: what a process at work unmaps meanwhile has us look again."""
    for looks_left in reversed(range(LOOKS)):
        try:
            return list(regions(pid))
        except (FileNotFoundError, ProcessLookupError):
            return [] # it has ended
        except OSError as error:
            if error.errno != errno.EIO or not looks_left:
                raise


def find(pid, markers):
    """Where each of the markers stands, with what is around it. A process that has ended has nothing."""
    return [f"{name}+{m.start():#x} of {len(octets):#x}: {octets[max(m.start() - 24, 0):m.end() + 24]!r}"
            for name, octets in look(pid) for marker in markers
            for m in re.finditer(re.escape(marker), octets)]
