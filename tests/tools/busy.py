"""An smtpd that serves many clients. Its listening sockets are handed over as systemd does it."""
import contextlib
import fcntl
import os
import pathlib
import re
import signal
import socket
import subprocess

import client
import patience
import proc

HIGH = 50 # no descriptor that is handed over stands there


def listener(address="127.0.0.1", port=0, backlog=1024):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=backlog)


def unix_listener(path, backlog=1024):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    os.chmod(path, 0o666)
    s.listen(backlog)
    return s


def start(command, listeners, **popen):
    """Runs it with these sockets from descriptor 3 on."""
    high = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, HIGH) for s in listeners]
    places = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(high))
    environment = {**popen.pop("env", os.environ), "LISTEN_FDS": str(len(high))}
    script = f'exec {places}; export LISTEN_PID=$$; exec "$@"'
    try:
        return subprocess.Popen(["bash", "-c", script, "bash", *command], pass_fds=high, env=environment,
                                **popen)
    finally:
        for fd in high:
            os.close(fd)


class Ended:
    """The process of a pool that has one client: when its end is awaited, it ends behind that client, as if
    it were of that client alone."""

    def __init__(self, process):
        self.process = process

    def wait(self, timeout=None):
        patience.until(lambda: not any(has_client(pid) for pid in workers(self.process.pid)))
        self.process.terminate()
        return self.process.wait(timeout)

    def __getattr__(self, name):
        return getattr(self.process, name)


class Pool:
    """One, for tests of it. `where`: sockets that listen; without any, one on loopback."""

    def __init__(self, postern, *where, **settings):
        self.postern = postern
        self.where = list(where) or [listener()]
        self.address = self.where[0].getsockname()
        self.process = postern.listen(self.where, **settings)

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        """Its children that are sessions, and not what was started for them."""
        return workers(self.pid)

    def ready(self, n=1):
        """Until at least so many are there and locked in."""
        return patience.until(lambda: len(found := self.workers()) >= n and found)

    def exactly(self, n):
        return patience.until(lambda: len(found := self.workers()) == n and found)

    def connect(self, source=None, to=None):
        where = to or self.where[0]
        if where.family == socket.AF_UNIX:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(client.TIMEOUT)
            s.connect(where.getsockname())
            return client.Client(s)
        return client.Client(socket.create_connection(where.getsockname()[:2], client.TIMEOUT,
                                                      source and (source, 0)))

    def meet(self, **more):
        """The same, behind greeting and EHLO."""
        c = self.connect(**more)
        assert (said := c.reply())[:3] == "220", said
        c.hello()
        return c

    def at_rest(self, worker):
        """Until it has no client."""
        patience.until(lambda: os.readlink(f"/proc/{worker}/fd/0") == "/dev/null")

    def all_asleep(self):
        """Until no session that a client woke is still between its look and its accept."""
        patience.until(lambda: all(map(asleep, self.workers())))

    def greeted(self, header=""):
        """A client that found a place, however often it had to ask for one."""
        def ask():
            c = self.connect()
            with contextlib.suppress(OSError):
                c.send(header)
            return c if c.reply()[:3] == "220" else None
        return patience.until(ask)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(client.TIMEOUT)


def has_client(worker):
    """One that is not ours to look at has none."""
    try:
        return os.readlink(f"/proc/{worker}/fd/0") != "/dev/null"
    except OSError:
        return False


def asleep(pid):
    """Or stopped, or gone."""
    try:
        return proc.read(pid, "stat").rpartition(b")")[2].split()[0] in (b"S", b"T")
    except OSError:
        return True


def filters(pid):
    """How many seccomp filters hold for it."""
    return int(re.search(r"^Seccomp_filters:\s+(\d+)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def workers(monitor):
    """Children that lock themselves in have one more than their monitor."""
    found = []
    try:
        born = proc.children(monitor)
    except OSError: # it has ended
        return []
    for pid in born:
        try:
            if filters(pid) > filters(monitor) and proc.words(pid)[:1] == proc.words(monitor)[:1]:
                found.append(pid)
        except OSError:
            pass
    return found


def one(postern, **settings):
    """A pool whose first worker has all the clients, one after the other."""
    return Pool(postern, **{"busy_spare": 1, "busy_sessions": 1, **settings})


def gone(c):
    c.file.close()
    c.sock.close()


def one_of(found):
    """Those found, if it is one: who turns others away has a client for a moment only."""
    return found if len(found) == 1 else None


def server_of(pool):
    """The worker that has the one client."""
    return patience.until(lambda: one_of([w for w in pool.workers() if has_client(w)]))[0]


def configured(postern, greeting, **more):
    postern.configure(f"hostname = {greeting}", *(f"{k} = {v}" for k, v in more.items()))


def changed(postern, greeting, **more):
    """Another one, for the next client."""
    for pool in postern.pools:
        patience.until(lambda: all(map(asleep, workers(pool.pid))))
    configured(postern, greeting, **more)


def new_name(postern):
    """The name of the host is what a client sees first; the file says it, and not the command line."""
    postern.settings.pop("hostname")
