"""Signatures of what goes out (RFC 6376, 8463): made by sign, verified by three programs that are not ours."""
import array
import base64
import ctypes
import fcntl
import os
import pathlib
import re
import signal
import socket
import subprocess
import termios

import pytest

import memory
import patience
import variety
from asked import ask, ask_json
from conftest import DROP, own

dkimpy = pytest.importorskip("dkim")
pytest.importorskip("nacl")
import dkimkeys # noqa: E402

PIDFD_GETFD = 438 # on every architecture
SIGN_SOCKET = 3   # LAUNCH_FIRST_FD
HASH = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1" # of "secret"
BODY = "From: <a@sender.example>\nSubject: x\n\nhello\n"


class Signing:
    """A world in which mail of sender.example is signed."""

    def __init__(self, postern, world, where, keys):
        self.postern, self.world, self.zone = postern, world, world.zone
        self.where = where
        self.table = where / "dkim"
        self.rsa, self.ed = (key.copied(where) for key in keys)
        world.domain("dest.example")
        for key in (self.rsa, self.ed):
            key.publish(self.zone, "sender.example")
        self.say(f"sender.example r2026 {self.rsa.path}", f"sender.example e2026 {self.ed.path}")
        postern.settings["dkim_keys"] = self.table

    def say(self, *lines):
        self.table.write_text("# domain selector file\n" + "\n".join(lines) + "\n")
        self.table.chmod(0o644)

    def send(self, body=BODY, sender="a@sender.example", **settings):
        """One message, as the host got it."""
        self.postern.send("u@dest.example", body=body, sender=sender, **settings)
        self.postern.settled()
        return self.world.sink.messages[-1].data

    def good(self, data):
        return dkimkeys.good(data, self.zone)

    def verdicts(self, messages):
        return dkimkeys.verdicts(messages, self.world, self.where)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """To make one costs more than all else that a test does."""
    where = tmp_path_factory.mktemp("keys")
    return dkimkeys.Key(where, "r2026", "rsa"), dkimkeys.Key(where, "e2026", "ed25519")


@pytest.fixture
def signing(postern, world, where, keys):
    return Signing(postern, world, where, keys)


def tags(data, number=0):
    """Those of a signature."""
    field = data.decode("latin-1").split("DKIM-Signature:")[number + 1]
    text = re.sub(r"\s", "", re.split(r"\r\n(?![ \t])", field)[0])
    return dict(tag.split("=", 1) for tag in text.split(";") if tag)


def queue_all(postern, texts, **settings):
    """As they are, by one connection."""
    script = b"EHLO client.example\r\n"
    for text in texts:
        script += b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<u@dest.example>\r\nBDAT %d LAST\r\n%b" % (
            len(text.data), text.data)
    said = postern.pipe(script + b"QUIT\r\n", **settings)
    assert said.count("Ok: queued") == len(texts)


# ---- what is signed

def test_both_algorithms(signing):
    """RFC 6376, 8463: rsa-sha256 and ed25519-sha256, relaxed, with the fields that must not be added to."""
    data = signing.send()
    assert signing.good(data) == [True, True]
    assert {tags(data, i)["a"] for i in (0, 1)} == {"rsa-sha256", "ed25519-sha256"}
    for i in (0, 1):
        found = tags(data, i)
        assert found["c"] == "relaxed/relaxed" and found["d"] == "sender.example"
        assert "l" not in found and "z" not in found and "x" not in found
        names = found["h"].split(":")
        assert names.count("from") == 2 and names.count("subject") == 2 and names.count("to") == 1
        assert "received" not in names
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))


def deliver(signing, texts):
    """All of them, as the host got them: {name: octets}. Each has a field with its name, which nobody signs."""
    named = [t._replace(data=b"X-Name: %b\r\n" % t.name.encode() + t.data) for t in texts]
    queue_all(signing.postern, named, max_connections=0) # nothing is delivered before the last
    signing.postern.due(dkim_keys=signing.table)
    signing.postern.rested()
    return {re.search(rb"\r\nX-Name: (\S+)\r\n", m.data)[1].decode(): m.data
            for m in signing.world.sink.messages if m.sender}


def agreed(signing, got, but=()):
    """Every verifier finds every signature good, `but` for these (verifier, name of a message)."""
    said = signing.verdicts(list(got.values()))
    wrong = {(verifier, name) for verifier, verdicts in said.items()
             for name, verdict in zip(got, verdicts, strict=True) if not verdict or not all(verdict)}
    assert wrong == {(verifier, name) for verifier, name in but if verifier in said}
    assert all(dkimkeys.signatures(data) == 2 for data in got.values())


@pytest.mark.parametrize("convert", [False, True], ids=["as-it-is", "to-7-bit"])
def test_every_shape(signing, convert):
    """A hundred messages of every shape; also what was made 7-bit text on the way out."""
    texts = variety.varied()
    if convert:
        signing.world.sink.ehlo = [k for k in signing.world.sink.ehlo if k != "8BITMIME"]
    got = deliver(signing, texts)
    assert len(got) >= len(texts) - (10 if convert else 0) # some have no 7-bit form
    agreed(signing, got)


FROM = b"From: <a@sender.example>\r\n"


