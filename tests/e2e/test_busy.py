"""An smtpd that serves many clients (DESIGN 3a): how many processes there are, what one client has of another, and
what becomes of clients when something ends or changes."""
import collections
import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

import busy
import client
import locked
import network
import patience
import ports
import proc
import sockets
from conftest import BUILD, HOST, own

CLIENT, FREE, CHANGED = 6, 7, 8 # request.h
LANE = 256
GREETING = f"220 {HOST} ESMTP Postern"
CROWDED = f"421 4.3.2 {HOST} Error: too many connections, try again later"
STOPPING = f"421 4.3.2 {HOST} Error: service shutting down"
AT_ONCE = 1000


def one(postern, **settings):
    """A pool whose first worker has all the clients, one after the other."""
    return busy.Pool(postern, **{"busy_spare": 1, "busy_sessions": 1, **settings})


def gone(c):
    c.file.close()
    c.sock.close()


def one_of(found):
    """Those found, if it is one: who turns others away has a client for a moment only."""
    return found if len(found) == 1 else None


# ---- what one client has of the one before

def server_of(pool):
    """The worker that has the one client."""
    return patience.until(lambda: one_of([w for w in pool.workers() if busy.has_client(w)]))[0]


def test_nothing_is_inherited(postern):
    """Sender, recipients, rights and errors are the client's own; and it is one process that serves both."""
    pool = one(postern, max_errors=3)

    def servers():
        c = pool.greeted()
        first = server_of(pool)
        c.hello()
        assert c.ask("MAIL FROM:<a@sender.example>")[:3] == "250" and c.ask("RCPT TO:<u@dest.example>")[:3] == "250"
        assert c.ask("NOSUCH")[:3] == c.ask("NOSUCH")[:3] == "500"
        gone(c)
        c = pool.greeted()
        second = server_of(pool)
        assert c.ask("MAIL FROM:<b@sender.example>") == "503 5.5.1 Error: send HELO/EHLO first"
        c.hello()
        assert c.ask("RCPT TO:<v@dest.example>") == "503 5.5.1 Error: need MAIL command"
        assert c.ask("NOSUCH")[:3] == "500" and c.reply()[:3] == "421", "the third of its own"
        gone(c)
        return first, second

    # One that waits may be replaced by another when somebody was turned away meanwhile.
    patience.until(lambda: len(set(servers())) == 1)
    assert pool.stop() == 0


def held(worker):
    """What its descriptors lead to."""
    return sorted(os.readlink(p) for p in pathlib.Path(f"/proc/{worker}/fd").iterdir())


def test_drafts_go(postern):
    """What was begun and not queued is not in the spool, and no descriptor of it is left."""
    pool = one(postern)
    worker, = pool.ready()
    pool.all_asleep()
    before = held(worker)
    c = pool.meet()
    c.envelope()
    c.send("x" * 100 + "\r\n" + ("y" * 900 + "\r\n") * 200)
    patience.until(lambda: list((postern.spool / "tmp").iterdir()))
    gone(c)
    pool.at_rest(worker)
    assert not list((postern.spool / "tmp").iterdir())
    patience.until(lambda: held(worker) == before) # its output is let go of behind its input
    assert pool.stop() == 0


def test_tls_and_auth_are_ones_own(postern, pki):
    """Neither TLS nor who somebody is stays; both can be had again."""
    users = postern.where / "users"
    users.write_text("joe:$6$saltsalt$R4kmazlbuWsFfWucCqJnZgpmD1SGejtMRbQ8gC5JdVh5aZLLEC0hHH9XuyI/S0LHvlDHSgNIDZv4U6zVtXrNP1\n")
    own(users)
    users.chmod(0o600)
    pool = one(postern, tls_certificate=pki.path("server"), auth_users=users, relay_local="no")
    for _ in range(2):
        c = pool.greeted()
        assert "STARTTLS" in c.hello() and "FUTURERELEASE" not in " ".join(c.hello())
        assert c.ask("MAIL FROM:<a@sender.example>")[:3] == "250"
        assert c.ask("RCPT TO:<u@dest.example>") == "550 5.7.1 Error: relaying denied"
        c.starttls()
        assert "STARTTLS" not in c.hello()
        assert c.ask("AUTH PLAIN AGpvZQBwYXNzd29yZCBvZiBzaXg=")[:3] == "235"
        assert c.message()[:3] == "250"
        c.ask("QUIT")
        gone(c)
    assert pool.stop() == 0


