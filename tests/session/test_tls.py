"""TLS with a client, by a process of its own."""
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

import pki as certificates
from client import TIMEOUT, ByHand, context
from conftest import NOBODY, exec_way, own
from patience import doubled, until
from proc import children, descriptors, sockets
from spoolfile import SpoolFile

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
GREETING = "220 mx.test.example ESMTP Postern 0.1.0"
READY = "220 2.0.0 Ready to start TLS"
HELLO = b"EHLO client.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<u@dest.example>\r\nDATA\r\n"
RECEIVED = (r"Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n"
            r"\tby mx\.test\.example with ESMTPS id [0-9a-z]{20}\r\n"
            r"\tfor <u@dest\.example>\r\n\ttls (TLS_\w+);\r\n\t.* \+0000\r\n")
HOUR = 3600


def queued(postern):
    """The one message in the queue."""
    [path] = postern.messages()
    return SpoolFile(path)


def assert_nothing_queued(postern):
    assert postern.messages() == [] and not list((postern.spool / "tmp").glob("*"))


# ---- how it begins

@pytest.mark.parametrize("version, cipher, name", [
    (V12, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (V13, None, "TLS_AES_256_GCM_SHA384"),
])
def test_starttls(secure, version, cipher, name):
    """R36, R65, R66: offered once; the Received: field says what was spoken."""
    c = secure.connect()
    assert c.reply() == GREETING
    assert "STARTTLS" in c.hello()
    c.starttls(context(version, version, ciphers=cipher))
    assert "STARTTLS" not in c.hello()
    assert c.ask("STARTTLS") == "503 5.5.1 Error: TLS is active"
    assert "queued as" in c.message()
    spoken = c.sock.version()
    assert c.finish() == 0
    assert re.fullmatch(RECEIVED, queued(secure).received)[1] == name
    assert queued(secure).text == b"Subject: x\r\n\r\nhello\r\n"
    assert f"{spoken} with [127.0.0.1], {name}" in secure.logged()


def test_implicit(secure):
    """R36, R66: the greeting is the first thing inside TLS, and nothing is outside."""
    c = secure.connect(tls="implicit")
    c.wrap()
    assert c.reply() == GREETING
    assert "STARTTLS" not in c.hello()
    assert "queued as" in c.message()
    assert c.finish() == 0
    assert re.fullmatch(RECEIVED, queued(secure).received)


def test_required(secure):
    """R66: before it only what leads to it is done, for clients on this host's TCP too."""
    c = secure.connect(tls="required")
    assert c.reply() == GREETING
    need = "530 5.7.0 Error: send STARTTLS first"
    for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>", "DATA", "VRFY x", "EXPN x",
                    "AUTH PLAIN ="):
        assert c.ask(command) == need
    # Its octets must be read, whatever is said; without MAIL it is refused anyway.
    assert c.ask("BDAT 6\r\nDATA") == "503 5.5.1 Error: need MAIL command"
    c.hello()
    assert c.ask("NOOP") == "250 2.0.0 Ok" and c.ask("RSET") == "250 2.0.0 Ok"
    assert c.ask("MAIL FROM:<a@b.example>") == need
    c.starttls()
    c.hello()
    assert "queued as" in c.message()
    assert c.finish() == 0


def test_quit_where_it_is_required(secure):
    """R66"""
    assert secure.meet(tls="required").finish() == 0


def test_everything_is_forgotten(secure):
    """R65, B3, B4: neither the name nor the transaction outlives STARTTLS."""
    c = secure.meet()
    assert c.ask("STARTTLS x") == "501 5.5.4 Syntax: STARTTLS"
    assert c.ask("MAIL FROM:<a@b.example>") == "250 2.1.0 Ok"
    assert c.ask("RCPT TO:<u@d.example>") == "250 2.1.5 Ok"
    c.starttls()
    assert c.ask("DATA") == "503 5.5.1 Error: need MAIL command"
    assert c.ask("RCPT TO:<u@d.example>") == "503 5.5.1 Error: need MAIL command"
    assert c.ask("MAIL FROM:<a@b.example>") == "503 5.5.1 Error: send HELO/EHLO first"
    c.hello()
    assert "queued as" in c.message(recipient="v@d.example")
    assert c.finish() == 0
    assert not list((secure.spool / "tmp").glob("*"))
    assert queued(secure).all("To") == ["d.example v@d.example"]


