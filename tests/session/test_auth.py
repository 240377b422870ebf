"""Who a client is, found out by a process of its own.

Behind each test the log is searched for every password, and for everything a client sent as a response.
"""
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

import strangers
from client import Client, context
from pki import openssl
from proc import children, descriptors
from scram import Scram, b64
from spoolfile import SpoolFile
from test_tls import cards  # noqa: F401

OK = "235 2.7.0 Authentication successful"
REFUSED = "535 5.7.8 Error: authentication failed"
TROUBLE = "454 4.7.0 Error: temporary authentication failure"
UNDECODABLE = "501 5.5.2 Error: response cannot be decoded"
TOO_LONG = "500 5.5.6 Error: authentication line too long"
FINE = "250 2.0.0 Ok"
PASSWORDS = {"joe": "secret of joe", "six": "password of six", "yes": "password of y",
             "jürgen": "pässwörd", "a,b=c": "comma, equals"}
# The same passwords by crypt(5).
HASHES = {"six": "$6$saltsalt$R4kmazlbuWsFfWucCqJnZgpmD1SGejtMRbQ8gC5JdVh5aZLLEC0hHH9XuyI/S0LHvlDHSgNIDZv4U6zVtXrNP1", "yes": "$y$j9T$saltsaltsalt$NNMZEZwWqaSFhd77bDXUc/GVM1HmOVAW8/INgKxiQh."}


class Ears:
    """Remembers what was said in confidence."""

    def __init__(self):
        self.heard = {"wrong one", *PASSWORDS.values()}

    def auth(self, c, mechanism, *responses, first=None):
        """The last reply of an exchange, in which the server may ask for each response."""
        said = c.ask(f"AUTH {mechanism}" + (f" {first}" if first is not None else ""))
        self.heard |= {first, *responses}
        for response in responses:
            assert said[:4] == "334 ", said
            said = c.ask(response)
        return said

    def plain(self, c, user, password=None, other=""):
        password = PASSWORDS[user] if password is None else password
        self.heard.add(password)
        return self.auth(c, "PLAIN", first=b64(f"{other}\0{user}\0{password}"))

    def login(self, c, user, password):
        return self.auth(c, "LOGIN", b64(user), b64(password))

    def scram(self, c, mechanism, user, password=None, first=True, **more):
        """The last reply, and the exchange."""
        name = "sha256" if "256" in mechanism else "sha1"
        s = Scram(name, user, PASSWORDS[user] if password is None else password, **more)
        said = self.auth(c, mechanism, first=s.first()) if first else \
            self.auth(c, mechanism, s.first())
        if said[:4] != "334 ":
            return said, s
        said = c.ask(s.final(said[4:]))
        if said[:4] != "334 ":
            return said, s
        assert s.verified(said[4:])
        return c.ask(""), s

    def assert_silent(self, log):
        for secret in filter(None, self.heard):
            if len(secret) > 4:
                assert secret not in log
                assert b64(secret)[:-4] not in log


@pytest.fixture
def ears(postern):
    e = Ears()
    yield e
    e.assert_silent(postern.logged())


def hashed(postern, user, password):
    p = subprocess.run(postern.command("smtpd", "--hash", user), input=password.encode() + b"\n",
                       stdout=subprocess.PIPE, env=postern.environment(), check=True)
    return p.stdout.decode()


@pytest.fixture(scope="session")
def secrets():
    """Lines of the users file that take time to make."""
    return {}


@pytest.fixture
def users(secure, secrets):
    """smtpd with a certificate and a file of users."""
    for user in ("joe", "jürgen", "a,b=c"):
        if user not in secrets:
            secrets[user] = hashed(secure, user, PASSWORDS[user])
    file = secure.where / "users"
    file.write_text("# somebody\n\n" + "".join(secrets.values()) +
                    "".join(f"{user}:{h}\n" for user, h in HASHES.items()))
    secure.settings["auth_users"] = file
    return secure


@pytest.fixture
def meet(users):
    """A client that has said EHLO inside TLS."""
    def start(settings=None, **more):
        c = users.meet(**more)
        c.starttls(settings)
        c.hello()
        return c
    return start


# ---- mechanisms

