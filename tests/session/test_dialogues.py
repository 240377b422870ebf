"""Runs the dialogues beside this file.

	# comment, with the ids it covers      ! key=value   a setting of smtpd
	!! key=Ns      the same, of a time that is to run out where the dialogue says so, not before: on
	               a machine where it does, all begins anew with twice the time
	+ NAME line    of a file that a setting can name as {where}/NAME
	> line sent, with CRLF on a socket and LF on a pipe
	>> bytes sent as they are, with escapes such as \\r \\n \\x00; one write each
	>>* N bytes    the same, N times over
	< line expected, exactly                <~ regular expression for a line expected
	<* N line    the same line, N times
	<ehlo   a reply to EHLO, whatever it lists
	<eof    the server has closed           $ NAME=value  of the environment
	% status of smtpd at its end, if not 0
	=  Field: value   of the envelope of the message that was queued last
	=~ regular expression for its Received: field
	=> its text behind that field, all of it, with escapes
	@ transport   one line each; without any: pipe, socket and bytes
	    pipe      standard input and output are pipes: somebody on this host, LF is enough
	    socket    TCP from 127.0.0.1
	    bytes     the same, each byte written on its own
	    unix      an AF_UNIX socket: somebody on this host, but CRLF as on every socket
	    192.0.2.1, 2001:db8::1, ::ffff:127.0.0.1   TCP from there (tests/tools/strangers.py)

"busy" behind a transport: the client is one of an smtpd that serves many (tests/tools/busy.py). All that are
no pipe are played like that too, each once, or with POSTERN_WAY=busy in each of its transports.

Whatever a dialogue says, what it leaves in the spool must be the messages that were acknowledged,
each of them whole, and smtpd must end with status 0.
"""
import pathlib
import re
import socket
import subprocess

import pytest

import busy
import spoolfile
import strangers
from client import TIMEOUT, pair
from conftest import WAY

HERE = pathlib.Path(__file__).parent
TOP = HERE.parent.parent
QUEUED = re.compile(r"250 2\.0\.0 Ok: queued as ([0-9a-z]{20})\r\n")
TIMED_OUT = "421 4.4.2 "
TWICE = 8 # times, at most
STEPS = ("> ", ">> ", ">>* ", "< ", "<* ", "<~ ", "= ", "=~ ", "=> ")


class Script:
    """One file."""

    def __init__(self, path):
        self.steps, self.settings, self.environment, self.where = [], {}, {}, []
        self.times = {}
        self.files = {}
        self.status = 0
        for number, line in enumerate(path.read_text().splitlines(), 1):
            word, _, rest = line.partition(" ")
            if word == "!":
                assign(rest, self.settings)
            elif word == "!!":
                assign(rest, self.times)
            elif word == "+":
                name, _, text = rest.partition(" ")
                self.files.setdefault(name, []).append(text)
            elif word == "$":
                assign(rest, self.environment)
            elif word == "%":
                self.status = int(rest)
            elif word == "@":
                self.where.append(rest)
            elif line.startswith(STEPS) or line in (">", "<ehlo", "<eof", "=>"):
                self.steps.append((number, line))
            else:
                assert line == "" or word.startswith("#"), f"{path}:{number}: {line!r}"
        self.where = self.where or ["pipe", "socket", "bytes"]


def assign(text, into):
    key, value = text.split("=", 1)
    into[key] = value


