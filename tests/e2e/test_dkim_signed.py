"""Mail that has a signature when it comes: what it is worth afterwards."""
import copy

import pytest

import variety
from test_dkim import dkimkeys, keys, queue_all, signing, tags  # noqa: F401 pylint: disable=unused-import

dkim = pytest.importorskip("dkim")
OURS = "From: <a@sender.example>\r\nTo: <u@dest.example>\r\nSubject: x\r\n"
EIGHT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
# As many programs do: also for what is not there.
NAMES = [b"from", b"from", b"to", b"subject", b"date", b"message-id", b"content-type", b"content-transfer-encoding"]


@pytest.fixture
def app(signing): # noqa: F811
    """Signs for sender.example, too, before it comes: mail, what it says -> mail."""
    key = copy.copy(signing.rsa)
    key.selector = "app"
    key.publish(signing.zone, "sender.example")

    def sign(text):
        return dkim.sign(text.encode(), b"app", b"sender.example", key.path.read_bytes(), include_headers=NAMES,
                         canonicalize=(b"relaxed", b"relaxed")) + text.encode()
    return sign


def send(signing, data, **settings): # noqa: F811
    """As the host got it."""
    queue_all(signing.postern, [variety.Text("it", data)], **settings)
    signing.postern.settled()
    return signing.world.sink.messages[-1].data


def good(signing, data): # noqa: F811
    """Of each signature, also of those that it came with."""
    return [dkimkeys.good_one(data, i, signing.zone) for i in range(data.count(b"DKIM-Signature:"))]


def test_by_the_host_before(signing): # noqa: F811
    """A host of ours signed for fields that are not there; the next one must not add them (RFC 6376 section 8.15)."""
    first = send(signing, f"{OURS}\r\nhello\r\n".encode(), add_missing="no")
    assert good(signing, first) == [True, True] and b"\r\nMessage-ID:" not in first
    data = send(signing, first, add_missing="local auth")
    assert good(signing, data) == [True, True], "no other is made, and those are what they were"


@pytest.mark.parametrize("field", ["", "Message-ID:\r\nDate: \r\n", "Message-ID: <>\r\n"])
def test_by_a_program(signing, app, field): # noqa: F811
    data = send(signing, app(f"{OURS}{field}\r\nhello\r\n"), add_missing="local auth")
    assert good(signing, data) == [True]


@pytest.mark.parametrize("ehlo, count", [("PIPELINING 8BITMIME", 1), ("PIPELINING", 3)])
def test_converted(signing, app, ehlo, count): # noqa: F811
    """R37: what we break ourselves, because the host takes 7-bit text only, is signed anew."""
    signing.world.sink.ehlo = ehlo.split()
    data = send(signing, app(OURS + EIGHT))
    assert good(signing, data) == [True, True][:count - 1] + [count == 1]


@pytest.mark.parametrize("address, count", [("a@sender.example", 1), ("ops@sender.example", 3)])
def test_forced(signing, app, address, count): # noqa: F811
    """A From that was exchanged breaks it, too."""
    data = send(signing, app(f"{OURS}\r\nhello\r\n"), force_from=address)
    assert good(signing, data) == [True, True][:count - 1] + [count == 1]
    assert data.count(b"\r\nX-Original-From:") == (count == 3)
    assert tags(data)["d"] == "sender.example"
