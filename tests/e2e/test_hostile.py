"""Hosts and messages that do their worst: nothing is lost, nothing is executed, the others go on."""
import pathlib
import re
import threading

import pytest

import internet
import patience
import spoolfile


@pytest.fixture
def rude(postern, world):
    """Makes such a server the host of r.example and sends a message there."""
    made = []

    def make(part, body="Subject: x\n\nhello\n", **settings):
        world.domain("r.example", "127.0.0.7")
        made.append(internet.Listener(world.port, lambda _, f: part(f)))
        postern.send("u@r.example", body, **settings)
        return made[0]

    yield make
    for server in made:
        server.close()
        server.cut()


def up_to(f, verbs, ehlo=()):
    """Polite until one of these commands, which is returned."""
    f.write(b"220 rude\r\n")
    while line := f.readline():
        word = line.decode("latin-1").split()[0].upper()
        if word in verbs:
            return word
        if word == "EHLO":
            f.write("".join(f"250-{k}\r\n" for k in ("rude", *ehlo)).encode())
        f.write(b"354 go\r\n" if word == "DATA" else b"250 ok\r\n")
    return None


@pytest.mark.parametrize("said, bounces", [
    (b"553-\r\n553-\n553 5.1.1 $(touch PATH) `touch PATH`\x1b[2J\r\n", True),
    (b"553 5.1.1 \0\r\n", True),
    (b"553-5.1.1 a\r\nb\r\n553 c\r\r\n", True),
    (b"553:5.1.1 a\r\n", False),
    (b"550-5.2.1 stale\r\n550-a\r\n550 4.0.0 b\r\n", True),
    (b"550 5.1.1 j\xf6\xff\xc3\xa9\x9b2J\r\n", True),
    (b"550-5.1.1 a\r\n551-b\r\n553 5.1.1 c\r\n", True),
    (b"550 5.1.1 " + 3000 * b"x" + b"\r\n", True),
    (1000 * b"550-5.1.1 a\r\n" + b"550 5.1.1 b\r\n", True),
], ids=["empty-lines", "nul", "no-code", "odd-code", "stale-code", "eight-bit", "codes", "long-line", "many-lines"])
def test_reply_becomes_one_record(rude, postern, world, said, bounces):
    """R19, F4, F18, E6, L12: one line of the log and of the report, whatever the reply has in it."""
    path = postern.runtime / "executed"

    def part(f):
        up_to(f, ["RCPT"])
        f.write(said.replace(b"PATH", str(path).encode()))
        f.readline()
        f.write(b"250 ok\r\n")
        f.readline()

    rude(part)
    lines = [line for line in postern.settled(not bounces).splitlines() if "<u@r.example>" in line]
    assert bounces == bool(world.sink.messages) and bounces != (": deferred" in lines[0])
    assert len(lines) == 1 and lines[0].isprintable() and lines[0].isascii()
    for m in world.sink.messages:
        status = re.findall(rb"^Status: (.*)\r$", m.data, re.M)
        assert len(status) == 1 and re.fullmatch(rb"5\.\d+\.\d+", status[0])
        assert m.data.isascii() and b"\x1b" not in m.data and b"\0" not in m.data
    assert not path.exists()


def test_last_line_without_end(rude, postern):
    """F4: what stops in the middle of a reply is no reply."""
    def part(f):
        up_to(f, ["RCPT"])
        f.write(b"553-5.1.1 no\r\n553 5.1.1 no")

    rude(part)
    assert ": deferred" in postern.settled(1)


ENOUGH = b"552 5.3.4 enough\r\n"


@pytest.mark.parametrize("ehlo, verb", [
    ((), "DATA"), (("PIPELINING",), "DATA"), (("PIPELINING", "CHUNKING"), "BDAT")],
    ids=["lock-step", "groups", "window"])
@pytest.mark.parametrize("said, closes", [(ENOUGH, True), (ENOUGH, False), (b"", False)],
                         ids=["refused-and-gone", "refused", "silent"])
