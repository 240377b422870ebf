"""What is enough: recipients of a client's network (limit_recipients), and errors of a client that brings mail."""
from spoolfile import SpoolFile
from test_policy import ENOUGH, Client, program, seen  # noqa: F401 pylint: disable=unused-import


def test_recipients_of_one_message(postern):
    """S10, R25: they count before the message is there, or one message could go to any number. In a group as anywhere
    those beyond the limit hear 452 and the others stay: whoever tries again gets nearer each time."""
    c = Client(postern, "192.0.2.1", relay_nets="192.0.2.0/24", limit_recipients=3)
    c.ask("EHLO c.example")
    c.send("MAIL FROM:<a@b.example>\r\n" + "".join(f"RCPT TO:<{u}@d.example>\r\n" for u in "uvwxy") + "DATA\r\n")
    assert [c.reply()[:3] for _ in range(4)] == ["250"] * 4
    assert [c.reply() for _ in range(2)] == [ENOUGH] * 2
    assert c.reply().startswith("354") and c.ask("x\r\n.").startswith("250")
    assert len(SpoolFile(postern.messages()[0]).all("To")) == 3
    # The operator sees it, once in a connection: there are as many replies as the client likes.
    refused = [line for line in postern.logged().splitlines() if ENOUGH in line]
    assert len(refused) == 1 and '"RCPT TO:<x@d.example>"' in refused[0]


def test_recipients_that_are_refused_count_nothing(postern, seen):
    """S10: whoever refuses them: we, or a program of the site, which is not asked in vain."""
    check = program(postern, f"read x; echo $x >>{seen}; case $x in *no@*) echo REJECT no;; *) echo OK;; esac")
    c = Client(postern, "192.0.2.1", relay_domains="d.example", limit_recipients=2, recipient_check=check)
    for command, code in [("EHLO c.example", "250"), ("MAIL FROM:<a@b.example>", "250"),
                          ("RCPT TO:<no@d.example>", "550"), ("RCPT TO:<u@e.example>", "550"),
                          ("RCPT TO:<no@d.example>", "550"), ("RCPT TO:<u@d.example>", "250"),
                          ("RCPT TO:<v@d.example>", "250"), ("RCPT TO:<w@d.example>", "452"),
                          ("RCPT TO:<u@e.example>", "550")]:
        assert c.ask(command)[:3] == code, command
    assert seen.read_text().count("recipient") == 4


def test_errors_between_messages(postern):
    """C13: max_errors is of a client that gets nowhere. A message that is queued makes good for those before it, but
    neither for the network's count nor for one that is refused."""
    c = Client(postern, "192.0.2.1", relay_domains="d.example", max_errors=2, limit_errors=4)
    c.ask("EHLO c.example")
    for _ in range(3):
        assert c.ask("MAIL FROM:<a@b.example>")[:3] == "250"
        assert c.ask("RCPT TO:<u@e.example>")[:3] == "550"
        assert c.ask("RCPT TO:<u@d.example>")[:3] == "250"
        assert c.ask("DATA")[:3] == "354" and c.ask("x\r\n.")[:3] == "250"
    assert c.ask("NOOP")[:3] == "250"
    c.ask("MAIL FROM:<a@b.example>")
    c.ask("RCPT TO:<u@d.example>")
    assert c.ask("DATA")[:3] == "354" and c.ask("x\0\r\n.")[:3] == "554" and c.ask("FOO")[:3] == "500"
    assert c.reply() == "421 4.7.0 mx.test.example Error: too many errors"
    c = Client(postern, "192.0.2.1", max_errors=2, limit_errors=4)
    assert c.ask("FOO")[:3] == "500" and c.reply()[:3] == "421"
