"""Who may do what, and how much: proxies, counts of a network, programs of the site, slow clients."""
import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import client
import proc
import strangers
from client import TIMEOUT, pair
from conftest import NOBODY, own
from patience import PATIENCE, doubled, hold, until
from sockets import wait_read, wait_taken

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def window():
    """One for counts that has begun, and does not end for hours."""
    now, day = int(time.time()), 86400
    return next(w for w in range(day, 0, -1) if now % w < w / 2)


WINDOW = f"{window()}s"


class Client(client.Client):
    """A conversation from some address, in lock-step. Nothing runs out by itself."""

    SETTINGS = {"max_connections": 0, "limit_window": WINDOW, "timeout_check": "1h", "timeout_tls": "1h"}

    def __init__(self, postern, address="127.0.0.1", before=b"", greeted=True, keep=False, **settings):
        """With `keep` the server's end of the connection stays here too, to be looked at."""
        if address == "127.0.0.1":
            ours, self.server = pair()
        else:
            try:
                ours, self.server = strangers.connection(address)
            except strangers.NoNamespace as why:
                pytest.skip(f"needs root or user namespaces: {why}")
        ours.sendall(before)
        super().__init__(ours, postern.start(self.server, self.server, **{**self.SETTINGS, **settings}))
        if not keep:
            self.server.close()
        self.greeting = self.reply() if greeted else None

    def reply(self):
        """The last line of a reply, or "" at the end."""
        return super().reply().rpartition("\n")[2]

    def close(self):
        assert self.end() == 0


@pytest.fixture
def runtime(postern):
    """A runtime directory of the programs' own."""
    return postern.runtime


COUNTS, COUNTS_SIZE = "counts-4", 4096 + 262144 # counters, and behind them the table of networks
QUOTA = "421 4.7.0 mx.test.example Error: too much from your network, try again later"
ENOUGH = "452 4.5.3 Error: too many recipients from your network, try again later"


def test_connections_of_a_network(postern, runtime):
    """I2: counted across processes; another network, and this host, are not concerned."""
    said = [Client(postern, "192.0.2.1", limit_connections=2) for _ in range(3)]
    assert [c.greeting[:3] for c in said[:2]] == ["220", "220"]
    assert said[2].greeting == QUOTA and said[2].reply() == ""
    assert Client(postern, "2001:db8::1", limit_connections=2).greeting.startswith("220")
    for _ in range(3):
        assert Client(postern, limit_connections=2).greeting.startswith("220")
    assert (runtime / COUNTS).stat().st_mode & 0o777 == 0o600


def test_handshakes_of_a_network(secure, runtime):
    """I2, B12: a connection counts before its TLS handshake, which is what costs most of it."""
    for _ in range(2):
        c = Client(secure, "192.0.2.1", greeted=False, tls="implicit", limit_connections=2)
        c.close()
    c = Client(secure, "192.0.2.1", limit_connections=2)
    assert c.greeting == QUOTA
    c.close()
    c = Client(secure, "192.0.2.1", greeted=False, tls="implicit", limit_connections=2)
    assert c.file.read() == b"" # not even what TLS says of a broken handshake
    c.close()
    assert "refused [192.0.2.1]: too many connections" in secure.logged()


@pytest.mark.parametrize("what, settings", [
    ("messages", {"limit_messages": 1}), ("recipients", {"limit_recipients": 2})])
def test_messages_of_a_network(postern, runtime, what, settings):
    """What was queued counts; then 421 at once, or 452 to each recipient."""
    c = Client(postern, "192.0.2.1", relay_nets="192.0.2.0/24", **settings)
    c.ask("EHLO c.example")
    for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>", "RCPT TO:<v@d.example>"):
        assert c.ask(command).startswith("250")
    assert c.ask("DATA").startswith("354") and c.ask("x\r\n.").startswith("250")
    said = c.ask("MAIL FROM:<a@b.example>")
    if what == "recipients":
        assert said.startswith("250")
        assert c.ask("RCPT TO:<u@d.example>") == ENOUGH and c.ask("QUIT").startswith("221")
    else:
        assert said == QUOTA
    assert c.reply() == ""


