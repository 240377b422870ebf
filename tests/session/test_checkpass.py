"""Passwords that other programs know: saslauthd, and Dovecot."""
import contextlib
import os
import socket
import subprocess
import threading

import pytest

import peers
from client import TIMEOUT
from conftest import DROP, own
from patience import hold, until
from test_auth import OK, REFUSED, TROUBLE, ears, mechanisms, secrets, users  # noqa: F401


@pytest.fixture(autouse=True)
def patient(postern):
    """Nothing runs out but where a test is about it."""
    postern.settings["timeout_check"] = "1h"


# ---- saslauthd

class Saslauthd:
    """Accepts one question after the other; `answers` are octets, or lists of them sent one by one."""

    def __init__(self, path, *answers):
        self.asked = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        path.chmod(0o666)
        self.server.listen()
        self.server.settimeout(TIMEOUT)
        self.thread = threading.Thread(target=self.run, args=(answers,), daemon=True)
        self.thread.start()

    def run(self, answers):
        for answer in answers:
            connection, _ = self.server.accept()
            with connection, connection.makefile("rb") as f:
                connection.settimeout(TIMEOUT)
                asked = [f.read(int.from_bytes(f.read(2), "big")) for _ in range(4)]
                if asked == [b""] * 4: # it was not needed
                    continue
                self.asked.append(asked)
                for piece in answer if isinstance(answer, list) else [answer]:
                    connection.sendall(piece)

    def close(self):
        """Behind the last question."""
        self.thread.join(TIMEOUT)
        self.server.close()
        assert not self.thread.is_alive()


@pytest.mark.parametrize("answer, reply", [
    (b"\0\2OK", OK), (b"\0\7OK sure", OK), ([b"\0\2", b"OK"], OK), ([b"\0", b"\2", b"O", b"K"], OK),
    (b"\0\2NO", REFUSED), (b"\0\5NO OK", REFUSED), (b"\0\2ok", REFUSED), (b"", TROUBLE),
    (b"\0\1O", TROUBLE)])
def test_saslauthd(secure, ears, answer, reply):  # noqa: F811
    """R70: each text with its length before it; only OK is yes."""
    socket_path = secure.where / "mux"
    daemon = Saslauthd(socket_path, answer)
    c = secure.meet(auth_saslauthd=socket_path)
    c.starttls()
    assert mechanisms(c) == ["PLAIN", "LOGIN"]
    assert ears.plain(c, "max@realm.example", "password, other") == reply
    assert c.finish() == 0
    daemon.close()
    assert daemon.asked == [[b"max", b"password, other", b"smtp", b"realm.example"]]


def test_saslauthd_hears_what_was_typed(secure, ears):  # noqa: F811
    """R70: the password as it is, by whatever mechanism."""
    password = "a\u00b2 \U0001f600"
    daemon = Saslauthd(secure.where / "mux", b"\0\2OK", b"\0\2OK")
    for way in (ears.plain, ears.login):
        c = secure.meet(auth_saslauthd=secure.where / "mux")
        c.starttls()
        c.hello()
        assert way(c, "max@realm.example", password) == OK
        assert c.finish() == 0
    daemon.close()
    assert daemon.asked == 2 * [[b"max", password.encode(), b"smtp", b"realm.example"]]


def test_saslauthd_knows_the_others(users, ears):  # noqa: F811
    """R70: who stands in the file is not asked for elsewhere."""
    socket_path = users.where / "mux"
    daemon = Saslauthd(socket_path, b"\0\2OK", b"\0\2OK")
    for user in ("joe", "eve"):
        c = users.meet(auth_saslauthd=socket_path, auth_clear="yes")
        if user == "joe":
            assert ears.plain(c, user, "wrong one") == REFUSED
        else:
            assert ears.login(c, user, "wrong one") == OK
        assert c.finish() == 0
    daemon.close()
    assert [a[0] for a in daemon.asked] == [b"eve"]


