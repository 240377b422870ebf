"""Postern as systemd runs it: the shipped units, by `make install`, under a real PID 1."""
import base64
import contextlib
import errno
import json
import os
import pwd
import re
import shlex
import shutil
import socket
import ssl

import pytest

import client
import internet
import locked
import patience
import sysd_host
import sysd_machine
from sysd_host import mail, sink  # noqa: F401

sysd_host.need_root("systemd-nspawn", "unshare", "nsenter")

wait = patience.until
LISTENERS = {"submission": 587, "submissions": 465, "lan": 2525}
UNITS = ["postern.socket", "postern@1.service", "postern-due.timer", "postern-due.service", "postern-due@1.service",
         "postern-now.service", "postern-now@1.service", "postern-status.socket", "postern-status@1.service",
         "postern-status.timer", "postern-status.service",
         *(f"postern-{name}{unit}" for name in LISTENERS for unit in (".socket", "@1.service"))]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with sysd_machine.booted(tmp_path_factory.mktemp("machine")) as m:
        yield m


@pytest.fixture(scope="module")
def host(machine):
    """Its name in sysd_host."""
    return machine


@pytest.fixture
def untimed(machine):
    """The timer starts nothing meanwhile, and what it has started is over. It stays so until a test starts it."""
    machine.systemctl("stop", "postern-due.timer")
    wait(lambda: not machine.systemctl("list-units", "--plain", "--no-legend", "--state=activating,active,deactivating",
                                       "postern-due.service", "postern-due@*.service"))


def queue_id(reply):
    return re.search(r"[0-9a-z]{20}", reply)[0]


def test_units_are_in_order(machine):
    """`systemd-analyze verify` has nothing to say, and what the comments promise is in force."""
    assert machine.run("systemd-analyze", "verify", *UNITS) == ""
    for unit in ("postern.socket", "postern-due.timer"):
        assert machine.show(unit, "ActiveState") == "active"
        assert machine.systemctl("is-enabled", unit).strip() == "enabled"
    for unit in ("postern@1.service", "postern-due.service", "postern-due@1.service", "postern-now.service",
                 "postern-now@1.service"):
        assert machine.show(unit, "KillMode") == "process" # I6
        assert machine.show(unit, "User") == "postern"
        assert machine.show(unit, "LimitCORE") == "0"
        assert machine.show(unit, "CapabilityBoundingSet") == ""
        # What would make each connection several times as expensive (DESIGN: cost of options).
        for name in ("PrivateTmp", "PrivateDevices", "DynamicUser", "ProtectKernelTunables",
                     "ProtectHome", "ProtectSystem", "SystemCallFilter"):
            assert machine.show(unit, name) in ("no", "", "~"), name
    assert machine.show("postern.socket", "TriggerLimitIntervalUSec") == "0" # I1


def test_spool_belongs_to_postern_alone(machine):
    """sysusers.d and tmpfiles.d as shipped; spool_open refuses anything looser."""
    assert machine.run("stat", "-c", "%U:%G %a", "/var/spool/postern") == "postern:postern 700\n"


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
def test_swaks_delivers_and_nothing_is_left(machine, sink):
    """A message through port 25 arrives; then no process, no unit and no lane of ours is left."""
    said = machine.run("swaks", "--server", "127.0.0.1", "--from", "a@sender.example", "--to",
                       "u@dest.example", "--body", "by swaks")
    assert "250 2.0.0" in said
    assert wait(lambda: sink.messages)
    assert b"by swaks" in sink.messages[0].data
    assert b"by mx.test.example with ESMTP id" in sink.messages[0].data
    assert machine.at_rest()
    assert wait(lambda: machine.instances() == [])
    assert list((machine.root / "var/spool/postern/lane").iterdir()) == []


def test_ipv6_loopback_is_served(machine, sink):
    """The second ListenStream= of the unit."""
    with machine.network():
        s = socket.create_connection(("::1", 25), patience.PATIENCE)
    with s:
        assert s.recv(200).startswith(b"220 mx.test.example ")


