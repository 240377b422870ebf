"""What relay does without, so that mail goes all the same: TLS, EHLO, a parameter. What the host says then may be
about that, and is never for good (R59, R60, R74; L2, L13, L16, L22)."""
import pytest

import spoolfile
from internet import Last

FIRST = "530 5.7.0 Must issue a STARTTLS command first"


def demands_tls(sink, reply, verb="MAIL"):
    """This is what it says to a client that comes in clear."""
    sink.say[verb] = lambda line: reply if not sink.shaken else "354 go" if verb == "DATA" else "250 ok"


def no_report(place):
    place.postern.settled(1)
    assert not [x for x in place.world.sink.lines if x.startswith("MAIL FROM:<>")]


CUTS = {
    "454": {"STARTTLS": "454 4.7.0 not now"},
    "cut": {"STARTTLS": None},
    "helo": {"EHLO": "500 what?"},
}


@pytest.mark.parametrize("verb, reply", [
    ("MAIL", FIRST), ("MAIL", "554 no"), ("MAIL", "550 5.7.1 TLS required"), ("MAIL", "503 EHLO first"),
    ("RCPT", "550 5.7.11 encryption required"), ("RCPT", "550 TLS only"), ("DATA", "554 5.7.0 in clear?"),
    ("END", "550 5.7.1 not in clear")])
@pytest.mark.parametrize("cut", list(CUTS))
def test_in_clear_nothing_is_for_good(place, cut, verb, reply):
    """L2: the mail waits, and goes by TLS when that works; nothing is remembered that says otherwise."""
    sink = place.host(say=dict(CUTS[cut]))
    demands_tls(sink, reply, verb)
    place.send(linger="0s")
    place.postern.wait_logged("deferred <u@dest.example>")
    no_report(place)
    for name in CUTS[cut]:
        del sink.say[name]
    spoolfile.elapse(place.postern.spool, 600)
    place.postern.due()
    sink.wait_messages(1)
    place.postern.settled()
    assert len(sink.shaken) == 1


@pytest.mark.parametrize("cut, reply", [("454", FIRST), ("helo", FIRST), ("454", "450 4.7.10 encryption needed")])
def test_what_was_remembered_is_forgotten(place, cut, reply):
    """L2: what was learned a minute ago is in force, and is refused: TLS is tried again at once."""
    sink = place.host(say=dict(CUTS[cut]))
    place.send(linger="0s")
    sink.wait_messages(1)
    place.postern.settled()
    for name in CUTS[cut]:
        del sink.say[name]
    demands_tls(sink, reply)
    place.send()
    sink.wait_messages(2)
    place.postern.settled()
    assert len(sink.shaken) == 1
    assert "deferred" not in place.postern.logged()


def test_an_address_is_an_address(place):
    """L2: what cannot be about the way we came is for good."""
    sink = place.host(say={"STARTTLS": "454 4.7.0 not now", "RCPT": "550 5.1.1 unknown"})
    place.send()
    place.postern.wait_logged("bounced <u@dest.example>")
    assert not sink.messages


@pytest.mark.parametrize("cut", ["454", "helo"])
def test_an_address_in_words(place, cut):
    """L2, R59: a host of before EHLO has no enhanced codes, and what RFC 5321 itself has it say is about the address. Its
    mail is not tried for five days."""
    sink = place.host(say={**CUTS[cut], "RCPT": "550 No such user here"})
    place.send()
    place.postern.wait_logged("bounced <u@dest.example>")
    assert not sink.messages


def test_tls_that_breaks_when_it_is_used(place):
    """L2: the handshake succeeds, and the connection is closed at EHLO inside."""
    sink = place.host()
    sink.say["EHLO"] = lambda line: "250-sink\r\n250 STARTTLS" if len(sink.shaken) < sink.connections else None
    place.send()
    sink.wait_messages(1)
    assert "; in clear from now on" in place.postern.settled() and sink.connections == 2


# ---- EHLO

