"""L68, S22: where lines go. /dev/log and the journal's socket are links to sockets of the test here, in a mount
namespace of smtpd's own; a link that leads to what nobody listens on is what a dead program leaves."""
import contextlib
import os
import re
import socket
import time

import pytest

import busy
import client
import locked
from patience import PATIENCE, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have a /dev of its own")

LINE = re.compile(rb"<(\d+)>(\w{3} [ \d]\d \d\d:\d\d:\d\d) smtpd\[(\d+)\]: (.*)")
MAIL, INFO = 2 << 3, 6

PLACES = r"""
set -e
mount --bind /dev/null "$1/null"
mount -t tmpfs tmpfs /dev
touch /dev/null
mount --bind "$1/null" /dev/null
ln -s "$1/syslog" /dev/log
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
ln -s "$1/journal" /run/systemd/journal/socket
shift
exec "$@"
"""


class Log:
    """What listens."""

    def __init__(self, path, kind=socket.SOCK_DGRAM):
        self.path, self.kind, self.socket = path, kind, None
        self.start()

    def start(self):
        self.socket = socket.socket(socket.AF_UNIX, self.kind)
        self.socket.settimeout(PATIENCE)
        self.path.unlink(missing_ok=True)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        if self.kind == socket.SOCK_STREAM:
            self.socket.listen()

    def stop(self):
        """Its socket stays in the file system."""
        self.socket.close()

    def wait(self, text):
        """The datagram that holds it; those before are forgotten."""
        return until(lambda: text in (line := self.socket.recv(65536)) and line)


@pytest.fixture
def apart(postern):
    """smtpd in its own /dev and /run."""
    usual = postern.command
    (postern.where / "null").touch()
    postern.command = lambda *arguments, **settings: [
        "unshare", "-m", "--propagation", "private", "sh", "-c", PLACES, "sh", str(postern.where),
        *usual(*arguments, **settings)]
    postern.settings["log"] = "auto"
    return postern


@pytest.fixture
def listening(apart):
    """Syslog alone; the journal is gone."""
    Log(apart.where / "journal").stop()
    log = Log(apart.where / "syslog")
    yield log
    log.stop()


@pytest.mark.parametrize("log", ["auto", "journal", "syslog"])
def test_nobody_listens(apart, log):
    """L68: both left their sockets: standard error."""
    Log(apart.where / "journal").stop()
    Log(apart.where / "syslog").stop()
    assert "221" in apart.pipe("QUIT\n", log=log, max_connections=0)
    assert "smtpd: connection from local\n" in apart.logged()


def test_journal(apart):
    """The one that listens is asked first; fields and text."""
    journal, syslog = Log(apart.where / "journal"), Log(apart.where / "syslog")
    assert "221" in apart.pipe("QUIT\n", max_connections=0)
    fields = journal.wait(b"connection from local").split(b"\n")
    assert {b"MESSAGE=connection from local", b"PRIORITY=6", b"SYSLOG_IDENTIFIER=smtpd",
            b"POSTERN_EVENT=connected"} <= set(fields)
    journal.stop()
    syslog.stop()
    assert apart.logged() == ""


def seconds(date):
    """Of such a time in this year, in UTC."""
    return time.mktime(time.strptime(f"{time.gmtime().tm_year} {date}", "%Y %b %d %H:%M:%S")) - time.timezone


def test_time_is_local(apart, listening, monkeypatch):
    """S22: in a session, which is locked in and has no environment, too."""
    monkeypatch.setenv("TZ", "XYZ-05:30")
    before = int(time.time())
    c = apart.meet()
    for text in (b"connection from", b"refused"):
        if text == b"refused":
            assert c.ask("FOO")[:3] == "500"
        priority, date, pid, said = LINE.fullmatch(listening.wait(text)).groups()
        assert int(priority) & ~7 == MAIL and int(pid) > 0 and said.startswith(text)
        east = (seconds(date.decode()) - before) % (365 * 86400)
        assert 5.5 * 3600 <= east + 1 and east < 5.5 * 3600 + PATIENCE
    assert c.finish() == 0


