"""A FIFO where a file is expected: whoever reads it does not wait for a writer that never comes, and can be told to
end meanwhile."""
import os
import signal
import subprocess
import threading

import pytest

from conftest import own
from patience import PATIENCE, until
from submission import Local

SOON = 60 # s; a program that waits for a writer never ends
WORD = "No data available"


@pytest.fixture
def fifo(postern):
    path = postern.where / "fifo"
    os.mkfifo(path, 0o644)
    own(path)
    return path


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=SOON, check=False, **more)


@pytest.mark.parametrize("program", ["smtpd", "relay", "tls", "auth", "sign", "fetch", "postern"])
def test_configuration(postern, fifo, program):
    postern.file = fifo
    p = run(postern.command(program, *(["list"] if program == "postern" else ["--check"])), env=postern.environment())
    assert p.returncode == 78 and f"{fifo}: {WORD}" in p.stderr, p


def test_session(postern, fifo):
    """The client hears a word, too."""
    postern.file = fifo
    p = run(postern.command("smtpd"), env=postern.environment(), stdin=subprocess.DEVNULL)
    assert p.returncode == 78 and p.stdout.startswith("421 ") and WORD in p.stderr, p


KEYS = ["recipient_map", "auth_users", "dkim_keys", "tls_certificate", "tls_client_ca", "delivery_ca",
        "delivery_password_file", "dkim_keys a key"]


@pytest.mark.parametrize("key", KEYS)
def test_key(secure, pki, fifo, key):
    """What a key names; the line has its name."""
    name, _, key_of = key.partition(" ")
    more = {"delivery_tls": "verify"} if name == "delivery_ca" else {}
    value = fifo
    if name == "delivery_password_file": # which a route has
        secure.configure("[route a]", "domains = *", "hosts = mail.d.example:587", "delivery_user = u",
                         f"delivery_password_file = {fifo}")
    if key_of:
        value = secure.where / "table"
        value.write_text(f"d.example s {fifo}\n")
    p = run(secure.command("smtpd", "--check", **{"delivery_ca": pki.path("ca"), **more,
                                                   **({} if secure.file else {name: value})}),
            env=secure.environment())
    assert p.returncode == 78 and name in p.stderr and str(fifo) in p.stderr, p


def test_file_of_a_variable(postern, fifo):
    p = run([str(postern.build / "smtpd"), "--check"],
            env=postern.environment() | {"POSTERN_HOSTNAME_FILE": str(fifo)})
    assert p.returncode == 78 and WORD in p.stderr, p


@pytest.mark.parametrize("words", [["u@d.example"], ["-bv", "u"], ["-bi"]])
def test_aliases(postern, fifo, words):
    local = Local(postern)
    try:
        p = run([str(postern.build / "sendmail"), *words], input="Subject: x\n\nx\n",
                env=postern.environment() | {"POSTERN_SOCKET": str(local.path), "POSTERN_ALIASES": str(fifo)})
        assert p.returncode in (66, 75) and f"{fifo}: {WORD}" in p.stderr, p
    finally:
        local.finish()


@pytest.mark.parametrize("kind", ["postfix", "msmtp", "ssmtp", "nullmailer", "dma"])
def test_import(postern, fifo, kind):
    if kind == "nullmailer":
        (postern.where / "nm").mkdir()
        fifo = fifo.rename(postern.where / "nm" / "remotes")
    path = fifo.parent if kind == "nullmailer" else fifo
    p = run([str(postern.build / "postern"), "import", kind, str(path)])
    assert p.returncode not in (0, None) and WORD in p.stderr, p


def test_writer_that_takes_its_time(postern, fifo):
    """Who does write is heard to the end, in pieces: "relay -c <(...)" is such a file."""
    def write():
        with open(fifo, "w", encoding="ascii") as f:
            for text in ("max_conn", "ections = 7", "\n"):
                f.write(text)
                f.flush()
    writer = threading.Thread(target=write)
    writer.start()
    postern.file = fifo
    p = run(postern.command("relay", "--check"), env=postern.environment())
    writer.join(PATIENCE)
    assert f"max_connections = 7  # {fifo}:1" in p.stdout, p


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_check_is_told_to_end(postern, fifo, number):
    """Who looks has no client; ^C ends it, whatever it waits for."""
    postern.file = fifo
    opened = os.open(fifo, os.O_RDWR) # a writer that says nothing
    p = subprocess.Popen(postern.command("smtpd", "--check"), env=postern.environment(), stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(os.path.realpath(f"/proc/{p.pid}/fd/{n}") == str(fifo) for n in os.listdir(f"/proc/{p.pid}/fd")))
        p.send_signal(number)
        assert p.wait(SOON) == -number
    finally:
        os.close(opened)
        p.kill()
        p.wait()
