"""Recipients beyond what a client's network may have (limit_recipients)."""
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
