"""The busy way as systemd runs it: postern-busy.socket, as shipped, under a real PID 1."""
import shutil
import socket
import threading

import pytest

import client
import patience
import proc
import sysd_host
import sysd_machine
from sysd_host import mail, sink  # noqa: F401

sysd_host.need_root("systemd-nspawn", "unshare", "nsenter")

UNIT = "postern-busy.service"
wait = patience.until


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with sysd_machine.booted(tmp_path_factory.mktemp("machine")) as m:
        m.systemctl("disable", "--now", "postern.socket")
        m.systemctl("enable", "--now", "postern-busy.socket")
        yield m


@pytest.fixture(scope="module")
def host(machine):
    """Its name in sysd_host."""
    return machine


@pytest.fixture(autouse=True)
def stopped(machine, sink):
    """Behind each test, which else would wait for busy_idle."""
    yield
    machine.systemctl("stop", UNIT)


@pytest.fixture
def configured(machine):
    """Sets keys in postern.conf, for one test."""
    path = machine.root / "etc/postern/postern.conf"
    before = path.read_text()

    def configure(**settings):
        lines = [line for line in before.splitlines(True) if line.split(" = ")[0] not in settings]
        path.write_text("".join(lines) + "".join(f"{k} = {v}\n" for k, v in settings.items()))
    yield configure
    path.write_text(before)


def greeting(machine):
    with machine.connect() as s:
        return s.makefile().readline()


def asleep(pid):
    """Or gone."""
    try:
        return proc.read(pid, "stat").rpartition(b")")[2].split()[0] == b"S"
    except OSError:
        return True


def monitor(machine):
    return int(machine.show(UNIT, "MainPID"))


def test_units_are_in_order(machine):
    """`systemd-analyze verify` has nothing to say, and what the comments promise is in force."""
    assert machine.run("systemd-analyze", "verify", "postern-busy.socket", UNIT) == ""
    assert machine.show("postern-busy.socket", "ActiveState") == "active"
    assert machine.show("postern.socket", "ActiveState") == "inactive"
    assert machine.show(UNIT, "KillMode") == "process" # I6
    assert machine.show(UNIT, "User") == "postern"
    assert machine.show(UNIT, "LimitCORE") == "0"
    assert greeting(machine)[:3] == "220" # what follows is said of a unit that runs
    assert machine.show(UNIT, "WatchdogUSec") == "30s"
    assert machine.show("postern-busy.socket", "TriggerLimitIntervalUSec") == "0"


@pytest.mark.parametrize("name,port", [("submission", 587), ("lan", 2525)])
def test_listeners_have_profiles(machine, configured, name, port):
    """The same units under other names, each with its profile."""
    machine.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "/etc/postern/pem", "-out", "/etc/postern/crt", "-days", "2", "-subj", "/CN=mx.test.example")
    machine.run("chown", "postern", "/etc/postern/pem")
    configured(tls_certificate="/etc/postern/crt", tls_key="/etc/postern/pem")
    units = [f"postern-busy-{name}.{kind}" for kind in ("socket", "service")]
    assert machine.run("systemd-analyze", "verify", *units) == ""
    machine.systemctl("start", units[0])
    with machine.network():
        s = socket.create_connection(("127.0.0.1", port), patience.PATIENCE)
    with s:
        assert s.recv(200).startswith(b"220 ")
        found = wait(lambda: [p for p in machine.ours("smtpd") if f"{units[1]}" in p.cgroup])
        assert found[0].words[1:3] == ["-p", name]
    machine.systemctl("stop", *units)


def test_one_for_all(machine, sink):
    """Many connections, one unit; a message arrives; relay goes on in the unit."""
    talks = []
    for _ in range(20):
        talks.append(client.Client(machine.connect()))
        assert talks[-1].reply()[:3] == "220"
    assert machine.show(UNIT, "ActiveState") == "active"
    assert wait(lambda: "sessions" in machine.show(UNIT, "StatusText"))
    machine.send("u@dest.example", "busy")
    assert wait(lambda: sink.messages)
    for c in talks:
        assert c.ask("QUIT")[:3] == "221"


def test_nothing_is_left_when_idle(machine, configured, sink):
    """The unit ends, nothing of ours is in memory, and the next connection is served."""
    configured(busy_idle="1s")
    assert greeting(machine)[:3] == "220" # which also has the configuration read
    for _ in range(3):
        assert wait(lambda: machine.show(UNIT, "ActiveState") == "inactive")
        assert wait(lambda: not machine.ours())
        assert greeting(machine)[:3] == "220"
    assert machine.show("postern-busy.socket", "ActiveState") == "active"


