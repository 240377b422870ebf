"""`postern import`: what other programs' configurations become. All that is printed is read by smtpd, no password stands in it
unasked, and what cannot be translated is said."""
import json
import re
import subprocess

import pytest

from conftest import BUILD

SECRET = "s3cret:of #ours"


def run(*words):
    return subprocess.run([str(BUILD / "postern"), *map(str, words)], capture_output=True, text=True, check=False)


def imported(where, kind, path, *options):
    """(what is set in the common part and in each section, the whole text, the process)"""
    p = run("import", *options, kind, path)
    made = where / "made.conf"
    made.write_text(p.stdout)
    checked = subprocess.run([str(BUILD / "smtpd"), "-c", str(made), "--check"], capture_output=True, text=True,
                             env={}, check=False)
    assert checked.stdout, checked.stderr # it can be read
    parts = re.split(r"^\[route (.*)\]$", p.stdout, flags=re.M)
    keys = [dict(re.findall(r"^(\w+) = (.*)$", part, re.M)) for part in parts[::2]]
    return dict(zip([""] + parts[1::2], keys)), p.stdout, p


def write(where, name, text):
    path = where / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


LOGIN = {"delivery_user": "us@example.org", "delivery_password_file": "/etc/postern/password"}

POSTFIX = """\
# what Debian's package makes of "Satellite system"
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
compatibility_level = 3.6
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
smtpd_tls_security_level=may
smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = web1.example.org
alias_maps = hash:/etc/aliases
myorigin = /etc/mailname
mydestination =
relayhost = [mail.$mydomain]:submission
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
    # networks that we serve
    192.0.2.0/24,
    [2001:db8::]/64
inet_interfaces = loopback-only
inet_protocols = ipv4
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:WHERE/sasl_passwd
smtp_tls_security_level = encrypt
message_size_limit = 20480000
maximal_queue_lifetime = 2w
delay_warning_time = 4
"""


def postfix(where, text=POSTFIX, *options):
    write(where, "sasl_passwd", f"# host login\nmail.example.org x:y\n[mail.example.org]:submission us@example.org:{SECRET}\n")
    return imported(where, "postfix", write(where, "main.cf", text.replace("WHERE", str(where))), *options)


def test_names_of_names(where):
    """Values that name each other ten times each, eight deep, are no reason to work for hours."""
    names = "abcdefgh"
    path = write(where, "main.cf", "".join(f"{a} = {f'${b}' * 10}\n" for a, b in zip(names, names[1:] + "a")))
    p = run("import", "postfix", path)
    assert p.returncode == 1 and p.stdout == "" and f"postern: {path}: " in p.stderr


def test_postfix(where):
    made, text, p = postfix(where)
    assert made == {
        "": {"hostname": "web1.example.org", "relay_nets": "192.0.2.0/24, [2001:db8::]/64".replace(",", ""),
             "max_size": "20480000", "expire": "14d", "delay_warning": "4h"},
        "smarthost": {"domains": "*", "hosts": "mail.example.org:587", "delivery_tls": "encrypt", "family": "ipv4",
                      **LOGIN}}
    assert p.returncode == 0 and not p.stderr and "WARNING: " not in text
    assert f"# {where}/main.cf:25: message_size_limit = 20480000\nmax_size" in text
    assert "There is nothing to do for smtpd_banner, biff, compatibility_level." in text


def test_postfix_masquerades(where):
    made, _, p = postfix(where, "masquerade_domains = example.org example.net\nmasquerade_exceptions = root\n")
    assert made == {"": {"masquerade": ".example.org=example.org .example.net=example.net", "masquerade_except": "root"}}
    assert p.returncode == 0


def test_one_sender(where):
    made, _, p = imported(where, "dma", write(where, "dma.conf", "MASQUERADE herb@example.org\n"))
    assert made[""]["force_from"] == "herb@example.org"
    write(where, "nm/allmailfrom", "herb@example.org\n")
    made, _, p = imported(where, "nullmailer", write(where, "nm/remotes", "a.example\n"))
    assert made[""] == {"force_from": "herb@example.org"} and p.returncode == 0


def test_postfix_delivers_itself(where):
    made, _, p = postfix(where, "myhostname = mx.example.org\nsmtp_tls_security_level = dane\nsmtp_bind_address = 192.0.2.1\n"
                                "smtp_bind_address6 = 2001:db8::1\nsmtp_address_preference = ipv4\n")
    assert made == {"": {"hostname": "mx.example.org", "delivery_tls": "may", "source": "192.0.2.1 2001:db8::1",
                         "family": "prefer-ipv4"}}
    assert p.returncode == 1 and "1 of it" in p.stderr


