"""Who a client is, and what follows: wrappers, UNIX sockets, proxies on them, a host that trusts nobody.

Every combination of descriptor and variable is in tests/unit/session/test_peer.c."""
import os
import socket
import subprocess

import pytest

import client
from conftest import DROP, NOBODY
from spoolfile import SpoolFile
from test_policy import QUOTA, V2, Client

DENIED = "550 5.7.1 Error: relaying denied"
TAKEN = "250 2.1.5 Ok"


def recipient(c):
    """The reply to a recipient at a domain that is not ours."""
    assert c.ask("EHLO c.example").startswith("250")
    assert c.ask("MAIL FROM:<a@b.example>").startswith("250")
    return c.ask("RCPT TO:<u@d.example>")


class Unix(Client):
    """A conversation through a UNIX socket, of a client with this user id."""

    def __init__(self, postern, before=b"", user=None, **settings):
        path = postern.where / "socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            path.chmod(0o777)
            listener.listen()
            ours = socket.socket(socket.AF_UNIX)
            # The kernel keeps whom the thread acts for when it connects.
            if user is not None:
                os.seteuid(user)
            try:
                ours.connect(str(path))
            finally:
                os.seteuid(os.getuid())
            server, _ = listener.accept()
        ours.sendall(before)
        with server:
            client.Client.__init__(self, ours, postern.start(server, server, **{**self.SETTINGS, **settings}))
        self.greeting = self.reply()


def pipe(postern, **settings):
    """What smtpd says to a stranger's commands on a pipe."""
    script = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nQUIT\r\n"
    return postern.pipe(script, max_connections=0, **settings).splitlines()


@pytest.mark.parametrize("variable", ["TCPREMOTEIP", "SOCAT_PEERADDR", "NCAT_REMOTE_ADDR", "REMOTE_HOST",
                                      "REMOTE_ADDR"])
def test_wrapper_names_the_client(postern, monkeypatch, variable):
    """L50: on a pipe and on a socket of this host."""
    monkeypatch.setenv(variable, "203.0.113.9")
    assert DENIED in pipe(postern)
    assert recipient(Client(postern)) == DENIED
    assert TAKEN in pipe(postern, relay_nets="203.0.113.0/24")
    assert postern.logged().count("smtpd: connection from [203.0.113.9]") == 3


def test_wrapper_of_another_host(postern, monkeypatch):
    """L50: a client that the kernel sees elsewhere is there, whatever is left in the environment."""
    monkeypatch.setenv("TCPREMOTEIP", "127.0.0.1")
    assert recipient(Client(postern, "192.0.2.1")) == DENIED
    assert "connection from [192.0.2.1]" in postern.logged()


def test_wrapper_that_makes_no_sense(postern, monkeypatch):
    """L50: it gives no rights, not even those of this host; and the stranger is counted."""
    monkeypatch.setenv("SOCAT_PEERADDR", "localhost")
    said = [pipe(postern, relay_nets="0.0.0.0/0 ::/0", open_relay="yes", limit_connections=2) for _ in range(3)]
    assert DENIED in said[0] and DENIED in said[1] and said[2] == [QUOTA]
    assert "connection from unknown" in postern.logged()


def test_wrapped_client_is_not_believed_with_lf(postern, monkeypatch):
    """L50, R11: on a pipe LF ends a line, but not of somebody elsewhere."""
    monkeypatch.setenv("NCAT_REMOTE_ADDR", "203.0.113.9")
    assert "500 5.5.2 Error: bare CR, LF or NUL in command" in postern.pipe("NOOP\nQUIT\r\n")


@pytest.mark.parametrize("mode", ["required", "implicit"])
def test_tls_that_cannot_be_had(secure, monkeypatch, mode):
    """L50: a pipe is no socket, so no TLS is spoken on it; but where that must be, a stranger may not without."""
    settings = {"tls": mode, "relay_nets": "203.0.113.0/24"}
    assert TAKEN in pipe(secure, **settings) # a script on this host
    monkeypatch.setenv("NCAT_REMOTE_ADDR", "203.0.113.9")
    assert pipe(secure, **settings)[-3:] == ["530 5.7.0 Error: send STARTTLS first"] * 2 + ["221 2.0.0 Bye"]


@pytest.mark.parametrize("user, said", [(None, TAKEN), (0, TAKEN), (NOBODY, TAKEN), (12345, DENIED)],
                         ids=["ours", "root", "the service's", "another"])
