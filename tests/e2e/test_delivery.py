"""A message in through a pipe and out at a mail exchanger found by DNS, and every way it can fail."""
import re
import threading

import pytest

import patience
import spoolfile

def bodies(sink):
    return [m.data.decode("latin-1") for m in sink.messages]


def test_arrives_unchanged_but_for_one_received(postern, world):
    """R30, R32, R34, A9: one Received: on top and not one byte else."""
    world.domain("dest.example")
    body = "Received: from x by y; z\nSubject: t\n\n..\n...a\n \x7f\xe9 tail \n\n"
    postern.send("u@dest.example", body)
    postern.settled()
    got = world.sink.messages[0].data.decode("utf-8")
    head, rest = got.split("+0000\r\n", 1)
    assert re.fullmatch(r"Received: from client\.example\r\n\tby mx\.test\.example with ESMTP id "
                        r"[0-9a-z]{20}\r\n\tfor <u@dest\.example>;\r\n\t\w{3}, .* ", head)
    assert rest == body.replace("\n..\n", "\n.\n").replace("\n...a", "\n..a").replace("\n", "\r\n")


UNREAD = {
    "nested": b"MIME-Version: 1.0\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(10000)),
    "names": b"Content-Type: a/b; name*0*=''%ff%; name*1=\";\r\n name*99999999999999999999=x\r\n\r\n",
    "not-utf-8": b"Subject: \xff\xfe\xc0\x80\r\n\r\n\xed\xa0\x80\xf8\r\n",
    "signed": b"DKIM-Signature: v=1; a=rsa-sha256; h=Subject : From;\r\n\tbh=; l=99999999999999999999; b= x=\r\n y\r\n"
              b"Subject:  x \r\n\ty\r\n\r\n \r\n\r\n",
}


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("ehlo", [("8BITMIME",), ("8BITMIME", "PIPELINING", "CHUNKING")], ids=["data", "bdat"])
def test_text_is_not_read(postern, world, wait, name, ehlo):
    """E13, E14, E15, R34: parts without end, names in pieces, what is no UTF-8, signatures: not one octet changes."""
    world.domain("dest.example")
    world.sink.ehlo = ehlo
    postern.pipe(b"EHLO c.example\r\nMAIL FROM:<a@sender.example> BODY=8BITMIME\r\nRCPT TO:<u@dest.example>\r\n"
                 b"DATA\r\n" + UNREAD[name] + b".\r\nQUIT\r\n")
    assert wait(lambda: world.sink.messages), postern.logged()
    assert world.sink.messages[0].data.partition(b"+0000\r\n")[2] == UNREAD[name]


def test_too_deep_to_be_read(postern, world, wait):
    """E13, A21: where it must be converted, parts within parts have an end; the sender is told."""
    world.domain("dest.example", "127.0.0.3")
    bare = world.another("127.0.0.3", ehlo=())
    postern.pipe(b"EHLO c.example\r\nMAIL FROM:<a@sender.example> BODY=8BITMIME\r\nRCPT TO:<u@dest.example>\r\n"
                 b"DATA\r\n" + UNREAD["nested"] + b"\r\n\xe4\r\n.\r\nQUIT\r\n")
    assert wait(lambda: world.sink.messages), postern.logged()
    report = world.sink.messages[0].data
    assert b"\r\nStatus: 5.6.3\r\n" in report and b"nested too deep" in report and not bare.messages


def test_no_for_with_several_recipients(postern, world, wait):
    """R31: FOR would give the others away."""
    world.domain("dest.example")
    postern.send(["u@dest.example", "v@dest.example"])
    assert wait(lambda: world.sink.messages)
    assert "for <" not in bodies(world.sink)[0]
    assert world.sink.messages[0].recipients == ["u@dest.example", "v@dest.example"]  # R57


def test_names_of_containers_and_lists(postern, world):
    """L54: "_" in domains, and local parts of more than 64 octets: delivered unchanged."""
    world.domain("dest.example")
    world.zone[("my_mail_1", "MX")] = ["10 mx.dest.example."]
    recipient, sender = f"bounce+{'x' * 90}@my_mail_1", "www-data@web_app_1"
    postern.send(recipient, sender=sender)
    postern.rested()
    mail, = world.sink.messages
    assert (mail.sender, mail.recipients) == (sender, [recipient])
    assert list((postern.spool / "lane").iterdir()) == []


