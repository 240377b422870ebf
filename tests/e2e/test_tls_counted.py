"""R86: what comes of TLS in each session with a host is counted, for the domain of the mail (RFC 8460 section 4)."""
import os
import re
import signal

import pytest

import patience
import tallies
from conftest import own
from tlssink import server_context

SETTINGS = {"tls_reports": "yes"}


@pytest.fixture
def counting(place):
    place.postern.settings.update(SETTINGS)
    return place


@pytest.fixture(scope="module")
def domain_cards(cards):
    """For the domain itself, which `verify` asks for where no route names the host."""
    cards.issue("domain-expired", "/CN=e", "DNS:dest.example", days=-1, usage="serverAuth")
    cards.issue("domain-foreign", "/CN=f", "DNS:dest.example", ca="stranger", usage="serverAuth")
    return cards


def attempt(place, waits, **settings):
    """One message, and what was counted of it."""
    place.postern.settings.update(settings)
    place.postern.send("u@dest.example", max_connections=0)
    place.postern.due()
    place.postern.settled(waits)
    found = tallies.counted(place.postern.spool)
    assert list(found) in ([], ["dest.example"])
    return found.get("dest.example", [])


def only(rows):
    (fields, times), = rows
    assert times == 1
    assert fields["policy"] == "no-policy-found" and fields["domain"] == "dest.example"
    return fields


def host_of(fields):
    assert fields["host"] == "mx.dest.example" and fields["to"] == "127.0.0.2" and fields["helo"] == "sink"
    assert re.fullmatch(r"127\.0\.0\.\d+", fields["from"])
    return fields["result"], fields.get("why", "")


def test_tls(counting):
    """A success says nothing of the host; four of them are one file."""
    counting.host()
    for n in range(1, 5):
        (fields, times), = attempt(counting, 0)
        assert times == n and fields == {"policy": "no-policy-found", "domain": "dest.example", "result": "success"}
    assert len({p.name for day in tallies.days(counting.postern.spool) for p in day.glob("*/*")}) == 1


def test_many_messages_are_one_session(counting):
    sink = counting.host()
    for _ in range(5):
        counting.postern.send("u@dest.example", max_connections=0)
    (_, times), = attempt(counting, 0, max_connections_per_lane=1)
    assert times == sink.connections == 1 and len(sink.messages) == 6


def test_not_offered(counting):
    """In clear, by `may`: mail goes, and it is a session without TLS all the same."""
    counting.host().ehlo_outside = ()
    assert host_of(only(attempt(counting, 0))) == ("starttls-not-supported", "")


def test_not_offered_and_asked_for(counting):
    counting.host().ehlo_outside = ()
    assert host_of(only(attempt(counting, 1, delivery_tls="encrypt")))[0] == "starttls-not-supported"


def test_refused(counting):
    counting.host(say={"STARTTLS": "454 4.7.0 not now"})
    assert host_of(only(attempt(counting, 1, delivery_tls="encrypt"))) == \
        ("starttls-not-supported", "454 4.7.0 not now")


def test_handshake_fails(counting):
    """By `may` it is tried once more without SNI, and then in clear: all that is one session, whose TLS failed."""
    def hang_up(connection):
        connection.sock.close()
        raise OSError("no TLS")
    sink = counting.host()
    sink.fault = hang_up
    fields = only(attempt(counting, 0))
    assert host_of(fields)[0] == "validation-failure" and fields["why"].startswith("TLS: ")
    assert sink.connections == 3 and len(sink.messages) == 1
    # The next one is in clear from the start, because of that.
    rows = {f["why"]: n for f, n in attempt(counting, 0)}
    assert rows == {fields["why"]: 1, "TLS failed a short while ago, and was not tried": 1}


@pytest.mark.parametrize("card, result", [
    ("domain-expired", "certificate-expired"), ("domain-foreign", "certificate-not-trusted"),
    ("host", "certificate-host-mismatch"), ("domain", "success")])
def test_certificates(counting, domain_cards, card, result):
    """Where one is relied on: `verify`, for the domain of the mail (S15)."""
    counting.host(context=server_context(domain_cards.path(card)))
    fields = only(attempt(counting, 0 if result == "success" else 1, delivery_tls="verify"))
    if result == "success":
        assert fields["result"] == result and "host" not in fields
    else:
        assert host_of(fields)[0] == result and fields["why"].startswith("certificate: not good for dest.example: ")


def test_expired_where_nobody_asks(counting, domain_cards):
    """By `may` no certificate is looked at: there is TLS."""
    counting.host(context=server_context(domain_cards.path("domain-expired")))
    assert only(attempt(counting, 0))["result"] == "success"


def test_not_counted(counting, world):
    """What says nothing of TLS: by our own will in clear, nobody there, a refusal before it comes to TLS; nor what is
    no domain's."""
    sink = counting.host()
    assert attempt(counting, 0, delivery_tls="none") == []
    sink.say["GREETING"] = "554 no"
    assert attempt(counting, 1, delivery_tls="may") == []
    counting.postern.send("u@[127.0.0.2]", max_connections=0)
    counting.postern.due()
    counting.postern.settled(2)
    assert tallies.counted(counting.postern.spool) == {}
    del sink.say["GREETING"]
    counting.name()
    counting.postern.send("u@dest.example")
    counting.postern.settled(2)
    assert len(sink.shaken) == 1 and tallies.counted(counting.postern.spool) == {}
    assert len(world.sink.messages) == 2


def test_off(place):
    """The default: nothing is counted, nor made."""
    place.host()
    assert attempt(place, 0) == []
    assert not (place.postern.spool / "tlsrpt").exists()


def test_cannot_count(counting):
    """What cannot be counted is said once by a relay, and stops no mail."""
    counting.host()
    where = counting.postern.spool / "tlsrpt"
    where.mkdir(mode=0o700)
    own(where)
    for ago in (0, -1): # midnight may come
        (where / tallies.day(ago)).touch()
    counting.world.domain("other.example", "127.0.0.4")
    other = counting.world.another("127.0.0.4")
    for domain in ("dest.example", "other.example"):
        counting.postern.send(f"u@{domain}", max_connections=0)
    counting.postern.due(max_connections=1) # one courier, which has two sessions
    counting.postern.settled(0)
    other.wait_left()
    assert len(other.messages) == 1
    said = re.findall("relay: lane [a-z.]*: not all is counted for reports on TLS: Not a directory", counting.postern.logged())
    assert len(said) == 1


def test_killed(counting):
    """A relay that is killed in the middle of its sessions has counted those before."""
    sink = counting.host()
    attempt(counting, 0)
    with sink.held("RCPT", "250 ok"):
        counting.postern.send("u@dest.example")
        patience.until(lambda: sum(line.startswith("RCPT") for line in sink.lines) == 2)
        at_work = counting.postern.at_work() # behind their keepers, who would start others
        for pid in sorted(counting.postern.relays(), key=lambda pid: pid in at_work):
            os.kill(pid, signal.SIGKILL)
        counting.postern.rested()
    assert tallies.sums(counting.postern.spool) == {"dest.example": {"success": 2}}
