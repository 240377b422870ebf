"""This host has no network for a while (R55, L33): that is no fault of the hosts that its mail is for."""
import os
import shlex
import shutil
import subprocess
import sys
import time

import pytest

import spoolfile
from conftest import DROP, TOP, own

NETNS = str(TOP / "tests" / "tools" / "netns")
SOON = 300  # s: the longest wait behind an attempt that could not leave this host
SCHEDULE = "1h 2h 4h"
ATTEMPTS = 7


def run_cut_off(postern, *wrapper, **settings):
    """relay --due where nothing can be reached, not even this host itself, unless `wrapper` says more."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root: a network namespace")
    command = postern.command("relay", "--due", **settings)
    with open(postern.log, "ab") as log:
        subprocess.run([*(wrapper or ("unshare", "--net")), *command], stdin=subprocess.DEVNULL, stdout=log,
                       stderr=log, env=postern.environment(), check=True)
    return postern.rested()


def wait_of(postern, lane):
    """Seconds until the lane is due, and the failed attempts that are held against it."""
    retry = postern.spool / "lane" / lane / "@retry"
    return retry.stat().st_mtime - time.time(), int(retry.read_text().split()[0])


# Names cannot be looked up; the address is known, but there is no way to it.
@pytest.mark.parametrize("domain", ["d.example", "[203.0.113.1]"])
def test_no_network(postern, world, domain):
    """Seven attempts on seven days. The eighth, with a network, comes soon, and new mail waits no longer."""
    postern.settings.update(retry=SCHEDULE, family="ipv4")
    postern.send(f"u@{domain}", sender="", max_connections=0)
    for _ in range(ATTEMPTS):
        run_cut_off(postern)
        wait, attempts = wait_of(postern, domain)
        assert attempts == 0 and wait <= SOON
        spoolfile.elapse(postern.spool, 86400)
    log = postern.settled(1)
    assert log.count("(this host is cut off: not counted); next try in") == ATTEMPTS
    postern.send(f"v@{domain}", sender="", max_connections=0)
    world.domain(domain)
    run_cut_off(postern)
    spoolfile.elapse(postern.spool, SOON)
    if domain == "d.example":
        postern.due()
        postern.settled()
        assert len(world.sink.messages) == 2


# A nameserver that has no one to ask: it says on which port, then SERVFAIL to everything.
SERVFAIL = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    data, whom = s.recvfrom(2000)
    s.sendto(data[:2] + bytes([0x80 | data[2], 0x82]) + data[4:6] + bytes(6) + data[12:len(data) - 11 * data[11]], whom)
"""


def test_nameserver_of_a_host_without_network(postern):
    """It is on this host and answers, but there is no route to the world: so it is hardly the domain's fault."""
    postern.settings.update(retry=SCHEDULE)
    postern.send("u@d.example", sender="", max_connections=0)
    with subprocess.Popen([NETNS, sys.executable, "-c", SERVFAIL], stdout=subprocess.PIPE, text=True) as there:
        port = there.stdout.readline().strip()
        try:
            log = run_cut_off(postern, "nsenter", f"--net=/proc/{there.pid}/ns/net",
                              nameserver=f"127.0.0.1:{port}")
        finally:
            there.kill()
    assert "d.example MX: SERVFAIL (this host seems to be cut off); next try in" in log
    wait, attempts = wait_of(postern, "d.example")
    assert wait <= SOON and attempts == 1


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED"])
def test_nameserver_of_a_line_that_is_down(postern, world, fault):
    """There is a route, as far as the router; its nameserver says so about everything, and not about one domain."""
    world.domain("d.example")
    world.zone[("d.example", "fault")] = fault
    postern.settings.update(retry=SCHEDULE)
    postern.send("u@d.example", max_connections=0)
    postern.due()
    assert "cut off" not in postern.settled(1)
    world.zone[("", "fault")] = fault
    postern.make_due()
    postern.due()
    assert f"d.example MX: {fault} (this host seems to be cut off); next try in" in postern.settled(1)
    wait, attempts = wait_of(postern, "d.example")
    assert wait <= SOON and attempts == 2


@pytest.mark.parametrize("route", ["prohibit", "blackhole", "unreachable"])
def test_routes_that_lead_nowhere(postern, route):
    """As a VPN leaves them that is down: what they say is no host's fault."""
    if shutil.which("ip") is None:
        pytest.skip("needs ip")
    postern.settings.update(retry=SCHEDULE, family="ipv4")
    postern.send("u@[203.0.113.1]", sender="", max_connections=0)
    cut = f'ip link set lo up; ip route add {route} default; exec "$@"'
    assert "(this host is cut off: not counted)" in run_cut_off(postern, "unshare", "--net", "sh", "-c", cut, "sh")
    assert wait_of(postern, "[203.0.113.1]")[1] == 0


