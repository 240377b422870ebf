"""Postern and Postfix side by side; started by tests/bench/run, on the machine it made.

Every case runs in rounds, in each of which every server has its turn, in an order that rotates,
with the same load: 20 clients of smtp-source, messages of 10 KB. A first round is not counted.
Figures are medians; a ratio is the median of the ratios of single rounds, so that what slows the
machine down for a while slows both. BENCH_ROUNDS (default 5) says how many, BENCH_ONLY limits the
run to the cases whose name contains it, BENCH_OTHER adds a busy Postern of another build. A turn in
which mail is refused or stays away is counted as failed.

	accept, one      a connection for each message; delivery is held
	accept, many     20 connections
	tls, one         the same as the first, behind STARTTLS with a whole handshake; a small message
	greeting, ms     one connection after the other: from connect(2) until 220 is there. Milliseconds
	deliver, 1       from the first connection until smtp-sink has the last message; one domain
	deliver, 100     the same messages to 100 domains, each with an exchanger of its own
	kept, 100        the same, from clients that each keep a connection for a domain
	queue, 1         messages that wait, from their release until smtp-sink has them; one domain
	queue, 100       the same to 100 domains
	latency, ms      one message after the other over one connection: from the reply to its end until
	                 its end is at the destination. Milliseconds, the median of a turn: less is better
	plot             the first case with 1 to 40 clients, as a picture (BENCH_PLOT=FILE): messages a second

With BENCH_OPENSMTPD=yes OpenSMTPD is there for what is accepted. It does not sync what it acknowledges. With ten
clients and more its turns did not end in time when this was written, and it is not known yet why.
"""
import os
import pathlib
import queue
import smtplib
import socket
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


def send_tls(port, n):
    subprocess.run([servers.BENCH / "load", str(n), str(CLIENTS), str(port), "tls"], check=True, timeout=PATIENCE,
                   stdout=subprocess.DEVNULL)


