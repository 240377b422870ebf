"""A host of our own for the tests: an overlay of / with Postern installed, and its own network.

Everything is mounted inside a private mount namespace on a tmpfs, so it is gone when the last
process of it ends, however the test ended. The host's own files, network and journal are not
touched. Needs root; without it `need_root` skips, and says so.
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import smtplib
import socket
import subprocess

import pytest

import internet
import patience
import proc
import spoolfile

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build")).resolve()
HOSTNAME = "mx.test.example"
CLONE_NEWNET = 0x40000000

CONFIG = f"""hostname = {HOSTNAME}
nameserver = 127.0.0.1:5353
allow_destinations = 127.0.0.0/8
timeout_dns = 1m
timeout_connect = 1m
timeout_quit = 1s
retry = 2s
"""

# $1 directory for the mounts, $2 sources, $3 build directory, $4 configuration. What Postern's
# documentation tells an administrator to do, in that order.
INSTALL = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" overlay "$1/root"
root=$1/root
# What the host has of Postern must not help; what it starts at boot must not disturb.
rm -rf "$root/etc/postern" "$root/var/spool/postern" "$root"/etc/systemd/system/*.wants
make -s -C "$2" install DESTDIR="$root" PREFIX=/usr B="$3"
systemd-sysusers --root="$root" postern.conf
systemd-tmpfiles --root="$root" --create postern.conf
mkdir -p "$root/etc/postern"
printf %s "$4" >"$root/etc/postern/postern.conf"
"""


def need_root(*programs):
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes namespaces and mounts", allow_module_level=True)
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs root and {program}, which is not installed",
                        allow_module_level=True)
    probe = subprocess.run(["unshare", "-m", "-n", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"needs root: no namespaces here: {probe.stderr.strip()}",
                    allow_module_level=True)


def environment():
    """Ours without what would be settings of the programs."""
    return {k: v for k, v in os.environ.items() if not k.startswith("POSTERN_")}


class Process:
    """What /proc tells about a process, read once."""

    def __init__(self, pid):
        self.pid = pid
        where = pathlib.Path("/proc") / str(pid)
        self.words = proc.words(pid) or [""]
        status = dict(line.split(":\t", 1)
                      for line in (where / "status").read_text().splitlines() if ":\t" in line)
        self.parent = int(status["PPid"])
        self.net = os.stat(where / "ns/net").st_ino
        self.environment = (where / "environ").read_bytes().decode(errors="replace").split("\0")
        self.cgroup = (where / "cgroup").read_text()

    @property
    def program(self):
        return os.path.basename(self.words[0])

    def maps(self):
        return (pathlib.Path("/proc") / str(self.pid) / "maps").read_text()


def processes():
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, KeyError):
                yield Process(int(name))


def hand_over(client, recipient, text, sender):
    """The reply of 250 to a message that `client` sends."""
    client.mail(sender)
    client.rcpt(recipient)
    code, said = client.data(f"Subject: test\r\n\r\n{text}\r\n")
    assert code == 250, said
    return said.decode()


class Host:
    """A running host: `leader` is the pid of a process in all its namespaces."""

    def __init__(self, leader):
        self.leader = leader
        self.net = os.stat(f"/proc/{leader}/ns/net").st_ino
        self.root = pathlib.Path(f"/proc/{leader}/root")

    @contextlib.contextmanager
    def network(self):
        """Sockets made inside belong to this host's network, for as long as they live."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(fd):
            if libc.setns(fd, CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")

        ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        theirs = os.open(f"/proc/{self.leader}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(theirs)
            try:
                yield
            finally:
                enter(ours)
        finally:
            os.close(ours)
            os.close(theirs)

    def run(self, *command, check=True, timeout=2 * patience.PATIENCE):
        """A command on this host; its output."""
        p = subprocess.run(["nsenter", "-t", str(self.leader), "-m", "-n", "-p", "-u", "-i", "-C",
                            "-r", "-w", "--", *command],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=timeout,
                           env=environment())
        assert not check or p.returncode == 0, f"{command}: {p.returncode}: {p.stdout}"
        return p.stdout

    def ours(self, *programs):
        """Processes of Postern on this host."""
        return [p for p in processes()
                if p.net == self.net and p.program in (programs or ("smtpd", "relay"))]

    def connect(self, source="127.0.0.1"):
        with self.network():
            s = socket.socket()
            s.settimeout(patience.PATIENCE)
            s.bind((source, 0))
            s.connect(("127.0.0.1", 25))
        return s

    @contextlib.contextmanager
    def client(self):
        """One that has said EHLO, and is there until the block ends."""
        with self.network():
            client = smtplib.SMTP("127.0.0.1", 25, "client.example", patience.PATIENCE)
        with client:
            client.ehlo()
            yield client

    def send(self, recipient, text="hello", sender="a@sender.example"):
        """The reply to the message, without waiting for what becomes of it."""
        with self.client() as client:
            return hand_over(client, recipient, text, sender)

    def queued(self):
        return spoolfile.messages(self.root / "var/spool/postern")

    def at_rest(self):
        # Twice, for one that starts another and ends may do both behind one look.
        return patience.until(lambda: not self.ours() and not self.queued() and not self.ours())

    def flood(self, number):
        """Connects that say nothing, as fast as they go. How many were made."""
        made = 0
        waiting = []
        for _ in range(number):
            with contextlib.suppress(OSError):
                waiting.append(self.connect())
                made += 1
            if len(waiting) >= 100:
                waiting.pop(0).close()
        for s in waiting:
            s.close()
        return made


class Started:
    """A command inside a private mount namespace, and its end."""

    def __init__(self, where, script, *more):
        self.log = where / "host.log"
        mounts = where / "mounts"
        mounts.mkdir()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private", "sh", "-c", INSTALL + script, "sh",
                 str(mounts), str(TOP), str(BUILD), CONFIG, *more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=environment())
        self.leader = None

    def find_leader(self, is_leader):
        """The topmost process below ours that `is_leader` accepts, or None: what that one has forked bears
        its name for a moment. Fails if ours has ended."""
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        found = list(processes())
        generation = [p for p in found if p.pid == self.process.pid]
        while generation and self.leader is None:
            self.leader = next((p.pid for p in generation if is_leader(p)), None)
            above = {p.pid for p in generation}
            generation = [p for p in found if p.parent in above]
        return self.leader

    def stop(self):
        if self.leader is not None: # init of its pid namespace: all others die with it
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
        try:
            self.process.wait(patience.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# ---- fixtures for tests that have one named `host`

@pytest.fixture(scope="module")
def mail(host):
    """DNS and a sink inside the host's network."""
    zone = {("dest.example", "MX"): ["10 mx.dest.example."],
            ("mx.dest.example", "A"): ["127.0.0.2"]}
    with host.network():
        dns = internet.Dns(zone, "127.0.0.1", 5353)
        sink = internet.Sink("127.0.0.2", 25)
    sink.zone = zone
    yield sink
    sink.close()
    dns.close()


@pytest.fixture
def sink(host, mail):
    """The sink as new, and a host at rest before and after."""
    mail.say.clear()
    mail.messages.clear()
    yield mail
    mail.say.clear()
    assert host.at_rest()
