"""Replies that have no end, come in pieces, break off, or answer what nobody asked: relay gives up in time,
and of each message it is known what became of it."""
import pathlib
import re
import socket
import struct
import threading
import time

import pytest

import internet
from internet import Last
from patience import hold

MODES = {"lock-step": (), "groups": ("PIPELINING",), "window": ("PIPELINING", "CHUNKING")}
USUAL = {"GREETING": "220 sink", "EHLO": "250 sink", "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok",
         "DATA": "354 go", "END": "250 2.0.0 taken"}
MIB = 1 << 20


def in_turn(*replies):
    """Each of them once, the last one ever after."""
    left = list(replies)
    return lambda line: left.pop(0) if len(left) > 1 else left[0]


class Sip(internet.Listener):
    """Takes a message a little at a time."""

    def __init__(self, port, mode):
        self.mode, self.sips = mode, 0
        super().__init__(port, self.session)

    def session(self, sock, f):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        f.write(b"220 sip\r\n")
        while line := f.readline():
            verb = line[:4].decode().strip()
            if verb == "EHLO":
                f.write("".join(f"250-{k}\r\n" for k in ("sip", *MODES[self.mode])).encode())
            f.write(b"354 go\r\n" if verb == "DATA" else b"" if verb == "BDAT" else b"250 ok\r\n")
            while verb in ("DATA", "BDAT") and (sip := sock.recv(20000)):
                self.sips += len(sip)
                hold(0.1)


@pytest.mark.parametrize("mode", ["groups", "window"])
def test_sips(postern, world, mode):
    """F1, F17: each block goes in time, but the message would take a minute: that is not waited for."""
    world.domain("d.example", "127.0.0.7")
    server = Sip(world.port, mode)
    begun = time.monotonic()
    postern.send("u@d.example", "Subject: x\n\n" + ("y" * 70 + "\n") * 170000, timeout_data_block="2s",
                 timeout_quit="1s", min_data_rate=10000000)
    postern.wait_logged(": sending the message: ")
    assert time.monotonic() - begun >= 2
    postern.settled(1)
    assert server.sips < 70 * 170000
    server.close()


# ---- without end

class Endless(internet.Listener):
    """Polite up to a stage, where it goes on and on, but not for ever; connections after the first end at once."""

    LIMIT = 64 * MIB

    def __init__(self, port, stage, piece):
        self.stage, self.piece, self.sent = stage, piece, 0
        super().__init__(port, self.session)

    def session(self, sock, f):
        if self.connections > 1:
            return
        replies = {"EHLO": b"250", "MAIL": b"250", "RCPT": b"250", "DATA": b"354"}
        if self.stage != "GREETING":
            f.write(b"220 endless\r\n")
            while (verb := f.readline()[:4].decode().strip()) != self.stage:
                if verb in replies:
                    f.write(replies[verb] + b" ok\r\n")
        while self.sent < self.LIMIT:
            sock.sendall(self.piece)
            self.sent += len(self.piece)


ENDLESS = {"lines": b"250-x\r\n" * 4096, "line": b"250 " + b"x" * 65536,
           "extensions": b"".join(b"250-X-%d\r\n" % n for n in range(100000))}