def test_header_made_7bit(signing):
    """R68: what is signed is the header as it goes out, in encoded words."""
    signing.world.sink.ehlo = [k for k in signing.world.sink.ehlo if k != "8BITMIME"]
    raw = FROM + "Subject: Gr\u00fc\u00dfe\r\nTo: J\u00e4n <b@b.example>\r\n\r\nhello\r\n".encode()
    got = deliver(signing, [variety.Text("raw", raw)])
    assert all(data.isascii() and b"Subject: =?utf-8?Q?" in data for data in got.values()) and len(got) == 1
    agreed(signing, got)


ODD = {
    "letter-case": b"fROM: <a@sender.example>\r\nSUBJECT: x\r\ndate: y\r\nmime-VERSION: 1.0\r\n\r\nhello\r\n",
    "twice": FROM + b"Subject: a\r\nTo: <b@b.example>\r\nSubject: b\r\nTo: <c@b.example>\r\nSubject: c\r\n\r\nhello\r\n",
    "same-twice": FROM + b"Subject: a\r\nSubject: a\r\n\r\nhello\r\n",
    "blanks": b"From:\t <a@sender.example>  \t\r\nSubject:  a \t b\t\tc  \r\nTo:<b@b.example>\r\n\r\nhello\r\n",
    "folded": FROM + b"Subject:\r\n a\r\n\tb\r\n  \t c \r\n\r\nhello\r\n",
    "folded-blank": FROM + b"Subject: a\r\n \t\r\n b\r\n \r\n\r\nhello\r\n",
    "folded-from": b"From: \"A\r\n B\"\r\n\t<a@sender.example>\r\nSubject: x\r\n\r\nhello\r\n",
    "folded-words": FROM + b"Subject: =?utf-8?q?=C3=A4?=\r\n =?utf-8?b?w6Q=?=\r\n\r\nhello\r\n",
    "empty-values": FROM + b"Subject:\r\nTo: \r\nCc:\t\r\nReferences:\r\n \r\n\r\nhello\r\n",
    "long-line": FROM + b"Subject: " + b"a b" * 3000 + b"\r\n\r\nhello\r\n",
    "long-list": FROM + b"To: " + b",\r\n ".join(b"u%d@b.example" % i for i in range(1500)) + b"\r\n\r\nhello\r\n",
    "eight-bit": "From: Jürgen <a@sender.example>\r\nSubject: Grüße\r\nTo: 漢字 <b@b.example>\r\n\r\nhello\r\n".encode(),
    "octets": FROM + b"Subject: \x01\x07\x1b\x7f\x80\xa0\xff x\r\n\r\n\x01\x0b\x0c\x7f\x80\xa0\xff\r\n",
    "colons": FROM + b"Subject: : a::b:\r\nTo::\r\n\r\nhello\r\n",
    "semicolons": FROM + b"Subject: ; d=evil.example; b=;\r\nTo: g:;\r\n\r\nhello\r\n",
    "list": FROM + b"List-Id: <a.b.example>\r\nList-Unsubscribe: <mailto:u@b.example>,\r\n <https://b.example/>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nLIST-HELP: <mailto:h@b.example>\r\n"
        b"List-Post: NO\r\nList-Owner: <mailto:o@b.example>\r\nList-Subscribe: <mailto:s@b.example>\r\n"
        b"List-Archive: <https://b.example/a>\r\nList-Archive: <https://b.example/b>\r\n\r\nhello\r\n",
    "resent": b"Resent-From: <c@b.example>\r\nResent-To: <d@b.example>\r\nReceived: from x by y; z\r\n" + FROM
        + b"Sender: <c@b.example>\r\nSubject: x\r\n\r\nhello\r\n",
    "signed-by-others": b"DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=a; h=from; bh=x; b=y\r\n" + FROM
        + b"Subject: x\r\n\r\nhello\r\n",
    "trailing-lines": FROM + b"Subject: x\r\n\r\nhello \t\r\n \r\n\t\r\n\r\n",
    "blank-lines": FROM + b"Subject: x\r\n\r\n \r\n\t \r\n\t\r\n",
    "blank-line": FROM + b"Subject: x\r\n\r\n \r\n",
    "leading-lines": FROM + b"Subject: x\r\n\r\n\r\n \r\n\r\n\thello\t \tx\r\n",
    "long-blanks": FROM + b"Subject: x\r\n\r\n" + b" \t" * 5000 + b"a" + b"\t" * 5000 + b"b" + b" " * 5000 + b"\r\n",
    "many-empty-lines": FROM + b"Subject: x\r\n\r\na" + b"\r\n" * 5000 + b"b" + b"\r\n" * 5000,
    "long-body-line": FROM + b"Subject: x\r\n\r\n" + b"ab \t" * 20000 + b"\r\n",
    "no-end": FROM + b"Subject: x\r\n\r\nhello",
    "blank-at-end": FROM + b"Subject: x\r\n\r\nhello \t",
    "blanks-at-end": FROM + b"Subject: x\r\n\r\nhello\r\n \t",
    "no-body": FROM + b"Subject: x\r\n\r\n",
    "no-empty-line": FROM + b"Subject: x\r\n",
    "no-line": FROM + b"Subject: x",
    "blank-before-colon": FROM + b"Subject \t: x\r\nTo\t: <b@b.example>\r\n\r\nhello\r\n",
    "vertical": FROM + b"Subject: a \x0b\x0c b\r\n\r\nhello\r\n",
    "vertical-at-end": FROM + b"Subject: a\x0b\x0c\r\n\r\nhello\r\n",
    "no-field": FROM + b"Subject: x\r\nnonsense\r\nTo: <b@b.example>\r\n\r\nhello\r\n",
    "mbox": b"From a@b.example Tue Nov 24 12:00:00 2026\r\n" + FROM + b"Subject: x\r\n\r\nhello\r\n",
}
# What a verifier does not read, or not by RFC 6376 section 3.4.2: that VT and FF are no blanks is known to Mail::DKIM
# alone of the three. What is signed goes by the RFC, and is good for one of them at least.
LIMITS = {("dkimpy", "blank-before-colon"), ("opendkim", "blank-before-colon"), ("dkimpy", "no-field"),
          ("opendkim", "no-field"), ("dkimpy", "vertical-at-end"), ("opendkim", "vertical"),
          ("opendkim", "vertical-at-end")}


