"""The two mail servers of the benchmark, and the small internet they deliver to.

Everything here runs on the machine that tests/bench/run made, where every path and port is ours.
"""
import ctypes
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import time

import internet
import mtas
import proc
import spoolfile

BENCH = pathlib.Path("/here")
SOURCES = pathlib.Path("/sources")
POSTERN_UID = 992 # in tests/bench/run
DOMAINS = 100
ZONE = {key: value for n in range(1, DOMAINS + 1) for key, value in (
    ((f"d{n}.example", "MX"), [f"10 mx.d{n}.example."]),
    ((f"mx.d{n}.example", "A"), [f"127.0.1.{n}"]))}

POSTERN_CONF = """hostname = postern.example
spool = /here/spool
user = postern
log = syslog
nameserver = 127.0.0.1
allow_destinations = 127.0.0.0/8
{more}"""
POSTERN_TLS = "tls_certificate = /here/certificate.992\ntls_key = /here/key.992\n"

# Besides names and places: no brake on input, nothing local, one address family, no chroot (below).
MAIN_CF = """compatibility_level = 3.6
queue_directory = /here/postfix
myhostname = postfix.example
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
in_flow_delay = 0
"""
HOLDING = "127.0.0.1:{port} inet n - n - - smtpd\n" \
    "  -o smtpd_client_restrictions=check_client_access,static:HOLD\n"
WITH_TLS = "  -o smtpd_tls_security_level=may -o smtpd_tls_cert_file=/here/certificate.0 -o smtpd_tls_key_file=/here/key.0\n"

# It writes nothing to disk for good (no sync), holds mail by a word to it, and relays to the same hosts.
SMTPD_CONF = """pki bench cert "/here/certificate.0"
pki bench key "/here/key.0"
listen on 127.0.0.1 port {port} hostname opensmtpd.example
listen on 127.0.0.1 port {tls} hostname opensmtpd.example tls pki bench
action out relay
match from any for any action out
"""


def spawn(*command):
    """Starts it below a process that inherits its orphans, so that `cpu` counts them. The pid."""
    pid = os.fork()
    if pid > 0:
        return pid
    ctypes.CDLL(None).prctl(36, 1) # PR_SET_CHILD_SUBREAPER
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    try:
        with subprocess.Popen(command):
            while True:
                os.wait()
    except ChildProcessError:
        pass
    finally:
        os._exit(0)


def cpu(root):
    """Seconds that a process and all its descendants, living and dead, have used."""
    tree, ticks = {root}, 0
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found.append((int(name), int(words[1]), sum(map(int, words[11:15]))))
    for pid, parent, used in sorted(found): # few pids here: they do not wrap around
        if pid in tree or parent in tree:
            tree.add(pid)
            ticks += used
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for_port(port):
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.settimeout(5)
                if s.recv(200).startswith(b"220 "):
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing on port {port}")


class Postern:
    """Under one acceptor; `port` both accepts and delivers, as `prepare` says."""

    def __init__(self, acceptor, port, programs=BENCH, options=()):
        self.name = f"Postern, {acceptor}" + (", other" if programs != BENCH else "") + \
            "".join(f", {o.partition('=')[2]} client each" for o in options)
        self.options = [x for o in options for x in ("-o", o)]
        self.port = port
        self.smtpd = programs / "smtpd"
        self.due = None # what `release` started; its times count until the next one
        self.spool = BENCH / "spool"
        for directory in (self.spool, pathlib.Path("/run/postern")):
            directory.mkdir(exist_ok=True)
            os.chown(directory, POSTERN_UID, POSTERN_UID)
            directory.chmod(0o700)
        self.prepare(hold=True)
        commands = {"xinetd": self.xinetd, "socket-activate": self.socket_activate, "busy": self.busy}
        self.pid = spawn(*commands[acceptor]())
        wait_for_port(port)

    def xinetd(self):
        text = (SOURCES / "units/postern.xinetd").read_text().replace("@LIBEXECDIR@", str(BENCH))
        text = re.sub(r"port( *)= 25", rf"port\1= {self.port}", text)
        text = text.replace("\tumask", "\tserver_args = -c /here/postern.conf\n\tumask")
        (BENCH / "xinetd.conf").write_text(text)
        return ["xinetd", "-dontfork", "-syslog", "daemon", "-f", BENCH / "xinetd.conf"]

    @staticmethod
    def postern_user():
        return ["setpriv", f"--reuid={POSTERN_UID}", f"--regid={POSTERN_UID}", "--clear-groups"]

    def socket_activate(self):
        return [*self.postern_user(), "systemd-socket-activate", "--accept", "--inetd", "-l",
                f"127.0.0.1:{self.port}", self.smtpd, "-c", BENCH / "postern.conf"]

    def busy(self):
        return [*self.postern_user(), self.smtpd, "-c", BENCH / "postern.conf", *self.options,
                "--listen", f"127.0.0.1:{self.port}"]

    def prepare(self, hold, tls=False):
        more = ("max_connections = 0\n" if hold else "") + (POSTERN_TLS if tls else "")
        (BENCH / "postern.conf").write_text(POSTERN_CONF.format(more=more))
        return self.port

    def unhold(self):
        self.prepare(hold=False)
        if self.due is not None:
            os.waitpid(self.due, 0)
            self.due = None

    def release(self):
        """What waits is sent, by processes that `cpu` counts."""
        self.due = spawn(*self.postern_user(), BENCH / "relay", "-c", BENCH / "postern.conf", "--due")

    def cpu(self):
        return cpu(self.pid) + (cpu(self.due) if self.due is not None else 0)

    def is_idle(self):
        return not proc.running("relay", str(BENCH / "postern.conf"))

    def queued(self):
        return spoolfile.messages(self.spool)


