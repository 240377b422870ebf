"""Clients that real people use: each sends a message in clear, by STARTTLS, inside TLS, with a password.

They check our certificate as they do by default, against an authority of the test.
"""
import itertools
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import threading

import pytest

from conftest import TOP, one_at_a_time
from spoolfile import SpoolFile

USER, PASSWORD = "joe", "secret of joe"
SENDER, RECIPIENT = "a@sender.example", "u@dest.example"
BODY = "One line.\n.a line that begins with a dot\n"
MESSAGE = f"From: {SENDER}\nTo: {RECIPIENT}\nSubject: hello\n\n{BODY}"
NODE = TOP / "build" / "node"
SECONDS = 300 # with a whole runtime to start on a busy machine


class Service:
    """A port of 127.0.0.1, where each connection gets a smtpd."""

    def __init__(self, postern, **settings):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, args=(postern, settings), daemon=True)
        self.thread.start()

    def run(self, postern, settings):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                postern.start(connection, connection, max_connections=0, **settings)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(SECONDS)
        self.listener.close()


# ---- each client: (port, tls, mechanism or None, file of the authority) -> command, standard input

def swaks(port, tls, mechanism, ca):
    words = ["swaks", "--server", f"127.0.0.1:{port}", "--ehlo", "client.example", "--from", SENDER,
             "--to", RECIPIENT, "--data", "-", "--timeout", str(SECONDS)]
    words += {"starttls": ["--tls"], "implicit": ["--tls-on-connect"]}.get(tls, [])
    words += ["--tls-verify", "--tls-ca-path", ca] if tls else []
    if mechanism:
        words += ["--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD]
    return words, MESSAGE


def curl(port, tls, mechanism, ca):
    words = ["curl", "-sS", f"smtp{'s' * (tls == 'implicit')}://127.0.0.1:{port}/client.example",
             "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--upload-file", "-", "--cacert", ca]
    words += ["--ssl-reqd"] if tls else []
    if mechanism:
        words += ["--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}"]
    return words, MESSAGE.replace("\n", "\r\n")


def msmtp(port, tls, mechanism, ca):
    words = ["msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={port}", f"--from={SENDER}",
             "--domain=client.example", f"--tls={'on' if tls else 'off'}", f"--tls-trust-file={ca}",
             f"--tls-starttls={'on' if tls == 'starttls' else 'off'}"]
    if mechanism:
        words += [f"--auth={mechanism.lower()}", f"--user={USER}",
                  f"--passwordeval=echo '{PASSWORD}'"]
    return [*words, RECIPIENT], MESSAGE


def s_nail(port, tls, mechanism, ca):
    login = f"{USER}:{PASSWORD.replace(' ', '%20')}@" if mechanism else ""
    how = "smtps" if tls == "implicit" else "smtp"
    words = ["s-nail", "-:/", "-S", "v15-compat=yes", "-S", f"mta={how}://{login}localhost:{port}",
             "-S", f"smtp-auth={(mechanism or 'none').lower()}", "-S", "hostname=client.example",
             "-S", f"tls-ca-file={ca}", "-S", "tls-ca-no-defaults", "-S", "tls-verify=strict",
             "-S", "sendwait", "-r", SENDER]
    words += ["-S", "smtp-use-starttls"] if tls == "starttls" else []
    return [*words, "-s", "hello", RECIPIENT], BODY


def openssl(port, tls, mechanism, ca):
    assert tls and not mechanism
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-crlf", "-quiet", "-ign_eof",
             "-verify_return_error", "-CAfile", ca, "-verify_ip", "127.0.0.1"]
    words += ["-starttls", "smtp"] if tls == "starttls" else []
    stuffed = MESSAGE.replace("\n.", "\n..")
    return words, (f"EHLO client.example\nMAIL FROM:<{SENDER}>\nRCPT TO:<{RECIPIENT}>\nDATA\n"
                   f"{stuffed}.\nQUIT\n")


def nodemailer(port, tls, mechanism, ca):
    tool = TOP / "tests" / "tools" / "nodemailer.js"
    return ["node", str(tool), str(port), tls or "", mechanism or "", USER, PASSWORD, ca], MESSAGE


@pytest.fixture(scope="session")
def node_modules():
    """nodemailer, below build/; fetched once."""
    with one_at_a_time("node"):
        if not (NODE / "node_modules" / "nodemailer").is_dir():
            NODE.mkdir(parents=True, exist_ok=True)
            try:
                done = shutil.which("npm") and subprocess.run(
                    ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", "nodemailer"],
                    cwd=NODE, capture_output=True, timeout=SECONDS, check=False).returncode == 0
            except subprocess.TimeoutExpired:
                done = False
            if not done:
                pytest.skip("needs npm, and nodemailer from it, which is not installed in build/node")
    return NODE / "node_modules"


WAYS = [ # client, and how: mechanisms in clear; with STARTTLS; inside TLS
    (swaks, [None], [None, "PLAIN", "LOGIN"], [None, "PLAIN"]),
    (curl, [None], [None, "PLAIN", "LOGIN"], [None, "PLAIN"]),
    (msmtp, [None, "SCRAM-SHA-1", "SCRAM-SHA-256"], [None, "PLAIN", "SCRAM-SHA-256"],
     [None, "LOGIN", "SCRAM-SHA-256"]),
    (s_nail, [None], [None, "PLAIN"], [None, "LOGIN"]),
    (openssl, [], [None], [None]),
    (nodemailer, [None], [None, "PLAIN"], [None, "LOGIN"]),
]
CASES = [pytest.param(client, tls, mechanism,
                      id=f"{client.__name__}-{tls or 'clear'}-{mechanism or 'nobody'}")
         for client, *columns in WAYS
         for tls, column in zip((None, "starttls", "implicit"), columns) for mechanism in column]


