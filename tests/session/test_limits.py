"""Limits of a session, and what a client that goes away leaves behind."""
import re
import signal
import socket
import subprocess

import pytest

from conftest import own

HELLO = "HELO c.example\n"
ENVELOPE = "MAIL FROM:<a@b.example>\nRCPT TO:<u@d.example>\n"


def talk(postern, text, **settings):
    return postern.pipe(HELLO + text + "QUIT\n", max_connections=0, **settings)


def test_recipients(postern):
    """R25, D17: a thousand by default; over a limit 452, and the others stay."""
    rcpt = "".join(f"RCPT TO:<u{i}@d.example>\n" for i in range(101))
    said = talk(postern, f"MAIL FROM:<a@b.example>\n{rcpt}DATA\n.\n", max_recipients=100)
    assert said.count("250 2.1.5 Ok") == 100
    assert said.count("452 4.5.3 Error: too many recipients") == 1
    assert postern.messages()[0].read_text().count("\nTo: d.example ") == 100


def test_hundred_domains(postern):
    """R25: a hundred recipients are taken even if each has a domain of its own."""
    rcpt = "".join(f"RCPT TO:<u@d{i}.example>\n" for i in range(100))
    assert "queued as" in talk(postern, f"MAIL FROM:<a@b.example>\n{rcpt}DATA\n.\n")
    paths = postern.messages()
    assert len(paths) == 100 and len({p.stat().st_ino for p in paths}) == 1


def test_size(postern):
    """I11, R63: exactly max_size octets pass, one more does not."""
    limit = 64 * 1024
    for extra, expected in ((0, "queued as"), (1, "552 5.3.4")):
        body = ("x" * 998 + "\n") * 65
        body += "y" * (limit - len(body) - 65 - 2 + extra) + "\n"
        assert expected in talk(postern, f"{ENVELOPE}DATA\n{body}.\n", max_size=limit)
    assert "552 5.3.4" in talk(postern, f"MAIL FROM:<a@b.example> SIZE={limit + 1}\n",
                               max_size=limit)
    assert len(postern.messages()) == 1


def test_command_line(postern):
    """R22, C1: 2048 octets with CRLF; longer is 500, endless is closed, nothing is kept."""
    assert "250 2.0.0 Ok" in talk(postern, "NOOP " + "x" * 2042 + "\n")
    assert "500 5.5.2 Error: line too long" in talk(postern, "NOOP " + "x" * 2043 + "\n")
    assert "500 5.5.2 Error: line too long" in talk(postern, "EHLO " + "A" * 60000 + "\n")
    assert "421 4.7.0" in talk(postern, "A" * 200000)


def test_useless_commands(postern):
    """C12"""
    said = talk(postern, "NOOP\n" * 1100)
    assert "421 4.7.0 mx.test.example Error: too many commands" in said


def test_hops(postern):
    """E3, R35: a hundred Received: fields pass, more are a loop."""
    for n, expected in ((100, "queued as"), (101, "554 5.4.6 Error: too many hops")):
        assert expected in talk(postern, f"{ENVELOPE}DATA\n" + "received: x\n" * n + "\nx\n.\n")
    body = "\n" + "Received: x\n" * 200
    assert "queued as" in talk(postern, f"{ENVELOPE}DATA\n{body}.\n")


def test_long_lines_and_edges(postern):
    """A11, R23: a line end across any buffer edge creates nothing."""
    for n in (510, 998, 1000, 1022, 2048, 4095, 4096, 8192, 65534, 65535, 65536):
        text = "a" * n
        assert "queued as" in talk(postern, f"{ENVELOPE}DATA\n{text}\n..b\n.\n")
        path = max(postern.messages())
        assert f"+0000\r\n{text}\r\n.b\r\nEnd: ".encode() in path.read_bytes()


def test_eof_in_data(postern):
    """A13, R10: a message without its dot is not queued."""
    postern.pipe(f"{HELLO}{ENVELOPE}DATA\nhalf\n", max_connections=0)
    assert postern.messages() == [] and not list((postern.spool / "tmp").iterdir())


def send_ahead(postern, text):
    """A client on TCP that has sent all this, and read nothing."""
    c = postern.connect()
    c.send((HELLO + text).replace("\n", "\r\n"))
    return c


def test_relaying_by_address(postern):
    """R45, D8, E8: loopback may write to anybody; relaying-stranger.dialogue has who may not."""
    c = send_ahead(postern, ENVELOPE + "QUIT\n")
    assert b"250 2.1.5 Ok" in c.rest()
    assert c.end() == 0