def test_proxy_says_it_anew(postern):
    """The address that a proxy named is of that client alone; one that names none is not believed."""
    pool = one(postern, proxy_nets="127.0.0.1", relay_nets="192.0.2.7")
    for address, code in (("192.0.2.7", "250"), ("192.0.2.8", "550")):
        c = pool.greeted(f"PROXY TCP4 {address} 192.0.2.1 1000 25\r\n")
        c.hello()
        assert c.ask("MAIL FROM:<a@sender.example>")[:3] == "250"
        assert c.ask("RCPT TO:<u@dest.example>")[:3] == code
        gone(c)
    assert f"connection from [192.0.2.8]" in postern.logged()
    assert pool.stop() == 0


def test_environment_says_nothing(postern, monkeypatch):
    """Variables by which a wrapper names its client are of no client here."""
    monkeypatch.setenv("TCPREMOTEIP", "192.0.2.7")
    pool = one(postern)
    c = pool.meet()
    assert c.message()[:3] == "250"
    assert "connection from [127.0.0.1]" in postern.logged()
    assert pool.stop() == 0


def test_reuse(postern):
    """So many clients, then another process."""
    pool = busy.Pool(postern, busy_spare=1, busy_sessions=1, busy_reuse=2)
    seen = collections.Counter()

    def serve():
        c = pool.greeted()
        seen[server_of(pool)] += 1
        c.ask("QUIT")
        gone(c)
        return seen

    patience.until(lambda: len(serve()) > 3 and 2 in seen.values())
    assert max(seen.values()) == 2
    assert pool.stop() == 0


# ---- how many there are

def test_all_are_taken(postern):
    """One more says so, at once; when a place is free, the next client has it."""
    pool = busy.Pool(postern, busy_sessions=3, busy_spare=2)
    talks = [pool.meet() for _ in range(3)]
    for _ in range(5):
        c = pool.connect()
        assert c.reply() == CROWDED and c.rest() == b""
    talks.pop().ask("QUIT")
    patience.until(lambda: pool.connect().reply().startswith(GREETING))
    assert all(c.ask("NOOP")[:3] == "250" for c in talks)
    assert pool.stop() == 0


def test_crowded_counts_for_a_network(postern):
    """What a network may do holds before that, and to be turned away is no error of its own."""
    pool = busy.Pool(postern, busy_sessions=1, relay_local="no", limit_connections=3, limit_errors=1)
    talk = pool.meet()
    assert pool.connect().reply() == pool.connect().reply() == CROWDED
    assert pool.connect().reply()[:9] == "421 4.7.0"
    assert talk.ask("NOSUCH")[:3] == "500"
    assert pool.stop() == 0


def test_grows_and_shrinks(postern):
    pool = busy.Pool(postern, busy_spare=2)
    pool.exactly(2)
    talks = [pool.meet() for _ in range(20)]
    pool.ready(22)
    for c in talks:
        gone(c)
    pool.exactly(2)
    assert pool.meet().message()[:3] == "250"
    assert pool.stop() == 0


