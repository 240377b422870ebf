"""What one session costs: with TLS and without, and each message of 10 KB.

	clear, full, resumed   a whole session with one message, on a connection of its own: as it is,
	                       behind STARTTLS with a whole handshake (TLS 1.3, P-256), and with a ticket of
	                       the last one. Time as the client sees it, its own work included; processor
	                       time of smtpd and all that it started. They take turns.
	instructions           of smtpd, for each accepted message, by callgrind: the difference between a
	                       connection with 101 of them and one with one, both processes. The programs
	                       are as shipped, but dynamic and not locked in, as valgrind needs it.

BENCH_ROUNDS (default 5) times 20 sessions of each kind. Needs root, to be somebody else.
"""
import ctypes
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/tools"))

import client # noqa: E402
import pki # noqa: E402

SESSIONS = 20 # of a kind, for each round
MESSAGES = 100
BODY = "Subject: x\r\n\r\n" + 128 * (78 * "x" + "\r\n")
NOBODY = 65534
SET_CHILD_SUBREAPER = 36
KINDS = ("clear", "full", "resumed")


class Lab:
    """A directory with spool, certificate and programs that an ordinary user can reach."""

    def __init__(self, where):
        self.where = where
        where.chmod(0o755)
        for name in ("spool", "run", "logs"):
            (where / name).mkdir(mode=0o700)
            os.chown(where / name, NOBODY, NOBODY)
        made = pki.Pki(where)
        shutil.chown(made.path("server"), NOBODY)
        self.certificate = made.path("server")
        self.copy(TOP / "build")

    def copy(self, build):
        for name in ("smtpd", "relay", "tls"):
            shutil.copy(build / name, self.where)

    def start(self, *before, **settings):
        """A client of a new smtpd, of which nothing was read yet."""
        settings = {"spool": self.where / "spool", "runtime": self.where / "run", "log": "none",
                    "hostname": "mx.test.example", "max_connections": 0, **settings}
        options = [x for key, value in settings.items() for x in ("-o", f"{key}={value}")]
        ours, theirs = client.pair()
        with theirs:
            process = subprocess.Popen([*before, self.where / "smtpd", *options], stdin=theirs,
                                       stdout=theirs, user=NOBODY, group=NOBODY, extra_groups=[])
        return client.Client(ours, process)


def reap():
    """Waits for all that was started, and by whom ever."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


def used():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


class Tls:
    """Sessions with a certificate, and the last ticket."""

    def __init__(self, lab):
        self.lab = lab
        self.settings = client.context()
        self.ticket = None

    def session(self, kind):
        """Seconds of time, and of processor time."""
        cpu, begin = used(), time.monotonic()
        c = self.lab.start(tls_certificate=self.lab.certificate)
        assert c.reply()[:3] == "220"
        c.hello()
        if kind != "clear":
            c.starttls(self.settings, session=self.ticket if kind == "resumed" else None)
            c.hello()
        assert c.message(BODY)[:3] == "250"
        if kind != "clear":
            assert c.sock.session_reused == (kind == "resumed")
            self.ticket = c.sock.session
        assert c.ask("QUIT")[:3] == "221"
        c.rest()
        c.file.close()
        c.sock.close()
        elapsed = time.monotonic() - begin
        reap()
        return elapsed, used() - cpu


def compare_tls(lab, rounds):
    tls = Tls(lab)
    found = {kind: [] for kind in KINDS}
    for kind in KINDS: # not counted
        tls.session(kind)
    for _ in range(rounds * SESSIONS):
        for kind in KINDS:
            found[kind].append(tls.session(kind))
    print(f"{'session':<14}{'ms':>8}{'x clear':>9}{'CPU ms':>9}{'x clear':>9}")
    clear = [statistics.median(column) for column in zip(*found["clear"])]
    for kind, own in found.items():
        elapsed, cpu = (statistics.median(column) for column in zip(*own))
        print(f"{kind:<14}{elapsed * 1000:>8.2f}{elapsed / clear[0]:>9.2f}{cpu * 1000:>9.2f}"
              f"{cpu / clear[1]:>9.2f}")


def instructions(lab, messages):
    """Of all processes of one connection."""
    c = lab.start("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                  f"--log-file={lab.where}/logs/%p")
    assert c.reply()[:3] == "220"
    c.hello()
    for _ in range(messages):
        assert c.message(BODY)[:3] == "250"
    assert c.ask("QUIT")[:3] == "221"
    c.rest()
    reap()
    counted = 0
    for log in (lab.where / "logs").iterdir():
        counted += int(re.search(r"Collected : (\d+)", log.read_text())[1])
        log.unlink()
    return counted


def count_instructions(lab):
    subprocess.run(["make", "-s", "-C", str(TOP), "B=build/counted", "STATIC=-pie",
                    "CPPFLAGS_EXTRA=-DPOSTERN_INSTRUMENTED", "all"], check=True)
    lab.copy(TOP / "build/counted")
    one = instructions(lab, 1)
    each = (instructions(lab, 1 + MESSAGES) - one) / MESSAGES
    print(f"instructions: {each / 1000:.0f} thousand for each message of {len(BODY)} octets; "
          f"{one / 1e6:.2f} million for a connection with one")


def main():
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", "/var/tmp")) as where:
        lab = Lab(pathlib.Path(where))
        print(f"{rounds * SESSIONS} sessions of each kind; {os.cpu_count()} processors, "
              f"load {os.getloadavg()[0]:.1f}")
        compare_tls(lab, rounds)
        if shutil.which("valgrind") is None:
            print("instructions: needs valgrind, which is not installed")
        else:
            count_instructions(lab)


if __name__ == "__main__":
    main()