@pytest.fixture
def users(secure):
    p = subprocess.run(secure.command("smtpd", "--hash", USER), input=f"{PASSWORD}\n".encode(),
                       stdout=subprocess.PIPE, env=secure.environment(), check=True)
    (secure.where / "users").write_bytes(p.stdout)
    secure.settings["auth_users"] = secure.where / "users"
    return secure


@pytest.fixture
def service(users):
    started = []

    def start(tls):
        started.append(Service(users, tls="implicit" if tls == "implicit" else "starttls"))
        return started[-1]
    yield start
    for s in started:
        s.close()


def check(postern, tls, mechanism):
    """R36: what arrived, and how it says that it came."""
    assert len(postern.messages()) == 1, postern.logged()
    m = SpoolFile(postern.messages()[0])
    how = f"ESMTP{'S' if tls else ''}{'A' if mechanism else ''}" # some need no EHLO in clear
    assert re.search(rf" with {how} id " if tls or mechanism else " with E?SMTP id ", m.received)
    assert ("\ttls TLS_" in m.received) == bool(tls)
    assert m.one("From") == SENDER and m.all("To") == [f"dest.example {RECIPIENT}"]
    head, _, body = m.text.partition(b"\r\n\r\n")
    assert b"Subject: hello" in head.split(b"\r\n")
    assert body.rstrip() == BODY.replace("\n", "\r\n").encode().rstrip()
    assert (f'is "{USER}"' in postern.logged()) == bool(mechanism)
    assert PASSWORD not in postern.logged()


@pytest.mark.parametrize("client, tls, mechanism", CASES)
def test_client(users, service, pki, request, client, tls, mechanism):
    """R36, R65, R70"""
    modules = request.getfixturevalue("node_modules") if client is nodemailer else ""
    port = service(tls).port
    words, typed = client(port, tls, mechanism, str(pki.path("ca")))
    if shutil.which(words[0]) is None:
        pytest.skip(f"needs {words[0]}, which is not installed")
    p = subprocess.run(words, input=typed.encode(), capture_output=True, timeout=SECONDS, check=False,
                       env={"PATH": os.environ["PATH"], "HOME": str(users.where), "LC_ALL": "C.UTF-8",
                            "NODE_PATH": str(modules)})
    assert p.returncode == 0, (p.stdout.decode(), p.stderr.decode(), users.logged())
    check(users, tls, mechanism)


@pytest.mark.parametrize("tls, mechanism", [
    (None, None), *itertools.product(["starttls", "implicit"], [None, "PLAIN", "LOGIN"])])
def test_smtplib(users, service, pki, tls, mechanism):
    """R36, R65, R70"""
    port, trust = service(tls).port, ssl.create_default_context(cafile=pki.path("ca"))
    one = smtplib.SMTP_SSL("localhost", port, timeout=SECONDS, context=trust) \
        if tls == "implicit" else smtplib.SMTP("localhost", port, timeout=SECONDS)
    with one as s:
        if tls == "starttls":
            s.starttls(context=trust)
        if mechanism:
            s.ehlo()
            s.user, s.password = USER, PASSWORD
            s.auth(mechanism, getattr(s, f"auth_{mechanism.lower()}"))
        s.sendmail(SENDER, RECIPIENT, MESSAGE)
    check(users, tls, mechanism)


@pytest.mark.skipif(shutil.which("gsasl") is None, reason="needs gsasl, which is not installed")
@pytest.mark.parametrize("tls, mechanism", [
    (None, "SCRAM-SHA-256"), (None, "SCRAM-SHA-1"),
    *itertools.product(["starttls"], ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS",
                                      "SCRAM-SHA-1", "PLAIN", "LOGIN"])])
def test_gsasl(users, service, pki, tls, mechanism):
    """R70: it says who it is, and sends nothing. It binds to TLS 1.3 by tls-exporter."""
    words = ["gsasl", "--smtp", f"--connect=localhost:{service(tls).port}", "-m", mechanism,
             "-a", USER, "-p", PASSWORD, "--starttls" if tls else "--no-starttls",
             f"--x509-ca-file={pki.path('ca')}"]
    words += [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    p = subprocess.run(words, input=b"", capture_output=True, timeout=SECONDS, check=False)
    assert f'is "{USER}"' in users.logged(), (p.stdout, p.stderr, users.logged())


@pytest.mark.skipif(shutil.which("gsasl") is None, reason="needs gsasl, which is not installed")
@pytest.mark.parametrize("version, priority", [("1.2", "NORMAL:-VERS-TLS1.3"), ("1.3", "NORMAL")])
def test_gsasl_chooses(users, service, pki, version, priority):
    """L41: the best that is offered works; before TLS 1.3 it binds by tls-unique."""
    words = ["gsasl", "--smtp", f"--connect=localhost:{service('starttls').port}", "-a", USER,
             "-p", PASSWORD, "--starttls", f"--priority={priority}",
             f"--x509-ca-file={pki.path('ca')}"]
    p = subprocess.run(words, input=b"", capture_output=True, timeout=SECONDS, check=False)
    assert f'is "{USER}"' in users.logged(), (p.stdout, p.stderr, users.logged())
    assert f"TLSv{version} with" in users.logged() and b"AUTH SCRAM-SHA-256-PLUS" in p.stdout
