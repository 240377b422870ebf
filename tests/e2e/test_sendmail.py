"""sendmail: what programs expect of it, and that its status says the truth: 0 is queued, anything else is not.

It speaks with an smtpd at a UNIX socket (tools/submission.py), or, where there is none, on a pipe. Who may send as
whom is tested with smtpd, in tests/session/test_peers.py; real units are in test_sendmail_systemd.py."""
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from conftest import DROP, NOBODY
from patience import PATIENCE, until
from spoolfile import SpoolFile
from submission import Local

USAGE, DATA, NO_INPUT, NOUSER, IO, TEMPORARY, NOPERM, CONFIG = 64, 65, 66, 67, 74, 75, 77, 78
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other users")
LOGIN = subprocess.run(["id", "-un"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture
def local(postern):
    local = Local(postern)
    yield local
    local.close()


def queued(postern):
    """The one message that is there."""
    paths = {p.name: p for p in postern.messages()}
    assert len(paths) == 1, paths
    return SpoolFile(next(iter(paths.values())))


def to(message):
    return [to.partition(" ")[2] for to in message.all("To")]


def nothing(local):
    """And nothing comes: nobody is left who could have heard of it."""
    local.finish()
    assert not local.postern.messages(), local.postern.logged()


# ---- the table of options: (words, text, recipients, (more of the envelope), what stands in the text)

TEXT = "Subject: x\n\nhello\n"
OPTIONS = {
    "recipient": (["u@d.example"], TEXT, ["u@d.example"], {"From": f"{LOGIN}@site.example"}, "\r\n\r\nhello\r\n"),
    "two": (["u@d.example", "v@d.example,w@e.example"], TEXT, ["u@d.example", "v@d.example", "w@e.example"], {}, ""),
    "-t": (["-t"], "To: Joe <u@d.example>\nCc: v@d.example\n\nx\n", ["u@d.example", "v@d.example"], {}, "Cc: v@d.example"),
    "final dot": (["u@d.example."], TEXT, ["u@d.example"], {}, ""),
    "final dot of a field": (["-t", "-f", "v@d.example."], "To: Joe <u@d.example.>\n\nx\n", ["u@d.example"],
                             {"From": "v@d.example"}, ""),
    "-t and more": (["-t", "w@e.example"], "To: u@d.example\n\nx\n", ["w@e.example", "u@d.example"], {}, ""),
    "-i": (["-i", "u@d.example"], "\na\n.\nb\n", ["u@d.example"], {}, "a\r\n.\r\nb\r\n"),
    "-oi": (["-oi", "u@d.example"], "\na\n.\nb\n", ["u@d.example"], {}, "a\r\n.\r\nb\r\n"),
    "a dot": (["u@d.example"], "\na\n.\nb\n", ["u@d.example"], {}, "\r\n\r\na\r\n"),
    "-f": (["-f", "me@x.example", "u@d.example"], TEXT, ["u@d.example"], {"From": "me@x.example"}, "From: "),
    "-r": (["-rme@x.example", "u@d.example"], TEXT, ["u@d.example"], {"From": "me@x.example"}, "me@x.example"),
    "-f behind": (["u@d.example", "-f", "me"], TEXT, ["u@d.example"], {"From": "me@site.example"}, "<me@site.example>"),
    "null sender": (["-f", "<>", "u@d.example"], TEXT, ["u@d.example"], {"From": ""}, f"{LOGIN}@site.example"),
    "no sender": (["-f", "", "u@d.example"], TEXT, ["u@d.example"], {"From": ""}, ""),
    "-F": (["-F", "Joe, the \"first\"", "u@d.example"], TEXT, ["u@d.example"], {}, '"Joe, the \\"first\\"" <'),
    "-F and From": (["-F", "Joe", "u@d.example"], "From: a@b.example\n\nx\n", ["u@d.example"], {}, "From: a@b.example\r\n"),
    "-N": (["-N", "success,delay", "u@d.example"], TEXT, ["u@d.example"], {"Notify": "SUCCESS,DELAY"}, ""),
    "-N never": (["-Nnever", "u@d.example"], TEXT, ["u@d.example"], {"Notify": "NEVER"}, ""),
    "-R": (["-R", "hdrs", "u@d.example"], TEXT, ["u@d.example"], {"Ret": "HDRS"}, ""),
    "-V": (["-V", "a b+c", "u@d.example"], TEXT, ["u@d.example"], {"Envid": "a+20b+2Bc"}, ""),
    "8 bit": (["u@d.example"], "Subject: x\n\nh\xe9\n", ["u@d.example"], {"Body": "8BITMIME"}, ""),
    "7 bit": (["-B8BITMIME", "u@d.example"], TEXT, ["u@d.example"], {"Body": None}, ""),
    "ignored": (["-om", "-oem", "-odi", "-O", "DeliveryMode=b", "-OAuthSubmit", "-A", "c", "-L", "tag", "-G", "-U", "-h", "3",
                 "-X", "/tmp/log", "-C", "/nonexistent", "-bm", "--", "u@d.example"], TEXT, ["u@d.example"], {}, ""),
    "--": (["--", "-t@d.example"], TEXT, ["-t@d.example"], {}, ""),
    "bare name": (["joe", "postmaster"], "To: joe\n\nx\n", ["joe@site.example", "postmaster@mx.test.example"], {},
                  "To: joe@site.example\r\n"),
    "cron": (["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"], "From: root (Cron Daemon)\nTo: root\nSubject: Cron\n\nx\n",
             ["root@site.example"], {}, "From: root@site.example (Cron Daemon)\r\nTo: root@site.example\r\n"),
    "CRLF": (["-t"], "To: u@d.example\r\nSubject: x\r\n\r\na\r\n.\r\nb\r\n", ["u@d.example"], {}, "Subject: x\r\n"),
    "no header": (["u@d.example"], "hello there\nand more\n", ["u@d.example"], {}, "\r\n\r\nhello there\r\nand more\r\n"),
    "empty": (["u@d.example"], "", ["u@d.example"], {}, "Message-ID: <"),
    "mailbox": (["u@d.example"], "From joe Mon\nSubject: x\n\nFrom x\n", ["u@d.example"], {}, "\r\n\r\nFrom x\r\n"),
    "mailbox in a message": (["u@d.example"], ">From joe Mon\nSubject: x\n\n>From x\n", ["u@d.example"], {}, "\r\n\r\n>From x\r\n"),
    "dots": (["-i", "u@d.example"], "\n.\n..\n.x\n", ["u@d.example"], {}, "\r\n.\r\n..\r\n.x\r\n"),
    "CR and NUL": (["u@d.example"], "\n10%\r20%\0\n", ["u@d.example"], {}, "\r\n10%\r\n20%\r\n"),
    "group": (["-t"], "To: team: u@d.example, \"V, W\" <v@d.example>; w@e.example (x)\n\nx\n",
              ["u@d.example", "v@d.example", "w@e.example"], {}, "team: u@d.example"),
    "encoded": (["-t"], "To: =?utf-8?q?J=C3=B6rg?= <u@d.example>,\n\t\"x y\"@d.example\n\nx\n",
                ["u@d.example", '"x y"@d.example'], {}, ""),
    "twice": (["-t"], "To: u@d.example <u@d.example>, v@d.example <w@e.example>\n\nx\n", ["u@d.example", "w@e.example"], {},
              "To: u@d.example <u@d.example>, v@d.example <w@e.example>\r\n"),
    "resent": (["-t"], "To: v@d.example\nResent-To: u@d.example\n\nx\n", ["u@d.example"], {}, "To: v@d.example"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options(postern, local, case):
    words, text, recipients, envelope, part = OPTIONS[case]
    local.sendmail(*words, text=text.encode("latin-1"))
    message = queued(postern)
    assert to(message) == recipients
    for name, value in envelope.items():
        assert message.all(name) == ([] if value is None else [value] * (len(recipients) if name == "Notify" else 1)), name
    body = message.text.decode("latin-1")
    assert part in body, body
    head = body.partition("\r\n\r\n")[0]
    for name in ("From", "Date", "Message-ID"):
        assert len(re.findall(rf"^{name}: ", head, re.M)) == 1, body
    assert ("\nb\r\n" in body) == (case in ("-i", "-oi"))


def test_bcc(postern, local):
    """It is for the envelope alone, folded too."""
    text = "To: u@d.example\nBCC : v@d.example,\n\tw@e.example,\n x@f.example\nSubject: bcc: is no field\n\ny\n"
    local.sendmail("-t", text=text)
    message = queued(postern)
    assert to(message) == ["u@d.example", "v@d.example", "w@e.example", "x@f.example"]
    assert b"Subject: bcc: is no field" in message.text
    for hidden in (b"v@d", b"w@e", b"x@f", b"BCC"):
        assert hidden not in message.text
    assert " for <" not in message.received


@pytest.mark.parametrize("words", [["-F", "x\r\nBcc: evil@d.example"], ["-f", "a@b.example\r\nBcc: evil@d.example"],
                                   ["-V", "x\r\nRCPT TO:<evil@d.example>"], ["-N", "never\r\nRCPT TO:<evil@d.example>"],
                                   ["-f", "a@b.example> RET=FULL"], ["-R", "full\r\nX"], ["-B", "7BIT\r\nX"],
                                   ["evil@d.example\r\nRCPT TO:<v@d.example>"], ["<u@d.example>\r\nDATA"]],
                         ids=lambda words: words[-1][:12].replace("\r\n", " "))
def test_nothing_is_injected(postern, local, words):
    """A value with a line end is refused, or is a name without it."""
    if words[0] == "-F":
        local.sendmail(*words, "u@d.example")
        assert b"\r\nFrom: \"xBcc: evil@d.example\" <" in queued(postern).text
        return
    done = subprocess.run(local.command(*words, "u@d.example"), input=b"x\n", capture_output=True, check=False,
                          env=local.environment())
    assert done.returncode in (USAGE, DATA)
    nothing(local)


@pytest.mark.parametrize("words", [["-oQ{}/q", "-X{}/log"], ["-C{}/conf"], ["-OQueueDirectory={}", "-X{}/log.php"], ["-D{}/x"]])
def test_words_of_somebody_else(postern, local, words):
    """D3: what a web application takes for a recipient names no file here."""
    local.sendmail(*(word.format(postern.where / "planted") for word in words), "u@d.example")
    assert not (postern.where / "planted").exists() and not list(postern.where.glob("planted*"))
    assert to(queued(postern)) == ["u@d.example"]


@needs_root
def test_no_room_for_what_is_kept(postern, local):
    """A full disk where a large message is kept: nothing was said to smtpd."""
    small = postern.where / "small"
    small.mkdir()
    script = 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, str(small), *local.command("u@d.example")], capture_output=True,
                          input=b"\n" + b"x" * 2**21, env=local.environment(TMPDIR=str(small)), check=False)
    assert done.returncode == TEMPORARY and b"cannot be kept: No space left on device; nothing was queued" in done.stderr
    nothing(local)
    assert "connection" not in postern.logged()


# ---- aliases

ALIASES = """postmaster: root
root: joe, admin@example.org
lists: :include:/etc/list
prog: "|/bin/sh -c true"
file: /var/mail/x
"""


@pytest.mark.parametrize("name, recipients", [
    ("root", ["joe@site.example", "admin@example.org"]), ("postmaster", ["joe@site.example", "admin@example.org"]),
    ("root@localhost", ["joe@site.example", "admin@example.org"]), ("ann", ["ann@site.example"]),
    ("root@d.example", ["root@d.example"])])
def test_aliases(postern, local, name, recipients):
    local.aliases.write_text(ALIASES)
    local.sendmail(name)
    assert to(queued(postern)) == recipients


def test_aliases_of_windows(postern, local):
    """L63: a mark at the beginning belongs to nobody's name."""
    local.aliases.write_bytes(b"\xef\xbb\xbfroot: joe@d.example\r\n")
    local.sendmail("root", text=TEXT)
    assert to(queued(postern)) == ["joe@d.example"]
    assert "1 aliases" in local.sendmail("-bi")


@pytest.mark.parametrize("text, line", [(b"# who gets it\rroot: joe@d.example\r", 1), (b"ann: x@d.example\n# a\rroot: joe\n", 2)])
def test_aliases_of_an_old_mac(local, text, line):
    """L63: most of it would be a comment, and the mail somebody else's."""
    local.aliases.write_bytes(text)
    assert f":{line}: a CR that ends no line; nothing was queued" in local.sendmail("root", status=CONFIG)
    assert f"{local.aliases}:{line}: a CR that ends no line" in local.sendmail("-bi", status=CONFIG)
    nothing(local)


def test_without_aliases(postern, local):
    local.aliases.write_text(ALIASES)
    local.sendmail("-n", "root", "prog")
    assert to(queued(postern)) == ["root@site.example", "prog@site.example"]


@pytest.mark.parametrize("name, word", [("lists", "includes a file"), ("prog", "for a program"), ("file", "for a file")])
def test_aliases_that_are_no_addresses(postern, local, name, word):
    """They are refused with everything else: half a message is none."""
    local.aliases.write_text(ALIASES)
    assert word in local.sendmail("u@d.example", name, status=CONFIG)
    nothing(local)


@needs_root
def test_aliases_that_cannot_be_read(postern, local):
    local.aliases.write_text(ALIASES)
    local.aliases.chmod(0o600)
    assert f"{local.aliases}: Permission denied; nothing was queued" in local.sendmail("root", user=1, status=TEMPORARY)
    nothing(local)


@pytest.mark.parametrize("what", ["a large file", "no end"])
def test_aliases_that_are_too_large(local, what):
    """L69: "Argument list too long" was said of it, which names nothing that somebody wrote."""
    if what == "no end":
        local.aliases.symlink_to("/dev/zero")
    else:
        local.aliases.write_text("#" * (4 << 20) + "\n")
    assert f"{local.aliases}: File too large; nothing was queued" in local.sendmail("root", status=TEMPORARY)
    assert f"{local.aliases}: File too large" in local.sendmail("-bi", status=NO_INPUT)
    nothing(local)


def test_newaliases(postern, local):
    local.aliases.write_text("root: joe\n")
    assert "1 aliases; the file is read as it is, there is nothing to build" in local.sendmail("-bi")
    local.aliases.write_text(ALIASES)
    said = local.sendmail("-bi", status=CONFIG)
    assert "prog" in said and "lists" in said and "file" in said and "5 aliases" in said


def test_aliases_with_quotes(postern, local):
    """Quotes are no part of a name, neither in the file nor where it is said."""
    local.aliases.write_text('"two words": w@d.example\n"root": "own name"\n"own name": "own name", n@d.example\n')
    assert local.sendmail("-bv", '"two words"', '"root"') == 'w@d.example\n"own name" (at this host)\nn@d.example\n'
    assert "3 aliases" in local.sendmail("-bi")
    local.aliases.write_text('"two words": |/bin/true\n"a\\"b": x y\n')
    said = local.sendmail("-bi", status=DATA)
    assert 'two words' in said and "is an alias for a program" in said and '"x y" is no list' in said and "2 aliases" in said


def test_verify(postern, local):
    local.aliases.write_text(ALIASES)
    assert local.sendmail("-bv", "root", "u@d.example") == \
        "joe (at this host)\nadmin@example.org\nu@d.example\n"
    nothing(local)


# ---- what is refused

@pytest.mark.parametrize("words, text, status, word", [
    ([], TEXT, USAGE, "no recipients"), (["-t"], TEXT, USAGE, "no recipients in To, Cc or Bcc"),
    (["-t"], "To: undisclosed-recipients:;\n\nx\n", USAGE, "no recipients"), (["-Z", "u@d.example"], TEXT, USAGE, "no such option: -Z"),
    (["-bd"], TEXT, USAGE, "postern.socket listens"), (["-q15m"], TEXT, USAGE, "postern-due.timer"),
    (["joe doe"], TEXT, DATA, '"joe doe" is no list of addresses'), (["-t"], "To: joe doe\n\nx\n", DATA, "no list of addresses"),
    (["-t", "u@d.example"], "To: a@b..c\n\nx\n", DATA, "no list"), (["-f", "a b", "u@d.example"], TEXT, DATA, "the sender is no address"),
    (["u@x_-.example"], TEXT, DATA, "is no address"), (["-f", "x@b_-", "u@d.example"], TEXT, DATA, "sender"),
    (["u@\x1b[31m"], TEXT, DATA, "\\x1b[31m")])
def test_refused(postern, local, words, text, status, word):
    said = local.sendmail(*words, text=text, status=status)
    assert word in said and "\x1b" not in said
    nothing(local)


def test_too_large(postern, local):
    """By the configuration, if it can be read here; else by smtpd."""
    text = b"\n" + b"x" * 70 * 1024
    assert "larger than max_size, 65536 octets" in local.sendmail("u@d.example", text=text, status=DATA,
                                                                   POSTERN_MAX_SIZE="64K")
    local.settings["max_size"] = "64K"
    assert "552 5.3.4" in local.sendmail("u@d.example", text=text, status=DATA)
    nothing(local)


def test_large(postern, local):
    """More than is kept in memory; and where no directory can be written to it is memory after all."""
    lines = b"".join(b"%08d %s\n" % (n, b"x" * 60) for n in range(20000))
    local.sendmail("u@d.example", text=b"Subject: x\n\n" + lines)
    assert queued(postern).text.partition(b"\r\n\r\n")[2] == lines.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("reply, status", [
    ({"MAIL": "553 5.7.1 no"}, NOPERM), ({"MAIL": "501 5.5.4 no"}, DATA), ({"MAIL": "452 4.3.1 full"}, TEMPORARY),
    ({"RCPT": "550 5.1.1 no"}, NOUSER), ({"RCPT": "550 5.7.1 no"}, NOPERM), ({"RCPT": "451 4.7.1 later"}, TEMPORARY),
    ({"DATA": "554 5.5.1 no"}, DATA), ({"DATA": "250 ok"}, TEMPORARY), ({"END": "554 5.6.0 no"}, DATA),
    ({"END": "452 4.3.1 full"}, TEMPORARY), ({"END": ""}, TEMPORARY), ({"DATA": ""}, TEMPORARY), ({"EHLO": "500 no"}, TEMPORARY),
    ({"GREETING": "554 5.7.1 go away"}, TEMPORARY), ({"END": "hello"}, TEMPORARY), ({"END": "354 go on"}, TEMPORARY),
    ({"RCPT": "\x1b[31m"}, TEMPORARY), ({"MAIL": "550 5.7.1 \x1b[31mno"}, NOPERM)], ids=lambda v: str(v)[:30])
def test_replies(where, reply, status):
    """What smtpd says, and what sendmail makes of it. Empty: the connection ends."""
    with Scripted(where, reply) as local:
        said = local.sendmail("u@d.example", status=status)
    assert "not queued" in said and "\x1b" not in said


@pytest.mark.parametrize("n", [1, 2])
def test_some_recipients_are_refused(where, n):
    """Then nothing is sent: the caller would not know which."""
    with Scripted(where, {f"RCPT {n}": "550 5.1.1 no"}) as local:
        said = local.sendmail("u1@d.example", "u2@d.example", status=NOUSER)
        assert f"recipient <u{n}@d.example>: 550 5.1.1 no" in said
    assert "DATA" not in local.heard


class Scripted(Local):
    """A server at a UNIX socket that says what it is told."""

    def __init__(self, where, say):
        class Place:
            pass
        self.say, self.heard = say, []
        place = Place()
        place.where, place.build, place.logged = where, None, lambda: str(self.heard)
        super().__init__(place)
        from conftest import BUILD
        place.build = BUILD

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    def serve(self, connection):
        counts = {}
        with contextlib.suppress(OSError), connection.makefile("rwb") as f:

            def reply(word, usual):
                counts[word] = counts.get(word, 0) + 1
                said = self.say.get(f"{word} {counts[word]}", self.say.get(word, usual))
                f.write(f"{said}\r\n".encode() if said else b"")
                f.flush()
                return bool(said)

            if not reply("GREETING", "220 mx.test.example ESMTP"):
                return
            while line := f.readline():
                word = line[:4].decode().strip().upper()
                self.heard.append(word)
                if not reply(word, "354 go on" if word == "DATA" else "250 2.0.0 ok"):
                    return
                if word == "DATA" and self.say.get("DATA", "354")[:3] == "354":
                    while f.readline() not in (b".\r\n", b""):
                        pass
                    self.heard.append("END")
                    if not reply("END", "250 2.0.0 queued"):
                        return


# ---- trouble

ENOUGH = "6" # s, for an answer; and so long it tries, where none will help


def test_silent_server(where):
    with Scripted(where, {}) as local:
        local.serve = lambda connection: threading.Thread(target=connection.dup().recv, args=(1,), daemon=True).start()
        assert "it does not answer" in local.sendmail("u@d.example", status=TEMPORARY, POSTERN_PATIENCE="1")


def test_no_server(postern, local):
    local.close()
    assert "Connection refused" in local.sendmail("u@d.example", status=TEMPORARY)
    local.path.unlink()
    assert "No such file" in local.sendmail("u@d.example", status=TEMPORARY)


def test_places_are_taken(where):
    """systemd closes what is over MaxConnections at once: the next try finds a place."""
    with Scripted(where, {}) as local:
        served = local.serve
        local.serve = lambda connection: served(connection) if local.served >= 2 else None
        local.sendmail("u@d.example")
        assert local.heard.count("END") == 1


def test_places_stay_taken(where):
    with Scripted(where, {"GREETING": "421 4.3.2 too many connections"}) as local:
        assert "421 4.3.2" in local.sendmail("u@d.example", status=TEMPORARY, POSTERN_PATIENCE=ENOUGH)


def test_input_fails(postern, local):
    """A directory as input, and none at all."""
    directory = os.open("/", os.O_RDONLY)
    done = subprocess.run(local.command("u@d.example"), stdin=directory, capture_output=True, env=local.environment(), check=False)
    os.close(directory)
    assert done.returncode == IO and b"standard input: Is a directory; nothing was queued" in done.stderr
    done = subprocess.run(["sh", "-c", 'exec "$0" u@d.example <&-', *local.command()], capture_output=True, env=local.environment(),
                          check=False)
    assert done.returncode == IO and b"standard input is closed" in done.stderr
    nothing(local)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signal_while_the_message_comes(postern, local, number):
    """Nothing was said by then."""
    p = subprocess.Popen(local.command("u@d.example"), stdin=subprocess.PIPE, env=local.environment())
    p.stdin.write(b"Subject: x\n\nhello\n")
    p.stdin.flush()
    p.send_signal(number)
    assert p.wait(PATIENCE) == -number
    p.stdin.close()
    nothing(local)
    assert "connection" not in postern.logged()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM])
