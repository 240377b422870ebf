"""What a client is told when a message cannot be written, and that nothing of it stays."""
import os
import shutil
import subprocess

import pytest

import patience
import smalldisk
from patience import PATIENCE

SCRIPT = ("HELO c.example\nMAIL FROM:<a@b.example>\nRCPT TO:<u@d.example>\nRCPT TO:<u@e.example>\n"
          "DATA\n" + "x" * 70 + "\n" + ("y" * 70 + "\n") * 2000 + ".\n"
          "RCPT TO:<u@d.example>\nNOOP\nQUIT\n")


def said_by(postern, *before):
    """Replies from the end of the data on, with smtpd started by the words before it."""
    command = [*before, *postern.command("smtpd", max_connections=0)]
    with open(postern.log, "ab") as log:
        p = subprocess.run(command, input=SCRIPT.encode(), stdout=subprocess.PIPE, stderr=log,
                           env=postern.environment(), timeout=PATIENCE, check=False)
    assert p.returncode == 0, postern.logged()
    return p.stdout.decode().split("\r\n")[6:]


def check_refused(postern, said, reply):
    """C4: refused, the transaction is gone, the session goes on, the spool is empty."""
    assert said == [reply, "503 5.5.1 Error: need MAIL command", "250 2.0.0 Ok", "221 2.0.0 Bye",
                    ""], postern.logged()
    assert postern.messages() == []
    assert not list((postern.spool / "tmp").iterdir())
    assert "not queued: spool: " in postern.logged()


def test_too_large_for_the_file_system(postern):
    """K8, J3: a write that fails for want of room, here by a limit on the file's size."""
    said = said_by(postern, "prlimit", "--fsize=65536")
    check_refused(postern, said, "452 4.3.1 Error: insufficient system storage")


@pytest.mark.parametrize("place", ["tmp", "lane"])
def test_not_writable(postern, place):
    """No name can be given: at the start of the file, or in the end, in its lanes."""
    postern.pipe("QUIT\n", max_connections=0)
    (postern.spool / place).chmod(0o500)
    try:
        check_refused(postern, said_by(postern), "451 4.3.0 Error: queue file write error")
    finally:
        (postern.spool / place).chmod(0o700)


def test_second_lane_fails(postern):
    """The name that the first lane has already is taken back."""
    postern.pipe("QUIT\n", max_connections=0)
    (postern.spool / "lane" / "e.example").write_text("not a directory")
    said = said_by(postern)
    (postern.spool / "lane" / "e.example").unlink()
    check_refused(postern, said, "451 4.3.0 Error: queue file write error")


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("error, reply", [
    ("EIO", "451 4.3.0 Error: queue file write error"),
    ("ENOSPC", "452 4.3.1 Error: insufficient system storage"),
    ("EDQUOT", "452 4.3.1 Error: insufficient system storage"),
])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_sync_fails(postern, n, error, reply):
    """J1, J2, R37: the file, the first lane, the second one; what did not sync was not queued."""
    postern.pipe("QUIT\n", max_connections=0)
    for lane in ("d.example", "e.example"): # there already, so that only the message is synced
        (postern.spool / "lane" / lane).mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(postern.spool / "lane" / lane, 65534, 65534)
    trace = postern.where / "trace"
    trace.touch(mode=0o666)
    trace.chmod(0o666)
    said = said_by(postern, "strace", "-f", "-o", str(trace), "-e", "trace=fsync",
                   "-e", f"inject=fsync:error={error}:when={n}")
    assert error in trace.read_text()
    assert trace.read_text().count("fsync(") == n, "not synced again, nor anything after it"
    check_refused(postern, said, reply)


# ---- S4

MIB = 1 << 20
TEXT = ("x" * 70 + "\r\n").encode() * (MIB // 72)


def free(postern):
    st = os.statvfs(postern.spool)
    return st.f_bavail * st.f_frsize


@pytest.mark.parametrize("chunked", [False, True])
def test_reserve_while_writing(postern, chunked):
    """S4: a message that told no size would take what must stay free. It goes before its end is read."""
    with smalldisk.spool_on(postern, "tmpfs", 10 * MIB, 1000):
        c = postern.meet(min_free="4M")
        c.ask("MAIL FROM:<a@b.example>")
        assert c.ask("RCPT TO:<u@d.example>")[:3] == "250"
        if not chunked:
            assert c.ask("DATA")[:3] == "354"
        lowest = free(postern)
        for _ in range(9):
            if chunked:
                c.send(b"BDAT %d\r\n" % len(TEXT))
            c.send(TEXT)
            if chunked and c.reply()[:3] != "250":
                break
            lowest = min(lowest, free(postern))
        patience.until(lambda: not list((postern.spool / "tmp").iterdir()) and free(postern) > 9 * MIB)
        assert lowest > 2 * MIB
        if not chunked:
            c.send(b".\r\n")
            assert c.reply() == "452 4.3.1 Error: insufficient system storage"
        assert c.ask("NOOP")[:3] == "250"
        assert postern.messages() == []
        assert postern.logged().count("not queued: spool: No space left on device") == 1
        c.sock.close()


def test_reserve_of_many(postern):
    """S4: each of many clients sends less than a MiB, and no end."""
    text = TEXT[:MIB * 9 // 10]
    with smalldisk.spool_on(postern, "tmpfs", 10 * MIB, 1000):
        said, clients = [], [postern.meet(min_free="4M") for _ in range(12)]
        for c in clients:
            c.ask("MAIL FROM:<a@b.example>")
            c.ask("RCPT TO:<u@d.example>")
            c.send(b"BDAT %d\r\n" % len(text) + text)
            said.append(c.reply()[:3])
            assert free(postern) > 3 * MIB, said
        assert said == ["250"] * 6 + ["452"] * 6
        for c in clients:
            c.sock.close()


def test_relay_may_use_the_reserve(postern, world):
    """S4: a report is queued where a session is turned away."""
    world.domain("d.example")
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "u@d" in line else "250 2.1.5 ok"
    assert "queued as" in postern.send("u@d.example", max_connections=0)
    assert "452 4.3.1" in postern.send("u@d.example", max_connections=0, min_free="1000G")
    postern.due(min_free="1000G")
    patience.until(lambda: [m for m in world.sink.messages if m.sender == ""])
    postern.settled()
