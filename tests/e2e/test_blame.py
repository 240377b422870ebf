"""When something goes wrong with a host: is it about the message, the connection, the host or the lane?"""
import shutil
import threading

import pytest

import patience
from internet import Last

MODES = {"lock-step": (), "groups": ("PIPELINING",), "window": ("PIPELINING", "CHUNKING")}
MESSAGES = 6


@pytest.fixture(params=MODES)
def host(request, postern, world):
    """The one host of d.example, for which MESSAGES messages are queued."""
    world.domain("d.example")
    world.sink.ehlo = MODES[request.param]
    for i in range(MESSAGES):
        postern.send(f"u{i}@d.example", max_connections=0)
    return world.sink


def all_at_once(postern, sink):
    """All are delivered in one run, once each, and no attempt of any message failed."""
    postern.due()
    log = postern.settled()
    assert sorted(m.recipients for m in sink.messages) == [[f"u{i}@d.example"] for i in range(MESSAGES)]
    assert ": deferred" not in log and ": bounced" not in log and "next try in" not in log
    return log


def every(n, reply, usual="250 2.1.0 ok"):
    """This to each n-th command of a connection."""
    here = threading.local()

    def say(line):
        del line
        here.times = getattr(here, "times", 0) + 1
        return usual if here.times % n else reply
    return say


ENOUGH = [f"{code} 4.7.0 too many in this session" for code in (450, 451, 452, 503, 550, 554)]
AND_GONE = [Last("421 4.7.0 too many\r\n"), Last("550 5.7.0 too many\r\n")]


@pytest.mark.parametrize("reply", ENOUGH + AND_GONE, ids=lambda r: r[:3] + ("!" if r in AND_GONE else ""))
def test_enough_for_this_connection(postern, host, reply):
    """L8: MAIL refused on a connection that has brought something: that message and the rest go by another."""
    host.say["MAIL"] = every(3, reply)
    all_at_once(postern, host)
    assert host.connections > 1


USUAL = {"RCPT": "250 2.1.5 ok", "DATA": "354 go on", "END": "250 2.0.0 taken"}


@pytest.mark.parametrize("verb", USUAL)
@pytest.mark.parametrize("reply", ["554 5.7.1 too many messages in this session", "452 4.5.3 Too many messages"],
                         ids=["554", "452"])
def test_enough_is_said_late(postern, host, verb, reply):
    """L8: to RCPT, DATA or the text, by words that name the connection: it is no word about the message either."""
    host.say[verb] = every(3, reply, USUAL[verb])
    all_at_once(postern, host)
    assert (host.connections == 1) == (verb == "DATA" and "CHUNKING" in host.ehlo), "BDAT has no reply before"


def test_enough_for_some(postern, world):
    """L8: who was taken behind the same MAIL does not get it twice."""
    world.domain("d.example")
    world.sink.ehlo = MODES["groups"]
    world.sink.say["RCPT"] = every(3, "554 5.7.1 too many messages in this session", USUAL["RCPT"])
    postern.send("u0@d.example", max_connections=0)
    postern.send(["u1@d.example", "u2@d.example"], max_connections=0)
    postern.due()
    log = postern.settled()
    assert sorted(r for m in world.sink.messages for r in m.recipients) == [f"u{i}@d.example" for i in range(3)]
    assert ": bounced" not in log and world.sink.connections == 2


def test_refused_by_the_next_connection_too(postern, host):
    """R56, L8: then it is about the message."""
    host.say["MAIL"] = lambda line: "550 5.7.1 not from you" if "<bad@" in line else "250 2.1.0 ok"
    postern.send("v@d.example", sender="bad@sender.example", max_connections=0)
    postern.due()
    log = postern.settled()
    assert log.count(": bounced") == 1 and "<v@d.example>" in log[log.index(": bounced"):]
    assert len(host.messages) == MESSAGES + 1, "and the report"


def test_closed_behind_each_message(postern, host):
    """L9: closed without a word behind the 250: the next message is not to blame."""
    host.say["END"] = Last("250 2.0.0 taken\r\n")
    all_at_once(postern, host)
    assert host.connections == MESSAGES


# ---- the host, or the message

BETTER, WORSE = "127.0.0.3", "127.0.0.2"


@pytest.fixture
def two(postern, world):
    """The host of better preference for d.example; the other one is the sink of the world."""
    better = world.another(BETTER)
    world.domain("d.example")
    world.zone[("d.example", "MX")] = ["10 better.d.example.", "20 worse.d.example."]
    world.zone[("better.d.example", "A")] = [BETTER]
    world.zone[("worse.d.example", "A")] = [WORSE]
    postern.settings.update(retry="1h", remember_hosts="1h") # a second attempt is seen
    return better