@pytest.mark.parametrize("settings", [{}, {"tls": "off", "tls_certificate": "/nonexistent"}])
def test_not_offered(postern, settings):
    """R66, L59b: without a certificate, or switched off, there is none later either."""
    c = postern.connect(**settings)
    assert c.reply() == GREETING
    assert "STARTTLS" not in c.hello()
    assert c.ask("STARTTLS") == "502 5.5.1 Error: command not implemented"
    assert c.finish() == 0


def test_not_offered_on_a_pipe(secure):
    """R66: there is no connection to encrypt, and whoever writes to it is on this host."""
    said = secure.pipe("EHLO c.example\nSTARTTLS\nMAIL FROM:<a@b.example>\nQUIT\n", max_connections=0,
                       tls="required")
    assert "250-STARTTLS" not in said
    assert said.endswith("454 4.7.0 Error: TLS not available\r\n250 2.1.0 Ok\r\n221 2.0.0 Bye\r\n")


# ---- what comes in between

def test_injected_command(secure):
    """B1, R65: what came along with STARTTLS ends the connection, and is not answered."""
    c = secure.meet()
    c.send("STARTTLS\r\nNOOP\r\n")
    assert c.rest() == b"503 5.5.1 Error: nothing may follow STARTTLS\r\n"
    assert c.end() == 0


def test_injected_beginning(secure):
    """B2: half a command in clear is never joined to what is encrypted."""
    c = secure.meet()
    assert c.ask("STARTTLS") == READY
    c.send("NO")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        c.wrap()
    assert c.end() == 0
    assert "no TLS with [127.0.0.1]" in secure.logged()
    assert re.search(r"tls: TLS handshake: .*; client \[127\.0\.0\.1\]$", secure.logged(), re.M)


@pytest.mark.parametrize("implicit", [False, True])
def test_no_handshake(secure, implicit):
    """B12: whoever says nothing is disconnected."""
    for seconds in doubled(1):
        start = time.monotonic()
        c = secure.connect(timeout_tls=f"{seconds}s", tls="implicit" if implicit else "starttls")
        if not implicit:
            c.reply()
            start = time.monotonic()
            if (said := c.ask("STARTTLS")) == "454 4.7.0 Error: TLS not available": # tls has no longer to begin
                c.end()
                continue
            assert said == READY
        assert c.rest() == b""
        assert time.monotonic() - start > seconds / 2
        assert c.end() == 0
        if "no TLS with [127.0.0.1]\n" in secure.logged(): # else the same
            break


def test_clear_text_where_tls_begins(secure):
    """B12: who speaks SMTP to it learns nothing."""
    c = secure.connect(tls="implicit")
    c.send("EHLO client.example\r\n")
    assert b"220" not in c.rest()
    assert c.end() == 0


