"""What the tests stand on: ports that are ours, waiting that does not give up early, and who is a relay."""
import os
import pathlib
import socket
import subprocess
import sys

import pytest

import internet
import patience
import ports
import proc

ANOTHER = "import ports; print(*[ports.take() for _ in range(200)], flush=True); input()"


@pytest.fixture
def port():
    number = ports.take()
    yield number
    ports.give_back(number)


@pytest.mark.parametrize("local, reserved, some, none", [
    ("32768\t60999", "", [10000, 32767, 61000, 65535], [9999, 32768, 60999]),
    ("", "", [10000, 32767, 61000], [32768]),
    ("1024 65535", "20000-20002,30000", [20000, 20002, 30000], [10000, 20003, 65535]),
    ("1024 65535", "", [], [10000, 40000]),
])
def test_candidates(local, reserved, some, none):
    found = ports.candidates(local, reserved)
    assert set(some) <= set(found) and not set(none) & set(found)


def test_port_is_not_of_the_kernels_choice(port):
    """Whoever asks for any port at all, of either kind, does not get it."""
    low, high = map(int, ports.read("ip_local_port_range").split())
    assert not low <= port <= high or str(port) in ports.read("ip_local_reserved_ports")


def test_port_is_one_processs(port):
    """Two processes that take 200 each have none in common; what one holds, the other is refused."""
    with subprocess.Popen([sys.executable, "-c", ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONPATH": str(pathlib.Path(ports.__file__).parent)}) as other:
        theirs = {int(n) for n in other.stdout.readline().split()}
        mine = [ports.take() for _ in range(200)]
        assert len(theirs) == 200 and not theirs & {port, *mine}
        assert all(ports.reserve(n) is None for n in theirs)
        for number in mine:
            ports.give_back(number)
        other.communicate("\n", patience.PATIENCE)
    again = next(filter(None, map(ports.reserve, theirs)), None) # one may be another worker's by now
    assert again is not None # it ended
    again.close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.9", "::", "::1"])
def test_port_that_is_taken_somewhere(port, kind, address):
    """A resolver's socket at all addresses, a server at one."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as s:
        s.bind((address, port))
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_port_is_for_all_addresses(port):
    """Bound, left, and bound again, with a connection of before in TIME_WAIT."""
    for _ in range(2):
        sinks = [internet.Sink(a, port) for a in ("127.0.0.2", "127.0.0.3", "::1")]
        dns = internet.Dns({}, "127.0.0.4", port)
        for sink in sinks:
            with socket.create_connection((sink.address, port)) as c:
                assert c.recv(3) == b"220"
                sink.cut()
                assert c.recv(100).endswith(b"\n") and c.recv(1) == b""
            sink.close()
        dns.close()


def test_server_has_its_own_port_until_it_ends():
    dns = internet.Dns({})
    assert ports.reserve(dns.port) is None
    dns.close()
    assert dns.port not in ports.held


def test_until(monkeypatch):
    looks = iter([0, None, [], "at last"])
    assert patience.until(lambda: next(looks), 0) == "at last" # however little patience was asked for
    monkeypatch.setattr(patience, "PATIENCE", 0.3)
    monkeypatch.setattr(patience, "witnesses", [lambda: "the log"])
    with pytest.raises(AssertionError, match="(?s)not within 0.3 s.*looks is None.*at last: False.*the log"):
        patience.until(lambda: looks is None)
    assert patience.within(lambda: "", 0) == ""


def test_doubled(monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 5)
    times = patience.doubled(1)
    assert [next(times) for _ in range(3)] == [1, 2, 4]
    with pytest.raises(AssertionError, match="4 s"):
        next(times)


def test_what_ends_meanwhile():
    """It has nothing open, no parent and no name."""
    with subprocess.Popen([sys.executable, "-c", "import os; os.read(0, 1)"], stdin=subprocess.PIPE) as p:
        born = proc.birth(p.pid)
        assert proc.lives(born) and born[0] == os.getpid() and proc.descriptors(p.pid)[0].startswith("pipe:")
        assert not proc.lives((born[0], born[1] - 1, p.pid)), "another of that number"
        p.stdin.close()
        patience.until(lambda: not proc.lives(born)) # though nobody waited for it yet
        assert proc.words(p.pid) == [""] and proc.descriptors(p.pid) == {}
    assert proc.words(p.pid) == [] and proc.birth(p.pid) == (0, 0, p.pid) and not proc.lives(born)


def test_connection_whose_thread_is_late():
    """What was accepted and comes to its turn behind the end is ended, too."""
    sockets = internet.Sockets()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sockets.end()
        with sockets.noted(theirs):
            assert ours.recv(1) == b""


def test_relay_that_is_none_yet(tmp_path):
    """A process that smtpd has forked bears its name until it becomes another; the first one is the session,
    and what has lost its parent is not ours."""
    spool = f"spool={tmp_path}" # of nobody else's, who may run this test as well
    with subprocess.Popen(["/x/smtpd", "-c", "import os; os.fork() and os.fork(); os.read(0, 1)", spool],
                          executable=sys.executable, stdin=subprocess.PIPE) as p:
        session, late = patience.until(lambda: c if len(c := proc.children(p.pid)) == 2 else None)
        assert proc.forked("smtpd", spool, {p.pid}) == [late]
        assert proc.forked("smtpd", spool, {os.getpid()}) == [late] # it was started by an inetd of ours
        assert sorted(proc.forked("smtpd", spool, set())) == sorted([p.pid, session, late])
        assert proc.forked("smtpd", "spool=/", set()) == []
        p.kill()
        assert patience.until(lambda: p.poll() is not None and proc.forked("smtpd", spool, {p.pid})) == [session, late]
        p.stdin.close()
        patience.until(lambda: not proc.running("smtpd", spool))
