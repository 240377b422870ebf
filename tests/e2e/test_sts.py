"""MTA-STS (RFC 8461): which hosts a domain says may have its mail, and that the mail goes to no others, nor in another
way, whatever the network does."""
import os
import re
import shutil
import socket
import time

import pytest

import patience
import peers
import ports
import spoolfile
import tallies
import tlsversions
from asked import ask, ask_json
from policyhost import PATH, Nginx, Web, answer, context_of, policy
from tlssink import server_context

DAY = 24 * 3600
TXT = ("_mta-sts.dest.example", "TXT")


class Domain:
    """dest.example, which has a policy; its web server is one that can be told anything."""

    def __init__(self, place, web):
        self.place, self.postern, self.world, self.web = place, place.postern, place.world, web
        self.zone = place.world.zone
        self.zone[("mta-sts.dest.example", "A")] = [web.address]
        self.postern.settings["mta_sts_port"] = web.port

    def publish(self, text, number="1"):
        """A policy with this id."""
        self.web.say = answer(text)
        self.record(f"v=STSv1; id={number};")

    def record(self, *texts):
        self.zone[TXT] = [f'"{t}"' for t in texts]

    def withdraw(self):
        del self.zone[TXT]

    def send(self, **settings):
        self.postern.send("u@dest.example", **settings)
        return self.postern.rested()

    def again(self, **settings):
        self.postern.make_due()
        self.postern.due(**settings)
        return self.postern.rested()

    def kept(self):
        return self.postern.spool / "sts" / "dest.example"

    def older(self, seconds):
        """What is kept was fetched, or tried, so long before it was."""
        lines = self.kept().read_text().split("\n")
        for i, line in enumerate(lines[:lines.index("")]):
            words = line.split(" ")
            if words[0] in ("fetched", "tried", "changed"):
                lines[i] = " ".join([words[0], str(int(words[1]) - seconds), *words[2:]])
        self.kept().write_text("\n".join(lines))

    def arrived(self, n=1):
        patience.until(lambda: len(self.world.sink.messages) >= n)
        self.postern.settled()
        assert len(self.world.sink.messages) == n

    def waits(self, *texts):
        """Not an octet of it has gone anywhere."""
        log = self.postern.settled(1)
        for text in texts:
            assert text in log, log
        assert not self.world.sink.messages and "DATA" not in self.world.sink.lines
        return log


@pytest.fixture(scope="module")
def cards_too(cards):
    server = {"usage": "serverAuth"}
    cards.issue("policy", "/CN=policy", "DNS:mta-sts.dest.example", **server)
    cards.issue("policy-other", "/CN=policy", "DNS:mta-sts.other.example", **server)
    cards.issue("second", "/CN=second", "DNS:mx2.dest.example", **server)
    return cards


@pytest.fixture
def domain(place, cards_too):
    web = Web(context_of(cards_too.path("policy")))
    yield Domain(place, web)
    web.close()


# ---- what a policy asks for

def test_enforce(domain):
    """R81, R82: the policy is fetched before the first mail, kept, and the host is the one that it names: SNI, certificate."""
    domain.publish(policy("mx.dest.example"))
    sink = domain.place.host()
    log = domain.send()
    domain.arrived()
    assert sink.shaken[0][2] == "mx.dest.example"
    assert "lane dest.example: MTA-STS: enforce, id 1, for 86400 s; mx: mx.dest.example\n" in log
    assert ", verified, MTA-STS: enforce, id 1: mx.dest.example\n" in log
    assert domain.kept().read_text().startswith("id 1\nfetched ")
    assert domain.kept().stat().st_mode & 0o777 == 0o600
    domain.send()
    domain.arrived(2)
    assert len(domain.web.asked) == 1 and domain.web.asked[0][0][0] == f"GET {PATH} HTTP/1.1"
    assert domain.postern.logged().count("for 86400 s") == 1, "said once"


def test_record_is_asked_for_with_mx(domain):
    """At the same time: one question more, and no wait for it."""
    domain.place.host()
    domain.send()
    domain.arrived()
    asked = [a[1:] for a in domain.world.dns.asked]
    assert asked.count(TXT) == 1 and not [a for a in asked if a[0].startswith("mta-sts.")]
    assert not domain.web.connections


