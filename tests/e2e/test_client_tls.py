"""relay and TLS: with hosts that have it, and with those that only seem to."""
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time

import pytest

import patience
import spoolfile
import ticketflood
from conftest import TOP
from pki import openssl
from tlssink import TlsSink, server_context

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
IDENT = "20000000000000000abc"


@pytest.fixture
def arrives(postern, world, wait):
    """Waits until so many messages are there, and relay is not."""
    def look(n=1):
        wait(lambda: len(world.sink.messages) >= n)
        postern.settled()
        assert len(world.sink.messages) == n
    return look


@pytest.fixture
def deferred(postern, world):
    """Waits until the mail is laid down; with this in the log, and nothing with the host."""
    def look(*texts):
        postern.wait_logged("; next try")
        log = postern.settled(1)
        for text in texts:
            assert text in log, log
        world.sink.wait_left()
        assert not world.sink.messages
    return look


# ---- how it goes

@pytest.mark.parametrize("low, high, text", [
    (V13, V13, "TLSv1.3 TLS_AES_256_GCM_SHA384, not verified"),
    (V12, V12, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, not verified"),
])
def test_starttls(place, cards, arrives, low, high, text):
    """B5: without a word in the configuration; what counts is what the host offers inside."""
    sink = place.host(context=server_context(cards.path("host"), low, high))
    sink.ehlo_outside = ("STARTTLS", "CHUNKING", "SIZE 10")
    place.send()
    arrives()
    assert sink.shaken == [(text[:7], False, "mx.dest.example")]
    assert f"connected to mx.dest.example[127.0.0.2]:{sink.port}, {text}\n" in place.postern.logged()
    assert [line[:4] for line in sink.lines] == ["STAR", "MAIL", "RCPT", "DATA"]
    assert sink.messages[0].data.endswith(b"Subject: x\r\n\r\nhello\r\n")


def test_large(place, arrives):
    """Many records, in both directions of a full socket."""
    sink = place.host()
    place.postern.send("u@dest.example", body="Subject: x\n\n" + ("x" * 900 + "\n") * 5000)
    arrives()
    assert sink.messages[0].data.count(b"x" * 900 + b"\r\n") == 5000


def test_many(place, arrives):
    """Whole messages behind each other, before the first reply is read, through one connection."""
    sink = place.host(inside=("PIPELINING", "CHUNKING", "8BITMIME"))
    for n in range(30):
        place.postern.send("u@dest.example", body=f"Subject: {n}\n\n" + "x" * 900 + "\n" + "y\n" * n * 50,
                           max_connections=0)
    place.postern.due(max_connections_per_lane=1) # one whose messages take long gets help
    arrives(30)
    assert len(sink.shaken) == sink.connections == 1
    assert sum(line.startswith("BDAT ") for line in sink.lines) == 30


def test_implicit(place, arrives):
    """TLS from the first octet, and no STARTTLS in it."""
    sink = place.host(implicit=True, inside=("PIPELINING", "STARTTLS"))
    place.send(delivery_tls="verify", delivery_tls_implicit="yes")
    arrives()
    assert len(sink.shaken) == 1 and "STARTTLS" not in sink.lines
    assert ", verified\n" in place.postern.logged()


@pytest.mark.parametrize("policy", ["none", "may", "encrypt"])
def test_port_465(place, policy):
    """L47: there TLS comes first, whatever else is said; to wait for a greeting would be in vain."""
    try:
        sink = TlsSink(server_context(place.cards.path("host")), "127.0.0.46", 465, implicit=True) # lint: it is about this port
    except OSError as why:
        pytest.skip(f"needs port 465 of 127.0.0.46: {why}")
    try:
        place.postern.configure("[route r]", "domains = dest.example", "hosts = 127.0.0.46:465") # lint: this port
        place.send(delivery_tls=policy, timeout_greeting="1h")
        sink.wait_messages()
        place.postern.settled()
        assert len(sink.shaken) == 1
    finally:
        sink.close()


def test_none(place, arrives):
    """Not even where it is offered."""
    sink = place.host()
    place.send(delivery_tls="none")
    arrives()
    assert sink.shaken == [] and "STARTTLS" not in sink.lines
    assert ", in clear\n" in place.postern.logged()


def test_not_offered(place, arrives):
    """F15"""
    sink = place.host(context=None, card="host")
    sink.ehlo_outside = ()
    place.send()
    arrives()
    assert sink.connections == 1 and ", in clear\n" in place.postern.logged()


def test_helo_only(place, arrives):
    """F15: a host that knows no EHLO."""
    place.host(say={"EHLO": "502 what?"})
    place.send()
    arrives()
    assert ", in clear\n" in place.postern.logged()


def test_our_own_server(postern, secure, world, cards, wait):
    """smtpd as the host: STARTTLS with a certificate that is judged, CHUNKING inside."""
    del secure
    there = postern.where / "there"
    there.mkdir()
    there.chmod(0o755)
    host = type(postern)(there)
    world.zone[("dest.example", "MX")] = ["10 mx.test.example."]
    world.zone[("mx.test.example", "A")] = ["127.0.0.4"]
    words = host.command("smtpd", max_connections=0, relay_domains="dest.example",
                         tls_certificate=postern.settings["tls_certificate"])
    with open(host.log, "ab") as log:
        inetd = subprocess.Popen([sys.executable, TOP / "tests" / "tools" / "inetd.py",
                                  f"127.0.0.4:{world.port}", *words], stderr=log,
                                 env=host.environment())
    try:
        assert wait(lambda: reachable("127.0.0.4", world.port))
        postern.configure("[route named]", "domains = dest.example", f"hosts = mx.test.example:{world.port}")
        postern.send("u@dest.example", delivery_tls="verify", delivery_ca=cards.path("ca"))
        assert ", verified\n" in postern.settled()
        [queued] = host.wait_messages(1)
        assert "ESMTPS id" in spoolfile.SpoolFile(queued).received
    finally:
        inetd.kill()
        inetd.wait()


def reachable(address, port):
    with socket.socket() as s:
        return s.connect_ex((address, port)) == 0


# ---- certificates

@pytest.mark.parametrize("card", ["host", "wildcard", "no-subject"])
def test_good_certificate(place, arrives, card):
    """B8: for the host that the operator named; a Subject is not needed."""
    place.host(card)
    place.send(delivery_tls="verify")
    arrives()
    assert ", verified\n" in place.postern.logged()


def test_certificate_for_the_domain(place, arrives):
    """B8, S15: for the domain of the mail."""
    place.host("domain")
    place.postern.send("u@dest.example", delivery_tls="verify")
    arrives()
    assert ", verified\n" in place.postern.logged()


def test_name_that_only_the_dns_told(place, deferred):
    """S15: a forged answer names a host that has a certificate of its own."""
    sink = place.host("host")
    place.postern.send("u@dest.example", delivery_tls="verify")
    deferred("certificate: not good for dest.example: hostname mismatch")
    assert sink.lines == ["STARTTLS"] and sink.connections == 1


@pytest.mark.parametrize("card, good", [("domain", True), ("host", False)])
def test_domain_that_a_route_names(place, card, good):
    """S15: the exchangers of a domain that the operator wrote down; their names came from the DNS."""
    sink = place.host(card)
    place.postern.configure("[route far]", "domains = elsewhere.example", "hosts = dest.example")
    place.postern.send("u@elsewhere.example", delivery_tls="verify")
    log = place.postern.settled(not good)
    assert len(sink.messages) == good
    assert good or "certificate: not good for dest.example: hostname mismatch" in log


@pytest.mark.parametrize("card, why", [
    ("other", "hostname mismatch"), ("common", "hostname mismatch"), ("partial", "hostname mismatch"),
    ("above", "hostname mismatch"), ("nul", "hostname mismatch"), ("common-nul", "hostname mismatch"),
    ("no-names", "hostname mismatch"), ("expired", "certificate has expired"),
    ("foreign", "unable to get local issuer certificate"),
    ("client", "unsuitable certificate purpose"),
])
def test_bad_certificate(place, deferred, card, why):
    """B6, B7, B8: nothing is said to such a host, and there is no way around."""
    sink = place.host(card)
    place.send(delivery_tls="verify")
    deferred(f"certificate: not good for mx.dest.example: {why}")
    assert sink.lines == ["STARTTLS"] and sink.connections == 1


@pytest.mark.parametrize("policy", ["may", "encrypt"])
@pytest.mark.parametrize("card", ["nul", "common-nul", "no-names", "expired", "foreign", "other"])
def test_any_certificate(place, arrives, card, policy):
    """B7, B8: where nobody asks, but nobody says it was verified either."""
    place.host(card)
    place.send(delivery_tls=policy)
    arrives()
    assert ", not verified\n" in place.postern.logged()


@pytest.mark.parametrize("card, good", [("address", True), ("host", False)])
def test_address_literal(place, card, good):
    place.host(card)
    place.postern.settings["delivery_tls"] = "verify"
    place.postern.send("u@[127.0.0.2]")
    log = place.postern.settled(not good)
    assert len(place.world.sink.messages) == good
    assert good or "not good for 127.0.0.2: IP address mismatch" in log
    assert [s[2] for s in place.world.sink.shaken] == [None]


@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                  "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 100])
def test_no_authorities(place, deferred, text):
    """A file that is missing or garbage trusts nobody."""
    file = place.postern.where / "ca.pem"
    if text is not None:
        file.write_text(text)
    place.host()
    place.send(delivery_tls="verify", delivery_ca=file)
    deferred("delivery_ca cannot be read" if text is None else "unable to get local issuer certificate")


def test_one_of_many_authorities(place, cards, arrives):
    """The one that signed is found among those of the system."""
    system = "/etc/ssl/certs/ca-certificates.crt"
    if not os.path.exists(system):
        pytest.skip("needs ca-certificates")
    file = place.postern.where / "ca.pem"
    with open(system, encoding="utf-8") as f:
        file.write_text(f.read() + cards.path("ca").read_text())
    place.host()
    place.send(delivery_tls="verify", delivery_ca=file)
    arrives()


# ---- what goes wrong

@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
@pytest.mark.parametrize("more", ["250-PIPELINING", "220 sink\r\n250 AUTH PLAIN", "x"])
def test_response_injection(place, deferred, policy, more):
    """B5: said in clear behind the consent: the end, and no second try in clear."""
    sink = place.host(say={"STARTTLS": "220 go\r\n" + more})
    place.send(delivery_tls=policy)
    deferred("STARTTLS: the host said more than its reply in clear")
    assert sink.lines == ["STARTTLS"] and sink.connections == 1 and sink.shaken == []


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_consent_before_it_was_asked(place, deferred, policy):
    """B5: nor may what we said in clear be left over for TLS."""
    sink = place.host(say={"EHLO": "250-sink\r\n250 STARTTLS\r\n220 go"})
    place.send(delivery_tls=policy)
    deferred("STARTTLS: the host said more than its reply in clear")
    assert sink.lines == [] and sink.connections == 1


def garbage(connection):
    """Consents, and then talks on in clear."""
    connection.sock.recv(1)
    connection.sock.sendall(b"500 what?\r\n" * 100)
    raise OSError("no TLS")


FAULTS = {
    "454": ({"say": {"STARTTLS": "454 4.7.0 not now"}}, "454 4.7.0 not now"),
    "502": ({"say": {"STARTTLS": "502 what?"}}, "502 what?"),
    "250": ({"say": {"STARTTLS": "250 2.0.0 well"}}, "250 2.0.0 well"),
    "silent": ({"say": {"STARTTLS": None}}, "connection closed by the host"),
    "garbage": ({"fault": garbage}, "TLS: wrong version number"),
}
OLD = {"old": ({"low": ssl.TLSVersion.TLSv1, "high": ssl.TLSVersion.TLSv1_1}, "TLS: ")} # better than none (L23)


def faulty(place, name):
    how = dict((FAULTS | OLD)[name][0])
    fault = how.pop("fault", None)
    if "low" in how:
        context = server_context(place.cards.path("host"), how.pop("low"), how.pop("high"))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        how["context"] = context
    sink = place.host(**how)
    sink.fault = fault
    return sink


@pytest.mark.parametrize("name", list(FAULTS))
def test_in_clear_if_need_be(place, arrives, name):
    """B6: on a new connection, with a word about it, and the next one does not try again."""
    sink = faulty(place, name)
    place.send(linger="0s")
    arrives()
    log = place.postern.logged()
    assert FAULTS[name][1] in log and "; in clear from now on\n" in log
    assert sink.connections == 2 and sink.lines.count("STARTTLS") == 1
    place.send()
    arrives(2)
    assert sink.connections == 3 and sink.lines.count("STARTTLS") == 1
    assert place.postern.logged().count("in clear from now on") == 1


def test_tried_again_in_time(place, arrives):
    """B6: what was learned about a host that had trouble is forgotten."""
    sink = place.host(say={"STARTTLS": "454 4.7.0 not now"})
    place.send(linger="0s", remember_hosts="1d")
    arrives()
    del sink.say["STARTTLS"]
    spoolfile.elapse(place.postern.spool, 86000)
    place.send()
    arrives(2)
    assert not sink.shaken
    spoolfile.elapse(place.postern.spool, 401)
    place.send()
    arrives(3)
    assert len(sink.shaken) == 1


@pytest.mark.parametrize("policy", ["encrypt", "verify"])
@pytest.mark.parametrize("name", list(FAULTS | OLD))
def test_not_in_clear(place, deferred, name, policy):
    """B6"""
    sink = faulty(place, name)
    place.send(delivery_tls=policy)
    deferred((FAULTS | OLD)[name][1])
    assert sink.lines == ["STARTTLS"] and sink.connections == 1


@pytest.mark.parametrize("policy", ["encrypt", "verify"])
@pytest.mark.parametrize("how", ["stripped", "helo"])
def test_stripped(place, deferred, policy, how):
    """B6, F15: somebody took the offer out of the reply, or there was none."""
    sink = place.host(say={"EHLO": "502 what?"} if how == "helo" else {})
    sink.ehlo_outside = ("XXXXXXXA",)
    place.send(delivery_tls=policy)
    deferred("STARTTLS: the host does not offer it")
    assert sink.lines == []


def test_policy_wins_over_what_is_remembered(place, arrives, deferred):
    """B6: that a host's TLS did not work helps nobody who wants mail in clear under a stricter policy."""
    sink = place.host(say={"STARTTLS": "454 4.7.0 not now"})
    place.send(linger="0s")
    arrives()
    sink.messages.clear()
    place.send(delivery_tls="encrypt")
    deferred("454 4.7.0 not now")


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_silent_handshake(place, policy):
    """B12: a host that consents and says nothing more has so long."""
    sink = place.host()
    over = threading.Event()
    sink.fault = lambda connection: over.wait(patience.PATIENCE)
    place.send(delivery_tls=policy, timeout_tls="1s")
    place.postern.wait_logged("TLS: timed out")
    place.postern.settled(policy != "may")
    over.set()
    assert len(sink.messages) == (policy == "may")


def test_flood_of_tickets(place, tmp_path):
    """R29, B11: a host that sends nothing but what OpenSSL takes for itself, and that for ever, has as long as a silent
    one."""
    sink = place.host()
    keys, over = tmp_path / "keys", threading.Event()
    ticketflood.prepare(sink.context, keys)

    def flood(line):
        del line
        if not isinstance(sink.secure.sock, ssl.SSLSocket):
            return "250-sink\r\n250 STARTTLS"
        ticketflood.flood(sink.secure.sock, keys, over)
        return None
    sink.say["EHLO"] = flood
    try:
        place.send(delivery_tls="encrypt", timeout_helo="1s")
        place.postern.wait_logged("EHLO: timed out")
    finally:
        over.set()
    place.postern.settled(1)
    assert not sink.messages


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "END"])
def test_cut(place, verb):
    """B13: a connection that is lost in a reply, without close_notify, is lost."""
    sink = place.host()

    def cut(line):
        del line
        if not isinstance(sink.secure.sock, ssl.SSLSocket):
            return "250-sink\r\n250-STARTTLS\r\n250 x"
        sink.secure.sock.sendall(b"250-o")
        return None
    sink.say[verb] = cut
    place.send(delivery_tls="encrypt")
    place.postern.wait_logged("connection closed by the host")
    place.postern.settled(1)
    assert not sink.messages


