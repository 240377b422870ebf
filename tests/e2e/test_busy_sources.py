"""How many clients of one address an smtpd that serves many has at once (I2): busy_per_source."""
import contextlib
import os
import signal
import socket

import pytest

import busy
import client
import network
import patience
from conftest import HOST

SOURCE = f"421 4.7.0 {HOST} Error: too many connections from your network at once"
SHIPPED = 50
ONE, OTHER = "198.51.100.1", "198.51.100.2" # tests/tools/netns


@pytest.fixture(autouse=True)
def own_network():
    with network.own():
        yield


def gone(c):
    c.file.close()
    c.sock.close()


def serving(pool):
    return [w for w in pool.workers() if busy.has_client(w)]


def refused(c):
    return c.reply() == SOURCE and c.rest() == b""


def finds_a_place(pool, **more):
    """Soon: who left is noticed by its worker."""
    c = patience.until(lambda: (c := pool.connect(**more)).reply()[:3] == "220" and c)
    c.hello()
    return c


def test_as_shipped(postern):
    """50 are served, the next hears why not, and another address has its place at once; so has the first when one of
    its own went, or its worker was killed."""
    pool = busy.Pool(postern)
    talks = [pool.meet(source=ONE) for _ in range(SHIPPED)]
    for _ in range(3):
        assert refused(pool.connect(source=ONE))
    other = pool.meet(source=OTHER)
    assert all(c.ask("NOOP")[:3] == "250" for c in [*talks, other])
    postern.wait_logged(f'refused [{ONE}]: "greeting": {SOURCE}')
    assert talks.pop().ask("QUIT")[:3] == "221"
    talks.append(finds_a_place(pool, source=ONE))
    assert refused(pool.connect(source=ONE))
    gone(other)
    served = patience.until(lambda: len(found := serving(pool)) == SHIPPED and found)
    os.kill(served[0], signal.SIGKILL)
    talks.append(finds_a_place(pool, source=ONE))
    assert refused(pool.connect(source=ONE))
    assert pool.stop() == 0


def test_gone(postern):
    """Who left does not count, even while the worker that had it has somebody of this host, who is not written down."""
    pool = busy.Pool(postern, busy_per_source=1, busy_spare=2)
    c = pool.meet(source=ONE)
    [worker] = patience.until(lambda: len(found := serving(pool)) == 1 and found)
    assert c.ask("QUIT")[:3] == "221"
    pool.at_rest(worker)
    talks = []
    while not busy.has_client(worker):
        talks.append(pool.meet())
    assert pool.meet(source=ONE).ask("QUIT")[:3] == "221"
    assert pool.stop() == 0


def test_networks(postern):
    """One /64 is one, and so is an IPv4 address, whatever socket it comes by."""
    six = busy.listener("::1")
    pool = busy.Pool(postern, busy.listener(), six, busy_per_source=1, relay_local="no")
    talks = [pool.meet(source="127.0.0.1"), pool.meet(to=six)]
    assert refused(pool.connect(source="127.0.0.1")) and refused(pool.connect(to=six))
    talks.append(pool.meet(source=ONE))
    assert all(c.ask("NOOP")[:3] == "250" for c in talks)
    assert pool.stop() == 0


def test_this_host(postern):
    """Who has its rights is not counted, as for limit_connections; and 0 counts nobody."""
    pool = busy.Pool(postern, busy_per_source=1)
    talks = [pool.meet() for _ in range(3)]
    assert all(c.ask("NOOP")[:3] == "250" for c in talks)
    assert pool.stop() == 0
    pool = busy.Pool(postern, busy_per_source=0)
    talks = [pool.meet(source=ONE) for _ in range(3)]
    assert all(c.ask("NOOP")[:3] == "250" for c in talks)
    assert pool.stop() == 0


def test_proxy(postern):
    """Its clients by their own address, and who did not say for whom it speaks is nobody's yet."""
    pool = busy.Pool(postern, proxy_nets=f"{OTHER}/32", busy_per_source=1)

    def by_proxy(address):
        c = pool.connect(source=OTHER)
        c.send(f"PROXY TCP4 {address} 192.0.2.1 1000 25\r\n")
        return c

    silent = [pool.connect(source=OTHER) for _ in range(3)]
    talks = [by_proxy("192.0.2.7"), by_proxy("192.0.2.8")]
    assert [c.reply()[:3] for c in talks] == ["220", "220"]
    assert refused(by_proxy("192.0.2.7"))
    silent[0].send("PROXY TCP4 192.0.2.9 192.0.2.1 1000 25\r\n")
    assert silent[0].reply()[:3] == "220"
    assert pool.stop() == 0


def test_where_tls_comes_first(postern, pki):
    """No word: it would cost the handshake."""
    pool = busy.Pool(postern, busy_per_source=1, tls="implicit", tls_certificate=pki.path("server"))
    first = pool.connect(source=ONE)
    first.wrap()
    assert first.reply()[:3] == "220"
    assert pool.connect(source=ONE).rest() == b""
    postern.wait_logged(f"refused [{ONE}]: too many connections from its network at once")
    assert first.ask("QUIT")[:3] == "221"
    assert pool.stop() == 0


def test_successor(postern):
    """Clients that were there before a new smtpd took over count there."""
    postern.settings.pop("hostname")
    postern.configure(f"hostname = {HOST}")
    pool = busy.Pool(postern, busy_per_source=2)
    first, second = pool.meet(source=ONE), pool.meet(source=ONE)
    pool.all_asleep()
    postern.configure(f"hostname = {HOST}", "max_size = 1M")
    assert pool.meet(source=OTHER).ask("QUIT")[:3] == "221"
    postern.wait_logged("a new smtpd takes over")
    assert refused(pool.connect(source=ONE))
    assert first.ask("QUIT")[:3] == "221"
    third = finds_a_place(pool, source=ONE)
    assert refused(pool.connect(source=ONE))
    assert second.ask("NOOP")[:3] == third.ask("NOOP")[:3] == "250"
    assert pool.stop() == 0


def test_flood(postern):
    """Connects without end from one address: it never has more than its share, and others are served meanwhile."""
    pool = busy.Pool(postern, relay_nets=OTHER)
    held = []
    with contextlib.ExitStack() as stack:
        for n in range(600):
            s = stack.enter_context(socket.create_connection(pool.address[:2], client.TIMEOUT, (ONE, 0)))
            held.append(s)
            if n % 100 == 99:
                c = pool.meet(source=OTHER)
                assert c.message()[:3] == "250" and c.ask("QUIT")[:3] == "221"
        served = [s for s in held if s.makefile("rb").readline()[:3] == b"220"]
        assert len(served) <= SHIPPED
        # Of several that come at once for the last places all may have heard that there is none.
        talks = [finds_a_place(pool, source=ONE) for _ in range(SHIPPED - len(served))]
        assert refused(pool.connect(source=ONE)) and all(c.ask("NOOP")[:3] == "250" for c in talks)
        # One for each that is served, and those that wait; whom the flood has kept busy is on his way to that.
        patience.until(lambda: len(pool.workers()) < 4 * SHIPPED)
    assert pool.stop() == 0
