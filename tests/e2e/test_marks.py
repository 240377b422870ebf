"""Mail that comes while a relay goes over its lane leaves a mark there, and waits for nobody's time but its own
(S8)."""


def test_lane_that_was_down(postern, world):
    """A mark that says how long the host has been down is no mark of new mail, and is taken away when the host is
    there again: what came until then is not missed, even if nobody rings."""
    world.domain("d.example")
    world.sink.say["GREETING"] = None
    postern.send("first@d.example")
    postern.settled(1)
    [retry] = [p for p in postern.lane_files() if p.name == "@retry"]
    assert retry.stat().st_size > 0

    def greet(line):
        del line
        if len(postern.messages()) == 1: # whose name was read
            postern.send("second@d.example", max_connections=0)
        return "220 here"

    world.sink.say["GREETING"] = greet
    world.sink.say["RCPT"] = lambda line: "450 4.2.1 later" if "first" in line else "250 ok"
    postern.make_due()
    postern.due()
    postern.settled(1)
    assert [m.recipients for m in world.sink.messages] == [["second@d.example"]], postern.logged()
