"""Reads a queued message the way queue/stored.h describes it, and fails if it is not so; writes some."""
import functools
import os
import re
import shutil
import time

MAGIC = b"Postern-Message: 1"
END = re.compile(rb"End: (\d{20}) ([0-9a-f]{8}) ([0-9a-z]{20})\n\Z")
STATES = re.compile(rb"^(States: )([wdf]+)$", re.M)
RECEIVED = re.compile(rb"Received: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*")


@functools.cache
def crc_table():
    """RFC 3720 appendix B.4, bit by bit; independent of the product's."""
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


def crc32c(data):
    table = crc_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def as_committed(data):
    """The same message when nobody was settled yet, which the sum is of."""
    head, blank, body = data.partition(b"\n\n")
    return STATES.sub(lambda m: m[1] + b"w" * len(m[2]), head) + blank + body


class SpoolFile:
    """fields: [(name, value)]; received: the field that was added; text: what the client sent."""

    def __init__(self, path):
        data = path.read_bytes()
        end = END.search(data)
        assert end, f"{path}: no end mark: {data[-80:]!r}"
        head, blank, rest = data[:end.start()].partition(b"\n\n")
        assert blank, f"{path}: no empty line behind the envelope"
        self.body = rest
        assert int(end[1]) == len(self.body), f"{path}: length {end[1]!r}, is {len(self.body)}"
        assert int(end[2], 16) == crc32c(as_committed(data[:end.start()])), f"{path}: sum"
        lines = head.split(b"\n")
        assert lines[0] == MAGIC, f"{path}: begins {lines[0]!r}"
        # A null sender leaves nothing behind "From: ".
        self.fields = [tuple(x.decode() for x in re.fullmatch(rb"([A-Z][\w-]*): ?(.*)", line).groups())
                       for line in lines[1:]]
        assert path.name == end[3].decode() == self.one("Id"), f"{path}: ids differ"
        assert path.parent.name in {to.split(" ")[0] for to in self.all("To")}, f"{path}: lane"
        assert path.stat().st_mode & 0o777 == 0o600, f"{path}: mode"
        received = RECEIVED.match(self.body)
        assert received, f"{path}: no Received: on top"
        self.received = received[0].decode("latin-1")
        self.text = self.body[received.end():]

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def one(self, name):
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values}"
        return values[0]


def lane_of(recipient):
    return recipient.rpartition("@")[2]


def encode(ident, recipients, body, sender="a@sender.example", fields=()):
    """The text of a queued message."""
    head = [MAGIC.decode(), f"Id: {ident}", f"Arrived: {int(time.time())}", f"From: {sender}",
            *fields, *(f"To: {lane_of(r)} {r}" for r in recipients), "", ""]
    data = "\n".join(head).encode() + body
    return data + f"End: {len(body):020d} {crc32c(data):08x} {ident}\n".encode()


def write(spool, ident, recipients, body, **envelope):
    """Puts a message into the queue that smtpd would not: the body goes in as it is, lines of
    `fields` into the envelope. Its paths."""
    data = encode(ident, recipients, body, **envelope)
    lanes = sorted({lane_of(r) for r in recipients})
    paths = []
    for lane in lanes:
        directory = spool / "lane" / lane
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / ident
        if paths:
            path.hardlink_to(paths[0])
        else:
            path.write_bytes(data)
            path.chmod(0o600)
        paths.append(path)
    owner = spool.stat()
    for path in (spool / "lane", *(p.parent for p in paths), *paths):
        shutil.chown(path, owner.st_uid, owner.st_gid)
    return paths


def new_id(number):
    """As of now; messages of one second sort by their numbers."""
    def digits(value, n):
        return "".join("0123456789abcdefghjkmnpqrstvwxyz"[value >> 5 * i & 31]
                       for i in reversed(range(n)))
    return digits(int(time.time()) * 1_000_000, 12) + digits(number, 8)


