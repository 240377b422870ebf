"""relay in few round trips: groups, windows, connections that are kept, help for a long backlog."""
import select
import socket
import time

import pytest

import internet
import patience
import spoolfile

BEHIND = ("PIPELINING", "8BITMIME", "CHUNKING")


class Patient(internet.Listener):
    """A server that answers a group only when it has all of it: DATA ends one, and EHLO does, as the mark of a
    window. What it says to each command is as usual; after `cut` texts of windows were answered, the connection
    ends. From message number `last` on, and where it offers CHUNKING, nothing follows the end of a text before
    that is answered."""

    def __init__(self, port, last, ehlo=BEHIND, cut=None):
        self.last, self.ehlo, self.breaks_off = last, ehlo, cut
        self.taken, self.lines, self.windows, self.grouped, self.ahead = [], [], [], 0, 0
        super().__init__(port, self.session)

    def session(self, sock, f):
        """Reads ahead as much as there is, and answers when it is enough."""
        pending, answered = [], 0

        def say(text):
            f.write(text.encode() + b"\r\n")

        def catch_up():
            """False: the connection is to end."""
            nonlocal answered
            for reply, data in pending:
                say(reply)
                if data is not None:
                    self.taken.append(data)
                    answered += 1
                    if answered == self.breaks_off:
                        sock.shutdown(socket.SHUT_RDWR)
                        return False
            pending.clear()
            return True

        say("220 patient")
        while line := f.readline():
            words = line.decode().split()
            self.lines.append(line.decode().strip())
            if words[0] in ("EHLO", "QUIT"):
                if pending: # nothing was answered of this: is more on its way?
                    self.windows.append(sum(data is not None for _, data in pending))
                    self.ahead += bool(select.select([sock], [], [], 0.3)[0])
                if not catch_up():
                    return
                say("\r\n".join(["250-patient", *(f"250-{k}" for k in self.ehlo), "250 HELP"]))
            elif words[0] == "BDAT":
                data = exactly(f, int(words[1]))
                if pending:
                    pending.append(("250 taken", data))
                else: # a host's BDAT out of turn
                    say("503 no recipients")
            elif words[0] == "RSET" and not pending:
                say("250 ok")
            elif words[0] == "DATA":
                pending.append(("354 go", None))
                catch_up()
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += f.readline()
                self.taken.append(body[:-3])
                pending.append(("250 taken", None)) # with the group that follows
                if len(self.taken) >= self.last or "CHUNKING" in self.ehlo:
                    catch_up()
                elif select.select([sock], [], [], patience.PATIENCE / 2)[0]:
                    self.grouped += 1
                else:
                    catch_up()
            else:
                pending.append(("250 ok", None))


@pytest.fixture
def patient(postern, world):
    """Makes such a server the host of p.example, and queues n messages for it."""
    made = []

    def make(n, **more):
        world.domain("p.example", "127.0.0.7")
        made.append(Patient(world.port, **{"last": n, **more}))
        for i in range(n):
            postern.send("u@p.example", f"Subject: {i}\n\n.{i}\n", max_connections=0)
        postern.due()
        return made[0]

    yield make
    for server in made:
        server.close()
        server.cut()


def exactly(f, n):
    """Exactly n octets."""
    data = b""
    while len(data) < n and (more := f.read(n - len(data))):
        data += more
    return data


def backlog(postern, n):
    """Messages for d.example, numbered."""
    for i in range(n):
        spoolfile.write(postern.spool, spoolfile.new_id(i), ["u@d.example"], b"Subject: %d\r\n\r\nx\r\n" % i)


def until_helped(sink, n):
    """What a slow host says to the end of a message: behind n of them not before it has had a second connection."""
    def say(_):
        if len(sink.messages) >= n:
            sink.wait_connections(2)
        return "250 2.0.0 taken"
    return say


def subjects(datas):
    return sorted(int(d.split(b"Subject: ")[1].split(b"\r\n")[0]) for d in datas)


def test_messages_follow_each_other(patient, postern):
    """R61, R66: with CHUNKING whole messages go out before the first reply comes; but for the first one, until the
    host has shown that it does right by it (L20)."""
    server = patient(5)
    postern.settled()
    assert subjects(server.taken) == list(range(5)) and server.connections == 1
    assert server.windows == [4]
    for i in range(5):
        postern.send("u@p.example", f"Subject: {i}\n\n.{i}\n", max_connections=0)
    postern.due()
    postern.settled()
    assert server.windows == [4, 5], "what was learned of a host is remembered"