def test_no_in_the_middle(rude, postern, world, said, closes, ehlo, verb):
    """F10, F17: a host that refuses a message before it has ended, or says nothing, and reads no more: no deadlock."""
    over = threading.Event()

    def part(f):
        word = up_to(f, (verb, "DATA"), ehlo)
        f.write(b"354 go\r\n" if word == "DATA" else b"")
        f.read(1000)
        f.write(said)
        if not closes:
            over.wait(2 * patience.PATIENCE)

    rude(part, "Subject: x\n\n" + "x" * 70 + "\n" + ("y" * 70 + "\n") * 200000,
         timeout_data_block="1h" if said else "1s", timeout_quit="1s")
    postern.rested()
    if said and not world.sink.messages: # a reset takes away what it has not sent; by DATA it is heard
        assert closes and verb == "BDAT" and ": deferred" in postern.logged()
        postern.make_due()
        postern.due(timeout_quit="1s")
        postern.settled()
    over.set()
    assert b"Status: 5.3.4" in world.sink.messages[0].data if said else len(postern.messages()) == 1


STAGES = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"]
FAULTS = ["451 4.3.0 later", "421 4.3.2 closing", "599", "garbage", "2", "25", "999 x", "250-x\r\n550 y", None]


def test_every_fault_at_every_stage(postern, world):
    """F16, F5, F6: what was not taken is there afterwards, or its sender was told, and when the host is well
    again everything arrives once."""
    cases = [(stage, fault, ehlo) for stage in STAGES for fault in FAULTS
             for ehlo in ((), ("PIPELINING",), ("PIPELINING", "CHUNKING"))
             if (stage, fault) not in (("EHLO", "599"), ("EHLO", None)) # then it is HELO (L22)
             and not (stage == "DATA" and "CHUNKING" in ehlo)   # it is BDAT
             and not (fault and fault[0] == "2" and (stage == "END" or "CHUNKING" in ehlo))] # that may be yes
    sinks = {}
    for i, (stage, fault, ehlo) in enumerate(cases):
        world.domain(f"d{i}.example", f"127.7.{i // 200}.{i % 200 + 1}")
        sinks[i] = internet.Sink(f"127.7.{i // 200}.{i % 200 + 1}", world.port, ehlo=ehlo,
                                 say={stage: fault})
        world.others.append(sinks[i])
    recipients = [f"u@d{i}.example" for i in sinks]
    for k in range(0, len(recipients), 50):
        assert "queued as" in postern.send(recipients[k:k + 50], max_connections=0)
    postern.due()
    postern.rested(300)
    told = {i for m in world.sink.messages for i in map(int, re.findall(rb"rfc822; u@d(\d+)\.", m.data))}
    waiting = {int(re.match(r"d(\d+)", p.parent.name)[1]) for p in postern.messages()}
    assert not [cases[i] for i, s in sinks.items() if s.messages]
    assert told | waiting == set(sinks) and not told & waiting
    assert all("5" == cases[i][1][0] for i in told)
    for s in sinks.values():
        s.say.clear()
    for _ in range(3):
        postern.make_due()
        postern.due()
        postern.rested(300)
    postern.settled()
    assert {i: len(s.messages) for i, s in sinks.items() if len(s.messages) != 1} == dict.fromkeys(told, 0)


def high_water(pid):
    """KiB of memory that a process had at most."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def test_long_queue(postern, world, wait):
    """I12: delivery begins at once, and memory does not grow with the number of messages."""
    world.domain("d.example")
    first, last = threading.Event(), threading.Event()
    spoolfile.fill(postern.spool, ["u@d.example"] * 1500, b"Subject: x\r\n\r\nx\r\n")
    assert len(postern.messages()) == 1500

    def end(line):
        """Goes no further while the relay is looked at."""
        del line
        (last if len(world.sink.messages) > 1250 else first).wait(patience.PATIENCE)
        return "250 taken"
    world.sink.say["END"] = end
    postern.due(max_connections_per_lane=1, timeout_data_end="1h")
    world.sink.wait_lines()
    [pid] = postern.wait_at_work()
    peak = high_water(pid)
    first.set()
    wait(lambda: len(world.sink.messages) > 1250, 300)
    if not postern.watched(): # a sanitizer's memory is its own
        assert high_water(pid) < peak + 512
    last.set()
    postern.settled()
