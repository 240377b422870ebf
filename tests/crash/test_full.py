"""S3, S13: a disk without room, and one without inodes.

What was delivered is delivered once, however often the rest is tried; what can be delivered is; and all is
when there is room again.
"""
import collections
import shutil

import pytest

import smalldisk
import spoolfile

MIB = 1 << 20
DISKS = {"tmpfs": (4 * MIB, 100), "ext4": (8 * MIB, 200)}
RUNS = {("tmpfs", "both"): 100, ("ext4", "octets"): 20, ("ext4", "both"): 20} # of the others, some
PUT_OFF = ("later@one.example", "later@two.example")
SERVED = ("now@one.example", "also@one.example", "now@two.example", "alone@three.example")


@pytest.fixture
def queue(postern, world):
    """A message for three lanes is queued, some of whose recipients are put off."""
    for name in ("one.example", "two.example", "three.example"):
        world.domain(name)
    postern.settings.update(min_free="0", retry="1h")
    world.sink.say["RCPT"] = lambda line: "450 4.2.1 later" if "later@" in line else "250 2.1.5 ok"

    def queue_it():
        postern.pipe("QUIT\n") # a service that has greeted somebody while there was room
        said = postern.send([*PUT_OFF, *SERVED], max_connections=0)
        assert "queued as" in said, said
    return queue_it


def copies(world):
    return collections.Counter(r for m in world.sink.messages for r in m.recipients)


@pytest.mark.parametrize("shortage", ["octets", "inodes", "both"])
@pytest.mark.parametrize("kind", DISKS)
def test_each_once(postern, world, queue, kind, shortage):
    """Some are served and the others put off, again and again."""
    with smalldisk.spool_on(postern, kind, *DISKS[kind]) as disk:
        queue()
        if shortage != "octets":
            disk.crowd()
        if shortage != "inodes":
            disk.fill()
        for _ in range(RUNS.get((kind, shortage), 5)):
            disk.top_up()
            postern.due()
            postern.rested()
            spoolfile.elapse(postern.spool, 3600)
        assert copies(world) == dict.fromkeys(SERVED, 1), postern.logged()
        assert "No space left on device" in postern.logged()
        disk.empty()
        world.sink.say.clear()
        postern.due()
        postern.settled()
        assert copies(world) == dict.fromkeys([*SERVED, *PUT_OFF], 1)


def test_copy_on_write(postern, world, queue):
    """A file system that writes nothing in place: while nothing can be written down, nothing is sent."""
    with smalldisk.spool_on(postern, "btrfs", 128 * MIB, 0) as disk:
        queue()
        disk.fill()
        for n in range(1, 4):
            postern.due()
            text = postern.rested()
            assert copies(world) == {}
            assert text.count("could not be written down: No space left on device") >= n, text
        disk.empty()
        postern.make_due()
        postern.due()
        postern.settled(waiting=2)
        assert copies(world) == dict.fromkeys(SERVED, 1)


@pytest.mark.parametrize("shortage", ["octets", "inodes"])
@pytest.mark.parametrize("route", ["", "one.example"])
def test_what_a_relay_needs(postern, world, queue, route, shortage):
    """Lock and bell of each login are made while there is room: mail flows where there is none."""
    if route:
        postern.secrets["P"] = "secret"
        postern.configure("[route r]", f"domains = {route}", f"hosts = [127.0.0.2]:{world.port}", "delivery_user = u",
                          "delivery_password_file = environment:P")
    with smalldisk.spool_on(postern, "tmpfs", *DISKS["tmpfs"]) as disk:
        queue()
        there = {str(p.relative_to(postern.spool)) for p in (postern.spool / "relay").rglob("*")}
        assert there >= {f"relay/mx.test.example/{login}/{name}" for login in ["none", "route:r"][:1 + bool(route)]
                         for name in ("lock", "bell")}
        disk.crowd() if shortage == "inodes" else disk.fill()
        postern.due()
        postern.rested()
        served = {r: 1 for r in SERVED if not route or route not in r}
        assert copies(world) == served, postern.logged() # and the host of the route knows no AUTH
        assert "cannot start" not in postern.logged()
        disk.empty()


def test_nothing_that_a_relay_needs(postern, world, queue):
    """Where nobody made it, and cannot: that is said; with room all goes out."""
    with smalldisk.spool_on(postern, "tmpfs", *DISKS["tmpfs"]) as disk:
        queue()
        shutil.rmtree(postern.spool / "relay")
        disk.crowd()
        postern.due()
        assert "login none: cannot start relay" in postern.rested()
        assert copies(world) == {} and len(postern.messages()) == 3
        disk.empty()
        postern.due()
        postern.settled(waiting=2)
        assert copies(world) == dict.fromkeys(SERVED, 1)