def test_relay_outlives_smtpd(machine, untimed, sink):
    """I6: smtpd ends with QUIT, its unit too; the relay waits for a slow host and finishes."""
    before = sink.connections
    with sink.held("END", "250 2.0.0 taken"):
        machine.send("u@dest.example", "slow")
        assert wait(lambda: not machine.ours("smtpd"))
        assert wait(lambda: machine.show("postern.socket", "NConnections") == "0")
        sink.wait_connections(before + 1)
        relays = machine.ours("relay") # at work, and the one that watches it
        assert len(relays) == 2 and not sink.messages
        loaded = [relay.pid for relay in relays if "/libsystemd.so" in relay.maps()]
        assert loaded == [relay.pid for relay in at_work(machine)] # who watches writes little
        # They are still in the cgroup of the connection's unit, so limits of the unit hold.
        assert all("postern@" in relay.cgroup for relay in relays)
    assert wait(lambda: sink.messages)
    assert machine.at_rest()


def test_environment_is_cleared(machine, untimed, sink):
    """J17: an LD_PRELOAD of the whole system reaches neither smtpd nor relay --due."""
    names = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT")
    machine.systemctl("set-environment", *(f"{n}=/nonexistent/{n}" for n in names))
    try:
        assert "LD_PRELOAD=/nonexistent" in machine.systemctl("show-environment")
        with machine.connect() as s:
            assert s.recv(200).startswith(b"220 ")
            found = wait(lambda: len(both := machine.ours("smtpd")) == 2 and both) # monitor and session
        for p in found:
            assert not [e for e in p.environment if e.startswith("LD_")]
        # The loader says so on standard error when it cannot preload.
        make_lane(machine)
        machine.systemctl("start", "postern-due.service")
        assert wait(lambda: not lanes(machine))
        assert "nonexistent" not in machine.journal("-u", "postern-due*")
    finally:
        machine.systemctl("unset-environment", *names)


def make_lane(machine):
    """An empty lane, as a relay leaves it that was killed after its last message."""
    lane = "/var/spool/postern/lane"
    machine.run("setpriv", "--reuid=postern", "--regid=postern", "--clear-groups",
                "mkdir", "-p", "-m", "700", lane, lane + "/left.example")


def lanes(machine):
    return list((machine.root / "var/spool/postern/lane").glob("*"))


def test_due_is_skipped_while_nothing_is_queued(machine, untimed, sink):
    """The condition of the unit: for an empty spool nothing is started but what looks."""
    assert wait(lambda: not lanes(machine))
    machine.systemctl("start", "postern-due.service")
    assert machine.show("postern-due.service", "Result") == "exec-condition"
    assert machine.show("postern-due.service", "ActiveState") == "inactive"
    make_lane(machine)
    machine.systemctl("start", "postern-due.service")
    assert machine.show("postern-due.service", "Result") == "success"
    assert wait(lambda: not lanes(machine))


def deferred(machine, sink, text):
    """A message that waits for the timer."""
    before = sink.connections
    sink.say["RCPT"] = "450 4.2.0 not yet"
    machine.send("u@dest.example", text)
    assert wait(lambda: sink.connections > before and not machine.ours() and len(machine.queued()) == 1)
    assert not sink.messages
    sink.say.clear()


def at_work(machine):
    relays = machine.ours("relay")
    return [p for p in relays if "--login" in p.words and p.parent in [other.pid for other in relays]]


def test_relays_of_the_timer_are_in_nobodys_way(machine, untimed, sink):
    """S23: while one of them works, the timer rings for it; systemd finds nothing left over."""
    deferred(machine, sink, "slow")
    with sink.held("RCPT", "250 2.1.5 ok"):
        # The first start may come before the message is due.
        before = sink.connections
        wait(lambda: machine.systemctl("start", "postern-due.service") == "" and sink.connections > before)
        [relay] = wait(lambda: len(found := at_work(machine)) == 1 and found)
        wait(lambda: len(machine.ours("relay")) == 2) # who rang for it has ended
        assert "postern-due@" in relay.cgroup
        before = {p.pid for p in machine.ours("relay")}
        make_lane(machine)
        for _ in range(3):
            machine.systemctl("start", "postern-due.service")
        assert wait(lambda: len(lanes(machine)) == 1) # the one made here is gone
        assert wait(lambda: {p.pid for p in machine.ours("relay")} == before)
    assert wait(lambda: sink.messages)
    assert machine.at_rest()
    assert "left-over process" not in machine.journal("-u", "postern-due*")
    assert wait(lambda: not machine.systemctl("list-units", "--all", "--plain", "--no-legend", "postern-due@*"))


