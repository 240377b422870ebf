"""What is counted (process/counters.h), and what `smtpd --counters` prints: each number, and nothing beside it."""
import base64
import os
import shutil
import ssl
import subprocess
import time

import pytest

import client
import patience
import spoolfile
from conftest import DROP, NOBODY, own
from test_outage import run_cut_off

FILE = "counts-4"
HEAD = 4096  # octets of the counters in it
HISTOGRAMS = ("session_time", "queue_time", "delivery_time")
HOUR, DAY = 3600, 86400


def run(postern, *wrapper, **settings):
    command = postern.command("smtpd", "--counters", **settings)
    if wrapper:
        command = [*wrapper, *command[len(DROP) if os.geteuid() == 0 else 0:]]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=postern.environment(), check=False)


def numbers(postern):
    """{name: number} of all, when nobody is at work."""
    postern.rested()
    p = run(postern)
    assert (p.returncode, p.stderr) == (0, "")
    pairs = [line.split(" ") for line in p.stdout.splitlines()]
    found = {name: int(n) for name, n in pairs}
    assert len(found) == len(pairs)
    return found


def counted(postern):
    """All that are not 0, but for the histograms, of which `times` is how much they hold."""
    found = numbers(postern)
    times = {name: found[f"{name}_le_inf"] for name in HISTOGRAMS}
    return {k: n for k, n in found.items() if n and not k.startswith(HISTOGRAMS)}, times


def users(postern):
    p = subprocess.run(postern.command("smtpd", "--hash", "joe"), input=b"secret\n", stdout=subprocess.PIPE,
                       env=postern.environment(), check=True)
    path = postern.where / "users"
    path.write_bytes(p.stdout)
    own(path)
    return path


def plain(word):
    return "AUTH PLAIN " + base64.b64encode(f"\0joe\0{word}".encode()).decode()


# ---- smtpd

def test_sessions(secure):
    """In clear, by two versions of TLS, with a good and a wrong password; two messages, three recipients."""
    secure.settings["auth_users"] = users(secure)
    c = secure.meet()
    c.starttls()
    c.hello()
    assert c.ask(plain("secret")).startswith("235 ")
    assert c.message().startswith("250 ")
    assert c.ask("QUIT").startswith("221 ") and c.end() == 0
    c = secure.meet()
    c.starttls(client.context(high=ssl.TLSVersion.TLSv1_2))
    c.hello()
    assert c.ask(plain("wrong")).startswith("535 ")
    assert c.ask("QUIT").startswith("221 ") and c.end() == 0
    body = "Subject: y\r\n\r\n..dot\r\n"
    said = secure.pipe("EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nRCPT TO:<v@e.example>\r\n"
                       f"DATA\r\n{body}.\r\nQUIT\r\n", max_connections=0)
    assert "queued as" in said
    hello = "Subject: x\r\n\r\nhello\r\n"
    assert counted(secure) == ({
        "connections": 3, "sessions_tls_1_3": 1, "sessions_tls_1_2": 1, "sessions_clear": 1, "auth_ok": 1,
        "auth_failed": 1, "messages_accepted": 2, "recipients_accepted": 3,
        "octets_accepted": len(hello) + len(body) - 1, # the dot that was stuffed
        "errors": 1, "refused_5yz": 1, "refused_auth_refused": 1,
    }, {"session_time": 3, "queue_time": 0, "delivery_time": 0})


HELLO = ["EHLO c.example"]
MAIL = [*HELLO, "MAIL FROM:<a@b.example>"]

REFUSALS = [ # (commands, settings, what is counted of refusals)
    (["FOO"], {}, {"errors": 1, "refused_5yz": 1, "refused_unknown_command": 1}),
    (["EXPN x", "VRFY"], {}, {"errors": 2, "refused_5yz": 2, "refused_not_implemented": 1, "refused_vrfy_syntax": 1}),
    (["MAIL FROM:<a@b.example>"], {}, {"errors": 1, "refused_5yz": 1, "refused_need_helo": 1}),
    ([*HELLO, "MAIL FROM:<a@b.example> SIZE=99999999"], {"max_size": "1M"}, {"errors": 1, "refused_5yz": 1, "refused_too_large": 1}),
    ([*HELLO, "MAIL FROM:<a@b.example> SIZE=1"], {"min_free": "1000G"},
     {"errors": 1, "refused_4yz": 1, "refused_queue_full": 1}),
    # not against max_errors
    ([*MAIL, *["RCPT TO:<u@d.example>"] * 102], {"max_recipients": 100},
     {"refused_4yz": 2, "refused_too_many_rcpt": 2}),
    ([*MAIL, "RCPT TO:<u@d.example>"], {"recipient_check": "/bin/false"},
     {"errors": 1, "refused_4yz": 1, "refused_check_defer": 1, "checks_unanswered": 1}),
    ([*MAIL, "RCPT TO:<u@d.example>"], {"guard": "allow e.example"},
     {"errors": 1, "refused_5yz": 1, "refused_guarded": 1}),
    # the last one, and what ends the connection
    (["FOO", "FOO"], {"max_errors": 2},
     {"errors": 2, "refused_5yz": 2, "refused_unknown_command": 2, "refused_4yz": 1, "refused_too_many_errors": 1}),
    ([*MAIL, "RCPT TO:<u@d.example>", "DATA", "x\0y\r\n."], {}, {"errors": 1, "refused_5yz": 1, "refused_nul_in_data": 1}),
    (["STARTTLS"], {}, {"errors": 1, "refused_5yz": 1, "refused_not_implemented": 1}),
    (["GET / HTTP/1.1"], {}, {"errors": 1, "refused_4yz": 1, "refused_not_smtp": 1}),
]


