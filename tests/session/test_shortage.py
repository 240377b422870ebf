"""Where there is little of something, or none: what was acknowledged is in the queue, whole."""
import contextlib
import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

import pytest

from client import TIMEOUT, Client, pair
from conftest import DROP
from patience import PATIENCE, until
from proc import children
from sockets import unread
from spoolfile import SpoolFile

MESSAGE = "HELO c.example\nMAIL FROM:<a@b.example>\nRCPT TO:<u@d.example>\nDATA\nx\n.\n"
SCRIPT = MESSAGE + "QUIT\n"
QUEUED = re.compile(r"250 2\.0\.0 Ok: queued as ([0-9a-z]{20})\r\n")
FORK = "clone,fork" # either, by the C library
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def run(postern, *before, script=SCRIPT, **settings):
    """What smtpd says when it is started by the words before it."""
    command = [*before, *postern.command("smtpd", **{"max_connections": 0, **settings})]
    with open(postern.log, "ab") as log:
        p = subprocess.run(command, input=script.encode(), stdout=subprocess.PIPE, stderr=log,
                           env=postern.environment(), timeout=PATIENCE, check=False)
    postern.status = p.returncode
    return p.stdout.decode()


def needs_ordinary_build(postern):
    if postern.watched("smtpd"):
        pytest.skip("a sanitizer needs more, and is not locked in")


def check_queue(postern, said):
    assert [p.name for p in postern.messages()] == QUEUED.findall(said)
    for p in postern.messages():
        assert SpoolFile(p).text == b"x\r\n"
    assert not list((postern.spool / "tmp").glob("*"))


# ---- processes

@strace
def test_no_process_for_a_relay(postern, world):
    """I8: the 250 stands, the log says who will see to it, and the timer does."""
    world.domain("d.example")
    trace = postern.where / "trace"
    trace.touch(mode=0o666)
    trace.chmod(0o666)
    said = run(postern, "strace", "-f", "-o", str(trace), "-e", f"trace={FORK}",
               "-e", f"inject={FORK}:error=EAGAIN:when=2+", max_connections=20)
    assert "EAGAIN" in trace.read_text()
    assert "queued as" in said and postern.status == 0
    check_queue(postern, said)
    assert "lane d.example: cannot start relay" in postern.logged()
    postern.due()
    world.sink.wait_messages()
    postern.settled()


@strace
def test_no_process_for_a_session(postern):
    """I8, R10"""
    said = run(postern, "strace", "-o", "/dev/null", "-e", f"inject={FORK}:error=EAGAIN:when=1")
    assert said == "421 4.3.0 mx.test.example Error: no process for this connection\r\n"
    assert postern.status == 75 and "cannot fork" in postern.logged()


# ---- what a process may have

LITTLE = [f"--{what}={n}" for what, some in (
    ("nofile", range(3, 16)), ("stack", (65536,)), ("fsize", (0, 100, 600, 4096)),
    ("as", (3 << 19, 2 << 20, 3 << 20, 6 << 20)), ("core", (0,)), ("memlock", (0,))) for n in some]


@pytest.mark.parametrize("limit", LITTLE)
def test_limited(postern, limit):
    """I9, K8: it works, or it says that it cannot; and never is anything in between."""
    needs_ordinary_build(postern)
    postern.pipe("QUIT\n", max_connections=0) # makes the spool's directories
    said = run(postern, "prlimit", limit)
    if postern.status < 0: # the loader itself had too little
        assert said == "" and limit.startswith("--as")
    last = said.split("\r\n")[-2] if said else ""
    assert said == "" or last[:3] in ("221", "421")
    check_queue(postern, said)
    if limit in ("--nofile=15", "--stack=65536", "--as=6291456", "--core=0"):
        assert "queued as" in said


def test_aborted_messages_leave_no_room_taken(postern):
    """I10: of a hundred that were nearly sent, nothing is there."""
    for _ in range(100):
        c = postern.meet()
        c.envelope()
        c.send(b"x" * 70 + b"\r\n" * 10000)
        c.end()
    assert postern.messages() == [] and not list((postern.spool / "tmp").iterdir())


# ---- the log

