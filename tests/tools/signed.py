"""DNSSEC, whole: a signed root and zones below it, served by NSD, and Unbound, which validates them from the root's
key on. Zones are given as internet.Dns takes them, and signed by ldns-signzone; what is served may be changed behind
that, as somebody in between would.
"""
import pathlib
import shutil
import subprocess

import dnslib

import nsd
import patience
import ports
from peers import PEERS, do_without

NSD = """server:
  server-count: 1
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  database: ""
  rrl-ratelimit: 0
  zonesdir: "{where}"
  xfrdfile: "{where}/xfrd.state"
  zonelistfile: "{where}/zone.list"
  pidfile: ""
  logfile: "{where}/nsd.log"
remote-control:
  control-enable: no
"""

UNBOUND = """server:
  directory: ""
  chroot: ""
  username: ""
  pidfile: ""
  logfile: "{where}/unbound.log"
  use-syslog: no
  interface: {address}@{port}
  port: {port}
  outgoing-interface: 127.0.0.1
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{where}/root.key"
  root-hints: ""
  num-threads: 1
  infra-host-ttl: 1
  qname-minimisation: no
  harden-referral-path: no
  val-log-level: 2
  local-zone: "example." nodefault
  local-zone: "invalid." nodefault
  edns-buffer-size: 1232
remote-control:
  control-enable: no
"""

SOA = "ns.example. root.example. 1 3600 600 86400 60"
ALGORITHM = "ECDSAP256SHA256"


def find(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin") or next(
        (str(p) for p in [PEERS / "usr" / "sbin" / name, PEERS / "usr" / "bin" / name] if p.exists()), None)


def need():
    """For a module of tests that are about signed zones."""
    programs = {"nsd": nsd.program(), "unbound": find("unbound"),
                "ldnsutils": all(map(find, ("ldns-signzone", "ldns-keygen", "ldns-key2ds")))}
    for name, there in programs.items():
        if not there:
            do_without(name, whole_module=True)


def is_within(name, zone):
    return zone == "" or name == zone or name.endswith("." + zone)


class Signed:
    """`zones` are the names of those that are signed, `unsigned` of those that are not; records of `records`, which is
    {(name, type): [text, ...]}, are in the deepest zone that the name is in. `change` gets the text of each signed
    zone, and gives what is served."""

    def __init__(self, where, records, zones=("example",), unsigned=("unsigned",), change=None, address="127.0.0.1"):
        self.address = address
        self.where = pathlib.Path(where)
        self.where.mkdir(exist_ok=True)
        self.started = []
        self.servers, self.port = ports.take(), ports.take()
        self.environment = nsd.program()[1]
        ordered = sorted([*zones, *unsigned], key=lambda z: -z.count(".")) # those below before those above
        texts = {z: [] for z in [*ordered, ""]}
        for (name, kind), values in records.items():
            zone = next(z for z in [*ordered, ""] if is_within(name, z))
            texts[zone] += [f"{name}. {kind} {value}" for value in values]
        for zone in [*ordered, ""]:
            above = next((z for z in [*ordered, ""] if z != zone and is_within(zone, z)), "")
            if zone:
                texts[above].append(f"{zone}. NS ns.{zone}.")
                texts[zone].append(f"ns.{zone}. A 127.0.0.1")
                texts[above].append(f"ns.{zone}. A 127.0.0.1")
            self.write(zone, texts[zone])
            if zone not in unsigned:
                self.sign(zone, texts[above] if zone else None)
                if change is not None:
                    path = self.path(zone)
                    path.write_text(change(zone, path.read_text()))
        self.serve([*ordered, ""])

    def path(self, zone):
        return self.where / f"{zone or 'root'}.zone"

    def run(self, *words):
        p = subprocess.run([find(words[0]), *map(str, words[1:])], cwd=self.where, env=self.environment, check=False,
                           capture_output=True, text=True, timeout=patience.PATIENCE)
        assert p.returncode == 0, f"{words}: {p.stderr}"
        return p.stdout

    def write(self, zone, lines):
        head = [f"$ORIGIN {zone}.", "$TTL 60", f"@ SOA {SOA}", f"@ NS ns{'.' + zone if zone else '.example'}."]
        self.path(zone).write_text("\n".join(head + lines) + "\n")

    def sign(self, zone, above):
        """One key does all; its digest stands in the zone above, or is what the resolver begins with."""
        key = self.run("ldns-keygen", "-k", "-a", ALGORITHM, f"{zone}.").strip()
        self.run("ldns-signzone", "-f", self.path(zone), self.path(zone), key)
        text = (self.where / f"{key}.key").read_text()
        if above is None:
            (self.where / "root.key").write_text(text)
        else:
            above.append(self.run("ldns-key2ds", "-n", "-2", f"{key}.key").strip())

    def serve(self, zones):
        conf = NSD.format(port=self.servers, where=self.where)
        for zone in zones:
            conf += f'zone:\n  name: "{zone}."\n  zonefile: "{self.path(zone).name}"\n'
        (self.where / "nsd.conf").write_text(conf)
        conf = UNBOUND.format(address=self.address, port=self.port, where=self.where)
        for zone in zones:
            conf += f'stub-zone:\n  name: "{zone}."\n  stub-addr: 127.0.0.1@{self.servers}\n'
        (self.where / "unbound.conf").write_text(conf)
        try:
            self.begin(nsd.program()[0], "-d", "-c", self.where / "nsd.conf")
            self.begin(find("unbound"), "-d", "-c", self.where / "unbound.conf")
            patience.until(lambda: self.is_secure("ns.example") or any(p.poll() is not None for p in self.started))
            assert all(p.poll() is None for p in self.started), self.witness()
        except BaseException:
            self.close()
            raise

    def begin(self, *words):
        with open(self.where / "output", "ab") as out:
            self.started.append(subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                 env=self.environment))

    def ask(self, name, kind, seconds=patience.PATIENCE):
        query = dnslib.DNSRecord.question(name, kind)
        query.header.ad = 1
        return dnslib.DNSRecord.parse(query.send(self.address, self.port, timeout=seconds))

    def is_secure(self, name, kind="A"):
        """Is it validated?"""
        try:
            return self.ask(name, kind, 2).header.ad == 1
        except OSError:
            return False

    def witness(self):
        return "\n".join(f"{p.name}:\n{p.read_text()[-10000:]}" for p in sorted(self.where.glob("*"))
                         if p.name in ("output", "nsd.log", "unbound.log"))

    def close(self):
        for p in self.started:
            p.terminate()
        for p in self.started:
            try:
                p.wait(patience.PATIENCE)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        ports.give_back(self.servers)
        ports.give_back(self.port)
