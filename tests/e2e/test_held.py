"""Mail that its sender wants to be held for longer than the schedule ever waits (M4)."""
import os
import time

import pytest

from test_extensions import USER

SCHEDULE = 4000 # s, its longest wait: more than the hour for which anything may rest


@pytest.fixture
def held(postern, world):
    """A message that is to be held for hours; no relay is left."""
    world.domain("dest.example")
    (postern.where / "users").write_text(USER)
    postern.settings["retry"] = f"1s {SCHEDULE}s"
    before = time.time()
    said = postern.pipe("EHLO client.example\nAUTH PLAIN AGpvZQBzZWNyZXQ=\nMAIL FROM:<a@sender.example> HOLDFOR=9000\n"
                        "RCPT TO:<u@dest.example>\nDATA\nSubject: x\n\nhello\n.\nQUIT\n",
                        auth_users=postern.where / "users")
    assert "250 2.0.0 Ok: queued" in said, said
    postern.rested() # or it turns in a circle
    return before


def times(postern):
    """When the message, and its lane, are looked at again."""
    files = {p.name[-6:]: p.stat().st_mtime for p in postern.lane_files()}
    return [files["@retry"], next(t for name, t in files.items() if name.endswith(".log"))]


def test_held_beyond_the_schedule(postern, world, held):
    """M4, R88, J12: it is looked at each time that the longest wait is over, for what is farther away would be taken
    for a clock that was set back; and is not sent before its time."""
    for _ in range(3):
        assert len(postern.messages()) == 1 and not world.sink.connections
        for t in times(postern):
            assert held + SCHEDULE - 1 <= t <= time.time() + SCHEDULE + 1
        for p in postern.lane_files():
            if p.name == "@retry" or p.name.endswith(".log"):
                os.utime(p, (held - 1, held - 1)) # as if that had passed
        postern.due()
        postern.rested()
    assert not world.sink.lines
