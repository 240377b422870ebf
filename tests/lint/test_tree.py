"""What the documentation names exists, ids of requirements and faults are ids, no path of a machine.

A name that was given up stays in a document for years if nobody looks.
"""
import functools
import pathlib
import re
import subprocess
import sys

import pytest

from conftest import BUILD, TOP

SKIPPED = {"build", ".git", "__pycache__", ".pytest_cache", "corpus", "pictures"}
FILES = sorted(p for p in TOP.rglob("*")
               if p.is_file() and not p.is_symlink() and not SKIPPED & set(p.relative_to(TOP).parts))
DOCS = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md")), *sorted((TOP / "docs" / "guide").glob("*.md"))]
SUFFIXES = ("c", "h", "md", "py", "conf", "socket", "service", "timer", "xinetd", "cron", "sysusers",
            "tmpfiles", "dialogue")

# Highest number of each letter.
IDS = {"R": 93, "A": 22, "B": 16, "C": 17, "D": 26, "E": 16, "F": 18, "G": 18, "H": 8, "I": 20,
       "J": 19, "K": 14}
ID = re.compile(r"(?<![\w\\%&#.-])([A-KR])(\d{1,3})(?![\w-])")
# A machine's, with something below it. Behind a letter, "$1" or a closing bracket it is another's part.
MACHINE = re.compile(r"(?<![\w\"'})$.~])/(?:home|root|Users|work|workspaces?|var/tmp|mnt)/\w")


@functools.cache
def text_of(path):
    return path.read_text(encoding="utf-8")


def code(path):
    """What stands between backticks, and in blocks of code line by line."""
    text = text_of(path)
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", rest) + [line for b in blocks for line in b.splitlines()]


def named(pattern):
    """Each match in the code of each document, once."""
    found = {(d, m) for d in DOCS for span in code(d) for m in re.findall(pattern, span)}
    return [pytest.param(m, id=f"{d.name}-{m}") for d, m in sorted(found)]


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.name)
def test_code_ends_in_its_line(path):
    """What begins with a backtick; else all that stands between two of them behind it would not be looked at."""
    assert not [line for line in re.sub(r"^```.*?^```", "", text_of(path), flags=re.M | re.S).splitlines() if line.count("`") % 2]


# ---- names in documents

TOPS = "|".join(sorted(re.escape(p.name) for p in TOP.iterdir() if p.name not in SKIPPED))


def listeners():
    """Names of units that `make install` makes of those of port 25 and of the timer."""
    text = text_of(TOP / "Makefile")
    words = re.findall(r"(\w+):\d+", re.search(r"LISTENERS = (.*)", text)[1])
    return [f"postern-{name}{kind}" for name in words for kind in (".socket", "@.service")] + \
        [f"postern-busy-{name}{kind}" for name in words for kind in (".socket", ".service")] + \
        [f"postern-{name}@.service" for name in re.search(r"SIBLINGS = (.*)", text)[1].split()]


@pytest.mark.parametrize("path", named(
    rf"(?<![\w/<>.-])(?:(?:{TOPS})/[\w.*/-]*|[\w@-]+\.(?:{'|'.join(SUFFIXES)}))(?![\w/])"))
def test_path(path):
    """A path from the top, or the name of a file that lies somewhere below it or that is installed."""
    assert list(TOP.glob(path.rstrip("/"))) if "/" in path else \
        path in ["resolv.conf", *listeners()] or any(p.name == path for p in FILES), path


@functools.cache
def targets():
    rules = re.findall(r"^([a-z][\w %-]*):(?!=)", text_of(TOP / "Makefile"), re.M)
    return {word for rule in rules for word in rule.split()}


@pytest.mark.parametrize("target", named(r"\bmake(?: [A-Z_]+=\S*)* ([a-z][\w-]*)(?![\w/-])"))
def test_target(target):
    assert target in targets()


def test_every_target_is_phony():
    """All rules that are not for a file; else a file of that name would stop them."""
    makefile = text_of(TOP / "Makefile").replace("\\\n", "")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    assert set(phony) == {t for t in targets() if "%" not in t}


def test_every_target_is_explained():
    """In docs/CONTRIBUTING.md, as the head of the Makefile says; but for two that only others call."""
    said = {word for span in code(TOP / "docs" / "CONTRIBUTING.md") for words in re.findall(r"\bmake((?: [a-z][\w-]*)+)", span)
            for word in words.split()}
    assert {t for t in targets() if "%" not in t} - said == {"all", "corpus-run", "fuzz-run"}


@functools.cache
def names_of_sources():
    """(what is called so elsewhere, the texts in which everything else stands)."""
    settings = {f"POSTERN_{key.upper()}" for key in checked()}
    fields = {f"POSTERN_{up}" for up in re.findall(r"\bF\(\w+, (\w+),", text_of(TOP / "process" / "event.h"))}
    return settings | fields, "\0".join(text_of(p) for p in FILES if p.suffix != ".md")


@pytest.mark.parametrize("name", named(r"(?<![\w/.-])_*[A-Za-z]+_\w+"))
def test_identifier(name):
    """A function, a macro, a setting, a variable (FIELD_* and FIELD_... too), or a field of the journal."""
    others, sources = names_of_sources()
    assert name in others or name in sources, name


# ---- settings

DERIVED = {"hostname", "postmaster", "relay_path", "tls_path", "auth_path", "sign_path", "fetch_path", "tlsreport_path",
            "tls_reports_from", "nameserver"} # from the machine


