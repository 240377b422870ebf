"""L18: lanes with something in them that is not ours, and file systems that show a removed open file."""
import os
import shutil
import socket
import subprocess

import pytest

import patience
from conftest import own

STRAYS = [".DS_Store", ".nfs0001", "README", "@eaDir"]


@pytest.mark.parametrize("name", STRAYS)
def test_stray(postern, world, name):
    """It stays, the relay ends, and the next message goes out at once."""
    world.domain("one.example")
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    stray = postern.spool / "lane" / "one.example" / name
    stray.write_text("mine")
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 1
    postern.due() # nothing is due
    text = postern.rested()
    assert text.count("connected to") == 1 and stray.read_text() == "mine", text
    assert "queued as" in postern.send("u@one.example")
    postern.settled()
    assert len(world.sink.messages) == 2
    assert stray.read_text() == "mine"
    stray.unlink()
    postern.make_due()
    postern.due()
    postern.settled()
    assert not stray.parent.exists()


@pytest.mark.parametrize("trouble", ["a stray file", "mail that cannot be opened"])
def test_schedule_of_minutes(postern, world, trouble):
    """L18: what rests for longer than the schedule ever waits is not taken for a clock that was set
    back, or the relay would turn in a circle."""
    world.domain("one.example")
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    name = postern.messages()[0]
    if trouble == "a stray file":
        (name.parent / "README").write_text("mine")
    else:
        name.chmod(0)
    postern.due(retry="20s")
    postern.rested()
    assert postern.logged().count("connected to") <= 1
    postern.due(retry="20s") # nothing is due
    assert postern.rested().count("cannot open") <= 1


@pytest.mark.parametrize("kind", ["directory", "link", "pipe", "socket"])
def test_no_file(postern, world, kind, monkeypatch):
    """L18: what has the name of a message and is no file stays as it is, with one line in the log each hour, and not
    one each minute, or for each new mail."""
    world.domain("one.example")
    for _ in range(2):
        assert "queued as" in postern.send("u@one.example", max_connections=0)
    name = postern.messages()[0]
    name.unlink()
    if kind == "directory":
        name.mkdir()
        (name / "README").write_text("mine")
    elif kind == "link":
        name.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(name)
    else:
        with socket.socket(socket.AF_UNIX) as s:
            monkeypatch.chdir(name.parent) # a path may be too long for it
            s.bind(name.name)
    postern.due()
    postern.rested()
    assert "queued as" in postern.send("u@one.example")
    log = postern.rested()
    assert len(world.sink.messages) == 2
    line = f"{name.name}: not a file, so no message: left in lane one.example as it is\n"
    assert log.count(line) == 1 and "cannot open" not in log
    for path in (name.parent / "@retry", name.with_suffix(".log")):
        assert path.stat().st_mtime - name.lstat().st_mtime > 1800
    assert kind != "directory" or (name / "README").read_text() == "mine"
    postern.make_due()
    postern.due()
    assert postern.rested().count(line) == 2 and os.path.lexists(name)


def test_pipe_in_place_of_a_log(postern, world):
    """L18: nobody waits for its other end; it says nothing, and the mail goes."""
    world.domain("one.example")
    for _ in range(2):
        assert "queued as" in postern.send("u@one.example", max_connections=0)
    pipe = postern.messages()[0].with_suffix(".log")
    os.mkfifo(pipe)
    own(pipe)
    postern.make_due()
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 2 and not pipe.parent.exists()


def test_retry_of_another_user(postern, world):
    """S13: who wants a lane to be due and touches @retry as root does not make it stand still."""
    world.domain("one.example")
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    mark = postern.messages()[0].parent / "@retry"
    mark.touch()
    mark.chmod(0)
    postern.make_due()
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 1


def test_lane_that_does_not_go(postern, world):
    """L18: it is empty and cannot be removed: it rests, and the relay ends; new mail goes out at once."""
    world.domain("one.example")
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    lanes = postern.spool / "lane"
    lanes.chmod(0o500)
    postern.due()
    postern.settled()
    postern.due() # nothing is due
    assert postern.rested().count("connected to") == 1 and len(world.sink.messages) == 1
    lanes.chmod(0o700)
    assert "queued as" in postern.send("u@one.example")
    postern.settled()
    assert len(world.sink.messages) == 2 and not list(lanes.iterdir())


def test_time_of_another_user(postern, world):
    """L18: @retry may be written to, and its time is not ours to set: that is said, and the relay ends."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    world.domain("one.example")
    world.sink.say["MAIL"] = "451 later"
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    mark = postern.messages()[0].parent / "@retry"
    mark.touch()
    mark.chmod(0o666)
    postern.due()
    log = postern.settled(1)
    said = "lane one.example: cannot write down when it is due: Operation not permitted"
    assert log.count(said) == 1 and log.count("connected to") == 1


def test_link_in_place_of_the_lock(postern, world):
    """L18: nobody can work on the lane: that is said, and the relay ends."""
    world.domain("one.example")
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    lock = postern.messages()[0].parent / "@lock"
    lock.unlink()
    lock.symlink_to("/etc/passwd")
    postern.due()
    log = postern.settled(1)
    assert log.count("lane one.example: cannot open: File exists") == 1 and not world.sink.connections


def test_in_place_of_tended(postern, world):
    """S13: mail would not grow old, so that is said; it is delivered all the same."""
    world.domain("one.example")
    postern.pipe("QUIT\n", max_connections=0)
    (postern.spool / "tended").unlink()
    (postern.spool / "tended").mkdir()
    assert "queued as" in postern.send("u@one.example")
    postern.settled()
    assert "tended: cannot write down that a relay is here: Is a directory" in postern.logged()
    assert len(world.sink.messages) == 1


@pytest.fixture
def bound(postern):
    """The spool as bindfs shows it, by FUSE."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or shutil.which("bindfs") is None:
        pytest.skip("needs root, /dev/fuse and bindfs")
    there = postern.where / "there"
    postern.spool.rename(there)
    postern.spool.mkdir()
    p = subprocess.run(["bindfs", "-o", "allow_other", str(there), str(postern.spool)], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if p.returncode != 0:
        pytest.skip(f"cannot mount: {p.stdout.strip()}")
    try:
        yield there
        postern.rested()
    finally:
        subprocess.run(["umount", "--lazy", str(postern.spool)], check=True)


def test_fuse(bound, postern, world):
    """A removed file has another name while it is open: the relay ends, and new mail is delivered."""
    world.domain("one.example")
    for n in (1, 2, 3):
        assert "queued as" in postern.send(["u@one.example", "v@one.example"])
        postern.settled()
        assert len(world.sink.messages) == n
    left = [p.name for p in (bound / "lane").glob("*/*") if not p.name.startswith("@")]
    patience.until(lambda: not [p for p in (bound / "lane").glob("*/.fuse*")])
    assert not [name for name in left if not name.startswith(".fuse")]
