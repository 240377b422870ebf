"""Postern and Postfix side by side; started by tests/bench/run, on the machine it made.

Every case runs in rounds, in each of which every server has its turn, in an order that rotates,
with the same load: 20 clients of smtp-source, messages of 10 KB. A first round is not counted.
Figures are medians; a ratio is the median of the ratios of single rounds, so that what slows the
machine down for a while slows both. BENCH_ROUNDS (default 5) says how many, BENCH_ONLY limits the
run to the cases whose name contains it. A turn in which mail is refused or stays away is counted as
failed.

	accept, one      a connection for each message; delivery is held
	accept, many     20 connections
	deliver, 1       from the first connection until smtp-sink has the last message; one domain
	deliver, 100     the same messages to 100 domains, each with an exchanger of its own
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, "/sources/tests/tools")

import mtas # noqa: E402
import nsd # noqa: E402
import profile_session # noqa: E402
import servers # noqa: E402

CLIENTS = 20
SIZE = 10240
PATIENCE = 60 # s, for one turn
DOMAIN = "d1.example"


def source(port, *options, to=f"user@{DOMAIN}", clients=CLIENTS, size=SIZE):
    return ["smtp-source", *options, "-s", str(clients), "-l", str(size),
            "-M", "client.example", "-f", "sender@client.example", "-t", to, f"127.0.0.1:{port}"]


def send_one(port, n):
    subprocess.run(source(port, "-m", str(n)), check=True, timeout=PATIENCE)


def send_many(port, n):
    subprocess.run(source(port, "-d", "-m", str(n)), check=True, timeout=PATIENCE)


def send_spread(port, n):
    """To all domains, CLIENTS at a time, as one smtp-source knows only one recipient."""
    each = source(port, "-m", str(n // servers.DOMAINS), to="user@d{}.example", clients=1)
    subprocess.run(["xargs", "-P", str(CLIENTS), "-I{}", *each], check=True, timeout=PATIENCE,
                   input="".join(f"{i}\n" for i in range(1, servers.DOMAINS + 1)).encode())


CASES = [ # name, hold, load, messages in a turn
    ("accept, one", True, send_one, 1000),
    ("accept, many", True, send_many, 2000),
    ("deliver, 1", False, send_one, 1000),
    ("deliver, 100", False, send_spread, 1000),
]


def flushes():
    """Of the device below the queues, since boot; partitions do not count theirs."""
    device = os.stat(servers.BENCH).st_dev
    at = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if (at / "partition").exists():
        at = at.parent
    try:
        return int((at / "stat").read_text().split()[15])
    except (OSError, IndexError):
        return None


def clear(server):
    for path in server.queued():
        path.unlink(missing_ok=True)
    os.sync()


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def calm_down(server):
    """Waits for the end of what is still under way: no processor time used for two seconds."""
    last = -1
    while (now := servers.cpu(server.pid)) > last:
        last = now
        time.sleep(2)


class Turn:
    """One server, one load, one time. Raises AssertionError or SubprocessError if mail is refused
    or does not arrive."""

    def __init__(self, server, sink, hold, load, n):
        port = server.prepare(hold)
        clear(server)
        before = servers.cpu(server.pid), flushes(), sink.messages()
        begin = time.monotonic()
        load(port, n)
        if not hold:
            until(lambda: sink.messages() >= before[2] + n, "not all mail arrives")
        self.rate = n / (time.monotonic() - begin)
        if hold:
            assert len(server.queued()) == n, f"{len(server.queued())} of {n} are queued"
        else:
            until(lambda: not server.queued(), "not all mail leaves the queue")
            time.sleep(0.3) # the last processes end
        self.cpu = (servers.cpu(server.pid) - before[0]) / n * 1000
        now = flushes()
        self.flushes = (now - before[1]) / n if now is not None else float("nan")


def try_turn(server, *more):
    """A turn, or None and a word to the operator."""
    try:
        return Turn(server, *more)
    except (AssertionError, subprocess.SubprocessError) as e:
        why = f"smtp-source: {e.returncode}" if isinstance(e, subprocess.CalledProcessError) else e
        print(f"bench: a turn of {server.name} failed: {why}", file=sys.stderr)
        calm_down(server)
        return None


def run_case(all_servers, sink, hold, load, n, rounds):
    """{server: [turn or None, ...]}"""
    turns = {s: [] for s in all_servers}
    for i in range(rounds + 1):
        k = i % len(all_servers)
        for s in all_servers[k:] + all_servers[:k]:
            turn = try_turn(s, sink, hold, load, n)
            if i > 0:
                turns[s].append(turn)
    for s in all_servers:
        clear(s)
    return turns


def lines(name, turns, reference):
    """The table's rows for one case."""
    for s, own in turns.items():
        good = [t for t in own if t is not None]
        pairs = [a.rate / b.rate for a, b in zip(own, turns[reference]) if a and b]
        row = f"{name:<14}{s.name:<26}"
        if good:
            rate, cpu, flush = (statistics.median(getattr(t, what) for t in good)
                                for what in ("rate", "cpu", "flushes"))
            spread = f"{min(t.rate for t in good):.0f}-{max(t.rate for t in good):.0f}"
            ratio = f"{statistics.median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f})" \
                if pairs and s is not reference else ""
            row += f"{rate:>8.0f} {spread:>12} {ratio:>18}{cpu:>9.2f}{flush:>9.2f}"
        if len(good) < len(own):
            row += f"   {len(own) - len(good)} of {len(own)} turns failed"
        yield row


def compare(say):
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    postfix = servers.Postfix(2600)
    xinetd = servers.Postern("xinetd", 2525)
    activate = servers.Postern("socket-activate", 2526)
    sink = servers.Sink()
    say(f"20 clients, {SIZE} octets a message, {rounds} rounds; {os.cpu_count()} processors, "
        f"Linux {os.uname().release}")
    say(f"{'case':<14}{'server':<26}{'msgs/s':>8} {'min-max':>12} {'x Postfix':>18}"
        f"{'CPU ms':>9}{'flushes':>9}")
    for name, hold, load, n in (c for c in CASES if os.environ.get("BENCH_ONLY", "") in c[0]):
        who = [xinetd, activate, postfix] if hold else [activate, postfix]
        for line in lines(name, run_case(who, sink, hold, load, n, rounds), postfix):
            say(line)
    say("CPU and flushes: for each message, by the server and its device; all programs share the "
        "processors.")


def main():
    report = open(servers.BENCH / "report", "w", encoding="utf-8")

    def say(line):
        print(line, flush=True)
        print(line, file=report, flush=True)

    mtas.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    servers.read_log()
    dns = nsd.Nsd(servers.BENCH / "nsd", servers.ZONE, port=53)
    try:
        if sys.argv[1] == "profile":
            profile_session.profile(say, source)
        else:
            compare(say)
    finally:
        dns.close()
        trouble = (servers.BENCH / "trouble").read_text(errors="replace").splitlines()
        if trouble:
            print(f"bench: {len(trouble)} warnings in the log, the last ones:",
                  *trouble[-5:], sep="\n", file=sys.stderr)


main()
