"""What the options of the units cost: connections per second under a real systemd, in a container.

One client connects, reads the 220, says QUIT and reads to the end, one connection after the other. The
same smtpd stands behind each of these units, and they take turns:

	bare         Accept=yes, ExecStart= and StandardInput=socket, nothing else
	default      postern@.service as shipped
	credentials  that, and one LoadCredential=
	hardened     that, without it, and hardened.conf

Processor time is that of all processes of the container, PID 1 and its children included; work that the
kernel puts off, as for mount namespaces that end, is not in it. A ratio is the median of the ratios of
single rounds. BENCH_ROUNDS (default 5) says how many, after one
that is not counted. BENCH_UNITS=FILE adds a unit whose options are those of a drop-in. Needs root.
"""
import os
import pathlib
import re
import socket
import statistics
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / d) for d in ("tools", "e2e")]

import sysd_machine # noqa: E402

CONNECTIONS = 50 # of a turn
PORT = 2600 # the first one
SOCKET = """[Socket]
ListenStream=127.0.0.1:{port}
Accept=yes
TriggerLimitIntervalSec=0
MaxConnections=200
"""
BARE = """[Service]
ExecStart=/usr/libexec/postern/smtpd
StandardInput=socket
"""


def units(machine):
    """{name: text of the service}"""
    shipped = (machine.root / "usr/lib/systemd/system/postern@.service").read_text()
    default = re.sub(r"^(ExecStart=\S+).*", r"\1", shipped, flags=re.M)
    hardened = (machine.root / "usr/share/doc/postern/examples/hardened.conf").read_text()
    found = {"bare": BARE, "default": default,
             "credentials": default + "LoadCredential=key:/etc/postern/postern.conf\n",
             "hardened": default + hardened}
    if "BENCH_UNITS" in os.environ:
        more = pathlib.Path(os.environ["BENCH_UNITS"])
        found[more.stem] = default + more.read_text()
    return found


def install(machine):
    """{name: port}"""
    ports = {}
    for i, (name, text) in enumerate(units(machine).items()):
        ports[name] = PORT + i
        for kind, body in (("@.service", text), (".socket", SOCKET.format(port=PORT + i))):
            (machine.root / f"etc/systemd/system/bench-{name}{kind}").write_text(body)
    machine.systemctl("daemon-reload")
    machine.systemctl("stop", "postern-due.timer")
    machine.systemctl("start", *(f"bench-{name}.socket" for name in ports))
    return ports


def connect(port):
    with socket.create_connection(("127.0.0.1", port), 20) as s, s.makefile("rb") as f:
        assert f.readline()[:4] == b"220 "
        s.sendall(b"QUIT\r\n")
        assert f.readline()[:4] == b"221 " and f.read() == b""


def turn(machine, port):
    """Connections per second, and milliseconds of processor time for each."""
    with machine.network():
        cpu, begin = machine.cpu(), time.monotonic()
        for _ in range(CONNECTIONS):
            connect(port)
        rate = CONNECTIONS / (time.monotonic() - begin)
    machine.systemctl("daemon-reload") # waits until PID 1 is done with what has ended
    return rate, (machine.cpu() - cpu) / CONNECTIONS * 1000


def measure(machine, rounds):
    """{name: [(rate, processor time), ...]}"""
    ports = install(machine)
    turns = {name: [] for name in ports}
    names = list(ports)
    for i in range(rounds + 1):
        k = i % len(names)
        for name in names[k:] + names[:k]:
            result = turn(machine, ports[name])
            if i > 0:
                turns[name].append(result)
    return turns


def row(name, own, bare):
    rates, cpu = zip(*own)
    ratios = [a[0] / b[0] for a, b in zip(own, bare)]
    return (f"{name:<14}{statistics.median(rates):>8.0f} {f'{min(rates):.0f}-{max(rates):.0f}':>12} "
            f"{f'{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})':>18}"
            f"{statistics.median(cpu):>9.2f}")


def main():
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    with tempfile.TemporaryDirectory() as where, sysd_machine.booted(pathlib.Path(where)) as machine:
        version = machine.run("systemctl", "--version").split()[1]
        turns = measure(machine, rounds)
    print(f"{CONNECTIONS} connections a turn, one client, {rounds} rounds; systemd {version}, "
          f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'unit':<14}{'conn/s':>8} {'min-max':>12} {'x bare':>18}{'CPU ms':>9}")
    for name, own in turns.items():
        print(row(name, own, turns["bare"]))


main()
