"""The status page, /metrics and the file for node_exporter: what they tell is what was done, and who asks cannot do harm."""
import html.parser
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import pytest

from client import Client, pair
from conftest import TOP
from patience import PATIENCE, until
from peers import PEERS

FIELD = PEERS / "field" / "usr" / "lib" / "python3" / "dist-packages"
HEAD = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n"
OPEN = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n"


class Reply:
    def __init__(self, octets):
        head, _, body = octets.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1]) if octets else 0
        self.fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        self.body = body.decode()


@pytest.fixture
def page(postern):
    """Asks, over a connection that somebody accepted."""

    def connect():
        ours, theirs = pair()
        with theirs:
            return Client(ours, postern.start(theirs, theirs, program="postern-status"))

    def ask(request, target=None):
        c = connect()
        c.send(request if target is None else HEAD.format(target, request))
        said = c.rest()
        assert c.end() == 0
        return Reply(said)

    ask.connect = connect
    return ask


def printed(postern, *arguments):
    p = subprocess.run(postern.command("postern-status", *arguments), stdout=subprocess.PIPE, env=postern.environment(),
                       check=True, timeout=PATIENCE)
    return p.stdout.decode()


def counters(postern):
    p = subprocess.run(postern.command("smtpd", "--counters"), stdout=subprocess.PIPE, env=postern.environment(), check=True)
    return {k: int(v) for k, v in (line.split() for line in p.stdout.decode().splitlines())}


@pytest.fixture
def busy_day(postern, world):
    """Two messages delivered, one returned, two that wait in a lane whose host is away, one that was not taken."""
    world.domain("dest.example")
    postern.settings["retry"] = "1h"
    world.zone[("away.example", "MX")] = ["10 mx.away.example."]
    world.zone[("mx.away.example", "A")] = ["127.0.0.77"]
    world.sink.say["RCPT"] = lambda line: "550 5.1.1 <script>alert(1)</script>" if "never" in line else "250 2.1.5 Ok"
    postern.send(["u@dest.example", "v@dest.example"])
    postern.send("never@dest.example")
    for _ in range(2):
        postern.send("u@away.example")
    postern.send("u@[not an address]")
    postern.settled(2)
    return postern


def metrics(text):
    """{(name, labels): value} of the older format."""
    rows = re.findall(r'^(\w+)(\{[^}]*\})? (\S+)$', text, re.M)
    assert len(rows) == len([line for line in text.splitlines() if not line.startswith("#")])
    return {(name, labels): float(value) for name, labels, value in rows}


# ---- metrics

def test_metrics_are_the_counters(busy_day, page):
    """All of them, under their names, and the queue by lane."""
    known = counters(busy_day)
    found = metrics(page("", "/metrics").body)
    for name, value in known.items():
        if (m := re.fullmatch(r"(\w+)_(le_(\w+)|sum)", name)) is not None:
            continue
        family = re.fullmatch(r"(refused|lanes_deferred|deferred|bounced)_(?!4yz|5yz)(\w+)", name)
        label = "reason" if family and family[1] == "refused" else "class"
        key = (f"postern_{family[1]}_total", f'{{{label}="{family[2]}"}}') if family else (f"postern_{name}_total", "")
        assert found[key] == value, name
    for name in ("session_time", "queue_time", "delivery_time"):
        assert found[f"postern_{name}_seconds_count", ""] == known[f"{name}_le_inf"]
        assert found[f"postern_{name}_seconds_sum", ""] == known[f"{name}_sum"] / 1000
        for i in range(30):
            assert found[f"postern_{name}_seconds_bucket", f'{{le="{2 ** i / 1000:.3f}"}}'] == known[f"{name}_le_{2 ** i}"]
    assert found["postern_delivered_total", ""] == 3 # two, and the report
    assert found["postern_queue_messages", ""] == 2 and found["postern_queue_lanes", ""] == 1
    assert found["postern_lane_messages", '{lane="away.example"}'] == 2
    assert found["postern_queue_lanes_down", ""] == 1 and found["postern_lane_failures", '{lane="away.example"}'] >= 1
    assert 0 <= found["postern_lane_oldest_seconds", '{lane="away.example"}'] <= PATIENCE
    assert 0 < found["postern_lane_next_try_seconds", '{lane="away.example"}'] <= 3600
    assert sum(v for (name, _), v in found.items() if name == "postern_queue_age_messages") == 2
    assert found["postern_spool_free_bytes", ""] > 0