def test_odd_header(signing):
    """Fields folded, doubled, empty, long, in any letter case and of any octets; no body, none that ends."""
    got = deliver(signing, [variety.Text(name, data) for name, data in ODD.items()])
    assert got.keys() == ODD.keys()
    agreed(signing, got, LIMITS)


@pytest.mark.skipif(not dkimkeys.perl(), reason="needs libmail-dkim-perl")
def test_binary(signing):
    """BINARYMIME: what ends no line is an octet, in the body and in a field. The others make lines of it."""
    signing.world.sink.ehlo = ["PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"]
    text = FROM + b"Subject: a\rb\r\n\r\na\r\0b \n \r \n\r\n\r\r\n \r\n\n\r"
    said = signing.postern.pipe(b"EHLO c\r\nMAIL FROM:<a@sender.example> BODY=BINARYMIME\r\nRCPT TO:<u@dest.example>\r\n"
                                b"BDAT %d LAST\r\n%bQUIT\r\n" % (len(text), text))
    assert "Ok: queued" in said
    signing.postern.settled()
    data = signing.world.sink.messages[-1].data
    assert data.endswith(text)
    assert dkimkeys.good_by_perl([data], signing.world.dns.port, signing.where) == [[True]]


ALWAYS = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
          "Content-Transfer-Encoding", "Reply-To", "In-Reply-To", "References"]
LISTS = ["List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post",
         "List-Owner", "List-Archive"]


def test_added_field_breaks_it(signing):
    """RFC 6376 section 8.15: a second From, or a Subject where there was none, is noticed, also at the end; so is what
    has the text decoded. Of List- fields that is so only where there is one: a list adds its own.
    """
    bare = signing.send("From: <a@sender.example>\n\nhello\n")
    full = signing.send("From: <a@sender.example>\n" + "".join(f"{name}: x\n" for name in ALWAYS[1:] + LISTS) + "\nhello\n")

    def put(data, field, end):
        at = data.index(b"\r\n\r\n") + 2 if end else data.index(b"Received:")
        return data[:at] + field.encode() + b"\r\n" + data[at:]

    broken = {f"{name} {end} {i}": put(data, f"{name}: <b@evil.example>", end)
              for end in (False, True) for i, (data, names) in enumerate([(bare, ALWAYS), (full, ALWAYS + LISTS)])
              for name in names}
    broken["lower case"] = put(full, "subject:x", False)
    broken["body"] = bare.replace(b"hello", b"hullo")
    broken["more"] = bare + b"x\r\n"
    broken["field gone"] = full.replace(b"\r\nSubject: x", b"")
    broken["other value"] = full.replace(b"\r\nSubject: x", b"\r\nSubject: y")
    whole = {"bare": bare, "full": full, "received": put(bare, "Received: from x by y; z", False),
             "x": put(full, "X-Seen: yes", True), "list": put(bare, "List-Id: <a.b>\r\nList-Post: NO", False),
             "blanks": bare.replace(b"hello", b"hello  ") + b"\r\n\r\n",
             "folded": full.replace(b"\r\nSubject: x", b"\r\nSUBJECT:\r\n\t x ")}
    agreed(signing, whole)
    for verifier, verdicts in signing.verdicts(list(broken.values())).items():
        for name, verdict in zip(broken, verdicts, strict=True):
            assert not any(verdict), (verifier, name)


def test_file_in_the_spool_stays(signing):
    signing.postern.send("u@dest.example", body=BODY, max_connections=0)
    before = signing.postern.messages()[0].read_bytes()
    assert b"DKIM-Signature" not in before
    signing.world.sink.say["RCPT"] = "450 4.2.1 later"
    signing.postern.due()
    signing.postern.settled(1)
    assert signing.postern.messages()[0].read_bytes() == before


# ---- which key

@pytest.mark.parametrize("sender, domain", [("a@sender.example", "sender.example"),
    ("A Name <a@Sender.Example>", "sender.example"), ("<a@host.sender.example>", "sender.example"),
    ('"x@evil.example, <b@evil.example>" <a@sender.example>', "sender.example"),
    ("(c@evil.example) a@sender.example (d@evil.example)", "sender.example"),
    ("a@sender.example, b@host.sender.example", "sender.example"),
    ("<a@other.example>", None), ("<a@notsender.example>", None), ("nobody", None)])
