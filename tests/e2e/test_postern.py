"""The command for the person at the keyboard: each of its commands, options and exit codes that have to do
with the queue."""
import json
import os
import pty
import re
import select
import subprocess
import tempfile

import pytest

import patience
import spoolfile
from conftest import DROP, TOP, within_reach, BUILD, own

DONE, NOTHING, USAGE, LATER, CONFIG = 0, 1, 64, 75, 78
QUEUE_ONLY = {"max_connections": 0}
# What a terminal would obey: ESC, C1 in two ways, the order of writing, a mark that nobody sees.
HOSTILE = "\x1b[2J\x1b]0;x\x07 \x9b5n \u202egnp.exe\u2066 \u200b\u2028"


class Tool:
    def __init__(self, postern):
        self.postern = postern
        self.err = ""

    def words(self, *arguments, **settings):
        """Settings stand behind the command: they may."""
        command = self.postern.command("postern", **{**QUEUE_ONLY, **settings})
        return [*command, *arguments]

    def __call__(self, *arguments, status=DONE, **settings):
        with tempfile.TemporaryFile("w+") as err: # no pipe: a relay that is started logs to it as well
            p = subprocess.run(self.words(*arguments, **settings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=err, text=True, env=self.postern.environment() | {"LC_ALL": "C.UTF-8"},
                               check=False)
            err.seek(0)
            self.err = err.read()
        assert status in (None, p.returncode), (p.returncode, p.stdout, self.err)
        return p.stdout

    def json(self, *arguments, **more):
        return [json.loads(line) for line in self(*arguments, "--json", **more).splitlines()]

    def ids(self, *arguments, **more):
        return [o["id"] for o in self.json("list", *arguments, **more)]


@pytest.fixture
def tool(postern):
    return Tool(postern)


@pytest.fixture
def queued(postern, tool):
    """Three messages: to two lanes, to one, and from nobody. Nothing is delivered."""
    postern.send(["u@one.example", "v@two.example"], sender="joe@sender.example", **QUEUE_ONLY)
    postern.send(["w@one.example"], sender="ann@other.example", **QUEUE_ONLY)
    postern.send(["x@two.example"], sender="", **QUEUE_ONLY)
    return [o["id"] for o in tool.json("list")]


def held(postern):
    return sorted(str(p.relative_to(postern.spool)) for p in (postern.spool / "held").glob("*/*"))


def in_lanes(postern):
    return sorted(f"{p.parent.name}/{p.name}" for p in postern.messages())


# ---- the command line

def test_help(tool):
    every = re.findall(r"^  (\w+) ", tool("--help"), re.M)
    assert {"status", "list", "show", "retry", "hold", "release", "remove", "bounce"} <= set(every)
    for command in every:
        text = tool(command, "--help")
        assert text.startswith(f"usage: postern {command} ") and "--json" in text
    assert tool("--version") == tool("list", "--version") == "Postern 0.1.0\n"


@pytest.mark.parametrize("words", [[], ["nonsense"], ["list", "--nonsense"], ["show"], ["show", "a", "b"],
                                   ["show", "not-an-id"], ["status", "x"], ["list", "--older", "soon"], ["remove"],
                                   ["retry"], ["list", "--lane"], ["hold", "--reason", "x"]])
def test_usage(tool, words):
    """64, and a line that says what is wrong; nothing on standard output."""
    assert tool(*words, status=USAGE) == "" and tool.err


@pytest.mark.parametrize("words", [["list", ""], ["list", "--from", ""], ["list", "--to", ""], ["list", "--lane", ""],
                                   ["remove", "--yes", ""], ["remove", "--yes", "u@one.example", ""], ["hold", "--from", ""],
                                   ["bounce", "--yes", "--lane", ""], ["release", ""], ["retry", "--to="], ["show", ""],
                                   ["explain", ""], ["explain", "u@one.example", "--from", ""], ["trace", ""],
                                   ["doctor", ""], ["test", ""]])
def test_empty(tool, queued, words):
    """What a variable of a shell had, if it was not set, is told: it is neither nothing nor all."""
    assert tool(*words, status=USAGE) == "" and "empty" in tool.err
    assert tool.ids() == queued


def test_options_behind_operands(tool, postern, queued, monkeypatch):
    """Also where the environment wants operands last: an option that became one would be less said, and more removed."""
    monkeypatch.setenv("POSIXLY_CORRECT", "1")
    assert tool("remove", "u@one.example", "--older", "2d", "--yes", status=NOTHING) == ""
    assert tool.ids("u@one.example") == queued[:1]


def test_configuration(tool, postern):
    """-c and -o in front of the command or behind it; 78 and the place where it is wrong."""
    postern.send("u@one.example", **QUEUE_ONLY)
    file = postern.where / "conf"
    file.write_text(f"spool = {postern.spool}\n")
    plain = [*(DROP if os.geteuid() == 0 else []), str(postern.build / "postern")]
    for words in (["-c", str(file), "list"], ["list", "-c", str(file)], ["-o", f"spool={postern.spool}", "list"],
                  ["list", "-o", f"spool={postern.spool}"]):
        p = subprocess.run([*plain, *words], capture_output=True, text=True, check=False)
        assert p.returncode == DONE and "u@one.example" in p.stdout, p.stderr
    file.write_text("spool = x\n")
    p = subprocess.run([*plain, "-c", str(file), "list"], capture_output=True, text=True, check=False)
    assert p.returncode == CONFIG and f"{file}:1" in p.stderr


def test_others(tool, postern, queued):
    """An ordinary user is told what is missing; nothing is set-id, and nothing is made."""
    assert not (BUILD / "postern").stat().st_mode & 0o6000
    if os.geteuid() != 0:
        pytest.skip("needs root to be somebody else")
    other = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    words = [w for w in tool.words() if w not in DROP]
    for command in (["status"], ["list"], ["remove", queued[0]], ["retry", "--all"]):
        p = subprocess.run([*other, *words, *command], capture_output=True, text=True, check=False)
        assert p.returncode == LATER and "sudo postern" in p.stderr and str(postern.spool) in p.stderr
    assert tool.ids() == queued


def test_root(tool, postern, queued):
    """root becomes the user of the configuration, so that what it makes is that user's."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    words = [*(w for w in tool.words() if w not in DROP), "-o", "user=nobody"]
    p = subprocess.run([*words, "hold", "--all", "--yes"], capture_output=True, text=True, check=False)
    assert p.returncode == DONE, p.stderr
    for path in (postern.spool / "held").rglob("*"):
        assert path.stat().st_uid == postern.spool.stat().st_uid and path.stat().st_mode & 0o077 == 0


def test_root_of_a_spool_that_is_not_well(tool, postern, queued):
    """L69: who has become the right user is not told to become it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    words = [*(w for w in tool.words() if w not in DROP), "-o", "user=nobody"]
    os.chown(postern.spool / "lane", 0, 0)
    for command in (["list"], ["hold", "--all", "--yes"]):
        p = subprocess.run([*words, *command], capture_output=True, text=True, check=False)
        assert p.returncode == LATER and "sudo" not in p.stderr, p.stderr
        assert f"{postern.spool}/lane belongs to user 0 and not to " in p.stderr
    own(postern.spool / "lane")


def test_no_spool(tool, postern):
    assert tool("status", status=LATER, spool=postern.where / "nothing") == ""
    assert "nothing" in tool.err and not (postern.where / "nothing").exists()


# ---- looking

def test_status(tool, postern, queued):
    o, = tool.json("status")
    assert (o["messages"], o["held"], o["aside"], o["receiving"]) == (4, 0, 0, 0)
    lanes = {lane["lane"]: lane for lane in o["lanes"]}
    assert {n: lane["messages"] for n, lane in lanes.items()} == {"one.example": 2, "two.example": 2}
    assert all(lane["next"] == 0 and not lane["down"] for lane in lanes.values())
    text = tool("status")
    assert "4 messages in 2 lanes" in text and re.search(r"^ +2 +0 .* now +0  one\.example", text, re.M)
    tool("hold", queued[0])
    o, = tool.json("status")
    assert (o["messages"], o["held"]) == (2, 2)
    (postern.spool / "aside").mkdir()
    (postern.spool / "aside" / queued[0]).touch()
    assert tool.json("status")[0]["aside"] == 1 and "1 not whole" in tool("status")


def test_status_of_nothing(tool):
    assert "0 messages in 0 lanes" in tool("status") and tool.json("status")[0]["lanes"] == []
    assert tool("list", status=NOTHING).count("\n") == 1
    assert tool("list", "--or-none") == tool("list", status=NOTHING), "that is well for mailq"
    assert tool("list", "--or-none", "--lane", "one.example").count("\n") == 1


def test_answers(tool, postern, world):
    """What a host said last, of a message that was put off and of a host that cannot be reached."""
    world.domain("one.example")
    world.sink.say["RCPT"] = "450 4.2.1 come back \x1b[2Jlater"
    postern.settings["retry"] = "1h"
    postern.send("u@one.example")
    postern.settled(1)
    lane, = tool.json("status")[0]["lanes"]
    assert "450 4.2.1 come back" in lane["last"] and not lane["down"] and lane["next"] > 0
    o, = tool.json("list")
    assert o["attempts"] == 1 and o["last"] == lane["last"] and o["next"] > 0
    shown, = tool.json("show", o["id"])
    event, = shown["lanes"][0]["events"]
    assert event["event"] == "deferred" and event["text"] == lane["last"]
    assert "put off: mx.one.example" in tool("show", o["id"]) and "\x1b" not in tool("show", o["id"])
    world.zone[("down.example", "MX")] = ["10 nowhere.down.example."]
    world.zone[("nowhere.down.example", "A")] = ["127.0.0.9"] # nobody listens there
    postern.send("u@down.example")
    postern.rested()
    down, = [n for n in tool.json("status")[0]["lanes"] if n["lane"] == "down.example"]
    assert down["down"] and down["attempts"] == 1 and "127.0.0.9" in down["last"]


def test_connections(tool, postern, world):
    """While a relay is at work its lane says so, and the kernel tells where it is connected to."""
    world.domain("one.example")
    with world.sink.held("DATA", "450 later"):
        postern.send("u@one.example")
        world.sink.wait_connections()
        # The kernel's table may leave out a connection, or have it twice, while others come and go.
        here = {"host": f"127.0.0.2:{world.port}", "connections": 1}
        patience.until(lambda: here in (s := tool.json("status")[0])["hosts"] and
                       [(n["at_work"], n["connections"]) for n in s["lanes"]] == [(True, 1)])
        patience.until(lambda: re.search(r"at work +1  one\.example", text := tool("status")) and
                       f"1 to 127.0.0.2:{world.port}" in text)
        ident, = tool.ids()
        for command in ("remove", "bounce"): # it is not pulled away
            said, = tool.json(command, ident, status=LATER)
            assert said["result"] == "in_hand"
        assert in_lanes(postern) == [f"one.example/{ident}"]
    postern.rested()


@pytest.mark.parametrize("words, expected", [
    ([], [0, 1, 2, 3]), (["one.example"], [0, 1]), (["--lane", "two.example"], [2, 3]),
    (["--lane", ".example"], [0, 1, 2, 3]), (["u@one.example"], [0]), (["joe@sender.example"], [0, 2]),
    (["--from", "sender.example"], [0, 2]), (["--from", "<>"], [3]), (["--from", ".other.example"], []),
    (["--to", "x@two.example"], [3]), (["--to", "TWO.example"], [2, 3]),
    (["--lane", "one.example", "--from", "ann@other.example"], [1]), (["--older", "1h"], []),
    (["--older", "0s"], [0, 1, 2, 3]), (["one.example", "x@two.example"], [0, 1, 3]),
    # in brackets, as the log has them, and absolute, as the DNS has them
    (["<u@one.example>"], [0]), (["u@one.example."], [0]), (["<joe@sender.example.>"], [0, 2]), (["one.example."], [0, 1]),
    (["--lane", "two.example."], [2, 3]), (["--from", "<joe@sender.example>"], [0, 2]), (["--to", "<x@two.example.>"], [3]),
    (["--from", "sender.example."], [0, 2]), (["<u@one.example"], []), (["<>"], []), (["."], []), (["one.example.."], [])])
def test_filters(tool, queued, words, expected):
    found = tool.json("list", *words, status=DONE if expected else NOTHING)
    everything = [(o["id"], o["lane"]) for o in tool.json("list")]
    assert [everything.index((o["id"], o["lane"])) for o in found] == expected


def test_deeds_by_brackets(tool, queued):
    """Who finds a message by what the log says can do something to it in the same words."""
    tool("hold", "<u@one.example>")
    assert tool.ids("--held") == [queued[0]]
    tool("release", "<u@one.example>")
    tool("retry", "<u@one.example>", "--no-wait")
    tool("show", f"<{queued[0]}>")
    tool("bounce", "--from", "<ann@other.example.>", "--yes", "--reason", "x")
    tool("remove", "--yes", "<joe@sender.example>")
    assert queued[0] not in tool.ids() and queued[1] not in tool.ids()


def test_age(tool, postern, queued):
    """By the time in the id."""
    old = spoolfile.new_id(1)
    old = "0" + "01hf0000000"[:11] + old[12:]
    spoolfile.write(postern.spool, old, ["old@one.example"], b"x\r\n")
    assert tool.ids("--older", "1d") == [old] and tool.ids("one.example")[0] == old


def test_list(tool, queued):
    o = tool.json("list", queued[0])[0]
    assert o["sender"] == "joe@sender.example" and o["lane"] == "one.example" and o["size"] > 100
    assert o["recipients"] == [{"address": "u@one.example", "state": "waiting"}]
    assert o["arrived"] > 1_700_000_000
    text = tool("list")
    assert re.search(rf"^{queued[0]} .* joe@sender\.example +u@one\.example$", text, re.M) and "<>" in text
    tool("hold", queued[1])
    assert tool.ids("--held") == [queued[1]] and "held" in tool("list", queued[1])


def test_show(tool, queued):
    """Envelope, header and lanes of one message; --raw is what was taken, octet by octet."""
    text = tool("show", queued[0])
    for words in ("joe@sender.example", "u@one.example", "v@two.example", "Subject: x"):
        assert words in text
    o, = tool.json("show", queued[0])
    assert [lane["lane"] for lane in o["lanes"]] == ["one.example", "two.example"] and "Subject: x" in o["header"]
    raw = subprocess.run(tool.words("show", "--raw", queued[0]), capture_output=True, check=True).stdout
    assert raw.startswith(b"Received: ") and raw.endswith(b"Subject: x\r\n\r\nhello\r\n") and len(raw) == o["size"]
    assert tool("show", "0" * 20, status=NOTHING) == ""


@pytest.mark.parametrize("fields, header, wish, words", [
    ([], "", None, None),
    (["Require-Tls: yes"], "", "required", "required (REQUIRETLS)"),
    ([], "TLS-Required: No\r\n", "optional", "not required (TLS-Required: No)"),
    (["Require-Tls: yes"], "TLS-Required: No\r\n", "required", "required (REQUIRETLS)"),
])
def test_show_tls(tool, postern, fields, header, wish, words):
    """R84, R85: what the sender wants of TLS; REQUIRETLS goes before."""
    spoolfile.write(postern.spool, "20000000000000000abc", ["u@one.example"], f"{header}Subject: x\r\n\r\nx\r\n".encode(),
                    fields=fields)
    text = tool("show", "20000000000000000abc")
    assert (words in text) if words else ("\nTLS  " not in text)
    assert tool.json("show", "20000000000000000abc")[0]["tls"] == wish


def test_not_whole(tool, postern, queued):
    """What is no whole message is listed as such, removed, and nothing else."""
    path = postern.messages()[0]
    os.truncate(path, 40)
    assert "not a whole message" in tool("list", path.name)
    assert tool.json("list", path.name)[0]["size"] is None
    tool("show", path.name, status=LATER)
    assert tool.json("hold", path.name, "--lane", path.parent.name, status=LATER)[0]["result"] == "failed"
    tool("remove", path.name, "--lane", path.parent.name)
    assert not path.exists()


def keys_of(value):
    """All names of fields, however deep."""
    found = set()
    for item in value if isinstance(value, list) else [value]:
        for k, v in item.items() if isinstance(item, dict) else ():
            found |= {k} | keys_of(v)
    return found


def documented(command):
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \| ([^|]*) \|$", (TOP / "docs" / "JSON.md").read_text(), re.M)
    return {name for commands, fields, words in rows if f"`{command}`" in commands
            for name in re.findall(r"`(\w+)`", fields + words)}


def test_fields(tool, postern, world, queued):
    """docs/JSON.md names each field that is printed, and no other."""
    world.domain("two.example")
    world.sink.say["RCPT"] = "450 4.2.1 later"
    postern.due()
    postern.rested()
    said = {"list": tool.json("list"), "show": tool.json("show", queued[2]), "retry": tool.json("retry", "--all"),
            "hold": tool.json("hold", queued[0], "--lane", "two.example"), "release": tool.json("release", queued[0]),
            "bounce": tool.json("bounce", queued[3]), "remove": tool.json("remove", queued[0])}
    with world.sink.held("RCPT", "450 4.2.1 later"):
        tool("retry", "--all", max_connections=10)
        said["status"] = [patience.until(lambda: (s := tool.json("status")[0])["hosts"] and s)]
    postern.rested()
    for command, printed in said.items():
        more = {"why"} if command in ("hold", "release", "remove") else set()
        assert keys_of(printed) | more == documented(command), command


# ---- hostile text

def is_calm(text):
    """Nothing in it moves a cursor or hides: lines of printable characters."""
    return all(c == "\n" or (c.isprintable() and c not in "\u00ad\u034f\u115f\u3164") for c in text)


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_hostile(tool, postern, locale):
    """A subject, addresses and a reply of a stranger reach a terminal as text, and do not break JSON."""
    evil = HOSTILE.encode() + b" \xff\xfe \xc0\x80 \xed\xa0\x80 \x7f"
    sender = "\"a\x1b[2J\"@sender.example"
    ident = spoolfile.new_id(7)
    to = "u\u202e\x9b\xad@one.example"
    spoolfile.write(postern.spool, ident, [to], b"Subject: " + evil + b"\r\nX: \x1bc\r\n\r\nbody " + evil + b"\r\n",
                    sender=sender)
    (postern.spool / "lane" / "one.example" / f"{ident}.log").write_bytes(b"1 soft 2 450 " + evil + b"\n")
    os.chown(postern.spool / "lane" / "one.example" / f"{ident}.log", *[postern.spool.stat().st_uid] * 2)
    (postern.spool / "lane" / "one.example" / "@retry").write_bytes(b"1 failed attempts: " + evil + b"\n")
    env = postern.environment() | {"LC_ALL": locale}
    for words in (["list"], ["show", ident], ["status"]):
        p = subprocess.run(tool.words(*words), capture_output=True, env=env, check=True)
        assert is_calm(p.stdout.decode("utf-8" if locale != "C" else "ascii")), p.stdout
        p = subprocess.run(tool.words(*words, "--json"), capture_output=True, env=env, check=True)
        assert p.stdout.decode("ascii") and is_calm(p.stdout.decode()) and p.stdout.count(b"\n") == 1
        assert json.loads(p.stdout)
    o, = tool.json("show", ident)
    field, = [f for f in o["header"] if f.startswith("Subject")]
    assert HOSTILE in field and "\\xff\\xfe" in field and o["sender"] == sender
    assert "\\x1b[2J" in tool("list") and "\\u202e" in tool("list")


def test_hostile_to_a_terminal(tool, postern):
    """--raw too, if it is a terminal that it goes to."""
    ident = spoolfile.new_id(8)
    spoolfile.write(postern.spool, ident, ["u@one.example"], b"Subject: \x1b[2J\x9b\r\n\r\n\x1bc\r\n")
    text, status = at_terminal(tool.words("show", "--raw", ident), postern)
    assert status == DONE and b"\\x1b[2J\\x9b" in text and b"\x1bc" not in text and b"\x1b[2J" not in text


# ---- a terminal

THE_END = b"-- that was all --"
# What a terminal was given comes out of it in order, but not at once: so the end is marked there. ^C is not for the shell.
MARK_THE_END = f'trap : INT; "$@"; status=$?; printf %s "{THE_END.decode()}"; exit "$status"'


def at_terminal(words, postern, answer=b"", until=b"", **more):
    """What is said to a terminal, and the exit status; `answer` is typed when `until` was said."""
    words = ["sh", "-c", MARK_THE_END, "sh", *words]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, postern.environment() | {"TERM": "xterm", "LC_ALL": "C.UTF-8", **more})
    said = b""
    while THE_END not in said: # a relay that was started may have the terminal for longer
        ready, _, _ = select.select([fd], [], [], patience.PATIENCE)
        assert ready, said
        said += os.read(fd, 65536)
        if answer and until in said:
            os.write(fd, answer)
            answer = b""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return said.partition(THE_END)[0], status