def test_held(busy_day, page):
    """What is held is counted, by itself: in the metrics, on the page once there is any, and in a file."""
    assert "held" not in Checked(page("", "/").body).text
    ident = busy_day.messages()[0].name
    p = subprocess.run(busy_day.command("postern", "hold", ident), env=busy_day.environment(), check=False, timeout=PATIENCE)
    assert p.returncode == 0
    found = metrics(page("", "/metrics").body)
    assert found["postern_queue_messages", ""] == 1 and found["postern_queue_held_messages", ""] == 1
    assert 0 <= found["postern_queue_held_oldest_seconds", ""] < 24 * 3600
    text = " ".join(" ".join(Checked(page("", "/").body).text).split())
    assert "1 waiting" in text and "1 held" in text
    assert "postern_queue_held_messages 1\n" in printed(busy_day, "--metrics")


@pytest.mark.parametrize("accept, kind, parser", [
    (OPEN, "application/openmetrics-text; version=1.0.0; charset=utf-8", "prometheus_client.openmetrics.parser"),
    ("", "text/plain; version=0.0.4; charset=utf-8", "prometheus_client.parser"),
    ("Accept: text/html\r\n", "text/plain; version=0.0.4; charset=utf-8", "prometheus_client.parser"),
])
def test_formats(busy_day, page, accept, kind, parser):
    """The one that was asked for; another's parser takes it."""
    if not FIELD.exists():
        pytest.skip("needs python3-prometheus-client; tests/tools/need check unpacks it")
    reply = page(accept, "/metrics")
    assert reply.status == 200 and reply.fields["content-type"] == kind
    assert reply.body.endswith("# EOF\n") == (accept == OPEN)
    program = (f"import json, sys, {parser} as p\n"
               "print(json.dumps([[f.name, f.type, f.documentation, len(f.samples)]"
               " for f in p.text_string_to_metric_families(sys.stdin.read())]))")
    p = subprocess.run([sys.executable, "-c", program], input=reply.body, stdout=subprocess.PIPE, text=True, check=True,
                       env={**os.environ, "PYTHONPATH": str(FIELD)})
    families = json.loads(p.stdout)
    assert len(families) > 40 and len({f[0] for f in families}) == len(families)
    assert all(f[2] and f[3] for f in families)
    kinds = {f[1] for f in families}
    assert {"counter", "gauge", "histogram"} <= kinds and "unknown" not in kinds and "untyped" not in kinds


def test_examples_name_what_there_is(busy_day, page):
    """Alerts, dashboard and document: no metric that there is not; and the dashboard is JSON."""
    said = page("", "/metrics").body
    found = {name for name, _ in metrics(said)} | set(re.findall(r"^# TYPE (\w+) ", said, re.M))
    texts = {p: p.read_text() for p in (TOP / "units" / "monitoring").iterdir()}
    texts["doc"] = (TOP / "docs" / "MONITORING.md").read_text()
    for path, text in texts.items():
        named = set(re.findall(r"\bpostern_[a-z0-9_]+(?![\w*])", text)) - {"postern_"}
        assert named <= found, (path, named - found)
    dashboard = json.loads(texts[TOP / "units" / "monitoring" / "grafana.json"])
    assert len(dashboard["panels"]) > 8


