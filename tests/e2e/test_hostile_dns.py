"""What a nameserver under somebody else's control can make relay do: nothing that costs mail, time or a
connection to where no stranger may point."""
import os
import shutil
import signal
import socket
import subprocess
import sys

import dnslib
import pytest

import internet
import patience
import ports
from conftest import TOP


def own_address():
    """An address of this host that is not on loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9)) # lint: nothing is sent, it only tells from where it would be
        except OSError:
            return None
        return s.getsockname()[0]


FORBIDDEN = ["127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.1.2.3",
             "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
             "100.64.0.1", "100.127.255.255", "169.254.169.254", "224.0.0.1", "239.255.255.255",
             "240.0.0.1", "255.255.255.255", "::", "::1", "::2", "::7f00:1", "::ffff:7f00:1",
             "::ffff:7f00:2", "::ffff:a01:203", "64:ff9b::7f00:1", "64:ff9b::7f00:2",
             "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:7f00:2::1", "fc00::1",
             "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
             "192.0.0.192", "198.18.0.1", "198.19.255.255", "::ffff:0:7f00:1", "100::1", "5f00::1",
             "2001:0:4136:e378:8000:63bf:80ff:fffe"]


def by_mx(zone, domain, kind, address):
    zone[(domain, "MX")] = [f"10 localhost.{domain}."]
    zone[(f"localhost.{domain}", kind)] = [address]


def without_mx(zone, domain, kind, address):
    zone[(domain, kind)] = [address]


def by_cname_of_the_host(zone, domain, kind, address):
    zone[(domain, "MX")] = [f"10 mx.{domain}."]
    zone[(f"mx.{domain}", "CNAME")] = [f"inside.{domain}."]
    zone[(f"inside.{domain}", kind)] = [address]


def by_cname_of_the_domain(zone, domain, kind, address):
    zone[(domain, "CNAME")] = [f"inside.{domain}."]
    by_mx(zone, f"inside.{domain}", kind, address)


def by_literal(zone, domain, kind, address):
    del zone, domain
    return f"[{address}]" if kind == "A" else f"[IPv6:{address}]"


@pytest.mark.parametrize("lead", [by_mx, by_cname_of_the_host, by_cname_of_the_domain, by_literal])
def test_no_stranger_points_inside(postern, world, lead):
    """H1, H2: refused for good, without a connection, whatever leads there."""
    postern.settings["allow_destinations"] = ""
    sinks = [world.sink, world.another("127.0.0.1"), world.another("::1")]
    addresses = FORBIDDEN + ([own_address()] if own_address() else [])
    domains = []
    for i, address in enumerate(addresses):
        kind = "AAAA" if ":" in address else "A"
        domains.append(lead(world.zone, f"d{i}.example", kind, address) or f"d{i}.example")
    postern.send([f"u@{domain}" for domain in domains], sender="")
    log = postern.settled()
    assert [d for d in domains if f"bounced <u@{d}>" not in log] == []
    assert log.count("554 5.4.6 ") == len(domains), log
    assert not any(s.connections for s in sinks)


def test_nobody_points_inside_without_mx(postern, world):
    """H1, H2, L4: not connected to either; but such an address may come from a router whose line is down, or
    a portal before a login, which say it of every name. So the mail waits, until the DNS is itself again."""
    postern.settings["allow_destinations"] = ""
    sinks = [world.sink, world.another("127.0.0.1"), world.another("::1")]
    domains = [f"d{i}.example" for i in range(len(FORBIDDEN))]
    for domain, address in zip(domains, FORBIDDEN):
        without_mx(world.zone, domain, "AAAA" if ":" in address else "A", address)
    postern.send([f"u@{domain}" for domain in domains])
    log = postern.settled(len(domains))
    assert [d for d in domains if f"lane {d}: DNS: {d} has no MX record" not in log] == []
    assert not any(s.connections for s in sinks)
    good = world.another("127.0.0.3")
    without_mx(world.zone, "d0.example", "A", "127.0.0.3")
    postern.make_due()
    postern.due(allow_destinations="127.0.0.3")
    assert good.wait_messages()[0].recipients == ["u@d0.example"]


def test_good_address_beside_others(postern, world):
    """H2: what may not be connected to is left out, and only that."""
    postern.settings["allow_destinations"] = "127.0.0.2"
    world.domain("d.example", "10.1.2.3", "169.254.169.254", "127.0.0.2", "192.168.0.1")
    postern.send("u@d.example")
    assert "mx.d.example[127.0.0.2]" in postern.settled()
    assert world.sink.messages


@pytest.mark.parametrize("zone, reply", [({}, "550 5.1.2"), ({("localhost", "A"): ["127.0.0.1"]}, "554 5.4.6"),
                                         ({("localhost", "AAAA"): ["::1"]}, "554 5.4.6")],
                         ids=["unknown", "ipv4", "ipv6"])
def test_localhost_by_name(postern, world, zone, reply):
    """H1: asked for like any other name; no file of hosts is read."""
    postern.settings["allow_destinations"] = ""
    sinks = [world.sink, world.another("127.0.0.1"), world.another("::1")]
    world.zone.update({("d.example", "MX"): ["10 localhost."], **zone})
    postern.send("u@d.example", sender="")
    assert f"{reply} " in postern.settled() and not any(s.connections for s in sinks)


def test_rebinding(postern, world):
    """H3: the address that was judged is the one that is connected to; the next look-up is judged anew. Answers come
    over TCP, for over UDP who waits for one asks again, and that is no look-up."""
    asked = []

    def rebind(reply):
        if reply.q.qtype == dnslib.QTYPE.A:
            asked.append(reply.q.qname)
            reply.auth = []
            reply.add_answer(*dnslib.RR.fromZone(f"mx.d.example. 60 A 127.0.0.{3 if len(asked) == 1 else 2}"))
        return reply.pack()
    good = world.another("127.0.0.3")
    world.zone.update({("d.example", "MX"): ["10 mx.d.example."], ("mx.d.example", "fault"): truncated(rebind)})
    postern.settings["allow_destinations"] = "127.0.0.3"
    postern.send("u@d.example", sender="")
    postern.settled()
    assert good.messages and len(asked) == 1
    postern.send("v@d.example", sender="")
    log = postern.settled()
    assert "bounced <v@d.example>" in log and "554 5.4.6 " in log and world.sink.connections == 0 and len(asked) == 2


KNOWN_AS = { # how we stand in the list
    "name": {("mx.test.example", "A"): ["192.0.2.9"]},
    "name-without-address": {},
    "name-in-trouble": {("mx.test.example", "fault"): "SERVFAIL"},
    "address": {("us.d.example", "A"): ["127.0.0.1"]},
}


@pytest.mark.parametrize("zone", KNOWN_AS.values(), ids=KNOWN_AS)
def test_only_better_hosts_than_ourselves(postern, world, wait, zone):
    """H4, R51: of hosts at 5, 10 (which is us), 10 and 20 only the first is tried, though it is dead."""
    us = "us.d.example" if ("us.d.example", "A") in zone else "mx.test.example"
    postern.settings["allow_destinations"] = "127.0.0.2 127.0.0.9"
    world.zone.update(zone)
    world.zone[("d.example", "MX")] = ["20 worse.d.example.", f"10 {us}.", "10 equal.d.example.",
                                       "5 better.d.example."]
    world.zone[("better.d.example", "A")] = ["127.0.0.9"]
    for name in ("equal", "worse"):
        world.zone[(f"{name}.d.example", "A")] = ["127.0.0.2"]
    postern.send("u@d.example")
    assert "better.d.example[127.0.0.9]" in postern.settled(1)
    assert world.sink.connections == 0
    world.zone[("better.d.example", "A")] = ["127.0.0.2"]
    postern.make_due()
    postern.due()
    assert wait(lambda: world.sink.messages), postern.logged()


@pytest.mark.parametrize("zone", KNOWN_AS.values(), ids=KNOWN_AS)
def test_nothing_better_than_ourselves(postern, world, zone):
    """H4, R51: an error for good, though a host of worse preference would take it."""
    us = "us.d.example" if ("us.d.example", "A") in zone else "mx.test.example"
    postern.settings["allow_destinations"] = "127.0.0.2"
    world.zone.update(zone)
    world.zone[("d.example", "MX")] = [f"10 {us}.", "20 worse.d.example."]
    world.zone[("worse.d.example", "A")] = ["127.0.0.2"]
    postern.send("u@d.example", sender="")
    assert "554 5.4.6 mail for d.example would come back to this host" in postern.settled()
    assert world.sink.connections == 0


def is_listening(where):
    with socket.socket() as s:
        return s.connect_ex(where) == 0


def test_mail_that_goes_in_circles(postern, world, wait):
    """H5: a host that is us by another name; the Received: fields end it."""
    number = ports.take()
    postern.settings["smtp_port"] = number
    world.domain("d.example", "127.0.0.4")
    with open(postern.log, "ab") as log:
        inetd = subprocess.Popen([sys.executable, str(TOP / "tests" / "tools" / "inetd.py"),
                                  f"127.0.0.4:{number}", *postern.command("smtpd")],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                                 env=postern.environment())
    postern.started.append(inetd)
    assert wait(lambda: is_listening(("127.0.0.4", number)))
    postern.send("u@d.example", "".join(f"Received: {i}\n" for i in range(90)) + "\nx\n", sender="")
    postern.wait_logged("bounced <u@d.example>")
    assert "554 5.4.6 " in postern.settled()


def full_listener(address, port):
    """A port at which nobody gets through: connecting takes until somebody's patience ends."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(0)
    crowd = []
    for _ in range(3):
        c = socket.socket(s.family)
        c.setblocking(False)
        c.connect_ex((address, port))
        crowd.append(c)
    return [s, *crowd]


