"""No mail waits while a slot is free: helpers, relays that wait, and who looks where."""
import threading
import time

import pytest


def queue(postern, domain, n):
    """n messages for a domain, ten by each connection, and no relay for them yet."""
    letter = f"MAIL FROM:<a@sender.example>\nRCPT TO:<u@{domain}>\nDATA\nSubject: x\n\nx\n.\n"
    for _ in range(n // 10):
        postern.pipe("EHLO c.example\n" + 10 * letter + "QUIT\n", max_relays=0)


def test_helper_keeps_nothing_of_whom_it_helped(postern, world, wait):
    """I16: both go on to other lanes, which takes long; the first lane is free for new mail."""
    for i, name in enumerate("def"):
        world.domain(f"{name}.example", f"127.0.0.{i + 2}")
    slow = [world.another(f"127.0.0.{i}") for i in (3, 4)]
    for sink in slow:
        sink.delay = 12
    world.sink.ehlo = ()
    world.sink.delay = 0.1
    queue(postern, "d.example", 60)
    postern.settings.update(max_relays=3, max_relays_per_lane=2)
    postern.due()
    assert wait(lambda: world.sink.open == 2), "it has a helper"
    postern.send(["u@e.example", "u@f.example"], max_relays=0)
    assert wait(lambda: all(sink.open for sink in slow)), postern.logged()
    postern.send("u@d.example")
    assert wait(lambda: len(world.sink.messages) == 61, 5), postern.logged()


def test_who_wakes_without_a_slot_is_not_forgotten(postern, world, wait):
    """A relay that waits has given its slot away when mail comes: who has it looks at that lane before it waits."""
    world.domain("d.example")
    world.domain("e.example", "127.0.0.3")
    other = world.another("127.0.0.3")
    other.delay = 2
    postern.settings.update(linger="8s", max_relays=1)
    postern.send("u@d.example")
    assert wait(lambda: world.sink.messages and not postern.messages())
    postern.send("u@e.example")
    assert wait(lambda: other.open == 1), postern.logged()
    postern.send("u@d.example")
    assert wait(lambda: other.messages and not world.sink.open), "it had to leave"
    assert wait(lambda: len(world.sink.messages) == 2, 4), postern.logged()


def test_report_does_not_wait_with_its_relay(postern, world, wait):
    """A relay that has queued a report looks for its lane before it waits for more mail in its own."""
    world.domain("d.example")
    world.domain("sender.example", "127.0.0.3")
    sender = world.another("127.0.0.3")
    world.sink.say["RCPT"] = "550 5.1.1 no"
    postern.settings["linger"] = "8s"
    postern.send("u@d.example")
    assert wait(lambda: sender.messages, 4), postern.logged()


@pytest.mark.parametrize("left", [1, 2])
def test_helper_that_is_alone_and_turned_away(left, postern, world, wait):
    """I13: what a helper could not send is tried again as any mail is: once, and then by the schedule."""
    world.domain("d.example")
    world.sink.ehlo = ()
    world.sink.delay = 0.1
    queue(postern, "d.example", 50)
    helper, go = threading.local(), threading.Event()

    def greeting(_):
        helper.taken = 0 if world.sink.connections == 2 else None
        return "220 a" if world.sink.connections <= 2 else "421 4.3.2 no more"

    def mail(_):
        if getattr(helper, "taken", None) is None:
            return "250 ok"
        helper.taken += 1
        if helper.taken < 4:
            return "250 ok"
        go.wait(30)
        return "421 4.3.0 enough"

    world.sink.say.update(GREETING=greeting, MAIL=mail)
    postern.settings.update(max_relays_per_lane=2)
    postern.due()
    assert wait(lambda: len(world.sink.messages) == 10)
    postern.send("u@d.example", max_relays=0) # @retry is not there when the helper begins
    assert wait(lambda: len(postern.messages()) == 1), postern.logged()
    assert wait(lambda: len(postern.relays()) == 1)
    for _ in range(1, left):
        postern.send("u@d.example", max_relays=0)
    go.set()
    assert wait(lambda: not postern.relays()), f"{world.sink.connections} connections"
    assert len(postern.messages()) == left
    (retry,) = (p for p in postern.lane_files() if p.name == "@retry")
    assert 40 < retry.stat().st_mtime - time.time() < 70, postern.logged()
    assert postern.logged().count("lane d.example: mx.d.example") == 1, "it is down"
    assert world.sink.connections <= 4