@pytest.mark.parametrize("user", list(PASSWORDS))
def test_plain(meet, ears, user):
    """R70: secrets of SCRAM and of crypt(5) are good for it."""
    c = meet()
    assert ears.plain(c, user, "wrong one") == REFUSED
    assert ears.plain(c, user) == OK
    assert c.ask("AUTH PLAIN =") == "503 5.5.1 Error: already authenticated"
    assert c.finish() == 0


@pytest.mark.parametrize("password", ["a\u00b2", "\U0001f600 smile", "Stra\u1e9ee", "b\u05e9"])
def test_password_of_any_characters(users, meet, ears, password):
    """R70: crypt(5) takes octets; tables of 2002 (RFC 4013) know some characters not, and others as two that look
    alike."""
    file = users.where / "users"
    line = "odd:" + openssl("passwd", "-6", "-salt", "saltsalt", "-stdin", stdin=password.encode() + b"\n").decode()
    file.write_text(file.read_text() + line)
    for way in (ears.plain, ears.login):
        c = meet()
        assert way(c, "odd", password + "x") == REFUSED
        assert way(c, "odd", password) == OK
        assert c.finish() == 0


def test_password_of_too_many_octets(meet, ears):
    """M11: what crypt(5) cannot take is wrong for those who are there as for those who are not."""
    c = meet()
    assert ears.plain(c, "six", "x" * 600) == ears.plain(c, "eve", "x" * 600) == REFUSED
    assert ears.plain(c, "six") == OK
    assert c.finish() == 0


@pytest.mark.parametrize("user", ["joe", "six"])
def test_login(meet, ears, user):
    """R70"""
    c = meet()
    assert ears.login(c, user, "wrong one") == REFUSED
    assert ears.login(c, user, PASSWORDS[user]) == OK
    assert c.finish() == 0


def test_login_with_initial_response(meet, ears):
    """R70: some send the name at once."""
    c = meet()
    assert ears.auth(c, "LOGIN", b64("wrong one"), first=b64("joe")) == REFUSED
    assert ears.auth(c, "LOGIN", b64(PASSWORDS["joe"]), first=b64("joe")) == OK
    assert c.finish() == 0


@pytest.mark.parametrize("command, first", [("AUTH LOGIN", None), ("AUTH login", "joe")],
                         ids=["outlook", "dotnet"])
def test_login_prompts(meet, ears, command, first):
    """L40: clients compare what they are asked; one has sent the name before it is."""
    c = meet()
    said = c.ask(f"{command} {b64(first)}" if first else command)
    if not first:
        assert said == "334 VXNlcm5hbWU6" # Username:
        said = c.ask(b64("joe"))
    assert said == "334 UGFzc3dvcmQ6" # Password:
    assert c.ask(b64(PASSWORDS["joe"])) == OK
    assert c.finish() == 0


