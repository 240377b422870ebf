"""Many messages for many domains, some of them dead; and many that nobody is to touch yet.

	crowd   CROWD_MESSAGES (10 000) for 1 000 domains, of which 50 refuse connections and 50 say
	        nothing: seconds until all others have theirs, until nothing runs any more, and how
	        often a dead domain was tried, which should be once
	idle    processor time of relay --due with 100 000 messages in 1 000 lanes, none of them due
"""
import collections
import os
import re
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
SIZE = 2048
IDLE_MESSAGES, IDLE_SIZE, IDLE_RUNS = 100_000, 128, 5
PATIENCE = 900 # s


def address(domain):
    return REFUSES if domain < DEAD else SILENT if domain < 2 * DEAD else LIVE


ZONE = {key: value for n in range(DOMAINS) for key, value in (
    ((f"d{n}.example", "MX"), [f"10 mx.d{n}.example."]),
    ((f"mx.d{n}.example", "A"), [address(n)]))}


def attempts(log):
    """How often each lane was given up."""
    return collections.Counter(re.findall(r"lane (\S+): .*next try in", log))


def crowd(say):
    n = int(os.environ.get("CROWD_MESSAGES", "10000"))
    deliverable = n * (DOMAINS - 2 * DEAD) // DOMAINS
    sink, silent = internet.Sink(LIVE, PORT), delay.Delay(SILENT, PORT, (LIVE, PORT), 0, silent=True)
    relay = relaying.Relay(smtp_port=PORT, allow_destinations="127.0.0.0/8",
                           timeout_connect="2s", timeout_greeting="2s")
    dns = nsd.Nsd(relay.where / "nsd", ZONE)
    relay.settings["nameserver"] = f"{dns.address}:{dns.port}"
    try:
        relay.fill([f"u@d{i % DOMAINS}.example" for i in range(n)], SIZE)
        begin = time.monotonic()
        relay.due()
        arrived = relaying.until(lambda: len(sink.messages) >= deliverable, PATIENCE)
        out = time.monotonic() - begin
        relaying.until(lambda: not relay.running(), PATIENCE)
        end = time.monotonic() - begin
        tried = attempts(relay.logged())
        say(f"crowd: {len(sink.messages)} of {deliverable} deliverable out after {out:.1f} s "
            f"({deliverable / out:.0f}/s), nothing runs after {end:.1f} s")
        say(f"crowd: {len(tried)} of {2 * DEAD} dead domains given up, each after "
            f"{min(tried.values(), default=0)} to {max(tried.values(), default=0)} attempts; "
            f"{silent.connections} connections to those that say nothing; "
            f"{len(relay.queued())} messages wait")
        return arrived
    finally:
        relay.close()
        dns.close()
        silent.close()
        sink.close()


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
    crowd(say)
    idle(say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
