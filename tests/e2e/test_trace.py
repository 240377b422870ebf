"""`postern trace`: the whole life of a message, from a log of text or from a journal, by id, address or Message-ID.

What a real journald has is traced in test_systemd.py.
"""
import os
import pathlib
import re
import shutil
import tempfile

import pytest

import journals
from asked import ask, ask_json
from conftest import NOBODY

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e"
ID, OTHER, FORGED = "06ab4c2d8f00xyzabc01", "06ab4c2d8f00xyzabc02", "06ab4c2d8f00xyzabd00"
START = 1_700_000_000_000_000
OURS = NOBODY if os.geteuid() == 0 else os.geteuid() # as whom the programs run, and who owns the queue
STRANGER = "4242"


def queue_id(said):
    return re.search(r"queued as ([0-9a-z]{20})", said)[1]


def test_delivered(postern, world):
    """By id, by either address, and by a Message-ID that begins with the id."""
    world.domain("d.example")
    ident, other = (queue_id(postern.send(r)) for r in ("u@d.example", "v@d.example"))
    postern.settled()
    for asked in (ident, "u@d.example", f"<{ident}@{postern.settings['hostname']}>"):
        status, (found,) = ask_json(postern, "trace", asked, "--log", str(postern.log))
        assert status == 0 and found["id"] == ident and found["queue"] == []
        texts = [e["text"] for e in found["events"]]
        assert "accepted from" in texts[0] and "delivered <u@d.example>" in texts[-1] and other not in str(texts)
    for asked in ("a@sender.example", "<a@sender.example>", "a@sender.example."): # as the log has it, and the DNS
        status, found = ask_json(postern, "trace", asked, "--log", str(postern.log))
        assert [f["id"] for f in found] == [ident, other], asked
    status, text, _ = ask(postern, "trace", ident, "--log", str(postern.log))
    assert status == 0 and text.startswith(ident) and text.endswith("now: it is not in the queue any more\n")


@pytest.mark.parametrize("form", ["postern", "json", "postfix"])
def test_a_strangers_message_id(postern, world, form):
    """L30: it is in the log, whatever is in it, and finds a message that has gone long ago."""
    world.domain("d.example")
    long = "x" * 300 + "@client.example"
    idents = {}
    for asked, written in (("<1.2@client.example>", "<1.2@client.example>"), ("3@client.example", "\n <3@client.example>"),
                           ("<a\"b> \\c@d>", "<a\"b> \\c@d>"), (long, f"<{long}>"), ("<no at all>", "no at all")):
        said = postern.send("u@d.example", f"Message-ID: {written}\nSubject: x\n\nMessage-ID: <not@me>\n", log_format=form)
        idents[asked] = queue_id(said)
    postern.settled()
    for asked, ident in idents.items():
        if "> " in asked: # what stands behind the bracket belongs to no id
            asked = asked.partition(">")[0] + ">"
        status, found = ask_json(postern, "trace", asked, "--log", str(postern.log))
        assert status == 0 and [f["id"] for f in found] == [ident], (asked, found, postern.logged())
    assert ask(postern, "trace", "<not@me>", "--log", str(postern.log))[0] == 1


def test_why_it_waits(postern, world):
    """L30: what befell its lane is part of its life, and where it is now."""
    world.sink.close()
    world.domain("d.example")
    first = queue_id(postern.send("u@d.example"))
    postern.settled(1)
    second = queue_id(postern.send("v@d.example", body="Message-ID: <mine@client>\n\nx\n"))
    postern.settled(2)
    for asked, ident in ((first, first), ("<mine@client>", second)):
        status, (found,) = ask_json(postern, "trace", asked, "--log", str(postern.log))
        assert status == 0 and found["id"] == ident
        assert [q["lane"] for q in found["queue"]] == ["d.example"] and found["queue"][0]["down"]
    status, text, _ = ask(postern, "trace", first, "--log", str(postern.log))
    assert "lane d.example" in text and "Connection refused" in text
    assert "now: it waits in lane d.example, whose hosts cannot be reached; next try in " in text


def test_address_before_a_host_was_reached(postern, world):
    """L30: no line has the recipient yet, but the message in the queue has."""
    world.sink.close()
    world.domain("d.example")
    ident = queue_id(postern.send("u@d.example"))
    postern.send("v@d.example", sender="b@sender.example")
    postern.settled(2)
    for asked in ("u@d.example", "a@sender.example"):
        status, (found,) = ask_json(postern, "trace", asked, "--log", str(postern.log))
        assert status == 0 and found["id"] == ident and found["queue"][0]["down"]


def test_held(postern, world):
    """What is held is in the queue, and waits for no time."""
    assert world
    ident = queue_id(postern.send("u@d.example", body="Message-ID: <mine@client>\n\nx\n", max_connections=0))
    assert ask(postern, "hold", ident)[0] == 0
    for asked, log in ((ident, postern.log), ("u@d.example", postern.log), ("<mine@client>", "/dev/null")):
        status, (found,) = ask_json(postern, "trace", asked, "--log", str(log))
        assert status == 0 and found["id"] == ident
        assert found["queue"] == [{"lane": "d.example", "next": None, "down": False, "held": True}]
    assert "now: it is held, for lane d.example" in ask(postern, "trace", ident, "--log", str(postern.log))[1]


