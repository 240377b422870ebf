"""Each system call of sendmail failed, and killed, in turn: status 0 is one message, anything else is none.

But for one: when the last dot was sent and the answer is not heard, nobody knows (RFC 1047), and the status says 75."""
import os
import re
import shutil
import subprocess

import pytest

from spoolfile import messages
from submission import Local

if shutil.which("strace") is None:
    pytest.skip("needs strace, which is not installed", allow_module_level=True)

CALLS = ["read", "recvfrom", "write", "sendto", "ppoll", "openat", "connect", "socket", "getrandom", "fcntl"]
SAMPLE = 7 # of each call; CRASH_ALL=1 takes all
# Who cannot send waits for a last word, which takes all the time that there is. If that runs out earlier, because the
# machine is busy, nothing was sent or nobody knows, as when the call fails; of any other call it has to be enough.
LAST_WORD = {"sendto": {"POSTERN_PATIENCE": "1"}}
TRACED = {"ASAN_OPTIONS": "detect_leaks=0"} # which cannot be done where something else traces
TEXT = b"To: u@d.example\nSubject: x\n\nhello\n"


def watched(local):
    """[(call, how often)] of a run that nobody disturbs, and how many of them come before the last dot is sent."""
    report = local.postern.where / "strace"
    subprocess.run(["strace", "-s", "1000", "-o", str(report), "-e", "trace=" + ",".join(CALLS), *local.command("-t")], input=TEXT,
                   env=local.environment(**TRACED), check=True)
    lines = report.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("sendto(") and '.\\r\\n"' in line)
    counts, before = {}, {}
    for i, line in enumerate(lines):
        if (m := re.match(r"(\w+)\(", line)):
            counts[m[1]] = counts.get(m[1], 0) + 1
            if i <= last:
                before[m[1]] = counts[m[1]]
    return counts, before


def chosen(n):
    every = range(1, n + 1)
    return every if os.environ.get("CRASH_ALL") == "1" or n <= SAMPLE else sorted({1 + i * (n - 1) // (SAMPLE - 1) for i in range(SAMPLE)})


@pytest.mark.parametrize("how", ["error=EIO", "signal=SIGKILL"])
def test_each_call(postern, how):
    local = Local(postern)
    try:
        counts, before = watched(local)
        assert counts["sendto"] >= 5 and counts["openat"] > 5
        known, wrong = len({p.name for p in messages(postern.spool)}), []
        for call, n in counts.items():
            for at in chosen(n):
                done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                       f"inject={call}:{how}:when={at}", *local.command("-t")], input=TEXT,
                                      env=local.environment(**TRACED, **LAST_WORD.get(call, {})), capture_output=True, check=False)
                local.rest()
                made = len({p.name for p in messages(postern.spool)}) - known
                known += made
                unknown = at > before.get(call, 0) - (call == "sendto")
                if made != (done.returncode == 0) and not (made == 1 and done.returncode in (75, -9, 137) and unknown):
                    wrong.append((call, at, n, before.get(call), done.returncode, made, done.stderr))
        assert not wrong, wrong
    finally:
        local.close()
