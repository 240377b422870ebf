"""J1 to J5, J10, J11: each system call of session and relay made to fail in turn.

Session: a failure is answered 451 or 452 and leaves nothing in the lanes; a message answered 250
arrives. Never a 250 after a sync that failed, never a second sync of that file. Relay: a failure
costs at worst a duplicate, never a message.
"""
import re

import pytest

import strike
import test_points
from test_points import arrived, body_of, check_report, killat, lab  # noqa: F401

FULL = [(["u@one.example", "u@two.example"], body_of("one"))]


def spool_calls(calls):
    """The calls of a session that touch the spool, by what they do; J3: `write` is the draft's."""
    mine = [c for c in calls if c.role == "session"]
    start = next(i for i, c in enumerate(mine) if c.name == "seccomp")
    mine = mine[start:]
    commit = [c for c in mine if c.name == "fsync"]
    name = next(c for c in mine if c.name in ("renameat", "renameat2", "linkat"))
    draft = next(c for c in commit if mine.index(c) > mine.index(name) and any(
        w.name == "write" and w.argument == c.argument for w in mine[:mine.index(name)]))
    wanted = ("openat", "fcntl", "fsync", "linkat", "renameat", "mkdirat", "mknodat")
    return [c for c in mine if c.name in wanted or
            (c.name == "write" and c.argument == draft.argument)]


def second_sync(calls):
    """
    A sync, in this process and of this open file, after one that failed (fsyncgate). A directory in
    which something new was made meanwhile is another matter.
    """
    failed = set()
    for c in calls:
        key = (c.pid, c.argument)
        if c.name in ("close", "mkdirat"):
            failed.discard(key)
        elif c.name in ("fsync", "fdatasync"):
            if key in failed:
                return True
            if c.result.startswith("-"):
                failed.add(key)
    return False


def check_session(lab, s, point, said):
    """What is wrong after a session with a fault, in words."""
    queued = said is not None and said.startswith("250")
    if said is None or not re.match(r"250|45[12] ", said):
        return f"{point}: answered {said!r}"
    if not queued and s.leftovers():
        return f"{point}: answered {said!r}, but in the lanes: {s.leftovers()}"
    if not queued and list((s.postern.spool / "tmp").iterdir()):
        return f"{point}: answered {said!r}, but something is left in tmp/"
    if second_sync(s.calls):
        return f"{point}: synced again after a failure"
    s.drain()
    if s.leftovers():
        return f"{point}: cannot be delivered: {s.leftovers()}"
    want = {("one", r): 1 for r in FULL[0][0]} if queued else {}
    got = arrived(lab)
    return None if got == want else f"{point}: answered {said!r}, arrived: {got}"


def watched_session(lab):
    s = lab.fresh()
    assert s.session(None, FULL)[0].startswith("250")
    return s.calls


# fault ids, call, error, what must be answered (None: either, if kept)
FAULTS = [
    ("J1", "fsync", "EIO", "451"),
    ("J1", "fsync", "ENOSPC", "452"),
    ("J1", "fsync", "EDQUOT", "452"),
    ("J3", "write", "ENOSPC", "452"),
    ("J5", "write", "EFBIG", "452"),
    ("J4", "mkdirat", "ENOSPC", "452"),
    ("J4", "openat", "ENOSPC", None),
    ("J4", "mknodat", "ENOSPC", "250"), # it has been synced before
    ("J5", "openat", "EMFILE", None),
    ("J5", "linkat", "ENOSPC", "452"),
    ("J5", "linkat", "EMLINK", "451"),
    ("J5", "renameat", "EDQUOT", "452"),
    ("J5", "renameat", "EXDEV", "451"),
    ("J5", "fcntl", "ENOLCK", None),
    ("J11", "openat", "EROFS", None),
    ("J11", "mkdirat", "EROFS", "451"),
]


@pytest.mark.parametrize("ids, call, error, code", FAULTS, ids=lambda v: str(v))
def test_session_fault(lab, ids, call, error, code):
    """Each such call of a session on the way to its 250, one after the other (J2: of a lane too)."""
    numbers = sorted({c.n for c in spool_calls(watched_session(lab)) if c.name == call})
    assert numbers, f"the session makes no {call}"
    wrong = []
    for n in numbers:
        s = lab.fresh()
        point = f"session:{call}#{n}={error}"
        said = s.session(point, FULL)[0]
        if not s.hit(point):
            wrong.append(f"{point}: was not reached")
            continue
        wrong += filter(None, [check_session(lab, s, point, said)])
        if code is not None and (said or "")[:3] != code:
            wrong.append(f"{point}: answered {said!r} and not {code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call, error", [
    ("write", "ENOSPC"), ("fsync", "EIO"), ("openat", "EMFILE"), ("openat", "EROFS")])
def test_session_goes_on(lab, call, error):
    """J1, J3: a fault that lasts refuses every message of the session, in order and without a mess."""
    first = min(c.n for c in spool_calls(watched_session(lab)) if c.name == call)
    s = lab.fresh()
    said = s.session(f"session:{call}#{first}+={error}", FULL * 2)
    assert all(a is not None and re.match("45[12] ", a) for a in said), said
    assert s.leftovers() == [] and not second_sync(s.calls)
    assert list((s.postern.spool / "tmp").iterdir()) == []
    assert s.session(None, FULL)[0].startswith("250")  # and it is over when the fault is
    s.drain()
    assert set(arrived(lab)) == {("one", r) for r in FULL[0][0]}


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_monitor_fault(lab, error):
    """A spool that cannot be prepared is said before anything else, and nothing is accepted."""
    s = lab.fresh()
    point = f"monitor:fsync#1={error}"
    assert s.session(point, FULL)[0] is None
    assert s.hit(point) and s.leftovers() == []


