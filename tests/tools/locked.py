"""What a session that was taken over could do: calls that it is made to try, and what it holds.

tests/tools/inject.c makes the running session do them, so what is judged is the process that talks
to a client, where and as it was started.
"""
import ctypes
import errno
import fcntl
import os
import pathlib
import shutil
import socket
import stat
import struct
import subprocess

import pytest

import client
import proc
from patience import PATIENCE

HERE = pathlib.Path(__file__).resolve().parent
BENEATH, CREATE, READ = -100, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, os.O_RDONLY | os.O_CLOEXEC
WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
LOOPBACK = "#" + struct.pack("!H4s8x", 25, socket.inet_aton("127.0.0.1")).hex()
INET = f"#{struct.pack('=H', socket.AF_INET).hex()}{LOOPBACK[1:]}"
NEW_USER, NEW_NS, NEW_NET, CHILD = 0x10000000, 0x20000, 0x40000000, 17
FIOSETOWN = 0x8901
PIDFD_GETFD = 438
ATTACH = 16

# What a process that is not locked in may do, as an ordinary user.
FORBIDDEN = {
    "a TCP socket": f"socket {socket.AF_INET} {socket.SOCK_STREAM} 0",
    "an IPv6 socket": f"socket {socket.AF_INET6} {socket.SOCK_STREAM} 0",
    "a datagram socket": f"socket {socket.AF_INET} {socket.SOCK_DGRAM} 0",
    "a Unix socket": f"socket {socket.AF_UNIX} {socket.SOCK_STREAM} 0",
    "reading outside": f'openat {BENEATH} "/etc/passwd {READ} 0',
    "reading /proc": f'openat {BENEATH} "/proc/self/environ {READ} 0',
    "listing outside": f'openat {BENEATH} "/ {READ | os.O_DIRECTORY} 0',
    "writing outside": f'openat {BENEATH} "/dev/null {os.O_WRONLY | os.O_CLOEXEC} 0',
    "locks and bells of relays": f'openat {BENEATH} "{{spool}}/relay {READ | os.O_DIRECTORY} 0',
    "when relays were there": f'openat {BENEATH} "{{spool}}/tended {CREATE} 384',
    "what is set aside": f'openat {BENEATH} "{{spool}}/aside {READ | os.O_DIRECTORY} 0',
    "a signal to the monitor": "kill {monitor} 0",
    "a signal to another": "kill {other} 0",
    "a handle on another": "pidfd_open {other} 0",
    "limits of another": "prlimit64 {other} 7 0 0",
    "memory that is a file": 'memfd_create "x 0',
}

# What has other reasons to fail too, or would end or change who does it.
FORBIDDEN_TOO = {
    "a file outside": f'openat {BENEATH} "/tmp/postern-outside {CREATE} 384',
    "connecting what it has": f"connect 0 {INET} 16",
    "sending elsewhere": f"sendto {{socket}} #00 1 0 {INET} 16",
    "serving": f"bind 0 {INET} 16",
    "listening": "listen 0 1",
    "accepting": "accept4 0 0 0 0",
    "exec": 'execve "/bin/true 0 0',
    "exec by descriptor": 'execveat -100 "/bin/true 0 0 0',
    "fork": f"clone {CHILD} 0 0 0 0",
    "clone3": "clone3 0 0",
    "tracing the monitor": f"ptrace {ATTACH} {{monitor}} 0 0",
    "tracing another": f"ptrace {ATTACH} {{other}} 0 0",
    "reading another's memory": "process_vm_readv {other} 0 0 0 0 0",
    "writing another's memory": "process_vm_writev {other} 0 0 0 0 0",
    "a user namespace": f"unshare {NEW_USER}",
    "a mount namespace": f"unshare {NEW_NS}",
    "another's namespace": "setns 0 0",
    "mounting": 'mount "none "/tmp "tmpfs 0 0',
    "unmounting": 'umount2 "/proc 2',
    "another root": 'chroot "/tmp',
    "another directory": 'chdir "/',
    "openat2": f'openat2 {BENEATH} "/etc/passwd #{READ.to_bytes(24, "little").hex()} 24',
    "a file by its handle": "open_by_handle_at -100 #0000000000000000 0",
    "a symbolic link": f'symlinkat "/etc/passwd {BENEATH} "{{spool}}/tmp/link',
    "a fifo": f'mknodat {BENEATH} "{{spool}}/tmp/fifo 4480 0',
    "chmod": f'fchmodat {BENEATH} "{{spool}} 511 0',
    "chown": f'fchownat {BENEATH} "{{spool}} 0 0 0',
    "bpf": "bpf 0 0 0",
    "keys": "keyctl 0 -3 0 0 0",
    "a key": "add_key 0 0 0 0 0",
    "asking for a key": "request_key 0 0 0 0",
    "a message to the client": "sendmsg 0 0 0", # no filter sees an address in it, or a descriptor
    "a pair of datagram sockets": f"socketpair {socket.AF_UNIX} {socket.SOCK_DGRAM} 0 #0000000000000000",
    "another in place of the monitor": "dup2 0 {socket}",
    "the same by dup3": f"dup3 0 {{socket}} {os.O_CLOEXEC}",
    "a copy of a descriptor": f"fcntl 0 {fcntl.F_DUPFD} 0",
    "signals on input": f"fcntl 0 {fcntl.F_SETOWN} {{monitor}}",
    "which signal": f"fcntl 0 {fcntl.F_SETSIG} 9",
    "signals on input by ioctl": f"ioctl 0 {FIOSETOWN} 0",
    "a child in namespaces of its own": f"clone {NEW_USER | NEW_NET | CHILD} 0 0 0 0",
    "memory to execute": "mmap 0 4096 5 34 -1 0",
    "performance counters": "perf_event_open 0 0 -1 -1 0",
    "userfaultfd": "userfaultfd 1",
    "io_uring": "io_uring_setup 1 0",
    "code of its own": "mprotect 0 4096 7",
    "dumpable again": "prctl 4 1 0 0 0",
    "a filter of its own": "seccomp 1 0 0",
    "Landlock of its own": "landlock_create_ruleset 0 0 1",
    "another user": "setresuid 0 0 0",
    "capabilities": "capset 0 0",
}