def test_renegotiation(secure):
    """B11: refused. Its client gives up; to others nothing happens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        p = subprocess.Popen(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{port}"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        server, _ = listener.accept()
    with server:
        smtpd = secure.start(server, server, tls="implicit", max_connections=0)
    for line in p.stdout:
        if line.startswith(b"220 "):
            break
    said, _ = p.communicate(b"R\n", TIMEOUT) # a command of s_client
    assert b"RENEGOTIATING" in said and b"no renegotiation" in said
    assert smtpd.wait(TIMEOUT) == 0


# ---- how it ends

def test_lost_in_a_message(secure):
    """B13: FIN without close_notify."""
    c = secure.meet()
    c.starttls()
    c.hello()
    c.envelope()
    c.send("half\r\n")
    c.sock.shutdown(socket.SHUT_WR) # of the connection below, which TLS does not notice
    assert c.process.wait(TIMEOUT) == 0
    c.end()
    assert "lost connection from [127.0.0.1] in a message; nothing was queued" in secure.logged()
    assert_nothing_queued(secure)


@pytest.mark.parametrize("behind", [b"", b"\r\n.\r\n"])
def test_closed_in_a_message(secure, behind):
    """A19: close_notify, and then perhaps octets in clear."""
    c = secure.connect(tls="implicit")
    by_hand = ByHand(c.sock)
    by_hand.until(by_hand.tls.do_handshake)
    by_hand.send(HELLO + b"half")
    by_hand.close_notify()
    c.sock.sendall(behind)
    assert b"queued" not in by_hand.rest()
    assert c.end() == 0
    assert "in a message; nothing was queued" in secure.logged()
    assert_nothing_queued(secure)


@pytest.mark.parametrize("fin", [False, True])
def test_half_close_behind_the_dot(secure, fin):
    """C14: close_notify, alone or with FIN, and the 250 still comes."""
    c = secure.connect(tls="implicit")
    by_hand = ByHand(c.sock)
    by_hand.until(by_hand.tls.do_handshake)
    by_hand.send(HELLO + b"whole\r\n.\r\n")
    by_hand.close_notify()
    if fin:
        c.sock.shutdown(socket.SHUT_WR)
    assert b"250 2.0.0 Ok: queued as " in by_hand.rest()
    assert c.end() == 0
    assert queued(secure).text == b"whole\r\n"


def test_lost_behind_the_dot(secure):
    """C14: FIN alone; what was whole is queued."""
    c = secure.connect(tls="implicit")
    c.wrap()
    assert c.reply() == GREETING
    c.send(HELLO + b"whole\r\n.\r\n")
    c.sock.shutdown(socket.SHUT_WR)
    assert c.process.wait(TIMEOUT) == 0
    c.end()
    assert queued(secure).text == b"whole\r\n"


def test_last_words_to_a_flood(secure):
    """C12: whoever sends on and on still hears why it is disconnected."""
    c = secure.connect(tls="implicit")
    by_hand = ByHand(c.sock)
    by_hand.until(by_hand.tls.do_handshake)
    with contextlib.suppress(ConnectionError):
        for _ in range(500):
            by_hand.send(b"x\r\n" * 5000)
    assert by_hand.rest().endswith(b"421 4.7.0 mx.test.example Error: too many errors\r\n")
    assert c.end() == 0


@exec_way
def test_last_words_that_cross(secure):
    """What the session said before it ended is heard, though more was sent to it meanwhile."""
    c = secure.meet()
    c.starttls()
    c.hello()
    [pid] = secure.running("tls")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: "\nState:\tT" in pathlib.Path(f"/proc/{pid}/status").read_text())
    c.send("NOOP\r\n")
    [session] = [p for p in children(c.process.pid) if p != pid]
    os.kill(session, signal.SIGTERM)
    assert c.process.wait(TIMEOUT) == 0
    os.kill(pid, signal.SIGCONT)
    assert c.reply() == "421 4.3.2 mx.test.example Error: service shutting down"
    assert c.end() == 0


def test_killed(secure):
    """Without its tls a session ends as if the connection was lost."""
    c = secure.meet()
    c.starttls()
    c.hello()
    c.envelope()
    [pid] = secure.serving("tls")
    os.kill(pid, signal.SIGKILL)
    assert c.process.wait(TIMEOUT) == 0
    c.end()
    secure.wait_gone("tls")
    assert_nothing_queued(secure)


# ---- what goes through it

def test_large_message(secure):
    """R30: not one octet is changed on the way."""
    draw = random.Random(5)
    lines = [draw.randbytes(draw.randrange(900)).translate(None, b"\r\n\0") for _ in range(12000)]
    body = b"\r\n".join(lines) + b"\r\n"
    assert len(body) > 5_000_000
    c = secure.meet()
    c.starttls()
    c.hello()
    c.envelope()
    c.send(re.sub(rb"(?m)^\.", b"..", body))
    assert "queued as" in c.ask(".")
    assert c.finish() == 0
    assert queued(secure).text == body


def test_pipelined(secure):
    """Thousands of commands at once, each answered in turn."""
    c = secure.meet(max_recipients=10000)
    c.starttls()
    c.hello()
    rcpt = "".join(f"RCPT TO:<u{i}@dest.example>\r\n" for i in range(5000))
    c.send(f"MAIL FROM:<a@b.example>\r\n{rcpt}NOOP\r\n")
    assert c.reply() == "250 2.1.0 Ok"
    for _ in range(5000):
        assert c.reply() == "250 2.1.5 Ok"
    assert c.reply() == "250 2.0.0 Ok"
    assert c.finish() == 0


def test_small_records(secure):
    """Each octet in a record of its own."""
    c = secure.connect(tls="implicit")
    c.wrap()
    for octet in HELLO + b"Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n":
        c.sock.send(bytes([octet]))
    assert b"queued as" in c.rest()
    assert c.end() == 0
    assert queued(secure).text == b"Subject: x\r\n\r\n.\r\n"


# ---- what a client can ask for

@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions(secure, old):
    """Refused, unless tls_legacy=yes."""
    settings = context(old, old, ciphers="ALL:@SECLEVEL=0")
    c = secure.connect(tls="implicit")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        c.wrap(settings)
    assert c.end() == 0
    c = secure.connect(tls="implicit", tls_legacy="yes")
    c.wrap(settings)
    assert c.reply() == GREETING
    assert c.finish() == 0


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "eNULL", "aNULL"])
def test_weak_ciphers(secure, cipher):
    """Forward secrecy and authenticated encryption, or nothing."""
    c = secure.connect(tls="implicit")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        c.wrap(context(V12, V12, ciphers=cipher + ":@SECLEVEL=0"))
    assert c.end() == 0


@pytest.fixture(scope="module")
def rsa_pem(tmp_path_factory):
    """A certificate with an RSA key, which takes time to find."""
    key = tmp_path_factory.mktemp("rsa") / "key"
    made = certificates.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                                "-subj", "/CN=mx.test.example", "-days", 30)
    return made + key.read_bytes()


@pytest.fixture
def rsa(postern, where, rsa_pem):
    """One that ciphers without forward secrecy need."""
    pem = where / "rsa.pem"
    pem.write_bytes(rsa_pem)
    own(pem)
    postern.settings["tls_certificate"] = pem
    return postern


@pytest.mark.parametrize("cipher, good", [("ECDHE-RSA-AES128-GCM-SHA256", True), ("AES128-GCM-SHA256", False),
                                          ("AES256-SHA", False), ("ECDHE-RSA-AES128-SHA", False)])
def test_weak_ciphers_of_rsa(rsa, cipher, good):
    """R65: the same where the key would be good for them."""
    c = rsa.connect(tls="implicit")
    settings = context(V12, V12, ciphers=cipher + ":@SECLEVEL=0")
    if good:
        c.wrap(settings)
        assert c.reply() == GREETING
        assert c.finish() == 0
        return
    with pytest.raises((ssl.SSLError, ConnectionError)):
        c.wrap(settings)
    assert c.end() == 0


@pytest.mark.parametrize("name", ["-f", "x" * 63 + ".example", "no.such.host", "%n%s"])
def test_odd_names(secure, name):
    """B15: the name that a client asks for changes nothing."""
    c = secure.connect(tls="implicit")
    c.wrap(server_hostname=name)
    assert c.reply() == GREETING
    assert c.finish() == 0


@pytest.mark.parametrize("end", [b"\\\0", b"/.", b"\r\n", b"\xff\xfe", b"\0\0"])
def test_impossible_names(secure, end):
    """B15: as above, with octets that no library would send. That they were exchanged behind the
    client's back breaks its handshake in any case; only how, matters."""
    c = secure.connect(tls="implicit")
    by_hand = ByHand(c.sock, name="some.host.example")
    with pytest.raises(ssl.SSLWantReadError):
        by_hand.tls.do_handshake()
    hello = by_hand.go.read()
    assert hello.count(b"some.host.example") == 1
    c.sock.sendall(hello.replace(b"some.host.example", b"some.host.examp" + end))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        by_hand.until(by_hand.tls.do_handshake)
    assert c.end() == 0
    secure.wait_logged("TLS handshake: ")