def talkers(postern, n, **settings):
    """Sessions of one network that have said EHLO."""
    all = [Client(postern, "192.0.2.1", relay_nets="192.0.2.0/24", **settings) for _ in range(n)]
    for c in all:
        c.ask("EHLO c.example")
    return all


def test_messages_at_once(postern, runtime):
    """S10: sessions that ask together are not all told yes; what is dropped did not count."""
    a, b, c = talkers(postern, 3, limit_messages=2)
    assert [x.ask("MAIL FROM:<a@b.example>")[:3] for x in (a, b, c)] == ["250", "250", "421"]
    assert a.ask("RSET") == "250 2.0.0 Ok"
    d, = talkers(postern, 1, limit_messages=2)
    assert d.ask("MAIL FROM:<a@b.example>")[:3] == "250"
    assert d.ask("RCPT TO:<u@d.example>")[:3] == "250"
    assert d.ask("DATA")[:3] == "354" and d.ask("x\r\n.")[:3] == "250"
    b.close() # as good as RSET
    e, f = talkers(postern, 2, limit_messages=2)
    assert [x.ask("MAIL FROM:<a@b.example>")[:3] for x in (e, f)] == ["250", "421"]
    assert e.ask("MAIL FROM:<a@b.example> X=1")[:3] == "503" # and the first one stays
    assert talkers(postern, 1, limit_messages=2)[0].ask("MAIL FROM:<a@b.example>")[:3] == "421"


def test_recipients_at_once(postern, runtime):
    """S10: the same of recipients, each of them."""
    a, b = talkers(postern, 2, limit_recipients=3)
    for x in (a, b):
        assert x.ask("MAIL FROM:<a@b.example>")[:3] == "250"
    said = [x.ask("RCPT TO:<u@d.example>")[:3] for x in (a, b, a, b)]
    assert said == ["250", "250", "250", "452"] and b.ask("RSET")[:3] == "250"
    assert a.ask("RCPT TO:<\x01@d.example>")[:3] == "501" # counts as little as what b leaves behind
    assert a.ask("RCPT TO:<u@d.example>")[:3] == "250"


def test_passwords_at_once(postern, runtime):
    """S10: many sessions that wait with their guess are not many guesses."""
    (postern.where / "users").write_text("joe:$6$salt$x\n")
    a, b, c = talkers(postern, 3, auth_users=postern.where / "users", auth_clear="yes",
                      limit_auth_failures=2)
    assert [x.ask("AUTH PLAIN") for x in (a, b, c)] == ["334 ", "334 ", QUOTA]
    assert a.ask("*")[:3] == "501" # which is no guess
    assert a.ask("AUTH PLAIN") == "334 "


def test_passwords_of_a_network(postern, runtime):
    """R70: who has guessed too often may not guess on in further connections, even rightly."""
    hashed = subprocess.run(postern.command("smtpd", "--hash", "joe"), input=b"secret\n",
                            stdout=subprocess.PIPE, env=postern.environment(), check=True).stdout
    (postern.where / "users").write_bytes(hashed)
    said = []
    for word in ("wrong", "secret", "wrong", "secret"):
        c = Client(postern, "192.0.2.1", auth_users=postern.where / "users", auth_clear="yes",
                   limit_auth_failures=2)
        c.ask("EHLO c.example")
        said.append(c.ask("AUTH PLAIN " + base64.b64encode(f"\0joe\0{word}".encode()).decode()))
        c.close()
    assert [s[:3] for s in said] == ["535", "235", "535", "421"]


