"""Commands in any order, against a model of what a session knows: no refused one changes it."""
import random

import pytest

COMMANDS = [
    "EHLO c.example", "EHLO", "EHLO a b", "HELO c.example", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b",
    "MAIL FROM:<a@b.example> SIZE=x", "MAIL FROM:<a@b.example> BODY=BINARYMIME",
    "RCPT TO:<u@d.example>", "RCPT TO:<v@d.example>", "RCPT TO:<u@>", "RCPT TO:<u@d.example> NOTIFY=X",
    "DATA", "DATA x", "BDAT 3\r\nx\r\n", "BDAT 2 LAST\r\n\r\n", "BDAT 0 LAST", "BDAT 3\r\nx\n\n",
    "RSET", "RSET x", "NOOP", "VRFY x", "HELP", "STARTTLS", "AUTH PLAIN AGpvZQBzZWNyZXQ=", "FOO", "",
]


class Model:
    """What a client must be told next; the code alone."""

    def __init__(self):
        self.helo = False
        self.queued = 0
        self.reset()

    def reset(self):
        self.open, self.rcpt, self.chunked, self.binary = False, 0, False, False
        return "250"

    def hello(self, argument):
        if argument != "c.example":
            return "501"
        self.helo = True
        return self.reset()

    def mail(self, argument):
        if not self.helo or self.open:
            return "503"
        if not argument.startswith("FROM:<a@b.example>") or "SIZE" in argument:
            return "501"
        self.open, self.binary = True, "BINARY" in argument
        return "250"

    def recipient(self, argument):
        if not self.open or self.chunked:
            return "503"
        if argument not in ("TO:<u@d.example>", "TO:<v@d.example>"):
            return "501"
        self.rcpt += 1
        return "250"

    def data(self, argument):
        if argument:
            return "501"
        if not self.rcpt or self.chunked or self.binary:
            return "503"
        self.queued += 1
        self.reset()
        return "354 250"

    def chunk(self, argument):
        if not self.rcpt:
            self.reset()
            return "503"
        if "\n\n" in argument and not self.binary:
            self.reset()
            return "554"
        self.chunked = True
        if "LAST" in argument:
            self.queued += 1
            self.reset()
        return "250"

    def answer(self, command):
        verb, _, argument = command.partition(" ")
        known = {"EHLO": self.hello, "HELO": self.hello, "MAIL": self.mail, "RCPT": self.recipient,
                 "DATA": self.data, "BDAT": self.chunk,
                 "RSET": lambda x: "501" if x else self.reset(),
                 "AUTH": lambda x: "502" if self.helo else "503"}
        fixed = {"NOOP": "250", "VRFY": "252", "HELP": "214", "STARTTLS": "502"}
        return known[verb](argument) if verb in known else fixed.get(verb, "500")


@pytest.mark.parametrize("seed", range(40))
def test_any_order(postern, seed):
    """R5, R7, R8, R13, R20, R61, R67, R90, R91, C3, C4, C5, A17, A20: pipelined, all at once."""
    dice, model = random.Random(seed), Model()
    sent, expected = [], []
    for command in dice.choices(COMMANDS, k=300):
        codes = model.answer(command).split()
        sent.append(command + ("" if command.startswith("BDAT") and "\r\n" in command else "\r\n"))
        if codes[0] == "354":
            sent.append("text\r\n.\r\n")
        expected += codes
    c = postern.connect(max_errors=1000)
    assert c.reply()[:3] == "220"
    c.send("".join(sent) + "QUIT\r\n")
    said = [c.reply()[:3] for _ in expected]
    assert said == expected, f"after {sum(a == b for a, b in zip(said, expected))} replies"
    assert c.reply()[:3] == "221" and c.end() == 0
    assert len(postern.messages()) == model.queued
