"""What a relay has of the session whose message it sends: nothing."""
import os
import pathlib
import signal
import subprocess

import pytest

from conftest import own
from patience import until
from proc import children
from test_extensions import USER

HOSTILE = {
    "LD_PRELOAD": "/nonexistent/preload.so", "LD_LIBRARY_PATH": "/nonexistent", "LD_AUDIT": "/nonexistent/audit.so",
    "NAMESERVERS": "192.0.2.53", "LOCALDOMAIN": "evil.example", "RES_OPTIONS": "ndots:9",
    "HOSTALIASES": "/nonexistent/aliases", "TZ": "/nonexistent/zone", "MALLOC_PERTURB_": "165",
    "MALLOC_ARENA_TEST": "x", "PATH": ".", "TMPDIR": "/nonexistent", "HOME": "/nonexistent",
}


def check_inherited(postern, ours, relay):
    theirs = fds(relay)
    assert ours[0] == ours[1] and ours[0] not in theirs.values()
    known = ("/dev/null", str(postern.log), f"{postern.spool}", "socket:", "anon_inode:",
             "/etc/ssl/certs/ca-certificates.crt", "/etc/hosts") # for when they are out of reach
    assert all(x.startswith(known) for x in theirs.values()), theirs
    shared = set(ours.values()) & set(theirs.values())
    assert not [x for x in shared if x.startswith("socket:")]
    environ = pathlib.Path(f"/proc/{relay}/environ").read_bytes().decode()
    assert not [name for name in HOSTILE if f"{name}=" in environ and name != "PATH"], environ
    assert "PATH=." not in environ


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look at what is not dumpable")
def test_relay_inherits_nothing(postern, world, wait, monkeypatch):
    """K1, K2: no connection of a client, no descriptor of whoever started smtpd, and no environment."""
    for name, value in HOSTILE.items():
        if not name.startswith("LD_") and name != "PATH": # those are for what starts smtpd here
            monkeypatch.setenv(name, value)
    world.domain("d.example")
    c = postern.connect(max_connections=20)
    with world.sink.held("RCPT", "250 ok"):
        assert c.reply()[:3] == "220"
        c.hello()
        assert "queued as" in c.message(recipient="u@d.example")
        assert wait(lambda: any(x.startswith("RCPT") for x in world.sink.lines)) # it is locked in by then
        assert len(postern.relays()) == 2 and len(postern.at_work()) == 1
        [session] = [x for x in children(c.process.pid) if fds(x).get(0, "").startswith("socket:")]
        for relay in postern.relays(): # at work, and the one that watches it
            check_inherited(postern, fds(session), relay)
    postern.settled()
    assert world.sink.messages and c.finish() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look at what is not dumpable")
def test_passwords_are_relays_alone(postern, world, wait):
    """K2: what we are to say to other hosts is not in the process that judges what clients say, nor in a session;
    nor in the environment of a relay at work, which holds the password of one route and no other."""
    world.domain("d.example")
    users = postern.where / "users"
    users.write_text(USER)
    own(users)
    postern.secrets["HOST"] = "pass-word"
    c = postern.connect(max_connections=20, auth_users=users, auth_clear="yes", timeout_check="1h")
    with world.sink.held("RCPT", "250 ok"):
        assert c.reply()[:3] == "220"
        c.hello()
        assert "queued as" in c.message(recipient="u@d.example")
        assert c.ask("AUTH SCRAM-SHA-256")[:3] == "334"
        assert wait(lambda: any(x.startswith("RCPT") for x in world.sink.lines)) # so the relay is at work
        processes = {"relay": postern.wait_at_work(), "auth": postern.wait_running("auth")}
        processes["session"] = [x for x in children(c.process.pid) if fds(x).get(0, "").startswith("socket:")]
        told = {name for name, pids in processes.items() for pid in pids
                if b"pass-word" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()}
        assert all(processes.values()) and not told
    assert c.ask("*")[:3] == "501"
    assert c.finish() == 0
    postern.settled()


def fds(pid):
    found = {}
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(path.name)] = os.readlink(path)
        except OSError:
            pass
    return found


def test_signals_to_the_group(postern, world):
    """J6: what ends smtpd and all that the shell started with it (^C, a closed terminal) ends no relay."""
    world.domain("d.example")
    with world.sink.held("RCPT", "250 ok"):
        with open(postern.log, "ab") as log:
            p = subprocess.Popen(postern.command("smtpd"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=log, env=postern.environment(), start_new_session=True)
        postern.started.append(p)
        p.stdin.write(b"EHLO x\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@d.example>\nDATA\nSubject: x\n\nx\n.\n")
        p.stdin.flush()
        relays = postern.wait_relays(2) # at work, and the one that watches it
        until(lambda: any(x.startswith("RCPT") for x in world.sink.lines))
        assert os.getsid(p.pid) not in map(os.getsid, relays)
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        until(lambda: sorted(postern.relays()) == sorted(relays)) # those of the group take a moment to be gone
    until(lambda: len(world.sink.messages) == 1)
