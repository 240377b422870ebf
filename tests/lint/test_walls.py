"""Who may include whom, and what each program is made of: the rooms of docs/ARCHITECTURE.md.

The linker keeps the walls, for a program that is not linked from a room cannot call it. What it would not
notice stands here: an include that goes up, a circle, a room in a program where it has no business.
"""
import functools
import os
import pathlib
import re
import subprocess

import pytest

from conftest import TOP

COMMON = ["lib", "mail", "conf", "queue", "process"]

# What a room may include besides itself. Programs stand in the room "".
ROOMS = {
    "lib": [],
    "mail": ["lib"],
    "conf": ["lib", "mail"],
    "queue": ["lib", "mail"],
    "dns": ["lib", "mail"],
    "secrets": ["lib", "mail"],
    "process": ["lib", "mail", "conf", "queue"],
    "helpers": [*COMMON, "secrets"],
    "submit": ["lib", "mail", "conf"],
    "session": COMMON,
    "sending": ["lib", "mail", "conf", "queue", "dns"],
    "report": ["lib", "mail", "conf", "queue"],
    "delivery": [*COMMON, "dns", "sending", "report"],
    "status": COMMON,
    "tlsreport": [*COMMON, "dns", "report/tlsrpt", "delivery/fetching"],
    "admin": [*COMMON, "dns", "sending", "report", "delivery"],
}
# ... and a program, which is linked from the same.
PROGRAMS = {
    "smtpd": [*COMMON, "session"],
    "sendmail": ["lib", "mail", "conf", "submit"],
    "relay": [*COMMON, "dns", "delivery", "sending", "report"],
    "status": [*COMMON, "status"],
    "tlsreport": [*COMMON, "dns", "report/tlsrpt", "delivery/destinations", "delivery/fetching", "sending/dial",
                  "tlsreport"],
    "postern": [*COMMON, "dns", "delivery", "sending", "report", "admin"],
    "tls": [*COMMON, "secrets/certificate", "secrets/ticket", "helpers/context", "helpers/handshake", "helpers/libssl",
            "helpers/pump", "helpers/tlscheck"],
    "sign": [*COMMON, "secrets/signkey"],
    "fetch": COMMON,
    "auth": [*COMMON, "secrets/users", "secrets/secret", "secrets/password", "secrets/checkpass",
             "secrets/enrol", "helpers/authcheck", "helpers/authority", "helpers/claim", "helpers/dialogue",
             "helpers/proof"],
}
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def room_of(path):
    """dns.c and dns.h belong to the room of their name; the other files at the top are programs."""
    return path.split("/")[0] if "/" in path else "dns" if path.startswith("dns.") else ""


@functools.cache
def read_sources():
    return {str(p.relative_to(TOP)): p.read_text() for room in [".", *ROOMS]
            for p in sorted((TOP / room).glob("*.[ch]"))}


def sources():
    return dict(read_sources())


def includes(files):
    """[(file, what it includes)]"""
    return [(f, i) for f, text in files.items() for i in INCLUDE.findall(text)]


def allowed(path):
    stem = path.rsplit(".", 1)[0]
    return PROGRAMS[stem] if stem in PROGRAMS else [*ROOMS[room_of(path)], room_of(path)]


def offences(files):
    """Includes that go through a wall, or are not written from the top."""
    for f, i in includes(files):
        if i not in files:
            yield f"{f}: {i}: not a path from the top"
        elif not {room_of(i), i.rsplit(".", 1)[0]} & set(allowed(f)):
            yield f"{f}: {i}: through a wall"


def circles(files):
    """A module is a header with its source. What is left when all that nobody needs are taken away."""
    needs = {}
    for f, i in includes(files):
        module, other = f.rsplit(".", 1)[0], i.rsplit(".", 1)[0]
        needs.setdefault(module, set()).update({other} - {module})
    while True:
        done = [m for m in needs if not needs[m] & needs.keys()]
        if not done:
            return sorted(needs)
        for m in done:
            del needs[m]


def test_rooms_are_all_there_are():
    """A new folder of sources has a row in the table."""
    found = {p.parent.name for p in TOP.glob("*/*.[ch]") if p.parent.name not in ("tests", "build")}
    assert found == set(ROOMS)


def test_walls():
    assert not list(offences(sources()))


def test_no_circles():
    assert not circles(sources())