def escaped(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


class Talk:
    """One conversation."""

    def __init__(self, postern, how, settings):
        how, _, busy_way = how.partition(" ")
        self.newline = b"\n" if how == "pipe" else b"\r\n"
        self.piece = 1 if how == "bytes" else 1 << 30
        self.queued = []
        if how == "pipe":
            self.process = postern.start(subprocess.PIPE, subprocess.PIPE, **settings)
            self.write, self.rfile = self.process.stdin, self.process.stdout
            return
        client, server = (self.listener if busy_way else self.connection)(how, postern)
        client.settimeout(TIMEOUT)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.process = postern.serve_one(server, **settings) if busy_way else \
            postern.start(server, server, **settings)
        server.close()
        self.write, self.rfile = client.makefile("wb", 0), client.makefile("rb")
        client.close()

    @staticmethod
    def listener(how, postern):
        """A socket that listens instead of the server's end."""
        if how in ("socket", "bytes"):
            server = busy.listener()
            return socket.create_connection(server.getsockname(), TIMEOUT), server
        if how == "unix":
            server = busy.unix_listener(postern.where / "socket")
            client = socket.socket(socket.AF_UNIX)
            client.connect(server.getsockname())
            return client, server
        try:
            return strangers.connection(how, listening=True)
        except strangers.NoNamespace as why:
            pytest.skip(f"needs root or user namespaces: {why}")

    @staticmethod
    def connection(how, postern):
        del postern
        if how == "unix":
            return socket.socketpair()
        if how not in ("socket", "bytes"):
            try:
                return strangers.connection(how)
            except strangers.NoNamespace as why:
                pytest.skip(f"needs root or user namespaces: {why}")
        return pair()

    def send(self, data):
        for at in range(0, len(data), self.piece):
            try:
                self.write.write(data[at:at + self.piece])
                self.write.flush()
            except (BrokenPipeError, ConnectionResetError):
                return # it closed in the middle of this; what it said before counts

    def line(self):
        try:
            line = self.rfile.readline().decode("latin-1")
        except ConnectionResetError: # closed, with something of ours unread
            line = ""
        self.queued += QUEUED.findall(line)
        return line

    def close(self):
        for f in (self.write, self.rfile):
            try:
                f.close()
            except OSError:
                pass
        self.status = self.process.wait(TIMEOUT)


def message(postern, ident):
    """The queued file of this id, having looked at all its names."""
    paths = list((postern.spool / "lane").glob(f"*/{ident}"))
    assert paths, f"{ident} was acknowledged and is not in the spool"
    files = [spoolfile.SpoolFile(p) for p in paths]
    lanes = {to.split(" ")[0] for to in files[0].all("To")}
    assert {p.parent.name for p in paths} == lanes, "one name for each lane"
    assert len({p.stat().st_ino for p in paths}) == 1, "one file"
    return files[0]


def check_message(found, step):
    kind, _, text = step.partition(" ")
    if kind == "=":
        name, value = re.fullmatch(r"(\w+): ?(.*)", text).groups()
        assert value in found.all(name), f"{text!r} is not in {found.fields}"
    elif kind == "=~":
        assert re.fullmatch(text, found.received), f"{found.received!r}"
    else:
        assert found.text == escaped(text)


class TooSoon(AssertionError):
    """A time ran out that should not yet."""


def expect(got, right, number, wanted):
    if not right:
        kind = TooSoon if got.startswith(TIMED_OUT) else AssertionError
        raise kind(f"line {number}: {wanted!r}, got {got!r}")


def play(postern, talk, steps):
    for number, step in steps:
        if step.startswith(">>* "):
            _, times, text = step.split(" ", 2)
            talk.send(escaped(text) * int(times))
        elif step.startswith(">> "):
            talk.send(escaped(step[3:]))
        elif step.startswith(">"):
            talk.send(step[2:].encode("latin-1") + talk.newline)
        elif step.startswith("="):
            assert talk.queued, f"line {number}: nothing was queued"
            check_message(message(postern, talk.queued[-1]), step)
        elif step == "<ehlo":
            while (got := talk.line()).startswith("250-"):
                pass
            expect(got, got.startswith("250 "), number, step)
        elif step == "<eof":
            expect(got := talk.line(), got == "", number, step)
        elif step.startswith("<* "):
            _, times, text = step.split(" ", 2)
            for _ in range(int(times)):
                expect(got := talk.line(), got == text + "\r\n", number, step)
        elif step.startswith("<~ "):
            expect(got := talk.line(), re.fullmatch(step[3:] + "\r\n", got), number, step)
        else:
            expect(got := talk.line(), got == step[2:] + "\r\n", number, step)


def cases():
    for path in sorted(HERE.glob("*.dialogue")):
        script = Script(path)
        sockets = [how for how in script.where if how != "pipe"]
        if script.status != 0: # it does not begin, and says so to nobody
            sockets = []
        for how in script.where:
            yield pytest.param(path, how, id=f"{path.stem}-{how}")
        for how in sockets if WAY == "busy" else sockets[:1]:
            yield pytest.param(path, f"{how} busy", id=f"{path.stem}-{how}-busy")


@pytest.mark.parametrize("path, how", cases())
def test_dialogue(postern, monkeypatch, path, how):
    script = Script(path)
    for name, value in script.environment.items():
        monkeypatch.setenv(name, value)
    for name, lines in script.files.items():
        (postern.where / name).write_text("".join(f"{line}\n" for line in lines))
    settings = {k: v.replace("{where}", str(postern.where)) for k, v in script.settings.items()}
    for n in range(TWICE + 1):
        times = {k: f"{int(v.removesuffix('s')) << n}s" for k, v in script.times.items()}
        talk = Talk(postern, how, {"max_connections": 0, **settings, **times})
        try:
            play(postern, talk, script.steps)
            break
        except TooSoon:
            if not times or n == TWICE:
                raise
        finally:
            talk.close()
    assert talk.status == script.status
    assert {p.name for p in postern.messages()} == set(talk.queued)
    for ident in talk.queued:
        message(postern, ident)
    assert not list((postern.spool / "tmp").glob("*")), "something was left in tmp/"


# ---- the table of replies ---------------------------------------------------------------------

ROW = re.compile(r'X\((\w+), "(\d{3})", "([^"]*)"(?: POSTERN_VERSION)?, (\w+)\)')


def replies():
    found = ROW.findall((TOP / "session" / "reply.h").read_text())
    assert len(found) > 30
    return [pytest.param(code, text, id=name) for name, code, text, _ in found]


@pytest.mark.parametrize("code, text", replies())
def test_every_reply_is_expected_somewhere(code, text):
    """Each reply that smtpd can give is what a dialogue or a test beside this one waits for."""
    last = text.split("\\n")[-1].replace("%h", "mx.test.example")
    wanted = f"{code} {last}".replace("%z", "").replace("%i", "").replace("%c", "")
    lines = [line[3:].replace("\\", "") if line.startswith("<~") else line[2:]
             for path in HERE.glob("*.dialogue") for line in path.read_text().splitlines()
             if line.startswith(("< ", "<~ "))]
    tests = [p.read_text() for p in HERE.glob("test_*.py")]
    assert (any(line.startswith(wanted) for line in lines) or
            any(f'"{wanted}' in t for t in tests)), wanted


@pytest.mark.parametrize("code, text", replies())
def test_enhanced_status_code(code, text):
    """R64: of the same class as the reply; not in the greeting and replies to HELO and EHLO."""
    if code == "354" or "Syntax: HELO" in text or "Syntax: EHLO" in text or text.startswith("%h"):
        return
    assert re.match(rf"{code[0]}\.\d\.\d+ ", text)
