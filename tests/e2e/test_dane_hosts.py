"""R79, R80, B9: DANE (RFC 7672) with zones that are signed, and a resolver that validates them. What the DNS says of a
host's certificate decides, or the mail waits: not one message in clear, or to somebody else."""
import functools
import hashlib
import pathlib
import shutil
import ssl
import tempfile

import dnslib
import pytest

import patience
import pki as certificates
import signed
import spoolfile
from asked import ask, ask_json
from conftest import Postern, World
from pki import openssl
from tlssink import TlsSink, server_context

signed.need()

HASH = [lambda data: data, lambda data: hashlib.sha256(data).digest(), lambda data: hashlib.sha512(data).digest()]


@functools.cache
def certificate(pem):
    """The first certificate of a file, in DER."""
    return openssl("x509", "-in", pem, "-outform", "DER")


@functools.cache
def key_of(pem):
    return openssl("pkey", "-pubin", "-outform", "DER", stdin=openssl("x509", "-in", pem, "-noout", "-pubkey"))


def tlsa(pem, usage, selector, matching):
    """The text of a record that this certificate, or its key, passes."""
    data = HASH[matching](key_of(pem) if selector else certificate(pem))
    return f"{usage} {selector} {matching} {data.hex()}"


class Cards:
    """Certificates: an authority of the host's own, what it signed, and of somebody else the same. Hosts send the
    authority along, as RFC 7672 section 3.1.2 wants it."""

    def __init__(self, directory):
        self.pki = certificates.Pki(directory)
        mine = {"usage": "serverAuth", "ca": "ta"}
        self.pki.authority("ta")
        self.pki.authority("stranger")
        for case in CASES:
            self.issue(case, f"DNS:*.{case}.example", **mine, **({"days": -1} if case == "expired" else {}))
        self.issue("other", "DNS:mx.elsewhere.example", **mine)
        self.issue("domain", "DNS:d.example", **mine)
        self.issue("host", "DNS:mx.d.example", **mine)
        self.issue("second", "DNS:mx.d2.example", **mine)
        self.issue("client", "DNS:mx.d.example", usage="clientAuth", ca="ta")
        self.issue("old", "DNS:*.example", usage="serverAuth", ca="stranger")

    def issue(self, name, names, **how):
        self.pki.issue(name, f"/CN={name}", names, **how)
        path = self.pki.path(name)
        path.write_text(path.read_text() + self.pki.path(how["ca"]).read_text())

    def path(self, name):
        return self.pki.path(name)

    def context(self, name, *versions):
        return server_context(self.path(name), *versions)


class SignedWorld:
    """Postern, hosts with TLS, and a DNS that is signed; for one test, or for many."""

    def __init__(self, where, cards):
        self.postern = Postern(where)
        self.cards = cards
        self.world = World()
        self.records, self.hosts = {}, []
        self.dns = None
        self.postern.settings.update(self.world.settings(), delivery_ca=cards.path("ca"))
        patience.witnesses.append(self.postern.witness)
        self.domain("sender.example")

    def domain(self, name, address="127.0.0.2", host=None):
        host = host or f"mx.{name}"
        self.records[(name, "MX")] = [f"10 {host}."]
        self.records[(host, "A")] = [address]
        return host

    def promise(self, host, *texts, port=None):
        """Its TLSA records."""
        self.records[(f"_{port or self.world.port}._tcp.{host}", "TLSA")] = list(texts)

    def host(self, address, card, *versions, **more):
        context = self.cards.context(card, *versions) if card else None
        sink = TlsSink(context, address, self.world.port, **more)
        self.hosts.append(sink)
        return sink

    def serve(self, **more):
        self.dns = signed.Signed(self.postern.where / "dns", self.records, **more)
        patience.witnesses.append(self.dns.witness)
        self.postern.settings["nameserver"] = f"{self.dns.address}:{self.dns.port}"

    def send(self, domain="d.example", waiting=0, **settings):
        """The log, behind all that a relay does with it."""
        self.postern.settings.update(settings)
        self.postern.send(f"u@{domain}")
        return self.postern.settled(waiting)

    def close(self):
        self.world.end()
        for h in self.hosts:
            h.end()
        try:
            self.postern.rested()
        finally:
            self.world.close()
            patience.witnesses.remove(self.postern.witness)
            if self.dns is not None:
                patience.witnesses.remove(self.dns.witness)
                self.dns.close()
            for process in self.postern.started:
                if process.poll() is None:
                    process.kill()
                process.wait()


# ---- the matrix