def failed(postern):
    """Addresses of hosts that are remembered as failed."""
    return sorted(p.name.rpartition("-")[0] for p in (postern.spool / "hosts").iterdir()
                  if not p.name.endswith(".tls") and " failed 0 " not in p.read_text())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("reply", [None, Last("421 4.3.2 going down\r\n")], ids=["close", "421"])
def test_host_that_breaks_off(postern, world, two, mode, verb, reply):
    """R50, L15: a host that ends the connection with nothing done has failed; the next one has all mail at once."""
    if mode == "window" and verb == "DATA":
        pytest.skip("it is BDAT")
    two.ehlo, two.say[verb] = MODES[mode], reply
    for i in range(3):
        postern.send(f"u{i}@d.example", max_connections=0)
    postern.due()
    log = postern.settled()
    assert sorted(m.recipients for m in world.sink.messages) == [[f"u{i}@d.example"] for i in range(3)]
    assert ": deferred" not in log and failed(postern) == [BETTER]
    before = two.connections
    postern.send("u@d.example")
    postern.settled()
    assert two.connections == before, "it comes last for a while"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("verb", ["MAIL", "DATA", "END"])
def test_host_in_trouble(postern, world, two, mode, verb):
    """R50, L15: it goes on talking, and takes nothing: the next one has all mail in the same attempt."""
    if mode == "window" and verb == "DATA":
        pytest.skip("it is BDAT")
    two.ehlo, two.say[verb] = MODES[mode], "452 4.3.1 no space left"
    for i in range(3):
        postern.send(f"u{i}@d.example", max_connections=0)
    postern.due()
    log = postern.settled()
    assert sorted(m.recipients for m in world.sink.messages) == [[f"u{i}@d.example"] for i in range(3)]
    assert ": deferred" not in log and failed(postern) == [] and not two.messages


def test_recipient_who_waits(postern, world, two):
    """L15: what a host says of one recipient is no trouble of its own: nobody else is asked."""
    two.say["RCPT"] = "451 4.7.1 greylisted"
    postern.send("u@d.example")
    assert ": deferred" in postern.settled(1) and world.sink.connections == 0


def test_all_in_trouble(postern, world, two):
    """L15: each is asked once, and the message waits."""
    two.say["MAIL"] = world.sink.say["MAIL"] = "452 4.3.1 no space left"
    postern.send("u@d.example")
    log = postern.settled(1)
    assert (two.connections, world.sink.connections) == (1, 1) and log.count(": deferred") == 1


def test_both_break_off(postern, world, two):
    """L15: with one message, once each; then it waits, and the hosts are not to blame."""
    two.say["MAIL"] = world.sink.say["MAIL"] = None
    postern.send("u@d.example")
    log = postern.settled(1)
    assert (two.connections, world.sink.connections) == (1, 1) and log.count(": deferred") == 1
    assert failed(postern) == []


def test_poison(postern, world, two):
    """L15: a message at which every host breaks off waits; the others are delivered, and no host has failed."""
    for sink in (two, world.sink):
        sink.say["MAIL"] = lambda line: None if "<poison@" in line else "250 2.1.0 ok"
    for sender in ("poison", "a", "a", "a"):
        postern.send("u@d.example", sender=f"{sender}@sender.example", max_connections=0)
    postern.due()
    log = postern.settled(1)
    assert len(two.messages) + len(world.sink.messages) == 3
    assert log.count(": deferred") == 1 and failed(postern) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reply", [None, Last("421 4.7.0 whoever that is\r\n")], ids=["close", "421"])
def test_poisonous_recipient(postern, world, mode, reply):
    """L15: a recipient at whom the host breaks off waits, and is tried with the others at first; then these are
    delivered to, in a few attempts, and once."""
    world.domain("d.example")
    world.sink.ehlo = MODES[mode]
    world.sink.say["RCPT"] = lambda line: reply if "<poison@" in line else "250 2.1.5 ok"
    people = [f"{user}@d.example" for user in ("a", "b", "poison", "c", "d")]
    postern.send(people, max_connections=0)
    for _ in range(5):
        postern.make_due()
        postern.due()
        postern.settled(1)
    people.remove("poison@d.example")
    assert sorted(r for m in world.sink.messages for r in m.recipients) == people


# ---- overtaken is not failed

