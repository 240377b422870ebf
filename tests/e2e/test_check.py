"""L30, L44, L48, L69: `smtpd --check`, by the user of the service: each fault has its line, which names the key of the
configuration and its value, and says what to do. Status 78 if mail stops, 0 if not."""
import os
import shutil
import subprocess

import pytest

from conftest import DROP, own

KEY = "-----BEGIN PRIVATE"


@pytest.fixture
def checked(secure, pki):
    """Runs it: (status, what it finds)."""
    secure.settings.update(delivery_ca=pki.path("ca"), postmaster="root@d.example")

    def run(lines=(), **settings):
        if lines:
            secure.configure(*lines)
        p = subprocess.run(secure.command("smtpd", "--check", **settings), capture_output=True, text=True,
                           env=secure.environment(), check=False)
        assert "spool = " in p.stdout, "what is in force is printed, whatever is found"
        return p.returncode, p.stderr
    return run


def test_nothing_is_wrong(checked):
    assert checked() == (0, "")


def test_users_are_held_to_their_names(checked):
    """Where loopback gives no rights, or users come in at their socket, the list holds, and nothing is said."""
    assert checked(local_senders="*=self", relay_local="no") == (0, "")
    assert checked(local_senders="*=self", local_users="yes") == (0, "")
    assert checked(local_senders="*=*") == (0, "")


def file(postern, name, text, mode=0o600):
    path = postern.where / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    own(path)
    return path


# ---- certificates and keys: (what it does to the file of both, status, the line)

def without_key(path, pki):
    path.write_text(path.read_text().partition(KEY)[0])


def key_of_another(path, pki):
    path.write_text(path.read_text().partition(KEY)[0] + pki.key("ca").read_text())


def not_pem(path, pki):
    del pki
    path.write_text("certificate")


def issued(days):
    def spoil(path, pki):
        pki.issue(f"days{days}", "/CN=mx.test.example", usage="serverAuth", days=days)
        shutil.copyfile(pki.path(f"days{days}"), path)
    return spoil


def by_another(path, pki):
    """Whose certificate is not in the file, nor known to clients."""
    pki.authority("between")
    pki.issue("below", "/CN=mx.test.example", usage="serverAuth", ca="between")
    shutil.copyfile(pki.path("below"), path)


@pytest.mark.parametrize("spoil, status, line", [
    (lambda path, pki: path.unlink(), 78, "tls: error: tls_certificate {}: No such file or directory; user "),
    (lambda path, pki: path.chmod(0), 78, "tls: error: tls_certificate {}: Permission denied; user "),
    (without_key, 78, "tls: error: tls_key {}: there is no key in it in PEM "),
    (key_of_another, 78, "tls: error: tls_key {}: it is not the key of the certificate in {}"),
    (not_pem, 78, "tls: error: tls_certificate {}: there is no certificate in it in PEM "),
    (issued(-1), 0, "tls: warning: tls_certificate {}: it has expired; renew it"),
    (issued(5), 0, "tls: warning: tls_certificate {}: it expires in "),
    (by_another, 0, "tls: warning: tls_certificate {}: nobody in "),
])
def test_certificate(checked, secure, pki, spoil, status, line):
    path = secure.where / "server.pem"
    spoil(path, pki)
    got, found = checked()
    assert got == status and len(found.splitlines()) == 1
    assert line.format(path, path) in found


def test_expired_where_tls_is_needed(checked, secure, pki):
    """Clients that must have TLS ask for a good certificate: their mail stops."""
    issued(-1)(secure.where / "server.pem", pki)
    status, found = checked(tls="required")
    assert status == 78 and "tls: error: tls_certificate " in found and "it has expired" in found


def test_two_of_a_kind(checked, secure):
    """L45: which of them would a client get?"""
    path = secure.where / "server.pem"
    status, found = checked(tls_certificate=f"{path} {path}")
    assert status == 78 and f"tls_certificate {path}: there is one before it with the same kind of key" in found


def test_secret_that_is_none(secure, checked):
    """L44: a line of another program's file; nobody would hear why this user cannot log in."""
    users = file(secure, "users", "#\njoe:{PLAIN}secret\n")
    assert f"auth: warning: auth_users {users}:2: this is no secret, so the user cannot log in" in checked(auth_users=users)[1]


@pytest.mark.parametrize("key, status, line", [
    ("/nonexistent", 78, ":2: /nonexistent: No such file or directory: mail of a.example waits for it"),
    ("/etc/hostname", 78, ":2: /etc/hostname: there is no private key in it"),
    ("credential:key", 0, ":2: credential:key: a credential can be looked at only where the unit runs")])
