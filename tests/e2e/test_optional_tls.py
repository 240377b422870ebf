"""R85: TLS-Required: No. Mail that says so goes where no host has what the recipient's domain asks for, and no other mail
goes along; what the operator asks for counts for it as for any."""
import pytest

import signed
from test_dane_hosts import HOST, cards, one, other_signature, promised, without_tlsa  # noqa: F401 (fixtures)

signed.need()

WISH = "TLS-Required: No\nSubject: wish\n\nhello\n"


def send_both(one, **settings): # noqa: F811
    """Two with the field, around one without. The log, when relay has done what it could."""
    one.postern.settings.update(settings)
    for body in (WISH, "Subject: plain\n\nhello\n", WISH):
        one.postern.send("u@d.example", body=body, max_connections=0)
    one.postern.due()
    return one.postern.rested()


def subjects(host):
    return sorted("wish" if b"Subject: wish" in m.data else "plain" for m in host.messages)


def strip_starttls(host):
    host.ehlo_outside = ("PIPELINING",)


@pytest.mark.parametrize("fault, how", [
    ("certificate", "TLSv1.3 TLS_AES_256_GCM_SHA384, not verified"), ("starttls", "in clear"),
    ("hidden", "TLSv1.3 TLS_AES_256_GCM_SHA384, not verified"),
    ("bogus", "TLSv1.3 TLS_AES_256_GCM_SHA384, not verified"),
])
def test_what_dane_asks_for(one, fault, how): # noqa: F811
    """R85, R79, R80: a certificate that does not fit, TLS that was taken away, records that cannot be had."""
    promised(one, "old" if fault == "certificate" else "host")
    host = one.host("127.0.0.2", "host")
    if fault == "starttls":
        strip_starttls(host)
    one.serve(**{"hidden": {"change": without_tlsa}, "bogus": {"change": other_signature("TLSA")}}.get(fault, {}))
    log = send_both(one)
    assert subjects(host) == ["wish", "wish"], log
    assert f"lane d.example: connected to {HOST}[127.0.0.2]:{one.world.port}, {how}, for mail that says TLS-Required: No" \
        in log
    assert len(one.postern.messages()) == 1 and "; next try" in log


def test_a_host_that_has_it_comes_first(one): # noqa: F811
    """R85: while one satisfies the domain, nothing goes otherwise."""
    promised(one, "old")
    one.records[("d.example", "MX")].append("20 mx2.d.example.")
    one.records[("mx2.d.example", "A")] = ["127.0.0.3"]
    first, second = one.host("127.0.0.2", "host"), one.host("127.0.0.3", "host")
    one.serve()
    log = send_both(one)
    assert not first.messages and subjects(second) == ["plain", "wish", "wish"], log
    assert "TLS-Required" not in log


@pytest.mark.parametrize("settings, why", [
    ({"delivery_tls": "encrypt"}, "STARTTLS: the host does not offer it"),
    ({"delivery_tls": "verify"}, "STARTTLS: the host does not offer it"),
    ({"dane": "only"}, f"dane = only, and {HOST} has no TLSA record that counts"),
])
def test_what_the_operator_asks_for(one, settings, why): # noqa: F811
    """R85: is no policy of the recipient's."""
    if "dane" not in settings:
        promised(one)
    host = one.host("127.0.0.2", "host")
    strip_starttls(host)
    one.serve()
    log = send_both(one, **settings)
    assert not host.messages and len(one.postern.messages()) == 3, log
    assert why in log, log


def test_odd_fields(one): # noqa: F811
    """R85: what is no wish leaves the mail protected."""
    promised(one, "old")
    host = one.host("127.0.0.2", "host")
    one.serve()
    for field in ("TLS-Required: Yes", "TLS-Required: No\nTLS-Required: No", "X-TLS-Required: No",
                  "Subject: x\n\nTLS-Required: No"):
        one.postern.send("u@d.example", body=f"{field}\nSubject: x\n\nx\n", max_connections=0)
    one.postern.due()
    one.postern.settled(4)
    assert not host.messages


def test_the_report_goes_as_its_message(one): # noqa: F811
    """R85, R39: what the sender of such mail is told says the same of itself, and gets to him."""
    promised(one, "old")
    one.promise("mx.sender.example", one.records[(f"_{one.world.port}._tcp.{HOST}", "TLSA")][0])
    one.records[("mx.sender.example", "A")] = ["127.0.0.3"]
    one.host("127.0.0.2", "host", say={"RCPT": "550 5.1.1 no"})
    sender = one.host("127.0.0.3", "host")
    one.serve()
    one.postern.send("u@d.example", body=WISH)
    sender.wait_messages()
    one.postern.settled()
    [report] = sender.messages
    assert b"\r\nTLS-Required: No\r\n" in report.data.split(b"\r\n\r\n")[0] and b"Status: 5.1.1" in report.data
