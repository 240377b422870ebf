"""Hosts that keep a connection and do nothing for it: nobody else's mail waits for them (S2, S8, G6)."""
import os
import signal

import pytest

import patience
import proc
import silent
import spoolfile

N, MOST = 1000, 2000
FILES = 17_000 # what 2 000 connections may open with a window of 1
MIB = 1024 # KiB
TOGETHER = 50 # domains that one message is for

TEXT = b"Subject: x\r\n\r\nx\r\n"
LONG = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 16_000 # more than kernels keep for one connection


def queue(postern, domains, body):
    """A message for each; some of them are one file."""
    for i in range(0, len(domains), TOGETHER):
        spoolfile.write(postern.spool, spoolfile.new_id(i), [f"u@{d}" for d in domains[i:i + TOGETHER]], body)


@pytest.fixture
def crowd(postern, world, names):
    """n domains whose hosts are of a kind of silent.py, with a message for each; and live.example."""
    made = []

    def gather(n, how="greeting", body=TEXT):
        if not silent.room_for_files(FILES):
            pytest.skip("may not open as many files as that takes")
        world.domain("live.example")
        names(silent.zone(n))
        made.append(silent.Hosts(world.port, n, how))
        queue(postern, silent.domains(n), body)
        hours = ("connect", "greeting", "helo", "mail", "rcpt", "data_start", "data_block", "data_end")
        postern.settings.update({f"timeout_{x}": "1h" for x in hours}, retry="1h 10h", window_messages=1)
        return made[0]

    yield gather
    for hosts in made:
        hosts.close()
    end_relays(postern)


def end_relays(postern):
    """Who waits for the kernel does not hear that the host is gone. The first process ends first."""
    for pid in proc.oldest_first(postern.relays()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def memory(postern):
    """KiB, of all relays."""
    return sum(proc.pss(pid) for pid in postern.running("relay"))


@pytest.mark.parametrize("how", ["greeting", "handshake", "ehlo", "body", "dot"])
def test_nobody_waits_for_a_thousand_silent_hosts(how, crowd, postern, world):
    """S2, S7, S8: 1 000 hosts say nothing at one point of the conversation, and there are connections left: other mail
    goes out while each of them still has its own. It takes few processes and little memory."""
    hosts = crowd(N, how, LONG if how == "body" else TEXT)
    postern.settings["max_connections"] = MOST
    postern.due()
    hosts.wait_caught(N)
    postern.send("u@live.example")
    world.sink.wait_messages()
    patience.until(lambda: hosts.caught() == N) # none was given up for it
    assert len(postern.wait_relays()) <= 4
    assert postern.watched() or memory(postern) <= 64 * MIB, f"{memory(postern)} KiB"
    assert "in use" not in postern.logged()


@pytest.mark.parametrize("how", ["greeting", "chatter"])
def test_connections_run_out(how, crowd, postern, world):
    """R28, S2, S8: twice as many silent hosts as there are connections have their turn first. Slow ones may have half, the
    others go; so other mail has its turn long before the hour of a greeting is over. The log says once that they ran
    out, and of each lane that was given up what any would say of it. What a host says, and nobody asked for, does not
    help it."""
    hosts = crowd(N, how)
    postern.settings["max_connections"] = N // 2
    postern.due()
    hosts.wait_caught(N // 2)
    postern.send("u@live.example")
    world.sink.wait_messages()
    log = postern.wait_logged("next try in", N // 2)
    assert log.count("connections are in use") == 1
    assert hosts.most_open <= N // 2
    assert hosts.open >= N // 4, "half of them may be slow"


def test_talkers(crowd, postern, world):
    """S2: hosts that talk all the time and come to no end are as slow as those that say nothing."""
    hosts = crowd(8, "chatter")
    postern.settings["max_connections"] = 4
    postern.due()
    hosts.wait_caught(4)
    postern.send("u@live.example")
    world.sink.wait_messages()
    assert hosts.open >= 2, "half of them may be slow"


def test_no_answer_to_quit(postern, world):
    """S2: who has a lane to see to does not wait for the host of the lane before to say goodbye."""
    for domain, address in (("first.example", "127.0.0.3"), ("live.example", "127.0.0.2")):
        world.domain(domain, address)
    first = world.another("127.0.0.3")
    first.say["DATA"] = lambda _: "354 go" if postern.send("u@live.example") else None
    postern.settings.update(max_connections=1, timeout_quit="1h")
    with first.held("QUIT", "221 bye"):
        postern.send("u@first.example")
        world.sink.wait_messages()
    postern.settled()


def test_who_greets_late_is_served(postern, world):
    """L14, S2: connections are short, and slow hosts have no more than half of them: none of these is given up, not even
    the one that greets after 12 s, though others have to wait for a connection all the while."""
    busy = [f"busy{i}.example" for i in range(200)]
    for domain in ("live.example", *busy):
        world.domain(domain)
    world.domain("late.example", "127.0.0.3")
    world.domain("never.example", "127.0.0.4")
    late, never = world.another("127.0.0.3"), world.another("127.0.0.4")
    late.say["GREETING"] = lambda _: patience.hold(12) or "220 at last"
    world.sink.delay = 1
    postern.settings.update(max_connections=8, timeout_greeting="1h")
    with never.held("GREETING", "421 4.3.2 not today"):
        postern.send(["u@late.example", "u@never.example"], max_connections=8)
        never.wait_connections()
        late.wait_connections()
        queue(postern, busy, TEXT)
        postern.due()
        postern.wait_logged("connections are in use")
        late.wait_messages()
        assert never.connections == late.connections == 1
        assert "next try in" not in postern.logged(), "who is given up waits"
        assert len(world.sink.messages) < len(busy), "they still wait"
        world.sink.delay = 0
        world.sink.wait_messages(len(busy))
    assert postern.settled(1).count("connections are in use") == 1


def test_silent_nameservers(postern, world):
    """S2, S8: domains about which the DNS says nothing are slow ones, too: the look-up of the one that waits longest is
    given up when connections are short. That is not taken for a loss of our own name servers."""
    unknown = [f"unknown{i}.example" for i in range(8)]
    world.zone.update({(d, "fault"): "SILENT" for d in unknown})
    world.domain("live.example")
    queue(postern, unknown, TEXT)
    postern.settings.update(max_connections=4, timeout_dns="1h", retry="1h 10h")
    postern.due()
    patience.until(lambda: len({name for _, name, _ in list(world.dns.asked)}) >= 4)
    postern.send("u@live.example")
    world.sink.wait_messages()
    log = postern.wait_logged("no answer in time")
    end_relays(postern)
    assert "cut off" not in log and "no nameserver answers" not in log
