"""What was asked for and could not be written, to a full disk or to nobody, was not told: the status says so. Mail is
another matter: it is queued, whoever hears of it."""
import subprocess

import pytest

from conftest import BUILD
from submission import Local

PROGRAMS = sorted(p.name for p in BUILD.iterdir() if p.name in (
    "smtpd", "relay", "tls", "auth", "sign", "dns", "fetch", "postern", "postern-status", "postern-tlsreport", "sendmail"))
LOST = {"full": ">/dev/full", "closed": ">&-"}
lost = pytest.mark.parametrize("way", LOST)


def run(command, way, env=None, **more):
    return subprocess.run(["sh", "-c", f'exec "$@" {LOST[way]}', "-", *map(str, command)], capture_output=True,
                          text=True, env=env, check=False, **more)


@lost
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_words(way, option, program):
    assert run([BUILD / program, option], way).returncode == (75 if program == "postern" else 74)
    assert subprocess.run([BUILD / program, option], stdout=subprocess.DEVNULL, check=False).returncode == 0


@lost
@pytest.mark.parametrize("program", ["smtpd", "relay"])
def test_check(secure, pki, way, program):
    settings = {"delivery_ca": pki.path("ca"), "postmaster": "root@d.example"}
    p = run(secure.command(program, "--check", **settings), way, secure.environment())
    assert p.returncode == 74 and "standard output" in p.stderr, p


@lost
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["status"], ["check"], ["check", "--print"], ["top", "--once"]])
def test_postern(postern, way, words):
    postern.send("u@d.example", max_connections=0)
    p = run(postern.command("postern", *words), way, postern.environment())
    assert p.returncode == 75 and "standard output" in p.stderr, p


@lost
@pytest.mark.parametrize("words", [["-bv", "u@d.example"], ["-bi"]])
def test_asked_of_sendmail(postern, way, words):
    (postern.where / "aliases").write_text("a: b@d.example\n")
    p = run([postern.build / "sendmail", *words], way, postern.environment() | {"POSTERN_ALIASES": str(postern.where / "aliases")})
    assert p.returncode == 74 and "standard output" in p.stderr, p


@lost
def test_secret(postern, way):
    """A line for auth_users that nobody got."""
    p = run([postern.build / "smtpd", "-o", f"auth_path={postern.build}/auth", "--hash", "joe"], way, postern.environment(),
            input="secret\n")
    assert p.returncode == 74 and "standard output" in p.stderr, p


@lost
def test_mail_is_queued(postern, way):
    local = Local(postern)
    try:
        p = run([postern.build / "sendmail", "-v", "u@d.example"], way,
                postern.environment() | {"POSTERN_SOCKET": str(local.path)}, input="Subject: x\n\nx\n")
        assert p.returncode == 0, p
    finally:
        local.finish()
    assert len(postern.messages()) == 1
