"""Keys of DKIM for tests, the records that publish them, and two programs that verify."""
import base64
import copy
import json
import pathlib
import shutil
import subprocess

import dkim

VERIFIER = pathlib.Path(__file__).with_name("dkim-verify.pl")


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


def records(zone):
    """What dkimpy asks for names by."""
    def look_up(name, timeout=5):
        texts = zone.get((name.decode().rstrip("."), "TXT"))
        return "".join(texts[0].split('"')[1::2]).encode() if texts else None
    return look_up


def signatures(data):
    """How many there are before the first field that is none."""
    data = b"\r\n" + data
    return data[:data.index(b"\r\nReceived:")].count(b"DKIM-Signature:")


def good(data, zone):
    """Of each signature from the top: is it good, as dkimpy sees it?"""
    def verdict(i):
        try:
            return dkim.DKIM(data).verify(idx=i, dnsfunc=records(zone))
        except dkim.ValidationError:
            return False
    return [verdict(i) for i in range(signatures(data))]


def also_good(messages, port, where):
    """The same of many messages, as Mail::DKIM sees it: a list of results ("pass" ...) for each."""
    names = []
    for i, data in enumerate(messages):
        name = where / f"signed-{i}"
        name.write_bytes(data)
        names.append(str(name))
    said = subprocess.run(["perl", str(VERIFIER), str(port), *names], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in said.stdout.splitlines()]