def test_half_close_after_dot(postern):
    """C14: shutdown(SHUT_WR) right behind the dot still gets its 250."""
    c = send_ahead(postern, ENVELOPE + "DATA\nx\n.\n")
    c.sock.shutdown(socket.SHUT_WR)
    assert b"queued as" in c.rest()
    assert c.end() == 0 and len(postern.messages()) == 1


def test_monitor_death_ends_session(postern):
    """The session does not outlive its monitor."""
    p = postern.start(subprocess.PIPE, subprocess.PIPE)
    assert p.stdout.readline().startswith(b"220")
    p.send_signal(signal.SIGKILL)
    said = p.stdout.readline().decode()
    assert said == "421 4.3.2 mx.test.example Error: service shutting down\r\n"
    assert p.stdout.readline() == b""


def test_configuration_errors(postern):
    """Bad input gets a clear error and exit 78; the client is told to come back."""
    said = postern.pipe("QUIT\n", max_connections=0, max_size="12x")
    assert said.startswith("421 4.3.5") and postern.status == 78
    assert 'command line: max_size: not a size like 50M: "12x"' in postern.logged()


def test_spool_missing(postern):
    """J15"""
    said = postern.pipe("QUIT\n", max_connections=0, spool="/nonexistent")
    assert said.startswith("421 4.3.0") and postern.status == 75
    assert "spool /nonexistent: No such file" in postern.logged()


def test_spool_of_somebody_else(postern):
    """J15, K4: a spool others can write to is refused."""
    postern.spool.chmod(0o777)
    assert postern.pipe("QUIT\n", max_connections=0).startswith("421 4.3.0")


def test_check(postern):
    p = subprocess.run(postern.command("smtpd", "--check", max_connections=3), stdout=subprocess.PIPE,
                       env={**postern.environment(), "POSTERN_EXPIRE": "7d"}, check=True)
    text = p.stdout.decode()
    assert "max_connections = 3  # command line\n" in text
    assert "expire = 604800s  # environment\n" in text
    assert "smtp_port = 25  # default\n" in text


def test_log_is_escaped(postern):
    """E5: one escaped line."""
    postern.pipe(b"HELO c.example\nMAIL FROM:<a\x1b[2J%n%s@x.example>\nQUIT\n", max_connections=0)
    assert re.search(r'refused local: "MAIL FROM:<a\\x1b\[2J%n%s@x\.example>": 501',
                     postern.logged())


@pytest.mark.parametrize("command, shown", [
    (b"MAIL FROM:<a\xe2\x80\xa8\xc2\x85b@x.example> SMTPUTF8 X=1", r"a\xe2\x80\xa8\xc2\x85b@x"),
    (b"NO\0OP", r"NO\x00OP"), (b"NOOP\rsmtpd: accepted", r"NOOP\x0dsmtpd: accepted"),
    (b"\\x0a\\", r"\x5cx0a\x5c"), (b"\x7f%s%n", r"\x7f%s%n"),
], ids=["like-line-ends", "nul", "cr", "backslash", "format"])
def test_log_is_one_line(postern, command, shown):
    """E5, E1: whatever a viewer might take for the end of a line, or for a code, stands encoded."""
    postern.pipe(b"HELO c.example\n" + command + b"\nQUIT\n", max_connections=0)
    [line] = [x for x in postern.log.read_bytes().split(b"\n") if b"refused" in x]
    assert shown.encode() in line
    assert re.fullmatch(rb"[ -~]*", line)


@pytest.mark.parametrize("trouble", ["mode", "link", "file"])
def test_spool_that_is_none(postern, trouble):
    """J15: without rights, behind a link, or no directory."""
    spool = postern.where / "other"
    if trouble == "mode":
        spool.mkdir(mode=0)
        own(spool)
    elif trouble == "link":
        spool.symlink_to(postern.spool)
    else:
        spool.touch()
    said = postern.pipe("QUIT\n", max_connections=0, spool=spool)
    assert said == "421 4.3.0 mx.test.example Error: queue not available\r\n"
    assert postern.status == 75 and f"spool {spool}: " in postern.logged()


def test_password_in_a_line_that_is_none(postern):
    """R70: what a client meant for AUTH stands in no log, even if it was not understood."""
    postern.pipe("HELO c.example\n AUTH PLAIN c2VjcmV0\n\tauth login c2VjcmV0\nAUTHPLAIN c2VjcmV0\nQUIT\n",
                 max_connections=0)
    assert "c2VjcmV0" not in postern.logged() and postern.logged().count('"AUTH"') == 3
