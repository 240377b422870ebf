"""docs/guide: each recipe is followed to the letter, by root of a machine with a real systemd and Postern installed.

A block of a recipe whose first line names a file is that file. One of `sh` is run, and what `text` says behind it has to be
shown by it, line by line in that order: "..." is anything, ID an id. What only looks is run until it shows that. What else is
to come of it, at the hosts that mail goes to, is said here. docs/guide/README.md has the table of what is put in place of what.
"""
import contextlib
import os
import re
import shutil
import signal
import smtplib
import subprocess

import pytest

import internet
import patience
import policyhost
import sysd_host
import sysd_machine
from conftest import TOP
from peers import PEERS
from tlssink import TlsSink, server_context

sysd_host.need_root("systemd-nspawn", "unshare", "nsenter", "openssl")

GUIDE = TOP / "docs" / "guide"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
FILE = re.compile(r"# (/\S+)\n")
LOOKS = re.compile(r"(journalctl|ls|cat|grep|postern) [^>&]*")
ALLOWED = "POSTERN_ALLOW_DESTINATIONS=127.0.0.0/8"
UNITS = ("postern.socket", "postern-local.socket", "postern-lan.socket", "postern-submission.socket", "postern-due.timer")
ZONE = {("mail.example.net", "A"): ["127.0.0.2"], ("mail2.example.net", "A"): ["127.0.0.2"],
        ("smtp.example.com", "A"): ["127.0.0.2"],
        ("example.net", "MX"): ["10 mail.example.net."],
        ("example.com", "MX"): ["10 mx.example.com."], ("mx.example.com", "A"): ["127.0.0.3"],
        ("closed.example.com", "MX"): ["10 mx.closed.example.com."], ("mx.closed.example.com", "A"): ["127.0.0.9"],
        ("example.org", "MX"): ["10 mx1.example.org.", "20 mx2.example.org."],
        ("mx1.example.org", "A"): ["127.0.0.4"], ("mx2.example.org", "A"): ["192.0.2.1"]}


def blocks(name):
    """[(kind, text)] of a recipe: "file PATH", "sh", or "shows"."""
    for kind, text in BLOCK.findall((GUIDE / name).read_text()):
        file = FILE.match(text)
        if file is not None:
            yield f"file {file[1]}", text
        else:
            yield ("shows" if kind == "text" else kind), text


def shown(output, text):
    """Does the output have these lines, in this order?"""
    wanted = [re.escape(line).replace(r"\.\.\.", ".*").replace("ID", "[0-9a-z]{20}") for line in text.splitlines() if line]
    lines = iter(output.splitlines())
    return all(any(re.fullmatch(w, line.strip()) for line in lines) for w in wanted)


