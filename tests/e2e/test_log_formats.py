"""Lines of the log: the fields of each event, and what other people's programs make of them.

One day of mail is told in each format. pflogsumm, logwatch and fail2ban are Debian's, as tests/tools/need unpacked
them; what they count is compared with what was done.
"""
import collections
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import journals
import tallies
from conftest import TOP, exec_way
from patience import PATIENCE
from peers import PEERS
from pki import Pki

FIELD = PEERS / "field"
BAD, GUESSER, PROBER, HARVESTER, BABBLER, V6 = ("192.0.2.9", "192.0.2.10", "192.0.2.11", "192.0.2.12",
                                                 "192.0.2.13", "2001:db8::13")
# What no reader may take for more than one word.
MESSAGE_ID = '<x" y, status=sent (250 ok), reject: RCPT from unknown[192.0.2.66]: 550 5.1.1 NOQUEUE \xff>'
MESSAGE_ID_TOLD = r'x\x22\x20y,\x20status=sent\x20(250\x20ok),\x20reject:\x20RCPT\x20from\x20unknown[192.0.2.66]:' \
    r'\x20550\x205.1.1\x20NOQUEUE\x20\xc3\xbf'
MONTH = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
ID = "[0-9a-z]{20}"


def program(name):
    path = FIELD / name
    if not path.exists():
        pytest.skip(f"needs {path.name}; tests/tools/need check unpacks it")
    return path


def run(*command, text=None, **environment):
    p = subprocess.run([str(c) for c in command], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **environment},
                       timeout=4 * PATIENCE, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    return p.stdout


class Day:
    """What happens, and its log: `lines`, when it is over."""

    def __init__(self, postern, world, form):
        self.postern, self.world = postern, world
        check = postern.where / "check"
        check.write_text("#!/bin/sh\nread -r kind address\n"
                         "case $address in nobody*) echo REJECT User unknown;; *) echo OK;; esac\n")
        check.chmod(0o755)
        users = postern.where / "users"
        users.write_text("joe:$6$saltsalt$R4kmazlbuWsFfWucCqJnZgpmD1SGejtMRbQ8gC5JdVh5aZLLEC0hHH9XuyI/"
                         "S0LHvlDHSgNIDZv4U6zVtXrNP1\n")
        users.chmod(0o644)
        postern.settings.update({
            "log_format": form, "proxy_nets": "127.0.0.0/8", "relay_nets": "192.0.2.1/32", "relay_domains": "dest.example",
            "recipient_check": check, "auth_users": users, "auth_clear": "yes", "max_errors": 4, "max_connections": 10,
            "retry": "1h", "timeout_check": "1m"}) # nothing is tried again, and nobody's patience ends
        world.domain("dest.example")
        world.sink.say["RCPT"] = lambda line: {"later": "450 4.2.1 mailbox busy", "never": "550 5.1.1 no such \"user\""}.get(
            line.partition("<")[2].partition("@")[0], "250 2.1.5 Ok")

    def over(self):
        """Itself, when all of it has happened."""
        self.happen()
        self.lines = self.postern.rested().splitlines()
        return self

    def come(self, address):
        c = self.postern.connect(max_connections=10)
        kind = 6 if ":" in address else 4
        c.send(f"PROXY TCP{kind} {address} {'::1' if kind == 6 else '127.0.0.1'} 1111 25\r\n")
        assert c.reply()[:3] == "220"
        c.hello()
        return c

    def happen(self):
        """Twelve connections, three messages that come and one report, and what there is to refuse."""
        for recipient in ("u@dest.example", "later@dest.example", "never@dest.example"):
            c = self.come("192.0.2.1")
            assert "queued as" in c.message(f"Message-ID: {MESSAGE_ID}\r\nSubject: x\r\n\r\nhello\r\n", recipient=recipient)
            assert c.finish() == 0
            self.postern.rested()
        for _ in range(2):
            c = self.come(PROBER)
            assert c.ask("MAIL FROM:<spam@sender.example>")[:3] == "250"
            assert c.ask('RCPT TO:<"a b"@other.example>')[:3] == "550"
            assert c.finish() == 0
        c = self.come(HARVESTER)
        assert c.ask("MAIL FROM:<spam@sender.example>")[:3] == "250"
        assert c.ask("RCPT TO:<nobody1@dest.example>") == "550 5.7.1 Error: User unknown"
        assert c.ask("RCPT TO:<nobody2@dest.example>") == "550 5.7.1 Error: User unknown"
        assert c.finish() == 0
        c = self.come(GUESSER)
        assert c.ask("AUTH PLAIN AGpvZQB3cm9uZw==") == "535 5.7.8 Error: authentication failed"
        assert c.ask("AUTH LOGIN am9l")[:3] == "334"
        assert c.ask("d3Jvbmc=") == "535 5.7.8 Error: authentication failed"
        assert c.finish() == 0
        for address in (BABBLER, V6):
            c = self.come(address)
            for _ in range(4):
                assert c.ask('FOO": 535 5.7.8 Error: authentication failed')[:3] == "500"
            assert c.reply()[:3] == "421"
            c.end()
        c = self.come(BAD)
        c.envelope()
        c.send("half of a mess")
        c.end()
        c = self.come("192.0.2.1")
        assert c.ask("MAIL FROM:<a@sender.example> SIZE=99999999999")[:3] == "552"
        assert c.ask("AUTH PLAIN AGpvZQBwYXNzd29yZCBvZiBzaXg=")[:3] in ("235", "535")
        assert c.finish() == 0

    def texts(self):
        """Without what stands before the text."""
        return [line.split(": ", 1)[1] for line in self.lines]