def test_close_notify(place, arrives, wait):
    """B13: our own end is a polite one."""
    sink = place.host()
    ends = []

    def last(line):
        del line
        sink.secure.sock.sendall(b"221 bye\r\n")
        ends.append(sink.secure.sock.recv(10))
        return None
    sink.say["QUIT"] = last
    place.send(linger="0s", timeout_quit="1h")
    arrives()
    assert wait(lambda: ends) == [b""]


# ---- sessions

def session_files(postern):
    return list((postern.spool / "hosts").glob("*.tls"))


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("policy", ["may", "verify"])
def test_resumed(place, cards, arrives, version, policy):
    """By another process; the certificate is judged as if it were new."""
    sink = place.host(context=server_context(cards.path("host"), version, version))
    for n in (1, 2, 3):
        place.send(delivery_tls=policy, linger="0s")
        arrives(n)
    assert [s[1] for s in sink.shaken] == [False, True, True]
    [file] = session_files(place.postern)
    assert file.name == f"127.0.0.2-{sink.port}.tls" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ("resumed, verified\n" if policy == "verify" else "resumed, not verified\n") in place.postern.logged()


def test_resumed_with_intermediate(place, cards, arrives, tmp_path):
    """What the host sent beside its certificate is kept with the session."""
    extensions = tmp_path / "ext"
    extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
    request = openssl("req", "-new", "-key", cards.key("below"), "-subj", "/CN=below")
    below = openssl("x509", "-req", "-CA", cards.path("ca"), "-CAkey", cards.key("ca"), "-days", 30,
                    "-extfile", extensions, stdin=request)
    cards.path("below").write_bytes(below)
    cards.issue("leaf", "/CN=leaf", "DNS:mx.dest.example", usage="serverAuth", ca="below")
    with open(cards.path("leaf"), "ab") as f:
        f.write(below)
    sink = place.host("leaf")
    for n in (1, 2):
        place.send(delivery_tls="verify", linger="0s")
        arrives(n)
    assert [s[1] for s in sink.shaken] == [False, True]