def test_signal_behind_the_last_dot(where, wait, number):
    """The answer is on its way, and the status has to say what it is."""
    with Scripted(where, {}) as local:
        gate = threading.Event()
        say = local.say

        class Waiting(dict):
            def get(self, word, usual=None):
                if word == "END 1":
                    gate.wait(PATIENCE)
                return say.get(word, usual)

        local.say = Waiting()
        p = subprocess.Popen(local.command("u@d.example"), stdin=subprocess.PIPE, env=local.environment())
        p.stdin.write(b"Subject: x\n\nhello\n")
        p.stdin.close()
        wait(lambda: "END" in local.heard)
        p.send_signal(number)
        gate.set()
        assert p.wait(PATIENCE) == 0


def test_full_spool(postern, local):
    local.settings["min_free"] = "1024G"
    assert "452 4.3.1" in local.sendmail("u@d.example", status=TEMPORARY)
    nothing(local)


def test_spool_is_away(postern, local):
    local.settings["spool"] = "/nonexistent"
    assert "421 4.3.0" in local.sendmail("u@d.example", status=TEMPORARY, POSTERN_PATIENCE=ENOUGH)


def test_many_recipients(postern, local):
    """More than a transaction takes: in several, all or nothing."""
    words = [f"u@d{n}.example" for n in range(250)]
    local.sendmail("-t", text="Bcc: " + ",\n ".join(words) + "\nSubject: x\n\nhello\n")
    messages = {p.name: SpoolFile(p) for p in postern.messages()}
    assert sorted(len(to(m)) for m in messages.values()) == [50, 100, 100]
    assert sorted(sum((to(m) for m in messages.values()), [])) == sorted(words)
    assert len({m.text for m in messages.values()}) == 1


