"""No mail waits while a connection is free: couriers that help, that wait for more, and whose turn it is."""
import contextlib
import threading
import time

import pytest

import patience
import spoolfile

MAIL = """MAIL FROM:<a@sender.example>
RCPT TO:<{}>
DATA
""" + "so many octets that no host is slow that has them\n" * 50 + ".\n"


def queue(postern, domain, n):
    """n messages for a domain, and no relay for them yet."""
    spoolfile.fill(postern.spool, [f"u@{domain}"] * n, b"Subject: x\r\n\r\nx\r\n")


@contextlib.contextmanager
def stopped(sink, n):
    """Within, it takes n messages and no more."""
    go = threading.Event()

    def end(_):
        if len(sink.messages) >= n:
            go.wait(patience.PATIENCE)
        return "250 ok"
    sink.say["END"] = end
    try:
        yield
    finally:
        go.set()


def test_helper_keeps_nothing_of_whom_it_helped(postern, world, wait):
    """I16: couriers go on to other lanes, which takes long; the first lane is free for new mail."""
    for i, name in enumerate("def"):
        world.domain(f"{name}.example", f"127.0.0.{i + 2}")
    slow = [world.another(f"127.0.0.{i}") for i in (3, 4)]
    world.sink.ehlo = ()
    world.sink.delay = 0.03
    queue(postern, "d.example", 60)
    postern.settings.update(max_connections=3, max_connections_per_lane=2, timeout_data_end="1h")
    with slow[0].held("END", "250 ok"), slow[1].held("END", "250 ok"):
        with stopped(world.sink, 40):
            postern.due()
            assert wait(lambda: world.sink.open == 2), "it has a helper"
            postern.send(["u@e.example", "u@f.example"])
        assert wait(lambda: all(sink.open for sink in slow))
        postern.send("u@d.example")
        world.sink.wait_messages(61)
        assert all(sink.open for sink in slow) and not any(sink.messages for sink in slow)
        assert len(postern.at_work()) == 1


def test_who_gave_way_is_not_forgotten(postern, world, wait):
    """A courier that waits for mail gives its connection up for another lane; mail for its first one comes then."""
    world.domain("d.example")
    world.domain("e.example", "127.0.0.3")
    other = world.another("127.0.0.3")
    postern.settings.update(linger="1h", max_connections=1, timeout_data_end="1h")
    postern.send("u@d.example")
    assert wait(lambda: world.sink.messages and not postern.messages())
    with other.held("END", "250 ok"):
        postern.pipe("EHLO client.example\n" + MAIL.format("u@e.example"))
        other.wait_lines(3)
        assert wait(lambda: not world.sink.open), "it had to leave"
        postern.send("u@d.example")
    world.sink.wait_messages(2)
    assert len(other.messages) == 1 and not postern.logged().count("next try")


def test_report_does_not_wait_with_its_courier(postern, world):
    """A courier that has queued a report makes its lane known before it waits for more mail in its own."""
    world.domain("d.example")
    world.domain("sender.example", "127.0.0.3")
    sender = world.another("127.0.0.3")
    world.sink.say["RCPT"] = "550 5.1.1 no"
    postern.settings["linger"] = "1h"
    postern.send("u@d.example")
    sender.wait_messages()


@pytest.mark.parametrize("left", [1, 2])
def test_helper_that_is_alone_and_turned_away(left, postern, world, wait):
    """I13: what a helper could not send is tried again as any mail is: once, and then by the schedule."""
    world.domain("d.example")
    world.sink.ehlo = ()
    world.sink.delay = 0.05
    queue(postern, "d.example", 50)
    helper, caught, go = threading.local(), threading.Event(), threading.Event()

    def greeting(_):
        helper.taken = 0 if world.sink.connections == 2 else None
        return "220 a" if world.sink.connections <= 2 else "421 4.3.2 no more"

    def mail(_):
        if getattr(helper, "taken", None) is None:
            return "250 ok"
        helper.taken += 1
        if helper.taken < 4:
            return "250 ok"
        caught.set()
        go.wait(patience.PATIENCE)
        return "421 4.3.0 enough"

    def end(_):
        """The other one leaves it that much."""
        if helper.taken is None and len(world.sink.messages) >= 30:
            caught.wait(patience.PATIENCE)
        return "250 ok"

    world.sink.say.update(GREETING=greeting, MAIL=mail, END=end)
    postern.settings.update(max_connections_per_lane=2, retry="1h 10h", timeout_mail="1h", timeout_data_end="1h")
    began = int(time.time())
    postern.due()
    postern.wait_messages(1)
    assert wait(lambda: world.sink.open == 1), "the other one has left"
    for _ in range(1, left):
        postern.send("u@d.example")
    go.set()
    log, after = postern.settled(left), time.time()
    (retry,) = (p for p in postern.lane_files() if p.name == "@retry")
    assert began + 3240 <= retry.stat().st_mtime <= after + 3600, "once by the schedule"
    assert log.count("lane d.example: mx.d.example") == 1, "it is down"
    assert world.sink.connections <= 4


@pytest.mark.parametrize("domains, limits", [
    (["a.example"] * 3, {}),
    (["a.example", "b.example", "c.example"], {"max_connections_per_host": 1}),
    (["a.example", "b.example", "c.example"], {"max_connections": 1})], ids=["one-lane", "one-host", "one-connection"])
def test_no_second_relay(postern, world, domains, limits):
    """I15, J18: while one is at work, mail that comes starts no other; and what has to wait is not forgotten."""
    for name in set(domains):
        world.domain(name)
    postern.settings.update(limits)
    said = ["EHLO client.example\n", *(MAIL.format(f"u@{name}") for name in domains), "QUIT\n"]
    with world.sink.held("END", "250 ok"):
        postern.pipe("".join(said[:2]))
        world.sink.wait_lines(3)
        postern.pipe("".join([said[0], *said[2:]])) # all the rest at once, so that the first one does not wait long
        assert len(postern.relays()) == 2 # lint: smtpd has ended, and had started what it starts
        assert len(postern.at_work()) == 1
    patience.until(lambda: len(world.sink.messages) == len(domains))
    postern.settled()
    assert world.sink.most_open == 1


def test_another_host_at_the_same_spool(postern, world):
    """A lane has the relay of one host; mail that another host queues there meanwhile goes when that one is done, and
    what is for other lanes at once. Nothing goes twice."""
    world.domain("d.example")
    world.domain("e.example", "127.0.0.3")
    other = world.another("127.0.0.3")
    with world.sink.held("END", "250 ok"):
        postern.send("u@d.example")
        world.sink.wait_lines(3)
        ours = postern.relays()
        postern.send(["v@d.example", "v@e.example"], hostname="elsewhere.test.example")
        other.wait_messages(1)
        patience.until(lambda: sorted(postern.relays()) == sorted(ours)) # the other one has nothing to do, and ends
        assert world.sink.open == 1
    postern.settled()
    assert sorted(m.recipients for m in world.sink.messages) == [["u@d.example"], ["v@d.example"]]
    assert len(other.messages) == 1
