"""An smtpd that serves many clients (DESIGN 3a), when its configuration, its program or its spool is another one, and
when its workers crash."""
import errno
import os
import pathlib
import re
import shutil
import signal
import threading
import time

import pytest

import busy
import patience
from conftest import BUILD, own


# ---- what changes meanwhile

def test_configuration(postern):
    """In force with the next connection. Who was there before goes on, and relays hear of its mail."""
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern)
    before = pool.meet()
    busy.changed(postern, "new.example")
    for _ in range(3):
        assert "new.example" in pool.connect().reply()
    assert before.message()[:3] == "250"
    assert before.ask("QUIT")[:3] == "221"
    postern.wait_logged("a new smtpd takes over")
    postern.settled(1)
    assert pool.stop() == 0


def test_wrong_configuration(postern):
    """The operator hears of it, once; what was in force stays so until it is mended."""
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=2)
    assert "old.example" in pool.connect().reply()
    busy.changed(postern, "new.example", nonsense="yes")
    for _ in range(4):
        assert "old.example" in pool.connect().reply()
    assert postern.logged().count("what was in force stays so") == 1
    busy.changed(postern, "new.example")
    assert "new.example" in pool.connect().reply()
    assert pool.stop() == 0


def writer(path):
    """A descriptor, once somebody reads there; -1: nobody does."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as why:
        assert why.errno == errno.ENXIO
        return -1


def test_configuration_changes_while_it_is_read(postern):
    """What was read is half of a file, and wrong; the whole of it is in force with the next connection."""
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern, busy_spare=2)
    assert "old.example" in pool.connect().reply()
    pool.all_asleep()
    half = postern.where / "half"
    os.mkfifo(half)
    half.chmod(0o644)
    half.rename(postern.file)
    c = pool.connect()
    fd = patience.until(lambda: max(writer(postern.file), 0))
    busy.configured(postern, "new.example")
    os.write(fd, b"nonsense\n")
    os.close(fd)
    assert "new.example" in c.reply()
    assert postern.logged().count("what was in force stays so") == 1
    assert pool.stop() == 0


def own_programs(postern):
    """A directory of copies, in which they may be replaced."""
    place = postern.where / "programs"
    shutil.copytree(BUILD, place, ignore=lambda d, names: [n for n in names if n not in
                                                           ("smtpd", "relay", "tls", "auth")])
    place.chmod(0o755)
    postern.build = place
    return place


def replace(place):
    """A new binary in the place of the old one."""
    shutil.copy(BUILD / "smtpd", place / ".new")
    (place / ".new").rename(place / "smtpd")


def test_program(postern):
    """A new binary in the place of the old one."""
    place = own_programs(postern)
    pool = busy.Pool(postern)
    before = pool.meet()
    pool.all_asleep()
    replace(place)
    assert pool.meet().message()[:3] == "250"
    assert before.message()[:3] == "250"
    assert os.readlink(f"/proc/{pool.pid}/exe") == str(place / "smtpd")
    assert postern.logged().count("a new smtpd takes over") == 1
    assert pool.stop() == 0


def ignored(pid):
    """The signals that a process ignores; none when it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return set()
    mask = int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16)
    return {s for s in signal.Signals if mask >> (s - 1) & 1}


def test_program_that_cannot_run(postern):
    """All goes on with the old one, which ignores what it ignored; and the next one takes over."""
    place = own_programs(postern)
    pool = busy.Pool(postern, busy_spare=2)
    pool.exactly(2)
    usual = ignored(pool.pid)
    assert signal.SIGPIPE in usual
    pool.all_asleep()
    (place / ".new").write_text("half of a program")
    (place / ".new").chmod(0o755)
    (place / ".new").rename(place / "smtpd")
    assert pool.meet().message()[:3] == "250"
    postern.wait_logged("what was in force stays so")
    assert ignored(pool.pid) == usual
    assert patience.until(lambda: (w := pool.workers()) and all(ignored(pid) == usual for pid in w))
    assert pool.meet().message()[:3] == "250"
    pool.all_asleep()
    replace(place)
    assert pool.meet().message()[:3] == "250"
    assert os.readlink(f"/proc/{pool.pid}/exe") == str(place / "smtpd")
    assert pool.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it hides /proc")
def test_without_proc(postern, monkeypatch):
    """Nobody can take over where it is not known what to start: the operator hears of it, and all goes on."""
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    command = postern.command
    monkeypatch.setattr(postern, "command", lambda *words, **settings: hidden + command(*words, **settings))
    busy.new_name(postern)
    busy.configured(postern, "old.example")
    pool = busy.Pool(postern)
    assert pool.meet().message()[:3] == "250"
    busy.changed(postern, "new.example")
    assert "old.example" in pool.connect().reply()
    postern.wait_logged("what was in force stays so until a restart")
    assert pool.stop() == 0