@contextlib.contextmanager
def many_files(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n:
        pytest.skip(f"needs {n} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(n, soft), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_clients(postern):
    """At once, from 50 addresses, as shipped: each is greeted while all others are connected, and its message is
    taken."""
    with many_files(AT_ONCE + 200):
        pool = busy.Pool(postern, relay_local="no", relay_nets="127.0.1.0/24")
        talks = [pool.connect(source=f"127.0.1.{1 + i % 50}") for i in range(AT_ONCE)]
        assert {c.reply()[:3] for c in talks} == {"220"}
        for c in talks[::50]:
            c.hello()
            assert c.message()[:3] == "250"
        assert all(c.ask("NOOP")[:3] == "250" for c in talks)
        pool.where[0].setblocking(True)
        extra = pool.connect()
        assert extra.reply() == CROWDED
        for c in talks:
            gone(c)
        pool.exactly(8)
        assert pool.stop() == 0


def test_slow_clients_cost_nobody(postern):
    """900 from 50 addresses, as shipped, each of which says an octet and no more for long, have a worker each; others
    are served as ever."""
    with many_files(1100), network.own():
        pool = busy.Pool(postern, relay_local="no", relay_nets="192.0.2.1")
        slow = [pool.connect(source=f"198.51.100.{1 + i % 50}") for i in range(900)]
        for c in slow:
            assert c.reply()[:3] == "220"
            c.send("N")
        for _ in range(20):
            c = pool.meet(source="192.0.2.1")
            assert c.message()[:3] == "250" and c.ask("QUIT")[:3] == "221"
        for octet in "OOP\r\n":
            for c in slow:
                c.send(octet)
        assert {c.reply()[:3] for c in slow} == {"250"}
        assert pool.stop() == 0


# ---- ends

def woken(postern, listener, **settings):
    """A client, greeted, and the pool that has it: started for it, as systemd does, and anew should one have waited too
    long for its worker."""
    c = client.Client(socket.create_connection(listener.getsockname(), client.TIMEOUT))
    while True:
        pool = busy.Pool(postern, listener, **settings)
        patience.until(lambda: sockets.unread(c.sock) > 0 or pool.process.poll() is not None)
        if sockets.unread(c.sock) > 0:
            assert c.reply()[:3] == "220"
            return c, pool
        assert pool.process.wait(client.TIMEOUT) == 0


def test_idle(postern):
    """Without a client it ends, all of it; who came meanwhile is served by the next."""
    with busy.listener() as listener:
        for _ in range(2):
            c, pool = woken(postern, listener, busy_idle="1s")
            c.hello()
            assert c.message()[:3] == "250" and c.ask("QUIT")[:3] == "221"
            assert pool.process.wait(client.TIMEOUT) == 0
            assert not proc.running("smtpd", f"spool={postern.spool}")


def test_client_outlasts_idle(postern):
    """A client that says nothing is one all the same."""
    with busy.listener() as listener:
        c, pool = woken(postern, listener, busy_idle="1s", timeout_command="2s")
    assert c.reply()[:9] == "421 4.4.2"
    assert pool.process.wait(client.TIMEOUT) == 0


def test_stopped(postern):
    """SIGTERM: each client hears 421, what was acknowledged is there, and nothing is left."""
    pool = busy.Pool(postern)
    waiting, queued, in_data = pool.meet(), pool.meet(), pool.meet()
    assert queued.message()[:3] == "250"
    in_data.envelope()
    in_data.send("Subject: half\r\n")
    pool.process.send_signal(signal.SIGTERM)
    assert waiting.reply() == queued.reply() == in_data.reply() == STOPPING
    assert pool.process.wait(client.TIMEOUT) == 0
    assert not list((postern.spool / "tmp").iterdir())
    postern.settled(1)
    assert not proc.running("smtpd", f"spool={postern.spool}")


@pytest.mark.parametrize("how", ["stop", "end"])
def test_one_that_does_not_end(postern, how):
    """Neither is awaited for ever: a worker that was taken over may stay, with a client or without."""
    with busy.listener() as listener:
        talk, pool = woken(postern, listener, busy_spare=2, busy_idle="1s")
        talks_with = server_of(pool)
        stubborn = talks_with if how == "stop" else next(w for w in pool.ready(3) if w != talks_with)
        os.kill(stubborn, signal.SIGSTOP)
        if how == "stop":
            pool.process.send_signal(signal.SIGTERM)
        else:
            gone(talk)
    assert pool.process.wait(client.TIMEOUT) == 0
    postern.wait_logged(f"session {stubborn} is killed: it was told to {how} and did not")
    if how == "stop":
        assert talk.rest() == b"", "cut, at last"
    assert not proc.running("smtpd", f"spool={postern.spool}")


def test_monitor_killed(postern):
    """There is no session without its monitor: clients hear 421, and those that wait go."""
    pool = busy.Pool(postern)
    c = pool.meet()
    pool.process.kill()
    assert c.reply() == STOPPING
    pool.process.wait(client.TIMEOUT)
    patience.until(lambda: not proc.running("smtpd", f"spool={postern.spool}"))


@pytest.mark.parametrize("state", ["waiting", "greeted", "in data", "turning away"])
def test_worker_killed(postern, state):
    """It is logged and replaced, and others do not notice."""
    pool = busy.Pool(postern, busy_spare=1, busy_sessions=2)
    victim, = pool.exactly(1)
    if state != "waiting":
        c = pool.meet()
        if state == "in data":
            c.envelope()
            c.send("x" * 1000)
    if state == "turning away":
        other = pool.meet()
        assert pool.connect().reply() == CROWDED
        victim = max(pool.workers(), key=proc.birth)
    else:
        other = None if state == "waiting" else pool.meet()
    os.kill(victim, signal.SIGKILL)
    postern.wait_logged(f"session {proc_inside(victim)} ended by signal 9")
    if state == "turning away":
        patience.until(lambda: pool.connect().reply() == CROWDED)
        assert c.ask("NOOP")[:3] == other.ask("NOOP")[:3] == "250"
    else:
        assert other is None or other.ask("NOOP")[:3] == "250"
        patience.until(lambda: pool.connect().reply()[:3] == "220")
    assert pool.stop() == 0


def proc_inside(pid):
    return pid # the pool is in our namespace of processes


# ---- what a worker may

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
             "blocking all at the listener": f"fcntl 3 {fcntl.F_SETFL} 0"}
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
        pidfd = os.pidfd_open(worker)
        copy = ctypes.CDLL(None, use_errno=True).syscall(locked.PIDFD_GETFD, pidfd, fd, 0)
        os.close(pidfd)
        assert copy >= 0, os.strerror(ctypes.get_errno())
        self.socket = socket.socket(fileno=copy)

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


# ---- what changes meanwhile

def configured(postern, greeting, **more):
    postern.configure(f"hostname = {greeting}", *(f"{k} = {v}" for k, v in more.items()))


def changed(postern, greeting, **more):
    """Another one, for the next client."""
    for pool in postern.pools:
        patience.until(lambda: all(map(busy.asleep, busy.workers(pool.pid))))
    configured(postern, greeting, **more)


def new_name(postern):
    """The name of the host is what a client sees first; the file says it, and not the command line."""
    postern.settings.pop("hostname")


def test_configuration(postern):
    """In force with the next connection. Who was there before goes on, and relays hear of its mail."""
    new_name(postern)
    configured(postern, "old.example")
    pool = busy.Pool(postern)
    before = pool.meet()
    changed(postern, "new.example")
    for _ in range(3):
        assert "new.example" in pool.connect().reply()
    assert before.message()[:3] == "250"
    assert before.ask("QUIT")[:3] == "221"
    postern.wait_logged("a new smtpd takes over")
    postern.settled(1)
    assert pool.stop() == 0


def test_wrong_configuration(postern):
    """The operator hears of it, once; what was in force stays so until it is mended."""
    new_name(postern)
    configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=2)
    assert "old.example" in pool.connect().reply()
    changed(postern, "new.example", nonsense="yes")
    for _ in range(4):
        assert "old.example" in pool.connect().reply()
    assert postern.logged().count("what was in force stays so") == 1
    changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    assert pool.stop() == 0


