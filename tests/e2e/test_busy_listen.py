"""How an smtpd that serves many clients is started: at which sockets it listens itself, and who is told (DESIGN 3a)."""
import contextlib
import os
import re
import socket
import subprocess
import time

import pytest

import busy
import client
import patience
import ports
from conftest import HOST

GREETING = f"220 {HOST} ESMTP Postern"


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
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    port = ports.take()
    p = listening(postern, f"127.0.0.1:{port}")
    assert "old.example" in greeted("127.0.0.1", port)
    busy.changed(postern, "new.example")
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


@pytest.mark.parametrize("kind", ["TCP", "UNIX"])
@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
def test_listener_is_shut_down(postern, where, kind, how):
    """M8: nobody can connect any more, and nothing mends that: the pool says so and ends, to be started anew."""
    listener = busy.listener() if kind == "TCP" else busy.unix_listener(where / "socket")
    pool = busy.Pool(postern, listener, busy_spare=2)
    pool.exactly(2)
    talk = pool.meet()
    listener.shutdown(how)
    postern.wait_logged("a listening socket was shut down")
    assert talk.reply()[:3] == "421"
    assert pool.process.wait(client.TIMEOUT) == os.EX_TEMPFAIL
    assert postern.logged().count("was shut down") == 1