def test_spool_elsewhere(machine, untimed, sink):
    """S12: moved as docs/RUNNING.md says, with a message in it; the timer finds it there."""
    path = machine.root / "etc/postern/postern.conf"
    before = path.read_text()
    deferred(machine, sink, "moved")
    machine.run("sh", "-ec", "systemctl stop postern.socket postern-due.timer; mkdir -p /srv; "
                "mv /var/spool/postern /srv/mail; systemd-tmpfiles --create postern.conf")
    path.write_text(before + "spool = /srv/mail\n")
    try:
        assert " error: " not in machine.run("/usr/libexec/postern/smtpd", "--check")
        machine.systemctl("start", "postern.socket", "postern-due.timer")
        assert wait(lambda: machine.systemctl("start", "postern-due.service") == "" and sink.messages)
        assert b"moved" in sink.messages[0].data
        machine.send("u@dest.example", "new")
        assert wait(lambda: len(sink.messages) == 2)
        assert wait(lambda: not machine.ours())
        assert not lanes(machine)
    finally:
        path.write_text(before)
        machine.run("rm", "-rf", "/srv/mail")


HOOKS = ["NetworkManager/dispatcher.d/50-postern", "networkd-dispatcher/routable.d/50-postern"]


@pytest.mark.parametrize("hook", HOOKS)
def test_network_is_back(machine, untimed, sink, hook):
    """L33: the hook that is called then starts a unit of its own, which delivers what waits."""
    sink.say["GREETING"] = "421 4.3.2 not now"
    before = machine.journal().count("next try")
    machine.send("u@dest.example", "waits")
    assert wait(lambda: machine.journal().count("next try") > before and not machine.ours("relay"))
    del sink.say["GREETING"]
    words = ["eth0", "up"] if hook.startswith("NetworkManager") else []
    machine.run("/usr/lib/" + hook, *words)
    assert wait(lambda: sink.messages)
    assert "--now" in machine.show("postern-now@1.service", "ExecStart")
    assert wait(lambda: "Finished" in machine.journal("-u", "postern-now.service"))
    assert machine.at_rest()


def test_network_is_back_twice(machine, untimed, sink):
    """S23: a hook that is called again while what it started is at work finds nothing left over, either."""
    deferred(machine, sink, "slow")
    with sink.held("RCPT", "250 2.1.5 ok"):
        machine.run("/usr/lib/" + HOOKS[1])
        [relay] = wait(lambda: at_work(machine))
        assert "postern-now@" in relay.cgroup
        for _ in range(3):
            machine.systemctl("start", "postern-now.service")
        wait(lambda: len(machine.ours("relay")) == 2) # who rang for it has ended
        assert [p.pid for p in at_work(machine)] == [relay.pid]
    assert wait(lambda: sink.messages)
    assert machine.at_rest()
    assert "left-over process" not in machine.journal("-u", "postern-now*")
    assert wait(lambda: not machine.systemctl("list-units", "--all", "--plain", "--no-legend", "postern-now@*"))


def test_due_sweeps(machine, untimed, sink):
    """J14: what a killed session left in tmp/ is swept although no lane is there."""
    machine.send("u@dest.example")
    assert machine.at_rest() and wait(lambda: not lanes(machine))
    left = machine.root / "var/spool/postern/tmp/left"
    machine.run("setpriv", "--reuid=postern", "--regid=postern", "--clear-groups", "touch", "-d",
                "2 hours ago", "/var/spool/postern/tmp/left")
    assert left.exists()
    machine.systemctl("start", "postern-due.service")
    wait(lambda: not left.exists())


def test_timer_looks_every_minute(machine):
    """As shipped: the next start is never more than 1 min 10 s away."""
    shown = machine.show("postern-due.timer", "TimersMonotonic")
    assert "OnUnitInactiveUSec=1min" in shown and "OnBootUSec=30s" in shown
    assert machine.show("postern-due.timer", "AccuracyUSec") == "10s"
    assert machine.show("postern-due.timer", "Triggers") == "postern-due.service"


