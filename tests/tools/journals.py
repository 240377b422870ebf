"""Journal files as systemd-journald writes them, made by systemd-journal-remote out of entries."""
import os
import shutil
import subprocess

from peers import PEERS

WHERE = PEERS / "journal"
INSTALLED = "/lib/systemd/systemd-journal-remote"


def program():
    """systemd-journal-remote, installed or unpacked; None: there is none."""
    for path in (WHERE / "lib/systemd/systemd-journal-remote", INSTALLED):
        if os.access(path, os.X_OK):
            return str(path)
    return None


def why_not():
    if shutil.which("journalctl") is None:
        return "needs libsystemd and journalctl"
    return "" if program() else "no systemd-journal-remote; tests/tools/need check unpacks one"


def text_of(entry, number):
    """In the format of journalctl -o export; `time` is in microseconds."""
    fields = {"__REALTIME_TIMESTAMP": entry["time"], "__MONOTONIC_TIMESTAMP": 1000000 + number, "_BOOT_ID": "7" * 32,
              **{k: v for k, v in entry.items() if k != "time"}}
    return "".join(f"{k}={v}\n" for k, v in fields.items()) + "\n"


def write(path, entries):
    """Makes a file of these entries, dicts of fields and "time", in the order of their times. Each
    may be a surrogate-free text without line ends."""
    library = next(WHERE.glob("usr/lib/*/libmicrohttpd.so.12"), None)
    p = subprocess.Popen([program(), "-o", str(path), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, env=os.environ | {"LD_LIBRARY_PATH": str(library.parent)} if library else None)
    try:
        for number, entry in enumerate(entries):
            p.stdin.write(text_of(entry, number))
        p.stdin.close()
        said = p.stderr.read()
    finally:
        p.stdin.close()
        assert p.wait() == 0, said
    path.chmod(0o644)
