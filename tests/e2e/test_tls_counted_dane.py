"""R86: sessions with hosts under DANE are counted under it, with the records, for the domain of the mail."""
import pytest

import signed
import tallies
from test_dane_hosts import HOST, cards, one, other_signature, promised, tlsa, without_tlsa # noqa: F401 pylint: disable=unused-import

signed.need()


@pytest.fixture
def counting(one): # noqa: F811
    one.postern.settings["tls_reports"] = "yes"
    return one


def only(counting):
    """What was counted of the domain, once."""
    ((fields, times),) = tallies.counted(counting.postern.spool)["d.example"]
    assert times == 1
    return fields


def records(counting, *names):
    return [tlsa(counting.cards.path(name), 3, 1, 1) for name in names]


def test_success(counting):
    promised(counting)
    counting.host("127.0.0.2", "host")
    counting.serve()
    counting.send()
    assert only(counting) == {"policy": "tlsa", "domain": HOST, "text": records(counting, "host"), "result": "success"}


def test_other_certificate(counting):
    promised(counting, card="other")
    counting.host("127.0.0.2", "host")
    counting.serve()
    counting.send(waiting=1)
    fields = only(counting)
    assert fields["policy"] == "tlsa" and fields["domain"] == HOST and fields["text"] == records(counting, "other")
    assert fields["result"] == "certificate-not-trusted" and fields["host"] == HOST and fields["to"] == "127.0.0.2"
    assert "no matching DANE TLSA records" in fields["why"]


def test_stripped(counting):
    """Somebody in between takes STARTTLS away."""
    promised(counting)
    counting.host("127.0.0.2", "host").ehlo_outside = ()
    counting.serve()
    counting.send(waiting=1)
    fields = only(counting)
    assert (fields["policy"], fields["result"]) == ("tlsa", "starttls-not-supported")


def test_no_record_can_be_used(counting):
    """Mail goes by TLS with any certificate, and the domain hears that its records are of no use."""
    counting.promise(HOST, tlsa(counting.cards.path("host"), 1, 1, 1))
    host = counting.host("127.0.0.2", "host")
    counting.serve()
    counting.send()
    fields = only(counting)
    assert len(host.messages) == 1 and fields["policy"] == "tlsa" # lint: send() waits
    assert fields["result"] == "tlsa-invalid"
    assert fields["text"][0].startswith("1 1 1 ")


@pytest.mark.parametrize("change", [without_tlsa, other_signature("TLSA")])
def test_bogus(counting, change):
    """No session, for the host counts as out of reach; that is what is counted."""
    promised(counting)
    host = counting.host("127.0.0.2", "host")
    counting.serve(change=change)
    counting.send(waiting=1)
    fields = only(counting)
    assert host.connections == 0 # lint: send() waits
    assert fields["result"] == "dnssec-invalid" and fields["why"] == f"{HOST} TLSA: SERVFAIL"


def test_required(counting):
    counting.host("127.0.0.2", "host")
    counting.serve()
    counting.send(waiting=1, dane="only")
    fields = only(counting)
    assert fields["result"] == "dane-required" and "no TLSA record" in fields["why"]


def test_no_record(counting):
    counting.host("127.0.0.2", "host")
    counting.serve()
    counting.send()
    assert only(counting) == {"policy": "no-policy-found", "domain": "d.example", "result": "success"}
