"""Several exchangers of one preference, at different distances: the nearest one that works is used.

What relay learns about hosts outlives a process, so each message here is sent by a relay of its own.
"""
import socket

import pytest

import delay
import internet
import patience
import spoolfile

GREETS = {"near": 0, "middle": 6, "far": 12} # s after connecting, which is awaited of the nearest that is there; a
                                             # busy machine adds less than they differ
ADDRESS = {"near": "127.0.0.71", "middle": "127.0.0.72", "far": "127.0.0.73"}
MESSAGES = 15
WARM_UP = 10
CHANCES = 30
FAIR = 3          # of those at least; by chance it is less once in a million
STRAY = 5         # may go elsewhere while relay learns, and to see whether another has become quicker
DOMAIN = "d.example"
BETTER = [f"127.0.0.{n}" for n in (81, 82, 83)]


class Host:
    """A sink and the way to it, which takes so many seconds."""

    def __init__(self, address, port, seconds):
        self.seconds = seconds
        self.sink = internet.Sink(address, 0, say={"GREETING": lambda line: patience.hold(self.seconds) or "220 here"})
        self.way = delay.Delay(address, port, (address, self.sink.port), 0)

    @property
    def n(self):
        return len(self.sink.messages)

    def close(self):
        self.way.close()
        self.sink.close()


@pytest.fixture
def hosts(postern, world):
    """{name: Host}, all of one preference. No timeout notices that a host says nothing."""
    found = {name: Host(ADDRESS[name], world.port, seconds) for name, seconds in GREETS.items()}
    world.zone[(DOMAIN, "MX")] = [f"10 {name}.{DOMAIN}." for name in found]
    for name in found:
        world.zone[(f"{name}.{DOMAIN}", "A")] = [ADDRESS[name]]
    postern.settings.update(timeout_greeting="1h", timeout_connect="1h")
    yield found
    for host in found.values():
        host.close()


def send(postern, n=1):
    """One after the other. Each goes at once, by the first relay that tries."""
    for _ in range(n):
        postern.send(f"u@{DOMAIN}")
        assert "next try in" not in postern.settled()


def test_nearest_gets_nearly_all(postern, hosts):
    """R49"""
    send(postern, MESSAGES)
    assert sum(host.n for host in hosts.values()) == MESSAGES
    assert hosts["near"].n >= MESSAGES - STRAY, {name: host.n for name, host in hosts.items()}


def test_by_chance(postern, world):
    """R49: mx_order = random; equal ones share the mail, though one of them is slower."""
    other = world.another("127.0.0.3", say={"GREETING": lambda line: patience.hold(0.1) or "220 late"})
    world.zone[(DOMAIN, "MX")] = [f"10 a.{DOMAIN}.", f"10 b.{DOMAIN}."]
    world.zone.update({(f"a.{DOMAIN}", "A"): ["127.0.0.2"], (f"b.{DOMAIN}", "A"): ["127.0.0.3"]})
    postern.settings["mx_order"] = "random"
    send(postern, CHANCES)
    assert len(world.sink.messages) + len(other.messages) == CHANCES
    assert min(len(world.sink.messages), len(other.messages)) >= FAIR


def counted(way):
    """Connections so far, without the one that is made here: all before it are seen when it is."""
    with socket.create_connection((way.address, way.port)) as mine:
        patience.until(lambda: mine.getsockname() in way.clients)
    way.connections -= 1
    return way.connections


def refuses(way):
    way.stop()
    return way.start


def falls_silent(way):
    way.silent = True

    def back():
        way.silent = False
    return back


@pytest.mark.parametrize("die", [refuses, falls_silent])
def test_next_takes_over_and_nearest_comes_back(postern, hosts, die):
    """R49, R50"""
    near, middle, far = hosts.values()
    send(postern, WARM_UP)
    assert near.n >= WARM_UP - STRAY
    come_back = die(near.way)
    middle.seconds = 0 # as far from the last one, and now it is awaited
    send(postern)
    before = near.n, far.n
    send(postern, MESSAGES)
    assert near.n == before[0]
    assert far.n - before[1] <= STRAY
    come_back()
    middle.seconds = GREETS["middle"]
    spoolfile.elapse(postern.spool, 86400) # forgotten by then
    send(postern, MESSAGES)
    assert near.n > before[0], "never used again"
    assert sum(host.n for host in hosts.values()) == WARM_UP + 1 + 2 * MESSAGES


def test_silent_ones_of_better_preference_cost_once(postern, world):
    """R49, R56, I13: they take connections and say nothing; a host of worse preference works."""
    silent = [delay.Delay(a, world.port, ("127.0.0.2", world.port), 0, silent=True) for a in BETTER]
    world.zone[(DOMAIN, "MX")] = [*(f"10 s{i}.{DOMAIN}." for i in range(len(BETTER))),
                                  f"20 live.{DOMAIN}."]
    world.zone.update({(f"s{i}.{DOMAIN}", "A"): [a] for i, a in enumerate(BETTER)})
    world.zone[(f"live.{DOMAIN}", "A")] = ["127.0.0.2"]
    postern.settings.update(timeout_greeting="6s") # for each of those, and more than the one that works takes
    try:
        send(postern)
        first = sum(counted(way) for way in silent)
        assert first <= len(BETTER)
        send(postern, 2)
        one = f"MAIL FROM:<a@sender.example>\nRCPT TO:<u@{DOMAIN}>\nDATA\nSubject: x\n\nhello\n.\n"
        assert postern.pipe(f"EHLO c\n{one * 100}QUIT\n", max_connections=0).count("queued as") == 100
        postern.due()
        postern.settled()
        assert len(world.sink.messages) == 103
        # Somebody may look whether one of them is back.
        assert sum(counted(way) for way in silent) <= first + len(BETTER)
    finally:
        for way in silent:
            way.close()
