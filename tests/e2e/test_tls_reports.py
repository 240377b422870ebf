"""R86: reports on TLS go out when a day is over, to whom a domain names (RFC 8460)."""
import base64
import datetime
import email
import gzip
import json
import os
import re
import time

import pytest

import patience
import tallies
from conftest import own
from policyhost import Web, answer, context_of
from tlssink import server_context

jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("dkim")
pytest.importorskip("nacl")
import dkimkeys # noqa: E402

DAY = 24 * 60 * 60
SENDER = "tls@sender.example"

# RFC 8460 section 4.4, in words of our own.
TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
COUNT = {"type": "integer", "minimum": 0}
RESULTS = ["starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted",
           "validation-failure", "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error",
           "sts-policy-invalid", "sts-webpki-invalid"]
ADDRESS = {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
STAMP = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}


def thing(needed, **optional):
    return {"type": "object", "properties": {**needed, **optional}, "required": list(needed), "additionalProperties": False}


SCHEMA = thing({
    "organization-name": {"type": "string", "minLength": 1},
    "date-range": thing({"start-datetime": STAMP, "end-datetime": STAMP}),
    "contact-info": {"type": "string", "minLength": 1},
    "report-id": {"type": "string", "minLength": 1},
    "policies": {"type": "array", "minItems": 1, "items": thing(
        {"policy": thing({"policy-type": {"enum": ["tlsa", "sts", "no-policy-found"]}, "policy-domain": {"type": "string"}},
                         **{"policy-string": TEXTS, "mx-host": TEXTS}),
         "summary": thing({"total-successful-session-count": COUNT, "total-failure-session-count": COUNT})},
        **{"failure-details": {"type": "array", "minItems": 1, "items": thing(
            {"result-type": {"enum": RESULTS}, "failed-session-count": {"type": "integer", "minimum": 1}},
            **{"sending-mta-ip": ADDRESS, "receiving-ip": ADDRESS, "receiving-mx-hostname": {"type": "string"},
               "receiving-mx-helo": {"type": "string"}, "additional-information": {"type": "string"},
               "failure-reason-code": {"type": "string"}})}})}})


def check(report):
    """It has the form of the RFC, and its sums agree with its parts."""
    jsonschema.validate(report, SCHEMA, format_checker=jsonschema.FormatChecker())
    for entry in report["policies"]:
        assert sum(d["failed-session-count"] for d in entry.get("failure-details", [])) == \
            entry["summary"]["total-failure-session-count"]
    return report


class Reporting:
    """A world with hosts of each kind, and a domain that gets reports."""

    def __init__(self, place, key):
        self.place, self.postern, self.world = place, place.postern, place.world
        self.day = None # of which the reports are
        self.table = self.postern.where / "dkim"
        self.key = key.copied(self.postern.where)
        self.key.publish(self.world.zone, "sender.example")
        self.table.write_text(f"sender.example r2026 {self.key.path}\n")
        self.table.chmod(0o644)
        self.postern.settings.update(tls_reports="yes", tls_reports_from=SENDER, dkim_keys=self.table,
                                     max_connections_per_lane=1, window_messages=1)
        self.world.domain("reports.example", "127.0.0.4")
        self.inbox = self.world.another("127.0.0.4")
        self.ask("dest.example", "rua=mailto:tls@reports.example")

    def ask(self, domain, *fields):
        self.world.zone[(f"_smtp._tls.{domain}", "TXT")] = ['"' + ("; ".join(["v=TLSRPTv1", *fields])) + '"']

    def attempt(self, domain="dest.example", **settings):
        """A session, for a message that may have to wait; then it is gone."""
        self.postern.send(f"u@{domain}", max_connections=0, **settings)
        self.postern.due(**settings)
        self.postern.rested()
        for path in self.postern.messages():
            path.unlink()
        for path in (self.postern.spool / "lane").glob("*/*"):
            path.unlink()

    def over(self):
        """That day is over."""
        self.day = tallies.age(self.postern.spool)
        (self.postern.spool / "tlsrpt" / "@lock").unlink(missing_ok=True)

    def report(self, **settings):
        """As the timer would, often enough: the reports are made, and sent."""
        self.postern.due(**settings)
        self.postern.wait_gone("postern-tlsreport")
        self.postern.due(**settings)
        self.postern.settled()
        self.inbox.wait_left()
        return self.inbox.messages

    def left(self):
        """What is still counted, or waits to go out."""
        return [p for p in (self.postern.spool / "tlsrpt").glob("*/**/*") if p.is_file() and p.name not in ("@done", "@to")]


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return dkimkeys.Key(tmp_path_factory.mktemp("keys"), "r2026", "rsa")


