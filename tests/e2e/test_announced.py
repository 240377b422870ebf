"""Limits that a host announces in its reply to EHLO: RFC 9422, and the shortest time of RFC 2852."""
import pytest

import spoolfile
from test_extensions import way # noqa: F401, pylint: disable=unused-import

BEHIND = ("PIPELINING", "8BITMIME", "CHUNKING")
PEOPLE = [f"u{i}@dest.example" for i in range(7)]


@pytest.fixture(params=[(), ("PIPELINING",), BEHIND], ids=["lock-step", "groups", "window"])
def host(request, postern, world):
    """dest.example, whose host announces LIMITS as it is told; what is queued is sent."""
    world.domain("dest.example")

    def deliver(limits, *mails, count, waiting=0):
        world.sink.ehlo = (*request.param, limits)
        for recipients in mails:
            postern.send(recipients, max_connections=0)
        postern.due()
        postern.settled(waiting)
        assert sum(len(m.recipients) for m in world.sink.messages) == count
        return [len(m.recipients) for m in world.sink.messages], world.sink.connections
    return deliver


@pytest.mark.parametrize("limits, sizes", [
    ("LIMITS RCPTMAX=3", [3, 3, 1]), ("limits FUTURE=1 rcptmax=6 ODD", [6, 1]), ("LIMITS RCPTMAX=7", [7]),
    ("LIMITS RCPTMAX=0", [7]), ("LIMITS RCPTMAX=", [7]), ("LIMITS RCPTMAX", [7]), ("LIMITS", [7]),
    ("LIMITS RCPTMAX=2x", [7]), ("LIMITS RCPTMAX=99999999999999999999", [7])])
def test_recipients(host, limits, sizes):
    """R71: so many recipients in a transaction; odd values are no limit."""
    assert host(limits, PEOPLE, count=7) == (sizes, 1)


def test_messages(host):
    """R71: so many transactions by a connection, and then the next one."""
    assert host("LIMITS MAILMAX=2", *["u@dest.example"] * 5, count=5) == ([1] * 5, 3)


def test_messages_and_recipients(host, postern):
    """R71: a message goes on by the next connection, at once, with those who had no turn."""
    assert host("LIMITS RCPTMAX=2 MAILMAX=1", PEOPLE, count=7) == ([2, 2, 2, 1], 4)
    assert "no turn by this connection; next try in 0 s" in postern.rested()


def test_without_a_turn_is_no_attempt(postern, world):
    """R55, R71: who had no turn is not put off by it, however often and however old the message is."""
    world.domain("dest.example")
    world.sink.ehlo = ("PIPELINING", "LIMITS RCPTMAX=1 MAILMAX=1")
    world.sink.say["RCPT"] = lambda line: "450 4.2.0 later" if "<u4@" in line else "250 ok"
    postern.send(PEOPLE[:5], max_connections=0)
    spoolfile.elapse(postern.spool, 86400)
    postern.due(expire="1h", delay_warning="0s")
    assert "given up" not in postern.settled(1)
    assert len(world.sink.messages) == 4
    [log] = [p for p in postern.lane_files() if p.name.endswith(".log")]
    assert log.read_text().count(" soft ") == 1


def test_domains(postern, world):
    """R71: a route's mail has recipients in several domains."""
    world.sink.ehlo = (*BEHIND, "LIMITS RCPTDOMAINMAX=2")
    postern.configure("[route all]", "domains = *", f"hosts = [127.0.0.2]:{world.port}")
    postern.send([f"{u}@{d}.example" for d in "abcde" for u in "xy"])
    postern.settled()
    assert [[r[2] for r in m.recipients] for m in world.sink.messages] == [list("aabb"), list("ccdd"), list("ee")]


@pytest.mark.parametrize("reply", ["452 4.5.3 too many", "552 too many", "550 5.5.3 no more", "554 Too many recipients"])
def test_recipients_not_announced(host, world, reply):
    """F13: who is one too many for a transaction goes in the next, at once; who is refused by himself does not."""
    taken = []

    def count(line):
        if "<full@" in line:
            return "452 4.2.2 mailbox full"
        taken.append(line)
        return reply if len(taken) > 3 else "250 ok"
    world.sink.say["RCPT"] = count
    world.sink.say["MAIL"] = lambda line: taken.clear() or "250 ok"
    assert host("HELP", ["full@dest.example", *PEOPLE], count=7, waiting=1) == ([3, 3, 1], 1)
    assert sum("<full@" in line for line in world.sink.lines) == 1


@pytest.mark.parametrize("verb, usual", [("DATA", "354 go"), ("END", "250 taken")])
def test_recipients_counted_at_last(postern, world, verb, usual):
    """F13: a host that takes all recipients, and then says that they were too many: nobody is returned, and the next
    attempts have fewer at a time."""
    taken = []
    world.domain("dest.example")
    world.sink.say["MAIL"] = lambda line: taken.clear() or "250 ok"
    world.sink.say["RCPT"] = lambda line: taken.append(line) or "250 ok"
    world.sink.say[verb] = lambda line: usual if len(taken) <= 2 else "554 5.5.3 too many recipients"
    people = [f"u{i}@dest.example" for i in range(8)]
    postern.send(people, max_connections=0)
    for _ in range(3):
        postern.make_due()
        postern.due()
        postern.rested()
    postern.settled()
    assert sorted(r for m in world.sink.messages for r in m.recipients) == people
    assert [len(m.recipients) for m in world.sink.messages] == [2] * 4


@pytest.mark.parametrize("least, by, passed", [
    ("DELIVERBY 300", "BY=600;R", True), ("DELIVERBY 900,OTHER", "BY=600;R", False),
    ("DELIVERBY 900", "BY=600;N", True), ("DELIVERBY soon", "BY=600;R", True)])
def test_shortest_time(way, least, by, passed): # noqa: F811, pylint: disable=redefined-outer-name
    """R87: what must be there earlier than the host can promise is returned."""
    way.sink.ehlo = ("PIPELINING", least)
    way.submit(by)
    if passed:
        assert " BY=" in way.commands()[0]
    else:
        assert "Status: 5.4.7\r\n" in way.refused()