def test_nothing(postern, world):
    """Status 1 where there is nothing, 64 where nothing was asked, 75 where it cannot be read."""
    assert world
    for asked in (ID, "nobody@d.example", "<no@message>"):
        status, text, trouble = ask(postern, "trace", asked, "--log", str(postern.log))
        assert status == 1 and text == "" and "nothing in " in trouble
    assert ask(postern, "trace", "nothing", "--log", str(postern.log))[0] == 64
    assert ask(postern, "trace", ID, "--log", str(postern.where / "none"))[0] == 75
    assert ask(postern, "trace", ID, "--journal", str(postern.where / "none"))[0] == 75


@pytest.fixture(scope="module")
def journal():
    """A file of the events of two messages, and of what befell a lane before, between and behind them."""
    if why := journals.why_not():
        pytest.skip(why)

    def entry(second, event, text, ident=ID, lane="d.example", **more):
        fields = {"time": START + second * 1_000_000, "MESSAGE": text, "POSTERN_EVENT": event, "PRIORITY": "6",
                  "_UID": str(OURS), "SYSLOG_IDENTIFIER": "smtpd" if event == "accepted" else "relay"}
        fields |= {k: v for k, v in (("POSTERN_QUEUE_ID", ident), ("POSTERN_LANE", lane)) if v}
        return fields | {f"POSTERN_{k.upper()}": v for k, v in more.items()}

    def forged(second, *words, uid=STRANGER, **more):
        """The same by `logger --journald`: who calls it cannot choose what journald knows of him."""
        fields = {k: v for k, v in entry(second, *words, **more).items() if k != "_UID"}
        return fields | ({"_UID": uid} if uid else {})

    def down(second, lane="d.example"):
        return entry(second, "deferred", f"lane {lane}: down at {second}", ident=None, lane=lane)
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-journal-")) / "test.journal"
    path.parent.chmod(0o755)
    journals.write(path, [
        down(1), *(forged(1, "deferred", "lane d.example: it is all over", ident=None) for _ in range(600)),
        forged(1, "delivered", f"{ID}: delivered", recipient="u@d.example"),
        forged(2, "delivered", f"{ID}: delivered", recipient="u@d.example", uid=None),
        forged(2, "accepted", f"{FORGED}: accepted", FORGED, lane=None, sender="a@s.example"),
        entry(2, "accepted", f"{ID}: accepted", lane=None, sender="a@s.example", message_id="a\\x20b@c.example"), down(3), down(4, "other.example"),
        entry(5, "accepted", f"{OTHER}: accepted", OTHER, lane=None, sender="b@s.example"),
        {k: "0" if k == "_UID" else v for k, v in entry(6, "failed", f"{OTHER}: of root", OTHER, lane=None).items()},
        entry(6, "deferred", f"{ID}: deferred {HOSTILE}".replace("\r", " "), recipient="u@d.example"),
        entry(7, "deferred", f"{OTHER}: deferred", OTHER, recipient="u@d.example"),
        entry(8, "delivered", f"{ID}: delivered", recipient="u@d.example", status="2.0.0"), down(9),
        *(forged(10 + n, "bounced", "bounced", f"{FORGED[:-3]}{n:03}", recipient="u@d.example") for n in range(120))])
    yield path
    shutil.rmtree(path.parent)


def traced(postern, journal, asked):
    status, found = ask_json(postern, "trace", asked, "--journal", str(journal))
    assert status == 0
    return {f["id"]: [(e["time"] - START) // 1_000_000 for e in f["events"]] for f in found}


def test_journal(postern, journal):
    """In the order of the times, with what befell its lane meanwhile, and no other one's."""
    assert traced(postern, journal, ID) == {ID: [2, 3, 6, 8]}
    assert traced(postern, journal, "a@s.example") == {ID: [2, 3, 6, 8]}
    for asked in ("<a b@c.example>", "a b@c.example"):
        assert traced(postern, journal, asked) == {ID: [2, 3, 6, 8]}
    assert traced(postern, journal, "u@d.example") == {ID: [2, 3, 6, 8], OTHER: [5, 6, 7]}
    assert traced(postern, journal.parent, OTHER) == {OTHER: [5, 6, 7]}, "of a directory"
    status, (found,) = ask_json(postern, "trace", ID, "--journal", str(journal))
    last = found["events"][-1]
    assert last["event"] == "delivered" and last["recipient"] == "u@d.example" and last["status"] == "2.0.0"
    assert last["program"] == "relay" and last["lane"] == "d.example"


def test_what_others_wrote(postern, journal):
    """L30: an entry counts by whom journald has it from. What somebody else wrote is in no story, however much it is, and
    who asks for that alone hears of him."""
    status, text, trouble = ask(postern, "trace", FORGED, "--journal", str(journal))
    assert (status, text) == (1, "") and f"user {STRANGER} has written" in trouble
    assert ask(postern, "trace", ID, "--journal", str(journal), user="root")[0] == 0, "the owner of the queue is one of us"
    status, (found,) = ask_json(postern, "trace", FORGED, "--journal", str(journal), "--uid", STRANGER)
    assert status == 0 and found["id"] == FORGED and len(found["events"]) == 1
    for wrong in ("-1", "x", "4294967296"):
        assert ask(postern, "trace", ID, "--journal", str(journal), "--uid", wrong)[0] == 64


def test_journal_in_words(postern, journal):
    """Hostile text cannot move the cursor: ask() looks."""
    status, text, _ = ask(postern, "trace", ID, "--journal", str(journal), log="none")
    assert status == 0 and "relay: " + ID in text and "\\x1b]0;owned\\x07" in text
    assert ask(postern, "trace", "06ab4c2d8f00xyzabc03", "--journal", str(journal))[0] == 1
