"""The manual pages: their form, and that they and the programs say the same, both ways.

A key, an option or a command that has no place in its page is as bad as a page with one that is not there.
"""
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, TOP
from test_tree import DERIVED, DOCS, FILES, code, listeners, text_of

PAGES = sorted((TOP / "docs" / "man").glob("*.[1-8]"))
NAMES = {p.name for p in PAGES}
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO", "STANDARDS"]
NOT_HERE = "referenced manual not found" # of other packages; ours are looked at by test_references


def page(name):
    return text_of(TOP / "docs" / "man" / name)


def plain(text):
    """Without the escapes and macros of mdoc, as far as words are looked for."""
    return re.sub(r"\\&|\\\(..|\\f.", "", text).replace("\\-", "-").replace("\\e", "\\")


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_form(path):
    """What mandoc has to say about it: nothing."""
    if shutil.which("mandoc") is None:
        pytest.skip("needs mandoc, which is not installed")
    p = subprocess.run(["mandoc", "-Tlint", str(path)], capture_output=True, text=True, check=False)
    assert not [line for line in p.stdout.splitlines() if NOT_HERE not in line]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_sections(path):
    """All that a reader looks for, in the order in which it is looked for."""
    found = re.findall(r"^\.Sh (.*)$", text_of(path), re.M)
    assert [s for s in found if s in SECTIONS] == [s for s in SECTIONS
                                                    if s != "SYNOPSIS" or path.suffix in (".1", ".8") or s in found]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_references(path):
    """To pages of ours that are there."""
    ours = {n.rpartition(".")[0] for n in NAMES}
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", text_of(path), re.M):
        if name in ours or name.startswith("postern"):
            assert f"{name}.{section}" in NAMES, name


# ---- keys

DIRECTORIES = {"LOCALSTATE": "/var", "RUNSTATE": "/run", "SYSCONF": "/etc"}
SEC, DAY, KIB = 1, 86400, 1024
HUGE_SIZE, UINT32_MAX = KIB ** 4, 2 ** 32 - 1
TIMES = [("d", DAY), ("h", 3600), ("m", 60), ("s", 1)]
UNITS = {"SECONDS": TIMES, "SCHEDULE": TIMES, "SIZE": [("G", KIB ** 3), ("M", KIB ** 2), ("K", KIB)]}
KINDS = {"TEXT": "Text", "HOSTNAME": "Host name", "MAILBOX": "Address", "PATHNAME": "Path",
         "SECRET": "Path or credential", "SECRETS": "Paths or credentials",
         "PASSWORD": "Path, credential or variable", "DOMAINS": "Domains", "DESTINATIONS": "Domains",
         "SENDERS": "Addresses and domains", "HOSTS": "Hosts", "EXTENSIONS": "Extensions",
         "SOURCES": "Addresses", "NUMBER": "Number", "SIZE": "Size", "SECONDS": "Time", "NETS": "Networks",
         "PROXIES": "Networks and sockets", "LOCAL_SENDERS": "Users and senders",
         "SUBMITTERS": "Clients", "MASQUERADE": "Domains and others in their place", "EXCEPTIONS": "Users and addresses",
         "GUARD": "Guard", "SERVERS": "Name servers", "SCHEDULE": "Times"}
PLACES = {"COMMON": "", "BOTH": "; also in a route", "ROUTE": "; only in a route", "LOGIN": "; only in a route",
          "MATCH": "; only in a route"}


def rows():
    """The table of conf/keys.c: (place, name, type, default or None, least, most)."""
    text = text_of(TOP / "conf" / "keys.c")
    found = re.findall(r"^\t(KEY|DELIVERY|ROW)\((.*)\)(?: /\*.*\*/)?$", text, re.M)
    for macro, inside in found:
        words = [w.strip() for w in re.findall(r'(?:"[^"]*"|[^,"])+', inside)]
        place = "COMMON" if macro == "KEY" else words.pop(0)
        name = words[0]
        if name == "key": # the macros themselves
            continue
        kind, preset, least, most = words[-4:]
        preset = re.sub(r"CONF_HAS_\w+ \? ", "", preset).partition(" : ")[0] # as it is built without a word
        preset = re.sub(r"POSTERN_(\w+) ", lambda m: '"%s' % DIRECTORIES[m[1]], preset).replace('"', "")
        yield (place, name, kind, None if preset == "NULL" else preset,
               *(int(eval(n)) for n in (least, most))) # numbers and names from above, of our own source


