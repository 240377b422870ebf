"""`postern explain`: where mail to an address goes, how, and what is in its way (R48, R49, R60, L3, L30, H3, S1).
What it says is compared with what relay does."""
import pathlib
import subprocess

import pytest

import internet
import patience
import spoolfile
from asked import ask, ask_json, documented, fields_of
from conftest import NOBODY, TOP, own
from tlssink import TlsSink, server_context

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e"


def explained(postern, *words, **settings):
    status, (found,) = ask_json(postern, "explain", *words, **settings)
    return status, found


def places(found):
    return [(h["host"], h["address"], h["preference"]) for h in found["hosts"]]


def test_exchangers(postern, world):
    """In the order of their preference; an address that no stranger may name is left out, with the reason."""
    world.zone[("d.example", "MX")] = ["20 second.d.example.", "10 first.d.example.", "30 inner.d.example."]
    world.zone |= {("first.d.example", "A"): ["127.0.0.2"], ("second.d.example", "A"): ["127.0.0.3"],
                   ("inner.d.example", "A"): ["10.1.2.3"]}
    status, found = explained(postern, "u@d.example", "--from", "a@sender.example")
    assert status == 0 and found["outcome"] == "found" and found["route"] is None and found["lane"] == "d.example"
    assert places(found) == [("first.d.example", "127.0.0.2", 10), ("second.d.example", "127.0.0.3", 20)]
    assert found["hosts"][1]["why"] == "when all of better preference failed, or said nothing for long"
    assert [(h["address"], h["why"]) for h in found["left_out"]] == [("10.1.2.3", "a private address")]
    assert len(found["dns"][0]["hosts"]) == 3 and found["nameservers"] == [f"127.0.0.1:{world.dns.port}"]
    assert explained(postern, "<u@d.example.>", "--from", "<a@sender.example>") == (status, found)
    assert explained(postern, "u@d.example", "--from", "<>")[1]["sender"] == ""
    status, text, _ = ask(postern, "explain", "u@d.example")
    assert status == 0 and text.index("first.d.example[127.0.0.2]") < text.index("second.d.example[127.0.0.3]")


def test_what_is_remembered(postern, world):
    """A host that was slow, or failed, stands behind its equals; nothing is written by looking."""
    world.zone[("d.example", "MX")] = [f"10 {n}.d.example." for n in ("dead", "quick", "slow")]
    world.zone |= {(f"{n}.d.example", "A"): [a] for n, a in
                   (("dead", "127.0.0.5"), ("quick", "127.0.0.2"), ("slow", "127.0.0.6"))}
    postern.send("u@d.example", delivery_without="")
    postern.rested()
    hosts = postern.spool / "hosts"
    hosts.mkdir(exist_ok=True)
    own(hosts)
    port = world.port
    (hosts / f"127.0.0.2-{port}").write_text("latency 7\n")
    (hosts / f"127.0.0.6-{port}").write_text("latency 900\n")
    failed = int((hosts / f"127.0.0.2-{port}").stat().st_mtime) - 60
    (hosts / f"127.0.0.5-{port}").write_text(f"latency 1 failed {failed}\n")
    for f in hosts.iterdir():
        f.chmod(0o644)
        own(f)
    before = sorted((f.name, f.stat().st_mtime_ns) for f in hosts.iterdir())
    _, found = explained(postern, "u@d.example")
    assert [h["host"] for h in found["hosts"]] == ["quick.d.example", "slow.d.example", "dead.d.example"]
    assert [h["latency_ms"] for h in found["hosts"]] == [7, 900, 1]
    assert found["hosts"][0]["why"] == "best preference, and quickest of late"
    assert found["hosts"][1]["why"] == "as good as the one before, and slower of late"
    assert found["hosts"][2]["failed"] == failed and "it failed lately" in found["hosts"][2]["why"]
    assert before == sorted((f.name, f.stat().st_mtime_ns) for f in hosts.iterdir())


def test_back_off(postern, world):
    """L30: why it is stuck, since when, and when it is tried again."""
    world.sink.close()
    world.domain("d.example")
    assert explained(postern, "u@d.example")[1]["waiting"] == 0
    postern.send("u@d.example")
    postern.settled(1)
    status, found = explained(postern, "u@d.example")
    assert status == 0 and found["waiting"] == 1
    assert found["backoff"]["attempts"] == 1 and "Connection refused" in found["backoff"]["reason"]
    assert found["backoff"]["next"] > found["hosts"][0]["failed"] > 0
    assert "next try in " in ask(postern, "explain", "u@d.example")[1]


