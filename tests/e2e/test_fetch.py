"""fetch: one request over HTTPS to a server that may be anybody, in a process that can do nothing else (R81)."""
import errno
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest

import conftest
import locked
import patience
import proc
import ticketflood
import tlsversions
from policyhost import PATH, Web, answer, context_of, policy

QUESTION = struct.Struct("3I256s2048s128s")
REPLY = struct.Struct("3I128s256s")
DONE, CERTIFICATE, FAILED = range(3)
READY = b"R" # it has what it takes, and is locked in
TEXT = policy("mx.dest.example")
NAME = "mta-sts.dest.example"


@pytest.fixture(scope="module")
def hosts(pki):
    """Certificates of web servers."""
    server = {"usage": "serverAuth"}
    pki.issue("policy", "/CN=policy", f"DNS:{NAME}", **server)
    pki.issue("policy-wild", "/CN=policy", "DNS:*.dest.example", **server)
    pki.issue("policy-partial", "/CN=policy", "DNS:mta-s*.dest.example", **server)
    pki.issue("policy-other", "/CN=policy", "DNS:mta-sts.other.example", **server)
    pki.issue("policy-common", f"/CN={NAME}", **server)
    pki.issue("policy-address", f"/CN={NAME}", "IP:127.0.0.9", **server)
    pki.issue("policy-expired", "/CN=policy", f"DNS:{NAME}", days=-1, **server)
    pki.issue("policy-client", "/CN=policy", f"DNS:{NAME}")
    pki.authority("unknown")
    pki.issue("policy-foreign", "/CN=policy", f"DNS:{NAME}", ca="unknown", **server)
    return pki


@pytest.fixture
def web(hosts):
    w = Web(context_of(hosts.path("policy")), say=answer(TEXT))
    yield w
    w.close()


def read_all(sock, n):
    data = b""
    while len(data) < n and (part := sock.recv(n - len(data))):
        data += part
    return data


class Fetch:
    """One that has its connection, and no question yet."""

    def __init__(self, postern, hosts, web, environment=None, **settings):
        settings = {"delivery_ca": hosts.path("ca"), **settings}
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(patience.PATIENCE)
        connection = socket.create_connection((web.address, web.port), patience.PATIENCE)
        connection.setblocking(False)
        words = postern.command("fetch", "--serve", **settings)
        a, b = theirs.fileno(), connection.fileno()
        script = f'exec "$@" 3<&{a} 4<&{b} {a}<&- {b}<&-'
        with theirs, connection, open(postern.log, "ab") as log:
            self.process = subprocess.Popen(["bash", "-c", script, "bash", *map(str, words)], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log,
                                            pass_fds=(a, b),
                                            env=postern.environment() | (environment or {}))
        postern.started.append(self.process)

    def put(self, port, host=NAME, path=PATH, ms=60000, post=b"", kind=""):
        """The question. False: it is not there."""
        if read_all(self.ours, 1) != READY:
            return False
        question = QUESTION.pack(ms, port, len(post), host.encode(), path.encode(), kind.encode())
        self.ours.sendall(question + post)
        return True

    def ask(self, port, **more):
        """(trouble, status, body, type, why)"""
        if not self.put(port, **more):
            return None
        head = read_all(self.ours, REPLY.size)
        if not head:
            return None
        trouble, status, n, kind, why = REPLY.unpack(head)
        return trouble, status, read_all(self.ours, n), kind.rstrip(b"\0").decode(), why.rstrip(b"\0").decode()


@pytest.fixture
def fetch(postern, hosts, web):
    """Asks a new one."""
    def ask(**more):
        f = Fetch(postern, hosts, web)
        said = f.ask(web.port, **more)
        assert f.process.wait(patience.PATIENCE) == 0, postern.logged()
        f.ours.close()
        return said
    return ask


