"""How long `postern trace` takes to find one message in a journal of many entries.

	python3 -B tests/bench/story.py [ENTRIES] [DIRECTORY]

Writes a journal of ENTRIES (1 000 000), five for each message, or takes the one that is in DIRECTORY,
and traces a message in the middle by its id, by its recipient, and one that is not there.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("POSTERN_BUILD", TOP / "build")
sys.path.insert(0, str(TOP / "tests" / "tools"))

import journals  # noqa: E402

EVENTS = ("accepted", "connected", "deferred", "deferred", "delivered")
START = 1_700_000_000_000_000
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def name(n):
    """A queue id."""
    text = ""
    for _ in range(20):
        text = DIGITS[n % 32] + text
        n //= 32
    return text


def entry(number):
    message, event = divmod(number, len(EVENTS))
    fields = {"time": START + number * 1000, "MESSAGE": f"{name(message)}: {EVENTS[event]} <u{message}@d.example>",
              "PRIORITY": "6", "SYSLOG_IDENTIFIER": "relay" if event else "smtpd", "POSTERN_EVENT": EVENTS[event],
              "POSTERN_LANE": f"d{message % 1000}.example", "_PID": str(1000 + message % 30000), "_HOSTNAME": "mx", "_UID": "65534"}
    if EVENTS[event] != "connected":
        fields |= {"POSTERN_QUEUE_ID": name(message), "POSTERN_RECIPIENT": f"u{message}@d.example"}
    return fields


def trace(path, what):
    """Its time and memory; not that of the program which wrote the journal."""
    begun = time.monotonic()
    with subprocess.Popen([f"{BUILD}/postern", "-o", "user=nobody", "trace", "--journal", str(path), what],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as p:
        lines = p.stdout.read().splitlines()
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - begun
    print(f"trace {what}: {took * 1000:.0f} ms, status {p.returncode}, {len(lines)} lines, {used.ru_maxrss >> 10} MiB")


def main():
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as where:
        path = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else where)
        if not list(path.glob("*.journal")):
            journals.write(path / "many.journal", map(entry, range(entries)))
        files = list(path.glob("*.journal"))
        print(f"{entries} entries, {len(files)} files, {sum(f.stat().st_size for f in files) >> 20} MiB")
        message = entries // len(EVENTS) // 2
        for what in (name(message), f"u{message}@d.example", name(entries)):
            trace(path, what)


if __name__ == "__main__":
    main()