@pytest.mark.parametrize("how", ["close", "500"])
def test_helo_on_the_next_connection(postern, world, how):
    """L22: a host that closes at EHLO, or behind its refusal."""
    world.domain("dest.example")
    world.sink.say["EHLO"] = None if how == "close" else Last("500 what?\r\n")
    postern.send("u@dest.example")
    world.sink.wait_messages(1)
    assert world.sink.connections == 2


def test_helo_for_a_host_that_is_silent(postern, world):
    """L22: it says nothing to EHLO; HELO will do, and the next message goes by it at once."""
    world.domain("dest.example")
    with world.sink.held("EHLO", None):
        for n in range(2):
            postern.send("u@dest.example", timeout_helo="1s")
            postern.settled()
            assert (len(world.sink.messages), world.sink.connections) == (n + 1, n + 2)


# ---- words

EHLO = ("PIPELINING", "8BITMIME", "SIZE 100000000", "DSN")


@pytest.mark.parametrize("ehlo", [EHLO, EHLO[1:], EHLO + ("CHUNKING",)], ids=["groups", "lock-step", "window"])
@pytest.mark.parametrize("word", ["SIZE=", "BODY="])
@pytest.mark.parametrize("reply", ["555 5.5.4 what?", "501 what?"])
def test_mail_without_words(postern, world, ehlo, word, reply):
    """L16: offered, and refused: once more without it."""
    world.domain("dest.example")
    world.sink.ehlo = ehlo
    world.sink.say["MAIL"] = lambda line: reply if word in line else "250 ok"
    for n in range(3):
        postern.send("u@dest.example", body=f"Subject: {n}\n\nx\n" if word == "SIZE=" else "Subject: x\n\n\u00e4\n",
                     max_connections=0)
    postern.due()
    world.sink.wait_messages(3)
    assert "deferred" not in postern.settled()
    assert [m.recipients for m in world.sink.messages] == [["u@dest.example"]] * 3, "no report"
    assert word == "SIZE=" or all(m.data.isascii() for m in world.sink.messages)


@pytest.mark.parametrize("verb, word, reply", [
    ("MAIL", "SIZE=", "455 4.5.4 not now"), ("MAIL", "SIZE=", "501 5.1.7 bad sender"),
    ("MAIL", "BODY=", "554 5.6.1 what?"), ("RCPT", "NOTIFY=", "550 5.5.4 what?"), ("RCPT", "NOTIFY=", "455 not now"),
    ("RCPT", "NOTIFY=", "553 5.1.3 bad address"), ("RCPT", "NOTIFY=", "550 5.1.3 bad address"),
    ("MAIL", "SIZE=", "553 5.1.7 bad sender")])
def test_without_words_by_other_codes(postern, world, verb, word, reply):
    """L16: for now, as a wrong address, by the enhanced code alone: delivered in the first attempt."""
    world.domain("dest.example")
    world.sink.ehlo = EHLO
    world.sink.say[verb] = lambda line: reply if word in line else "250 ok"
    said = postern.pipe("EHLO c.example\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@dest.example> NOTIFY=FAILURE\n"
                        "DATA\nSubject: x\n\n\u00e4\n.\nQUIT\n".encode())
    assert "queued" in said
    world.sink.wait_messages(1)
    assert "deferred" not in postern.settled()
    assert [m.recipients for m in world.sink.messages] == [["u@dest.example"]], "no report"


@pytest.mark.parametrize("ehlo", [EHLO, EHLO[1:], EHLO + ("CHUNKING",)], ids=["groups", "lock-step", "window"])
@pytest.mark.parametrize("word", ["NOTIFY=", "ORCPT="])
def test_rcpt_without_words(postern, world, ehlo, word):
    """L16: the other recipient gets it by the first transaction, and nobody twice."""
    world.domain("dest.example")
    world.sink.ehlo = ehlo
    world.sink.say["RCPT"] = lambda line: "501 what?" if word in line else "250 ok"
    words = "NOTIFY=FAILURE ORCPT=rfc822;x@y.example"
    said = postern.pipe(f"EHLO c.example\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@dest.example> {words}\n"
                        "RCPT TO:<v@dest.example>\nDATA\nSubject: x\n\nx\n.\nQUIT\n".encode())
    assert "queued" in said
    world.sink.wait_messages(2)
    assert "deferred" not in postern.settled()
    assert [m.recipients for m in world.sink.messages] == [["v@dest.example"], ["u@dest.example"]]


