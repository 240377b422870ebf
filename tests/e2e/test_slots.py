"""No mail waits while a slot is free: helpers, relays that wait, and who looks where."""


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
