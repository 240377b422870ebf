"""The tables of process/event.h: docs/LOG.md and the catalog have them, and the code logs what is in them and nothing else."""
import re

from conftest import TOP

HEADER = (TOP / "process" / "event.h").read_text()
DOCUMENT = (TOP / "docs" / "LOG.md").read_text()
CATALOG = (TOP / "units" / "postern.catalog").read_text()


def body(name):
    return re.search(rf"#define {name}\(\w\)(.*?)\n\n", HEADER, re.S)[1].replace("\\\n", "")


def events():
    """[(name, MESSAGE_ID, meaning)]"""
    rows = re.findall(r'\bE\((\w+), "([0-9a-f]{32})",\s*"([^"]*)"\)', body("EVENT_TABLE"))
    assert len(rows) == len(re.findall(r"\bE\(", body("EVENT_TABLE"))) > 30
    return rows


def fields():
    """[(name, NAME, is a number, meaning)]"""
    rows = re.findall(r'\bF\((\w+), (\w+), (true|false),\s*"([^"]*)"\)', body("LOG_FIELD_TABLE"))
    assert len(rows) == len(re.findall(r"\bF\(", body("LOG_FIELD_TABLE"))) > 10
    assert all(low.upper() == up for low, up, _, _ in rows)
    return rows


def sources():
    rooms = {p.parent for p in TOP.glob("*/*.c") if p.parent.name not in ("tests", "build")}
    return {p: p.read_text() for d in [TOP, *rooms] for p in d.glob("*.[ch]") if p.name != "event.h"}


def code():
    return "\n".join(sources().values())


def logged():
    """Names by which events are logged: in an initializer, in a call of session_event, in what chooses one, by what
    a command of postern does to a message (admin/act.c)."""
    text = code()
    found = set(re.findall(r'\.event = "(\w+)"', text)) | set(re.findall(r'session_event\(s, "(\w+)"', text))
    found |= set(re.findall(r'\.done = "(\w+)"', text))
    for choice in re.findall(r"^event_of\(.*?^}|\bevent\[\] = \{.*?\};", text, re.S | re.M):
        found |= set(re.findall(r'"(\w+)"', choice))
    return found


def test_events_are_known():
    """Both ways."""
    assert logged() == {name for name, _, _ in events()}


def test_ids_are_their_own():
    ids = [ident for _, ident, _ in events()]
    assert len(set(ids)) == len(ids)


def test_fields_are_used():
    """Each is set somewhere."""
    text = code()
    assert not [low for low, _, _, _ in fields() if not re.search(rf"\.{low} =|f\.{low} = ", text)]


def test_document():
    """Its rows are those of the tables, in their order."""
    want = [(up, low, "number" if number == "true" else "text", meaning) for low, up, number, meaning in fields()]
    assert re.findall(r"^\| `POSTERN_(\w+)` \| `(\w+)` \| (\w+) \| (.*?) \|$", DOCUMENT, re.M) == want
    assert re.findall(r"^\| `(\w+)` \| `([0-9a-f]{32})` \| (.*?) \|$", DOCUMENT, re.M) == events()


def test_programs_that_log():
    """The document has all names under which there are lines."""
    names = set(re.findall(r'program_configure\(&.{,200}?"([\w-]+)",\s*&why\)', code(), re.S)) | set(re.findall(
        r'log_open\([^;]*, "([\w-]+)"\)', code()))
    said = re.search(r"`SYSLOG_IDENTIFIER` \(the program: (.*?)\)", DOCUMENT, re.S)[1]
    assert len(names) > 6 and set(re.split(r",\s+|\s+or\s+", said)) == names


def entries():
    """{MESSAGE_ID: text}"""
    return dict(re.findall(r"^-- ([0-9a-f]{32})\n(.*?)(?=^-- |\Z)", CATALOG, re.S | re.M))


def test_catalog():
    """Each event has an entry, in the same order, which says three things; it names no field that there is not."""
    assert list(entries()) == [ident for _, ident, _ in events()]
    known = {f"POSTERN_{up}" for _, up, _, _ in fields()}
    for ident, text in entries().items():
        assert re.match(r"Subject: \S[^\n]*\nDefined-By: Postern\n\nWhat happened: ", text), ident
        assert text.count("\n\nWhat happens next: ") == text.count("\n\nWhat to do: ") == 1, ident
        assert set(re.findall(r"@(\w+)@", text)) <= known, ident


def test_catalog_names_what_there_is():
    """Keys of the configuration, mostly: what looks like one is one."""
    keys = set(re.findall(r"(?:KEY|ROW|DELIVERY)\((?:\w+, )?(\w+),", (TOP / "conf" / "keys.c").read_text()))
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", CATALOG)) - {"limit_"}
    assert named <= keys, named - keys