def test_errors_of_a_network(postern, runtime):
    """Errors add up over connections."""
    for _ in range(2):
        c = Client(postern, "192.0.2.1", limit_errors=3)
        assert c.ask("FOO").startswith("500")
        c.close()
    c = Client(postern, "192.0.2.1", limit_errors=3)
    assert c.ask("FOO").startswith("500") and c.ask("FOO").startswith("500")
    assert c.reply().startswith("421") and c.reply() == ""


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * COUNTS_SIZE, b"y" * 1000000],
                         ids=["empty", "short", "nonsense", "long"])
def test_counts_are_only_numbers(postern, runtime, content):
    """K13: whatever stands in the file, sessions go on, and it has its size again."""
    path = runtime / COUNTS
    path.write_bytes(content)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    assert Client(postern, "192.0.2.1", limit_connections=0).greeting.startswith("220")
    assert path.stat().st_size == COUNTS_SIZE


@pytest.mark.parametrize("trouble", ["absent", "link", "directory"])
def test_no_counts_no_trouble(postern, runtime, trouble):
    """J18, K4: a table that cannot be used is done without."""
    if trouble == "absent":
        runtime.rmdir()
    elif trouble == "link":
        (runtime / COUNTS).symlink_to("/dev/null")
    else:
        (runtime / COUNTS).mkdir()
    assert Client(postern, "192.0.2.1", limit_connections=1).greeting.startswith("220")
    if trouble != "absent" or os.geteuid() == 0: # else it was made
        assert "limit_ keys not in force" in postern.logged() # L55


# ---- proxies

@pytest.mark.parametrize("header, address", [
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n", "[192.0.2.7]"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::8 1234 25\r\n", "[IPv6:2001:db8::7]"),
    (V2 + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 8, 4, 210, 0, 25]), "[192.0.2.7]"),
    (V2 + b"\x21\x21\x00\x27" + bytes.fromhex("20010db8" + 22 * "0" + "07" + 31 * "0" + "1" +
                                              "04d20019") + b"\x04\x00\x00", "[IPv6:2001:db8::7]"),
], ids=["v1-4", "v1-6", "v2-4", "v2-6"])
def test_proxy_names_the_client(postern, header, address):
    """The proxy is on loopback, its client is not: it may not send to any domain."""
    c = Client(postern, before=header, proxy_nets="127.0.0.0/8")
    assert c.greeting.startswith("220")
    assert f"connection from {address}" in postern.logged()
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    assert c.ask("RCPT TO:<u@d.example>") == "550 5.7.1 Error: relaying denied"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", V2 + b"\x20\x00\x00\x00"])
def test_proxy_for_itself(postern, header):
    """A health check is the proxy's own."""
    c = Client(postern, before=header, proxy_nets="127.0.0.0/8")
    assert c.greeting.startswith("220") and "connection from [127.0.0.1]" in postern.logged()
    # It may be that the proxy will not say: that is no reason to trust whoever is behind it.
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    assert c.ask("RCPT TO:<u@d.example>") == "550 5.7.1 Error: relaying denied"


@pytest.mark.parametrize("header", [
    b"EHLO c.example\r\n", b"PROXY TCP4 localhost 192.0.2.8 1 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 99999\r\n", b"PROXY TCP4 2001:db8::1 192.0.2.8 1 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.8 1 25\n", b"P" * 200,
    V2 + b"\x31\x11\x00\x0c" + bytes(12), V2 + b"\x21\x11\xff\xff", V2 + b"\x21\x11\x00\x04" + bytes(4),
    V2 + b"\x21\x31\x00\x0c" + bytes(12)])
def test_proxy_that_makes_no_sense(postern, header):
    """Not a word is said to it."""
    c = Client(postern, before=header, greeted=False, proxy_nets="127.0.0.0/8")
    assert c.reply() == ""


def test_proxy_that_is_silent(postern):
    c = Client(postern, greeted=False, proxy_nets="127.0.0.0/8", timeout_tls="1s")
    assert c.reply() == ""


