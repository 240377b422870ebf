"""Mail of our own on its way to a host: completed, rewritten, sent elsewhere or nowhere; and who must not notice."""
import email
import email.policy
import os
import re

import busy
import variety
from conftest import own
from spoolfile import SpoolFile

DSN = ("PIPELINING", "8BITMIME", "SIZE 100000000", "DSN")


def parsed(mail):
    return email.message_from_bytes(mail.data, policy=email.policy.default)


def mapped(postern, *lines):
    path = postern.where / "map"
    path.write_text("".join(f"{line}\n" for line in lines))
    return {"recipient_map": path}


def test_script(postern, world):
    """R93: what a script leaves out is there for who reads it: text without a header is text, by its sender."""
    world.domain("dest.example")
    postern.send("u@dest.example", "Backup done: 3 files\n\nFrom: nobody\n", add_missing="local")
    postern.settled()
    mail, = world.sink.messages
    got = parsed(mail)
    assert got["From"] == "a@sender.example" and got["Date"].datetime and not got.defects
    assert re.fullmatch(r"<[0-9a-z]{20}@mx\.test\.example>", got["Message-ID"])
    assert got.get_content() == "Backup done: 3 files\n\nFrom: nobody\n".replace("\n", "\r\n") or \
        got.get_content() == "Backup done: 3 files\n\nFrom: nobody\n"


def test_one_identity(postern, world):
    """R93: a provider hears of one sender, in MAIL and in From:; what comes back comes to it."""
    world.domain("dest.example")
    world.domain("own.example", "127.0.0.3")
    own = world.another("127.0.0.3")
    world.sink.say["RCPT"] = "550 5.1.1 no"
    postern.send("u@dest.example", "From: \"Cron (x)\" <root@h.internal>\nSubject: x\n\n", sender="root@h.internal",
                 force_from="me@own.example", add_missing="local")
    postern.settled()
    assert world.sink.lines[0].startswith("MAIL FROM:<me@own.example>")
    report, = own.messages
    assert report.recipients == ["me@own.example"]
    inner = report.data.decode()
    assert 'From: "Cron (x)" <me@own.example>\r\nX-Original-From: "Cron (x)" <root@h.internal>\r\n' in inner


def test_host_inside(postern, world):
    """R93: the name of a host inside stands in nothing that others look up."""
    world.domain("dest.example")
    postern.send("u@dest.example", "From: joe <joe@h.internal>\nReply-To: joe@h.internal\n\nx\n", sender="joe@h.internal",
                 masquerade=".internal=own.example", hostname="own.example", add_missing="local")
    postern.settled()
    mail, = world.sink.messages
    assert mail.sender == "joe@own.example" and b"h.internal" not in mail.data
    assert parsed(mail)["Message-ID"].endswith("@own.example>")


def test_root_has_a_mailbox(postern, world):
    """R93: each address of a name gets it, by its own lane; a host with DSN hears whom it was for."""
    world.domain("dest.example")
    world.domain("other.example", "127.0.0.3")
    other = world.another("127.0.0.3", ehlo=DSN)
    postern.send("root@mx.test.example", **mapped(postern, "root: u@dest.example, v@other.example"))
    postern.settled()
    assert world.sink.messages[0].recipients == ["u@dest.example"]
    assert other.messages[0].recipients == ["v@other.example"]
    assert "RCPT TO:<v@other.example> ORCPT=rfc822;root@mx.test.example" in other.lines


def test_nothing_leaves(postern, world):
    """R93: guard = redirect: all comes to one; where that fails, the sender, who may be anybody, hears nothing."""
    world.domain("dest.example", "127.0.0.3")
    world.domain("own.example", "127.0.0.4")
    dest, own = world.another("127.0.0.3"), world.another("127.0.0.4")
    guard = {"guard": "redirect me@own.example"}
    postern.send(["u@dest.example", "v@dest.example"], **guard)
    postern.settled()
    mail, = own.messages
    assert mail.recipients == ["me@own.example"]
    assert parsed(mail).get_all("X-Original-To") == ["u@dest.example", "v@dest.example"]
    own.say["RCPT"] = "550 5.1.1 no"
    postern.send("u@dest.example", **guard)
    log = postern.settled()
    assert "550 5.1.1 no" in log
    assert not dest.messages and not world.sink.messages # sender.example


def test_only_there(postern, world):
    """R93: guard = allow: a message goes where it may, and whom it may not reach its client hears at once."""
    world.domain("dest.example")
    world.domain("own.example", "127.0.0.4")
    own = world.another("127.0.0.4")
    said = postern.send(["u@dest.example", "me@own.example"], guard="allow own.example")
    assert "\r\n550 5.7.1 Error: no mail for this recipient leaves this host\r\n250 2.1.5 Ok\r\n354 " in said
    postern.settled()
    assert own.messages[0].recipients == ["me@own.example"] and not world.sink.messages