def test_dkim_keys(secure, checked, key, status, line):
    """Each key that the table names."""
    table = file(secure, "dkim", f"#\na.example s {key}\n")
    found = checked(dkim_keys=table)
    assert found[0] == status and f"dkim_keys {table}{line}" in found[1]


@pytest.mark.parametrize("table, warned", [("a.example s /key\n", True), ("* s /key\n", False), ("sub.reports.example s /key\n", True),
                                           ("reports.example s /key 2999-01-01\n", True), ("Example s /key\n", False)])
def test_reports_without_key(secure, checked, table, warned):
    """Reports on TLS that are not signed are of no use: their sender needs a key of its own."""
    table = file(secure, "dkim", table)
    _, found = checked(dkim_keys=table, tls_reports="yes", tls_reports_from="tls@reports.example")
    line = f"tls_reports: dkim_keys {table} has no key for the domain of tls@reports.example: reports by mail are not signed"
    assert (line in found) == warned


def test_reports_are_posted(checked):
    """What posts them is looked at, though nothing else is fetched."""
    settings = {"mta_sts": "no", "fetch_path": "/nonexistent/it"}
    assert checked(**settings) == (0, "")
    status, found = checked(tls_reports="yes", **settings)
    assert status == 78 and "fetch_path /nonexistent/it: No such file" in found


@pytest.mark.parametrize("table, line", [
    ("* s {key}\na.example s {key} 2999-01-01\nA.example t {key} 2999-02-01\n", 2), ("a.example s {key} 2999-01-01\n", 1),
    ("a.example s {key}\na.example t {key} 2999-01-01\n", None), ("a.example s {key} 2026-01-01\n", None)])
def test_dkim_keys_whose_day_is_to_come(secure, checked, table, line):
    path = file(secure, "key.pem", subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519"], stdout=subprocess.PIPE,
                                                  check=True).stdout)
    table = file(secure, "dkim", table.format(key=path))
    status, found = checked(dkim_keys=table)
    assert status == 0 and found.count("warning") == (line is not None)
    assert not line or f"sign: warning: dkim_keys {table}:{line}: no key of a.example signs before its day" in found


def test_dkim_key_of_everybody(secure, checked):
    """Who can read it signs as that domain, wherever he is."""
    path = file(secure, "key.pem", subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519"], stdout=subprocess.PIPE,
                                                  check=True).stdout, mode=0o644)
    table = file(secure, "dkim", f"a.example s {path}\n")
    status, found = checked(dkim_keys=table)
    assert status == 0 and f"sign: warning: dkim_keys {table}:1: {path}: by its mode every user of this host may read" in found
    path.chmod(0o640)
    assert checked(dkim_keys=table) == (0, "")


@pytest.mark.parametrize("mode, verb, more", [(0o604, "read", "r"), (0o602, "change", "rw")])
@pytest.mark.parametrize("program, key", [("tls", "tls_key"), ("auth", "auth_users"), ("relay", "delivery_password_file")])
def test_secret_of_everybody(secure, checked, program, key, mode, verb, more):
    """A file with a secret that every user may read, or put another one into."""
    users = file(secure, "users", "joe:" + subprocess.run(secure.command("smtpd", "--hash", "joe"), input=b"secret\n",
                                                          capture_output=True, check=True).stdout.decode().split(":", 1)[1])
    password = file(secure, "password", "secret\n")
    path = {"tls_key": secure.where / "server.pem", "auth_users": users, "delivery_password_file": password}[key]
    path.chmod(mode)
    lines = (f"auth_users = {users}", "[route x]", "hosts = [127.0.0.1]:25", "domains = x.example", "delivery_user = joe",
             f"delivery_password_file = {password}")
    status, found = checked(lines)
    place = "[route x] " if program == "relay" else ""
    assert status == 0 and len(found.splitlines()) == 1
    assert found.startswith(f"{program}: warning: {place}{key} {path}: by its mode every user of this host may {verb} it, and ")
    assert f'"chmod o-{more}" it' in found
    path.chmod(0o600)
    assert checked(lines) == (0, "")


def test_credential(checked):
    """What only the unit hands out can be looked at only there, and is no fault."""
    status, found = checked(tls_key="credential:key")
    assert status == 0 and "tls_key credential:key: a credential can be looked at only where the unit runs" in found


