"""What cannot be worked on makes no relay turn in a circle: it ends, and says what is wrong no more often than it
looked (L18, S13)."""
import os

import pytest


@pytest.mark.parametrize("kind", ["a file", "a link", "a link to nothing"])
def test_no_lane(postern, world, kind):
    """L18: what has the name of a lane and is none."""
    world.domain("one.example")
    elsewhere = postern.where / "elsewhere"
    elsewhere.mkdir(mode=0o777)
    odd = postern.spool / "lane" / "odd.example"
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    if kind == "a file":
        odd.write_text("mine")
    else:
        odd.symlink_to(elsewhere if kind == "a link" else postern.where / "nowhere")
    postern.due()
    postern.settled()
    assert len(world.sink.messages) == 1
    assert os.path.lexists(odd)


def test_lane_of_others(postern, world):
    """S13: in a lane that may not be written to nothing can be marked: its mail rests, and is sent no more often
    than the schedule says."""
    world.domain("one.example")
    assert "queued as" in postern.send("u@one.example", max_connections=0)
    lane = postern.messages()[0].parent
    lane.chmod(0o500)
    try:
        postern.due()
        text = postern.rested()
    finally:
        lane.chmod(0o700)
    assert text.count("cannot make @retry") == 1, text
    postern.make_due()
    postern.due()
    postern.settled()