def test_report_to_the_names_of_containers(postern, world):
    """L54: the same in a report: whom it is to, and whom it is about."""
    world.domain("dest.example")
    world.zone[("web_app_1", "MX")] = ["10 mx.dest.example."]
    recipient = f"bounce+{'x' * 90}@no_such_host"
    postern.send(recipient, sender="www-data@web_app_1")
    postern.settled()
    report, = world.sink.messages
    assert report.recipients == ["www-data@web_app_1"]
    assert f"Final-Recipient: rfc822; {recipient}\r\n" in report.data.decode()


def test_lanes_are_removed(postern, world):
    """Must show 3: nothing is left behind, neither a process nor a directory."""
    world.domain("dest.example")
    postern.send("u@dest.example")
    postern.rested()
    assert world.sink.messages and list((postern.spool / "lane").iterdir()) == []


def test_mx_preference_and_next_host(postern, world):
    """R49, R50: the better one is dead, the next one takes it."""
    world.zone[("d.example", "MX")] = ["20 b.d.example.", "10 a.d.example."]
    world.zone[("a.d.example", "A")] = ["127.0.0.9"]
    world.zone[("b.d.example", "A")] = ["127.0.0.2"]
    postern.send("u@d.example")
    assert "b.d.example[127.0.0.2]" in postern.settled()
    assert world.sink.messages


@pytest.mark.parametrize("better", ["127.0.0.2", "127.0.0.3"])
def test_mx_preference(postern, world, better):
    """R49: while the better one lives, all goes there, whichever the DNS names first."""
    other = world.another("127.0.0.3")
    worse = {"127.0.0.2": "127.0.0.3", "127.0.0.3": "127.0.0.2"}[better]
    world.zone[("d.example", "MX")] = ["20 b.d.example.", "10 a.d.example."]
    world.zone[("a.d.example", "A")] = [better]
    world.zone[("b.d.example", "A")] = [worse]
    for _ in range(4): # a connection of its own for each
        postern.send("u@d.example")
        postern.rested()
    got = {"127.0.0.2": len(world.sink.messages), "127.0.0.3": len(other.messages)}
    assert got == {better: 4, worse: 0}


@pytest.mark.parametrize("addresses", [("127.0.0.2", "127.0.0.3"), ("127.0.0.3", "127.0.0.2")])
def test_all_addresses_of_a_host(postern, world, addresses):
    """R50: the next one when one fails. However busy this host is, the second greets when the first has had its say."""
    other = world.another("127.0.0.3")
    first, second = (world.sink, other) if addresses[0] == "127.0.0.2" else (other, world.sink)
    said = threading.Event()

    def refuse(_):
        said.set()
        return "421 4.3.2 no"
    world.domain("d.example", *addresses)
    world.domain("e.example", "127.0.0.9", *addresses)
    postern.settings["mx_order"] = "random" # nobody is nearer
    with second.held("GREETING", "220 sink"):
        postern.send("u@d.example")
        first.wait_messages()
    postern.settled()
    assert not second.messages
    first.say["GREETING"] = refuse
    second.say["GREETING"] = lambda _: said.wait(patience.PATIENCE) and "220 sink"
    postern.send("u@e.example")
    second.wait_messages()
    assert first.connections == 2


@pytest.mark.parametrize("addresses", [("127.0.0.8", "127.0.0.9"), ("127.0.0.9", "127.0.0.8")])
def test_addresses_of_a_host_in_order(postern, world, addresses):
    """R50: as the nameserver gave them. What the log has is about the last one."""
    world.domain("d.example", *addresses)
    postern.settings["mx_order"] = "random"
    postern.send("u@d.example")
    assert f"mx.d.example[{addresses[1]}]:{world.port}: connect: Connection refused" in postern.settled(1)


def test_sixty_mx_by_tcp(postern, world, wait):
    """G1: truncated over UDP."""
    world.zone[("big.example", "MX")] = [f"10 host-number-{i}.big.example." for i in range(60)]
    for i in range(60):
        world.zone[(f"host-number-{i}.big.example", "A")] = ["127.0.0.2"]
    postern.send("u@big.example")
    assert wait(lambda: world.sink.messages)
    assert ("tcp", "big.example", "MX") in world.dns.asked


@pytest.mark.parametrize("zone", [
    {("d.example", "MX"): ["1 alias.example."], ("alias.example", "CNAME"): ["h.example."],
     ("h.example", "A"): ["127.0.0.2"]},                     # G11
    {("d.example", "CNAME"): ["h.example."], ("h.example", "MX"): ["1 m.example."],
     ("m.example", "A"): ["127.0.0.2"]},                     # R46, G2
    {("d.example", "A"): ["127.0.0.2"]},                     # R47, G10
], ids=["mx-is-cname", "domain-is-cname", "address-only"])
def test_other_ways_to_a_host(postern, world, wait, zone):
    world.zone.update(zone)
    postern.send("u@d.example")
    assert wait(lambda: world.sink.messages), postern.logged()


