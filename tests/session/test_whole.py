"""Who may get a message back whole."""
import pytest

import client
import spoolfile
import strangers

STRANGER = "192.0.2.1", {}
NEIGHBOUR = "192.0.2.1", {"relay_nets": "192.0.2.0/24"}
HERE = "127.0.0.1", {}


def queued(postern, who, ret):
    """What is queued of a message from there, with these words behind its sender."""
    address, settings = who
    try:
        ours, theirs = strangers.connection(address)
    except strangers.NoNamespace as why:
        pytest.skip(str(why))
    with theirs:
        c = client.Client(ours, postern.start(theirs, theirs, max_connections=0, relay_domains="d.example",
                                              **settings))
    c.reply()
    c.hello()
    for line in (f"MAIL FROM:<a@b.example>{ret}", "RCPT TO:<u@d.example>", "DATA",
                 "Subject: x\r\n\r\npayload\r\n."):
        assert c.ask(line)[0] in "23"
    assert c.finish() == 0
    [path] = postern.messages()
    return spoolfile.SpoolFile(path)


@pytest.mark.parametrize("who, ret, whole", [
    (STRANGER, " RET=FULL", []), (STRANGER, " RET=HDRS", []), (STRANGER, "", []),
    (NEIGHBOUR, " RET=FULL", ["yes"]), (NEIGHBOUR, " RET=HDRS", []), (NEIGHBOUR, "", []),
    (HERE, " RET=FULL", ["yes"]), (HERE, " RET=HDRS", []), (HERE, "", [])],
    ids=[f"{who}-{ret}" for who in ("stranger", "neighbour", "here") for ret in ("full", "hdrs", "nothing")])
def test_whole(postern, who, ret, whole):
    """M5, E10, R78: RET is kept as it was said, but a stranger gets the header only; nor does anybody
    get more than was asked for."""
    found = queued(postern, who, ret)
    assert found.all("Ret") == [ret[5:]][:len(ret)] and found.all("Whole") == whole


@pytest.mark.parametrize("ret", [" RET=FULL", " RET=HDRS", ""], ids=["full", "hdrs", "nothing"])
@pytest.mark.parametrize("who", [STRANGER, NEIGHBOUR, HERE], ids=["stranger", "neighbour", "here"])
def test_report_to_who_sent_it(postern, world, who, ret):
    """M5, E10: so mail with a forged sender carries no payload to whom it names."""
    world.domain("d.example")
    world.domain("b.example")
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 no" if "u@d.example" in line else "250 2.1.5 ok"
    queued(postern, who, ret)
    postern.due()
    [report] = world.sink.wait_messages()
    postern.settled()
    assert (report.sender, report.recipients) == ("", ["a@b.example"])
    assert (b"payload" in report.data) == (ret == " RET=FULL" and who != STRANGER)