STRANGER = {"relay_local": "no", "relay_domains": "dest.example own.example", "max_connections": 10}


def test_nothing_of_strangers_leaves(postern, world):
    """R93: what is passed on for others leaves the host as well: guard holds for it."""
    world.domain("dest.example")
    world.domain("own.example", "127.0.0.4")
    own = world.another("127.0.0.4")
    c = postern.meet(guard="allow own.example", **STRANGER)
    assert c.ask("MAIL FROM:<joe@elsewhere.example>")[:3] == "250"
    assert c.ask("RCPT TO:<u@dest.example>") == "550 5.7.1 Error: no mail for this recipient leaves this host"
    assert c.ask("RCPT TO:<u@other.example>") == "550 5.7.1 Error: relaying denied"
    assert c.ask("RSET")[:3] == "250"
    assert c.message(recipient="me@own.example")[:3] == "250" and c.finish() == 0
    c = postern.meet(guard="redirect you@own.example", **STRANGER)
    assert c.message(recipient="u@dest.example")[:3] == "250" and c.finish() == 0
    postern.settled()
    assert sorted(m.recipients for m in own.messages) == [["me@own.example"], ["you@own.example"]]
    guard, files = sunk(postern)
    c = postern.meet(**guard, **STRANGER)
    assert c.message(recipient="u@dest.example")[:3] == "250" and c.finish() == 0
    postern.settled()
    assert len(files()) == 1 and len(own.messages) == 2 and not world.sink.connections


def test_queued_before(postern, world):
    """R93: a host that became one for tests may have the mail of another life in its queue. It waits, and is lost to nobody."""
    world.domain("dest.example")
    world.domain("own.example", "127.0.0.4")
    own = world.another("127.0.0.4")
    for recipient in ("u@dest.example", "me@own.example"):
        postern.send(recipient, max_connections=0)
    postern.due(guard="allow own.example")
    log = postern.settled(1)
    assert "deferred <u@dest.example>" in log and "guard: no mail for <u@dest.example> leaves this host; next try in " in log
    assert [m.recipients for m in own.messages] == [["me@own.example"]] and not world.sink.connections
    for guard in ("redirect me@own.example", "sink /nonexistent"):
        postern.make_due()
        postern.due(guard=guard)
        assert postern.settled(1).count("leaves this host; next try in ") > 1 and not world.sink.connections
    postern.make_due()
    postern.due()
    postern.settled()
    assert [m.recipients for m in world.sink.messages] == [["u@dest.example"]]


def test_no_report_leaves(postern, world):
    """R93: nobody elsewhere is told, be it the sender of what was queued before or double_bounce."""
    world.domain("own.example", "127.0.0.4")
    world.another("127.0.0.4").say["RCPT"] = lambda line: "550 5.1.1 no" if "nobody" in line else "250 2.1.5 Ok"
    for sender in ("a@sender.example", ""):
        postern.send("nobody@own.example", sender=sender, max_connections=0)
    postern.due(guard="allow own.example", double_bounce="boss@sender.example")
    log = postern.settled()
    assert log.count(": bounced <nobody@own.example>") == 2 and log.count("dropped: no sender to tell") == 2
    assert not world.sink.connections
    postern.send("nobody@own.example", sender="", guard="allow own.example", double_bounce="boss@own.example")
    postern.settled()
    told, = world.others[0].messages
    assert told.recipients == ["boss@own.example"], "who may have mail is told"


def test_what_has_all_is_left_alone(postern):
    """R34, R93: messages of every shape, of which none has what is rewritten, are as they were, octet for octet."""
    c = postern.meet(add_missing="local", masquerade="h.internal=own.example", max_size="60M")
    texts = variety.varied()
    for text in texts:
        assert c.ask("MAIL FROM:<a@sender.example> BODY=8BITMIME")[:3] == "250"
        assert c.ask("RCPT TO:<u@dest.example>")[:3] == "250"
        half = len(text.data) // 3
        for piece, last in ((text.data[:half], ""), (text.data[half:], " LAST")):
            c.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
            assert c.reply()[:3] == "250"
    assert c.finish() == 0
    found = sorted(SpoolFile(p).text for p in postern.messages())
    assert found == sorted(text.data for text in texts) and len(found) > 100
    assert ", added" not in postern.logged() and "rewritten" not in postern.logged()


