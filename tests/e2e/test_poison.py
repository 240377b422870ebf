"""A message with which relay dies: it stops nobody, is known by name, and waits longer each time (I14, I19, M12)."""
import os
import re
import shutil
import signal
import subprocess

import pytest

import patience
import proc
import spoolfile
from conftest import TOP

MODES = {"lock-step": (), "groups": ("PIPELINING",), "window": ("PIPELINING", "CHUNKING")}
DIED = "the relay at work died by signal"
SUSPECT = "a relay died with it in hand; it is tried alone"
PUT_OFF = r"a relay died with it in hand; next try in (\d+) s"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    where = tmp_path_factory.mktemp("mortal")
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-shared",
                    "-fPIC", "-o", str(where / "mortal.so"), str(TOP / "tests/tools/mortal.c")], check=True)
    return where / "mortal.so"


class Poison:
    """Relays that die of what a host says (mortal.c), and d.example, whose host says it to a recipient poison@."""

    def __init__(self, postern, world):
        self.postern, self.sink = postern, world.sink
        self.seen, self.end = [], "a fault"
        world.domain("d.example")
        postern.settings.update(retry="1h 10h", timeout_data_end="1h", timeout_rcpt="1h")
        self.sink.say["RCPT"] = self.rcpt

    def rcpt(self, line):
        if "<poison" not in line:
            return "250 2.1.5 ok"
        self.seen.append(self.postern.at_work())
        return f"250 2.1.5 die of {self.end}"

    def kill(self, line):
        """What it says, when somebody kills who hears of poison@; the one that tries alone is the younger one."""
        said = self.rcpt(line)
        if "die" not in said:
            return said
        os.kill(self.youngest(), signal.SIGKILL)
        return None

    def youngest(self):
        """Of those that were at work when the last poison@ was heard of."""
        return max(self.seen[-1], key=lambda pid: proc.birth(pid)[1:])

    def queue(self, *users):
        """One message to each; their ids."""
        ids = []
        for user in users:
            said = self.postern.send(f"{user}@d.example" if "@" not in user else user, max_connections=0)
            ids.append(re.search(r"queued as ([0-9a-z]{20})", said)[1])
        return ids

    def due(self, waiting=0):
        self.postern.make_due()
        self.postern.due()
        return self.postern.settled(waiting)

    def cure(self):
        del self.sink.say["RCPT"]

    def arrived(self):
        return sorted(r.partition("@")[0] for m in self.sink.messages for r in m.recipients)

    def waits(self, ident):
        """How long each time, as the log says."""
        return [int(s) for s in re.findall(f"{ident}: {PUT_OFF}", self.postern.logged())]


def is_about(seconds, expected):
    """Of a wait a tenth may be missing, and what passed until somebody said how long it is."""
    return expected * 0.9 - patience.PATIENCE <= seconds <= expected


@pytest.fixture
def poison(postern, world, library):
    if postern.watched():
        pytest.skip("its checker reads before the library that makes it die")
    mine, wrapper = postern.where / library.name, postern.where / "relay"
    shutil.copy(library, mine)
    wrapper.write_text(f'#!/bin/bash\nexport LD_PRELOAD={mine}\nexec -a relay {postern.build / "relay"} "$@"\n')
    wrapper.chmod(0o755)
    postern.settings["relay_path"] = wrapper
    return Poison(postern, world)


@pytest.mark.parametrize("mode", MODES)
def test_it_stops_nobody(poison, postern, world, mode):
    """I14, I19, M12: the whole story. At the first death the others go on within one restart, and what the courier
    at fault had in hand is tried alone, each in a process of its own; at the second the one is put off, further
    each time, and it is tried alone for ever after."""
    world.domain("e.example", "127.0.0.3")
    other = world.another("127.0.0.3")
    poison.sink.ehlo = MODES[mode]

    def rcpt(line):
        if "<poison" in line and not poison.seen: # the other courier has its message in hand
            patience.until(lambda: any(x.startswith("RCPT") for x in other.lines))
        return poison.rcpt(line)
    poison.sink.say["RCPT"] = rcpt
    _, bad, *_ = poison.queue("a", "poison", "b", "c@e.example")
    with other.held("RCPT", "250 ok"): # what another courier has in hand is no suspect
        postern.due()
        postern.wait_logged(f"{bad}: a relay died with it in hand; next try")
        other.wait_lines(2)
        # Others that were on their way with it are tried alone, too, one after the other.
        patience.until(lambda: len(postern.at_work()) == 1 and len(postern.relays()) == 2)
    log = postern.settled(1)
    if mode == "lock-step":
        assert poison.arrived() == ["a", "b"]
    else: # what was on its way may come twice, and to be taken by the host before we die of its answer (RFC 1047)
        assert set(poison.arrived()) - {"poison"} == {"a", "b"}
    assert log.count(DIED) == 1 and f"{DIED} 11; another one goes on" in log
    assert f"{bad}: {SUSPECT}" in log and (mode != "lock-step" or log.count(SUSPECT) == 1)
    assert other.connections == 2 and len(other.messages) == 1
    first, second = poison.seen
    assert len(first) == 1 and len(second) == 2 and not set(first) & set(second)
    assert [is_about(s, 3600) for s in poison.waits(bad)] == [True]
    poison.queue("d")
    for n in range(2, 4): # alone from the beginning, while another relay is at work
        poison.due(1)
        assert len(poison.seen) == n + 1 and len(poison.seen[-1]) == 2
        assert [is_about(s, 36000) for s in poison.waits(bad)[1:]] == [True] * (n - 1)
    poison.cure()
    log = poison.due()
    assert set(poison.arrived()) == {"a", "b", "d", "poison"} and log.count(DIED) == 1


