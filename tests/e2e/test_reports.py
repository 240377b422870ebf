"""Reports to the sender: who hears what, in which form, and how often."""
import pytest

import patience
import spoolfile
from reports import Report
from test_extensions import FULL, way  # noqa: F401

HOUR, DAY = 3600, 86400
IDENT = "01hf0000000000000001"
NOTIFIES = ["", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY",
            "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"]
TEXT = "Subject: the subject\n\nthe text\n"


def name(notify):
    return (notify or "unsaid").replace(",", "-").lower() + "@dest.example"


def hears(notify, what):
    """RFC 3461 section 4.1; of mail that was passed on only who asked (section 5.2.2)."""
    return what in notify.split(",") or (notify == "" and what != "SUCCESS")


def tried(way):
    """Once, in vain."""
    way.postern.wait_logged("next try in")
    way.postern.settled(1)


def again(way):
    """As if all waiting times had passed."""
    way.postern.rested()
    way.postern.make_due()
    way.postern.due()
    way.postern.rested()


def later(way, seconds):
    """Everything is so much older, and tried again."""
    way.postern.rested()
    spoolfile.elapse(way.postern.spool, seconds)
    again(way)


def reports(way):
    return [Report(m.data) for m in way.sink.messages if m.sender == ""]


def refuse(way, reply, verb="RCPT"):
    way.sink.say[verb] = lambda line: reply if "dest.example" in line else "250 2.1.5 ok"


OUTCOMES = { # what the host says; action, who wants to hear, status, fields, what the text says
    "failed": ("550 5.1.1 no such user", "FAILURE", "5.1.1", {"Remote-MTA", "Last-Attempt-Date"},
               ["could not be delivered", "There is no such mailbox", "mx.dest.example refused it"]),
    "delayed": ("450 4.2.1 later", "DELAY", "4.2.1",
                {"Remote-MTA", "Last-Attempt-Date", "Will-Retry-Until"},
                ["need not send it again", "mx.dest.example put it off"]),
    "relayed": (None, "SUCCESS", "2.0.0", {"Remote-MTA", "Last-Attempt-Date"},
                ["passed on", "mx.dest.example took it"]),
}


@pytest.mark.parametrize("ret", ["", "RET=FULL", "RET=HDRS"])
@pytest.mark.parametrize("action", OUTCOMES)
def test_each_combination(way, action, ret):
    """R39, R74, R75, R76, R77, R78, E9, E10: one report with all whose sender is to hear."""
    said, what, status, fields, words = OUTCOMES[action]
    if said:
        refuse(way, said)
    way.postern.settings["delay_warning"] = "1h"
    way.submit(f"{ret} ENVID=QQ+2B1",
               [(name(n), f"NOTIFY={n}" * bool(n) + f" ORCPT=rfc822;{name(n)}+2Bx") for n in NOTIFIES],
               body=TEXT)
    if action == "delayed":
        tried(way)
        assert reports(way) == []
        later(way, HOUR)
        again(way)                          # once is enough
    way.postern.settled(action == "delayed")
    [report] = reports(way)
    assert report.actions() == {name(n): action for n in NOTIFIES if hears(n, what)}
    for address, block in report.recipients.items():
        assert block["Original-Recipient"] == f"rfc822; {address}+x"
        assert block["Final-Recipient"] == f"rfc822; {address}"
        assert block["Status"] == status and block["Remote-MTA"] == "dns; mx.dest.example"
        assert block["Diagnostic-Code"].startswith("smtp; " + (said or "250 2.0.0"))
        assert fields <= set(block) and ("Will-Retry-Until" in block) == (action == "delayed")
    assert report.about["Reporting-MTA"] == "dns; mx.test.example"
    assert report.about["Original-Envelope-Id"] == "QQ+1" and report.about["Arrival-Date"]
    assert all(w in report.text for w in words), report.text
    whole = ret == "RET=FULL" and action == "failed"
    assert report.parts == ["text/plain", "message/delivery-status",
                            "message/rfc822" if whole else "text/rfc822-headers"]
    assert "Subject: the subject" in report.given_back()
    assert ("the text" in report.given_back()) == whole


@pytest.mark.parametrize("notify", ["NOTIFY=SUCCESS", "NOTIFY=NEVER"])
def test_host_that_reports_itself(way, notify):
    """R74: a host with DSN reports itself."""
    way.sink.ehlo = FULL
    way.submit("", [("u@dest.example", notify)])
    way.postern.settled()
    assert [m.sender for m in way.sink.messages] == ["a@sender.example"]