def test_user_of_a_unix_socket(postern, user, said):
    """L50: root and the service's user have the rights of this host, for they may write the spool anyway."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("needs root")
    assert recipient(Unix(postern, user=user)) == said


def test_user_that_has_no_number_here(postern, monkeypatch):
    """L50: in a namespace of users (a container without root) all whom it does not know have one number
    together, 65534. Where that is ours too, nobody is trusted for it."""
    inside, command = ["unshare", "--user", f"--map-user={NOBODY}"], postern.command
    if os.geteuid() != 0 or subprocess.run([*DROP, *inside, "true"], check=False).returncode != 0:
        pytest.skip("needs root, and user namespaces for others")
    monkeypatch.setattr(postern, "command", lambda *a, **s: [*DROP, *inside, *command(*a, **s)[len(DROP):]])
    assert recipient(Unix(postern, user=12345)) == DENIED
    assert "connection from uid=65534" in postern.logged()


def test_proxy_on_a_unix_socket(postern):
    """L50: named by its path. Its user is no matter, nor are others' rights."""
    named = f"unix:{postern.where}/socket"
    c = Unix(postern, b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 25\r\n", proxy_nets=named)
    assert recipient(c) == DENIED
    assert "connection from [203.0.113.9]" in postern.logged()


def test_unix_socket_that_is_no_proxy(postern):
    """L50: nobody else's word is taken."""
    c = Unix(postern, proxy_nets="unix:/run/another 127.0.0.1")
    assert c.ask("PROXY TCP4 203.0.113.9 192.0.2.1 40000 25").startswith("500")


def test_health_check_on_a_unix_socket(postern):
    """A proxy's own connection has no rights, whoever runs it."""
    c = Unix(postern, V2 + b"\x20\x00\x00\x00", proxy_nets="unix:*")
    assert recipient(c) == DENIED


@pytest.mark.parametrize("header", [
    b"PROXY TCP6 ::ffff:203.0.113.9 ::ffff:192.0.2.1 40000 25\r\n",
    V2 + b"\x21\x21\x00\x24" + bytes.fromhex("00" * 10 + "ffff" + "cb007109" + "00" * 10 + "ffff" + "c0000201" +
                                             "9c400019")], ids=["v1", "v2"])
def test_mapped_address_of_a_proxy(postern, header):
    """L52: it is IPv4, also for relay_nets."""
    c = Client(postern, before=header, proxy_nets="127.0.0.0/8", relay_nets="203.0.113.0/24")
    assert recipient(c) == TAKEN
    assert "connection from [203.0.113.9]" in postern.logged()


def test_header_that_is_refused_is_quoted(postern):
    """L52: what a proxy said instead is for the operator to see."""
    c = Client(postern, before=b"PROXY TCP6 host\x01 ::1 1 25\r\n", greeted=False, proxy_nets="127.0.0.0/8")
    assert c.reply() == "" and c.end() == 0
    assert r'not a PROXY header: "PROXY TCP6 host\x01 ::1 1 25\x0d\x0a"' in postern.logged()


def test_loopback_of_another_host(postern):
    """L50: a proxy elsewhere that says 127.0.0.1 means its own."""
    c = Client(postern, "192.0.2.1", before=b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 25\r\n",
               proxy_nets="192.0.2.1")
    assert recipient(c) == DENIED


@pytest.mark.parametrize("header", [b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 25\r\n", b"PROXY TCP6 ::1 ::1 40000 25\r\n",
                                    b"PROXY TCP6 ::ffff:127.0.0.9 ::1 40000 25\r\n"])
def test_loopback_behind_a_proxy(postern, header):
    """L50, L51: before a proxy on this host there may be another one, which hides the client: who a proxy says is on
    loopback is a stranger, and is counted, unless relay_nets has it."""
    settings = {"proxy_nets": "127.0.0.0/8", "limit_connections": 2}
    assert [recipient(Client(postern, before=header, **settings)) for _ in range(2)] == [DENIED, DENIED]
    assert Client(postern, before=header, **settings).greeting == QUOTA
    assert recipient(Unix(postern, header, proxy_nets="unix:*")) == DENIED
    assert recipient(Client(postern, before=header, proxy_nets="127.0.0.0/8", relay_nets="127.0.0.0/8 ::1")) == TAKEN


def test_nobody_local_is_trusted(postern):
    """L51: with relay_local = no loopback has no rights and is counted."""
    settings = {"relay_local": "no", "limit_connections": 2}
    assert [recipient(Client(postern, **settings)) for _ in range(2)] == [DENIED, DENIED]
    assert Client(postern, **settings).greeting == QUOTA
    assert recipient(Client(postern, relay_local="no", relay_nets="127.0.0.0/8")) == TAKEN
    assert recipient(Client(postern)) == TAKEN


def test_listening_socket(postern):
    """A wrapper that leaves accept() to us is told so, where the operator looks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert postern.start(listener, listener).wait(client.TIMEOUT) == 78
    assert "standard input is a socket that listens" in postern.logged()


def test_log_is_not_for_the_client(postern):
    """L50: standard error that is a connection is somebody's, though standard input is a pipe."""
    ours, theirs = client.pair()
    with ours, theirs:
        p = subprocess.Popen(postern.command("smtpd", max_connections=0), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=theirs, env=postern.environment())
        theirs.close()
        assert p.wait(client.TIMEOUT) == 0 and ours.recv(100) == b""


# ---- users of this host

DAEMON = 1 # a user that every system has
LOCAL = {"local_users": "yes", "max_connections": 0}
NOT_HIS = "553 5.7.1 Error: not a sender of this user"


def sender(c, address):
    """The reply to a sender."""
    assert c.ask("EHLO localhost").startswith("250")
    return c.ask(f"MAIL FROM:<{address}>")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other users")


@needs_root
def test_user_comes_in_as_himself(postern):
    """The kernel says who, and that stands in Received: whatever the client calls itself."""
    c = Unix(postern, user=DAEMON, **LOCAL)
    assert recipient(c) == TAKEN
    assert c.ask("RSET").startswith("250")
    for word in ("EHLO root(uid=0)", "MAIL FROM:<root@b.example>", "RCPT TO:<u@d.example>", "DATA"):
        assert c.ask(word)[0] in "23"
    assert c.ask("Received: from localhost (uid=0)\r\n\r\nx\r\n.").startswith("250")
    c.ask("QUIT")
    [path] = postern.messages()
    message = SpoolFile(path)
    assert message.received.startswith("Received: from localhost (uid=1) (helo=root\\(uid=0\\))\r\n\tby ")
    assert "accepted from uid=1, sender <root@b.example>" in postern.logged()


@needs_root
def test_user_where_none_comes_in(postern):
    """Without the key a UNIX socket is what it was; nor does it say anything about another one's."""
    assert recipient(Unix(postern, user=DAEMON, max_connections=0)) == DENIED
    assert recipient(Client(postern, "192.0.2.1", **LOCAL)) == DENIED


@needs_root
def test_required_tls_is_not_for_users(postern):
    """A socket of this host is no network."""
    postern.settings |= {"tls": "required", "tls_certificate": "/nonexistent.pem"}
    assert recipient(Unix(postern, user=DAEMON, **LOCAL)) == TAKEN


@needs_root
@pytest.mark.parametrize("senders, address, said", [
    ("*=*", "any@where.example", "250 2.1.0 Ok"), ("*=self", "any@where.example", NOT_HIS),
    ("*=self", "daemon@mx.test.example", "250 2.1.0 Ok"), ("*=self", "", "250 2.1.0 Ok"),
    ("*=self", "root@mx.test.example", NOT_HIS), ("daemon=@where.example", "any@where.example", "250 2.1.0 Ok"),
    ("bin=@where.example", "any@where.example", NOT_HIS), ("0-1=* *=self", "any@where.example", "250 2.1.0 Ok"),
    ("", "daemon@mx.test.example", NOT_HIS)])
def test_senders_of_a_user(postern, senders, address, said):
    assert sender(Unix(postern, user=DAEMON, local_senders=senders, **LOCAL), address) == said


@needs_root
@pytest.mark.parametrize("user, senders, bound", [
    (DAEMON, "*=*", False), (DAEMON, "0-1=* *=self", False), (DAEMON, "*=self", True),
    (DAEMON, "daemon=daemon@mx.test.example", True), (DAEMON, "daemon=@mx.test.example *=*", True), (0, "*=self", False)])
def test_who_is_bound(postern, user, senders, bound):
    """What stands in the envelope of a user's mail, for relay: what he may not send from he has no signature for."""
    c = Unix(postern, user=user, local_senders=senders, **LOCAL)
    assert c.ask("EHLO localhost").startswith("250")
    for line in ("MAIL FROM:<daemon@mx.test.example>", "RCPT TO:<u@d.example>", "DATA", "x\r\n."):
        assert c.ask(line)[0] in "23"
    c.ask("QUIT")
    [path] = postern.messages()
    envelope = path.read_bytes().split(b"\n\n")[0]
    assert b"\nOurs: yes\n" in envelope and (b"\nBound: yes\n" in envelope) == bound


@needs_root
@pytest.mark.parametrize("user", [0, NOBODY], ids=["root", "the service's"])
def test_senders_of_who_may_write_the_spool(postern, user):
    """They could write any sender there without us."""
    assert sender(Unix(postern, user=user, local_senders="", **LOCAL), "any@where.example").startswith("250")


@needs_root
def test_user_of_a_worker(postern):
    """Behind the lock nobody reads a file of users: its names were read before."""
    path = str(postern.where / "busy")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen()
    postern.listen([listener], "-p", "local", local_senders="*=self")
    for user, address, said in ((DAEMON, "daemon@mx.test.example", "250 2.1.0 Ok"), (DAEMON, "root@mx.test.example", NOT_HIS),
                                (2, "bin@mx.test.example", "250 2.1.0 Ok")):
        ours = socket.socket(socket.AF_UNIX)
        os.seteuid(user)
        try:
            ours.connect(path)
        finally:
            os.seteuid(0)
        c = client.Client(ours)
        assert c.reply().startswith("220")
        assert sender(c, address) == said
        c.ask("QUIT")
    listener.close()
