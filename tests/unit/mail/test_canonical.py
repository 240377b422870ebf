"""The canonical forms of messages of all kinds are what dkimpy makes of them (RFC 6376 section 3.4)."""
import random
import subprocess

import pytest

from conftest import TOP

canonical = pytest.importorskip("dkim.canonicalization")

SOURCES = ["tests/unit/mail/dkim.c", "mail/dkim.c", "mail/address.c", "mail/alabel.c", "mail/encode.c",
           "lib/buf.c", "lib/net.c"]
SEEDS = range(2000)
NAMES = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Reply-To",
         "In-Reply-To", "References", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post",
         "List-Subscribe", "List-Post", "List-Owner", "List-Archive"]
OTHERS = ["Received", "X-From", "Fro", "Sender"]


def some(rng, alphabet, most):
    return "".join(rng.choices(alphabet, k=rng.randint(0, most))).encode()


def field(rng):
    """(name in lower case, octets)"""
    name = rng.choice(NAMES + OTHERS)
    written = "".join(rng.choice((c.lower(), c.upper())) for c in name).encode()
    lines = [some(rng, "ab@:=<>\" \t\t  \x07é", 12) for _ in range(rng.randint(1, 4))]
    value = b"\r\n".join([lines[0], *(rng.choice((b" ", b"\t")) + line + b"x" for line in lines[1:])])
    return name.lower(), written + rng.choice((b":", b": ", b" \t:\t")) + value + b"\r\n"


def message(seed):
    """Its fields, and its body."""
    rng = random.Random(seed)
    fields = [field(rng) for _ in range(rng.randint(1, 12))]
    body = b"".join(some(rng, "ab.  \t", 10) + b"\r\n" for _ in range(rng.randint(0, 8)))
    return fields, body + rng.choice((b"", b"", b"x", b" ", b"\r\n\r\n"))


def expected(fields, body):
    text = b""
    for name in NAMES:
        for known, octets in reversed(fields):
            if known == name.lower():
                key, value = octets.split(b":", 1)
                [(key, value)] = canonical.Relaxed.canonicalize_headers([(key.strip(), value)])
                text += key + b":" + value
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n" # as it goes out
    return text + b"x:", canonical.Relaxed.canonicalize_body(body)


def test_as_dkimpy(tmp_path):
    program = tmp_path / "dkim"
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-g", "-I", str(TOP), "-o", str(program),
                    *(str(TOP / s) for s in SOURCES), "-lidn2"], check=True)
    texts, wanted = b"", []
    for seed in SEEDS:
        fields, body = message(seed)
        text = b"".join(octets for _, octets in fields) + b"\r\n" + body
        texts += b"%d\n" % len(text) + text
        wanted += expected(fields, body)
    said = subprocess.run([program], input=texts, stdout=subprocess.PIPE, check=True).stdout
    for i, want in enumerate(wanted):
        size, said = said.split(b"\n", 1)
        got, said = said[:int(size)], said[int(size):]
        assert got == want, (i // 2, message(i // 2))
    assert said == b""