def test_domain_of_from(signing, sender, domain):
    """The key is that of the first address of From, or of a domain above it."""
    data = signing.send(f"From: {sender}\nSubject: x\n\nhello\n", sender="a@elsewhere.example")
    assert dkimkeys.signatures(data) == (2 if domain else 0)
    if domain:
        assert tags(data)["d"] == domain
        assert signing.good(data) == [True, True]


@pytest.mark.parametrize("fields, count", [
    ("From: a@sender.example\nFrom: b@evil.example\n", 0), ("From: b@evil.example\nFrom: a@sender.example\n", 0),
    ("From: a@sender.example\nFROM \t: a@sender.example\n", 0), ("From: nobody\nfrom:\n b@evil.example\n", 0),
    ("From: a@sender.example, b@evil.example\n", 0), ("From: b@evil.example,\n a@sender.example\n", 0),
    ("From: <a@sender.example> <b@evil.example>\n", 0), ("From: g: a@sender.example, b@evil.example;\n", 0),
    ("From: a@sender.example, \"x <b@evil.example>\n", 0), ("From: a@sender.example, ä@bücher.example\n", 0),
    ("From: a@sender.example, c@sender.example\n", 2), ("From: g: a@sender.example;\n", 2),
    ("From: a@sender.example (b@evil.example)\n", 2), ("From: \"b@evil.example\" <a@sender.example>\n", 2),
    ("From: =?utf-8?q?b=40evil=2Eexample=2C?= <a@sender.example>\n", 2),
    ("From: jürgen@sender.example\n", 2), ("From: b@evil.example\n", 2), # of the envelope
    ("Resent-From: b@evil.example\nSender: c@evil.example\nFrom: a@sender.example\n", 2)])
def test_whose_it_is(signing, fields, count):
    """What a reader may take for another one's has no signature of ours, not even for the envelope: two fields From
    (RFC 5322 section 3.6), addresses of several domains in one.
    """
    data = signing.send(f"{fields}Subject: x\n\nhello\n")
    assert dkimkeys.signatures(data) == count
    if count:
        agreed(signing, {"it": data})


@pytest.mark.parametrize("sender, count", [("a@sender.example", 2), ("a@x.sender.example", 2), ("a@z.example", 0), ("", 0)])
@pytest.mark.parametrize("body", ["From: a@other.example\n\nhello\n", "Subject: x\n\nhello\n"])
def test_domain_of_the_envelope(signing, sender, count, body):
    """Where there is no key for From, or no From."""
    data = signing.send(body, sender=sender)
    assert dkimkeys.signatures(data) == count
    assert signing.good(data) == [True] * count


def test_nearest_domain_and_every_other(signing):
    signing.say(f"sender.example r2026 {signing.rsa.path}", f"host.sender.example e2026 {signing.ed.path}",
                f"* r2026 {signing.rsa.path}")
    signing.rsa.publish(signing.zone, "elsewhere.example")
    assert tags(signing.send(BODY.replace("sender", "a.host.sender")))["d"] == "host.sender.example"
    data = signing.send(BODY.replace("sender", "elsewhere"))
    assert tags(data)["d"] == "elsewhere.example" and signing.good(data) == [True]


def test_day_from_which_on_it_signs(signing):
    """A new key, published and in the table before its day."""
    later = dkimkeys.Key(signing.where, "r2100", "rsa")
    signing.say(f"sender.example r2026 {signing.rsa.path} 2026-01-01",
                f"sender.example r2100 {later.path} 2100-01-01")
    assert tags(signing.send())["s"] == "r2026"
    signing.say(f"sender.example r2026 {signing.rsa.path} 2026-01-01",
                f"sender.example r2100 {later.path} 2026-01-02")
    data = signing.send()
    assert tags(data)["s"] == "r2100" and dkimkeys.signatures(data) == 1


@pytest.mark.parametrize("above", ["*", "example"])
def test_day_of_the_only_key(signing, above):
    """Until it comes the mail is signed as if the line were not there."""
    signing.say(f"{above} r2026 {signing.rsa.path}", f"sender.example e2026 {signing.ed.path} 2100-01-01")
    signing.rsa.publish(signing.zone, "example")
    assert signing.good(signing.send()) == [True]
    signing.say(f"{above} r2026 {signing.rsa.path}", f"sender.example e2026 {signing.ed.path} 2026-01-01")
    assert tags(signing.send())["s"] == "e2026"


def test_key_is_withdrawn(signing):
    """A relay that is at work goes on with the table that it has read, until it is ended."""
    p, sink = signing.postern, signing.world.sink
    table = [f"sender.example {selector} {signing.rsa.path}" for selector in ("r2026", "n2027")]
    signing.say(table[0])
    for i, wanted in enumerate(["r2026", "r2026", "n2027"]):
        if i == 2:
            for pid in p.at_work(): # its keeper ends with it
                os.kill(pid, signal.SIGTERM)
            p.rested()
        p.send("u@dest.example", body=BODY, sender="a@sender.example", linger="1m")
        patience.until(lambda n=i + 1: len(sink.messages) == n and not p.messages())
        assert tags(sink.messages[-1].data)["s"] == wanted
        signing.say(table[1])
    for pid in p.at_work():
        os.kill(pid, signal.SIGTERM)


