"""Keys of DKIM for tests, the records that publish them, and three programs that verify."""
import base64
import copy
import json
import os
import pathlib
import re
import shutil
import subprocess

import dkim

VERIFIER = pathlib.Path(__file__).with_name("dkim-verify.pl")
OPENDKIM = pathlib.Path(__file__).resolve().parents[2] / "build" / "peers" / "opendkim"


class Key:
    """A private key in a file, and its record."""

    def __init__(self, where, selector, kind, bits=2048):
        self.selector, self.kind = selector, kind
        self.path = where / f"{selector}.pem"
        options = ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"] if kind == "rsa" \
            else ["-algorithm", "ED25519"]
        subprocess.run(["openssl", "genpkey", *options, "-out", self.path], check=True, capture_output=True)
        self.path.chmod(0o644)
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        public = base64.b64encode(der if kind == "rsa" else der[-32:]).decode()
        self.record = f"v=DKIM1; k={'rsa' if kind == 'rsa' else 'ed25519'}; p={public}"

    def copied(self, where):
        """The same, in a file that a test may spoil."""
        twin = copy.copy(self)
        twin.path = pathlib.Path(shutil.copy(self.path, where))
        return twin

    def publish(self, zone, domain):
        halves = self.record[:200], self.record[200:]
        zone[(f"{self.selector}._domainkey.{domain}", "TXT")] = [" ".join(f'"{h}"' for h in halves if h)]


def published(zone):
    """{name: text} of the records that are keys."""
    return {name: "".join(texts[0].split('"')[1::2]) for (name, kind), texts in zone.items()
            if kind == "TXT" and "._domainkey." in name}


def records(zone):
    """What dkimpy asks for names by."""
    def look_up(name, timeout=5):
        text = published(zone).get(name.decode().rstrip("."))
        return text.encode() if text else None
    return look_up


def signatures(data):
    """How many there are before the first field that is none."""
    data = b"\r\n" + data
    return data[:data.index(b"\r\nReceived:")].count(b"DKIM-Signature:")


def alone(data, number):
    """The message with this signature of those on top, and none of the others."""
    at = data.index(b"Received:")
    field = re.compile(rb"^DKIM-Signature:.*?\r\n(?![ \t])", re.S | re.M)
    return field.findall(data[:at])[number] + field.sub(b"", data[:at]) + data[at:]


def good_one(data, number, zone):
    """Is this signature, counted from the top, good, as dkimpy sees it?"""
    try:
        return dkim.DKIM(data).verify(idx=number, dnsfunc=records(zone))
    except dkim.DKIMException:
        return False


def good(data, zone):
    """The same of each."""
    return [good_one(data, i, zone) for i in range(signatures(data))]


def perl():
    return subprocess.run(["perl", "-MMail::DKIM::Verifier", "-e", "1"], check=False,
                          capture_output=True).returncode == 0


def good_by_perl(messages, port, where):
    """The same of the first signature of many messages, as Mail::DKIM sees it: its Debian version knows RSA alone,
    and that is the first.
    """
    names = []
    for i, data in enumerate(messages):
        name = where / f"signed-{i}"
        name.write_bytes(data)
        names.append(str(name))
    said = subprocess.run(["perl", str(VERIFIER), str(port), *names], check=True, capture_output=True, text=True)
    return [[result == "pass" for result in json.loads(line)[:1]] for line in said.stdout.splitlines()]


def opendkim():
    """Its path, as tests/tools/need unpacked it, and the environment it needs; or None."""
    program = OPENDKIM / "usr" / "sbin" / "opendkim"
    if not program.exists():
        return None
    libraries = {str(p.parent) for p in OPENDKIM.glob("**/*.so.*")}
    return program, {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def good_by_opendkim(messages, zone, where):
    """The same of all signatures of many messages, as opendkim sees it. It says one thing of a message, and is content
    if one signature is good: so it gets each of them alone. What it cannot read is not good, and ends it.
    """
    program, environment = opendkim()
    (where / "keys.txt").write_text("".join(f"{name} {text}\n" for name, text in published(zone).items()))
    (where / "opendkim.conf").write_text(f"Mode v\nTestPublicKeys {where}/keys.txt\nTemporaryDirectory {where}\n")
    names = [[str(where / f"alone-{m}-{i}") for i in range(signatures(data))] for m, data in enumerate(messages)]
    for data, its in zip(messages, names, strict=True):
        for i, name in enumerate(its):
            pathlib.Path(name).write_bytes(alone(data, i))
    verdicts = {}
    while left := [name for its in names for name in its if name not in verdicts]:
        said = subprocess.run([program, "-x", where / "opendkim.conf", "-t", ",".join(left)], check=False,
                              capture_output=True, text=True, errors="replace", env=environment)
        found = dict(re.findall(r"^opendkim: (\S+): verification .*?(succeeded|failed)", said.stdout + said.stderr, re.M))
        verdicts |= found | ({left[len(found)]: "unread"} if len(found) < len(left) else {})
    return [[verdicts[name] == "succeeded" for name in its] for its in names]


def verdicts(messages, world, where):
    """What each verifier that is there says of messages: {its name: [[is it good?, of each signature], ...]}."""
    found = {"dkimpy": [good(data, world.zone) for data in messages]}
    if perl():
        found["Mail::DKIM"] = good_by_perl(messages, world.dns.port, where)
    if opendkim():
        found["opendkim"] = good_by_opendkim(messages, world.zone, where)
    return found
