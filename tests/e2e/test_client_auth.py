"""relay says who it is (RFC 4954): by which mechanism, to whom, and what it never gives away."""
import base64
import subprocess
import sys

import pytest

import patience
import spoolfile
from conftest import TOP, own
from scram import ScramServer, b64
from tlssink import TlsSink, server_context
from test_client_tls import reachable

USER, PASSWORD, TOKEN = "us@dest.example", "pass word \u00fc,=", "ya29.token-"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-1")


@pytest.fixture(scope="module")
def cards(pki):
    pki.issue("smarthost", "/CN=smarthost", "DNS:mx.dest.example", usage="serverAuth")
    pki.issue("unknown", "/CN=unknown", "DNS:other.example", usage="serverAuth")
    return pki


@pytest.fixture
def place(postern, world, cards, wait):
    return Place(postern, world, cards, wait)


class Place:
    """A host that a route names, and that asks who we are."""

    def __init__(self, postern, world, cards, wait):
        self.postern, self.world, self.cards, self.wait = postern, world, cards, wait
        world.domain("dest.example")
        postern.settings.update(delivery_ca=cards.path("ca"))
        self.route = {"domains": "dest.example", "hosts": f"mx.dest.example:{world.port}", "delivery_user": USER}

    def host(self, mechanisms, card="smarthost", **more):
        self.world.sink.close()
        inside = ("PIPELINING", *(["AUTH " + " ".join(mechanisms)] if mechanisms else []))
        self.sink = self.world.sink = TlsSink(server_context(self.cards.path(card)), "127.0.0.2",
                                              self.world.port, inside=inside, **more)
        self.sink.password = PASSWORD
        return self.sink

    def password(self, text=PASSWORD + "\n"):
        file = self.postern.where / "password"
        file.write_text(text)
        file.chmod(0o600)
        own(file)
        self.route["delivery_password_file"] = file

    def token(self, script):
        program = self.postern.where / "token"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        self.route["delivery_token_command"] = f"{program} one  two"
        self.postern.settings["timeout_check"] = "1m"

    def configure(self, **route):
        self.route.update(route)
        self.postern.configure("[route host]", *(f"{k} = {v}" for k, v in self.route.items()))

    def send(self, **route):
        self.configure(**route)
        self.postern.send("u@dest.example")

    def arrives(self):
        self.postern.settled()
        assert self.sink.messages
        self.assert_silent()

    def deferred(self, text):
        assert text in self.postern.settled(1)
        self.sink.wait_left()
        assert not self.sink.messages
        self.assert_silent()

    def assert_silent(self):
        log = self.postern.logged()
        for secret in (PASSWORD, b64(PASSWORD), TOKEN, b64(TOKEN)):
            assert secret not in log


# ---- which

@pytest.mark.parametrize("offered, best", [
    (("LOGIN", "PLAIN", *SCRAM), "SCRAM-SHA-256"),
    (("LOGIN", "PLAIN", "SCRAM-SHA-1"), "SCRAM-SHA-1"),
    (("LOGIN", "plain", "GSSAPI", "XOAUTH2"), "PLAIN"),
    (("NTLM", "LOGIN"), "LOGIN"),
])
def test_best_mechanism(place, offered, best):
    """R70: what gives least away, of those that the host offers."""
    place.password()
    sink = place.host(offered)
    place.send()
    place.arrives()
    said = {"PLAIN": f"\0{USER}\0{PASSWORD}", "LOGIN": (USER, PASSWORD)}.get(best, USER)
    assert sink.proofs == [(best, said)]
    assert "AUTH=" not in " ".join(sink.lines)


