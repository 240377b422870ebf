"""docs/QUEUE.md, "Commit, step by step" and "Outcomes": each row of the tables, against the programs.

A session with a message for two new lanes is stopped right after the step of the row. While it stands
there, tmp/, lanes and lock are compared with the row; then it is killed, and `relay --due` must make
of what is left what the row says.

A row is tied to a system call by the words of its step (STEPS). Rows may be added and moved: what they
say is read from the table, and their calls must come in the table's order. The last column is what
powercut is for.

"Outcomes" is read the same way: a relay that has served one of two recipients is killed right before the
call of the next step.
"""
import collections
import fcntl
import os
import re
import struct

import pytest

import patience
from conftest import TOP
from test_points import arrived, body_of, killat, lab  # noqa: F401

RECIPIENTS = ["u@one.example", "u@two.example"]
Row = collections.namedtuple("Row", "step tmp lane locked fate")
SIGN = {"+": True, "−": False}
F_OFD_GETLK = 36


def cells(head):
    """Of the table that begins like this, row by row."""
    text = (TOP / "docs" / "QUEUE.md").read_text()
    for line in text.split(f"\n| after step | {head} |")[1].split("\n\n")[0].splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def table():
    """Rows, with "the same" replaced by what it means."""
    rows = []
    for step, tmp, lane, locked, fate, _ in cells("tmp/"):
        if fate == "the same":
            fate = rows[-1].fate
        rows.append(Row(step, SIGN[tmp], SIGN[lane], SIGN[locked], fate))
    return rows


class Commit:
    """The calls of one undisturbed commit, by what they do."""

    def __init__(self, calls):
        self.calls = [c for c in calls if c.role == "session"]
        self.renamed = self.last("renameat")
        # Of the descriptors that are synced later, the file's is the one that was written to.
        self.draft = next(c.argument for c in self.after("fsync", self.renamed)
                          if self.before("write", self.renamed, c.argument))

    def last(self, name):
        return [c for c in self.calls if c.name == name][-1]

    def before(self, name, mark, argument):
        return [c for c in self.calls[:self.calls.index(mark)]
                if c.name == name and c.argument == argument]

    def after(self, name, mark, argument=None):
        return [c for c in self.calls[self.calls.index(mark):]
                if c.name == name and argument in (None, c.argument)]

    def written(self):
        return self.before("write", self.renamed, self.draft)[-1]

    def file_synced(self):
        return self.after("fsync", self.renamed, self.draft)[0]

    def lanes_synced(self):
        return self.after("fsync", self.file_synced())[1]

    def closed(self):
        return self.after("close", self.file_synced(), self.draft)[0]

    def announced(self):
        return self.after("mknodat", self.closed())[-1]

    def said(self):
        mine = self.calls[self.calls.index(self.closed()):]
        return next(c for c in mine if c.name in ("write", "sendto", "sendmsg") and c.argument == 1)


# What stands in a step, the last call of it.
STEPS = [
    (r"^\d+ 250$", Commit.said),
    (r"\bremove an empty `@retry`$", Commit.announced),
    (r"\bclose$", Commit.closed),
    (r"\bfsync of each lane$", lambda c: c.last("fsync")),
    (r"\bfsync of `lane/`", Commit.lanes_synced),
    (r"\bfsync of the file$", Commit.file_synced),
    (r"\brename into lane k$", lambda c: c.renamed),
    (r"\blink into lanes 1", lambda c: c.last("linkat")),
    (r"\bwrite$", Commit.written),
]


def call_of(row, commit):
    found = [find for words, find in STEPS if re.search(words, row.step)]
    assert found, f"no call is known for the step {row.step!r}"
    return found[0](commit)