class Place:
    """The machine, and the hosts of a recipe."""

    def __init__(self, machine, pki):
        self.machine, self.pki, self.sinks = machine, pki, []

    def host(self, name, port, **more):
        """A mail server; with a certificate for its name where clients log in."""
        address = ZONE[(name, "A")][0]
        with self.machine.network():
            if port == 25:
                sink = internet.Sink(address, port)
            else:
                if not self.pki.path(name).exists():
                    self.pki.issue(name, f"/CN={name}", f"DNS:{name}", usage="serverAuth")
                sink = TlsSink(server_context(self.pki.path(name)), address, port,
                               inside=("PIPELINING", "AUTH PLAIN XOAUTH2"), **more)
        self.sinks.append(sink)
        return sink

    def run(self, script, check=True):
        return self.machine.run("env", ALLOWED, "sh", "-euc" if check else "-uc", script, check=check)

    def write(self, path, text):
        patience.until(lambda: not self.machine.ours("relay")) # one that is at work goes on as it began
        file = self.machine.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def look(self, script, want):
        said = []

        def shows():
            said[:] = [self.run(script, check=False)]
            return shown(said[0], want)
        assert patience.within(shows, patience.PATIENCE), f"{script}\n-> {said[0]}\n-- wanted:\n{want}"

    def steps(self, name):
        """The recipe, block by block; what comes behind a step may be asserted before the next one is taken."""
        parts = [*blocks(name), ("end", "")]
        for (kind, text), (then, want) in zip(parts, parts[1:]):
            if kind.startswith("file "):
                self.write(kind.split(" ")[1], text)
            elif kind == "sh" and then == "shows" and all(LOOKS.fullmatch(x) for x in text.splitlines()):
                yield text
                self.look(text, want)
            elif kind == "sh":
                yield text
                output = self.run(text)
                assert then != "shows" or shown(output, want), f"{text}\n-> {output}\n-- wanted:\n{want}"

    def follow(self, name):
        steps = list(self.steps(name))
        assert steps

    def send(self, recipient, host="192.0.2.1", port=25, source="192.0.2.50"):
        """By a client in the network. The reply to the recipient, and to the message if it was taken."""
        with self.machine.network():
            c = smtplib.SMTP(host, port, "printer.example.org", patience.PATIENCE, (source, 0))
        with c:
            c.ehlo()
            c.mail("device@example.org")
            code, _ = c.rcpt(recipient)
            return (code, c.data(b"Subject: from a device\r\n\r\nHello.\r\n")[0]) if code == 250 else (code, None)

    def close(self):
        for sink in self.sinks:
            sink.close()
        self.machine.dns.zone.clear()
        self.machine.dns.zone.update(ZONE)
        self.machine.dns.secure = False

    def policy(self, domain, host):
        """The domain has a policy of MTA-STS, at a web server of its own, and asks for reports; its host speaks TLS."""
        zone, web = self.machine.dns.zone, f"mta-sts.{domain}"
        for name in (host, web):
            if not self.pki.path(name).exists():
                self.pki.issue(name, f"/CN={name}", f"DNS:{name}", usage="serverAuth")
        zone[(f"_mta-sts.{domain}", "TXT")] = ['"v=STSv1; id=20260101;"']
        zone[(f"_smtp._tls.{domain}", "TXT")] = [f'"v=TLSRPTv1; rua=mailto:tls@{domain}"']
        zone[(web, "A")] = ["127.0.0.10"]
        with self.machine.network():
            sink = TlsSink(server_context(self.pki.path(host)), ZONE[(host, "A")][0], 25)
            self.sinks += [sink, policyhost.Web(policyhost.context_of(self.pki.path(web)), "127.0.0.10", 443,
                                                policyhost.answer(policyhost.policy(host)))]
        return sink

    def publish(self, zone):
        """What `postern dkim record` prints, as whoever has the zone would."""
        for name, texts in re.findall(r"^(\S+)\. IN TXT \(\n(.*?) \)$", zone, re.M | re.S):
            self.machine.dns.zone[(name, "TXT")] = [" ".join(texts.split())]