# Who the host is, and what its records say. "rolled": a second record, which does not fit, is of the key before; or of
# the one to come. "wrong": the record is of somebody else's certificate.
CASES = ("right", "wrong", "expired", "other", "rolled")
DANE, ANY, NOT = "verified by DANE", "any certificate", "not delivered"
# Of usages 0 and 1 nothing counts but that they are there (RFC 7672 section 3.1.3): TLS, with any certificate. Of a
# certificate itself (3) neither names nor dates matter, of what an authority of the host's own signed (2) both.
EXPECTED = {
    0: dict.fromkeys(CASES, ANY),
    1: dict.fromkeys(CASES, ANY),
    2: {"right": DANE, "wrong": NOT, "expired": NOT, "other": NOT, "rolled": DANE},
    3: {"right": DANE, "wrong": NOT, "expired": DANE, "other": DANE, "rolled": DANE},
}
MATRIX = [(usage, selector, matching, case) for usage in range(4) for selector in range(2) for matching in range(3)
          for case in CASES]
WHY = {(2, "wrong"): "no matching DANE TLSA records", (3, "wrong"): "no matching DANE TLSA records",
       (2, "expired"): "certificate has expired", (2, "other"): "hostname mismatch"}


@pytest.fixture(scope="module")
def cards():
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-dane-"))
    path.chmod(0o755)
    yield Cards(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def outcomes(cards):
    """A message to each domain of the matrix, by one relay: what the log says of it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
    path.chmod(0o755)
    w = SignedWorld(path, cards)
    try:
        for n, case in enumerate(CASES):
            w.host(f"127.0.0.{20 + n}", case)
        for usage, selector, matching, case in MATRIX:
            ta = usage in (0, 2)
            fits = tlsa(cards.path("ta" if ta else case), usage, selector, matching)
            not_so = tlsa(cards.path("stranger" if ta else "old"), usage, selector, matching)
            name = f"u{usage}s{selector}m{matching}.{case}.example"
            host = w.domain(name, f"127.0.0.{20 + CASES.index(case)}", f"h-{name}")
            w.promise(host, *{"wrong": [not_so], "rolled": [not_so, fits]}.get(case, [fits]))
        w.serve()
        everybody = [f"u@u{u}s{s}m{m}.{case}.example" for u, s, m, case in MATRIX]
        for some in (everybody[::2], everybody[1::2]): # a message has 100 recipients at most
            w.postern.send(some, max_connections=0)
        w.postern.due()
        log = w.postern.rested()
        yield log, {r for h in w.hosts for m in h.messages for r in m.recipients}, [h.shaken for h in w.hosts]
    finally:
        w.close()
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("usage, selector, matching, case", MATRIX)
def test_matrix(outcomes, usage, selector, matching, case):
    """Must show 1: usages, selectors and matching types, of a host that is right, wrong, expired, somebody else, and
    one whose key was rolled over."""
    log, taken, _ = outcomes
    name, expected = f"u{usage}s{selector}m{matching}.{case}.example", EXPECTED[usage][case]
    lines = [line for line in log.splitlines() if f"lane {name}: " in line]
    assert (f"u@{name}" in taken) == (expected != NOT), lines
    records = f"DANE: {usage} {selector} {matching} of h-{name}"
    if expected == NOT:
        [line] = [x for x in lines if "; next try" in x]
        assert f"certificate: {records}: {WHY[(usage, case)]}" in line, line
    else:
        [line] = [x for x in lines if "connected to" in x or "by the connection to" in x] # which another had before
        assert f"{records}, DNSSEC secure" in line and expected in line, line
        assert ("not verified" in line) == (expected == ANY), line


def test_names_that_hosts_hear(outcomes):
    """R80: SNI is the name whose records they are."""
    heard = {name for host in outcomes[2] for _, _, name in host} - {None} # one of two who came at once is not noted
    assert heard and all(name.startswith("h-u") for name in heard)


# ---- one domain, and its host

HOST = "mx.d.example"


@pytest.fixture
def one(where, cards):
    """d.example, with a host at 127.0.0.2 that a test opens."""
    w = SignedWorld(where, cards)
    w.world.sink.close()
    w.domain("d.example")
    yield w
    w.close()


def promised(one, card="host", usage=3, selector=1, matching=1):
    one.promise(HOST, tlsa(one.cards.path(card), usage, selector, matching))


def without_tlsa(zone, text):
    """Somebody in between takes the record away; that there is one is still signed."""
    return "\n".join(x for x in text.splitlines() if "\tTLSA\t" not in x) + "\n" if zone == "example" else text


def other_signature(kind):
    """... or changes it."""
    def change(zone, text):
        def line(x):
            fields = x.split("\t")
            if fields[3:4] != [kind] or "mx.d.example" not in fields[0]:
                return x
            return x.replace("127.0.0.2", "127.0.0.66") if kind == "A" else x[:-4] + ("0000" if x[-4:] != "0000" else "1111")
        return "\n".join(map(line, text.splitlines())) + "\n" if zone == "example" else text
    return change


@pytest.mark.parametrize("change", [without_tlsa, other_signature("TLSA")])
def test_records_that_are_hidden(one, change):
    """R79, B9: a look-up that fails: the host counts as out of reach, and hears nothing."""
    promised(one)
    host = one.host("127.0.0.2", "host")
    one.serve(change=change)
    assert f"DNS: {HOST} TLSA: SERVFAIL; next try" in one.send(waiting=1)
    assert host.connections == 0


def test_address_that_was_changed(one):
    """R79: a bogus zone leads nowhere."""
    host = one.host("127.0.0.2", "host")
    one.serve(change=other_signature("A"))
    assert f"DNS: {HOST} addresses: SERVFAIL; next try" in one.send(waiting=1)
    assert host.connections == 0


def test_the_next_host(one):
    """R79: others of the list are tried."""
    promised(one)
    one.records[("d.example", "MX")].append("20 mx2.d.example.")
    one.records[("mx2.d.example", "A")] = ["127.0.0.3"]
    first, second = one.host("127.0.0.2", "host"), one.host("127.0.0.3", "host")
    one.serve(change=without_tlsa)
    one.send()
    assert first.connections == 0 and len(second.messages) == 1


@pytest.mark.parametrize("how, why", [
    ({"ehlo_outside": ("PIPELINING",)}, "STARTTLS: the host does not offer it"),
    ({"say": {"STARTTLS": "454 4.7.0 not now"}}, "454 4.7.0 not now"),
    ({"say": {"EHLO": "502 5.5.1 what?"}}, "STARTTLS: the host does not offer it"),
])
def test_starttls_that_is_stripped(one, how, why):
    """R80, B6: never in clear, whatever delivery_tls is; and a person reads why."""
    promised(one)
    host = one.host("127.0.0.2", "host", say=how.get("say"))
    host.ehlo_outside = how.get("ehlo_outside", host.ehlo_outside)
    one.serve()
    log = one.send(waiting=1, delivery_tls="may")
    assert why in log and f"(DANE: 3 1 1 of {HOST}, DNSSEC secure); next try" in log
    assert not host.messages and not [x for x in host.lines if x[:4] != "STAR"]


def test_old_tls(one):
    """R80: TLS 1.0 alone."""
    promised(one)
    host = one.host("127.0.0.2", "host", ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1)
    host.context.set_ciphers("DEFAULT:@SECLEVEL=0")
    one.serve()
    assert "TLS: " in one.send(waiting=1)
    assert not host.messages


@pytest.mark.parametrize("card, usage, good", [
    ("host", 2, True), ("domain", 2, True), ("other", 2, False), ("client", 2, False), ("client", 3, True)])
def test_names_of_an_authority(one, card, usage, good):
    """R80: the host's name or the mail's domain; and for a server."""
    promised(one, "ta" if usage == 2 else card, usage, 0)
    host = one.host("127.0.0.2", card)
    one.serve()
    log = one.send(waiting=0 if good else 1)
    assert (len(host.messages) == 1) == good and ("verified by DANE" in log) == good


def test_resumed(one):
    """A session that is resumed is judged, too; by what the zone says then."""
    promised(one)
    host = one.host("127.0.0.2", "host")
    one.serve()
    one.send()
    log = one.send()
    assert "resumed, verified by DANE" in log and [s[1] for s in host.shaken] == [False, True]


def test_not_signed(one):
    """R79: of a zone that is not signed nothing is believed, and nothing is asked for."""
    host = one.domain("d.unsigned")
    one.promise(host, tlsa(one.cards.path("old"), 3, 1, 1))
    one.domain("e.unsigned", host=HOST) # a host that has records, for a domain that anybody may have named it for
    promised(one, "old")
    sink = one.host("127.0.0.2", "host")
    one.serve()
    log = one.send("d.unsigned") + one.send("e.unsigned")
    assert len(sink.messages) == 2 and "DANE" not in log


def test_alias(one):
    """RFC 7672 section 2.2.2: the records of the alias' end, and of itself where that has none."""
    for n, name in enumerate(("ended", "bare")):
        one.records[(f"{name}.example", "MX")] = [f"10 {name}-mx.example."]
        one.records[(f"{name}-mx.example", "CNAME")] = [f"{name}-end.example."]
        one.records[(f"{name}-end.example", "A")] = ["127.0.0.2"]
        one.promise(f"{name}-{'mx' if n else 'end'}.example", tlsa(one.cards.path("host"), 3, 1, 1))
    host = one.host("127.0.0.2", "host")
    one.serve()
    log = one.send("ended.example") + one.send("bare.example")
    assert "verified by DANE, DANE: 3 1 1 of ended-end.example" in log
    assert "verified by DANE, DANE: 3 1 1 of bare-mx.example" in log
    assert [s[2] for s in host.shaken] == ["ended-end.example", "bare-mx.example"]


def test_large_answer(one):
    """R79: over TCP an answer is as secure."""
    certs = [tlsa(one.cards.path(card), 3, 0, 0) for card in (*CASES, "host")]
    assert sum(len(c) // 2 for c in certs) > 1232
    one.promise(HOST, *certs)
    host = one.host("127.0.0.2", "host")
    one.serve()
    assert f"verified by DANE, DANE: 3 0 0 of {HOST}" in one.send() and len(host.messages) == 1


def test_implicit(one):
    """A domain that is its own host, at the port where mail goes."""
    one.records[("own.example", "A")] = ["127.0.0.2"]
    one.promise("own.example", tlsa(one.cards.path("host"), 3, 1, 1))
    one.promise("own.example", tlsa(one.cards.path("old"), 3, 1, 1), port=25) # lint: nobody listens there
    host = one.host("127.0.0.2", "host")
    one.serve()
    assert "verified by DANE, DANE: 3 1 1 of own.example" in one.send("own.example") and len(host.messages) == 1


def test_route(one):
    """A host that the operator named: his login goes there, for DNSSEC says who it is."""
    promised(one)
    host = one.host("127.0.0.2", "host")
    one.serve()
    one.postern.configure("[route r]", "domains = *", f"hosts = {HOST}:{one.world.port}")
    assert f"verified by DANE, DANE: 3 1 1 of {HOST}" in one.send("elsewhere.unsigned") and len(host.messages) == 1


@pytest.mark.parametrize("data, why", [
    (b"", "TLSA: garbage in the answer"), (b"\3\1", "TLSA: garbage in the answer"),
    (b"\3\1\1", "STARTTLS: the host does not offer it"), (b"\3\1\1" + bytes(16), "STARTTLS: the host does not offer it"),
    (b"\3\1\1" + bytes(33), "STARTTLS: the host does not offer it")])
def test_odd_sizes(postern, world, data, why):
    """B9: records of 0, 2, 3, 19 and 36 octets: no crash, and nothing goes in clear."""
    def answer(query, reply, how):
        reply.rr, reply.header.rcode, reply.auth = [dnslib.RR(query.q.qname, 52, rdata=dnslib.RD(data))], 0, []
        return reply.pack()
    world.domain("d.example")
    world.dns.secure = True
    world.zone[(f"_{world.port}._tcp.{HOST}", "fault")] = answer
    postern.send("u@d.example")
    log = postern.settled(1)
    assert why in log and not world.sink.messages
    assert ("any certificate); next try" in log) == (len(data) > 2)


# ---- what the operator says

@pytest.mark.parametrize("card, good", [("domain", True), ("host", True), ("other", False)])
def test_verify(one, card, good):
    """Both must be right: what the DNS says, and an authority of ours for the domain, or for the host that DNSSEC says
    mail is for (S15)."""
    promised(one, card)
    host = one.host("127.0.0.2", card)
    one.serve()
    ca = one.cards.path("ta")
    log = one.send(waiting=0 if good else 1, delivery_tls="verify", delivery_ca=ca)
    assert (len(host.messages) == 1) == good
    assert "; and delivery_tls = verify" in log


def test_off(one):
    """Nobody asks, and a host without STARTTLS gets its mail in clear."""
    promised(one)
    host = one.host("127.0.0.2", "host")
    host.ehlo_outside = ()
    one.serve()
    log = one.send(dane="off")
    assert len(host.messages) == 1 and "DANE" not in log
    one.send(dane="auto", delivery_tls="none")
    assert len(host.messages) == 2


def test_only(one):
    """Mandatory (RFC 7672 section 6)."""
    host = one.host("127.0.0.2", "host")
    promised(one)
    one.domain("none.example")
    one.serve()
    log = one.send("none.example", waiting=1, dane="only")
    assert "dane = only, and mx.none.example has no TLSA record that counts; next try" in log and host.connections == 0
    one.send(waiting=1)
    assert len(host.messages) == 1


@pytest.mark.parametrize("trusted", ["", "127.0.0.11"])
def test_resolver_elsewhere(one, trusted):
    """Docker's forwarder, on loopback, is nobody who validates; who is, is said by the operator, or DANE is off."""
    promised(one, "old")
    host = one.host("127.0.0.2", "host")
    one.serve(address="127.0.0.11")
    log = one.send(waiting=1 if trusted else 0, dnssec_trusted=trusted)
    assert ("DANE is off: a nameserver is neither on this host nor in dnssec_trusted" in log) == (not trusted)
    assert (len(host.messages) == 1) == (not trusted)


def queue_requiretls(postern, domain, n):
    spoolfile.write(postern.spool, f"2000000000000000000{n}", [f"u@{domain}"], b"Subject: x\r\n\r\nx\r\n",
                    fields=["Require-Tls: yes"])


def test_requiretls(one):
    """R84: by DANE; and by an authority of ours for the host's own name, if DNSSEC says that mail is for it."""
    one.domain("none.example", "127.0.0.3", host="mx.d2.example")
    promised(one)
    inside = ("PIPELINING", "REQUIRETLS")
    first, second = one.host("127.0.0.2", "host", inside=inside), one.host("127.0.0.3", "second", inside=inside)
    one.serve()
    for n, domain in enumerate(("d.example", "none.example")):
        queue_requiretls(one.postern, domain, n)
    one.postern.due(delivery_ca=one.cards.path("ta"))
    one.postern.settled()
    for host in (first, second):
        assert "MAIL FROM:<a@sender.example> REQUIRETLS" in host.lines


def test_requiretls_by_another_name(one):
    """R84: two names of one address in a signed set, without TLSA records: a certificate for the second one proves the host as
    well, by the one connection."""
    one.domain("none.example", "127.0.0.3", host="mx.d1.example")
    one.records[("none.example", "MX")] = ["10 mx.d1.example.", "20 mx.d2.example."]
    one.records[("mx.d2.example", "A")] = ["127.0.0.3"]
    host = one.host("127.0.0.3", "second", inside=("PIPELINING", "REQUIRETLS"))
    one.serve()
    queue_requiretls(one.postern, "none.example", 0)
    one.postern.due(delivery_ca=one.cards.path("ta"))
    one.postern.settled()
    assert "MAIL FROM:<a@sender.example> REQUIRETLS" in host.lines and host.connections == 1


def test_explained(one):
    """A person reads what decides, and why."""
    promised(one, "old")
    one.domain("none.example", "127.0.0.3")
    one.host("127.0.0.2", "host")
    one.serve()
    words = f"DANE: 3 1 1 of {HOST}, DNSSEC secure"
    status, text, _ = ask(one.postern, "explain", "u@d.example", "--probe")
    assert status == 1 and f"; {words}" in text and "of a host that has a TLSA record, as that says" in text
    assert f"certificate: DANE: 3 1 1 of {HOST}: no matching DANE TLSA records" in text
    _, (found,) = ask_json(one.postern, "explain", "u@d.example")
    assert [(h["policy"], h["policy_words"]) for h in found["hosts"]] == [("dane", words)]
    assert found["tls"]["dane"] == "auto" and found["tls"]["dnssec"] is True
    _, (found,) = ask_json(one.postern, "explain", "u@none.example")
    assert [(h["policy"], h["policy_words"]) for h in found["hosts"]] == [("setting", "delivery_tls = may")]
    status, (found,) = ask_json(one.postern, "explain", "u@none.example", dane="only")
    assert status == 1 and found["outcome"] == "later" and found["why"].startswith("dane = only, and mx.none.example")
    text = ask(one.postern, "explain", "u@d.example", nameserver="192.0.2.53", timeout_dns="1s")[1]
    assert "no DANE, for not all nameservers are on this host" in text


# ---- what it costs

def test_questions(postern, world):
    """Must show 6: a domain without DNSSEC costs no question more but that for a policy of MTA-STS; one with it, and no TLSA
    records, one for its host, at the same time as those for its addresses."""
    world.domain("d.example")
    for secure, more in ((False, []), (True, [(f"_{world.port}._tcp.mx.d.example", "TLSA")])):
        world.dns.secure = secure
        world.dns.asked.clear()
        postern.send("u@d.example")
        postern.settled()
        assert sorted(a[1:] for a in world.dns.asked) == sorted(
            [("d.example", "MX"), ("_mta-sts.d.example", "TXT"), ("mx.d.example", "A"), ("mx.d.example", "AAAA"), *more])