@pytest.mark.parametrize("commands, settings, want", REFUSALS, ids=[row[0][-1].split(":")[0] + str(n)
                                                                   for n, row in enumerate(REFUSALS)])
def test_refusals(postern, commands, settings, want):
    """By reply, and by its first digit."""
    postern.pipe("".join(c + "\r\n" for c in [*commands, "QUIT"]), **settings)
    assert counted(postern) == ({"connections": 1, "sessions_clear": 1, **want},
                                {"session_time": 1, "queue_time": 0, "delivery_time": 0})


def test_lost(postern):
    """In a message; and before there could be one, which is no matter."""
    c = postern.meet()
    c.envelope()
    c.send("Subject: x\r\n")
    c.sock.close()
    c.file.close()
    c.process.wait(patience.PATIENCE)
    postern.pipe("EHLO c.example\r\n")
    found, times = counted(postern)
    assert found == {"connections": 2, "sessions_clear": 2, "sessions_lost": 1} and times["session_time"] == 2


def test_handshake_that_fails(secure):
    c = secure.meet()
    assert c.ask("STARTTLS").startswith("220 ")
    c.send("this is no handshake\r\n")
    c.rest()
    c.process.wait(patience.PATIENCE)
    found, _ = counted(secure)
    assert found == {"connections": 1, "sessions_clear": 1, "tls_failed": 1}


def test_no_spool(postern):
    """Who cannot be served is counted, too."""
    assert postern.pipe("", spool="/etc/hostname").startswith("421 4.3.0 ")
    assert counted(postern)[0] == {"refused_4yz": 1, "refused_no_queue": 1}


# ---- relay

def sent(n=1, recipients=None):
    """What smtpd counts of so many messages that a pipe brought."""
    return {"connections": n, "sessions_clear": n, "messages_accepted": n, "recipients_accepted": recipients or n,
            "octets_accepted": n * len("Subject: x\r\n\r\nhello\r\n")}


def test_delivered(postern, world):
    world.domain("d.example")
    postern.send(["u@d.example", "v@d.example"])
    postern.settled()
    assert counted(postern) == (
        sent(recipients=2) | {"relays": 1, "hosts_connected": 1, "delivered": 2, "messages_done": 1},
        {"session_time": 1, "queue_time": 2, "delivery_time": 1})


def test_times(postern, world):
    """None is longer than it took to make them all: a session, two recipients in the queue, a delivery."""
    world.domain("d.example")
    before, date = time.monotonic(), time.time()
    postern.send(["u@d.example", "v@d.example"])
    postern.settled()
    most, days = (time.monotonic() - before) * 1000 + 1, (time.time() - date) * 1000 + 1
    found = numbers(postern)
    assert found["session_time_sum"] <= most and found["delivery_time_sum"] <= most
    assert found["queue_time_sum"] <= 2 * days # by the clock of dates, which may be set


def test_each_its_own(postern, world):
    """R39: one message, and a recipient of each kind; its sender is told."""
    world.domain("d.example")
    world.domain("sender.example", "127.0.0.3")
    world.another("127.0.0.3")
    says = {"soft": "450 4.2.1 later", "hard": "550 5.1.1 no", "fine": "250 2.1.5 ok"}
    world.sink.say["RCPT"] = lambda line: says[line.partition("<")[2].partition("@")[0]]
    postern.send([f"{name}@d.example" for name in says])
    postern.settled(1)
    assert counted(postern) == (
        sent(recipients=3) | {"relays": 1, "hosts_connected": 2, "delivered": 2, "deferred_host_4yz": 1,
                              "bounced_host_5yz": 1, "messages_done": 1, "messages_deferred": 1, "reports": 1},
        {"session_time": 1, "queue_time": 3, "delivery_time": 2})


def nowhere(_world):
    """There is no such domain."""


def no_nameserver(world):
    world.zone[("d.example", "fault")] = "SERVFAIL"


