"""What `postern` costs with LANES (1000) lanes and EACH (100) messages in each of them, all of which were put off
once: status, list and its first line, retry of all and how soon it ends when it is told to, hold and remove of all.

Of each the processor time and the time that passes, and the most memory that it had. The spool is in BENCH_DIR
(/tmp), and its names are in the kernel's memory, as behind a first look.
"""
import multiprocessing
import os
import pathlib
import pty
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tests" / "tools"))

import spoolfile # noqa: E402 pylint: disable=wrong-import-position

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
LANES, EACH = int(os.environ.get("LANES", "1000")), int(os.environ.get("EACH", "100"))
RUNS = 5
NOBODY = 65534
TEXT = b"Subject: bench\r\n\r\nx\r\n"
LOG = b"1 soft 2 mx.example[192.0.2.1]:25: 450 4.2.1 come back later\n"


def fill(spool):
    spoolfile.fill(spool, [f"u{i}@d{n}.example" for n in range(LANES) for i in range(EACH)], TEXT)
    later = time.time() + 3600
    for lane in (spool / "lane").iterdir():
        for name in os.listdir(lane):
            (lane / f"{name}.log").write_bytes(LOG)
            os.utime(lane / f"{name}.log", (later, later))
        for name in ("@lock", "@retry"):
            (lane / name).touch()
        os.utime(lane / "@retry", (later, later))
    if os.geteuid() == 0:
        for path in [spool, *spool.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)


class Bench:
    def __init__(self, where):
        self.spool = where / "spool"
        self.spool.mkdir(mode=0o700)
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        self.words = [*drop, str(BUILD / "postern"), "-o", f"spool={self.spool}", "-o", "max_connections=0",
                      "-o", "log=none"]

    def run(self, *arguments):
        """Seconds until the first octet, until the end, of processor; MiB; octets."""
        begin, first, octets = time.monotonic(), None, 0
        with subprocess.Popen([*self.words, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
            while data := os.read(p.stdout.fileno(), 65536):
                first = first or time.monotonic() - begin
                octets += len(data)
            _, status, used = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        end = time.monotonic() - begin
        assert p.returncode == 0, (arguments, p.returncode)
        return first, end, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, octets

    def say(self, what, *arguments, runs=RUNS):
        all_runs = [self.run(*arguments) for _ in range(runs)]
        first, end, cpu, memory, octets = (statistics.median(column) for column in zip(*all_runs))
        best, worst = min(r[1] for r in all_runs), max(r[1] for r in all_runs)
        print(f"{what}: {end:.2f} s ({best:.2f}-{worst:.2f}), "
              f"{cpu:.2f} s of CPU, first octet after {first * 1000:.0f} ms, {memory:.1f} MiB, {octets / 2**20:.1f} MiB of text", flush=True)
        return best, memory

    def interrupted(self):
        """`retry --all` at a terminal, which is told to end when its bar is there: s, and what it said."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execvp(self.words[0], [*self.words, "retry", "--all"])
        said, told = b"", 0
        while True:
            try:
                said += os.read(fd, 4096)
            except OSError:
                break
            if not told and re.search(rb"\] \d+/\d+ messages", said):
                told = time.monotonic()
                os.write(fd, b"\x03")
        took = time.monotonic() - told
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        last = said.replace(b"\r", b"\n").split(b"\n")
        return took, status, next(line.decode() for line in reversed(last) if b" are due" in line)


def main():
    where = pathlib.Path(tempfile.mkdtemp(prefix="postern-queue-", dir=os.environ.get("BENCH_DIR")))
    where.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        b = Bench(where)
        # By another process: what this one had in memory would count as its children's.
        filler = multiprocessing.Process(target=fill, args=(b.spool,))
        filler.start()
        filler.join()
        print(f"queue: {LANES * EACH} messages in {LANES} lanes, each put off once")
        end, memory = b.say("status", "status")
        b.say("status --json", "status", "--json")
        b.say("list", "list")
        b.say("list --json", "list", "--json")
        b.say("list --to, one of them", "list", "--to", f"u7@d{LANES // 2}.example")
        b.say("retry --all", "retry", "--all", "--no-wait")
        took, status, said = b.interrupted()
        print(f"retry --all at a terminal, ^C when its bar is there: ends after {took * 1000:.0f} ms with {status}: {said}")
        b.say("hold --all", "hold", "--all", "--yes", runs=1)
        b.say("release --all", "release", "--all", "--yes", runs=1)
        b.say("remove --all", "remove", "--all", "--yes", runs=1)
        assert end <= 1 and memory <= 32, "status: more than a second, or than 32 MiB"
    finally:
        shutil.rmtree(where)


main()