def test_off(domain):
    domain.publish(policy("mx.other.example"))
    domain.place.host()
    domain.send(mta_sts="no")
    domain.arrived()
    assert TXT not in [a[1:] for a in domain.world.dns.asked]


def test_none_asks_for_nothing(domain):
    """The operator wants no TLS at all."""
    domain.publish(policy("mx.other.example"))
    domain.place.host()
    domain.send(delivery_tls="none")
    domain.arrived()
    assert TXT not in [a[1:] for a in domain.world.dns.asked]


def test_route(domain):
    """The operator named the host: the domain has no say."""
    domain.publish(policy("mx.other.example"))
    domain.place.host()
    domain.place.name()
    domain.send()
    domain.arrived()
    assert TXT not in [a[1:] for a in domain.world.dns.asked] and not domain.web.asked


@pytest.mark.parametrize("card, why", [("other", "not good for mx.dest.example"), ("expired", "has expired"),
                                       ("foreign", "not good for mx.dest.example: "), ("domain", "not good for mx.dest.example"),
                                       ("common", "not good for mx.dest.example")])
def test_wrong_certificate(domain, card, why):
    """R82: ... and a certificate for the domain is none for the host."""
    domain.publish(policy("mx.dest.example"))
    domain.place.host(card)
    domain.send()
    domain.waits(why)


@pytest.mark.parametrize("card", ["host", "wildcard"])
def test_right_certificate(domain, card):
    domain.publish(policy("*.dest.example"))
    domain.place.host(card)
    domain.send()
    domain.arrived()


def test_starttls_is_stripped(domain):
    """R82: no TLS, no mail; not in clear."""
    domain.publish(policy("mx.dest.example"))
    domain.place.host().ehlo_outside = ("PIPELINING",)
    domain.send()
    domain.waits("STARTTLS: the host does not offer it")


def test_starttls_fails(domain):
    domain.publish(policy("mx.dest.example"))
    domain.place.host(say={"STARTTLS": "454 4.7.0 not now"})
    domain.send()
    domain.waits("454 4.7.0 not now")


def test_tls_does_not_work(domain):
    """What would be clear under `may` is not."""
    domain.publish(policy("mx.dest.example"))
    domain.place.host().fault = lambda connection: connection.sock.shutdown(socket.SHUT_RDWR)
    domain.send()
    domain.waits("TLS: ")


def test_old_tls(domain):
    """R82: TLS 1.2 and newer."""
    domain.publish(policy("mx.dest.example"))
    context = server_context(domain.place.cards.path("host"), tlsversions.V10, tlsversions.V11)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    domain.place.host(context=context)
    domain.send()
    domain.waits("TLS: ")


def test_spoofed_mx(domain):
    """R82: another host, with a certificate that is good for it, gets nothing, and is not even connected to."""
    domain.publish(policy("mx.dest.example", "*.mail.dest.example"))
    domain.zone[("dest.example", "MX")] = ["10 mx.other.example.", "20 a.b.mail.dest.example."]
    domain.zone[("mx.other.example", "A")] = ["127.0.0.2"]
    domain.zone[("a.b.mail.dest.example", "A")] = ["127.0.0.5"]
    sink = domain.place.host("other")
    domain.send()
    domain.waits("lane dest.example: MTA-STS: enforce, id 1, does not name mx.other.example; next try")
    assert sink.connections == 0


@pytest.mark.parametrize("host, allowed", [("a.example.com", True), ("a.b.example.com", False), ("example.com", False)])
def test_wildcard(domain, host, allowed):
    """B10: one label."""
    domain.publish(policy("*.example.com"))
    domain.zone[("dest.example", "MX")] = [f"10 {host}."]
    domain.zone[(host, "A")] = ["127.0.0.2"]
    domain.place.cards.issue("com", "/CN=com", f"DNS:{host}", usage="serverAuth")
    domain.place.host("com")
    domain.send()
    if allowed:
        domain.arrived()
    else:
        domain.waits("does not name a.b.example.com" if host[2] == "b" else "does not name example.com")