def nobody_there(world):
    world.domain("d.example", "127.0.0.9")


def greets_with(reply):
    def prepare(world):
        world.domain("d.example")
        world.sink.say["GREETING"] = reply
    return prepare


def says(verb, reply):
    def prepare(world):
        world.domain("d.example")
        world.sink.say[verb] = reply
    return prepare


def small(world):
    world.domain("d.example")
    world.sink.ehlo = ("SIZE 5",)


MET = {"hosts_connected": 1}
WAITS = {"messages_deferred": 1}
GONE = {"messages_done": 1, "reports_dropped": 1}
OUTCOMES = [ # (what there is, settings, messages that wait then, what relay counts, deliveries)
    (nowhere, {}, 0, {"bounced_dns": 1, **GONE}, 0),
    (no_nameserver, {}, 1, {"lanes_deferred_dns": 1}, 0),
    (nobody_there, {}, 1, {"lanes_deferred_connect": 1}, 0),
    (greets_with("554 5.7.1 not you"), {}, 1, {"lanes_deferred_host_5yz": 1}, 0),
    (greets_with("421 4.3.2 later"), {}, 1, {"lanes_deferred_host_4yz": 1}, 0),
    (says("EHLO", None), {"delivery_tls": "encrypt"}, 1, {"lanes_deferred_lost": 1}, 0),
    (says("NONE", None), {"delivery_tls": "encrypt"}, 1, {"lanes_deferred_tls": 1}, 0),
    (says("RCPT", "550 5.1.1 no"), {}, 0, {"bounced_host_5yz": 1, **MET, **GONE}, 1),
    (says("RCPT", "450 4.2.1 later"), {}, 1, {"deferred_host_4yz": 1, **MET, **WAITS}, 1),
    (says("END", "554 5.6.0 no"), {}, 0, {"bounced_host_5yz": 1, **MET, **GONE}, 1),
    (small, {}, 0, {"bounced_ours": 1, **MET, **GONE}, 1),
]


@pytest.mark.parametrize("prepare, settings, waiting, want, deliveries", OUTCOMES, ids=range(len(OUTCOMES)))
def test_outcome(postern, world, prepare, settings, waiting, want, deliveries):
    """One message without a sender, one attempt."""
    prepare(world)
    postern.send("u@d.example", sender="", **settings)
    postern.settled(waiting)
    ended = sum(n for k, n in want.items() if k.startswith(("bounced_", "delivered")))
    assert counted(postern) == (sent() | {"relays": 1, **want},
                                {"session_time": 1, "queue_time": ended, "delivery_time": deliveries})


def test_lost_before_the_answer(postern, world):
    """RFC 1047: the host may have taken it."""
    world.domain("d.example")
    world.sink.say["END"] = None
    postern.send("u@d.example", sender="")
    postern.settled(1)
    found, times = counted(postern)
    assert found == sent() | {"relays": 1, "hosts_connected": 1, "deferred_lost": 1, "messages_deferred": 1}
    assert times["queue_time"] == times["delivery_time"] == 0


def test_login_refused(place):
    """What is wrong between the operator and a smarthost."""
    place.host(ehlo=("AUTH PLAIN",), say={"AUTH": "535 5.7.8 no"})
    place.postern.configure("[route r]", "domains = *", f"hosts = mx.dest.example:{place.world.port}",
                            "delivery_user = us", "delivery_password_file = " + str(place.postern.where / "secret"))
    (place.postern.where / "secret").write_text("secret\n")
    own(place.postern.where / "secret")
    place.send()
    place.postern.wait_logged("next try in")
    found, _ = counted(place.postern)
    assert {k: n for k, n in found.items() if "deferred" in k} == {"lanes_deferred_auth": 1}


def test_tls(place):
    """By TLS, and how it is counted that a certificate is not good enough."""
    place.host()
    place.send(delivery_tls="verify")
    place.postern.settled()
    found, _ = counted(place.postern)
    assert (found["hosts_connected"], found["hosts_connected_tls"], found["delivered"]) == (1, 1, 1)
    place.host("expired")
    place.send(delivery_tls="verify")
    place.postern.settled(1)
    found, _ = counted(place.postern)
    assert (found["hosts_connected"], found["lanes_deferred_tls"], found["delivered"]) == (1, 1, 1)


def test_cut_off(postern):
    """R55: it is this host that has no network, and no other to blame."""
    postern.send("u@[203.0.113.1]", sender="", max_connections=0)
    run_cut_off(postern)
    assert counted(postern)[0] == sent() | {"relays": 1, "lanes_deferred_ours": 1}


