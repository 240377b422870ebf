"""NSD, a real authoritative DNS server, for a zone given as internet.Dns takes it.

The program is the host's, or the one that tests/tools/need unpacked into build/peers. It runs in
the foreground as whoever runs the tests, on one address, with its files in a directory of the
caller; it writes nothing elsewhere and takes no commands.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import time

import dnslib

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


def free_port(address):
    """One that is free for UDP and TCP."""
    for _ in range(50):
        with socket.create_server((address, 0)) as tcp, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            port = tcp.getsockname()[1]
            try:
                udp.bind((address, port))
                return port
            except OSError:
                pass
    raise OSError("no port is free for UDP and TCP")


class Nsd:
    """A running server; `zone` is {(name below example, type): [text, ...]}."""

    def __init__(self, where, zone, address="127.0.0.1", port=None):
        self.where = pathlib.Path(where)
        self.where.mkdir(exist_ok=True)
        self.address, self.port = address, port or free_port(address)
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

    def ask(self, name, kind, tcp=False, seconds=1):
        query = dnslib.DNSRecord.question(name, kind)
        return dnslib.DNSRecord.parse(
            query.send(self.address, self.port, tcp=tcp, timeout=seconds))

    def wait(self):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.ask("example", "SOA").rr:
                    return
            except OSError:
                time.sleep(0.05)
        log = self.where / "nsd.log"
        raise AssertionError("nsd does not answer: " +
                             (log.read_text() if log.exists() else "no log"))

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