@pytest.mark.parametrize("offered, best, said", [
    (("PLAIN", "XOAUTH2", "OAUTHBEARER"), "OAUTHBEARER", f"n,a={USER},\1auth=Bearer {TOKEN}\1\1"),
    (("PLAIN", "LOGIN", "XOAUTH2"), "XOAUTH2", f"user={USER}\1auth=Bearer {TOKEN}\1\1"),
])
def test_token(place, offered, best, said):
    """R70: from a program that is given its arguments, and no shell."""
    place.token(f'[ "$#" = 2 ] && [ "$2" = two ] && echo {TOKEN}')
    sink = place.host(offered)
    place.send()
    place.arrives()
    assert sink.proofs == [(best, said)]


def test_name_in_a_head(place):
    """R70: RFC 5801 section 4 quotes what would end it."""
    place.token(f"echo {TOKEN}")
    sink = place.host(("OAUTHBEARER",))
    place.send(delivery_user="a,b=c")
    place.arrives()
    assert sink.proofs[0][1].startswith("n,a=a=2Cb=3Dc,\1")


def test_long_token(place):
    """R70: one that does not fit into a command is said when it is asked for."""
    place.token(f"printf '{TOKEN}%02000d' 0")
    sink = place.host(("XOAUTH2",))
    place.send()
    place.arrives()
    assert len(sink.proofs[0][1]) > 2000
    assert [line for line in sink.lines if line.startswith("AUTH")] == ["AUTH XOAUTH2"]


def test_our_own_server(postern, secure, world, cards, wait):
    """R70: smtpd as the host; SCRAM bound to the TLS connection, and mail of an authenticated client."""
    there = postern.where / "there"
    there.mkdir()
    there.chmod(0o755)
    host = type(postern)(there)
    world.domain("localhost", "127.0.0.4") # which the certificate is for
    users = there / "users"
    users.write_bytes(subprocess.run(
        secure.command("smtpd", "--hash", USER), input=PASSWORD.encode(), stdout=subprocess.PIPE,
        env=postern.environment(), check=True).stdout)
    password = postern.where / "password"
    password.write_text(PASSWORD)
    own(password)
    words = host.command("smtpd", max_connections=0, auth_users=users, tls="required",
                         tls_certificate=postern.settings["tls_certificate"])
    with open(host.log, "ab") as log:
        inetd = subprocess.Popen([sys.executable, TOP / "tests" / "tools" / "inetd.py",
                                  f"127.0.0.4:{world.port}", *words], stderr=log, env=host.environment())
    try:
        assert wait(lambda: reachable("127.0.0.4", world.port))
        postern.configure("[route host]", "domains = localhost", f"hosts = mx.localhost:{world.port}",
                          f"delivery_user = {USER}", f"delivery_password_file = {password}")
        postern.send("u@localhost", delivery_ca=cards.path("ca"))
        assert "not verified, authenticated by SCRAM-SHA-256-PLUS\n" in postern.settled()
        [queued] = host.wait_messages(1)
        assert "with ESMTPSA id" in spoolfile.SpoolFile(queued).received
        assert f'[127.0.0.1] is "{USER}"' in host.logged()
    finally:
        inetd.kill()
        inetd.wait()


# ---- to whom

@pytest.mark.parametrize("key", [f"delivery_user = {USER}", "delivery_password_file = /p", "delivery_token_command = /t",
                                 "delivery_auth_clear = yes"])
def test_login_for_everybody(postern, key):
    """S1: what stands outside a route would be said to whatever host a stranger's domain names."""
    postern.configure(key)
    for program in ("smtpd", "relay"):
        p = postern.start(subprocess.DEVNULL, subprocess.DEVNULL, program, "--check")
        assert p.wait(60) == 78
    assert postern.logged().count("a login belongs to hosts that you name: it stands in a route") == 2
    assert 'delivery_user = ..."' in postern.logged()