def test_expired(postern, world):
    """Too old at its third attempt, whatever the host says; the time in the queue is that since MAIL."""
    world.domain("d.example")
    world.sink.say["RCPT"] = "450 4.2.1 later"
    postern.settings.update(expire="60h", retry="1d")
    postern.send("u@d.example", sender="")
    for _ in range(3):
        postern.settled(1)
        spoolfile.elapse(postern.spool, DAY)
        postern.due()
    postern.settled()
    found = numbers(postern)
    assert found["bounced_expired"] == 1 and found["deferred_host_4yz"] == 3 and found["reports_dropped"] == 1
    bound = 1 << 27 # ms, a day and a half
    assert (found[f"queue_time_le_{bound}"], found["queue_time_le_inf"]) == (0, 1)
    assert found["queue_time_sum"] >= 3 * DAY * 1000


def test_too_late(postern, world):
    """RFC 2852: a sender's own time."""
    world.domain("d.example")
    postern.pipe("EHLO c.example\r\nMAIL FROM:<> BY=60;R\r\nRCPT TO:<u@d.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
                 max_connections=0)
    spoolfile.elapse(postern.spool, HOUR)
    postern.due()
    postern.settled()
    found, times = counted(postern)
    assert found["bounced_expired"] == 1 and "bounced_ours" not in found and times["queue_time"] == 1


# ---- the file

def test_all_are_there(postern):
    """Also those that are 0; a name and a number each; buckets that hold those before them."""
    postern.pipe("QUIT\r\n")
    found = numbers(postern)
    assert found["connections"] == 1 and found["bounced_expired"] == 0
    for name in HISTOGRAMS:
        buckets = [found[f"{name}_le_{1 << i}"] for i in range(30)] + [found[f"{name}_le_inf"]]
        assert buckets == sorted(buckets)


@pytest.mark.parametrize("content", [b"\xff" * HEAD, b"y" * 1000000, b"tsoP" + b"\0" * HEAD],
                         ids=["nonsense", "long", "almost"])
def test_not_ours(postern, world, content):
    """K13: left alone, which is said, and mail goes."""
    path = postern.runtime / FILE
    path.write_bytes(content)
    own(path)
    world.domain("d.example")
    postern.send("u@d.example")
    log = postern.settled()
    said = f"what stands in {FILE} is not ours, and is left alone"
    assert log.count(said) == 2 and len(world.sink.messages) == 1 # smtpd, relay
    assert path.read_bytes()[:HEAD] == content[:HEAD]
    p = run(postern)
    assert p.returncode == 66 and p.stdout == "" and p.stderr.count("\n") == 1
    assert "of another version" in p.stderr


@pytest.mark.parametrize("content", [b"", b"\0" * 100], ids=["empty", "short"])
def test_short(postern, content):
    """K13: made long enough, and begun."""
    path = postern.runtime / FILE
    path.write_bytes(content)
    own(path)
    p = run(postern)
    assert p.returncode == 66 and "it is no file of counters" in p.stderr
    postern.pipe("QUIT\r\n")
    assert counted(postern)[0] == {"connections": 1, "sessions_clear": 1}


def test_nowhere_to_count(postern, world):
    """J18, K4: without a runtime directory mail goes, and somebody hears of it."""
    world.domain("d.example")
    postern.settings["runtime"] = "/nonexistent"
    postern.send("u@d.example")
    log = postern.settled()
    assert len(world.sink.messages) == 1
    assert log.count("runtime /nonexistent: No such file or directory: nothing is counted") == 1
    assert log.count("runtime /nonexistent: No such file or directory: this relay does not count") == 1


def test_who_may_read(postern):
    """Any user who may read the file; else one line, and status 66."""
    p = run(postern)
    assert p.returncode == 66 and "nothing was counted since the last boot" in p.stderr
    postern.pipe("QUIT\r\n")
    assert run(postern).returncode == 0
    (postern.runtime / FILE).rename(postern.runtime / "counts-0")
    p = run(postern)
    assert p.returncode == 66 and "there is a file of another one" in p.stderr and p.stderr.count("\n") == 1
    (postern.runtime / "counts-0").rename(postern.runtime / FILE)
    if os.geteuid() == 0 and shutil.which("setpriv"):
        assert run(postern, "setpriv").returncode == 0 # root
        p = run(postern, "setpriv", f"--reuid={NOBODY - 1}", f"--regid={NOBODY - 1}", "--clear-groups")
        assert (p.returncode, p.stdout) == (66, "")
        assert "Permission denied; run it as root or as the user of the service" in p.stderr
    assert run(postern, nonsense=1).returncode == 78


def test_two_versions(postern):
    """What an older version counts into is not touched, and no limit of it is taken over."""
    (postern.runtime / "counts-0").write_bytes(b"x" * 100)
    own(postern.runtime / "counts-0")
    postern.pipe("QUIT\r\n")
    assert (postern.runtime / "counts-0").read_bytes() == b"x" * 100
    assert counted(postern)[0]["connections"] == 1
