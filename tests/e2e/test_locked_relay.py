"""M8, K1: what a relay that a host has taken over can do, tried by a relay that talks to one.

tests/unit/process/test_syscalls.c tries the same in a process of its own; here it is the real one, with
all that it holds. The arguments are such that the kernel would refuse each call for another reason.
"""
import errno
import fcntl
import os
import socket
import struct
import threading

import pytest

import locked
from conftest import BUILD

NOWHERE = 0x7fff
NEW_USER, SHARED, THREAD = 0x10000000, 0x200, 0x10000 # none of them can be had like this

DENIED = {
    "execve": "execve 0 0 0",
    "execveat": "execveat -1 0 0 0 0",
    "listen": "listen -1 1",
    "ptrace": f"ptrace {NOWHERE} 0 0 0",
    "process_vm_readv": "process_vm_readv {other} 0 0 0 0 1",
    "process_vm_writev": "process_vm_writev {other} 0 0 0 0 1",
    "mount": "mount 0 0 1 0 0",
    "unshare": "unshare 0",
    "setns": "setns -1 0",
    "bpf": f"bpf -1 0 {1 << 20}",
    "keyctl": "keyctl -1 0 0 0 0",
    "perf_event_open": "perf_event_open 0 0 -1 -1 -1",
    "userfaultfd": f"userfaultfd {1 | 0x40000000}",
    "io_uring_setup": "io_uring_setup 1 0",
    "clone with a user namespace": f"clone {NEW_USER | SHARED} 0 0 0 0",
    "clone of a thread": f"clone {THREAD} 0 0 0 0",
    "add_key": "add_key 0 0 0 0 0",
    "request_key": "request_key 0 0 0 0",
    "F_SETOWN": f"fcntl -1 {fcntl.F_SETOWN} 0",
    "FIOSETOWN": "ioctl -1 0x8901 0",
    "memory to execute": "mmap 0 0 5 34 -1 0",
    "a socket of another family": "socket 40 99 0",
    "MPTCP, whose bind Landlock does not see": "socket 2 1 262",
    "SCTP by its kind": "socket 2 5 0",
    "UDP-Lite": "socket 2 2 136",
    "netlink that tells of others' sockets": "socket 16 3 4",
    "netlink of netfilter": "socket 16 3 12",
}

# Its flags, no filter can see: the C library is told that it is not there, and asks for threads by clone.
MISSING = {"clone3": "clone3 0 0"}

# Landlock's, as of a session.
OUTSIDE = ("reading outside", "reading /proc", "listing outside", "writing outside", "a signal to another")


class TakenRelay(locked.Taken):
    """The relay that is at work, in the hands of its host."""

    def __init__(self, inject, relay, other, spool):
        self.inject, self.session, self.monitor = inject, relay, other
        self.names = {"other": locked.inside(other), "spool": str(spool)}


@pytest.fixture
def taken(postern, world, wait, where):
    """While its host thinks about DATA."""
    locked.need(BUILD)
    go = threading.Event()
    world.domain("dest.example")
    world.sink.say["DATA"] = lambda line: "354 go" if go.wait(120) else "451 late"
    assert "250 2.0.0" in postern.send("u@dest.example")
    assert wait(lambda: world.sink.lines and postern.at_work(), 60)
    assert wait(lambda: any(line.startswith("RCPT") for line in world.sink.lines), 60)
    other = postern.connect()
    [relay] = postern.at_work()
    yield TakenRelay(locked.build_inject(where), relay, other.process.pid, postern.spool)
    go.set()
    assert wait(lambda: len(world.sink.messages) == 1, 60), "it went on as if nothing had been"


def test_denied(taken):
    for name, got in taken.call(DENIED).items():
        assert got == -errno.EPERM, f"{name}: {got}"
    for name, got in taken.call(DENIED, taken.monitor).items():
        assert got != -errno.EPERM, f"{name}: nobody may, so it says nothing: {got}"


def test_missing(taken):
    assert taken.call(MISSING) == dict.fromkeys(MISSING, -errno.ENOSYS)
    assert -errno.ENOSYS not in taken.call(MISSING, taken.monitor).values()


def test_outside(taken):
    for name, got in taken.call({name: locked.FORBIDDEN[name] for name in OUTSIDE}).items():
        assert got in (-errno.EPERM, -errno.EACCES), f"{name}: {got}"


def test_abstract_sockets(taken):
    """Landlock 6: what others offer by an abstract name. What lies at a path is LMTP's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as theirs:
        theirs.bind("") # the kernel takes a name that is free
        theirs.listen()
        name = struct.pack("=H", socket.AF_UNIX) + theirs.getsockname()
        address = f"#{name.hex()} {len(name)}"
        for who, allowed in ((taken.session, False), (taken.monitor, True)):
            fd = taken.call({"socket": f"socket {socket.AF_UNIX} {socket.SOCK_STREAM | os.O_CLOEXEC} 0"}, who)["socket"]
            assert fd > 2
            got = taken.call({"connect": f"connect {fd} {address}", "close": f"close {fd}"}, who)
            assert got["close"] == 0
            assert got["connect"] == (0 if allowed else -errno.EPERM)