def test_colours(tool, postern, queued):
    """On a terminal alone, and not if nobody wants them."""
    assert b"\x1b[1m" in at_terminal(tool.words("list"), postern)[0]
    assert b"\x1b" not in at_terminal(tool.words("list"), postern, NO_COLOR="1")[0]
    assert b"\x1b" not in at_terminal(tool.words("list", "--json"), postern)[0]
    assert "\x1b" not in tool("list")


@pytest.mark.parametrize("answer, left", [(b"y\n", 0), (b"n\n", 4), (b"\n", 4), (b"\x04", 4)])
def test_asked(tool, postern, queued, answer, left):
    """More than one message is asked for; everything but yes is no."""
    said, status = at_terminal(tool.words("remove", "--all"), postern, answer, b"[y/N]")
    assert b"remove 4 messages? [y/N]" in said and len(postern.messages()) == left
    assert status == (NOTHING if left else DONE)


def test_not_asked(tool, postern, queued):
    """Without a terminal there is nobody to ask: --yes; one message needs neither."""
    tool("remove", "--all", status=USAGE)
    assert "--yes" in tool.err and len(postern.messages()) == 4
    tool("remove", queued[0]) # in two lanes, and one message
    assert len(postern.messages()) == 2
    tool("remove", "--all", "--yes")
    assert postern.messages() == []