@pytest.fixture
def reporting(place, key):
    return Reporting(place, key)


def parts(message):
    """(the mail, the JSON of its report)"""
    mail = email.message_from_bytes(message.data)
    words, attachment = mail.get_payload()
    assert words.get_content_type() == "text/plain"
    assert attachment.get_content_type() == "application/tlsrpt+gzip"
    packed = base64.b64decode(attachment.get_payload())
    return mail, check(json.loads(gzip.decompress(packed)))


# ---- what it says

def test_sums(reporting, cards):
    """All sessions of the day, each once: as they should be, without TLS, with certificates that are not good."""
    cards.issue("dest-expired", "/CN=e", "DNS:dest.example", days=-1, usage="serverAuth")
    sink = reporting.place.host()
    for _ in range(3):
        reporting.attempt()
    sink.ehlo_outside = ()
    for _ in range(2):
        reporting.attempt(delivery_tls="encrypt")
    sink.ehlo_outside = ("STARTTLS",)
    sink.context = server_context(cards.path("dest-expired"))
    reporting.attempt(delivery_tls="verify")
    sessions = sink.connections
    reporting.over()
    (message,) = reporting.report()
    mail, report = parts(message)
    (entry,) = report["policies"]
    assert entry["policy"] == {"policy-type": "no-policy-found", "policy-domain": "dest.example"}
    assert entry["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 3}
    assert sum(entry["summary"].values()) == sessions
    found = {d["result-type"]: d for d in entry["failure-details"]}
    assert {r: d["failed-session-count"] for r, d in found.items()} == \
        {"starttls-not-supported": 2, "certificate-expired": 1}
    for d in found.values():
        assert d["receiving-ip"] == "127.0.0.2" and d["receiving-mx-hostname"] == "mx.dest.example"
        assert d["receiving-mx-helo"] == "sink" and d["sending-mta-ip"].startswith("127.")
    assert "expired" in found["certificate-expired"]["failure-reason-code"]
    day = reporting.day
    assert report["date-range"] == {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}
    assert report["organization-name"] == "mx.test.example" and report["contact-info"] == SENDER
    assert report["report-id"] == f"{day}.dest.example@mx.test.example"
    del mail


def test_form(reporting):
    """The mail of section 5.3: signed for its From, without a sender, so that nothing comes back."""
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    (message,) = reporting.report()
    assert message.sender == "" and message.recipients == ["tls@reports.example"]
    mail, report = parts(message)
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    assert mail["From"] == SENDER and mail["To"] == "tls@reports.example"
    assert mail["TLS-Report-Domain"] == "dest.example" and mail["TLS-Report-Submitter"] == "sender.example"
    assert mail["TLS-Required"] == "No" and mail["Auto-Submitted"] == "auto-generated"
    assert re.sub(r"\s+", " ", mail["Subject"]) == \
        f"Report Domain: dest.example Submitter: sender.example Report-ID: <{report['report-id']}>"
    begin = int(datetime.datetime.fromisoformat(reporting.day + "T00:00:00+00:00").timestamp())
    name = mail.get_payload()[1].get_filename()
    assert re.fullmatch(rf"sender\.example!dest\.example!{begin}!{begin + DAY - 1}![0-9a-z]+\.json\.gz", name)
    assert dkimkeys.dkim.DKIM(message.data).verify(dnsfunc=dkimkeys.records(reporting.world.zone))
    assert all(len(line) <= 998 for line in message.data.split(b"\r\n"))
    assert message.data.isascii()


def test_policies(reporting):
    """What other parts note, of STS and DANE, stands there by policy; one entry for each."""
    reporting.place.host()
    reporting.attempt()
    (day,) = tallies.days(reporting.postern.spool)
    where = day / "dest.example"
    texts = [("policy sts\ndomain dest.example\ntext version: STSv1\ntext mode: testing\nmx *.dest.example\n"
              "result certificate-host-mismatch\nhost mx.other.example\nto 2001:db8::1\nwhy no\n", 2),
             ("policy sts\ndomain dest.example\ntext version: STSv1\ntext mode: testing\nmx *.dest.example\nresult success\n", 40),
             ("policy tlsa\ndomain mx.dest.example\ntext 3 1 1 ab\nresult tlsa-invalid\n", 1),
             ("policy sts\ndomain dest.example\nresult sts-policy-fetch-error\nwhy 404\n", 1)]
    for n, (text, times) in enumerate(texts):
        tallies.write(where / f"{n:016x}", text, times)
        own(where / f"{n:016x}")
    (where / "0000000000000009").write_bytes(b"tally 3 00000000\nabc+")
    own(where / "0000000000000009")
    reporting.over()
    (message,) = reporting.report()
    _, report = parts(message)
    found = {(e["policy"]["policy-type"], len(e["policy"].get("policy-string", []))): e for e in report["policies"]}
    assert set(found) == {("no-policy-found", 0), ("sts", 2), ("sts", 0), ("tlsa", 1)}
    sts = found["sts", 2]
    assert sts["policy"]["mx-host"] == ["*.dest.example"] and sts["policy"]["policy-string"][0] == "version: STSv1"
    assert sts["summary"] == {"total-successful-session-count": 40, "total-failure-session-count": 2}
    assert sts["failure-details"] == [{"result-type": "certificate-host-mismatch", "failed-session-count": 2,
                                       "receiving-mx-hostname": "mx.other.example", "receiving-ip": "2001:db8::1",
                                       "failure-reason-code": "no"}]
    assert found["tlsa", 1]["policy"] == {"policy-type": "tlsa", "policy-domain": "mx.dest.example",
                                          "policy-string": ["3 1 1 ab"]}


def test_not_reported_itself(reporting):
    """Section 3: it goes by whatever TLS there is, and a session for it is in no report; one for other mail is."""
    sink = reporting.place.host()
    reporting.attempt()
    reporting.over()
    assert len(reporting.report()) == 1 and len(reporting.inbox.messages) == 1
    assert "reports.example" not in tallies.counted(reporting.postern.spool)
    reporting.attempt("reports.example")
    (fields, times), = tallies.counted(reporting.postern.spool)["reports.example"]
    assert fields["result"] == "starttls-not-supported" and times == 1
    assert sink.connections == 1


# ---- whom it is for, and when

def test_one_for_each_domain_and_day(reporting):
    reporting.place.host()
    for domain in ("other.example", "silent.example"):
        reporting.world.domain(domain)
    reporting.ask("other.example", "rua=mailto:a@reports.example,mailto:b@reports.example,tel:1")
    for domain in ("dest.example", "other.example", "silent.example"):
        reporting.attempt(domain)
    reporting.over()
    for domain in ("dest.example", "other.example"):
        reporting.attempt(domain) # of another day, which is not over
    reporting.report()
    found = sorted((m.recipients[0], parts(m)[1]["report-id"].split("@")[0]) for m in reporting.inbox.messages)
    day = reporting.day
    assert found == [("a@reports.example", f"{day}.other.example"), ("b@reports.example", f"{day}.other.example"),
                     ("tls@reports.example", f"{day}.dest.example")]
    assert len(reporting.report()) == 3 # once, however often the timer comes
    old, *new = tallies.days(reporting.postern.spool)
    assert old.name == day and [p.name for p in old.iterdir()] == ["@done"]
    assert sorted({p.name for one in new for p in one.iterdir()}) == ["dest.example", "other.example"]
    (old / "@done").unlink()
    assert len(reporting.report()) == 3


def test_not_before_its_time(reporting):
    """A day that is not over: nobody looks."""
    reporting.place.host()
    reporting.attempt()
    tallies.age(reporting.postern.spool, tallies.day(-1)) # or it would be, if midnight came now
    assert reporting.report() == [] and len(reporting.left()) == 1
    assert not (reporting.postern.spool / "tlsrpt" / "@lock").exists() # nobody had to look


def test_too_old(reporting):
    """What could not be sent for days is forgotten."""
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    tallies.older(reporting.postern.spool, 3)
    assert reporting.report() == []
    assert tallies.days(reporting.postern.spool) == []
    assert "given up for domains of which it could not be told" in reporting.postern.logged()


def test_nobody_asks(reporting):
    """No record, none that can be used, two of them: one question, and no report."""
    reporting.place.host()
    del reporting.world.zone["_smtp._tls.dest.example", "TXT"]
    reporting.attempt()
    reporting.over()
    asked = len(reporting.world.dns.asked)
    assert reporting.report() == []
    assert [a[1:] for a in reporting.world.dns.asked[asked:]] == [("_smtp._tls.dest.example", "TXT")]
    assert reporting.left() == []


def test_two_records(reporting):
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    reporting.world.zone["_smtp._tls.dest.example", "TXT"] *= 2
    assert reporting.report() == []
    assert "report on TLS for dest.example" in reporting.postern.logged()
    assert "more than one record of TLSRPTv1" in reporting.postern.logged()


def test_dns_fails(reporting):
    """It is asked again after an hour at the soonest, not each minute; nothing is lost meanwhile.  All that is looked at
    comes earlier if the next day's reports do: a quarter of an hour after midnight at the soonest."""
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    reporting.world.zone["_smtp._tls.dest.example", "fault"] = "SERVFAIL"
    begun = time.time()
    assert reporting.report() == [] and len(reporting.left()) == 1
    del reporting.world.zone["_smtp._tls.dest.example", "fault"]
    lock = reporting.postern.spool / "tlsrpt" / "@lock"
    [subject] = (reporting.postern.spool / "tlsrpt").glob("*/dest.example")
    assert begun + 3500 < subject.stat().st_mtime < time.time() + 8 * 3600 + 100
    assert begun + 800 < lock.stat().st_mtime <= subject.stat().st_mtime
    assert reporting.report() == []
    lock.unlink()
    assert reporting.report() == []
    tallies.later(reporting.postern.spool)
    assert len(reporting.report()) == 1 and reporting.left() == []


def test_off(reporting):
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    assert reporting.report(tls_reports="no") == [] and len(reporting.left()) == 1


@pytest.mark.parametrize("keys", ["none", "of another domain"])
def test_unsigned(reporting, keys):
    """Nobody looks at one that is not signed, so none is sent."""
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    if keys == "none":
        del reporting.postern.settings["dkim_keys"]
    else:
        reporting.table.write_text(f"other.example r2026 {reporting.key.path}\n")
    assert reporting.report() == []
    assert "not sent by mail, for nobody looks at one that is not signed" in reporting.postern.logged()


# ---- by HTTPS

@pytest.fixture
def web(reporting, cards):
    """A web server that takes reports for dest.example."""
    cards.issue("reports-web", "/CN=w", "DNS:tls.dest.example", usage="serverAuth")
    server = Web(context_of(cards.path("reports-web")), say=answer("", "201 Created"))
    reporting.world.zone["tls.dest.example", "A"] = [server.address]
    reporting.ask("dest.example", f"rua=https://tls.dest.example:{server.port}/v1?x=y")
    yield server
    server.close()


def test_posted(reporting, web):
    """Section 5.4. No key is needed for that."""
    del reporting.postern.settings["dkim_keys"]
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    assert reporting.report() == []
    ((lines, body),) = web.asked
    assert lines[0] == "POST /v1?x=y HTTP/1.1" and "Content-Type: application/tlsrpt+gzip" in lines
    report = check(json.loads(gzip.decompress(body)))
    assert report["policies"][0]["summary"]["total-successful-session-count"] == 1
    assert web.named == ["tls.dest.example"] and reporting.left() == []
    reporting.report()
    assert len(web.asked) == 1


@pytest.mark.parametrize("status, again", [("503 No", True), ("429 Slow", True), ("404 No", False), ("302 Away", True)])
def test_not_posted(reporting, web, status, again):
    """What may be otherwise another time is tried after an hour; mail to another place goes at once, and once."""
    reporting.ask("dest.example", f"rua=https://tls.dest.example:{web.port}/v1,mailto:tls@reports.example")
    web.say = answer("no", status)
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    assert len(reporting.report()) == 1 and len(web.asked) == 1
    assert f"HTTP status {status[:3]}" in reporting.postern.logged()
    assert [p.name[:6] for p in reporting.left()] == ["@post-"] * again
    (reporting.postern.spool / "tlsrpt" / "@lock").unlink(missing_ok=True)
    assert len(reporting.report()) == 1 and len(web.asked) == 1
    web.say = answer("", "200 OK")
    tallies.later(reporting.postern.spool)
    assert len(reporting.report()) == 1 and len(web.asked) == 1 + again
    assert reporting.left() == []


def test_posted_to_nobody(reporting, web):
    """A certificate for another name, an address of ours that no stranger may have us talk to."""
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    web.context = context_of(reporting.place.cards.path("other"))
    reporting.report()
    assert web.asked == [] and len(reporting.left()) == 1
    reporting.postern.settings["allow_destinations"] = "127.0.0.2 127.0.0.4"
    tallies.later(reporting.postern.spool)
    connections = web.connections
    reporting.report()
    assert web.connections == connections and "no address that is connected to" in reporting.postern.logged()


def test_posted_inside(reporting, web):
    """A web server inside gets what its own domain asks for, and nothing because another one names it, whatever name
    and certificate it has: a stranger's record would choose the path."""
    reporting.ask("dest.example", f"rua=https://inside.example:{web.port}/delete?all=1")
    reporting.world.zone["inside.example", "A"] = [web.address]
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    reporting.report()
    assert web.connections == 0 and "inside.example has no address that is connected to" in reporting.postern.logged()
    (reporting.postern.spool / "tlsrpt" / "@lock").unlink(missing_ok=True)
    reporting.ask("inside.example", f"rua=https://inside.example:{web.port}/v1")
    reporting.world.domain("inside.example")
    reporting.place.cards.issue("reports-inside", "/CN=w", "DNS:inside.example", usage="serverAuth")
    web.context = context_of(reporting.place.cards.path("reports-inside"))
    reporting.attempt("inside.example")
    reporting.over()
    reporting.report()
    assert len(web.asked) == 1 and web.asked[0][0][0] == "POST /v1 HTTP/1.1"


def test_mail_inside(reporting):
    """Where a route has a domain by name, nobody's record has mail go there, unless anybody may send to it."""
    reporting.ask("dest.example", "rua=mailto:robot@inside.example,mailto:tls@reports.example")
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    reporting.postern.configure("[route inside]", "domains = inside.example", f"hosts = [127.0.0.4]:{reporting.inbox.port}")
    assert [m.recipients for m in reporting.report()] == [["tls@reports.example"]]
    assert "no mail may go where it is asked for" in reporting.postern.logged()


def test_guard(reporting):
    """Where guard lets no mail go, no report goes."""
    reporting.ask("dest.example", "rua=https://tls.dest.example/v1,mailto:tls@reports.example")
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    assert reporting.report(guard="allow dest.example") == []
    assert "no mail may go where it is asked for" in reporting.postern.logged()
    assert "not posted, for there is a guard" in reporting.postern.logged()


def test_cannot_start(reporting):
    reporting.place.host()
    reporting.attempt()
    reporting.over()
    reporting.postern.due(tlsreport_path="/nonexistent/it")
    assert "reports on TLS: cannot start /nonexistent/it: No such file" in reporting.postern.rested()
    assert len(reporting.report()) == 1


def test_waiting(reporting):
    """What the unit of the timer asks: a day that is over is something to do, though no mail waits."""
    def waiting():
        p = reporting.postern.start(None, None, "relay", "--waiting")
        return p.wait(patience.PATIENCE) == 0
    reporting.place.host()
    reporting.attempt()
    for lane in (reporting.postern.spool / "lane").iterdir():
        lane.rmdir()
    assert not waiting()
    reporting.over()
    assert waiting()
    reporting.report()
    assert not waiting()
