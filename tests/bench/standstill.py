"""A thousand hosts that keep a connection and do nothing for it; and a thousand domains with one exchanger.

	silent  HOSTS (1 000) of each kind of tests/tools/silent.py, and 2 000 connections: how long mail
	        for another domain takes, how many processes there are, and their memory
	short   twice as many silent hosts as there are connections, before it
	shared  1 000 domains with one exchanger: connections made, and how many at once

AWAY (0): seconds of a round trip to the hosts that take mail. BENCH_CPU: see relaying.py.
"""
import contextlib
import os
import sys
import time

import relaying
import delay # pylint: disable=wrong-import-order
import internet
import nsd
import proc
import silent
import spoolfile

N = int(os.environ.get("HOSTS", "1000"))
AWAY = float(os.environ.get("AWAY", "0"))
PORT = 2600
LIVE, NEAR, SHARED = "127.0.0.61", "127.0.0.62", "127.0.0.63"
PATIENCE = 600 # s
FILES = 17_000
TEXT = b"Subject: bench\r\n\r\nx\r\n"
LONG = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 16_000
TOGETHER = 50 # domains that one message is for
ONE = [f"d{n}.example" for n in range(1000)]
ZONE = silent.zone(N) | {("live.example", "MX"): ["10 mx.live.example."], ("mx.live.example", "A"): [LIVE],
                         **{(d, "MX"): ["10 mx.provider.example."] for d in ONE},
                         ("mx.provider.example", "A"): [SHARED]}


@contextlib.contextmanager
def exchanger(address):
    """A host that takes mail, as far away as it should be."""
    sink = internet.Sink(NEAR if AWAY else address, PORT)
    link = delay.Delay(address, PORT, (NEAR, PORT), AWAY / 2) if AWAY else None
    try:
        yield sink, link
    finally:
        if link is not None:
            link.close()
        sink.close()


@contextlib.contextmanager
def relays(**settings):
    relay = relaying.Relay(smtp_port=PORT, allow_destinations="127.0.0.0/8", retry="1h 10h", window_messages=1,
                           **{f"timeout_{x}": "1h" for x in ("connect", "greeting", "helo", "data_block", "data_end")},
                           **settings)
    dns = nsd.Nsd(relay.where / "nsd", ZONE)
    relay.settings["nameserver"] = f"{dns.address}:{dns.port}"
    try:
        yield relay
    finally:
        relay.stop()
        dns.close()
        relay.close()


def queue(relay, domains, body):
    for i in range(0, len(domains), TOGETHER):
        spoolfile.write(relay.spool, spoolfile.new_id(i), [f"u@{d}" for d in domains[i:i + TOGETHER]], body)


def deliver(relay, sink):
    """A new message for live.example: seconds until it is there."""
    spoolfile.write(relay.spool, spoolfile.new_id(10_000), ["u@live.example"], TEXT)
    begin = time.monotonic()
    relay.due()
    assert relaying.until(lambda: sink.messages, PATIENCE), relay.logged()
    return time.monotonic() - begin


def stand_still(say, how, most):
    with relays(max_connections=most) as relay, exchanger(LIVE) as (sink, _):
        hosts = silent.Hosts(PORT, N, how)
        try:
            queue(relay, silent.domains(N), LONG if how == "body" else TEXT)
            begin = time.monotonic()
            relay.due()
            enough = min(N, most)
            assert relaying.until(lambda: hosts.caught() >= enough, PATIENCE), hosts.caught()
            ready = time.monotonic() - begin
            took = deliver(relay, sink)
            memory = sum(map(proc.pss, relay.processes())) / 1024
            say(f"{how}: {N} silent hosts, {most} connections: all taken after {ready:.1f} s; other mail takes "
                f"{took:.2f} s; {len(relay.processes())} processes, {memory:.1f} MiB; "
                f"{hosts.caught()} are still waited for; {relay.logged().count('in use')} lines about it")
        finally:
            hosts.close()


def shared(say):
    with relays() as relay, exchanger(SHARED) as (sink, _):
        queue(relay, ONE, TEXT)
        begin = time.monotonic()
        relay.due()
        assert relaying.until(lambda: sum(len(m.recipients) for m in sink.messages) >= len(ONE), PATIENCE), len(sink.messages)
        say(f"shared: {len(ONE)} domains with one exchanger: {time.monotonic() - begin:.1f} s, "
            f"{sink.connections} connections, {sink.most_open} at once")


def main():
    if nsd.program() is None:
        print("standstill: no nsd; tests/tools/need bench unpacks one", file=sys.stderr)
        return 69
    if not silent.room_for_files(FILES):
        print(f"standstill: needs {FILES} open files", file=sys.stderr)
        return 69

    def say(line):
        print(line, flush=True)
    for how in ("greeting", "handshake", "ehlo", "body", "dot"):
        stand_still(say, how, 2000)
    stand_still(say, "greeting", N // 2)
    shared(say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
