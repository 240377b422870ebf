"""What starting costs: a session with one message, a relay, and beside them a trivial static program.

	faults         minor page faults of all processes of it, as the kernel counts them
	calls          system calls of all of them (strace)
	instructions   of all of them, in user space (callgrind), of programs that are not locked in
	CPU us         processor time, the mean of many
	PSS KiB        of an idle connection, monitor and session, while 20 are open

A session runs over a pipe, as an ordinary user, logs to a journal, and delivery is held; the trivial
program writes a line. A relay with a message hands it to a host on loopback. The first three are the same on every
machine. Then, under each acceptor that is there, connections of the trivial program, sessions
with a message, and the least that any session with a message can be (floor.c) take turns: how many a second with 20
clients, and the processor time of the acceptor and all that it started. Ratios are to the trivial program, and
medians of those of single rounds.

BENCH_ROUNDS (default 5) rounds of COST_CONNECTIONS (200) each. COST_ONLY=count or times leaves the
other out; COST_ONLY=faults says of each page fault of a session whence it comes (perf). Needs root, to be somebody
else.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / d) for d in ("tools", "e2e")]

import client # noqa: E402
import faults # noqa: E402
import internet # noqa: E402
import patience # noqa: E402
import ports # noqa: E402
import proc # noqa: E402
import spent # noqa: E402
import sysd_machine # noqa: E402

NOBODY = 65534
RUNS = 20 # of which a mean is made
IDLE = 20 # connections that are open at once
CLIENTS = 20
DIALOGUE = (b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<u@dest.example>\r\n"
            b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
TRIVIAL = '#include <unistd.h>\nint main(void) { return write(1, "220 x\\r\\n", 7) != 7; }\n'
CONF = """hostname = mx.test.example
spool = {where}/spool
runtime = {where}/run
log = journal
linger = 0
"""
HELD = "max_connections = 0\n"
ROUTE = "[route sink]\ndomains = dest.example\nhosts = 127.0.0.1:{port}\n"
CALL = re.compile(r"^\d+ +\w+\(", re.M)


class Place:
    """Programs, a spool and configurations where an ordinary user can reach them."""

    def __init__(self, where):
        self.where = where
        where.chmod(0o755)
        for name in ("spool", "run", "out"):
            (where / name).mkdir(mode=0o700)
            os.chown(where / name, NOBODY, NOBODY)
        for name in ("smtpd", "relay", "tls", "auth"):
            shutil.copy(TOP / "build" / name, where)
        self.conf("held", HELD)
        (where / "trivial.c").write_text(TRIVIAL)
        self.compile("trivial", where / "trivial.c", "-static")
        self.compile("load", TOP / "tests/bench/load.c", "-lssl", "-lcrypto")
        self.compile("floor", TOP / "tests/bench/floor.c", "-static", "-D_GNU_SOURCE")
        self.trivial = [where / "trivial", "-"] # xinetd wants an argument
        self.floor = [where / "floor", where / "out"]
        self.session = [where / "smtpd", "-c", where / "held"]

    def compile(self, name, source, *flags):
        subprocess.run(["cc", "-O2", "-o", self.where / name, source, *flags], check=True)

    def conf(self, name, more=""):
        (self.where / name).write_text(CONF.format(where=self.where) + more)
        return self.where / name

    def run(self, command, text=b""):
        """As an ordinary user; (minor faults, seconds of processor time) of all its processes."""
        lock = self.where / "spool/lock" # in the hands of a relay, as launch.h says
        hands = [(os.POSIX_SPAWN_OPEN, 3, lock, os.O_RDWR | os.O_CREAT, 0o600),
                 (os.POSIX_SPAWN_DUP2, 3, 4)] if "--login" in command else []
        return spent.run(command, text, NOBODY, hands)


def calls(place, command, text):
    out = place.where / "out/calls"
    place.run(["/usr/bin/strace", "-f", "-o", out, *command], text)
    return len(CALL.findall(out.read_text(errors="replace")))


def instructions(place, command, text):
    """Of a program that is not locked in, for valgrind's own system calls are not those it may do."""
    subprocess.run(["make", "-s", "-C", TOP, "B=build/counted", "CPPFLAGS_EXTRA=-DPOSTERN_INSTRUMENTED",
                    "all"], check=True, stdout=subprocess.DEVNULL)
    name = pathlib.Path(command[0]).name
    program = place.where / f"counted-{name}"
    shutil.copy(TOP / "build/counted" / name if name != "trivial" else command[0], program)
    place.run(["/usr/bin/valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               f"--log-file={place.where}/out/%p.log", program, *command[1:]], text)
    counted = 0
    for log in (place.where / "out").glob("*.log"):
        counted += int(re.search(r"Collected : (\d+)", log.read_text())[1])
        log.unlink()
    return counted


def count(place, name, command, text=b"", before=lambda: None):
    """A line of the first table. The processor time of one run."""
    found = []
    for _ in range(RUNS + 1):
        before()
        found.append(place.run(command, text))
    faults, cpu = zip(*found[1:])
    row = [f"{name:<28}{statistics.median(faults):>8.0f}"]
    for tool, measure in (("strace", calls), ("valgrind", instructions)):
        before()
        possible = shutil.which(tool) and not (measure == instructions and "--login" in command)
        row.append(f"{measure(place, command, text):>14}" if possible else f"{'-':>14}")
    print(*row, f"{statistics.mean(cpu) * 1e6:>8.0f}", sep="", flush=True)


def count_all(place):
    print(f"{'':<28}{'faults':>8}{'calls':>14}{'instructions':>14}{'CPU us':>8}")
    count(place, "trivial static program", place.trivial)
    count(place, "session, QUIT", place.session, b"QUIT\r\n")
    count(place, "session, one message", place.session, DIALOGUE)
    clear(place)
    relay = [place.where / "relay", "-c"]
    count(place, "relay --due, nothing due", [*relay, place.conf("open"), "--due"])
    sink = internet.Sink("127.0.0.1", ports.take())
    with contextlib.closing(sink):
        conf = place.conf("route", HELD + ROUTE.format(port=sink.port))
        going = place.conf("going", ROUTE.format(port=sink.port))
        count(place, "relay --login, one message", [*relay, going, "--login", "none"],
              before=lambda: place.run([place.where / "smtpd", "-c", conf], DIALOGUE))
        assert len(sink.messages) >= RUNS


def clear(place):
    for path in (place.where / "spool").rglob("*"):
        if path.is_file():
            path.unlink()


def idle(place):
    """KiB of an idle connection."""
    sessions = []
    for _ in range(IDLE):
        ours, theirs = client.pair()
        with theirs:
            process = subprocess.Popen(place.session, stdin=theirs, stdout=theirs, user=NOBODY,
                                       group=NOBODY, extra_groups=[])
        sessions.append(client.Client(ours, process))
        assert sessions[-1].reply()[:3] == "220"
    total = 0
    for s in sessions:
        for pid in (s.process.pid, *proc.children(s.process.pid)):
            total += proc.pss(pid)
    for s in sessions:
        s.finish()
    print(f"PSS of an idle connection, of {IDLE}: {total / IDLE:.0f} KiB")


# ---- under acceptors

def cpu_of(pid):
    """Seconds of a process and of what it started and waited for."""
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def tcpserver(place, command):
    port = ports.take()
    with subprocess.Popen(["tcpserver", "-H", "-R", "-l0", "-c", "100", "-u", str(NOBODY), "-g", str(NOBODY),
                           "127.0.0.1", str(port), *command]) as p:
        try:
            yield port, lambda: cpu_of(p.pid)
        finally:
            p.kill()


XINETD = """service {name}
{{
	type = UNLISTED
	socket_type = stream
	protocol = tcp
	port = {port}
	bind = 127.0.0.1
	wait = no
	user = nobody
	group = nogroup
	server = {program}
	server_args = {arguments}
	passenv =
	cps = 10000 1
	instances = 200
	per_source = 50
	flags = REUSE
	log_on_success =
	log_type = FILE /dev/null
}}
"""


@contextlib.contextmanager
def xinetd(place, command):
    port = ports.take()
    conf = place.where / f"xinetd-{port}"
    program, *arguments = map(str, command)
    conf.write_text(XINETD.format(name=pathlib.Path(program).name, port=port, program=program,
                                  arguments=" ".join(arguments)))
    with subprocess.Popen([find_xinetd(), "-dontfork", "-f", conf, "-filelog", "/dev/null"],
                          env={"LD_LIBRARY_PATH": library_path()}) as p:
        try:
            yield port, lambda: cpu_of(p.pid)
        finally:
            p.kill()


def library_path():
    return ":".join(str(p) for p in (TOP / "build/peers").glob("usr/lib/*-linux-gnu"))


def find_xinetd():
    there = TOP / "build/peers/usr/sbin/xinetd"
    return str(there) if there.exists() else shutil.which("xinetd")


SOCKET = """[Socket]
ListenStream=127.0.0.1:{port}
Accept=yes
TriggerLimitIntervalSec=0
MaxConnections=200
"""
OPTIONS = "-p smtp -o max_connections=0"


def add_unit(machine, name, command, port):
    """The shipped unit, with another command."""
    shipped = (machine.root / "usr/lib/systemd/system/postern@.service").read_text()
    text = re.sub(r"^ExecStart=.*", f"ExecStart=-{command}", shipped, flags=re.M)
    for kind, body in (("@.service", text), (".socket", SOCKET.format(port=port))):
        (machine.root / f"etc/systemd/system/{name}{kind}").write_text(body)
    machine.systemctl("daemon-reload")
    machine.systemctl("start", f"{name}.socket")


@contextlib.contextmanager
def units(place):
    """A real systemd in a container: (port, processor time) of both, and its network."""
    where = place.where / "machine"
    where.mkdir()
    with sysd_machine.booted(where) as machine:
        machine.systemctl("stop", "postern-due.timer")
        programs = machine.root / "usr/libexec/postern"
        for name in ("trivial", "floor", "smtpd"):
            shutil.copy(place.where / name, programs)
        add_unit(machine, "trivial", "/usr/libexec/postern/trivial", 2600)
        add_unit(machine, "session", f"/usr/libexec/postern/smtpd {OPTIONS}", 2601)
        add_unit(machine, "floor", "/usr/libexec/postern/floor /var/spool/postern/tmp", 2602)

        def cpu():
            machine.systemctl("daemon-reload") # waits until PID 1 is done with what has ended
            return machine.cpu()

        yield [(2600, cpu), (2601, cpu), (2602, cpu)], machine.network


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def processes(acceptor, place):
    with contextlib.ExitStack() as all_of_them:
        servers = [all_of_them.enter_context(acceptor(place, command))
                   for command in (place.trivial, place.session, place.floor)]
        patience.until(lambda: all(listens(port) for port, _ in servers))
        yield servers, contextlib.nullcontext


def turn(place, server, message, network):
    """Connections per second, and milliseconds of processor time of each, of whoever serves them."""
    port, cpu = server
    n = int(os.environ.get("COST_CONNECTIONS", "200"))
    before = cpu()
    with network():
        rate = subprocess.run([place.where / "load", str(n), str(CLIENTS), str(port),
                               *(["message"] if message else [])], check=True, stdout=subprocess.PIPE, text=True)
    time.sleep(0.2) # the last processes end
    return float(rate.stdout), (cpu() - before) / n * 1000


def compare(place, name, acceptor):
    """A line of the second table."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    with acceptor as (servers, network):
        turns = [[turn(place, s, s is not servers[0], network) for s in servers] for _ in range(rounds + 1)][1:]
    row = [f"{name:<12}"]
    for k, digits in ((0, 0), (1, 2)): # connections a second, milliseconds of each
        row += [f"{statistics.median(t[i][k] for t in turns):>9.{digits}f}" for i in range(3)]
        row += [f"{statistics.median(t[i][k] / t[0][k] for t in turns):>7.2f}" for i in (1, 2)]
    print(*row, sep="", flush=True)


def compare_all(place):
    print(f"{'':<12}" + "".join(f"{n:>9}" for n in ("trivial/s", "session", "floor")) + f"{'x':>7}{'x':>7}"
          + "".join(f"{n:>9}" for n in ("CPU ms", "session", "floor")) + f"{'x':>7}{'x':>7}")
    for name, needed, servers in (
            ("tcpserver", shutil.which("tcpserver"), lambda: processes(tcpserver, place)),
            ("xinetd", find_xinetd(), lambda: processes(xinetd, place)),
            ("systemd", shutil.which("systemd-nspawn"), lambda: units(place))):
        if needed:
            compare(place, name, servers())
        else:
            print(f"{name:<14}is not installed")


def hear_journal():
    """A journal that forgets. In a /run of our own, which nobody else sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    private = 0x20000, 1 << 18 | 1 << 14 # CLONE_NEWNS; MS_PRIVATE | MS_REC
    if libc.unshare(private[0]) != 0 or libc.mount(b"none", b"/", None, private[1], None) != 0 or \
            libc.mount(b"none", b"/run", b"tmpfs", 0, b"mode=755") != 0:
        raise OSError(ctypes.get_errno(), "no /run of our own")
    os.makedirs("/run/systemd/journal")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind("/run/systemd/journal/socket")
    os.chmod("/run/systemd/journal/socket", 0o666)

    def forget():
        while True:
            journal.recv(1 << 16)

    threading.Thread(target=forget, daemon=True).start()


def main():
    only = os.environ.get("COST_ONLY", "")
    hear_journal()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", "/var/tmp")) as where:
        place = Place(pathlib.Path(where))
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        if only == "faults":
            faults.show(place.session, DIALOGUE, place)
        if only in ("", "count"):
            count_all(place)
            idle(place)
        if only in ("", "times"): # nothing is deleted meanwhile: who makes files after that pays for it
            compare_all(place)


main()