@pytest.mark.parametrize("dead", ["unreachable", "silent"])
def test_ipv6_that_leads_nowhere(postern, world, dead):
    """H8: IPv4 takes over inside one attempt, and long before the time for a connection is up."""
    world.domain("d.example")
    world.zone[("mx.d.example", "AAAA")] = ["2001:db8::25" if dead == "unreachable" else "::1"]
    crowd = full_listener("::1", world.port) if dead == "silent" else []
    postern.send("u@d.example", timeout_connect="1h")
    assert "next try" not in postern.settled()
    assert world.sink.messages
    for s in crowd:
        s.close()


def wrong_id(_, reply, how):
    del how
    reply.header.id ^= 1
    return reply.pack()


def about_another(_, reply, how):
    del how
    reply.q.qname = "e.example"
    return reply.pack()


def garbage(_, reply, how):
    del how
    reply.rr = [dnslib.RR(reply.q.qname, dnslib.QTYPE.MX, rdata=dnslib.RD(b"\0"))]
    return reply.pack()


def truncated(then):
    """Over UDP; over TCP what `then` says."""
    def fault(_, reply, how):
        if how == "tcp":
            return then(reply)
        reply.rr = []
        reply.header.tc = 1
        return reply.pack()
    return fault


def stall(_):
    """Longer than the 10 s that anybody waits."""
    patience.hold(30)


