"""What relay hands on to the next host of an envelope, what it does where it cannot, and how the
sender hears of it."""
import email
import email.policy
import re
import time

import pytest

import spoolfile

FULL = ("PIPELINING", "8BITMIME", "SIZE 100000000", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN",
        "DELIVERBY", "MT-PRIORITY MIXER")
USER = ("joe:{SCRAM-SHA-256}10000,wOBd1E8bKWJQevuw/wUwbA==,cEYe0C5sx2aRoDXwknUkhi1PHnPhOv8jBFJt/Ji6"
        "UXA=,46tgMZRNaHpusywpyFizIfa+AHkmaAYuaZ7STKrE8E0=\n") # the password is "secret"
IDENT = "01hf0000000000000001"


class Way:
    """From a client to dest.example, whose host announces what it is told to."""

    def __init__(self, postern, world, wait):
        self.postern, self.sink, self.wait = postern, world.sink, wait
        world.domain("dest.example")
        (postern.where / "users").write_text(USER)

    def submit(self, mail="", recipients=(("u@dest.example", ""),), body="Subject: x\n\nhello\n",
               chunk=None, sender="a@sender.example", **settings):
        """Queues one message as an authenticated client; `chunk` goes by BDAT."""
        to = "".join(f"RCPT TO:<{a}> {p}\n" for a, p in recipients)
        text = (f"EHLO client.example\nAUTH PLAIN AGpvZQBzZWNyZXQ=\n"
                f"MAIL FROM:<{sender}> {mail}\n{to}").encode()
        text += f"DATA\n{body}.\n".encode() if chunk is None else b"BDAT %d LAST\n%b" % (
            len(chunk), chunk)
        said = self.postern.pipe(text + b"QUIT\n", auth_users=self.postern.where / "users",
                                 **settings)
        assert "250 2.0.0 Ok: queued" in said, said

    def message(self, sender="a@sender.example"):
        return self.wait(lambda: next((m for m in self.sink.messages if m.sender == sender), None))

    def commands(self):
        """MAIL and RCPT of the message, once it has arrived; not those of a report."""
        self.message()
        return [line for line in self.sink.lines
                if "a@sender" in line and line.startswith("MAIL") or "dest.example" in line]

    def refused(self):
        """The report that came in place of the message: its text."""
        text = self.message("").data.decode()
        self.postern.settled()
        assert not [m for m in self.sink.messages if m.sender], "nothing was sent"
        return text

    def age(self, seconds):
        """As if what is queued had come so much earlier."""
        self.postern.rested()
        spoolfile.elapse(self.postern.spool, seconds)

    def queued(self, field):
        """A time in the envelope of the only message in the queue."""
        [path] = self.postern.messages()
        return int(spoolfile.SpoolFile(path).one(field).split(" ")[0])


@pytest.fixture
def way(postern, world, wait):
    return Way(postern, world, wait)


PASSED = [ # keyword of the extension, parameter of MAIL, of RCPT
    ("8BITMIME", "BODY=8BITMIME", ""),
    ("8BITMIME", "BODY=7BIT", ""),
    ("DSN", "RET=HDRS", ""),
    ("DSN", "RET=FULL ENVID=QQ+2B1+3D", ""),
    ("DSN", "", "NOTIFY=SUCCESS,DELAY"),
    ("DSN", "", "NOTIFY=NEVER"),
    ("DSN", "", "NOTIFY=FAILURE ORCPT=rfc822;U+2B1@Dest.EXAMPLE"), # D22
    ("MT-PRIORITY", "MT-PRIORITY=-9", ""),
    ("MT-PRIORITY", "MT-PRIORITY=3", ""),
]


@pytest.mark.parametrize("keyword, mail, rcpt", PASSED,
                         ids=[f"{k}-{(m + r).split('=')[-1]}" for k, m, r in PASSED])
def test_passed_on(way, keyword, mail, rcpt):
    """R73, D22: with the value it came with, letter case and "+2B" included."""
    assert keyword in {word.split(" ")[0] for word in FULL}
    way.sink.ehlo = FULL
    way.submit(mail, [("u@dest.example", rcpt)])
    from_line, to_line = way.commands()
    assert re.fullmatch(rf"MAIL FROM:<a@sender\.example> SIZE=\d+ ?{re.escape(mail)}", from_line)
    assert to_line == f"RCPT TO:<u@dest.example> {rcpt}".rstrip()