def test_several_outcomes_in_one_report(way):
    """R76, R77: failed, delayed and relayed together, the worst one in the subject."""
    answers = {"bad": "550 5.7.1 no", "slow": "450 4.2.0 wait", "good": "250 ok"}
    way.sink.say["RCPT"] = lambda line: next((v for k, v in answers.items() if k in line), "250 ok")
    way.postern.settings["delay_warning"] = "1h"
    way.submit("", [(f"{k}@dest.example", "NOTIFY=SUCCESS" if k == "good" else "") for k in answers],
               max_connections=0)
    spoolfile.elapse(way.postern.spool, HOUR)
    way.postern.due()
    way.postern.settled(1)
    [report] = reports(way)
    assert report.actions() == {"bad@dest.example": "failed", "slow@dest.example": "delayed",
                                "good@dest.example": "relayed"}
    assert report.subject == "Your message could not be delivered"
    assert report.text.index("<bad@") < report.text.index("<slow@") < report.text.index("<good@")


@pytest.mark.parametrize("size, whole", [(1000, True), (70000, False)])
def test_whole_only_if_small(way, size, whole):
    """E9, R78"""
    refuse(way, "550 5.1.1 no")
    way.submit("RET=FULL", body="Subject: x\n\n" + ("y" * 70 + "\n") * (size // 72))
    way.postern.settled()
    [report] = reports(way)
    assert report.parts[2] == ("message/rfc822" if whole else "text/rfc822-headers")
    assert ("yyyy" in report.given_back()) == whole


@pytest.mark.parametrize("fields, whole", [(["Ret: FULL"], False), (["Ret: FULL", "Whole: yes"], True)])
def test_whole_only_to_who_may_send_anywhere(way, fields, whole):
    """E10: what a stranger sends in somebody else's name does not come back to that one."""
    refuse(way, "550 5.1.1 no")
    spoolfile.write(way.postern.spool, IDENT, ["u@dest.example"], b"Subject: x\r\n\r\npayload\r\n",
                    fields=fields)
    way.postern.due()
    way.postern.settled()
    [report] = reports(way)
    assert ("payload" in report.given_back()) == whole


def test_whole_in_eight_bits(way):
    """R78: BODY=8BITMIME, and labelled so."""
    refuse(way, "550 5.1.1 no")
    way.submit("RET=FULL BODY=8BITMIME", body="Subject: x\n\nj\u00f6\n")
    way.postern.settled()
    [report] = reports(way)
    assert report.mail["Content-Transfer-Encoding"] == "8bit"
    assert "j\u00f6" in report.given_back()
    assert [x for x in way.sink.lines if x.startswith("MAIL FROM:<> ") and "BODY=8BITMIME" in x]


UNFIT = { # what the sender's host announces; a message that it could not have
    "header": ("SIZE 10000000", "From: <a@s\u00e4.example>\r\nSubject: x\r\n\r\nthe text\r\n".encode()),
    "signed": ("SIZE 10000000", b"Subject: x\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nthe text \xe4"
               b"\r\n--b\r\n\r\nsignature\r\n--b--\r\n"),
    "large": ("SIZE 30000", b"Subject: x\r\n\r\n" + (b"the text" * 9 + b"\r\n") * 500),
}


@pytest.mark.parametrize("who", ["sender", "double_bounce"])
@pytest.mark.parametrize("what", UNFIT)
def test_whole_that_does_not_fit(way, world, what, who):
    """R78, A21, E16: a report is not lost because it gives back what its reader's host does not take."""
    offers, chunk = UNFIT[what]
    world.domain("sender.example", "127.0.0.3")
    host = world.another("127.0.0.3", ehlo=["PIPELINING", offers])
    refuse(way, "550 5.1.1 no")
    if who == "sender":
        way.submit("RET=FULL", chunk=chunk)
    else:
        way.submit(chunk=chunk, sender="", double_bounce="a@sender.example")
    way.postern.settled()
    [mail] = host.messages
    report = Report(mail.data)
    assert report.actions() == {"u@dest.example": "failed"}
    assert report.parts[2] == "text/rfc822-headers" and "Subject: x" in report.given_back()
    assert "the text" not in report.given_back() and "Its header is at the end" in report.text
    log = way.postern.logged()
    assert ("the reader of the report is told by" in log) == (what == "large") and "dropped" not in log


@pytest.mark.parametrize("body, kind", [
    ("Subject: x\u00f6\n\nx\n", "message/global-headers"),
    (b"Subject: x\xff\r\n\r\nx\r\n", "text/rfc822-headers"),
    ("Subject: x\n\nx\n", "text/rfc822-headers")], ids=["utf-8", "not-utf-8", "ascii"])
def test_global_report(way, body, kind):
    """R69, R76, R77: to a sender with such an address the report is in UTF-8 (RFC 6533)."""
    way.sink.ehlo = FULL
    refuse(way, "550 5.1.1 no")
    chunk = body if isinstance(body, bytes) else None
    way.submit("SMTPUTF8", [("\u00e4@dest.example", ""), ("u@dest.example", "")], sender="j\u00f6@sender.example",
               body=body if chunk is None else "", chunk=chunk)
    way.postern.settled()
    [report] = reports(way)
    assert report.parts == ["text/plain", "message/global-delivery-status", kind]
    assert report.recipients["\u00e4@dest.example"]["Final-Recipient"] == "utf-8; \u00e4@dest.example"
    assert "<\u00e4@dest.example>" in report.text


@pytest.mark.parametrize("status, words", [
    ("5.1.1", "no such mailbox"), ("5.1.10", "takes no mail at all"), ("5.2.2", "is full"),
    ("5.3.4", "too large"), ("5.7.1", "reasons of its own"), ("5.7.26", "reasons of its own"),
    ("5.7.30", "REQUIRETLS"), ("5.5.9", "postmaster may help")])
def test_advice(way, status, words):
    """R76: what a person can do, before what the server said, which stands there as it was."""
    refuse(way, f"554 {status} Zweite Mauer")
    way.submit()
    way.postern.settled()
    [report] = reports(way)
    assert words in report.text and f"    554 {status} Zweite Mauer\n" in report.text
    assert report.text.index(words) < report.text.index("Zweite")


# ---- mail that waits

def test_lane_that_is_down(way, world):
    """R75: also of mail that is not tried, for nobody answers; once, and only to who is to hear."""
    world.domain("dest.example", "127.0.0.9")
    way.postern.settings["delay_warning"] = "1h"
    way.submit("", [("u@dest.example", ""), ("quiet@dest.example", "NOTIFY=FAILURE")])
    tried(way)
    again(way)
    assert reports(way) == []
    later(way, HOUR)
    again(way)
    way.postern.settled(1)
    [report] = reports(way)
    assert report.actions() == {"u@dest.example": "delayed"}
    block = report.recipients["u@dest.example"]
    assert block["Status"] == "4.4.7" and block["Remote-MTA"] == "dns; mx.dest.example"
    assert block["Diagnostic-Code"].startswith("x-postern; connect: ")
    assert "mx.dest.example was tried" in report.text
    [log] = [p for p in way.postern.lane_files() if p.name.endswith(".log")]
    assert log.read_text().count(" told 1\n") == 1


@pytest.mark.parametrize("setting, sender, warned", [
    ("0s", "a@sender.example", False), ("1h", "", False), ("1h", "a@sender.example", True)])
def test_no_warning(way, setting, sender, warned):
    """E7, R40: switched off; never to the null sender."""
    refuse(way, "450 4.2.1 later")
    way.postern.settings["delay_warning"] = setting
    way.submit(sender=sender)
    tried(way)
    later(way, HOUR)
    way.postern.settled(1)
    assert len(way.sink.messages) == warned


def test_warning_survives(way):
    """E16: a report that cannot be queued is made at the next attempt."""
    refuse(way, "450 4.2.1 later")
    way.postern.settings["delay_warning"] = "1h"
    way.submit()
    tried(way)
    obstacle = way.postern.spool / "lane" / "sender.example"
    obstacle.touch()
    later(way, HOUR)
    obstacle.unlink()
    assert "cannot queue the report" in way.postern.rested() and reports(way) == []
    again(way)
    way.postern.settled(1)
    assert [r.actions() for r in reports(way)] == [{"u@dest.example": "delayed"}]


@pytest.mark.parametrize("down", [True, False], ids=["down", "put-off"])
@pytest.mark.parametrize("mode, action", [("N", "delayed"), ("R", "failed")])
def test_by_a_time(way, world, mode, action, down):
    """R87: when it has passed the sender hears of it, once with N, and with R that is the end."""
    way.sink.ehlo = FULL
    if down:
        world.domain("dest.example", "127.0.0.9")
    else:
        refuse(way, "450 4.2.1 later")
    way.postern.settings["retry"] = "1h"
    way.submit(f"BY=600;{mode}")
    tried(way)
    again(way)
    assert reports(way) == []
    if not down: # it is due at that time, whatever the schedule says
        [log] = [p for p in way.postern.lane_files() if p.name.endswith(".log")]
        [queued] = way.postern.messages()
        assert log.stat().st_mtime == int(spoolfile.SpoolFile(queued).one("By").split(" ")[0])
    later(way, 600)
    again(way)
    way.postern.settled(mode == "N")
    [report] = reports(way)
    assert report.actions() == {"u@dest.example": action}
    assert report.recipients["u@dest.example"]["Status"] == \
        {"R": "5.4.7", "N": "4.4.7" if down else "4.2.1"}[mode]


@pytest.mark.parametrize("by, ehlo, notify, told", [
    ("N", ("DSN",), "", True),
    ("N", ("DSN",), "NOTIFY=NEVER", False),
    ("N", ("DSN", "DELIVERBY"), "", False),
    ("NT", ("DSN", "DELIVERBY"), "", True),
    ("RT", ("DSN", "DELIVERBY"), "NOTIFY=FAILURE", True),
    ("RT", ("DSN", "DELIVERBY"), "NOTIFY=NEVER", False),
])
def test_time_is_passed_on(way, by, ehlo, notify, told):
    """R87: with N to a host that knows no times; with T, to one that does."""
    way.sink.ehlo = ("PIPELINING", *ehlo)
    way.submit(f"BY=600;{by}", [("u@dest.example", notify)])
    way.postern.settled()
    assert [r.actions() for r in reports(way)] == [{"u@dest.example": "relayed"}] * told


@pytest.mark.parametrize("ehlo, by, notify, action", [
    ((), "", "NOTIFY=SUCCESS", "delivered"), ((), "", "", None), ((), "", "NOTIFY=NEVER", None),
    (("DSN",), "", "NOTIFY=SUCCESS", None), ((), "BY=600;R", "", None), ((), "BY=600;N", "", None),
    ((), "BY=600;NT", "NOTIFY=SUCCESS", "delivered")])
def test_final_delivery(way, world, ehlo, by, notify, action):
    """R74, R76, R87: a host of LMTP is the last one: what it took is delivered, and in time."""
    way.postern.configure("[route boxes]", "domains = dest.example", "protocol = lmtp",
                          f"hosts = [127.0.0.2]:{world.port}")
    way.sink.ehlo = ("PIPELINING", *ehlo)
    way.submit(by, [("u@dest.example", notify)])
    way.postern.settled()
    assert [m.sender for m in way.sink.messages][0] == "a@sender.example"
    assert [r.actions() for r in reports(way)] == [{"u@dest.example": action}] * (action is not None)
    assert all(r.subject == "Your message was delivered" for r in reports(way))


# ---- mail from nobody

def test_double_bounce(way, world):
    """E7: to who was named, whole, whatever NOTIFY says; and to nobody when that fails."""
    way.postern.settings["double_bounce"] = "admin@Back.example"
    world.domain("back.example")
    refuse(way, "550 5.1.1 no")
    way.submit(sender="", recipients=[("u@dest.example", "NOTIFY=NEVER")], body=TEXT)
    way.postern.settled()
    [report] = reports(way)
    assert way.sink.messages[0].recipients == ["admin@Back.example"]
    assert report.actions() == {"u@dest.example": "failed"} and "the text" in report.given_back()
    assert report.subject == "Mail without a sender could not be delivered"


def test_double_bounce_ends(way, world):
    """E7, E12: what fails on its way there is dropped; two that refuse each other's reports stop."""
    way.postern.settings["double_bounce"] = "admin@back.example"
    world.domain("back.example")
    way.sink.say["RCPT"] = "550 5.1.1 no"
    way.submit()
    way.postern.settled()
    assert way.sink.messages == [] and "dropped: no sender" in way.postern.logged()
    mail = [x for x in way.sink.lines if x.startswith("RCPT")]
    assert [x.split("<")[1].split(">")[0] for x in mail] == [
        "u@dest.example", "a@sender.example", "admin@back.example"]


def test_one_refuses_the_others_reports(way):
    """E12: refused for its null sender, the report is dropped."""
    way.sink.say["MAIL"] = lambda line: "550 5.7.1 no reports" if "<>" in line else "250 ok"
    refuse(way, "550 5.1.1 no")
    way.submit()
    way.postern.settled()
    assert way.sink.messages == [] and len([x for x in way.sink.lines if "MAIL" in x]) == 2


# ---- at once

def test_now(way, world):
    """`relay --due --now`: waits of lanes and messages are over, but not what a sender asked for."""
    world.domain("down.example", "127.0.0.9")
    refuse(way, "450 4.2.1 later")
    way.postern.settings["retry"] = "1h"
    way.submit("", [("u@dest.example", ""), ("v@down.example", "")])
    way.submit("HOLDFOR=3600")
    way.postern.wait_logged("next try in", 2)
    way.postern.settled(3)
    way.sink.say.clear()
    world.domain("down.example")
    way.postern.due()
    way.postern.settled(3)
    assert way.postern.start(None, None, "relay", "--due", "--now").wait(patience.PATIENCE) == 0
    way.postern.settled(1)
    assert sorted(m.recipients for m in way.sink.messages) == [["u@dest.example"], ["v@down.example"]]


def test_now_where_nothing_can_be_written(way, world):
    """S13: whoever asked for it hears that it came to nothing."""
    refuse(way, "450 4.2.1 later")
    way.postern.settings["retry"] = "1h"
    way.submit()
    way.postern.wait_logged("next try in")
    way.postern.rested()
    (way.postern.spool / "lane" / "dest.example" / "@lock").chmod(0o400)
    assert way.postern.start(None, None, "relay", "--due", "--now").wait(patience.PATIENCE) == 75
    way.postern.wait_logged("lane dest.example: what waits there cannot be made due: Permission denied")


def test_now_is_counted(way, world):
    """R55: attempts that were asked for count as others do, so that mail ends at last."""
    world.domain("dest.example", "127.0.0.9")
    way.postern.settings.update(expire="1d", retry="1h", delay_warning="0s")
    way.submit()
    tried(way)
    spoolfile.elapse(way.postern.spool, DAY + 1)
    for _ in range(2): # with the one above, as many as end it (EXPIRE_ATTEMPTS)
        assert reports(way) == []
        assert way.postern.start(None, None, "relay", "--due", "--now").wait(patience.PATIENCE) == 0
        way.postern.rested()
    way.postern.settled()
    assert [r.actions() for r in reports(way)] == [{"u@dest.example": "failed"}]


# ---- what the other side makes of it

HOSTILE = [
    ("550 5.1.1 \x1b[2J%n%s\x7f\u2028 x", r"\x1b[2J%n%s\x7f\xe2\x80\xa8 x"),
    ("550-5.1.1 ------\r\n550---01hf0000000000000001--\r\n550 Subject: evil", "5.1.1 ------"),
    ("550 5.1.1 " + "x" * 2000, "x" * 300),
    ("550-" + "y" * 900 + "\r\n550-\r\n550-\r\n550 5.1.1 z", "y" * 300),
    ("550 5.1.1 a\0b", r"a\x00b"),
    ("550 5.1.1 a\rb", r"a\x0db"),
]


@pytest.mark.parametrize("reply, words", HOSTILE, ids=["control", "boundary", "long", "lines", "nul", "cr"])
def test_hostile_reply(way, reply, words):
    """E6, E11: what a host says is escaped and cut, in the log and in the report, which stays one."""
    refuse(way, reply)
    way.submit()
    way.postern.settled()
    [mail] = [m for m in way.sink.messages if m.sender == ""]
    report = Report(mail.data)
    assert report.actions() == {"u@dest.example": "failed"} and report.mail.get_all("Subject") == [
        "Your message could not be delivered"]
    assert words in report.text and words in report.recipients["u@dest.example"]["Diagnostic-Code"]
    assert all(32 <= c < 127 for c in mail.data.replace(b"\r\n", b"").replace(b"\t", b""))
    assert max(map(len, mail.data.split(b"\r\n"))) <= 998
    [line] = [x for x in way.postern.logged().splitlines() if " bounced " in x]
    assert line.isprintable() and line.isascii() and len(line) < 4096


@pytest.mark.parametrize("reply", [
    "\r\n".join(["550-" + "x" * 1000] * 1000 + ["550 5.1.1 no"]), "550 5.1.1 " + "x" * 1000000], ids=["lines", "line"])
def test_no_reply(way, reply):
    """E6: not a megabyte; the message waits."""
    refuse(way, reply)
    way.submit()
    tried(way)
    assert max(map(len, way.postern.logged().splitlines())) < 4096


def test_large_message(way):
    """E9: of 50 MB comes back what stands in the header, whatever was asked for."""
    refuse(way, "550 5.1.1 no")
    way.submit("RET=FULL", chunk=b"Subject: big\r\n\r\n" + (b"z" * 78 + b"\r\n") * 650000,
               max_size="60M")
    way.postern.settled()
    [mail] = [m for m in way.sink.messages if m.sender == ""]
    assert len(mail.data) < 4096 and "Subject: big" in Report(mail.data).given_back()