@pytest.mark.parametrize("how", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_letter_case_of_names(users, ears, how):
    """L46: the name is that of the file from then on; unless a key says that case counts."""
    (users.where / "users").write_text(hashed(users, "joe@example.org", PASSWORDS["joe"]).rstrip() +
                                       ":joe@example.org\n")
    for exact, want in (("no", OK), ("yes", REFUSED)):
        c = users.meet(auth_case_sensitive=exact)
        c.starttls()
        c.hello()
        name, password = "Joe@Example.org", PASSWORDS["joe"]
        said = {"PLAIN": lambda: ears.plain(c, name, password, other="JOE@example.org"),
                "LOGIN": lambda: ears.login(c, name, password),
                "SCRAM-SHA-256": lambda: ears.scram(c, how, name, password)[0]}[how]()
        assert said == want
        if said == OK:
            assert c.ask("MAIL FROM:<x@example.org>")[:4] == "553 "
            assert c.ask("MAIL FROM:<JOE@EXAMPLE.ORG>") == "250 2.1.0 Ok"
        assert c.finish() == 0
    assert 'is "joe@example.org"' in users.logged()


def test_unknown_names_that_differ_in_case(users, ears):
    """L46, R70: they are one name like known ones, so they are shown one salt."""
    salts = []
    for name in ("Nobody", "nobody", "someone"):
        c = users.meet()
        salts.append(ears.scram(c, "SCRAM-SHA-256", name, "wrong one")[1].salt)
        assert c.finish() == 0
    assert salts[0] == salts[1] != salts[2]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("user", ["joe", "a,b=c", "jürgen"])
def test_scram(users, ears, mechanism, first, user):
    """R70: in clear too, for the password is not sent."""
    c = users.meet()
    assert ears.scram(c, mechanism, user, "wrong one", first)[0] == REFUSED
    assert ears.scram(c, mechanism, user, first=first)[0] == OK
    assert c.finish() == 0


def test_plain_in_two_steps(meet, ears):
    """R70: the challenge is empty, with its blank; names of mechanisms in any case."""
    c = meet()
    assert c.ask("auth plain") == "334 "
    assert c.ask(b64("\0joe\0wrong one")) == REFUSED
    assert ears.auth(c, "Plain", b64("joe\0joe\0" + PASSWORDS["joe"])) == OK
    assert c.finish() == 0


# ---- -PLUS, whose key material openssl s_client tells us

def exported(postern, version):
    """A client inside TLS, and the octets of tls-exporter."""
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, theirs:
        port = listener.getsockname()[1]
        tunnel = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-nocommands",
             "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
            stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        server, _ = listener.accept()
    with server: # without tickets, which s_client would talk about
        process = postern.start(server, server, tls="implicit", max_connections=0, runtime="/nonexistent")
    postern.started.append(tunnel)
    c = Client(ours, process)
    binding = None
    while (line := c.line())[:4] != "220 ":
        binding = line.split(":")[1] if "Keying material: " in line else binding
    c.hello()
    return c, bytes.fromhex(binding)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_scram_plus(users, ears, mechanism, version):
    """R70: bound to this TLS session and no other; whoever is told that we cannot, finds out."""
    c, binding = exported(users, version)
    wrong = bytes([binding[0] ^ 1]) + binding[1:]
    assert ears.scram(c, mechanism, "joe", binding=wrong)[0] == REFUSED
    assert ears.scram(c, mechanism, "joe", "wrong one", binding=binding)[0] == REFUSED
    assert ears.scram(c, mechanism, "joe", binding=binding)[0] == OK
    c.end()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_scram_plus_unique(users, ears, mechanism):
    """L41: before TLS 1.3 clients bind by tls-unique, which is another one where a session is resumed."""
    settings, session = context(high=ssl.TLSVersion.TLSv1_2), None
    for resumed in (False, True):
        c = users.meet()
        c.starttls(settings, session=session)
        session = c.sock.session
        assert c.sock.session_reused == resumed
        c.hello()
        binding = c.sock.get_channel_binding("tls-unique")
        wrong = bytes([binding[0] ^ 1]) + binding[1:]
        by = "p=tls-unique"
        assert ears.scram(c, mechanism, "joe", binding=wrong, flag=by)[0] == REFUSED
        assert ears.scram(c, mechanism, "joe", binding=binding, flag=by)[0] == OK
        assert c.finish() == 0


def test_no_plus_where_it_is_not_safe(meet, ears):
    """L41: without the extended master secret tls-unique of two connections can be made the same."""
    settings = context(high=ssl.TLSVersion.TLSv1_2)
    settings.options |= 1 # SSL_OP_NO_EXTENDED_MASTER_SECRET
    c = meet(settings)
    assert mechanisms(c) == ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
    assert ears.scram(c, "SCRAM-SHA-256", "joe", flag="y")[0] == OK # it believes it
    assert c.finish() == 0


@pytest.mark.parametrize("flag", ["n", "y", "p=tls-unique"])
def test_scram_plus_without_binding(meet, ears, flag):
    """R70: RFC 5802 section 6."""
    c = meet()
    assert ears.scram(c, "SCRAM-SHA-256-PLUS", "joe", flag=flag)[0] in (REFUSED, UNDECODABLE)
    assert c.finish() == 0


def test_scram_downgraded(meet, ears):
    """R70: a client that could bind and was not offered to is not served (RFC 5802 section 6)."""
    c = meet()
    assert ears.scram(c, "SCRAM-SHA-256", "joe", flag="y")[0] != OK
    assert c.finish() == 0


# ---- what is offered

def mechanisms(c):
    [line] = [k for k in c.hello() if k.startswith("AUTH")]
    return line.split()[1:]


def test_offered(users):
    """R70: no password in clear."""
    scram = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    c = users.meet()
    assert mechanisms(c) == scram
    c.starttls()
    assert mechanisms(c) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1",
                             "PLAIN", "LOGIN"]
    c.finish()
    c = users.meet(auth_clear="yes")
    assert mechanisms(c) == [*scram, "PLAIN", "LOGIN"]
    c.finish()