def choices():
    """{type: its words}, of conf/value.c."""
    text = text_of(TOP / "conf" / "value.c")
    lists = dict(re.findall(r"^static const char \*const (\w+)\[\] = \{(.*?)\};", text, re.M | re.S))
    return {kind: re.findall(r'"([^"]*)"', lists[name]) for kind, name in
            re.findall(r"\[(\w+)\] = (\w+_words)\b", text) if name in lists}


def amount(n, kind):
    for letter, unit in UNITS.get(kind, []):
        if n and n % unit == 0:
            return f"{n // unit}{letter}"
    return f"{n}s" if kind in ("SECONDS", "SCHEDULE") else str(n)


def facts(place, name, kind, preset, least, most):
    """The first line about a key in postern.conf(5)."""
    said = KINDS[kind] if kind in KINDS else "One of " + ", ".join(choices()[kind])
    if kind == "YESNO":
        said = "yes or no"
    if most:
        said += f" from {amount(least, kind)} to {amount(most, kind)}"
    default = f"default {preset}" if preset else "default see below" if name in DERIVED else "no default"
    return f"{said}; {default}{PLACES[place]}."


def described():
    """{key: the line below its name} in postern.conf(5)."""
    return dict(re.findall(r"^\.It Cm (\w+)\n(.*)$", page("postern.conf.5"), re.M))


def test_every_key():
    """Each key of the table has its place, each with its type, range, default, and whether a route may have it."""
    table = list(rows())
    assert len(table) > 80
    assert described() == {row[1]: facts(*row) for row in table}


def test_same_order():
    """... in the order of the table, in which `smtpd --check` prints them."""
    assert list(described()) == [row[1] for row in rows()]


def test_profiles():
    """What postern.conf(5) says that each is without a section is what conf/load.c makes of it."""
    presets = re.search(r"^} presets\[\] = \{\n(.*?)^};", text_of(TOP / "conf" / "load.c"), re.M | re.S)[1]
    want = {}
    for name, pair in re.findall(r'\{ "(\w+)", (?:NULL|"([^"]*)") \}', presets):
        want.setdefault(name, []).extend([pair] if pair else [])
    said = dict(re.findall(r"^\.It Ql (\w+) Ta (.*)$", page("postern.conf.5"), re.M))
    assert len(want) > 4 and list(said) == list(want)
    assert {name: [] if words.startswith("no preset") else words.split(", ") for name, words in said.items()} == want


def test_keys_of_the_busy_way():
    """smtpd(8) names all of them where it tells of --listen."""
    keys = {row[1] for row in rows() if row[1].startswith("busy_")}
    said = re.search(r"^\.It Fl -listen .*?^\.It Fl ", page("smtpd.8"), re.M | re.S)[0]
    assert len(keys) > 4 and set(re.findall(r"^\.Cm (busy_\w+)", said, re.M)) == keys


def test_variables_of_wrappers():
    """... and each variable by which something between says who the client is; so does docs/RUNNING.md."""
    table = re.search(r"^} variables\[\] = \{\n(.*?)^};", text_of(TOP / "lib" / "wrapper.c"), re.M | re.S)[1]
    names = re.findall(r'\{ "\*?(\w+)"', table)
    assert len(names) > 6
    for text in (page("smtpd.8"), text_of(TOP / "docs" / "RUNNING.md")):
        assert not [name for name in names if not re.search(rf"{'' if name[0] == '_' else '(?<!_)'}{name}\b", text)]


# ---- options

# What programs of ours say to each other, and nobody else says.
INTERNAL = {"login", "serve", "wait", "public", "make"} # by which our programs run each other


def flags(name):
    """The options that a page describes, without hyphens: long ones and letters."""
    return {flag for line in re.findall(r"^\.It (Fl .*)$", page(name), re.M)
            for flag in re.findall(r"Fl -?([\w-]+)", line)}


def synopsis(name):
    return re.search(r"^\.Sh SYNOPSIS$(.*?)^\.Sh ", page(name), re.M | re.S)[1]


def test_options_of_smtpd_and_relay():
    """Each of process/options.c is in one page or both, and they have no other."""
    text = text_of(TOP / "process" / "options.c")
    longs = set(re.findall(r'^\t\{ "([\w-]+)", \w+_argument', text, re.M))
    letters = set(re.search(r'getopt_long\(argc, argv, "([\w:]+)"', text)[1]) - {":"}
    assert "check" in longs and "c" in letters
    assert flags("smtpd.8") | flags("relay.8") == (longs - INTERNAL) | letters