# ---- hold and release

def test_hold(tool, postern, world, queued):
    """A held message is out of reach of any relay, now and later, and visible to ls."""
    for d in ("one.example", "two.example"):
        world.domain(d)
    assert [o["result"] for o in tool.json("hold", queued[0])] == ["held", "held"]
    assert tool.err.count(f"{queued[0]}: held, lane ") == 2 # the log
    assert held(postern) == [f"held/{lane}/{queued[0]}" for lane in ("one.example", "two.example")]
    postern.due()
    postern.rested()
    assert len(world.sink.messages) == 2 and postern.messages() == [] and len(held(postern)) == 2
    spoolfile.elapse(postern.spool, 30 * 86400) # nobody returns it, however old it is
    postern.due()
    postern.rested()
    assert len(held(postern)) == 2 and len(world.sink.messages) == 2
    assert tool("hold", queued[0], status=NOTHING) == ""
    tool("release", queued[0], max_connections=10)
    world.sink.wait_messages(4)
    postern.settled()
    assert held(postern) == [] and not list((postern.spool / "held").iterdir())
    assert sorted(r for m in world.sink.messages for r in m.recipients).count("u@one.example") == 1
    assert tool("release", queued[0], status=NOTHING) == ""


def test_log_of_a_program(tool, queued):
    """What is done by hand stands in the log as all else does: an object on each line, if that is asked for."""
    tool("hold", queued[1], log_format="json")
    o, = map(json.loads, tool.err.splitlines())
    assert (o["event"], o["queue_id"], o["lane"], o["program"]) == ("held", queued[1], "one.example", "postern")


