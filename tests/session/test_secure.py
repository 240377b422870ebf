"""A message over STARTTLS, with a password: what the session knows afterwards, and forgets."""
import base64
import hashlib
import hmac
import os
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess

import pytest

import internet
from conftest import NOBODY

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
HOST = "mx.test.example"


@pytest.fixture
def secure(postern):
    """A function that starts smtpd and returns a client that has been greeted."""
    key, certificate = postern.where / "key.pem", postern.where / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", f"/CN={HOST}"], check=True, capture_output=True)
    key.chmod(0o644)
    hashed = subprocess.run(postern.command("smtpd", "--hash", "joe"), input=b"secret\n",
                            stdout=subprocess.PIPE, env=postern.environment(),
                            check=True).stdout
    (postern.where / "users").write_bytes(hashed)

    def start(**settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = smtplib.SMTP(timeout=20, local_hostname="c.example")
            client._host = HOST  # what starttls() asks for
            client.sock = socket.create_connection(listener.getsockname(), 20)
            server, _ = listener.accept()
        with server:
            postern.start(server, server, tls_certificate=certificate, tls_key=key, max_relays=0,
                          auth_users=postern.where / "users", **settings)
        code, _ = client.getreply()
        assert code == 220
        return client
    return start


def said(client, command):
    code, text = client.docmd(command)
    return f"{code} {text.decode()}"


def anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_message_over_tls(postern, secure):
    """R36, R65, R66, B3, B4: everything said in clear is forgotten; the trace says how it came."""
    client = secure()
    client.ehlo()
    client.mail("a@b.example")
    assert client.starttls(context=anybody())[0] == 220
    assert said(client, "MAIL FROM:<a@b.example>") == "503 5.5.1 Error: send HELO/EHLO first"
    client.ehlo()
    assert not client.has_extn("starttls") and "PLAIN" in client.esmtp_features["auth"]
    assert said(client, "STARTTLS") == "503 5.5.1 Error: TLS is active"
    client.login("joe", "secret")
    client.sendmail("a@b.example", "u@d.example", "Subject: x\r\n\r\nx\r\n")
    client.quit()
    [path] = postern.messages()
    text = path.read_text()
    assert "with ESMTPSA id" in text and "\ttls TLS_" in text
    assert "secret" not in postern.logged() and "is \"joe\"" in postern.logged()


def test_wrong_password_stands_in_no_log(postern, secure):
    """R70: neither what was wrong nor what it was encoded to."""
    client = secure()
    client.starttls(context=anybody())
    client.ehlo()
    for mechanism in (client.auth_plain, client.auth_login):
        client.user, client.password = "joe", "hush-hush"
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.auth(mechanism.__name__[5:].upper(), mechanism)
    client.close()
    for secret in ("hush", "aHVzaC", "h1c2gt", "odXNoL"): # base64 at its three places
        assert secret not in postern.logged()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ticket_of_another_process(postern, secure, version):
    """A session is resumed by a process that never saw it, by the key in the runtime directory."""
    runtime = postern.where / "run"
    runtime.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(runtime, NOBODY, NOBODY)
    context = anybody()
    context.minimum_version = context.maximum_version = version
    session, reused = None, []
    for _ in range(3):
        client = secure(runtime=runtime)
        client.docmd("EHLO", "c.example")
        assert client.docmd("STARTTLS")[0] == 220
        client.sock = context.wrap_socket(client.sock, session=session)
        client.file = None
        client.docmd("EHLO", "c.example")
        reused.append(client.sock.session_reused)
        session = client.sock.session
        client.quit()
    assert reused == [False, True, True]
    assert (runtime / "ticket-key").stat().st_mode & 0o777 == 0o600


def test_who_spoke_in_clear_is_nobody(secure):
    """B3, R66: whoever authenticated before the handshake need not be who shook hands."""
    client = secure(auth_clear="yes")
    client.ehlo()
    client.login("joe", "secret")
    client.starttls(context=anybody())
    client.ehlo()
    assert not client.has_extn("futurerelease")
    client.login("joe", "secret")


def children(pid):
    return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def test_last_word_reaches_a_client_that_still_talks(postern, secure):
    """What the session said before it closed is not lost with what it did not read. It closes
    while tls still has octets for it."""
    client = secure()
    client.starttls(context=anybody())
    session, tls = children(postern.started[-1].pid)
    os.kill(session, signal.SIGSTOP)
    client.sock.settimeout(1)
    with pytest.raises(TimeoutError): # every buffer on the way is full
        client.sock.sendall(b"NOOP\r\nQUIT\r\n" + 10000000 * b"NOOP\r\n")
    os.kill(tls, signal.SIGSTOP)
    os.kill(session, signal.SIGCONT)
    postern.started[-1].wait(20)
    os.kill(tls, signal.SIGCONT)
    assert client.sock.recv(4096) == b"250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"


def test_failed_handshake_is_logged(postern, secure):
    """B6: also where the log is standard error, by a process that is locked in."""
    client = secure()
    assert said(client, "EHLO c.example").startswith("250")
    assert said(client, "STARTTLS").startswith("220")
    client.sock.sendall(b"this is no handshake\r\n")
    assert internet.wait_until(lambda: "TLS handshake: " in postern.logged(), 10)


def scram(client, name, password, on_behalf):
    """SCRAM-SHA-256 (RFC 5802), and the last reply."""
    head, mine = f"n,{on_behalf},", f"n={name},r=nonce"
    def step(prefix, text):
        code, said = client.docmd(prefix + base64.b64encode(text.encode()).decode())
        return code, base64.b64decode(said).decode() if code == 334 else said
    _, theirs = step("AUTH SCRAM-SHA-256 ", head + mine)
    part = dict(x.split("=", 1) for x in theirs.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(part["s"]), int(part["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    last = f"c={base64.b64encode(head.encode()).decode()},r={part['r']}"
    text = f"{mine},{theirs},{last}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), text, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    code, _ = step("", f"{last},p={base64.b64encode(proof).decode()}")
    return client.docmd("")[0] if code == 334 else code


@pytest.mark.parametrize("on_behalf, code", [("", 235), ("a=joe", 235), ("a=eve", 535)])
def test_nobody_speaks_for_others(secure, on_behalf, code):
    """R70: nor by SCRAM, whose password is right."""
    client = secure()
    client.ehlo()
    assert scram(client, "joe", "secret", on_behalf) == code


def test_response_to_refused_auth_stands_in_no_log(postern, secure):
    """R70: from a client that did not wait to hear that it may not say its password here."""
    client = secure()
    client.ehlo()
    client.send("AUTH LOGIN\r\nam9l\r\naHVzaC1odXNo\r\nNOPE\r\nNOOP\r\nNOPE again\r\n")
    codes = [client.getreply()[0] for _ in range(6)]
    assert codes == [538, 500, 500, 500, 250, 500]
    assert "aHVzaC" not in postern.logged() and '"NOPE again"' in postern.logged()