@pytest.mark.parametrize("hosts", ["dest.example", "other.example:25 dest.example"])
def test_login_for_whom_the_dns_names(place, hosts):
    """S1: a route to a domain's mail exchangers has no login."""
    place.password()
    place.configure(hosts=hosts)
    p = place.postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "smtpd", "--check")
    assert p.wait(60) == 78
    assert "host: a login needs hosts that are named" in place.postern.logged()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_login_is_for_named_hosts_alone(place, mechanism):
    """S1: a stranger's domain has a host with a good certificate that offers AUTH. It hears nothing of us, be it
    for his mail, for a report to him, or behind a lane that logged in."""
    place.password()
    sink = place.host((mechanism,))
    place.cards.issue("stranger", "/CN=stranger", "DNS:stranger.example,DNS:mx.stranger.example",
                      usage="serverAuth")
    stranger = TlsSink(server_context(place.cards.path("stranger")), "127.0.0.5", place.world.port,
                       inside=("PIPELINING", f"AUTH {mechanism}"))
    place.world.others.append(stranger)
    place.world.domain("stranger.example", "127.0.0.5")
    place.configure()
    sink.say["RCPT"] = lambda line: "550 5.1.1 no such user" if "nobody" in line else "250 ok"
    place.postern.settings.update(max_connections=0)
    place.postern.send(["u@stranger.example", "u@dest.example"])
    place.postern.send("nobody@dest.example", sender="s@stranger.example")
    place.postern.settings.update(max_connections=1)
    place.postern.due()
    place.wait(lambda: len(stranger.messages) == 2 and not place.postern.messages())
    place.postern.rested()
    stranger.wait_left()
    assert any(b"multipart/report" in m.data for m in stranger.messages)
    assert sink.proofs and len(sink.messages) == 1
    assert not stranger.proofs and not [line for line in stranger.lines if line.startswith("AUTH")]


@pytest.mark.parametrize("rounds, enough", [(1, False), (4095, False), (4096, True)])
@pytest.mark.parametrize("mechanism", SCRAM)
def test_rounds(place, monkeypatch, mechanism, rounds, enough):
    """S1: an answer that costs a host nothing to try words with is not given."""
    monkeypatch.setattr(ScramServer, "ROUNDS", rounds)
    place.password()
    answers = []
    monkeypatch.setattr(ScramServer, "last", lambda s, final, last=ScramServer.last: answers.append(final) or last(s, final))
    sink = place.host((mechanism,))
    place.send()
    if enough:
        place.arrives()
        assert sink.proofs == [(mechanism, USER)] and len(answers) == 1
    else:
        place.deferred("AUTH: the host wants an answer from which our password could be guessed")
        assert not answers

@pytest.mark.parametrize("offered, fit", [(("PLAIN", "LOGIN"), False), (("PLAIN", *SCRAM), True)])
@pytest.mark.parametrize("clear", ["no", "yes"])
def test_host_that_is_not_known(place, offered, fit, clear):
    """R70: whoever took the host's place gets no password; SCRAM shows none."""
    place.password()
    sink = place.host(offered, card="unknown")
    place.send(delivery_auth_clear=clear)
    if fit or clear == "yes":
        place.arrives()
    else:
        place.deferred("AUTH: the host offers nothing that is safe with it")
        assert sink.lines == ["STARTTLS"]


@pytest.mark.parametrize("clear", ["no", "yes"])
def test_without_tls(place, clear):
    """R70"""
    place.password()
    sink = place.host(())
    sink.ehlo_outside = ("AUTH PLAIN SCRAM-SHA-256", "AUTH=PLAIN")
    place.send(delivery_auth_clear=clear)
    if clear == "yes":
        place.arrives()
        assert sink.proofs == [("SCRAM-SHA-256", USER)]
    else:
        place.deferred("AUTH: not without TLS")
        assert sink.lines == []


def test_what_was_offered_in_clear_is_forgotten(place):
    """R65, B5: mechanisms too."""
    place.password()
    sink = place.host(("SCRAM-SHA-1",))
    sink.ehlo_outside = ("STARTTLS", "AUTH PLAIN SCRAM-SHA-256")
    place.send()
    place.arrives()
    assert sink.proofs == [("SCRAM-SHA-1", USER)]


