"""Which login a host hears, and which certificate proves that it is the right host."""
import base64
import os

import pytest

import memory
import proc
import spoolfile
from conftest import own
from tlsplace import Place

IDENT = "20000000000000000abd"


# ---- one login for each route

class Host:
    """One that a route names; `said` is what it heard of us."""

    def __init__(self, world, address):
        self.said = []
        self.address = address
        self.sink = world.another(address, ehlo=("AUTH PLAIN XOAUTH2",))
        self.sink.say["AUTH"] = self.hear

    def hear(self, line):
        self.said.append(base64.b64decode(line.split()[-1]).decode())
        return "235 ok"


def password(postern, name, text):
    path = postern.where / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    own(path)
    return path


def token(postern, name, text):
    path = postern.where / name
    path.write_text(f"#!/bin/sh\necho {text}\n")
    path.chmod(0o755)
    return path


def plain(user, text):
    return f"\0{user}\0{text}"


def bearer(user, text):
    return f"user={user}\1auth=Bearer {text}\1\1"


def two_passwords(postern):
    for name in "xy":
        yield name, "us", "delivery_password_file", password(postern, name, f"secret-{name}"), \
            plain("us", f"secret-{name}")


def two_users(postern):
    path = password(postern, "both", "secret")
    for name in "xy":
        yield name, f"us-{name}", "delivery_password_file", path, plain(f"us-{name}", "secret")


def two_tokens(postern):
    for name in "xy":
        yield name, "us", "delivery_token_command", token(postern, name, f"token-{name}"), \
            bearer("us", f"token-{name}")


@pytest.mark.parametrize("logins", [two_passwords, two_users, two_tokens])
def test_each_host_hears_its_own(postern, world, logins):
    """M2: two routes whose logins differ in one thing alone. With one relay at a time it is the same relay that
    would go on with the other lane."""
    hosts, expected, lines = {}, {}, []
    for n, (name, user, key, value, said) in enumerate(logins(postern)):
        hosts[name] = Host(world, f"127.0.0.8{n}")
        expected[name] = said
        lines += [f"[route {name}]", f"domains = {name}.example", f"hosts = [127.0.0.8{n}]:{world.port}",
                  "delivery_auth_clear = yes", f"delivery_user = {user}", f"{key} = {value}"]
    postern.configure(*lines)
    postern.send([f"u@{name}.example" for name in hosts], max_connections=0)
    postern.due(max_connections=1)
    postern.settled()
    for name, host in hosts.items():
        assert host.said == [expected[name]]
        assert [m.recipients for m in host.sink.messages] == [[f"u@{name}.example"]]


def test_what_one_route_may_say_in_clear(postern, world):
    """Two routes with one login, of which one trusts its network. The other's host, which whoever sits on the way made
    forget its TLS, hears nothing, though the same relay comes from the first."""
    path = password(postern, "both", "secret")
    hosts, lines = {}, []
    for n, (name, clear) in enumerate((("near", "yes"), ("far", "no"))):
        hosts[name] = Host(world, f"127.0.0.8{n}")
        lines += [f"[route {name}]", f"domains = {name}.example", f"hosts = [127.0.0.8{n}]:{world.port}",
                  f"delivery_auth_clear = {clear}", "delivery_user = us", f"delivery_password_file = {path}"]
    postern.configure(*lines)
    postern.send([f"u@{name}.example" for name in hosts], max_connections=0)
    postern.due(max_connections=1)
    assert "AUTH: not without TLS" in postern.settled(1) and hosts["near"].sink.messages
    assert hosts["near"].said == [plain("us", "secret")]
    assert not hosts["far"].said and not hosts["far"].sink.messages


# ---- REQUIRETLS by a route

@pytest.mark.parametrize("hosts, card, proved", [
    ("mx.dest.example:{port}", "host", True),
    ("mx.dest.example:{port}", "domain", False),
    ("[127.0.0.2]:{port}", "address", True),
    ("[127.0.0.2]:{port}", "host", False),
    ("dest.example", "host", False),   # its exchanger, whose name only the DNS told
    ("dest.example", "domain", False), # which is not the name of the host
])
def test_requiretls_by_a_route(postern, world, cards, monkeypatch, hosts, card, proved):
    """M3, R84: the certificate is to be for the host that the route names; a name that the DNS told proves nothing."""
    place = Place(postern, world, cards)
    sink = place.host(card, inside=("PIPELINING", "REQUIRETLS"))
    reports = world.another("127.0.0.3")
    postern.configure("[route r]", "domains = dest.example", "hosts = " + hosts.format(port=world.port))
    monkeypatch.setattr(spoolfile, "lane_of", lambda recipient: "route:r")
    spoolfile.write(postern.spool, IDENT, ["u@dest.example"], b"Subject: x\r\n\r\nx\r\n", fields=["Require-Tls: yes"])
    postern.due()
    postern.settled()
    assert sink.connections == 1
    if proved:
        assert "MAIL FROM:<a@sender.example> REQUIRETLS" in sink.lines and len(sink.messages) == 1
        assert not reports.messages
    else:
        assert not sink.messages and b"Status: 5.7.10\r\n" in reports.messages[0].data