@pytest.mark.parametrize("name", ["smtpd.8", "relay.8"])
def test_synopsis(name):
    """What is described is in the synopsis."""
    assert flags(name) == set(re.findall(r"Fl -?([\w-]+)", synopsis(name)))


def helped(program, *words):
    return subprocess.run([str(BUILD / program), *words, "--help"], capture_output=True, text=True, check=True).stdout


def commands():
    """{command of `postern`: its own options}, as --help has them."""
    names = re.findall(r"^  (\w+)  +\w", helped("postern"), re.M)
    return {name: set(re.findall(r"^  --([\w-]+)", helped("postern", name).partition("\nin front")[0], re.M))
            for name in names}


def test_commands_of_postern():
    """Each command and option has its place in postern(1), which has no other."""
    known = commands()
    assert len(known) > 8
    assert set(re.findall(r"^\.It Ic (\w+)", page("postern.1"), re.M)) == set(known)
    common = {"json", "help", "version", "c", "o"}
    assert flags("postern.1") == set().union(common, *known.values())


def test_options_of_postern_status():
    assert flags("postern-status.8") == set(re.findall(r"--?([\w-]+)", re.sub(r"postern-status", "", helped(
        "postern-status").replace("node_exporter", "")))) | {"help", "version"}


def test_options_of_sendmail():
    """Letters, and those that are taken and ignored."""
    letters = set(re.search(r'letters\[\] = "([^"]*)"', text_of(TOP / "submit" / "calls.c"))[1]) - {":"}
    described = {f for line in re.findall(r"^\.It (Fl .*)$", page("sendmail.1"), re.M)
                 for f in re.findall(r"(?:Fl |, )-?([\w-]+)", line)}
    assert described - {"full", "hdrs"} == letters | {"help", "version"}


def test_json_of_commands():
    """docs/JSON.md has each command, and no other."""
    rows = re.findall(r"^\| (`[^|]*) \|", text_of(TOP / "docs" / "JSON.md"), re.M)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(commands())


def test_commands_in_documents():
    """`postern COMMAND --option` in a document or a page is one."""
    known = commands()
    lines = [span for d in DOCS for span in code(d)] + [line for p in PAGES for line in plain(text_of(p)).splitlines()]
    said = [m for line in lines for m in re.findall(r"^(?:[#$] |\.Dl [#$] )?(?:sudo )?postern ([a-z]+)((?: [^|>&]*)?)", line)]
    assert len(said) > 5
    for command, rest in said:
        assert command in known, command
        for option in re.findall(r"--([\w-]+)", rest):
            assert option in known[command] | {"json", "help"}, f"postern {command} --{option}"


def test_environment():
    """Each variable that a program reads by its name stands in a page."""
    read = {name for p in FILES if p.suffix == ".c" and "tests" not in p.parts
            for name in re.findall(r'getenv\("(\w+)"\)', text_of(p))} - {"TERM"} # everybody's
    assert len(read) > 6
    said = " ".join(re.findall(r"^\.It Ev (.*)$", "\n".join(map(text_of, PAGES)), re.M))
    assert not read - set(re.findall(r"\w+", said))


# ---- files and units

UNIT = re.compile(r"\bpostern[\w-]*@?\.(?:socket|service|timer)")


def unit_names():
    return {p.name for p in (TOP / "units").iterdir()} | set(listeners()) | {
        "postern-now.service", "postern-now@.service"} # made of postern-due by `make install`


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_units(path):
    """A page names no unit that is not installed."""
    assert set(m[0] for m in UNIT.finditer(plain(text_of(path)))) <= unit_names()


def test_every_unit():
    """... and each that is has its place in postern-systemd(7)."""
    text = page("postern-systemd.7")
    instances = {name.replace("@", "") for name in listeners()} # those of a socket that is named
    assert not [name for name in unit_names() if name.startswith("postern") and
                UNIT.fullmatch(name) and name not in text and name.replace("@", "") not in instances]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_documentation_directory(path):
    """What is said to lie there does."""
    for name in re.findall(r"/usr/share/doc/postern/([\w./-]+\w)", text_of(path)):
        known = [TOP / "units"] if name.startswith("examples/") else [TOP, TOP / "docs"]
        assert any((d / name.removeprefix("examples/")).exists() for d in known), name


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_keys(path):
    """What is set as a key is one."""
    keys = {row[1] for row in rows()}
    for name in re.findall(r"^\.Cm ([a-z]+_[a-z_]+)\b", text_of(path), re.M):
        assert name in keys, name
