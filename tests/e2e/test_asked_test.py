"""`postern test`: one message, followed to its end; the exit status says which."""
import json
import os
import subprocess

import pytest

import patience
from asked import ask, documented, fields_of
from conftest import NOBODY


@pytest.fixture
def tried(postern, world):
    """Runs it, with what it and the relay log in a file."""
    world.domain("d.example")
    postern.settings.update(postmaster="root@sender.example", retry="1h") # behind the time that it is followed

    def run(to="u@d.example", *words, **settings):
        if "--wait" not in words:
            words += ("--wait", str(patience.PATIENCE))
        with open(postern.log, "ab") as log:
            p = subprocess.run(postern.command("postern", "test", to, "--json", "--log", str(postern.log), *words,
                                               **settings),
                               stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, check=False,
                               env=postern.environment(), timeout=2 * patience.PATIENCE)
        found = json.loads(p.stdout) if p.stdout else None
        assert fields_of(found) <= documented("test")
        return p.returncode, found
    return run


def texts(found):
    return [e["text"] for e in found["events"]]


def test_delivered(postern, world, tried):
    status, found = tried()
    assert status == 0 and found["state"] == "delivered" and found["lane"] == "d.example"
    assert found["attempts_put_off"] == 0
    assert "accepted from" in texts(found)[0] and "250 2.0.0 taken" in texts(found)[-1]
    (message,) = world.sink.messages
    assert message.sender == "root@sender.example" and message.recipients == ["u@d.example"]
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in message.data and found["id"] in str(texts(found))
    postern.settled()


def test_failed(postern, world, tried):
    """Status 1, what the host said, and no report to anybody."""
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 nobody here" if "d.example" in line else "250 2.1.5 ok"
    status, found = tried()
    assert status == 1 and found["state"] == "failed" and "550 5.1.1 nobody here" in texts(found)[-1]
    postern.settled()
    assert world.sink.messages == []


def test_put_off(postern, world, tried):
    """Status 75: it waits, and what follows lies behind the time."""
    world.sink.say["RCPT"] = "451 4.7.1 come back"
    status, found = tried()
    assert status == 75 and found["state"] == "waiting" and found["attempts_put_off"] == 1
    assert "451 4.7.1 come back" in texts(found)[-1]
    assert len(postern.messages()) == 1


def test_no_host(postern, world, tried):
    world.sink.close()
    status, found = tried()
    assert status == 75 and found["state"] == "waiting"
    assert "Connection refused" in str(texts(found))
    assert len(postern.messages()) == 1


def test_refused(postern, world, tried):
    """smtpd does not take it."""
    assert world
    status, found = tried(relay_local="no")
    assert status == 1 and "relaying denied" in found["answer"] and found["id"] == ""
    assert tried("nobody")[0] == 64 and tried("u@d.example", "--wait", "x")[0] == 64
    assert postern.messages() == []


def test_queue_only(postern, tried):
    status, found = tried("u@d.example", "--wait", "0", max_connections="0")
    assert status == 75 and found["state"] == "waiting"
    assert "max_connections is 0" in postern.logged()


def test_who_may_not(postern, world):
    """An ordinary user hears who may."""
    assert world
    postern.settings["postmaster"] = "root@sender.example"
    os.chown(postern.spool, NOBODY - 1, NOBODY - 1) if os.geteuid() == 0 else postern.spool.chmod(0)
    status, text, trouble = ask(postern, "test", "u@d.example")
    assert status == 75 and text == "" and "spool" in trouble
    if os.geteuid() != 0:
        postern.spool.chmod(0o700)
