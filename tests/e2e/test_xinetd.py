"""Postern as xinetd runs it: the shipped service file, with its own network and its own /etc."""
import os
import re
import shutil

import pytest

import locked
import patience
import sysd_host
from peers import PEERS
from sysd_host import mail, sink  # noqa: F401

UNPACKED = (PEERS / "usr/sbin/xinetd").exists()
sysd_host.need_root("unshare", "nsenter", *([] if UNPACKED else ["xinetd"]))

wait = patience.until

# What docs/RUNNING.md tells an administrator without systemd to do; then xinetd is init of a pid namespace.
# $5 is a directory with xinetd and its libraries, or empty.
START = r"""
if [ -n "$5" ]; then
	cp -a "$5/usr/." "$root/usr/"
	[ ! -d "$5/lib" ] || cp -a "$5/lib/." "$root/usr/lib/"
	[ -e "$root/etc/protocols" ] || cp "$5/etc/protocols" "$root/etc/" # a minimal host has no netbase
fi
rm -rf "$root/etc/xinetd.d" "$root/etc/xinetd.conf"
mkdir "$root/etc/xinetd.d"
doc=$root/usr/share/doc/postern/examples
cp "$doc/postern.xinetd" "$root/etc/xinetd.d/postern"
echo 'includedir /etc/xinetd.d' >"$root/etc/xinetd.conf"
export LD_BIND_NOT=1 # a harmless one of its kind
exec unshare -n -i -u -p -f --kill-child -- sh -c '
	ip link set lo up
	root=$1
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/dev"
	touch "$root/dev/null"
	mount --bind /dev/null "$root/dev/null"
	touch "$root/dev/urandom"
	mount --bind /dev/urandom "$root/dev/urandom"
	exec chroot "$root" /usr/sbin/xinetd -dontfork -filelog /var/log/xinetd.test' sh "$root"
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    started = sysd_host.Started(tmp_path_factory.mktemp("xinetd"), START,
                                str(PEERS) if UNPACKED else "")
    try:
        assert wait(lambda: started.find_leader(lambda p: p.program == "xinetd"))
        h = sysd_host.Host(started.leader)

        def answers():
            try:
                with h.connect() as s:
                    return s.recv(200).startswith(b"220 ")
            except OSError:
                return False

        assert wait(answers), started.log.read_text() + log(h)
        yield h
    finally:
        started.stop()


def log(host):
    path = host.root / "var/log/xinetd.test"
    return path.read_text() if path.exists() else ""


def test_message_arrives_and_nothing_is_left(host, sink):
    """R58: through the port of xinetd to the sink; then no process of ours."""
    host.send("u@dest.example", "by xinetd")
    assert wait(lambda: sink.messages)
    assert b"by xinetd" in sink.messages[0].data
    assert host.at_rest()


def test_error_output_is_not_the_client(host, sink):
    """Under inetd fd 2 is the connection: nothing may be written there that is not SMTP."""
    with host.connect() as s, s.makefile("rwb") as f:
        f.write(b"EHLO x\r\nNONSENSE\r\nMAIL FROM:<broken\r\nQUIT\r\n")
        f.flush()
        lines = f.read().split(b"\r\n")
    assert lines.pop() == b""
    assert all(re.match(rb"[2-5]\d\d[ -]", line) for line in lines), lines
    assert lines[-1].startswith(b"221 ")


def test_environment_is_empty(host, sink):
    """J17: nothing of xinetd's environment reaches smtpd (`passenv =`)."""
    with host.connect() as s:
        assert s.recv(200).startswith(b"220 ")
        found = wait(lambda: len(both := host.ours("smtpd")) == 2 and both)
    for p in found:
        assert not [e for e in p.environment if e.startswith("LD_")]


def test_taken_over(host, sink, tmp_path):
    """K1, K2: the session of xinetd can do nothing but its work."""
    locked.need(sysd_host.BUILD)
    locked.check_host(host, tmp_path, logs=0)
    assert wait(lambda: sink.messages)


def test_relay_outlives_smtpd(host, sink):
    """I6: xinetd does not wait for the relay, and the relay not for xinetd."""
    with sink.held("END", "250 2.0.0 taken"):
        host.send("u@dest.example", "slow")
        assert wait(lambda: not host.ours("smtpd"))
        assert wait(lambda: len(host.ours("relay")) == 2) # at work, and the one that watches it
        assert not sink.messages # lint: the sink is held
    assert wait(lambda: sink.messages)
    assert host.at_rest()


def test_one_source_cannot_take_all_places(host, sink):
    """I2: `per_source`."""
    text = (host.root / "etc/xinetd.d/postern").read_text()
    limit = int(re.search(r"per_source\s*=\s*(\d+)", text)[1])
    idle = [host.connect("127.0.0.9") for _ in range(limit + 20)]
    try:
        assert wait(lambda: len(host.ours("smtpd")) == 2 * limit)
        host.send("u@dest.example", "meanwhile")
        assert wait(lambda: sink.messages)
    finally:
        for s in idle:
            s.close()


def test_flood_does_not_close_the_port(host, sink):
    """I1, I3: with the default `cps` the port would be closed for 10 s after 50 connects."""
    assert host.flood(1000) >= 990
    assert host.at_rest()
    host.send("u@dest.example", "after")
    assert wait(lambda: sink.messages)
    assert "deactivating" not in log(host).lower(), log(host)


def test_cron_makes_the_runtime_directory(host):
    """L55: /run is empty after a boot, and nobody else makes it."""
    text = (host.root / "usr/share/doc/postern/examples/postern.cron").read_text()
    (command,) = re.findall(r"^(?:\* ){5}root (.*)", text, re.MULTILINE)
    runtime = host.root / "run/postern"
    shutil.rmtree(runtime, ignore_errors=True)
    for _ in range(2):
        host.run("sh", "-c", command)
        st = runtime.stat()
        assert (st.st_uid, st.st_mode & 0o777) == ((host.root / "var/spool/postern").stat().st_uid, 0o700)


def test_cron_line(host, sink):
    """The line of postern.cron: nothing while the spool is empty, the relay when it is not."""
    text = (host.root / "usr/share/doc/postern/examples/postern.cron").read_text()
    line = [x for x in text.splitlines() if x.startswith("*") and "relay" in x]
    assert len(line) == 1
    user, command = re.fullmatch(r"(?:\* ){5}(\w+) (.*)", line[0]).groups()
    assert user == "postern" and "%" not in command # "%" would be a newline for cron

    def cron():
        trace = host.run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                         "sh", "-xc", command, check=False)
        return "relay --due" in trace

    assert not cron()
    left = host.root / "var/spool/postern/tmp/left"
    left.touch()
    os.utime(left, (0, 0))
    os.chown(left, *(os.stat(left.parent)[4:6]))
    assert cron() and not left.exists() # J14
    assert not cron()
    before = sink.connections
    sink.say["RCPT"] = "450 4.2.0 not yet"
    host.send("u@dest.example", "later")
    assert wait(lambda: sink.connections > before and not host.ours() and len(host.queued()) == 1)
    sink.say.clear()
    assert cron()
    wait(lambda: cron() is not None and sink.messages) # it says no when the first one has sent it
    assert b"later" in sink.messages[0].data
