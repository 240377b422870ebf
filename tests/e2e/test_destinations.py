"""Real destinations accept and store byte-identical mail.

Messages come in through smtpd, lie in the queue, and go to a real server. What that has stored is
compared with what lay in the queue, which is what the client sent behind our Received: field.
"""
import hashlib
import re

import pytest

import mtas
import patience
import peers
import ports
import variety

# More than Exim (as it is set up here) and OpenSMTPD (by default) take over one connection: 100.
TINY = 150
OURS = b"Received: from client.example "
ID = re.compile(rb" id ([0-9a-z]{20})\r\n")

# What each puts on top, besides Received:.
TRACE = {"postfix": {"Return-Path", "X-Original-To", "Delivered-To"},
         "exim": {"Return-path", "Envelope-to", "Delivery-date"},
         "opensmtpd": {"Return-Path", "Delivered-To"},
         "dovecot": {"Return-Path", "Delivered-To"},
         "aiosmtpd": set()}
ADDRESS = {name: f"127.0.0.{40 + i}" for i, name in enumerate(TRACE)}


@pytest.fixture(scope="module")
def port():
    """One for all servers, each at an address of its own."""
    number = ports.take()
    yield number
    ports.give_back(number)


@pytest.fixture(scope="module")
def running(tmp_path_factory, port):
    """{name: server} of those that can run here; they become ready in parallel."""
    where = tmp_path_factory.mktemp("mtas")
    found = {name: mtas.Mta(name, where / name, ADDRESS[name], port)
             for name in TRACE if peers.can_run(name)}
    yield found
    for mta in found.values():
        mta.close()


@pytest.fixture
def mta(request, running, postern, world, port):
    """The destination, and relay set up for it."""
    name = request.param
    peers.need(name)
    server = running[name].wait()
    server.clear()
    world.domain(server.domain, server.address)
    postern.settings["smtp_port"] = port
    if name == "dovecot":
        postern.configure("[route dovecot]", f"domains = {server.domain}", "protocol = lmtp",
                          f"hosts = [{server.address}]:{port}")
    yield server
    server.clear()


def in_queue(path):
    """(id, body) of a queued message: what lies between the envelope and the last line."""
    body = path.read_bytes().partition(b"\n\n")[2]
    return path.name, body[:body.rindex(b"End: ")]


def send(c, server, text):
    """One message; the last reply."""
    envelope = f"MAIL FROM:<a@sender.example> BODY=8BITMIME\r\nRCPT TO:<u@{server.domain}>\r\n"
    if text.chunked:
        c.send(f"{envelope}BDAT {len(text.data)} LAST\r\n".encode() + text.data)
        return [c.reply() for _ in range(3)][-1]
    c.send(f"{envelope}DATA\r\n")
    assert [c.reply()[:3] for _ in range(3)] == ["250", "250", "354"], text.name
    c.send(text.data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    return c.reply()


def queue(postern, server, texts):
    """Through smtpd, over one connection; {id: (name, what lies in the queue)}."""
    c = postern.meet()
    names = {}
    for text in texts:
        reply = send(c, server, text)
        assert reply[:3] == "250", (text.name, reply)
        names[reply.split()[-1]] = text.name
    c.finish()
    queued = dict(map(in_queue, postern.messages()))
    for ident, text in zip(names, texts):
        assert queued[ident].partition(b"+0000\r\n")[2] == text.data, text.name
    return {ident: (names[ident], body) for ident, body in queued.items()}


def as_sent(stored):
    """Lines in a Maildir end with LF; SMTP's with CRLF. None of the messages has a bare one."""
    return stored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def without_trace(name, stored):
    """What lies below the fields that the destination put on top."""
    at = stored.index(OURS)
    fields = re.findall(rb"^([\w-]+):", stored[:at], re.M)
    assert {f.decode() for f in fields} <= TRACE[name] | {"Received"}, stored[:at]
    return stored[at:]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def expected(name, body):
    """DATA and most Maildirs cannot end within a line: the line end is added once. Below fields that
    nothing follows Exim writes the empty line that ends them."""
    if not body.endswith(b"\r\n"):
        return body + b"\r\n"
    return body + b"\r\n" if name == "exim" and b"\r\n\r\n" not in body else body


def deliver(postern, server, n):
    """What the server has stored in the end. One that takes no more for now is asked again."""
    for _ in range(3):
        postern.make_due()
        postern.due()
        postern.rested()
        if not postern.messages():
            break
    assert patience.within(lambda: len(server.files()) >= n, patience.PATIENCE), \
        f"{len(server.files())} of {n}: {postern.logged()[-2000:]} {server.logged()[-2000:]}"
    return [without_trace(server.name, as_sent(s)) for s in server.stored()]


def check(postern, server, texts):
    """All of them arrive once, and as they were."""
    queued = queue(postern, server, texts)
    assert len(queued) == len(texts)
    stored = deliver(postern, server, len(texts))
    wrong = []
    for data in stored:
        name, body = queued.pop(ID.search(data)[1].decode())
        if digest(data) != digest(expected(server.name, body)):
            wrong.append((name, data[-300:], body[-300:]))
    assert not wrong, wrong
    assert not queued and not postern.messages()


@pytest.mark.parametrize("mta", list(TRACE), indirect=True)
def test_varied(postern, mta):
    """R30, R34, A9: messages of every shape, one of them of 50 MB."""
    texts = [*variety.varied(), variety.huge()]
    assert len(texts) > 100
    check(postern, mta, texts)


@pytest.mark.parametrize("mta", [
    "postfix", "aiosmtpd", "dovecot", "exim", "opensmtpd"], indirect=True)
def test_many(postern, mta):
    """R34: all go at the first attempt, also when the server takes no more on a connection."""
    postern.settings["max_connections"] = 1 # several could share them so that nobody has too many
    check(postern, mta, variety.tiny(TINY))
    assert "next try in" not in postern.logged()


@pytest.mark.parametrize("mta", ["dovecot"], indirect=True)
def test_socket(postern, mta):
    """LMTP over a UNIX socket, under a name that the programs can reach."""
    (postern.where / "lmtp").hardlink_to(mta.where / "lmtp")
    postern.configure("[route dovecot]", f"domains = {mta.domain}", "protocol = lmtp",
                      f"hosts = unix:{postern.where / 'lmtp'}")
    check(postern, mta, variety.tiny(20))
    assert f"unix:{postern.where / 'lmtp'}: 250 2.0.0 <u@{mta.domain}> " in postern.logged()