def cut_again(reply):
    reply.rr = []
    reply.header.tc = 1
    return reply.pack()


def chain(n):
    return {(f"c{i}.example" if i else "d.example", "CNAME"): [f"c{i + 1}.example."] for i in range(n)}


def faulty(fault):
    return {("d.example", "fault"): fault}


ODD = { # what the nameserver does about d.example, what the log says
    "servfail": (faulty("SERVFAIL"), "SERVFAIL"),
    "refused": (faulty("REFUSED"), "REFUSED"),
    "formerr": (faulty("FORMERR"), "FORMERR"),
    "silence": (faulty("SILENT"), "no answer in time"),
    "garbage": (faulty(garbage), "garbage in the answer"),
    "wrong-id": (faulty(wrong_id), "no answer in time"),
    "another": (faulty(about_another), "no answer in time"),
    "tcp-stalls": (faulty(truncated(stall)), "truncated over UDP, no answer over TCP"),
    "tcp-closes": (faulty(truncated(lambda reply: None)), "truncated over UDP, no answer over TCP"),
    "tcp-truncates": (faulty(truncated(cut_again)), "truncated over TCP"),
    "chain-of-50": (chain(50), "endless CNAME chain"),
    "loop": ({**chain(1), ("c1.example", "CNAME"): ["d.example."]}, "endless CNAME chain"),
}


@pytest.mark.parametrize("zone, reason", ODD.values(), ids=ODD)
def test_odd_answers_cost_no_mail(postern, world, zone, reason):
    """G1, G3, G4, G6, G17: it waits, the log says why, and it goes when the answers are good again."""
    world.domain("d.example")
    world.zone.update(zone)
    # Over TCP each server has a time of its own.
    postern.send("u@d.example", timeout_dns="1s" if reason == "no answer in time" else "1h")
    postern.wait_logged("next try")
    assert f"DNS: d.example MX: {reason}" in postern.settled(1)
    assert world.sink.connections == 0
    for key in zone:
        del world.zone[key]
    postern.make_due()
    postern.due()
    postern.settled()
    assert world.sink.messages[0].recipients == ["u@d.example"]


