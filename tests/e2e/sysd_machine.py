"""A real systemd as PID 1, in a container, with Postern installed and enabled."""
import contextlib
import os
import pathlib
import subprocess
import tempfile

import patience
import sysd_host

# $5 cgroup of our own: systemd-nspawn makes more of them beside its own place.
BOOT = r"""
echo $$ >"$5/cgroup.procs"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nForwardToSyslog=no\nRateLimitIntervalSec=0\n' \
	>"$root/etc/systemd/journald.conf.d/test.conf"
# Only the foundation and us.
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' \
	>"$root/etc/systemd/system/default.target.new"
mv "$root/etc/systemd/system/default.target.new" "$root/etc/systemd/system/default.target"
for u in systemd-networkd systemd-resolved systemd-timesyncd systemd-udevd systemd-udev-trigger \
	systemd-hwdb-update ldconfig systemd-binfmt systemd-update-utmp systemd-firstboot \
	apparmor keyboard-setup console-setup dbus; do
	ln -sfn /dev/null "$root/etc/systemd/system/$u.service"
done
systemctl --root="$root" enable postern.socket postern-due.timer
# Landlock is what smtpd locks itself in with; the container's own filter is older than it.
exec systemd-nspawn --quiet -D "$root" -M "postern-test-$$" --boot --register=no --keep-unit \
	--private-network --console=pipe --resolv-conf=off --timezone=off --link-journal=no \
	--system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self'
"""


def cgroup_root():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(where)
    return None


def remove_cgroup(where):
    for path, _, _ in os.walk(where, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)
    return not where.exists()


class Machine(sysd_host.Host):
    """The booted host. All its processes are in one cgroup of ours, and those below it."""

    def __init__(self, leader, cgroup):
        super().__init__(leader)
        self.cgroup = cgroup

    def cpu(self):
        """Seconds that its processes have used, the ended ones too."""
        words = (self.cgroup / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / 1e6

    def systemctl(self, *words, **more):
        return self.run("systemctl", "--no-pager", *words, **more)

    def show(self, unit, name):
        return self.systemctl("show", "-P", name, unit).strip()

    def instances(self):
        """postern@ units that systemd still knows."""
        return self.systemctl("list-units", "--all", "--plain", "--no-legend",
                              "postern@*.service").split("\n")[:-1]

    def at_rest(self):
        return super().at_rest() and patience.until(
            lambda: self.show("postern.socket", "NConnections") == "0")

    def journal(self, *words):
        """What was written to it until now."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "-q", *words)


@contextlib.contextmanager
def booted(where):
    root = cgroup_root()
    assert root is not None, "no cgroup2 hierarchy is mounted"
    cgroup = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-", dir=root)) # nobody's before
    os.environ["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
    started = sysd_host.Started(where, BOOT, str(cgroup))
    try:
        patience.until(lambda: started.find_leader(lambda p: p.program in ("systemd", "init")))
        machine = Machine(started.leader, cgroup)

        def is_up():
            p = subprocess.run(["nsenter", "-t", str(started.leader), "-m", "-p", "-r", "--",
                                "systemctl", "is-active", "basic.target", "timers.target"], capture_output=True)
            return p.stdout == b"active\n" * 2

        assert patience.within(is_up, 2 * patience.PATIENCE), started.log.read_text(errors="replace")
        yield machine
    finally:
        started.stop()
        patience.until(lambda: remove_cgroup(cgroup))
