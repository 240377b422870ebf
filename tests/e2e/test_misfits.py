"""Hosts that announce what they do not do right: mail gets there all the same, and harms nobody."""
import pytest

import internet

DIALOGUE = "Subject: x\n\nMAIL FROM:<evil@x.example>\nRCPT TO:<victim@x.example>\nDATA\nevil\n.\nRSET\n"


@pytest.fixture
def host(postern, world):
    """Makes such a server the host of d.example."""
    made = []

    def make(session):
        world.domain("d.example", "127.0.0.7")
        made.append(internet.Listener(world.port, session))
        return made[0]

    yield make
    for server in made:
        server.close()
        server.cut()
    del postern


def send(postern, recipients, text="Subject: x\n\nx\n"):
    for r in recipients:
        postern.send(f"{r}@d.example", text, sender="", max_connections=0)
    postern.due()


class Runs:
    """Refuses some recipients and each BDAT, whose octets are commands to it; `says` is the reply to BDAT."""

    def __init__(self, says):
        self.says, self.commands, self.taken = says, [], 0

    def session(self, _, f):
        f.write(b"220 runs\r\n")
        accepted = 0
        while line := f.readline():
            self.commands.append(line.decode("latin-1").strip())
            verb = self.commands[-1][:4].upper()
            if verb == "EHLO":
                f.write(b"250-runs\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 8BITMIME\r\n")
            elif verb == "BDAT":
                f.write(self.says)
            elif verb == "RCPT" and b"<bad" in line:
                f.write(b"550 5.1.1 no\r\n")
            elif verb == "DATA" and not accepted:
                f.write(b"503 5.5.1 no recipients\r\n")
            elif verb == "DATA":
                f.write(b"354 go\r\n")
                while (line := f.readline()) and line != b".\r\n":
                    pass
                self.taken += 1
                f.write(b"250 taken\r\n")
            else:
                accepted = accepted + 1 if verb == "RCPT" else 0
                f.write(b"250 ok\r\n")


@pytest.mark.parametrize("says", [b"503 5.5.1 no recipients\r\n", b"500 5.5.1 what\r\n", b"250 ok\r\n", b""],
                         ids=["503", "500", "250", "silent"])
def test_text_never_reaches_a_command_reader(postern, host, says):
    """L20: what a message holds is not run as commands, whoever was refused; and the others get their mail."""
    runs = Runs(says)
    host(runs.session)
    send(postern, ["u", "bad", "bad", "u", "bad"], DIALOGUE)
    postern.settled()
    assert not [c for c in runs.commands if "evil" in c or "victim" in c]
    assert runs.taken == 2 and postern.logged().count(": bounced") == 3


def test_binary_never_reaches_a_command_reader(postern, host):
    """L20: not even where BDAT is the only way."""
    runs = Runs(b"503 5.5.1 no recipients\r\n")
    host(runs.session)
    text = ("MIME-Version: 1.0\nContent-Type: application/x\n" + DIALOGUE).replace("\n", "\r\n")
    postern.pipe(f"EHLO c.example\nMAIL FROM:<> BODY=BINARYMIME\nRCPT TO:<u@d.example>\nBDAT {len(text)} LAST\n"
                 f"{text}QUIT\n".encode())
    postern.settled()
    assert runs.taken == 1
    assert not [c for c in runs.commands if "evil" in c or "victim" in c]


class Forgets:
    """Of what comes in one packet it takes the first line, and throws the rest away."""

    def __init__(self, ehlo=b"PIPELINING"):
        self.ehlo, self.commands, self.taken = ehlo, [], 0

    def session(self, sock, _):
        sock.sendall(b"220 forgets\r\n")
        while packet := sock.recv(65536):
            line = packet.split(b"\r\n")[0]
            self.commands.append(line.decode())
            if line[:4] == b"EHLO":
                sock.sendall(b"250-forgets\r\n250-" + self.ehlo + b"\r\n250 HELP\r\n")
            elif line == b"DATA":
                sock.sendall(b"354 go\r\n")
                text = b""
                while not (b"\r\n" + text).endswith(b"\r\n.\r\n") and (more := sock.recv(65536)):
                    text += more
                    text = text.split(b"\r\n.\r\n")[0] + b"\r\n.\r\n" if b"\r\n.\r\n" in text else text
                self.taken += 1
                sock.sendall(b"250 taken\r\n")
            else:
                sock.sendall(b"250 ok\r\n")


@pytest.mark.parametrize("ehlo", [b"PIPELINING", b"PIPELINING\r\n250-CHUNKING"], ids=["groups", "window"])
def test_one_command_in_a_packet(postern, host, ehlo):
    """L21: after one loss the host gets a command at a time, at once, and for as long as that is remembered."""
    forgets = Forgets(ehlo)
    server = host(forgets.session)
    postern.settings.update(timeout_rcpt="5s", remember_hosts="1h") # the first reply that is missed
    send(postern, "uvw")
    postern.settled()
    assert forgets.taken == 3 and server.connections == 2
    send(postern, "xy")
    postern.settled()
    assert forgets.taken == 5 and server.connections == 3
    assert ": deferred" not in postern.logged()


def test_without_pipelining(postern, host):
    """L21: a site that knows its host need not wait for that loss."""
    forgets = Forgets()
    server = host(forgets.session)
    postern.settings["delivery_without"] = "pipelining"
    send(postern, "uvw")
    postern.settled()
    assert forgets.taken == 3 and server.connections == 1


def test_without_parameters(postern, world):
    """L21: an extension that is left out is neither used nor believed."""
    world.domain("d.example")
    world.sink.ehlo = ("PIPELINING", "8BITMIME", "SIZE 10", "DSN", "CHUNKING")
    postern.settings["delivery_without"] = "size, DSN 8bitmime chunking"
    send(postern, "uvw")
    postern.settled()
    assert len(world.sink.messages) == 3
    assert {line for line in world.sink.lines if line[:4] != "RCPT"} == {"MAIL FROM:<>", "DATA"}


@pytest.mark.parametrize("mode", [("PIPELINING",), ("PIPELINING", "CHUNKING")], ids=["groups", "window"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_loses_its_way(postern, world, mode, verb):
    """L21: "bad sequence" of commands that came in one go is not for good: a command at a time works. And if it does
    not, that is believed."""
    if verb == "DATA" and "CHUNKING" in mode:
        pytest.skip("it is BDAT")
    world.domain("d.example")
    world.sink.ehlo = mode
    world.sink.say[verb] = "503 5.5.1 bad sequence of commands"
    send(postern, ["u", "u"])
    log = postern.settled(2)
    assert log.count(": deferred") == 2 and not world.sink.messages
    last = world.sink.say.pop(verb)
    postern.make_due()
    postern.due()
    world.sink.wait_messages(2)
    assert ": bounced" not in postern.settled()
    world.sink.say[verb] = last
    send(postern, ["u"])
    assert ": bounced" in postern.settled()
