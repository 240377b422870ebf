"""What a process has in its memory. Needs root, or a process of ours that lets itself be traced."""
import pathlib
import re


def regions(pid):
    """(name, octets) of all that it can read."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in lines:
            low, high, flags, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
            if flags[0] != "r" or name.startswith("[v"):
                continue
            at, end = int(low, 16), int(high, 16)
            memory.seek(at)
            octets = b""
            while len(octets) < end - at and (piece := memory.read(end - at - len(octets))):
                octets += piece
            yield name or "nameless", octets


def find(pid, markers):
    """Where each of the markers stands, with what is around it. A process that has ended has nothing."""
    try:
        found = list(regions(pid))
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [f"{name}+{m.start():#x} of {len(octets):#x}: {octets[max(m.start() - 24, 0):m.end() + 24]!r}"
            for name, octets in found for marker in markers
            for m in re.finditer(re.escape(marker), octets)]