@pytest.fixture(scope="module")
def machine(tmp_path_factory, pki):
    with sysd_machine.booted(tmp_path_factory.mktemp("guide")) as m:
        m.run("ip", "address", "add", "192.0.2.1/24", "dev", "lo")
        m.run("ip", "address", "add", "192.0.2.50/24", "dev", "lo")
        m.systemctl("set-environment", ALLOWED)
        m.systemctl("disable", "--now", *UNITS) # each recipe says itself what it needs, whichever is the first
        m.run("ln", "-sf", "/usr/libexec/postern/sendmail", "/usr/sbin/sendmail") # make install-mta
        m.run("sh", "-c", "echo web1.example.org >/etc/mailname; rm -f /etc/aliases")
        (m.root / "etc/resolv.conf").unlink(missing_ok=True)
        (m.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        with open(m.root / "etc/ssl/certs/ca-certificates.crt", "a", encoding="ascii") as f:
            f.write(pki.path("ca").read_text())
        with m.network():
            m.dns = dns = internet.Dns(dict(ZONE), "127.0.0.1", 53)
        yield m
        dns.close()


@pytest.fixture
def place(machine, pki):
    """As behind an installation."""
    machine.run("sh", "-c", "rm -rf /etc/postern /etc/systemd/system/postern*.d; mkdir /etc/postern; "
                            "systemctl daemon-reload")
    p = Place(machine, pki)
    yield p
    p.close()
    machine.systemctl("disable", "--now", *UNITS)
    rests = patience.within(lambda: not machine.ours(), patience.PATIENCE)
    for process in machine.ours(): # the next recipe begins with none
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    assert rests
    machine.run("sh", "-c", "rm -rf /var/spool/postern/lane/*")


def test_provider(place):
    host = place.host("mail.example.net", 587)
    place.follow("provider.md")
    assert [m.recipients for m in host.messages] == [["user@example.com"], ["token@example.com"]]
    assert [p[0] for p in host.proofs] == ["PLAIN", "XOAUTH2"] # logged in, with a certificate that is good
    assert "\0us@example.org\0secret" in host.proofs[0][1] and "auth=Bearer ya29.token" in host.proofs[1][1]


def test_direct(place):
    sink, away = place.host("mx.example.com", 25), None
    for step in place.steps("direct.md"):
        if "retry --all" in step:
            away = place.host("mx.closed.example.com", 25)
    assert away.wait_messages()[0].recipients == ["user@closed.example.com"]
    assert [m.recipients for m in sink.messages] == [["direct@example.com"]]
    assert sink.messages[0].helo == "web1.example.org"


def test_lan(place):
    host = place.host("mail.example.net", 587)
    for step in place.steps("lan.md"):
        if "accepted" in step:
            assert place.send("lan@example.com") == (250, 250)
            assert place.send("scan@example.com", port=2525) == (250, 250)
    host.wait_messages(2)
    assert sorted(m.recipients[0] for m in host.messages) == ["lan@example.com", "scan@example.com"]


def test_users(place):
    sink = place.host("mx.example.com", 25)
    for step in place.steps("users.md"):
        if "authenticated" not in step:
            continue
        with place.machine.network():
            c = smtplib.SMTP("192.0.2.1", 587, "laptop.example.org", patience.PATIENCE, ("192.0.2.50", 0))
        with c:
            c.starttls()
            c.login("joe@example.org", "secret")
            with pytest.raises(smtplib.SMTPSenderRefused):
                c.sendmail("ann@example.com", "no@example.com", "Subject: in her name\r\n\r\nHello.\r\n")
            c.sendmail("joe@example.org", "users@example.com", "Subject: from a laptop\r\n\r\nHello.\r\n")
    assert [m.recipients for m in sink.wait_messages()] == [["users@example.com"]]


def test_container(place):
    host = place.host("mx.example.com", 25)
    for step in place.steps("container.md"):
        if step.startswith("cat /tmp/container.log"):
            patience.until(lambda: "2500" in place.run("ss -ltn"))
            assert place.send("container@example.com", port=2500) == (250, 250)
    assert [m.recipients for m in host.messages] == [["container@example.com"]]
    patience.until(lambda: "2500" not in place.run("ss -ltn"))


def copy_libraries(root):
    """Those of unpacked servers that the machine has not."""
    for library in (PEERS / "usr/lib").rglob("lib*.so*"):
        target = root / library.relative_to(PEERS)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(library), str(target)], check=True)


@pytest.mark.skipif(not (PEERS / "usr/sbin/xinetd").exists(), reason="xinetd was not unpacked")
def test_xinetd(place):
    host = place.host("mail.example.net", 587)
    root = place.machine.root
    subprocess.run(["cp", "-a", f"{PEERS}/usr/sbin/xinetd", f"{root}/usr/sbin/"], check=True)
    copy_libraries(root)
    place.write("/etc/xinetd.conf", "includedir /etc/xinetd.d\n")
    for directory in ("xinetd.d", "cron.d"):
        (root / "etc" / directory).mkdir(exist_ok=True)
    # Of the package's own there is what matters here.
    place.write("/etc/init.d/xinetd", "#!/bin/sh\nexec /usr/sbin/xinetd -pidfile /run/xinetd.pid </dev/null >/dev/null 2>&1\n")
    (root / "etc/init.d/xinetd").chmod(0o755)
    place.follow("xinetd.md")
    try:
        patience.until(lambda: ":25" in place.run("ss -ltn"))
        assert place.send("xinetd@example.com", "127.0.0.1", source="127.0.0.1") == (250, 250)
        assert host.wait_messages()[0].recipients == ["xinetd@example.com"]
        lines = (root / "etc/cron.d/postern").read_text().splitlines()
        for line in [line for line in lines if line.startswith("* ")]: # as cron would
            _, _, _, _, _, user, command = line.split(" ", 6)
            place.run(f"setpriv --reuid={user} --regid={user} --clear-groups sh -c '{command}' || [ $? = 1 ]")
    finally:
        place.run("kill $(cat /run/xinetd.pid)")


