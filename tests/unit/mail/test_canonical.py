"""The canonical forms of messages of all kinds are what dkimpy makes of them (RFC 6376 section 3.4)."""
import random
import subprocess

import pytest

from conftest import TOP

canonical = pytest.importorskip("dkim.canonicalization")

SOURCES = ["tests/unit/mail/dkim.c", "mail/dkim.c", "mail/address.c", "mail/alabel.c", "mail/encode.c",
           "lib/buf.c", "lib/net.c"]
SEEDS = range(2000)
NAMES = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
         "Content-Transfer-Encoding", "Reply-To", "In-Reply-To", "References", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post",
         "List-Subscribe", "List-Post", "List-Owner", "List-Archive"]
OTHERS = ["Received", "X-From", "Fro", "Sender"]


# Blanks, and what others take for blanks: VT, FF, NEL, no-break space, a CR that ends no line. dkimpy takes VT, FF and
# CR for blanks at the ends of a field; there is none.
ODD = [b"a\x0bb", b"a\x0cb", b"a\r\x0b\x0c\rb", b"\x85", b"\xa0", b"\xc2\xa0", b"\xe3\x80\x80", b"\x00", b"\x07", b"\x7f"]
WORDS = [b"a", b"b", b"@", b":", b"=", b"<", b">", b'"', b"\xc3\xa9", *ODD]
BLANKS = [b" ", b"\t", b"  ", b"\t \t"]
LINES = [b"\n", b"\r", b"\x0b", b"\x0c", b".", b"a\r\r\nb"] # of a body: also at its ends
LONG = [b"ab \t" * 2500, b"a" * 10000, b" \t" * 5000, b"\xa0" * 5000]


def some(rng, parts, most):
    return b"".join(rng.choices(parts, k=rng.randint(0, most)))


def field(rng):
    """(name in lower case, octets)"""
    name = rng.choice(NAMES + OTHERS)
    written = "".join(rng.choice((c.lower(), c.upper())) for c in name).encode()
    parts = WORDS + BLANKS * 3 + ([rng.choice(LONG)] if rng.random() < 0.02 else [])
    lines = [some(rng, parts, 12), *(rng.choice(BLANKS) + some(rng, parts, rng.choice((0, 0, 12))) for _ in range(rng.randint(0, 3)))]
    end = rng.choice((b"", b"x", b" ", b"x \t", b"\r\n ", b"x\r\n\t \r\n \t"))
    return name.lower(), written + rng.choice((b":", b": ", b" \t:\t", b":\r\n ", b":\r\n\t\r\n ")) + b"\r\n".join(lines) + end + b"\r\n"


def message(seed):
    """Its fields, what parts them from the body, and that."""
    rng = random.Random(seed)
    fields = [field(rng) for _ in range(rng.randint(1, 12))]
    if rng.random() < 0.05: # a header, and perhaps not even the end of its last line
        name, octets = fields.pop()
        return [*fields, (name, octets[:-2] if rng.random() < 0.5 else octets)], b"", b""
    parts = WORDS + BLANKS * 5 + (LINES if rng.random() < 0.3 else []) + ([rng.choice(LONG)] if rng.random() < 0.1 else [])
    body = b"".join(some(rng, rng.choice((parts, BLANKS)), rng.choice((0, 10))) + b"\r\n" for _ in range(rng.randint(0, 8)))
    return fields, b"\r\n", body + rng.choice((b"", b"", b"x", b" ", b"x \t", b"\r\n\r\n", b"\t\r\n" * 3000, b"\r\n" * 5000 + b"x"))


def expected(fields, body):
    text = b""
    for name in NAMES:
        for known, octets in reversed(fields):
            if known == name.lower():
                key, value = octets.removesuffix(b"\r\n").split(b":", 1)
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
        fields, between, body = message(seed)
        text = b"".join(octets for _, octets in fields) + between + body
        texts += b"%d\n" % len(text) + text
        wanted += expected(fields, body)
    said = subprocess.run([program], input=texts, stdout=subprocess.PIPE, check=True).stdout
    for i, want in enumerate(wanted):
        size, said = said.split(b"\n", 1)
        got, said = said[:int(size)], said[int(size):]
        same = got == want # pytest would compare long ones for minutes
        assert same, f"seed {i // 2}: {got[:2000]}, not {want[:2000]}"
    assert said == b""
