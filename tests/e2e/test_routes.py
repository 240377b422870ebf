"""Mail that does not go by the MX records of its domain: [route NAME] in the configuration."""
import base64
import os
import re
import shutil
import subprocess

import pytest

import internet
from conftest import own
from patience import hold


@pytest.fixture
def lan(postern, world):
    """A world in which nothing on loopback is a destination unless a route names it; its sink is at
    127.0.0.2, at a port of which relay does not know."""
    postern.settings.update(allow_destinations="", smtp_port=25)
    return world


@pytest.fixture
def route(postern):
    def configure(*lines, name="smarthost"):
        postern.configure(f"[route {name}]", *lines)
    return configure


def mx_asked(world):
    return [name for _, name, kind in world.dns.asked if kind == "MX"]


def again(postern):
    """As if all waiting times had passed. What the log says of it."""
    before = postern.rested()
    postern.make_due()
    postern.due()
    return postern.rested().removeprefix(before)


# ---- which mail

def test_smarthost(postern, lan, route):
    """All mail is one lane, and goes over one connection; nobody is asked for MX records."""
    route("domains = *", f"hosts = [127.0.0.2]:{lan.port}")
    for i in range(5):
        postern.send(f"u@d{i}.example", max_connections=0)
    postern.send(["u@e.example", "u@[192.0.2.1]"], max_connections=0)
    assert {p.parent.name for p in postern.messages()} == {"route:smarthost"}
    postern.due(max_connections_per_lane=1) # however slow it is
    postern.settled()
    assert len(lan.sink.messages) == 6
    assert lan.sink.connections == 1 and mx_asked(lan) == []
    assert lan.sink.messages[-1].recipients == ["u@e.example", "u@[192.0.2.1]"]
    assert not list((postern.spool / "lane").iterdir())


