"""Messages of every shape that mail has, the same ones each time.

Text(name, data, chunked): lines end with CRLF, dots are as they are; what DATA cannot carry
(no line end at the end) is chunked. No bare CR or LF, no NUL: that is what is valid besides BINARYMIME.
"""
import base64
import random
import string
from typing import NamedTuple

SEED = 5321
LINE = 998     # octets of a line without its end (RFC 5321 section 4.5.3.1.6)
HUGE = 50_000_000
ANY = bytes(b for b in range(1, 256) if b not in b"\r\n")
UTF8 = "Grüße, Ελληνικά, кириллица, 漢字, עברית, 😀"


class Text(NamedTuple):
    name: str
    data: bytes
    chunked: bool = False


def message(*lines, subject="x"):
    body = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return b"\r\n".join([f"Subject: {subject}".encode(), b"From: <a@sender.example>",
                         b"Date: Tue, 24 Nov 2026 12:00:00 +0000",
                         b"Message-ID: <1@sender.example>", b"", *body, b""])


def words(rng, n):
    return " ".join("".join(rng.choices(string.ascii_letters, k=rng.randint(1, 12)))
                    for _ in range(n))


def field(rng, number):
    folds = "".join("\r\n" + rng.choice(" \t") + words(rng, 5) for _ in range(rng.randint(0, 3)))
    return f"X-Field-{number}: {words(rng, 4)}{folds}"


def random_text(rng):
    """Fields, some of them folded, and lines of any length that begin and end with anything."""
    fields = [field(rng, n) for n in range(rng.randint(0, 40))]
    lines = [rng.choice(["", ".", "..", " ", "\t", "-- ", "From "]) +
             words(rng, rng.randint(0, 40)) + rng.choice(["", "", " ", ".", "\t"])
             for _ in range(rng.randint(0, 200))]
    return message(*lines, subject="\r\n".join(["random", *fields]))


def octets(rng, n, length):
    return [bytes(rng.choices(ANY, k=length)) for _ in range(n)]


def chosen(rng):
    """Those with a name for what they have."""
    dots = [".", "..", "...", ".a", "..a", "a.", ". ", " .", "", ".", ""]
    mime = base64.encodebytes(rng.randbytes(30_000)).decode().splitlines()
    return {
        "one-line": message("hello"),
        "empty-body": message(),
        "header-only": message()[:-2],
        "one-empty-line": message(""),
        "empty-lines": message(*[""] * 50),
        "ends-with-empty-lines": message("a", "", "", ""),
        "dots": message(*dots),
        "a-dot": message("."),
        "dots-only": message(*["."] * 500),
        "dot-on-top": message(".", "a"),
        "dot-below": message("a", "."),
        "dots-long": message("." * LINE),
        "long-997": message("a" * (LINE - 1), "b"),
        "long-998": message("a" * LINE, "b" * LINE),
        "long-998-dot": message("." + "a" * (LINE - 1)),
        "long-998-octets": message(*octets(rng, 20, LINE)),
        "long-field": message("a", subject="a" * (LINE - len("Subject: "))),
        "long-field-folded": message("a", subject="a" + ("\r\n\t" + "b" * 900) * 20),
        "many-fields": message("a", subject="\r\n".join(["x", *(field(rng, n) for n in range(500))])),
        "from-lines": message("From here on", "", "From a@b Tue Nov 24 12:00:00 2026", ">From x"),
        "white-space": message(" a", "a ", "\ta\t", " ", "\t", "  ", ""),
        "controls": message(*(bytes([b]) * 3 for b in ANY if b < 32 or b == 127)),
        "eight-bit": message(*(bytes([b]) * 40 for b in range(128, 256))),
        "utf-8": message(UTF8, UTF8 * 10),
        "utf-8-field": message("a", subject=UTF8),
        "octets": message(*octets(rng, 200, 100)),
        "looks-like-smtp": message("QUIT", "MAIL FROM:<a@b>", "DATA", "RSET", "BDAT 3 LAST"),
        "looks-like-fields": message("Received: from a by b; c", "Return-Path: <x@y>", "", "a: b"),
        "looks-like-queue": message("End: 00000000000000000001 00000000 a", "Postern-Message: 1"),
        "mime": message("--b", "Content-Transfer-Encoding: base64", "", *mime, "--b--",
                        subject="x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b"),
        "a-megabyte": message(*["0123456789abcdef" * 4] * 16_000),
    }


def varied(seed=SEED):
    rng = random.Random(seed)
    return [*(Text(name, data) for name, data in chosen(rng).items()),
            *(Text(f"random-{n}", random_text(rng)) for n in range(80)),
            Text("no-line-end", message("a", "b")[:-2], chunked=True),
            Text("no-line-end-dot", message("a", ".")[:-2], chunked=True),
            Text("no-line-end-8bit", message("a", b"\xe9")[:-2], chunked=True)]


def huge(line=b"0123456789" * 40, size=HUGE):
    """With a dot on top of every line."""
    line = b"." + line + b"\r\n"
    return Text("huge", message() + line * (size // len(line)))


def tiny(n):
    return [Text(f"tiny-{i}", message(str(i), subject=str(i))) for i in range(n)]