def test_timer_delivers_what_was_deferred(machine, sink):
    """A 450 leaves the message queued; the timer, here a faster one, brings it home."""
    where = machine.root / "etc/systemd/system/postern-due.timer.d"
    where.mkdir()
    (where / "fast.conf").write_text("[Timer]\nOnUnitInactiveSec=\nOnActiveSec=1s\n"
                                     "OnUnitInactiveSec=1s\nAccuracySec=100ms\n")
    try:
        deferred(machine, sink, "later")
        machine.systemctl("daemon-reload")
        machine.systemctl("restart", "postern-due.timer")
        assert wait(lambda: sink.messages)
        assert b"later" in sink.messages[0].data
        # Skipped starts do not stop it: with an empty spool it goes on looking.
        assert machine.at_rest()
        last = machine.show("postern-due.timer", "LastTriggerUSecMonotonic")
        assert wait(lambda: machine.show("postern-due.timer", "LastTriggerUSecMonotonic") != last)
        assert wait(lambda: machine.show("postern-due.service", "Result") == "exec-condition")
    finally:
        shutil.rmtree(where)
        machine.systemctl("daemon-reload")
        machine.systemctl("restart", "postern-due.timer")


@pytest.fixture
def late(machine, sink):
    """late.example, which does not greet until the test is over: a relay that waits for it does not end."""
    with machine.network():
        late = internet.Sink("127.0.0.3", 25)
    sink.zone["late.example", "MX"] = ["10 mx.late.example."]
    sink.zone["mx.late.example", "A"] = ["127.0.0.3"]
    with late.held("GREETING", "220 at last"):
        yield late
    assert machine.at_rest()
    late.close()


def test_journal_tells_the_story(machine, sink, late):
    """The fields of a message's life, by its queue id alone. Whose unit wrote an entry journald looks up when it
    reads it, so who wrote is still there then."""
    with machine.client() as client:
        with sink.held("END", "250 2.0.0 taken"):
            ident = queue_id(sysd_host.hand_over(client, "u@dest.example", "story", "s@sender.example"))
            machine.send("u@late.example")
            late.wait_connections(1)

        def entries():
            lines = machine.journal("-o", "json", f"POSTERN_QUEUE_ID={ident}").splitlines()
            return {e["POSTERN_EVENT"]: e for e in map(json.loads, lines)}

        assert wait(lambda: {"accepted", "delivered"} <= set(entries())), entries()
    accepted, delivered = entries()["accepted"], entries()["delivered"]
    assert accepted["POSTERN_SENDER"] == "s@sender.example"
    assert accepted["SYSLOG_IDENTIFIER"] == "smtpd"
    assert delivered["POSTERN_RECIPIENT"] == "u@dest.example"
    assert delivered["SYSLOG_IDENTIFIER"] == "relay"
    assert "127.0.0.2" in delivered["POSTERN_RELAY"]
    # journald says itself which unit it was, for the relay too: `journalctl -u 'postern@*'`.
    assert accepted["_SYSTEMD_UNIT"] == delivered["_SYSTEMD_UNIT"]
    assert accepted["_SYSTEMD_UNIT"].startswith("postern@")


def test_postern_tells_the_story(machine, sink):
    """The same by `postern trace`, as root and as who may read no journal; `postern doctor` finds the units well."""
    ident = queue_id(machine.send("u@dest.example", "traced", "s@sender.example"))
    assert wait(lambda: sink.messages)
    assert machine.at_rest()

    def told(*words):
        machine.run("journalctl", "--sync")
        return json.loads(machine.run("postern", "trace", "--json", *words))
    assert wait(lambda: [e["event"] for e in told(ident)["events"]][-1:] == ["delivered"])
    assert told(ident)["events"][0]["event"] == "accepted" and told(ident)["queue"] == []
    assert ident in machine.run("postern", "trace", "s@sender.example")
    sent = json.loads(machine.run("postern", "test", "--json", "--from", "s@sender.example", "u@dest.example"))
    assert sent["state"] == "delivered" and sent["events"][-1]["event"] == "delivered"
    assert machine.at_rest()
    said = machine.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "postern", "trace", ident,
                       check=False)
    assert "this user" in said

    def examined():
        return [json.loads(line) for line in machine.run("postern", "doctor", "--json", check=False).splitlines()]
    machine.systemctl("stop", "postern-due.timer")
    try:
        ill = [line for line in examined() if (line["check"], line["state"]) == ("units", "fail")]
    finally:
        machine.systemctl("start", "postern-due.timer")
    assert len(ill) == 1 and ill[0]["advice"] == '"systemctl enable --now postern-due.timer"', ill
    found = examined()
    states = {(line["check"], line["state"]) for line in found}
    assert ("units", "ok") in states and ("limits", "ok") in states and ("listener", "ok") in states, found
    assert not {("units", "fail"), ("units", "warn"), ("programs", "fail")} & states, found