def test_others_of_the_list(domain, cards_too):
    """R82: a better host that the policy does not name is left out, and one whose certificate is wrong is followed by the
    next."""
    domain.publish(policy("mx.dest.example", "mx2.dest.example"))
    domain.zone[("dest.example", "MX")] = ["5 evil.example.", "10 mx.dest.example.", "20 mx2.dest.example."]
    domain.zone[("evil.example", "A")] = ["127.0.0.4"]
    domain.zone[("mx2.dest.example", "A")] = ["127.0.0.5"]
    evil = domain.world.another("127.0.0.4")
    first = domain.place.host("other")
    second = type(first)(server_context(cards_too.path("second")), "127.0.0.5", domain.world.port)
    domain.world.others.append(second)
    domain.send()
    domain.postern.settled()
    assert len(second.messages) == 1 and not first.messages and evil.connections == 0


def test_host_of_others(domain):
    """R82, L14: a policy of whoever it is names somebody else's host, whose certificate is not good for it: others' mail goes
    there as before, and not to a worse host."""
    domain.publish(policy("mx.dest.example"))
    domain.world.domain("two.example")
    domain.zone[("two.example", "MX")] = ["10 mx.two.example.", "20 mx3.two.example."]
    domain.zone[("mx3.two.example", "A")] = ["127.0.0.5"]
    worse = domain.world.another("127.0.0.5")
    sink = domain.place.host("other")
    domain.send()
    domain.waits("not good for mx.dest.example")
    domain.postern.send("u@two.example")
    domain.postern.settled(1)
    assert len(sink.messages) == 1 and worse.connections == 0


def test_two_names_of_one_address(domain):
    """R82: a better name that the policy does not name, and one that it does, are of the same host: it has the mail."""
    domain.publish(policy("mx.dest.example"))
    domain.zone[("dest.example", "MX")] = ["5 old.example.", "10 mx.dest.example."]
    domain.zone[("old.example", "A")] = ["127.0.0.2"]
    sink = domain.place.host()
    domain.send()
    domain.arrived()
    assert sink.shaken[0][2] == "mx.dest.example"
    _, (found,) = ask_json(domain.postern, "explain", "u@dest.example")
    assert [h["host"] for h in found["hosts"]] == ["mx.dest.example"]
    assert [(h["host"], h["why"]) for h in found["left_out"]] == \
        [("old.example", "MTA-STS: the policy of the domain does not name it")]


def test_certificate_of_a_second_name(domain, cards_too):
    """R82: ... and if it names both, a certificate for the second will do."""
    domain.publish(policy("*.dest.example"))
    domain.zone[("dest.example", "MX")] = ["5 mx.dest.example.", "10 mx2.dest.example."]
    domain.zone[("mx2.dest.example", "A")] = ["127.0.0.2"]
    sink = domain.place.host(context=server_context(cards_too.path("second")))
    domain.send()
    domain.arrived()
    assert "mx2.dest.example" in [name for _, _, name in sink.shaken]


def test_testing(domain):
    """R82: mail goes as if there were no policy; and that there is one is said."""
    domain.publish(policy("mx.other.example", mode="testing"))
    domain.place.host("other")
    assert "MTA-STS: testing, id 1" in domain.send()
    domain.arrived()


def test_mode_none(domain):
    domain.publish("version: STSv1\nmode: none\nmax_age: 86400\n")
    domain.place.host("other")
    domain.send()
    domain.send()
    domain.arrived(2)
    assert len(domain.web.asked) == 1


# ---- how it is found

@pytest.mark.parametrize("texts", [["v=STSv1; id=1", "v=STSv1; id=2"], ["v=STSv1"], ["v=STSv2; id=1"], ["v=STSv1; id=!"]])
def test_no_such_record(domain, texts):
    """R81: exactly one, and a good one; else the domain has no policy."""
    domain.publish(policy("mx.other.example"))
    domain.record(*texts)
    domain.place.host("other")
    domain.send()
    domain.arrived()
    assert not domain.web.connections and not domain.kept().exists()


def test_record_in_pieces(domain):
    """R81: strings of one record are joined."""
    domain.publish(policy("mx.other.example"))
    domain.zone[TXT] = ['"v=STS" "v1; i" "d=77"', '"v=spf1 -all"']
    domain.place.host("other")
    domain.send()
    domain.waits("MTA-STS: enforce, id 77, does not name mx.dest.example")


@pytest.mark.parametrize("fault", ["SERVFAIL", "SILENT"])
def test_record_cannot_be_had(domain, fault):
    """Without a policy that is kept, mail goes; it does not wait for long."""
    domain.zone[(TXT[0], "fault")] = fault
    domain.place.host()
    domain.send()
    domain.arrived()


