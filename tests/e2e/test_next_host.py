"""A message that needs what the first host lacks goes to another host of the list, and is returned only when none of
them can have it."""
import socket

import pytest

import patience
import spoolfile
from tlssink import TlsSink, server_context

FULL = ("PIPELINING", "8BITMIME", "SIZE 100000", "SMTPUTF8", "DELIVERBY", "CHUNKING", "BINARYMIME")
FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.61", "127.0.0.62"
BINARY = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + bytes(range(256))


def without(*keywords):
    return tuple(k for k in FULL if k.split(" ")[0] not in keywords)


NEEDS = { # what a message asks for: MAIL, recipient, text, whether by BDAT; what the first host offers; the code
    "SMTPUTF8": ("SMTPUTF8", "\u00e4", "Subject: x\n\nx\n", None, without("SMTPUTF8"), "5.6.7"),
    "SIZE": ("", "u", "Subject: x\n\n" + "x" * 900 + "\n", None, (*without("SIZE"), "SIZE 300"), "5.3.4"),
    "8BITMIME": ("", "u", "From: \u00e4@s.example\n\nx\n", None, without("8BITMIME"), "5.6.3"),
    "BINARYMIME": ("BODY=BINARYMIME", "u", None, BINARY, without("BINARYMIME"), "5.6.3"),
    "DELIVERBY": ("BY=36000;R", "u", "Subject: x\n\nx\n", None, without("DELIVERBY"), "5.4.7"),
}


class List:
    """The hosts of d.example, at these preferences."""

    def __init__(self, postern, world):
        self.postern, self.world = postern, world
        self.reports = world.another("127.0.0.69")
        world.domain("sender.example", "127.0.0.69")

    def open(self, offers, preferences=(10, 20, 30)):
        """A host for each tuple of keywords; None: nobody is there."""
        places = [FIRST, SECOND, THIRD][:len(offers)]
        self.world.zone[("d.example", "MX")] = [f"{p} mx{n}.d.example." for n, p in zip(range(len(places)), preferences)]
        for n, address in enumerate(places):
            self.world.zone[(f"mx{n}.d.example", "A")] = [address]
        self.world.sink.ehlo = offers[0]
        self.sinks = [self.world.sink, *(self.world.another(a, ehlo=e) if e is not None else None
                                         for a, e in zip(places[1:], offers[1:]))]
        return self.sinks

    def queue(self, need):
        mail, local, text, chunk, _, _ = NEEDS[need]
        script = f"EHLO c.example\nMAIL FROM:<a@sender.example> {mail}\nRCPT TO:<{local}@d.example>\n".encode()
        script += f"DATA\n{text}.\n".encode() if chunk is None else b"BDAT %d LAST\n%b" % (len(chunk), chunk)
        said = self.postern.pipe(script + b"QUIT\n", max_connections=0)
        assert "250 2.0.0 Ok: queued" in said, said

    def go(self, *needs):
        """A message of each, and the log when relay has done what it could."""
        for need in needs:
            self.queue(need) if need else self.postern.send("plain@d.example", max_connections=0)
        self.postern.due()

    def counted(self):
        return [len(s.messages) for s in self.sinks if s is not None], [s.connections for s in self.sinks if s is not None]


@pytest.fixture
def mx(postern, world):
    return List(postern, world)


@pytest.mark.parametrize("preferences", [(10, 20), (10, 10)], ids=["worse", "equal"])
@pytest.mark.parametrize("need", NEEDS)
def test_next_one_has_it(mx, need, preferences):
    """R69, R67, R68, R87, F12: nothing is returned that another host takes, and nobody is asked twice."""
    mx.open([NEEDS[need][4], FULL], preferences)
    mx.go(need)
    log = mx.postern.settled()
    messages, connections = mx.counted()
    assert messages == [0, 1] and not mx.reports.messages, log
    if preferences[0] < preferences[1]: # equal ones may have been in a race
        assert max(connections) == 1 and log.count("; the next host is to have it") == 1


@pytest.mark.parametrize("need", NEEDS)
def test_none_has_it(mx, need):
    """R69, R84, R67, R68, R87, F12: all were asked, each once, and the sender hears of it at once."""
    mx.open([NEEDS[need][4]] * 3)
    mx.go(need)
    log = mx.postern.settled()
    assert mx.counted() == ([0, 0, 0], [1, 1, 1]), log
    [report] = mx.reports.wait_messages()
    assert f"Status: {NEEDS[need][5]}\r\n".encode() in report.data
    assert b"(nor can another host have it)" in report.data


