"""sendmail and its socket under a real systemd: units that are locked in, and users with who they are."""
import os
import re
import subprocess

import pytest

import patience
import sysd_host
import sysd_machine
from sysd_host import TOP, mail, sink  # noqa: F401

sysd_host.need_root("systemd-nspawn", "unshare", "nsenter")

wait = patience.until
RECIPIENT = "u@dest.example"
LOCKED = ["NoNewPrivileges=yes", "DynamicUser=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateDevices=yes",
          "ProtectKernelTunables=yes", "RestrictAddressFamilies=AF_UNIX", "CapabilityBoundingSet=", "MemoryDenyWriteExecute=yes",
          "SystemCallFilter=@system-service", "RestrictNamespaces=yes", "PrivateNetwork=yes"]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with sysd_machine.booted(tmp_path_factory.mktemp("machine")) as m:
        clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES")}
        subprocess.run(["make", "-s", "-C", str(TOP), "install-mta", f"DESTDIR={m.root}", "PREFIX=/usr"], env=clean, check=True)
        with open(m.root / "etc/postern/postern.conf", "a", encoding="ascii") as f:
            f.write("linger = 0s\n") # a second for each test
        (m.root / "etc/mailname").write_text("site.example\n")
        (m.root / "etc/aliases").write_text(f"root: {RECIPIENT}\n")
        m.systemctl("enable", "--now", "postern-local.socket")
        yield m


def service(host, name, script, *settings, status=0):
    """Runs a script as a unit with these settings, and waits for its end."""
    lines = ["[Service]", "Type=oneshot", f"SyslogIdentifier={name}", *settings, f"ExecStart=/bin/sh -c '{script}'"]
    (host.root / f"run/systemd/system/{name}.service").write_text("\n".join(lines) + "\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", f"{name}.service", check=False)
    assert host.show(f"{name}.service", "ExecMainStatus") == str(status), host.journal("-u", f"{name}.service")


def arrived(sink, n=1):
    return [m.data.decode() for m in wait(lambda: len(sink.messages) == n and sink.messages)]


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


def test_units(host):
    assert host.run("systemd-analyze", "verify", "postern-local.socket", "postern-local@1.service") == ""
    assert host.show("postern-local@1.service", "ExecStart").count(" -p local ") == 1
    assert host.show("postern-local@1.service", "User") == "postern"
    assert host.run("stat", "-c", "%a %U", "/run/postern", "/run/postern/local").split()[:3] == ["711", "postern", "666"]


def test_unit_that_is_locked_in(host, sink):
    """No privilege, no user of the system, nothing to write to, no network: mail goes all the same."""
    service(host, "locked", f"echo hi | sendmail -F Locked {RECIPIENT}", *LOCKED)
    [text] = arrived(sink)
    uid = re.search(r"^Received: from localhost \(uid=(\d+)\)", text, re.M)[1]
    assert 61184 <= int(uid) <= 65519 # systemd's for DynamicUser=
    assert re.search(r"^From: Locked <(locked|uid%s)@site.example>" % uid, text, re.M)
    assert "\r\n\r\nhi\r\n" in text
    assert "accepted from uid=" + uid in host.journal()


def test_large_from_a_unit_that_is_locked_in(host, sink):
    """No directory can be written to: it is kept in memory."""
    service(host, "large", f"seq 250000 | sendmail {RECIPIENT}", *LOCKED, "PrivateTmp=no",
            "TemporaryFileSystem=/tmp:ro /var/tmp:ro")
    [text] = arrived(sink)
    assert text.endswith("\r\n249999\r\n250000\r\n") and "\r\n\r\n1\r\n2\r\n" in text


def test_unit_without_sockets(host):
    """Then there is no way, and the status says so."""
    service(host, "nothing", f"echo hi | sendmail {RECIPIENT}", "DynamicUser=yes", "RestrictAddressFamilies=none", status=75)
    assert "not queued: /run/postern/local: Address family not supported" in host.journal("-u", "nothing.service")


def test_users_are_who_they_are(host, sink):
    """Two users, who say that they are root."""
    for uid in (1, 2):
        host.run(*as_user(uid), "sh", "-c", f"echo hi | sendmail -F root -f root@site.example {RECIPIENT}")
        text = arrived(sink, uid)[-1]
        assert text.startswith(f"Received: from localhost (uid={uid})\r\n")
    assert host.at_rest()


def test_root_in_a_namespace(host, sink):
    """It is root of nothing, and the user who made it."""
    inside = ["unshare", "--user", "--map-root-user"]
    if "0" not in host.run(*as_user(1), *inside, "id", "-u", check=False).split():
        pytest.skip("users can make no namespaces here")
    host.run(*as_user(1), *inside, "sh", "-c", f"echo hi | sendmail {RECIPIENT}")
    [text] = arrived(sink)
    assert text.startswith("Received: from localhost (uid=1)\r\n")