class Postfix:
    def __init__(self, port):
        self.name = "Postfix"
        self.ports = {False: port, True: port + 1, "tls": port + 2}
        self.queue = BENCH / "postfix"
        mtas.install_postfix(MAIN_CF, f"127.0.0.1:{port}", HOLDING.format(port=port + 1) +
                             HOLDING.format(port=port + 2) + WITH_TLS)
        self.pid = spawn("postfix", "start-fg")
        for p in self.ports.values():
            wait_for_port(p)

    def prepare(self, hold, tls=False):
        return self.ports["tls" if tls else hold]

    def unhold(self):
        subprocess.run(["postsuper", "-H", "ALL"], check=True, stderr=subprocess.DEVNULL)

    def release(self):
        subprocess.run(["postqueue", "-f"], check=True)

    def cpu(self):
        return cpu(self.pid)

    def is_idle(self):
        return True

    def queued(self):
        return [p for d in ("maildrop", "incoming", "active", "deferred", "hold")
                for p in (self.queue / d).rglob("*") if p.is_file()]


class OpenSmtpd:
    """Of which mail is accepted only: it is told to send none."""

    FROM = SOURCES / "build/peers/opensmtpd"

    def __init__(self, port):
        self.name = "OpenSMTPD"
        self.port = port
        self.queue = BENCH / "opensmtpd"
        # Beside Postfix, whose sendmail stays.
        subprocess.run(["cp", "-an", f"{self.FROM}/usr/.", "/usr/"], check=True)
        shutil.chown("/usr/sbin/smtpctl", group="opensmtpq") # dpkg -x knows no group of ours
        os.chmod("/usr/sbin/smtpctl", 0o2555)
        for directory in (self.queue, "/var/spool/smtpd", "/var/lib/opensmtpd/empty"):
            os.makedirs(directory, exist_ok=True)
        os.chmod(self.queue, 0o711)
        subprocess.run(["mount", "--bind", self.queue, "/var/spool/smtpd"], check=True)
        mtas.write("/etc/smtpd.conf", SMTPD_CONF.format(port=port, tls=port + 1))
        self.pid = None
        self.prepare(True)

    def stop(self):
        for pid in proc.children(self.pid):
            os.kill(pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        for path in self.queue.iterdir():
            shutil.rmtree(path)

    def prepare(self, hold, tls=False):
        """Another one each time: it takes no more mail when it has held some thousands."""
        if self.pid is not None:
            self.stop()
        self.pid = spawn("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf")
        for p in (self.port, self.port + 1):
            wait_for_port(p)
        subprocess.run(["smtpctl", "pause", "mta"], check=True, stdout=subprocess.DEVNULL)
        return self.port + 1 if tls else self.port

    def cpu(self):
        return cpu(self.pid)

    def is_idle(self):
        return True

    def queued(self):
        return [p for p in (self.queue / "queue").rglob("message")]


class Sink:
    """smtp-sink on port 25 of every address, and how many messages it has had."""

    def __init__(self):
        self.process = subprocess.Popen(["smtp-sink", "-4", "-c", "-m", "1000", "-u", "nobody",
                                         "0.0.0.0:25", "1000"], stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.count = 0
        self.rest = b""

    def messages(self):
        text = self.rest + (self.process.stdout.read() or b"")
        found = re.findall(rb"mesg=(\d+) *[\r\n]", text)
        self.count = int(found[-1]) if found else self.count
        self.rest = text[-40:]
        return self.count

    def close(self):
        self.process.kill()
        self.process.wait()


class Watch:
    """A sink of our own in its place, which notes when each message's final dot came."""

    def __init__(self):
        self.times = queue.SimpleQueue()
        self.sink = internet.Sink("0.0.0.0", 25, say={"END": self.note})
        # For the connections it takes: a reply does not wait until the one before was acknowledged.
        self.sink.server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def note(self, _):
        self.times.put(time.monotonic())
        return "250 2.0.0 taken"

    def messages(self):
        return len(self.sink.messages)

    def close(self):
        self.sink.close()


def read_log():
    """A /dev/log for both. Warnings and worse go to the file `trouble`, the rest is forgotten."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        if os.fork() == 0:
            with open(BENCH / "trouble", "wb", buffering=0) as trouble:
                while True:
                    line = s.recv(4096)
                    if int(line[1:line.index(b">")]) % 8 <= 4: # LOG_WARNING
                        trouble.write(line + b"\n")