@pytest.mark.parametrize("given", ["\u00e4+\U0001f4e7", r"\x{E4}\x{2B}\x{1F4E7}"], ids=["utf-8", "ascii"])
def test_orcpt_beyond_ascii(way, given):
    """R72, R73, D22: passed on and reported in the form that every host understands."""
    given = given.replace("+", r"\x{2B}")
    known = r"utf-8;\x{E4}\x{2B}\x{1F4E7}@first.example"
    way.sink.ehlo = FULL
    way.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "dest" in line else "250 ok"
    way.submit("SMTPUTF8", [("u@dest.example", f"ORCPT=utf-8;{given}@first.example")])
    text = way.refused()
    assert f"RCPT TO:<u@dest.example> ORCPT={known}" in way.sink.lines
    assert f"\r\nOriginal-Recipient: {known.replace(';', '; ')}\r\n" in text


@pytest.mark.parametrize("keyword, mail, rcpt", PASSED)
def test_not_sent_to_hosts_without(way, keyword, mail, rcpt):
    """R74: what the host did not announce it is not told; it gets the message all the same."""
    way.sink.ehlo = tuple(k for k in FULL if k.split(" ")[0] not in (keyword, "SIZE"))
    way.submit(mail, [("u@dest.example", rcpt)])
    assert way.commands() == ["MAIL FROM:<a@sender.example>", "RCPT TO:<u@dest.example>"]


@pytest.mark.parametrize("ehlo", [FULL, ()], ids=["full", "bare"])
def test_nothing_is_invented(way, ehlo):
    """R73, R33: no parameter but SIZE, and that only where it is announced."""
    way.sink.ehlo = ehlo
    way.submit()
    from_line, to_line = way.commands()
    assert to_line == "RCPT TO:<u@dest.example>"
    size = r" SIZE=\d+" if ehlo else ""
    assert re.fullmatch(rf"MAIL FROM:<a@sender\.example>{size}", from_line)
    assert b"Return-Path" not in way.message().data


def test_size_passed_on(way):
    """R63: what is announced is what is sent, with the field that was added."""
    way.sink.ehlo = FULL
    way.submit()
    assert int(way.commands()[0].split("SIZE=")[1]) == len(way.message().data)


def test_time_that_is_left(way):
    """R87: BY counts from where the message is now."""
    way.sink.ehlo = FULL
    way.submit("BY=36000;RT", max_connections=0)
    way.age(1000)
    check_time_left(way, "RT", 35000)


def test_time_that_is_over(way):
    """R87: with N the message goes, late as it is; the number says how late."""
    way.sink.ehlo = FULL
    way.submit("BY=-10;N", max_connections=0)
    check_time_left(way, "N", -10)


def check_time_left(way, mode, most):
    """What the host hears is the time from its arrival there to that of the envelope, which is at most so far away."""
    by, before = way.queued("By"), int(time.time())
    way.postern.due()
    left, said = re.search(r" BY=(-?\d+);(\w+)$", way.commands()[0]).groups()
    arrived, after = by - int(left), time.time()
    assert said == mode and int(left) <= most
    assert before <= arrived <= after


@pytest.mark.parametrize("late", [False, True], ids=["no-deliverby", "expired"])
def test_by_or_return(way, late):
    """R87: a host that does not promise a time does not get it, and nobody when it is over."""
    way.sink.ehlo = FULL if late else ("PIPELINING", "8BITMIME")
    way.submit("BY=36000;R", max_connections=0)
    if late:
        way.age(36000)
    way.postern.due()
    assert "Status: 5.4.7\r\n" in way.refused()


BINARY = bytes(range(256)) * 500 + b"\r\n.\r\n\n.\n\r.\r" + b"\0" * 70000 + b"no end"


def test_binary_by_bdat(way):
    """R67, A22: octet for octet, counted."""
    way.sink.ehlo = FULL
    way.submit("BODY=BINARYMIME", chunk=BINARY)
    got = way.message().data
    assert got.endswith(b" +0000\r\n" + BINARY)
    assert " BODY=BINARYMIME" in way.commands()[0]
    chunks = [x for x in way.sink.lines if x[:4] in ("DATA", "BDAT")]
    assert chunks == ["BDAT 6 LAST", f"BDAT {len(got)} LAST"] # the first one asks what the host does with it (L20)