def test_fewer_sessions(postern, pki):
    """Those who were there before are heard, however few places there are from now on."""
    busy.new_name(postern)
    busy.configured(postern, "old.example", busy_sessions=100)
    pool = busy.Pool(postern, tls_certificate=pki.path("server"))
    before = [pool.meet() for _ in range(70)]
    busy.changed(postern, "new.example", busy_sessions=1)
    patience.until(lambda: "new.example" in pool.connect().reply())
    for c in before:
        assert c.ask("STARTTLS")[:3] == "220"
        busy.gone(c)
    assert pool.stop() == 0


def test_spool_that_is_another(postern):
    """The directory was replaced: mail goes to the one that is there."""
    pool = busy.Pool(postern)
    assert pool.meet().message()[:3] == "250"
    postern.rested()
    pool.all_asleep()
    postern.spool.rename(postern.where / "before")
    postern.spool.mkdir(mode=0o700)
    own(postern.spool)
    assert pool.meet().message()[:3] == "250"
    assert len(postern.wait_messages(1)) == 1
    assert pool.stop() == 0


# ---- crashes

def layout(pid):
    """Where the program lies in the memory of a process; "" when it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition("-")[0] for line in lines if line.endswith("/smtpd")), "")


def crash(pool):
    """A worker with a client. Its pid."""
    c = pool.greeted()
    victim = patience.until(lambda: [w for w in pool.workers() if busy.has_client(w)])[0]
    os.kill(victim, signal.SIGSEGV)
    assert c.rest() == b""
    return victim


def test_crash(postern):
    """M8: after it an smtpd takes over whose memory lies elsewhere, so that nobody can guess on; clients notice
    nothing, and it does not happen for one that was killed."""
    pool = busy.Pool(postern, busy_spare=2)
    before = pool.meet()
    other = busy.server_of(pool)
    was = layout(other)
    assert layout(pool.pid) == was, "workers are its forks"
    for w in pool.workers():
        if w != other:
            os.kill(w, signal.SIGKILL)
            postern.wait_logged(f"session {w} ended by signal 9")
    c = pool.meet()
    [victim] = [w for w in pool.workers() if busy.has_client(w) and w != other]
    os.kill(victim, signal.SIGSEGV)
    assert c.rest() == b""
    postern.wait_logged(f"session {victim} ended by signal 11")
    postern.wait_logged("a session has crashed: a new smtpd takes over")
    patience.until(lambda: any(layout(w) not in ("", was) for w in pool.workers()))
    assert pool.meet().message()[:3] == "250" and before.message()[:3] == "250"
    assert postern.logged().count("takes over") == 1
    assert pool.stop() == 0


def test_crashes_without_end(postern):
    """M8: no more than eight from one layout, and another one each two seconds at most, whatever clients do."""
    pool = busy.Pool(postern, busy_spare=2)
    begin = time.monotonic()
    while postern.logged().count("takes over") < 2:
        postern.wait_logged(f"session {crash(pool)} ended by signal 11")
    took = time.monotonic() - begin
    said = [line for line in postern.logged().splitlines() if "takes over" in line or "ended by signal 11" in line]
    crashes = [len(x.split()) for x in "".join("|" if "takes over" in line else "x " for line in said).split("|")]
    assert max(crashes) <= 8 + 2, "those that had begun by then"
    assert took >= 2, "none without a pause"
    assert pool.meet().message()[:3] == "250"
    assert pool.stop() == 0


class Load(threading.Thread):
    """Connects without a pause, and keeps what it was greeted with."""

    def __init__(self, pool):
        super().__init__()
        self.pool, self.greetings, self.failed, self.over = pool, [], [], False

    def run(self):
        while not self.over:
            try:
                c = self.pool.connect()
                said = c.reply()
                if said[:3] != "220" or c.ask("QUIT")[:3] != "221":
                    self.failed.append(said)
                self.greetings.append(said)
                busy.gone(c)
            except OSError as e:
                self.failed.append(str(e))


def test_changes_under_load(postern):
    """No connection is refused or cut, and the value changes for all of them."""
    busy.new_name(postern)
    busy.configured(postern, "host0.example")
    pool = busy.Pool(postern)
    loads = [Load(pool) for _ in range(4)]
    for load in loads:
        load.start()
    try:
        for n in range(1, 11):
            busy.configured(postern, f"host{n}.example")
            for load in loads:
                at = len(load.greetings)
                patience.until(lambda: any(f"host{n}.example" in g for g in load.greetings[at:]) or load.failed)
    finally:
        for load in loads:
            load.over = True
        for load in loads:
            load.join()
    assert not [x for load in loads for x in load.failed]
    assert pool.stop() == 0