def writer(path):
    """A descriptor, once somebody reads there; -1: nobody does."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as why:
        assert why.errno == errno.ENXIO
        return -1


def test_configuration_changes_while_it_is_read(postern):
    """What was read is half of a file, and wrong; the whole of it is in force with the next connection."""
    new_name(postern)
    configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=2)
    assert "old.example" in pool.connect().reply()
    pool.all_asleep()
    half = postern.where / "half"
    os.mkfifo(half)
    half.chmod(0o644)
    half.rename(postern.file)
    c = pool.connect()
    fd = patience.until(lambda: max(writer(postern.file), 0))
    configured(postern, "new.example")
    os.write(fd, b"nonsense\n")
    os.close(fd)
    assert "new.example" in c.reply()
    assert postern.logged().count("what was in force stays so") == 1
    assert pool.stop() == 0


def own_programs(postern):
    """A directory of copies, in which they may be replaced."""
    place = postern.where / "programs"
    shutil.copytree(BUILD, place, ignore=lambda d, names: [n for n in names if n not in
                                                           ("smtpd", "relay", "tls", "auth")])
    place.chmod(0o755)
    postern.build = place
    return place


def replace(place):
    """A new binary in the place of the old one."""
    shutil.copy(BUILD / "smtpd", place / ".new")
    (place / ".new").rename(place / "smtpd")


def test_program(postern):
    """A new binary in the place of the old one."""
    place = own_programs(postern)
    pool = busy.Pool(postern)
    before = pool.meet()
    pool.all_asleep()
    replace(place)
    assert pool.meet().message()[:3] == "250"
    assert before.message()[:3] == "250"
    assert os.readlink(f"/proc/{pool.pid}/exe") == str(place / "smtpd")
    assert postern.logged().count("a new smtpd takes over") == 1
    assert pool.stop() == 0


def ignored(pid):
    """The signals that a process ignores; none when it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return set()
    mask = int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16)
    return {s for s in signal.Signals if mask >> (s - 1) & 1}


