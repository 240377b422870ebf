"""Many messages for many domains, some of them dead; and many that nobody is to touch yet.

	crowd   CROWD_MESSAGES (10 000) for 1 000 domains, of which 50 refuse connections and 50 say
	        nothing: seconds until all others have theirs, until nothing runs any more, and how
	        often a dead domain was tried, which should be once
	silent  the same with 100 that say nothing, each with a host of its own, and for as long as is
	        waited by default: seconds until the others have theirs, and how many times as long that is
	idle    processor time of relay --due with 100 000 messages in 1 000 lanes, none of them due
"""
import collections
import contextlib
import os
import re
import socket
import statistics
import sys
import time

import relaying
import delay # pylint: disable=wrong-import-order
import internet
import nsd

DOMAINS, DEAD = 1000, 50 # of each kind
PORT = 2600
LIVE, REFUSES, SILENT = "127.0.0.61", "127.0.0.62", "127.0.0.63"
SHORT = {"timeout_connect": "2s", "timeout_greeting": "2s"}
SIZE = 2048
IDLE_MESSAGES, IDLE_SIZE, IDLE_RUNS = 100_000, 128, 5
PATIENCE = 900 # s


def dead_address(domain):
    return REFUSES if domain < DEAD else SILENT


def silent_address(domain):
    return f"127.0.63.{domain + 1}"


def zone(dead):
    return {key: value for n in range(DOMAINS) for key, value in (
        ((f"d{n}.example", "MX"), [f"10 mx.d{n}.example."]),
        ((f"mx.d{n}.example", "A"), [dead(n) if n < 2 * DEAD else LIVE]))}


def attempts(log):
    """How often each lane was given up."""
    return collections.Counter(re.findall(r"lane (\S+): .*next try in", log))


class Crowd:
    """Messages for all of them, the exchanger of those that live, and a relay, which is to begin."""

    def __init__(self, dead, **settings):
        self.begin = None
        self.n = int(os.environ.get("CROWD_MESSAGES", "10000"))
        self.deliverable = self.n * (DOMAINS - 2 * DEAD) // DOMAINS
        self.sink = internet.Sink(LIVE, PORT)
        self.relay = relaying.Relay(smtp_port=PORT, allow_destinations="127.0.0.0/8", **settings)
        self.dns = nsd.Nsd(self.relay.where / "nsd", zone(dead))
        self.relay.settings["nameserver"] = f"{self.dns.address}:{self.dns.port}"
        self.relay.fill([f"u@d{i % DOMAINS}.example" for i in range(self.n)], SIZE)

    def since(self):
        return time.monotonic() - self.begin

    def out(self):
        """Sends. Seconds until nothing more is to come, or patience ends."""
        self.begin = time.monotonic()
        self.relay.due()
        relaying.until(lambda: len(self.sink.messages) >= self.deliverable, PATIENCE)
        return self.since()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.relay.close()
        self.dns.close()
        self.sink.close()


def crowd(say):
    """Seconds until all that can be is out."""
    quiet = delay.Delay(SILENT, PORT, (LIVE, PORT), 0, silent=True)
    with contextlib.closing(quiet), Crowd(dead_address, **SHORT) as c:
        out = c.out()
        relaying.until(lambda: not c.relay.running(), PATIENCE)
        end = c.since()
        tried = attempts(c.relay.logged())
        say(f"crowd: {len(c.sink.messages)} of {c.deliverable} deliverable out after {out:.1f} s "
            f"({c.deliverable / out:.0f}/s), nothing runs after {end:.1f} s")
        say(f"crowd: {len(tried)} of {2 * DEAD} dead domains given up, each after "
            f"{min(tried.values(), default=0)} to {max(tried.values(), default=0)} attempts; "
            f"{quiet.connections} connections to those that say nothing; "
            f"{len(c.relay.queued())} messages wait")
        return out


def silent(say, reference):
    with Crowd(silent_address) as c, contextlib.ExitStack() as quiet:
        for n in range(2 * DEAD): # the kernel greets no client, nor do we
            quiet.enter_context(socket.create_server((silent_address(n), PORT)))
        out = c.out()
        given_up = len(attempts(c.relay.logged()))
        say(f"silent: {len(c.sink.messages)} of {c.deliverable} deliverable out after {out:.1f} s, "
            f"{out / reference:.2f} times as long; {given_up} of {2 * DEAD} silent domains given up "
            "by then")


def idle(say):
    relay = relaying.Relay("/dev/shm") # only processor time counts
    try:
        relay.fill([f"u@d{i % DOMAINS}.example" for i in range(IDLE_MESSAGES)], IDLE_SIZE)
        relaying.spoolfile.put_off(relay.spool, 3600)
        used = [relay.due() * 1000 for _ in range(IDLE_RUNS)]
        say(f"idle: relay --due with {IDLE_MESSAGES} messages in {DOMAINS} lanes, none due: "
            f"{statistics.median(used):.1f} ms of CPU ({min(used):.1f}-{max(used):.1f})")
        assert not relay.running() and len(relay.queued()) == IDLE_MESSAGES
    finally:
        relay.close()


def main():
    if nsd.program() is None:
        print("crowd: no nsd; tests/tools/need bench unpacks one", file=sys.stderr)
        return 69

    def say(line):
        print(line, flush=True)
    silent(say, crowd(say))
    idle(say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
