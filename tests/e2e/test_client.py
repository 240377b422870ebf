"""relay as a client of SMTP: what it says, what it makes of replies, and what it never repeats."""
import re
import subprocess

import pytest


@pytest.fixture
def dest(postern, world):
    """Where mail for dest.example goes."""
    del postern
    world.domain("dest.example")
    return world.sink


def commands(sink, verb):
    return [line for line in sink.lines if line.startswith(verb) and "sender.example>" not in line]


@pytest.mark.parametrize("say", [
    {"MAIL": "299", "RCPT": "250", "DATA": "354", "END": "250"},       # a code and nothing else
    {"MAIL": "250-\r\n250-\r\n250 ", "RCPT": "251 2.1.5 will forward", "END": "200 x"},
    {"MAIL": "250-550 5.7.1 not really\r\n250 ok", "END": "250-\x7f\r\n250 554 no"},
    {"EHLO": "250-sink\r\n250-\r\n250-PIPELINING=1\r\n250-X Y Z\r\n250 what"},
    {"GREETING": "220-a\r\n220-220 b\r\n220 c"},
], ids=["bare", "empty-lines", "text-lies", "keywords", "greeting"])
def test_first_digit_decides(postern, dest, wait, say):
    """R19, R59: whatever the rest of a reply is."""
    dest.say.update(say)
    postern.send("u@dest.example")
    assert wait(lambda: dest.messages), postern.logged()
    assert wait(lambda: not postern.messages())


@pytest.mark.parametrize("verb, reply", [
    ("RCPT", "450 550 5.1.1 it is not for good"), ("RCPT", "399 what"), ("MAIL", "451 5.0.0 x"),
    ("DATA", "451 later"), ("END", "499 5.5.5 x"), ("RCPT", "552 5.5.3 too many"),
])
def test_not_for_good(postern, dest, wait, verb, reply):
    """R59, R26, F13: anything but 5yz is tried again, and so is 552 to RCPT; texts mean nothing."""
    dest.say[verb] = reply
    postern.send("u@dest.example")
    postern.wait_logged(": deferred")
    postern.settled(1)
    assert not dest.messages
    dest.say.clear()
    postern.make_due()
    postern.due()
    assert wait(lambda: dest.messages), postern.logged()
    assert dest.messages[0].sender == "a@sender.example"


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "END"])
def test_for_good(postern, dest, verb):
    """R59, R39: said once, to one host, and never asked again; the sender hears of it."""
    dest.say[verb] = refuse_first(verb)
    postern.send("u@dest.example")
    postern.settled()
    assert dest.messages[0].sender == "" and b"Status: 5.3.0\r\n" in dest.messages[0].data
    assert len(commands(dest, "RCPT")) == 1


def refuse_first(verb):
    """550 to this command once, then as usual."""
    usual = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", "END": "250 ok"}[verb]
    left = ["550 5.3.0 no"]
    return lambda line: left.pop() if left else usual


def test_refused_sender_is_not_the_host(postern, dest):
    """R56: 5yz to MAIL is a matter of that message; the next one goes by the same connection."""
    dest.say["MAIL"] = lambda line: "550 5.7.1 not from you" if "<bad@" in line else "250 ok"
    postern.send("u@dest.example", sender="bad@sender.example", max_connections=0)
    postern.send("v@dest.example", max_connections=0)
    postern.due()
    postern.settled()
    assert [m for m in dest.messages if m.recipients == ["v@dest.example"]]
    assert "@retry" not in [p.name for p in postern.lane_files() if p.stat().st_size > 0]


def test_data_without_recipients(postern, dest):
    """R62, C5: where DATA, sent in the same group, is taken all the same, nothing is delivered."""
    dest.say["RCPT"] = lambda line: "550 5.1.1 no" if "<no@" in line else "250 ok"
    dest.say["DATA"] = "354 go"
    texts = []
    take = dest.take

    def note(put, sender, recipients, data, helo):
        texts.append((recipients, data))
        take(put, sender, recipients, data, helo)
    dest.take = note
    postern.send("no@dest.example", max_connections=0)
    postern.send("yes@dest.example", max_connections=0)
    postern.due()
    postern.settled()
    assert sorted(m.recipients[0] for m in dest.messages) == ["a@sender.example",
                                                              "yes@dest.example"]
    assert [data for recipients, data in texts if not recipients] == [b""]
    assert all(data for recipients, data in texts if recipients)


def test_null_sender_stays(postern, dest, wait):
    """R43: and it is not made into anybody's."""
    postern.send("u@dest.example", sender="")
    assert wait(lambda: dest.messages)
    assert dest.messages[0].sender == "" and re.match(r"MAIL FROM:<>( |$)", dest.lines[0])


def test_return_path_is_not_ours(postern, dest, wait):
    """R33, R32: one that is there goes through like any other field."""
    text = "Return-Path: <x@y.example>\nReceived: a\nreturn-path: <z@y.example>\n\n"
    postern.send("u@dest.example", text)
    assert wait(lambda: dest.messages)
    assert dest.messages[0].data.decode().endswith("+0000\r\n" + text.replace("\n", "\r\n"))


