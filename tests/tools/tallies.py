"""What the relay counted for reports on TLS: the directory tlsrpt of a spool, by its own description (docs/QUEUE.md)."""
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
    """{domain: [({name: value or values}, how often)]}, over all days."""
    found = {}
    for day in days(spool):
        for path in sorted(day.glob("*/*")):
            if path.name[0] == "@":
                continue
            lines, times = read(path)
            fields = {}
            for name, value in lines:
                if name in ("text", "mx"):
                    fields.setdefault(name, []).append(value)
                else:
                    assert name not in fields
                    fields[name] = value
            found.setdefault(path.parent.name, []).append((fields, times))
    return found


def sums(spool):
    """{domain: {result: how often}}"""
    return {domain: {r: sum(n for f, n in rows if f["result"] == r) for r in {f["result"] for f, _ in rows}}
            for domain, rows in counted(spool).items()}


def age(spool, days_ago):
    """As if what was counted had been so many days ago."""
    import datetime # pylint: disable=import-outside-toplevel
    for day in days(spool):
        then = datetime.date.fromisoformat(day.name) - datetime.timedelta(days=days_ago)
        day.rename(day.with_name(then.isoformat()))
