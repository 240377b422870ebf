"""What the relay counted for reports on TLS: the directory tlsrpt of a spool, by its own description (docs/QUEUE.md)."""
import datetime
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
    for one in days(spool):
        for path in sorted(one.glob("*/*")):
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


def day(ago):
    """The name of the day (UTC) before so many."""
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=ago)).date().isoformat()


def age(spool, ago):
    """As if what was counted had been so many days ago."""
    for path in days(spool):
        then = datetime.date.fromisoformat(path.name) - datetime.timedelta(days=ago)
        path.rename(path.with_name(then.isoformat()))


def write(path, text, times):
    """What queue/tally.c would have written."""
    data = text.encode("ascii")
    path.write_bytes(b"tally %d %08x\n%b" % (len(data), spoolfile.crc32c(data), data) + b"+" * times)