@pytest.mark.parametrize("hosts", ["mail.lan:{port}", "[mail.lan]:{port}", "gone.example:{port} mail.lan:{port}"])
def test_host_of_the_operators_file(postern, lan, route, hosts):
    """L32: a name that the operator wrote is looked up in /etc/hosts first; one that the DNS names never is."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root: another /etc/hosts in a mount namespace")
    file = postern.where / "hosts"
    file.write_text("127.0.0.1 localhost\n127.0.0.2\tmx mail.lan # the relay\n")
    route("domains = routed.example", "hosts = " + hosts.format(port=lan.port))
    lan.zone[("d.example", "MX")] = ["10 mail.lan."]

    def delivered(recipient):
        postern.send(recipient, sender="", max_connections=0)
        with open(postern.log, "ab") as log:
            subprocess.run(["unshare", "--mount", "sh", "-c", f'mount --bind {file} /etc/hosts && exec "$@"', "sh",
                            *postern.command("relay", "--due")], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           env=postern.environment(), check=True)
        return postern.settled()
    delivered("u@routed.example")
    assert [m.recipients for m in lan.sink.messages] == [["u@routed.example"]]
    assert "mail.lan" not in [name for _, name, _ in lan.dns.asked]
    assert "550 5.1.2 no host takes mail for d.example" in delivered("u@d.example")
    assert "mail.lan" in [name for _, name, _ in lan.dns.asked] and len(lan.sink.messages) == 1


def test_by_domain_and_sender(postern, lan):
    """Each has its lane, in one message too; what matches nothing goes by MX."""
    here = f"hosts = [127.0.0.2]:{lan.port}"
    postern.configure("[route one]", "domains = a.example .b.example", here,
                      "[route two]", "senders = boss@us.example", here,
                      "[route three]", "domains = c.example", "senders = us.example", here)
    to = ["u@a.example", "u@x.b.example", "u@b.example", "u@c.example"]
    lanes = {"a@us.example": {"route:one", "route:three", "b.example"},
             "boss@us.example": {"route:one", "route:two"},
             "a@them.example": {"route:one", "b.example", "c.example"},
             "": {"route:one", "b.example", "c.example"}}
    for sender, want in lanes.items():
        postern.send(to, sender=sender, max_connections=0)
        assert {p.parent.name for p in postern.messages()} == want, sender
        for path in postern.messages():
            path.unlink()


def test_report_takes_the_route(postern, lan, route):
    """R40, R43: to a sender behind a smarthost, though it comes from nobody."""
    route("domains = *", f"hosts = [127.0.0.2]:{lan.port}")
    lan.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "<u@" in line else "250 ok"
    postern.send("u@d.example")
    postern.settled()
    assert (lan.sink.messages[0].sender, lan.sink.messages[0].recipients) == ("", ["a@sender.example"])
    assert mx_asked(lan) == []


def test_route_that_is_gone(postern, lan, route):
    """Its mail waits, with the reason, and is neither lost nor sent elsewhere."""
    lan.domain("d.example")
    route("domains = *", f"hosts = [127.0.0.2]:{lan.port}")
    postern.send("u@d.example", max_connections=0)
    route("domains = *", f"hosts = [127.0.0.2]:{lan.port}", name="other")
    assert "lane route:smarthost: there is no such route in the configuration any more" in again(postern)
    assert len(postern.messages()) == 1 and not lan.sink.messages and not mx_asked(lan)
    route("domains = e.example", f"hosts = [127.0.0.2]:{lan.port}")
    again(postern)
    assert lan.sink.messages and not postern.messages()


# ---- whereto

def test_hosts_in_order(postern, lan, route):
    """R50: the next one when one fails; the first one as long as it does not."""
    second = lan.another("127.0.0.3")
    route("domains = *", f"hosts = [127.0.0.9]:{lan.port} [127.0.0.2]:{lan.port} [127.0.0.3]:{lan.port}")
    postern.send("u@d.example")
    postern.settled()
    assert lan.sink.messages and not second.connections
    lan.sink.say["GREETING"] = "421 4.3.2 closing"
    postern.send("v@d.example")
    assert "next try" not in postern.settled()
    assert len(second.messages) == 1


@pytest.mark.parametrize("hosts, asked", [
    ("[127.0.0.2]:PORT", set()),
    ("mail.isp.example:PORT", {("mail.isp.example", "A"), ("mail.isp.example", "AAAA")}),
    ("[mail.isp.example]:PORT", {("mail.isp.example", "A"), ("mail.isp.example", "AAAA")}),
    ("[mail.isp.example]", {("mail.isp.example", "A"), ("mail.isp.example", "AAAA")}),
    ("isp.example", {("isp.example", "MX"), ("mx.isp.example", "A"), ("mx.isp.example", "AAAA")}),
], ids=["literal", "name", "name-in-brackets", "no-port", "domain"])
def test_kinds_of_hosts(postern, world, route, hosts, asked):
    """MX records of a bare name only."""
    world.domain("isp.example")
    world.zone[("mail.isp.example", "A")] = ["127.0.0.2"]
    world.zone[("mail.isp.example", "MX")] = ["0 nowhere.example."]
    route("domains = *", f"hosts = {hosts.replace('PORT', str(world.port))}")
    postern.send("u@d.example")
    postern.settled()
    assert world.sink.messages
    told = {(name, kind) for _, name, kind in list(world.dns.asked)}
    assert {q for q in told if q[1] != "TLSA"} == asked
    # of a host that is named by its name, whose answer nobody waits for where there is no DNSSEC
    assert told - asked <= {(f"_{port}._tcp.mail.isp.example", "TLSA") for port in (25, world.port) if "mail" in hosts}


@pytest.mark.parametrize("fault, reason", [
    ({}, "lane route:smarthost: mail.isp.example: DNS: mail.isp.example addresses: none"),
    ({("mail.isp.example", "fault"): "SERVFAIL"}, "DNS: mail.isp.example addresses: SERVFAIL"),
    ({("isp.example", "MX"): ["0 ."]}, "lane route:smarthost: isp.example: DNS: takes no mail (null MX)"),
    ({("mail.isp.example", "A"): ["0.0.0.0"]}, "its hosts have addresses that are not delivered to"),
], ids=["no-such-host", "servfail", "null-mx", "unspecified"])
def test_trouble_with_a_route_is_not_for_good(postern, lan, route, fault, reason):
    """The operator's mistake costs nobody's mail."""
    lan.zone.update(fault)
    route("domains = *", "hosts = " + ("isp.example" if "null" in reason else "mail.isp.example:25"))
    postern.send("u@d.example")
    log = postern.settled(1)
    assert "next try" in log and reason in log
    lan.zone.pop(("mail.isp.example", "fault"), None)
    lan.zone[("mail.isp.example", "A")] = ["127.0.0.2"]
    route("domains = *", f"hosts = mail.isp.example:{lan.port}")
    again(postern)
    assert lan.sink.messages and not postern.messages()


def test_not_back_to_ourselves(postern, world, route):
    """H1: a route names this host and the port at which mail comes in; another port is another's."""
    postern.settings["allow_destinations"] = ""
    route("domains = *", f"hosts = [127.0.0.2]:{world.port} [127.0.0.2]")
    postern.send("u@d.example")
    log = postern.settled(1)
    assert "next try" in log and "lane route:smarthost: its hosts lead back to this host" in log
    assert world.sink.connections == 0
    postern.settings["smtp_port"] = 25
    again(postern)
    assert world.sink.messages