def test_nobody_else_is_a_proxy(postern):
    """Who is not listed is not believed."""
    c = Client(postern)
    assert c.ask("PROXY TCP4 192.0.2.7 192.0.2.8 1 25").startswith("500")


# ---- programs of the site

def program(postern, text):
    path = postern.where / "check"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@pytest.fixture
def seen(postern):
    """A file that a program may write."""
    path = postern.where / "seen"
    path.touch()
    own(path)
    return path


def recipient(postern, answer, **settings):
    """What is said to a recipient when the program does this."""
    c = Client(postern, recipient_check=program(postern, answer), **settings)
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    said = c.ask("RCPT TO:<u@d.example>")
    assert c.ask("NOOP").startswith("250") # the session goes on
    c.close()
    return said


@pytest.mark.parametrize("answer, said", [
    ("echo OK", "250 2.1.5 Ok"),
    ("printf 'OK\\r\\n'", "250 2.1.5 Ok"), # L63
    ("echo REJECT who is this", "550 5.7.1 Error: who is this"),
    ("echo DEFER ask again", "451 4.7.1 Error: ask again"),
    ("echo ok", "451 4.7.1 Error: cannot be checked now"),
    ("echo OKAY", "451 4.7.1 Error: cannot be checked now"),
    ("printf OK", "451 4.7.1 Error: cannot be checked now"),
    ("printf 'OK\\nOK\\n'", "451 4.7.1 Error: cannot be checked now"),
    ("printf 'REJECT a\\001b\\n'", "451 4.7.1 Error: cannot be checked now"),
    ("head -c 1000 /dev/zero", "451 4.7.1 Error: cannot be checked now"),
    ("exit 1", "451 4.7.1 Error: cannot be checked now"),
])
def test_recipient_check(postern, answer, said):
    """Only what is understood counts; anything else puts off."""
    assert recipient(postern, answer) == said
    assert ("recipient_check: it cannot be run" in postern.logged()) == ("cannot be checked" in said)


def test_recipient_check_that_is_missing(postern):
    """The operator hears why all mail is put off."""
    c = Client(postern, recipient_check="/none")
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    assert c.ask("RCPT TO:<u@d.example>") == "451 4.7.1 Error: cannot be checked now"
    assert "recipient_check: it cannot be run" in postern.logged()


def test_recipient_check_is_told(postern, seen):
    """The question."""
    assert recipient(postern, f"cat >>{seen}; echo OK") == "250 2.1.5 Ok"
    assert seen.read_text() == "recipient u@d.example\nclient [127.0.0.1]\nsender a@b.example\n"


@pytest.mark.parametrize("sender", ["jörg@bücher.example", r'"a\"b\\c"@b.example', "joe@old.example", ""])
def test_both_programs_are_told_the_same_sender(postern, seen, sender):
    """As the client gave it: neither escaped, as in the log, nor as it goes out."""
    check = program(postern, f"sed -n 's/^sender //p' >>{seen}; echo OK")
    c = Client(postern, recipient_check=check, sender_check=check, masquerade="old.example=new.example")
    c.ask("EHLO c.example")
    assert c.ask(f"MAIL FROM:<{sender}> SMTPUTF8")[:3] == c.ask("RCPT TO:<u@d.example>")[:3] == "250"
    assert seen.read_text() == f"{sender}\n" * 2


def test_recipient_check_is_not_asked_in_vain(postern, seen):
    """D17: of a recipient that is one too many."""
    c = Client(postern, recipient_check=program(postern, f"cat >>{seen}; echo OK"), max_recipients=100)
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    c.sock.sendall(b"".join(b"RCPT TO:<u%d@d.example>\r\n" % n for n in range(110)))
    assert [c.reply()[:3] for _ in range(110)] == ["250"] * 100 + ["452"] * 10
    assert seen.read_text().count("\nclient ") == 100


