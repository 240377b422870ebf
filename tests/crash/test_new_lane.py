"""M6, J3: a new lane whose writer died before it had synced the lane's name.

@lock is the proof that the name of its lane is on disk. A writer makes it last; who finds a lane without
one makes it, whether it brings mail or comes to fetch it, and syncs the directory of lanes first.
"""
import errno

import pytest

import strike

BODY = "Subject: x\r\n\r\nhello\r\n"
TO = "u@one.example"


@pytest.fixture(scope="module")
def killat(tmp_path_factory):
    return strike.build_killat(tmp_path_factory.mktemp("killat"))


@pytest.fixture
def striker(killat, postern, world):
    """A spool with a lane that has a message and no @lock."""
    world.domain("one.example")
    s = strike.Striker(killat, postern)
    first = s.session(None, [([TO], BODY)], max_connections=0) # makes the spool; and this is the second
    assert first[0].startswith("250")
    for name in ("@lock", "@retry"):
        (lane(postern) / name).unlink(missing_ok=True)
    for message in postern.messages():
        message.unlink()
    lane(postern).rmdir()
    assert s.session("session:fsync#2:enter", [([TO], BODY)], max_connections=0) == [None]
    assert [c.result for c in s.calls if c.name == "fsync" and c.role == "session"][-1] == "killed"
    assert [p.name for p in lane(postern).iterdir()] == [m.name for m in postern.messages()]
    assert len(postern.messages()) == 1
    return s


def lane(postern):
    return postern.spool / "lane" / "one.example"


def syncs(striker, role):
    """What its fsync calls returned."""
    return [c.result for c in striker.calls if c.role == role and c.name == "fsync"]


def test_fetched(striker, postern, world):
    """By a courier: it syncs, then makes @lock, and the message is delivered."""
    striker.run(None, postern.command("relay", "--due"))
    mine = [c for c in striker.calls if c.role == "courier" and c.name in ("openat", "fsync")]
    at = [i for i, c in enumerate(mine) if c.name == "fsync"]
    assert len(at) == 1 and mine[at[0]].result == "0"
    before, behind = mine[at[0] - 1], mine[at[0] + 1]
    assert before.result == str(-errno.ENOENT), "it was not there"
    assert behind.name == "openat" and behind.argument == before.argument and int(behind.result) >= 0
    assert [m.recipients for m in world.sink.messages] == [[TO]]
    assert not postern.messages()


def test_sync_fails(striker, postern, world):
    """Without the sync there is no @lock, and nobody works there; the next one who comes can."""
    striker.run("courier:fsync#1=EIO", postern.command("relay", "--due"))
    assert syncs(striker, "courier") == [str(-errno.EIO)]
    assert not (lane(postern) / "@lock").exists()
    assert not world.sink.messages and len(postern.messages()) == 1
    striker.run(None, postern.command("relay", "--due"))
    assert [m.recipients for m in world.sink.messages] == [[TO]]


def test_lane_that_goes(striker, postern):
    """A relay removes the lane between its making and the message's name in it: it is made again."""
    said = striker.session("session:renameat#1=ENOENT", [([TO], BODY)], max_connections=0)
    assert said[0].startswith("250")
    names = [c.result for c in striker.calls if c.role == "session" and c.name == "renameat"]
    assert names == [str(-errno.ENOENT), "0"]
    assert len(postern.messages()) == 2


def test_closed_before_it_is_told(striker):
    """The file is closed, and with it its lock, before anybody can hear of the message."""
    said = striker.session(None, [([TO], BODY)], max_connections=0)
    assert said[0].startswith("250")
    mine = [c for c in striker.calls if c.role == "session"]
    synced = [c for c in mine if c.name == "fsync"]
    behind = mine[mine.index(synced[-1]) + 1:]
    assert behind[0].name == "close" and behind[0].argument == synced[0].argument, behind[:3]


def test_another_writer(striker, postern):
    """It finds a lane that is not proven: so it syncs the directory of lanes beside file and lane."""
    said = striker.session(None, [([TO], BODY), ([TO], BODY)], max_connections=0)
    assert all(x.startswith("250") for x in said)
    assert syncs(striker, "session") == ["0"] * (3 + 2), "the second time there is @lock"
    assert (lane(postern) / "@lock").exists()


def test_new_and_old(striker, postern):
    """A message for a lane that is proven and one that is new: the file, the lanes, and each of the two."""
    two = [TO, "v@two.example"]
    said = striker.session(None, [([TO], BODY), (two, BODY), (two, BODY)], max_connections=0)
    assert all(x.startswith("250") for x in said)
    assert syncs(striker, "session") == ["0"] * (3 + 4 + 3)


def test_sync_of_a_lane_fails(striker, postern):
    """Not queued; and nothing of it is left, nor of a lane that it made."""
    two = [TO, "v@two.example"]
    for n in (1, 2, 3, 4):
        said = striker.session(f"session:fsync#{n}=EIO", [(two, BODY)], max_connections=0)
        assert said[0].startswith("451"), said
        assert len(postern.messages()) == 1 and not (postern.spool / "lane" / "two.example").exists()
        assert not list((postern.spool / "tmp").iterdir())