days = {} # by their formats: however many look at one, it is the same


@pytest.fixture
def day(request):
    if request.param not in days:
        days[request.param] = Day(*map(request.getfixturevalue, ("postern", "world")), request.param).over()
    return days[request.param]


def format_of(name):
    return pytest.mark.parametrize("day", [name], indirect=True)


# ---- our own

@exec_way
@format_of("postern")
def test_a_line_for_an_event(day):
    """The queue id is in all lines of a message, the address in all of a session."""
    texts = day.texts()
    assert len([t for t in texts if t.startswith("connection from [")]) == 11, "\n".join(day.lines)
    assert not [t for t in texts if t.endswith("has gone")] # of use to those alone who pair them
    told = [t for t in texts if "accepted from" in t or re.search(f"{ID}: (delivered|deferred|bounced)", t)]
    assert len(told) == 7 # three messages came; each had an outcome, and so had the report
    assert all(re.match(f"{ID}: ", t) for t in told)
    refused = [t for t in texts if "refused" in t]
    assert all(re.search(r'refused \[[^\]]+\]: "', t) for t in refused)
    assert [t for t in refused if "relaying denied" in t and re.match(f"{ID}: refused \\[{PROBER}\\]", t)]
    assert len([t for t in refused if "too many errors" in t]) == 2
    assert len([t for t in texts if t.endswith(f" octets, Message-ID <{MESSAGE_ID_TOLD}>")]) == 3


# ---- JSON

