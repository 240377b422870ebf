"""Must show 6 (lost wake-ups): mail from many writers while relays start, end and are killed at random.

BELLS_MESSAGES of them (800; make bells: 100 000) are sent in rounds, each by some of 20 writers. A
relay ends as soon as it has nothing to do, and a round begins when the one before has arrived: then it
is about to; many rounds are a single message, whom nothing that comes later rescues. In a third of the rounds nobody is killed, in a third processes that a keeper has forked, in
a third any. The timer is never run, but where a keeper was killed and mail was left.
"""
import collections
import contextlib
import os
import random
import signal
import threading

import proc
import spoolfile
from patience import hold, until

MESSAGES = int(os.environ.get("BELLS_MESSAGES", "800"))
SEED = os.environ.get("BELLS_SEED", str(random.randrange(10 ** 6)))
WRITERS, AT_ONCE, EACH, DOMAINS = 20, [1, 1, 2, 5, 20], [1, 1, 1, 12], 10
KILLS = 8 # in a round; below what a keeper gives up at
PAUSE = 0.03 # s, at most, from one kill to the next, and from one round to the next


class Writer:
    """A session for some messages; then the next one."""

    def __init__(self, postern):
        self.postern, self.client, self.left = postern, None, 0

    def send(self, number, domain):
        if self.left == 0:
            self.close()
            self.client, self.left = self.postern.meet(max_connections=20), 50
        self.left -= 1
        self.client.send(f"MAIL FROM:<a@sender.example>\r\nRCPT TO:<m{number}@d{domain}.example>\r\nDATA\r\n")
        assert [self.client.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
        self.client.send("x\r\n.\r\n")
        said = self.client.reply()
        assert "queued as" in said, said

    def close(self):
        if self.client is not None:
            assert self.client.finish() == 0
        self.client = None


class Killer(threading.Thread):
    """SIGKILL for processes of relays, until it is told to stop. Of whom: those that a keeper forked, or
    any."""

    def __init__(self, postern, chance, forked):
        super().__init__()
        self.postern, self.chance, self.forked = postern, chance, forked
        self.kills, self.stop = 0, threading.Event()

    def victims(self):
        relays = self.postern.running("relay")
        return [pid for pid in relays if not self.forked or proc.birth(pid)[0] in relays]

    def run(self):
        while not self.stop.is_set() and self.kills < KILLS:
            victims = self.victims()
            if victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(victims), signal.SIGKILL)
                    self.kills += 1
            hold(self.chance.random() * PAUSE)

    def end(self):
        self.stop.set()
        self.join()
        return self.kills


class Rounds:
    def __init__(self, postern, world):
        self.postern, self.world, self.chance = postern, world, random.Random(SEED)
        self.sent, self.excused, self.counted, self.awaited, self.seen = 0, 0, 0, set(), set()
        self.kills, self.rounds = collections.Counter(), collections.Counter()
        self.writers = [Writer(postern) for _ in range(WRITERS)]
        for d in range(DOMAINS):
            world.domain(f"d{d}.example")

    def missing(self):
        """To whom nothing has come yet."""
        new = self.world.sink.messages[self.counted:]
        self.counted += len(new)
        self.seen.update(r for m in new for r in m.recipients)
        return self.awaited - self.seen

    def write(self):
        """Some writers send some messages at once."""
        trouble, threads = [], []

        def work(writer, jobs):
            try:
                for number, domain in jobs:
                    writer.send(number, domain)
            except Exception as e: # pylint: disable=broad-exception-caught
                trouble.append(e)
        for writer in self.chance.sample(self.writers, self.chance.choice(AT_ONCE)):
            n = self.chance.choice(EACH)
            jobs = [(self.sent + i, self.chance.randrange(DOMAINS)) for i in range(n)]
            self.sent += n
            self.awaited.update(f"m{number}@d{domain}.example" for number, domain in jobs)
            threads.append(threading.Thread(target=work, args=(writer, jobs)))
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not trouble, trouble

    def died_twice(self):
        """Whose messages are put off for that."""
        found = set()
        for log in self.postern.lane_files():
            with contextlib.suppress(FileNotFoundError):
                if log.name.endswith(".log") and " soft 0" in log.read_text():
                    found.update(to.split(" ")[1] for to in spoolfile.SpoolFile(log.with_suffix("")).all("To"))
        return found

    def is_out(self):
        """All arrived, but what a process that tried it alone was killed with."""
        missing = self.missing()
        return not missing or missing <= self.died_twice()

    def recover(self):
        """As the timer does, for what may have waited."""
        self.postern.rested()
        self.excused += len(self.missing())
        while self.postern.messages():
            self.postern.make_due()
            self.postern.due()
            self.postern.rested()

    def round(self, kind):
        self.rounds[kind] += 1
        killer = Killer(self.postern, random.Random(self.chance.random()), kind == "forked")
        if kind != "nobody":
            killer.start()
        self.write()
        if kind != "nobody":
            self.kills[kind] += killer.end()
        if kind != "any":
            until(self.is_out)
        if kind == "any" or self.missing():
            self.recover()
        assert not self.missing()

    def run(self):
        while self.sent < MESSAGES or not (self.kills["forked"] and self.kills["any"]):
            hold(self.chance.random() * PAUSE) # the relay of the last round is ending meanwhile
            self.round(self.chance.choice(["nobody", "forked", "any"]))
        for writer in self.writers:
            writer.close()
        self.postern.settled()


def test_bells(postern, world):
    """All arrives; nothing waits for the timer unless its keeper was killed, or both who had it in hand."""
    rounds = Rounds(postern, world)
    try:
        rounds.run()
    finally:
        times = collections.Counter(r for m in world.sink.messages for r in m.recipients)
        print(f"\nbells: seed {SEED}: {rounds.sent} messages in {dict(rounds.rounds)} rounds, killed "
              f"{dict(rounds.kills)}; {rounds.excused} waited for the timer, {sum(times.values()) - len(times)} "
              "came again")
    assert len(times) == rounds.sent
    assert sum(times.values()) - len(times) <= 20 * sum(rounds.kills.values())
