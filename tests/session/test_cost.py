"""What a session is made of, and what it costs where that is the same on every machine."""
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess

import pytest

import spent
from client import Client, pair
from conftest import DROP
from patience import PATIENCE

PT_GNU_RELRO = 0x6474e552
NOBODY = 65534 if os.geteuid() == 0 else None
DIALOGUE = (b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nDATA\r\n"
            b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")


@pytest.fixture
def command(postern):
    """smtpd, started by whoever it is that serves; if it is as lean as it can be."""
    whole = postern.command("smtpd", max_connections=0, log="none")
    program = pathlib.Path(whole[len(DROP)]).read_bytes()
    if postern.watched("smtpd") or b"/ld-linux" in program or b"glibc" in program:
        pytest.skip("needs smtpd without sanitizers, and musl")
    return whole[len(DROP):]


def test_faults(postern, command):
    """Page faults of monitor and session, with one message: 40 when this was written. A program of glibc
    that does nothing has 28."""
    pathlib.Path(command[0]).read_bytes() # so that all of it is there to be mapped
    found = [spent.run(command, DIALOGUE, NOBODY, placed=True)[0] for _ in range(7)]
    assert statistics.median(found) <= 50
    assert len(postern.messages()) == 7


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_calls(postern, command):
    """Its system calls."""
    spent.run(command, DIALOGUE, NOBODY) # which makes the spool and the lane
    trace = postern.where / "trace"
    trace.touch()
    trace.chmod(0o666)
    subprocess.run([*DROP, "strace", "-f", "-o", trace, *command], input=DIALOGUE, check=True,
                   stdout=subprocess.DEVNULL, env=postern.environment(), timeout=PATIENCE)
    assert len(re.findall(r"^\d+ +\w+\(", trace.read_text(), re.M)) <= 90
    assert len(postern.messages()) == 2


def relro(program):
    """[(offset, size), ...] of what is made read-only, in whole pages, by the program's headers."""
    data = pathlib.Path(program).read_bytes()
    begin, = struct.unpack_from("<Q", data, 32)
    size, number = struct.unpack_from("<HH", data, 54)
    for i in range(number):
        kind, _, offset, _, _, _, memory, _ = struct.unpack_from("<IIQQQQQQ", data, begin + i * size)
        if kind == PT_GNU_RELRO:
            yield offset & ~0xfff, (offset & 0xfff) + memory & ~0xfff


@pytest.mark.skipif(os.geteuid() != 0 or struct.calcsize("P") != 8, reason="needs root, and 64 bits")
def test_image(postern, command):
    """K1: what was relocated is read-only, nothing can be written and run, it lies elsewhere each time."""
    places = set()
    for _ in range(4):
        ours, theirs = pair()
        with theirs:
            client = Client(ours, postern.start(theirs, theirs, max_connections=0))
        assert client.reply()[:3] == "220"
        maps = [line.split() for line in pathlib.Path(f"/proc/{client.process.pid}/maps").read_text().splitlines()]
        image = [m for m in maps if m[-1].endswith("/smtpd")]
        assert not [m for m in maps if "w" in m[1] and "x" in m[1]]
        [(offset, size)] = relro(command[0])
        [sealed] = [m for m in image if int(m[2], 16) == offset and m[1] == "r--p"]
        begin, end = (int(x, 16) for x in sealed[0].split("-"))
        assert size > 0 and end - begin == size
        places.add(image[0][0])
        assert client.finish() == 0
    assert len(places) > 1