def test_backup_mx(place):
    first = None
    for step in place.steps("backup-mx.md"):
        if "retry --all" in step:
            assert place.send("backup@example.org") == (250, 250)
            assert place.send("unknown@example.org") == (550, None)
            assert place.send("user@example.com") == (550, None)
            place.look("journalctl -q -o cat POSTERN_LANE=example.org", "lane example.org: mx1...; next try in ...")
            first = place.host("mx1.example.org", 25)
    assert [m.recipients for m in first.wait_messages()] == [["backup@example.org"]]


def install_postfix(root):
    """What of its packages a null client needs, and the accounts; as Debian has it, but for the chroot."""
    for path in (PEERS / "usr/sbin").glob("post*"):
        subprocess.run(["cp", "-a", path, root / "usr/sbin"], check=True)
    subprocess.run(["cp", "-a", PEERS / "usr/sbin/sendmail", root / "usr/sbin/sendmail.postfix"], check=True)
    for directory in ("usr/lib/postfix", "usr/share/postfix"): # of which another recipe may have brought the libraries
        (root / directory).mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", f"{PEERS / directory}/.", root / directory], check=True)
    copy_libraries(root)
    for path in (PEERS / "lib/systemd").glob("system*/postfix[.@-]*"):
        subprocess.run(["cp", "-a", path, root / "usr/lib/systemd" / path.parent.name], check=True)
    for file, line in ("passwd", "postfix:x:970:970::/var/spool/postfix:/bin/false"), ("group", "postfix:x:970:\npostdrop:x:971:"):
        with open(root / "etc" / file, "a", encoding="ascii") as f:
            f.write(line + "\n")
    subprocess.run(["cp", "-a", PEERS / "etc/postfix", root / "etc"], check=True)
    master = (PEERS / "usr/share/postfix/master.cf.dist").read_text()
    (root / "etc/postfix/master.cf").write_text(re.sub(r"^(\w+ +\w+(?: +\S+){2} +)y ", r"\1n ", master, flags=re.M))
    shutil.copy(PEERS / "usr/share/postfix/dynamicmaps.cf", root / "etc/postfix")
    for directory in ("var/lib/postfix", "var/spool/postfix"):
        (root / directory).mkdir(exist_ok=True)
    os.chown(root / "var/lib/postfix", 970, 970)
    for program in ("postqueue", "postdrop"):
        os.chown(root / "usr/sbin" / program, 0, 971)
        os.chmod(root / "usr/sbin" / program, 0o2755)


@pytest.mark.skipif(not (PEERS / "usr/sbin/postfix").exists(), reason="Postfix was not unpacked")
def test_migrate(place):
    """With mail in Postfix' queue that could not go: each message comes once, to whom it was for, from whom it was."""
    host, root = None, place.machine.root
    install_postfix(root)
    try:
        for _ in place.steps("migrate.md"):
            if host is not None:
                continue
            place.run("postmap /etc/postfix/sasl_passwd; : >/etc/aliases; systemctl daemon-reload; systemctl start postfix")
            patience.until(lambda: "it runs" in place.run("postfix status && echo it runs", check=False))
            for sender in ("root@web1.example.org", "<>"):
                place.run(f"printf 'Subject: it waits\\n\\nfrom {sender}\\n.\\nend\\n' | "
                          f"/usr/sbin/sendmail.postfix -i -f '{sender}' user@example.com '\"a b\"@example.com'")
            patience.until(lambda: len([p for p in (root / "var/spool/postfix/deferred").rglob("*") if p.is_file()]) == 2)
            host = place.host("mail.example.net", 587)
    finally:
        place.run("systemctl stop 'postfix*.service'; rm -f /etc/aliases /usr/sbin/sendmail.postfix", check=False)
    host.wait_messages(3)
    moved = [m for m in host.messages if b"it waits" in m.data]
    assert sorted(m.sender for m in moved) == ["", "root@web1.example.org"]
    assert all(sorted(m.recipients) == ['"a b"@example.com', "user@example.com"] for m in moved)
    assert all(m.data.endswith(b"\r\n..\r\nend\r\n") or m.data.endswith(b"\r\n.\r\nend\r\n") for m in moved)
    assert [m.recipients for m in host.messages if m not in moved] == [["migrated@example.com"]]