def test_refused_commands_do_not_fill_the_log(postern):
    """I18: 10^5 of them on one connection are a few lines, however long they were."""
    said = postern.pipe("x" * 2000 + "\n" + "FOO\n" * 10 ** 5, max_connections=0)
    assert said.endswith("421 4.7.0 mx.test.example Error: too many errors\r\n")
    lines = postern.logged().splitlines()
    assert said.count("500 5.5.2 Error: command not recognized") <= len(lines) < 50
    assert max(map(len, lines)) < 2000


def test_refused_recipients_do_not_fill_the_log(postern):
    """I18, D17: nor what is no error, when all of them were sent in one group."""
    rcpt = "RCPT TO:<u@d.example>\n" * 10 ** 5
    said = postern.pipe(f"HELO c.example\nMAIL FROM:<a@b.example>\n{rcpt}", max_connections=0)
    assert "421 4.7.0 mx.test.example Error: too many commands without mail" in said
    assert len(postern.logged().splitlines()) < 50


@pytest.mark.parametrize("log", ["full", "closed", "gone"])
def test_log_that_cannot_be_written(postern, log):
    """J18: mail is not concerned."""
    command = postern.command("smtpd", max_connections=0)
    if log == "full":
        command = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", *command]
    elif log == "closed":
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    read, write = os.pipe()
    os.close(read)
    p = subprocess.run(command, input=SCRIPT.encode(), stdout=subprocess.PIPE, stderr=write,
                       env=postern.environment(), timeout=PATIENCE, check=False)
    os.close(write)
    assert p.returncode == 0
    assert len(QUEUED.findall(p.stdout.decode())) == 1
    check_queue(postern, p.stdout.decode())


# ---- how it is started

@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_started_without_descriptors(postern, closed):
    """K6: what it says and logs never gets into a queue file that took the number of one of them."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *postern.command("smtpd", max_connections=0)]
    p = subprocess.run(command, input=SCRIPT.encode(), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=postern.environment(), timeout=PATIENCE, check=False)
    assert p.returncode >= 0
    for path in postern.messages():
        assert SpoolFile(path).text == b"x\r\n"
    if "<" not in closed and ">&- " not in closed + " ":
        assert len(postern.messages()) == 1
    assert not list((postern.spool / "tmp").glob("*"))


@root_only
@pytest.mark.parametrize("closed, held", [(">&-", [1]), ("2>&-", [2]), (">&- 2>&-", [1, 2])])
def test_place_of_a_closed_descriptor(postern, closed, held):
    """K6: nothing that is opened later takes it, in neither process; the monitor has standard error there."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *postern.command("smtpd", max_connections=0)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=postern.environment()) as p:
        p.stdin.write(MESSAGE.encode())
        p.stdin.flush()
        postern.wait_messages(1)
        [session] = children(p.pid)
        assert {os.readlink(f"/proc/{session}/fd/{fd}") for fd in held} == {"/dev/null"}
        # The monitor lets go behind the fork, which may be later than the session's first message.
        until(lambda: {os.readlink(f"/proc/{p.pid}/fd/{fd}") for fd in (0, *held)} ==
              {os.readlink(f"/proc/{p.pid}/fd/2")})
        p.stdin.close()
        assert p.wait(TIMEOUT) == 0


@root_only
@pytest.mark.parametrize("user, why", [("root", "Operation not permitted"),
                                       ("no-such-user", "/etc/passwd has none of this name")])
def test_root_is_refused(postern, user, why):
    """K5: it becomes somebody else before it reads anything, or does nothing."""
    command = postern.command("smtpd", user=user)[len(DROP):]
    p = subprocess.run(command, input=SCRIPT.encode(), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=postern.environment(), timeout=PATIENCE, check=False)
    assert p.stdout == b"421 4.3.5 Error: server configuration problem\r\n"
    assert p.returncode == 78 and f"cannot become user {user}: {why}" in p.stderr.decode()