def need(build):
    """Skips where the session cannot be made to do anything, or is not locked in on purpose."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it traces a session")
    if shutil.which("cc") is None:
        pytest.skip("needs cc, which is not installed")
    if b"detect_leaks" in (build / "smtpd").read_bytes():
        pytest.skip("such a build is not locked in")


def build_inject(where):
    program = where / "inject"
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                    "-o", str(program), str(HERE / "inject.c")], check=True)
    return program


def session_of(monitor):
    """Its first child."""
    return proc.children(monitor)[0]


def copy_of(pid, fd):
    """The same socket, for us."""
    pidfd = os.pidfd_open(pid)
    copy = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    return socket.socket(fileno=copy)


def socket_of(session):
    """A copy of the one by which it asks its monitor: the only socket that it has, in a pipe."""
    held = pathlib.Path(f"/proc/{session}/fd")
    fd = next(int(p.name) for p in held.iterdir() if stat.S_ISSOCK(p.stat().st_mode))
    return copy_of(session, fd)


def inside(pid):
    """The pid in its own namespace."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("NSpid:")).split()[-1])


def same(path):
    """What two names of one file have in common."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


class Taken:
    """The session of a monitor, in the hands of somebody else. `other` is a process of the same user
    that is not locked in; the spool is named as the session would."""

    def __init__(self, inject, monitor, other, spool):
        self.inject, self.monitor, self.session = inject, monitor, session_of(monitor)
        self.spool = str(spool)
        self.names = {"monitor": inside(monitor), "other": inside(other), "spool": spool,
                      "socket": self.sockets()[-1]}
        self.set_something_aside()

    def set_something_aside(self):
        """A directory of the spool that no session needs, as a relay makes it."""
        spool = pathlib.Path(f"/proc/{self.session}/root{self.spool}")
        (spool / "aside").mkdir(mode=0o700, exist_ok=True)
        shutil.chown(spool / "aside", spool.stat().st_uid, spool.stat().st_gid)

    def descriptors(self):
        return proc.descriptors(self.session)

    def sockets(self):
        """Those that are not the connection: to the monitor, to a log."""
        held = self.descriptors()
        return sorted(fd for fd, what in held.items() if fd > 2 and what.startswith("socket:"))

    def call(self, lines, who=None):
        """{name: result} of {name: call}."""
        text = "".join(line.format(**self.names) + "\n" for line in lines.values())
        p = subprocess.run([self.inject, str(who or self.session)], input=text, text=True,
                           capture_output=True, timeout=PATIENCE, check=False)
        said = p.stdout.split()
        assert p.returncode == 0 and len(said) == len(lines), (said, p.stderr)
        return dict(zip(lines, map(int, said)))

    def check_calls(self):
        """All that is forbidden fails, and what the session needs does not."""
        fine = self.call({"the spool": f'openat {BENEATH} "{{spool}}/tmp/injected {WRITE} 384',
                          "itself": "getpid"})
        assert fine["the spool"] > 2 and fine["itself"] == inside(self.session), fine
        more = {"close": f"close {fine['the spool']}",
                "unlink": f'unlinkat {BENEATH} "{{spool}}/tmp/injected 0'}
        assert self.call(more) == {"close": 0, "unlink": 0}
        for name, got in self.call({**FORBIDDEN, **FORBIDDEN_TOO}).items():
            assert got in (-errno.EPERM, -errno.EACCES), f"{name}: {got}"

    def check_control(self):
        """The monitor is not locked in: what is forbidden to the session is not impossible."""
        for name, got in self.call(FORBIDDEN, self.monitor).items():
            assert got >= 0, f"{name}: {got}"

    def check_holdings(self, logs):
        """The connection, standard error, the spool, the monitor, and a socket for each log that is
        one; nothing is left of the environment."""
        held = self.descriptors()
        connection = [held.pop(0), held.pop(1)]
        del held[2]
        sockets = [held.pop(fd) for fd in self.sockets()]
        assert len(sockets) == 1 + logs and not set(sockets) & set(connection)
        spool = f"/proc/{self.session}/root{self.spool}"
        assert {same(f"/proc/{self.session}/fd/{fd}") for fd in held} == \
            {same(path) for path in (spool, f"{spool}/lane", f"{spool}/tmp")}
        assert pathlib.Path(f"/proc/{self.session}/environ").read_bytes().strip(b"\0") == b""


def check_host(host, where, logs, control=True):
    """A session under an acceptor; then it goes on as if nothing had been. `control`: only what the
    programs do themselves locks it in."""
    inject = build_inject(where)
    with host.connect() as first, host.connect() as second:
        talk, other = client.Client(first), client.Client(second)
        assert talk.reply()[:3] == other.reply()[:3] == "220"
        pids = {p.pid: p.parent for p in host.ours("smtpd")}
        monitors = proc.oldest_first(pid for pid, parent in pids.items() if parent not in pids)
        taken = Taken(inject, *monitors, "/var/spool/postern")
        taken.check_holdings(logs)
        taken.check_calls()
        if control:
            taken.check_control()
        assert talk.ask("NOOP")[:3] == "250"
        talk.hello()
        assert talk.message()[:3] == "250"
        assert talk.ask("QUIT")[:3] == "221"