def test_held_past(tool, postern, world):
    """What happened before goes with it, and comes back."""
    world.domain("one.example")
    world.sink.say["RCPT"] = "450 4.2.1 later"
    postern.send("u@one.example")
    postern.settled(1)
    ident, = tool.ids()
    tool("hold", ident)
    assert held(postern) == [f"held/one.example/{ident}", f"held/one.example/{ident}.log"]
    assert tool.json("list", ident)[0]["attempts"] == 1 and tool.json("list")[0]["next"] is None
    assert tool.json("status")[0]["lanes"][0]["next"] is None
    tool("release", ident)
    o, = tool.json("list")
    assert o["attempts"] == 1 and o["next"] == 0 and not o["held"] and held(postern) == []
    tool("hold", ident)
    del world.sink.say["RCPT"]
    tool("release", ident, max_connections=10) # a relay hears of it, though its lane was to wait
    world.sink.wait_messages(1)
    postern.settled()


def test_hold_some(tool, postern, queued):
    tool("hold", "--from", "sender.example", "--lane", "two.example")
    assert held(postern) == [f"held/two.example/{queued[0]}"] and len(postern.messages()) == 3
    tool("hold", "--to", "one.example", "--yes")
    assert len(held(postern)) == 3 and [o["lane"] for o in tool.json("list", "--held")] == ["one.example"] * 2 + ["two.example"]
    tool("release", "--lane", "one.example", "--yes")
    assert len(held(postern)) == 1