@root_only
def test_root_becomes_somebody(postern):
    """K5, K12: for good, with no group of root's, and whatever kills it leaves no core."""
    needs_ordinary_build(postern)
    command = postern.command("smtpd", user="nobody", max_connections=0)[len(DROP):]
    with open(postern.log, "ab") as log, \
            subprocess.Popen(["setpriv", "--groups=4,24", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                             env=postern.environment()) as p:
        assert p.stdout.readline().startswith(b"220")
        [session] = children(p.pid)
        for pid in (p.pid, session):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"\nUid:(\t65534){4}\nGid:(\t65534){4}\n", status)
            assert re.search(r"\nGroups:\s*\n", status)
        limits = pathlib.Path(f"/proc/{session}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        assert pathlib.Path(f"/proc/{session}/stat").stat().st_uid == 0, "not dumpable"
        os.kill(session, signal.SIGSEGV)
        assert p.wait(TIMEOUT) == 70
    assert "session ended by signal 11" in postern.logged()


@pytest.mark.parametrize("program", ["smtpd", "relay", "tls", "auth"])
def test_started_without_a_name(postern, program):
    """K9: argc == 0, of which a kernel may make one empty argument."""
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        nothing = (ctypes.c_char_p * 1)(None)
        ctypes.CDLL(None).execve(str(postern.build / program).encode(), nothing, nothing)
        os._exit(127)
    status = until(lambda: (ended := os.waitpid(pid, os.WNOHANG))[0] == pid and ended)[1]
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) != 127


# ---- signals

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ])
def test_storm_of_signals(postern, sig):
    """K7: handlers only set a flag, so a message is queued and acknowledged, or neither."""
    said = ""
    for n in range(20):
        with open(postern.log, "ab") as log:
            p = subprocess.Popen(postern.command("smtpd", max_connections=0), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=log, env=postern.environment())
        assert p.stdout.readline().startswith(b"220")
        [session] = children(p.pid)
        p.stdin.write(MESSAGE.encode() * 5)
        p.stdin.flush()
        for _ in range(10 * n):
            try:
                os.kill(session, sig)
            except ProcessLookupError:
                break
        p.stdin.close()
        said += p.stdout.read().decode()
        assert p.wait(TIMEOUT) == 0
        p.stdout.close()
    assert set(QUEUED.findall(said)) == {p.name for p in postern.messages()}
    assert not list((postern.spool / "tmp").glob("*"))
    if sig in (signal.SIGPIPE, signal.SIGXFSZ):
        assert len(postern.messages()) == 100


def full_pipe():
    """Both ends of one that takes no more."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    os.set_blocking(theirs, True)
    return ours, theirs


def test_log_that_nobody_reads(postern):
    """J18: standard error leads to a program that has stopped. Mail does not wait for it."""
    log, theirs = full_pipe()
    p = subprocess.run(postern.command("smtpd", max_connections=0), input=SCRIPT.encode(), stdout=subprocess.PIPE,
                       stderr=theirs, env=postern.environment(), timeout=PATIENCE, check=False)
    os.close(theirs)
    os.close(log)
    assert p.returncode == 0 and b"queued as" in p.stdout
    assert len(postern.messages()) == 1


def sleeps(pid):
    return re.search(r"\nState:\t(\w)", pathlib.Path(f"/proc/{pid}/status").read_text())[1] == "S"


def test_stop_while_nobody_reads(postern):
    """R10, I2: nor does a client that takes no reply hold a service that stops."""
    ours, theirs = pair()
    c = Client(ours, postern.start(theirs, theirs, max_connections=0))
    c.reply()
    c.hello()
    [session] = children(c.process.pid)
    for command in ("MAIL FROM:<a@b.example>", "RCPT TO:<u@d.example>"):
        assert c.ask(command)[:3] == "250"
    command = b"BDAT 1\r\nx"
    commands, sent = command * 100000, 0
    c.sock.settimeout(0.2)

    def stuck():
        """Its output is full: it sleeps with much to read before it, and goes on no more."""
        nonlocal sent
        with pytest.raises(TimeoutError):
            for _ in range(10000): # from where the last piece was cut off
                sent += c.sock.send(commands[sent % len(command):])
        before = unread(theirs)
        return before > 0 and sleeps(session) and unread(theirs) == before
    until(stuck)
    theirs.close()
    c.process.terminate()
    until(lambda: not pathlib.Path(f"/proc/{session}").exists())