@pytest.mark.parametrize("ehlo", [EHLO, EHLO[1:], EHLO + ("CHUNKING",)], ids=["groups", "lock-step", "window"])
def test_report_of_whom_the_host_has_no_words(postern, world, ehlo):
    """R74, L16: the host refuses the NOTIFY of one, and has that of the other, of whom it reports itself."""
    world.domain("dest.example")
    reports = world.another("127.0.0.69")
    world.domain("sender.example", "127.0.0.69")
    world.sink.ehlo = ehlo
    world.sink.say["RCPT"] = lambda line: "501 5.5.4 what?" if "<v@" in line and "NOTIFY=" in line else "250 ok"
    assert "queued" in postern.pipe(
        "EHLO c.example\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@dest.example> NOTIFY=SUCCESS\n"
        "RCPT TO:<v@dest.example> NOTIFY=SUCCESS\nDATA\nSubject: x\n\nx\n.\nQUIT\n".encode())
    world.sink.wait_messages(2)
    reports.wait_messages(1)
    postern.settled()
    said = [m.data.decode() for m in reports.messages]
    assert len(said) == 1 and "v@dest.example" in said[0] and "u@dest.example" not in said[0]


@pytest.mark.parametrize("ehlo", [EHLO, EHLO[1:], EHLO + ("CHUNKING",)], ids=["groups", "lock-step", "window"])
@pytest.mark.parametrize("verb, word", [("MAIL", "SIZE="), ("MAIL", "BODY="), ("RCPT", "NOTIFY=")])
@pytest.mark.parametrize("last", ["", "421 4.7.0 bye\r\n"], ids=["close", "421"])
def test_closes_at_words(postern, world, ehlo, verb, word, last):
    """L16: offered, refused, and the connection closed: by the next one without it, at once. It is remembered of the
    host, so that mail of a later relay is not refused first."""
    world.domain("dest.example")
    world.sink.ehlo = ehlo
    world.sink.say[verb] = lambda line: Last("555 5.5.4 what?\r\n" + last) if word in line else "250 ok"
    for n in (1, 2):
        said = postern.pipe("EHLO c.example\nMAIL FROM:<a@sender.example> BODY=8BITMIME\n"
                            "RCPT TO:<u@dest.example> NOTIFY=FAILURE\nDATA\nSubject: x\n\n\u00e4\n.\nQUIT\n".encode())
        assert "queued" in said
        world.sink.wait_messages(n)
        assert "deferred" not in postern.settled()
    assert [m.recipients for m in world.sink.messages] == [["u@dest.example"]] * 2, "no report"
    refused = 2 if word == "BODY=" else 1 # what could be left out without converting the text goes first
    assert sum(word in line for line in world.sink.lines) == refused and world.sink.connections == refused + 2


