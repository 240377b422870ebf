"""How a test waits: for a state, with patience, never for a time to pass.

until() is for what must come about. On a machine that is slow, or busy with something else, that
takes longer, and no test knows how long; so there is one deadline, far longer than anything takes
that works, and only a test that fails ever reaches it. What is true at once costs nothing.
"""
import inspect
import time

PATIENCE = 120 # s
SHORTEST, LONGEST = 0.002, 0.05 # s between two looks

witnesses = [] # functions: text that explains a failure, as a log does


def poll(condition, seconds):
    end, pause = time.monotonic() + seconds, SHORTEST
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST)
    return value


def source(condition):
    """The lines where it stands, if they can be had."""
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)


def until(condition, seconds=0):
    """The value of the condition once it is true. A test that waits in vain fails, and shows what the
    witnesses say. It takes PATIENCE, or what is longer."""
    seconds = max(seconds, PATIENCE)
    value = poll(condition, seconds)
    if not value:
        raise AssertionError("\n".join([f"not within {seconds} s: {source(condition)}",
                                        f"at last: {value!r}", *(w() for w in witnesses)]))
    return value


def within(condition, seconds):
    """The value of the condition once it is true, or of the last look: where either is right, and the
    test goes on with what it got."""
    return poll(condition, seconds)


def doubled(seconds):
    """Times for a setting that is to run out where a test wants it and not before. Where one did before, for the
    machine is slow, the test goes on with the next; behind the one that was right it leaves the loop."""
    while seconds <= PATIENCE:
        yield seconds
        seconds *= 2
    raise AssertionError(f"{seconds // 2} s run out too soon, too")


def hold(seconds):
    """What a host, a client or a program does that is slow on purpose. Nothing is awaited by it."""
    time.sleep(seconds)
