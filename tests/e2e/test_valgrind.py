"""Sessions, deliveries and reports under valgrind: no error, and nothing lost when they end.

Both programs are those of `make instrumented`, which are as they are shipped but for the locking in:
valgrind could not work inside.
"""
import os
import re
import socket

import pytest

import patience
import proc
from client import pair
from conftest import made, within_reach

SECONDS = 300 # valgrind is slow
WRAPPER = """#!/bin/sh
exec valgrind --leak-check=full --log-file="{logs}/%p" "{program}" "$@"
"""
MAIL = """MAIL FROM:<a@sender.example>
RCPT TO:<{0}@dest.example>
RCPT TO:<broken
DATA
Subject: {0}

..text
.
"""
SCRIPT = "HELO x\nEHLO client.example\nNONSENSE\nMAIL FROM:<>\nRSET\nVRFY someone\n" \
    + MAIL.format("taken") + MAIL.format("refused") + MAIL.format("later") + "QUIT\n"


@pytest.fixture(scope="module")
def build():
    return within_reach(made("instrumented", "valgrind"))


@pytest.fixture
def checked(postern, world, build):
    """`postern`, each program under valgrind, relays started by smtpd too."""
    postern.logs = postern.where / "valgrind"
    postern.logs.mkdir()
    postern.logs.chmod(0o777)
    postern.build = postern.where / "wrapped"
    postern.build.mkdir()
    for name in ("smtpd", "relay"):
        wrapper = postern.build / name
        wrapper.write_text(WRAPPER.format(logs=postern.logs, program=build / name))
        wrapper.chmod(0o755)
    postern.settings["relay_path"] = postern.build / "relay"
    world.domain("dest.example")
    world.sink.say["RCPT"] = lambda line: \
        "550 5.1.1 no" if "refused" in line else "450 4.2.0 wait" if "later" in line else "250 ok"
    return postern


def under_way(postern):
    """Processes of this spool, which valgrind and its shell are too."""
    return [pid for pid in os.listdir(proc.PROC) if pid.isdigit() and f"spool={postern.spool}" in proc.words(pid)]


def reports(postern):
    """Of the processes that have ended: {program: [report]}."""
    found = {}
    for path in postern.logs.iterdir():
        text = path.read_text()
        assert re.search(r"ERROR SUMMARY: \d+ errors from", text), f"it did not come to its end: {text}"
        program = re.search(r"Command: \S*/(\w+) ", text)[1]
        found.setdefault(program, []).append(text)
    return found


def check(postern, **wanted):
    """Waits until all have ended, of each program at least so many, and looks at them all."""
    # Twice, for one that starts another and ends may do both behind one look.
    patience.until(lambda: not under_way(postern) and not under_way(postern), SECONDS)
    found = reports(postern)
    for program, number in wanted.items():
        assert len(found.get(program, [])) >= number, found
    for text in (t for texts in found.values() for t in texts):
        assert "ERROR SUMMARY: 0 errors" in text, text
        assert "no leaks are possible" in text or (
            "definitely lost: 0 bytes" in text and "indirectly lost: 0 bytes" in text), text


def test_pipe(checked, world, wait):
    """A session over a pipe; a message that is taken, one that is refused and reported, one that waits."""
    said = checked.pipe(SCRIPT)
    assert said.count("queued as") == 3, said
    wait(lambda: len(world.sink.messages) == 2, SECONDS)
    assert sorted(m.sender for m in world.sink.messages) == ["", "a@sender.example"]
    check(checked, smtpd=2, relay=2)


def test_socket(checked, world, wait):
    """The same over TCP, each line on its own, and a client that leaves in the middle of a message."""
    client, server = pair()
    with server:
        checked.start(server, server)
    with client, client.makefile("rwb") as f:
        f.readline()
        for line in SCRIPT.replace("QUIT\n", MAIL.format("cut")).splitlines()[:-1]:
            f.write(line.encode() + b"\r\n")
            f.flush()
        client.shutdown(socket.SHUT_WR)
        assert f.read().count(b"queued as") == 3
    wait(lambda: len(world.sink.messages) == 2, SECONDS)
    check(checked, smtpd=2, relay=2)


def test_due(checked, world, wait):
    """relay --due, and what it starts, for a host that is down, a domain that is not, one without MX."""
    world.domain("down.example", "127.0.0.9")
    checked.send(["u@down.example", "u@absent.example", "u@dest.example"], max_connections=0)
    checked.due()
    wait(lambda: len(world.sink.messages) == 2, SECONDS)
    check(checked, smtpd=2, relay=3)