def test_program_that_cannot_run(postern):
    """All goes on with the old one, which ignores what it ignored; and the next one takes over."""
    place = own_programs(postern)
    pool = busy.Pool(postern, busy_spare=2)
    pool.exactly(2)
    usual = ignored(pool.pid)
    assert signal.SIGPIPE in usual
    pool.all_asleep()
    (place / ".new").write_text("half of a program")
    (place / ".new").chmod(0o755)
    (place / ".new").rename(place / "smtpd")
    assert pool.meet().message()[:3] == "250"
    postern.wait_logged("what was in force stays so")
    assert ignored(pool.pid) == usual
    assert patience.until(lambda: (w := pool.workers()) and all(ignored(pid) == usual for pid in w))
    assert pool.meet().message()[:3] == "250"
    pool.all_asleep()
    replace(place)
    assert pool.meet().message()[:3] == "250"
    assert os.readlink(f"/proc/{pool.pid}/exe") == str(place / "smtpd")
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it hides /proc")
def test_without_proc(postern, monkeypatch):
    """Nobody can take over where it is not known what to start: the operator hears of it, and all goes on."""
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    command = postern.command
    monkeypatch.setattr(postern, "command", lambda *words, **settings: hidden + command(*words, **settings))
    new_name(postern)
    configured(postern, "old.example")
    pool = busy.Pool(postern)
    assert pool.meet().message()[:3] == "250"
    changed(postern, "new.example")
    assert "old.example" in pool.connect().reply()
    postern.wait_logged("what was in force stays so until a restart")
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_heir_that_lies(postern):
    """M8: what a worker may begin is counted in the smtpd that takes over, too."""
    new_name(postern)
    configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=1, busy_reuse=3)
    before = pool.meet()
    rogue = Rogue(server_of(pool))
    changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    with contextlib.suppress(OSError): # it ends meanwhile
        for _ in range(200):
            rogue.say(FREE)
            rogue.say(CLIENT)
    postern.wait_logged("takes more connections than one may")
    gone(before)
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it takes a socket of a session")
def test_no_heir_without_a_word(postern):
    """M8: a worker that let go of its monitor is not left behind, unknown, when another smtpd takes over."""
    new_name(postern)
    configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=1)
    before = pool.meet()
    worker = server_of(pool)
    os.kill(worker, signal.SIGSTOP)
    Rogue(worker).socket.shutdown(socket.SHUT_RDWR)
    changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    patience.until(lambda: worker not in pool.workers())
    gone(before)
    assert pool.stop() == 0


def test_fewer_sessions(postern, pki):
    """Those who were there before are heard, however few places there are from now on."""
    new_name(postern)
    configured(postern, "old.example", busy_sessions=100)
    pool = busy.Pool(postern, tls_certificate=pki.path("server"))
    before = [pool.meet() for _ in range(70)]
    changed(postern, "new.example", busy_sessions=1)
    patience.until(lambda: "new.example" in pool.connect().reply())
    for c in before:
        assert c.ask("STARTTLS")[:3] == "220"
        gone(c)
    assert pool.stop() == 0


def test_spool_that_is_another(postern):
    """The directory was replaced: mail goes to the one that is there."""
    pool = busy.Pool(postern)
    assert pool.meet().message()[:3] == "250"
    postern.rested()
    pool.all_asleep()
    postern.spool.rename(postern.where / "before")
    postern.spool.mkdir(mode=0o700)
    own(postern.spool)
    assert pool.meet().message()[:3] == "250"
    assert len(postern.wait_messages(1)) == 1
    assert pool.stop() == 0