def memory(pid):
    """KiB that a process had at most."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


@pytest.mark.parametrize("stage", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("what", ENDLESS)
def test_endless(postern, world, what, stage):
    """F2, F3, F11: the host is left soon and without much of it in memory; the mail goes to the next one."""
    server = Endless(world.port, stage, ENDLESS[what])
    world.zone[("d.example", "MX")] = ["10 mx.rude.example.", "20 mx.good.example."]
    world.domain("rude.example", "127.0.0.7")
    world.domain("good.example")
    for user in "uv":
        postern.send(f"{user}@d.example", max_connections=0)
    with world.sink.held("GREETING", "220 sink"): # the same process is asked how much it took
        postern.due(max_connections_per_lane=1, timeout_greeting="1h")
        world.sink.wait_connections()
        [pid] = postern.wait_at_work()
        peak = memory(pid)
    if not postern.watched(): # a sanitizer's memory is its own
        assert peak < 16 * 1024
    server.close()
    assert server.sent < Endless.LIMIT
    assert re.search("endless reply|not a reply", postern.rested()) or stage in ("GREETING", "EHLO")
    postern.make_due()
    postern.due()
    postern.settled()
    assert sorted(r for m in world.sink.messages for r in m.recipients) == ["u@d.example", "v@d.example"]


# ---- in pieces

class Dripping(internet.Sink):
    """Says each octet by itself, with a pause before it."""

    pause = 0

    def converse(self, connection, rfile, wfile, leave):
        sink = self

        class Octets:
            """In place of wfile."""
            flush = wfile.flush

            @staticmethod
            def write(data):
                for octet in data:
                    hold(sink.pause)
                    wfile.write(bytes([octet]))
                    wfile.flush()
        self.session(rfile, Octets, leave)


@pytest.fixture
def dripping(postern, world):
    world.domain("d.example", "127.0.0.3")
    sink = Dripping("127.0.0.3", world.port)
    world.others.append(sink)
    del postern
    return sink


@pytest.mark.parametrize("mode", MODES)
def test_octet_by_octet(postern, dripping, mode):
    """R61: wherever a reply is split."""
    dripping.ehlo = MODES[mode]
    dripping.say["DATA"] = "354-go\r\n354-on\r\n354 now"
    for _ in range(3):
        postern.send("u@d.example", max_connections=0)
    postern.due(max_connections_per_lane=1) # however slow it is
    postern.settled()
    assert len(dripping.messages) == 3 and dripping.connections == 1


def test_an_octet_now_and_then(postern, dripping):
    """F1: the time is that of the whole reply, not of each line or octet of it."""
    dripping.pause = 0.1
    dripping.say["GREETING"] = "220-\r\n" * 20 + "220 at last"
    postern.send("u@d.example", timeout_greeting="1s")
    assert "greeting: timed out" in postern.settled(1)


# ---- the end

class Resetting(internet.Sink):
    """Goes with a reset, behind what it has said."""

    def converse(self, connection, rfile, wfile, leave):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.session(rfile, wfile, leave)
        finally:
            socket.close(connection.detach())


@pytest.mark.parametrize("mode", MODES)
def test_gone_behind_its_yes(postern, world, mode):
    """F8: what was answered is delivered, though the connection is reset before QUIT; the others come after it."""
    world.domain("d.example", "127.0.0.3")
    sink = Resetting("127.0.0.3", world.port, ehlo=MODES[mode])
    world.others.append(sink)
    sink.say["END"] = in_turn(Last("250 2.0.0 taken\r\n"), "250 2.0.0 taken")
    for _ in range(3):
        postern.send("u@d.example", max_connections=0)
    postern.due()
    log = postern.rested()
    assert sink.messages and len(sink.messages) + len(postern.messages()) == 3, log
    postern.make_due()
    postern.due()
    postern.settled()
    assert len(sink.messages) == 3 and sink.connections > 1


# ---- the accounts

class Account:
    """Three messages to one host, which says something odd at the first, the second, ... time it is asked."""

    def __init__(self, postern, world, number, mode, case):
        self.postern, self.world, self.case = postern, world, case
        self.domain, address = f"d{number}.example", f"127.7.{number // 200}.{number % 200 + 1}"
        stage, said, turn = case
        world.domain(self.domain, address)
        self.sink = internet.Sink(address, world.port, ehlo=MODES[mode])
        world.others.append(self.sink)
        asked = iter(range(1 << 30))
        usual = USUAL[stage]
        if stage == "EHLO":
            usual = "\r\n".join(["250-sink", *(f"250-{k}" for k in MODES[mode]), "250 HELP"])
        self.sink.say[stage] = lambda line: said if next(asked) == turn else usual

    def transactions(self):
        return "".join(f"MAIL FROM:<a@sender.example>\nRCPT TO:<u{i}@{self.domain}>\nDATA\nSubject: {i}\n\nx\n.\n"
                       for i in range(3))

    def taken(self):
        """Those to which the host said yes at the end."""
        return sorted(int(re.search(rb"Subject: (\d)", m.data)[1]) for m in self.sink.messages)

    def told(self):
        return sorted(int(n) for m in self.world.sink.messages for n in
                      re.findall(rf"Final-Recipient: rfc822; u(\d)@{self.domain}\r".encode(), m.data))

    def waiting(self):
        return sum(p.parent.name == self.domain for p in self.postern.messages())


def cut(text):
    """Every beginning of a reply, and the whole."""
    return [Last(text[:n]) for n in range(len(text) + 1)]


STAGES = list(USUAL)
ODD = [(s, said) for s in STAGES for said in (
    "354 go on", "200 x", "399 x", "25", "2", "abc", "999 x", "250-a\r\n550 b", "250\tx", " 250 x",
    Last("421 bye\r\n"), Last("452 bye\r\n"), Last("550 no\r\n"), Last("250 ok\r\n"))
    if (s, said) != ("DATA", "354 go on")]
ODD += [(s, f"{USUAL[s]}\r\n250 one too many") for s in STAGES]
ODD += [("EHLO", said) for said in ("250", "250 ", "250-\r\n250- \r\n250-  PIPELINING\r\n250 ", "250-sink\r\n250-")]
ODD += [(s, part) for s in ("MAIL", "DATA", "END") for part in cut("250 ok\r\n" if s != "DATA" else "354 go\r\n")]


def is_clear(said):
    """One whole reply: then relay and the host think the same of what was said."""
    lines = said.removesuffix("\r\n").split("\r\n")
    return (all(re.fullmatch(r"[2-5]\d\d-.*", x) for x in lines[:-1]) and
            re.fullmatch(r"[2-5]\d\d( .*)?", lines[-1]) and len({x[:3] for x in lines}) == 1 and
            (said.endswith("\n") or not isinstance(said, Last)))


@pytest.mark.parametrize("mode", MODES)
def test_accounts(postern, world, mode):
    """F5, F6, F7, F16: taken, reported or still there; the latter arrives when the host is well. Reported is only
    what was refused, and nothing comes twice but where a reply was none."""
    postern.settings["timeout_helo"] = "10s" # one reply has no end
    cases = [(stage, said, turn) for stage, said in ODD
             for turn in ((0,) if stage in ("GREETING", "EHLO") else (0, 1))
             if not (stage == "DATA" and mode == "window")] # it is BDAT
    accounts = [Account(postern, world, n, mode, case) for n, case in enumerate(cases)]
    script = "".join(a.transactions() for a in accounts)
    assert postern.pipe(f"EHLO c\n{script}QUIT\n", max_connections=0).count("queued as") == 3 * len(accounts)
    postern.due(max_connections=16)
    postern.rested(300)
    for a in accounts:
        lost = 3 - len({*a.taken(), *a.told()}) - a.waiting()
        assert lost <= 0, (a.case, a.taken(), a.told(), a.waiting())
        assert not a.told() or "5" == a.case[1][0], a.case
        a.sink.say.clear()
    for _ in range(3):
        postern.make_due()
        postern.due(max_connections=16)
        postern.rested(300)
    postern.settled()
    for a in accounts:
        twice = len(a.taken()) - len(set(a.taken()))
        assert {*a.taken(), *a.told()} == {0, 1, 2} and not {*a.taken()} & {*a.told()}, a.case
        assert twice == 0 or not is_clear(a.case[1]), a.case


@pytest.fixture
def known(postern, world):
    """The sink was seen to do right by BDAT (L20): what is sent to it goes in a window."""
    world.domain("d.example")
    world.sink.ehlo = MODES["window"]
    postern.settings["max_connections_per_lane"] = 1 # however slow it is
    for _ in range(2):
        postern.send("u@d.example", max_connections=0)
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 2 and "BDAT 6 LAST" in world.sink.lines # the question
    world.sink.messages.clear()
    return postern


def test_one_yes_too_many_before_a_no(known, world):
    """F16, L11: in a window a word about a message counts when all replies belong to what we think they do. The
    next attempt is one at a time, where DATA shows it."""
    world.sink.say.update({"RCPT": "250 ok\r\n250 one too many", "END": "552 5.3.4 no"})
    known.send("u@d.example")
    assert "552 5.3.4 no in reply to RSET (it may have been delivered: possible duplicate)" in known.settled(1)
    assert not world.sink.messages
    world.sink.say.clear()
    known.make_due()
    known.due()
    known.settled()
    assert len(world.sink.messages) == 1 and world.sink.lines[-1] == "DATA"


@pytest.mark.parametrize("mode", MODES)
def test_whose_no_it_is(postern, world, mode, request):
    """L11: with one reply too many to MAIL nobody knows who was refused: nobody is returned, or delivered to, until
    it is known."""
    if mode == "window":
        request.getfixturevalue("known")
    world.domain("d.example")
    world.sink.ehlo = MODES[mode]
    world.sink.say.update(MAIL="250 ok\r\n250 one too many",
                          RCPT=lambda line: "550 5.1.1 no" if "<bad@" in line else "250 ok")
    postern.send(["good@d.example", "bad@d.example"], sender="s@sender.example")
    postern.rested()
    log = postern.logged()
    assert "bounced" not in log and "delivered <bad" not in log
    del world.sink.say["MAIL"]
    world.domain("sender.example")
    postern.make_due()
    postern.due()
    log = postern.settled()
    assert log.count("bounced <bad@d.example>") == 1 and "bounced <good" not in log
    assert "delivered <bad" not in log


@pytest.mark.parametrize("reply", [Last("500 5.5.1 what\r\n"), "502 5.5.1 not me", "504 5.5.4 what",
                                   Last("554 5.7.1 no\r\n"), Last("500 5.5.1 what\r\n421 4.3.2 bye\r\n")])
def test_chunk_that_is_not_known(known, world, reply):
    """L10: what is about BDAT, or not known to be in step, returns no mail: the next attempt is by DATA."""
    world.sink.say["END"] = reply
    known.send("u@d.example")
    assert ": deferred" in known.settled(1)
    world.sink.say.clear()
    known.make_due()
    known.due()
    known.settled()
    assert len(world.sink.messages) == 1 and world.sink.lines[-1] == "DATA"


@pytest.mark.parametrize("reply", ["502 5.5.1 what", "421 4.3.2 bye", None])
def test_reset_that_is_not_taken(known, world, reply):
    """F16: a host without RSET gets a message twice at most, and one that leaves has what it took."""
    world.sink.say["RSET"] = reply
    known.send("u@d.example")
    known.rested()
    assert len(world.sink.messages) == 1
    known.make_due()
    known.due()
    known.settled()
    assert len(world.sink.messages) == (2 if reply and reply[0] == "5" else 1)


@pytest.mark.parametrize("enhanced", [True, False])
def test_one_yes_too_many_before_the_end(known, world, enhanced):
    """L11: the host says one yes too many, and closes before its word about the text: what was read as that word is
    one about a recipient, by its code or because it is the same. The message comes again, perhaps a second time."""
    ok = "250 2.1.5 ok" if enhanced else "250 ok"
    world.sink.say.update({"MAIL": f"{'250 2.1.0 ok' if enhanced else ok}\r\n{ok}", "RCPT": ok, "END": None})
    known.send("u@d.example")
    assert "possible duplicate" in known.settled(1) and not world.sink.messages
    world.sink.say.clear()
    known.make_due()
    known.due()
    known.settled()
    assert len(world.sink.messages) == 1


@pytest.mark.parametrize("enhanced", [True, False])
@pytest.mark.parametrize("last", [None, Last("421 4.7.0 bye\r\n"), Last("550 5.7.1 no\r\n"), Last("451 4.7.1 no\r\n")],
                         ids=["close", "421", "550", "451"])
@pytest.mark.parametrize("many", [("u1",), ("u3",), ("u1", "u2"), ("u1", "u2", "u3")], ids=" ".join)
def test_yes_too_many_in_a_window(known, world, many, last, enhanced):
    """L11: some messages before, or in the last one itself, there were yeses too many, and its text is the end of the
    connection, with a word or without one: nothing is told as delivered that the host has not taken."""
    ok, here = "250 2.1.5 ok" if enhanced else "250 ok", threading.local()

    def rcpt(line):
        here.user = line[line.index("<") + 1:line.index("@")]
        return f"{ok}\r\n{ok}" if here.user in many else ok
    world.sink.say.update(MAIL="250 2.1.0 ok" if enhanced else ok, RCPT=rcpt,
                          END=lambda line: last if here.user == "u3" else "250 2.0.0 taken" if enhanced else ok)
    for i in range(4):
        known.send(f"u{i}@d.example", max_connections=0)
    known.due()
    known.rested()
    taken = [r for m in world.sink.messages for r in m.recipients]
    told = re.findall(r"delivered <(u\d@d\.example)>", known.logged())
    assert {*told} <= {*taken} and "u3@d.example" not in told


@pytest.mark.parametrize("mode", ["lock-step", "groups"])
def test_yes_before_the_end(postern, world, mode):
    """F16: what a host says before it has the message is no answer to its end."""
    world.domain("d.example")
    world.sink.ehlo = MODES[mode]
    world.sink.say.update({"DATA": "354 go\r\n250 2.0.0 taken", "END": "452 4.3.1 no room"})
    postern.send("u@d.example")
    assert ": deferred" in postern.settled(1)
    assert not world.sink.messages


def test_no_to_reset(known, world):
    """F16: RSET is never refused: what looks like it was meant for something else, and so is all that follows."""
    world.sink.say["END"] = in_turn("250 2.0.0 taken\r\n452 one too many", "452 4.3.1 no room")
    for _ in range(3):
        known.send("u@d.example", max_connections=0)
    known.due()
    log = known.settled(3)
    assert ": deferred" in log and len(world.sink.messages) == 1
    assert world.sink.connections > 1 and log.count("possible duplicate") >= 1


def test_out_of_step_in_a_group(postern, world):
    """F16, L21: a host that waits for text when RSET is said has another idea of where we are: both messages go by
    another connection, at once, and a command at a time."""
    world.domain("d.example")
    world.sink.say["RCPT"] = in_turn("250 ok\r\n250 one too many", "250 ok")
    for _ in range(2):
        postern.send("u@d.example", max_connections=0)
    postern.due(max_connections_per_lane=1)
    postern.settled()
    assert world.sink.connections == 2 and len(world.sink.messages) == 2
