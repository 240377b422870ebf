"""The memory of a session is bounded, whatever the client sends."""
import pathlib
import re
import threading

import pytest

from client import TIMEOUT, pair
from proc import children

KIB = 1024
ALLOWED = 1024 * KIB # beyond what an idle session has
ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\n"


class Client:
    """A conversation that does not wait: what the server says is read beside it, and counted."""

    def __init__(self, postern, **settings):
        self.sock, server = pair()
        self.sock.settimeout(TIMEOUT)
        with server:
            self.process = postern.start(server, server, max_connections=0, **settings)
        self.file = self.sock.makefile("rb")
        assert self.file.readline().startswith(b"220")
        self.count, self.last, self.quiet = {}, "", threading.Event()
        self.ask(b"EHLO c.example\r\n", b"250 ")
        self.status = pathlib.Path(f"/proc/{children(self.process.pid)[0]}/status")
        self.idle = self.peak()

    def peak(self):
        """The most memory the session has had, in octets."""
        return int(re.search(r"VmHWM:\s+(\d+) kB", self.status.read_text())[1]) * KIB

    def ask(self, text, reply):
        """Sends it and reads on until a line that begins so."""
        self.sock.sendall(text)
        self.until(reply)

    def until(self, reply):
        for line in self.file:
            code = line[:3].decode()
            self.count[code] = self.count.get(code, 0) + 1
            self.last = line.decode()
            if line.startswith(reply):
                return
        raise AssertionError(f"the end, after {self.last!r}")

    def pour(self, pieces, reply):
        """Sends pieces while replies are read, up to a line that begins so."""
        def send():
            try:
                for piece in pieces:
                    self.sock.sendall(piece)
            except OSError:
                pass # closed on us
        sender = threading.Thread(target=send)
        sender.start()
        try:
            self.until(reply)
        finally:
            sender.join()

    def grown(self):
        return self.peak() - self.idle

    def close(self):
        self.file.close()
        self.sock.close()
        assert self.process.wait(TIMEOUT) == 0


@pytest.fixture
def client(postern):
    if postern.watched("smtpd"):
        pytest.skip("a sanitizer's memory is its own")
    made = []

    def make(**settings):
        made.append(Client(postern, **settings))
        return made[-1]
    yield make
    for c in made:
        c.close()


def repeated(piece, times, before=b"", after=b""):
    """before, `times` pieces, after; gathered into large writes."""
    block = max(1, 65536 // len(piece))
    yield before
    for left in range(times, 0, -block):
        yield piece * min(left, block)
    yield after


def test_line(client):
    """A12: a line of 1 GiB in a message that may have 50 MiB."""
    c = client()
    c.ask(ENVELOPE + b"DATA\r\n", b"354")
    c.pour(repeated(b"a" * 65536, 16384, after=b"\r\n.\r\n"), b"552 5.3.4")
    assert c.grown() < ALLOWED


def test_chunks(client):
    """A18: 10^6 chunks of one octet each."""
    c = client()
    c.ask(ENVELOPE, b"250 2.1.5")
    c.pour(repeated(b"BDAT 1\r\nx", 10 ** 6, after=b"BDAT 2 LAST\r\n\r\n"), b"250 2.0.0 Ok: queued")
    assert c.count["250"] > 10 ** 6
    assert c.grown() < ALLOWED


def test_header(client):
    """E2: 10^5 fields and 10^6 continuation lines, 10 MB of them."""
    c = client()
    c.ask(ENVELOPE + b"DATA\r\n", b"354")
    c.pour([*repeated(b"X-Field: y\r\n", 10 ** 5), *repeated(b" folded\r\n", 10 ** 6),
            b"\r\n.\r\n"], b"250 2.0.0 Ok: queued")
    assert c.grown() < ALLOWED


def test_message(client):
    """I7: a large message, streamed to the disk."""
    c = client()
    c.ask(ENVELOPE + b"DATA\r\n", b"354")
    c.pour(repeated(b"x" * 70 + b"\r\n", 600000, after=b".\r\n"), b"250 2.0.0 Ok: queued")
    assert c.grown() < ALLOWED


def test_recipients(client):
    """D17: 10^5 of them, in messages of 10^4."""
    c = client(max_recipients=10000)
    for _ in range(10):
        c.ask(b"MAIL FROM:<a@b.example>\r\n", b"250 2.1.0")
        c.pour(repeated(b"RCPT TO:<u@d.example>\r\n", 10000, after=b"DATA\r\n"), b"354")
        c.ask(b"x\r\n.\r\n", b"250 2.0.0 Ok: queued")
    assert c.count["250"] > 10 ** 5 and "452" not in c.count
    assert c.grown() < ALLOWED


def test_long_recipients(client):
    """D17: as long as they can be, as many as are taken."""
    c = client(max_recipients=10000)
    address = b"l" * 64 + b"@" + b".".join([b"d" * 62] * 3)
    for _ in range(2):
        c.ask(b"MAIL FROM:<a@b.example>\r\n", b"250 2.1.0")
        c.pour(repeated(b"RCPT TO:<" + address + b"> ORCPT=rfc822;" + b"o" * 480 + b"\r\n", 1500,
                        after=b"DATA\r\n"), b"354")
        c.ask(b"x\r\n.\r\n", b"250 2.0.0 Ok: queued")
    assert c.count["250"] > 1000 and c.count["452"] > 0
    assert c.grown() < ALLOWED
