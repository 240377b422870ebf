"""B14: who was made to talk to us in another protocol ends with its first line; what stands behind it is no mail."""
import pytest

MAIL = b"\r\nEHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nDATA\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" # of TLS
FOREIGN = {
    "tls": HELLO + bytes(range(128, 160)) + b" ",
    "tls with a NUL and a CR": HELLO + b"\0\x01\r\x05" * 8,
    "tls with a bare LF": HELLO + b"\n",
    "tls of a long line": HELLO + b"h2" * 2000,
    "tls of a longer one": HELLO + b"h2" * 20000,
    "stun": b"\0\x01\0\x08\x21\x12\xa4\x42" + b"A" * 12,
    "webdav": b"PROPFIND / HTTP/1.1",
    "a verb of its own": b"REPORT /x HTTP/1.1",
    "behind a blank": b" GET / HTTP/1.1",
    "with a bare LF": b"GET / HTTP/1.1\nHost: x",
    "rtsp": b"DESCRIBE rtsp://x RTSP/1.0",
    "sip": b"REGISTER sip:x SIP/2.0 ",
    "gopher": b"/x",
    "header": b"Host: x",
    "header without a blank": b"Host:x",
    "redis": b"*1",
    "json": b'{"a":1}',
    "a number": b"9",
    "beyond ascii": b"\x80x",
    "del": b"\x7fx",
}


@pytest.mark.parametrize("first", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("rights", ["yes", "no"])
def test_other_protocols(postern, first, rights):
    c = postern.meet(relay_local=rights)
    c.send(first + MAIL)
    assert c.rest() == b"421 4.7.0 mx.test.example Error: this is not SMTP\r\n" and c.end() == 0
    assert postern.messages() == []


@pytest.mark.parametrize("line", [b"", b" ", b"\t", b" NOOP", b"NOOP1", b"x", b"NO\rOP", b"ETRN #1", b"XCLIENT ADDR=1.1", b"x HTTP/1.1.1",
                                  b"x /1.1", b"HTTP/1.1", b"A" * 3000])
def test_careless_clients(postern, line):
    """C3, R18: an empty line, a blank in front, a command that is none: they go on."""
    c = postern.meet()
    c.send(line + b"\r\nNOOP\r\n")
    assert c.reply()[:3] == "500" and c.reply()[:3] == "250"
    assert c.finish() == 0