def test_another_listens(apart, listening):
    """S22: a syslogd that was restarted gets the lines of sessions that began before."""
    c = apart.meet(max_errors=1000)
    listening.wait(b"connection from")
    for word in ("ONE", "TWO"):
        listening.stop()
        listening.start()
        until(lambda w=word: c.ask(w)[:3] == "500" and heard(listening, w)) # it asks once a second at most
    assert c.finish() == 0


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_somebody_shuts_it_down(apart, listening, how):
    """S22: who has the same socket may have shut it down: later workers have another one."""
    pool = busy.one(apart, max_errors=1000, busy_idle="1h")
    pool.exactly(1)
    c = pool.meet()
    with log_of(pool.pid) as same:
        same.shutdown(how)
    assert c.ask("ONE")[:3] == "500" # it finds that out, and asks for another
    c.ask("QUIT")
    busy.gone(c)

    def logs():
        other = pool.connect()
        with contextlib.suppress(OSError):
            other.reply()
            other.ask("TWO")
        busy.gone(other)
        return heard(listening, "TWO")

    until(logs)
    assert "ONE" in apart.logged()
    assert pool.stop() == 0


def log_of(pid):
    """A copy of it."""
    for fd in range(3, 64):
        with contextlib.suppress(AssertionError, OSError):
            s = locked.copy_of(pid, fd)
            if (s.family, s.type) == (socket.AF_UNIX, socket.SOCK_DGRAM):
                return s
    raise AssertionError("no log")


def heard(log, word):
    log.socket.settimeout(0.3)
    try:
        return word.encode() in log.socket.recv(65536)
    except TimeoutError:
        return False


def test_another_never_listens(apart, listening):
    """Mail is not concerned, and the line is where somebody may see it."""
    c = apart.meet()
    listening.stop()
    assert c.ask("FOO")[:3] == "500"
    assert "queued as" in c.message()
    assert c.finish() == 0
    assert 'refused [127.0.0.1]: "FOO"' in apart.logged()


class Streams:
    """The same, of all that connect to a syslogd that listens on a socket of that kind."""

    def __init__(self, where):
        Log(where / "journal").stop()
        self.log, self.open = Log(where / "syslog", socket.SOCK_STREAM), []
        self.begin()

    def begin(self):
        self.log.socket.setblocking(False)
        self.text = b""

    def heard(self, text):
        """Until now?"""
        with contextlib.suppress(BlockingIOError):
            while True:
                got, _ = self.log.socket.accept()
                got.setblocking(False)
                self.open.append(got)
        for got in self.open:
            with contextlib.suppress(BlockingIOError):
                while piece := got.recv(65536):
                    self.text += piece
        return text in self.text

    def end(self):
        for got in self.open:
            got.close()
        self.open.clear()
        self.log.stop()

    def restart(self):
        self.end()
        self.log.start()
        self.begin()


@pytest.fixture
def streams(apart):
    listening = Streams(apart.where)
    yield listening
    listening.end()


def test_another_stream_of_a_relay(apart, streams, world):
    """S22: it is locked in, and makes another one where a syslogd was restarted."""
    world.domain("d.example")
    with world.sink.held("EHLO", "250 sink"):
        assert "queued as" in apart.send("u@d.example")
        world.sink.wait_connections()
        until(lambda: streams.heard(b" smtpd["))
        streams.restart()
    until(lambda: streams.heard(b" relay[") and streams.heard(b"delivered"))
    apart.settled()


def test_another_stream_of_a_busy_smtpd(apart, streams):
    """S22: a worker cannot make another one; those that come behind it have the one of their monitor."""
    with busy.listener() as listener:
        pool = apart.listen([listener], busy_spare=1, busy_idle="10m")
        at = listener.getsockname()

        def talk(word):
            """Its line is written before it is answered."""
            c = client.Client(socket.create_connection(at, client.TIMEOUT))
            assert c.reply()[:3] == "220" and c.ask(word)[:3] == "500" and c.ask("QUIT")[:3] == "221"
            c.file.close()
            c.sock.close()
            return streams.heard(b'"%s"' % word.encode())
        assert talk("ONE")
        before = busy.workers(pool.pid)
        streams.restart()
        talk("TWO") # whose worker asks for it
        until(lambda: not set(before) & set(busy.workers(pool.pid)))
        assert talk("THREE") and pool.poll() is None


def test_stream(apart):
    """Some listen on a socket of that kind."""
    Log(apart.where / "journal").stop()
    log = Log(apart.where / "syslog", socket.SOCK_STREAM)
    c = apart.meet()
    got, _ = log.socket.accept()
    with got:
        got.settimeout(PATIENCE)
        text = b""
        while b"connection from" not in text or not text.endswith(b"\0"):
            piece = got.recv(65536)
            assert piece, text
            text += piece
        assert LINE.fullmatch(text.split(b"\0")[0])
        assert c.finish() == 0
    log.stop()
