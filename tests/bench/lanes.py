"""A queue of LANES (10 000) lanes with EACH (100) messages each.

	idle    none is due: processor time of relay --due; then a message for another domain: how long
	        it takes, and the memory of the relays that know of all lanes
	parked  all are due, and have one exchanger, which takes no more than its connections and never
	        greets: the same
"""
import contextlib
import os
import statistics
import sys
import time

import relaying
import internet # pylint: disable=wrong-import-order
import nsd
import proc
import silent
import spoolfile

LANES, EACH = int(os.environ.get("LANES", "10000")), int(os.environ.get("EACH", "100"))
PORT = 2600
LIVE = "127.0.0.61"
RUNS = 5
PATIENCE = 900 # s
TEXT = b"Subject: bench\r\n\r\nx\r\n"
DOMAINS = [f"d{n}.example" for n in range(LANES)]
ZONE = {("live.example", "MX"): ["10 mx.live.example."], ("mx.live.example", "A"): [LIVE],
        **{(d, "MX"): ["10 mx.provider.example."] for d in DOMAINS},
        ("mx.provider.example", "A"): silent.addresses(1)}


@contextlib.contextmanager
def queue():
    """All lanes, a name server, and what delivers; and a sink for live.example."""
    sink = internet.Sink(LIVE, PORT)
    relay = relaying.Relay(smtp_port=PORT, allow_destinations="127.0.0.0/8", linger="5s",
                           timeout_greeting="1h", retry="1h 10h")
    dns = nsd.Nsd(relay.where / "nsd", ZONE)
    relay.settings["nameserver"] = f"{dns.address}:{dns.port}"
    try:
        spoolfile.fill_lanes(relay.spool, DOMAINS, EACH, TEXT)
        yield relay, sink
    finally:
        relay.stop()
        dns.close()
        sink.close()
        relay.close()


def deliver(relay, sink):
    """A new message for an idle lane: seconds until it is there. As smtpd does, it rings, by --due."""
    n = len(sink.messages)
    spoolfile.write(relay.spool, spoolfile.new_id(n), ["u@live.example"], TEXT)
    begin = time.monotonic()
    relay.due()
    assert relaying.until(lambda: len(sink.messages) > n, PATIENCE), relay.logged()
    return time.monotonic() - begin


def memory(relay):
    return sum(map(proc.pss, relay.processes())) / 1024


def idle(say):
    with queue() as (relay, sink):
        spoolfile.put_off(relay.spool, 3600)
        used = [relay.due() * 1000 for _ in range(RUNS)]
        assert not relay.running()
        say(f"idle: relay --due with {LANES * EACH} messages in {LANES} lanes, none due: "
            f"{statistics.median(used):.1f} ms of CPU ({min(used):.1f}-{max(used):.1f})")
        first = deliver(relay, sink)
        then = deliver(relay, sink)
        say(f"idle: a message for another lane takes {first:.2f} s with no relay there, "
            f"{then:.2f} s with one; memory of the relays {memory(relay):.1f} MiB")


def parked(say):
    with queue() as (relay, sink):
        hosts = silent.Hosts(PORT, 1)
        try:
            begin = time.monotonic()
            relay.due()
            relaying.until(lambda: hosts.silent == 20, PATIENCE)
            took = deliver(relay, sink)
            say(f"parked: all due, for one exchanger that never greets: a message for another lane takes "
                f"{took:.2f} s, {time.monotonic() - begin:.2f} s after all began; "
                f"memory {memory(relay):.1f} MiB")
            time.sleep(10)
            say(f"parked: the next one, 10 s later, {deliver(relay, sink):.2f} s; memory {memory(relay):.1f} MiB; "
                f"{hosts.connections} connections to the exchanger")
        finally:
            hosts.close()


def main():
    if nsd.program() is None:
        print("lanes: no nsd; tests/tools/need bench unpacks one", file=sys.stderr)
        return 69

    def say(line):
        print(line, flush=True)
    idle(say)
    parked(say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