def locked(path):
    with open(path, "rb") as f:
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(f, F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK


def in_tmp(s):
    return list((s.postern.spool / "tmp").iterdir())


def check_place(row, s, alive):
    """The three columns of signs."""
    tmp, lanes = in_tmp(s), s.postern.messages()
    assert (len(tmp), bool(lanes)) == (row.tmp, row.lane), (tmp, lanes)
    # A lane is missing only while the last name is still to be given.
    assert len(lanes) == len(RECIPIENTS) - row.tmp or not row.lane, lanes
    for path in tmp + lanes:
        if alive:
            assert locked(path) == row.locked, path
        else: # it dies soon after killat
            patience.until(lambda: not locked(path))


def check_fate(row, lab, s):
    """The column of the kill."""
    lanes = {p.parent.name for p in s.postern.messages()}
    s.run(None, s.postern.command("relay", "--due"))
    expected = {("one", r): 1 for r in RECIPIENTS if r.split("@")[1] in lanes}
    assert bool(expected) == ("delivered" in row.fate), row.fate
    assert arrived(lab) == expected and s.leftovers() == []
    assert len(in_tmp(s)) == row.tmp == ("swept after an hour" in row.fate), row.fate
    for age, left in ((3500, row.tmp), (3700, False)):
        for path in in_tmp(s):
            then = path.stat().st_mtime - age
            os.utime(path, (then, then))
        s.run(None, s.postern.command("relay", "--due"))
        assert bool(in_tmp(s)) == left
        for path in in_tmp(s): # as new again
            os.utime(path)


@pytest.fixture
def commit(lab):
    s = lab.fresh()
    said, = s.session(None, [(RECIPIENTS, body_of("one"))], max_connections=0)
    assert said.startswith("250")
    return Commit(s.calls)


def test_rows_are_in_order(commit):
    """The steps are made in the order in which they stand, and no sync of them is missing."""
    places = [commit.calls.index(call_of(row, commit)) for row in table()]
    assert places == sorted(set(places))
    syncs = [c.n for c in commit.after("fsync", commit.renamed)]
    assert len(syncs) == 2 + len(RECIPIENTS), syncs


@pytest.mark.parametrize("row", table(), ids=lambda row: row.step.split(" ")[0])
def test_row(lab, commit, row):
    call = call_of(row, commit)
    s = lab.fresh()
    with s.held(f"session:{call.name}#{call.n}", RECIPIENTS, body_of("one"), max_connections=0) as said:
        check_place(row, s, True)
    check_place(row, s, False)
    assert any("queued as" in text for text in said) == row.step.endswith(" 250")
    check_fate(row, lab, s)


# ---- outcomes (S3)

SERVED, WAITS = "u@one.example", "v@one.example"
LAST_CALL = {"1": "pwrite64", "2": "fdatasync", "3": "write", "4": "sendto"} # what comes behind the step


def half_served(lab, point):
    """A relay that is killed at this point, behind a session that was not."""
    s = lab.fresh()
    lab.world.sink.say["RCPT"] = lambda line: "450 4.2.1 later" if WAITS in line else "250 2.1.5 ok"
    said, = s.session(None, [([SERVED, WAITS], body_of("one"))], max_connections=0)
    assert said.startswith("250")
    s.run(point, s.postern.command("relay", "--due"))
    lab.world.sink.say.clear()
    return s


def settling(calls):
    """The calls of relay from the mark on, and the mark."""
    calls = [c for c in calls if c.role == "courier"]
    synced = next(i for i, c in enumerate(calls) if c.name == "fdatasync")
    marks = [i for i, c in enumerate(calls[:synced]) if c.name == "pwrite64" and c.argument == calls[synced].argument]
    return calls[marks[-1]:]


@pytest.mark.parametrize("row", cells("state"), ids=lambda row: row[0].split(" ")[0])
def test_outcome(lab, row):
    step, state, log, fate, _ = row
    behind = settling(half_served(lab, None).calls)
    call = next(c for c in behind if c.name == LAST_CALL[step[0]])
    s = half_served(lab, f"courier:{call.name}#{call.n}:family")
    assert any(c.result == "killed" for c in s.calls)
    message, = s.postern.messages()
    assert f"\nStates: {state}w\n".encode() in message.read_bytes()
    text = message.with_name(message.name + ".log")
    assert (text.exists() and text.read_text() != "") == SIGN[log]
    s.drain()
    times = {("one", SERVED): 1 + (step[0] == "1"), ("one", WAITS): 1}
    assert ("again" in fate) == (step[0] == "1") and arrived(lab) == times and s.leftovers() == []
