"""J6, I16, I20: SIGKILL of session, monitor or relay before and after each system call.

Of a relay: of the process that stays (keeper), of the one at work (worker), of this in one of its
couriers. More of these in test_couriers_killed.py. After each kill `relay --due` must deliver, whole and
at least once, what had been answered 250; what had not may arrive or not, but only whole; nothing that is
not a message may remain in the lanes.
A kill is also what the kernel does when memory runs out (I20).
"""
import hashlib
import re
import socket
import threading

import pytest

import patience
import strike
from conftest import Postern

BODY = "Subject: {0}\r\n\r\n" + "".join(f"line {i} of {{0}}\r\n" for i in range(4000))
MESSAGES = [("one", ["u@one.example", "u@two.example"]), ("two", ["v@one.example"])]
SETTINGS = {"retry": "1h"} # drain() says when a wait is over


@pytest.fixture(scope="module")
def killat(tmp_path_factory):
    return strike.build_killat(tmp_path_factory.mktemp("killat"))


class Lab:
    """Makes a new spool for each try; all use the same internet."""

    def __init__(self, killat, postern, world):
        self.killat, self.postern, self.world, self.n = killat, postern, world, 0
        for d in ("one.example", "two.example"):
            world.domain(d)

    def fresh(self):
        where = self.postern.where / f"try{self.n}"
        self.n += 1
        where.mkdir(mode=0o755)
        p = Postern(where)
        p.settings.update(self.world.settings())
        p.settings.update(SETTINGS)
        self.hang_up()
        with self.world.sink.lock:
            self.world.sink.messages.clear()
        return strike.Striker(self.killat, p)

    def hang_up(self):
        """Until the sink has read the last of what a killed relay sent, and taken it or not."""
        patience.until(lambda: not self.world.sink.open)


@pytest.fixture
def lab(killat, postern, world):
    return Lab(killat, postern, world)


def body_of(name):
    return BODY.format(name)


def arrived(lab):
    """{(message, recipient): times}; fails at once if something came that nobody sent."""
    digests = {hashlib.sha256(body_of(n).encode()).hexdigest(): n for n, _ in MESSAGES}
    times = {}
    lab.hang_up()
    for m in lab.world.sink.messages:
        head, _, body = m.data.partition(b"+0000\r\n")
        digest = hashlib.sha256(body).hexdigest()
        assert head.startswith(b"Received: ") and digest in digests, \
            f"torn: {len(m.data)} octets to {m.recipients}"
        for r in m.recipients:
            times[digests[digest], r] = times.get((digests[digest], r), 0) + 1
    return times


def trouble(lab, s, point, answers):
    """What is wrong after this kill, in words; None if nothing is."""
    s.drain()
    if s.leftovers():
        return f"{point}: left in the lanes: {s.leftovers()}"
    try:
        times = arrived(lab)
    except AssertionError as e:
        return f"{point}: {e}"
    for (name, recipients), said in zip(MESSAGES, answers):
        got = [times.get((name, r), 0) for r in recipients]
        if said is not None and said.startswith("250") and 0 in got:
            return f"{point}: lost: {name} was answered {said!r}, arrived {got} times"
        if max(got) > 1 and not point.startswith(("worker", "courier")):
            return f"{point}: {name} arrived {got} times though no relay was killed"
    return None


def kill_at(lab, point):
    s = lab.fresh()
    answers = s.session(point, [(r, body_of(n)) for n, r in MESSAGES])
    reached = any(c.result == "killed" for c in s.calls)
    why = trouble(lab, s, point, answers)
    return reached, why and f"{why}\n{s.postern.logged()}"


# role, its first call that counts (the others are the loader's), what is never left out
ROLES = [
    ("session", "landlock_restrict_self", r"(fsync|linkat|renameat|mkdirat)#"),
    ("monitor", "socketpair", r"(clone|fork|recvmsg|fcntl)#"),
    ("keeper", "socketpair", r"(clone|poll|wait4|getdents64|unlinkat)#"),
    ("worker", "landlock_restrict_self", r"(openat|clone|poll|close)#"),
    ("courier", None, r"(unlinkat|connect|pwrite64)#"),
]