def no_edns(query, reply, how):
    del how
    if query.ar:
        reply.rr = []
        reply.header.rcode = dnslib.RCODE.FORMERR
    return reply.pack()


def cname_last(_, reply, how):
    del how
    reply.rr = dnslib.RR.fromZone("real.example. 60 MX 10 mx.d.example.\nd.example. 60 CNAME real.example.")
    return reply.pack()


@pytest.mark.parametrize("fault", [no_edns, cname_last])
def test_odd_answers_that_are_understood(postern, world, fault):
    """G13, G18: asked again without EDNS; the order of records does not matter."""
    world.domain("d.example")
    world.zone.update(faulty(fault))
    postern.send("u@d.example")
    assert "next try" not in postern.settled()
    assert world.sink.messages


def test_a_thousand_hosts(postern, world):
    """G5: 1000 MX records, 20 addresses each: questions and attempts have a bound, and with them the time."""
    world.zone[("d.example", "MX")] = [f"{1000 - i} m{i}.example." for i in range(1000)]
    for i in range(1000):
        world.zone[(f"m{i}.example", "A")] = [f"127.{1 + i // 250}.{i % 250}.{k + 1}" for k in range(20)]
    world.sink.close()
    world.sink = world.another("0.0.0.0", say={"GREETING": "421 4.3.2 no"})
    postern.send("u@d.example", timeout_dns="1h")
    postern.wait_logged("next try")
    postern.settled(1)
    assert 1 <= world.sink.connections <= 20
    assert len([k for _, name, k in world.dns.asked if name.startswith("m")]) <= 2 * 100 * 2


@pytest.mark.parametrize("first", ["[fe80::53%lo]", "fe80::53%gone0", "255.255.255.255", "127.0.0.77:1"])
def test_first_nameserver_is_out_of_reach(postern, world, first):
    """L6: no route, no such link, not allowed, nobody there: the second one is asked in the same attempt."""
    world.domain("d.example")
    for servers in (f"{first} {{}}", f"{{}} {first}"):
        postern.send("u@d.example", nameserver=servers.format(f"127.0.0.1:{world.dns.port}"))
        assert "next try" not in postern.settled()
    assert len(world.sink.messages) == 2


def test_relay_that_dies_in_a_look_up(postern, world):
    """G16: as an assertion of udns would end it. The message is where it was, no lock is left, and once is chance."""
    world.domain("d.example")
    world.zone[("d.example", "fault")] = "SILENT"
    postern.send("u@d.example", timeout_dns="1h")
    world.dns.wait_asked("d.example", "MX")
    [relay] = postern.wait_at_work()
    del world.zone[("d.example", "fault")]
    os.kill(relay, signal.SIGABRT)
    log = postern.settled()
    assert len(world.sink.messages) == 1 and log.count("; another one goes on") == 1


def with_resolv_conf(postern, resolv_conf, mode, program, option, settings=(), **how):
    """A program where /etc/resolv.conf is this, or is missing: None."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root: another resolv.conf in a mount namespace")
    conf = postern.where / "etc"
    shutil.rmtree(conf, ignore_errors=True)
    shutil.copytree("/etc", conf, symlinks=True, ignore=lambda d, names: [
        n for n in names if n not in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime")])
    if resolv_conf is not None:
        (conf / "resolv.conf").write_bytes(resolv_conf.encode())
        (conf / "resolv.conf").chmod(mode)
    postern.settings.pop("nameserver", None)
    command = postern.command(program, option, **dict(settings))
    return subprocess.run(["unshare", "--mount", "sh", "-c", f'mount --bind {conf} /etc && exec "$@"', "sh",
                           *command], stdin=subprocess.DEVNULL, env=postern.environment(), check=False, **how)


def due_with(postern, resolv_conf, mode=0o644, **settings):
    with open(postern.log, "ab") as log:
        with_resolv_conf(postern, resolv_conf, mode, "relay", "--due", settings, stdout=log,
                         stderr=log).check_returncode()


def somebody_is_at(*where):
    """By UDP or TCP. It takes the port from nobody who looks, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect(where)
        try:
            s.send(b"?")
            s.recv(1)
        except ConnectionRefusedError:
            return is_listening(where)
        except TimeoutError:
            pass
    return True


NO_RESOLV_CONF = {"missing": (None, 0), "unreadable": ("nameserver 192.0.2.53\n", 0), "empty": ("", 0o644)}