def test_resumption_proves_nothing(place, arrives):
    """A session of a host whose certificate nobody looked at is no way around a policy."""
    sink = place.host("foreign")
    place.send(delivery_tls="encrypt", linger="0s")
    arrives()
    place.send(delivery_tls="verify")
    place.postern.wait_logged("certificate: not good")
    place.postern.settled(1)
    assert len(sink.messages) == 1 and [s[1] for s in sink.shaken] == [False, True]


def spoil_middle(data):
    return data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]


@pytest.mark.parametrize("spoil", [
    lambda d: b"", lambda d: d[:len(d) // 2], spoil_middle, lambda d: d + b"x", lambda d: b"\0" * 100000,
    lambda d: d.replace(b"weak mx.dest.example\n", b"weak mx.evil.example\n"),
    lambda d: b"weak mx.dest.example\n" + os.urandom(500),
], ids=["empty", "half", "bit", "longer", "huge", "other-host", "random"])
def test_spoiled_session(place, arrives, spoil):
    """K13: is none."""
    sink = place.host()
    place.send(linger="0s")
    arrives()
    [file] = session_files(place.postern)
    file.write_bytes(spoil(file.read_bytes()))
    place.send()
    arrives(2)
    assert [s[1] for s in sink.shaken] == [False, False]


def test_links_and_old_sessions(place, arrives):
    """K13: a link is not followed; what is old, or of tomorrow, is not used."""
    sink = place.host()
    place.send(linger="0s")
    arrives()
    [file] = session_files(place.postern)
    elsewhere = place.postern.spool / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    place.send()
    arrives(2)
    assert not file.is_symlink()
    for n, when in ((3, time.time() - 86400), (4, time.time() + 86400)):
        os.utime(file, (when, when))
        place.send()
        arrives(n)
    assert [s[1] for s in sink.shaken] == [False] * 4


def test_old_files_go(place, arrives):
    """K13: what was learned of hosts, and sessions with them, does not pile up."""
    place.host()
    place.send(linger="0s")
    arrives()
    files = list((place.postern.spool / "hosts").iterdir())
    assert len(files) == 2
    place.postern.due()
    place.postern.rested()
    assert all(f.exists() for f in files)
    for f in files:
        os.utime(f, (0, 0))
    place.postern.due()
    assert not any(f.exists() for f in files)


@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_session_that_breaks_the_handshake(place, cards, arrives, policy):
    """B6, K13: it is tried without, inside TLS, before anybody thinks of clear text."""
    place.host(context=server_context(cards.path("host"), V12, V12))
    place.send(delivery_tls=policy, linger="0s")
    arrives()
    sink = place.world.sink
    sink.fault = lambda connection: refuse_once(sink)
    place.send()
    arrives(2)
    assert "in clear" not in place.postern.logged()
    assert [s[1] for s in sink.shaken] == [False, False] and sink.connections == 3


def refuse_once(sink):
    sink.fault = None
    raise OSError("no TLS")


# ---- REQUIRETLS

def queue_requiretls(place, **settings):
    place.postern.settings.update(settings)
    path = spoolfile.write(place.postern.spool, IDENT, ["u@dest.example"], b"Subject: x\r\n\r\nx\r\n",
                           fields=["Require-Tls: yes"])
    return path


@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
def test_requiretls(place, arrives, policy):
    """R84: over TLS to who is for sure the one for the domain, and offers it inside."""
    sink = place.host("domain", inside=("PIPELINING", "REQUIRETLS"))
    queue_requiretls(place, delivery_tls=policy)
    place.postern.due()
    arrives()
    assert "MAIL FROM:<a@sender.example> REQUIRETLS" in sink.lines


def test_requiretls_is_asked_for_alone(place, arrives):
    """R84: other mail to such a host goes without."""
    sink = place.host("domain", inside=("PIPELINING", "REQUIRETLS"))
    place.send()
    arrives()
    assert not any("REQUIRETLS" in line for line in sink.lines)


@pytest.mark.parametrize("card, inside, outside, code", [
    ("domain", ("PIPELINING",), ("STARTTLS", "REQUIRETLS"), b"5.7.30"), # not offered inside
    ("domain", ("REQUIRETLS",), ("REQUIRETLS",), b"5.7.10"),            # no TLS
    ("host", ("REQUIRETLS",), ("STARTTLS",), b"5.7.10"),                # the name came from the DNS, unproved
    ("foreign", ("REQUIRETLS",), ("STARTTLS",), b"5.7.10"),
    ("expired", ("REQUIRETLS",), ("STARTTLS",), b"5.7.10"),
])
def test_requiretls_cannot_be_kept(place, postern, card, inside, outside, code):
    """R84: returned; the code says whether it is TLS or the extension that is missing (RFC 8689 section 4.2.1)."""
    sink = place.host(card, inside=inside)
    sink.ehlo_outside = outside
    reports = place.world.another("127.0.0.3")
    queue_requiretls(place)
    postern.due()
    postern.settled()
    report, = reports.messages # R85: to a host without REQUIRETLS, and it is not lost there
    assert b"Status: %b\r\n" % code in report.data and not sink.messages
    assert b"Require" not in report.data and b"\r\nIts header is at the end" in report.data


def test_requiretls_with_a_resumed_session(place, arrives):
    """R84: the certificate of a session that nobody judged then is judged now."""
    sink = place.host("domain", inside=("PIPELINING", "REQUIRETLS"))
    place.send(linger="0s")
    arrives()
    queue_requiretls(place)
    place.postern.due()
    arrives(2)
    assert [s[1] for s in sink.shaken] == [False, True]