@pytest.mark.parametrize("line, name", [
    ("max::max@realm.example", "max@other.example"),
    ("max::max@realm.example", "MAX@"),
    ("max@realm.example::max@realm.example", "max"),
    ("max@realm.example::max@realm.example", "max@other.example"),
])
def test_saslauthd_and_senders(secure, ears, line, name):  # noqa: F811
    """A saslauthd may look at no realm, so a user may write his name in many ways: what he may send stays the same."""
    socket_path = secure.where / "mux"
    daemon = Saslauthd(socket_path, b"\0\2OK")
    file = secure.where / "users"
    file.write_text(line + "\n")
    own(file)
    c = secure.meet(auth_saslauthd=socket_path, auth_users=file)
    c.starttls()
    c.hello()
    assert ears.plain(c, name, "password, other") == OK
    assert c.ask("MAIL FROM:<boss@realm.example>").startswith("553 5.7.1")
    assert c.ask("MAIL FROM:<max@realm.example>").startswith("250")
    assert c.finish() == 0
    daemon.close()


@pytest.mark.parametrize("path", ["nothing", "x" * 120])
def test_no_saslauthd(users, ears, path):  # noqa: F811
    """R70: it may be back soon; who stands in the file gets in."""
    c = users.meet(auth_saslauthd=users.where / path, auth_clear="yes")
    assert ears.plain(c, "eve", "wrong one") == TROUBLE
    assert ears.plain(c, "joe", "wrong one") == REFUSED
    assert ears.plain(c, "joe") == OK
    assert c.finish() == 0
    assert f"auth_saslauthd {users.where / path}: " in users.logged()


def listens(path):
    """Somebody does there; the name alone comes before, and stays behind."""
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


# ---- the real one, which asks an IMAP server of ours

SASLAUTHD = peers.PEERS / "usr" / "sbin" / "saslauthd"


class Imap:
    """Knows one password."""

    def __init__(self, user, password):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.good = f'LOGIN "{user}" "{password}"'.encode()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as f:
                connection.settimeout(TIMEOUT)
                connection.sendall(b"* OK hello\r\n")
                tag, _, command = f.readline().rstrip().partition(b" ")
                connection.sendall(tag + (b" OK yes" if command == self.good else b" NO no") + b"\r\n")

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture
def real_saslauthd(postern):
    """Its socket. It knows max, by an IMAP server."""
    if not SASLAUTHD.exists():
        pytest.skip("needs saslauthd in build/peers, where make check unpacks it")
    imap = Imap("max", "password, other")
    place = postern.where / "saslauthd"
    place.mkdir(mode=0o755)
    own(place)
    p = subprocess.Popen([*(DROP if os.geteuid() == 0 else []), str(SASLAUTHD), "-d", "-a", "rimap",
                          "-O", f"127.0.0.1/{imap.port}", "-n", "1", "-m", str(place)],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True, # it ends its whole process group
                         env={"LD_LIBRARY_PATH": str(SASLAUTHD.parents[1] / "lib/x86_64-linux-gnu")})
    postern.started.append(p)
    until(lambda: p.poll() is not None or listens(place / "mux"))
    if p.poll() is not None:
        pytest.skip("saslauthd does not start here: a library may be missing")
    yield place / "mux"
    p.terminate()
    imap.close()


def test_real_saslauthd(secure, ears, real_saslauthd):  # noqa: F811
    """R70"""
    c = secure.meet(auth_saslauthd=real_saslauthd)
    c.starttls()
    c.hello()
    assert ears.plain(c, "max", "wrong one") == REFUSED
    assert ears.plain(c, "eve", "password, other") == REFUSED
    assert ears.plain(c, "max", "password, other") == OK
    assert c.finish() == 0


# ---- Dovecot

DOVECOT = {"conf": """base_dir = /here/run
log_path = /here/log
protocols =
ssl = no
auth_mechanisms = plain
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN /here/users
}
service auth {
  unix_listener auth-client {
    mode = 0666
  }
}
""", "users": "max:password, other\n"}