def test_staging(place):
    sink = place.host("mx.example.com", 25)
    place.follow("staging.md")
    sink.wait_messages(2)
    assert [m.recipients for m in sink.messages] == [["testers@example.com"], ["tester@example.com"]]
    assert b"X-Original-To: customer@example.net" in sink.messages[0].data


def test_masquerade(place):
    sink = place.host("mx.example.com", 25)
    place.follow("masquerade.md")
    sink.wait_messages(2)
    assert sorted((m.sender, *m.recipients) for m in sink.messages) == [
        ("nagios@web1.internal.example", "joe@example.com"), ("root@example.org", "user@example.com")]
    assert b"\nFrom: root@example.org\r" in b"".join(m.data for m in sink.messages if m.sender == "root@example.org")


def test_signed(place):
    """On a host that had no configuration at all before."""
    place.run("rmdir /etc/postern")
    place.machine.dns.secure = True # as a resolver that validates would say
    place.machine.dns.zone[("", "SOA")] = ["ns.example. root.example. 1 2 3 4 5"]
    sink = place.policy("example.com", "mx.example.com")
    for step in place.steps("signed.md"):
        if "dkim check" in step:
            place.publish(place.run("postern dkim record"))
    [message] = sink.wait_messages()
    assert message.recipients == ["signed@example.com"] and sink.shaken
    assert b"\td=example.org; s=s1;" in message.data
    assert not place.run("journalctl -q -o cat -p notice POSTERN_EVENT=sts"), "a policy that counts is nothing to worry about"


def test_pipe(place):
    place.follow("pipe.md")
    assert not (place.machine.root / "tmp/try").exists()


def test_first_ten_minutes(place):
    """What README.md says to type behind the installation, where all goes by a provider."""
    host = place.host("mail.example.net", 587)
    readme = (TOP / "README.md").read_text()
    conf = re.search(r"^```\n(\[route provider\]\n.*?)^```", readme, re.M | re.S)[1]
    place.write("/etc/postern/postern.conf", "hostname = web1.example.org\n" + conf)
    place.run("echo secret | install -m 400 -o postern -g postern /dev/stdin /etc/postern/password")
    lines = re.findall(r"^(systemctl .*|postern .*?) *(?:#.*)?$", readme, re.M)
    assert [line.split()[1] for line in lines] == ["enable", "doctor", "test", "status", "explain", "trace", "retry"]
    said = [place.run(line, check=line.startswith("systemctl") or " test " in line) for line in lines]
    assert all(said[1:]) and host.wait_messages()[0].recipients == ["you@example.org"]
    assert "delivered" in said[2] and "mail.example.net" in said[4]


# ---- of the guide itself

RECIPES = sorted(p.name for p in GUIDE.glob("*.md") if p.name != "README.md")


def test_each_is_followed():
    text = (TOP / "tests" / "e2e" / "test_guide.py").read_text()
    assert RECIPES == sorted(set(re.findall(r'"([\w-]+\.md)"', text)) - {"README.md"})


def test_each_is_listed():
    assert RECIPES == sorted(re.findall(r"`docs/guide/([\w-]+\.md)`", (GUIDE / "README.md").read_text()))


def test_lines_in_order():
    """What is shown is told from what is not."""
    assert shown("x\nq: delivered to a\nend\n", "q: ... to a\nend\n")
    assert not shown("end\nq: delivered to a\n", "q: ... to a\nend\n")
    assert shown("0123456789abcdefghij: ok", "ID: ok") and not shown("short: ok", "ID: ok")