def test_while_mail_flows(tool, postern, world):
    """Relays deliver what is held and released all the time, each once; what is in hand stays where it is."""
    domains = [f"d{i}.example" for i in range(4)]
    for d in domains:
        world.domain(d)
    pairs = [(f"u{i}@{domains[i % 4]}", f"v{i}@{domains[(i + 1) % 4]}") for i in range(40)]
    script = "EHLO c\n" + "".join(f"MAIL FROM:<a@sender.example>\nRCPT TO:<{a}>\nRCPT TO:<{b}>\nDATA\nSubject: x\n\nx\n.\n"
                                  for a, b in pairs) + "QUIT\n"
    assert postern.pipe(script).count("250 2.0.0 Ok: queued") == len(pairs)
    for command in ("hold", "release") * 4:
        with open(postern.log, "ab") as log: # some may be in hand, or gone
            subprocess.run(tool.words(command, "--all", "--yes", max_connections=10), stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=log, check=False)
        tool("list", status=None)
    tool("release", "--all", "--yes", status=None, max_connections=10)
    patience.until(lambda: (postern.make_due(), postern.due(), postern.rested(), not postern.messages())[-1])
    assert held(postern) == []
    arrived = sorted(r for m in world.sink.messages for r in m.recipients)
    assert arrived == sorted(r for pair in pairs for r in pair)


