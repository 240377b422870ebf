"""Configuration, certificate and program replaced while clients come.

A busy smtpd (--listen) has SWAP_RATE (500) connections a second for SWAP_SECONDS (24), or as many as the machine
can do, each of which notes when it began, when it was greeted, and by what: the name of the host is the
configuration's, the version the program's. Beside them a client looks at the certificate, one connection after the
other. Each second something is replaced, in turn, by a file of another content in its place. Told are, for each of
the three: how long it took at most until somebody was served by what is new, and how long behind the change the last
connection began that still saw what was before. Exit status 1 if one connection failed, or either took a second.

Needs root, to be somebody else.
"""
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import sessions
from sessions import NOBODY, TOP

import client # noqa: E402
import pki # noqa: E402
import ports # noqa: E402

CLIENTS = 20
BOUND = 1000 # ms
KINDS = ("configuration", "certificate", "program")


def now():
    return time.monotonic() * 1000


class Looker(threading.Thread):
    """Looks at the certificate, over and over."""

    def __init__(self, port):
        super().__init__()
        self.port, self.seen, self.failed, self.over = port, [], [], False

    def run(self):
        while not self.over:
            begun = now()
            try:
                c = client.Client(socket.create_connection(("127.0.0.1", self.port), 30))
                assert c.reply()[:3] == "220"
                c.hello()
                c.starttls()
                self.seen.append((begun, now(), c.sock.getpeercert(True)))
                assert c.ask("QUIT")[:3] == "221"
                c.file.close()
                c.sock.close()
            except (OSError, AssertionError) as e:
                self.failed.append(repr(e))


class Place:
    """What is replaced, and by what. Each value is another one."""

    def __init__(self, lab):
        self.where = lab.where
        (self.where / "pki").mkdir()
        self.made = pki.Pki(self.where / "pki")
        self.built = (TOP / "build/smtpd").read_bytes()
        self.version = re.search(rb"ESMTP Postern (\d+\.\d+\.\d)", self.built)[1]

    def put(self, name, content, mode=0o600):
        new = self.where / ".new"
        new.write_bytes(content)
        new.chmod(mode)
        os.chown(new, NOBODY, NOBODY)
        new.rename(self.where / name)

    def configuration(self, n):
        self.put("postern.conf", f"hostname = swap{n}.example\nspool = {self.where}/spool\nruntime = {self.where}/run\n"
                 f"log = none\nmax_connections = 0\ntls_certificate = {self.where}/server.pem\n".encode())
        return f"swap{n}.example"

    def certificate(self, n):
        name = f"swap{n}"
        self.made.issue(name, f"/CN={name}.example", f"DNS:{name}.example", usage="serverAuth")
        text = self.made.path(name).read_text()
        self.put("server.pem", text.encode())
        return ssl.PEM_cert_to_DER_cert(re.search(r"-----BEGIN CERT.*?-----END CERTIFICATE-----\n", text, re.S)[0])

    def another_program(self, n):
        version = self.version[:-1] + str(n % 10).encode()
        self.put("smtpd", self.built.replace(b"Postern " + self.version, b"Postern " + version), 0o755)
        return version.decode()

    def swap(self, kind, n):
        """The value that is in force from then on."""
        return {"configuration": self.configuration, "certificate": self.certificate,
                "program": self.another_program}[kind](n)


def judge(seen, changes, end):
    """[(begun, greeted, value)], [(from, when, value)]: for each change, when the first had it, and when the last began
    that had not. Until the change behind it, which those may see already that began just before. And how many: those
    that were BOUND before the end."""
    first, last = [], []
    for i, (_, when, value) in enumerate(changes):
        if when + BOUND >= end:
            break
        until, _, following = changes[i + 1] if i + 1 < len(changes) else (float("inf"), None, None)
        mine = [(b, g, v) for b, g, v in seen if when <= b < until]
        first.append(min((g for _, g, v in mine if v == value), default=float("inf")) - when)
        last.append(max((b for b, _, v in mine if v not in (value, following)), default=when) - when)
    return max(first, default=BOUND), max(last, default=BOUND), len(first)


def wait_for(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 30).close()
        except ConnectionRefusedError:
            time.sleep(0.05)


def run(lab, rate, duration):
    place, port = Place(lab), ports.take()
    for kind in KINDS:
        place.swap(kind, 0)
    subprocess.run(["cc", "-O2", "-o", lab.where / "load", TOP / "tests/bench/load.c", "-lssl",
                    "-lcrypto"], check=True)
    server = subprocess.Popen([lab.where / "smtpd", "-c", lab.where / "postern.conf", "--listen", f"127.0.0.1:{port}"],
                              stdin=subprocess.DEVNULL, user=NOBODY, group=NOBODY, extra_groups=[])
    try:
        wait_for(port)
        looker = Looker(port)
        looker.start()
        out = lab.where / "seen"
        with open(out, "wb") as f:
            load = subprocess.Popen([lab.where / "load", str(rate * duration), str(CLIENTS), str(port), "quit", str(rate)],
                                    stdout=f)
        changes = {kind: [] for kind in KINDS}
        n = 0
        while load.poll() is None:
            time.sleep(1)
            n += 1
            kind = KINDS[n % 3]
            begun = now()
            value = place.swap(kind, n)
            changes[kind].append((begun, now(), value))
        looker.over = True
        looker.join()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    *lines, speed = out.read_text().splitlines()
    greeted = [re.fullmatch(r"(\S+) (\S+) 220 (\S+) ESMTP Postern (\S+)", line).groups() for line in lines]
    end = max(float(b) for b, *_ in greeted)
    seen = {"configuration": [(float(b), float(g), h) for b, g, h, _ in greeted],
            "program": [(float(b), float(g), v) for b, g, _, v in greeted], "certificate": looker.seen}
    print(f"{len(greeted)} connections, {float(speed):.0f}/s, {len(looker.seen)} with TLS; "
          f"{rate * duration - len(greeted) + len(looker.failed)} failed; load {os.getloadavg()[0]:.1f}",
          *looker.failed[:5], sep="\n" if looker.failed else "")
    bad = load.returncode != 0 or looker.failed
    for kind in KINDS:
        first, last, times = judge(seen[kind], changes[kind], end)
        print(f"{kind:<14}{times:>4} times; in force after {first:.0f} ms at most, "
              f"the last that began without it {last:.0f} ms behind the change")
        bad = bad or max(first, last) >= BOUND
    return 1 if bad else 0


def main():
    rate, duration = (int(os.environ.get(k, d)) for k, d in (("SWAP_RATE", 500), ("SWAP_SECONDS", 24)))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", "/var/tmp")) as where:
        return run(sessions.Lab(pathlib.Path(where)), rate, duration)


sys.exit(main())
