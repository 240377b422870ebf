"""An smtpd that serves many clients (DESIGN 3a): how many processes there are, what one client has of another, and
what becomes of clients when something ends."""
import collections
import contextlib
import os
import pathlib
import resource
import signal
import socket

import pytest

import busy
import client
import network
import patience
import proc
import sockets
from conftest import HOST, own

GREETING = f"220 {HOST} ESMTP Postern"
CROWDED = f"421 4.3.2 {HOST} Error: too many connections, try again later"
STOPPING = f"421 4.3.2 {HOST} Error: service shutting down"
AT_ONCE = 1000


# ---- what one client has of the one before

def test_nothing_is_inherited(postern):
    """Sender, recipients, rights and errors are the client's own; and it is one process that serves both."""
    pool = busy.one(postern, max_errors=3)

    def servers():
        c = pool.greeted()
        first = busy.server_of(pool)
        c.hello()
        assert c.ask("MAIL FROM:<a@sender.example>")[:3] == "250" and c.ask("RCPT TO:<u@dest.example>")[:3] == "250"
        assert c.ask("NOSUCH")[:3] == c.ask("NOSUCH")[:3] == "500"
        busy.gone(c)
        c = pool.greeted()
        second = busy.server_of(pool)
        assert c.ask("MAIL FROM:<b@sender.example>") == "503 5.5.1 Error: send HELO/EHLO first"
        c.hello()
        assert c.ask("RCPT TO:<v@dest.example>") == "503 5.5.1 Error: need MAIL command"
        assert c.ask("NOSUCH")[:3] == "500" and c.reply()[:3] == "421", "the third of its own"
        busy.gone(c)
        return first, second

    # One that waits may be replaced by another when somebody was turned away meanwhile.
    patience.until(lambda: len(set(servers())) == 1)
    assert pool.stop() == 0


def held(worker):
    """What its descriptors lead to."""
    return sorted(os.readlink(p) for p in pathlib.Path(f"/proc/{worker}/fd").iterdir())


def test_drafts_go(postern):
    """What was begun and not queued is not in the spool, and no descriptor of it is left."""
    pool = busy.one(postern)
    worker, = pool.ready()
    pool.all_asleep()
    before = held(worker)
    c = pool.meet()
    c.envelope()
    c.send("x" * 100 + "\r\n" + ("y" * 900 + "\r\n") * 200)
    patience.until(lambda: list((postern.spool / "tmp").iterdir()))
    busy.gone(c)
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
    pool = busy.one(postern, tls_certificate=pki.path("server"), auth_users=users, relay_local="no")
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
        busy.gone(c)
    assert pool.stop() == 0


def test_proxy_says_it_anew(postern):
    """The address that a proxy named is of that client alone; one that names none is not believed."""
    pool = busy.one(postern, proxy_nets="127.0.0.1", relay_nets="192.0.2.7")
    for address, code in (("192.0.2.7", "250"), ("192.0.2.8", "550")):
        c = pool.greeted(f"PROXY TCP4 {address} 192.0.2.1 1000 25\r\n")
        c.hello()
        assert c.ask("MAIL FROM:<a@sender.example>")[:3] == "250"
        assert c.ask("RCPT TO:<u@dest.example>")[:3] == code
        busy.gone(c)
    assert f"connection from [192.0.2.8]" in postern.logged()
    assert pool.stop() == 0


def test_environment_says_nothing(postern, monkeypatch):
    """Variables by which a wrapper names its client are of no client here."""
    monkeypatch.setenv("TCPREMOTEIP", "192.0.2.7")
    pool = busy.one(postern)
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
        seen[busy.server_of(pool)] += 1
        c.ask("QUIT")
        busy.gone(c)
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
        busy.gone(c)
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
            busy.gone(c)
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
        talks_with = busy.server_of(pool)
        stubborn = talks_with if how == "stop" else next(w for w in pool.ready(3) if w != talks_with)
        os.kill(stubborn, signal.SIGSTOP)
        if how == "stop":
            pool.process.send_signal(signal.SIGTERM)
        else:
            busy.gone(talk)
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