def test_signed_already(signing):
    """Not again for that domain; for another one it is."""
    data = signing.send()
    first = data.decode()
    again = signing.send(first.replace("\r\n", "\n"))
    assert again.count(b"DKIM-Signature") == 2 and signing.good(first.encode()) == [True, True]
    other = signing.send("DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=a;\n b=abc; bh=x; h=from\n" + BODY)
    assert other.count(b"DKIM-Signature") == 3


def test_signed_again(signing):
    """If that is asked for: what a list has changed, say. The signatures that were there stay."""
    signing.postern.settings["dkim"] = "again"
    first = signing.send().decode()
    data = signing.send(first.replace("\r\n", "\n").replace("hello", "hello\n-- \na list"))
    assert data.count(b"DKIM-Signature") == 4 and signing.good(data) == [True, True]
    assert dkimkeys.good_one(data, 2, signing.zone) is dkimkeys.good_one(data, 3, signing.zone) is False
    signing.postern.configure("[route x]", "domains = *", f"hosts = [127.0.0.2]:{signing.world.port}", "dkim = yes")
    assert signing.send(first.replace("\r\n", "\n")).count(b"DKIM-Signature") == 2


def test_route_whose_host_signs(signing):
    signing.postern.configure("[route smarthost]", "domains = *", f"hosts = [127.0.0.2]:{signing.world.port}",
                              "dkim = no")
    assert b"DKIM-Signature" not in signing.send()


def test_lifetime(signing):
    found = tags(signing.send(dkim_lifetime="7d"))
    assert int(found["x"]) - int(found["t"]) == 7 * 86400


def test_own_reports(signing):
    """What we say ourselves is signed, too."""
    signing.say(f"test.example r2026 {signing.rsa.path}")
    signing.rsa.publish(signing.zone, "test.example")
    signing.world.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "dest" in line else "250 ok"
    signing.postern.send("u@dest.example", body=BODY)
    signing.postern.settled()
    report = signing.world.sink.messages[-1].data
    assert tags(report)["d"] == "test.example" and signing.good(report) == [True]


@pytest.mark.parametrize("nets, count", [("198.51.100.0/24", 0), ("203.0.113.0/24", 2)], ids=["stranger", "neighbour"])
def test_what_is_passed_on(signing, monkeypatch, nets, count):
    """Anybody may write our domain into mail for relay_domains: our signature would make it true. Whoever may send
    anywhere has it signed."""
    monkeypatch.setenv("TCPREMOTEIP", "203.0.113.9")
    text = BODY.replace("\n", "\r\n").encode()
    said = signing.postern.pipe(b"EHLO c.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<u@dest.example>\r\n"
                                b"DATA\r\n" + text + b".\r\nQUIT\r\n", relay_domains="dest.example", relay_nets=nets)
    assert "Ok: queued" in said
    signing.postern.settled()
    assert dkimkeys.signatures(signing.world.sink.messages[-1].data) == count


@pytest.mark.parametrize("user, sender, header, count", [
    ("joe", "a@sender.example", "a@sender.example", 1), ("joe", "a@sender.example", "other@Sender.example", 1),
    ("joe", "a@sender.example", "a@sender.example, x@host.sender.example", 1),
    ("joe", "a@sender.example", "a@boss.example", 0), ("joe", "a@sender.example", "a@host.sender.example", 0),
    ("joe", "a@sender.example", "a@sender.example, a@boss.example", 0), ("joe", "a@sender.example", "nobody", 0),
    ("joe", "a@sender.example", "a@elsewhere.example", 0), ("joe", "", "a@sender.example", 0),
    ("any", "a@sender.example", "a@boss.example", 1), ("any", "", "a@sender.example", 1)])
def test_bound_user(signing, user, sender, header, count):
    """Who may send from some addresses only may write any into From: our signature would make it true."""
    signing.say(f"sender.example r2026 {signing.rsa.path}", f"boss.example r2026 {signing.rsa.path}")
    users = signing.where / "users"
    users.write_text(f"joe:{HASH}:@sender.example\nany:{HASH}\n")
    own(users)
    plain = base64.b64encode(f"\0{user}\0secret".encode()).decode()
    said = signing.postern.pipe(f"EHLO c.example\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<u@dest.example>"
                                f"\r\nDATA\r\nFrom: {header}\r\n\r\nhello\r\n.\r\nQUIT\r\n", auth_users=users)
    assert "235 2.7.0" in said and "Ok: queued" in said
    signing.postern.settled()
    assert dkimkeys.signatures(signing.world.sink.messages[-1].data) == count


# ---- what can go wrong

def broken(signing, how):
    path = signing.rsa.path
    if how == "gone":
        path.unlink()
    elif how == "garbage":
        path.write_text("no key\n")
    elif how == "unreadable":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        path.chmod(0o600)
    elif how == "short":
        os.rename(dkimkeys.Key(signing.where, "short", "rsa", 1024).path, path)
    elif how == "table":
        signing.say("sender.example")
    elif how == "no-table":
        signing.table.unlink()
    else:
        signing.postern.settings["sign_path"] = "/nonexistent/sign"


FAULTS = ["gone", "garbage", "unreadable", "short", "table", "no-table", "program"]


