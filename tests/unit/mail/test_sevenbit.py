"""A21, R68: messages as they come, converted to 7 bits, are the same to Python's email package.

Each seed makes one message, out of parts of many kinds within each other. What must stay octet for
octet is remembered while it is made, and so is whether the message can be converted at all.
"""
import base64
import email
import quopri
import random
import re
import subprocess
import tempfile
from email.header import decode_header, make_header

import pytest

from conftest import TOP
from patience import PATIENCE

SOURCES = ["tests/unit/mail/sevenbit.c", "mail/sevenbit.c", "mail/mime.c", "mail/encode.c", "mail/pieces.c",
           "mail/words.c", "mail/address.c", "lib/buf.c", "lib/net.c"]
SEEDS = range(400)
DEEPEST = 4
WORDS = {
    "us-ascii": ["hello", "a=b", "=41", "--", "."],
    "utf-8": ["Grüße", "日本語", "☃", "plain", "=C3"],
    "iso-8859-1": ["Grüße", "café", "plain", "\xa0"],
    "koi8-r": ["Привет", "мир", "plain"],
    "shift_jis": ["日本語", "ソース", "plain"], # has octets of ASCII within characters
    "utf-16": ["Grüße", "日本語", "plain"],
}
MIME = {"mime-version", "content-type", "content-transfer-encoding"}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("sevenbit") / "sevenbit"
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-g", "-I", str(TOP), "-o", str(path),
                    *(str(TOP / s) for s in SOURCES)], check=True)
    return path


def convert(program, message):
    """(what it has become, None) or (None, why not)."""
    with tempfile.TemporaryFile() as f:
        f.write(message)
        f.flush()
        p = subprocess.run([program], stdin=f, capture_output=True, check=False, timeout=PATIENCE)
    assert p.returncode in (0, 1), p.stderr
    return (p.stdout, None) if p.returncode == 0 else (None, p.stderr.decode().strip())


def is_seven(content):
    return content.isascii() and b"\0" not in content and \
        all(b"\r" not in line and b"\n" not in line and len(line) <= 998
            for line in content.split(b"\r\n"))