@pytest.fixture
def dovecot(postern):
    """It knows max, by small letters only. postern asks it."""
    peers.need("dovecot")
    peer = peers.Peer("dovecot", postern.where / "dovecot", "dovecot", "-F", "-c", "/here/conf",
                      files=DOVECOT)
    path = peer.where / "run" / "auth-client"
    postern.settings["auth_dovecot"] = path
    with contextlib.closing(peer):
        until(lambda: listens(path))
        yield peer


def tell(secure, ears, *words, **settings):  # noqa: F811
    """Inside TLS, what is said to PLAIN with (user, password, identity)."""
    c = secure.meet(**settings)
    c.starttls()
    c.hello()
    reply = ears.plain(c, *words)
    assert c.finish() == 0
    return reply


def test_dovecot(secure, ears, dovecot):  # noqa: F811
    """R70: the name that it has for a client is the one that counts."""
    assert tell(secure, ears, "max", "wrong one") == REFUSED
    assert tell(secure, ears, "max", "wrong one") == REFUSED
    assert tell(secure, ears, "eve", "password, other") == REFUSED
    assert tell(secure, ears, "max", "password, other") == OK
    assert tell(secure, ears, "MAX", "password, other", "MAX") == OK
    assert secure.logged().count('is "max"') == 2
    assert tell(secure, ears, "MAX", "password, other", "eve") == REFUSED
    dovecot.close()
    assert tell(secure, ears, "max", "password, other") == TROUBLE
    assert f"auth_dovecot {secure.settings['auth_dovecot']}: " in secure.logged()


def test_dovecot_in_clear(users, ears, dovecot):  # noqa: F811
    """R70: by LOGIN; who stands in the file is not asked for elsewhere."""
    del dovecot
    c = users.meet(auth_clear="yes")
    assert ears.plain(c, "joe", "password, other") == REFUSED
    assert ears.login(c, "max", "password, other") == OK
    assert c.finish() == 0


def test_dovecot_and_senders(users, ears, dovecot):  # noqa: F811
    """R70: a line of the file without a secret says what somebody may send, by whatever spelling."""
    del dovecot
    with open(users.settings["auth_users"], "a", encoding="ascii") as f:
        f.write("max::max@a.example\nMAX::@b.example\n")
    for user in ("max", "MAX", "Max"):
        c = users.meet(auth_clear="yes")
        assert ears.plain(c, user, "password, other") == OK
        assert c.ask("MAIL FROM:<x@b.example>") == "553 5.7.1 Error: not a sender of this user"
        assert c.ask("MAIL FROM:<max@a.example>") == "250 2.1.0 Ok"
        assert c.finish() == 0


# ---- a program that is not Dovecot

GREETING = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"


def endless(chunk):
    while True:
        yield chunk


def drip():
    for octet in GREETING * 10:
        hold(0.2)
        yield bytes([octet])


@pytest.mark.parametrize("says", [
    lambda: [], lambda: [b"220 mx.example ESMTP\r\n"], lambda: [b"\0\xff" * 3000 + b"\n"],
    lambda: [b"VERSION\t1\t2\n"], lambda: [GREETING], lambda: [GREETING, b"OK\t1\n"],
    lambda: endless(b"x" * 5000), lambda: endless(b"VERSION\t1\t2\n"), drip,
    lambda: endless(GREETING + b"CONT\t1\t\n")],
    ids=["silence", "smtp", "garbage", "half", "greeting", "nobody", "line", "lines", "drip", "flood"])
def test_not_dovecot(secure, ears, says):  # noqa: F811
    """R70, C1, I2: what it does not say is not taken for a no, and it may not take long to say it."""
    path = secure.where / "auth-client"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        listener.settimeout(TIMEOUT)

        def serve():
            with listener.accept()[0] as connection:
                connection.settimeout(TIMEOUT)
                try:
                    for text in says():
                        connection.sendall(text)
                    while connection.recv(1000):
                        pass
                except OSError:
                    pass
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert tell(secure, ears, "max", "password, other", auth_dovecot=path,
                    timeout_check="1s") == TROUBLE
        thread.join(TIMEOUT)
        assert not thread.is_alive()