# ---- remove and bounce

def test_remove(tool, postern, world, queued):
    """It goes, nobody is told, and its empty lane goes with the next relay."""
    tool("remove", "one.example", "--yes")
    assert [p.parent.name for p in postern.messages()] == ["two.example"] * 2
    assert "removed" in postern.logged() or "removed, lane one.example, by" in tool.err
    tool("remove", "--all", "--yes", max_connections=10)
    postern.rested()
    assert list((postern.spool / "lane").iterdir()) == [] and world.sink.messages == []
    assert tool("remove", queued[0], status=NOTHING) == ""


def test_remove_held(tool, postern, queued):
    tool("hold", "--all", "--yes")
    tool("remove", queued[0])
    assert not [p for p in held(postern) if queued[0] in p] and len(held(postern)) == 2


def test_bounce(tool, postern, world, queued):
    """Its sender is told why; of mail from nobody, nobody is."""
    world.domain("one.example")
    [said] = tool.json("bounce", queued[3]) # before a relay is started, which goes over all lanes
    assert said["result"] == "bounced" and said["why"] == "no sender to tell"
    [said] = tool.json("bounce", "--lane", "two.example", "--reason", "wrong\x1b[2J\r\nSubject: evil",
                       max_connections=10)
    assert said["result"] == "bounced"
    assert "bounced <v@two.example>" in tool.err and "sender is told by" in tool.err
    world.sink.wait_messages(1)
    postern.rested()
    report, = [m for m in world.sink.messages if m.recipients == ["joe@sender.example"]]
    assert b"given back by the postmaster" in report.data and b"v@two.example" in report.data
    assert b"wrong\\x1b[2J\\x0d\\x0aSubject: evil" in report.data and b"\nSubject: evil" not in report.data
    assert sorted(r for m in world.sink.messages for r in m.recipients) == [
        "joe@sender.example", "u@one.example", "w@one.example"]


