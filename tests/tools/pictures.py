"""pictures.py DIRECTORY: the status page as a browser shows it: light, dark, and on a telephone; and `postern top`.

Both are the programs' own, of a day that is made up: a file of counters, a ring of samples and a spool with
lanes. Needs Chromium, and for what a terminal shows pyte (tests/tools/need pictures).
"""
import fcntl
import html
import math
import os
import pathlib
import pty
import random
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

import pyte

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build"))
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PICTURES = {"status-light": (1160, 1040, "light"), "status-dark": (1160, 1040, "dark"), "status-narrow": (390, 2240, "light")}
HISTOGRAM = 32
DONE = {"connections": 18734, "sessions_clear": 1204, "sessions_tls_1_3": 17211, "messages_accepted": 16902,
        "recipients_accepted": 18411, "octets_accepted": 913_000_000, "auth_ok": 311, "auth_failed": 47,
        "refused_4yz": 36, "refused_5yz": 1279, "refused_no_relay": 884, "refused_check_reject": 214,
        "refused_unknown_command": 97, "refused_auth_refused": 47, "refused_too_early": 37, "refused_quota": 22,
        "refused_timeout": 14, "delivered": 18007, "deferred_host_4yz": 402, "deferred_connect": 61, "deferred_lost": 18,
        "deferred_tls": 7, "bounced_host_5yz": 143, "bounced_dns": 31, "bounced_expired": 4, "relays": 9021}
LANES = {"slow.example": (214, 5 * 3600, 1800), "gmail.example": (61, 240, 60), "example.net": (12, 700, 90),
         "route:smarthost": (9, 30, 0), "xn--bcher-kva.example": (3, 90000, 7200), "example.org": (2, 20, 0)}


def counts(directory):
    """The file of counters (docs/COUNTERS.md)."""
    header = (TOP / "process" / "counters.h").read_text()
    table = re.search(r"#define COUNTERS_TABLE\(C, H\)(.*?)\n\nenum counter", header, re.S)[1]
    version = int(re.search(r"#define COUNTERS_VERSION (\d+)", header)[1])
    words = []
    for kind, name in re.findall(r'\b([CH])\(\w+, "(\w+)"', table):
        if kind == "C":
            words.append(DONE.get(name, 0))
            continue
        top = {"session_time": 8, "queue_time": 10, "delivery_time": 9}[name]
        words += [int(9000 * math.exp(-((i - top) / 2.2) ** 2)) for i in range(HISTOGRAM - 1)] + [12_345_678]
    mark = 0x506f7374 << 32 | version << 16 | len(words)
    octets = b"".join(n.to_bytes(8, sys.byteorder) for n in [mark, *words])
    (directory / f"counts-{version}").write_bytes(octets.ljust(4096, b"\0"))


def samples(directory, now):
    """A quiet night, a busy morning, a host that was away for an hour."""
    chance, ring, sums = random.Random(14), bytearray(1440 * 64), [0] * 6
    for minute in range(now // 60 - 1439, now // 60 + 1):
        hour = minute / 60 % 24
        rate = 2 + 22 * math.exp(-((hour - 10) / 2.6) ** 2) + 14 * math.exp(-((hour - 15.5) / 2) ** 2)
        came, away = max(0, int(chance.gauss(rate, rate / 5))), 13 <= hour < 14
        grown = [came + chance.randrange(4), came, chance.randrange(3), came // 3 if away else int(came * 1.05),
                 came // 2 if away else chance.randrange(2), chance.randrange(9) == 0]
        sums = [a + b for a, b in zip(sums, grown)]
        ring[minute % 1440 * 64:minute % 1440 * 64 + 64] = b"".join(
            n.to_bytes(8, sys.byteorder) for n in [minute * 60, *sums, 40])
    (directory / "status-1").write_bytes(ring)


def name_of(wall, n):
    """An id of that second."""
    digits, us = "", int(wall * 1e6)
    for _ in range(12):
        us, digit = divmod(us, 32)
        digits = ALPHABET[digit] + digits
    return digits + "".join(ALPHABET[n >> 5 * i & 31] for i in range(8))


def queue(spool, now):
    for lane, (messages, age, wait) in LANES.items():
        directory = spool / "lane" / lane
        directory.mkdir(parents=True, mode=0o700)
        for i in range(messages):
            (directory / name_of(now - age * (i + 1) / messages, i)).touch()
        retry = directory / "@retry"
        retry.write_text("7 connect: timed out\n" if lane == "slow.example" else "")
        os.utime(retry, (now + wait, now + wait))


def shoot(browser, page, path, width, height, scheme):
    subprocess.run([browser, "--headless=old", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
                    f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
                    f"--window-size={width},{height}", f"--screenshot={path}", page.as_uri()],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)


ROWS, COLUMNS, QUIET = 30, 100, 2 # s without a word: the screen is drawn
SHADES = {"default": "#ddd", "red": "#f66", "green": "#6c6", "brown": "#dc6", "blue": "#8af", "cyan": "#6cc", "white": "#fff"}


def screen(command):
    """What a terminal shows of a program once it has nothing more to say: rows of characters."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    p = subprocess.Popen(command, stdin=theirs, stdout=theirs, start_new_session=True,
                         env={"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
    os.close(theirs)
    shown = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(shown)
    while select.select([ours], [], [], QUIET)[0]:
        stream.feed(os.read(ours, 65536))
    os.write(ours, b"q")
    p.wait(60)
    return [[shown.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]


def drawn(rows):
    """The same as a page."""
    def cell(c):
        ink, paper = SHADES.get(c.fg, "#ddd"), "#111"
        if c.reverse:
            ink, paper = paper, ink
        return f'<span style="color:{ink};background:{paper}{";font-weight:bold" if c.bold else ""}">{html.escape(c.data)}</span>'
    lines = "\n".join("".join(map(cell, row)) for row in rows)
    return f'<body style="margin:12px;background:#111"><pre style="font:14px/1.25 DejaVu Sans Mono">{lines}</pre>'


def main():
    out = pathlib.Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    now = int(time.time())
    with tempfile.TemporaryDirectory() as name:
        where = pathlib.Path(name)
        (where / "spool").mkdir(mode=0o700)
        (where / "run").mkdir(mode=0o700)
        counts(where / "run")
        samples(where / "run", now)
        queue(where / "spool", now)
        where.chmod(0o755)
        drop = []
        if os.geteuid() == 0:
            drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            subprocess.run(["chown", "-R", "65534:65534", str(where)], check=True)
        page = where / "page.html"
        page.write_bytes(subprocess.run(
            [*drop, str(BUILD / "postern-status"), "-o", f"spool={where}/spool", "-o", f"runtime={where}/run",
             "-o", "hostname=mail.example.org", "-o", "log=stderr", "--page"], stdout=subprocess.PIPE, check=True).stdout)
        for picture, (width, height, scheme) in PICTURES.items():
            shoot("chromium", page, out / f"{picture}.png", width, height, scheme)
        page.write_text(drawn(screen([*drop, str(BUILD / "postern"), "-o", f"spool={where}/spool", "-o",
                                      f"runtime={where}/run", "-o", "hostname=mail.example.org", "top", "--delay", "3600"])))
        shoot("chromium", page, out / "top.png", 880, 570, "dark")


if __name__ == "__main__":
    main()