@pytest.mark.parametrize("need", NEEDS)
def test_one_is_out_of_reach(mx, need):
    """R69, R55: it may have what the others lack, so the message waits for it."""
    mx.open([NEEDS[need][4], None])
    mx.go(need)
    log = mx.postern.settled(1)
    assert "(others cannot be asked now); next try in" in log and ": bounced" not in log
    back = mx.world.another(SECOND, ehlo=FULL)
    mx.postern.make_due()
    mx.postern.due()
    back.wait_messages()
    mx.postern.settled()
    assert not mx.reports.messages


def test_better_one_was_out_of_reach(mx):
    """R69: it need not be a worse one; and it is not tried twice."""
    mx.open([FULL, without("SMTPUTF8")])
    with_it = mx.world.sink
    address, port = with_it.address, with_it.port
    with_it.end()
    mx.go("SMTPUTF8")
    log = mx.postern.settled(1)
    assert "(others cannot be asked now)" in log
    assert mx.sinks[1].connections == 1
    mx.world.sink = type(with_it)(address, port, ehlo=FULL)
    mx.postern.make_due()
    mx.postern.due()
    mx.world.sink.wait_messages()
    mx.postern.settled()


def test_other_mail_does_not_go_along(mx):
    """R69, R49: it goes to the best host, whose connection it has to its end."""
    mx.open([without("SMTPUTF8"), FULL])
    mx.go("", "SMTPUTF8", "", "SMTPUTF8", "")
    log = mx.postern.settled()
    assert mx.counted() == ([3, 2], [1, 1]), log


def test_what_comes_meanwhile_goes_to_the_best(mx):
    """R49, R69: the host that was chosen for what others lack is not for mail that those can have."""
    first, second = mx.open([without("SMTPUTF8"), FULL])
    with second.held("END", "250 2.0.0 taken"):
        mx.go("SMTPUTF8")
        second.wait_lines(3)
        mx.postern.send("plain@d.example")
    first.wait_messages()
    log = mx.postern.settled()
    assert mx.counted()[0] == [1, 1], log
    assert "signal" not in log, log # or it was another relay that did it


def test_what_comes_while_hosts_are_sought(mx):
    """R49, R69: ... nor is it where others have yet to find theirs: it goes to the best one that is known to take it."""
    first, second, third = mx.open([without("SMTPUTF8", "BINARYMIME"), without("BINARYMIME"), FULL])
    with second.held("END", "250 2.0.0 taken"):
        mx.go("SMTPUTF8", "BINARYMIME")
        second.wait_lines(3)
        mx.postern.send("plain@d.example")
    first.wait_messages()
    third.wait_messages()
    log = mx.postern.settled()
    assert mx.counted()[0] == [1, 1, 1], log
    assert "signal" not in log, log


@pytest.mark.parametrize("most", [1, 2])
def test_hosts_that_take_few_by_a_connection(mx, most):
    """R69, R71: the others have their turn with the first host, whose connections end again and again, before it is
    left; and those that wait for the next host have it then."""
    mx.open([(*without("SMTPUTF8"), f"LIMITS MAILMAX={most}"), (*FULL, f"LIMITS MAILMAX={most}")])
    mx.go("SMTPUTF8", *[""] * 6)
    log = mx.postern.settled()
    messages, connections = mx.counted()
    assert messages == [6, 1] and connections[1] == 1, log


def test_to_and_fro(mx):
    """R69, R67: each host lacks something that the other has, and the third one is not needed."""
    mx.open([without("SMTPUTF8"), without("BINARYMIME"), without("SMTPUTF8", "BINARYMIME")])
    mx.go(*["SMTPUTF8", "BINARYMIME", ""] * 3)
    log = mx.postern.settled()
    messages, connections = mx.counted()
    assert messages == [6, 3, 0] and not mx.reports.messages, log
    assert sum(connections) <= 3