def test_ipv6_only_mx(postern, world, wait):
    world.zone[("six.example", "MX")] = ["1 h.six.example."]
    world.zone[("h.six.example", "AAAA")] = ["::1"]
    six = world.another("::1")
    postern.send("u@six.example")
    assert wait(lambda: six.messages), postern.logged()


@pytest.mark.parametrize("zone, reply", [
    ({}, "550 5.1.2"),                                                       # G3
    ({("d.example", "MX"): ["0 ."], ("d.example", "A"): ["127.0.0.2"]}, "556 5.1.10"),         # R53, G9
    ({("d.example", "MX"): ["1 gone.example."], ("d.example", "A"): ["127.0.0.2"]}, "550 5.1.2"),  # R48
    ({("d.example", "TXT"): ['"x"']}, "550 5.1.2"),                          # G10
    ({("d.example", "MX"): ["1 mx.test.example."], ("mx.test.example", "A"): ["192.0.2.9"]},
     "554 5.4.6"),                                                           # R51, H4
    ({("d.example", "MX"): ["1 h.example."], ("h.example", "A"): ["10.1.2.3", "169.254.1.1"]},
     "554 5.4.6"),                                                           # H2
], ids=["nxdomain", "null-mx", "mx-without-host", "nothing", "ourselves", "private"])
def test_hard_failures_bounce(postern, world, zone, reply):
    """R39, R40: the report arrives at the sender's domain, with a null sender."""
    world.zone.update(zone)
    postern.send("u@d.example")
    postern.settled()
    report = world.sink.messages[0]
    assert (report.sender, report.recipients) == ("", ["a@sender.example"])
    text = report.data.decode()
    assert f"Status: {reply.split()[1]}\r\n" in text and f"; {reply} " in text
    assert "Final-Recipient: rfc822; u@d.example" in text
    assert "multipart/report" in text


def test_null_sender_never_bounces(postern, world):
    """R40, E7"""
    postern.send("u@nowhere.example", sender="")
    assert "dropped: no sender" in postern.settled()
    assert world.sink.messages == []


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")],
                         ids=["lock-step", "groups", "window"])
def test_refused_5xx_bounces_others_delivered(postern, world, ehlo):
    """F9, R41: each recipient for itself; only the soft one stays."""
    world.domain("d.example")
    world.sink.ehlo = ehlo
    answers = {"ok": "250 ok", "soft": "450 4.2.1 later", "hard": "550 5.1.1 no such user"}
    world.sink.say["RCPT"] = lambda line: next(
        (v for k, v in answers.items() if f"<{k}@" in line), "250 ok")
    postern.send(["ok@d.example", "soft@d.example", "hard@d.example"])
    postern.settled(1)
    assert len(world.sink.messages) == 2
    by_rcpt = {m.recipients[0]: m for m in world.sink.messages}
    assert "no such user" in by_rcpt["a@sender.example"].data.decode()
    world.sink.say.clear()
    postern.make_due()
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 3
    assert world.sink.messages[-1].recipients == ["soft@d.example"]


def down_refused(world):
    world.zone[("mx.d.example", "A")] = ["127.0.0.9"]


def down_silent(world):
    world.sink.say["GREETING"] = lambda line: patience.hold(4)
    return {"timeout_greeting": "1s"}


def down_servfail(world):
    world.zone[("d.example", "fault")] = "SERVFAIL"


def down_dns_silent(world):
    world.zone[("d.example", "fault")] = "SILENT"
    return {"timeout_dns": "2s"}


def down_421(world):
    world.sink.say["GREETING"] = "421 4.3.2 closing"


def down_4xx_data(world):
    world.sink.say["END"] = "451 4.3.0 later"


def down_cut(world):
    world.sink.say["END"] = None


@pytest.mark.parametrize("fault", [down_refused, down_silent, down_servfail, down_dns_silent,
                                   down_421, down_4xx_data, down_cut])
