"""What a session that was taken over gets by asking its monitor for relays: those of lanes with mail, and
nothing else."""
import contextlib
import os
import shutil
import struct
import subprocess

import pytest

import locked
import proc
from client import TIMEOUT
from conftest import BUILD, own
from patience import until

RELAY, LANE = 0, 256 # request.h

# None of them is a name that a session makes; most of them are directories that are there.
NO_LANES = [
    b"", b".", b"..", b"...", b"../tmp", b"../aside", b"../lane", b"../../outside", b"./d.example",
    b"d.example/", b"d.example/.", b"d.example/../d.example", b"/", b"/etc", b"/tmp", b"{outside}",
    b"@lock", b"@retry", b"d.example/@lock", b"D.EXAMPLE", b"d.Example", b"d.example.", b".d.example",
    b"d..example", b"-d.example", b"d-.example", b"d example", b" d.example", b"d.example ", b"d.example\n",
    b"d.example\r", b"d.ex\xe4mple", b"d.\xc3\xa4.example", b"d.example\x7f", b"--due", b"-o", b"*", b"~",
    b"$HOME", b"x" * 64 + b".example", b"d." * 127 + b"example", b"d" * 256, b"[192.0.2.1", b"[D.example]",
    b"[IPv6:2001:DB8::1]", b"[/etc]", b"route:", b"route:../tmp", b"route:../../outside", b"route:D.example", b"ROUTE:d.example",
    b"route:/etc", b"route:@lock", b"route:-o", b"route:route:d.example", b"a%b", b"d.example:25", b"lane/d.example",
]


def ask(session, *lanes, size=LANE):
    """Through the session's own socket to its monitor."""
    with locked.socket_of(session) as requests:
        for lane in lanes:
            requests.sendall(struct.pack("I", RELAY) + lane[:size].ljust(size, b"\0"))


def everything(where):
    return {str(p.relative_to(where)): p.stat().st_ino for p in where.rglob("*")}


LAST = b"route:last" # a lane whose mail needs a login, and so a relay of its own


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError): # it is just ending
            os.kill(pid, 9)


@pytest.fixture
def busy(postern):
    """A smtpd in a pipe, with mail in lane d.example. Its relays write down what they are told and stay;
    what they wrote is busy.told."""
    postern.configure("[route last]", "domains = last.example", "hosts = mail.last.example:587",
                      "delivery_user = u", "delivery_password_file = environment:P")
    locked.need(BUILD)
    told = postern.where / "told"
    told.touch()
    own(told)
    os.mkfifo(postern.where / "gate")
    relay = postern.where / "relay"
    relay.write_text(f'#!/bin/sh\necho "$@" >>{told}\nread x <{postern.where}/gate\n')
    relay.chmod(0o755)
    assert "queued as" in postern.send("u@d.example", max_connections=0)
    p = postern.start(subprocess.PIPE, subprocess.PIPE, relay_path=relay, max_connections=20)
    assert p.stdout.readline()[:3] == b"220"
    p.told = told
    yield p
    kill(proc.children(p.pid)[1:])
    said, _ = p.communicate(b"QUIT\n", TIMEOUT)
    kill(proc.running("sh", str(relay))) # one may have come meanwhile, for nobody took the mail away
    assert said[:3] == b"221" and p.returncode == 0


def make(postern, name):
    """A directory that is this name's, with mail in it, where there can be one and it is ours."""
    lanes = postern.spool / "lane"
    source = next(p for p in (lanes / "d.example").iterdir() if len(p.name) == 20)
    path = os.path.realpath(os.path.join(os.fsencode(lanes), name))
    if not path.startswith(os.fsencode(postern.where)) or path.endswith(b"/d.example"):
        return
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        mail = shutil.copy(source, os.path.join(path, os.fsencode(source.name)))
    except OSError:
        return
    for each in (path, mail):
        own(each)


def check_only_last(postern, busy):
    """Of all that was asked for, this had a relay: another would be there already."""
    make(postern, LAST)
    ask(locked.session_of(busy.pid), LAST)
    until(busy.told.read_text)
    assert busy.told.read_text().startswith("--login route:last ")
    assert len(busy.told.read_text().splitlines()) == 1
    assert len(proc.children(busy.pid)) == 2, "the session and a relay"


def test_no_lanes(postern, busy):
    """M7, K1: what is asked for in names that are none starts nothing, though there be a directory with
    mail; nor does anything appear anywhere. Behind them all, a lane is served."""
    outside = os.fsencode(postern.where / "outside")
    names = [name.replace(b"{outside}", outside) for name in NO_LANES]
    for name in [*names, LAST]:
        make(postern, name)
    before = everything(postern.where)
    assert len([p for p in before if p.startswith("spool/lane/")]) > 60
    ask(locked.session_of(busy.pid), *names)
    check_only_last(postern, busy)
    after = everything(postern.where)
    assert all(p == "spool/relay" or p.startswith("spool/relay/mx.test.example") for p in set(after) - set(before))
    assert {p: inode for p, inode in after.items() if p in before} == before


@pytest.mark.parametrize("lane", [b"d.example", b"xn--bcher-kva.example", b"[192.0.2.1]",
                                  b"[ipv6:2001:db8::1]", b"route:d.example"])
def test_lanes(postern, busy, lane):
    """M7: the other half: such names are what a session asks for. One relay is for all of them."""
    make(postern, lane)
    ask(locked.session_of(busy.pid), lane, b"d.example", LAST)
    until(busy.told.read_text)
    assert busy.told.read_text().startswith("--login none ")
    assert len(busy.told.read_text().splitlines()) == 1, "d.example has the same, and the last one no mail"
    assert len(proc.children(busy.pid)) == 2


def test_lanes_without_mail(postern, busy):
    """A name is not enough: there is nobody to be served."""
    ask(locked.session_of(busy.pid), b"e.example", b"[192.0.2.1]", b"route:d.example")
    check_only_last(postern, busy)


def test_requests_that_are_none(postern, busy):
    """M7: of another length than a request has, or with a name that does not end."""
    session = locked.session_of(busy.pid)
    make(postern, b"d" * (LANE - 1))
    make(postern, b"e.example")
    ask(session, b"d" * LANE)
    for size in (0, 1, 9, LANE - 1, LANE + 1, LANE + 64):
        ask(session, b"e.example", size=size)
    check_only_last(postern, busy)
