"""What becomes of submitted mail beyond what the dialogues beside this file say: who is meant, and what the log says."""
import base64
import re
import subprocess

import pytest

import strangers
from client import Client
from spoolfile import SpoolFile

DATE = rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n"
ID = rb"Message-ID: <%s@mx\.test\.example>\r\n"
# The password is "secret".
USER = ("joe:{SCRAM-SHA-256}10000,wOBd1E8bKWJQevuw/wUwbA==,cEYe0C5sx2aRoDXwknUkhi1PHnPhOv8jBFJt/Ji6UXA=,"
        "46tgMZRNaHpusywpyFizIfa+AHkmaAYuaZ7STKrE8E0=:@a.example\n")
LOCAL = {"add_missing": "local"}


def expected(m, sender=b"a@sender.example"):
    """What a message of "Subject: x" and "hello" is when all three fields were added."""
    return rb"Subject: x\r\n" + DATE + ID % m.one("Id").encode() + rb"From: " + sender + rb"\r\n\r\nhello\r\n"


def queued(postern):
    [path] = postern.messages()
    return SpoolFile(path)


def client(postern, where, **settings):
    """A client at an address, or on loopback."""
    if where is None:
        return postern.meet(**settings)
    try:
        ours, theirs = strangers.connection(where)
    except strangers.NoNamespace as why:
        pytest.skip(f"needs root or user namespaces: {why}")
    with theirs:
        c = Client(ours, postern.start(theirs, theirs, max_connections=0, **settings))
    assert c.reply()[:3] == "220"
    c.hello()
    return c


def authenticated(postern, where, **settings):
    users = postern.where / "users"
    users.write_text(USER)
    users.chmod(0o644)
    c = client(postern, where, auth_users=users, auth_clear="yes", **settings)
    assert c.ask("AUTH PLAIN " + base64.b64encode(b"\0joe\0secret").decode())[:3] == "235"
    return c


@pytest.mark.parametrize("value, who", [
    ("local auth", "local auth local+auth nets+auth"),
    ("local", "local local+auth"),
    ("auth", "auth local+auth nets+auth"),
    ("nets", "nets nets+auth"),
    ("nets, LOCAL", "local nets local+auth nets+auth"),
    ("no", ""),
    ("", ""),
])
def test_for_whom(postern, value, who):
    """R93, L70: fields are added for those whom add_missing names, a scanner too. Users may be at any address."""
    for kind in ("local", "nets", "auth", "local+auth", "nets+auth"):
        where = None if "local" in kind else "192.0.2.1"
        settings = {"add_missing": value, "relay_nets": "192.0.2.1" if "nets" in kind else ""}
        c = (authenticated if "auth" in kind else client)(postern, where, **settings)
        c.message(sender="joe@a.example")
        assert c.finish() == 0
        m = queued(postern)
        added = re.fullmatch(expected(m, b"joe@a.example"), m.text) is not None
        assert added or m.text == b"Subject: x\r\n\r\nhello\r\n", m.text
        assert added == (kind in who.split()), kind
        postern.messages()[0].unlink()


def test_by_default(postern):
    """R93: who comes from this host needs no setting. The log says what was added, and counts what was sent."""
    del postern.settings["add_missing"]
    postern.send("u@d.example", max_connections=0)
    m = queued(postern)
    assert re.fullmatch(expected(m), m.text)
    ident = m.one("Id")
    assert f"{ident}: accepted from local, sender <a@sender.example>, 1 recipient, 21 octets, " \
        f"Message-ID <{ident}@{postern.settings['hostname']}>, added Date, Message-ID, From\n" in postern.logged()
    assert "rewritten" not in postern.logged()


@pytest.mark.parametrize("body, want", [
    ("From: x@y.example\nSubject: x\n\nhello\n", rb"From: x@y.example\r\nSubject: x\r\n" + DATE + ID + rb"\r\nhello\r\n"),
    ("hello\n", DATE + ID + rb"From: a@sender\.example\r\n\r\nhello\r\n"),
    ("", DATE + ID + rb"From: a@sender\.example\r\n"),
])
def test_other_texts(postern, body, want):
    """R93: text without a header gets one; what is there stays."""
    postern.send("u@d.example", body, max_connections=0, **LOCAL)
    m = queued(postern)
    assert re.fullmatch(want.replace(b"%s", m.one("Id").encode()), m.text), m.text


def test_null_sender_is_nobody(postern):
    """R93: From: of mail without a sender would be an invention."""
    postern.send("u@d.example", sender="", max_connections=0, **LOCAL)
    m = queued(postern)
    assert re.fullmatch(rb"Subject: x\r\n" + DATE + ID % m.one("Id").encode() + rb"\r\nhello\r\n", m.text)
    assert ", added Date, Message-ID\n" in postern.logged()


def test_size_is_what_was_sent(postern):
    """R63: what is added does not make a message too large."""
    c = postern.meet(max_size="64K", **LOCAL)
    body = "X: y\r\n\r\n" + 1000 * ("x" * 62 + "\r\n")
    body += "x" * (65536 - len(body) - 2) + "\r\n"
    c.message(body)
    assert c.finish() == 0
    assert len(queued(postern).text) > 65536 + 100
    assert ", 65536 octets, Message-ID <" in postern.logged()


