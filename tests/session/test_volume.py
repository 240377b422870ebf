"""L69: a container with a user that nobody knows and a volume that belongs to the group of root."""
import os

import pytest

USER = 1000660000 # as OpenShift gives them

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another")


@pytest.fixture
def volume(postern):
    """postern.command runs as that user, with group 0."""
    path = postern.where / "volume"
    path.mkdir()
    path.chmod(0o2775)
    usual = postern.command
    postern.command = lambda *arguments, **settings: [
        "setpriv", f"--reuid={USER}", "--regid=0", *usual(*arguments, **settings)[3:]]
    os.chown(postern.runtime, USER, 0)
    return path


def test_spool_is_made(postern, volume, world):
    """Where the volume lets us; and mail goes through it."""
    world.domain("d.example")
    spool = postern.spool = volume / "postern"
    assert "queued as" in postern.send("u@d.example", spool=spool)
    world.sink.wait_messages()
    postern.settled()
    assert spool.stat().st_mode & 0o777 == 0o700 and spool.stat().st_uid == USER


def test_volume_itself(postern, volume):
    """Others of the group could write there: it is said whose it is, and what to do."""
    said = postern.pipe("QUIT\n", max_connections=0, spool=volume)
    assert said == "421 4.3.0 mx.test.example Error: queue not available\r\n"
    assert (f"spool {volume}: it belongs to user 0 and not to {USER}, who runs this; \"chown {USER} {volume}\", or set "
            "spool to a directory in it") in postern.logged()


def test_mode_of_it(postern, volume):
    os.chown(volume, USER, 0)
    assert postern.pipe("QUIT\n", max_connections=0, spool=volume)[:3] == "421"
    assert (f"spool {volume}: others than its owner may write to it (mode 2775); \"chmod 700 {volume}\"") in \
        postern.logged()


def test_cannot_be_made(postern, volume):
    volume.chmod(0o755)
    assert postern.pipe("QUIT\n", max_connections=0, spool=volume / "postern")[:3] == "421"
    assert f"spool {volume}/postern: No such file or directory, and it cannot be made: Permission denied; " in postern.logged()
