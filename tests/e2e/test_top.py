"""`postern top`: what goes on now, once as text, and on a screen that is resized and left with q."""
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

import patience
from asked import ask, ask_json


def test_once(postern, world):
    """What waits, what was counted, who is connected."""
    world.domain("d.example")
    world.domain("down.example", "127.0.0.9")
    postern.send("u@d.example")
    postern.settled()
    postern.send(["u@down.example", "v@down.example"])
    postern.settled(1)
    status, (found,) = ask_json(postern, "top")
    assert status == 0 and found["messages"] == 1 and found["down"] == 1
    assert [(lane["lane"], lane["messages"], lane["down"]) for lane in found["lanes"]] == [("down.example", 1, True)]
    counted = {c["name"]: c["total"] for c in found["counters"]}
    assert counted["messages accepted"] == 2 and counted["recipients delivered"] == 1
    assert counted["tries without a host"] == 1 and all(c["each_second"] is None for c in found["counters"])
    status, text, _ = ask(postern, "top", "--once")
    assert status == 0 and "1 messages in 1 lanes, 1 of them down" in text and "down.example" in text
    assert max(map(len, text.splitlines())) <= 80


def test_sessions(postern, world):
    """A client that is connected is a session; a host that is, a connection of a relay."""
    assert ask_json(postern, "top")[1][0]["sessions"] == 0
    world.domain("d.example")
    client = postern.meet()
    patience.until(lambda: ask_json(postern, "top")[1][0]["sessions"] == 1)
    with world.sink.held("EHLO", "250 sink"):
        postern.send("u@d.example")
        patience.until(lambda: (f := ask_json(postern, "top")[1][0])["connections"] and f["relays"] == 1)
    postern.rested()
    client.finish()


def test_without_counters(postern):
    status, text, _ = ask(postern, "top", "--once", runtime=postern.where / "none")
    assert status == 0 and "no counters: " in text
    assert ask(postern, "top", "--delay", "0")[0] == 64


class Screen:
    """A terminal that postern top runs in: what it was sent."""

    def __init__(self, postern, rows, columns):
        self.ours, theirs = pty.openpty()
        self.size(rows, columns)
        self.sent = b""
        self.p = subprocess.Popen(postern.command("postern", "top", "--delay", "3600"), stdin=theirs, stdout=theirs,
                                  stderr=subprocess.PIPE, start_new_session=True,
                                  env=postern.environment() | {"TERM": "xterm", "LC_ALL": "C.UTF-8"},
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            while data := os.read(self.ours, 65536):
                self.sent += data
        except OSError: # it has ended
            pass

    def size(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, text):
        patience.until(lambda: text in self.sent)

    def type(self, text):
        os.write(self.ours, text)


def test_screen(postern, world):
    """80x24, then a screen that is wider and higher: the picture is drawn anew, at once. q ends it, and gives the
    terminal back."""
    world.sink.close()
    for name in "abc":
        world.domain(f"{name}.example", "127.0.0.9")
        postern.send(f"u@{name}.example")
    postern.settled(3)
    screen = Screen(postern, 24, 80)
    screen.wait(b"3 messages in 3 lanes")
    for name in (b"a.example", b"b.example", b"c.example"): # no more of these in the first picture
        screen.wait(name)
    before = len(screen.sent)
    screen.size(40, 120)
    os.kill(screen.p.pid, signal.SIGWINCH)
    patience.until(lambda: b"example" in screen.sent[before:])
    screen.type(b"q")
    assert screen.p.wait(patience.PATIENCE) == 0
    screen.wait(b"\x1b[?1049l")
    assert screen.sent.startswith(b"\x1b[?1049h")
    os.close(screen.ours)


def test_terminal_that_is_not_known(postern):
    screen_of = dict(stdin=subprocess.DEVNULL, capture_output=True, check=False)
    ours, theirs = pty.openpty()
    p = subprocess.run(postern.command("postern", "top"), **{**screen_of, "stdin": theirs, "capture_output": False},
                       stdout=theirs, stderr=subprocess.PIPE, env=postern.environment() | {"TERM": "no-such"})
    assert p.returncode == 75 and b"--once" in p.stderr
    os.close(ours)
    os.close(theirs)