def test_only_who_needs_it_goes_on(mx):
    """R69, L1: of one message, some recipients go to the first host and some to the next."""
    first, second = mx.open([without("SMTPUTF8"), FULL])
    script = ("EHLO c.example\nMAIL FROM:<a@sender.example> SMTPUTF8\nRCPT TO:<u@d.example>\n"
              "RCPT TO:<\u00e4@d.example>\nRCPT TO:<v@d.example>\nDATA\nSubject: x\n\nx\n.\nQUIT\n")
    mx.postern.pipe(script.encode())
    log = mx.postern.settled()
    assert first.messages[0].recipients == ["u@d.example", "v@d.example"], log
    assert [r.encode("latin-1").decode() for r in second.messages[0].recipients] == ["\u00e4@d.example"]
    assert mx.counted()[0] == [1, 1] and not mx.reports.messages


def test_addresses_of_one_host(mx):
    """R69: they are one host; it is asked once, however many it has."""
    first, second = mx.open([without("SMTPUTF8"), without("SMTPUTF8")], (10, 10))
    del mx.world.zone[("mx1.d.example", "A")]
    mx.world.zone[("d.example", "MX")] = ["10 mx0.d.example."]
    mx.world.zone[("mx0.d.example", "A")] = [FIRST, SECOND, THIRD] # nobody is at the last one
    mx.go("SMTPUTF8")
    mx.postern.settled()
    assert first.connections + second.connections == 1
    assert b"Status: 5.6.7\r\n" in mx.reports.wait_messages()[0].data


def test_name_that_is_not_known_now(mx):
    """R69, R46: a host of the list whose address cannot be had for now may be the one."""
    mx.open([without("SMTPUTF8"), FULL])
    mx.world.zone[("mx1.d.example", "fault")] = "SERVFAIL"
    mx.go("SMTPUTF8")
    assert "(others cannot be asked now)" in mx.postern.settled(1)
    del mx.world.zone[("mx1.d.example", "fault")]
    mx.postern.make_due()
    mx.postern.due()
    mx.sinks[1].wait_messages()
    mx.postern.settled()


def test_hosts_of_a_route(mx):
    """M1, R69: the operator's list is one, too."""
    first, second = mx.open([without("SMTPUTF8"), FULL])
    mx.postern.configure("[route r]", "domains = d.example",
                         f"hosts = {FIRST}:{mx.world.port} {SECOND}:{mx.world.port}")
    mx.go("SMTPUTF8", "")
    log = mx.postern.settled()
    assert [len(first.messages), len(second.messages)] == [1, 1], log


def test_many_at_once(mx):
    """R69: several couriers at the lane; each message gets to a host that has what it needs."""
    mx.open([without("SMTPUTF8"), FULL])
    for sink in mx.sinks:
        sink.say["END"] = lambda _: patience.hold(0.05) or "250 2.0.0 taken"
    mx.go(*["", "SMTPUTF8"] * 20)
    log = mx.postern.settled()
    assert not mx.reports.messages and ": bounced" not in log, log
    assert sum(len(s.messages) for s in mx.sinks) == 40 and len(mx.sinks[1].messages) >= 20


def test_size_is_of_each_host(mx):
    """F12: one whose limit is larger is found among several."""
    mx.open([(*without("SIZE"), "SIZE 300"), (*without("SIZE"), "SIZE 400"), without("SIZE")])
    mx.go("SIZE")
    log = mx.postern.settled()
    assert mx.counted() == ([0, 0, 1], [1, 1, 1]), log


# ---- REQUIRETLS

def queue_requiretls(place):
    spoolfile.write(place.postern.spool, "20000000000000000abc", ["u@dest.example"], b"Subject: x\r\n\r\nx\r\n",
                    fields=["Require-Tls: yes"])