def test_not_offered(place):
    """R65: inside TLS, that is."""
    place.password()
    sink = place.host(())
    sink.ehlo_outside = ("STARTTLS", "AUTH PLAIN SCRAM-SHA-256")
    place.send()
    place.deferred("AUTH: the host does not offer it")


# ---- what goes wrong

@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("reply", ["535 5.7.8 bad password", "454 4.7.0 later", "504 5.5.4 what?",
                                   "334 !!!", None, "235"])
def test_refused(place, mechanism, reply):
    """R59: that is the operator's business, and the mail waits, whatever the code is."""
    place.password()
    sink = place.host((mechanism,), say={"AUTH": reply})
    place.send()
    if reply == "235" and mechanism == "PLAIN":
        place.arrives()
        return
    place.deferred(f"relay: lane route:host: cannot authenticate as {USER}: ")
    assert not any(line.startswith("MAIL") for line in sink.lines)


@pytest.mark.parametrize("reply", ['500 5.5.1 Command unrecognized: "{}"', "535-{}\r\n535 5.7.8 no", "501 {0:.40}"])
def test_host_that_repeats(place, reply):
    """R70: what it did not understand may be our password, and what it says is kept."""
    place.password()
    sink = place.host(("PLAIN",))
    sink.say["AUTH"] = lambda _: reply.format(sink.lines[-1])
    place.send()
    place.deferred(f"cannot authenticate as {USER}: ")
    said = next(line for line in sink.lines if line.startswith("AUTH")).split()[-1]
    log = place.postern.logged()
    assert "AUTH PLAIN (hidden)" in log and not any(said[i:i + 8] in log for i in range(len(said) - 8))


@pytest.mark.parametrize("password", ["pass \U0001f600", "\u1e9e1234", "a\u05e9"])
def test_password_that_scram_has_not(place, password):
    """L43: its tables are those of 2002 (RFC 4013); what they cannot have is no reason not to send it in another way."""
    place.password(password)
    sink = place.host(("PLAIN", *SCRAM))
    place.send()
    place.arrives()
    assert sink.proofs == [("PLAIN", f"\0{USER}\0{password}")]


@pytest.mark.parametrize("replies, tried", [
    ([None], ["SCRAM-SHA-256", "PLAIN"]),
    (["454 4.7.0 Temporary authentication failure"], ["SCRAM-SHA-256", "PLAIN"]),
    (["535 5.7.8 no", None], ["SCRAM-SHA-256", "PLAIN", "PLAIN"]),
])
def test_mechanism_that_never_works(place, replies, tried):
    """L43: a host breaks off, has trouble, or closes behind its refusal. The mail goes in the same attempt by a plainer
    mechanism, and the next one begins with that: some lock out who fails once for each connection."""
    place.password()
    said, replies = [], list(replies)

    def say(mechanism):
        said.append(mechanism.split()[0])
        return replies.pop(0) if replies else "235 2.7.0 welcome"
    place.host(("PLAIN", *SCRAM), say={"AUTH": say})
    place.send()
    place.arrives()
    assert said == tried
    place.send()
    place.arrives()
    assert len(place.sink.messages) == 2 and said == [*tried, "PLAIN"]


@pytest.mark.parametrize("impostor", [
    lambda c: "235 2.7.0 welcome", # without proof
    lambda c: (c.challenge(b64("v=" + b64("x" * 32))), "235 2.7.0 welcome")[1],
    lambda c: (c.challenge(b64("e=other-error")), "235 2.7.0 welcome")[1],
    lambda c: (c.challenge(b64("v=" + b64("x" * 32))), "501 5.7.0 cancelled")[1],
])
def test_impostor(place, impostor):
    """R70: in SCRAM the host must prove that it knows the password too; one that does not is told nothing more."""
    place.password()
    sink = place.host(("PLAIN", "SCRAM-SHA-256"))
    sink.impostor = impostor
    place.send()
    place.deferred("AUTH: the host did not prove that it knows our password")
    assert not any(line.startswith(("MAIL", "AUTH PLAIN")) for line in sink.lines)