def test_many_recipients_and_one_is_refused(postern, local):
    words = [f"u@d{n}.example" for n in range(250)] + ["u@-d.example"]
    local.sendmail(*words, status=DATA)
    nothing(local)


def test_part_of_many(where):
    """The second transaction is refused at its very end: it is said, and nothing is promised."""
    with Scripted(where, {"RCPT 2": "452 4.5.3 too many"}) as local:
        threads = []
        served = local.serve
        local.serve = lambda connection: threads.append(threading.Thread(target=lambda c=connection.dup(): served(c))) or threads[-1].start()
        plain = local.sendmail("-v", "u@d.example", "v@e.example")
        assert "250 2.0.0 queued" in plain and local.heard.count("END") == 2
        ends = iter(["250 2.0.0 queued", "452 4.3.1 full"])
        local.say = type("Ends", (dict,), {"get": lambda self, word, usual=None: next(ends) if word == "END 1" else
                                           "452 4.5.3 too many" if word == "RCPT 2" else usual if " " not in word else usual})()
        said = local.sendmail("u@d.example", "v@e.example", status=TEMPORARY)
        assert "queued for some of the recipients only" in said
        for thread in threads:
            thread.join(60)


# ---- other ways and modes

def test_smtp(postern, local):
    """-bs: who speaks SMTP himself is at the same socket."""
    said = local.sendmail("-bs", text="EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nDATA\r\n"
                          "Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
    assert said.startswith("220 ") and "250 2.0.0 Ok: queued as " in said and said.endswith("221 2.0.0 Bye\r\n")
    assert to(queued(postern)) == ["u@d.example"]


DIALOGUE = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nQUIT\r\n"
TAKEN, DENIED = "250 2.1.5 Ok", "550 5.7.1 Error: relaying denied"


def wrapped(local, stdin, stdout, ours, **variables):
    """What -bs says to who speaks at `ours`, once he was greeted. Local's socket is there, and so is the configuration."""
    settings = {f"POSTERN_{k.upper()}": str(v) for k, v in {**local.postern.settings, **local.settings}.items()}
    with open(local.postern.log, "ab") as log:
        p = subprocess.Popen(local.command("-bs", user=NOBODY if os.geteuid() == 0 else None), stdin=stdin, stdout=stdout,
                             stderr=log, env=local.environment(**settings, **variables))
    for end in {stdin, stdout}:
        end.close()
    hear, say = ours
    with hear, say:
        said = [hear.readline()]
        say.write(DIALOGUE)
        said += hear
    p.wait(PATIENCE)
    return b"".join(said).decode().splitlines()


def over(ours, theirs):
    """A socket is both."""
    ours.settimeout(PATIENCE)
    with ours:
        return theirs, theirs, (ours.makefile("rb"), ours.makefile("wb", 0))


def over_tcp():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        return over(ours, listener.accept()[0])


def over_pair():
    return over(*socket.socketpair())


def over_pipes():
    (stdin, say), (hear, stdout) = os.pipe(), os.pipe()
    return open(stdin, "rb"), open(stdout, "wb", 0), (open(hear, "rb"), open(say, "wb", 0))


@pytest.mark.parametrize("relay_local, said", [("no", DENIED), ("yes", TAKEN)])
def test_smtp_of_inetd(postern, local, relay_local, said):
    """L50: inetd.conf of old starts "sendmail -bs" for strangers, who are no users of this host for that: at its socket
    they would be."""
    postern.settings["relay_local"] = relay_local
    assert said in wrapped(local, *over_tcp())
    assert "connection from [127.0.0.1]" in postern.logged()


def test_smtp_of_a_client_that_has_gone(postern, local):
    """L50: what it said can be read when it is not connected any more, but says nothing at the socket of users."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        ours.sendall(DIALOGUE.replace(b"QUIT", b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT"))
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ours.close()
        until(lambda: gone(theirs))
        subprocess.run(local.command("-bs", user=NOBODY if os.geteuid() == 0 else None), stdin=theirs, stdout=theirs,
                       stderr=subprocess.DEVNULL, env=local.environment(), check=False, timeout=PATIENCE)
    nothing(local)
    assert local.accepted == 0


def gone(connection):
    with contextlib.suppress(OSError):
        connection.getpeername()
        return False
    return True


@pytest.mark.parametrize("variable", ["SOCAT_PEERADDR", "NCAT_REMOTE_ADDR", "TCPREMOTEIP", "REMOTE_HOST", "REMOTE_ADDR"])
def test_smtp_of_a_wrapper(postern, local, variable):
    """L50: what a wrapper says of its client holds, as it does where it starts smtpd."""
    assert DENIED in wrapped(local, *over_pair(), **{variable: "203.0.113.9"})
    assert "connection from [203.0.113.9]" in postern.logged()


def test_smtp_of_a_wrapper_with_pipes(postern, local):
    """L50: as ncat's are."""
    assert DENIED in wrapped(local, *over_pipes(), NCAT_REMOTE_ADDR="203.0.113.9")
    assert "connection from [203.0.113.9]" in postern.logged()


@pytest.mark.parametrize("over, variables", [(over_pair, {}), (over_pipes, {}),
                                             (over_pipes, {"REMOTE_ADDR": "203.0.113.9", "REMOTE_HOST": "c.example"})])
def test_smtp_of_a_script(postern, local, over, variables):
    """Who it is says the kernel. A web server's variables are no matter to a script of it, which has pipes."""
    assert TAKEN in wrapped(local, *over(), **variables)
    assert "203.0.113.9" not in postern.logged()


def by_name(local, name, *words, **variables):
    link = local.postern.where / name
    link.symlink_to(local.postern.build / "sendmail")
    return subprocess.run([*(DROP if variables and os.geteuid() == 0 else []), str(link), *words], capture_output=True, text=True, env=local.environment(**variables), check=False,
                          stdin=subprocess.DEVNULL)


def test_mailq(postern, local):
    """The list is postern's; without it there is a word. The program beside sendmail is found through a link."""
    programs = postern.where / "programs"
    programs.mkdir()
    shutil.copy(postern.build / "sendmail", programs)
    postern.build = programs
    done = by_name(local, "mailq")
    if done.returncode == 69:
        assert "the program postern, which lists the queue, is not installed" in done.stderr
    (programs / "postern").write_text('#!/bin/sh\necho "$0 $*"\n')
    (programs / "postern").chmod(0o755)
    (postern.where / "mailq").unlink()
    assert by_name(local, "mailq").stdout == f"{programs}/postern list --or-none\n"
    (postern.where / "mailq").unlink()


def test_mailq_of_nothing(postern, local):
    """Monitoring asks by it: that nothing waits is no failure; that nobody can look is one."""
    if not (postern.build / "postern").exists():
        pytest.skip("postern is not built")
    done = by_name(local, "mailq", POSTERN_SPOOL=str(postern.spool))
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done
    (postern.where / "mailq").unlink()
    assert by_name(local, "mailq", POSTERN_SPOOL="/nonexistent/spool").returncode == 75


def test_newaliases_by_its_name(postern, local):
    done = by_name(local, "newaliases")
    assert done.returncode == 0 and "nothing to build" in done.stdout


@needs_root
def test_flush_is_not_for_everybody(postern, local):
    assert "delivered when it is due" in local.sendmail("-q", user=1, status=NOPERM)


def test_flush(postern, local, world):
    """-q hands on to relay, which delivers what waits."""
    local.settings["max_connections"] = 0
    world.domain("dest.example")
    local.sendmail("u@dest.example")
    words = [f"POSTERN_{k.upper()}={v}" for k, v in postern.settings.items()]
    user = NOBODY if os.geteuid() == 0 else None
    done = subprocess.run(["env", *words, *local.command("-q", user=user)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    postern.settled()
    assert len(world.sink.messages) == 1


def piped(postern, *words, text=TEXT, user=NOBODY, status=0, **more):
    """Without a socket: the service's user, or root, who becomes it."""
    settings = {f"POSTERN_{k.upper()}": str(v) for k, v in postern.settings.items()}
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 and user else []
    done = subprocess.run([*drop, str(postern.build / "sendmail"), *words], input=text.encode(), capture_output=True, check=False,
                          env={"PATH": os.environ["PATH"], "POSTERN_MAX_CONNECTIONS": "0", "POSTERN_USER": "nobody",
                               "POSTERN_LOG": "none", **settings, "POSTERN_LOG": "none", **more})
    assert done.returncode == status, done.stderr
    return done.stderr.decode()


@pytest.mark.skipif(os.path.exists("/run/postern/local"), reason="a socket is there")
@pytest.mark.parametrize("user", [NOBODY, 0], ids=["the service's user", "root"])
def test_pipe(postern, user):
    """A web server's variables, by which smtpd would know a wrapper's client, do not matter."""
    piped(postern, "u@d.example", user=user, REMOTE_ADDR="203.0.113.9", REMOTE_HOST="c.example")
    message = queued(postern)
    assert to(message) == ["u@d.example"]
    uid = user if os.geteuid() == 0 else os.geteuid()
    assert f"(uid={uid})" in message.received


@needs_root
@pytest.mark.skipif(os.path.exists("/run/postern/local"), reason="a socket is there")
def test_pipe_is_not_for_others(postern):
    """Who may not write the spool is told of each way that was tried."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 25)) == 0: # lint: sendmail knows no other
            pytest.skip("somebody listens at port 25")
    said = piped(postern, "u@d.example", user=1, status=TEMPORARY)
    where = "127.0.0.1:25" # lint: sendmail knows no other
    assert re.search(f"not queued: /run/postern/local: .*; {where}: Connection refused; ", said), said
    assert not postern.messages(), postern.logged()


@needs_root
@pytest.mark.skipif(os.path.exists("/run/postern/local") or os.path.exists("/etc/postern"), reason="Postern is installed here")
@pytest.mark.parametrize("words", [("u@d.example",), ("-bs",), ("-q",), ("-bp",)], ids=" ".join)
def test_environment_of_who_called_a_set_id_program(postern, words):
    """K2: it started sendmail as root; what is run, as whom and where is not for its caller to say."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 25)) == 0: # lint: sendmail knows no other
            pytest.skip("somebody listens at port 25")
    ran, program = postern.where / "ran", postern.where / "program"
    program.write_text(f"#!/bin/sh\nid >>{ran}\necho 250 ok\n")
    program.chmod(0o755)
    postern.where.chmod(0o777)
    settings = {"spool": postern.where / "another", "runtime": postern.where, "user": "nobody", "hostname": "x.example",
                "recipient_check": program, "relay_path": program, "log": "none"}
    drop = ["setpriv", "--ruid=1", "--euid=0", "--rgid=1", "--egid=0", "--clear-groups"]
    subprocess.run([*drop, str(postern.build / "sendmail"), *words], check=False, capture_output=True, timeout=PATIENCE,
                   input=b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@d.example>\r\nQUIT\r\n",
                   env={"PATH": os.environ["PATH"]} | {f"POSTERN_{k.upper()}": str(v) for k, v in settings.items()})
    assert not ran.exists() and not (postern.where / "another").exists()


@needs_root
def test_environment_is_forgotten(postern):
    """K2: also by what reads the configuration again as the user of the service, or is started by that."""
    def hostname(real):
        done = subprocess.run(["setpriv", f"--ruid={real}", "--euid=0", str(postern.build / "smtpd"), "-o", "user=nobody",
                               "-o", f"spool={postern.spool}", "--check"], check=False, capture_output=True, text=True,
                              env={"POSTERN_HOSTNAME": "x.example", "PATH": os.environ["PATH"]})
        return re.search("^hostname = (.*?) ", done.stdout, re.MULTILINE)[1]
    assert hostname(0) == "x.example" != hostname(1)


@needs_root
def test_identity(postern, local):
    """Whatever a user says of himself, his number stands in Received:."""
    local.sendmail("-f", "root@site.example", "-F", "root (uid=0)", "u@d.example", user=12,
                   text="Received: from localhost (uid=0)\n\tby mx.test.example\nSubject: x\n\nhello\n")
    message = queued(postern)
    assert message.received.startswith("Received: from localhost (uid=12)\r\n")
    assert message.one("From") == "root@site.example"


@needs_root
def test_user_without_a_name(postern, local):
    """As DynamicUser= makes them, where NSS does not know them."""
    local.sendmail("u@d.example", user=4242)
    message = queued(postern)
    assert message.one("From") == "uid4242@site.example"
    assert b"From: uid4242@site.example\r\n" in message.text


@needs_root
@pytest.mark.parametrize("name, words, sender", [
    ("CORP\\joe", [], '"CORP\\\\joe"@site.example'), ("Joe User", [], '"Joe User"@site.example'),
    ('j"o', [], '"j\\"o"@site.example'), ("joe@corp.example", [], "joe@corp.example"), ("joe$", [], "joe$@site.example"),
    ("CORP\\joe", ["-f", "me@x.example"], "me@x.example"), ("\udcff", ["-f", "me@x.example"], "me@x.example")])
def test_user_of_a_directory(postern, local, name, words, sender):
    """L69: whose names are no local parts as they are."""
    passwd = postern.where / "passwd"
    with open("/etc/passwd", encoding="utf-8") as usual:
        passwd.write_text(f"{name}:x:4242:4242:Joe:/:/bin/sh\n{usual.read()}", errors="surrogateescape")
    passwd.chmod(0o644)
    script = 'mount --bind "$0" /etc/passwd && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, str(passwd), *local.command(*words, "u@d.example", user=4242)],
                          input=b"Subject: x\n\nhello\n", capture_output=True, env=local.environment(), check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    message = queued(postern)
    assert message.one("From") == sender
    assert f"From: Joe <{sender}>\r\n".encode() in message.text


@needs_root
def test_user_whose_name_is_none(postern, local):
    """... or none at all; then he has to say what he calls himself."""
    passwd = postern.where / "passwd"
    passwd.write_bytes(b"\xff:x:4242:4242:Joe:/:/bin/sh\n")
    passwd.chmod(0o644)
    script = 'mount --bind "$0" /etc/passwd && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, str(passwd), *local.command("u@d.example", user=4242)],
                          input=b"x\n", capture_output=True, env=local.environment(), check=False, cwd="/")
    assert done.returncode == NOUSER and b"the name of this user is none for mail; -f names a sender" in done.stderr
    nothing(local)


@needs_root
def test_local_senders(postern, local):
    local.settings["local_senders"] = "0-999=self"
    said = local.sendmail("-f", "root@site.example", "u@d.example", user=1, status=NOPERM)
    assert "sender <root@site.example>: 553 5.7.1 Error: not a sender of this user" in said
    nothing(local)


def test_domain_without_mailname(postern, local):
    """What smtpd calls itself."""
    local.mailname.unlink()
    local.sendmail("joe")
    assert to(queued(postern)) == ["joe@mx.test.example"]


def test_is_not_set_id(postern):
    assert (postern.build / "sendmail").stat().st_mode & 0o7000 == 0