# ---- one relay for each login

SECRETS = {"x": "horse-of-x-7Qm2", "y": "staple-of-y-9Zk4"}


def known_to(pid):
    """Whose passwords are anywhere that the process can read."""
    return {name for name, text in SECRETS.items() if memory.find(pid, [text.encode()])}


class Logins:
    """x and y, each with a route and a login; d.example, without. Their relays stay."""

    def __init__(self, postern, world, kept):
        self.postern, self.world = postern, world
        self.hosts, lines = {}, []
        for n, (name, text) in enumerate(SECRETS.items()):
            self.hosts[name] = Host(world, f"127.0.0.8{n}")
            if kept == "environment":
                postern.secrets[name.upper()] = text
            value = f"environment:{name.upper()}" if kept == "environment" else password(postern, name, text)
            lines += [f"[route {name}]", f"domains = {name}.example", f"hosts = [127.0.0.8{n}]:{world.port}",
                      "delivery_auth_clear = yes", f"delivery_user = us-{name}", f"delivery_password_file = {value}"]
        postern.configure(*lines)
        world.domain("d.example")
        postern.settings["linger"] = "1h"
        self.sinks = {"": world.sink} | {name: host.sink for name, host in self.hosts.items()}

    def login(self, pid):
        """The one whose relay this is, "" or the name of a route."""
        line = proc.words(pid)
        return line[line.index("--login") + 1].removeprefix("none").removeprefix("route:")

    def at_work(self):
        return {self.login(pid): pid for pid in self.postern.at_work()}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to read the memory of others")
@pytest.mark.parametrize("kept", ["file", "environment"])
def test_relay_knows_one_password(kept, postern, world, wait):
    """S1, K2: three relays, and what each could say to its hosts, or lose to one of them, is its own password and no
    other. So far as passwords are in files, who watches them knows none at all."""
    if kept == "environment" and postern.watched():
        pytest.skip("its checker has a copy of the environment")
    logins = Logins(postern, world, kept)
    postern.send(["u@x.example", "u@y.example", "u@d.example"])
    for sink in logins.sinks.values():
        sink.wait_messages()
    wait(lambda: set(logins.at_work()) == set(logins.sinks))
    working = logins.at_work()
    assert {name: known_to(pid) for name, pid in working.items()} == {"": set(), "x": {"x"}, "y": {"y"}}
    watching = set(postern.relays()) - set(working.values())
    assert len(watching) == 3
    if kept == "file":
        assert not any(known_to(pid) for pid in watching)
    for name, host in logins.hosts.items():
        assert host.said == [plain(f"us-{name}", SECRETS[name])]


def test_mail_of_all_logins_flows(postern, world, wait):
    """S1: nothing waits for the timer, though each message goes by another relay than the one before; and each relay
    stays the same."""
    logins = Logins(postern, world, "file")
    for n in range(1, 4):
        for name, sink in logins.sinks.items():
            postern.send(f"u@{name or 'd'}.example")
            sink.wait_messages(n)
        if n == 1:
            wait(lambda: set(logins.at_work()) == set(logins.sinks))
            first = logins.at_work()
    assert logins.at_work() == first
    postern.wait_messages(0)


@pytest.mark.parametrize("sender", ["x", "y", ""])
@pytest.mark.parametrize("running", [False, True], ids=["starts-it", "rings-for-it"])
def test_report_to_another_login(running, sender, postern, world):
    """S1: a report is sent at once, though that is the business of another login's relay, which may not run."""
    logins = Logins(postern, world, "file")
    refusing = "y" if sender == "x" else "x"
    logins.sinks[refusing].say["RCPT"] = "550 5.1.1 no"
    if running:
        postern.send(f"u@{sender or 'd'}.example")
        logins.sinks[sender].wait_messages()
    postern.send(f"u@{refusing}.example", sender=f"a@{sender or 'd'}.example")
    report = logins.sinks[sender].wait_messages(1 + running)[-1]
    assert report.sender == "" and b"Status: 5.1.1" in report.data
    postern.wait_messages(0)
