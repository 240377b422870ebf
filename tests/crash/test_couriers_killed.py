"""J6, I16: SIGKILL of a relay with several couriers at work, before and after each system call.

Mail for several domains is queued, relay --due starts a relay, and that has a courier for each domain.
One of its processes is killed, or several. Nothing is lost; twice comes only what was in flight, which
is read from the calls: what the killed process had opened and not removed. Where the keeper lives, all
goes out without the timer, but for a message at which a relay died twice.
"""
import re

import pytest

import patience
import strike
from test_points import arrived, body_of, killat, lab  # noqa: F401

DOMAINS = [f"d{i}.example" for i in range(4)]
# Some share a lane, some a file.
MESSAGES = [("one", [f"u@{d}" for d in DOMAINS]), ("two", [f"v@{d}" for d in DOMAINS[:2]]),
            ("three", ["w@d3.example"]), ("four", ["w@d2.example", "x@d2.example"])]
ALL = {(name, r): 1 for name, recipients in MESSAGES for r in recipients}
ID = re.compile(r"[0-9a-z]{20}")
NEVER_LEFT_OUT = r"(unlinkat|pwrite64)#\d:"
# Where a keeper dies it matters less what its child was about to do.
MOST = {":parent": strike.PER_ROLE // 2, ":family": strike.PER_ROLE // 2}


@pytest.fixture
def queue(lab, monkeypatch):
    """Makes a new spool with all of them queued: (striker, {id: name})."""
    monkeypatch.setattr("test_points.MESSAGES", MESSAGES) # what arrived() knows
    for d in DOMAINS:
        lab.world.domain(d)

    def queue_all():
        s = lab.fresh()
        said = s.session(None, [(r, body_of(n)) for n, r in MESSAGES], max_connections=0)
        ids = [re.search(r"queued as (\S+)", answer)[1] for answer in said]
        return s, dict(zip(ids, [name for name, _ in MESSAGES]))
    return queue_all


def due(s, point):
    s.run(point, s.postern.command("relay", "--due"))
    return s.calls


def in_flight(calls, ids, family=False):
    """What processes that were killed had in flight: {(name of the message, lane)}."""
    found, names = set(), {}
    killed = {c.pid for c in calls if c.result == "killed"}
    if family:
        killed = {c.pid for c in calls if c.role in ("worker", "courier", "alone")}
    for c in calls:
        if c.pid not in killed:
            continue
        lane = names.get((c.pid, c.argument))
        if c.name == "openat" and c.result.isdigit():
            names[c.pid, int(c.result)] = c.path
            if ID.fullmatch(c.path):
                found.add((ids[c.path], lane))
        elif c.name == "unlinkat" and c.result == "0" and c.path in ids:
            found.discard((ids[c.path], lane))
    return found


def twice(times):
    """What came more than once: {(name of the message, lane)}; how often."""
    many = {key: n for key, n in times.items() if n > 1}
    return {(name, r.split("@")[1]) for (name, r) in many}, max(many.values(), default=1)


def check(lab, s, point, flying, left):
    """What is wrong, in words. `left`: what of the queue may have waited for the timer, a number."""
    waits = s.postern.messages()
    if len(waits) > left:
        return f"{point}: not delivered: {waits}"
    s.drain()
    if s.leftovers():
        return f"{point}: left in the lanes: {s.leftovers()}"
    times = arrived(lab)
    if set(times) != set(ALL):
        return f"{point}: lost {set(ALL) - set(times)}"
    repeated, most = twice(times)
    if not repeated <= flying or most > 1 + s.struck:
        return f"{point}: twice {repeated}, {most} times; in flight was {flying}"
    return None


def try_point(lab, queue, point, left):
    """Returns (how many processes were killed at it, what is wrong)."""
    s, ids = queue()
    calls = due(s, point)
    s.struck = s.strikes()
    why = check(lab, s, point, in_flight(calls, ids, ":family" in point), left)
    return s.struck, why and f"{why}\n{s.postern.logged()}"


def try_all(lab, queue, points, strikes, left):
    wrong, hits = [], 0
    for point in points:
        struck, why = try_point(lab, queue, point, left)
        hits += struck == strikes
        wrong += [why] if why else []
    assert not wrong, "\n".join(wrong)
    assert hits >= len(points) * 2 // 3, f"{hits} of {len(points)} were reached" # their number varies
    print(f"{hits} of {len(points)}")


def meet(calls):
    """Are three couriers at work at the same time?"""
    mine = [c for c in calls if c.role == "courier"]
    threads = list(dict.fromkeys(c.thread for c in mine))[:3]
    last = min(max(i for i, c in enumerate(mine) if c.thread == t) for t in threads)
    return len(threads) == 3 and {c.thread for c in mine[:last]} >= set(threads)


@pytest.fixture
def watched(lab, queue):
    """The calls of an undisturbed run in which couriers meet, as they do most times."""
    def run():
        s, ids = queue()
        calls = due(s, None)
        assert arrived(lab) == ALL and in_flight(calls, ids) == set()
        return calls if meet(calls) else None
    return patience.until(run)


@pytest.mark.parametrize("role, first, whens", [
    ("courier", None, (":enter", ":exit")), ("worker", "landlock_restrict_self", (":enter", ":exit")),
    ("courier", None, (":parent",)), ("courier", None, (":family",)),
    ("keeper", "socketpair", (":enter", ":exit"))], ids=["courier", "worker", "its-keeper", "both", "keeper"])
def test_killed(lab, queue, watched, role, first, whens):
    """The relay at work dies in a courier, or in its first thread; the keeper dies and it lives; both do."""
    points = strike.sample(strike.points(watched, role, first, whens), NEVER_LEFT_OUT, MOST.get(whens[0], strike.PER_ROLE))
    everything = sum(len({r.split("@")[1] for r in recipients}) for _, recipients in MESSAGES)
    left = everything if role == "keeper" or ":family" in whens else 0
    try_all(lab, queue, points, 1, left)


def test_fault(lab, queue):
    """Must show 7: SIGSEGV in a courier. All goes out within one restart, and what that one had in hand
    is known by name: it alone is tried alone."""
    s, ids = queue()
    calls = due(s, "courier:pwrite64#1:fault")
    text = s.postern.logged()
    assert "the relay at work died by signal 11; another one goes on" in text
    courier = next(c.thread for c in calls if c.result == "killed")
    mine = [c.path for c in calls if c.thread == courier and c.name == "openat" and c.path in ids]
    assert re.findall(r"(\w{20}): a relay died with it in hand", text) == mine[-1:]
    assert s.postern.messages() == [] and arrived(lab) == ALL
    assert {c.pid for c in calls if c.role == "worker"} > {c.pid for c in calls if c.result == "killed"}


# ---- alone

SUSPECT = "courier:pwrite64#1:fault" # some courier has noted that it sends a message


@pytest.mark.parametrize("when, left", [(":enter", 1), (":exit", 1), (":parent", 9), (":family", 9)])
def test_killed_alone(lab, queue, when, left):
    """The process that tries a suspect alone dies, or its keeper, or all of them."""
    s, _ = queue()
    calls = due(s, SUSPECT)
    assert s.postern.logged().count("it is tried alone") == 1 and s.postern.messages() == []
    points = strike.points(calls, "alone", "landlock_restrict_self", (when,))
    points = [f"{SUSPECT} {p}" for p in strike.sample(points, NEVER_LEFT_OUT, MOST.get(when, strike.PER_ROLE))]
    try_all(lab, queue, points, 2, left)


def test_alone_dies_with_its_keeper(queue):
    """Or nobody would know that it has the message, and another would send it at the same time."""
    s, _ = queue()
    calls = due(s, f"{SUSPECT} alone:connect#1:parent")
    assert s.strikes() == 2
    alone = [c for c in calls if c.role == "alone"]
    struck = next(i for i, c in enumerate(alone) if c.result == "killed")
    assert [c for c in alone[struck + 1:] if c.name != "connect"] == []