def test_settings_of_a_route(postern, world, route):
    """What a section says counts for its mail, and for no other."""
    six = world.another("::1")
    world.domain("d.example")
    route("domains = r.example", f"hosts = [::1]:{world.port}", "timeout_greeting = 1s")
    with world.sink.held("GREETING", "220 late"), six.held("GREETING", "220 late"):
        postern.send(["u@d.example", "u@r.example"], timeout_greeting="1h")
        postern.wait_logged("greeting: timed out")
        world.sink.wait_connections() # and waits longer than that
        hold(1.5)
        assert "lane d.example: " not in postern.logged()
    log = postern.settled(1)
    assert "lane r.example: " not in log and log.count("next try") == 1
    assert world.sink.messages and not six.messages


def test_one_relay_for_many_lanes(postern, lan):
    """What a section says ends with its lane."""
    here = f"hosts = [127.0.0.2]:{lan.port}"
    postern.settings.update(allow_destinations="127.0.0.2", smtp_port=lan.port)
    names = [f"{c}.example" for c in "abcdef"]
    postern.configure(*(line for i, name in enumerate(names[:3]) for line in
                        (f"[route r{i}]", f"domains = {name}", f"source = 127.0.0.7{i}", here)))
    for name in names:
        lan.domain(name)
    postern.send([f"u@{name}" for name in names], max_connections=0)
    postern.due(max_connections=1)
    log = postern.settled()
    made, shared = (sorted(re.findall(rf"lane (\S+): {how}", log)) for how in ("connected to", "by the connection"))
    # Those without a route may go by the connection of another one of them, if they come behind each other.
    assert sorted(made + shared) == sorted([*names[3:], *(f"route:r{i}" for i in range(3))])
    assert set(shared) < set(names[3:])
    own = sum(name in names[3:] for name in made)
    assert sorted(lan.sink.clients) == [("127.0.0.1",)] * own + [(f"127.0.0.7{i}",) for i in range(3)]


def test_credentials_are_of_one_route(postern, lan, wait):
    """Whoever has one route's password does not take another's mail, and does not keep it waiting; nobody
    else's host ever sees it."""
    said = {}
    for n, name in enumerate("xy"):
        sink = lan.another(f"127.0.0.8{n}", ehlo=("AUTH PLAIN",))
        said[name] = []
        sink.say["AUTH"] = lambda line, heard=said[name]: heard.append(line) or "235 ok"
        (postern.where / name).write_text(f"secret-{name}\n")
        own(postern.where / name)
    postern.settings.update(allow_destinations="127.0.0.0/8", smtp_port=lan.port)
    postern.configure(*(line for n, name in enumerate("xy") for line in
                        (f"[route {name}]", f"domains = {name}.example", f"hosts = [127.0.0.8{n}]:{lan.port}",
                         f"delivery_user = {name}", f"delivery_password_file = {postern.where / name}",
                         "delivery_auth_clear = yes")))
    lan.domain("z.example")
    for _ in range(3):
        postern.send([f"u@{name}.example" for name in "xyz"], max_connections=0)
        postern.due(max_connections=1) # who ends sees to it that the others begin
        wait(lambda: not postern.messages())
        postern.settled()
    assert all(line.startswith("AUTH PLAIN ") for heard in said.values() for line in heard)
    texts = {name: {base64.b64decode(line.split(" ")[2]) for line in heard} for name, heard in said.items()}
    assert texts == {name: {f"\0{name}\0secret-{name}".encode()} for name in "xy"}
    assert len(lan.sink.messages) == 3


# ---- addresses

@pytest.mark.parametrize("family, kinds", [("any", {"A", "AAAA"}), ("ipv4", {"A"}), ("ipv6", {"AAAA"}),
                                           ("prefer-ipv4", {"A", "AAAA"})])
