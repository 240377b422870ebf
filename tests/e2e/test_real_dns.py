"""Mail exchangers found through a real DNS server: NSD, with its own truncation and compression."""
import pytest

import nsd
import ports

pytestmark = pytest.mark.skipif(nsd.program() is None,
                                reason="no nsd; tests/tools/need check unpacks one")

SINK = "127.0.0.2"
ZONE = {
    ("sender.example", "MX"): ["10 mx.sender.example."],
    ("mx.sender.example", "A"): [SINK],
    ("two.example", "MX"): ["20 b.two.example.", "10 a.two.example."],
    ("a.two.example", "A"): ["127.0.0.9"],                      # nobody there
    ("b.two.example", "A"): [SINK],
    ("big.example", "MX"): [f"{10 + i} exchanger-number-{i}.big.example." for i in range(60)],
    ("chain.example", "MX"): ["10 alias.chain.example."],
    ("alias.chain.example", "CNAME"): ["other.chain.example."],
    ("other.chain.example", "CNAME"): ["mx.sender.example."],
    ("address.example", "A"): [SINK],
    ("six.example", "MX"): ["10 mx.six.example."],
    ("mx.six.example", "AAAA"): ["::1"],
    ("null.example", "MX"): ["0 ."],
    ("nothing.example", "TXT"): ['"neither mail nor address"'],
    **{(f"exchanger-number-{i}.big.example", "A"): [SINK if i == 1 else "127.0.0.9"]
       for i in range(60)},
}


@pytest.fixture
def real(postern, world):
    port = ports.take() # not the server's: it stays ours while the server is away
    server = nsd.Nsd(postern.where / "nsd", ZONE, port=port)
    postern.settings["nameserver"] = f"{server.address}:{server.port}"
    yield server
    server.close()
    ports.give_back(port)


@pytest.mark.parametrize("domain", ["two.example", "chain.example", "address.example"])
def test_delivered(postern, world, real, domain):
    """R46, R47, R49, R50: preference, CNAME chain, implicit MX."""
    postern.send(f"u@{domain}")
    postern.settled()
    assert world.sink.messages[0].recipients == [f"u@{domain}"]


def test_sixty_exchangers(postern, world, real):
    """G1, must show 6: the answer is truncated over UDP; the whole one comes over TCP."""
    assert real.ask("big.example", "MX").header.tc == 1
    assert len(real.ask("big.example", "MX", tcp=True).rr) == 60
    postern.send("u@big.example")
    assert f"exchanger-number-1.big.example[{SINK}]" in postern.settled()
    assert world.sink.messages


def test_ipv6_only(postern, world, real, wait):
    """Must show 6."""
    six = world.another("::1")
    postern.send("u@six.example")
    assert wait(lambda: six.messages), postern.logged()


@pytest.mark.parametrize("domain, status", [
    ("null.example", "5.1.10"), # R53
    ("absent.example", "5.1.2"),
    ("nothing.example", "5.1.2"),
])
def test_bounced(postern, world, real, domain, status):
    """R39, R46, R48, R53: no such name, no address, null MX: back to the sender at once."""
    postern.send(f"u@{domain}")
    postern.settled()
    bounce = world.sink.messages[0]
    assert bounce.sender == "" and bounce.recipients == ["a@sender.example"]
    assert f"Status: {status}" in bounce.data.decode(), bounce.data.decode()


def test_server_failure_is_deferred(postern, world, real):
    """R46: SERVFAIL says nothing about the domain."""
    postern.send(f"u@{nsd.BROKEN}")
    postern.wait_logged(f"{nsd.BROKEN} MX: SERVFAIL; next try in")
    postern.settled(1)
    assert not world.sink.messages


def test_server_away_then_back(postern, world, real):
    """Must show 5: nobody answers; when the server is there again the mail goes."""
    where, port = real.where, real.port
    real.close()
    postern.send("u@two.example", timeout_dns="1s")
    postern.wait_logged("next try in")
    postern.settled(1)
    again = nsd.Nsd(where, ZONE, port=port)
    try:
        postern.make_due()
        postern.due()
        postern.settled()
        assert world.sink.messages
    finally:
        again.close()
