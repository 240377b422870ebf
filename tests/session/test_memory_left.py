"""What a client of an smtpd that serves many leaves in the memory of the process that served it: nothing."""
import base64
import os

import pytest

import busy
import memory
import patience
from conftest import own
from test_auth import hashed

MARKER = "Qx7kMarkerZw"
LOWER = MARKER.lower()
NAME, SECRET = f"user{MARKER}", f"pass{MARKER}"
PLAIN = base64.b64encode(f"\0{NAME}\0{SECRET}".encode()).decode()
# What is looked for: the marker, in either case, in the middle, as base64 wherever it begins in a group.
MARKERS = [MARKER.encode(), LOWER.encode(), MARKER[3:].encode(),
           *(base64.b64encode(b"x" * i + MARKER.encode())[4:-4] for i in range(3))]
WHOLE = f"Subject: {MARKER}\r\n\r\n{(MARKER + ' text') * 5}\r\n" * 3

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it reads the memory of a session")


def say_all(c):
    """All that can be said, well and badly."""
    c.ask(f"EHLO {MARKER}.example")
    c.ask(f"HELO {MARKER}.example")
    c.ask(f"EHLO {MARKER}.example")
    c.ask(f"VRFY {MARKER}")
    c.ask(MARKER)
    c.ask(f"NOOP {MARKER} {'x' * 1000}{MARKER}")
    c.ask(f"NOOP {'x' * 3000}{MARKER}")
    c.ask(f"NOOP \0{MARKER}")
    c.ask(f"MAIL FROM:<{MARKER}@{MARKER}.example> SIZE={MARKER}")
    for wrong in ("NoMech", "PLAIN", "LOGIN"):
        c.ask(f"AUTH {wrong} {base64.b64encode(MARKER.encode()).decode()}")
        c.ask("*")


def queue_all(c):
    assert c.ask(f"MAIL FROM:<{MARKER}@{MARKER}.example> ENVID={MARKER} RET=FULL")[:3] == "250"
    c.ask(f"RCPT TO:<{MARKER}@{MARKER}> NOTIFY={MARKER}")
    c.ask(f"RCPT TO:<{'x' * 400}{MARKER}@x.example>")
    for i in range(120): # more next hops than there is room for
        c.ask(f"RCPT TO:<{MARKER}@{MARKER}{i}.example> ORCPT=rfc822;{MARKER}@x.example")
    assert c.ask("DATA")[:3] == "354"
    assert c.ask(WHOLE * 1000 + ".")[:3] == "250"
    assert c.ask(f"MAIL FROM:<{MARKER}@{MARKER}é.example> SMTPUTF8")[:3] == "250"
    assert c.ask(f"RCPT TO:<{MARKER}é@{MARKER}ü.example>")[:3] == "250"
    c.send(f"BDAT {len(WHOLE)}\r\n{WHOLE}")
    assert c.reply()[:3] == "250"
    assert c.ask("BDAT 0 LAST")[:3] == "250"
    for last in ("BDAT 0 LAST", "RSET"): # what is rewritten; and left in the middle of a field
        assert c.ask(f"MAIL FROM:<{MARKER}@x.example>")[:3] == "250"
        assert c.ask(f"RCPT TO:<{MARKER}@mapped.example>")[:3] == "250"
        field = f"From: {MARKER} <{MARKER}@x.example>,\r\n {MARKER} <{MARKER}@x.example>"
        c.send(f"BDAT {len(field)}\r\n{field}")
        assert c.reply()[:3] == "250"
        assert c.ask(last)[:3] == "250"
    assert c.ask(f"MAIL FROM:<{MARKER}@x.example>")[:3] == "250" # and is left open


def everything_left(pool):
    return [where for pid in pool.workers() for where in memory.find(pid, MARKERS)]


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("end", ["QUIT", "gone", "flood"])
def test_marker(postern, pki, secure, end):
    users = postern.where / "users"
    users.write_text(f"{hashed(postern, NAME, SECRET).rstrip()}:{MARKER}@{MARKER}.example @x.example "
                     f"{MARKER}@{MARKER}é.example\n")
    own(users)
    users.chmod(0o600)
    check = postern.where / "check"
    check.write_text(f"#!/bin/sh\nread what address\ncase $address in *7@*) echo REJECT {MARKER};; *) echo OK;; esac\n")
    check.chmod(0o755)
    (postern.where / "map").write_text("@mapped.example: @x.example y@x.example\n")
    # One worker, which stays: of more than are to wait, one would go.
    pool = busy.Pool(postern, busy_sessions=1, add_missing="local", masquerade="x.example=y.example",
                     recipient_map=postern.where / "map", busy_spare=1, auth_users=users, auth_clear="yes", recipient_check=check,
                     tls_certificate=pki.path("server"), max_errors=1000)
    first = pool.ready()
    c = pool.connect()
    assert c.reply()[:3] == "220"
    say_all(c)
    if secure:
        c.starttls()
        say_all(c)
    said = c.ask(f"AUTH PLAIN {PLAIN}")
    assert said[:3] == "235", said
    queue_all(c)
    assert patience.until(lambda: everything_left(pool)), "while it is served it is there"
    if end == "QUIT":
        c.ask("QUIT")
    elif end == "flood":
        c.send((MARKER * 10) * 1000 * 10)
        c.rest()
    c.file.close()
    c.sock.close()
    patience.until(lambda: "\n".join(everything_left(pool)) == "")
    assert set(first) <= set(pool.workers()), "and it is the same process"
    assert pool.stop() == 0