WRONG = {
    "certificate": (None, "certificate"),
    "redirect": (answer("", "302 Found", more="Location: https://mta-sts.other.example/\r\n"), "HTTP status 302"),
    "not found": (answer("", "404 Not Found"), "HTTP status 404"),
    "html": (answer(policy("mx.other.example"), kind="text/html"), "it is no text/plain"),
    "no policy": (answer("<html>"), "a line is no \"name: value\""),
    "too large": (answer("x" * 10_000_000), "it is longer than 64 KB"),
    "too long": (answer(policy("mx.other.example", max_age=31557601)), "its max_age is longer than a year"),
    "no host": (answer(policy()), "it names no mx"),
}


@pytest.mark.parametrize("how", WRONG)
def test_policy_cannot_be_had(domain, cards_too, how):
    """R81, B10: then it is as if there were none; it is tried again, but not at once."""
    domain.publish(policy("mx.other.example"))
    said, why = WRONG[how]
    if said is None:
        domain.web.context = context_of(cards_too.path("policy-other"))
    else:
        domain.web.say = said
    domain.place.host("other")
    log = domain.send()
    assert "MTA-STS: the policy with id 1 cannot be fetched: " in log and why in log and "; none is in force\n" in log
    domain.arrived()
    connections = domain.web.connections
    domain.send()
    domain.arrived(2)
    assert domain.web.connections == connections and domain.postern.logged().count("MTA-STS") == 1
    domain.older(300)
    domain.send()
    domain.arrived(3)
    assert domain.web.connections == 2 * connections and domain.postern.logged().count("MTA-STS") == 1
    domain.older(300) # twice as long, the second time
    domain.send()
    domain.arrived(4)
    assert domain.web.connections == 2 * connections
    domain.web.context = context_of(cards_too.path("policy"))
    domain.publish(policy("mx.other.example"), "2") # another id: at once
    domain.send()
    assert "MTA-STS: enforce, id 2" in domain.postern.settled(1)


def test_no_address_that_may_be_connected_to(domain):
    """H3: what no mail may go to nothing is fetched from."""
    domain.publish(policy("mx.other.example"))
    domain.place.host("other")
    log = domain.send(allow_destinations="127.0.0.2/32")
    domain.arrived()
    assert "mta-sts.dest.example has no address that is connected to" in log and not domain.web.connections


def test_next_address(domain):
    domain.publish(policy("mx.dest.example"))
    domain.zone[("mta-sts.dest.example", "A")] = ["127.0.0.77", domain.web.address]
    domain.place.host()
    domain.send()
    domain.arrived()
    assert len(domain.web.asked) == 1


def test_web_server_is_dead(domain):
    domain.publish(policy("mx.other.example"))
    domain.zone[("mta-sts.dest.example", "A")] = ["127.0.0.77"]
    domain.place.host("other")
    assert "[127.0.0.77]:" in domain.send() and "Connection refused; none is in force" in domain.postern.logged()
    domain.arrived()


@pytest.mark.parametrize("settings", [{"fetch_path": "/nonexistent/fetch"}, {"delivery_ca": "/nonexistent"}])
def test_nothing_to_fetch_with(domain, settings):
    """What was not installed the operator hears of, and mail does not wait for him."""
    domain.publish(policy("mx.other.example"))
    domain.place.host()
    [(key, path)] = settings.items()
    assert f"relay: MTA-STS: {key} {path}: No such file or directory: no policy can be fetched" in domain.send(**settings)
    domain.arrived()
    assert not domain.web.connections


def test_program_cannot_run(domain):
    """It is this host's trouble: nothing of the domain is known, or written down, and its mail waits for its policy."""
    domain.publish(policy("mx.dest.example"))
    domain.place.host()
    domain.send(fetch_path="/bin/false")
    domain.waits("MTA-STS: this host cannot fetch the policy now")
    assert not domain.kept().exists() and not domain.web.asked
    domain.again()
    domain.arrived()
    assert len(domain.web.asked) == 1


NEVER_THERE = {
    "cannot be loaded": ("exit 127", "it ended with status 127: is a library missing?\n"),
    "killed": ("kill -KILL $$", "it was killed by signal 9\n"),
    "hangs": ("exec cat <&3 >/dev/null", None), # until nobody waits for it
}


