"""`postern test`: one message, followed to its end; the exit status says which."""
import json
import os
import subprocess

import pytest

import patience
import submission
from asked import ask, documented, fields_of
from conftest import NOBODY

OTHER = 4242 # a user of this host, who owns nothing
AS_LONG_AS_IT_TAKES = ["--wait", str(int(patience.PATIENCE))]


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


@pytest.fixture
def stranger(postern, world):
    """Runs it as a user who has no right to the queue, beside a socket for local mail: (status, JSON, standard error)."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be two users")
    world.domain("d.example")
    local = submission.Local(postern, max_connections=10)

    def run(*words, to="u@d.example", log=postern.log, socket=None):
        log_option = ["--log", str(log)] if log else []
        p = subprocess.run(["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", str(postern.build / "postern"),
                            "-o", f"spool={postern.spool}", "-o", "hostname=mx.test.example", "test", to, "--json", *log_option, *words],
                           capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=2 * patience.PATIENCE,
                           env=local.environment(**({"POSTERN_SOCKET": str(socket)} if socket else {})))
        found = json.loads(p.stdout) if p.stdout else None
        assert found is None or fields_of(found) <= documented("test")
        return p.returncode, found, p.stderr
    yield run
    local.close()
    postern.rested()


def test_as_an_ordinary_user(postern, world, stranger):
    """Who may not look into the queue sends as every user does, under his own name, and is told what the log says of it."""
    status, found, _ = stranger(*AS_LONG_AS_IT_TAKES)
    assert (status, found["state"], found["from"], found["lane"]) == (0, "delivered", None, "")
    assert "accepted from" in texts(found)[0] and "250 2.0.0 taken" in texts(found)[-1]
    message, = world.sink.messages
    assert message.sender.endswith("@site.example") and f"uid={OTHER}".encode() in message.data
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in message.data
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 nobody here" if "d.example" in line else "250 2.1.5 ok"
    status, found, _ = stranger("--from", "a@sender.example", *AS_LONG_AS_IT_TAKES)
    assert (status, found["state"], found["from"]) == (1, "failed", "a@sender.example")
    postern.settled()
    assert len(world.sink.messages) == 1, "nobody was told by a report"


def test_an_ordinary_user_without_a_log(postern, world, stranger):
    """It is queued, and that is all that can be said: what to do is."""
    empty = postern.where / "empty"
    empty.touch()
    status, found, trouble = stranger("--wait", "1", log=empty)
    assert (status, found["state"]) == (75, "queued") and f'"sudo postern trace {found["id"]}"' in trouble
    postern.settled()
    assert len(world.sink.messages) == 1
    world.sink.say["RCPT"] = "451 4.7.1 come back"
    status, found, _ = stranger("--wait", "1")
    assert status == 75 and found["state"] in ("waiting", "queued")
    postern.settled(1)


def test_an_ordinary_user_is_refused(postern, world, stranger):
    """By smtpd, or because there is no such socket; no other mail system is tried."""
    assert world
    postern.settings["local_senders"] = "*=self"
    status, found, trouble = stranger("--from", "boss@d.example")
    assert (status, found["id"]) == (1, "") and "not queued: sender <boss@d.example>: 553 5.7.1" in trouble
    status, found, trouble = stranger(socket=postern.where / "none")
    assert (status, found) == (75, None) and 'try "sudo postern test"' in trouble and "not queued: " in trouble
    assert stranger(to="nobody")[0] == 64
    assert postern.messages() == []


def test_who_may_not(postern, world):
    """An ordinary user hears who may, where the configuration is not the one of the socket that all know."""
    assert world
    postern.settings["postmaster"] = "root@sender.example"
    postern.configure("min_free = 1M")
    os.chown(postern.spool, NOBODY - 1, NOBODY - 1) if os.geteuid() == 0 else postern.spool.chmod(0)
    status, text, trouble = ask(postern, "test", "u@d.example")
    assert status == 75 and text == "" and "spool" in trouble
    if os.geteuid() != 0:
        postern.spool.chmod(0o700)
