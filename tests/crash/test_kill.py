"""J6, I16, I20, C15: each process killed at its n-th system call of a kind.

strace delivers SIGKILL when the real program, not an instrumented one, enters the call. After that
`relay --due` must deliver what was acknowledged, and nothing that is not whole may have arrived.
"""
import hashlib
import re
import shutil
import subprocess

import pytest

BODY = "Subject: kill\n\n" + "".join(f"line {i}\n" for i in range(2000))
DIGEST = hashlib.sha256(BODY.replace("\n", "\r\n").encode()).hexdigest()

# process, system call, which one of them
SESSION = [("openat", 1), ("openat", 2), ("write", 3), ("write", 4), ("mkdirat", 1), ("linkat", 1),
           ("linkat", 2), ("renameat", 1), ("fsync", 1), ("fsync", 2), ("fsync", 3), ("fsync", 4),
           ("fsync", 5), ("fsync", 6), ("close", 4), ("close", 5), ("close", 6), ("unlinkat", 1)]
MONITOR = [("read", 4), ("read", 5), ("openat", 8), ("fcntl", 1), ("fcntl", 2), ("clone", 2),
           ("wait4", 1), ("wait4", 2), ("close", 6)]
RELAY = [("openat", 12), ("connect", 1), ("connect", 2), ("sendto", 1), ("sendto", 2), ("sendto", 4),
         ("sendto", 8), ("pread64", 1), ("pread64", 2), ("unlinkat", 1), ("unlinkat", 2),
         ("unlinkat", 3), ("utimensat", 1), ("fcntl", 1), ("fcntl", 3), ("read", 8), ("poll", 2)]
POINTS = ([("session", c, n) for c, n in SESSION] + [("monitor", c, n) for c, n in MONITOR] +
          [("relay", c, n) for c, n in RELAY])

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def inject(call, n):
    return f"inject={call}:signal=SIGKILL:when={n}"


def run_killed(postern, role, call, n, script):
    """Runs smtpd with one of its processes doomed; what the client was told."""
    command = postern.command("smtpd", retry="1s 1s")
    if role == "relay":
        traced = postern.where / "relay"
        words = ["strace", "-f", "-o", "/dev/null", "-e", inject(call, n), str(postern.relay)]
        traced.write_text("#!/bin/sh\nexec " + " ".join(words) + ' "$@"\n')
        traced.chmod(0o755)
        command += ["-o", f"relay_path={traced}"]
    else:
        # A fork counts its calls from its own start: the session is what -f adds to the monitor.
        follow = ["-f"] if role == "session" else []
        at = next(i for i, w in enumerate(command) if w.endswith("/smtpd"))
        command[at:at] = ["strace", *follow, "-o", "/dev/null", "-e", inject(call, n)]
    with open(postern.log, "ab") as log:
        p = subprocess.run(command, input=script.encode(), stdout=subprocess.PIPE, stderr=log,
                           env=postern.environment(), timeout=60, check=False)
    return p.stdout.decode()


@pytest.mark.parametrize("role, call, n", POINTS, ids=lambda v: str(v))
def test_killed(postern, world, wait, role, call, n):
    for d in ("one.example", "two.example"):
        world.domain(d)
    from conftest import BUILD
    postern.relay = BUILD / "relay"
    script = ("EHLO c.example\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@one.example>\n"
              f"RCPT TO:<u@two.example>\nDATA\n{BODY}.\nQUIT\n")
    said = run_killed(postern, role, call, n, script)

    def all_delivered():
        postern.make_due()
        postern.due()
        return wait(lambda: not postern.messages(), 1)

    assert wait(all_delivered, 30), postern.logged()
    assert wait(lambda: not postern.relays(), 20), "a relay does not end"
    arrived = set()
    for m in world.sink.messages:
        body = m.data.split(b"+0000\r\n", 1)[1]
        assert hashlib.sha256(body).hexdigest() == DIGEST, "something torn was delivered"
        arrived.update(m.recipients)
    if re.search(r"queued as [0-9a-z]{20}\r\n", said):
        assert arrived == {"u@one.example", "u@two.example"}, postern.logged()
    else:
        assert arrived in (set(), {"u@one.example", "u@two.example"}, {"u@one.example"})
