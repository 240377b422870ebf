"""tests/tools/tallies.py: what tests of reports on TLS say of days holds at every time of the day."""
import datetime
import pathlib
import re

import pytest

import tallies

HEADER = (pathlib.Path(__file__).resolve().parents[2] / "tlsreport" / "due.h").read_text()
HOUR = 3600
SUCCESS, FAILURE = (f"policy no-policy-found\ndomain a.example\nresult {word}\n" for word in ("success", "validation-failure"))


def seconds(name):
    """A constant of due.h, which is a product of numbers."""
    value = 1
    for factor in re.search(rf"{name} = ([0-9 *]+),", HEADER)[1].split("*"):
        value *= int(factor)
    return value


def count(spool, day, text, name, times, domain="a.example"):
    where = spool / "tlsrpt" / day / domain
    where.mkdir(parents=True, exist_ok=True)
    tallies.write(where / name, text, times)


@pytest.mark.parametrize("minute", range(0, 24 * 60, 10))
def test_then(minute):
    """Each domain's turn has come, and none is given up; so it is twelve hours later, however slow a test is."""
    now = datetime.datetime(2026, 11, 30, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=minute)
    day = datetime.datetime.fromisoformat(tallies.then(now) + "T00:00:00+00:00")
    over = (now - day).total_seconds() - 24 * HOUR
    assert over > seconds("DUE_FIRST") + seconds("DUE_SPREAD")
    assert over + 12 * HOUR <= seconds("DUE_END")


def test_midnight_between(tmp_path):
    """What was counted on both sides of it is what would have been counted on one."""
    for day, times in (("2026-11-29", 2), ("2026-11-30", 3)):
        count(tmp_path, day, SUCCESS, "0" * 16, times)
    count(tmp_path, "2026-11-30", FAILURE, "1" * 16, 1)
    count(tmp_path, "2026-11-30", SUCCESS, "0" * 16, 7, domain="b.example")
    before = tallies.counted(tmp_path)
    assert [(f["result"], n) for f, n in before["a.example"]] == [("success", 5), ("validation-failure", 1)]
    assert [n for _, n in before["b.example"]] == [7]
    assert tallies.sums(tmp_path) == {"a.example": {"success": 5, "validation-failure": 1}, "b.example": {"success": 7}}
    name = tallies.age(tmp_path)
    assert [p.name for p in tallies.days(tmp_path)] == [name]
    assert tallies.counted(tmp_path) == before
    assert tallies.age(tmp_path) in (name, tallies.then()) and tallies.counted(tmp_path) == before


def test_older(tmp_path):
    count(tmp_path, "2026-03-01", SUCCESS, "0" * 16, 1)
    (tmp_path / "tlsrpt" / "2026-03-01" / "@done").touch()
    tallies.older(tmp_path, 1)
    assert [p.name for p in (tmp_path / "tlsrpt" / "2026-02-28").iterdir() if p.name[0] == "@"] == ["@done"]
