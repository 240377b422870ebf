"""Days of mail in a minute: relay runs at a time of our choice (libfaketime), smtpd at the true one.

A timer that is simulated too starts `relay --due` whenever a lane is due.
"""
import email.utils
import pathlib
import re
import shutil
import time

import pytest

import proc
from reports import Report

LIBRARY = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
HOUR, DAY = 3600, 86400
SCHEDULE = [60, 300, 900, HOUR, 2 * HOUR, 4 * HOUR]
WAIT = re.compile(r"lane (\S+): .*; next try in (\d+) s")


class Clock:
    """The programs, with relay running `ahead` seconds ahead of the world."""

    def __init__(self, postern, wait):
        self.postern, self.wait, self.ahead = postern, wait, 0
        place = postern.where / "ahead"
        programs = postern.where / "programs"
        programs.mkdir()
        for program in ("smtpd", "tls", "auth"):
            (programs / program).symlink_to(postern.build / program)
        self.wrapper = programs / "relay"
        self.wrapper.write_text(
            f'#!/bin/bash\nexport LD_PRELOAD={LIBRARY} FAKETIME="$(<{place})" NO_FAKE_STAT=1 '
            f'FAKETIME_DONT_FAKE_MONOTONIC=1\nexec -a relay {postern.build / "relay"} "$@"\n')
        for path in (programs, self.wrapper):
            path.chmod(0o755)
        self.place = place
        postern.build = programs
        postern.settings.update(relay_path=self.wrapper, linger="0s")
        self.set(0)

    def now(self):
        return time.time() + self.ahead

    def set(self, ahead):
        self.ahead = ahead
        self.place.write_text(f"{ahead:+d}")

    def busy(self):
        """Relays, also those that bash is about to become."""
        ours = [line for line in proc.lines().values() if f"spool={self.postern.spool}" in line]
        return any(line[0] == "relay" or str(self.wrapper) in line for line in ours)

    def due(self):
        self.postern.due()
        self.wait(lambda: not self.busy() and not self.busy()) # twice: see Postern.rested()

    def next(self):
        """When the first lane is due."""
        times = [p.stat().st_mtime for p in self.postern.lane_files() if p.name == "@retry"]
        return min(times, default=None)

    def until(self, end):
        """The timer, until nothing more is due before `end`. It knows that no wait is that long."""
        while self.postern.messages():
            due = self.next()
            waits = due is not None and self.now() < due <= self.now() + SCHEDULE[-1]
            if waits and due > end:
                return
            if waits:
                self.set(int(due - time.time()) + 1)
            self.due()


@pytest.fixture
def clock(postern, world, wait):
    del world
    if LIBRARY is None or shutil.which("bash") is None:
        pytest.skip("needs libfaketime")
    if postern.watched():
        pytest.skip("the library and a sanitizer do not go together")
    return Clock(postern, wait)


def seconds(date):
    return email.utils.parsedate_to_datetime(date).timestamp()


def waits(postern, lane):
    return [int(n) for name, n in WAIT.findall(postern.logged()) if name == lane]


def check_schedule(got):
    """Each up to a tenth shorter than what the schedule says, and not all by the same."""
    for i, n in enumerate(got):
        step = SCHEDULE[min(i, len(SCHEDULE) - 1)]
        assert step - step // 10 <= n <= step, (i, n)
    assert len(set(got[len(SCHEDULE) - 1:])) > 1