def test_soft_failures_wait_and_are_delivered(postern, world, fault):
    """R55, F1, F6, F7, G3: kept, not bounced, and delivered when the host is back."""
    world.domain("d.example")
    postern.settings["retry"] = "1h"
    postern.send("u@d.example", **(fault(world) or {}))
    postern.wait_logged("next try")
    log = postern.settled(1)
    if fault is down_silent: # who is given up early may not have come to count
        world.sink.wait_connections()
    before = world.sink.connections
    postern.due()                       # not due yet: nothing may happen
    assert postern.settled(1) == log and world.sink.connections == before
    world.domain("d.example")
    world.zone.pop(("d.example", "fault"), None)
    world.sink.say.clear()
    postern.make_due()
    postern.due()
    postern.settled()
    assert [(m.sender, m.recipients) for m in world.sink.messages] == [("a@sender.example", ["u@d.example"])]


def test_too_old_bounces(postern, world):
    """R55: given up after `expire`, but not before some attempts (J12)."""
    world.domain("d.example", "127.0.0.9")
    postern.settings.update(expire="1d", retry="1h", delay_warning="0s")
    postern.send("u@d.example", max_connections=0)
    spoolfile.elapse(postern.spool, 86401)
    for n in range(3):
        assert postern.rested().count("next try in") == n and not world.sink.messages
        postern.make_due()
        postern.due()
    postern.settled()
    assert "Status: 5.4.7\r\n" in world.sink.messages[0].data.decode()


def test_not_too_old(postern, world):
    """R55: however often it was tried."""
    world.domain("d.example", "127.0.0.9")
    postern.settings.update(expire="1d", retry="1h", delay_warning="0s")
    postern.send("u@d.example", max_connections=0)
    spoolfile.elapse(postern.spool, 80000)
    for n in range(1, 6):
        postern.make_due()
        postern.due()
        assert postern.settled(1).count("next try in") == n
    assert not world.sink.messages


def test_hello_falls_back_to_helo(postern, world):
    """R60, F11; and is remembered, unless more is wanted of the host."""
    said = []
    world.domain("d.example")
    world.sink.say["EHLO"] = lambda line: said.append(line) or "502 what"
    for n in (1, 2):
        postern.send("u@d.example")
        postern.settled()
        assert len(world.sink.messages) == n
    assert len(said) == 1
    postern.send("u@d.example", delivery_tls="encrypt")
    assert "the host does not offer it" in postern.settled(1)
    assert len(said) == 2


def test_without_pipelining(postern, world, wait):
    """F15"""
    world.domain("d.example")
    world.sink.ehlo = ()
    postern.send(["u@d.example", "v@d.example"])
    assert wait(lambda: world.sink.messages)


def test_queue_only(postern, world):
    """max_connections = 0 holds, of smtpd and of relay --due; with a limit both deliver. Each has had its say before
    anybody looks: a relay that is started talks to the host or asks the DNS."""
    world.domain("d.example")
    postern.send("u@d.example", max_connections=0)
    postern.settled(1)
    postern.due(max_connections=0)
    postern.settled(1)
    assert not world.sink.connections and not world.dns.asked
    postern.due(max_connections=1)
    postern.settled()
    assert len(world.sink.messages) == 1
    postern.send("u@d.example", max_connections=1)
    postern.settled()
    assert len(world.sink.messages) == 2


def test_torn_message_is_set_aside(postern, world):
    """J9, J19: what does not prove itself whole is never sent."""
    world.domain("d.example")
    postern.send("u@d.example", max_connections=0)
    path = postern.messages()[0]
    data = path.read_bytes()
    path.write_bytes(data[:-60] + b"\0" * 10 + data[-50:])
    postern.due()
    assert "not a whole message" in postern.settled()
    assert list((postern.spool / "aside").iterdir()) and world.sink.messages == []


def test_many_clients_many_domains(postern, world, wait):
    """Must show 7, I5, I15: 200 clients, 10 messages each, 50 domains, all exactly once."""
    for i in range(50):
        world.domain(f"d{i}.example")
    world.sink.delay = 0.001
    gate = threading.Semaphore(20)

    def client(number):
        with gate:
            text = "EHLO c.example\n" + "".join(
                f"MAIL FROM:<a@sender.example>\nRCPT TO:<u@d{(number + k) % 50}.example>\nDATA\n"
                f"Subject: {number}.{k}\n\nx\n.\n" for k in range(10)) + "QUIT\n"
            assert postern.pipe(text, max_connections=8).count("queued as") == 10

    threads = [threading.Thread(target=client, args=(n,)) for n in range(200)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wait(lambda: len(world.sink.messages) >= 2000 and not postern.relays(), 300)
    postern.settled()
    subjects = [re.search(r"Subject: (\S+)", b).group(1) for b in bodies(world.sink)]
    assert sorted(subjects) == sorted(f"{n}.{k}" for n in range(200) for k in range(10))
    assert world.sink.most_open <= 16  # eight at work, and as many that wait for more