def test_window_has_a_limit(patient, postern):
    """Not more than that is unknown if the connection breaks."""
    postern.settings["window_messages"] = 2
    server = patient(6)
    postern.settled()
    assert len(server.taken) == 6 and server.connections == 1
    assert server.windows == [2, 2, 1] and server.ahead == 0


def test_next_envelope_goes_with_the_end(patient, postern):
    """R61: RFC 2920 section 3.1: one round trip for each message, by DATA."""
    server = patient(4, ehlo=("PIPELINING",))
    postern.settled()
    assert subjects(server.taken) == list(range(4)) and server.connections == 1
    assert server.grouped == 3


def test_window_that_breaks(patient, postern):
    """F7, RFC 1047: who was answered is done, the rest goes at once, one by one. All that was sent may have been
    taken, and the log says so."""
    server = patient(5, cut=2, last=0)
    log = postern.settled()
    assert len(server.taken) == 5
    assert log.count("possible duplicate") == 2
    assert log.count(": delivered") == 5
    assert server.lines.count("DATA") == 3, "the window is off for this host"


@pytest.mark.parametrize("verb", ["RSET", "MAIL"])
def test_window_that_ends_politely(verb, postern, world):
    """F6: after 421 the rest goes at once by another connection, and there is no doubt about any of it."""
    world.domain("d.example")
    world.sink.ehlo = BEHIND
    ended = []

    def say(line):
        if world.sink.connections > 1:
            return "250 ok"
        if not ended and line[:4] == verb and len(world.sink.messages) == 2:
            ended.append(line)
            return "421 4.3.0 enough"
        return None if ended else "250 ok"

    world.sink.say.update(RSET=say, MAIL=say, RCPT=say)
    for i in range(5):
        postern.send("u@d.example", f"Subject: {i}\n\nx\n", max_connections=0)
    postern.due()
    log = postern.settled()
    assert subjects(m.data for m in world.sink.messages) == list(range(5))
    assert "duplicate" not in log and "deferred" not in log


def test_refused_in_the_middle(postern, world):
    """R61, F9: a transaction that fails is over before the next one, whatever was sent behind it. A refusal of MAIL
    behind others is told again to another connection (L8)."""
    world.domain("d.example")
    world.sink.ehlo = BEHIND
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "<bad@" in line else "250 ok"
    world.sink.say["MAIL"] = lambda line: "451 4.3.0 no" if "<soft@" in line else "250 ok"
    for i, (user, sender) in enumerate([("u", "a"), ("bad", ""), ("u", "soft"), ("u", "a")]):
        sender = f"{sender}@sender.example" if sender else ""
        postern.send(f"{user}@d.example", f"Subject: {i}\n\nx\n", sender=sender, max_connections=0)
    postern.due()
    postern.settled(1)
    assert subjects(m.data for m in world.sink.messages) == [0, 3]
    assert world.sink.connections == 2


def test_refused_alone(postern, world):
    """F9: what was refused with nothing behind it is over, too, before the next one is sent: some recipients of
    the same message, or a message that came later."""
    world.domain("d.example")
    world.sink.ehlo = BEHIND
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "<bad" in line else "250 ok"
    postern.settings["linger"] = "1h"
    postern.send([*(f"bad{i}@d.example" for i in range(100)), "u@d.example"], sender="")
    world.sink.wait_messages(1)
    postern.send("bad@d.example", sender="")
    postern.wait_logged(": bounced", 101)
    postern.send("u@d.example", sender="")
    world.sink.wait_messages(2)
    postern.wait_logged(": delivered", 2)
    assert world.sink.connections == 1


def test_unfit_between_others(postern, world):
    """F12: a message that is over the host's limit goes nowhere, and the replies to its neighbours stay theirs."""
    world.domain("d.example")
    world.sink.ehlo = ("PIPELINING", "SIZE 2000")
    for i, lines in enumerate([1, 100, 1, 1]):
        postern.send("u@d.example", f"Subject: {i}\n\n" + lines * (50 * "x" + "\n"), max_connections=0)
    postern.due()
    assert "deferred" not in postern.settled()
    assert subjects(m.data for m in world.sink.messages if m.sender) == [0, 2, 3]


def test_more_recipients_than_one_transaction_takes(postern, world):
    """RFC 5321 section 4.5.3.1.8: a hundred each, nobody twice, by one connection."""
    world.domain("d.example")
    world.sink.ehlo = BEHIND
    everybody = [f"u{i}@d.example" for i in range(250)]
    postern.send(everybody)
    postern.settled()
    assert sorted(r for m in world.sink.messages for r in m.recipients) == sorted(everybody)
    assert [len(m.recipients) for m in world.sink.messages] == [100, 100, 50]
    assert world.sink.connections == 1