def test_recipient_check_that_hangs_ends(postern, seen):
    """Nobody is left over who waits for nobody."""
    pids, answer = [], f"echo pid=$$ >>{seen}; exec sleep 1000"
    for seconds in (1, 2, 4, 8, 16, 32): # where it takes longer than that to begin
        assert recipient(postern, answer, timeout_check=f"{seconds}s").startswith("451")
        if pids := re.findall(r"pid=(\d+)\n", seen.read_text()):
            break
    assert pids
    words = {"1000", str(postern.where / "check")}
    until(lambda: not [pid for pid in pids if words & set(proc.words(pid))])


def test_recipient_check_program_gets_nothing_else(postern, seen):
    """K1, K2: no descriptor and no variable of ours."""
    answer = f"held=$(ls -l /proc/$$/fd); echo \"$held\" >>{seen}; env >>{seen}; echo OK"
    assert recipient(postern, answer) == "250 2.1.5 Ok"
    text = seen.read_text()
    held = dict(re.findall(r" (\d+) -> (.+)", text))
    assert held["0"] == held["1"] and held["0"][:7] == "socket:" and held.pop("2") == str(postern.log)
    more = {what.partition(":")[0] for fd, what in held.items() if int(fd) > 2}
    assert more <= {"pipe", str(postern.where / "check")}, "what the shell reads"
    assert "PATH=/usr/bin:/bin\n" in text and "POSTERN" not in text


STOPPING = "421 4.3.2 mx.test.example Error: service shutting down"


def test_stop_while_a_check_is_waited_for(postern, seen):
    """R10: a service that stops does not wait for a program of the site's."""
    c = Client(postern, sender_check=program(postern, f"echo pid=$$ >>{seen}; exec sleep 1000"))
    c.ask("EHLO c.example")
    c.sock.sendall(b"MAIL FROM:<a@b.example>\r\n")
    pid = until(lambda: re.search(r"pid=(\d+)\n", seen.read_text()))[1]
    c.process.terminate()
    assert c.reply() == STOPPING and c.reply() == ""
    os.kill(int(pid), signal.SIGKILL)


def test_sender_check(postern):
    """R54: what a program of the site's may say of a sender, for instance of one whose domain takes no mail."""
    c = Client(postern, sender_check=program(postern, "echo REJECT not you"))
    c.ask("EHLO c.example")
    assert c.ask("MAIL FROM:<a@b.example>") == "550 5.7.1 Error: not you"


# ---- room and time

def test_no_room(postern):
    """J3, R63: said at MAIL, before anybody sends the message."""
    c = Client(postern, min_free="1023G")
    c.ask("EHLO c.example")
    assert c.ask("MAIL FROM:<a@b.example>") == "452 4.3.1 Error: insufficient system storage"


def drip(c):
    """Sends on, each octet in time and all of them too slow. What is said to it in the end."""
    c.sock.settimeout(0.2)
    for _ in range(PATIENCE * 5):
        with contextlib.suppress(OSError): # it may have closed; what it said before counts
            c.sock.sendall(b"x")
        with contextlib.suppress(TimeoutError):
            return c.sock.recv(200)
    raise AssertionError("it may go on for ever")


def test_message_that_drips(postern):
    """I4"""
    c = Client(postern, timeout_data="1s", min_data_rate=1000000)
    for command in ("EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>", "DATA"):
        c.ask(command)
    assert drip(c).startswith(b"421 4.4.2 ")
    c.close()
    assert not postern.messages()


def test_chunks_that_drip(postern):
    """I4, S24: each of them comes at once, with its command, so it is the time between them."""
    c = Client(postern, timeout_data="1s", min_data_rate=1000000)
    for command in ("EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>"):
        c.ask(command)

    def refusal():
        with contextlib.suppress(OSError): # it may have closed; what it said before counts
            c.sock.sendall(b"BDAT 1\r\nx")
        said = c.reply()
        return None if said.startswith("250 ") else said
    assert until(refusal).startswith("421 4.4.2 ")
    c.close()
    assert not postern.messages()