@pytest.fixture
def promtool():
    path = PEERS / "prometheus" / "usr" / "bin" / "promtool"
    if not path.exists():
        pytest.skip("needs promtool; make check-field unpacks it")

    def run(*arguments, text=""):
        p = subprocess.run([path, *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=4 * PATIENCE, check=False)
        assert p.returncode == 0, p.stdout
        return p.stdout

    return run


def test_promtool(busy_day, page, promtool, where):
    """It has nothing to say against what is scraped and what is written; rules and the job are as it wants them."""
    assert promtool("check", "metrics", text=page("", "/metrics").body) == ""
    rules = TOP / "units" / "monitoring" / "postern.rules.yml"
    assert f"{rules.read_text().count('- alert:')} rules found" in promtool("check", "rules", str(rules))
    shutil.copy(rules, where)
    shutil.copy(TOP / "units" / "monitoring" / "prometheus.yml", where)
    assert "SUCCESS" in promtool("check", "config", str(where / "prometheus.yml"))


def test_textfile(busy_day, page, where):
    """For node_exporter: whole, readable by others, and nothing else is left there."""
    directory = where / "textfile"
    directory.mkdir()
    os.chown(directory, *((65534, 65534) if os.geteuid() == 0 else (-1, -1)))
    for _ in range(2):
        printed(busy_day, "--textfile", str(directory))
    [file] = directory.iterdir()
    assert file.name == "postern.prom" and stat.S_IMODE(file.stat().st_mode) == 0o644
    assert metrics(file.read_text())["postern_queue_messages", ""] == 2
    p = subprocess.run(busy_day.command("postern-status", "--textfile", str(where / "none")), stderr=subprocess.PIPE,
                       env=busy_day.environment(), check=False)
    assert p.returncode == 73 and b"postern.prom: No such file" in p.stderr


def test_link_in_the_directory_is_not_followed(busy_day, where):
    """Who else may write there cannot have us write elsewhere."""
    directory, other = where / "textfile", where / "other"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    other.write_text("theirs")
    other.chmod(0o666)
    (directory / ".postern.prom.new").symlink_to(other)
    printed(busy_day, "--textfile", str(directory))
    assert other.read_text() == "theirs" and not (directory / "postern.prom").is_symlink()


# ---- the page

class Checked(html.parser.HTMLParser):
    """Each element is closed in its turn."""

    VOID = {"meta", "rect"}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID and not (tag == "path" or self.get_starttag_text().endswith("/>")):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page(busy_day, page):
    """One page without a script and with nothing from elsewhere; it says how things are."""
    reply = page("", "/")
    assert reply.status == 200 and reply.fields["content-type"] == "text/html; charset=utf-8"
    assert int(reply.fields["content-length"]) == len(reply.body.encode())
    assert "default-src 'none'" in reply.fields["content-security-policy"]
    seen = Checked(reply.body)
    tags = {tag for tag, _ in seen.seen}
    assert {"svg", "table", "style"} <= tags and not tags & {"script", "img", "link", "iframe", "object"}
    assert not [a for _, a in seen.seen for k in a if k.startswith("on")]
    assert [a["href"] for _, a in seen.seen if "href" in a] == ["/metrics"]
    text = " ".join(" ".join(seen.text).split())
    assert "Postern on mx.test.example" in text and "2 waiting" in text and "1 failed" in text
    assert re.search(r"away\.example 2 \d+ \w+ .* down, \d+ tries", text), text
    assert "failed: host 5yz" in text and "systemctl enable --now postern-status.timer" in text
    assert "prefers-color-scheme:dark" in reply.body


def test_samples(busy_day, page):
    """The day's chart: what came between two samples, at their time; those of another day are not of this one."""
    printed(busy_day, "--sample")
    ring = busy_day.runtime / "status-1"
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    octets = ring.read_bytes()
    size, minute = 64, max(i for i in range(0, len(octets), 64) if any(octets[i:i + 64])) // 64
    assert len(octets) <= 1440 * size
    sample = octets[minute * size:(minute + 1) * size]
    fields = [int.from_bytes(sample[i:i + 8], sys.byteorder) for i in range(0, size, 8)]
    assert fields[1:] == [5, 4, fields[3], 3, fields[5], 1, 2], fields
    before = (minute - 2) % 1440
    older = [fields[0] - 120, 5, 1, 0, 0, 0, 0, 0]
    with open(ring, "r+b") as f:
        f.seek(before * size)
        f.write(b"".join(n.to_bytes(8, sys.byteorder) for n in older))
        f.seek((minute - 300) % 1440 * size)
        f.write((fields[0] - 300 * 60 - 86400).to_bytes(8, sys.byteorder) + b"\xff" * 56)
    seen = page("", "/").body
    assert "over 24 hours" in seen and "There are no samples" not in seen
    [line] = re.findall(r'<path class="line good" d="([^"]*)"', seen)
    assert line.count("M") == 1 and line.endswith("h0") # one point, of three deliveries
    assert printed(busy_day, "--page").count("<svg") == seen.count("<svg")


def test_lock_that_cannot_be_written(busy_day, page):
    """S13: of a spool that turned read-only, or has a file of another owner, what waits is counted all the same; and
    what cannot be looked at is not nothing."""
    lane = busy_day.spool / "lane" / "away.example"
    (lane / "@lock").chmod(0o400)
    found = metrics(page("", "/metrics").body)
    assert found["postern_queue_messages", ""] == 2 and found["postern_queue_readable", ""] == 1
    lane.chmod(0)
    try:
        assert metrics(page("", "/metrics").body)["postern_queue_readable", ""] == 0
    finally:
        lane.chmod(0o700)


def test_nothing_is_there(postern, page):
    """Before the first message: a page all the same, that says what is missing."""
    reply = page("", "/")
    assert reply.status == 200 and "nothing was counted since the last boot" in reply.body
    found = metrics(page("", "/metrics").body)
    assert found["postern_counters_readable", ""] == 0 and found["postern_queue_messages", ""] == 0
    postern.spool.chmod(0o777)
    assert metrics(page("", "/metrics").body)["postern_queue_readable", ""] == 0
    Checked(page("", "/").body)


# ---- who asks

@pytest.mark.parametrize("request_, status", [
    ("GET /metrics HTTP/1.0\r\n\r\n", 200),
    ("GET /metrics HTTP/1.0\n\n", 200),
    ("GET /metrics?x=y HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
    ("GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: MX.test.example\r\n\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nGET / HTTP/1.1\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + "y" * 3000 + "\r\n\r\n", 200),
    ("GET /etc/passwd HTTP/1.0\r\n\r\n", 404),
    ("GET /../../etc/passwd HTTP/1.0\r\n\r\n", 404),
    ("GET /metrics/ HTTP/1.0\r\n\r\n", 404),
    ("GET /" + "x" * 100 + " HTTP/1.0\r\n\r\n", 404),
    ("GET  HTTP/1.0\r\n\r\n", 400),
    ("GET /\r\n\r\n", 400),
    ("GET\r\n\r\n", 400),
    ("\r\n\r\n", 400),
    ("\x16\x03\x01\x02\n\n", 400),
    ("EHLO x\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400), # without Host
    ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n: localhost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421), # a page that resolves its name to us
    ("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 421),
    ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
    ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("get / HTTP/1.0\r\n\r\n", 405),
    ("GET / HTTP/1.2\r\n\r\n", 505),
    ("GET /" + "x" * 9000 + " HTTP/1.0\r\n\r\n", 431),
    ("GET / HTTP/1.0\r\n" + "X: y\r\n" * 2000, 431),
])
def test_requests(page, request_, status):
    """What is asked for, or a refusal, once, and the connection ends."""
    reply = page(request_)
    assert reply.status == status
    assert reply.fields["connection"] == "close" and int(reply.fields["content-length"]) == len(reply.body.encode())
    assert ("allow" in reply.fields) == (status == 405)


def test_head(page):
    """The length of what GET has, and no body."""
    reply = page("HEAD /metrics HTTP/1.0\r\n\r\n")
    assert reply.status == 200 and reply.body == "" and int(reply.fields["content-length"]) > 500


def test_pipeline(page):
    """One is answered, however many are sent."""
    assert page(HEAD.format("/metrics", "") * 50).body.count("postern_build_info{") == 1


def test_octets_in_turn(page):
    """A client may take its time, within bounds."""
    c = page.connect()
    for octet in "GET /metrics HTTP/1.0\r\n\r\n":
        c.send(octet)
    assert Reply(c.rest()).status == 200
    assert c.end() == 0


def test_silence(page):
    """Who says nothing more, or nothing at all, is let go: with 408, after ten seconds in all."""
    clients = page.connect(), page.connect()
    clients[1].send("GET / HTTP/1.1\r\nHost: loc")
    for c in clients:
        assert Reply(c.rest()).status == 408
        assert c.end() == 0


def test_gone(page):
    """A client that never asked has no answer, and leaves nothing."""
    c = page.connect()
    assert c.end() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look at another's process")
def test_locked_in(postern, page):
    """M8: before a word is read: a filter of system calls, no privilege, no file."""
    if postern.watched("postern-status"):
        pytest.skip("a build that is not locked in")
    c = page.connect()
    process = pathlib.Path(f"/proc/{c.process.pid}")
    until(lambda: all(line in (process / "status").read_text() for line in (
        "Name:\tpostern-status", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Seccomp:\t2")))
    held = {os.readlink(fd).partition(":")[0] for fd in (process / "fd").iterdir() if int(fd.name) > 2}
    assert held <= {"socket"}
    c.send(HEAD.format("/metrics", ""))
    assert Reply(c.rest()).status == 200
    assert c.end() == 0