@pytest.mark.parametrize("role, first, keep", ROLES, ids=[r[0] for r in ROLES])
def test_killed(lab, role, first, keep):
    """Must show 4: at least 20 named points of each role."""
    watched = lab.fresh()
    assert all(a.startswith("250") for a in watched.session(
        None, [(r, body_of(n)) for n, r in MESSAGES]))
    points = strike.points(watched.calls, role, first)
    hits, wrong, missed = 0, [], []
    for point in strike.sample(points, keep):
        reached, why = kill_at(lab, point)
        hits += reached
        if not reached:
            missed.append(point)
        if why:
            wrong.append(why)
    assert not wrong, "\n".join(wrong)
    assert hits >= 20, f"only {hits} of the points were reached; not: {missed}"
    print(f"{role}: {hits} points of {len(points)}, not reached: {missed}")


@pytest.mark.parametrize("point", ["due:fcntl#2:enter", "launch:execve#1:enter",
                                   "launch:setsid#1:exit", "keeper:clone#1:enter", "keeper:poll#1:enter",
                                   "courier:sendto#3:family"])
def test_killed_by_the_timer(lab, point):
    """I16: the locks of a killed `relay --due`, and of what it started, are free again."""
    s = lab.fresh()
    answers = s.session(None, [(r, body_of(n)) for n, r in MESSAGES], max_connections=0)
    assert all(a.startswith("250") for a in answers)
    assert len(s.postern.messages()) == 3
    s.run(point, s.postern.command("relay", "--due"))
    assert any(c.result == "killed" for c in s.calls)
    why = trouble(lab, s, point, answers)
    assert why is None, why


def bounce_run(lab, point):
    """A message whose recipient is refused for good; reports that came to the sender."""
    s = lab.fresh()
    lab.world.sink.say["RCPT"] = \
        lambda line: "550 5.1.1 no such user" if "u@one" in line else "250 2.1.5 ok"
    answers = s.session(point, [(["u@one.example"], body_of("one"))])
    return s, answers[0]


def reports(lab):
    return [m for m in lab.world.sink.messages if m.sender == ""]


def check_report(lab, s, point, said):
    s.drain()
    if s.leftovers():
        return f"{point}: left in the lanes: {s.leftovers()}"
    if said is None or not said.startswith("250"):
        return None
    whole = [m for m in reports(lab) if b"550 5.1.1" in m.data and
             m.recipients == ["a@sender.example"] and
             re.search(rb"\r\n--[^\r\n]+--(\r\n)*\Z", m.data)]
    if len(whole) != len(reports(lab)):
        return f"{point}: a torn report"
    return None if whole else f"{point}: no report, and the message is gone"


def test_killed_while_reporting(lab):
    """E16: the original stays until the report of its failure is durable."""
    watched, said = bounce_run(lab, None)
    assert check_report(lab, watched, None, said) is None
    watched, _ = bounce_run(lab, None)
    every = strike.points(watched.calls, "courier", "connect")
    wrong, hits = [], 0
    for point in strike.sample(every, r"(fsync|linkat|renameat|unlinkat)#"):
        s, said = bounce_run(lab, point)
        hits += any(c.result == "killed" for c in s.calls)
        wrong += filter(None, [check_report(lab, s, point, said)])
    assert not wrong, "\n".join(wrong)
    assert hits >= 15, hits


@pytest.mark.parametrize("end", [b"", b".", b".\r", b".\r\n"], ids=["none", "dot", "dot-cr", "all"])
def test_client_gone(lab, end):
    """C15, C16: the client is gone before its 250; queued once if its end had come, else not."""
    s = lab.fresh()
    ours, theirs = socket.socketpair()

    def talk():
        """Waits for 354, sends the message, and is gone."""
        with ours:
            client = strike.Client(ours)
            client.reply()
            for line in ("EHLO c.example", "MAIL FROM:<a@sender.example>",
                         "RCPT TO:<v@one.example>", "DATA"):
                client.ask(line)
            ours.sendall(body_of("two").encode() + end)

    talker = threading.Thread(target=talk)
    talker.start()
    s.run(None, s.postern.command("smtpd"), theirs)
    talker.join(patience.PATIENCE)
    assert not talker.is_alive()
    s.drain()
    s.postern.rested()
    assert s.leftovers() == []
    assert arrived(lab) == ({("two", "v@one.example"): 1} if end == b".\r\n" else {})