@pytest.mark.parametrize("without", ["CHUNKING", "BINARYMIME"])
def test_binary_needs_both(way, without):
    """R67, A21: made into 7-bit text for a host that lacks one, if it can be taken apart."""
    way.sink.ehlo = tuple(k for k in FULL if k != without)
    way.submit("BODY=BINARYMIME", chunk=b"MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
               b"Content-Transfer-Encoding: binary\r\n\r\n" + BINARY)
    assert "BODY=" not in way.commands()[0]
    text = email.message_from_bytes(way.message().data)
    assert text["Content-Transfer-Encoding"] == "base64"
    assert text.get_payload(decode=True) == BINARY


def test_binary_that_cannot_be_converted(way):
    """R67, L59b: returned, not guessed; and that the host takes 8-bit text is no reason."""
    way.sink.ehlo = tuple(k for k in FULL if k != "BINARYMIME")
    way.submit("BODY=BINARYMIME", chunk=b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed;"
               b" boundary=b\r\n\r\n" + BINARY)
    report = way.refused()
    assert "Status: 5.6.3\r\n" in report and "the host takes lines of text only, and" in report
    assert "8-bit" not in report and "7-bit" not in report


def test_utf8_passed_on(way):
    """R69"""
    way.sink.ehlo = FULL
    way.submit("SMTPUTF8", [("ä@dest.example", "")], "Subject: ä\n\nä\n")
    from_line, to_line = way.commands()
    assert " SMTPUTF8" in from_line and to_line.encode("latin-1").decode() == \
        "RCPT TO:<ä@dest.example>"
    assert way.message().data.endswith("Subject: ä\r\n\r\nä\r\n".encode())


def test_utf8_needs_the_extension(way):
    """R69"""
    way.sink.ehlo = tuple(k for k in FULL if k != "SMTPUTF8")
    way.submit("SMTPUTF8", [("ä@dest.example", "")])
    assert "Status: 5.6.7\r\n" in way.refused()


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize("to, text", [("u@dest.example", "Subject: x\n\nhello\n"),
                                      ("u@dest.example", "Subject: x\n\n\u00e4\n"),
                                      ("u@d\u00e4st.example", "Subject: x\n\nhello\n")],
                         ids=["ascii", "text", "domain"])
def test_utf8_that_was_only_said(way, world, able, to, text):
    """L1: every Go program says SMTPUTF8 where it may. What does not need it goes without the word, to every
    host; Received: is the ordinary one."""
    world.domain("xn--dst-qla.example")
    way.sink.ehlo = FULL if able else ("8BITMIME",)
    way.submit("BODY=8BITMIME SMTPUTF8", [(to, "")], text)
    message = way.message()
    assert message.recipients == [to.replace("d\u00e4st", "xn--dst-qla")]
    assert not [x for x in way.sink.lines if "SMTPUTF8" in x]
    assert b" with ESMTPA id " in message.data
    way.postern.settled()
    assert len(way.sink.messages) == 1, "no report"


