"""Runs the dialogues beside this file.

	# comment, with the ids it covers      ! key=value   a setting of smtpd
	> line sent, with CRLF on a socket and LF on a pipe
	>> bytes sent as they are, with escapes such as \\r \\n \\x00; one write each
	< line expected, exactly                <~ regular expression for a line expected
	<eof    the server has closed            @ pipe | socket    only there
	@ from 192.0.2.1    the client's address (needs a network namespace of its own)
"""
import pathlib
import re
import socket
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
TIMEOUT = 20


def load(path):
    steps, settings, where = [], {}, ["pipe", "socket"]
    for line in path.read_text().splitlines():
        if line.startswith("! "):
            key, value = line[2:].split("=", 1)
            settings[key] = value
        elif line.startswith("@ "):
            where = [line[2:]]
        elif line and not line.startswith("#"):
            steps.append(line)
    return steps, settings, where


class Talk:
    """One conversation over a pipe pair or a TCP connection on loopback."""

    def __init__(self, postern, how, settings):
        self.newline = b"\n" if how == "pipe" else b"\r\n"
        if how == "pipe":
            self.process = postern.start(subprocess.PIPE, subprocess.PIPE, **settings)
            self.write, self.rfile = self.process.stdin, self.process.stdout
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                client = socket.create_connection(listener.getsockname(), TIMEOUT)
                server, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.process = postern.start(server, server, **settings)
            server.close()
            self.write, self.rfile = client.makefile("wb", 0), client.makefile("rb")
            client.close()

    def send(self, data):
        self.write.write(data)
        self.write.flush()

    def line(self):
        return self.rfile.readline().decode("latin-1")

    def close(self):
        for f in (self.write, self.rfile):
            try:
                f.close()
            except OSError:
                pass
        self.process.wait(TIMEOUT)


def play(talk, steps):
    for number, step in enumerate(steps, 1):
        if step.startswith(">> "):
            talk.send(step[3:].encode("latin-1").decode("unicode_escape").encode("latin-1"))
        elif step.startswith(">"):
            talk.send(step[2:].encode("latin-1") + talk.newline)
        elif step == "<eof":
            assert talk.line() == "", f"step {number}: expected the end"
        elif step.startswith("<~ "):
            got = talk.line()
            assert re.fullmatch(step[3:] + "\r\n", got), f"step {number}: {step!r}, got {got!r}"
        else:
            assert talk.line() == step[2:] + "\r\n", f"step {number}: {step!r}"


def cases():
    for path in sorted(HERE.glob("*.dialogue")):
        for how in load(path)[2]:
            yield pytest.param(path, how, id=f"{path.stem}-{how}")


@pytest.mark.parametrize("path, how", cases())
def test_dialogue(postern, path, how):
    steps, settings, _ = load(path)
    talk = Talk(postern, how, {"max_relays": 0, **settings})
    try:
        play(talk, steps)
    finally:
        talk.close()
    assert "queued as" in path.read_text() or not postern.messages()
    assert not list((postern.spool / "tmp").glob("*")), "something was left in tmp/"