@pytest.mark.parametrize("line, says", [
    ("transport_maps = hash:/etc/postfix/transport", "a table of a mail server"),
    ("mydestination = $myhostname", "mailboxes of this host"),
    ("mynetworks = hash:/etc/postfix/nets", "relay_nets are addresses and networks"),
    ("relay_domains = hash:/etc/postfix/domains", "write its domains into relay_domains"),
    ("inet_interfaces = all", "systemctl edit postern.socket"),
    ("smtpd_milters = inet:127.0.0.1:8891", "there are no milters"), # lint: a line of a file that nobody listens to
    ("smtpd_recipient_restrictions = reject_rbl_client dnsbl.example", "recipient_check"),
    ("relayhost = example.net:587", "the MX records were asked"),
    ("message_size_limit = 0", "0 is no limit there"),
    ("message_size_limit = 1", "too small"),
    ("myhostname = -", "not a host name"),
    ("smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/nowhere/x\nrelayhost = [a.example]", "cannot be read"),
    ("smtp_tls_security_level = fingerprint", "fingerprint"),
    ("frobnicate = 1", "not known here"),
    ("hash = $hash", "not known here"), # a name in itself ends
])
def test_postfix_cannot(where, line, says):
    _, text, p = postfix(where, line + "\n")
    assert re.search(rf"^# WARNING: .*{says}", text, re.M), text
    assert p.returncode == 1


MSMTP = f"""\
defaults
auth on
tls on
tls_trust_file /etc/ssl/certs/ca-certificates.crt

account provider
host mail.example.net
port 587
from us@example.org
user us@example.org
password "{SECRET}"

account work
host smtp.example.com
tls_starttls off
from me@example.com
auth xoauth2
user me@example.com
passwordeval /usr/local/bin/token me@example.com

account lan : work
host 192.0.2.1
port 25
auth off
tls off
from printer@example.com

account default : provider
"""


def test_msmtp(where):
    made, _, p = imported(where, "msmtp", write(where, "msmtprc", MSMTP))
    assert made == {
        "": {"delivery_ca": "/etc/ssl/certs/ca-certificates.crt"},
        "work": {"senders": "me@example.com", "hosts": "smtp.example.com:465", "delivery_tls": "verify",
                 "delivery_tls_implicit": "yes", "delivery_user": "me@example.com",
                 "delivery_token_command": "/usr/local/bin/token me@example.com"},
        "lan": {"senders": "printer@example.com", "hosts": "192.0.2.1:25", "delivery_tls": "none"},
        "default": {"domains": "*", "hosts": "mail.example.net:587", "delivery_tls": "verify", **LOGIN}}
    assert p.returncode == 1 # "from"


@pytest.mark.parametrize("line, says", [
    ("tls_certcheck off", "whose certificate is good"),
    ("tls_fingerprint 01:02", "fingerprint"),
    ("passwordeval gpg -d x", "not asked of a program"),
    ("auth xoauth2\npasswordeval echo x | cat", "without a shell"),
    ("auth ntlm", "there is no such method"),
    ("from %U@example.org", "masquerade"),
    ("proxy_host 127.0.0.1", "no SOCKS"),
    ("account other\nhost a.example\naccount default\nhost b.example", "by which its mail could be told"),
    ("frobnicate", "not known here"),
])
def test_msmtp_cannot(where, line, says):
    start = "account default\nhost mail.example.net\ntls on\nuser us\nauth on\npassword x\n"
    _, text, p = imported(where, "msmtp", write(where, "msmtprc", start + line + "\n"))
    assert re.search(rf"^# WARNING: .*{says}", text, re.M), text
    assert p.returncode == 1


def test_ssmtp(where):
    write(where, "revaliases", "root:admin@example.org:mail.example.net\n")
    made, text, p = imported(where, "ssmtp", write(where, "ssmtp.conf", f"""\
root=postmaster@example.org
MAILHUB=mail.example.net:587
rewriteDomain=example.org
hostname=web1.example.org
UseSTARTTLS=YES
AuthUser=us@example.org
AuthPass={SECRET}
"""))
    assert made == {"": {"hostname": "web1.example.org"},
                    "smarthost": {"domains": "*", "hosts": "mail.example.net:587", "delivery_tls": "encrypt", **LOGIN}}
    assert text.count("WARNING: ") == 3 and "/etc/mailname: write example.org there" in text and p.returncode == 1
    assert 'stands in /etc/aliases: "root: postmaster@example.org"' in text and "revaliases:1: root:admin" in text


@pytest.mark.parametrize("lines, want", [
    ("mailhub=[2001:db8::1]:26", {"hosts": "[2001:db8::1]:26", "delivery_tls": "none"}),
    ("mailhub=mail.example.net\nUseTLS=yes", {"hosts": "mail.example.net:25", "delivery_tls": "encrypt",
                                              "delivery_tls_implicit": "yes"}),
    ("", {"hosts": "mail:25", "delivery_tls": "none"}),
])
def test_ssmtp_hosts(where, lines, want):
    made, _, _ = imported(where, "ssmtp", write(where, "ssmtp.conf", lines + "\n"))
    assert made == {"": {}, "smarthost": {"domains": "*", **want}}


