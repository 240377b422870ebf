"""NSD, a real authoritative DNS server, for a zone given as internet.Dns takes it.

The program is the host's, or the one that tests/tools/need unpacked into build/peers. It runs in
the foreground as whoever runs the tests, on one address, with its files in a directory of the
caller; it writes nothing elsewhere and takes no commands.
"""
import os
import pathlib
import shutil
import subprocess

import dnslib

import patience
import ports
from peers import PEERS

BROKEN = "broken.example" # a zone that cannot be loaded: SERVFAIL

CONF = """server:
  server-count: 1
  ip-address: {address}@{port}
  username: ""
  chroot: ""
  database: ""
  hide-version: yes
  rrl-ratelimit: 0
  zonesdir: "{where}"
  xfrdfile: "{where}/xfrd.state"
  zonelistfile: "{where}/zone.list"
  pidfile: ""
  logfile: "{where}/nsd.log"
remote-control:
  control-enable: no
zone:
  name: "example"
  zonefile: "example.zone"
zone:
  name: "{broken}"
  zonefile: "absent.zone"
"""

HEAD = """$ORIGIN example.
$TTL 60
@ SOA ns.example. root.example. 1 3600 600 86400 60
@ NS ns.example.
ns A {address}
"""


def program():
    """Path of nsd and the environment it needs, or None."""
    path = shutil.which("nsd") or shutil.which("nsd", path="/usr/sbin")
    if path:
        return path, dict(os.environ)
    path = PEERS / "usr" / "sbin" / "nsd"
    if not path.exists():
        return None
    libraries = {str(p.parent) for p in PEERS.glob("**/*.so.*")}
    return str(path), {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))}


class Nsd:
    """A running server; `zone` is {(name below example, type): [text, ...]}. A `port` is the caller's;
    without one it has one of its own."""

    def __init__(self, where, zone, address="127.0.0.1", port=None):
        self.where = pathlib.Path(where)
        self.where.mkdir(exist_ok=True)
        self.own = 0 if port else ports.take()
        self.address, self.port = address, port or self.own
        lines = [f"{name}. {kind} {text}" for (name, kind), texts in zone.items()
                 for text in texts]
        (self.where / "example.zone").write_text(
            HEAD.format(address=address) + "\n".join(lines) + "\n")
        (self.where / "nsd.conf").write_text(CONF.format(
            address=address, port=self.port, where=self.where, broken=BROKEN))
        path, environment = program()
        self.process = subprocess.Popen([path, "-d", "-c", str(self.where / "nsd.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=environment)
        try:
            self.wait()
        except AssertionError:
            self.close()
            raise

    def ask(self, name, kind, tcp=False, seconds=patience.PATIENCE):
        query = dnslib.DNSRecord.question(name, kind)
        return dnslib.DNSRecord.parse(
            query.send(self.address, self.port, tcp=tcp, timeout=seconds))

    def answers(self):
        try:
            return self.ask("example", "SOA", seconds=1).rr
        except OSError:
            return None

    def wait(self):
        patience.until(lambda: self.process.poll() is not None or self.answers())
        log = self.where / "nsd.log"
        assert self.process.poll() is None, log.read_text() if log.exists() else "nsd ended, without a log"

    def close(self):
        """Its files stay, and a `port` that is the caller's."""
        self.process.terminate()
        try:
            self.process.wait(patience.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        ports.give_back(self.own)
