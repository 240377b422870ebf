"""docs/QUEUE.md, "Reports on TLS" (R86): postern-tlsreport killed before and after its system calls, and each of its
calls failed once.

Whatever happens, and however often the timer comes afterwards: each place that a domain names gets its report of the day
once, whole, and nothing is left.
"""
import base64
import email
import gzip
import json
import re

import pytest

import strike
import tallies
from conftest import own
from test_points import killat, lab  # noqa: F401 pylint: disable=unused-import

PLACES = ["tls@one.example", "tls@two.example"]
SETTINGS = {"tls_reports": "yes", "dkim_missing": "send", "retry": "1h"}
KEEP = r"(renameat|mkdirat|linkat|mknodat|utimensat|fsync)#"
ROUNDS = 2


def counted(lab):
    """A spool in which a day is over: two kinds of sessions for a domain that wants its report at two places, and one
    for a domain that wants none."""
    s = lab.fresh()
    table = s.postern.where / "keys" # that there is one is enough: with what it signs is not looked at
    table.write_text(f"* s1 {s.postern.where}/nothing.pem\n")
    table.chmod(0o644)
    s.postern.settings.update(SETTINGS, dkim_keys=table)
    for domain, text, times in [("dest.example", "result success\n", 7), ("dest.example", "result validation-failure\n", 2),
                                ("silent.example", "result success\n", 1)]:
        where = s.postern.spool / "tlsrpt" / tallies.then() / domain
        where.mkdir(parents=True, exist_ok=True)
        path = where / f"{len(list(where.iterdir())):016x}"
        tallies.write(path, f"policy no-policy-found\ndomain {domain}\n{text}", times)
        for p in (path, where, where.parent, where.parent.parent):
            own(p)
    return s


@pytest.fixture
def asked(lab):  # noqa: F811
    lab.world.zone["_smtp._tls.dest.example", "TXT"] = \
        ['"v=TLSRPTv1; rua=' + ",".join(f"mailto:{p}" for p in PLACES) + '"']
    return lab


def come(s, point=None):
    """As the timer would, when it is time for what was put off."""
    tallies.later(s.postern.spool)
    s.run(point, s.postern.command("relay", "--due"))


def trouble(lab, s):  # noqa: F811
    """What is wrong when the timer has come some times more; None: nothing."""
    for _ in range(ROUNDS):
        come(s)
    s.drain()
    if s.leftovers():
        return f"left in the lanes: {s.leftovers()}"
    left = [p.name for p in (s.postern.spool / "tlsrpt").glob("*/*")]
    if "@done" not in left:
        return f"left of what was counted: {left}"
    tallies.older(s.postern.spool, 3) # what could not be removed is when the day is forgotten
    come(s)
    if tallies.days(s.postern.spool):
        return f"left for ever: {list((s.postern.spool / 'tlsrpt').glob('*/*'))}"
    lab.hang_up()
    got = []
    for m in lab.world.sink.messages:
        attachment = email.message_from_bytes(m.data).get_payload()[1].get_payload()
        report = json.loads(gzip.decompress(base64.b64decode(attachment)))
        (entry,) = report["policies"]
        if entry["summary"] != {"total-successful-session-count": 7, "total-failure-session-count": 2}:
            return f"other sums: {entry}"
        got += m.recipients
    return None if sorted(got) == PLACES else f"reports came to: {got}"


def points(lab, whens):  # noqa: F811
    watched = counted(lab)
    watched.run(None, watched.postern.command("relay", "--due"))
    assert trouble(lab, watched) is None
    watched = counted(lab)
    watched.run(None, watched.postern.command("relay", "--due"))
    return strike.points(watched.calls, "maker", "landlock_restrict_self", whens)


def test_killed(asked):
    found, hits, wrong = points(asked, (":enter", ":exit")), 0, []
    for point in strike.sample(found, KEEP):
        s = counted(asked)
        s.run(point, s.postern.command("relay", "--due"))
        hit = s.strikes()
        hits += hit
        told = s.postern.logged().count("reports on TLS: what makes them was killed by signal 9")
        why = trouble(asked, s) or (None if told == hit else f"killed {hit} times, told {told} times")
        if why:
            wrong.append(f"{point}: {why}\n{s.postern.logged()}")
    assert not wrong, "\n".join(wrong)
    assert hits >= 40, found


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_fails(asked, error):
    """One call of those that change the spool fails, once."""
    found = [p for p in points(asked, (f"={error}",)) if re.search(KEEP + r"|(write|unlinkat|openat)#", p)]
    wrong = []
    for point in strike.sample(found, KEEP):
        s = counted(asked)
        s.run(point, s.postern.command("relay", "--due"))
        why = trouble(asked, s)
        if why:
            wrong.append(f"{point}: {why}\n{s.postern.logged()}")
    assert not wrong, "\n".join(wrong)


def test_relay_killed_between(asked):
    """The relay that sends them is killed while it does: what RFC 1047 makes unavoidable may come twice, but nothing is
    made anew."""
    s = counted(asked)
    s.run(None, s.postern.command("relay", "--due"))
    ids = sorted(p.name for p in s.postern.messages())
    assert len(ids) == 2
    come(s, "courier:unlinkat#1:enter")
    assert s.strikes() >= 1, s.calls
    for _ in range(ROUNDS):
        come(s)
    s.drain()
    asked.hang_up()
    assert not s.postern.messages()
    assert {r for m in asked.world.sink.messages for r in m.recipients} == set(PLACES)
    made = [line for line in s.postern.logged().splitlines() if "report on TLS for dest.example" in line]
    assert len(made) == 2 and all(any(i in line for line in made) for i in ids)