def test_smtputf8(postern):
    """L1: octets beyond ASCII in what is rewritten stay as they are, and our field says what was needed."""
    postern.pipe("EHLO c.example\nMAIL FROM:<jö@h.example> SMTPUTF8\nRCPT TO:<u@d.example>\nDATA\n"
                 "From: \"Jö\" <jö@h.example>\n\nx\n.\nQUIT\n", masquerade="h.example=example.org",
                 max_connections=0, **LOCAL)
    m = queued(postern)
    assert m.text.startswith("From: \"Jö\" <jö@example.org>\r\nDate: ".encode())
    assert m.one("From") == "jö@example.org" and " with UTF8SMTP id " in m.received
    assert "rewritten: sender <j\\xc3\\xb6@h.example> became <j\\xc3\\xb6@example.org>; " \
        "From: j\\xc3\\xb6@h.example became @example.org\n" in postern.logged()


def test_utf8_is_not_needed_any_more(postern):
    """L1: with another sender a host without SMTPUTF8 can have the message."""
    postern.pipe("EHLO c.example\nMAIL FROM:<jö@h.example> SMTPUTF8\nRCPT TO:<u@d.example>\nDATA\nX: y\n\nx\n.\nQUIT\n",
                 force_from="me@example.org", max_connections=0)
    assert " with ESMTP id " in queued(postern).received


def test_log(postern):
    """R93: one line has all that is not as it was written."""
    (postern.where / "map").write_text("root: me@example.org you@example.net\n")
    postern.send(["root@mx.test.example", "out@d.example", "x@example.org"], "From: joe\nSender: a@b.example\n\n",
                 sender="joe@h.example", force_from="me@example.org", recipient_map=postern.where / "map",
                 guard="allow .org .net", max_connections=0)
    [line] = [x for x in postern.logged().splitlines() if "rewritten" in x]
    assert line.endswith(f"{queued_id(postern)}: rewritten: sender <joe@h.example> became <me@example.org>; recipient "
                         "<root@mx.test.example> became <me@example.org> <you@example.net>; From: joe became "
                         "me@example.org; Sender: a@b.example was put away")
    assert "refused local: \"RCPT TO:<out@d.example>\": 550 5.7.1 " in postern.logged()


def queued_id(postern):
    return {p.name for p in postern.messages()}.pop()


def test_one_recipient_too_many(postern):
    """R25: all addresses of a recipient, or none of them; those before it stay."""
    (postern.where / "map").write_text("all: " + ", ".join(f"u{n}@example.org" for n in range(60)) + "\n"
                                       "more: " + ", ".join(f"v{n}@d{n}.example" for n in range(60)) + "\n")
    said = postern.send(["all@localhost", "more@localhost", "x@example.net"], recipient_map=postern.where / "map",
                        max_recipients=100, max_connections=0)
    assert re.findall(r"^(250 2\.1\.5|452 4\.5\.3)", said, re.M) == ["250 2.1.5", "452 4.5.3", "250 2.1.5"]
    m = SpoolFile(postern.spool / "lane/example.org" / queued_id(postern))
    assert len(m.all("To")) == 61 and m.all("To")[-1] == "example.net x@example.net"
    assert "more@localhost" not in postern.logged().split("rewritten")[1]
    assert {p.parent.name for p in postern.messages()} == {"example.org", "example.net"}


@pytest.mark.parametrize("text, line", [
    (None, "No such file or directory"),
    ("root\n", "1: no colon behind the recipient: \"root\""),
    ("# x\n\nroot: /var/mail/root\n", "3: not an address: \"root: /var/mail/root\""),
    ("root: |prog\n", "1: not an address: "),
    ("root:\n", "1: no address behind the colon: "),
    ("a b: x@y.example\n", "1: not an address, @domain, or name: "),
    (": x@y.example\n", "1: not an address, @domain, or name: "),
    ("root: @y.example\n", "1: @domain stands behind @domain only: "),
    ("root: ö@y.example\n", "1: an address beyond ASCII, or too long: "),
    ("root: " + "x@y.example " * 101 + "\n", "1: more than 100 addresses: "),
    ("#\n" * 32769, "larger than 64 KiB"),
], ids=[*"abcdefghijk"])
def test_map_that_is_wrong(postern, text, line):
    """R93: with a map that cannot be read nobody's mail is taken, or it would go elsewhere; --check says so, too."""
    path = postern.where / "map"
    if text is not None:
        path.write_text(text)
    said = postern.pipe("EHLO c.example\nQUIT\n", recipient_map=path, max_connections=0)
    assert said == "421 4.3.5 Error: server configuration problem\r\n" and postern.status == 78
    assert f"recipient_map {path}:" in postern.logged() and line in postern.logged()
    p = subprocess.run(postern.command("smtpd", "--check", recipient_map=path), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, check=False, env=postern.environment())
    assert p.returncode == 78 and line.encode() in p.stdout, p.stdout