@pytest.mark.parametrize("lacks, code", [("offer", "5.7.30"), ("tls", "5.7.10"), ("card", "5.7.10")])
def test_requiretls(place, lacks, code):
    """R84: each host is tried; the next one offers it and proves who it is. Where none does, the code says which of
    both is missing."""
    inside = ("PIPELINING", "REQUIRETLS")
    first = place.host("foreign" if lacks == "card" else "domain",
                       inside=("PIPELINING",) if lacks == "offer" else inside)
    if lacks == "tls":
        first.ehlo_outside = ("REQUIRETLS",)
    second = TlsSink(server_context(place.cards.path("domain")), SECOND, place.world.port, inside=inside)
    place.world.others.append(second)
    reports = place.world.another("127.0.0.3")
    place.world.zone[("dest.example", "MX")] = ["10 mx.dest.example.", "20 mx2.dest.example."]
    place.world.zone[("mx2.dest.example", "A")] = [SECOND]
    queue_requiretls(place)
    place.postern.send("other@dest.example", max_connections=0)
    place.postern.due()
    log = place.postern.settled()
    assert "MAIL FROM:<a@sender.example> REQUIRETLS" in second.lines and len(second.messages) == 1, log
    assert [m.recipients for m in first.messages] == [["other@dest.example"]] and not reports.messages
    place.world.zone[("dest.example", "MX")] = ["10 mx.dest.example."]
    queue_requiretls(place)
    place.postern.due()
    place.postern.settled()
    assert f"Status: {code}\r\n".encode() in reports.messages[0].data and len(first.messages) == 1


def break_tls(sink):
    sink.fault = lambda connection: connection.sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("hosts", [1, 2])
def test_requiretls_where_tls_does_not_work(place, hosts):
    """R84, RFC 8689 section 4.2.1: it may work again in a moment, and other mail goes in clear meanwhile; if it does not with
    the third attempt, with no host, the sender hears it then, and not when all mail is given up."""
    inside = ("PIPELINING", "REQUIRETLS")
    sinks = [place.host("domain", inside=inside)]
    place.world.zone[("dest.example", "MX")] = ["10 mx.dest.example.", "20 mx2.dest.example."][:hosts]
    place.world.zone[("mx2.dest.example", "A")] = [SECOND]
    if hosts == 2:
        sinks.append(TlsSink(server_context(place.cards.path("domain")), SECOND, place.world.port, inside=inside))
        place.world.others.append(sinks[1])
    for sink in sinks:
        break_tls(sink)
    reports = place.world.another("127.0.0.3")
    queue_requiretls(place)
    for attempt in (1, 2):
        place.postern.send("other@dest.example")
        log = place.postern.settled(1)
        assert "REQUIRETLS was asked for, and TLS with the host does not work" in log and not reports.messages
        assert len(sinks[0].messages) == attempt
        place.postern.make_due()
    place.postern.due()
    log = place.postern.settled()
    report, = reports.messages
    assert b"Status: 5.7.10\r\n" in report.data and log.count("bounced <") == 1
    assert not any("REQUIRETLS" in line for sink in sinks for line in sink.lines)


def test_requiretls_put_off_for_other_reasons(place):
    """R84: a message that was put off twice for something else has three attempts for TLS yet: a handshake that fails
    once returns nothing."""
    sink = place.host("domain", inside=("PIPELINING", "REQUIRETLS"))
    sink.say["RCPT"] = lambda _: "451 4.3.0 later"
    reports = place.world.another("127.0.0.3")
    queue_requiretls(place)
    for attempt in range(4):
        if attempt == 2:
            break_tls(sink)
        place.postern.due()
        log = place.postern.settled(1)
        assert ("TLS with the host does not work" in log) == (attempt >= 2), log
        place.postern.make_due()
    place.postern.due()
    place.postern.settled()
    assert b"Status: 5.7.10\r\n" in reports.messages[0].data


def test_requiretls_by_our_own_host(place, monkeypatch):
    """L13: where the operator named the host, its TLS is his to mend: mail waits."""
    break_tls(place.host("domain", inside=("PIPELINING", "REQUIRETLS")))
    place.name()
    monkeypatch.setattr(spoolfile, "lane_of", lambda recipient: "route:named")
    reports = place.world.another("127.0.0.3")
    queue_requiretls(place)
    for _ in range(4):
        place.postern.due()
        place.postern.settled(1)
        place.postern.make_due()
    assert place.postern.logged().count("deferred <") == 4 and not reports.messages


def test_requiretls_when_tls_works_again(place):
    """R84: it goes with the next attempt."""
    sink = place.host("domain", inside=("PIPELINING", "REQUIRETLS"))
    break_tls(sink)
    queue_requiretls(place)
    place.postern.due()
    place.postern.settled(1)
    sink.fault = None
    place.postern.make_due()
    place.postern.due()
    place.postern.settled()
    assert "MAIL FROM:<a@sender.example> REQUIRETLS" in sink.lines and len(sink.messages) == 1