# What relay calls in any case, and besides that to put off and to report.
RELAY_FAULTS = [("openat", "EMFILE"), ("openat", "EROFS"), ("write", "ENOSPC"), ("unlinkat", "EIO"),
                ("unlinkat", "EROFS"), ("pread64", "EIO"), ("getdents64", "EIO"), ("fcntl", "ENOLCK"),
                ("connect", "ENOMEM")]
NOTE_FAULTS = [("openat", "EMFILE"), ("openat", "EROFS"), ("write", "ENOSPC"), ("pwrite64", "ENOSPC"),
               ("fdatasync", "EIO"), ("utimensat", "EROFS")]
REPORT_FAULTS = [*RELAY_FAULTS, ("fsync", "EIO"), ("renameat", "EDQUOT")]


def wakes(calls):
    """Writes that no disk has anything to do with: one thread wakes another by them."""
    made = {(c.pid, c.result) for c in calls if c.name == "eventfd2"}
    return {c for c in calls if c.name == "write" and (c.pid, str(c.argument)) in made}


def relay_points(calls, call, error):
    of_disk = [c for c in calls if c not in wakes(calls)]
    return strike.points(of_disk, "courier", None, (f"={error}",), skip=[
        c.name for c in calls if c.name != call])


def take_some(points):
    return points if len(points) <= 8 else points[:4] + points[len(points) // 2:][:2] + points[-2:]


@pytest.mark.parametrize("call, error", RELAY_FAULTS)
def test_relay_fault(lab, call, error):
    """J10: what was accepted arrives; a fault while that is written down may send it again."""
    watched = lab.fresh()
    watched.session(None, FULL)
    wrong, points = [], take_some(relay_points(watched.calls, call, error))
    assert points, f"relay calls no {call}"
    for point in points:
        s = lab.fresh()
        said = s.session(point, FULL)[0]
        assert said.startswith("250")
        s.drain()
        lost = {("one", r) for r in FULL[0][0]} - set(arrived(lab))
        aside = list((s.postern.spool / "aside").glob("*"))
        if lost or s.leftovers() or aside:
            wrong.append(f"{point}: lost {lost}, left {s.leftovers()}, aside {aside}")
    assert not wrong, "\n".join(wrong)


def put_off_run(lab, point):
    """A message with a recipient who is served and one who is put off."""
    s = lab.fresh()
    lab.world.sink.say["RCPT"] = lambda line: "450 4.2.1 later" if "v@one" in line else "250 2.1.5 ok"
    said = s.session(point, [(["u@one.example", "v@one.example"], body_of("one"))])[0]
    assert said.startswith("250")
    lab.world.sink.say.clear()
    return s


@pytest.mark.parametrize("call, error", NOTE_FAULTS)
def test_note_fault(lab, call, error):
    """J10: who was served cannot be written down: at worst that one gets it twice, and the other one gets it."""
    watched = put_off_run(lab, None)
    wrong, points = [], relay_points(watched.calls, call, error)
    assert points, f"relay calls no {call} while it puts off"
    for point in points:
        s = put_off_run(lab, point)
        s.drain()
        times = arrived(lab)
        if s.leftovers() or set(times) != {("one", "u@one.example"), ("one", "v@one.example")} or \
                times["one", "v@one.example"] > 1:
            wrong.append(f"{point}: arrived {times}, left {s.leftovers()}")
    assert not wrong, "\n".join(wrong)


def marks(calls):
    """The numbers of the calls that write a state of the message: before it is sent, and after."""
    synced = next(c for c in calls if c.role == "courier" and c.name == "fdatasync")
    return [c.n for c in calls if c.role == "courier" and c.pid == synced.pid and
            (c.name, c.argument) == ("pwrite64", synced.argument)]


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EIO", "EROFS"])
@pytest.mark.parametrize("sent", [False, True])
def test_nothing_can_be_marked(lab, error, sent):
    """
    S3: who has the message cannot be written down, in run after run. If that shows before it is sent,
    nobody gets it; if only then, nobody gets it again.
    """
    before, after = marks(put_off_run(lab, None).calls)
    s = put_off_run(lab, f"courier:pwrite64#{after if sent else before}+={error}")
    for log in s.postern.spool.glob("lane/*/*.log"): # where that is said too
        log.unlink()
    for _ in range(3):
        s.postern.make_due()
        s.run(f"courier:pwrite64#1+={error}", s.postern.command("relay", "--due"))
    assert arrived(lab) == ({("one", "u@one.example"): 1} if sent else {}), s.postern.logged()
    assert "could not be written down" in s.postern.logged()
    s.drain()
    assert arrived(lab) == {("one", "u@one.example"): 1 + sent, ("one", "v@one.example"): 1}
    assert s.leftovers() == []


@pytest.mark.parametrize("call, error", REPORT_FAULTS)
def test_report_fault(lab, call, error):
    """E16: the report cannot be queued: the message stays, and the next attempt reports."""
    watched, _ = test_points.bounce_run(lab, None)
    wrong, points = [], take_some(relay_points(watched.calls, call, error))
    assert points, f"relay calls no {call} while it reports"
    for point in points:
        s, said = test_points.bounce_run(lab, point)
        wrong += filter(None, [check_report(lab, s, point, said)])
    assert not wrong, "\n".join(wrong)
