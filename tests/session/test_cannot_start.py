"""S18: a program that cannot be started leaves a line in the log, as an error, and mail stays."""
import base64
import os
import subprocess

import pytest

from conftest import own
from patience import PATIENCE


def program(postern, kind):
    """(path of one that cannot be executed, why)"""
    path = postern.where / "program"
    if kind == "absent":
        return path, "No such file or directory"
    if kind == "directory":
        path.mkdir()
        return path, "Permission denied"
    path.write_text({"text": "no program", "interpreter": "#!/nonexistent/sh\n", "mode": "#!/bin/sh\n"}[kind])
    path.chmod(0o644 if kind == "mode" else 0o755)
    own(path)
    return path, {"text": "Exec format error", "interpreter": "No such file or directory",
                  "mode": "Permission denied"}[kind]


KINDS = ["absent", "directory", "text", "interpreter", "mode"]


@pytest.mark.parametrize("kind", KINDS)
def test_relay(postern, kind):
    """By a session: the 250 stands; by the timer."""
    path, why = program(postern, kind)
    assert "queued as" in postern.send("u@d.example", relay_path=path)
    postern.wait_logged(f"lane d.example: cannot start relay: {path}: {why}; the timer will")
    postern.settled(waiting=1)
    due = postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "relay", "--due", relay_path=path)
    assert due.wait(PATIENCE) == 0
    postern.wait_logged(f"login none: cannot start relay: {path}: {why}\n")


def test_relay_of_many_lanes(postern):
    """One line for all of them."""
    for n in range(5):
        assert "queued as" in postern.send(f"u@d{n}.example", max_connections=0)
    due = postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "relay", "--due", relay_path="/nonexistent")
    assert due.wait(PATIENCE) == 0
    assert postern.rested().count("cannot start relay: /nonexistent: No such file") == 1


def test_lock_is_given_back(postern, world):
    """Neither the lane nor the login is held by what did not start."""
    world.domain("d.example")
    assert "queued as" in postern.send("u@d.example", relay_path="/nonexistent", max_connections=1)
    postern.due(max_connections=1)
    world.sink.wait_messages()
    postern.settled()


@pytest.mark.parametrize("kind", KINDS)
def test_tls(secure, kind):
    path, why = program(secure, kind)
    c = secure.meet(tls_path=path)
    assert c.ask("STARTTLS") == "454 4.7.0 Error: TLS not available"
    assert "queued as" in c.message()
    assert c.finish() == 0
    assert f"cannot start {path}: {why}; " in secure.logged()


@pytest.mark.parametrize("kind", KINDS)
def test_auth(postern, kind):
    path, why = program(postern, kind)
    c = postern.meet(auth_path=path, auth_users="/dev/null", auth_clear="yes")
    assert c.ask("AUTH PLAIN " + base64.b64encode(b"\0u\0p").decode()) == "454 4.7.0 Error: temporary authentication failure"
    assert c.finish() == 0
    assert f"cannot start {path}: {why}; " in postern.logged()


@pytest.mark.parametrize("kind", KINDS)
def test_check(postern, kind):
    path, why = program(postern, kind)
    c = postern.meet(recipient_check=path)
    assert c.ask("MAIL FROM:<a@b.example>")[:3] == "250"
    assert c.ask("RCPT TO:<u@d.example>") == "451 4.7.1 Error: cannot be checked now"
    assert c.finish() == 0
    assert f"cannot start {path}: {why}; " in postern.logged()


def test_program_that_is_being_written(postern):
    """A moment in a bad upgrade: the file is there and open for writing."""
    path = postern.where / "relay"
    path.write_bytes(b"#!/bin/sh\n")
    path.chmod(0o755)
    writing = os.open(path, os.O_WRONLY)
    try:
        assert "queued as" in postern.send("u@d.example", relay_path=path)
    finally:
        os.close(writing)
    postern.wait_logged(f"lane d.example: cannot start relay: {path}: Text file busy; the timer will")
