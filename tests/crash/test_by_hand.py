"""docs/QUEUE.md, "By hand": hold, release, remove and bounce, killed at each call that changes the queue.

After the kill each recipient of each message has it waiting, held, delivered or returned as the row of the command
says, and the same command once more does the rest.
"""
import json
import re

import pytest

import spoolfile
from test_points import arrived, body_of, killat, lab  # noqa: F401 pylint: disable=unused-import
import strike

CHANGES = re.compile(r"^admin:(linkat|renameat|unlinkat|fsync|fdatasync|pwrite64|mkdirat|utimensat|write)#")
RECIPIENTS = ["u@one.example", "u@two.example"]


def queued(lab):
    """A spool with a message for two lanes, that was put off in the first of them."""
    s = lab.fresh()
    s.postern.send(RECIPIENTS, body_of("one").replace("\r\n", "\n"), max_connections=0)
    for path in s.postern.messages():
        log = path.with_name(path.name + ".log")
        log.write_text("1 soft 2 450 later\n")
        spoolfile.shutil.chown(log, *[s.postern.spool.stat().st_uid] * 2)
    return s


def do(s, point, *words):
    s.run(point, s.postern.command("postern", *words, max_connections=0))


def places(s):
    """{lane: where its name is: "lane", "held"}, each once; all of the message is there."""
    found = {}
    for kind in ("lane", "held"):
        for path in (s.postern.spool / kind).glob("*/*"):
            if len(path.name) == 20:
                assert path.parent.name not in found, "it has two names in a lane"
                found[path.parent.name] = kind
                spoolfile.SpoolFile(path)
    return found


def logs(s):
    """Lanes whose message has its log beside it."""
    return {path.parent.name for kind in ("lane", "held") for path in (s.postern.spool / kind).glob("*/*.log")
            if path.with_suffix("").exists() and path.read_text().startswith("1 soft 2")}


def points(lab, prepare, words):
    s = queued(lab)
    for command in prepare:
        do(s, None, *command)
    do(s, None, *words)
    first = next(i for i, c in enumerate(s.calls) if c.role == "admin" and c.name in ("mkdirat", "linkat", "unlinkat", "write"))
    calls = [c for c in s.calls[first:] if c.role == "admin"]
    names = dict.fromkeys(f"admin:{c.name}#{c.n}" for c in calls)
    found = [n for n in names if CHANGES.match(n)]
    assert len(found) >= 4, names
    return [found[0] + ":enter", *(n + ":exit" for n in found)]


LANES = {"one.example", "two.example"}
MOVES = [([], "hold", "held"), ([("hold", "--all", "--yes")], "release", "lane")]


@pytest.mark.parametrize("prepare, verb, to", MOVES, ids=[m[1] for m in MOVES])
def test_moved(lab, prepare, verb, to):
    """It has one of the two names, whole, with its log; the same once more, and it is where it should be."""
    words = (verb, "--all", "--yes")
    for point in points(lab, prepare, words):
        s = queued(lab)
        for command in prepare:
            do(s, None, *command)
        do(s, point, *words)
        assert s.strikes() == 1, point
        assert set(places(s)) == LANES == logs(s), (point, places(s), logs(s))
        do(s, None, *words)
        assert places(s) == dict.fromkeys(LANES, to) and logs(s) == LANES, point


def test_removed(lab):
    """In each lane it is there as it was, or it is gone."""
    words = ("remove", "--all", "--yes")
    for point in points(lab, [], words):
        s = queued(lab)
        do(s, point, *words)
        assert set(places(s)) <= LANES and set(places(s).values()) <= {"lane"}, point
        do(s, None, *words)
        assert places(s) == {} and s.leftovers() == [] or point, s.leftovers()


def test_bounced(lab):
    """Nobody is forgotten: who does not get it, his sender is told. Whose report was durable, and who was not
    marked yet, may get it besides."""
    lab.world.domain("sender.example")
    words = ("bounce", "--all", "--yes")
    for point in strike.sample(points(lab, [], words), r"(pwrite64|fdatasync|unlinkat|renameat)#"):
        s = queued(lab)
        do(s, point, *words)
        assert s.strikes() == 1, point
        s.drain()
        told = "".join(m.data.decode("latin-1") for m in lab.world.sink.messages if m.sender == "")
        lab.world.sink.messages[:] = [m for m in lab.world.sink.messages if m.sender != ""]
        times = arrived(lab)
        for r in RECIPIENTS:
            assert times.get(("one", r), 0) <= 1, point
            assert times.get(("one", r)) or f"Final-Recipient: rfc822; {r}" in told, (point, r, json.dumps(s.leftovers()))
        assert s.leftovers() == [], point