@pytest.mark.parametrize("path, include", [
    ("lib/buf.c", "mail/dot.h"), ("mail/dot.c", "conf/conf.h"), ("conf/load.c", "queue/lane.h"),
    ("queue/lane.c", "conf/conf.h"), ("session/say.c", "secrets/users.h"), ("session/say.c", "delivery/race.h"),
    ("sending/sending.c", "delivery/delivery.h"), ("report/dsn.c", "sending/sending.h"),
    ("sending/sending.c", "process/log.h"), ("process/log.c", "session/session.h"), ("smtpd.c", "secrets/users.h"),
    ("smtpd.c", "dns.h"), ("tls.c", "secrets/users.h"), ("auth.c", "secrets/ticket.h"), ("relay.c", "session/say.h"),
    ("smtpd.c", "helpers/pump.h"), ("session/helper.c", "helpers/handshake.h"), ("sign.c", "helpers/context.h"),
    ("tls.c", "helpers/proof.h"), ("auth.c", "helpers/context.h"),
    ("secrets/certificate.c", "helpers/context.h"),
    ("sendmail.c", "process/log.h"), ("submit/ways.c", "queue/spool.h"),
    ("secrets/users.c", "conf/conf.h"), ("mail/dot.c", "dot.h"), ("mail/dot.c", "../lib/buf.h"),
    ("delivery/race.c", "admin/out.h"), ("admin/list.c", "session/say.h"), ("admin/list.c", "secrets/users.h"),
    ("relay.c", "admin/admin.h"), ("postern.c", "session/say.h"),
])
def test_walls_are_seen(path, include):
    files = sources()
    files[path] += f'#include "{include}"\n'
    assert [o for o in offences(files) if o.startswith(f"{path}: {include}: ")]


def test_circles_are_seen():
    files = {"a.h": '#include "b.h"\n', "b.h": "", "b.c": '#include "b.h"\n#include "c.h"\n', "c.h": '#include "d.h"\n',
             "d.h": ""}
    assert not circles(files)
    files["d.h"] = '#include "a.h"\n'
    assert circles(files) == ["a", "b", "c", "d"]


# ---- what a program is made of

BUILT = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build"))


@functools.cache
def names_of_all():
    """{object or program: names that others can call}"""
    built = [o for room in ROOMS for o in (BUILT / room).glob("*.o")] + [BUILT / program_file(p) for p in PROGRAMS]
    listed = subprocess.run(["nm", "--print-file-name", "--defined-only", "--extern-only", "--format=posix", *built],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {o: set() for o in built}
    for path, name in re.findall(r"^(.*?): (\S+) ", listed, re.M):
        if not name.startswith(("__asan", "__odr_asan", "_.asan")):
            found[pathlib.Path(path)].add(name)
    return found


def program_file(program):
    return {"status": "postern-status", "tlsreport": "postern-tlsreport"}.get(program, program)


def defined(*objects):
    return set().union(*(names_of_all()[o] for o in objects))


@pytest.mark.parametrize("program", PROGRAMS)
def test_linked_from(program):
    """No function of another room is in it; and the names looked for are those of our objects."""
    objects = {str(o.relative_to(BUILT).with_suffix("")): o for room in ROOMS for o in (BUILT / room).glob("*.o")
               if o.with_suffix("").name + ".c" in os.listdir(TOP / room)}
    assert len(objects) > 50
    inside, outside = [], []
    for stem, o in objects.items():
        (inside if {stem, room_of(stem + ".c")} & set(PROGRAMS[program]) else outside).append(o)
    names = defined(BUILT / program_file(program))
    assert not defined(*outside) & names
    assert len(defined(*inside) & names) > 20


# ---- names

# Begins of names of a module that are not the module's own name: a struct of it, or a shorter one.
NAMES = {"conf/keys": "conf_", "conf/load": "conf_", "dns/exchangers": "exchanger", "lib/net": "net", "lib/crc": "crc",
         "mail/pieces": "piece", "sending/openssl": "openssl"}


@pytest.mark.parametrize("room", ROOMS)
def test_names(room):
    """What a module exports says by its name where it stands."""
    for source in sorted((TOP / room).glob("*.c")):
        begin = (NAMES.get(f"{room}/{source.stem}", f"{source.stem}_"), "command_" + source.stem) if room == "admin" \
            else NAMES.get(f"{room}/{source.stem}", f"{source.stem}_")
        names = defined(BUILT / room / f"{source.stem}.o")
        # The linker's names for what smtpd has in place of free and realloc.
        assert not [n for n in names if not n.startswith(begin) and not n.startswith("__wrap_")], source


def test_guards():
    """Two headers of one guard: whoever includes both has one of them, and no word about the other."""
    guards = {}
    for path in sorted(p for p in TOP.rglob("*.h") if "build" not in p.relative_to(TOP).parts):
        for guard in re.findall(r"^#ifndef (POSTERN_\w+_H)$", path.read_text(), re.M):
            guards.setdefault(guard, []).append(str(path.relative_to(TOP)))
    assert len(guards) > 200
    assert not {g: paths for g, paths in guards.items() if len(paths) > 1}