def test_refused_chunk_that_drips(postern):
    """I4: the message before it, which was quick, does not count for it."""
    for seconds in doubled(1):
        c = Client(postern, timeout_data=f"{seconds}s", min_data_rate=1000)
        for command in ("EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>", "DATA"):
            c.ask(command)
        with contextlib.suppress(OSError): # it may have closed; what it said before counts
            c.send("x\r\n" * 100000 + ".\r\n") # good for 300 s
        if (said := c.reply()).startswith("421 4.4.2 "): # that took too long
            c.close()
            continue
        assert said.startswith("250")
        c.sock.sendall(b"BDAT 1000000\r\n")
        assert drip(c).startswith(b"421 4.4.2 ")
        c.close()
        break


def test_session_that_lasts(postern):
    """However busy it is."""
    c = Client(postern, timeout_session="1s")
    said = c.greeting
    for _ in range(PATIENCE * 10):
        if said[:1] != "2":
            break
        hold(0.1) # or it would be too many commands
        said = c.ask("NOOP")
    assert said.startswith("421 4.4.2 ")


@pytest.mark.parametrize("address, said", [
    ("u@ours.example", "250"), ("U@OURS.example", "250"), ("u@a.below.example", "250"),
    ("u@below.example", "550"), ("u@xours.example", "550"), ("u%other.example@ours.example", "550"),
    ('"u@other.example"@ours.example', "550"), ("other.example!u@ours.example", "550"),
    ("u@[192.0.2.1]", "550"), ("@ours.example:u@other.example", "550"),
])
def test_relay_domains(postern, address, said):
    """D8, H6, R45: what strangers may send to, and what other hosts would take for a route."""
    c = Client(postern, "192.0.2.1", relay_domains="ours.example .below.example")
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    assert c.ask(f"RCPT TO:<{address}>").startswith(said)


ROUTES = [f'"{local}"' if mark in "@:" else local
          for mark in "%!@:" for local in (f"{mark}b", f"a{mark}b", f"b.example{mark}a", f"a{mark}")]


@pytest.mark.parametrize("domain", ["ours.example", "a.below.example"])
def test_routes_at_a_relay_domain(postern, domain):
    """M5, D8, H6: what is no plain name in front of a domain of ours could be a route that the host
    behind us follows: a stranger may not use it, wherever in the name the mark of it stands. One who
    may send anywhere may."""
    routes = [*ROUTES, *(f'"{local}"' for local in ROUTES if local[0] != '"'), r'"a\@b"', r'"a\:b"']
    for address, right in (("192.0.2.1", "550 5.7.1 Error: relaying denied"), ("127.0.0.1", "250 2.1.5 Ok")):
        c = Client(postern, address, relay_domains="ours.example .below.example", max_errors=1000)
        c.ask("EHLO c.example")
        c.ask("MAIL FROM:<a@b.example>")
        assert {local: said for local in routes
                if (said := c.ask(f"RCPT TO:<{local}@{domain}>")) != right} == {}
        assert c.ask(f"RCPT TO:<a.b@{domain}>") == c.ask(f'RCPT TO:<"a b"@{domain}>') == "250 2.1.5 Ok"
        c.close()


def test_address_that_holds_ours(postern):
    """D8, H6, R45: 127.0.0.1 is inside it, but a client there is not on this host; and is counted."""
    address = "2002:7f00:1::1"
    c = Client(postern, address, limit_connections=1)
    c.ask("EHLO c.example")
    c.ask("MAIL FROM:<a@b.example>")
    assert c.ask("RCPT TO:<u@d.example>").startswith("550 5.7.1")
    assert Client(postern, address, limit_connections=1).greeting == QUOTA


