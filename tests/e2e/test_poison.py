"""A message with which relay dies: once is chance, more often is no chance (I14, M12)."""
import os
import signal


class Poison:
    """One message in a lane, and a host at whose RCPT the relay is killed."""

    def __init__(self, postern, world, wait):
        self.postern, self.sink, self.wait = postern, world.sink, wait
        world.domain("d.example")
        postern.settings["retry"] = "1h 10h"
        postern.send("u@d.example", max_connections=0)
        self.sink.say["RCPT"] = self.kill

    def kill(self, line):
        """What a crash looks like from outside. No reply."""
        del line
        for pid in self.postern.relays():
            os.kill(pid, signal.SIGKILL)

    def due(self):
        """How often the message was tried until now."""
        self.postern.due()
        assert self.wait(lambda: not self.postern.relays()), self.postern.logged()
        return sum(line.startswith("RCPT") for line in self.sink.lines)

    def waits(self):
        """s, until it is tried; 0: it is due."""
        [log] = [p for p in self.postern.lane_files() if p.name.endswith(".log")]
        retry = log.with_name("@retry")
        times = [p.stat().st_mtime for p in (log, retry) if p.exists()]
        return max(0, max(times) - log.stat().st_ctime)


def test_poison(postern, world, wait):
    """M12, I14: killed once with a message in hand, it is tried at once; twice, it is put off; then further each
    time. Of each wait a tenth may be missing."""
    poison = Poison(postern, world, wait)
    assert poison.due() == 1
    assert poison.due() == 2, "once is chance"
    assert "next try in 0 s" in postern.logged()
    assert poison.due() == 2, "twice is none"
    assert 3600 * 0.9 - 2 <= poison.waits() <= 3600
    assert poison.due() == 2
    postern.make_due()
    assert poison.due() == 3
    assert poison.due() == 3
    assert 36000 * 0.9 - 2 <= poison.waits() <= 36000
    poison.sink.say.clear()
    postern.make_due()
    assert poison.due() == 4
    assert not postern.messages() and len(poison.sink.messages) == 1