def test_who_wrote_it(machine, sink):
    """A user of this host writes to the journal under our names. Neither `postern trace` nor the filter of fail2ban takes
    that for ours; what smtpd says of a client they do."""
    ident = queue_id(machine.send("u@dest.example", "forged", "s@sender.example"))
    assert wait(lambda: sink.messages)
    assert machine.at_rest()
    refused, bounced = 'refused [192.0.2.99]: "FOO": 421 4.7.0 mx Error: too many errors', f"{ident}: bounced <u@dest.example>"
    for fields in ({"MESSAGE": refused, "SYSLOG_IDENTIFIER": "smtpd", "POSTERN_CLIENT": "[192.0.2.99]"},
                   {"MESSAGE": bounced, "SYSLOG_IDENTIFIER": "relay", "POSTERN_EVENT": "bounced", "POSTERN_QUEUE_ID": ident,
                    "POSTERN_RECIPIENT": "u@dest.example"}):
        lines = "\n".join(f"{name}={value}" for name, value in fields.items())
        machine.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c",
                    'printf "%s\\n" "$0" | logger --journald', lines)
    seen = f"_UID={pwd.getpwnam('nobody').pw_uid}"
    assert wait(lambda: all(text in machine.journal("-o", "cat", seen) for text in (refused, bounced)))
    told = wait(lambda: "delivered <u@dest.example>" in (text := machine.run("postern", "trace", ident)) and text)
    assert "bounced" not in told and "bounced" not in machine.run("postern", "trace", "u@dest.example")
    filter_ = (sysd_host.TOP / "units/fail2ban/filter.d/postern.conf").read_text()
    match = shlex.split(re.search(r"^journalmatch = (.*)$", filter_, re.M)[1])
    with machine.connect() as client_:
        client_.sendall(b"WHO\r\n") # and it stays, so that journald can see which unit it is
        assert wait(lambda: 'refused [127.0.0.1]: "WHO"' in machine.journal("-o", "cat", *match))
    assert "192.0.2.99" not in machine.journal("-o", "cat", *match)


def test_journal_explains(machine, sink):
    """`journalctl -x` has a text for what happened, with the values of this event in it."""
    ident = queue_id(machine.send("u@dest.example", "explained", "s@sender.example"))
    assert wait(lambda: sink.messages)
    assert machine.at_rest()
    machine.run("journalctl", "--update-catalog")
    said = wait(lambda: "Subject: A message was accepted" in (text := machine.journal("-x", f"POSTERN_QUEUE_ID={ident}"))
                and "Subject: Mail was delivered" in text and text)
    assert "What to do" in said
    assert f"took the message {ident} for <u@dest.example>" in " ".join(said.replace("\u2591\u2591", "").replace("--", "").split())
    listed = machine.run("journalctl", "--no-pager", "--list-catalog")
    assert listed.count("Postern:") > 30


def test_status_page(machine, sink):
    """A request on loopback is answered by a process of its own, as the user of the service; the timer has samples taken."""
    machine.send("u@dest.example", "counted")
    assert wait(lambda: sink.messages)
    machine.systemctl("start", "postern-status.socket", "postern-status.service")
    ask = ("import socket; c = socket.create_connection(('127.0.0.1', int('9' '025')));"
           "c.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n');"
           "print(b''.join(iter(lambda: c.recv(65536), b'')).decode())")
    said = machine.run("python3", "-c", ask)
    assert said.startswith("HTTP/1.1 200 OK\r\n") or said.startswith("HTTP/1.1 200 OK\n")
    assert "postern_counters_readable 1\n" in said and "postern_queue_readable 1\n" in said
    assert float(re.search(r"^postern_messages_accepted_total (\d+)$", said, re.M)[1]) >= 1
    assert machine.run("stat", "-c", "%U %a", "/run/postern/status-1") == "postern 600\n"
    assert machine.show("postern-status.service", "Result") == "success"
    assert wait(lambda: machine.show("postern-status.socket", "NConnections") == "0")


