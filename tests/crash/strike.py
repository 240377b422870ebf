"""Runs smtpd and relay under killat, with a client that remembers what it was told.

A point is a text as killat takes it ("session:fsync#1:enter"). Which points there are is found by
watching an undisturbed run, so that the list is never older than the program.
"""
import collections
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import threading

import patience

HERE = pathlib.Path(__file__).resolve().parent
PER_ROLE = 26  # points of each role; CRASH_ALL=1 takes all
Call = collections.namedtuple("Call", "role pid name n argument result thread path")


def build_killat(where):
    killat = where / "killat"
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                    "-o", str(killat), str(HERE / "killat.c")], check=True)
    return killat


class Client:
    """Speaks SMTP on a socket in lock-step; `queued` holds the ids that were promised."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(5 * patience.PATIENCE)
        self.pending = b""
        self.queued = []
        self.said = []

    def reply(self):
        while True:
            m = re.match(rb"(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n", self.pending)
            if m:
                self.pending = self.pending[m.end():]
                text = m[0].decode("latin-1").strip()
                self.said.append(text)
                return text
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.pending += more

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, sender, recipients, body):
        """One message; the reply to its end, or what refused it earlier."""
        said = self.ask(f"MAIL FROM:<{sender}>")
        for r in recipients if said[0] == "2" else []:
            said = self.ask(f"RCPT TO:<{r}>")
            if said[0] != "2":
                break
        if said[0] == "2":
            said = self.ask("DATA")
        if said[:3] != "354":
            self.ask("RSET")
            return said
        self.sock.sendall(body.encode() + b".\r\n")
        return self.reply()


class Striker:
    """One spool, one world, one killat."""

    def __init__(self, killat, postern):
        self.killat, self.postern = killat, postern
        self.calls = []

    def start(self, point, command, sock=None):
        """killat, started; it writes down the calls. Several points are divided by blanks."""
        self.report = self.postern.where / "calls"
        self.report.unlink(missing_ok=True)
        options = [x for p in (point or "").split() for x in ("-p", p)]
        words = [str(self.killat), "-o", str(self.report), *options, "--"]
        with open(self.postern.log, "ab") as log:
            p = subprocess.Popen(words + command, stdin=sock or subprocess.DEVNULL,
                                 stdout=sock or subprocess.DEVNULL, stderr=log,
                                 env=self.postern.environment())
        if sock is not None:
            sock.close()
        return p

    def read_calls(self):
        # The last line may be torn where killat itself was stopped.
        rows = [line.split() for line in self.report.read_text().splitlines()]
        self.calls = [Call(r[0], int(r[1]), r[2], int(r[3]), int(r[4]), r[5], int(r[6]), r[7])
                      for r in rows if len(r) == 8]
        return self.calls

    def strikes(self):
        """How many processes were killed at a point."""
        return sum(c.result == "killed" for c in self.calls)

    def run(self, point, command, sock=None):
        """Returns the calls that were made; killat ends when all processes have ended."""
        status = self.start(point, command, sock).wait(6 * patience.PATIENCE) # it ends itself before that
        assert status >= 0, f"killat died by signal {-status}"
        return self.read_calls()

    @contextlib.contextmanager
    def held(self, point, recipients, body, **settings):
        """
        Inside, a session that sends this message stands still right after the call of `point`; at
        the end it is killed. Gives the list of what its client was answered.
        """
        ours, theirs = socket.socketpair()
        p = self.start(point + ":hold", self.postern.command("smtpd", **settings), theirs)
        client = Client(ours)

        def talk():
            try:
                client.reply()
                client.ask("EHLO client.example")
                client.send("a@sender.example", recipients, body)
            except OSError:
                pass

        talker = threading.Thread(target=talk)
        talker.start()
        try:
            patience.until(lambda: self.report.exists() and " held " in self.report.read_text())
            yield client.said
        finally:
            p.kill()
            p.wait()
            talker.join(patience.PATIENCE)
            ours.close()
        assert not talker.is_alive()

    def session(self, point, messages, **settings):
        """
        Sends messages (recipients, body) in one session over a socket; what each was answered, None
        for what had no answer.
        """
        ours, theirs = socket.socketpair()
        command = self.postern.command("smtpd", **settings)
        answers = [None] * len(messages)

        def talk():
            client = Client(ours)
            try:
                client.reply()
                client.ask("EHLO client.example")
                for i, (recipients, body) in enumerate(messages):
                    answers[i] = client.send("a@sender.example", recipients, body)
                client.ask("QUIT")
            except OSError:
                pass
            finally:
                ours.close()

        talker = threading.Thread(target=talk)
        talker.start()
        self.run(point, command, theirs)
        talker.join(patience.PATIENCE)
        assert not talker.is_alive()
        return answers

    def hit(self, point):
        """Was the point reached?"""
        role, call, n = re.match(r"(\w+):(\w+)#(\d+)", point).groups()
        return any(c.role == role and c.name == call and c.n >= int(n) for c in self.calls)

    def drain(self, rounds=8, **settings):
        """relay --due, as if every waiting time had passed, until nothing is queued."""
        for _ in range(rounds):
            if not self.postern.messages():
                return
            self.postern.make_due()
            self.run(None, self.postern.command("relay", "--due", **settings))

    def leftovers(self):
        """What stands in the lanes and is not one of their two files."""
        lanes = self.postern.spool / "lane"
        return [str(p.relative_to(lanes)) for p in lanes.glob("*/*") if not p.name.startswith("@")]


def points(calls, role, first, whens=(":enter", ":exit"), skip=("newfstatat", "fstat", "prctl")):
    """All points of a role from its first call named `first` on (None: from the beginning); of several
    processes, one."""
    mine = [c for c in calls if c.role == role]
    pid = mine[0].pid
    mine = [c for c in mine if c.pid == pid]
    start = next(i for i, c in enumerate(mine) if first in (None, c.name))
    names = [f"{role}:{c.name}#{c.n}" for c in mine[start:] if c.name not in skip]
    return [name + when for name in dict.fromkeys(names) for when in whens]


def sample(every, keep, most=PER_ROLE):
    """`most` of them, evenly, and all that match `keep`; all with CRASH_ALL=1."""
    if os.environ.get("CRASH_ALL") == "1" or len(every) <= most:
        return every
    must = [p for p in every if re.search(keep, p)]
    rest = [p for p in every if p not in must]
    room = max(most - len(must), 6)
    chosen = set(must) | {rest[i * len(rest) // room] for i in range(min(room, len(rest)))}
    return [p for p in every if p in chosen]
