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
    assert made == {"": {"hostname": "mx.example.org", "delivery_tls": "may", "dane": "auto",
                         "source": "192.0.2.1 2001:db8::1", "family": "prefer-ipv4"}}
    assert p.returncode == 0 and "takes a resolver that validates" in p.stdout


@pytest.mark.parametrize("level, ours, dane, status", [
    ("dane-only", "encrypt", "only", 0), ("half-dane", "may", "auto", 1), ("secure", "verify", None, 0)])
def test_postfix_levels(where, level, ours, dane, status):
    made, _, p = postfix(where, f"smtp_tls_security_level = {level}\n")
    assert made == {"": {"delivery_tls": ours, **({"dane": dane} if dane else {})}}
    assert p.returncode == status, p.stderr


@pytest.mark.parametrize("line, says", [
    ("transport_maps = hash:/nowhere/transport", "cannot be read"),
    ("transport_maps = ldap:/etc/postfix/ldap.cf", "nobody can list it"),
    ("transport_maps = inline:{ joe@example.net=smtp:[a.example] }", "routes are for domains; see recipient_map"),
    ("transport_maps = inline:{ example.net=error:no }", "no mail is refused or dropped by a table"),
    ("transport_maps = inline:{ example.net=local: }", "no local delivery"),
    ("transport_maps = inline:{ example.net=slow: }", "a service of master.cf"),
    ("relayhost = [a.example]\ntransport_maps = inline:{ .example.net=smtp: }", "write one for each domain"),
    ("sender_dependent_relayhost_maps = inline:{ joe=[a.example] }", "senders of a route are addresses and domains"),
    ("smtp_tls_policy_maps = inline:{ .example.net=encrypt }", "write one for each domain"),
    ("smtp_tls_policy_maps = inline:{ {example.net = secure match=mx.example} }", "match=mx.example: a certificate is for"),
    ("smtp_tls_policy_maps = inline:{ example.net=frob }", "no level of TLS that is known"),
    ("virtual_alias_maps = regexp:/etc/services", "recipients are not found by patterns"),
    ("virtual_alias_maps = inline:{ {joe@example.net = |/bin/x} }", "not to programs, files or lists"),
    ("virtual_alias_maps = inline:{ joe@example.net=x@-y- }", "not an address"),
    ("smtp_generic_maps = inline:{ joe@example.net=us@example.org }", "keeps its name as a sender"),
    ("smtp_generic_maps = inline:{ @example.net=us@example.org }", "force_from = us@example.org, which is for all"),
    ("sender_canonical_maps = pcre:/etc/services", "not rewritten by patterns"),
    ("masquerade_domains = !a.example.org example.org", "no exceptions for domains"),
    ("mynetworks = 192.0.2.0/24 !192.0.2.3", "has no exceptions; what it names is not kept out"),
    ("relay_domains = regexp:/etc/services", "relay_domains are domains"),
    pytest.param("relay_domains = " + " ".join(f"d{i}.example.org" for i in range(300)), "too long", id="many domains"),
    ("mydestination = $myhostname", "mailboxes of this host"),
    ("mynetworks = hash:/nowhere/nets", "cannot be read"),
    ("mynetworks = inline:{ example.net=OK }", "relay_nets are addresses and networks"),
    ("relay_domains = hash:/nowhere/domains", "cannot be read"),
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


def mapped(text):
    """The lines of recipient_map that stand in comments."""
    return dict(re.findall(r"^#  ?(\S+): (.+)$", text.partition("# that file is to hold:")[2], re.M))


def tables(where, **texts):
    return {name: write(where, name, text) for name, text in texts.items()}


def test_postfix_gateway(where):
    """Between a network and the world: tables of domains and networks, in each of the ways to write them down."""
    tables(where, transport="""\
# domain        where
example.org             smtp:[mail.example.org]
example.com             smtp:[mail.example.org]
other.example   lmtp:unix:private/lmtp
third.example   lmtp:inet:192.0.2.9
.example.org    relay:[inner.example.org]:2525
.lab.example.org
        smtp:[lab.example.org],[lab2.example.org]
direct.example  smtp:
plain.example   :
""", domains="example.org OK\nother.example\tx\n", more="# ours, too\nfourth.example, fifth.example\n",
           nets="# of the house\n192.0.2.0/24\n198.51.100.7\n", cidr="203.0.113.0/24 OK\n")
    made, text, p = postfix(where, """\
myhostname = gate.example.org
mydestination =
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8, WHERE/nets, cidr:WHERE/cidr
transport_maps = hash:$config_directory/transport
relay_domains = $default_database_type:WHERE/domains, WHERE/more
parent_domain_matches_subdomains = smtpd_access_maps
relayhost = [out.example.net]
default_transport = smtp
smtp_connect_timeout = 20
smtp_tls_security_level = may
""")
    assert made == {
        "": {"hostname": "gate.example.org", "relay_nets": "192.0.2.0/24 198.51.100.7 203.0.113.0/24",
             "relay_domains": "example.org other.example fourth.example fifth.example", "timeout_connect": "20s"},
        "transport-1": {"domains": "example.org example.com", "hosts": "mail.example.org:25", "delivery_tls": "may"},
        "transport-2": {"domains": "other.example", "protocol": "lmtp", "hosts": "unix:/var/spool/postfix/private/lmtp"},
        "transport-3": {"domains": "third.example", "protocol": "lmtp", "hosts": "192.0.2.9:24"},
        "transport-4": {"domains": "direct.example", "hosts": "direct.example", "delivery_tls": "may"},
        "transport-5": {"domains": "plain.example", "hosts": "out.example.net:25", "delivery_tls": "may"},
        "transport-6": {"domains": ".lab.example.org", "hosts": "lab.example.org:25 lab2.example.org:25",
                        "delivery_tls": "may"},
        "transport-7": {"domains": ".example.org", "hosts": "inner.example.org:2525", "delivery_tls": "may"},
        "smarthost": {"domains": "*", "hosts": "out.example.net:25", "delivery_tls": "may"}}
    assert p.returncode == 0, text
    assert f"# {where}/transport:2: example.org smtp:[mail.example.org]\n# and 1 lines more like this one\n" in text


def test_postfix_relays_for_what_is_below(where):
    made, _, p = postfix(where, "relay_domains = example.org .example.net\n")
    assert made == {"": {"relay_domains": "example.org .example.org .example.net"}} and p.returncode == 0


def test_postfix_by_sender(where):
    """Two providers, each of which takes its own senders with its own password; one policy of TLS."""
    tables(where, relay="@example.com [smtp.example.com]:465\njoe@example.com DUNNO\nann@example.net [mx.example.net]\n",
           sasl=f"""\
[mail.example.org]:587 us@example.org:{SECRET}
@example.com them@example.com:two
bob@example.org bob@example.org:three
Ann@example.net ann:four
""", policy="[smtp.example.com]:465 secure protocols=TLSv1.3\n")
    made, text, p = postfix(where, """\
relayhost = [mail.example.org]:587
sender_dependent_relayhost_maps = hash:WHERE/relay
smtp_sender_dependent_authentication = yes
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = lmdb:WHERE/sasl
smtp_tls_policy_maps = texthash:WHERE/policy
smtp_tls_security_level = encrypt
""")
    def login(user, number):
        return {"delivery_user": user, "delivery_password_file": "/etc/postern/password" + number}
    assert made == {
        "": {},
        "sender-1": {"senders": "joe@example.com", "hosts": "mail.example.org:587", "delivery_tls": "encrypt",
                     **login("them@example.com", "")},
        "sender-2": {"senders": "ann@example.net", "hosts": "mx.example.net:25", "delivery_tls": "encrypt",
                     **login("ann", "-2")},
        "sender-3": {"senders": "bob@example.org", "hosts": "mail.example.org:587", "delivery_tls": "encrypt",
                     **login("bob@example.org", "-3")},
        "sender-4": {"senders": "example.com", "hosts": "smtp.example.com:465", "delivery_tls": "verify",
                     **login("them@example.com", "")},
        "smarthost": {"domains": "*", "hosts": "mail.example.org:587", "delivery_tls": "encrypt",
                      **login("us@example.org", "-4")}}
    assert p.returncode == 0 and not re.search("s3cret|two|three|four", text), text


def test_postfix_star(where):
    """A transport for all leaves nothing to relayhost, nor to what senders say."""
    made, _, p = postfix(where, "relayhost = [a.example]\ntransport_maps = inline:{ *=smtp:[b.example]:26, c.example=: }\n"
                                "sender_dependent_relayhost_maps = static:[d.example]\n")
    assert made == {"": {}, "transport-1": {"domains": "c.example", "hosts": "a.example:25"},
                    "smarthost": {"domains": "*", "hosts": "b.example:26"}}
    made, _, p = postfix(where, "relayhost = [a.example]\ntransport_maps = inline:{ *=smtp:, c.example=smtp: }\n")
    assert made == {"": {}, "transport-1": {"domains": "c.example", "hosts": "c.example"}} and p.returncode == 0


def test_postfix_policies(where):
    """Where mail goes to the hosts of its domain, a policy of TLS is a route; behind those of senders."""
    made, text, p = postfix(where, """\
smtp_tls_security_level = may
smtp_tls_policy_maps = inline:{ bank.example=secure, { old.example = none }, [far.example]=encrypt }
sender_dependent_relayhost_maps = inline:{ @example.com=[a.example] }
""")
    assert made == {"": {"delivery_tls": "may"},
                    "sender-1": {"senders": "example.com", "hosts": "a.example:25", "delivery_tls": "may"},
                    "policy-2": {"domains": "bank.example", "hosts": "bank.example", "delivery_tls": "verify"},
                    "policy-3": {"domains": "old.example", "hosts": "old.example", "delivery_tls": "none"}}
    assert p.returncode == 0, text


def test_postfix_addresses(where):
    """A host inside that is known outside by another domain, with mail for its users forwarded."""
    tables(where, generic="@web1.lan @example.org\nroot@web1.lan root@example.org\nbackup@web1.lan backup@web1.lan\n",
           virtual="""\
sales@example.com ann@example.net, bob
example.com anything
@example.com hostmaster
hostmaster admins@example.net
bob   bob@example.net
loop@example.com loop@example.com, copy@example.net
""", aliases="""\
# of the system
mailer-daemon: postmaster
postmaster: root
root: admin@example.net,
      ann@example.net
"www": root
spam: /dev/null
list: "|/usr/bin/list -x"
joe: joe
""")
    made, text, p = postfix(where, """\
myhostname = web1.lan
myorigin = $myhostname
mydestination = $myhostname, localhost.$mydomain, localhost
smtp_generic_maps = hash:WHERE/generic
virtual_alias_maps = hash:WHERE/virtual
alias_maps = hash:WHERE/aliases
masquerade_domains = lan
masquerade_exceptions = nagios
""")
    assert made == {"": {"hostname": "web1.lan", "masquerade": "web1.lan=example.org .lan=lan",
                         "masquerade_except": "backup@web1.lan nagios", "recipient_map": "/etc/postern/recipients"}}
    both, admins = "admin@example.net, ann@example.net", "admins@example.net"
    want = {"sales@example.com": "ann@example.net, bob@example.net", "@example.com": admins, "hostmaster": admins,
            "bob": "bob@example.net", "loop@example.com": "loop@example.com, copy@example.net",
            "@web1.lan": "@example.org", "root@web1.lan": "root@example.org", "mailer-daemon": both, "postmaster": both,
            "root": both, "www": both}
    lines = mapped(text)
    assert {k: v for k, v in lines.items() if not k.endswith("@localhost.lan")} == want, text
    assert lines["root@localhost.lan"] == both
    said = re.findall("^# WARNING: (.*)$", text, re.M)
    assert len(said) == 6 and "joe has a mailbox on this host" in " ".join(said), said # myorigin, mydestination, root's name, two aliases


def test_postfix_forces_a_sender(where):
    for maps in "static:herb@example.org", f"regexp:{write(where, 'all', '/.+/  herb@example.org')}":
        made, _, p = postfix(where, f"sender_canonical_maps = {maps}\nsmtp_generic_maps = {maps}\nmydestination =\n")
        assert made[""]["force_from"] == "herb@example.org"


def files_of(directory):
    return {f.name: (f.stat().st_mode & 0o777, f.read_text()) for f in directory.iterdir()}


def test_files(where):
    """H: --files makes the files that are named; those of passwords are read by one user. What was there stays."""
    to = where / "made"
    to.mkdir()
    text = POSTFIX + "virtual_alias_maps = inline:{ root=me@example.net }\n"
    made, said, p = postfix(where, text, "--files", str(to))
    assert p.returncode == 0 and "s3cret" not in said + p.stderr, said
    want = {"password": (0o600, f"{SECRET}\n"), "recipients": (0o644, "root: me@example.net\n")}
    assert files_of(to) == want
    assert made[""]["recipient_map"] == f"{to}/recipients"
    assert made["smarthost"]["delivery_password_file"] == f"{to}/password"
    assert postfix(where, text, "--files", str(to))[2].returncode == 0 and files_of(to) == want
    (to / "password").write_text("mine\n")
    (to / "recipients").unlink()
    (to / "recipients").symlink_to(to / "elsewhere")
    _, said, p = postfix(where, text, "--files", str(to))
    assert p.returncode == 1 and said.count("was there, says something else, and was left as it is") == 2
    assert (to / "password").read_text() == "mine\n" and not (to / "elsewhere").exists() and "s3cret" not in said
    p = run("import", "--files", where / "none", "postfix", where / "main.cf")
    assert p.returncode == 1 and "No such file" in p.stderr and not p.stdout


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


@pytest.mark.parametrize("maps", ["static:us:SECRET", "inline:{ [a.example]=us:/SECRET }", "statc:us:SECRET", "us:SECRET",
                                  "hash:/nowhere/x static:us:SECRET"])
def test_passwords_in_main_cf(where, maps):
    text = f"relayhost = [a.example]\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = {maps.replace('SECRET', SECRET)}\n"
    made, said, _ = imported(where, "postfix", write(where, "main.cf", text))
    assert "s3cret" not in said and "smtp_sasl_password_maps (not shown)" in said
    assert ("delivery_user" in made["smarthost"]) == ("static" in maps or "inline" in maps)


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


def test_odd_tables(where):
    """The same in tables of Postfix, in the place of each."""
    for octets in (b"", b"=\n", b"a\x1b[2Jb \x1b[2J\x00\xff$\n", b" \n x\n", b"x" * 300000, b"/\\", b"@ @\n@a @\na@ \\\n* :\n",
                   b'"\n"" "\n', b"a:b\n" * 1000, b"".join(b"a%d: a%d, a%d\n" % (i, i + 1, i + 2) for i in range(300))):
        (where / "odd").write_bytes(octets)
        for kind in "hash", "regexp", "cidr":
            names = ("transport_maps", "smtp_sasl_password_maps", "sender_dependent_relayhost_maps", "smtp_tls_policy_maps",
                     "canonical_maps", "virtual_alias_maps", "alias_maps", "relay_domains", "mynetworks", "mydestination")
            text = "".join(f"{name} = {kind}:{where}/odd\n" for name in names)
            path = write(where, "main.cf", text + "smtp_sasl_auth_enable = yes\nsmtp_sender_dependent_authentication = yes\n")
            p = subprocess.run([str(BUILD / "postern"), "import", "postfix", str(path)], capture_output=True, check=False)
            assert p.returncode in (0, 1) and b"\x1b" not in p.stdout + p.stderr, p.stderr


def test_json(where):
    p = run("--json", "import", "ssmtp", write(where, "ssmtp.conf", "mailhub=a.example\nroot=b@example.org\n"))
    said = json.loads(p.stdout)
    assert said["warnings"] == 1 and "\nhosts = a.example:25\n" in said["configuration"]


def test_misused(where):
    assert run("import").returncode == 64
    assert run("import", "sendmail").returncode == 64
    p = run("import", "dma", where / "missing")
    assert p.returncode == 1 and "No such file" in p.stderr and not p.stdout
