"""Whence the page faults of a session come: which process, what was touched, and by which function.

Those that the kernel takes on its own account, as for the arguments of exec, have no address and are
not in the list. A session may begin before perf or end after it: the longest list is shown.
"""
import bisect
import collections
import re
import subprocess

EVENTS = ("exceptions:page_fault_user", "exceptions:page_fault_kernel")
KINDS = {0x14: "run", 4: "read", 6: "write", 7: "copy", 0: "read*", 2: "write*", 3: "copy*"}
FAULT = re.compile(r"\s*\S.*?\s(\d+)\s+exceptions:page_fault_\w+:\s+"
                   r"address=(0x[0-9a-f]+) ip=(\S+) error_code=(0x[0-9a-f]+)")
FORK = re.compile(r"FORK\((\d+):\d+\):\((\d+):")
MAP = re.compile(r"(\d+)/\d+: \[(0x[0-9a-f]+)\(0x[0-9a-f]+\) @ (0x[0-9a-f]+|0) .* r-xp (\S+)$")


def lines(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace").stdout.splitlines()


class Image:
    """What lies where in a program."""

    def __init__(self, program):
        words = [line.split() for line in lines("nm", program)]
        self.symbols = sorted((int(w[0], 16), w[2]) for w in words if len(w) == 3)
        found = re.findall(r"\] (\S+) +\S+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)",
                           "\n".join(lines("readelf", "-SW", program)))
        self.sections = [(int(at, 16), int(n, 16), name) for name, at, n in found if int(at, 16)]
        loads = [line.split() for line in lines("readelf", "-lW", program)]
        self.loads = {int(w[1], 16): int(w[2], 16) for w in loads if w[:1] == ["LOAD"]}
        self.base = 0

    def place(self, address):
        """Section and symbol, or None if it lies elsewhere."""
        at = address - self.base
        for begin, size, name in self.sections:
            if begin <= at < begin + size:
                i = bisect.bisect_right(self.symbols, (at, "\x7f")) - 1
                symbol = f"{self.symbols[i][1]}+{at - self.symbols[i][0]:#x}" if i >= 0 else ""
                return f"{at:#8x} {name} {symbol}"
        return None


def parse(image, program, text):
    """(process, kind, where, by), ... of one run of the program, that of which most was seen."""
    roles, runs = {}, [[]]
    for line in text:
        mapped, forked, fault = MAP.search(line.rstrip()), FORK.search(line), FAULT.match(line)
        if mapped and mapped[4] == str(program):
            roles = {int(mapped[1]): "monitor"}
            runs.append([])
            image.base = int(mapped[2], 16) - image.loads[int(mapped[3], 16)]
        elif forked and int(forked[2]) in roles:
            roles[int(forked[1])] = "session"
        elif fault and int(fault[1]) in roles:
            by = fault[3]
            if by.startswith("0x"):
                by = (image.place(int(by, 16)) or "vdso").split()[-1]
            runs[-1].append((roles[int(fault[1])], KINDS.get(int(fault[4], 16), fault[4]),
                             image.place(int(fault[2], 16)) or f"{int(fault[2], 16):x}", by))
    return max(runs, key=len)


def show(command, text, place):
    """Prints the list. `place` runs the command, as an ordinary user."""
    data = place.where / "perf.data"
    with subprocess.Popen(["perf", "record", "-q", "-a", "-o", data,
                           *(x for e in EVENTS for x in ("-e", e)), "--", "sleep", "2"]) as perf:
        while perf.poll() is None:
            place.run(command, text)
    program = command[0]
    found = parse(Image(program), program, lines(
        "perf", "script", "-i", data, "--show-mmap-events", "--show-task-events",
        "-F", "comm,pid,event,ip,sym,trace"))
    print("(* by the kernel in a system call)")
    for process, kind, where, by in found:
        print(f"{process:<8} {kind:<7} {where:<52} {by}")
    print(dict(collections.Counter(process for process, *_ in found)))
