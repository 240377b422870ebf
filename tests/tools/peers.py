"""Other people's servers, as tests/tools/need unpacked them, each on a machine of its own
(tests/tools/machine).
"""
import contextlib
import os
import pathlib
import signal
import subprocess

import patience
import proc

TOP = pathlib.Path(__file__).resolve().parents[2]
PEERS = TOP / "build" / "peers"
MACHINE = TOP / "tests" / "tools" / "machine"
# What stands before usr/ is laid over the machine.
PROGRAMS = {"postfix": "usr/sbin/postfix", "exim": "exim/usr/sbin/exim4",
            "opensmtpd": "opensmtpd/usr/sbin/smtpd", "dovecot": "dovecot/usr/sbin/dovecot",
            "aiosmtpd": "aiosmtpd/usr/lib/python3/dist-packages/aiosmtpd/smtp.py"}
USERS = ("postfix", "Debian-exim", "opensmtpd", "opensmtpq", "dovecot", "dovenull", "vmail")
GROUPS = (*USERS, "postdrop")
FIRST_ID = 970 # of system accounts; nothing else on the machine uses those from here on


def do_without(name, whole_module=False):
    """A program, or package, is missing. What wants it is skipped where tests/tools/need could not get it; else somebody
    would believe that it was tried: make check has all of them unpacked."""
    import pytest # not all who use this file test  # pylint: disable=import-outside-toplevel
    if (PEERS / "lacking" / name).exists():
        pytest.skip(f"needs {name}, which tests/tools/need could not get", allow_module_level=whole_module)
    pytest.fail(f"no {name}: tests/tools/need check unpacks or installs it", pytrace=False)


def can_run(name):
    """This server, here? It runs on a machine of its own, which takes root."""
    return os.geteuid() == 0 and (PEERS / PROGRAMS[name]).exists()


def need(name):
    """Ends a test that wants this server where it cannot run."""
    import pytest # pylint: disable=import-outside-toplevel
    if os.geteuid() != 0:
        pytest.skip("needs root: servers run on machines of their own")
    if not can_run(name):
        do_without(pathlib.Path(PROGRAMS[name]).name)


def accounts(where):
    """The users and groups that servers expect, for a machine."""
    ids = {name: FIRST_ID + i for i, name in enumerate(GROUPS)}
    (where / "passwd").write_text("".join(
        f"{name}:x:{ids[name]}:{ids[name]}::/nonexistent:/bin/sh\n" for name in USERS))
    (where / "group").write_text("".join(f"{name}:x:{i}:\n" for name, i in ids.items()))


class Peer:
    """A command that runs on a machine with this server's packages, and does not outlive us. `where`
    is made, which is /here on the machine; `files` are {name: text} of what lies there."""

    def __init__(self, name, where, *command, stdin=subprocess.DEVNULL, files=None):
        self.name, self.where = name, where
        where.mkdir()
        where.chmod(0o755) # servers become other users
        accounts(where)
        for file, text in (files or {}).items():
            (where / file).write_text(text)
        packages = PEERS / PROGRAMS[name].partition("usr/")[0]
        with open(where / "output", "wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", MACHINE, where, packages, *command],
                stdin=stdin, stdout=output, stderr=output)

    def ended(self):
        return self.process.poll() is not None

    def logged(self):
        return "".join(p.read_text(errors="replace") for p in
                       (self.where / "output", *sorted(self.where.glob("*log"))))

    def close(self):
        """All of the machine ends with its first process, a moment later. That is killed with its parent (unshare), but
        not where it was another user meanwhile, as exim and postfix are."""
        first = []
        with contextlib.suppress(OSError): # it has
            first = [proc.birth(pid) for pid in proc.children(self.process.pid)]
        self.process.kill()
        self.process.wait()
        for born in filter(proc.lives, first):
            with contextlib.suppress(OSError):
                os.kill(born[2], signal.SIGKILL)
        patience.until(lambda: not any(map(proc.lives, first)))