def test_connection_is_kept_for_more(postern, world):
    """What comes a little later goes by the connection that is there."""
    world.domain("d.example")
    postern.settings["linger"] = "1h"
    for n in range(1, 4):
        postern.send("u@d.example")
        world.sink.wait_messages(n)
        postern.wait_messages(0)
    assert world.sink.connections == 1


def test_kept_connection_is_given_up(postern, world):
    """When nothing comes relay ends, with QUIT, and nothing is left of the lane."""
    world.domain("d.example")
    left = []
    world.sink.say["QUIT"] = lambda line: left.append(line) or "221 bye"
    begun = time.monotonic()
    postern.send("u@d.example", linger="1s")
    postern.settled()
    assert time.monotonic() - begun >= 1 and left == ["QUIT"] and len(world.sink.messages) == 1
    assert not list((postern.spool / "lane").iterdir())


def test_kept_connection_that_ends(postern, world, wait):
    """The host may close it while nothing is said: relay has nothing to wait for then. The next message goes by
    another, as if for the first time."""
    world.domain("d.example")
    postern.settings["linger"] = "1h"
    postern.send("u@d.example")
    world.sink.wait_messages(1)
    postern.wait_messages(0)
    world.sink.cut()
    postern.rested()
    postern.send("u@d.example")
    world.sink.wait_messages(2)
    postern.wait_messages(0)
    assert world.sink.connections == 2 and ": deferred" not in postern.logged()


def test_kept_connection_that_ends_with_the_next_message(postern, world):
    """The host closes it with the first word of the next message: that goes at once by another one."""
    world.domain("d.example")
    postern.settings["linger"] = "1h"
    postern.send("u@d.example")
    world.sink.wait_messages(1)
    postern.wait_messages(0)
    world.sink.say["MAIL"] = lambda line: "250 ok" if world.sink.connections > 1 else None
    postern.send("u@d.example")
    world.sink.wait_messages(2)
    postern.wait_messages(0)
    assert world.sink.connections == 2 and ": deferred" not in postern.logged()


@pytest.mark.parametrize("most, kept", [(2, 1), (1, 0)])
def test_who_waits_keeps_nobody_off(postern, world, wait, most, kept):
    """Another lane is served while the first one's connection is kept; that is given up only if there may be no more."""
    world.domain("d.example")
    world.domain("e.example", "127.0.0.3")
    other = world.another("127.0.0.3")
    postern.settings.update(linger="1h", max_connections=most)
    postern.send("u@d.example")
    world.sink.wait_messages(1)
    postern.wait_messages(0)
    postern.send("u@e.example")
    other.wait_messages(1)
    postern.wait_messages(0)
    assert wait(lambda: (world.sink.open, other.open) == (kept, 1))
    assert len(postern.at_work()) == 1


def test_kept_connection_serves_another_domain(postern, world):
    """One of the same host is not worth a connection more; and after that the first one, by the same."""
    world.domain("d.example")
    world.domain("e.example")
    postern.settings["linger"] = "1h"
    for n, domain in enumerate("dede", 1):
        postern.send(f"u@{domain}.example")
        world.sink.wait_messages(n)
        postern.wait_messages(0)
    assert world.sink.connections == 1


def test_long_backlog_gets_help(postern, world):
    """A slow host that takes several connections; nobody gets mail twice."""
    world.domain("d.example")
    world.sink.ehlo = ()
    world.sink.delay = 0.02
    world.sink.say["END"] = until_helped(world.sink, 60)
    backlog(postern, 120)
    postern.due(max_connections_per_lane=3)
    postern.settled()
    assert subjects(m.data for m in world.sink.messages) == list(range(120))
    assert 1 < world.sink.most_open <= 3


def test_help_that_is_not_wanted(postern, world):
    """A host that takes one connection only: the second one is turned away, and the lane is not down."""
    world.domain("d.example")
    world.sink.ehlo = ()
    world.sink.delay = 0.02
    world.sink.say["GREETING"] = lambda line: "220 a" if world.sink.open == 1 else "421 4.7.0 too many"
    world.sink.say["END"] = until_helped(world.sink, 60)
    backlog(postern, 90)
    postern.due()
    log = postern.settled()
    assert subjects(m.data for m in world.sink.messages) == list(range(90))
    assert world.sink.connections > 1 and "next try in" not in log
