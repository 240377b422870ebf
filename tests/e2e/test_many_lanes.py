"""A queue of very many lanes and messages: what is due has its turn, and the rest costs nothing (make lanes: the same
with a million)."""
import contextlib
import threading

import patience
import proc
import spoolfile

LANES, EACH = 400, 20
LIMIT = 64 * 1024 # KiB
TEXT = b"Subject: x\r\n\r\nx\r\n"


def domains(n):
    return [f"d{i}.example" for i in range(n)]


def memory(postern):
    """KiB, of all relays. One that only rings for another may end while we look."""
    total = 0
    for pid in postern.running("relay"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += proc.pss(pid)
    return total


def test_nothing_is_due(postern, world):
    """G6: lanes whose time has not come start no relay; and one that runs, for another lane that gets its mail at once,
    leaves them alone and knows no more than their names and times."""
    world.domain("live.example")
    spoolfile.fill_lanes(postern.spool, domains(LANES), EACH, TEXT)
    spoolfile.put_off(postern.spool, 3600)
    postern.due(relay_path="/nonexistent/relay")
    assert "cannot start relay" not in postern.rested()
    postern.settings["linger"] = "1h"
    postern.send("u@live.example")
    world.sink.wait_messages()
    postern.wait_messages(LANES * EACH)
    assert 0 < memory(postern) <= LIMIT
    postern.send("v@live.example") # and once more round, so that whoever would be next has been
    world.sink.wait_messages(2)
    postern.wait_messages(LANES * EACH)
    asked = {name for _, name, _ in world.dns.asked}
    assert asked and not [name for name in asked if not name.endswith("live.example")]
    assert "deferred" not in postern.logged()


def test_all_wait_for_one_host(postern, world, names):
    """S2, S7: all lanes are due, and the host of all of them has as many connections as it may have, and never greets. A
    new lane is served; none of the others has gone."""
    world.domain("live.example", "127.0.0.3")
    live = world.another("127.0.0.3")
    zone = {(d, "MX"): ["10 mx.provider.example."] for d in domains(LANES)}
    names(zone | {("mx.provider.example", "A"): ["127.0.0.2"]})
    spoolfile.fill_lanes(postern.spool, domains(LANES), EACH, TEXT)
    postern.settings.update(timeout_greeting="1h", retry="1h 10h", max_connections=LANES)
    with world.sink.held("GREETING", "421 4.3.2 not today"):
        postern.due()
        world.sink.wait_connections(20)
        postern.send("u@live.example")
        live.wait_messages()
        assert world.sink.connections == 20 and "next try in" not in postern.logged()
        assert postern.watched() or 0 < memory(postern) <= LIMIT # a sanitizer's memory is its own
    world.sink.cut()
    postern.rested()


def test_long_lane_stops_for_others(postern, world):
    """A lane with a long queue gives its only connection to one that waits, long before it is done, and goes on then."""
    n = 500
    world.domain("long.example")
    world.domain("short.example", "127.0.0.3")
    short = world.another("127.0.0.3")
    go, began, taken = threading.Event(), threading.Event(), []

    def take(_):
        began.set()
        go.wait(patience.PATIENCE)
        return "250 ok"
    def count(_):
        taken.append(len(world.sink.messages))
        return "250 ok"
    world.sink.say["END"] = take
    short.say["END"] = count
    world.sink.delay = 0.002 # so it is not done before its turn is over
    spoolfile.fill(postern.spool, ["u@long.example"] * n, TEXT)
    postern.settings.update(max_connections=1, timeout_data_end="1h")
    postern.due()
    assert began.wait(patience.PATIENCE)
    postern.send("u@short.example")
    go.set()
    short.wait_messages()
    world.sink.wait_messages(n)
    postern.settled()
    assert len(taken) == 1 and 0 < taken[0] < n, "one and then the other"
