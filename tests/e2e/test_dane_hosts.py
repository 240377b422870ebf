"""R79, R80, B9: DANE (RFC 7672) with zones that are signed, and a resolver that validates them. What the DNS says of a
host's certificate decides, or the mail waits: not one message in clear, or to somebody else."""
import functools
import hashlib
import pathlib
import shutil
import tempfile

import pytest

import patience
import pki as certificates
import signed
from conftest import Postern, World
from pki import openssl
from tlssink import TlsSink, server_context

pytestmark = [pytest.mark.skipif(signed.missing() is not None, reason="needs nsd, unbound and ldnsutils"),
              pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")]

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
        self.postern.settings["nameserver"] = f"127.0.0.1:{self.dns.port}"

    def took(self):
        return sum(len(h.messages) for h in [*self.hosts, self.world.sink])

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
        [line] = [x for x in lines if "connected to" in x]
        assert f"{records}, DNSSEC secure" in line and expected in line, line
        assert ("not verified" in line) == (expected == ANY), line


def test_names_that_hosts_hear(outcomes):
    """R80: SNI is the name whose records they are."""
    heard = {name for host in outcomes[2] for _, _, name in host} - {None} # one of two who came at once is not noted
    assert heard and all(name.startswith("h-u") for name in heard)
