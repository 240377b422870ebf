"""Fixtures: a spool, the programs, and a small internet to deliver to.

The tests run as any user. As root the programs run as an unprivileged one, because they refuse to
be root.
"""
import atexit
import concurrent.futures
import contextlib
import copy
import fcntl
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
sys.path.insert(0, str(TOP / "tests" / "tools"))

import busy  # noqa: E402
import client  # noqa: E402
import internet  # noqa: E402
import nsd  # noqa: E402
import patience  # noqa: E402
import pki as certificates  # noqa: E402
import ports  # noqa: E402
import proc  # noqa: E402
import spoolfile  # noqa: E402
import tlsplace  # noqa: E402

# Whoever started us may have ignored these (nohup, "&" in a script), and what we start would, too.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

WAY = os.environ.get("POSTERN_WAY", "exec") # how smtpd comes to its clients: exec, or busy (make check-busy)
NOBODY = 65534
DROP = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def within_reach(build):
    """A copy of the programs of `build`, as they are now, that an ordinary user can get at: the sources may lie below
    /root. And it stays: where programs are built, somebody may build while tests run (`make` in a test does, if a
    source is newer), and for a moment there is no program, or half of one."""
    if not (build / "smtpd").exists():
        return build
    copy = pathlib.Path(tempfile.mkdtemp(prefix="postern-build-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    for program in build.iterdir():
        if program.is_file() and os.access(program, os.X_OK):
            shutil.copy(program, copy)
    return copy


@contextlib.contextmanager
def one_at_a_time(name):
    """Of all workers of this tree, one makes it and the others find it there."""
    (TOP / "build").mkdir(exist_ok=True)
    with open(TOP / "build" / f".{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made(target, *needs):
    """Another build of the programs, by make; skips where a command of `needs` is missing."""
    for program in needs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, which is not installed")
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    with one_at_a_time(target):
        subprocess.run(["make", "-s", "-C", str(TOP), target], env=clean, check=True)
    return TOP / "build" / target


exec_way = pytest.mark.skipif(WAY != "exec", reason="it is about the two processes of a connection")

BUILD = within_reach(BUILD)
HOST = "mx.test.example"
LONGEST_WITNESS = 100_000


def own(path):
    """Gives a file to whom the programs run as."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


class Postern:
    """The programs with a spool of their own. Settings are given as keyword arguments.

    What relay does comes about when it does. logged(), messages() and relays() are one look; behind
    anything that starts a relay, a test waits first: for all of it, rested() or settled(), or for what
    it is about, wait_logged() and the like. They fail with the log. send() and pipe() themselves end
    when smtpd has, which has written down and logged all that it took.
    """

    def __init__(self, where):
        self.where = where
        self.build = BUILD
        self.spool = where / "spool"
        self.spool.mkdir(mode=0o700)
        self.log = where / "log"
        self.log.touch(mode=0o666)
        self.log.chmod(0o666)
        self.runtime = where / "run"
        self.runtime.mkdir(mode=0o700)
        self.started = []
        self.pools = [] # of these, those that serve many clients
        self.file = None
        self.secrets = {} # variables of the environment
        self.settings = {"spool": self.spool, "runtime": self.runtime, "hostname": HOST,
                         "log": "stderr", "add_missing": "no"} # what arrives is what was sent
        for directory in (self.spool, self.runtime):
            own(directory)

    def watched(self, program="relay"):
        """Is it the build of a checker, which has memory and handlers of its own?"""
        octets = (self.build / program).read_bytes()
        return b"__asan_init" in octets or b"__tsan_init" in octets

    def command(self, program, *arguments, **settings):
        pairs = {**self.settings, **settings}
        options = [x for k, v in pairs.items() for x in ("-o", f"{k}={v}")]
        if self.file is not None:
            options += ["-c", str(self.file)]
        return [*(DROP if os.geteuid() == 0 else []), str(self.build / program), *options, *arguments]

    def configure(self, *lines):
        """A configuration file: for sections, which cannot stand on a command line. Who reads it meanwhile has
        the whole of it, or of the one before."""
        self.file = self.where / "postern.conf"
        new = self.where / "postern.conf.new"
        new.write_text("\n".join(lines) + "\n")
        new.rename(self.file)

    def environment(self):
        ours = {k: v for k, v in os.environ.items() if not k.startswith("POSTERN_")}
        return ours | {f"POSTERN_SECRET_{k}": v for k, v in self.secrets.items()}

    def start(self, stdin, stdout, program="smtpd", *arguments, **settings):
        with open(self.log, "ab") as log:
            # A sanitizer's build looks for leaks; where something traces it, it could not.
            p = subprocess.Popen(self.command(program, *arguments, **settings), stdin=stdin,
                                 stdout=stdout, stderr=log,
                                 env={"ASAN_OPTIONS": "detect_leaks=1", **self.environment()})
        self.started.append(p)
        return p

    def listen(self, listeners, *arguments, **settings):
        """An smtpd that serves all who come there."""
        with open(self.log, "ab") as log:
            p = busy.start(self.command("smtpd", *arguments, **{"max_connections": 0, **settings}), listeners,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                           env={"ASAN_OPTIONS": "detect_leaks=1", **self.environment()})
        self.started.append(p)
        self.pools.append(p)
        return p

    def serve_one(self, listener, **settings):
        """The same for one client, as which it ends."""
        with listener:
            return busy.Ended(self.listen([listener], **{"busy_spare": 1, **settings}))

    def connect(self, **settings):
        """A client on TCP of a new smtpd; nothing was read yet."""
        settings = {"max_connections": 0, **settings}
        if WAY == "busy":
            listener = busy.listener()
            ours = socket.create_connection(listener.getsockname(), client.TIMEOUT)
            return client.Client(ours, self.serve_one(listener, **settings))
        ours, theirs = client.pair()
        with theirs:
            return client.Client(ours, self.start(theirs, theirs, **settings))

    def meet(self, **settings):
        """The same, behind greeting and EHLO."""
        c = self.connect(**settings)
        assert c.reply()[:3] == "220"
        c.hello()
        return c

    def pipe(self, script, **settings):
        """What smtpd says to a script on standard input."""
        p = self.start(subprocess.PIPE, subprocess.PIPE, **settings)
        said, _ = p.communicate(script if isinstance(script, bytes) else script.encode(), patience.PATIENCE)
        self.status = p.returncode
        return said.decode()

    def send(self, recipients, body="Subject: x\n\nhello\n", sender="a@sender.example",
             **settings):
        rcpt = "".join(f"RCPT TO:<{r}>\n" for r in
                       ([recipients] if isinstance(recipients, str) else recipients))
        return self.pipe(f"EHLO client.example\nMAIL FROM:<{sender}>\n{rcpt}DATA\n{body}.\nQUIT\n",
                         **settings)

    def due(self, **settings):
        p = self.start(subprocess.DEVNULL, subprocess.DEVNULL, "relay", "--due", **settings)
        assert p.wait(patience.PATIENCE) == 0, self.logged()

    def messages(self):
        """Queued messages: paths lane/<lane>/<id>."""
        return spoolfile.messages(self.spool)

    def lane_files(self):
        return spoolfile.lane_files(self.spool)

    def make_due(self):
        """As if every waiting time had passed."""
        for p in self.lane_files():
            if p.name == "@retry" or p.name.endswith(".log"):
                try:
                    os.utime(p, (0, 0))
                except FileNotFoundError:
                    pass

    def running(self, program):
        """Process ids of those that smtpd or relay started by this name."""
        return proc.running(program, f"spool={self.spool}")

    def serving(self, program):
        """The tls or auth that has a client. Others may wait for one, and auth forks for its own."""
        pids = self.running(program)
        return [pid for pid in pids if "--wait" not in proc.words(pid) or proc.birth(pid)[0] in pids or
                (program == "tls" and len(proc.sockets(pid)) > 1)]

    def relays(self):
        """Those too that were forked and are not relay yet, or a shell that will be: behind send(), none means none."""
        ours, found, word = {p.pid for p in self.started}, proc.lines(), f"spool={self.spool}"
        coming = proc.forked("smtpd", word, ours, found)
        pools = [w for p in self.pools if p.poll() is None for w in busy.workers(p.pid)]
        script = [str(self.settings.get("relay_path"))] # behind the name of the shell
        shells = [pid for pid, line in found.items() if line[1:2] == script and word in line]
        return [pid for pid in coming if pid not in pools] + shells + proc.running("relay", word, found)

    def at_work(self):
        """Relays that another one started and watches: at most one for each login, and those that try a message
        alone."""
        serving = [pid for pid in self.running("relay") if "--login" in proc.words(pid)]
        return [pid for pid in serving if proc.birth(pid)[0] in serving]

    def logged(self):
        return self.log.read_text()

    def witness(self):
        """What helps to understand why something did not come."""
        ended = [p.poll() for p in self.started]
        return (f"ended with: {ended}\nrunning: {self.relays()}\nqueued: {[str(p.name) for p in self.lane_files()]}\n"
                f"{self.logged()}")

    # ---- what a test waits for

    def rested(self, seconds=patience.PATIENCE):
        """Until no relay is left. The log."""
        # Twice, for one that starts another and ends may do both behind one look.
        patience.until(lambda: not self.relays() and not self.relays(), seconds)
        return self.logged()

    def settled(self, waiting=0, seconds=patience.PATIENCE):
        """The same, and so many messages are queued then."""
        text, queued = self.rested(seconds), self.messages()
        assert len(queued) == waiting, f"queued: {queued}\n{text}"
        return text

    def wait_logged(self, text, n=1):
        """Until the log has it at least so often. The log."""
        return patience.until(lambda: (log := self.logged()).count(text) >= n and log)

    def wait_messages(self, n):
        """Until so many are queued, no more and no less."""
        return patience.until(lambda: [m] if len(m := self.messages()) == n else None)[0]

    def wait_relays(self, n=1):
        """Until at least so many run. Their process ids."""
        return self.wait_running("relay", n)

    def wait_at_work(self, n=1):
        return patience.until(lambda: len(found := self.at_work()) >= n and found)

    def wait_running(self, program, n=1):
        return patience.until(lambda: len(found := self.running(program)) >= n and found)

    def wait_gone(self, program):
        patience.until(lambda: not self.running(program))


@pytest.fixture
def where():
    """A directory that the unprivileged programs can reach, whatever pytest does to its own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def postern(where):
    p = Postern(where)
    patience.witnesses.append(p.witness)
    yield p
    for pool in p.pools:
        pool.terminate()
    try:
        p.rested()
    finally:
        patience.witnesses.remove(p.witness)
        for process in p.started:
            if process.poll() is None:
                process.kill()
            process.wait()
    for trouble in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "Assertion"):
        assert trouble not in p.logged(), p.logged()


class World:
    """A DNS server and sinks; settings() is what makes relay use them. All sinks have one port, which
    is ours at every address."""

    def __init__(self):
        self.zone = {}
        self.dns = internet.Dns(self.zone)
        self.port = ports.take()
        self.sink = internet.Sink("127.0.0.2", self.port)
        self.others = []
        self.domain("sender.example")

    def domain(self, name, *addresses):
        """A domain with one MX whose host has these addresses."""
        self.zone[(name, "MX")] = [f"10 mx.{name}."]
        self.zone[(f"mx.{name}", "A")] = list(addresses or ["127.0.0.2"])

    def another(self, address, **more):
        sink = internet.Sink(address, self.port, **more)
        self.others.append(sink)
        return sink

    def settings(self):
        return {"nameserver": f"127.0.0.1:{self.dns.port}", "smtp_port": self.port,
                "allow_destinations": "127.0.0.0/8 ::1/128", "timeout_dns": "1m", # as long as nothing takes
                "timeout_connect": "1m", "timeout_greeting": "1m", "timeout_quit": "1m",
                "linger": "0s"} # a second for each test; test_throughput.py has those that are about it

    def end(self):
        """What still talks to a host finds it gone."""
        sinks = [self.sink, *self.others]
        with concurrent.futures.ThreadPoolExecutor(len(sinks)) as all_at_once:
            list(all_at_once.map(internet.Sink.end, sinks))

    def close(self):
        self.dns.close()
        ports.give_back(self.port)


@pytest.fixture
def world(postern):
    w = World()
    postern.settings.update(w.settings())
    yield w
    w.end()
    try:
        postern.rested() # while questions are answered
    finally:
        w.close()


@pytest.fixture
def names(postern, world):
    """Lets a real name server answer for a zone: one of the tests' own would be what takes longest."""
    servers = []

    def serve(zone):
        if nsd.program() is None:
            world.zone.update(zone)
            return
        servers.append(nsd.Nsd(postern.where / f"nsd{len(servers)}", zone | world.zone))
        postern.settings["nameserver"] = f"127.0.0.1:{servers[-1].port}"

    yield serve
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def pki():
    """Certificates, readable for the programs."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-pki-"))
    path.chmod(0o755)
    yield certificates.Pki(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cards(pki):
    """... of hosts, good and bad; of the same authority, in a place where no module's own are called like them."""
    apart = copy.copy(pki)
    apart.directory = pathlib.Path(tempfile.mkdtemp(prefix="postern-cards-"))
    apart.directory.chmod(0o755)
    for name in ("ca.pem", "ca.key", "server.pem", "server.key"):
        shutil.copy(pki.directory / name, apart.directory)
    yield tlsplace.issue_cards(apart)
    shutil.rmtree(apart.directory, ignore_errors=True)


@pytest.fixture
def place(postern, world, cards):
    """Where mail goes by TLS."""
    return tlsplace.Place(postern, world, cards)


@pytest.fixture
def secure(postern, pki):
    """smtpd with a certificate."""
    shutil.copy(pki.path("server"), postern.where / "server.pem")
    (postern.where / "server.pem").chmod(0o600)
    own(postern.where / "server.pem")
    postern.settings["tls_certificate"] = postern.where / "server.pem"
    return postern


@pytest.fixture
def wait():
    return patience.until


# These take longest, so they begin first: else one worker is busy with them when the others have nothing left.
LONG = ("test_guide.py", "test_scanners.py", "test_destinations.py", "test_points.py", "test_couriers_killed.py",
        "test_mta_clients.py", "test_systemd.py", "test_sendmail_systemd.py",
        "test_clients.py", "test_hostile_dns.py", "test_silent.py", "test_dialogues.py", "test_full.py")


def pytest_collection_modifyitems(items):
    """TEST_ORDER=SEED: files in another order, the same for each worker. No test may depend on theirs."""
    files = list(dict.fromkeys(item.path for item in items))
    seed = os.environ.get("TEST_ORDER")
    if seed is not None:
        random.Random(seed).shuffle(files)
    else:
        files.sort(key=lambda p: LONG.index(p.name) if p.name in LONG else len(LONG))
    items.sort(key=lambda item: files.index(item.path))


def told_by(witness):
    try:
        return witness()[-LONGEST_WITNESS:]
    except (OSError, ValueError) as e:
        return repr(e)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """A test that fails shows what its witnesses say, whatever it failed by."""
    report = (yield).get_result()
    if report.failed:
        report.sections += [("witness", told_by(w)) for w in patience.witnesses]


def pytest_configure(config):
    del config
    assert (BUILD / "smtpd").exists(), "build it first: make"
    time.tzset()