def test_policy(fetch, web):
    """R81: GET of the well-known path, with SNI, HTTP/1.1, and nothing that says more than it must."""
    assert fetch() == (DONE, 200, TEXT.encode(), "text/plain", "")
    [(head, body)] = web.asked
    assert head == [f"GET {PATH} HTTP/1.1", f"Host: {NAME}:{web.port}", "User-Agent: Postern", "Accept: */*"]
    assert body == b"" and web.named == [NAME]


def test_wildcard_certificate(fetch, web, hosts):
    """R81: a wildcard for a whole label."""
    web.context = context_of(hosts.path("policy-wild"))
    assert fetch()[:2] == (DONE, 200)


@pytest.mark.parametrize("card", ["partial", "other", "common", "address", "expired", "client", "foreign"])
def test_certificate(fetch, web, hosts, card):
    """R81: by an authority that is known, in time, for servers, and for this name in the subjectAltName."""
    web.context = context_of(hosts.path(f"policy-{card}"))
    trouble, status, body, _, why = fetch()
    assert (trouble, status, body) == (CERTIFICATE, 0, b"") and why
    assert not web.asked


def test_old_tls(fetch, web, hosts):
    """R81: TLS 1.2 and newer."""
    web.context = context_of(hosts.path("policy"), low=tlsversions.V10, high=tlsversions.V11)
    assert fetch()[0] == FAILED and not web.asked


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Go", "308 Go"])
def test_redirect(fetch, web, status):
    """R81: is not followed, not even to the same place."""
    web.say = answer("", status, more=f"Location: https://{NAME}:{web.port}{PATH}\r\n")
    assert fetch()[:2] == (DONE, int(status[:3]))
    assert len(web.asked) == web.connections == 1


@pytest.mark.parametrize("size, trouble", [(64 * 1024, DONE), (64 * 1024 + 1, FAILED), (10_000_000, FAILED)])
@pytest.mark.parametrize("told", [True, False])
def test_size(fetch, web, size, trouble, told):
    """B10: 64 KB and no more, whether the server tells the length or not."""
    body = b"x" * size
    web.say = answer(body) if told else b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + body
    said = fetch()
    assert said[0] == trouble and (len(said[2]) == size) == (trouble == DONE)
    assert trouble == DONE or said[4] == "it is longer than 64 KB"


def test_packed(fetch, web):
    """What says to be packed is not unpacked, and would be small: a bomb."""
    web.say = answer(b"\x1f\x8b....", more="Content-Encoding: gzip\r\n")
    assert fetch()[2] == b"\x1f\x8b...."