def test_life_of_mail(postern, world, clock):
    """R55, R75, E7: attempts, one warning, giving up, report, and the report of a report."""
    postern.settings.update(double_bounce="admin@sender.example", max_connections_per_lane=1)
    world.domain("down.example", "127.0.0.9")
    world.domain("slow.example")
    world.domain("deaf.example")
    world.sink.say["RCPT"] = lambda line: "550 5.7.1 no reports here" if "@deaf" in line else (
        "450 4.3.2 not now" if "@slow" in line else "250 2.1.5 ok")
    before = int(time.time())
    postern.send("u@down.example", max_connections=0)
    postern.send("v@down.example", sender="b@deaf.example", max_connections=0)
    postern.send("w@slow.example", max_connections=0)
    began = time.time()

    def heard():
        return [(m.recipients[0], Report(m.data)) for m in world.sink.messages if m.sender == ""]

    clock.until(began + 4 * HOUR - 60)
    assert heard() == [] and len(postern.messages()) == 3
    clock.until(began + 8 * HOUR + 60)
    assert sorted((to, *r.actions().items()) for to, r in heard()) == [
        ("a@sender.example", ("u@down.example", "delayed")),
        ("a@sender.example", ("w@slow.example", "delayed")),
        ("admin@sender.example", ("b@deaf.example", "failed"))] # of the warning that was refused
    for _, r in heard():
        [block] = r.recipients.values()
        if block["Action"] != "delayed":
            continue
        assert began + 4 * HOUR <= seconds(block["Last-Attempt-Date"]) <= began + 8 * HOUR + 60
        assert before <= seconds(block["Will-Retry-Until"]) - 5 * DAY <= began
        assert r.subject == "Your message is delayed" and "need not send it again" in r.text
    world.sink.say["RCPT"] = lambda line: "550 5.7.1 no" if "@deaf" in line else "250 ok"
    clock.until(began + 13 * HOUR)
    assert [m.recipients for m in world.sink.messages if m.sender] == [["w@slow.example"]]

    clock.until(began + 5 * DAY - 60)
    assert len(heard()) == 3 and len(postern.messages()) == 2
    clock.until(began + 6 * DAY)
    assert postern.messages() == []
    ends = heard()[3:]
    assert sorted((to, *r.actions().items()) for to, r in ends) == [
        ("a@sender.example", ("u@down.example", "failed")),
        ("admin@sender.example", ("b@deaf.example", "failed"))]
    failed = next(r for to, r in ends if to == "a@sender.example")
    assert failed.recipients["u@down.example"]["Status"] == "5.4.7"
    assert "tried for as long as it may be" in failed.text
    assert seconds(failed.mail["Date"]) - began > 5 * DAY
    double = next(r for to, r in ends if to == "admin@sender.example")
    assert double.recipients["b@deaf.example"]["Status"] == "5.7.1"
    assert "Action: failed" in double.given_back() and "v@down.example" in double.given_back()
    check_schedule(waits(postern, "down.example"))
    assert 5 * DAY <= sum(waits(postern, "down.example")) <= 5 * DAY + 8 * HOUR


def test_greylist(postern, world, clock):
    """What a host puts off at first is tried again when the host may take it, as was learned there."""
    first = {}

    def grey(line):
        return "250 ok" if clock.now() - first.setdefault(line, clock.now()) >= 200 else "450 4.7.1 not yet"
    world.domain("grey.example")
    world.sink.say["RCPT"] = grey
    postern.settings["remember_hosts"] = "1d"
    attempts = []
    for user in "uv":
        before = len(world.sink.lines)
        postern.send(f"{user}@grey.example", max_connections=0)
        clock.until(clock.now() + HOUR)
        attempts.append(sum(line.startswith("RCPT") for line in world.sink.lines[before:]))
    assert attempts == [3, 2] and len(world.sink.messages) == 2


@pytest.mark.parametrize("step", [-HOUR, -10 * 365 * DAY, 10 * 365 * DAY, 2**31 - 1704067200])
def test_clock_steps(postern, world, clock, step):
    """J12: a jump expires nothing and parks nothing; when the clock is right again, mail is due."""
    world.domain("down.example", "127.0.0.9")
    postern.send("u@down.example", max_connections=0)
    clock.due()
    clock.set(step)
    clock.due()
    assert len(postern.messages()) == 1 and "bounced" not in postern.logged()
    clock.set(0)
    world.domain("down.example")
    clock.until(time.time() + 120)
    assert [m.recipients for m in world.sink.messages if m.sender] == [["u@down.example"]]


@pytest.mark.parametrize("why", ["down", "refused"])
@pytest.mark.parametrize("tried", [0, 3, 40])
def test_gap(postern, world, clock, why, tried):
    """R55, J12, L7: behind a jump of six days, or six days without power, mail is as old as it was tried, and is
    returned when it was tried for five days in all."""
    world.domain("d.example", "127.0.0.9" if why == "down" else "127.0.0.2")
    world.sink.say["RCPT"] = lambda line: "250 ok" if "@sender" in line else "450 4.2.1 not now"
    postern.settings["delay_warning"] = "0s"
    postern.send("u@d.example", max_connections=0)
    began = time.time()
    for _ in range(tried):
        postern.make_due()
        clock.due()
    clock.set(6 * DAY)
    for _ in range(4):
        postern.make_due()
        clock.due()
    assert len(postern.messages()) == 1 and "given up" not in postern.logged()
    clock.until(began + 6 * DAY + 5 * DAY - 5 * HOUR)
    assert len(postern.messages()) == 1 and "given up" not in postern.logged()
    clock.until(began + 6 * DAY + 5 * DAY + HOUR)
    assert postern.messages() == [] and "given up: 5.4.7" in postern.logged()