def test_bounce_held(tool, postern, queued):
    tool("hold", queued[1])
    tool("bounce", queued[1])
    assert held(postern) == [] and [p.parent.name for p in postern.messages()].count("other.example") == 1


def test_bounce_without_room(tool, postern, queued, monkeypatch):
    """A report that cannot be queued: the message stays."""
    tmp = postern.spool / "tmp"
    tmp.chmod(0o500)
    if os.geteuid() != 0 or DROP:
        said, = tool.json("bounce", queued[1], status=LATER)
        assert said["result"] == "failed" and "report" in said["why"]
        assert f"one.example/{queued[1]}" in in_lanes(postern)
    tmp.chmod(0o700)


# ---- retry

def put_off(tool, postern, world, *recipients):
    for r in recipients:
        world.domain(r.split("@")[1])
    world.sink.say["RCPT"] = "450 4.2.1 later"
    postern.settings["retry"] = "1h" # none is due before it is asked for
    for r in recipients:
        postern.send(r)
    postern.settled(len(recipients))
    del world.sink.say["RCPT"]
    return tool.ids()


def test_retry(tool, postern, world):
    """One message, a lane, all: they are due, their relay hears of it, and what is held stays."""
    ids = put_off(tool, postern, world, "u@one.example", "v@one.example", "w@three.example", "x@two.example")
    tool("hold", ids[3])
    assert tool.json("list", ids[0])[0]["next"] > 0
    assert "1 of 1 messages in 1 lanes are due" in tool("retry", ids[0], max_connections=10)
    world.sink.wait_messages(1)
    postern.settled(2)
    tool("retry", "--lane", "three.example", max_connections=10)
    postern.settled(1)
    tool("retry", "--all", max_connections=10)
    postern.settled()
    assert [m.recipients for m in world.sink.messages] == [[r] for r in (
        "u@one.example", "w@three.example", "v@one.example")]
    assert held(postern)[0] == f"held/two.example/{ids[3]}"
    assert tool("retry", "--all", status=NOTHING) == ""