@format_of("json")
def test_json(day):
    """Each line is an object of its own, whatever a client said."""
    events = [json.loads(line) for line in day.lines]
    assert all(isinstance(e["message"], str) and e["program"] and e["pid"] > 0 and
               re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", e["time"]) for e in events)
    count = collections.Counter(e["event"] for e in events)
    assert count["connected"] == count["disconnected"] == 11
    assert (count["accepted"], count["delivered"], count["bounced"]) == (3, 2, 1)
    assert (count["relay_denied"], count["auth_failed"], count["too_many_errors"], count["lost"]) == (2, 2, 2, 1)
    assert count["deferred"] >= 1
    accepted = [e for e in events if e["event"] == "accepted"]
    assert {(e["client"], e["sender"], e["recipients"], e["protocol"]) for e in accepted} == \
        {("[192.0.2.1]", "a@sender.example", 1, "ESMTP")}
    assert all(e["size"] > 0 and e["message_id"] == MESSAGE_ID_TOLD for e in accepted)
    [bounced] = [e for e in events if e["event"] == "bounced"]
    assert (bounced["status"], bounced["reply"]) == ("5.1.1", '550 5.1.1 no such "user"')
    assert bounced["recipient"] == "never@dest.example" and bounced["delay"] >= 0
    deferred = [e for e in events if e["event"] == "deferred"]
    assert all(e["status"] == "4.2.1" and e["next_try"] > 0 for e in deferred)
    babble = [e for e in events if e["event"] == "refused" and e["client"] == f"[IPv6:{V6}]"]
    assert {e["command"] for e in babble} == {'FOO": 535 5.7.8 Error: authentication failed'}
    ids = {e["queue_id"] for e in accepted}
    assert all({"accepted"} < {e["event"] for e in events if e.get("queue_id") == i} for i in ids)


def test_json_of_anything(postern, world):
    """Octets that are no text at all are shown as everywhere in the log."""
    c = Day(postern, world, "json").come(BAD)
    c.send(b'X\x01\xff\xc3\xa4"\\\x7f\r\n')
    assert c.reply()[:3] == "500"
    assert c.finish() == 0
    events = [json.loads(line) for line in postern.rested().splitlines()]
    assert [e["command"] for e in events if e["event"] == "refused"] == ['X\\x01\\xff\\xc3\\xa4"\\x5c\\x7f']


# ---- Postfix

@format_of("postfix")
def test_postfix_lines(day):
    """Each has the shape of a line of syslog's; and of both sides there is what Postfix would say."""
    shape = re.compile(rf"{MONTH} mx\.test\.example postfix/[a-z]+\[\d+\]: \S")
    assert all(shape.match(line) for line in day.lines), day.lines
    log = "\n".join(day.lines)
    assert re.search(r"postfix/smtpd\[\d+\]: [0-9A-Z]{20}: client=unknown\[192\.0\.2\.1\]$", log, re.M)
    assert len(re.findall(rf"postfix/cleanup\[\d+\]: [0-9A-Z]{{20}}: message-id=<{re.escape(MESSAGE_ID_TOLD)}>$", log, re.M)) == 3
    assert re.search(r"postfix/qmgr\[\d+\]: [0-9A-Z]{20}: from=<a@sender\.example>, size=\d+, nrcpt=1 \(queue active\)$", log,
                     re.M)
    assert re.search(r"postfix/smtp\[\d+\]: [0-9A-Z]{20}: to=<never@dest\.example>, relay=mx\.dest\.example\[127\.0\.0\.2\]:\d+, "
                     r"delay=\d+\.\d{3}, dsn=5\.1\.1, status=bounced \(host mx\.dest\.example\[127\.0\.0\.2\]:\d+ said: "
                     r'550 5\.1\.1 no such "user"\)$', log, re.M)
    assert re.search(rf"reject: RCPT from unknown\[{PROBER}\]: 550 5\.7\.1 <\"a b\"@other\.example>: Relay access denied; "
                     r'from=<spam@sender\.example> to=<"a b"@other\.example> proto=ESMTP helo=<client\.example>$', log, re.M)
    assert re.search(rf"disconnect from unknown\[{V6}\]$", log, re.M)


@format_of("postfix")
def test_pflogsumm(day):
    """A20: what it counts is what was done."""
    tool = program("usr/sbin/pflogsumm")
    perl = ":".join(str(FIELD / d) for d in ("usr/share/perl5", "usr/lib/x86_64-linux-gnu/perl5/5.36"))
    said = run("perl", tool, "--smtpd-stats", "--problems-first", text="\n".join(day.lines) + "\n", PERL5LIB=perl)
    counts = {what.strip(): int(n) for n, what in re.findall(r"^ +(\d+)k?  ([a-z ]+?)(?: +\(.*)?$", said, re.M)}
    deferrals = len([line for line in day.lines if "status=deferred" in line])
    assert (counts["received"], counts["delivered"], counts["bounced"], counts["deferred"]) == (3, 2, 1, 1), said
    assert counts["rejected"] == 5 # two to relay, two unknown, one too large
    assert counts["connections"] == 11 and (counts["senders"], counts["recipients"]) == (1, 2)
    assert f"{deferrals}" in said and "Relay access denied" in said and "authentication failed" in said


@format_of("postfix")
def test_logwatch(day, where):
    """It knows each line."""
    tool = program("usr/share/logwatch/scripts/services/postfix")
    settings = where / "logwatch.conf"
    settings.touch()
    said = run("perl", tool, "--detail", "10", "-f", settings, text="\n".join(day.lines) + "\n")
    counts = {what.strip(): int(n) for n, what in re.findall(r"^ +(\d+)   ([0-9A-Z][A-Za-z0-9 ()]+?)  +[\d.]+%?$", said, re.M)}
    want = {"Accepted": 3, "Rejected": 5, "5xx Reject relay denied": 2, "5xx Reject unknown user": 2,
            "5xx Reject message size": 1, "Connections": 11, "Disconnections": 11, "Connections lost (inbound)": 1,
            "Sent via SMTP": 2, "Deferred": 1, "Bounced (remote)": 1, "Notifications sent": 1,
            "SASL authentication failed": 2}
    assert {what: counts.get(what) for what in want} == want, said
    assert "nmatched" not in said, said


@pytest.fixture
def unheard(postern, world, where):
    """Lines of what Postfix has nothing of: addresses rewritten, a key of DKIM that is not there, a policy of MTA-STS
    that cannot be fetched, and a report on TLS when the day is over."""
    table = postern.where / "keys"
    table.write_text(f"sender.example s1 {postern.where}/nothing.pem\n")
    table.chmod(0o644)
    (where / "pki").mkdir(mode=0o755)
    authorities = Pki(where / "pki").path("ca")
    authorities.chmod(0o644)
    world.domain("dest.example")
    world.zone[("_mta-sts.dest.example", "TXT")] = ['"v=STSv1; id=1;"']
    world.zone[("_smtp._tls.dest.example", "TXT")] = ['"v=TLSRPTv1; rua=mailto:tls@dest.example"']
    postern.settings.update({"log_format": "postfix", "masquerade": "inside.example=sender.example", "dkim_keys": table,
                             "dkim_missing": "send", "tls_reports": "yes", "tls_reports_from": "tls@sender.example",
                             "delivery_ca": authorities})
    assert "queued as" in postern.send("u@dest.example", sender="a@inside.example")
    postern.rested()
    tallies.age(postern.spool)
    (postern.spool / "tlsrpt" / "@lock").unlink(missing_ok=True)
    postern.due()
    postern.wait_gone("postern-tlsreport")
    return postern.rested().splitlines()


def test_what_postfix_never_says(unheard, where):
    """Nothing of it is a line that a reader does not know; what wants somebody is a warning to both."""
    names = [re.search(r" postfix/([\w-]+)\[\d+\]: (warning: )?", line).groups() for line in unheard]
    own = [line for line, (name, warning) in zip(unheard, names) if name == "postlog"]
    assert [line for line in own if ": rewritten: " in line]
    assert [line for line in own if "report on TLS for dest.example" in line]
    perl = ":".join(str(FIELD / d) for d in ("usr/share/perl5", "usr/lib/x86_64-linux-gnu/perl5/5.36"))
    settings = where / "logwatch.conf"
    settings.touch()
    text = "\n".join(unheard) + "\n"
    for said in (run("perl", program("usr/sbin/pflogsumm"), "--verbose-msg-detail", text=text, PERL5LIB=perl),
                 run("perl", program("usr/share/logwatch/scripts/services/postfix"), "--detail", "10", "-f", settings, text=text)):
        assert "MTA-STS: the policy with id 1 cannot be fetched" in said and "dkim_keys" in said, said
        assert "nmatched" not in said and "report on TLS" not in said and "rewritten" not in said, said


# ---- fail2ban

@pytest.fixture
def fail2ban(where):
    """How often each address is found in these lines, by a filter of its configuration, in which ours is."""
    tool = program("usr/bin/fail2ban-regex")
    conf = where / "fail2ban"
    shutil.copytree(FIELD / "etc" / "fail2ban", conf)
    for kind in ("filter.d", "jail.d"):
        shutil.copy(TOP / "units" / "fail2ban" / kind / "postern.conf", conf / kind)

    def find(lines, filter_):
        """`lines`, or what fail2ban calls a journal."""
        log = where / "mail.log"
        if isinstance(lines, str):
            log = lines
        else:
            log.write_text("\n".join(lines) + "\n")
        said = run(sys.executable, tool, "-c", conf, "--out", "ip", log, filter_,
                   PYTHONPATH=str(FIELD / "usr/lib/python3/dist-packages"))
        return collections.Counter(said.split())

    find.conf = conf
    return find


@format_of("postfix")
@pytest.mark.parametrize("mode, found", [
    ("more", {PROBER: 2, HARVESTER: 2, BABBLER: 1, V6: 1}),
    ("auth", {GUESSER: 2}),
    ("errors", {BABBLER: 1, V6: 1}),
    ("extra", {PROBER: 2, HARVESTER: 2, GUESSER: 2, BABBLER: 1, V6: 1}),
])
def test_fail2bans_own_filter(fail2ban, day, mode, found):
    """What it has for Postfix."""
    assert fail2ban(day.lines, f"postfix[mode={mode}]") == found


def test_nobody_is_banned_for_it(fail2ban, unheard):
    assert fail2ban(unheard, "postfix[mode=extra]") == {}


def as_syslog(lines):
    """A file that a syslogd writes."""
    return [f"Nov 30 00:00:{i % 60:02} host {line.replace(':', '[7]:', 1)}" for i, line in enumerate(lines)]


@format_of("postern")
@pytest.mark.parametrize("mode, found", [
    ("auth", {GUESSER: 2}),
    ("relay", {PROBER: 2}),
    ("unknown", {HARVESTER: 2}),
    ("errors", {BABBLER: 1, V6: 1}),
    ("normal", {GUESSER: 2, PROBER: 2, BABBLER: 1, V6: 1}),
    ("aggressive", {GUESSER: 2, PROBER: 2, HARVESTER: 2, BABBLER: 1, V6: 1}),
])
def test_our_filter(fail2ban, day, mode, found):
    """Ours; what a client says is not taken for what was said to it."""
    assert fail2ban(as_syslog(day.lines), f"postern[mode={mode}]") == found


def listening_units():
    """Where smtpd runs for clients on the network: (field of the journal, value), as the Makefile makes the units."""
    names = ["", *(f"-{word.partition(':')[0]}" for word in
                   re.search(r"^LISTENERS = (.*)$", (TOP / "Makefile").read_text(), re.M)[1].split())]
    return [("_SYSTEMD_SLICE", f"system-postern{name.replace('-', chr(92) + 'x2d')}.slice") for name in names] + \
        [("_SYSTEMD_UNIT", f"postern-busy{name}.service") for name in names]


def test_our_filter_in_a_journal(fail2ban, where):
    """Who writes to the journal under our name bans nobody: it is the units that count, and these are all of ours."""
    if why := journals.why_not():
        pytest.skip(why)
    program("usr/lib/python3/dist-packages/systemd/journal.py")
    entries = []

    def refuse(address, **more):
        fields = {"MESSAGE": f'refused [{address}]: "RCPT TO:<u@d.example>": 550 5.7.1 Error: relaying denied',
                  "SYSLOG_IDENTIFIER": "smtpd", "POSTERN_EVENT": "relay_denied", **more}
        entries.append({"time": 1_700_000_000_000_000 + len(entries), **fields})
    ours = {f"192.0.2.{n}": unit for n, unit in enumerate(listening_units(), 1)}
    for address, (field, value) in ours.items():
        refuse(address, **{field: value})
    refuse("198.51.100.1", _UID="1000", _SYSTEMD_UNIT="user@1000.service", _SYSTEMD_SLICE="user-1000.slice", _COMM="smtpd")
    refuse("198.51.100.2", UNIT="postern-busy.service", SYSTEMD_SLICE="system-postern.slice")
    refuse("198.51.100.3", _SYSTEMD_SLICE="system-postern.slice", SYSLOG_IDENTIFIER="other")
    journals.write(where / "test.journal", entries)
    assert fail2ban(f"systemd-journal[journalfiles={where}/test.journal]", "postern") == dict.fromkeys(ours, 1)


def test_our_jails(fail2ban):
    """It takes them, switched on."""
    (fail2ban.conf / "jail.local").write_text("".join(
        f"[{jail}]\nenabled = true\nbackend = polling\nlogpath = /dev/null\n" for jail in ("postern", "postern-unknown")))
    (fail2ban.conf / "jail.d" / "defaults-debian.conf").unlink()
    said = run(sys.executable, program("usr/bin/fail2ban-client"), "-c", fail2ban.conf, "-d",
               PYTHONPATH=str(FIELD / "usr/lib/python3/dist-packages"))
    added = {jail for jail in ("postern", "postern-unknown") if f"['add', '{jail}', 'polling']" in said}
    assert len(added) == 2 and said.count("'addfailregex'") + said.count("'multi-set'") >= 2, said