def test_connection_that_was_handed_on(host, sink):
    """Who made it is who speaks; who was given it is nobody."""
    script = """
import os, socket
s = socket.socket(socket.AF_UNIX)
os.seteuid(1) # the kernel keeps who it is now
s.connect("/run/postern/local")
os.seteuid(0)
os.setuid(2)
f = s.makefile("rwb", buffering=0)
for line in ("EHLO x", "MAIL FROM:<a@site.example>", "RCPT TO:<u@dest.example>", "DATA", "hi\\r\\n.", "QUIT"):
    f.write(line.encode() + b"\\r\\n")
while f.readline():
    pass
"""
    host.run("/usr/bin/python3", "-c", script)
    [text] = arrived(sink)
    assert text.startswith("Received: from x (uid=1)\r\n")


def test_runtime_directory_is_not_for_users(host):
    """They pass through it, and neither see nor read what else is there."""
    said = host.run(*as_user(1), "ls", "/run/postern", check=False)
    assert "Permission denied" in said
    for path in (host.root / "run/postern").iterdir():
        if path.name != "local":
            assert path.stat().st_mode & 0o077 == 0, path
            assert "Permission denied" in host.run(*as_user(1), "cat", f"/run/postern/{path.name}", check=False)
    assert "Permission denied" in host.run(*as_user(1), "ls", "/var/spool/postern", check=False)


def test_local_senders(host, sink):
    """On a host with users who are not trusted."""
    path = host.root / "etc/postern/postern.conf"
    before = path.read_text()

    def write(text): # in one step: the timer's relay may read it at any time
        new = path.with_name("new")
        new.write_text(text)
        new.rename(path)
    write(before + "local_senders = 0-1=* *=self\n")
    try:
        host.run(*as_user(1), "sh", "-c", f"echo hi | sendmail -f any@where.example {RECIPIENT}")
        said = host.run(*as_user(2), "sh", "-c", f"echo hi | sendmail -f any@where.example {RECIPIENT}; echo $?")
        assert "553 5.7.1 Error: not a sender of this user" in said and said.endswith("\n77\n")
        host.run(*as_user(2), "sh", "-c", f"echo hi | sendmail {RECIPIENT}") # bin@site.example
        assert len(arrived(sink, 2)) == 2
    finally:
        write(before)


def test_cron(host, sink):
    """As Debian's cron calls it, for root, whose alias is an address."""
    host.run("sh", "-c", "printf '%s\\n' 'From: root (Cron Daemon)' 'To: root' 'Subject: Cron <root@host> job' "
             "'Content-Type: text/plain; charset=UTF-8' '' out | sendmail -i -FCronDaemon -B8BITMIME -oem root")
    [text] = arrived(sink)
    assert "From: root@site.example (Cron Daemon)\r\nTo: root@site.example\r\n" in text
    assert text.startswith("Received: from localhost (uid=0)\r\n")


def test_socket_is_away(host, sink):
    """Root has an smtpd of its own then; a user speaks with port 25."""
    host.systemctl("stop", "postern-local.socket")
    try:
        host.run("sh", "-c", f"echo piped | sendmail {RECIPIENT}")
        host.run(*as_user(1), "sh", "-c", f"echo looped | sendmail {RECIPIENT}")
        texts = "".join(arrived(sink, 2))
        assert re.search(r"Received: from localhost \(uid=0\)\r\n(?:.*\r\n)+?piped", texts)
        assert re.search(r"Received: from localhost \(\[127.0.0.1\]\)\r\n(?:.*\r\n)+?looped", texts)
    finally:
        host.systemctl("start", "postern-local.socket")


def test_mailq(host, sink):
    """By postern, which is installed."""
    assert host.run("mailq", check=False) == host.run("postern", "list", check=False)


def test_flood_of_one_user(host, sink):
    """One who holds all places that he may have does not keep others out."""
    script = """
import socket
held = []
for _ in range(120):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/postern/local")
    held.append(s)
print("held", flush=True)
import sys
sys.stdin.read()
"""
    p = subprocess.Popen(["nsenter", "-t", str(host.leader), "-m", "-n", "-p", "-u", "-i", "-C", "-r", "-w", "--", *as_user(1),
                          "/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"held\n"
        host.run(*as_user(2), "sh", "-c", f"echo hi | sendmail {RECIPIENT}")
        arrived(sink)
    finally:
        p.stdin.close()
        p.wait()
    assert host.at_rest()


def test_nothing_is_set_id(host):
    found = host.run("find", "/usr/libexec/postern", "/usr/bin/postern", "/usr/sbin/sendmail", "-perm", "/6000", check=False)
    assert found == ""
    assert host.run("readlink", "-f", "/usr/sbin/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases", "/usr/lib/sendmail").split() == \
        4 * ["/usr/libexec/postern/sendmail"]