def test_family(postern, world, wait, family, kinds):
    """What is not used is not asked for."""
    six = world.another("::1")
    world.domain("d.example")
    world.zone[("mx.d.example", "AAAA")] = ["::1"]
    for i in range(4):
        postern.send(f"u{i}@d.example", family=family)
        assert wait(lambda n=i + 1: len(world.sink.messages) + len(six.messages) == n), postern.logged()
    assert {kind for _, name, kind in world.dns.asked if name == "mx.d.example"} == kinds
    if family in ("ipv4", "prefer-ipv4"):
        assert not six.messages
    elif family == "ipv6":
        assert not world.sink.messages


def test_prefer_ipv4_falls_back(postern, world):
    six = world.another("::1")
    world.domain("d.example", "127.0.0.9")
    world.zone[("mx.d.example", "AAAA")] = ["::1"]
    postern.send("u@d.example", family="prefer-ipv4")
    assert "next try" not in postern.settled()
    assert six.messages


def test_literal_of_a_family_that_is_not_used(postern, world):
    postern.send("u@[IPv6:::1]", family="ipv4")
    postern.settled()
    assert b"Status: 5.1.2\r\n" in world.sink.messages[0].data


def test_source(postern, world, wait):
    """Of each family its own; several messages find a port each."""
    six = world.another("::1")
    world.domain("d.example")
    world.zone[("six.example", "AAAA")] = ["::1"]
    for i in range(3):
        postern.send([f"u{i}@d.example", f"u{i}@six.example"], source="127.0.0.77")
        assert wait(lambda n=i + 1: len(world.sink.messages) == len(six.messages) == n), postern.logged()
    assert set(world.sink.clients) == {("127.0.0.77",)} and set(six.clients) == {("::1",)}


def test_source_that_is_not_ours(postern, world):
    world.domain("d.example")
    postern.send("u@d.example", source="192.0.2.55")
    log = postern.settled(1)
    assert "next try" in log and "connect: Cannot assign requested address" in log
    again(postern) # with no source
    postern.settled()


# ---- LMTP

@pytest.fixture(params=["tcp", "unix"])
def lmtp(request, postern, lan, route):
    """A server of LMTP that a route leads to."""
    postern.settings["max_connections_per_lane"] = 1 # however slow it is
    sink = lan.sink
    if request.param == "unix":
        path = str(postern.where / "lmtp")
        sink = internet.Sink(path)
        os.chmod(path, 0o666)
        lan.others.append(sink)
        route("domains = d.example", "protocol = lmtp", f"hosts = unix:{path}")
    else:
        route("domains = d.example", "protocol = lmtp", f"hosts = [127.0.0.2]:{lan.port}")
    return sink


EXTENSIONS = [(), ("PIPELINING",), ("PIPELINING", "CHUNKING", "8BITMIME")]


@pytest.mark.parametrize("ehlo", EXTENSIONS, ids=["lock-step", "groups", "window"])
def test_lmtp_replies_of_each(postern, lmtp, lan, ehlo):
    """RFC 2033: each recipient is settled by its own reply to the end of the message."""
    lmtp.ehlo = ehlo
    said = {"hard@d.example": "550 5.2.1 gone", "soft@d.example": "452 4.2.2 full"}
    lmtp.say["END"] = lambda to: said.get(to, "250 2.0.0 stored")
    lmtp.say["RCPT"] = lambda line: "550 5.1.1 who" if "<nobody@" in line else "250 ok"
    lan.domain("sender.example")
    for i in range(3):
        postern.send([f"u{i}@d.example", "hard@d.example", "nobody@d.example", f"v{i}@d.example",
                      "soft@d.example", f"w{i}@d.example"], sender="", max_connections=0)
    log = again(postern)
    assert [m.recipients for m in lmtp.messages] == [[f"{x}{i}@d.example" for x in "uvw"] for i in range(3)]
    assert lmtp.connections == 1
    assert log.count("bounced <hard@d.example>") == log.count("bounced <nobody@d.example>") == 3
    assert log.count("deferred <soft@d.example>") == len(postern.messages()) == 3
    lmtp.say.clear()
    again(postern)
    assert [m.recipients for m in lmtp.messages[3:]] == [["soft@d.example"]] * 3
    assert not postern.messages()