def test_own_address_is_recognised(machine, sink):
    """G: the unit must leave the relay AF_NETLINK, or it delivers to this host itself."""
    machine.run("ip", "address", "add", "9.9.9.9/32", "dev", "lo") # this network has no other
    sink.zone[("loop.example", "MX")] = ["10 mx.loop.example."]
    sink.zone[("mx.loop.example", "A")] = ["9.9.9.9"]
    with machine.network():
        ourselves = internet.Sink("9.9.9.9", 25)
    try:
        ident = queue_id(machine.send("u@loop.example", sender=""))
        assert wait(lambda: machine.journal("-o", "cat", f"POSTERN_QUEUE_ID={ident}",
                                            "SYSLOG_IDENTIFIER=relay"))
        assert machine.at_rest()
        assert ourselves.connections == 0 # lint: it is at rest
    finally:
        ourselves.close()


def exposure(machine, unit):
    """systemd's own score, which does not see what the programs do themselves."""
    last = machine.run("systemd-analyze", "security", "--no-pager", unit, check=False).splitlines()[-1]
    return float(re.search(r"exposure level for \S+: ([0-9.]+)", last)[1])


@pytest.fixture
def certificate(machine):
    """A configuration with one."""
    path = machine.root / "etc/postern/postern.conf"
    before = path.read_text()
    machine.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "/etc/postern/pem", "-out", "/etc/postern/crt", "-days", "2",
                "-subj", "/CN=mx.test.example")
    machine.run("chown", "postern", "/etc/postern/pem")
    path.write_text(before + "tls_certificate = /etc/postern/crt\ntls_key = /etc/postern/pem\n")
    yield
    path.write_text(before)


def test_listeners_have_profiles(machine, sink, certificate):
    """The same unit under another name: smtpd is told which profile it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, port in LISTENERS.items():
        machine.systemctl("start", f"postern-{name}.socket")
        with machine.network():
            s = socket.create_connection(("127.0.0.1", port), patience.PATIENCE)
        with s:
            found = wait(lambda: [p for p in machine.ours("smtpd") if len(p.words) > 2])
            assert found[0].words[1:3] == ["-p", name]
            assert f"postern-{name}@" in found[0].cgroup
            if name == "submissions":
                with context.wrap_socket(s) as tls:
                    assert tls.recv(200).startswith(b"220 ")
            else:
                assert s.recv(200).startswith(b"220 ")
        assert wait(lambda: not machine.ours())
        machine.systemctl("stop", f"postern-{name}.socket")


@contextlib.contextmanager
def drop_in(machine, text):
    """The unit of a connection with this besides."""
    where = machine.root / "etc/systemd/system/postern@.service.d"
    where.mkdir()
    (where / "test.conf").write_text(text)
    try:
        machine.systemctl("daemon-reload")
        yield
    finally:
        shutil.rmtree(where)
        machine.systemctl("daemon-reload")


def test_credentials(machine, sink, certificate, tmp_path):
    """Key and users that only root can read: tls and auth have them, the session does not."""
    locked.need(sysd_host.BUILD)
    etc = machine.root / "etc/postern"
    machine.run("chown", "-R", "root", "/etc/postern")
    machine.run("chmod", "600", "/etc/postern/pem")
    with open(etc / "users", "w", opener=lambda *p: os.open(*p, 0o600)) as users:
        users.write(machine.run("sh", "-c", "echo secret | /usr/libexec/postern/smtpd --hash joe"))
    conf = (etc / "postern.conf").read_text().replace("tls_key = /etc/postern/pem", "")
    (etc / "postern.conf").write_text(conf + "tls_key = credential:key\n"
                                      "auth_users = credential:users\n")
    assert "tls_key = credential:key " in machine.run("/usr/libexec/postern/smtpd", "--check")
    with drop_in(machine, "[Service]\nLoadCredential=key:/etc/postern/pem\n"
                 "LoadCredential=users:/etc/postern/users\n"):
        assert machine.run("systemd-analyze", "verify", "postern@1.service") == ""
        with machine.connect() as s:
            talk = client.Client(s)
            assert talk.reply()[:3] == "220"
            talk.hello()
            talk.starttls()
            talk.hello()
            assert talk.ask("AUTH PLAIN " + base64.b64encode(b"\0joe\0secret").decode())[:3] == "235"
            check_credentials(machine, tmp_path)
            assert talk.message()[:3] == "250"
            assert talk.ask("QUIT")[:3] == "221"
        assert wait(lambda: sink.messages)


def check_credentials(machine, where):
    """The monitor's user may read them, the session may not."""
    pids = {p.pid: p for p in machine.ours("smtpd")}
    monitor = next(p for p in pids.values() if p.parent not in pids)
    name = next(e for e in monitor.environment if e.startswith("CREDENTIALS_DIRECTORY="))
    read = {"key": f'openat -100 "{name.partition("=")[2]}/key {os.O_CLOEXEC} 0'}
    taken = locked.Taken(locked.build_inject(where), monitor.pid, monitor.pid, "/var/spool/postern")
    assert taken.call(read)["key"] == -errno.EACCES
    assert taken.call(read, taken.monitor)["key"] >= 0


