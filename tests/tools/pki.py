"""Certificates for tests, made by the openssl program.

A certificate may be forged: octets of it are changed and it is signed anew, for names that no honest
program would write.
"""
import base64
import pathlib
import subprocess

from patience import PATIENCE


def openssl(*arguments, stdin=b""):
    p = subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=False, timeout=PATIENCE,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0, p.stderr.decode()
    return p.stdout


def der(pem):
    return base64.b64decode("".join(x for x in pem.read_text().splitlines() if "-----" not in x))


def element(data):
    """The first element of DER: (all its octets, its contents, what follows)."""
    head, length = 2, data[1]
    if length & 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[2:head], "big")
    return data[:head + length], data[head:head + length], data[head + length:]


def sequence(tag, contents):
    length = len(contents).to_bytes(3, "big").lstrip(b"\0") or b"\0"
    if len(contents) >= 0x80:
        length = bytes([0x80 | len(length)]) + length
    return bytes([tag]) + length + contents


class Pki:
    """An authority and what it signed: `name`.pem is a certificate with its key."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority("ca")
        self.issue("server", "/CN=mx.test.example",
                   "DNS:mx.test.example,DNS:localhost,IP:127.0.0.1", usage="serverAuth")

    def path(self, name):
        return self.directory / f"{name}.pem"

    def key(self, name):
        path = self.directory / f"{name}.key"
        if not path.exists():
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-out", path)
        return path

    def authority(self, name):
        openssl("req", "-x509", "-new", "-key", self.key(name), "-subj", f"/CN={name}",
                "-days", 30, "-addext", "keyUsage=critical,keyCertSign", "-out", self.path(name))

    def issue(self, name, subject, alternative=None, usage="clientAuth", ca="ca", days=30):
        """days=-1: it has expired."""
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"extendedKeyUsage={usage}\n" +
                              (f"subjectAltName={alternative}\n" if alternative else ""))
        request = openssl("req", "-new", "-key", self.key(name), "-subj", subject)
        openssl("x509", "-req", "-CA", self.path(ca), "-CAkey", self.key(ca), "-days", days,
                "-extfile", extensions, "-out", self.path(name), stdin=request)
        self.append_key(name)

    def append_key(self, name):
        path = self.path(name)
        path.write_text(path.read_text() + self.key(name).read_text())

    def forge(self, name, old, new, ca="ca"):
        """Writes `new` over `old` in the certificate, and signs it again."""
        assert len(old) == len(new)
        self.path(name).write_bytes(openssl("x509", "-in", self.path(name)))
        signed, rest = element(element(der(self.path(name)))[1])[0::2]
        assert old in signed
        signed = signed.replace(old, new)
        signature = openssl("dgst", "-sha256", "-sign", self.key(ca), stdin=signed)
        whole = sequence(0x30, signed + element(rest)[0] + sequence(0x03, b"\0" + signature))
        self.path(name).write_bytes(openssl("x509", "-inform", "DER", stdin=whole))
        self.append_key(name)