def test_retry_lane_that_is_down(tool, postern, world):
    world.zone[("down.example", "MX")] = ["10 nowhere.down.example."]
    world.zone[("nowhere.down.example", "A")] = ["127.0.0.9"]
    postern.send("u@down.example")
    postern.settled(1)
    world.domain("down.example")
    assert tool.json("retry", "down.example", max_connections=10) == [{"lane": "down.example", "result": "due"}]
    postern.settled()
    assert len(world.sink.messages) == 1


def test_retry_waits(tool, postern, world):
    """--wait: until each lane was tried. On a terminal a bar shows it."""
    put_off(tool, postern, world, "u@one.example", "w@two.example")
    said = tool("retry", "--all", "--wait", max_connections=10)
    assert "2 lanes were tried" in said and postern.messages() == []
    postern.rested()
    put_off(tool, postern, world, "y@one.example", "z@two.example")
    said, status = at_terminal(tool.words("retry", "--all", max_connections=10), postern)
    assert status == DONE and b"] 2/2 " in said and b"2 lanes were tried" in said
    postern.rested()
    put_off(tool, postern, world, "y@one.example")
    said, status = at_terminal(tool.words("retry", "--all", "--no-wait", max_connections=10), postern)
    assert status == DONE and b"were tried" not in said
    postern.rested()


def test_retry_interrupted(tool, postern, world):
    """^C while it waits: what is due stays so, and the mail goes on."""
    put_off(tool, postern, world, "u@one.example")
    with world.sink.held("END", "250 2.0.0 ok"):
        said, status = at_terminal(tool.words("retry", "--all", max_connections=10), postern, b"\x03",
                                   b"lanes tried")
        assert status == DONE and b"1 of 1 messages in 1 lanes are due; 0 lanes were tried" in said
    postern.settled()
    assert len(world.sink.messages) == 1


# ---- completion

def completed(line):
    """What bash offers for this line."""
    script = TOP / "units" / "postern.bash"
    words = line.split(" ")
    p = subprocess.run(["bash", "--norc", "-c", f"""
        . {script}
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}
        _postern; printf '%s\\n' "${{COMPREPLY[@]}}" """, "bash", *words],
                       capture_output=True, text=True, env=os.environ | {"PATH": f"{within_reach(BUILD)}:{os.environ['PATH']}"},
                       check=True)
    assert not p.stderr, p.stderr
    return p.stdout.split()


def test_completion(tool):
    """Commands, and the options of each, as --help has them."""
    assert completed("postern st") == ["status"] and "bounce" in completed("postern ")
    assert completed("postern bounce --re") == ["--reason"]
    assert set(completed("postern list --")) == set(re.findall(r"^  (--[\w-]+)", tool("list", "--help"), re.M))