def test_credential_of_the_unit(secure):
    """Where the unit runs it is read, and the line names it as the configuration does."""
    given = secure.where / "given"
    given.mkdir()
    given.chmod(0o755)
    hashed = subprocess.run(secure.command("smtpd", "--hash", "joe"), input=b"secret\n", env=secure.environment(),
                            capture_output=True, check=True)
    file(secure, "given/a-file-of-users", hashed.stdout)
    p = subprocess.run(secure.command("auth", "--check", auth_users="credential:a-file-of-users"), capture_output=True,
                       text=True, env=secure.environment() | {"CREDENTIALS_DIRECTORY": str(given)}, check=False)
    assert (p.returncode, p.stderr) == (0, "")
    assert p.stdout == "auth: ok: auth_users credential:a-file-of-users: it can be read, and there are users in it\n"


# ---- what else there is: (settings, status, the line)

ROUTE = ("[route x]", "domains = *", "hosts = mail.example.net:587", "delivery_user = u")

FAULTS = [
    ({"spool": "/nonexistent/spool"}, 78, "spool /nonexistent/spool: No such file or directory, and it cannot be made: "),
    ({"spool": "/etc/hostname"}, 78, "spool /etc/hostname: it is not a directory"),
    ({"spool": "/usr"}, 78, "spool /usr: it belongs to user 0 and not to "),
    ({"min_free": "1000G"}, 78, "less than min_free "),
    ({"runtime": "/nonexistent/run"}, 0, "runtime /nonexistent/run: No such file or directory: nothing is counted"),
    ({"runtime": "/usr"}, 0, "runtime /usr: Permission denied"),
    ({"hostname": "192.0.2.1"}, 78, "hostname 192.0.2.1: no host can have this name"),
    ({"postmaster": ""}, 0, "postmaster is not set, and nothing takes mail for mx.test.example"),
    ({"local_senders": "0-999=* *=self"}, 0, "local_senders holds at the socket for users alone: by port 25 on loopback "),
    ({"recipient_check": "/nonexistent"}, 78, "recipient_check /nonexistent: No such file or directory"),
    ({"sender_check": "/etc/passwd"}, 78, "sender_check /etc/passwd: Permission denied"),
    ({"sender_check": "/usr"}, 78, "sender_check /usr: it is not a program"),
    ({"recipient_map": "/nonexistent"}, 78, "recipient_map /nonexistent: No such file or directory; no mail is taken"),
    ({"recipient_map": "/etc/passwd"}, 78, "recipient_map /etc/passwd:1: not an address: "),
    ({"guard": "sink /nonexistent"}, 78, "guard = sink /nonexistent: No such file or directory; mail waits for it"),
    ({"guard": "sink /usr"}, 78, "guard = sink /usr: "),
    ({"relay_path": "/nonexistent/relay"}, 78, "relay_path /nonexistent/relay: No such file or directory"),
    ({"tls_path": "/nonexistent/tls"}, 78, "tls_path /nonexistent/tls: No such file or directory"),
    ({"tls_client_ca": "/nonexistent"}, 78, "tls_client_ca /nonexistent: No such file or directory"),
    ({"auth_users": "/nonexistent"}, 78, "auth_users /nonexistent: No such file or directory; user "),
    ({"auth_users": "/dev/null"}, 0, "auth_users /dev/null: there is no user in it"),
    ({"auth_dovecot": "/nonexistent"}, 0, "auth_dovecot /nonexistent: No such file or directory; does it run"),
    ({"delivery_tls": "verify", "delivery_ca": "/nonexistent", "tls": "off"}, 78,
     "delivery_ca /nonexistent: No such file or directory"),
    ({"dane": "only", "nameserver": "192.0.2.53"}, 78, "dane = only: mail waits: a nameserver is neither on this host"),
    ({"requiretls": "yes", "delivery_ca": "/nonexistent", "tls": "off"}, 78,
     "delivery_ca /nonexistent: No such file or directory"),
    ({"delivery_ca": "/nonexistent", "tls": "off"}, 0, "delivery_ca /nonexistent: No such file or directory"),
    ({"delivery_ca": "/usr", "tls": "off"}, 0, "delivery_ca /usr: Is a directory; no certificate of a host can be verified"),
    ({"delivery_tls": "verify", "delivery_ca": "/usr", "tls": "off"}, 78, "delivery_ca /usr: Is a directory"),
    ({"dkim_keys": "/nonexistent"}, 78, "dkim_keys /nonexistent: No such file or directory; user "),
    ({"dkim_keys": "/dev/null", "sign_path": "/nonexistent/sign"}, 78, "sign_path /nonexistent/sign: No such file"),
    ({"fetch_path": "/nonexistent/fetch"}, 78, "fetch_path /nonexistent/fetch: No such file"),
    ({"tls_reports": "yes"}, 0, "tls_reports: no report is sent by mail, for nobody looks at one that is not signed"),
    ({"tls_reports": "yes", "dkim_keys": "/dev/null"}, 0, "tls_reports: dkim_keys /dev/null has no key for the domain of "
     "postmaster@"),
    ({"tls_reports": "yes", "tlsreport_path": "/nonexistent/it"}, 78, "tlsreport_path /nonexistent/it: No such file"),
    ({"source": "192.0.2.1"}, 78, "source 192.0.2.1: Cannot assign requested address"),
]


