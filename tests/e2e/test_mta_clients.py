"""Other mail servers that send everything through us: Postfix and Exim, in clear, by STARTTLS, inside
TLS, and with a password. They check our certificate, and run on a host that tests/tools/overlay makes.
"""
import os
import re
import shutil
import subprocess

import pytest

from conftest import TOP
from spoolfile import SpoolFile
from test_clients import PASSWORD, RECIPIENT, SECONDS, SENDER, USER, service, users  # noqa: F401

TOOLS = TOP / "tests" / "tools"
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
relayhost = [localhost]:{port}
smtp_host_lookup = native
maillog_file = {where}/client.log
maillog_file_prefixes = {where}
smtp_tls_CAfile = {where}/ca.pem
smtp_tls_security_level = {level}
smtp_tls_wrappermode = {wrapped}
smtp_sasl_auth_enable = {auth}
smtp_sasl_password_maps = static:{{{user}:{password}}}
smtp_sasl_mechanism_filter = {mechanism}
smtp_sasl_security_options = noanonymous
"""

EXIM = """exim_user = Debian-exim
spool_directory = {where}/exim
log_file_path = {where}/exim/%slog
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
  tls_verify_certificates = {where}/ca.pem
  tls_verify_hosts = *
  {auth}

begin authenticators
plain:
  driver = plaintext
  public_name = {mechanism}
  client_send = {send}
"""


def postfix(where, port, tls, mechanism):
    """Prepares it; the command that sends what is on standard input, and its log."""
    (where / "main.cf").write_text(POSTFIX.format(
        port=port, where=where, level="verify" if tls else "none",
        wrapped="yes" if tls == "implicit" else "no", auth="yes" if mechanism else "no",
        user=USER, password=PASSWORD, mechanism=mechanism or "PLAIN"))
    return ["/usr/bin/python3", "-B", TOOLS / "postfix.py", where / "main.cf", SENDER, RECIPIENT]


def exim4(where, port, tls, mechanism):
    """The same. Its log is the directory's."""
    name, secret = USER, PASSWORD
    (where / "exim.conf").write_text(EXIM.format(
        port=port, where=where, protocol="smtps" if tls == "implicit" else "smtp",
        tls="hosts_require_tls" if tls else "hosts_avoid_tls",
        auth="hosts_require_auth = *" if mechanism else "hosts_try_auth = :",
        mechanism=mechanism or "PLAIN",
        send=f": {name} : {secret}" if mechanism == "LOGIN" else f"^{name}^{secret}"))
    return ["sh", "-c", 'install -d -o Debian-exim "$1/exim" && shift && exec "$@"', "sh", where,
            "exim4", "-C", where / "exim.conf", "-odf", "-i", "-f", SENDER, RECIPIENT]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a host of its own")
@pytest.mark.parametrize("client, tls, mechanism", [
    pytest.param(client, tls, mechanism,
                 id=f"{client.__name__}-{tls or 'clear'}-{mechanism or 'nobody'}")
    for client, ways in (
        (postfix, [(None, None), (None, "SCRAM-SHA-256"), ("starttls", None), ("starttls", "PLAIN"),
                   ("starttls", "SCRAM-SHA-1"), ("implicit", None), ("implicit", "LOGIN")]),
        (exim4, [(None, None), ("starttls", None), ("starttls", "PLAIN"), ("implicit", None),
                 ("implicit", "LOGIN")])) for tls, mechanism in ways])
def test_relays_through_us(users, service, pki, wait, client, tls, mechanism):  # noqa: F811
    """R36, R65, R70: every octet arrives, below a Received: field of ours and theirs."""
    if not (TOP / "build" / "peers" / "usr" / "sbin" / client.__name__).exists():
        pytest.skip(f"needs {client.__name__} in build/peers, where make check unpacks it")
    where = users.where
    shutil.copy(pki.path("ca"), where / "ca.pem")
    command = client(where, service(tls).port, tls, mechanism)
    with open(where / "said", "wb") as said:
        p = subprocess.Popen([TOOLS / "overlay", where, *command], stdin=subprocess.PIPE,
                             stdout=said, stderr=said)
        users.started.append(p)
        p.stdin.write(MESSAGE)
        p.stdin.close()
        wait(lambda: users.messages() or p.poll() is not None, SECONDS)
        p.kill()
        p.wait()
    logs = [where / "said", where / "client.log", where / "exim" / "mainlog"]
    assert users.messages(), [log.read_text() for log in logs if log.exists()] + [users.logged()]
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