@pytest.mark.parametrize("verb, word", [("MAIL", "BODY="), ("RCPT", "NOTIFY=")])
def test_words_that_another_host_refused(postern, world, verb, word):
    """L16, R73: the first host closes at them, and puts the mail off without; the next one is told them, has the text as
    it is, though that is signed and cannot be converted, and what it refuses is for good."""
    world.domain("dest.example", "127.0.0.2", "127.0.0.3")
    world.zone[("dest.example", "MX")] = ["10 mx1.dest.example.", "20 mx2.dest.example."]
    world.zone[("mx1.dest.example", "A")], world.zone[("mx2.dest.example", "A")] = ["127.0.0.2"], ["127.0.0.3"]
    first, second = world.sink, world.another("127.0.0.3")
    first.ehlo = second.ehlo = EHLO
    first.say[verb] = lambda line: Last("501 5.5.4 what?\r\n") if word in line else "451 4.3.0 full"
    second.say["RCPT"] = lambda line: "550 5.7.1 no" if "v@" in line else "250 ok"
    said = postern.pipe("EHLO c.example\nMAIL FROM:<> BODY=8BITMIME RET=HDRS\nRCPT TO:<u@dest.example> NOTIFY=FAILURE\n"
                        "RCPT TO:<v@dest.example> NOTIFY=FAILURE\nDATA\nSubject: x\nMIME-Version: 1.0\n"
                        "Content-Type: multipart/signed; boundary=b\n\n--b\n\n\u00e4\n--b--\n.\nQUIT\n".encode())
    assert "queued" in said
    log = postern.settled()
    assert [m.recipients for m in second.messages] == [["u@dest.example"]] and ": deferred" not in log
    assert "bounced <v@dest.example>" in log and any(word in line for line in second.lines)
    assert sum(word in line for line in first.lines) == 1


def test_closes_at_words_and_without_them(postern, world):
    """L16: the address is what the host minds, however it is asked: that counts, when it can be believed."""
    world.domain("dest.example")
    world.sink.ehlo = EHLO
    world.sink.say["RCPT"] = lambda line: Last("501 no such address\r\n") if "dest" in line else "250 ok"
    said = postern.pipe("EHLO c.example\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@dest.example> NOTIFY=FAILURE\n"
                        "DATA\nSubject: x\n\nx\n.\nQUIT\n")
    assert "queued" in said
    for _ in range(3):
        postern.rested()
        postern.make_due()
        postern.due()
    world.sink.wait_messages(1)
    assert world.sink.messages[0].sender == "" and "bounced <u@dest.example>" in postern.settled()


def test_refused_without_words_too(postern, world):
    """L16: then it was not about the words."""
    world.domain("dest.example")
    world.sink.ehlo = EHLO
    world.sink.say["RCPT"] = lambda line: "501 no such address" if "dest" in line else "250 ok"
    postern.send("u@dest.example")
    world.sink.wait_messages(1)
    assert world.sink.messages[0].sender == "" and "bounced <u@dest.example>" in postern.settled()


# ---- a route's own host

@pytest.mark.parametrize("verb, reply", [
    ("MAIL", "530 5.7.0 Authentication required"), ("MAIL", "534 5.7.9 weak"), ("MAIL", "535 no"),
    ("MAIL", "538 no"), ("MAIL", "503 5.5.1 EHLO first"), ("RCPT", "530 no"), ("RCPT", "550 5.7.57 not authenticated"),
    ("DATA", "535 5.7.8 no"), ("RCPT", "550 SMTP AUTH is required"), ("RCPT", "554 5.7.1 Client host rejected: no"),
    ("MAIL", "550 5.4.5 Daily user sending limit exceeded"), ("RCPT", "550 Unauthenticated senders not allowed"),
    ("RCPT", "550 Please turn on SMTP Authentication in your mail client"), ("MAIL", "553 5.3.0 Authentication failed"),
    ("RCPT", "501 5.7.0 Authentication needed"), ("MAIL", "500 5.5.1 AUTH first"), ("RCPT", "502 5.7.0 login first"),
    ("RCPT", "550 5.7.0 From address is not one of your addresses"),
    ("RCPT", "550 d.example has exceeded the max emails per hour (150/100)"),
    ("RCPT", "550 Outgoing mail from d.example has been suspended.")])
def test_our_own_host(postern, world, verb, reply):
    """L13: what is wrong between a site and its own host waits for the operator, who is told once."""
    postern.configure("[route smart]", "domains = *", f"hosts = [127.0.0.2]:{world.sink.port}")
    world.sink.say[verb] = reply
    for _ in range(2):
        postern.send("u@dest.example", max_connections=0)
    postern.due()
    postern.wait_logged("; next try", 2)
    log = postern.settled(2)
    assert log.count("it is not the mail that is refused") == 1 and reply in log
    assert not world.sink.messages and "bounced" not in log