def test_map_changes(postern):
    """R93: an smtpd that serves many heeds a changed map with the next connection; one that is wrong changes nothing."""
    postern.settings |= mapped(postern, "root: one@dest.example")
    pool = busy.Pool(postern, busy_spare=1)

    def goes_to():
        """Who made his look before a map changed is asleep when it does (ARCHITECTURE.md)."""
        assert pool.meet().message(recipient="root@mx.test.example")[:3] == "250"
        path, = postern.messages()
        to = SpoolFile(path).one("To")
        path.unlink()
        pool.all_asleep()
        return to

    assert goes_to() == "dest.example one@dest.example"
    mapped(postern, "# the other one", "root: two@dest.example")
    assert goes_to() == "dest.example two@dest.example"
    mapped(postern, "root two")
    assert goes_to() == "dest.example two@dest.example"
    assert f"recipient_map {postern.where}/map:1: no colon behind the recipient: \"root two\"; " \
        "what was in force stays so\n" in postern.logged()
    mapped(postern, "root: three@dest.example")
    assert goes_to() == "dest.example three@dest.example"
    assert pool.stop() == 0


def sunk(postern):
    """Settings of a directory that is the service's, and the texts of the files in it."""
    place = postern.where / "sunk"
    place.mkdir(mode=0o700)
    own(place)
    return {"guard": f"sink {place}"}, lambda: [p.read_bytes() for p in sorted(place.glob("*"))]


def test_files(postern, world):
    """R93: guard = sink: whoever it is for, a message is one file, whole, and no host hears of it; nor does its sender."""
    world.domain("dest.example")
    guard, files = sunk(postern)
    ids = re.findall("queued as (.*)\r", postern.send(
        ["u@dest.example", "v@other.example"], "Subject: x\n\n..\nhello\n", **guard) + postern.pipe(
        "EHLO c.example\nMAIL FROM:<a@sender.example> RET=FULL\nRCPT TO:<u@dest.example> NOTIFY=SUCCESS,FAILURE\n"
        "DATA\nSubject: y\n\n.\nQUIT\n", **guard))
    log = postern.settled()
    first, second = files()
    assert first.startswith(b"Return-Path: <a@sender.example>\r\nX-Original-To: u@dest.example\r\n"
                            b"X-Original-To: v@other.example\r\nReceived: ")
    assert first.endswith(b"+0000\r\nSubject: x\r\n\r\n.\r\nhello\r\n") and second.endswith(b"Subject: y\r\n\r\n")
    place = postern.where / "sunk"
    assert sorted(p.name for p in place.iterdir()) == sorted(f"{i}.eml" for i in ids)
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in place.iterdir())
    assert f"{ids[0]}: delivered <v@other.example>, delay " in log and f"guard: it is {place}/{ids[0]}.eml" in log
    assert not world.sink.connections


def test_no_directory(postern, world):
    """R93: where the directory is missing or full, mail waits for it, and goes nowhere else, with the guard or without."""
    world.domain("dest.example")
    guard, files = sunk(postern)
    place = postern.where / "sunk"
    place.rename(postern.where / "away")
    postern.send("u@dest.example", **guard)
    log = postern.settled(1)
    assert f"guard = sink {place}: No such file or directory; next try in " in log
    postern.make_due()
    postern.due()
    assert "lane route:guard: there is no such route in the configuration any more" in postern.settled(1)
    (postern.where / "away").rename(place)
    postern.make_due()
    postern.due(**guard)
    postern.settled()
    assert len(files()) == 1 and not world.sink.connections


def test_in_the_way(postern, world):
    """R93, K4: who else may write to the directory neither holds a relay up nor has it write anywhere else."""
    guard, files = sunk(postern)
    waits = {"max_connections": 0, **guard}
    fifo, link = (re.search("queued as (.*)\r", postern.send("u@dest.example", **waits))[1] for _ in range(2))
    place, other = postern.where / "sunk", postern.where / "other"
    os.mkfifo(place / f".{fifo}.new")
    other.write_bytes(b"not yours")
    (place / f".{link}.new").hardlink_to(other)
    for path in (place / f".{fifo}.new", other):
        own(path)
    postern.due(**guard)
    postern.settled()
    assert sorted(p.name for p in place.iterdir()) == sorted(f"{i}.eml" for i in (fifo, link))
    assert all(text.endswith(b"hello\r\n") for text in files()) and other.read_bytes() == b"not yours"


def test_interrupted(postern, world):
    """R93: what is left of an attempt that broke off is no message, and does not keep the next one from being made."""
    guard, files = sunk(postern)
    ident = re.search("queued as (.*)\r", postern.send("u@dest.example", max_connections=0, **guard))[1]
    left = postern.where / "sunk" / f".{ident}.new"
    left.write_bytes(b"x" * 100_000)
    own(left)
    postern.due(**guard)
    postern.settled()
    text, = files()
    assert text.endswith(b"hello\r\n") and b"xxx" not in text and not left.exists()
    assert not world.sink.connections