def test_nullmailer(where):
    write(where, "nm/me", "web1.example.org\n")
    write(where, "nm/adminaddr", "root@example.org\n")
    write(where, "nm/queuelifetime", "86400\n")
    write(where, "nm/remotes", f"""\
# best first
mail.example.net smtp --port=587 --starttls --user=us@example.org --pass='{SECRET}'
mail2.example.net smtp port=587 starttls user=us@example.org pass="{SECRET}"
other.example.net --insecure --ssl
q.example.net qmqp
""")
    made, text, p = imported(where, "nullmailer", where / "nm")
    assert made == {"": {"hostname": "web1.example.org", "expire": "86400s"},
                    "smarthost": {"domains": "*", "hosts": "mail.example.net:587 mail2.example.net:587",
                                  "delivery_tls": "verify", **LOGIN}}
    assert "other.example.net is left out" in text and "QMQP" in text and text.count("WARNING: ") == 3
    assert p.returncode == 1
    assert imported(where, "nullmailer", where / "nm/remotes")[0] == made


def test_dma(where):
    write(where, "auth.conf", f"x|other.example:y\nus@example.org|mail.example.net:{SECRET}\n")
    write(where, "mailname", "web1.example.org\n")
    made, text, p = imported(where, "dma", write(where, "dma.conf", f"""\
SMARTHOST mail.example.net
PORT 587
ALIASES /etc/aliases
AUTHPATH {where}/auth.conf
SECURETRANSFER
STARTTLS
MAILNAME {where}/mailname
NULLCLIENT
"""))
    assert made == {"": {"hostname": "web1.example.org"},
                    "smarthost": {"domains": "*", "hosts": "mail.example.net:587", "delivery_tls": "encrypt", **LOGIN}}
    assert p.returncode == 0 and "WARNING: " not in text


def test_dma_delivers_itself(where):
    made, text, p = imported(where, "dma", write(where, "dma.conf", """\
SECURETRANSFER
STARTTLS
OPPORTUNISTIC_TLS
MASQUERADE example.org
DEFER
"""))
    assert made == {"": {"delivery_tls": "may", "max_connections": "0"}}
    assert "masquerade" in text and p.returncode == 1


@pytest.mark.parametrize("kind, path, text", [
    ("postfix", "main.cf", POSTFIX), ("msmtp", "msmtprc", MSMTP),
    ("ssmtp", "ssmtp.conf", f"mailhub=a.example\nAuthUser=us@example.org\nAuthPass={SECRET}\n"),
    ("nullmailer", "nm/remotes", f"a.example smtp user=us@example.org pass='{SECRET}'\n"),
    ("dma", "dma.conf", "SMARTHOST mail.example.net\nAUTHPATH WHERE/auth.conf\n"),
])
def test_passwords(where, kind, path, text):
    """H: none is shown unless that is asked for, and then in a comment."""
    write(where, "sasl_passwd", f"[mail.example.org]:submission us@example.org:{SECRET}\n")
    write(where, "auth.conf", f"us@example.org|mail.example.net:{SECRET}\n")
    path = write(where, path, text.replace("WHERE", str(where)))
    made, said, _ = imported(where, kind, path)
    assert "s3cret" not in said and LOGIN.items() <= list(made.values())[-1].items()
    _, said, _ = imported(where, kind, path, "--with-passwords")
    assert f"# the password: {SECRET}\n" in said and said.count("s3cret") == 1


@pytest.mark.parametrize("line", ["eval echo password s3cret", "passwordeval echo s3cret"])
def test_commands_that_hold_passwords(where, line):
    text = f"account default\nhost a.example\nuser u\nauth on\ntls on\ntls_certcheck off\n{line}\n"
    made, said, _ = imported(where, "msmtp", write(where, "msmtprc", text))
    assert "s3cret" not in said and "(not shown)" in said and made["default"]["delivery_tls"] == "encrypt"


@pytest.mark.parametrize("kind", ["postfix", "msmtp", "ssmtp", "nullmailer", "dma"])
def test_odd_files(where, kind):
    """What is no such file at all, or holds what could move a cursor, ends well, and is safe to print."""
    for octets in (b"", b"\n\n", b"=\n", b"a\x1b[2Jb = \x1b[2J\x00\xff$\n", b"$(x\n${\n$", b" \n x\n", b"x" * 300000,
                   b"".join(b"a%d = b\n" % i for i in range(1000)), "\u202egpj\n".encode()):
        path = where / "odd"
        path.write_bytes(octets)
        p = subprocess.run([str(BUILD / "postern"), "import", kind, str(path)], capture_output=True, check=False)
        assert p.returncode in (0, 1) and b"\x1b" not in p.stdout + p.stderr, p.stderr
        assert "\u202e".encode() not in p.stdout


def test_json(where):
    p = run("--json", "import", "ssmtp", write(where, "ssmtp.conf", "mailhub=a.example\nroot=b@example.org\n"))
    said = json.loads(p.stdout)
    assert said["warnings"] == 1 and "\nhosts = a.example:25\n" in said["configuration"]


def test_misused(where):
    assert run("import").returncode == 64
    assert run("import", "sendmail").returncode == 64
    p = run("import", "dma", where / "missing")
    assert p.returncode == 1 and "No such file" in p.stderr and not p.stdout