SIX_ONLY = "ip link set lo up && ip -6 address add 2001:db8::2/128 dev lo nodad && ip -6 route add default dev lo"


def test_one_family_is_gone(postern):
    """L33: a way to the world by IPv6 is none to a host that has IPv4 alone. It may be so for good: it counts."""
    if shutil.which("ip") is None or subprocess.run(["unshare", "--net", "sh", "-c", SIX_ONLY], check=False).returncode:
        pytest.skip("needs ip, and a kernel with IPv6")
    postern.settings.update(retry=SCHEDULE)
    postern.send("u@[203.0.113.1]", sender="", max_connections=0)
    log = run_cut_off(postern, "unshare", "--net", "sh", "-c", SIX_ONLY + '; exec "$@"', "sh")
    wait, attempts = wait_of(postern, "[203.0.113.1]")
    assert "(this host seems to be cut off); next try in" in log
    assert wait <= SOON and attempts == 1


def test_host_that_is_down(postern):
    """Where it could be reached the host is to blame, though there is no route to the world."""
    postern.settings.update(retry=SCHEDULE, allow_destinations="127.0.0.0/8")
    postern.send("u@[127.0.0.9]", sender="", max_connections=0)
    for attempt in range(1, 4):
        log = run_cut_off(postern, NETNS)
        wait, attempts = wait_of(postern, "[127.0.0.9]")
        assert attempts == attempt and "cut off" not in log
        spoolfile.elapse(postern.spool, 86400)
    assert wait > SOON
    # Too old by now, but not because of an attempt that could not leave this host.
    spoolfile.elapse(postern.spool, 5 * 86400)
    assert "(this host is cut off: not counted)" in run_cut_off(postern)
    assert "given up" not in postern.settled(1)


def call_hook(postern, hook, words, **variables):
    """As its caller does, on a host without systemd."""
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("on this host the hook would start a unit: test_systemd.py has that")
    with open(postern.log, "ab") as log:
        subprocess.run([*(DROP if os.geteuid() == 0 else []), "sh", hook, *words], stdin=subprocess.DEVNULL, stdout=log,
                       stderr=log, env=postern.environment() | variables, check=True)


NOT_UP = [(["eth0", "down"], {}), (["lo", "up"], {}), (["eth0", "hostname"], {}), ([], {"IFACE": "lo"}),
          (["none", "connectivity-change"], {"CONNECTIVITY_STATE": "PORTAL"})]
UP = [(["eth0", "up"], {}), (["tun0", "vpn-up"], {}), ([], {"IFACE": "eth0", "STATE": "routable"}),
      (["none", "connectivity-change"], {"CONNECTIVITY_STATE": "FULL"})]


@pytest.mark.parametrize("words, variables", UP)
def test_hook(postern, world, words, variables):
    """What waits is delivered when the network is back, and not at other times."""
    text = (TOP / "units" / "postern-network").read_text()
    hook, relay, calls = (postern.where / name for name in ("hook", "relay", "calls"))
    hook.write_text(text.replace("@LIBEXECDIR@", str(postern.where)))
    command = postern.command("relay")[len(DROP) if os.geteuid() == 0 else 0:]
    relay.write_text(f'#!/bin/sh\necho called >>{calls}\nexec {shlex.join(command)} "$@"\n')
    relay.chmod(0o755)
    calls.touch()
    own(calls)
    world.domain("d.example")
    world.sink.say["GREETING"] = "421 4.3.2 not now"
    postern.send("u@d.example", retry="1h")
    postern.settled(1)
    del world.sink.say["GREETING"]
    connections = world.sink.connections
    for other, more in NOT_UP:
        call_hook(postern, hook, other, **more)
    assert calls.read_text() == ""
    call_hook(postern, hook, words, **variables)
    postern.settled()
    assert len(world.sink.messages) == 1 and world.sink.connections == connections + 1


def test_a_nameserver_that_is_away(postern, world):
    """Nobody is there, or nobody says a word about anything; silence about one domain is that domain's."""
    world.domain("d.example")
    world.zone[("d.example", "fault")] = "SILENT"
    postern.settings.update(retry=SCHEDULE, timeout_dns="1s")
    postern.send("u@d.example", max_connections=0)
    postern.due()
    assert postern.settled(1).count("next try") == 1 and wait_of(postern, "d.example")[1] == 1
    world.zone[("", "fault")] = world.zone[("_mta-sts.d.example", "fault")] = "SILENT" # the root, too
    postern.make_due()
    postern.due()
    log = postern.settled(1)
    assert log.count("next try") == 2 and wait_of(postern, "d.example")[1] == 1
    assert "(this host is cut off: not counted)" in log
    world.dns.close()
    postern.make_due()
    postern.due()
    assert postern.settled(1).count("next try") == 3 and wait_of(postern, "d.example")[1] == 1
