"""relay and hosts that take a TLS session back, and then cannot use it: a farm behind one address (B6, K13)."""
import ssl

import pytest

import patience
import tlsversions
from tlssink import server_context

ANSWERS = {"GREETING": "220 test", "MAIL": "250 ok"}


def break_resumed(sink, verb, how):
    """At this command of a session that is resumed the host closes, or is silent for longer than we wait."""
    def say(line):
        inside = isinstance(sink.mine.secure.sock, ssl.SSLSocket)
        if inside and sink.mine.secure.sock.session_reused:
            if how == "silent":
                patience.hold(3)
            return None
        return ANSWERS.get(verb, "250-test\r\n250 PIPELINING" if inside else "250-test\r\n250 STARTTLS")
    sink.say[verb] = say


def send(place, n, **settings):
    for i in range(n):
        place.postern.send(f"u{i}@dest.example", max_connections=0)
        place.postern.due(timeout_helo="1s", timeout_greeting="1s", **settings)
        log = place.postern.rested()
        assert not place.postern.messages(), log
    return log


def resumed(sink):
    return [s[1] for s in sink.shaken]


@pytest.mark.parametrize("how", ["closes", "silent"])
@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
def test_broken_at_ehlo(place, policy, how):
    """The connection after it begins anew, inside TLS, before anybody thinks of clear text, or lets the mail wait."""
    sink = place.host("domain")
    break_resumed(sink, "EHLO", how)
    log = send(place, 3, delivery_tls=policy)
    assert len(sink.messages) == 3 and "in clear" not in log
    assert resumed(sink) == [False, True, False, True, False] and sink.connections == 5


def test_broken_at_ehlo_by_tls_1_2(place, cards):
    sink = place.host(context=server_context(cards.path("host"), high=tlsversions.V12))
    break_resumed(sink, "EHLO", "closes")
    send(place, 2, delivery_tls="encrypt")
    assert len(sink.messages) == 2 and resumed(sink) == [False, True, False]


def test_broken_at_the_greeting(place):
    """... of a connection that begins with TLS."""
    sink = place.host(implicit=True)
    break_resumed(sink, "GREETING", "closes")
    send(place, 2, delivery_tls_implicit="yes", delivery_tls="encrypt")
    assert len(sink.messages) == 2 and resumed(sink) == [False, True, False]


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_broken_at_the_first_message(place, policy):
    """That may be the message's fault; but what nothing came of is no session for the next connection."""
    sink = place.host()
    break_resumed(sink, "MAIL", "closes")
    send(place, 1, delivery_tls=policy)
    place.postern.send("u@dest.example", delivery_tls=policy)
    log = place.postern.settled(1)
    place.postern.make_due()
    place.postern.due(delivery_tls=policy)
    place.postern.settled()
    assert len(sink.messages) == 2 and "in clear" not in log
    assert resumed(sink) == [False, True, False]


def test_host_that_breaks_all_of_them(place):
    """One that breaks new sessions too is asked no more than once more, and goes in clear where it may."""
    sink = place.host()
    send(place, 1)
    sink.say["EHLO"] = lambda line: (None if isinstance(sink.mine.secure.sock, ssl.SSLSocket)
                                     else "250-test\r\n250 STARTTLS")
    log = send(place, 1)
    assert "in clear from now on" in log and len(sink.messages) == 2
    assert resumed(sink) == [False, True, False] and sink.connections == 4
