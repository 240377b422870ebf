"""Other mail servers that send everything through us: Postfix and Exim, in clear, by STARTTLS, inside
TLS, and with a password. They check our certificate.
"""
import contextlib
import re

import pytest

import mtas
import peers
from spoolfile import SpoolFile
from test_clients import PASSWORD, RECIPIENT, SENDER, USER, service, users  # noqa: F401

# With all that a server could want to add, and what it might be tempted to change.
MESSAGE = f"""From: {SENDER}
To: {RECIPIENT}
Date: Tue, 24 Nov 2026 00:20:18 +0000
Message-Id: <one@sender.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Subject: hello
X-Folded: one
\ttwo

One line, and one in UTF-8: grüße.
.
..
.a line that begins with a dot
From here on, blanks at the end: \t
{'x' * 990}

""".encode()

POSTFIX = """compatibility_level = 3.6
myhostname = client.example
mydestination =
alias_maps =
inet_protocols = ipv4
master_service_disable = inet
relayhost = [localhost]:{port}
smtp_host_lookup = native
maillog_file_prefixes = /here
maillog_file = /here/log
smtp_tls_CAfile = /here/ca.pem
smtp_tls_security_level = {level}
smtp_tls_wrappermode = {wrapped}
smtp_sasl_auth_enable = {auth}
smtp_sasl_password_maps = static:{{{user}:{password}}}
smtp_sasl_mechanism_filter = {mechanism}
smtp_sasl_security_options = noanonymous
"""

EXIM = """log_file_path = /here/%slog
primary_hostname = client.example
disable_ipv6 = true

begin routers
relay:
  driver = manualroute
  route_list = * localhost byname
  self = send
  transport = relay

begin transports
relay:
  driver = smtp
  protocol = {protocol}
  port = {port}
  allow_localhost = true
  {tls} = *
  tls_verify_certificates = /here/ca.pem
  tls_verify_hosts = *
  {auth}

begin authenticators
plain:
  driver = plaintext
  public_name = {mechanism}
  client_send = {send}
"""


def postfix(port, tls, mechanism):
    return POSTFIX.format(
        port=port, level="verify" if tls else "none", wrapped="yes" if tls == "implicit" else "no",
        auth="yes" if mechanism else "no", user=USER, password=PASSWORD,
        mechanism=mechanism or "PLAIN")


def exim(port, tls, mechanism):
    return EXIM.format(
        port=port, protocol="smtps" if tls == "implicit" else "smtp",
        tls="hosts_require_tls" if tls else "hosts_avoid_tls",
        auth="hosts_require_auth = *" if mechanism else "hosts_try_auth = :",
        mechanism=mechanism or "PLAIN",
        send=f": {USER} : {PASSWORD}" if mechanism == "LOGIN" else f"^{USER}^{PASSWORD}")


@pytest.mark.parametrize("settings, tls, mechanism", [
    pytest.param(settings, tls, mechanism,
                 id=f"{settings.__name__}-{tls or 'clear'}-{mechanism or 'nobody'}")
    for settings, ways in (
        (postfix, [(None, None), (None, "SCRAM-SHA-256"), ("starttls", None), ("starttls", "PLAIN"),
                   ("starttls", "SCRAM-SHA-1"), ("implicit", None), ("implicit", "LOGIN")]),
        (exim, [(None, None), ("starttls", None), ("starttls", "PLAIN"), ("implicit", None),
                ("implicit", "LOGIN")])) for tls, mechanism in ways])
def test_relays_through_us(users, service, pki, wait, settings, tls, mechanism):  # noqa: F811
    """R36, R65, R70: every octet arrives, below a Received: field of ours and theirs."""
    name = settings.__name__
    peers.need(name)
    (users.where / "message").write_bytes(MESSAGE)
    with open(users.where / "message", "rb") as message:
        client = peers.Peer(name, users.where / name,
                            *mtas.command(f"send_by_{name}", SENDER, RECIPIENT), stdin=message,
                            files={"conf": settings(service(tls).port, tls, mechanism),
                                   "ca.pem": pki.path("ca").read_text()})
    with contextlib.closing(client):
        wait(lambda: users.messages() or client.ended())
        assert users.messages(), client.logged() + users.logged()
    check(users, tls, mechanism)


def check(postern, tls, mechanism):
    [path] = postern.messages()
    m = SpoolFile(path)
    assert f" with ESMTP{'S' if tls else ''}{'A' if mechanism else ''} id " in m.received
    assert ("\ttls TLS_" in m.received) == bool(tls)
    assert m.one("From") == SENDER and m.all("To") == [f"dest.example {RECIPIENT}"]
    theirs, _, text = m.text.partition(b"From: ")
    assert re.fullmatch(rb"Received: [^\r\n]+\r\n([ \t][^\r\n]+\r\n)*", theirs), theirs
    assert b"From: " + text == MESSAGE.replace(b"\n", b"\r\n")
    log = postern.logged()
    assert (f'is "{USER}"' in log) == bool(mechanism) and PASSWORD not in log
