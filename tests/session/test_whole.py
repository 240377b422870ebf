"""Who may get a message back whole."""
import pytest

import client
import spoolfile
import strangers


@pytest.mark.parametrize("address, whole", [("127.0.0.1", ["yes"]), ("192.0.2.1", [])])
def test_whole(postern, address, whole):
    """E10, R78: RET=FULL is kept as it was said, but a stranger gets the header only."""
    try:
        ours, theirs = strangers.connection(address)
    except strangers.NoNamespace as why:
        pytest.skip(str(why))
    with theirs:
        c = client.Client(ours, postern.start(theirs, theirs, max_relays=0, relay_domains="d.example"))
    c.reply()
    c.hello()
    for line in ("MAIL FROM:<a@b.example> RET=FULL", "RCPT TO:<u@d.example>", "DATA",
                 "Subject: x\r\n\r\nx\r\n."):
        assert c.ask(line)[0] in "23"
    c.ask("QUIT")
    [path] = postern.messages()
    queued = spoolfile.SpoolFile(path)
    assert queued.one("Ret") == "FULL" and queued.all("Whole") == whole
