"""Last words: a client hears why it is left, though much of what it sent was not read."""
import signal
import socket
import subprocess

import pytest

from client import TIMEOUT, Client, make_room

MUCH = 400 * 1024 # more than a session reads before it leaves, whatever is wrong
ROOM = 4 << 20 # for all of it: the session waits for two seconds, and no client is that quick for certain
MEBI = 1 << 20
HELLO = b"EHLO c.example\r\n"
SMUGGLED = HELLO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nDATA\r\nx\n.\r\n.\r\n.\r\n"

TOO_MUCH = [
    pytest.param(b"x\r\n" * (MUCH // 3), b"421 4.7.0 mx.test.example Error: too many errors",
                 id="errors"),
    pytest.param(b"x" * MUCH, b"421 4.7.0 mx.test.example Error: line without end", id="flood"),
    pytest.param(b"NOOP\r\n" * (MUCH // 6),
                 b"421 4.7.0 mx.test.example Error: too many commands without mail", id="idle"),
    pytest.param(SMUGGLED + b"y" * MUCH, b"521 5.5.2 Error: bare CR or LF in message",
                 id="smuggling"),
    pytest.param(b"POST / HTTP/1.1\r\n" + b"y" * MUCH,
                 b"421 4.7.0 mx.test.example Error: this is not SMTP", id="http"),
]


@pytest.fixture(params=["off", "implicit"])
def greeted(request, secure):
    """A client in clear or inside TLS, which has read the greeting."""
    c = secure.connect(tls=request.param)
    if request.param == "implicit":
        c.wrap()
    c.line()
    return c


@pytest.mark.parametrize("junk, last", TOO_MUCH)
def test_last_word_is_heard(greeted, junk, last):
    """C12, C13, A1, A12, B14: nothing is reset before the client has sent all and read all."""
    make_room(greeted.sock, ROOM)
    greeted.sock.sendall(junk) # raises if the connection was reset
    said = b""
    while piece := greeted.sock.recv(65536):
        said += piece
    assert said.endswith(last + b"\r\n")
    assert greeted.end() == 0


def test_last_word_before_the_greeting(postern):
    """A15: whoever spoke too early, and a lot."""
    c = postern.connect(proxy_nets="127.0.0.0/8") # else 127.0.0.1 may
    make_room(c.sock, ROOM)
    c.send(b"PROXY UNKNOWN\r\n" + b"y" * MUCH)
    assert c.line() == "554 5.5.1 Error: client does not wait for replies"
    assert c.sock.recv(100) == b"" and c.end() == 0


def test_flood_is_not_read_for_ever(secure, greeted):
    """I2, A12: who does not stop is reset, and nobody is left over."""
    with pytest.raises(OSError) as raised:
        for _ in range(64):
            greeted.sock.sendall(b"x\r\n" * (MEBI // 3))
    assert not isinstance(raised.value, TimeoutError), "neither read nor reset"
    assert greeted.process.wait(TIMEOUT) == 0
    secure.wait_gone("tls")
    greeted.end()


def test_silence_is_not_waited_for(secure, greeted):
    """I2: nor is a client that neither sends nor closes."""
    greeted.send(b"x\r\n" * 100)
    assert greeted.process.wait(TIMEOUT) == 0
    secure.wait_gone("tls")
    assert b"too many errors" in greeted.rest()
    greeted.end()


def test_goodbye_is_not_waited_for(secure, greeted):
    """R9: behind QUIT all processes end, and the client closes when it likes."""
    assert greeted.ask("QUIT") == "221 2.0.0 Bye"
    assert greeted.process.wait(TIMEOUT) == 0
    secure.wait_gone("tls")
    greeted.end()


def test_reading_is_not_waited_for(secure):
    """I2: who takes none of the replies, and stays, keeps no process when the session has given up."""
    narrow = 4096 # octets that the kernel keeps at each end: all replies are far more
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as ours:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, narrow)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, narrow)
        ours.connect(listener.getsockname())
        theirs, _ = listener.accept()
        with theirs:
            p = secure.start(theirs, theirs, tls="implicit", timeout_command=2, max_connections=0)
        c = Client(ours, p)
        c.wrap()
        assert c.reply()[:3] == "220"
        c.send(HELLO * 900)
        assert p.wait(TIMEOUT) == 0
        secure.wait_gone("tls")
        c.end()


def test_tls_does_not_outlive_a_session(secure):
    """I2: whatever a client does with it, and though nobody tells it that the session is over."""
    client, connection = socket.socketpair()
    session, end = socket.socketpair()
    with client, connection, session, end:
        command = secure.command("tls", "--serve", tls="implicit", timeout_session=1, timeout_command=1)
        p = subprocess.Popen(["bash", "-c", f'exec "$@" 3<&{connection.fileno()} 4<&{end.fileno()}', "bash", *command],
                             pass_fds=[connection.fileno(), end.fileno()], env=secure.environment())
        assert p.wait(TIMEOUT) == -signal.SIGALRM


def test_unread_on_this_host(postern):
    """C13: on a pair of sockets too, where a client that writes on would see a broken pipe."""
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT)
    with theirs:
        p = postern.start(theirs, theirs, max_connections=0)
    make_room(ours, ROOM)
    ours.sendall(b"x\r\n" * (MUCH // 3))
    said = b""
    while piece := ours.recv(65536):
        said += piece
    ours.close()
    assert said.endswith(b"too many errors\r\n") and p.wait(TIMEOUT) == 0