@pytest.mark.parametrize("size", [50_000, 200_000])
def test_utf8_and_a_long_header(way, size):
    """L1: what is held back of a header until its need is known is not lost, and not without end."""
    way.sink.ehlo = FULL
    header = "Subject: x\n" + "".join(f"X-{n}: {'x' * 900}\n" for n in range(size // 900))
    way.submit("SMTPUTF8", body=f"{header}\nhello\n")
    text = way.message().data
    assert text.endswith(f"{header}\nhello\n".replace("\n", "\r\n").encode())
    assert b" with ESMTPA id " in text[:300] and text.count(b"Received: ") == 1


def test_utf8_takes_nobody_along(way):
    """L1, R69: a recipient that needs the extension is returned; the others get the message."""
    way.sink.ehlo = ("8BITMIME",)
    way.submit("SMTPUTF8", [("u@dest.example", ""), ("\u00e4@dest.example", "")])
    assert way.message().recipients == ["u@dest.example"]
    report = way.message("").data.decode()
    assert "Status: 5.6.7\r\n" in report and report.count("Final-Recipient:") == 1


def test_lines_that_were_called_binary(way):
    """L1: BINARYMIME was allowed, and not needed: 8BITMIME will do, though nothing could be converted."""
    way.sink.ehlo = ("8BITMIME",)
    way.submit("BODY=BINARYMIME", chunk=b"Subject: \xe4\r\n\r\n\xe4\r\n")
    assert " BODY=8BITMIME" in way.commands()[0]
    assert way.message().data.endswith(b"Subject: \xe4\r\n\r\n\xe4\r\n")


@pytest.mark.parametrize("mail", ["", "BODY=7BIT", "BODY=8BITMIME"])
def test_eight_bits_need_the_extension(way, mail):
    """A21, R68: not stripped, but made into 7-bit text, whatever the client called it."""
    way.sink.ehlo = ("PIPELINING", "SIZE 1000")
    way.submit(mail, body="Subject: x\n\n\u00e4\n..\n")
    data = way.message().data
    assert way.commands()[0] == f"MAIL FROM:<a@sender.example> SIZE={len(data)}"
    assert b"\r\n\r\n=C3=A4\r\n.\r\n" in data and data.isascii()
    assert email.message_from_bytes(data).get_payload(decode=True) == b"\xc3\xa4\r\n.\r\n"


def test_eight_bits_that_cannot_be_converted(way):
    """A21, R68: an address is what it is, and nothing else stands for it; the sender is told."""
    way.sink.ehlo = ("PIPELINING",)
    way.submit(body="Subject: x\nFrom: <\u00e4@sender.example>\n\nx\n")
    report = way.refused()
    assert "Status: 5.6.3\r\n" in report and "the host takes 7-bit text only, and 8-bit" in report


def test_eight_bits_of_the_header(way):
    """L59a: what a reader is to see is encoded, though the script did not do it."""
    way.sink.ehlo = ("PIPELINING",)
    way.submit(body="Subject: Gr\u00fc\u00dfe an alle\nFrom: J\u00e4n <a@sender.example>\n\nx\n")
    text = email.message_from_bytes(way.message().data, policy=email.policy.default)
    assert text["Subject"] == "Gr\u00fc\u00dfe an alle" and text["From"] == "J\u00e4n <a@sender.example>"
    assert way.message().data.isascii() and text.get_content() == "x\r\n"


def test_eight_bits_without_a_version(way):
    """L59a: MIME fields mean what they say, though the script forgot the one that says so."""
    way.sink.ehlo = ("PIPELINING",)
    way.submit(body="Subject: x\nContent-Type: text/plain; charset=utf-8\n\n\u00e4\n")
    text = email.message_from_bytes(way.message().data)
    assert text["MIME-Version"] == "1.0" and text["Content-Transfer-Encoding"] == "quoted-printable"
    assert text.get_payload(decode=True) == b"\xc3\xa4\r\n"


@pytest.mark.parametrize("mail", ["", "BODY=7BIT", "BODY=8BITMIME"])
def test_eight_bits_are_announced(way, mail):
    """R68: RFC 6152 wants it said; what the client called its text may be wrong."""
    way.sink.ehlo = FULL
    way.submit(mail, body="Subject: x\n\n\u00e4\n")
    assert way.commands()[0].endswith(" BODY=8BITMIME")
    assert way.message().data.endswith("\r\n\r\nä\r\n".encode())


@pytest.mark.parametrize("how", ["HOLDFOR=3600", "HOLDUNTIL="])
def test_held(way, how):
    """R88: not before its time, and then without being asked twice."""
    if how == "HOLDUNTIL=":
        how += time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    way.submit(how)
    way.postern.rested()
    way.postern.due()
    way.postern.settled(1)
    assert way.sink.lines == []
    [log] = [p for p in way.postern.lane_files() if p.name.endswith(".log")]
    assert log.stat().st_size == 0 and log.stat().st_mtime == way.queued("Hold") # seen without a look
    way.age(3600)
    way.postern.due()
    assert way.message().recipients == ["u@dest.example"]


def test_notify_decides_about_the_report(way):
    """R75, R42: one report, of those whose failure was to be told or not spoken of."""
    way.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "dest" in line else "250 ok"
    way.submit("", [("never@dest.example", "NOTIFY=NEVER"), ("s@dest.example", "NOTIFY=SUCCESS"),
                    ("d@dest.example", "NOTIFY=DELAY,SUCCESS"),
                    ("f@dest.example", "NOTIFY=FAILURE"),
                    ("unsaid@dest.example", "")])
    text = way.refused()
    assert re.findall(r"Final-Recipient: rfc822; (\w+)@", text) == ["f", "unsaid"]
    assert len(way.sink.messages) == 1


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY"])
def test_no_report(way, notify):
    """R75"""
    way.sink.say["RCPT"] = "550 5.1.1 no"
    way.submit("", [("u@dest.example", f"NOTIFY={notify}")])
    way.postern.settled()
    assert [x for x in way.sink.lines if x.startswith("MAIL FROM:<>")] == []


def test_report_names_what_the_sender_knows(way):
    """R76, R77, R78, R39: what ORCPT and ENVID stand for, decoded and not escaped."""
    way.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "dest" in line else "250 ok"
    way.submit("RET=HDRS ENVID=QQ+2B1",
               [("u@dest.example", r'ORCPT=rfc822;"U+2B\"1"@First.EXAMPLE')],
               body="Subject: the subject\n\nthe text\n")
    text = way.refused()
    assert "\r\nOriginal-Envelope-Id: QQ+1\r\n" in text
    assert '\r\nOriginal-Recipient: rfc822; "U+\\"1"@First.EXAMPLE\r\n' \
        "Final-Recipient: rfc822; u@dest.example\r\nAction: failed\r\nStatus: 5.1.1\r\n" in text
    assert "\r\nReporting-MTA: dns; mx.test.example\r\n" in text
    assert "\r\nAuto-Submitted: auto-replied\r\n" in text and "\r\nTo: a@sender.example\r\n" in text
    kinds = re.findall(r"Content-Type: ([\w/-]+)", text)
    assert kinds == ["multipart/report", "text/plain", "message/delivery-status",
                     "text/rfc822-headers"]
    assert "Subject: the subject\r\n" in text and "the text" not in text


def test_report_in_ascii(way):
    """R39, R44, R69, A21: a host that takes nothing else gets the report all the same."""
    way.sink.ehlo = ()
    header = (b"Subject: =\xe4 \t " + b"\xff" * 200 + b"\r\n  x = y \r\n"
              b"X-Ascii: " + b"z" * 200 + b"\r\n")
    way.submit("SMTPUTF8", [("\u00e4\u20ac\U0001f4e7@dest.example", "")],
               chunk=header + b"\r\nx\r\n")
    text = way.refused()
    assert text.isascii() and "\r\nFinal-Recipient: utf-8; \\x{E4}\\x{20AC}\\x{1F4E7}@dest" in text
    assert "\r\n<\\x{E4}\\x{20AC}\\x{1F4E7}@dest.example>\r\n" in text
    part = email.message_from_string(text).get_payload()[2]
    assert part.get_payload(decode=True).endswith(header)
    assert max(map(len, part.get_payload().splitlines())) <= 76


@pytest.mark.parametrize("able", [True, False])
def test_report_to_such_an_address(way, able):
    """R69: a sender's address may need the extension as well."""
    way.sink.ehlo = FULL if able else ("8BITMIME",)
    way.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "dest" in line else "250 ok"
    way.submit("SMTPUTF8", sender="j\u00f6@sender.example")
    way.postern.settled()
    told = [x.encode("latin-1").decode() for x in way.sink.lines if "<>" in x or "j\xc3\xb6@" in x]
    assert [re.sub(r"SIZE=\d+ ", "", x) for x in told if "a@" not in x][-2:] == (
        ["MAIL FROM:<> BODY=8BITMIME SMTPUTF8", "RCPT TO:<j\u00f6@sender.example>"] if able else [])


def test_tls_that_was_required(way):
    """R84: nothing that could keep the promise is built in, so it is not given."""
    spoolfile.write(way.postern.spool, IDENT, ["u@dest.example"], b"Subject: x\r\n\r\nx\r\n",
                    fields=["Require-Tls: yes"])
    way.postern.due()
    assert "Status: 5.7.10\r\n" in way.refused()


SIZES = [ # what the host says to EHLO, {} being the octets of the message, and whether the message fits
    ("SIZE 100", False), ("SIZE 1", False), ("SIZE {less}", False), ("SIZE {exact}", True),
    ("SIZE abc", True), ("SIZE", True), ("SIZE 0", True), ("SIZE -1", True), ("SIZE 100 x", True),
    ("SIZE 99999999999999999999", True), ("SIZE=100", True), ("size 100", False),
]


@pytest.mark.parametrize("keyword, fits", SIZES)
def test_size_of_the_host(way, world, keyword, fits):
    """F12: a message over the limit is not even tried; a limit that is none, or means nothing, is no limit."""
    host = world.another("127.0.0.3", ehlo=())
    world.domain("dest.example", "127.0.0.3")
    way.submit(body="Subject: x\n\n" + "y" * 200 + "\n", max_connections=0)
    [queued] = way.postern.messages()
    length = len(spoolfile.SpoolFile(queued).body)
    host.ehlo = (keyword.format(less=length - 1, exact=length),)
    way.postern.due()
    way.postern.settled()
    if fits:
        assert len(host.messages[0].data) == length
    else:
        assert "\r\nStatus: 5.3.4\r\n" in way.message("").data.decode()
        assert not host.lines