class Maker:
    """Makes a message. `intact`: octets that must be found in the result; `can`: it has one."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.intact = []
        self.can = True
        self.names = 0

    def chance(self, part):
        return self.random.random() < part

    # ---- content

    def line(self, charset):
        words = WORDS[charset]
        text = " ".join(self.random.choice(words) for _ in range(self.random.randrange(9)))
        if self.chance(0.1):
            text = self.random.choice(["-- ", "--b", ".", "From here", "\t", "", "x" * 998]) + text
        if self.chance(0.03):
            text = text * 150 + "."
        return text + self.random.choice(["", "", "", " ", "\t", "  "])

    def text(self, charset):
        if self.chance(0.08):
            return b""
        lines = [self.line(charset) for _ in range(self.random.randrange(1, 12))]
        return ("\r\n".join(lines) + self.random.choice(["", "\r\n", "\r\n\r\n"])).encode(charset)

    def binary(self):
        """No line of it can be a boundary, even if CR ends one."""
        raw = self.random.randbytes(self.random.choice([0, 1, 2, 3, 56, 57, 58, 500, 20000]))
        return raw.replace(b"--", b"\r\n\n\r ")

    # ---- entities: (fields, content)

    def coded(self, content):
        """A way to send the content: (name or None, as sent)."""
        way = self.random.choice([None, "7bit", "8bit", "8BIT (raw)", "binary", "Binary",
                                  "quoted-printable", "base64"])
        lines = content.split(b"\r\n")
        if way == "quoted-printable" and not any(b"\r" in x or b"\n" in x for x in lines):
            return way, b"\r\n".join(quopri.encodestring(x).replace(b"\n", b"\r\n") for x in lines)
        if way in ("base64", "quoted-printable"):
            return "base64", base64.encodebytes(content).replace(b"\n", b"\r\n")
        return way, content

    def single(self, media, content):
        way, sent = self.coded(content)
        fields = [f"Content-Type: {media}"]
        if way is not None:
            name = self.random.choice(["Content-Transfer-Encoding", "content-transfer-encoding"])
            fields.append(name + ":" + self.random.choice([" ", "", "\r\n "]) + way)
        if is_seven(sent):
            self.intact.append(sent)
        self.random.shuffle(fields)
        return fields, sent

    def leaf(self):
        if self.chance(0.3):
            name = self.random.choice(["a.bin", "b c.bin"])
            return self.single(f'application/octet-stream;\r\n name="{name}"', self.binary())
        charset = self.random.choice(list(WORDS))
        kind = self.random.choice(["plain", "html", "x-other"])
        return self.single(f'Text/{kind}; charset="{charset}"', self.text(charset))

    def boundary(self):
        """As it is, and as a parameter. Some begin like others."""
        self.names += 1
        name = self.random.choice(["b%d", "=_%d_=", "b %d:x", "----=_NextPart_%d", "b'+%d",
                                   "a" * 66 + "%d"]) % self.names
        bare = " " not in name and self.chance(0.5)
        return name, name if bare else f'"{name}"'

    def multipart(self, depth):
        kind = self.random.choice(["mixed", "alternative", "related", "digest", "signed"])
        if kind == "signed":
            return self.signed()
        name, parameter = self.boundary()
        fields = [f"Content-Type: multipart/{kind};\r\n\tboundary={parameter}; x=y"]
        if self.chance(0.5):
            fields.append("Content-Transfer-Encoding: " +
                          self.random.choice(["7bit", "8bit", "binary"]))
        preamble = self.random.choice([b"", b"\r\n", b"Not for you.\r\n"])
        epilogue = self.random.choice([b"", b"\r\n", b"\r\nbye\r\n", b"\r\n\r\n"])
        if self.chance(0.02):
            preamble = b"\xe4=\r\n"
        parts = []
        for _ in range(self.random.randrange(1, 4)):
            whole = self.message(depth + 1) if kind == "digest" else self.entity(depth + 1)
            if kind == "digest":
                whole = b"\r\n" + whole
            padding = self.random.choice([b"", b"", b" \t"])
            parts.append(b"--" + name.encode() + padding + b"\r\n" + whole)
        end = b"\r\n--" + name.encode() + b"--"
        return fields, preamble + b"\r\n".join(parts) + end + epilogue

    def signed(self):
        """What is signed stays as it is, or the message cannot be converted."""
        name, parameter = self.boundary()
        before = list(self.intact)
        charset = self.random.choice(["us-ascii", "utf-8"])
        fields, content = self.single("text/plain", self.text(charset))
        self.intact = before
        signed = "\r\n".join(fields).encode() + b"\r\n\r\n" + content
        mark = b"\r\n--" + name.encode()
        body = mark[2:] + b"\r\n" + signed + mark + b"\r\n" + \
            b"Content-Type: application/pgp-signature\r\n\r\nabc" + mark + b"--\r\n"
        self.intact.append(body)
        self.can = self.can and is_seven(body)
        return [f"Content-Type: multipart/signed; boundary={parameter}; micalg=pgp-sha1"], body

    def within(self, depth):
        """A message as a part."""
        fields = ["Content-Type: message/rfc822"]
        if self.chance(0.5):
            fields.append("Content-Transfer-Encoding: 8bit")
        return fields, self.message(depth + 1)

    def parts(self, depth):
        choice = self.random.random()
        if depth < DEEPEST and choice < 0.45 - 0.05 * depth:
            return self.multipart(depth)
        if depth < DEEPEST and choice < 0.55:
            return self.within(depth)
        return self.leaf()

    def entity(self, depth):
        fields, body = self.parts(depth)
        if self.chance(0.3):
            fields.append("Content-Description: a part\r\n folded")
        return "\r\n".join([*fields, "", ""]).encode() + body

    def message(self, depth=0):
        name, subject = "", "=?utf-8?Q?Gr=C3=BC=C3=9Fe?="
        if self.chance(0.3): # as scripts have it
            name = self.random.choice(["Jürgen", "Jürgen Müller", '"Müller, Jürgen"', "Jü M (☃ x)"]) + " "
        if self.chance(0.3):
            words = ["Grüße", "☃", "plain", "und", "=?utf-8?Q?Gr=C3=BC?=", "日本語" * 12]
            subject = self.random.choice([" ", "\r\n "]).join(
                self.random.choice(words) for _ in range(self.random.randrange(1, 8)))
        head = f"From: {name}<a@example.org>\r\nSubject: {subject}\r\n"
        if self.chance(0.15): # knows nothing of MIME
            charset = self.random.choice(["us-ascii", "utf-8", "koi8-r"])
            return head.encode() + b"\r\n" + self.text(charset)
        return head.encode() + b"MIME-Version: 1.0\r\n" + self.entity(depth)


def said(value):
    """What a reader sees: without encoded words, quotes and folds."""
    raw = value.encode("ascii", "surrogateescape").decode()
    raw = re.sub(r"\r?\n(?=[ \t])", "", raw).strip()
    return str(make_header(decode_header(raw) if raw.isascii() else of_words(raw))).replace('"', "")


def of_words(raw):
    """The same of text in which some words are encoded and others are raw."""
    parts = re.split(r"(=\?.*?\?=(?:[ \t]+=\?.*?\?=)*)", raw)
    text = "".join(str(make_header(decode_header(p))) if p.startswith("=?") else p for p in parts)
    return [(text.encode(), "utf-8")]


def fields(part):
    return [(k.lower(), said(v)) for k, v in part.raw_items() if k.lower() not in MIME]


def around(octets, quoted):
    """What stands around parts is the same, or quoted."""
    if octets is None or octets.isascii():
        return octets == quoted
    return quopri.decodestring(quoted) == octets.encode("ascii", "surrogateescape")


def check_part(one, two):
    """They differ in nothing but how they are encoded."""
    assert fields(one) == fields(two)
    assert [type(d) for d in one.defects] == [type(d) for d in two.defects]
    if one["Content-Type"] is None and two["Content-Type"] is not None:
        assert one["MIME-Version"] is None
        assert two["Content-Type"] == "text/plain; charset=unknown-8bit"
    else:
        assert one["Content-Type"] == two["Content-Type"]
        assert one["MIME-Version"] == two["MIME-Version"]
    assert around(one.preamble, two.preamble) and around(one.epilogue, two.epilogue)
    assert one.is_multipart() == two.is_multipart()
    if not one.is_multipart():
        assert one.get_payload(decode=True) == two.get_payload(decode=True)
    if one["Content-Transfer-Encoding"] != two["Content-Transfer-Encoding"]:
        assert two["Content-Transfer-Encoding"] in ("7bit", "quoted-printable", "base64")
        if two["Content-Transfer-Encoding"] != "7bit":
            assert all(len(x) <= 76 and x == x.rstrip() and not x.startswith("-")
                       for x in two.get_payload().splitlines())


@pytest.mark.parametrize("seed", SEEDS)
def test_same_content(program, seed):
    maker = Maker(seed)
    message = maker.message()
    result, why = convert(program, message)
    assert (why is None) == maker.can, why
    if result is None:
        return
    assert is_seven(result)
    if is_seven(message) and b"8bit" not in message.lower() and b"binary" not in message.lower():
        assert result == message
    for octets in maker.intact:
        assert octets in result
    one, two = (list(email.message_from_bytes(m).walk()) for m in (message, result))
    assert len(one) == len(two)
    for pair in zip(one, two):
        check_part(*pair)


def test_variety():
    """The seeds make what they are for."""
    made = [(m, m.message()) for m in map(Maker, SEEDS)]
    eight = [m for m, text in made if not is_seven(text)]
    assert len(eight) > len(SEEDS) / 2
    assert sum(m.can for m in eight) > 200 and sum(not m.can for m in eight) > 5
    assert max(len(list(email.message_from_bytes(text).walk())) for _, text in made) > 10