@pytest.mark.parametrize("mechanism, answer", [("XOAUTH2", ""), ("OAUTHBEARER", "\1")])
def test_refused_token(place, mechanism, answer):
    """R70: the reason is a challenge, which is answered, and then it is refused."""
    place.token(f"echo {TOKEN}")
    answers = []

    def refuse(line):
        del line
        answers.append(base64.b64decode(place.sink.secure.challenge(b64('{"status":"400"}'))).decode())
        return "535 5.7.8 no"
    place.host((mechanism,), say={"AUTH": refuse})
    place.send()
    place.deferred("535 5.7.8 no")
    assert answers == [answer]


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "nul\0", "x" * 10000])
def test_password_that_is_none(place, text):
    """The mail waits, and the log says why."""
    place.password(text)
    place.host(("PLAIN",))
    place.send()
    place.deferred("delivery_password_file: ")
    assert place.sink.connections == 0


@pytest.mark.parametrize("script, why", [
    ("exit 1", "not one line of text"), (f"echo {TOKEN}; exit 1", "it failed"),
    ("echo", "not one line of text"), ("sleep 60", "timed out"), ("yes", "too long"),
    (f"echo {TOKEN}; exec >&-; sleep 60", "timed out"),
])
def test_token_that_is_none(place, script, why):
    """It has timeout_check to print one; what it leaves running is ended."""
    place.token(script)
    place.host(("XOAUTH2",))
    if why == "timed out":
        place.postern.settings["timeout_check"] = "1s"
    place.send()
    place.deferred("delivery_token_command: " + why)


@pytest.mark.parametrize("text", ["{}\r\n", "\ufeff{}\r\n", "{}\n\n", "\ufeff{}"], ids=repr)
def test_password_of_an_editor(place, text):
    """L63: what stands around it in the file, or in the variable, is not the password."""
    place.password(text.format(PASSWORD))
    sink = place.host(("PLAIN",))
    place.send()
    place.arrives()
    assert sink.proofs == [("PLAIN", f"\0{USER}\0{PASSWORD}")]


def test_token_command_that_is_too_long(place):
    """L62: a command is not cut."""
    place.token(f"echo {TOKEN}")
    place.route["delivery_token_command"] += " word" * 30
    place.host(("XOAUTH2",))
    place.send()
    place.deferred("delivery_token_command: too long")


def test_password_in_the_environment(place):
    """For containers; the log, and what --check prints, do not hold it."""
    place.postern.secrets["HOST"] = PASSWORD
    sink = place.host(("PLAIN",))
    place.send(delivery_password_file="environment:HOST")
    place.arrives()
    assert sink.proofs == [("PLAIN", f"\0{USER}\0{PASSWORD}")]
    p = place.postern.start(subprocess.DEVNULL, subprocess.PIPE, "relay", "--check")
    said = p.communicate(timeout=patience.PATIENCE)[0].decode()
    assert "environment:HOST" in said and PASSWORD not in said


def test_password_that_never_comes(place):
    """Its senders hear of mail that waits for it, and get it back, as of any other."""
    hour = 3600
    place.postern.settings.update(retry="1h", delay_warning="1h", expire="1d")
    place.host(("PLAIN",))
    place.world.domain("sender.example")
    place.configure(delivery_password_file=place.postern.where / "none")
    place.postern.send("u@dest.example", max_connections=0)

    def after(seconds):
        spoolfile.elapse(place.postern.spool, seconds)
        place.postern.make_due()
        place.postern.due()
        return place.postern.rested()
    log = after(1)
    assert "delivery_password_file: No such file" in log and "is told by" not in log
    assert "is told by" in after(hour)
    assert "given up" not in after(hour)
    assert "given up: 5.4.7 too old" in after(24 * hour)


def test_nothing_to_say(place):
    """A name without a password or token is an error of the configuration."""
    place.host(("PLAIN",))
    place.send()
    place.deferred("delivery_password_file: No such file or directory")