def test_hashing_needs_no_configuration_of_mail(postern):
    """smtpd --hash NAME: a line for the file, different each time."""
    lines = {subprocess.run(postern.command("smtpd", "--hash", "joe"), input=b"secret\n",
                            stdout=subprocess.PIPE, env=postern.environment(), check=True).stdout
             for _ in range(2)}
    assert len(lines) == 2
    assert all(line.startswith(b"joe:{SCRAM-SHA-256}10000,") for line in lines)


def test_chunk_that_is_refused_stands_in_no_log(postern):
    """What was refused is the command; what it brought is somebody's message."""
    c = Client(postern, keep=True)
    for command in ("EHLO c.example", "MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>"):
        assert c.ask(command).startswith("250")
    c.sock.sendall(b"BDAT 100000 LAST\r\n")
    wait_read(c.server) # on its own
    c.server.close()
    c.sock.sendall(b"hush\n" * 20000)
    assert c.reply().startswith("554 5.6.0")
    c.close() # now all is logged
    assert "hush" not in postern.logged() and '"BDAT"' in postern.logged()


# ---- saslauthd

@contextlib.contextmanager
def saslauthd(postern):
    """A socket like saslauthd's, and its path."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = postern.where / "mux"
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen(0)
        listener.settimeout(TIMEOUT)
        yield listener, path


def test_saslauthd_is_asked(postern):
    """R70: what it is told, and an answer that comes in pieces."""
    with saslauthd(postern) as (listener, path):
        c = Client(postern, auth_saslauthd=path, auth_clear="yes")
        c.ask("EHLO c.example")
        c.sock.sendall(b"AUTH PLAIN " + base64.b64encode(b"\0joe@d.example\0secret") + b"\r\n")
        server, _ = listener.accept()
        with server, server.makefile("rb") as asked:
            want = b"\0\3joe\0\6secret\0\4smtp\0\x09d.example"
            assert asked.read(len(want)) == want
            server.sendall(b"\0\2")
            wait_taken(server)
            server.sendall(b"OK")
        assert c.reply().startswith("235")


def test_saslauthd_that_is_busy(postern):
    """I2: nobody waits for it longer than timeout_check, and no process is left over."""
    with saslauthd(postern) as (_, path), socket.socket(socket.AF_UNIX) as other:
        other.connect(str(path)) # its queue is full
        c = Client(postern, auth_saslauthd=path, auth_clear="yes", timeout_check="1s")
        c.ask("EHLO c.example")
        assert c.ask("AUTH PLAIN AGpvZQBzZWNyZXQ=").startswith("454")
        postern.wait_gone("auth")
        assert c.ask("NOOP").startswith("250")


def test_stop_while_a_password_is_judged(postern):
    """R10: nor for whoever knows passwords."""
    with saslauthd(postern) as (listener, path):
        c = Client(postern, auth_saslauthd=path, auth_clear="yes")
        c.ask("EHLO c.example")
        c.sock.sendall(b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n")
        server, _ = listener.accept()
        with server:
            c.process.terminate()
            assert c.reply() == STOPPING and c.reply() == ""


def test_what_smtpd_inherits_goes_no_further(postern, seen):
    """K1: a descriptor that whoever started smtpd forgot to close."""
    check = program(postern, f"ls -l /proc/$$/fd >>{seen}; echo OK")
    with open("/dev/zero", "rb") as extra:
        p = subprocess.Popen(postern.command("smtpd", recipient_check=check, max_connections=0),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[extra.fileno()],
                             stderr=subprocess.DEVNULL, env=postern.environment())
        said, _ = p.communicate(b"EHLO c.example\nMAIL FROM:<a@b.example>\nRCPT TO:<u@d.example>\n", TIMEOUT)
    assert said.endswith(b"250 2.1.5 Ok\r\n")
    assert "socket:" in seen.read_text() and "/dev/zero" not in seen.read_text()
