"""Secrets in the file of users, of each kind: what is nearly right is wrong; and what a check costs.

The lines are made here, by another implementation than the one that reads them.
"""
import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess

import pytest

from conftest import TOP
from scram import Scram, b64
from test_auth import OK, REFUSED, Ears, exported, hashed

PASSWORD = "secret of many"
PLACES = {"front": 0, "middle": 0.5, "end": 1}
# The same password by crypt(5): what it begins with, and the octets that are compared.
CRYPT = {
    "md5": ("$1$saltsalt$", "HtgtTMoC6xuV./JQTPjQL."),
    "sha256": ("$5$rounds=1000$saltsalt$", "Vn77Ql0SI.ascD7cisSS4QZwx4aQHH6O1TvH8lXxt9B"),
    "sha512": ("$6$rounds=1000$saltsalt$", "l/xjX0RSg3pHjGr.6hnscPA7NkTGPALbPXSHZ.TIaoAplv2EFxkSKPux"
                                           "gESmbuiI4ZcaFPA5mCnGIXLh57.ww/"),
    "bcrypt": ("$2b$04$saltsaltsaltsaltsaltse", "4zBQ5gToYTaBDFIP2aiYMqJOKj.8gKy"),
    "yescrypt": ("$y$j75$saltsaltsaltsalt$", "C.2Uu/.YUKV.6wMWy0.V9cR6vl/5vjf.hSs9VdEQTlA"),
    "gost": ("$gy$j75$saltsaltsaltsalt$", "Q5OtfWjWcNF3LrvLPTxmvcq9ZzvcZ6l4ENlnA4NyYe/"),
    "scrypt": ("$7$4/....1....saltsalt$", "LYbf1L.2wSjkKv2iXhfyGxDNQ6ubUpCc46t4C4UBx07"),
}
SCRAM = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


def changed(text, place):
    """One of it is another, in the front, in the middle or at the end."""
    at = round((len(text) - 1) * PLACES[place])
    if isinstance(text, bytes):
        return text[:at] + bytes([text[at] ^ 1]) + text[at + 1:]
    return text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1:]


def scram_line(kind, spoil=None, place=None):
    """A secret of SCRAM; `spoil` is the part of it that is not quite right."""
    name = SCRAM[kind]
    parts = {"salt": b"salt of many", "stored": b"", "server": b""}
    salted = hashlib.pbkdf2_hmac(name, PASSWORD.encode(), parts["salt"], 4096)
    parts["stored"] = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
    parts["server"] = hmac.digest(salted, b"Server Key", name)
    if spoil:
        parts[spoil] = changed(parts[spoil], place)
    return f"{{{kind}}}4096," + ",".join(b64(part) for part in parts.values())


class LogIn:
    """By one mechanism."""

    def __init__(self, secure, mechanism):
        self.secure, self.mechanism, self.ears = secure, mechanism, Ears()
        self.binding = None

    def check_refused(self, lines, *tries):
        """What becomes of each (name, password) with this file, in as many sessions as there must be.
        Each ends with the right password, which must get in: so what was refused was looked at."""
        users = self.secure.where / "users"
        users.write_text("\n".join(lines) + "\n")
        self.secure.settings["auth_users"] = users
        for i in range(0, len(tries), 2): # three at once end a session
            c = self.start()
            for name, password in tries[i:i + 2]:
                assert self(c, name, password) == REFUSED, (name, password)
            assert self(c, "right", PASSWORD) == OK
            c.end()

    def start(self):
        if self.mechanism.endswith("-PLUS"):
            c, self.binding = exported(self.secure, "-tls1_3")
            return c
        return self.secure.meet(auth_clear="yes")

    def __call__(self, c, name, password):
        if self.mechanism == "PLAIN":
            return self.ears.plain(c, name, password)
        if self.mechanism == "LOGIN":
            return self.ears.login(c, name, password)
        return self.ears.scram(c, self.mechanism, name, password, binding=self.binding)[0]


NEARLY = [changed(PASSWORD, place) for place in PLACES] + [PASSWORD[:-1], PASSWORD + "x", PASSWORD[1:]]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("kind", list(CRYPT))
def test_nearly_right_crypt(secure, kind, mechanism):
    """M1, R70: one octet of the hash, or of what is typed, is another."""
    begin, rest = CRYPT[kind]
    lines = [f"{place}:{begin}{changed(rest, place)}" for place in PLACES]
    lines.append(f"right:{begin}{rest}")
    LogIn(secure, mechanism).check_refused(lines, *((place, PASSWORD) for place in PLACES),
                                           *(("right", p) for p in NEARLY))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1",
                                       "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_nearly_right_scram(secure, mechanism):
    """M1, R70: likewise; PLAIN and LOGIN use the secret of SCRAM-SHA-256. One that is right stands in
    front of those that are not."""
    kind = mechanism.removesuffix("-PLUS") if mechanism.startswith("SCRAM") else "SCRAM-SHA-256"
    spoilt = [(spoil, place) for spoil in ("stored", "salt") for place in PLACES]
    lines = [f"{spoil}-{place}:{scram_line(kind, spoil, place)}" for spoil, place in spoilt]
    lines.insert(0, f"right:{scram_line(kind)}")
    LogIn(secure, mechanism).check_refused(lines, *((f"{s}-{place}", PASSWORD) for s, place in spoilt),
                                           *(("right", p) for p in NEARLY))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mechanism", list(SCRAM))