def test_not_offered(secure):
    """R70: where nobody is known."""
    c = secure.meet()
    assert not [k for k in c.hello() if k.startswith("AUTH")]
    assert c.ask("AUTH PLAIN =") == "502 5.5.1 Error: command not implemented"
    assert c.finish() == 0


def test_order(users, ears):
    """R70: unknown, in clear, too early, in a transaction."""
    c = users.connect()
    c.reply()
    assert c.ask("AUTH PLAIN =") == "503 5.5.1 Error: send HELO/EHLO first"
    c.hello()
    assert c.ask("AUTH") == "501 5.5.4 Syntax: AUTH mechanism [response]"
    assert c.ask("AUTH CRAM-MD5") == "504 5.5.4 Error: authentication mechanism not offered"
    clear = "538 5.7.11 Error: encryption required for this mechanism"
    assert ears.plain(c, "joe") == clear
    assert ears.auth(c, "LOGIN") == clear
    for mechanism in ("EXTERNAL", "SCRAM-SHA-256-PLUS"):
        assert c.ask(f"AUTH {mechanism}") == "504 5.5.4 Error: authentication mechanism not offered"
    assert c.ask("MAIL FROM:<a@b.example>") == "250 2.1.0 Ok"
    assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == \
        "503 5.5.1 Error: AUTH not allowed in a transaction"
    assert c.finish() == 0


def test_forgotten_by_starttls(users, ears):
    """R65, B3: who it was in clear, it need not be inside TLS."""
    c = users.meet()
    assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == OK
    assert "FUTURERELEASE" in " ".join(c.hello())
    c.starttls()
    assert "FUTURERELEASE" not in " ".join(c.hello())
    assert "queued as" in c.message()
    assert ears.plain(c, "six") == OK
    assert c.finish() == 0
    [path] = users.messages()
    assert " with ESMTPS id" in SpoolFile(path).received


# ---- responses that are none

@pytest.mark.parametrize("response, reply", [
    ("*", "501 5.7.0 Authentication cancelled"), ("AGpvZQB", UNDECODABLE), ("!", UNDECODABLE),
    (b64("\0joe\0wrong one") + " \t", REFUSED), # as behind AUTH itself
    ("A", UNDECODABLE), ("====", UNDECODABLE), ("AGpvZQBzZWNyZXQ= x", UNDECODABLE),
    (b64("joe"), UNDECODABLE), (b64("\0joe\0a\0b"), UNDECODABLE), ("", UNDECODABLE),
    (b64("\0\0"), REFUSED),
])
def test_bad_responses(meet, ears, response, reply):
    """R70, C8: and another mechanism may be tried behind it."""
    c = meet()
    assert ears.auth(c, "PLAIN", response) == reply
    assert ears.login(c, "joe", PASSWORDS["joe"]) == OK
    assert c.finish() == 0


def test_empty_password(meet, ears):
    """R70: is a wrong one, by LOGIN as by PLAIN."""
    c = meet()
    assert ears.plain(c, "joe", "") == ears.login(c, "joe", "") == REFUSED
    assert ears.login(c, "joe", PASSWORDS["joe"]) == OK
    assert c.finish() == 0


def test_bad_initial_responses(meet, ears):
    """R70, C8"""
    c = meet(max_errors=100)
    for first in ("AGpvZQB", "=", "!", "A" * 2030):
        assert ears.auth(c, "PLAIN", first=first) == UNDECODABLE
    assert ears.auth(c, "SCRAM-SHA-256", first=b64("n,,n=joe")) == UNDECODABLE
    assert ears.auth(c, "SCRAM-SHA-256", first=b64("n,,r=x,n=joe")) == UNDECODABLE
    assert ears.plain(c, "joe") == OK
    assert c.finish() == 0