@pytest.mark.parametrize("settings, status, line", FAULTS, ids=["-".join(row[0]) + f"{n}" for n, row in enumerate(FAULTS)])
def test_fault(checked, settings, status, line):
    got, found = checked(**settings)
    assert got == status and line in found and len(found.splitlines()) == 1, found
    assert (": error: " in found) == (status == 78)


@pytest.mark.parametrize("lines, status, line", [
    ((*ROUTE, "delivery_password_file = /nonexistent"), 78,
     "[route x] delivery_password_file: No such file or directory (/nonexistent)"),
    (ROUTE, 78, "[route x] delivery_password_file: No such file or directory (it is not set)"),
    ((*ROUTE, "delivery_token_command = /nonexistent a"), 78,
     "[route x] delivery_token_command /nonexistent: No such file"),
    ((*ROUTE, "delivery_password_file = credential:p"), 0, "[route x] delivery_password_file credential:p: only where"),
    ((*ROUTE, "delivery_password_file = environment:P"), 0, "[route x] delivery_password_file environment:P: only where"),
    (("[route x]", "domains = *", "hosts = unix:/nonexistent"), 0, "[route x] hosts unix:/nonexistent: No such file"),
    (("[route x]", "domains = *", "hosts = [127.0.0.1]:25", "source = 192.0.2.1"), 78, "source 192.0.2.1: Cannot assign"),
])
def test_route(checked, lines, status, line):
    """What its mail needs."""
    got, found = checked(lines)
    assert got == status and line in found and len(found.splitlines()) == 1, found


def test_library_that_cannot_be_loaded(secure):
    """What relay loads when it delivers is looked for beforehand."""
    libraries = secure.where / "libraries"
    libraries.mkdir(mode=0o755)
    (libraries / "libssl.so.3").write_bytes(b"")
    (libraries / "libssl.so.3").chmod(0o644)
    libraries.chmod(0o755)
    p = subprocess.run(secure.command("relay", "--check"), capture_output=True, text=True, check=False,
                       env={**secure.environment(), "LD_LIBRARY_PATH": str(libraries)})
    assert p.returncode == 78
    assert "cannot load OpenSSL: " in p.stderr and "libssl.so.3: file too short" in p.stderr



def test_symbolic_link(checked, secure):
    """S12: the spool itself must not be one."""
    (secure.where / "link").symlink_to(secure.spool)
    status, found = checked(spool=secure.where / "link")
    assert status == 78 and f"it is a symbolic link; set spool to what it leads to ({secure.spool})" in found


@pytest.mark.parametrize("place", ["tmp", "lane", ".", "aside"])
def test_spool_that_cannot_be_written(checked, secure, place):
    assert checked()[0] == 0 # makes what is in it
    (secure.spool / place).mkdir(exist_ok=True)
    own(secure.spool / place)
    (secure.spool / place).chmod(0o500)
    status, found = checked()
    (secure.spool / place).chmod(0o700)
    assert status == 78 and f"spool {secure.spool}: it cannot be written: Permission denied" in found
    assert f'has mode 0500, which does not let its owner; "chmod 700 {secure.spool / place}"' in found
    assert checked()[0] == 0


def test_aside_is_no_directory(checked, secure):
    """It is made when a file goes there, which may be in years."""
    (secure.spool / "aside").touch()
    status, found = checked()
    assert status == 78 and f"{secure.spool}/aside is not a directory" in found


@pytest.mark.parametrize("mode", [0o000, 0o500, 0o300, 0o600])
def test_spool_of_another_mode(checked, secure, mode):
    secure.spool.chmod(mode)
    status, found = checked()
    secure.spool.chmod(0o700)
    assert status == 78 and f'it has mode {mode:04o}, which does not let its owner; "chmod 700 {secure.spool}"' in found