def test_taken_over(machine, sink, tmp_path):
    """K1, K2: a session of the unit as shipped can do nothing but its work."""
    locked.need(sysd_host.BUILD)
    locked.check_host(machine, tmp_path, logs=1)
    assert wait(lambda: sink.messages)


def test_hardened(machine, sink, tmp_path):
    """hardened.conf: everything systemd can take away, and a message still goes through."""
    locked.need(sysd_host.BUILD)
    usual = exposure(machine, "postern@1.service")
    with drop_in(machine, (machine.root / "usr/share/doc/postern/examples/hardened.conf").read_text()):
        machine.send("u@dest.example", "hardened")
        assert wait(lambda: sink.messages)
        assert machine.at_rest()
        locked.check_host(machine, tmp_path, logs=1, control=False)
        assert machine.at_rest()
        assert usual <= 4.9 and exposure(machine, "postern@1.service") <= 1.2
        assert machine.run("systemd-analyze", "verify", "postern@1.service") == ""


def test_stop_is_polite(machine, sink):
    """`systemctl stop`: the client is told to come back, and nothing is left."""
    with machine.connect() as s:
        assert s.recv(200).startswith(b"220 ")
        machine.systemctl("stop", "postern@*.service")
        assert s.recv(200).startswith(b"421 ")
    assert machine.at_rest()


def test_stopped_to_move_the_queue(machine, sink):
    """What docs/RUNNING.md has stopped for that is all that takes mail, or looks for some."""
    command = re.search(r"^systemctl stop .*$", (sysd_host.TOP / "docs" / "RUNNING.md").read_text(), re.M)[0]
    units = ("postern.socket", "postern-local.socket", "postern-busy-lan.socket", "postern-status.timer", "postern-due.timer")
    running = ("list-units", "--plain", "--no-legend", "--state=active", "postern*.socket", "postern*.timer", "postern-busy*")
    machine.systemctl("start", *units)
    try:
        assert machine.systemctl(*running)
        machine.run("sh", "-c", command)
        assert not machine.systemctl(*running)
    finally:
        machine.systemctl("stop", *units[1:4])
        machine.systemctl("start", units[0], units[4])


def test_one_source_cannot_take_all_places(machine, sink):
    """I2, R58: connections that say nothing are capped per source; others are served meanwhile."""
    limit = int(machine.show("postern.socket", "MaxConnectionsPerSource"))
    before = int(machine.show("postern.socket", "NRefused"))
    idle = [machine.connect("127.0.0.9") for _ in range(limit + 20)]
    try:
        assert wait(lambda: int(machine.show("postern.socket", "NRefused")) >= before + 20)
        wait(lambda: machine.show("postern.socket", "NConnections") == str(limit))
        machine.send("u@dest.example", "meanwhile")
        assert wait(lambda: sink.messages)
    finally:
        for s in idle:
            s.close()


def test_flood_does_not_close_the_port(machine, sink):
    """I1, R58: a thousand connects, then the unit is still active and a message still goes."""
    def taken():
        return sum(int(machine.show("postern.socket", n)) for n in ("NAccepted", "NRefused"))

    before = taken()
    assert machine.flood(1000) >= 990
    assert wait(lambda: taken() >= before + 990)
    assert machine.at_rest()
    assert machine.show("postern.socket", "ActiveState") == "active"
    assert machine.show("postern.socket", "Result") == "success"
    machine.send("u@dest.example", "after")
    assert wait(lambda: sink.messages)
    assert wait(lambda: machine.instances() == []) # CollectMode=


def test_nothing_went_wrong(machine):
    """Last: what the journal of all the tests above must not hold."""
    for p in ("crashed", "failed", "sandbox"):
        assert machine.journal(f"POSTERN_EVENT={p}") == ""