def never_there(postern, what):
    """A program that is installed, and never says that it is there."""
    path = postern.where / "fetch"
    path.write_text(f"#!/bin/sh\n{what}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("how", NEVER_THERE)
def test_fetch_is_never_there(domain, how):
    """R81, R83: that is said, and not taken for the domain's fault; its mail waits for a policy for an hour, and not until it
    expires. The first fetch that is there brings policies back."""
    what, ended = NEVER_THERE[how]
    settings = {"fetch_path": never_there(domain.postern, what)}
    domain.publish(policy("mx.dest.example"))
    domain.place.host("other")
    domain.send(**settings)
    named = f"fetch_path {settings['fetch_path']}: "
    log = domain.waits("MTA-STS: this host cannot fetch the policy now", f"MTA-STS: {named}no fetch came to be there: mail waits")
    assert ended is None or log.count(f"relay: {named}{ended}") == 1
    noted, _ = spoolfile.no_fetch(domain.postern.spool, 3600, 60, 2)
    domain.again(**settings)
    domain.arrived()
    assert f"MTA-STS: {named}no fetch came to be there for more than an hour: " in domain.postern.logged()
    assert not domain.kept().exists() and not domain.web.asked
    domain.send(**settings) # nor is it tried with each mail
    domain.arrived(2)
    patience.until(lambda: domain.web.connections >= 2)
    assert domain.web.connections == 2
    domain.world.sink.messages.clear()
    domain.world.sink.lines.clear()
    spoolfile.no_fetch(domain.postern.spool, 7200, 300, 9)
    domain.send()
    domain.waits("not good for mx.dest.example")
    assert not noted.exists()


# ---- how it is kept

@pytest.fixture
def kept(domain):
    """A policy that was fetched for one mail, and its web server."""
    domain.publish(policy("mx.dest.example"))
    domain.place.host()
    domain.send()
    domain.arrived()
    domain.world.sink.messages.clear()
    domain.world.sink.lines.clear()
    return domain


def test_policy_is_blocked(kept):
    """R83: who blocks the web server, and the record, cannot have mail go elsewhere for as long as the policy says."""
    kept.zone[(TXT[0], "fault")] = "SERVFAIL"
    kept.web.say = lambda sock: sock.close()
    kept.zone[("dest.example", "MX")] = ["10 mx.other.example."]
    kept.zone[("mx.other.example", "A")] = ["127.0.0.2"]
    kept.send()
    kept.waits("MTA-STS: enforce, id 1, does not name mx.other.example")


def test_fetch_is_never_there_any_more(kept):
    """R83: what is kept is kept to, for as long as it says, whether there is anything to fetch another one with or not."""
    kept.record("v=STSv1; id=2")
    kept.place.host("other")
    settings = {"fetch_path": never_there(kept.postern, "exit 127")}
    for ago in (7200, 60): # it is tried, or not
        spoolfile.no_fetch(kept.postern.spool, 2 * 7200, ago, 9)
        kept.send(**settings)
        assert "not good for mx.dest.example" in kept.waits("no fetch came to be there for more than an hour")
        for path in kept.postern.lane_files():
            path.unlink()


def test_record_vanished(kept):
    """B10: the policy that is kept stays in force."""
    kept.withdraw()
    kept.place.host("other")
    kept.send()
    kept.waits("not good for mx.dest.example")


def test_two_records(kept):
    kept.record("v=STSv1; id=1", "v=STSv1; id=2")
    kept.place.host("other")
    kept.send()
    kept.waits("not good for mx.dest.example")


def test_its_time_is_over(kept):
    """R83: and not a second longer."""
    kept.withdraw()
    kept.older(DAY)
    kept.place.host("other")
    kept.send()
    kept.arrived()


def test_another_id_cannot_be_fetched(kept):
    """R83: a fetch that comes to nothing leaves what is in force; that is said, once."""
    kept.record("v=STSv1; id=2")
    kept.web.say = answer("", "500 no")
    kept.place.host("other")
    kept.send()
    log = kept.waits("not good for mx.dest.example")
    assert "the policy with id 2 cannot be fetched: HTTP status 500; in force is that with id 1\n" in log


def test_another_id(kept):
    """R82: no failure before the policy was looked at again: the new one is in force at once."""
    kept.zone[("dest.example", "MX")] = ["10 mx.other.example."]
    kept.zone[("mx.other.example", "A")] = ["127.0.0.2"]
    kept.place.host("other")
    kept.send()
    kept.waits("MTA-STS: enforce, id 1, does not name mx.other.example")
    kept.publish(policy("mx.other.example"), "2")
    kept.again()
    kept.arrived()
    assert "MTA-STS: enforce, id 2, for 86400 s; mx: mx.other.example\n" in kept.postern.logged()


def test_expired_message_under_a_policy(kept):
    """R82, section 5.1: mail whose time is over is returned after the record was asked for once more, and not before."""
    kept.place.host("other")
    kept.send()
    kept.waits("not good for mx.dest.example")
    asked = kept.world.dns.asked

    def returned():
        asked.clear()
        kept.postern.make_due()
        kept.postern.due(expire="1s")
        kept.postern.rested()
        return "bounced <" in kept.postern.logged()
    patience.until(returned)
    assert TXT in [a[1:] for a in asked]


def test_old_policy_is_replayed(kept):
    """Ids have no order: what the web server says now, with its certificate, is the policy."""
    kept.publish(policy("mx.dest.example"), "0")
    kept.send()
    kept.arrived()
    assert kept.kept().read_text().startswith("id 0\n")


def test_id_changes_each_time(kept):
    """R83: a record with an id of its own for each mail does not have us fetch with each of them; what is in force stays so."""
    for n in range(2, 9):
        kept.publish(policy("mx.dest.example"), n)
        kept.send()
        kept.arrived(n - 1)
    assert len(kept.web.asked) == 5 and kept.kept().read_text().startswith("id 5\n")
    kept.older(600)
    kept.send()
    kept.arrived(8)
    assert len(kept.web.asked) == 6 and kept.kept().read_text().startswith("id 8\n")


def test_refresh(kept):
    """Half of its time is over: it is fetched again, behind the mail, which does not wait."""
    kept.older(DAY // 2)
    old = kept.kept().read_text()
    go = []
    kept.web.say = lambda sock: (kept.world.sink.wait_messages(), go.append(1), sock.sendall(answer(policy("mx.dest.example"))))
    kept.send()
    kept.arrived()
    assert len(kept.web.asked) == 2 and go and kept.kept().read_text() != old


def test_refresh_fails(kept):
    """R83: what is kept stays; and it is not tried with each mail."""
    kept.older(DAY // 2)
    kept.web.say = answer("", "503 no")
    for n in range(3):
        kept.send()
        kept.arrived(n + 1)
    assert len(kept.web.asked) == 2
    log = kept.postern.logged()
    assert log.count("the policy with id 1 cannot be fetched: HTTP status 503; in force is that with id 1\n") == 1


@pytest.mark.parametrize("damage", [lambda text: "", lambda text: "\n" + text, lambda text: text.replace("STSv1", "STSv2"),
                                    lambda text: text[:60], lambda text: text.replace("fetched", "fetched x"),
                                    lambda text: text + "x" * 70000])
def test_damaged_file(kept, damage):
    """K13: it counts as none, and is fetched again."""
    kept.kept().write_text(damage(kept.kept().read_text()))
    kept.send()
    kept.arrived()
    assert len(kept.web.asked) == 2 and kept.kept().read_text().startswith("id 1\nfetched ")


def test_sweep(kept):
    """What is of no use for long goes; a policy that is in force does not."""
    stale = kept.kept().parent / "old.example"
    new = kept.kept().parent / ".new-0000000000000000"
    for path in (stale, new):
        path.write_text("tried 1 1 x\n\n")
        os.utime(path, (0, 0))
    kept.postern.due()
    assert kept.kept().exists() and not stale.exists() and new.exists()
    assert kept.kept().stat().st_mtime == pytest.approx(time.time() + DAY, abs=3600)


def test_other_lanes_do_not_wait(domain):
    """A web server that says nothing holds up the mail of its domain, and of no other."""
    domain.publish(policy("mx.dest.example"))
    domain.web.say = lambda sock: (sink.wait_messages(), sock.sendall(answer(policy("mx.dest.example"))))
    domain.world.domain("two.example")
    sink = domain.place.host()
    domain.postern.send("u@dest.example", max_connections=0)
    domain.postern.send("u@two.example", max_connections=0)
    domain.postern.due()
    domain.postern.settled()
    assert len(sink.messages) == 2 and [line for line in sink.lines if line.startswith("RCPT")][0].startswith("RCPT TO:<u@two")


@pytest.mark.parametrize("card, shares", [("host", True), ("other", False)])
def test_connection_of_another_lane(domain, card, shares):
    """R82: a connection that is there is used where its certificate is good for the host that the policy names, and else
    not; it is open and idle when the mail comes, and the only one that may be."""
    domain.publish(policy("mx.dest.example"))
    domain.world.domain("two.example")
    sink = domain.place.host(card)
    domain.postern.settings.update(linger="1h", max_connections=1)
    domain.postern.send("u@two.example")
    sink.wait_messages(1)
    domain.postern.send("u@dest.example")
    last = "delivered <u@dest.example>" if shares else "not good for mx.dest.example"
    log = domain.postern.wait_logged(last)
    shared = re.search(r"lane dest\.example: by the connection to mx\.two\.example\[127\.0\.0\.2\]:\d+, .*", log)
    assert (shared is not None) == shares
    assert not shares or shared[0].endswith(", verified, MTA-STS: enforce, id 1: mx.dest.example")
    assert len(sink.messages) == (2 if shares else 1) and sink.connections == (1 if shares else 2)


# ---- what else depends on it

@pytest.mark.parametrize("text, goes", [(policy("mx.dest.example"), True), (policy("mx.dest.example", mode="testing"), False)])
def test_requiretls(domain, text, goes):
    """R84: a name that a policy vouches for is one that mail is for, and its certificate is enough."""
    domain.publish(text)
    sink = domain.place.host(inside=("PIPELINING", "REQUIRETLS"))
    spoolfile.write(domain.postern.spool, "20000000000000000abc", ["u@dest.example"], b"Subject: x\r\n\r\nx\r\n",
                    fields=["Require-Tls: yes"])
    domain.postern.due()
    domain.postern.rested()
    assert ("MAIL FROM:<a@sender.example> REQUIRETLS" in sink.lines) == goes


def counted(domain):
    """What reports on TLS would say: policy and result, and how often."""
    return sorted((f["policy"], f["result"], n) for f, n in tallies.counted(domain.postern.spool).get("dest.example", []))


def test_counted(kept):
    """R86: under the policy, whose text and patterns are told."""
    kept.send(tls_reports="yes")
    kept.arrived()
    kept.place.host("other")
    kept.send(tls_reports="yes")
    kept.postern.settled(1)
    assert counted(kept) == [("sts", "certificate-host-mismatch", 1), ("sts", "success", 1)]
    fields = tallies.counted(kept.postern.spool)["dest.example"][0][0]
    assert fields["text"] == policy("mx.dest.example").splitlines() and fields["mx"] == ["mx.dest.example"]


def test_counted_spoofed(kept):
    kept.zone[("dest.example", "MX")] = ["10 mx.other.example."]
    kept.zone[("mx.other.example", "A")] = ["127.0.0.2"]
    kept.send(tls_reports="yes")
    kept.postern.settled(1)
    assert counted(kept) == [("sts", "validation-failure", 1)]


@pytest.mark.parametrize("card, names, result", [("host", "mx.dest.example", "success"), ("host", "mx.other.example", "validation-failure"),
                                                 ("other", "mx.dest.example", "certificate-host-mismatch"),
                                                 ("expired", "mx.dest.example", "certificate-expired")])
def test_counted_in_testing(domain, card, names, result):
    """R82: mail goes, and what the policy would have said is told."""
    domain.publish(policy(names, mode="testing"))
    domain.place.host(card)
    domain.send(tls_reports="yes")
    domain.arrived()
    assert counted(domain) == [("sts", result, 1)]


@pytest.mark.parametrize("how, result", [("certificate", "sts-webpki-invalid"), ("not found", "sts-policy-fetch-error"),
                                         ("no policy", "sts-policy-invalid")])
def test_counted_without_policy(domain, cards_too, how, result):
    domain.publish(policy("mx.dest.example"))
    if WRONG[how][0] is None:
        domain.web.context = context_of(cards_too.path("policy-other"))
    else:
        domain.web.say = WRONG[how][0]
    domain.place.host()
    domain.send(tls_reports="yes")
    domain.arrived()
    assert counted(domain) == [("no-policy-found", "success", 1), ("sts", result, 1)]


# ---- what a person is told

def test_explain(kept):
    """What is in force, what the record tells, and which hosts are left out."""
    kept.zone[("dest.example", "MX")] = ["5 evil.example.", "10 mx.dest.example."]
    kept.zone[("evil.example", "A")] = ["127.0.0.4"]
    status, (found,) = ask_json(kept.postern, "explain", "u@dest.example")
    sts = found["mta_sts"]
    assert status == 0
    assert [(h["host"], h["policy"], h["policy_words"]) for h in found["hosts"]] == \
        [("mx.dest.example", "mta-sts", "MTA-STS: enforce, id 1: mx.dest.example")]
    assert [(h["host"], h["why"]) for h in found["left_out"]] == \
        [("evil.example", "MTA-STS: the policy of the domain does not name it")]
    assert (sts["record"], sts["mode"], sts["id"], sts["mx"], sts["in_force"], sts["max_age"], sts["tried"], sts["why"]) == \
        ("1", "enforce", "1", ["mx.dest.example"], True, DAY, None, None)
    _, text, _ = ask(kept.postern, "explain", "u@dest.example")
    assert re.search(r"^mta-sts +enforce, id 1, fetched .* ago, mx: mx\.dest\.example\n", text, re.M), text
    above = "; by the policy of mta-sts not without, and with a certificate for the host\n"
    assert re.search(f"^tls +may: .*{above}", text, re.M), text
    kept.record("v=STSv1; id=2")
    _, text, _ = ask(kept.postern, "explain", "u@dest.example")
    assert "; the record tells id 2, whose policy is fetched with the next mail\n" in text
    kept.withdraw()
    _, text, _ = ask(kept.postern, "explain", "u@dest.example")
    assert "; in force although there is no record of it now (" in text
    kept.older(DAY)
    _, text, _ = ask(kept.postern, "explain", "u@dest.example")
    assert "; its time is over" in text and above not in text
    kept.zone[("dest.example", "MX")] = ["5 evil.example."]
    assert ask_json(kept.postern, "explain", "u@dest.example")[0] == 0


def test_explain_before_the_first_mail(domain):
    """Nothing is fetched for it."""
    _, text, _ = ask(domain.postern, "explain", "u@dest.example")
    assert re.search(r"^mta-sts +none: ", text, re.M), text
    domain.publish(policy("mx.dest.example"))
    _, text, _ = ask(domain.postern, "explain", "u@dest.example")
    assert "id 1: the policy is fetched with the next mail\n" in text and not domain.web.connections
    _, text, _ = ask(domain.postern, "explain", "u@dest.example", mta_sts="no")
    assert "mta-sts" not in text


def test_explain_all_are_left_out(kept):
    kept.zone[("dest.example", "MX")] = ["5 mx.other.example."]
    kept.zone[("mx.other.example", "A")] = ["127.0.0.2"]
    status, (found,) = ask_json(kept.postern, "explain", "u@dest.example")
    assert status == 1 and found["outcome"] == "later"
    assert found["why"] == "MTA-STS: enforce, id 1, does not name mx.other.example"


def test_explain_probe(kept):
    """On the terms of a relay: the certificate is for the host."""
    kept.place.host("domain")
    status, (found,) = ask_json(kept.postern, "explain", "u@dest.example", "--probe")
    assert status == 1 and "not good for mx.dest.example" in found["probe"][0]["said"]


# ---- real parts

def test_nginx(place, cards_too):
    """R81: a real web server."""
    unpacked = peers.PEERS / "between/usr/sbin"
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:{unpacked}")
    if program is None:
        pytest.skip("needs nginx; tests/tools/need check unpacks it")
    where = place.postern.where / "web"
    where.mkdir()
    port = ports.take()
    web = Nginx(program, where, "mta-sts.dest.example", cards_too.path("policy"), port)
    try:
        web.publish(policy("mx.dest.example"))
        domain = Domain(place, web)
        domain.record("v=STSv1; id=1")
        place.host()
        domain.send()
        domain.arrived()
        assert [line.split('"')[1] for line in web.asked()] == [f"GET {PATH} HTTP/1.1"]
    finally:
        web.close()
        ports.give_back(port)
