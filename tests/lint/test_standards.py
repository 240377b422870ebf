"""docs/STANDARDS.md: every requirement once, and what it names is there."""
import re

import pytest

from conftest import TOP
from test_tree import IDS

TEXT = (TOP / "docs" / "STANDARDS.md").read_text()
ROWS = [[c.strip() for c in line.strip("|").split("|")]
        for line in TEXT.splitlines() if re.match(r"\| [A-Z0-9]", line)]
REQUIREMENTS = [r for r in ROWS if re.fullmatch(r"R\d+", r[0])]
EXTENSIONS = [r for r in ROWS if len(r) == 6 and re.fullmatch(r"[A-Z0-9-]+", r[0])
              and r not in REQUIREMENTS]
NAMED = re.compile(r"`([^`]+)`")
STATES = re.compile(r"(done(: .+|; .+)?|(deviation|not yet): .+)")


def defines(path, name):
    """A function of C begins a line with its name; one of Python with def."""
    text = (TOP / path).read_text()
    return re.search(rf"^(?:def )?{re.escape(name)}\(", text, re.M)


def check_code(place):
    """A file, or file:function."""
    path, _, function = place.partition(":")
    assert (TOP / path).is_file(), place
    assert not function or defines(path, function), place


def check_test(place):
    """A dialogue, or file::function."""
    path, _, function = place.partition("::")
    assert path.startswith("tests/") and (TOP / path).is_file(), place
    assert path.endswith(".dialogue") if not function else defines(path, function), place


def test_every_requirement_once():
    assert [r[0] for r in REQUIREMENTS] == [f"R{n}" for n in range(1, IDS["R"] + 1)]


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row[0])
def test_requirement(row):
    """What is done has code and a test that names it; what is not says why."""
    ident, what, rfc, code, tests, state = row
    assert what and rfc and STATES.fullmatch(state), row
    code, tests = NAMED.findall(code), NAMED.findall(tests)
    for place in code:
        check_code(place)
    for place in tests:
        check_test(place)
    assert (code and tests) or state.startswith("not yet: "), "done where, and shown by what?"
    assert bool(code) == bool(tests)
    naming = [t for t in tests if re.search(rf"\b{ident}\b", (TOP / t.split("::")[0]).read_text())]
    assert naming or not tests, f"no test of {ident} has its id"


@pytest.mark.parametrize("row", EXTENSIONS, ids=lambda row: row[0])
def test_extension(row):
    """Each cell names a test, or says why there is none."""
    assert len(row) == 6
    for cell in row[1:]:
        places = NAMED.findall(cell)
        for place in places:
            check_test(place)
        assert places or cell.startswith(("—", "not yet")), cell


def test_every_extension_that_is_offered():
    """... has a row."""
    offered = re.findall(r'^\t\{ "([A-Z0-9-]+)', (TOP / "session" / "offers.c").read_text(), re.M)
    offered = [k for k in offered if not k.startswith(("SCRAM", "PLAIN", "LOGIN", "EXTERNAL"))]
    assert len(offered) > 10 and set(offered) <= {r[0] for r in EXTENSIONS}