def test_nearly_right_proof(secure, mechanism, place):
    """M1, R70: one octet of what the client proves itself with is another."""
    (secure.where / "users").write_text(f"right:{scram_line(mechanism)}\n")
    secure.settings["auth_users"] = secure.where / "users"
    c, exchange = secure.meet(), Scram(SCRAM[mechanism], "right", PASSWORD)
    challenge = c.ask(f"AUTH {mechanism} {exchange.first()}").removeprefix("334 ")
    final, proof = base64.b64decode(exchange.final(challenge)).split(b",p=")
    spoilt = b64(changed(base64.b64decode(proof), place))
    assert c.ask(b64(final + b",p=" + spoilt.encode())) == REFUSED
    assert LogIn(secure, mechanism)(c, "right", PASSWORD) == OK
    assert c.finish() == 0


# ---- what a check costs

HASHED = 10000 # rounds, of what --hash writes
NAMES = ["nobody", "right1", "righ", "RIGHT", "#comment", "x" * 300, "jürgen", # no line is theirs
         "certificate", "other", "sha1"] # or none with a secret that is good for this


@pytest.fixture
def costs(secure):
    """A function: the rounds that auth was made to go when this was done."""
    if shutil.which("cc") is None:
        pytest.skip("needs cc, which is not installed")
    if secure.watched("auth"):
        pytest.skip("a sanitizer's build takes nothing in front of it")
    library, wrapper = secure.where / "rounds.so", secure.where / "auth"
    subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
                    "-shared", "-fPIC", "-o", str(library), str(TOP / "tests/tools/rounds.c")], check=True)
    wrapper.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {secure.build / "auth"} "$@"\n')
    wrapper.chmod(0o755)
    secure.settings["auth_path"] = wrapper

    def costs(action):
        before = len(secure.logged())
        action()
        return sum(map(int, re.findall(r"cost: hash \d+ rounds (\d+)\n", secure.logged()[before:])))
    return costs


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_unknown_name_costs_as_much(secure, costs, mechanism):
    """M11, R70: the work that a password takes tells nobody which names there are. It is counted, not
    timed: nearly all of it are the rounds of the hash."""
    users = secure.where / "users"
    users.write_text(f"#comment:{scram_line('SCRAM-SHA-256')}\ncertificate:\nother:{{OTHER}}x\n"
                     f"sha1:{scram_line('SCRAM-SHA-1')}\n{hashed(secure, 'right', PASSWORD)}")
    secure.settings["auth_users"] = users
    log_in = LogIn(secure, mechanism)

    def cost(name, password, reply=REFUSED):
        def ask():
            assert log_in(c, name, password) == reply
        c = log_in.start()
        rounds = costs(ask)
        assert c.finish() == 0
        return rounds
    assert cost("right", PASSWORD, OK) == cost("right", "wrong one") == HASHED
    assert {name: rounds for name in NAMES
            if not HASHED <= (rounds := cost(name, "wrong one")) <= HASHED * 1.01} == {}


def test_unknown_name_costs_as_much_by_crypt(secure, costs):
    """M11, R70: where all passwords are hashed by crypt(5), which takes longer."""
    users = secure.where / "users"
    first, second = ("".join(CRYPT[kind]) for kind in ("sha512", "bcrypt"))
    users.write_text(f"sha1:{scram_line('SCRAM-SHA-1')}\nright:{first}\nother:{second}\n")
    secure.settings["auth_users"] = users
    log_in = LogIn(secure, "PLAIN")
    for name in ("nobody", "RIGHT1", "sha1"):
        c = log_in.start()
        assert costs(lambda who=name, client=c: log_in(client, who, PASSWORD)) == 0
        assert c.finish() == 0
    assert secure.logged().count(f"cost: crypt {first}\n") == 3
    assert REFUSED not in [log_in(log_in.start(), "right", PASSWORD)]


@pytest.mark.parametrize("mechanism", SCRAM)
def test_unknown_name_looks_alike(secure, mechanism):
    """R70: rounds and salt, which anybody is shown who says a name, are like those of the lines in the file."""
    users = secure.where / "users"
    users.write_text(f"bare:\nright:{scram_line(mechanism)}\n")
    secure.settings["auth_users"] = users
    shown = []
    for name in ("right", "nobody", "bare"):
        c = LogIn(secure, mechanism).start()
        said = base64.b64decode(c.ask(f"AUTH {mechanism} {Scram(SCRAM[mechanism], name, '').first()}")[4:]).decode()
        _, salt, rounds = said.split(",")
        shown.append((len(base64.b64decode(salt[2:])), rounds))
        c.ask("*")
        assert c.finish() == 0
    assert shown == [(len("salt of many"), "i=4096")] * 3
