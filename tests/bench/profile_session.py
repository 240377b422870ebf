"""Where the time of one session goes: from the acceptor's accept to the end of the monitor.

perf records only the calls that divide the phases (a microsecond or two each; tracing every call
doubles the time of a session), for one client that sends one message after the other over
connections of their own. Every moment belongs to exactly one phase: that of the last mark passed by
whichever process the client is waiting for.
"""
import collections
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time

import servers

SESSIONS = 200
CALLS = ["execve", "openat", "getpeername", "socketpair", "prctl", "ppoll", "read", "sendto", "renameat",
         "renameat2", "fsync", "exit_group"]
LINE = re.compile(r"\s*(\d+)\s+([\d.]+):\s+(\w+):(\w+):\s*(.*)")

PHASES = {
    "accept": "acceptor: accept, fork",
    "exec": "exec, start of the C library",
    "conf": "configuration, log, user",
    "spool": "spool: open",
    "fork": "fork of the session",
    "lock": "locking in",
    "client": "waiting for the client",
    "talk": "commands and replies",
    "write": "message: open, lock, write",
    "lane": "message: lane, rename",
    "fsync lanes": "message: fsync of lane/",
    "fsync file": "message: fsync of the file",
    "fsync lane": "message: fsync of the lane",
    "tell": "message: close, tell the monitor",
    "log": "log",
    "exit": "exit of session and monitor",
}


class Session:
    """Adds up the phases of one connection, mark by mark."""

    def __init__(self, begin):
        self.spent = collections.Counter()
        self.now, self.at = "accept", begin
        self.begin = begin
        self.end = None
        self.renamed = False

    def mark(self, phase, at):
        self.spent[self.now] += at - self.at
        self.now, self.at = phase, at

    def monitor(self, event, at):
        """Until the fork and after the session's end the monitor is who is waited for."""
        if event == "sys_enter_execve":
            self.mark("exec", at)
        elif event == "sys_enter_openat" and self.now == "exec":
            self.mark("conf", at)
        elif event == "sys_enter_getpeername":
            self.mark("spool", at)
        elif event == "sys_enter_socketpair":
            self.mark("fork", at)
        elif event == "sched_process_exit":
            self.mark("exit", at)
            self.end = at

    def fsync(self, at):
        if not self.renamed:
            self.mark("fsync lanes", at)
        else:
            self.mark("fsync lane" if self.spent["fsync file"] or self.now == "fsync file"
                      else "fsync file", at)

    def session(self, event, arguments, at):
        name = event.removeprefix("sys_enter_")
        fd = int(re.match(r"\w+: (0x[0-9a-f]+)", arguments)[1], 16) if ": 0x" in arguments else -1
        if name == "prctl" and self.now == "fork":
            self.mark("lock", at)
        elif event == "sys_exit_seccomp":
            self.mark("log", at) # "connected" comes next
        elif name == "ppoll":
            self.mark("client", at)
        elif name == "read" and self.now == "client":
            self.mark("talk", at)
        elif name == "sendto":
            self.mark("talk" if fd == 1 else "log", at)
        elif event == "sys_exit_sendto" and self.now == "log":
            self.mark("talk", at)
        elif name == "openat" and self.now == "talk" and fd < 1 << 31: # not by AT_FDCWD
            self.mark("write", at)
        elif name == "openat" and self.now == "write":
            self.mark("lane", at)
        elif name == "fsync":
            self.fsync(at)
        elif event == "sys_exit_fsync":
            self.mark("lane" if not self.renamed else "tell", at)
        elif name in ("renameat", "renameat2"):
            self.renamed = True
        elif name == "exit_group":
            self.mark("exit", at)


def parse(text):
    """(pid, microseconds, event, arguments), ..."""
    for m in filter(None, map(LINE.match, text.splitlines())):
        yield int(m[1]), float(m[2]) * 1e6, m[4], m[5]


def families(events):
    """{pid: (session, role)}, from what accept and clone returned: a child may run before that."""
    accepted, by_pid = None, {}
    for pid, at, event, arguments in events:
        if event == "sys_exit_accept4":
            accepted = at
        elif event in ("sys_exit_clone", "sys_exit_fork") and int(arguments, 16) > 0:
            if pid in by_pid:
                by_pid[int(arguments, 16)] = (by_pid[pid][0], "session")
            elif accepted is not None:
                by_pid[int(arguments, 16)] = (Session(accepted), "monitor")
    return by_pid


def sessions(text):
    """Finished sessions in perf's listing."""
    events = list(parse(text))
    by_pid = families(events)
    for pid, at, event, arguments in events:
        s, role = by_pid.get(pid, (None, None))
        if role == "session":
            s.session(event, arguments, at)
        elif role == "monitor" and s.now in ("accept", "exec", "conf", "spool", "exit"):
            s.monitor(event, at)
    return [s for s, role in by_pid.values() if role == "monitor" and s.end is not None]


def record(source, data):
    acceptor = servers.Postern("socket-activate", 2526)
    root = next(int(p) for p in os.listdir("/proc") if p.isdigit() and
                pathlib.Path(f"/proc/{p}/cmdline").read_bytes().startswith(b"systemd-socket"))
    send = source(acceptor.port, "-m", str(SESSIONS), clients=1)
    subprocess.run(send, check=True)
    begin = time.monotonic()
    subprocess.run(send, check=True)
    plain = (time.monotonic() - begin) / SESSIONS * 1e6
    events = [f"syscalls:sys_enter_{c}" for c in CALLS] + [
        "syscalls:sys_exit_accept4", "syscalls:sys_exit_seccomp", "syscalls:sys_exit_fsync",
        "syscalls:sys_exit_sendto", "syscalls:sys_exit_clone",
        "syscalls:sys_exit_fork", "sched:sched_process_exit"]
    # What is traced is inherited, so forks and exits get dearer with each event in the list.
    perf = subprocess.Popen(["perf", "record", "-q", "-m", "8M", "-o", data, "-p", str(root),
                             *(x for e in events for x in ("-e", e))])
    time.sleep(1)
    begin = time.monotonic()
    subprocess.run(send, check=True)
    traced = (time.monotonic() - begin) / SESSIONS * 1e6
    perf.send_signal(signal.SIGINT)
    perf.wait(30)
    return plain, traced


def profile(say, source):
    if shutil.which("perf") is None:
        say("profile: no perf here")
        return
    data = servers.BENCH / "perf.data"
    plain, traced = record(source, data)
    text = subprocess.run(["perf", "script", "-i", data, "--ns", "-F", "tid,time,event,trace"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True,
                          errors="replace").stdout
    done = sessions(text)
    say(f"One message of 10 KB in a session of its own, one client, delivery held: {len(done)} "
        "sessions under systemd-socket-activate.")
    say(f"The client's view: {plain:.0f} us a message, {traced:.0f} us while traced.")
    middle = {p: statistics.median(s.spent[p] for s in done) for p in PHASES}
    total = sum(middle.values())
    say(f"{'phase':<36}{'median us':>10}{'share':>8}{'mean us':>10}")
    for phase, what in PHASES.items():
        say(f"{what:<36}{middle[phase]:>10.0f}{middle[phase] / total:>8.1%}"
            f"{statistics.mean(s.spent[phase] for s in done):>10.0f}")
    say(f"{'sum':<36}{total:>10.0f}{'':>8}{statistics.mean(s.end - s.begin for s in done):>10.0f}")
