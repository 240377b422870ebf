"""relay with a queue that was written by us, and not by smtpd: what the benches of delivery begin with.

BENCH_CPU: percent of one processor that relay may have, by the cpu controller of cgroup v1.
"""
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "tools"))

import proc # noqa: E402
import spoolfile # noqa: E402

NOBODY = 65534
CGROUP = pathlib.Path("/sys/fs/cgroup/cpu")
PERIOD = 20_000 # us


class Relay:
    """A spool, and relay set up for it; settings are those of the configuration. `place` is where the
    spool lies, by default on the disk to measure."""

    def __init__(self, place=None, **settings):
        place = place or os.environ.get("BENCH_DIR", "/var/tmp")
        self.where = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench.", dir=place))
        self.where.chmod(0o755)
        shutil.copy(TOP / "build" / "relay", self.where) # where everybody may look
        self.spool = self.where / "spool"
        self.spool.mkdir(mode=0o700)
        os.chown(self.spool, NOBODY, NOBODY)
        self.log = self.where / "log"
        self.group = self.hold(int(os.environ.get("BENCH_CPU", "0")))
        self.settings = {"spool": self.spool, "hostname": "postern.example", "log": "stderr",
                         **settings}

    def hold(self, percent):
        """A group of processes with no more of a processor; None: there is no limit."""
        if percent == 0:
            return None
        group = CGROUP / self.where.name
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(PERIOD * percent // 100))
        return group

    def enter(self):
        """The command that puts what follows into that group."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.group / "cgroup.procs")] if self.group else []

    def fill(self, recipients, size):
        """A message of about `size` octets for each."""
        line = b"0123456789abcdef" * 4 + b"\r\n"
        spoolfile.fill(self.spool, recipients,
                       b"Subject: bench\r\n\r\n" + line * (size // len(line)))

    def due(self):
        """Starts what is due; the processor time that took, s."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        options = [x for k, v in self.settings.items() for x in ("-o", f"{k}={v}")]
        with open(self.log, "ab") as log:
            subprocess.run([*self.enter(), "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                            str(self.where / "relay"), *options, "--due"], check=True, stderr=log)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def queued(self):
        return spoolfile.messages(self.spool)

    def processes(self):
        return proc.running("relay", f"spool={self.spool}")

    def running(self):
        """Is a relay at work on this spool?"""
        return bool(self.processes())

    def stop(self):
        """Whatever they are at. The first process goes first, or it would start another."""
        for pid in sorted(self.processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def logged(self):
        return self.log.read_text(errors="replace")

    def close(self):
        until(lambda: not self.running(), 600)
        if self.group:
            until(lambda: not (self.group / "cgroup.procs").read_text(), 60)
            self.group.rmdir()
        shutil.rmtree(self.where)


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