def test_lane_of_another_owner(postern, world):
    """S13: what waits is counted by the directory alone, and what cannot be seen is not nothing."""
    world.domain("d.example", "127.0.0.9")
    postern.send("u@d.example")
    postern.wait_logged("next try in")
    postern.rested()
    lane = postern.spool / "lane" / "d.example"
    (lane / "@lock").chmod(0o400)
    assert explained(postern, "u@d.example")[1]["waiting"] == 1
    lane.chmod(0)
    try:
        found = explained(postern, "u@d.example")[1]
        assert found["waiting"] is None and found["lacks"] == ["lane d.example: Permission denied"]
    finally:
        lane.chmod(0o700)


def test_policies_that_cannot_be_fetched(postern, world):
    """R83: relays have given up to fetch any: then nothing is promised of the next mail."""
    world.domain("d.example")
    world.zone[("_mta-sts.d.example", "TXT")] = ['"v=STSv1; id=1"']
    assert explained(postern, "u@d.example", mta_sts="yes")[1]["mta_sts"]["given_up"] is None
    _, since = spoolfile.no_fetch(postern.spool, 2 * 86400, 60, 9)
    assert explained(postern, "u@d.example", mta_sts="yes")[1]["mta_sts"]["given_up"] == since
    text = ask(postern, "explain", "u@d.example", mta_sts="yes")[1]
    assert "mta-sts      id 1: the policy cannot be fetched; for 2 d no fetch has come to be there: policies that are kept" in text


def test_route(postern, world):
    """The first that matches, by recipient and sender; its hosts, its login, its policy (S1: no password is read)."""
    secret = postern.where / "password"
    secret.write_text("never to be seen\n")
    secret.chmod(0o600)
    own(secret)
    postern.configure("[route one]", "domains = other.example", "hosts = 127.0.0.9", "",
                      "[route smart]", "domains = d.example", "senders = a@sender.example",
                      f"hosts = mx.d.example:{world.port}", "delivery_user = joe",
                      f"delivery_password_file = {secret}", "delivery_tls = verify")
    world.domain("d.example")
    status, found = explained(postern, "u@d.example", "--from", "a@sender.example")
    assert status == 0 and found["lane"] == "route:smart"
    assert found["route"]["line"] == 6 and found["route"]["file"] == str(postern.file)
    assert found["login"]["user"] == "joe" and found["login"]["trouble"] is None
    assert found["tls"]["policy"] == "verify" and found["tls"]["names"] == ["mx.d.example"]
    assert places(found) == [("mx.d.example", "127.0.0.2", 0)] and found["hosts"][0]["port"] == world.port
    text = ask(postern, "explain", "u@d.example", "--from", "a@sender.example")[1]
    assert "smart" in text and f"{postern.file}:6" in text and "never to be seen" not in text
    assert explained(postern, "u@d.example")[1]["route"] is None, "from the null sender"


def test_nothing_to_send_to(postern, world):
    """R48: status 1, and whether mail is returned or waits."""
    world.zone[("null.example", "MX")] = ["0 ."]
    world.zone[("ill.example", "fault")] = "SERVFAIL"
    for domain, outcome, why in (("null.example", "never", "null MX"), ("gone.example", "never", "does not exist"),
                                 ("ill.example", "later", "SERVFAIL")):
        status, found = explained(postern, f"u@{domain}")
        assert status == 1 and found["outcome"] == outcome and why in found["why"], found
    assert "the mail is returned" in ask(postern, "explain", "u@null.example")[1]


def test_postmaster_and_strangers(postern, world):
    world.domain("d.example")
    postern.settings.update(postmaster="root@d.example", relay_domains="d.example")
    status, found = explained(postern, "postmaster")
    assert status == 0 and found["stands_for"] == "root@d.example" and found["from_anybody"]
    assert not explained(postern, "u@sender.example")[1]["from_anybody"]
    for wrong in ("nobody", "a@b@c", "a@", "@d.example", "a@-"):
        assert ask(postern, "explain", wrong)[0] == 64


