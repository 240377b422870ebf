"""When something goes wrong with a host: is it about the message, the connection, the host or the lane?"""
import threading

import pytest

from internet import Last

MODES = {"lock-step": (), "groups": ("PIPELINING",), "window": ("PIPELINING", "CHUNKING")}
MESSAGES = 6


@pytest.fixture(params=MODES)
def host(request, postern, world):
    """The one host of d.example, for which MESSAGES messages are queued."""
    world.domain("d.example")
    world.sink.ehlo = MODES[request.param]
    for i in range(MESSAGES):
        postern.send(f"u{i}@d.example", max_relays=0)
    return world.sink


def all_at_once(postern, sink):
    """All are delivered in one run, once each, and no attempt of any message failed."""
    postern.due()
    log = postern.settled()
    assert sorted(m.recipients for m in sink.messages) == [[f"u{i}@d.example"] for i in range(MESSAGES)]
    assert ": deferred" not in log and ": bounced" not in log and "next try in" not in log
    return log


def every(n, reply):
    """This to each n-th command of a connection."""
    here = threading.local()

    def say(line):
        del line
        here.times = getattr(here, "times", 0) + 1
        return "250 2.1.0 ok" if here.times % n else reply
    return say


@pytest.mark.parametrize("reply", ["503 5.5.1 too many in this session", "550 5.7.0 too many", "554 5.7.0 too many",
                                   "450 4.7.0 too many", "451 4.7.0 too many", "452 4.5.3 too many",
                                   Last("421 4.7.0 too many\r\n"), Last("550 5.7.0 too many\r\n")], ids=lambda r: r[:3] + ("!" if isinstance(r, Last) else ""))
def test_enough_for_this_connection(postern, host, reply):
    """L8: MAIL refused on a connection that has brought something: that message and the rest go by another."""
    host.say["MAIL"] = every(3, reply)
    all_at_once(postern, host)
    assert host.connections > 1


def test_refused_by_the_next_connection_too(postern, host):
    """L8: then it is about the message."""
    host.say["MAIL"] = lambda line: "550 5.7.1 not from you" if "<bad@" in line else "250 2.1.0 ok"
    postern.send("v@d.example", sender="bad@sender.example", max_relays=0)
    postern.due()
    log = postern.settled()
    assert log.count(": bounced") == 1 and "<v@d.example>" in log[log.index(": bounced"):]
    assert len(host.messages) == MESSAGES + 1, "and the report"


def test_closed_behind_each_message(postern, host):
    """L9: closed without a word behind the 250: the next message is not to blame."""
    host.say["END"] = Last("250 2.0.0 taken\r\n")
    all_at_once(postern, host)
    assert host.connections == MESSAGES