@pytest.mark.parametrize("how", FAULTS)
def test_without_its_key_it_waits(signing, how):
    """Nothing goes out unsigned that is to be signed, and the log says why."""
    signing.say(f"sender.example r2026 {signing.rsa.path}")
    broken(signing, how)
    signing.postern.send("u@dest.example", body=BODY)
    signing.postern.settled(1)
    assert signing.world.sink.messages == []
    log = signing.postern.logged()
    assert "DKIM" in log and re.search("dkim_keys .*(r2026.pem|dkim|nonexistent)", log)


def test_without_its_key_it_is_sent(signing):
    signing.say(f"sender.example r2026 {signing.rsa.path}")
    broken(signing, "gone")
    data = signing.send(dkim_missing="send")
    assert b"DKIM-Signature" not in data
    assert signing.postern.logged().count("mail goes unsigned") == 1


def test_others_go_meanwhile(signing):
    signing.say("sender.example r2026 /nonexistent")
    data = signing.send(BODY.replace("sender", "other"), sender="a@other.example")
    assert b"hello" in data and b"DKIM-Signature" not in data


@pytest.mark.parametrize("domain, waiting", [("other.example", 0), ("sender.example", 1)])
def test_header_too_long(signing, domain, waiting):
    """It cannot be signed, and is kept back for that only if there is a key for it."""
    long = "References:" + " <0123456789@host.example>\n" * 40000
    signing.postern.send("u@dest.example", body=long + f"From: <a@{domain}>\n\nhello\n", sender=f"a@{domain}")
    signing.postern.settled(waiting)
    assert len(signing.world.sink.messages) == 1 - waiting


def test_signer_is_started_anew(signing, wait):
    """For the relay that is at work, however long it stays: what comes then goes, and what came before waits."""
    signing.world.domain("other.example")
    signing.postern.settings["linger"] = "1h"
    signing.postern.send("u@dest.example", body=BODY)
    wait(lambda: signing.world.sink.messages)
    before, [killed] = signing.postern.wait_at_work(), signing.postern.wait_running("sign")
    os.kill(killed, signal.SIGKILL)
    signing.postern.send("u@dest.example", body=BODY)
    signing.postern.wait_logged("sign was missed, and was started anew")
    signing.postern.send("u@other.example", body=BODY)
    wait(lambda: len(signing.world.sink.messages) == 2)
    assert [m.recipients for m in signing.world.sink.messages] == [["u@dest.example"], ["u@other.example"]]
    assert all(signing.good(m.data) == [True, True] for m in signing.world.sink.messages)
    signing.postern.wait_messages(1)
    assert signing.postern.at_work() == before
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    signing.postern.wait_gone("sign")


def test_long_header(signing):
    """A thread of thousands, or a list of recipients: longer than any line of a protocol, and signed."""
    data = signing.send("References:" + " <0123456789@host.example>\n" * 20000 + BODY)
    assert signing.good(data) == [True, True]


def test_signer_killed(signing, wait):
    """Killed between two messages: the second waits, and the next relay signs it."""
    signing.postern.settings["linger"] = "1m"
    signing.postern.send("u@dest.example", body=BODY)
    wait(lambda: signing.world.sink.messages)
    signers = signing.postern.wait_running("sign")
    for pid in signers:
        os.kill(pid, signal.SIGKILL)
    signing.postern.send("u@dest.example", body=BODY.replace("hello", "second"))
    signing.postern.wait_logged("DKIM")
    assert len(signing.world.sink.messages) == 1
    for pid in signing.postern.at_work():
        os.kill(pid, signal.SIGTERM)
    signing.postern.rested()
    signing.postern.make_due()
    signing.postern.due()
    wait(lambda: len(signing.world.sink.messages) == 2)
    assert all(signing.good(m.data) == [True, True] for m in signing.world.sink.messages)