def test_too_old(poison, postern, world):
    """I14, R55: no relay that dies of it can give it up; the next one does, without a further try."""
    world.domain("sender.example", "127.0.0.4")
    back = world.another("127.0.0.4")
    postern.settings["expire"] = "1d"
    poison.queue("poison")
    for _ in range(3):
        poison.due(1)
    tried = len(poison.seen)
    spoolfile.elapse(postern.spool, 86401)
    log = poison.due()
    assert len(poison.seen) == tried and not poison.sink.messages
    assert ": bounced <poison@d.example>" in log
    [report] = back.messages
    assert b"Status: 5.4.7" in report.data and b"a relay died with it in hand" in report.data


def test_it_is_not_due_while_it_waits(poison, postern):
    """M12: it is not tried before its time, and the lane with it; here it is an assertion that ends the relay."""
    poison.end = "an assertion"
    poison.queue("poison")
    postern.due()
    postern.settled(1)
    assert len(poison.seen) == 2 and postern.logged().count(DIED) == 1
    postern.due()
    postern.settled(1)
    poison.queue("a")
    postern.due()
    postern.settled(1)
    assert len(poison.seen) == 2 and poison.arrived() == ["a"]


def test_killed_once_is_chance(poison, postern):
    """I14, I20: however much was written down of a message, one death with it in hand does not put it off."""
    poison.sink.say["RCPT"] = lambda line: "450 4.2.1 not now" if "<u0@" in line else "250 ok"
    postern.send([f"u{i}@d.example" for i in range(30)])
    assert postern.settled(1).count(": delivered") == 29
    died = []

    def once(line):
        died.append(line)
        return poison.kill("<poison") if len(died) == 1 else "250 ok"
    poison.sink.say["RCPT"] = once
    log = poison.due()
    assert len(died) == 2 and log.count(DIED) == 1 and "in hand" not in log


def test_killed_by_somebody(poison, postern, world):
    """I14: where it is not known which courier is at fault, what any of them has in hand twice is tried alone, and only
    the one with which that dies, too, is put off."""
    world.domain("e.example", "127.0.0.3")
    other = world.another("127.0.0.3")

    def rcpt(line):
        if "<poison" in line and len(poison.seen) < 2: # both have theirs in hand
            patience.until(lambda: sum(x.startswith("RCPT") for x in other.lines) > len(poison.seen))
        return poison.kill(line)
    poison.sink.say["RCPT"] = rcpt
    bad, good = poison.queue("poison", "c@e.example")
    with other.held("RCPT", "250 ok"):
        postern.due()
        log = postern.wait_logged(SUSPECT, 2)
        assert log.count(DIED) == 2 and f"{bad}: {SUSPECT}" in log and f"{good}: {SUSPECT}" in log
    log = postern.settled(1)
    assert log.count(DIED) == 2 and len(poison.waits(bad)) == 1 and not poison.waits(good)
    assert len(other.messages) == 1


def test_many(poison, postern):
    """I14: more of them than relays may die in a row that nothing explains. Each costs one restart, and all others go."""
    users = [f"poison{i}" for i in range(24)]
    bad = poison.queue(*users)
    poison.queue("a")
    poison.sink.ehlo = ()
    postern.due()
    log = postern.settled(len(users))
    assert poison.arrived() == ["a"]
    assert log.count(DIED) == len(users) and all(len(poison.waits(ident)) == 1 for ident in bad)


def test_death_with_nothing_in_hand(poison, postern):
    """I14: nobody is suspect, and another relay goes on."""
    poison.sink.say["QUIT"] = "221 2.0.0 die of a fault"
    poison.queue("a", "b")
    postern.due()
    log = postern.settled()
    assert poison.arrived() == ["a", "b"] and SUSPECT not in log
    assert log.count(DIED) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_an_operator(number, poison, postern, world):
    """Who is asked to end has not died of anything: nobody is suspect, no other relay is started, and the mail is due."""
    poison.cure()
    with world.sink.held("RCPT", "250 ok"):
        postern.send("a@d.example")
        world.sink.wait_lines(2)
        [relay] = postern.wait_at_work()
        os.kill(relay, number)
        log = postern.settled(1)
    assert DIED not in log and SUSPECT not in log
    postern.due()
    postern.settled()
    assert poison.arrived() == ["a"]


def test_trial_ended_by_an_operator(poison, postern):
    """The same of one that tries a message alone: that is not put off, and is tried again."""
    def rcpt(line):
        said = poison.rcpt(line)
        if len(poison.seen) == 1:
            return said
        if len(poison.seen) == 2:
            os.kill(poison.youngest(), signal.SIGTERM)
            return None
        return "250 ok"
    poison.sink.say["RCPT"] = rcpt
    poison.queue("poison")
    postern.due()
    log = postern.settled()
    assert poison.arrived() == ["poison"] and log.count(SUSPECT) == 1 and "in hand; next try" not in log


def test_first_process_dies(poison, postern, world):
    """I14: who watches is gone; the relay at work goes on, hears of new mail, and ends as usual."""
    poison.cure()
    with world.sink.held("RCPT", "250 ok"):
        postern.send("a@d.example")
        world.sink.wait_lines(2)
        [relay] = postern.wait_at_work()
        os.kill(proc.birth(relay)[0], signal.SIGKILL)
        patience.until(lambda: postern.relays() == [relay])
        postern.send("b@d.example")
        assert postern.relays() == [relay] # lint: smtpd has ended, and had started what it starts
    postern.settled()
    assert poison.arrived() == ["a", "b"]
    postern.send("c@d.example")
    postern.settled()
    assert poison.arrived() == ["a", "b", "c"]
