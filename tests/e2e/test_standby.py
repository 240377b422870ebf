"""tls and auth that wait for the clients of an smtpd that serves many."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import busy
import client
import memory
import patience
import proc
from conftest import TOP, own
from scram import Scram, b64

NAME, PASSWORD = "joe", "secretOfJoe9Wkq"
MARKER = "Wv9pMarkerTd"
MARKERS = [x.encode() for x in (MARKER, MARKER.lower(), MARKER[3:], PASSWORD, PASSWORD[3:],
                                b64(f"\0{NAME}\0{MARKER}")[8:], b64(PASSWORD))]
CLIENTS = 8

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it reads the memory of others")


def hashed(postern, name, password):
    return subprocess.run(postern.command("smtpd", "--hash", name), input=password.encode() + b"\n",
                          stdout=subprocess.PIPE, env=postern.environment(), check=True).stdout.decode()


def write_users(postern, *users):
    """In place of the file that there is, in one step."""
    path, new = postern.where / getattr(postern, "users", "users"), postern.where / "users.new"
    new.write_text("".join(hashed(postern, *u) for u in users))
    own(new)
    new.chmod(0o600)
    new.rename(path)
    return path


@pytest.fixture
def start(secure):
    """Starts a pool with a certificate and a file of users."""
    secure.settings["auth_users"] = write_users(secure, (NAME, PASSWORD))
    return lambda *where, **settings: busy.Pool(secure, *where, **{"busy_spare": 2, "auth_clear": "yes", **settings})


def leave(c):
    assert c.ask("QUIT")[:3] == "221"
    c.rest()
    close(c)


def close(c):
    c.file.close()
    c.sock.close()


def encrypted(pool, settings=None, **more):
    c = pool.meet()
    c.starttls(settings, **more)
    c.hello()
    return c


def send_by_tls(pool):
    c = encrypted(pool)
    assert "queued as" in c.message()
    leave(c)


def log_in(pool, password=PASSWORD, want="235"):
    c = pool.meet()
    said = c.ask("AUTH PLAIN " + b64(f"\0{NAME}\0{password}"))
    assert said[:3] == want, said
    leave(c)


USE = {"tls": send_by_tls, "auth": log_in}


def waiting(pool, program):
    """Those that the pool started, whether they have a client or not; not what auth forks for one."""
    return sorted(pid for pid in pool.postern.running(program) if proc.birth(pid)[0] == pool.pid)


def settled(pool, program):
    """Until some are there, none of which has a client. The first client of all has the key of tickets
    made, by which those before are told from those behind."""
    for _ in range(2):
        USE[program](pool)
    return patience.until(lambda: at_rest(pool, program))


def at_rest(pool, program):
    """All of them, if none has a client; or None."""
    pids = waiting(pool, program)
    try:
        busy_ones = [pid for pid in pids if len(proc.sockets(pid)) > 1 or proc.children(pid)]
    except OSError:
        return None # one has ended
    return pids if not busy_ones and pids == waiting(pool, program) else None


def at_work(pool):
    """Children of those auth that have a client: (mother, child)."""
    found = []
    for pid in waiting(pool, "auth"):
        with contextlib.suppress(OSError): # it has ended
            found += [(pid, child) for child in proc.children(pid)]
    return found


def sockets(pid):
    """None of one that has ended."""
    try:
        return proc.sockets(pid)
    except OSError:
        return set()


def has_tls(pool, c):
    """Which tls has the other end of this connection. The table may leave that out while others come and go."""
    ours = f"{c.sock.getsockname()[1]:04X}"

    def find():
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in list(table)[1:]]
        ends = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{ours}")}
        return [pid for pid in waiting(pool, "tls") if sockets(pid) & ends]
    [pid] = patience.until(find)
    return pid


def serve_tls(pool):
    """A client by TLS, and who served it."""
    c = encrypted(pool)
    pid = has_tls(pool, c)
    assert "queued as" in c.message()
    leave(c)
    return pid


def serve_auth(pool):
    c = pool.meet()
    assert c.ask("AUTH LOGIN " + b64(NAME))[:3] == "334"
    [(pid, _)] = at_work(pool)
    assert c.ask(b64(PASSWORD))[:3] == "235"
    leave(c)
    return pid


def serve_some(pool, program, n):
    """So many clients, one after the other: by whom."""
    settled(pool, program)
    served = []
    for _ in range(n):
        served.append({"tls": serve_tls, "auth": serve_auth}[program](pool))
        patience.until(lambda: at_rest(pool, program) is not None)
    return served


# ---- who serves

@pytest.mark.parametrize("program", USE)
def test_many_clients_of_one_process(start, program):
    pool = start()
    assert not waiting(pool, program), "nobody asked yet"
    served = serve_some(pool, program, 10)
    assert len(set(served)) <= 3


@pytest.mark.parametrize("program", USE)
def test_each_serves_so_many(start, program):
    """As busy_reuse says."""
    served = serve_some(start(busy_reuse=3), program, 10)
    assert max(served.count(pid) for pid in served) in (2, 3)


@pytest.mark.parametrize("program", USE)
def test_one_client_for_each_process(start, program):
    served = serve_some(start(busy_reuse=1), program, 4)
    assert len(set(served)) == 4


def test_many_at_once(start):
    """Each has one of its own."""
    pool = start(busy_spare=CLIENTS)
    clients = [encrypted(pool) for _ in range(CLIENTS)]
    assert len({has_tls(pool, c) for c in clients}) == CLIENTS
    for c in clients:
        assert "queued as" in c.message()
        leave(c)


def test_gone_when_not_needed(start):
    """While smtpd itself has a client, in clear; and when one is needed there is one."""
    where = busy.listener() # he is there before smtpd, which may wait for a second only
    c = client.Client(socket.create_connection(where.getsockname(), client.TIMEOUT))
    pool = start(where, busy_idle="1s")
    assert c.reply()[:3] == "220"
    c.hello()
    for program, use in USE.items():
        use(pool)
        patience.until(lambda: not waiting(pool, program))
    assert c.ask("NOOP")[:3] == "250"
    for use in USE.values():
        use(pool)
    leave(c)


def test_gone_with_smtpd(start):
    pool = start()
    for program in USE:
        assert settled(pool, program)
    assert pool.stop() == 0
    for program in USE:
        patience.until(lambda: not pool.postern.running(program))


@pytest.mark.parametrize("reuse", [1, 100])
def test_tickets(start, reuse):
    """A session is resumed by whoever serves, and nothing but the ticket knows of it."""
    pool = start(busy_reuse=reuse)
    settled(pool, "tls")
    settings = client.context()
    session = None
    for i in range(4):
        c = encrypted(pool, settings, session=session)
        assert c.sock.session_reused == (i > 0)
        assert "queued as" in c.message()
        session = c.sock.session
        leave(c)
    c = encrypted(pool, settings)
    assert not c.sock.session_reused
    leave(c)


def test_no_number_comes_twice(start):
    """M1: what one process has forked itself for says another nonce to each client."""
    pool = start()
    settled(pool, "auth")
    nonces = set()
    for _ in range(6):
        c = pool.meet()
        s = Scram("sha256", NAME, PASSWORD)
        challenge = c.ask(f"AUTH SCRAM-SHA-256 {s.first()}")
        assert s.verified(c.ask(s.final(challenge[4:]))[4:]), "of the server"
        assert c.ask("")[:3] == "235"
        nonces.add(s.nonce[len(s.bare.split("r=")[1]):])
        leave(c)
    assert len(nonces) == 6


# ---- what is left of a client

def left(pool):
    return [f"{program} {pid}: {where}" for program in USE for pid in waiting(pool, program)
            for where in memory.find(pid, MARKERS)]


@root
@pytest.mark.parametrize("low, high", [(ssl.TLSVersion.TLSv1_2,) * 2, (ssl.TLSVersion.TLSv1_3,) * 2], ids=["1.2", "1.3"])
@pytest.mark.parametrize("end", ["QUIT", "gone", "half"])
def test_nothing_is_left(start, end, low, high):
    """S20: neither passwords nor mail, nor the name in a handshake; and it is the same process."""
    pool = start()
    if pool.postern.watched("tls"):
        pytest.skip("a sanitizer keeps what was freed")
    for program in USE:
        settled(pool, program)
    c = encrypted(pool, client.context(low, high), server_hostname=f"{MARKER}.example".lower())
    assert c.ask("AUTH PLAIN " + b64(f"\0{NAME}\0{MARKER}"))[:3] == "535"
    assert c.ask("AUTH LOGIN " + b64(NAME))[:3] == "334"
    assert c.ask(b64(PASSWORD))[:3] == "235"
    c.envelope()
    c.send(f"Subject: {MARKER}\r\n\r\n" + f"{MARKER} text\r\n" * 1000)
    mine = has_tls(pool, c)
    patience.until(lambda: any(str(mine) in x for x in left(pool)))
    if end != "half":
        assert c.ask(".")[:3] == "250"
    if end == "QUIT":
        leave(c)
    else:
        close(c)
    patience.until(lambda: "\n".join(left(pool)) == "")
    assert mine in waiting(pool, "tls"), "and it is the same process"


# ---- files that change

def swap(secure, name, pki):
    """Another certificate, in one step."""
    new = secure.where / "new.pem"
    shutil.copy(pki.path(name), new)
    own(new)
    new.rename(secure.where / "server.pem")


def shown(c):
    return ssl.DER_cert_to_PEM_cert(c.sock.getpeercert(True))


class Load:
    """Clients that come and go by TLS until told to stop."""

    def __init__(self, pool):
        self.pool, self.over, self.trouble, self.served = pool, False, [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.over:
            try:
                send_by_tls(self.pool)
                self.served += 1
            except (AssertionError, OSError) as e:
                self.trouble.append(repr(e))

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()
        assert not self.trouble


def test_certificate_is_swapped_under_load(start, secure, pki):
    """The next connection sees it; none is refused."""
    pki.issue("other", "/CN=other.test.example", "DNS:other.test.example", usage="serverAuth")
    names = {name: pki.path(name).read_text() for name in ("server", "other")}
    pool = start(busy_spare=CLIENTS)
    load = Load(pool)
    try:
        for i in range(6):
            name = ("other", "server")[i % 2]
            enough = load.served + CLIENTS
            patience.until(lambda n=enough: load.served >= n or load.trouble)
            swap(secure, name, pki)
            c = encrypted(pool)
            assert shown(c) in names[name]
            leave(c)
    finally:
        load.end()


@pytest.mark.parametrize("name", ["users", "our users"])
def test_users_change(start, secure, name):
    """L59: a password that is new works at once, and one that was works no more."""
    secure.users = name
    secure.settings["auth_users"] = write_users(secure, (NAME, PASSWORD))
    pool = start()
    settled(pool, "auth")
    for password in ("another one", PASSWORD, "a third one"):
        write_users(secure, (NAME, password))
        log_in(pool, password)
        log_in(pool, "the wrong one", "535")


def test_certificate_cannot_be_used(start, secure, pki):
    """R66: then there is no TLS, and with the next one there is."""
    pool = start()
    settled(pool, "tls")
    (secure.where / "new.pem").write_text("no certificate\n")
    own(secure.where / "new.pem")
    (secure.where / "new.pem").rename(secure.where / "server.pem")
    c = pool.meet()
    assert c.ask("STARTTLS") == "454 4.7.0 Error: TLS not available"
    assert "queued as" in c.message()
    leave(c)
    secure.wait_logged("there is no certificate in it")
    swap(secure, "server", pki)
    send_by_tls(pool)


# ---- when they die

@pytest.mark.parametrize("program", USE)
def test_killed_while_waiting(start, program):
    pool = start()
    pids = settled(pool, program)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    patience.until(lambda: not set(waiting(pool, program)) & set(pids))
    pool.postern.wait_logged(f"{program} {pids[0]} ended by signal 9")
    USE[program](pool)


def test_auth_that_crashes(start):
    """M8: who made it crash does not find one with the same memory again; and the log calls it what it is."""
    pool = start(log_format="json")
    settled(pool, "auth")
    c = pool.meet()
    assert c.ask("AUTH PLAIN")[:3] == "334"
    [(mother, child)] = patience.until(lambda: at_work(pool))
    os.kill(child, signal.SIGSEGV)
    assert c.ask(b64(f"\0{NAME}\0{PASSWORD}"))[:3] == "454"
    patience.until(lambda: mother not in pool.postern.running("auth"))
    pool.postern.wait_logged(f"auth {child} ended by signal 11")
    assert [json.loads(line)["event"] for line in pool.postern.logged().splitlines()
            if f"auth {child} ended by signal 11" in line] == ["crashed"]
    log_in(pool)
    assert pool.stop() == 0


def ended(pool):
    """Children that nobody waited for yet."""
    return sum(" Z " in (pathlib.Path(p) / "stat").read_text().rpartition(")")[2][:4]
               for p in map("/proc/{}".format, proc.children(pool.pid)) if os.path.exists(p))


def test_ended_are_buried_under_load(start, where):
    """S20: while there is always something to do, the pool hears of those that ended; they keep their places else, and
    are taken for some that do not end."""
    load = where / "load"
    subprocess.run(["cc", "-o", load, TOP / "tests/bench/load.c", "-lssl", "-lcrypto"], check=True)
    pool = start(busy_reuse=1)
    settled(pool, "tls")
    most = 0
    with subprocess.Popen([load, "200", "20", str(pool.address[1]), "tls"], stdout=subprocess.DEVNULL) as p:
        while p.poll() is None:
            with contextlib.suppress(OSError): # it was buried just then
                most = max(most, ended(pool))
    assert p.returncode == 0
    assert most < 120, "of 200 and as many tls"
    assert pool.stop() == 0


def test_killed_with_a_client(start):
    """B13: whose connection ends with it, and nobody else's."""
    pool = start()
    settled(pool, "tls")
    c = encrypted(pool)
    other = encrypted(pool)
    mine = has_tls(pool, c)
    c.envelope()
    c.send("Subject: x\r\n\r\nhello\r\n")
    os.kill(mine, signal.SIGKILL)
    c.rest()
    close(c)
    assert "queued as" in other.message()
    leave(other)
    send_by_tls(pool)
    assert mine not in waiting(pool, "tls")


@pytest.mark.parametrize("program", USE)
def test_cannot_be_started(start, secure, program):
    """S18: and when it can, there is one."""
    path = secure.where / program
    (secure.where / "empty").write_text("")
    pool = start(**{f"{program}_path": path})
    c = pool.meet()
    ask = "STARTTLS" if program == "tls" else "AUTH PLAIN " + b64(f"\0{NAME}\0{PASSWORD}")
    assert c.ask(ask)[:3] == "454"
    leave(c)
    secure.wait_logged(f"cannot start {path}: No such file or directory")
    shutil.copy(secure.build / program, path)
    USE[program](pool)


# ---- what they have open

def test_sessions_have_none_of_it(start):
    """K1: a worker that is forked while some wait has neither their sockets nor those of others."""
    pool = start(busy_reuse=1, busy_spare=1)
    settled(pool, "tls")
    ours = proc.sockets(pool.pid)
    for held in patience.until(lambda: [held for pid in pool.workers() if (held := sockets(pid))]):
        assert len(held & ours) <= 2, "one that listens, and the log"