def fill(spool, recipients, body):
    """A message for each, all alike but for that. Made for very many."""
    owner = spool.stat()
    lanes = {to: spool / "lane" / lane_of(to) for to in recipients}
    for lane in [spool / "lane", *dict.fromkeys(lanes.values())]:
        lane.mkdir(mode=0o700, exist_ok=True)
        os.chown(lane, owner.st_uid, owner.st_gid)
    for n, to in enumerate(recipients):
        ident = new_id(n)
        fd = os.open(f"{lanes[to]}/{ident}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, encode(ident, [to], body))
        os.fchown(fd, owner.st_uid, owner.st_gid)
        os.close(fd)


def fill_lanes(spool, lanes, n, body):
    """n messages for each of these domains, very quickly: the first one of each lane is whole, the others are further
    names of its file, under ids that come later. It is for lanes that are not gone over."""
    owner = spool.stat()
    (spool / "lane").mkdir(mode=0o700, exist_ok=True)
    os.chown(spool / "lane", owner.st_uid, owner.st_gid)
    idents = [new_id(i) for i in range(n)]
    for lane in lanes:
        directory = f"{spool}/lane/{lane}"
        os.mkdir(directory, 0o700)
        os.chown(directory, owner.st_uid, owner.st_gid)
        first = f"{directory}/{idents[0]}"
        fd = os.open(first, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, encode(idents[0], [f"u@{lane}"], body))
        os.fchown(fd, owner.st_uid, owner.st_gid)
        os.close(fd)
        for ident in idents[1:]:
            os.link(first, f"{directory}/{ident}")


def put_off(spool, seconds, reason="1 failed attempts: not reached\n"):
    """All lanes: their hosts are down, and the next attempt is so far away."""
    owner, when = spool.stat(), time.time() + seconds
    for lane in (spool / "lane").iterdir():
        for name, text in (("@lock", ""), ("@retry", reason)):
            path = lane / name
            path.write_text(text)
            path.chmod(0o600)
            os.chown(path, owner.st_uid, owner.st_gid)
        os.utime(lane / "@retry", (when, when))


def no_fetch(spool, ago, last, times):
    """So many fetches never were there, in a row, the first and the last of them so many seconds ago. The file of that,
    and when the first one was."""
    owner, now = spool.stat(), int(time.time())
    path = spool / "sts" / ".fetchless"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(f"since {now - ago} last {now - last} times {times}\n")
    for made in (path.parent, path):
        os.chown(made, owner.st_uid, owner.st_gid)
    return path, now - ago


# ---- time that passes

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIME_CHARS = 12
TIMES = re.compile(rb"^((?:Arrived|By|Hold): )(-?\d+)", re.M)
KNOWN = re.compile(r"(failed|lockstep|single|discards|unchunked|clear|helo|plain) ([1-9]\d*)")


def sooner(ident, seconds):
    """The id that a message would have that was made so much earlier."""
    made = functools.reduce(lambda n, c: n << 5 | ALPHABET.index(c), ident[:TIME_CHARS], 0)
    made -= seconds * 1_000_000
    return "".join(ALPHABET[made >> 5 * i & 31] for i in reversed(range(TIME_CHARS))) + ident[TIME_CHARS:]


def set_back(path, seconds):
    """The time of a file."""
    when = path.stat().st_mtime - seconds
    os.utime(path, (when, when))


def rename_to_past(paths, seconds):
    """One queued message, with all its names: its id and the times in its envelope. Needs no room."""
    old = paths[0].name
    new = sooner(old, seconds)
    data = paths[0].read_bytes()
    end = END.search(data)
    head, blank, body = data[:end.start()].partition(b"\n\n")
    head = TIMES.sub(lambda m: m[1] + b"%d" % (int(m[2]) - seconds), head)
    data = head.replace(f"Id: {old}".encode(), f"Id: {new}".encode(), 1) + blank + body
    data += f"End: {len(body):020d} {crc32c(as_committed(data)):08x} {new}\n".encode()
    with open(paths[0], "r+b") as f:
        f.write(data)
        f.truncate()
    for path in paths:
        log = path.with_name(old + ".log")
        if log.exists():
            log.rename(path.with_name(new + ".log"))
        path.rename(path.with_name(new))


def lane_files(spool):
    """What is in the lanes; a lane may be removed while we look."""
    for lane in list((spool / "lane").glob("*")):
        try:
            yield from list(lane.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            pass


def messages(spool):
    """Queued messages: paths lane/<lane>/<id>."""
    return sorted(p for p in lane_files(spool) if len(p.name) == 20)


def elapse(spool, seconds):
    """
    As if so much time had passed for all that is queued, and for what was learned of hosts: arrivals, times
    that senders asked for, ids, waits of messages and lanes. No relay may be at work.
    """
    assert seconds > 0
    names = {}
    for path in sorted((spool / "lane").glob("*/*")):
        if len(path.name) == 20:
            names.setdefault(path.name, []).append(path)
        elif path.name == "@retry" or path.name.endswith(".log"):
            set_back(path, seconds)
    for paths in names.values():
        rename_to_past(paths, seconds)
    for path in (spool / "hosts").glob("*"):
        if not path.name.endswith(".tls"):
            when = path.stat().st_mtime
            path.write_text(KNOWN.sub(lambda m: f"{m[1]} {int(m[2]) - seconds}", path.read_text()))
            os.utime(path, (when, when))
        set_back(path, seconds)
