"""What somebody hears for whom there is no place, of an smtpd that serves many."""
import busy

CROWDED = "421 4.3.2 mx.test.example Error: too many connections, try again later"


def test_crowded(postern):
    """A word and the end; it is logged as refused."""
    pool = busy.Pool(postern, busy_sessions=1)
    first = pool.meet()
    c = pool.connect()
    assert c.reply() == CROWDED and c.rest() == b""
    postern.wait_logged(f'refused [127.0.0.1]: "greeting": {CROWDED}')
    assert first.ask("QUIT")[:3] == "221"
    assert pool.stop() == 0


def test_crowded_where_tls_comes_first(postern, pki):
    """No word: it would cost the handshake."""
    pool = busy.Pool(postern, busy_sessions=1, tls="implicit", tls_certificate=pki.path("server"))
    first = pool.connect()
    first.wrap()
    assert first.reply()[:3] == "220"
    c = pool.connect()
    assert c.rest() == b""
    postern.wait_logged("refused [127.0.0.1]: too many connections")
    assert first.ask("QUIT")[:3] == "221"
    assert pool.stop() == 0


def test_crowded_behind_a_proxy(postern):
    """Nobody waits for what a proxy says, and what comes by it is not counted as the proxy's own."""
    pool = busy.Pool(postern, busy_sessions=1, proxy_nets="127.0.0.1", relay_local="no", limit_connections=1)
    first = pool.connect()
    first.send("PROXY TCP4 192.0.2.7 192.0.2.1 1000 25\r\n")
    assert first.reply()[:3] == "220"
    assert [pool.connect().reply() for _ in range(3)] == [CROWDED] * 3
    assert first.ask("QUIT")[:3] == "221"
    assert pool.stop() == 0


def test_too_many_of_one_network(postern):
    """A word and the end, for those beyond busy_per_source; who has the rights of this host is not counted."""
    pool = busy.Pool(postern, busy_per_source=1, relay_local="no")
    first = pool.meet()
    c = pool.connect()
    assert c.reply() == "421 4.7.0 mx.test.example Error: too many connections from your network at once"
    assert c.rest() == b"" and first.ask("QUIT")[:3] == "221"
    assert pool.stop() == 0