def unread(pid, fd):
    """How many octets of a packet wait for a process at its socket."""
    theirs = os.pidfd_open(pid)
    ours = ctypes.CDLL(None).syscall(PIDFD_GETFD, theirs, fd, 0)
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(ours, termios.FIONREAD, waiting)
    finally:
        os.close(ours)
        os.close(theirs)
    return waiting[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it looks at a socket of sign")
@pytest.mark.parametrize("missing", ["wait", "send"])
def test_signer_killed_while_asked(signing, missing):
    """It has the question and dies: the message waits, and goes with its signatures later; unsigned if that is set."""
    postern, sink = signing.postern, signing.world.sink
    postern.settings |= {"linger": "1m", "dkim_missing": missing}
    postern.send("u@dest.example", body=BODY)
    patience.until(lambda: sink.messages)
    [sign] = postern.wait_running("sign")
    os.kill(sign, signal.SIGSTOP)
    postern.send("u@dest.example", body=BODY.replace("hello", "second"))
    patience.until(lambda: unread(sign, SIGN_SOCKET))
    assert len(sink.messages) == 1
    os.kill(sign, signal.SIGKILL)
    if missing == "send":
        patience.until(lambda: len(sink.messages) == 2)
        assert dkimkeys.signatures(sink.messages[-1].data) == 0
    else:
        postern.wait_logged("DKIM")
        assert len(sink.messages) == 1 and len(postern.messages()) == 1
    for pid in postern.at_work():
        os.kill(pid, signal.SIGTERM)
    postern.rested()
    if missing == "wait":
        postern.make_due()
        postern.due()
        patience.until(lambda: len(sink.messages) == 2)
        assert signing.good(sink.messages[-1].data) == [True, True]


# ---- who has the key

def secrets(key):
    """What nobody may have: the seed, or a prime as the library keeps it."""
    if key.kind == "ed25519":
        der = subprocess.run(["openssl", "pkey", "-in", key.path, "-outform", "DER"], check=True, capture_output=True)
        return der.stdout[-32:]
    said = subprocess.run(["openssl", "rsa", "-in", key.path, "-text", "-noout"], check=True, capture_output=True,
                          text=True).stdout
    prime = bytes.fromhex(re.search(r"prime1:\s+([0-9a-f:\s]+?)\n\w", said)[1].replace(":", "").replace("\n", "")
                          .replace(" ", ""))
    return prime.lstrip(b"\0")[::-1][:32]


def peak(pid):
    """The most memory that it had, KiB."""
    return int(re.search(r"^VmHWM:\s*(\d+) kB$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_long_headers_take_turns(signing):
    """Who may send to many hosts does not have each courier hold a header of a megabyte, twice."""
    postern, sink = signing.postern, signing.world.sink
    names = [f"d{i}.example" for i in range(40)]
    for name in names:
        signing.world.domain(name)
    body = BODY.replace("Subject: x\n", "".join(f"Subject: {'x' * 900}\n" for _ in range(950)))
    with sink.held("EHLO", "250 mx"):
        postern.send([f"u@{name}" for name in names], body=body, sender="a@sender.example", linger="1m", max_connections_per_host=100)
        patience.until(lambda: sink.connections == len(names))
        [relay] = postern.at_work()
        before = peak(relay)
    patience.until(lambda: len(sink.messages) == len(names) and not postern.messages())
    assert postern.watched() or peak(relay) - before < 18 * 1024 # a sanitizer's memory is its own
    os.kill(relay, signal.SIGTERM)
    assert all(signing.good(m.data) == [True, True] for m in sink.messages[:3])


@pytest.mark.parametrize("line, size, ehlo", [
    (b"0123456789" * 40, variety.HUGE, "PIPELINING 8BITMIME SIZE"), # to make that 7-bit thrice takes seconds of CPU
    ("0123456789" * 39 + "ü", variety.HUGE // 5, "PIPELINING")], ids=["as-it-is", "to-7-bit"])
def test_huge(signing, line, size, ehlo):
    """50 MB are signed in pieces of 16 KiB, and so is what is converted: a megabyte more is more than all buffers of a
    courier together, and less than any copy of the text, or of its part.
    """
    postern, sink = signing.postern, signing.world.sink
    sink.ehlo = ehlo.split()
    postern.settings["linger"] = "1m"
    postern.send("u@dest.example", body=BODY)
    patience.until(lambda: sink.messages)
    [relay] = postern.at_work()
    before = peak(relay)
    queue_all(postern, [variety.huge(line if isinstance(line, bytes) else line.encode(), size)])
    patience.until(lambda: len(sink.messages) == 2)
    assert postern.watched() or peak(relay) - before < 1024
    os.kill(relay, signal.SIGTERM)
    data = sink.messages[-1].data
    assert len(data) > 0.9 * size and (data.isascii() and b"=C3=BC" in data) == isinstance(line, str)
    if dkimkeys.opendkim():
        assert dkimkeys.good_by_opendkim([data], signing.zone, signing.where) == [[True, True]]
    if dkimkeys.perl():
        assert dkimkeys.good_by_perl([data], signing.world.dns.port, signing.where) == [[True]]
    assert dkimkeys.good_one(data, 1, signing.zone) # it takes seconds for each


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it reads the memory of relay")
def test_key_is_in_sign_alone(signing, wait):
    """Neither the relay at work nor its keeper has it in memory; sign has."""
    signing.postern.settings["linger"] = "1m"
    signing.postern.send("u@dest.example", body=BODY)
    wait(lambda: signing.world.sink.messages)
    markers = [secrets(signing.rsa), secrets(signing.ed)]
    [sign] = signing.postern.wait_running("sign")
    assert len(memory.find(sign, markers)) >= 2
    relays = signing.postern.relays()
    assert len(relays) == 2
    for pid in relays:
        assert memory.find(pid, markers) == []
    for pid in signing.postern.at_work():
        os.kill(pid, signal.SIGTERM)
    signing.postern.wait_gone("sign")


def test_signer_is_locked_in(signing, wait):
    """No new privileges, a filter for its system calls, nothing open but what it has to have."""
    signing.postern.settings["linger"] = "1m"
    signing.postern.send("u@dest.example", body=BODY)
    wait(lambda: signing.world.sink.messages)
    [sign] = signing.postern.wait_running("sign")
    status = pathlib.Path(f"/proc/{sign}/status").read_text()
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M) and re.search(r"^Seccomp:\t2$", status, re.M)
    if os.geteuid() == 0:
        opened = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{sign}/fd").iterdir()]
        assert not [name for name in opened if name.endswith(".pem")]
    for pid in signing.postern.at_work():
        os.kill(pid, signal.SIGTERM)
    signing.postern.wait_gone("sign")


# ---- the command

def test_command(signing):
    """A key is made, published and found; with it mail is signed."""
    p = signing.postern
    directory = signing.where / "keys"
    directory.mkdir()
    own(directory)
    lines, told = [], []
    for extra in (["--selector", "s1"], ["--selector", "s2", "--ed25519"]):
        status, [made] = ask_json(p, "dkim", "new", "Sender.example", "--dir", directory, *extra)
        assert status == 0 and pathlib.Path(made["file"]).stat().st_mode & 0o777 == 0o600
        lines.append(made["line"])
        told.append({"name": made["name"], "text": made["text"]})
    assert lines[0] == f"sender.example s1 {directory}/s1.sender.example.pem"
    status, _, trouble = ask(p, "dkim", "new", "sender.example", "--dir", directory, "--selector", "s1")
    assert status == 75 and "File exists" in trouble, "a key is never written over"
    signing.say(*lines)
    status, records = ask_json(p, "dkim", "record")
    assert status == 0 and [r["name"] for r in records] == [f"s{i}._domainkey.sender.example" for i in (1, 2)]
    assert records == told, "what is to be published was told at once"
    assert ask_json(p, "dkim", "check", **signing.world.settings())[0] == 1, "nothing is published"
    text = ask(p, "dkim", "record")[1]
    for zone in re.finditer(r'(\S+)\. IN TXT \(\n(.*?) \)', text, re.S):
        strings = re.findall(r'"([^"]*)"', zone[2])
        assert all(len(s) <= 255 for s in strings)
        signing.zone[(zone[1], "TXT")] = [" ".join(f'"{s}"' for s in strings)]
    status, found = ask_json(p, "dkim", "check", **signing.world.settings())
    assert status == 0 and [f["ok"] for f in found] == [True, True]
    assert signing.good(signing.send()) == [True, True]


@pytest.mark.parametrize("first", [True, False])
def test_what_is_left_to_do(signing, first):
    """The record, the line, and with the first key that there has to be a table."""
    directory = signing.where / "keys"
    directory.mkdir()
    own(directory)
    table = "" if first else signing.table
    status, said, _ = ask(signing.postern, "dkim", "new", "sender.example", "--dir", directory, "--selector", "s1",
                          dkim_keys=table)
    assert status == 0
    assert re.search(r"^s1\._domainkey\.sender\.example\. IN TXT \(\n\t\"v=DKIM1; k=rsa; p=MII", said, re.M)
    assert f"add this line to {table or '/etc/postern/dkim/keys'}:\n" in said
    assert f"\n\tsender.example s1 {directory}/s1.sender.example.pem\n" in said
    assert ("\n\tdkim_keys = /etc/postern/dkim/keys\n" in said) == first


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a key for another user")
def test_key_that_root_made(signing):
    """The user of the service can get at it, in a directory that was not there either."""
    words = ["--dir", signing.where / "new", "--selector", "s1"]
    command = signing.postern.command("postern", "dkim", "new", "sender.example", *words, user="nobody")[len(DROP):]
    said = subprocess.run(command, check=True, capture_output=True, text=True,
                          env=signing.postern.environment() | {"POSTERN_NO_KEY": "1"})
    assert said.stderr == "", "what else is doubtful is not told here"
    signing.say(f"sender.example s1 {signing.where}/new/s1.sender.example.pem")
    assert tags(signing.send())["s"] == "s1"


def test_command_is_locked_in(signing):
    """A nameserver that answers it is a stranger: there is nothing to take then."""
    signing.say(f"sender.example r2026 {signing.rsa.path}", "")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(patience.PATIENCE)
        settings = signing.world.settings() | {"nameserver": f"127.0.0.1:{server.getsockname()[1]}"}
        p = signing.postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "postern", "dkim", "check", **settings)
        server.recvfrom(512)
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
        p.kill()
        p.wait(patience.PATIENCE)
    assert signing.postern.watched("postern") or "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("record, why", [
    (None, "there is no TXT record"), ('"v=DKIM1; k=rsa; p=abcd"', "it has another key"), ('"v=spf1 -all"', "it is no key"),
    ('"v=DKIM1; p="', "it is no key"), ('"\\027[2J; p=\\027"', "it has another key")])
def test_command_finds_it_otherwise(signing, record, why):
    name = ("r2026._domainkey.sender.example", "TXT")
    del signing.zone[name]
    if record:
        signing.zone[name] = [record]
    signing.say(f"sender.example r2026 {signing.rsa.path}", "")
    status, [found] = ask_json(signing.postern, "dkim", "check", **signing.world.settings())
    assert status == 1 and not found["ok"] and why in found["why"]


def test_check_is_locked_in(signing):
    """What a nameserver answers is read with next to no system calls, whoever started the command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(patience.PATIENCE)
        settings = signing.world.settings() | {"nameserver": f"127.0.0.1:{server.getsockname()[1]}"}
        p = signing.postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "postern", "dkim", "check", **settings)
        server.recv(1000)
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
        p.terminate()
        p.wait(patience.PATIENCE)
    assert signing.postern.watched("postern") or "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("words, status, line", [
    (["new", "a/b"], 64, "a/b is no domain"), (["new"], 64, "new DOMAIN"), (["x"], 64, "x is none of new, record, check"),
    (["new", "a.example", "--selector", "../x"], 64, "not a selector"), (["check", "b.example"], 1, "there is no key for b"),
    (["new", "a.example", "--dir", "/nonexistent/keys"], 75, "No such file or directory")])
def test_command_refuses(signing, words, status, line):
    found = ask(signing.postern, "dkim", *words, **signing.world.settings())
    assert found[0] == status and line in found[2]
