"""BDAT: what follows it is never taken for a command, whatever is wrong with it."""
import pytest

KIBI = 1024
ENVELOPE = "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\n"
SYNTAX = "501 5.5.4 Syntax: BDAT octets [LAST]"


@pytest.mark.parametrize("argument", [
    "", " ", " abc", " -1", " +1", " 1x", " 0x10", " 1 FIRST", " 1 LAST LAST", " LAST", " 1,LAST",
    " 9223372036854775807", " 18446744073709551616 LAST", " 99999999999999999999999", " 5\0", " 5\r"])
@pytest.mark.parametrize("before", ["", ENVELOPE], ids=["idle", "ready"])
def test_size_that_is_none(postern, before, argument):
    """A16, A20, R9: it is not known where the chunk ends, so nothing behind it is answered."""
    c = postern.meet()
    for command in before.split("\r\n")[:-1]:
        assert c.ask(command)[:3] == "250"
    c.send(f"BDAT{argument}\r\n{ENVELOPE}DATA\r\nx\r\n.\r\n")
    assert c.line() == SYNTAX
    assert c.rest() == b"" and c.end() == 0
    assert postern.messages() == []


def test_size_with_a_bare_line_feed(postern):
    """A16: a line that is none may have meant a chunk all the same."""
    c = postern.meet()
    c.send(f"bdat 5\n{ENVELOPE}")
    c.send("\r\n")
    assert c.line() == SYNTAX and c.rest() == b"" and c.end() == 0


@pytest.mark.parametrize("before, said", [
    ([], "503 5.5.1 Error: need MAIL command"),
    (["MAIL FROM:<a@b.example>"], "503 5.5.1 Error: need RCPT command"),
    (["MAIL FROM:<a@b.example>", "RCPT TO:<nonsense>"], "503 5.5.1 Error: need RCPT command"),
    (ENVELOPE.split("\r\n")[:-1], "552 5.3.4 Error: message too large"),
], ids=["no-mail", "no-rcpt", "refused-rcpt", "size"])
def test_refused_chunk_is_read(postern, before, said):
    """A17, A20, R67: to its end, and then the session is in step and its transaction gone."""
    c = postern.meet(max_size="64K")
    for command in before:
        c.ask(command)
    c.send(b"BDAT 200004 LAST\r\n" + b"QUIT\r\n" * (200004 // 6))
    assert c.reply() == said
    assert c.ask("DATA") == "503 5.5.1 Error: need MAIL command"
    assert c.message().startswith("250")
    assert c.finish() == 0 and len(postern.messages()) == 1


@pytest.mark.parametrize("octets, said", [
    (4 * 64 * KIBI + 3, "552 5.3.4 Error: message too large"),
    (4 * 64 * KIBI + 4, "552 5.3.4 Error: chunk too large"),
    (9223372036854775806, "552 5.3.4 Error: chunk too large"),
])
@pytest.mark.parametrize("ready", [True, False])
def test_chunk_beyond_all_measure(postern, ready, octets, said):
    """A16, K10: four times what a message may be is not even read."""
    c = postern.meet(max_size="64K")
    for command in ENVELOPE.split("\r\n")[:-1] if ready else []:
        assert c.ask(command)[:3] == "250"
    read = "chunk" not in said
    c.send(f"BDAT {octets}\r\n".encode() + (b"x" * octets if read else b"RSET\r\n" * 10))
    assert c.reply() == (said if ready or not read else "503 5.5.1 Error: need MAIL command")
    if read:
        assert c.finish() == 0
    else:
        assert c.rest() == b"" and c.end() == 0
