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