def checked(*lines, where=None):
    """{key: value} as smtpd prints it, with these lines as its configuration."""
    words = []
    if where is not None:
        (where / "conf").write_text("\n".join(lines) + "\n")
        words = ["-c", str(where / "conf")]
    p = subprocess.run([str(BUILD / "smtpd"), *(words or ["-c", "/dev/null"]), "--check"], env={},
                       capture_output=True, text=True, check=False)
    assert p.stdout, p.stderr # what is wrong with this machine does not matter
    return dict(re.match(r"(\w+) = (.*?)  # ", line).groups() for line in p.stdout.splitlines())


def shipped_parts():
    """units/postern.conf, which is all commented out: what is common, and the sections."""
    text = text_of(TOP / "units" / "postern.conf").replace("@LIBEXECDIR@", "/usr/libexec/postern")
    assert all(line.startswith("#") for line in text.splitlines() if line), "nothing is set as shipped"
    common, bracket, sections = text.partition("\n#[")
    return common, bracket + sections


def shipped():
    """What is common there: [(key, value)]."""
    return re.findall(r"^#(\w+) = (.*)$", shipped_parts()[0], re.M)


def test_shipped_configuration():
    """Every key, in the order in which smtpd knows them, once."""
    assert [k for k, _ in shipped()] == list(checked())


def test_shipped_routes(tmp_path):
    """The examples are accepted, and between them they have every key that only a route has."""
    lines = re.findall(r"^#(\[.*\]|\w+ = .*)$", shipped_parts()[1], re.M)
    (tmp_path / "conf").write_text("\n".join(lines) + "\n")
    p = subprocess.run([str(BUILD / "smtpd"), "-c", str(tmp_path / "conf"), "--check"], env={},
                       capture_output=True, text=True, check=False)
    printed = p.stdout.partition("\n\n[")[2]
    assert [line for line in lines if line[0] == "["] == re.findall(r"^\[.*\]$", "[" + printed, re.M)
    rows = re.findall(r"^\t(?:ROW|DELIVERY)\((?:MATCH|ROUTE|LOGIN), (\w+),", text_of(TOP / "conf" / "keys.c"), re.M)
    assert rows and set(rows) <= {line.split(" = ")[0] for line in lines}


def test_defaults(tmp_path):
    """What is called a default is one; where there is none the example is accepted."""
    pairs = shipped()
    assert len(pairs) > 8
    default = checked()
    for key, value in pairs:
        assert key in default, key
        if key in DERIVED or not value or value == "resolv.conf":
            assert key in DERIVED or default[key] == "", f"{key} = {default[key]}"
            continue
        got = checked(f"{key} = {value}", where=tmp_path)[key]
        assert got == default[key] or default[key] == "", f"{key} = {value}"


def test_settings_on_command_lines():
    """In documents, unit files and shell scripts."""
    found = {(p.name, key) for p in FILES if p.suffix not in (".c", ".h", ".py")
             for line in text_of(p).splitlines() if not line.lstrip().startswith("mount ")
             for key in re.findall(r"(?<!\w)-o (\w+)=", line)}
    assert found and {key for _, key in found} - {"key"} <= set(checked()), found


@pytest.mark.parametrize("option", named(r"\b(?:smtpd|relay) (--[\w-]+)"))
def test_option(option):
    assert f'"{option[2:]}"' in text_of(TOP / "process" / "options.c")


@functools.cache
def help_of(command):
    p = subprocess.run([str(BUILD / "postern"), command, "--help"], env={}, capture_output=True, text=True, check=False)
    assert p.returncode == 0, command
    return p.stdout


@pytest.mark.parametrize("words", named(r"\bpostern ([a-z]+(?: \S+)*)"))
def test_command(words):
    """A command of postern's, and the options behind it."""
    command, *rest = words.split()
    known = help_of(command)
    for option in re.findall(r"(?<!\S)--[a-z][\w-]*", " ".join(rest)):
        assert re.search(rf"^  {option}\b", known, re.M), option


# ---- the whole tree

@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TOP)))
def test_file(path):
    text = text_of(path)
    for letter, number in ID.findall(comments(path, text)):
        assert 1 <= int(number) <= IDS[letter] and number[0] != "0", f"no such id: {letter}{number}"
    own = [str(TOP), str(pathlib.Path.home())]
    for place in [p for p in own if p.count("/") > 1]:
        assert not re.search(re.escape(place) + r"(?![\w.-])", text), place
    if path != pathlib.Path(__file__):
        assert not MACHINE.search(text), MACHINE.search(text)


def test_no_module_hides_one_of_python():
    """A script finds what lies beside it first, and so does each module that it has Python import."""
    hidden = [p for p in FILES if p.suffix == ".py" and p.stem in sys.stdlib_module_names]
    assert not hidden


# A column of a table of texts, which would be broken for nothing.
TEXT_ROW = re.compile(r'\s*(\{ "[\d.]*", )?".*"( \},)?$')
WIDTH = 100


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix in (".c", ".h") and "tests" not in p.parts],
                         ids=lambda p: str(p.relative_to(TOP)))
def test_width(path):
    """One width for all that is no text of ours for people (.editorconfig, .clang-format)."""
    lines = text_of(path).expandtabs(8).splitlines()
    assert not [line for line in lines if len(line) > WIDTH and not TEXT_ROW.match(line)]


def comments(path, text):
    """Of C what stands in comments; of everything else all but words to other programs."""
    text = re.sub(r"# noqa: .*", "", text)
    return "\n".join(re.findall(r"/\*.*?\*/", text, re.S)) if path.suffix in (".c", ".h") else text
