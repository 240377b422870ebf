"""What a session that was taken over can do, in a pipe: nothing but its work, and no end of helpers.
test_systemd.py and test_xinetd.py show the same of sessions there."""
import os
import select
import socket
import struct
import subprocess

import pytest

import locked
import patience
import proc
from conftest import BUILD

RELAY, TLS, AUTH, SENDER, RECIPIENT = range(5) # request.h
LANE = 256
AT_ONCE = 16 # LIMIT_HELPERS


class Talk:
    """A client on two pipes, of a smtpd that inherited more than it should have."""

    def __init__(self, postern, **settings):
        with open(postern.log, "ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'exec 7</etc/passwd; exec "$@"', "sh",
                 *postern.command("smtpd", max_connections=0, **settings)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env={**postern.environment(), "PASSWORD": "secret"})
        postern.started.append(self.process)
        self.monitor = self.process.pid
        assert self.reply() == b"220"

    def reply(self):
        while (line := self.process.stdout.readline())[3:4] == b"-":
            pass
        return line[:3]

    def ask(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self.reply()


def test_taken_over(postern, where):
    """K1, K2: calls fail, and there is nothing to use; then a message is taken as ever."""
    locked.need(BUILD)
    postern.pipe("QUIT\n") # makes what relays need
    talk, other = Talk(postern), Talk(postern)
    taken = locked.Taken(locked.build_inject(where), talk.monitor, other.monitor, postern.spool)
    taken.check_holdings(0)
    taken.check_calls()
    taken.check_control()
    assert talk.ask("NOOP") == talk.ask("EHLO x") == talk.ask("MAIL FROM:<a@sender.example>") == b"250"
    assert talk.ask("RCPT TO:<u@dest.example>") == b"250"
    assert talk.ask("DATA") == b"354" and talk.ask("Subject: x\n\nhello\n.") == b"250"
    assert len(postern.messages()) == 1 # lint: the reply to its text is there, and nothing delivers it
    assert talk.ask("QUIT") == b"221"


# ---- helpers

class Rogue:
    """Sends what it likes to the monitor, through the session's own socket."""

    def __init__(self, monitor):
        self.monitor = monitor
        self.requests = locked.socket_of(locked.session_of(monitor))

    def ask(self, kind, fds):
        """The descriptors are those of a new pair; ours is returned."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.requests, [struct.pack(f"I{LANE}s", kind, b"")],
                            [theirs.fileno()] * fds)
        return ours

    def helpers(self, name):
        found = map(proc.words, proc.children(self.monitor))
        return [words for words in found if words and
                os.path.basename(words[-2 if words[0] == "/bin/sh" else 0]) == name]


def refused(asked):
    """How many have nobody at the other end: the monitor let go of it, and gave it to no helper."""
    return len([s for s in asked if select.select([s], [], [], 0)[0] and s.recv(1, socket.MSG_PEEK) == b""])


@pytest.fixture
def rogue(postern, where, pki):
    locked.need(BUILD)
    check = where / "check"
    check.write_text("#!/bin/sh\nexec 2>&-\nread line\n")
    check.chmod(0o755)
    talk = Talk(postern, recipient_check=check, timeout_check="1h", tls_certificate=pki.path("server"))
    rogue = Rogue(talk.monitor)
    yield rogue
    rogue.requests.close()


def test_helpers_at_once(postern, rogue):
    """However many are asked for, and one more only when one has ended."""
    asked = [rogue.ask(RECIPIENT, 1) for _ in range(10 * AT_ONCE)]
    patience.until(lambda: refused(asked) == 9 * AT_ONCE)
    patience.until(lambda: len(rogue.helpers("check")) == AT_ONCE)
    assert len(proc.children(rogue.monitor)) == 1 + AT_ONCE # the session
    postern.wait_logged("asks for more programs")
    for ours in asked:
        ours.close()
    patience.until(lambda: not rogue.helpers("check"))
    with rogue.ask(RECIPIENT, 1):
        patience.until(lambda: len(rogue.helpers("check")) == 1)


def test_tls_once(postern, rogue):
    """RFC 3207 knows no second time, and a process with the private key costs more than others."""
    with rogue.ask(TLS, 2) as first, rogue.ask(TLS, 2) as second:
        patience.until(lambda: refused([second]))
        patience.until(lambda: rogue.helpers("tls"))
        assert len(proc.children(rogue.monitor)) == 2 and not refused([first]) # the session and one more
        postern.wait_logged("asks for more programs")


def test_not_a_request(postern, rogue):
    """Kinds that are none, and none of the descriptors that a kind needs: nothing is started."""
    for kind, fds in ((6, 1), (0xFFFFFFFF, 1), (TLS, 1), (AUTH, 0), (AUTH, 2), (SENDER, 1), (RECIPIENT, 2)):
        rogue.ask(kind, fds).close()
    with rogue.ask(RECIPIENT, 1):
        patience.until(lambda: rogue.helpers("check")) # requests are served one after the other
        assert len(proc.children(rogue.monitor)) == 2 # the session and that one