@pytest.mark.parametrize("ehlo", EXTENSIONS, ids=["lock-step", "groups", "window"])
def test_lmtp_lost_between_replies(postern, lmtp, ehlo):
    """F7: who was answered is not sent to again, who was not is."""
    lmtp.ehlo = ehlo
    lmtp.say["END"] = lambda to: None if to == "b@d.example" else "250 2.0.0 stored"
    postern.send(["a@d.example", "b@d.example", "c@d.example"], max_connections=0)
    log = again(postern)
    assert "delivered <a@d.example>" in log
    assert "deferred <b@d.example>" in log and "deferred <c@d.example>" in log
    lmtp.say.clear()
    before = len(lmtp.messages)
    again(postern)
    assert [m.recipients for m in lmtp.messages[before:]] == [["b@d.example", "c@d.example"]]
    assert not postern.messages()


def line_of(f):
    return f.readline().decode().split(" ")[0].strip()


@pytest.mark.parametrize("refused", [False, True], ids=["list", "no list"])
@pytest.mark.parametrize("early", [False, True])
def test_lmtp_one_word_too_many(postern, route, early, refused):
    """L11: one word to a text was one too many, and the last one comes late: whose the others were nobody knows, and
    nobody keeps an outcome. LHLO behind the text shows it; a server that refuses that is believed if RSET does not."""
    heard = []

    def talk(_, f):
        said = ["250 2.0.0 early"] * early + ["250 2.0.0 a", "550 5.2.1 b"]
        f.write(b"220 boxes\r\n")
        while (verb := line_of(f)) not in ("QUIT", ""):
            if verb == "DATA":
                f.write(b"354 go\r\n")
                while f.readline() != b".\r\n":
                    pass
                f.write("".join(word + "\r\n" for word in said[:2]).encode())
                heard.append(line_of(f)) # only now the last one
                f.write("".join(word + "\r\n" for word in said[2:]).encode())
            if verb == "LHLO" or (verb == "DATA" and heard[-1] == "LHLO" and not refused):
                f.write(b"250-boxes\r\n250 PIPELINING\r\n")
            elif verb == "DATA" and heard[-1] == "LHLO":
                f.write(b"503 5.5.1 twice\r\n")
            elif verb != "DATA":
                f.write(b"250 ok\r\n")

    boxes = internet.Listener(0, talk)
    try:
        route("domains = d.example", "protocol = lmtp", f"hosts = [127.0.0.7]:{boxes.port}")
        postern.send(["a@d.example", "b@d.example"], sender="", linger="0s")
        log = postern.rested()
    finally:
        boxes.close()
    assert heard == ["LHLO"]
    if early:
        assert "delivered <" not in log and "bounced" not in log and log.count("possible duplicate") == 2, log
    else:
        assert "delivered <a@d.example>" in log and "bounced <b@d.example>" in log, log


@pytest.mark.parametrize("ehlo", EXTENSIONS, ids=["lock-step", "groups", "window"])
def test_lmtp_nobody_accepted(postern, lmtp, ehlo):
    """DATA fails then (RFC 2033 section 4.2), and the connection is as good as before."""
    lmtp.ehlo = ehlo
    lmtp.say["RCPT"] = lambda line: "550 5.1.1 who" if "<nobody@" in line else "250 ok"
    postern.send("nobody@d.example", sender="", max_connections=0)
    postern.send("a@d.example", max_connections=0)
    log = again(postern)
    assert "bounced <nobody@d.example>" in log
    assert [m.recipients for m in lmtp.messages] == [["a@d.example"]] and lmtp.connections == 1


def test_lmtp_is_not_smtp(postern, lmtp):
    """R60: a server that does not know LHLO is not asked with HELO."""
    lmtp.say["EHLO"] = "500 5.5.1 what"
    helo = []
    lmtp.say["HELO"] = lambda line: helo.append(line) or "250 ok"
    postern.send("u@d.example")
    assert "next try" in postern.settled(1)
    assert not helo and not lmtp.messages


def test_lmtp_socket_that_is_not_there(postern, lan, route):
    path = postern.where / "none"
    route("domains = *", "protocol = lmtp", f"hosts = unix:{path}")
    postern.send("u@d.example")
    log = postern.settled(1)
    assert "next try" in log and f"unix:{path}: connect: No such file or directory" in log


def test_silence_about_one_host(postern, world, route):
    """R50: no nameserver says anything of the first name: the next one has a time of its own, and is asked."""
    world.zone[("dead.example", "fault")] = "SILENT"
    world.zone[("live.example", "A")] = ["127.0.0.2"]
    postern.settings["timeout_dns"] = "2s"
    route("domains = r.example", f"hosts = [dead.example] [live.example]:{world.port}")
    postern.send("u@r.example")
    postern.settled()
    assert len(world.sink.messages) == 1