def test_relay_outlives_a_stop(machine, sink):
    """I6: the unit is stopped; who is connected hears 421, and a relay that waits for a slow host finishes."""
    c = client.Client(machine.connect())
    assert c.reply()[:3] == "220"
    with sink.held("END", "250 2.0.0 taken"):
        machine.send("u@dest.example", "slow")
        assert wait(lambda: machine.ours("relay"))
        machine.systemctl("stop", UNIT)
        assert c.reply()[:9] == "421 4.3.2"
        assert not machine.ours("smtpd") and machine.ours("relay")
    assert wait(lambda: sink.messages)
    assert greeting(machine)[:3] == "220"


def test_new_configuration(machine, configured, sink):
    """In force with the next connection, in the same process."""
    assert "mx.test.example" in greeting(machine)
    before = monitor(machine)
    wait(lambda: all(asleep(p.pid) for p in machine.ours("smtpd"))) # nobody has looked, and is about to accept
    configured(hostname="other.example")
    assert "other.example" in greeting(machine)
    assert monitor(machine) == before
    assert machine.show(UNIT, "ActiveState") == "active" and machine.show(UNIT, "NRestarts") == "0"


def test_installed_anew_under_load(machine, sink):
    """`make install` while clients connect: none of them notices, and the new program is at work."""
    greetings, failed, over = [], [], threading.Event()

    def load():
        while not over.is_set():
            try:
                with machine.connect() as s:
                    greetings.append(s.makefile().readline())
            except OSError as e:
                failed.append(e)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        wait(lambda: len(greetings) > 20)
        before = (machine.root / "usr/libexec/postern/smtpd").stat().st_ino
        machine.run("sh", "-c", "cp /usr/libexec/postern/smtpd /usr/libexec/postern/.new && "
                    "mv /usr/libexec/postern/.new /usr/libexec/postern/smtpd")
        at = len(greetings)
        wait(lambda: len(greetings) > at + 50)
    finally:
        over.set()
        for t in threads:
            t.join()
    assert not failed and all(g.startswith("220 ") for g in greetings)
    now = (machine.root / f"proc/{monitor(machine)}/exe").stat().st_ino
    assert now != before and now == (machine.root / "usr/libexec/postern/smtpd").stat().st_ino


# From within the unit, and not gone before it is read: the watchdog of this unit waits so long, in microseconds.
SOONER = """
import os, socket, sys
with open("/sys/fs/cgroup" + sys.argv[1] + "/cgroup.procs", "w") as f:
    f.write(str(os.getpid()))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/run/systemd/notify")
s.send(b"WATCHDOG_USEC=1000000")
read, written = os.pipe()
socket.send_fds(s, [b"BARRIER=1"], [written])
os.close(written)
os.read(read, 1)
"""


@pytest.fixture
def notified_by_all(machine):
    """systemd hears others than the monitor, too."""
    where = machine.root / "etc/systemd/system/postern-busy.service.d"
    where.mkdir()
    (where / "test.conf").write_text("[Service]\nNotifyAccess=all\n")
    machine.systemctl("daemon-reload")
    yield
    shutil.rmtree(where)
    machine.systemctl("daemon-reload")


def test_watchdog(machine, notified_by_all):
    """A monitor that hangs is ended, and the next connection has another one."""
    assert greeting(machine)[:3] == "220"
    hung = monitor(machine)
    machine.run("kill", "-STOP", str(hung))
    # Before that it would have to be quick to live.
    machine.run("python3", "-c", SOONER, machine.show(UNIT, "ControlGroup"))
    assert wait(lambda: machine.show(UNIT, "Result") == "watchdog" or monitor(machine) != hung)
    assert greeting(machine)[:3] == "220"
    assert monitor(machine) != hung


def test_cannot_begin(machine, configured):
    """With a configuration that is wrong clients hear so, and with the right one all is well again."""
    machine.systemctl("stop", UNIT)
    configured(nonsense="yes")
    assert greeting(machine)[:9] == "421 4.3.5"
    assert greeting(machine)[:9] == "421 4.3.5"
    configured()
    assert wait(lambda: greeting(machine)[:3] == "220")
    assert machine.show("postern-busy.socket", "ActiveState") == "active"


def test_flood(machine):
    """R58: however many connect and go, the port is served."""
    made = machine.flood(400)
    assert made == 400
    assert greeting(machine)[:3] == "220"
    assert machine.show("postern-busy.socket", "ActiveState") == "active"