@pytest.mark.parametrize("octets, reply", [
    (12288, UNDECODABLE), (12286, REFUSED), (12289, TOO_LONG), (40000, TOO_LONG)])
def test_long_responses(meet, ears, octets, reply):
    """R70: a line of 12288 octets passes. Not all lengths are of base64."""
    c = meet()
    n = octets - 2
    response = (b64("\0joe\0" + "x" * (n // 4 * 3 - 5)) + "A" * 4)[:n]
    assert ears.auth(c, "PLAIN", response) == reply
    assert c.ask("NOOP") == FINE
    assert ears.plain(c, "joe") == OK
    assert c.finish() == 0


def test_endless_response(meet, ears):
    """C1"""
    c = meet()
    assert c.ask("AUTH PLAIN") == "334 "
    ears.heard.add("QUJD" * 20)
    c.send("QUJD" * 20000)
    assert c.reply() == "421 4.7.0 mx.test.example Error: line without end"
    assert c.end() == 0


@pytest.mark.parametrize("response", ["", b64("\0joe\0secret of joe")])
def test_gone_in_between(meet, ears, postern, response):
    """The client closes instead of answering, or in the middle of it."""
    c = meet()
    assert c.ask("AUTH PLAIN") == "334 "
    ears.heard.add(response)
    c.send(response)
    assert c.end() == 0
    postern.wait_gone("auth")


def test_not_waiting(users, ears):
    """Responses to an AUTH that was refused are no commands, and secret nevertheless."""
    c = users.meet()
    secret = b64("\0joe\0" + PASSWORDS["joe"])
    ears.heard |= {secret, b64("joe"), b64(PASSWORDS["joe"])}
    c.send(f"AUTH PLAIN\r\n{secret}\r\nAUTH LOGIN\r\n{b64('joe')}\r\n{b64(PASSWORDS['joe'])}\r\n"
           f"AUTH LOGIN\n{secret}\r\nWHO\r\nNOOP\r\nWHAT\r\n")
    replies = [c.reply()[:3] for _ in range(10)]
    assert replies == ["538", "500", "538", "500", "500", "500", "500", "500", "250", "500"]
    assert c.finish() == 0
    assert '"WHAT"' in users.logged()


# ---- wrong ones

def test_three_wrong_passwords(users, meet, ears):
    """R70, L40: are enough; the third is one as well, for the client and for whoever reads the log."""
    c = meet()
    assert ears.plain(c, "joe", "wrong one") == REFUSED
    assert ears.scram(c, "SCRAM-SHA-1", "joe", "wrong one")[0] == REFUSED
    assert ears.login(c, "nobody", "wrong one") == REFUSED
    assert c.rest() == b"421 4.7.0 mx.test.example Error: too many errors\r\n" and c.end() == 0
    assert users.logged().count('"AUTH": 535 5.7.8 Error: authentication failed') == 3


@pytest.mark.parametrize("name", ["nobody", "joe ", "Joe", "#", "j", "x" * 400])
def test_wrong_name(meet, ears, name):
    """R70: is told the same as a wrong password."""
    c = meet()
    replies = {ears.plain(c, name, "wrong one"), ears.login(c, name, "wrong one")}
    assert replies == {REFUSED}
    assert c.finish() == 0


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_unknown_name_looks_like_a_known_one(users, ears, mechanism):
    """R70: a salt that stays, also when the file is edited, another for each mechanism, and as many
    iterations. Nobody else can work it out: it depends on the first secret."""
    def look(user, how=mechanism):
        c = users.meet()
        said, exchange = ears.scram(c, how, user, "wrong one")
        assert said == REFUSED and c.finish() == 0
        return exchange.salt, exchange.iterations
    known, unknown = look("joe"), look("nobody")
    assert known[1] == unknown[1] and len(known[0]) == len(unknown[0])
    assert look("nobody") == unknown and look("someone")[0] != unknown[0]
    assert look("joe") == known
    another = "SCRAM-SHA-1" if mechanism == "SCRAM-SHA-256" else "SCRAM-SHA-256"
    assert look("joe", another)[0] != known[0] and look("nobody", another)[0] != unknown[0]
    file = users.settings["auth_users"]
    text = file.read_text()
    edited = re.sub(r"(?m)^six:.*\n", "", f"# another\nnew:\n{text}eve:{HASHES['six']}\n")
    file.write_text(re.sub(r"(?m)^joe:", "joe2:", edited))
    assert look("nobody") == unknown
    file.write_text(f"eve:{HASHES['six']}\n{text}")
    assert look("nobody")[0] != unknown[0]


def test_nobody_speaks_for_others(meet, ears):
    """R70: an authorization identity that is not oneself is refused."""
    c = meet()
    assert ears.plain(c, "joe", other="six") == REFUSED
    assert ears.scram(c, "SCRAM-SHA-256", "joe", other="six")[0] == REFUSED
    c.end()
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        c = meet()
        said = ears.plain(c, "joe", other="joe") if mechanism == "PLAIN" else \
            ears.scram(c, mechanism, "joe", other="joe")[0]
        assert said == OK and c.finish() == 0


def test_certificate_speaks_for_itself(secure, cards, ears):  # noqa: F811
    """R70: EXTERNAL with an authorization identity, at once or when asked."""
    users = secure.where / "users"
    users.write_text("carol:\nalice@client.example:\n")
    for identity, reply in (("carol", OK), ("alice@client.example", REFUSED), ("", OK)):
        c = secure.connect(tls="implicit", tls_client_ca=cards.path("ca"), auth_users=users)
        c.wrap(context(certificate=cards.path("common")))
        c.reply()
        c.hello()
        assert ears.auth(c, "EXTERNAL", b64(identity)) == reply
        assert c.finish() == 0


# ---- what a user may do

def test_senders(users, ears):
    """R70: of a user who may not send from everywhere."""
    file = users.settings["auth_users"]
    text = file.read_text()
    file.write_text(re.sub(r"(?m)^(joe:.*)$", r"\1:joe@a.example @b.example", text))
    c = users.meet()
    assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == OK
    for sender, fine in (("joe@a.example", True), ("JOE@A.example", True), ("x@b.example", True),
                         ("", True), ("x@a.example", False), ("joe@a.example.evil", False),
                         ("x@sub.b.example", False), ("x@xb.example", False),
                         ("joe@a.example@b.example", None)):
        said = c.ask(f"MAIL FROM:<{sender}>")
        assert said == ("250 2.1.0 Ok" if fine else "501 5.5.4 Syntax: MAIL FROM:<address>"
                        if fine is None else "553 5.7.1 Error: not a sender of this user")
        assert c.ask("RSET") == FINE
    assert c.finish() == 0


def test_many_senders(users, ears):
    """R70: a list is as long as people need it; one that does not fit is trouble, and the log names its line."""
    file = users.settings["auth_users"]
    text = file.read_text()
    for n, said in ((300, OK), (600, TROUBLE)):
        many = " ".join(f"name{i}@domain.example" for i in range(n))
        file.write_text(re.sub(r"(?m)^(joe:.*)$", rf"\1:{many}", text))
        c = users.meet()
        assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == said
        if said == OK:
            assert c.ask("MAIL FROM:<name299@domain.example>") == "250 2.1.0 Ok"
        assert c.finish() == 0
    assert re.search(r"auth_users .*:3: senders of more than", users.logged())


@pytest.mark.parametrize("secure_first", [False, True])
def test_received(users, ears, secure_first):
    """R36"""
    c = users.meet()
    if secure_first:
        c.starttls()
        c.hello()
    assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == OK
    assert "queued as" in c.message()
    assert c.finish() == 0
    [path] = users.messages()
    assert f" with ESMTP{'S' * secure_first}A id " in SpoolFile(path).received


def test_stranger(users, ears):
    """R45, R70: one who is known may send anywhere, from anywhere."""
    def come():
        try:
            ours, theirs = strangers.connection("192.0.2.1")
        except strangers.NoNamespace as why:
            pytest.skip(f"needs root or user namespaces: {why}")
        with theirs:
            c = Client(ours, users.start(theirs, theirs, max_connections=0))
        c.reply()
        c.hello()
        return c
    denied = "550 5.7.1 Error: relaying denied"
    c = come()
    assert ears.scram(c, "SCRAM-SHA-256", "joe", "wrong one")[0] == REFUSED
    assert c.ask("MAIL FROM:<a@b.example>") == "250 2.1.0 Ok"
    assert c.ask("RCPT TO:<u@dest.example>") == denied
    assert c.ask("RSET") == FINE
    assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == OK
    assert "queued as" in c.message()
    c.starttls()
    c.hello()
    assert c.ask("MAIL FROM:<a@b.example>") == "250 2.1.0 Ok"
    assert c.ask("RCPT TO:<u@dest.example>") == denied, "R65, B3"
    assert c.finish() == 0


# ---- the file, and its lines

def unreadable(file):
    file.chmod(0)


def absent(file):
    file.unlink()


def too_large(file):
    file.write_bytes(file.read_bytes() + b"#" * 1024 * 1024)


def directory(file):
    file.unlink()
    file.mkdir()


def of_an_old_mac(file):
    """L63: all of it would be one comment."""
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r"))


@pytest.mark.parametrize("spoil", [unreadable, absent, too_large, directory, of_an_old_mac])
def test_file_that_cannot_be_read(meet, ears, users, spoil):
    """R70: it is not the client's fault."""
    c = meet()
    spoil(users.settings["auth_users"])
    assert ears.plain(c, "joe") == TROUBLE
    assert c.ask("NOOP") == FINE
    assert c.finish() == 0
    assert f"auth: auth_users {users.settings['auth_users']}:" in users.logged()


@pytest.mark.parametrize("comment", ["# somebody", None], ids=["a comment", "a name"])
def test_file_of_an_editor(meet, ears, users, comment):
    """L63: a mark at its start, and CRLF."""
    file = users.settings["auth_users"]
    lines = [line for line in file.read_text().splitlines() if line[:1] != "#"]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([comment] * (comment is not None) + lines).encode() + b"\r\n")
    c = meet()
    assert ears.plain(c, "joe", "wrong one") == REFUSED
    assert ears.plain(c, "joe") == OK
    assert c.finish() == 0


GOOD = "10000,c2FsdA==,{0},{0}".format(b64("x" * 32))


@pytest.mark.parametrize("secret", [
    "{SCRAM-SHA-256}", "{SCRAM-SHA-256}1,2", "{SCRAM-SHA-256}10000,!,!,!", "{SCRAM-SHA-256}" + GOOD[:-3],
    "{SCRAM-SHA-256}" + GOOD.replace("10000", "0"), "{SCRAM-SHA-256}" + GOOD.replace("10000", "-1"),
    "{SCRAM-SHA-256}" + GOOD.replace("c2FsdA==", ""), "{SCRAM-SHA-256}" + GOOD.replace("10000", "1x"),
    "{SCRAM-SHA-256}" + GOOD + ",", HASHES["six"][:-1], "$6$", "$"])
def test_broken_secret(meet, ears, users, secret):
    """R70: it is our fault, and the log says where. Of others nothing is broken."""
    file = users.settings["auth_users"]
    place = f"auth_users {file}:{len(file.read_text().splitlines()) + 1}: not a secret of "
    with open(file, "a", encoding="ascii") as f:
        f.write(f"mia:{secret}\n")
    c = meet()
    assert ears.plain(c, "mia", "wrong one") == TROUBLE
    assert users.logged().count(place) == 1
    kind = secret[:1] == "{"
    assert ears.scram(c, "SCRAM-SHA-256", "mia", "wrong one")[0] == (TROUBLE if kind else REFUSED)
    assert ears.scram(c, "SCRAM-SHA-1", "mia", "wrong one")[0] == REFUSED
    assert users.logged().count(place) == 1 + kind
    assert ears.plain(c, "joe") == OK
    assert c.finish() == 0


@pytest.mark.parametrize("secret", ["", "x", "plain", "{SCRAM}" + GOOD, "{SCRAM-SHA-256}" + GOOD])
def test_secret_of_nobody(meet, ears, users, secret):
    """R70: of a kind that we do not know; or nobody knows its password. L44: the operator hears which line it is."""
    file = users.settings["auth_users"]
    place = f"auth_users {file}:{len(file.read_text().splitlines()) + 1}: this is no secret"
    with open(users.settings["auth_users"], "a", encoding="ascii") as f:
        f.write(f"mia:{secret}\n")
    for password in (secret or "empty", "wrong one"):
        c = meet()
        assert ears.plain(c, "mia", password) == REFUSED
        assert ears.scram(c, "SCRAM-SHA-256", "mia", password)[0] == REFUSED
        assert c.finish() == 0
    assert (place in users.logged()) == (secret in ("x", "plain") or secret.startswith("{SCRAM}"))


def test_file_without_secrets(meet, ears, users):
    """R70: certificates only."""
    users.settings["auth_users"].write_text("carol:\n")
    c = meet()
    for user in ("carol", "nobody"):
        assert ears.scram(c, "SCRAM-SHA-256", user, "wrong one")[0] == REFUSED
    assert c.finish() == 0


def test_hash(postern):
    """A line for the file, by either program; names and passwords that cannot be are refused."""
    def run(name, typed, program="smtpd"):
        return subprocess.run(postern.command(program, "--hash", name), input=typed, check=False,
                              capture_output=True, env=postern.environment())
    for program in ("smtpd", "auth"):
        p = run("joe@a.example", b"x\n", program)
        assert p.returncode == 0
        assert re.fullmatch(r"joe@a\.example:\{SCRAM-SHA-256\}10000,[\w+/=]{24},[\w+/=]{44},"
                            r"[\w+/=]{44} \{SCRAM-SHA-1\}10000,[\w+/=]{24},[\w+/=]{28},"
                            r"[\w+/=]{28}\n", p.stdout.decode())
    for name, typed in (("", b"x\n"), ("a:b", b"x\n"), ("#a", b"x\n"), ("a\nb", b"x\n"), ("joe", b""),
                        ("joe", b"\n"), ("joe", b"\xff\xfe\n"), ("joe", b"x" * 1100 + b"\n"), ("joe", b"x" * 1024),
                        ("joe", b"pa\0ss\n"), ("joe", b"\0\n"), ("joe", b"pa\rss\n"), ("joe", b"\r\n")):
        p = run(name, typed)
        assert p.returncode != 0 and p.stdout == b"" and b"auth: " in p.stderr, (name, typed)
    for typed in (b"x\r\n", b"x\r", b"x", b"x\ny\n", b"x" * 1023 + b"\n"):
        assert run("joe", typed).returncode == 0, typed


def test_hash_without_its_program(postern):
    p = subprocess.run(postern.command("smtpd", "--hash", "joe", auth_path="/nonexistent/auth"), input=b"x\n", check=False,
                       capture_output=True, env=postern.environment())
    assert p.returncode == 69 and p.stderr == b"smtpd: /nonexistent/auth: No such file or directory\n"


# ---- when it cannot be found out

def test_killed(meet, ears, users):
    """R70: 454, and the session goes on."""
    c = meet()
    assert c.ask("AUTH LOGIN")[:4] == "334 "
    [pid] = users.serving("auth")
    os.kill(pid, signal.SIGKILL)
    assert c.ask(b64("joe")) == TROUBLE
    assert ears.plain(c, "joe") == OK
    assert c.finish() == 0


def test_no_program(users, ears):
    """R70"""
    c = users.meet(auth_path="/nonexistent")
    assert ears.scram(c, "SCRAM-SHA-256", "joe")[0] == TROUBLE
    assert c.finish() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look into processes that are locked in")
def test_who_has_the_secrets(meet, ears, users):
    """auth has nothing open but its talk with the session, which knows the library not even by name."""
    c = meet()
    assert c.ask("AUTH LOGIN")[:4] == "334 "
    [pid] = users.serving("auth")
    assert {f.partition(":")[0] for f in descriptors(pid).values()} <= {"/dev/null", "socket", str(users.log)}
    for other in (c.process.pid, *(p for p in children(c.process.pid) if p not in users.running("auth"))):
        with open(f"/proc/{other}/maps", encoding="utf-8") as f:
            assert "gsasl" not in f.read()
    assert c.ask("*")[:3] == "501"
    assert c.finish() == 0