@pytest.fixture
def late(postern, two):
    """The better host is known to keep silent for long, so that the worse one is tried soon; both take part."""
    path = postern.spool / "hosts"
    path.mkdir(mode=0o700)
    entry = path / f"{BETTER}-{two.port}"
    entry.write_text("latency 20000 failed 0 lockstep 0 clear 0 helo 0 grey 0\n")
    owner = postern.spool.stat()
    for p in (path, entry):
        shutil.chown(p, owner.st_uid, owner.st_gid)
    return two


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "END"])
def test_worse_one_only_defers(postern, world, late, verb):
    """R50, L14: then the better one's greeting is waited for, and it gets the mail in the same attempt."""
    world.sink.say[verb] = "451 4.7.1 try the other one"
    with late.held("GREETING", "220 at last"):
        for i in range(3):
            postern.send(f"u{i}@d.example", max_connections=0)
        postern.due(timeout_greeting="1h")
        patience.until(lambda: any(line.startswith("MAIL") for line in world.sink.lines))
        assert not late.messages
    log = postern.settled()
    assert sorted(m.recipients for m in late.messages) == [[f"u{i}@d.example"] for i in range(3)]
    assert ": deferred" not in log and "451 4.7.1 try the other one; the next host" in log and failed(postern) == []


def test_worse_one_takes_some(postern, world, late):
    """L14: what it takes is delivered without a wait; the rest goes to the better one."""
    world.sink.say["RCPT"] = lambda line: "250 ok" if "<u@" in line else "450 4.2.1 not here"
    with late.held("GREETING", "220 at last"):
        postern.send(["u@d.example", "v@d.example"], max_connections=0)
        postern.send("w@d.example", max_connections=0)
        postern.send("u@d.example", max_connections=0)
        postern.due(timeout_greeting="1h")
        world.sink.wait_messages(2)
    postern.settled()
    assert [m.recipients for m in world.sink.messages] == [["u@d.example"]] * 2
    assert sorted(m.recipients for m in late.messages) == [["v@d.example"], ["w@d.example"]]


@pytest.mark.parametrize("mode", MODES)
def test_better_one_greets_meanwhile(postern, world, late, mode):
    """L14: it is gone to when it is there: it may not wait until the worse one has put off all of a large lane."""
    world.sink.ehlo = MODES[mode]
    there, n = threading.Event(), 40

    def put_off(line):
        there.set()
        patience.hold(0.1)
        return "451 4.7.1 try the other one"
    world.sink.say["RCPT"] = put_off
    late.say["GREETING"] = lambda line: there.wait(patience.PATIENCE) and "220 at last"
    for i in range(n):
        postern.send(f"u{i}@d.example", max_connections=0)
    postern.due(timeout_greeting="1h", max_connections_per_lane=1)
    log = postern.settled()
    assert sorted(m.recipients[0] for m in late.messages) == sorted(f"u{i}@d.example" for i in range(n))
    assert ": deferred" not in log and failed(postern) == []
    assert sum(line.startswith("RCPT") for line in world.sink.lines) <= n / 2


def test_as_good_and_only_defers(postern, world, two):
    """L14: the quicker one of two equals says 450 to everything: the other one is asked, each time."""
    world.zone[("d.example", "MX")] = ["10 better.d.example.", "10 worse.d.example."]
    world.sink.say["RCPT"] = "450 4.7.1 not here"
    said = []

    def refused():
        return sum(line.startswith("RCPT") for line in world.sink.lines)
    two.say["GREETING"] = lambda line: patience.until(lambda: refused() > len(said)) and "220 here"
    for n in range(1, 4):
        postern.send("u@d.example")
        postern.settled()
        said.append(refused())
        assert len(two.messages) == len(said) == n == refused()


def test_worse_one_is_enough(postern, world, late):
    """L14: where it takes all, nobody waits for the other, and that has not failed."""
    with late.held("GREETING", "220 at last"):
        postern.send("u@d.example", timeout_greeting="1h")
        postern.settled()
        assert len(world.sink.messages) == 1 and failed(postern) == []


def test_better_one_does_not_come(postern, world, late):
    """L14: when its own time is over it has failed; what the worse one said is what counts then."""
    world.sink.say["RCPT"] = "451 4.7.1 try the other one"
    with late.held("GREETING", None):
        postern.send("u@d.example", timeout_greeting="8s") # that of the worse one, too
        log = postern.settled(1)
    assert failed(postern) == [BETTER] and world.sink.connections == 2
    assert log.count(": deferred") == 1 and "lane d.example: mx" not in log