# ---- tickets

def resumed(postern, settings, session=None, **more):
    """A connection that offers a session: (it was resumed, the one for next time)."""
    c = postern.connect(tls="implicit", **more)
    c.wrap(settings, session=session)
    assert c.reply() == GREETING
    result = c.sock.session_reused, c.sock.session
    assert c.finish() == 0
    return result


@pytest.mark.parametrize("version", [V12, V13])
def test_tickets(secure, version):
    """A session goes on in a process that never saw it, by the key in the runtime directory."""
    settings = context(version, version)
    was, session = resumed(secure, settings)
    assert not was
    for _ in range(2):
        was, session = resumed(secure, settings, session)
        assert was
    assert (secure.runtime / "ticket-key").stat().st_mode & 0o777 == 0o600


def test_ticket_is_for_one_use(secure):
    """RFC 8446 section C.4: a client that used its ticket has a new one."""
    settings = context(V13, V13)
    _, first = resumed(secure, settings)
    was, second = resumed(secure, settings, first)
    assert was and first.id != second.id


@pytest.mark.parametrize("version", [V12, V13])
def test_ticket_of_another_service(secure, version):
    """B16: one with keys of its own."""
    other = secure.where / "other"
    other.mkdir(mode=0o700)
    own(other)
    settings = context(version, version)
    _, session = resumed(secure, settings, runtime=other)
    was, _ = resumed(secure, settings, session)
    assert not was