def send_spread(port, n, *options):
    """To all domains, CLIENTS at a time, as one smtp-source knows only one recipient."""
    each = source(port, *options, "-m", str(n // servers.DOMAINS), to="user@d{}.example", clients=1)
    subprocess.run(["xargs", "-P", str(CLIENTS), "-I{}", *each], check=True, timeout=PATIENCE,
                   input="".join(f"{i}\n" for i in range(1, servers.DOMAINS + 1)).encode())


def send_kept(port, n):
    send_spread(port, n, "-d")


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
    while (now := server.cpu()) > last:
        last = now
        time.sleep(2)


class Turn:
    """One server, one load, one time. Raises AssertionError or SubprocessError if mail is refused
    or does not arrive."""

    sink = servers.Sink
    hold = False # only accepted, not sent
    tls = False

    def __init__(self, server, sink, load, n):
        self.server, self.arrived, self.load, self.n = server, sink, load, n
        until(server.is_idle, "what was before does not end")
        self.port = server.prepare(self.hold, *[True] * self.tls)
        clear(server)
        self.begin()
        self.run()
        self.end()

    def begin(self):
        self.before = self.server.cpu(), flushes(), self.arrived.messages()
        self.start = time.monotonic()

    def wait(self):
        until(lambda: self.arrived.messages() >= self.before[2] + self.n, "not all mail arrives")

    def end(self):
        self.figure = self.measured()
        self.check()
        self.cpu = (self.server.cpu() - self.before[0]) / self.n * 1000
        now = flushes()
        self.flushes = (now - self.before[1]) / self.n if now is not None else float("nan")

    def measured(self):
        return self.n / (time.monotonic() - self.start)

    def check(self):
        until(lambda: not self.server.queued(), "not all mail leaves the queue")
        time.sleep(0.3) # the last processes end


class Accept(Turn):
    hold = True

    def run(self):
        self.load(self.port, self.n)

    def check(self):
        queued = len(self.server.queued())
        assert queued == self.n, f"{queued} of {self.n} are queued"


class AcceptTls(Accept):
    tls = True


class Greeting(Turn):
    hold = True

    def run(self):
        self.took = []
        for _ in range(self.n):
            begin = time.monotonic()
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as s:
                assert s.recv(1000)[:4] == b"220 "
                self.took.append(time.monotonic() - begin)
                s.sendall(b"QUIT\r\n")
                while s.recv(1000):
                    pass

    def measured(self):
        return statistics.median(self.took) * 1000

    def check(self):
        pass


class Deliver(Turn):
    def run(self):
        self.load(self.port, self.n)
        self.wait()


class Queue(Turn):
    hold = True

    def run(self):
        self.load(self.port, self.n)
        Accept.check(self)
        self.server.unhold()
        os.sync() # what the files of the queue cost is not part of this
        self.begin()
        self.server.release()
        self.wait()


class Latency(Turn):
    sink = servers.Watch

    def run(self):
        text = b"Subject: bench\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * (SIZE // 66)
        self.took = []
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE) as client:
            for _ in range(self.n):
                client.sendmail("sender@client.example", [f"user@{DOMAIN}"], text)
                begin = time.monotonic()
                self.took.append(self.arrived.times.get(timeout=PATIENCE) - begin)

    def measured(self):
        return statistics.median(self.took) * 1000


CASES = [ # name, what is measured, load, messages in a turn
    ("accept, one", Accept, send_one, 1000),
    ("accept, many", Accept, send_many, 2000),
    ("tls, one", AcceptTls, send_tls, 600),
    ("greeting, ms", Greeting, None, 300),
    ("deliver, 1", Deliver, send_one, 1000),
    ("deliver, 100", Deliver, send_spread, 1000),
    ("kept, 100", Deliver, send_kept, 2000),
    ("queue, 1", Queue, send_many, 2000),
    ("queue, 100", Queue, send_kept, 2000),
    ("latency, ms", Latency, None, 200),
]


def try_turn(turn, server, *more):
    """A turn, or None and a word to the operator."""
    try:
        return turn(server, *more)
    except (AssertionError, subprocess.SubprocessError, queue.Empty) as e:
        why = f"smtp-source: {e.returncode}" if isinstance(e, subprocess.CalledProcessError) else e
        print(f"bench: a turn of {server.name} failed: {why!r}", file=sys.stderr)
        calm_down(server)
        return None


def run_case(all_servers, turn, load, n, rounds):
    """{server: [turn or None, ...]}"""
    turns = {s: [] for s in all_servers}
    sink = turn.sink()
    try:
        for i in range(rounds + 1):
            k = i % len(all_servers)
            for s in all_servers[k:] + all_servers[:k]:
                done = try_turn(turn, s, sink, load, n)
                if i > 0:
                    turns[s].append(done)
    finally:
        sink.close()
    for s in all_servers:
        clear(s)
    return turns


def ratio(pairs, what):
    ratios = [getattr(a, what) / getattr(b, what) for a, b in pairs if getattr(b, what) > 0]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""


def lines(name, turns, reference):
    """The table's rows for one case."""
    for s, own in turns.items():
        good = [t for t in own if t is not None]
        pairs = [(a, b) for a, b in zip(own, turns[reference]) if a and b and s is not reference]
        row = f"{name:<14}{s.name:<26}"
        if good:
            figure, cpu, flush = (statistics.median(getattr(t, what) for t in good)
                                  for what in ("figure", "cpu", "flushes"))
            decimals = 0 if figure >= 100 else 2
            spread = "-".join(f"{x(t.figure for t in good):.{decimals}f}" for x in (min, max))
            row += f"{figure:>8.{decimals}f} {spread:>12} {ratio(pairs, 'figure'):>18}" \
                f"{cpu:>9.2f} {ratio(pairs, 'cpu'):>18}{flush:>9.2f}"
        if len(good) < len(own):
            row += f"   {len(own) - len(good)} of {len(own)} turns failed"
        yield row


COUNTS = (1, 2, 5, 10, 20, 40) # clients; the shipped xinetd file lets 50 of one address be there, and ending ones count
COLOURS = ("#1b6ca8", "#d1495b", "#2e7d32", "#8d6a00", "#6a4c93")


def plot(curves):
    """{name: [messages a second for each of COUNTS; 0: all turns failed]}, as SVG."""
    wide, high, left, bottom = 720, 400, 60, 350
    most = max(v for values in curves.values() for v in values) * 1.05
    xs = [left + (wide - left - 180) * i / (len(COUNTS) - 1) for i in range(len(COUNTS))]
    step = 10 ** (len(str(int(most))) - 1)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">'
    yield f'<rect width="{wide}" height="{high}" fill="#ffffff"/>'
    yield f'<text x="{left}" y="16">messages accepted per second, one for each connection</text>'
    for y in range(0, int(most) + 1, step):
        at = bottom - (bottom - 30) * y / most
        yield f'<path d="M{left} {at:.1f}H{xs[-1]:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{y}</text>'
    for x, n in zip(xs, COUNTS):
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{n}</text>'
    yield f'<text x="{(xs[0] + xs[-1]) / 2:.1f}" y="{bottom + 38}" text-anchor="middle">clients at once</text>'
    for colour, (name, values) in zip(COLOURS, curves.items()):
        points = " ".join(f"{x:.1f},{bottom - (bottom - 30) * v / most:.1f}" for x, v in zip(xs, values) if v > 0)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
    ends = sorted((bottom - (bottom - 30) * [v for v in values if v > 0][-1] / most, colour, name)
                  for colour, (name, values) in zip(COLOURS, curves.items()) if max(values) > 0)
    at = 0
    for y, colour, name in ends: # each below the one before
        at = max(y + 4, at + 16)
        yield f'<text x="{xs[-1] + 8:.1f}" y="{at:.1f}" fill="{colour}">{name}</text>'
    yield "</svg>"


def draw(say, who, rounds):
    curves = {s.name: [] for s in who}
    say(f"{'clients':<34}" + "".join(f"{n:>8}" for n in COUNTS))
    for count in COUNTS:
        def load(port, n, clients=count):
            subprocess.run(source(port, "-m", str(n), clients=clients), check=True, timeout=PATIENCE)
        for s, turns in run_case(who, Accept, load, 400, rounds).items():
            good = [t.figure for t in turns if t is not None]
            curves[s.name].append(statistics.median(good) if good else 0)
    for name, values in curves.items():
        say(f"plot, msgs/s  {name:<20}" + "".join(f"{v:>8.0f}" for v in values))
    (servers.BENCH / "plot.svg").write_text("\n".join(plot(curves)) + "\n")


def compare(say):
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    postfix = servers.Postfix(2600)
    xinetd = servers.Postern("xinetd", 2525)
    activate = servers.Postern("socket-activate", 2526)
    busy = servers.Postern("busy", 2527)
    single = servers.Postern("busy", 2529, options=["busy_reuse=1"])
    smtpd = [servers.OpenSmtpd(2700)] if os.environ.get("BENCH_OPENSMTPD") else []
    accepting = [xinetd, activate, busy, single, *smtpd]
    other = servers.BENCH / "other"
    if other.exists():
        accepting = [busy, servers.Postern("busy", 2528, other)]
    say(f"20 clients, {SIZE} octets a message, {rounds} rounds; {os.cpu_count()} processors, "
        f"Linux {os.uname().release}; on {os.environ.get('BENCH_FS') or 'what BENCH_DIR has'}")
    say(f"{'case':<14}{'server':<26}{'msgs/s':>8} {'min-max':>12} {'x Postfix':>18}"
        f"{'CPU ms':>9} {'x Postfix':>18}{'flushes':>9}")
    for name, turn, load, n in (c for c in CASES if os.environ.get("BENCH_ONLY", "") in c[0]):
        who = [*accepting, postfix] if turn in (Accept, AcceptTls, Greeting) else [activate, postfix]
        for line in lines(name, run_case(who, turn, load, n, rounds), postfix):
            say(line)
    if os.environ.get("BENCH_ONLY", "") in "plot":
        draw(say, [xinetd, busy, postfix, *smtpd], rounds)
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