# ---- crashes

def layout(pid):
    """Where the program lies in the memory of a process; "" when it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/maps").read_text().partition("-")[0]
    except OSError:
        return ""


def crash(pool):
    """A worker with a client. Its pid."""
    c = pool.greeted()
    victim = patience.until(lambda: [w for w in pool.workers() if busy.has_client(w)])[0]
    os.kill(victim, signal.SIGSEGV)
    assert c.rest() == b""
    return victim


def test_crash(postern):
    """M8: after it an smtpd takes over whose memory lies elsewhere, so that nobody can guess on; clients notice
    nothing, and it does not happen for one that was killed."""
    pool = busy.Pool(postern, busy_spare=2)
    before = pool.meet()
    other = server_of(pool)
    was = layout(other)
    assert layout(pool.pid) == was, "workers are its forks"
    for w in pool.workers():
        if w != other:
            os.kill(w, signal.SIGKILL)
            postern.wait_logged(f"session {w} ended by signal 9")
    c = pool.meet()
    [victim] = [w for w in pool.workers() if busy.has_client(w) and w != other]
    os.kill(victim, signal.SIGSEGV)
    assert c.rest() == b""
    postern.wait_logged(f"session {victim} ended by signal 11")
    postern.wait_logged("a session has crashed: a new smtpd takes over")
    patience.until(lambda: any(layout(w) not in ("", was) for w in pool.workers()))
    assert pool.meet().message()[:3] == "250" and before.message()[:3] == "250"
    assert postern.logged().count("takes over") == 1
    assert pool.stop() == 0


def test_crashes_without_end(postern):
    """M8: no more than eight from one layout, and another one each two seconds at most, whatever clients do."""
    pool = busy.Pool(postern, busy_spare=2)
    begin = time.monotonic()
    while postern.logged().count("takes over") < 2:
        postern.wait_logged(f"session {crash(pool)} ended by signal 11")
    took = time.monotonic() - begin
    said = [line for line in postern.logged().splitlines() if "takes over" in line or "ended by signal 11" in line]
    crashes = [len(x.split()) for x in "".join("|" if "takes over" in line else "x " for line in said).split("|")]
    assert max(crashes) <= 8 + 2, "those that had begun by then"
    assert took >= 2, "none without a pause"
    assert pool.meet().message()[:3] == "250"
    assert pool.stop() == 0


class Load(threading.Thread):
    """Connects without a pause, and keeps what it was greeted with."""

    def __init__(self, pool):
        super().__init__()
        self.pool, self.greetings, self.failed, self.over = pool, [], [], False

    def run(self):
        while not self.over:
            try:
                c = self.pool.connect()
                said = c.reply()
                if said[:3] != "220" or c.ask("QUIT")[:3] != "221":
                    self.failed.append(said)
                self.greetings.append(said)
                gone(c)
            except OSError as e:
                self.failed.append(str(e))


def test_changes_under_load(postern):
    """No connection is refused or cut, and the value changes for all of them."""
    new_name(postern)
    configured(postern, "host0.example")
    pool = busy.Pool(postern)
    loads = [Load(pool) for _ in range(4)]
    for load in loads:
        load.start()
    try:
        for n in range(1, 11):
            configured(postern, f"host{n}.example")
            for load in loads:
                at = len(load.greetings)
                patience.until(lambda: any(f"host{n}.example" in g for g in load.greetings[at:]) or load.failed)
    finally:
        for load in loads:
            load.over = True
        for load in loads:
            load.join()
    assert not [x for load in loads for x in load.failed]
    assert pool.stop() == 0


# ---- how it is started

def listening(postern, *where, **settings):
    with open(postern.log, "ab") as log:
        p = subprocess.Popen(postern.command("smtpd", *(x for w in where for x in ("--listen", w)), **settings),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                             env=postern.environment())
    postern.started.append(p)
    postern.pools.append(p)
    return p


def greeted(host, port):
    """What is said there, once somebody listens."""
    def ask():
        try:
            with client.Client(socket.create_connection((host, port), client.TIMEOUT)).sock as s:
                return s.makefile().readline()
        except ConnectionRefusedError:
            return ""
    return patience.until(ask)


def test_listen(postern):
    """Sockets of its own; it stays without a client, for nobody would start it again."""
    port, other = ports.take(), ports.take()
    p = listening(postern, f"127.0.0.1:{port}", f"[::1]:{other}", f"*:{ports.take()}", busy_idle="1s", busy_spare=2)
    assert greeted("127.0.0.1", port).startswith(GREETING)
    assert greeted("::1", other).startswith(GREETING)
    patience.until(lambda: len(busy.workers(p.pid)) == 2)
    assert busy.Pool(postern, busy_idle="1s").process.wait(client.TIMEOUT) == 0, "one that does not stay"
    assert p.poll() is None
    assert greeted("127.0.0.1", port).startswith(GREETING)
    p.terminate()
    assert p.wait(client.TIMEOUT) == 0


def test_listen_takes_over(postern):
    """Its sockets are handed on as those of systemd are."""
    new_name(postern)
    configured(postern, "old.example")
    port = ports.take()
    p = listening(postern, f"127.0.0.1:{port}")
    assert "old.example" in greeted("127.0.0.1", port)
    changed(postern, "new.example")
    assert "new.example" in greeted("127.0.0.1", port)
    p.terminate()
    assert p.wait(client.TIMEOUT) == 0


@pytest.mark.parametrize("text", ["127.0.0.1", "here:25", "127.0.0.1:0", "[127.0.0.1]:2525", "::1:2525",
                                  "127.0.0.1:smtp", ":2525"])
def test_listen_where(postern, text):
    p = listening(postern, text)
    assert p.wait(client.TIMEOUT) == os.EX_UNAVAILABLE
    assert f"--listen {text}: not ADDRESS:PORT" in postern.logged()


def test_listen_at_what_is_taken(postern):
    with busy.listener() as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        p = listening(postern, where)
        assert p.wait(client.TIMEOUT) == os.EX_UNAVAILABLE
        assert re.search(f"--listen {re.escape(where)}: Address (already )?in use", postern.logged())


def test_not_all_listen(postern):
    """What is handed over and is no socket that listens is nothing to guess about."""
    a, b = socket.socketpair()
    with a, b, busy.listener() as right:
        p = postern.listen([right, a])
        assert p.wait(client.TIMEOUT) == os.EX_UNAVAILABLE
    assert "not all sockets that were handed over" in postern.logged()


def test_systemd_is_told(postern, monkeypatch):
    """READY once it can serve, signs of life, STOPPING."""
    path = postern.where / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        path.chmod(0o666)
        s.settimeout(client.TIMEOUT)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        pool = busy.Pool(postern)
        assert s.recv(1000).startswith(b"READY=1\nSTATUS=")
        for _ in range(3):
            assert s.recv(1000).startswith(b"WATCHDOG=1\n")
        pool.process.terminate()
        patience.until(lambda: s.recv(1000).startswith(b"STOPPING=1\n"))
        assert pool.process.wait(client.TIMEOUT) == 0


def test_cannot_begin(postern):
    """Clients hear it, as from a session of their own; the operator too; and it is not over at once, or it would be
    started again without end."""
    begin, ends, found = time.monotonic(), {}, []
    with contextlib.ExitStack() as stack:
        for settings, reply, status in (
                ({"nonsense": "yes"}, "421 4.3.5 Error: server configuration problem", os.EX_CONFIG),
                ({"spool": "/nonexistent/spool"}, f"421 4.3.0 {HOST} Error: queue not available", os.EX_TEMPFAIL)):
            listener = stack.enter_context(busy.listener())
            clients = [client.Client(socket.create_connection(listener.getsockname(), client.TIMEOUT)) for _ in range(3)]
            found.append((busy.Pool(postern, listener, **settings).process, clients, reply, status))

        def all_ended():
            for process, *_ in found:
                if process.poll() is not None:
                    ends.setdefault(process, time.monotonic())
            return len(ends) == len(found)
        patience.until(all_ended)
        for process, clients, reply, status in found:
            assert process.returncode == status and ends[process] - begin >= 10
            assert [c.reply() for c in clients] == [reply] * 3 and not any(c.rest() for c in clients)
    assert len(postern.logged().splitlines()) == len(found)