def test_way_to_the_spool(checked, secure):
    """It is there, but behind a door that is closed: nothing is to be made."""
    above = secure.where / "closed"
    (above / "below" / "spool").mkdir(parents=True)
    own(above / "below" / "spool")
    above.chmod(0o700 if os.geteuid() == 0 else 0o600)
    status, found = checked(spool=above / "below" / "spool")
    above.chmod(0o755)
    assert status == 78 and f"may not search {above} (mode " in found and "install" not in found and "made" not in found


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give it to somebody")
@pytest.mark.parametrize("part", ["lane", "tmp", "aside", "lane/d.example"])
def test_part_of_the_spool_is_somebody_elses(checked, secure, part):
    """What root put there: mail for one domain, or all of it, would get 451 for ever."""
    assert checked()[0] == 0
    (secure.spool / part).mkdir(exist_ok=True)
    os.chown(secure.spool / part, 0, 0)
    status, found = checked()
    assert status == 78 and len(found.splitlines()) == 1, found
    assert f"{secure.spool / part} belongs to user 0 and not to " in found and f' {secure.spool / part}"' in found
    assert ("neither taken nor delivered" in found) == (part == "lane/d.example")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give it to somebody")
def test_lanes_are_somebody_elses(checked, secure):
    """One line for all of them."""
    assert checked()[0] == 0
    for name in ("a.example", "b.example", "c.example"):
        (secure.spool / "lane" / name).mkdir()
    own(secure.spool / "lane" / "b.example")
    status, found = checked()
    assert status == 78 and "\" (and 1 more); mail for it is neither taken" in found and len(found.splitlines()) == 1, found


def test_no_place_for_a_relay(checked, secure):
    """S13: mail would be taken, and stay."""
    (secure.spool / "relay").write_text("what a copy left")
    own(secure.spool / "relay")
    status, found = checked()
    assert status == 78
    assert f"spool {secure.spool}: what a relay needs in relay/mx.test.example: Not a directory; no mail" in found


@pytest.mark.parametrize("key", ["postmaster", "double_bounce"])
def test_nobody_could_be_told(checked, key):
    """S6: a no-break space came along with the address."""
    status, found = checked(**{key: "root@d.example\u00a0"})
    assert status == 78 and f"{key} root@d.example\u00a0: no mail can be sent to this domain" in found
    assert checked(**{key: "root@b\u00fccher.example"})[0] == 0


@pytest.mark.parametrize("zone, told", [("Europe/Berlin", False), ("CET-1CEST,M3.5.0,M10.5.0/3", False), ("", False),
                                        (":Europe/Berlin", True), ("/usr/share/zoneinfo/UTC", True)])
def test_time_zone(checked, monkeypatch, zone, told):
    """S22: what smtpd starts does not get it, and says so nowhere else: a line, and once."""
    monkeypatch.setenv("TZ", zone)
    status, found = checked()
    assert status == 0 and len(found.splitlines()) == told
    assert not told or found.startswith("smtpd: warning: TZ is not handed on to relay, tls and the others")


def test_all_at_once(checked):
    """One line for each, in the order of the tables."""
    status, found = checked(hostname="1.2", runtime="/nonexistent", auth_users="/nonexistent", spool="/nonexistent/s")
    assert status == 78
    assert [line.split(" ")[2] for line in found.splitlines()] == ["hostname", "spool", "runtime", "auth_users"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody")
def test_by_root(secure):
    """As root it becomes the user of the service first: what only root can read is not readable."""
    (secure.where / "server.pem").chmod(0o400)
    os.chown(secure.where / "server.pem", 0, 0)
    command = secure.command("smtpd", "--check", user="nobody")[len(DROP):]
    p = subprocess.run(command, capture_output=True, text=True, env=secure.environment(), check=False)
    assert p.returncode == 78 and f"tls_certificate {secure.where}/server.pem: Permission denied; user 65534" in p.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody")
def test_by_root_without_the_user(secure):
    command = secure.command("smtpd", "--check", user="no-such-user")[len(DROP):]
    p = subprocess.run(command, capture_output=True, text=True, env=secure.environment(), check=False)
    assert p.returncode == 78 and "cannot become user no-such-user: /etc/passwd has none of this name; " in p.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another")
def test_by_another_user(checked):
    """What somebody else sees is not what the service sees."""
    status, found = checked(user="daemon")
    assert status == 0 and "user daemon: this check runs as user 65534" in found
