"""The table of process/counters.h: docs/COUNTERS.md has it, each row is counted somewhere, a new layout has a new version."""
import re
import zlib

from conftest import TOP

# The layout of each version that ever was: the sum of its names, in their order. A new one gets a line here.
LAYOUTS = {1: 0x2505b273, 2: 0xa23de63e, 3: 0xf77d86f5, 4: 0x34d7eb39}

HEADER = (TOP / "process" / "counters.h").read_text()


def table():
    """[(C or H, id, name, unit, meaning)]."""
    body = re.search(r"#define COUNTERS_TABLE\(C, H\)(.*?)\n\nenum counter", HEADER, re.S)[1].replace("\\\n", "")
    rows = re.findall(r'\b([CH])\((\w+), "(\w+)", "(\w+)",\s*"([^"]*)"\)', body)
    assert len(rows) == len(re.findall(r"\b[CH]\(", body)) > 100
    return rows


def test_version():
    """A process of another version would add to other numbers in the same file."""
    version = int(re.search(r"#define COUNTERS_VERSION (\d+)", HEADER)[1])
    size = re.search(r"HISTOGRAM_BUCKETS = (\d+)", HEADER)[1]
    layout = zlib.crc32("\n".join([size, *(kind + name for kind, _, name, _, _ in table())]).encode())
    assert version == max(LAYOUTS)
    assert layout == LAYOUTS[version], f"another layout: raise COUNTERS_VERSION, and write {layout:#x} here"


def test_names():
    """Each once, and none like a line of a histogram; the name in the code is the same."""
    rows = table()
    names = [name for _, _, name, _, _ in rows]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) for name in names) # struct row in process/numbers.c
    assert all(i.lower() == name for _, i, name, _, _ in rows)
    assert not [n for n in names if re.search(r"_(le_.*|sum)$", n)]


def test_document():
    """Its rows are those of the table, in the same order."""
    text = (TOP / "docs" / "COUNTERS.md").read_text()
    shown = re.findall(r"^\| `(\w+)` \| (\w+)(, a histogram)? \| `?(.*?)`? \|$", text, re.M)
    want = [(name, unit, ", a histogram" if kind == "H" else "", meaning) for kind, _, name, unit, meaning in table()]
    assert sorted(shown) == sorted(want)
    order = [row[0] for row in shown]
    assert [n for n in order if n != "session_time"] == [row[0] for row in want if row[0] != "session_time"]


def test_counted():
    """Somebody adds to each: by its name, or, of those that refuse or are classes, by the macro or function for them."""
    code = "\n".join(p.read_text() for room in ("session", "delivery", "process") for p in (TOP / room).glob("*.c"))
    code += "".join((TOP / f"{program}.c").read_text() for program in ("smtpd", "relay"))
    by_rule = ("REFUSED_", "LANES_DEFERRED_", "DEFERRED_")
    assert not [i for _, i, _, _, _ in table() if not i.startswith(by_rule) and f"COUNTER_{i}" not in code]