@pytest.mark.parametrize("text, mode", NO_RESOLV_CONF.values(), ids=NO_RESOLV_CONF)
def test_without_resolv_conf(postern, world, text, mode):
    """G14: 127.0.0.1 is asked, as resolv.conf(5) says; nobody is there; the mail waits."""
    if somebody_is_at("127.0.0.1", 53):
        pytest.skip("a nameserver of this host is at 127.0.0.1")
    postern.send("u@d.example", max_connections=0)
    due_with(postern, text, mode, timeout_dns="1s")
    postern.wait_logged("next try")
    assert "DNS: d.example MX: no answer" in postern.settled(1)


UNUSABLE = ("nameserver dns.example\nnameserver fe80::53%gone0\n", "nameserver\n")


@pytest.mark.parametrize("text", UNUSABLE)
def test_no_usable_line_in_resolv_conf(postern, world, text):
    """L30: lines that cannot be used are an error, said once; 127.0.0.1 is not asked."""
    del world
    postern.send("u@d.example", max_connections=0)
    due_with(postern, text)
    postern.wait_logged("next try")
    log = postern.settled(1)
    assert log.count("no nameserver can be used: /etc/resolv.conf:1: not the address") == 1
    assert "d.example MX: there is no nameserver" in log


def test_other_nameservers_by_now(postern, world):
    """L30, L33: resolv.conf is changed while a relay has so much to do that it does not end: the next mail is delivered."""
    zone = {("e.example", "MX"): ["10 mx.e.example."], ("mx.e.example", "A"): ["127.0.0.2"]}
    try:
        dns = internet.Dns(zone, "127.0.0.154", 53) # lint: resolv.conf knows no other port
    except OSError as why:
        pytest.skip(f"needs port 53 of 127.0.0.154: {why}")
    try:
        postern.send("busy@[127.0.0.2]", max_connections=0)
        with world.sink.held("RCPT", "250 2.1.5 fine"):
            due_with(postern, "nameserver 127.0.0.155\n", timeout_dns="10s")
            patience.until(lambda: world.sink.lines) # it has something to do
            conf = postern.where / "etc"
            (conf / "new").write_text("nameserver 127.0.0.154\n")
            (conf / "new").chmod(0o644)
            (conf / "new").rename(conf / "resolv.conf")
            postern.settings.pop("nameserver", None)
            postern.send("u@d.example")
            postern.wait_logged("no nameserver answers; /etc/resolv.conf has other ones by now")
            postern.send("v@e.example")
            postern.wait_logged("lane e.example: connected to mx.e.example[127.0.0.2]")
        patience.until(lambda: len(world.sink.messages) == 2)
    finally:
        dns.close()


@pytest.mark.parametrize("program", ["smtpd", "relay"])
def test_check_shows_nameservers(postern, program):
    """L30: those in force, and where they come from."""
    def check(text):
        return with_resolv_conf(postern, text, 0o644, program, "--check", capture_output=True, text=True)
    said = check("nameserver 192.0.2.53 # eth0:v4\r\nnameserver\tfe80::53%lo\nnameserver x\n")
    assert "nameserver = 192.0.2.53:53 [fe80::53%lo]:53  # /etc/resolv.conf\n" in said.stdout
    assert '/etc/resolv.conf:3: not the address of a nameserver: "x"' in said.stderr
    assert said.returncode == 0
    said = check("nameserver x\n")
    assert said.returncode == 78 and "no nameserver can be used: /etc/resolv.conf:1:" in said.stderr
    said = check(None)
    assert said.returncode == 0 and "nameserver = 127.0.0.1:" in said.stdout


def test_search_list(postern, world):
    """G8: of resolv.conf only the nameservers count; a domain that takes all mail does not get this."""
    zone = {("host.evil.test", "MX"): ["10 mx.evil.test."], ("mx.evil.test", "A"): ["127.0.0.2"]}
    try:
        dns = internet.Dns(zone, "127.0.0.153", 53) # lint: resolv.conf knows no other port
    except OSError as why:
        pytest.skip(f"needs port 53 of 127.0.0.153: {why}")
    postern.send("u@host", sender="", max_connections=0)
    try:
        due_with(postern, "# nameserver 192.0.2.53\nsearch evil.test\ndomain evil.test\noptions ndots:5\n"
                 "nameserver \t 127.0.0.153\n")
        log = postern.settled()
    finally:
        dns.close()
    assert "550 5.1.2 domain host does not exist" in log
    assert {name for _, name, _ in dns.asked} == {"host", "_mta-sts.host"} and world.sink.connections == 0
