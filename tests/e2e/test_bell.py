"""The bell of a relay that is at work, in the hands of whoever can write to it (S13, M2)."""
import os

import patience


def ring(postern, text, login="none"):
    """All that fits at once."""
    [bell] = postern.spool.glob(f"relay/*/{login}/bell")
    fd = os.open(bell, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def test_lane_of_another_login(postern, world):
    """M2: the relay that is rung with it leaves it alone; its own mail goes on."""
    secret = postern.where / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o644)
    theirs = world.another("127.0.0.8")
    world.domain("one.example")
    postern.configure("[route x]", "domains = x.example", f"hosts = [127.0.0.8]:{world.port}",
                      "delivery_user = us", f"delivery_password_file = {secret}", "delivery_auth_clear = yes")
    postern.settings["linger"] = "1h"
    postern.send("u@x.example", max_connections=0)
    [queued] = postern.messages()
    postern.send("u@one.example")
    patience.until(lambda: world.sink.messages)
    ring(postern, f"{queued.parent.name}\n")
    postern.send("u@one.example")
    patience.until(lambda: len(world.sink.messages) == 2)
    postern.wait_messages(1)
    world.sink.cut() # and so the relay ends
    text = postern.settled(1)
    assert theirs.connections == 0 and "AUTH" not in text, text


def test_noise(postern, world):
    """What is no name stands for all lanes; however much of it comes at once, they are looked at and mail goes on."""
    world.domain("one.example")
    world.domain("two.example")
    postern.settings["linger"] = "1h"
    postern.send("u@one.example")
    patience.until(lambda: world.sink.messages)
    postern.send("u@two.example", max_connections=0)
    ring(postern, "\n" * 1000 + "../../etc\n" * 100 + "x" * 5000 + "\n")
    patience.until(lambda: len(world.sink.messages) == 2)
    postern.send("u@one.example")
    patience.until(lambda: len(world.sink.messages) == 3)
    postern.wait_messages(0)
    world.sink.cut()
    postern.settled()


def test_mark_of_a_lane(postern, world):
    """A relay that waits at a lane makes no @retry for each message that comes; before it leaves, it looks for
    what nobody rang for."""
    world.domain("one.example")
    postern.settings["linger"] = "1h"
    mark, marked = postern.spool / "lane" / "one.example" / "@retry", []
    world.sink.say["END"] = lambda _: marked.append(mark.exists()) or "250 2.0.0 taken"
    for n in (1, 2):
        postern.send("u@one.example")
        world.sink.wait_messages(n)
        postern.wait_messages(0)
    assert marked[1:] == [False] and mark.parent.exists() and not mark.exists()
    postern.send("u@one.example", max_connections=0)
    assert len(world.sink.messages) == 2
    world.sink.cut() # and so it does not wait any longer
    world.sink.wait_messages(3)
    postern.wait_messages(0)
    world.sink.cut()
    postern.settled()
