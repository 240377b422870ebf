"""What a worker of an smtpd that serves many clients may, once it was taken over (DESIGN 3a)."""
import contextlib
import errno
import fcntl
import os
import pathlib
import signal
import socket
import stat
import struct

import pytest

import busy
import locked
import patience
import sockets
from conftest import BUILD

TLS, CLIENT, FREE, CHANGED = 1, 6, 7, 8 # request.h
LANE = 256


def test_taken_over(postern, where):
    """M8, K1: a worker has what a session has, and the sockets it takes clients from."""
    locked.need(BUILD)
    postern.pipe("QUIT\n")
    pool = busy.Pool(postern, busy_spare=1)
    pool.exactly(1)
    talk = pool.meet()
    other = postern.meet()
    taken = locked.Taken(locked.build_inject(where), pool.pid, other.process.pid, postern.spool)
    assert taken.session in pool.workers()
    held = taken.descriptors()
    assert pathlib.Path(f"/proc/{taken.session}/environ").read_bytes().strip(b"\0") == b""
    kinds = sorted(what.partition(":")[0] for fd, what in held.items() if fd > 2)
    assert kinds == sorted(["/dev/null", "anon_inode", "socket", "socket", *[held[fd] for fd in held
                            if fd > 2 and held[fd].startswith(str(postern.spool))]]), held
    calls = {**locked.FORBIDDEN, **locked.FORBIDDEN_TOO, "freeing the monitor's number": "close {socket}",
             "closing the listener for all": "shutdown 3 2", "hanging up for good": "shutdown {socket} 2",
             "blocking all at the listener": f"fcntl 3 {fcntl.F_SETFL} 0",
             "the listener by another number": "dup2 3 0", "the listener by dup3": f"dup3 3 1 {os.O_CLOEXEC}",
             "the listener by fcntl": f"fcntl 3 {fcntl.F_DUPFD_CLOEXEC} 0",
             "hanging up by another number": "dup2 {socket} 0", "all errors": "shutdown 2 2"}
    del calls["accepting"]
    for name, got in taken.call(calls).items():
        assert got in (-errno.EPERM, -errno.EACCES), f"{name}: {got}"
    assert taken.call({"accepting": "accept4 0 0 0 0"}) == {"accepting": -errno.EINVAL}, "it does not listen"
    assert talk.message()[:3] == "250"
    other.finish()
    assert pool.stop() == 0


class Rogue:
    """Says what it likes to the monitor over a worker's own socket."""

    def __init__(self, worker):
        fds = pathlib.Path(f"/proc/{worker}/fd")
        fd = max(int(p.name) for p in fds.iterdir() if stat.S_ISSOCK(p.stat().st_mode))
        self.socket = locked.copy_of(worker, fd)

    def say(self, kind):
        self.socket.send(struct.pack(f"I{LANE}s", kind, b""))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_liar_is_killed(postern):
    """A worker that begins more clients than it may is ended, whatever it does; another has its place."""
    pool = busy.Pool(postern, busy_spare=1, busy_sessions=1, busy_reuse=3)
    worker, = pool.exactly(1)
    rogue = Rogue(worker)
    for _ in range(3):
        rogue.say(CLIENT)
        rogue.say(FREE)
    sockets.wait_taken(rogue.socket)
    assert pool.exactly(1) == [worker] and "takes more" not in postern.logged() # lint: all of it was heard
    rogue.say(CLIENT)
    postern.wait_logged("takes more connections than one may")
    patience.until(lambda: pool.workers() not in ([], [worker]))
    assert patience.until(lambda: pool.connect().reply()[:3] == "220")
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_nonsense_is_passed_by(postern):
    """What is no request, a change that is none, an end without a beginning: the pool is as it was."""
    pool = busy.Pool(postern, busy_spare=2)
    workers = pool.exactly(2)
    rogue = Rogue(workers[0])
    for kind in (FREE, CHANGED, 9, 0xFFFFFFFF):
        rogue.say(kind)
    rogue.socket.send(b"short")
    sockets.wait_taken(rogue.socket)
    assert pool.meet().message()[:3] == "250"
    assert set(workers) <= set(pool.workers())
    with contextlib.suppress(OSError): # it ends meanwhile
        for _ in range(200):
            rogue.say(FREE)
    postern.wait_logged(f"session {workers[0]} is killed: it asks for what it may not")
    assert pool.meet().message()[:3] == "250"
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_one_that_hangs_up(postern):
    """M8: who is not to be heard any more, though it lives, has no place for long, and clients are served."""
    pool = busy.Pool(postern, busy_spare=1, busy_sessions=1)
    worker, = pool.exactly(1)
    os.kill(worker, signal.SIGSTOP) # it would end by itself
    Rogue(worker).socket.shutdown(socket.SHUT_RDWR)
    postern.wait_logged(f"session {worker} is killed: it let go of its monitor and did not end")
    assert patience.until(lambda: pool.connect().reply()[:3] == "220")
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_heir_that_lies(postern):
    """M8: what a worker may begin is counted in the smtpd that takes over, too."""
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=1, busy_reuse=3)
    before = pool.meet()
    rogue = Rogue(busy.server_of(pool))
    busy.changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    with contextlib.suppress(OSError): # it ends meanwhile
        for _ in range(200):
            rogue.say(FREE)
            rogue.say(CLIENT)
    postern.wait_logged("takes more connections than one may")
    busy.gone(before)
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_no_heir_without_a_word(postern):
    """M8: a worker that let go of its monitor is not left behind, unknown, when another smtpd takes over."""
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=1)
    before = pool.meet()
    worker = busy.server_of(pool)
    os.kill(worker, signal.SIGSTOP)
    Rogue(worker).socket.shutdown(socket.SHUT_RDWR)
    busy.changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    patience.until(lambda: worker not in pool.workers())
    busy.gone(before)
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
@pytest.mark.parametrize("said", [[CLIENT], [CLIENT, TLS]])
def test_heir_without_end(postern, said):
    """M8: one of the smtpd before is ended for nonsense, too."""
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=1)
    before = pool.meet()
    worker = busy.server_of(pool)
    rogue = Rogue(worker)
    busy.changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    with contextlib.suppress(OSError): # it ends meanwhile
        for _ in range(400):
            for kind in said:
                rogue.say(kind)
    postern.wait_logged(f"session {worker} is killed: it asks for what it may not")
    busy.gone(before)
    assert pool.stop() == 0
