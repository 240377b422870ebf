"""What the relay counted for reports on TLS: the directory tlsrpt of a spool, by its own description (docs/QUEUE.md)."""
import datetime
import os
import re

import spoolfile

HEAD = re.compile(rb"tally (\d+) ([0-9a-f]{8})\n")


def read(path):
    """([(name, value)], how often) of a file, which is whole."""
    data = path.read_bytes()
    head = HEAD.match(data)
    assert head, data[:80]
    end = head.end() + int(head[1])
    what, marks = data[head.end():end], data[end:]
    assert len(what) == int(head[1]) and spoolfile.crc32c(what) == int(head[2], 16), path
    assert marks and set(marks) == {ord("+")}, path
    return [tuple(line.split(" ", 1)) for line in what.decode("ascii").splitlines()], len(marks)


def days(spool):
    return sorted(p for p in (spool / "tlsrpt").glob("*") if p.is_dir())


def counted(spool):
    """{domain: [({name: value or values}, how often)]}, over all days: what is the same on two days, for midnight came in
    between, is one."""
    found, times = {}, {}
    for one in days(spool):
        for path in sorted(one.glob("*/*")):
            if path.name[0] == "@":
                continue
            lines, n = read(path)
            times[path.parent.name, path.name] = times.get((path.parent.name, path.name), 0) + n
            fields = {}
            for name, value in lines:
                if name in ("text", "mx"):
                    fields.setdefault(name, []).append(value)
                else:
                    assert name not in fields
                    fields[name] = value
            found.setdefault(path.parent.name, {})[path.name] = fields
    return {domain: [(rows[name], times[domain, name]) for name in sorted(rows)] for domain, rows in found.items()}


def sums(spool):
    """{domain: {result: how often}}"""
    return {domain: {r: sum(n for f, n in rows if f["result"] == r) for r in {f["result"] for f, _ in rows}}
            for domain, rows in counted(spool).items()}


def day(ago, now=None):
    """The name of the day (UTC) before so many."""
    return ((now or datetime.datetime.now(datetime.timezone.utc)) - datetime.timedelta(days=ago)).date().isoformat()


THEN = 1.5 # days


def then(now=None):
    """A day that is over for 12 hours at the least, and for 36 at the most: at whatever time a test runs, each domain's
    turn has come, and none is given up, and that stays so for hours."""
    return day(THEN, now)


def age(spool, name=None):
    """As if all that was counted had been on that day, then(), the name of which it gives back: whether it was counted
    on one day or two does not matter."""
    name = name or then()
    to = spool / "tlsrpt" / name
    for one in days(spool):
        if one == to:
            continue
        for path in one.glob("*/*"):
            place = to / path.relative_to(one)
            _make(place.parent, path.parent)
            if place.exists():
                place.write_bytes(place.read_bytes() + b"+" * read(path)[1])
                path.unlink()
            else:
                path.rename(place)
            if not list(path.parent.iterdir()):
                path.parent.rmdir()
        one.rmdir()
    return name


def _make(path, like):
    """Both levels of it, and whose it is."""
    for new, old in ((path.parent, like.parent), (path, like)):
        if not new.exists():
            new.mkdir(mode=0o700)
            os.chown(new, old.stat().st_uid, old.stat().st_gid)


def older(spool, days_ago):
    """Each day, with all there is of it, was so many before."""
    for path in days(spool):
        new = datetime.date.fromisoformat(path.name) - datetime.timedelta(days=days_ago)
        path.rename(path.with_name(new.isoformat()))


def later(spool):
    """As if all that was put off were due again."""
    (spool / "tlsrpt" / "@lock").unlink(missing_ok=True)
    for one in days(spool):
        for path in [*one.glob("*"), *one.glob("*/@out/@post-*")]:
            if path.name[0] != "@" or path.name.startswith("@post-") and path.stat().st_mtime > 0:
                os.utime(path, (1, 1))


def write(path, text, times):
    """What queue/tally.c would have written."""
    data = text.encode("ascii")
    path.write_bytes(b"tally %d %08x\n%b" % (len(data), spoolfile.crc32c(data), data) + b"+" * times)