@pytest.mark.skipif(not (TOP / "conf" / "submission.h").exists(), reason="nothing is rewritten in this version")
def test_submitted(postern, world):
    """What becomes of mail of our own: by recipient_map, guard, masquerade."""
    world.domain("d.example")
    path = postern.where / "map"
    path.write_text("u@d.example: other@d.example\n")
    found = explained(postern, "u@d.example", "--from", "a@host.s.example", recipient_map=path,
                      masquerade=".s.example=s.example", add_missing="local")[1]["submitted"]
    assert found["goes"] == "elsewhere" and found["recipients"] == ["other@d.example"]
    assert found["sender"] == "a@s.example" and "Date" in found["adds"] and found["trouble"] is None
    found = explained(postern, "u@d.example", guard="allow e.example")[1]["submitted"]
    assert found["goes"] == "nowhere"
    text = ask(postern, "explain", "u@d.example", guard="redirect me@e.example")[1]
    assert "it goes elsewhere: to me@e.example" in text and "from others" not in text
    for guard, goes, recipients in (("allow e.example", "nowhere", []), ("redirect me@e.example", "elsewhere", ["me@e.example"])):
        settings = {"guard": guard, "relay_domains": "d.example", "recipient_map": path}
        assert explained(postern, "u@d.example", **settings)[1]["guarded"] == {"goes": goes, "recipients": recipients}
    assert "from others  by guard it goes elsewhere: to me@e.example\n" in ask(postern, "explain", "u@d.example", **settings)[1]
    assert explained(postern, "u@d.example", guard="allow d.example", relay_domains="d.example")[1]["guarded"] is None


def test_probe(postern, world, pki):
    """As far as EHLO, STARTTLS and QUIT: no mail, and what it saw."""
    world.domain("d.example", "127.0.0.9", "127.0.0.2")
    world.sink.close()
    world.sink = TlsSink(server_context(pki.path("server")), "127.0.0.2", world.port)
    status, found = explained(postern, "u@d.example", "--probe", delivery_ca=pki.path("ca"))
    assert status == 0
    *before, seen = found["probe"]
    assert all(not p["ready"] and "Connection refused" in p["said"] for p in before)
    assert seen["ready"] and seen["tls"].startswith("TLSv1.") and "PIPELINING" in seen["offers"]
    assert "d.example" in seen["certificate"], "it is for mx.dest.example"
    assert world.sink.lines == ["STARTTLS"], "neither MAIL nor RCPT"
    assert fields_of(found) | {"name", "file", "line", "domains", "senders", "attempts", "next", "reason", "user",
                               "login", "password_file", "token_command", "in_clear", "goes", "recipients",
                               "adds"} == documented("explain")
    text = ask(postern, "explain", "u@d.example", "--probe", delivery_ca=pki.path("ca"))[1]
    assert "127.0.0.2" in text and "is ready for mail" in text
    world.sink.close()
    status, found = explained(postern, "u@d.example", "--probe")
    assert status == 1 and not any(p["ready"] for p in found["probe"])


def test_probe_ends_with_the_first_that_is_ready(postern, world):
    world.zone[("d.example", "MX")] = ["10 first.d.example.", "20 second.d.example."]
    world.zone |= {("first.d.example", "A"): ["127.0.0.2"], ("second.d.example", "A"): ["127.0.0.3"]}
    status, found = explained(postern, "u@d.example", "--probe")
    assert status == 0 and [p["host"] for p in found["probe"]] == ["first.d.example"]


def test_locked_in(postern, world):
    """Behind the first word of a stranger it has next to no system calls."""
    world.domain("d.example")
    with world.sink.held("EHLO", "250 sink"):
        p = postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "postern", "explain", "u@d.example", "--probe")
        world.sink.wait_connections()
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
    assert postern.watched("postern") or "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
    assert p.wait(patience.PATIENCE) == 0


def test_probe_of_a_refusal(postern, world):
    """R60"""
    world.domain("d.example")
    world.sink.say["GREETING"] = "554 5.7.1 go away"
    status, found = explained(postern, "u@d.example", "--probe")
    assert status == 1 and "554 5.7.1 go away" in found["probe"][0]["said"]


def test_hostile(postern, world):
    """What the DNS and a host say cannot move the cursor: ask() looks."""
    world.zone[("d.example", "MX")] = ["10 mx\\027[2J.d.example.", "20 mx.d.example."]
    world.zone[("mx.d.example", "A")] = ["127.0.0.2"]
    world.sink.say["EHLO"] = f"250-sink\r\n250-AUTH PLAIN {HOSTILE.replace(chr(13), '')}\r\n250 SIZE 1000"
    status, text, _ = ask(postern, "explain", "u@d.example", "--probe")
    assert status == 0, text
    assert "AUTH PLAIN" in text
    world.sink.say["EHLO"] = internet.Last(f"550 {HOSTILE}\r\n")
    world.sink.say["GREETING"] = f"421 {HOSTILE}"
    assert ask(postern, "explain", "u@d.example", "--probe")[0] == 1


def test_who_may_not_see(postern, world):
    """An ordinary user hears what there is to hear, and what is missing."""
    world.domain("d.example")
    postern.spool.chmod(0)
    try:
        status, found = explained(postern, "u@d.example")
    finally:
        postern.spool.chmod(0o700)
    assert NOBODY and status == 0 and found["waiting"] is None
    assert len(found["lacks"]) == 1 and "Permission denied" in found["lacks"][0]