@pytest.mark.parametrize("version", [V12, V13])
def test_ticket_keys_are_replaced(secure, version):
    """After 12 hours by a new one; the old one opens what it closed until it is 24 hours old."""
    settings = context(version, version)
    key, old = secure.runtime / "ticket-key", secure.runtime / "ticket-key.old"
    _, first = resumed(secure, settings)
    before = key.read_bytes()
    aged = time.time() - 13 * HOUR
    os.utime(key, (aged, aged))
    was, second = resumed(secure, settings, first)
    assert was, "the old ticket"
    assert old.read_bytes() == before and key.read_bytes() != before
    aged = time.time() - 25 * HOUR
    os.utime(old, (aged, aged))
    assert resumed(secure, settings, second)[0], "a new one was given for it"
    assert not resumed(secure, settings, first)[0], "too old"


def short(path):
    path.write_bytes(b"x" * 79)


def long(path):
    path.write_bytes(b"x" * 81)


def link(path):
    path.with_name("elsewhere").write_bytes(b"x" * 80)
    own(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def foreign(path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a file of somebody else")
    path.write_bytes(b"x" * 80)


@pytest.mark.parametrize("make", [short, long, link, foreign])
def test_what_is_no_ticket_key(secure, make):
    """K13: it is replaced."""
    key = secure.runtime / "ticket-key"
    make(key)
    if make is not foreign and not key.is_symlink():
        own(key)
    settings = context()
    _, session = resumed(secure, settings)
    assert resumed(secure, settings, session)[0]
    assert not key.is_symlink() and key.stat().st_size == 80 and b"x" * 16 not in key.read_bytes()
    assert [p.name for p in secure.runtime.glob("??????????????*")] == []


@pytest.mark.parametrize("runtime", ["missing", "directory"])
def test_no_tickets(secure, runtime):
    """Where no key can be kept, each handshake is a full one."""
    if runtime == "directory":
        (secure.runtime / "ticket-key").mkdir()
        own(secure.runtime / "ticket-key")
    more = {"runtime": "/nonexistent"} if runtime == "missing" else {}
    settings = context(V13, V13)
    _, session = resumed(secure, settings, **more)
    assert not resumed(secure, settings, session, **more)[0]


# ---- certificates of clients

@pytest.fixture(scope="module")
def cards(pki):
    """Certificates of clients, good ones and others."""
    alice = "email:alice@client.example"
    pki.authority("stranger")
    pki.issue("mail", "/CN=whoever", alice)
    pki.issue("common", "/CN=carol")
    pki.issue("no-subject", "/", alice)
    pki.issue("no-name", "/")
    pki.issue("foreign", "/CN=carol", alice, ca="stranger")
    pki.issue("expired", "/CN=carol", alice, days=-1)
    pki.issue("server-only", "/CN=carol", alice, usage="serverAuth")
    pki.issue("mail-nul", "/CN=whoever", "email:alice@client.example!evil")
    pki.forge("mail-nul", b"example!evil", b"example\0evil")
    pki.issue("common-nul", "/CN=carol!evil")
    pki.forge("common-nul", b"carol!evil", b"carol\0evil")
    pki.issue("common-lf", "/CN=carol!")
    pki.forge("common-lf", b"carol!", b"carol\n")
    return pki


def external(postern, pki, card):
    """A client with a certificate, and what it is answered to AUTH EXTERNAL."""
    users = postern.where / "users"
    users.write_text("alice@client.example:\ncarol:\n")
    c = postern.connect(tls="implicit", tls_client_ca=pki.path("ca"), auth_users=users)
    c.wrap(context(certificate=card and pki.path(card)))
    assert c.reply() == GREETING
    offers = [line for line in c.hello() if line.startswith("AUTH ")]
    said = c.ask("AUTH EXTERNAL =")
    assert c.finish() == 0
    return "EXTERNAL" in offers[0], said


@pytest.mark.parametrize("card, name", [
    ("mail", "alice@client.example"), ("common", "carol"), ("no-subject", "alice@client.example")])
def test_certificate_of_a_client(secure, cards, card, name):
    """R70, B8: the mail address in it, else its name, is who the client is."""
    assert external(secure, cards, card) == (True, "235 2.7.0 Authentication successful")
    assert f", certificate of {name}\n" in secure.logged()
    assert f'[127.0.0.1] is "{name}"' in secure.logged()


@pytest.mark.parametrize("card", [None, "no-name", "foreign", "expired", "server-only", "common-nul",
                                  "common-lf"])
def test_certificate_that_proves_nothing(secure, cards, card):
    """B7, B8: the client is like one without."""
    assert external(secure, cards, card) == \
        (False, "504 5.5.4 Error: authentication mechanism not offered")
    assert "certificate of" not in secure.logged()


def test_certificate_of_a_stranger(secure, cards):
    """B7: a mail address with NUL is none, and "whoever" is no user here."""
    assert external(secure, cards, "mail-nul") == (True, "535 5.7.8 Error: authentication failed")


# ---- when it cannot be

def absent(where, pki):
    del pki
    (where / "server.pem").unlink()


def locked(where, pki):
    del pki
    (where / "server.pem").chmod(0)


def mixed(where, pki):
    (where / "server.pem").write_text(
        pki.path("server").read_text().split("-----BEGIN PRIVATE")[0] + pki.key("ca").read_text())


def keyless(where, pki):
    (where / "server.pem").write_text(
        pki.path("server").read_text().split("-----BEGIN PRIVATE")[0])


def garbage(where, pki):
    del pki
    (where / "server.pem").write_bytes(bytes(range(256)))


def encrypted(where, pki):
    key = certificates.openssl("pkey", "-in", pki.key("server"), "-aes256", "-passout", "pass:x")
    (where / "server.pem").write_bytes(pki.path("server").read_bytes().split(b"-----BEGIN PRIVATE")[0] + key)


def der(where, pki):
    (where / "server.pem").write_bytes(certificates.openssl("x509", "-in", pki.path("server"), "-outform", "DER"))


SPOILT = [(absent, "tls_certificate {}: No such file"), (locked, "tls_certificate {}: Permission denied"),
          (mixed, "tls_key {}: it is not the key of the certificate"), (keyless, "tls_key {}: there is no key in it"),
          (garbage, "tls_certificate {}: there is no certificate in it"), (encrypted, "tls_key {}: the key is encrypted"),
          (der, "tls_certificate {}: it is DER")]


@pytest.mark.parametrize("spoil, why", SPOILT)
def test_not_promised(secure, pki, spoil, why):
    """L44: STARTTLS gets 454 and the session goes on in clear, without offering it again; the log names key of
    the configuration, file and reason."""
    spoil(secure.where, pki)
    c = secure.meet()
    c.ask("MAIL FROM:<a@sender.example>")
    assert c.ask("STARTTLS") == "454 4.7.0 Error: TLS not available"
    assert c.ask("RSET") == "250 2.0.0 Ok"
    assert "STARTTLS" not in c.hello()
    assert c.ask("STARTTLS") == "454 4.7.0 Error: TLS not available"
    assert "queued as" in c.message()
    assert c.finish() == 0
    assert why.format(secure.where / "server.pem") in secure.logged()
    assert "no TLS with [127.0.0.1]" in secure.logged()


@pytest.mark.parametrize("spoil, why", SPOILT)
def test_unusable_files_where_tls_is_needed(secure, pki, spoil, why):
    """L44: there the connection ends without a word in clear, or takes no mail."""
    spoil(secure.where, pki)
    c = secure.connect(tls="implicit")
    assert c.rest() == b""
    assert c.end() == 0
    assert why.format(secure.where / "server.pem") in secure.logged()
    c = secure.meet(tls="required")
    assert c.ask("STARTTLS") == "454 4.7.0 Error: TLS not available"
    assert c.ask("MAIL FROM:<a@sender.example>") == "530 5.7.0 Error: send STARTTLS first"
    assert c.finish() == 0


def test_no_program(secure):
    """As above, if there is nothing to start."""
    c = secure.connect(tls="implicit", tls_path="/nonexistent")
    assert c.rest() == b""
    assert c.end() == 0
    c = secure.meet(tls_path="/nonexistent")
    assert c.ask("STARTTLS") == "454 4.7.0 Error: TLS not available"
    assert "queued as" in c.message()
    assert c.finish() == 0


@pytest.fixture
def both(secure, rsa):
    """L45: two certificates, two keys."""
    files = " ".join(str(secure.where / name) for name in ("server.pem", "rsa.pem"))
    return Both(secure, files)


class Both:
    def __init__(self, postern, files):
        self.postern, self.files = postern, files

    def cipher(self, wanted):
        c = self.postern.connect(tls="implicit", tls_certificate=self.files)
        c.wrap(context(V12, V12, ciphers=wanted))
        assert c.reply() == GREETING
        name = c.sock.cipher()[0]
        assert c.finish() == 0
        return name


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_two_certificates(both, kind):
    """L45: the client's abilities choose."""
    assert both.cipher(f"ECDHE-{kind}-AES128-GCM-SHA256") == f"ECDHE-{kind}-AES128-GCM-SHA256"


@pytest.mark.parametrize("lost, other", [("server.pem", "RSA"), ("rsa.pem", "ECDSA")])
def test_one_of_two_certificates(both, lost, other):
    """L44, L45: what is wrong with one of them takes nothing from those that the other is good for."""
    (both.postern.where / lost).unlink()
    assert both.cipher("ALL").startswith(f"ECDHE-{other}-")
    assert f"tls_certificate {both.postern.where / lost}: No such file or directory" in both.postern.logged()


def test_keys_are_as_many(both):
    """L45: and in the same order."""
    p = subprocess.run(both.postern.command("smtpd", "--check", tls_certificate=both.files, tls_key="/one"),
                       capture_output=True, text=True, env=both.postern.environment(), check=False)
    assert p.returncode == 78 and "tls_key: needs as many files as tls_certificate has" in p.stderr


# ---- who knows what

def test_no_process_in_clear(secure):
    """Whoever does not want TLS does not pay for it."""
    c = secure.meet()
    assert "queued as" in c.message()
    assert secure.running("tls") == []
    assert c.finish() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look into processes that are locked in")
@exec_way
def test_who_has_the_key(secure):
    """The session has neither the library nor the key; tls has no file, and ends with it."""
    c = secure.meet()
    c.starttls()
    c.hello()
    [tls] = secure.running("tls")
    sessions = [p for p in children(c.process.pid) if p != tls]
    assert len(sessions) == 1 and secure.running("tls") == [tls]
    for pid in (c.process.pid, *sessions):
        assert "libssl" not in pathlib.Path(f"/proc/{pid}/maps").read_text()
        assert not [f for f in descriptors(pid).values() if f.endswith(".pem")]
    assert "libssl" in pathlib.Path(f"/proc/{tls}/maps").read_text()
    kinds = {f.partition(":")[0] for f in descriptors(tls).values()}
    assert kinds <= {"/dev/null", "socket", str(secure.log)}
    assert sockets(sessions[0]) and not sockets(sessions[0]) & set(descriptors(c.process.pid).values())
    assert pathlib.Path(f"/proc/{tls}").stat().st_uid in (0, NOBODY) # 0: not dumpable
    assert c.finish() == 0
    secure.wait_gone("tls")
