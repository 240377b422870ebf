"""Queue files that smtpd does not make: what relay sends of them."""
import pytest

import spoolfile

IDENT = "01hf0000000000000001"


@pytest.mark.parametrize("body, arrives", [
    (b"text without an end", b"text without an end\r\n"),   # A10
    (b"text\r\n", b"text\r\n"),
    (b"", b""),
    (b".\r\n..\r\n.a\r\n", b".\r\n..\r\n.a\r\n"),   # A9
    (b"a\r\n.", b"a\r\n.\r\n"),                           # A9, A10
    (b"x" * 8191 + b"\r\n.\r\n" + b"y" * 70000 + b"\r\n.z", # a dot at the edge of a block
     b"x" * 8191 + b"\r\n.\r\n" + b"y" * 70000 + b"\r\n.z\r\n"),
], ids=["no-crlf", "crlf", "empty", "dots", "dot-at-end", "long"])
def test_end_of_text(postern, world, body, arrives):
    """A9, A10: one CRLF is added where it is missing, and none where it is not."""
    world.domain("dest.example")
    [path] = spoolfile.write(postern.spool, IDENT, ["u@dest.example"], body)
    postern.due()
    postern.settled()
    assert world.sink.messages[0].data == arrives and not path.exists()


def test_one_file_in_two_lanes(postern, world):
    """Each lane sends its own recipients; the last one frees the file."""
    for domain in ("one.example", "two.example"):
        world.domain(domain)
    spoolfile.write(postern.spool, IDENT, ["u@one.example", "v@two.example", "w@one.example"],
                    b"Subject: x\r\n\r\nx\r\n")
    postern.due()
    postern.settled()
    assert sorted(m.recipients for m in world.sink.messages) == [
        ["u@one.example", "w@one.example"], ["v@two.example"]]


def test_torn_file_in_two_lanes(postern, world):
    """J9, J19: a name on an incomplete file, in each of its lanes: set aside, once, and not sent."""
    paths = spoolfile.write(postern.spool, IDENT, ["u@one.example", "v@two.example"], b"x\r\n" * 100)
    with open(paths[0], "r+b") as f:
        f.truncate(200)
    postern.due()
    log = postern.settled()
    assert not list((postern.spool / "lane").iterdir()), list(postern.lane_files())
    assert [p.name for p in (postern.spool / "aside").iterdir()] == [IDENT]
    assert not world.sink.messages and "never acknowledged" in log