def test_endless_head(fetch, web):
    def say(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        for n in range(100000):
            sock.sendall(b"X-%d: " % n + b"y" * 1000 + b"\r\n")
    web.say = say
    said = fetch()
    assert said[0] == FAILED and said[4] == "its head is longer than 64 KB"


def test_drip(fetch, web):
    """An octet at a time, for ever: its time is over all the same."""
    def say(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            sock.sendall(b"x")
            patience.hold(0.1)
    web.say = say
    assert fetch(ms=1000)[0::4] == (FAILED, "timed out")


def test_silent(fetch, web):
    def say(sock):
        sock.recv(1)
    web.say = say
    assert fetch(ms=500)[0::4] == (FAILED, "timed out")


def test_nobody_waits(postern, hosts, web):
    """When who asked has gone it ends, whatever time it has: as many others may run, and no more."""
    web.say = lambda sock: sock.recv(1)
    for seconds in patience.doubled(2):
        left, other = Fetch(postern, hosts, web), Fetch(postern, hosts, web)
        assert left.put(web.port)
        left.ours.close()
        assert other.ask(web.port, ms=min(seconds, 30) * 1000)[0::4] == (FAILED, "timed out")
        other.ours.close()
        if left.process.poll() is not None:
            break
        left.process.kill()
    assert left.process.wait(patience.PATIENCE) == 0, postern.logged()


def test_flood_of_tickets(postern, hosts, web, tmp_path):
    """B11: what OpenSSL takes for itself, and that for ever, has a processor for some seconds, and not until the time is
    over, which curl is not asked for meanwhile."""
    keys, over = tmp_path / "keys", threading.Event()
    ticketflood.prepare(web.context, keys)
    web.say = lambda sock: ticketflood.flood(sock, keys, over)
    f = Fetch(postern, hosts, web)
    try:
        assert f.put(web.port)
        limits = pathlib.Path(f"/proc/{f.process.pid}/limits").read_text()
        assert int(re.search(r"^Max cpu time +(\d+) ", limits, re.M)[1]) < 60
        # Where it gets next to nothing of a processor, its time is over before that.
        assert f.process.wait(patience.PATIENCE) in (-signal.SIGXCPU, -signal.SIGALRM), postern.logged()
    finally:
        over.set()


@pytest.mark.parametrize("said", [b"", b"220 mx ESMTP\r\n", b"HTTP/1.1 2000 x\r\n\r\n", b"\0" * 1000, b"HTTP/0.9\r\n\r\n",
                                  b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"])
def test_no_http(fetch, web, said):
    web.say = said
    assert fetch()[0] == FAILED


def test_post(fetch, web):
    """A report (RFC 8460), of any octets."""
    web.say = answer("thanks", "201 Created")
    body = bytes(range(256)) * 1000
    assert fetch(path="/v1/tls?a=b", post=body, kind="application/tlsrpt+gzip")[:3] == (DONE, 201, b"thanks")
    [(head, got)] = web.asked
    assert head[0] == "POST /v1/tls?a=b HTTP/1.1" and got == body
    assert "Content-Type: application/tlsrpt+gzip" in head and "Expect" not in "".join(head)


@pytest.mark.parametrize("odd", [{"host": "a b"}, {"host": ""}, {"host": "dest.example/x"}, {"host": "a@b"}, {"path": "x"},
                                 {"path": "/a b"}, {"path": "/a\r\nX: y"}, {"ms": 60001}, {"kind": "a", "path": ""}])
def test_odd_question(fetch, web, odd):
    """What no relay asks is not asked of anybody."""
    assert fetch(**odd) is None and not web.asked


def test_environment(postern, hosts, web):
    """K2: no proxy, whatever is said; nor a file of names and passwords."""
    f = Fetch(postern, hosts, web, environment={"https_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})
    assert f.ask(web.port)[:2] == (DONE, 200)
    assert "Authorization" not in "".join(web.asked[0][0])


def test_authorities_are_missing(postern, hosts, web):
    f = Fetch(postern, hosts, web, delivery_ca="/nonexistent")
    assert f.process.wait(patience.PATIENCE) == 78
    assert "fetch: delivery_ca /nonexistent: No such file or directory: nothing can be fetched" in postern.logged()


class TakenFetch(locked.Taken):
    """One that waits for its question, in the hands of somebody else."""

    def __init__(self, inject, fetch, other, spool):
        self.inject, self.session = inject, fetch
        self.names = {"monitor": locked.inside(other), "other": locked.inside(other), "spool": spool, "socket": 3}


def test_locked_in(postern, hosts, web, where):
    """No file, no other socket, no exec: all that a session must not do, it cannot do either."""
    locked.need(conftest.BUILD)
    f = Fetch(postern, hosts, web)
    other = postern.connect()
    [pid] = postern.wait_running("fetch")
    patience.until(lambda: "Seccomp:\t2" in pathlib.Path(f"/proc/{pid}/status").read_text())
    taken = TakenFetch(locked.build_inject(where), pid, other.process.pid, postern.spool)
    for name, got in taken.call({**locked.FORBIDDEN, **locked.FORBIDDEN_TOO}).items():
        assert got in (-errno.EPERM, -errno.EACCES), f"{name}: {got}"
    held = proc.descriptors(pid)
    assert sum(what.startswith("socket:") for what in held.values()) == 2, held # the relay, and the web server
    assert f.ask(web.port)[:2] == (DONE, 200)
