"""Programs that send mail by sendmail, as Debian has them, under a real systemd: `make check-field`.

They are unpacked into build/peers/mailers by tests/tools/need, and laid over the machine's files."""
import os
import subprocess

import pytest

import patience
import sysd_host
import sysd_machine
from sysd_host import TOP, mail, sink  # noqa: F401

MAILERS = TOP / "build" / "peers" / "mailers"
if "POSTERN_FIELD" not in os.environ:
    pytest.skip("make check-field", allow_module_level=True)
sysd_host.need_root("systemd-nspawn", "unshare", "nsenter")

wait = patience.until
RECIPIENT = "u@dest.example"
LOCKED = "DynamicUser=yes\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nRestrictAddressFamilies=AF_UNIX\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with sysd_machine.booted(tmp_path_factory.mktemp("machine")) as m:
        clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES")}
        subprocess.run(["make", "-s", "-C", str(TOP), "install-mta", f"DESTDIR={m.root}", "PREFIX=/usr"], env=clean, check=True)
        if MAILERS.is_dir():
            for d in ("usr", "etc", "var", "lib"): # /lib is a link
                (MAILERS / d).mkdir(exist_ok=True)
                subprocess.run(["cp", "-a", f"{MAILERS}/{d}/.", f"{m.root}/{'usr/lib' if d == 'lib' else d}/"], check=True)
        (m.root / "etc/mailname").write_text("site.example\n")
        (m.root / "etc/aliases").write_text(f"root: {RECIPIENT}\n")
        m.systemctl("enable", "--now", "postern-local.socket")
        yield m


def needs(host, program):
    if not (host.root / program.lstrip("/")).exists():
        pytest.skip(f"needs {program}: tests/tools/need build field")


def unit(host, name, settings, command):
    (host.root / f"run/systemd/system/{name}.service").write_text(f"[Service]\n{settings}\nExecStart={command}\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", f"{name}.service", check=False)


def arrived(sink, n=1):
    return [m.data.decode() for m in wait(lambda: len(sink.messages) == n and sink.messages)]


def by(host, user, script):
    return host.run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "env", "HOME=/tmp", "sh", "-c", script)


def test_php(host, sink):
    """mail() in a unit that is locked in, with a sender of the site as fifth argument; also with headers that end in CRLF."""
    needs(host, "/usr/bin/php8.2")
    (host.root / "srv/mail.php").write_text(
        f'<?php exit(mail("{RECIPIENT}", "from PHP", "line\\n.\\nlast\\n", '
        '"From: shop@shop.example\\r\\nBcc: v@dest.example", "-fbounce@shop.example") ? 0 : 1);\n')
    unit(host, "php", "Type=oneshot\n" + LOCKED, "/usr/bin/php8.2 /srv/mail.php")
    assert host.show("php.service", "ExecMainStatus") == "0", host.journal("-u", "php.service")
    [text] = arrived(sink)
    assert sink.messages[0].sender == "bounce@shop.example" and sorted(sink.messages[0].recipients) == [RECIPIENT, "v@dest.example"]
    assert "From: shop@shop.example\r\n" in text and "Bcc" not in text and text.endswith("line\r\n.\r\nlast\r\n\r\n")
    assert "\r\nSubject: from PHP\r\n" in text


def test_cron(host, sink):
    """A unit with NoNewPrivileges: jobs of root and of another user."""
    needs(host, "/usr/sbin/cron")
    (host.root / "var/spool/cron/crontabs").mkdir(parents=True, exist_ok=True)
    (host.root / "etc/cron.d/ours").write_text(f"@reboot root echo of root\nMAILTO={RECIPIENT}\n@reboot daemon echo of daemon\n")
    unit(host, "ourcron", "NoNewPrivileges=yes\nProtectSystem=full", "/usr/sbin/cron -f")
    try:
        texts = sorted(arrived(sink, 2), key=lambda text: "of root" in text)
        assert texts[0].startswith("Received: from localhost (uid=1)\r\n") and "of daemon" in texts[0]
        assert "From: root@site.example (Cron Daemon)\r\n" in texts[0], texts[0] # as Debian's cron says
        assert texts[1].startswith("Received: from localhost (uid=0)\r\n") and "To: root@site.example\r\n" in texts[1]
    finally:
        host.systemctl("stop", "ourcron.service")


def test_bsd_mailx(host, sink):
    needs(host, "/usr/bin/bsd-mailx")
    by(host, 1, f"echo hi | bsd-mailx -s hello {RECIPIENT}")
    [text] = arrived(sink)
    assert "Subject: hello\r\n" in text and "\r\n\r\nhi\r\n" in text and "(uid=1)" in text


def test_smartd(host, sink):
    """Its script, which calls mail."""
    needs(host, "/etc/smartmontools/run.d/10mail")
    needs(host, "/usr/bin/bsd-mailx")
    (host.root / "usr/bin/mail").symlink_to("bsd-mailx")
    host.run("sh", "-c", "echo 'a disk fails' | /usr/share/smartmontools/smartd-runner -s SMART root")
    [text] = arrived(sink)
    assert "Subject: SMART\r\n" in text and "a disk fails" in text and sink.messages[0].recipients == [RECIPIENT]


def test_mutt(host, sink):
    needs(host, "/usr/bin/mutt")
    by(host, 1, "echo hi | mutt -n -F /dev/null -e 'set from=me@site.example use_envelope_from=yes copy=no' "
       f"-b v@dest.example -s hello {RECIPIENT}")
    [text] = arrived(sink)
    assert sink.messages[0].sender == "me@site.example" and sorted(sink.messages[0].recipients) == [RECIPIENT, "v@dest.example"]
    assert "From: daemon <me@site.example>\r\n" in text and "Bcc" not in text and "v@dest" not in text


def test_s_nail(host, sink):
    needs(host, "/usr/bin/s-nail")
    by(host, 1, f"echo hi | s-nail -:/ -S v15-compat=yes -S sendwait -r me@site.example -s hello {RECIPIENT}")
    [text] = arrived(sink)
    assert sink.messages[0].sender == "me@site.example" and "Subject: hello\r\n" in text


def test_git_send_email(host, sink):
    needs(host, "/usr/lib/git-core/git-send-email")
    by(host, 1, "cd $(mktemp -d) && git init -q && git config user.name Joe && git config user.email joe@site.example && "
       "echo x >x && git add x && git commit -qm 'area: what' && git format-patch -q -1 && "
       f"git send-email --quiet --confirm=never --envelope-sender=auto --to={RECIPIENT} --smtp-server=/usr/sbin/sendmail *.patch")
    [text] = arrived(sink)
    assert "Subject: [PATCH] area: what\r\n" in text and "From: Joe <joe@site.example>\r\n" in text
    assert sink.messages[0].sender == "joe@site.example"
