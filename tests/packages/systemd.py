"""Installed by apt-get on a bare Debian under a real systemd: no file is edited, and a message that is handed in at
port 25, or to sendmail, arrives at the host that the DNS names.

The host has a network of its own in which another network is "the Internet": there are the name server and the mail
exchanger. Run by tests/packages/check systemd, which made what is needed here.
"""
import contextlib
import os
import pathlib
import smtplib
import socket
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/tools"), str(TOP / "tests/e2e")]

import internet  # noqa: E402
import patience  # noqa: E402
import sysd_host  # noqa: E402
import sysd_machine  # noqa: E402

WORK = TOP / "build/packages"
# Addresses of nobody here: the network is made for the test. Those of documentation would be refused.
HERE, THERE = "11.0.0.1", "11.0.0.2"

# $1 directory for the mounts; a bare Debian with systemd, and the packages' dependencies fetched but not installed.
PREPARE = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o lowerdir="$5",upperdir="$1/upper",workdir="$1/work" overlay "$1/root"
root=$1/root
mkdir "$root/debs"
cp "$6"/postern*.deb "$root/debs"
cp /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" sh -euc '
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	apt-get install -q -y --no-install-recommends systemd-sysv dbus
	echo "APT::Keep-Downloaded-Packages true;" >/etc/apt/apt.conf.d/keep
	rm -f /etc/apt/apt.conf.d/docker-clean
	apt-get install -q -y --no-install-recommends --download-only /debs/postern_*.deb /debs/postern-mta_*.deb bsd-mailx'
echo "nameserver 11.0.0.2" >"$root/etc/resolv.conf"
echo mail.test-host.example >"$root/etc/hostname"
echo $$ >"$7/cgroup.procs"
exec systemd-nspawn --quiet -D "$root" -M "postern-packages-$$" --boot --register=no --keep-unit --private-network \
	--console=pipe --resolv-conf=off --timezone=off --link-journal=no --hostname=mail.test-host.example \
	--system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self'
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    sysd_host.INSTALL = "" # it is installed by its packages
    cgroup = sysd_machine.cgroup_root() / f"postern-packages-{os.getpid()}"
    cgroup.mkdir()
    os.environ["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
    started = sysd_host.Started(tmp_path_factory.mktemp("packages"), PREPARE, str(WORK / "base"), str(WORK / "out/deb"),
                                str(cgroup))
    try:
        patience.until(lambda: started.find_leader(lambda p: p.program in ("systemd", "init")), 600)
        machine = sysd_machine.Machine(started.leader, cgroup)
        patience.until(lambda: subprocess.run(
            ["nsenter", "-t", str(started.leader), "-m", "-p", "-r", "--", "systemctl", "is-active", "basic.target"],
            capture_output=True, check=False).stdout == b"active\n", 2 * patience.PATIENCE)
        yield machine
    finally:
        started.stop()
        patience.until(lambda: sysd_machine.remove_cgroup(cgroup))


@contextlib.contextmanager
def network_of(pid):
    """Sockets that are made inside belong to the network of this process."""
    other = sysd_host.Host(pid)
    with other.network():
        yield


@pytest.fixture(scope="module")
def exchanger(machine):
    """The mail exchanger of dest.example, on the other side of a wire."""
    with subprocess.Popen(["unshare", "-n", "sleep", "infinity"]) as world:
        try:
            own = os.stat("/proc/self/ns/net").st_ino
            patience.until(lambda: os.stat(f"/proc/{world.pid}/ns/net").st_ino != own)
            outside = ["nsenter", "-t", str(world.pid), "-n"]
            subprocess.run([*outside, "ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns",
                            str(machine.leader)], check=True)
            for command in ([*outside, "ip"], ["nsenter", "-t", str(machine.leader), "-n", "ip"]):
                address = THERE if command[2] == str(world.pid) else HERE
                for words in (["addr", "add", f"{address}/24", "dev", "wire"], ["link", "set", "wire", "up"],
                              ["link", "set", "lo", "up"]):
                    subprocess.run([*command, *words], check=True)
            zone = {("dest.example", "MX"): ["10 mx.dest.example."], ("mx.dest.example", "A"): [THERE]}
            with network_of(world.pid):
                dns = internet.Dns(zone, THERE, 53)
                sink = internet.Sink(THERE, 25)
            yield sink
            sink.close()
            dns.close()
        finally:
            world.kill()


@pytest.fixture(scope="module")
def installed(machine, exchanger):
    """One command; what it needs of the network was fetched before, for this host has none."""
    machine.said = machine.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "
                               "/debs/postern_*.deb /debs/postern-mta_*.deb", timeout=600)
    return machine


def test_what_runs(installed):
    """The listeners of this host itself and the timer, and no process; nobody asked for a page or another port."""
    for unit in ("postern.socket", "postern-local.socket", "postern-due.timer"):
        assert installed.systemctl("is-active", unit).strip() == "active"
        assert installed.systemctl("is-enabled", unit).strip() == "enabled"
    for unit in ("postern-submission.socket", "postern-busy.socket", "postern-status.socket", "postern-status.timer"):
        assert installed.systemctl("is-enabled", unit, check=False).strip() == "disabled"
    assert not installed.ours()
    assert not installed.systemctl("--failed", "--plain", "--no-legend").strip()
    check = installed.run("/usr/libexec/postern/smtpd", "--check", check=False)
    assert "hostname = mail.test-host.example" in check, check


def test_message_to_port_25(installed, exchanger):
    with installed.network():
        client = smtplib.SMTP("127.0.0.1", 25, "here.example", 60)
    with client:
        client.sendmail("root@mail.test-host.example", ["u@dest.example"], "Subject: by SMTP\r\n\r\nhi\r\n")
    patience.until(lambda: any(b"by SMTP" in m.data for m in exchanger.messages))
    assert installed.at_rest()


def test_echo_hi_to_mail(installed, exchanger):
    """`echo hi | mail -s x user@dest.example`, the mailer of Debian, by /usr/sbin/sendmail."""
    installed.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "
                  "bsd-mailx", timeout=600)
    installed.run("sh", "-c", "echo hi | mail -s by-mail user@dest.example")
    patience.until(lambda: any(b"by-mail" in m.data for m in exchanger.messages))
    assert installed.at_rest()


def test_removed_and_purged(installed):
    """Nothing listens, nothing is left, no unit fails; what the administrator enabled goes, too."""
    installed.systemctl("enable", "--now", "postern-status.socket", "postern-status.timer", "postern-lan.socket")
    installed.run("apt-get", "purge", "-q", "-y", "postern", "postern-mta", timeout=600)
    with installed.network(), socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", 25)) != 0
    left = installed.run("sh", "-c", "ls -d /etc/postern /var/spool/postern /run/postern /usr/libexec/postern "
                         "/etc/systemd/system/*/postern* /usr/sbin/sendmail 2>/dev/null", check=False)
    assert left == ""
    installed.systemctl("daemon-reload")
    patience.until(lambda: not installed.systemctl("list-units", "--all", "--plain", "--no-legend", "postern*").strip())
    assert not installed.systemctl("--failed", "--plain", "--no-legend").strip()