def test_nobody_waits_for_the_other_side(postern, dest, wait):
    """R38: the reply to the end of the data comes while the next host says nothing yet."""
    with dest.held("GREETING", "220 at last"):
        assert "250 2.0.0 Ok: queued" in postern.send("u@dest.example", timeout_greeting="1h")
        assert not dest.lines and not dest.messages # lint: it is held
    assert wait(lambda: dest.messages)


def test_short_names_are_not_completed(postern, world, wait):
    """R52, G8: asked for as they stand; the sender is told."""
    postern.send("u@host")
    assert wait(lambda: world.sink.messages), postern.logged()
    names = {name for _, name, _ in world.dns.asked if "sender.example" not in name}
    assert names - {"_mta-sts.host"} == {"host"}


MINIMA = {"greeting": 300, "mail": 300, "rcpt": 300, "data_start": 120, "data_block": 180,
          "data_end": 600}


def test_patience_of_the_client(postern):
    """R28, R29, R27, R55: as long as RFC 5321 section 4.5.3.2 asks for, and each can be set."""
    def values(*options):
        command = [str(postern.build / "smtpd"), "-c", "/dev/null", *options, "--check"]
        said = subprocess.run(command, env={}, stdout=subprocess.PIPE, check=False).stdout.decode()
        return dict(re.findall(r"^(\w+) = (\S*)", said, re.M))
    preset = values()
    for step, least in MINIMA.items():
        key = f"timeout_{step}"
        assert int(preset[key].rstrip("s")) >= least
        assert values("-o", f"{key}=7s")[key] == "7s"
    assert int(preset["timeout_command"].rstrip("s")) >= 300
    assert int(preset["expire"].rstrip("s")) >= 4 * 86400


@pytest.mark.parametrize("step, key", [
    ("GREETING", "greeting"), ("EHLO", "helo"), ("MAIL", "mail"), ("RCPT", "rcpt"),
    ("DATA", "data_start"), ("END", "data_end")])
def test_each_wait_ends(postern, dest, step, key):
    """R29, F1: a host that falls silent at any step costs no more than its time."""
    dest.ehlo = ()
    others = {f"timeout_{k}": "1h" for k in (*MINIMA, "helo", "connect")}
    with dest.held(step, None), dest.held("HELO", None): # or that would do (L22)
        postern.send("u@dest.example", **{**others, f"timeout_{key}": "1s"})
        postern.wait_logged("timed out")
        postern.settled(1)
    logs = "".join(p.read_text() for p in postern.lane_files() if p.suffix == ".log")
    assert (" late 0\n" in logs) == (step == "END"), "the next attempt waits for longer"


@pytest.mark.parametrize("say", [{"QUIT": "550 no"}, {"QUIT": None}, {"RSET": "500 what"}])
def test_what_comes_after_does_not_matter(postern, dest, say):
    """F14: delivered is what got 2yz to its end."""
    dest.say.update(say)
    postern.send("u@dest.example")
    postern.wait_logged(": delivered")
    postern.settled()
    assert len(dest.messages) == 1


@pytest.mark.parametrize("say", [{"GREETING": "554 no"}, {"EHLO": "550 no", "HELO": "550 no"},
                                 {"EHLO": "421 busy"}])
def test_leaves_with_quit(postern, world, dest, wait, say):
    """R60: a host that does not want us is left politely, and the next one is asked."""
    left = []
    dest.say.update(say, QUIT=lambda line: left.append(line) or "221 bye")
    second = world.another("127.0.0.3")
    world.domain("second.example", "127.0.0.3")
    world.zone[("dest.example", "MX")] = ["10 mx.dest.example.", "20 mx.second.example."]
    world.domain("sender.example", "127.0.0.3")
    postern.send("u@dest.example")
    assert wait(lambda: second.messages), postern.logged()
    assert wait(lambda: left == ["QUIT"])


def test_closing_at_each_mail(postern, world):
    """F6: a host that says 421 to each MAIL is not asked about each message: after some the lane waits."""
    world.domain("d.example")
    world.sink.say["MAIL"] = "421 4.3.2 closing"
    for _ in range(8):
        postern.send("u@d.example", max_connections=0)
    postern.due()
    assert "next try in" in postern.settled(8)
    assert 1 <= world.sink.connections <= 4


@pytest.mark.parametrize("greeting", ["554 5.7.1 not you", "421 4.3.2 busy"])
def test_greeting_that_refuses(postern, world, greeting):
    """R60: about this host, not about the mail: the lane waits, and is not tried before its time."""
    world.domain("d.example")
    world.sink.say["GREETING"] = greeting
    postern.send("u@d.example")
    assert "next try in" in postern.settled(1)
    assert world.sink.connections == 1
    postern.due()
    postern.settled(1)
    assert world.sink.connections == 1, "what was written down of the lane holds"
    for n in (2, 3):
        postern.make_due()
        postern.due()
        postern.settled(1)
        retry = (postern.spool / "lane" / "d.example" / "@retry").read_text()
        assert retry.startswith(f"{n} failed attempts: ") and greeting in retry
    del world.sink.say["GREETING"]
    postern.make_due()
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 1
