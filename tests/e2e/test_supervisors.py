"""L60, S5: runit, s6 and OpenRC, as Debian has them, with our examples as they are: `make check-field`.

They are unpacked into build/peers/supervisors by tests/tools/need, and laid over the machine's files. Debian has no
s6-networking, so the listener under s6 is the one that the example falls back on."""
import os
import re

import pytest

import patience
import proc
import sysd_host
from peers import PEERS
from sysd_host import mail, sink  # noqa: F401

SUPERVISORS = PEERS / "supervisors"
if "POSTERN_FIELD" not in os.environ:
    pytest.skip("make check-field", allow_module_level=True)
sysd_host.need_root("unshare", "nsenter")
if not SUPERVISORS.is_dir():
    pytest.skip("needs runit and s6; tests/tools/need field unpacks them", allow_module_level=True)

wait = patience.until

# What the examples say to do; then the supervisor is init of a pid namespace, or for OpenRC, which is none, a process that
# waits. $5 has the packages, $6 is runit, s6 or openrc. Of OpenRC's own services there is but the one that it needs.
START = r"""
cp -a "$5/usr/." "$root/usr/"
cp -a "$5/sbin/." "$root/usr/sbin/"
cp -a "$5/lib/." "$root/usr/lib/"
rm -rf "$root/etc/init.d" "$root/run/openrc"
mkdir -p "$root/etc/init.d" "$root/run/openrc"
for d in starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp; do
	mkdir "$root/run/openrc/$d" # as a boot by it would
done
touch "$root/run/openrc/softlevel" "$root/etc/insserv.conf"
printf '#!/sbin/openrc-run\ndepend() { provide net; }\nstart() { :; }\n' >"$root/etc/init.d/network"
install -m 755 "$root/usr/share/doc/postern/examples/postern.openrc" "$root/etc/init.d/postern"
chmod 755 "$root/etc/init.d/network"
rm -rf "$root/etc/service" "$root/etc/sv"
mkdir -p "$root/etc/sv/postern" "$root/etc/service"
install -m 755 "$root/usr/share/doc/postern/examples/postern.$6" "$root/etc/sv/postern/run"
ln -s ../sv/postern "$root/etc/service/postern"
rm -rf "$root/run/postern"
exec unshare -n -i -u -p -f --kill-child -- sh -c '
	ip link set lo up
	root=$1
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/dev"
	touch "$root/dev/null" "$root/dev/urandom"
	mount --bind /dev/null "$root/dev/null"
	mount --bind /dev/urandom "$root/dev/urandom"
	case $2 in
	runit) exec chroot "$root" /usr/bin/runsvdir -P /etc/service ;;
	s6) exec chroot "$root" /usr/bin/s6-svscan /etc/service ;;
	openrc) exec chroot "$root" sh -c "rc-service postern start; exec sleep infinity" ;;
	esac' sh "$root" "$6"
"""

KINDS = {
    "runit": {"init": "runsvdir", "listener": "tcpsvd", "up": "sv up postern", "down": "sv down postern",
              "state": "sv status postern"},
    "s6": {"init": "s6-svscan", "listener": "tcpserver", "up": "s6-svc -u /etc/service/postern",
           "down": "s6-svc -d /etc/service/postern", "state": "s6-svstat /etc/service/postern"},
    "openrc": {"init": "sleep", "listener": "tcpserver", "up": "rc-service postern start", "down": "rc-service postern stop",
               "state": "! rc-service postern status"},
}


@pytest.fixture(scope="module", params=KINDS)
def host(request, tmp_path_factory):
    kind = KINDS[request.param]
    started = sysd_host.Started(tmp_path_factory.mktemp(request.param), START, str(SUPERVISORS), request.param)
    try:
        assert wait(lambda: started.find_leader(lambda p: p.program == kind["init"]))
        h = sysd_host.Host(started.leader)
        h.kind = kind
        assert wait(lambda: answers(h)), started.log.read_text()
        yield h
    finally:
        started.stop()


@pytest.fixture
def up(host, sink):
    """The sink, and the service as it is to be before and after."""
    yield sink
    sink.say.clear()
    tell(host, "up")
    assert wait(lambda: answers(host))


def tell(host, what):
    return host.run("sh", "-c", host.kind[what])


def answers(host):
    try:
        with host.connect() as s:
            return s.recv(200).startswith(b"220 mx.test.example")
    except OSError:
        return False


def cron(host):
    """What postern.cron has done each minute, each line as its user."""
    text = (host.root / "usr/share/doc/postern/examples/postern.cron").read_text()
    lines = re.findall(r"^\* \* \* \* \* (\w+) (.*)$", text, re.M)
    assert [user for user, _ in lines] == ["root", "postern"]
    for user, command in lines:
        host.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "sh", "-c", command, check=False)


def test_a_message_arrives_and_nothing_is_left(host, up):
    """R58: this host may send anywhere, for the listener says who the client is; smtpd is not root."""
    owner = host.run("id", "-u", "postern").strip()
    with host.connect() as s:
        assert s.recv(200).startswith(b"220 ")
        found = wait(lambda: len(both := host.ours("smtpd")) == 2 and both)
        for p in found:
            assert re.search(rf"^Uid:\t{owner}\t{owner}\t{owner}\t", proc.read(p.pid, "status").decode(), re.M)
    host.send("u@dest.example", "supervised")
    assert wait(lambda: up.messages)
    assert b"supervised" in up.messages[0].data
    assert host.at_rest()


def test_stopped_and_started(host, up):
    """R58: nothing of ours is left, nothing is lost: what waits is delivered by the line of cron, once."""
    up.say["RCPT"] = "451 4.7.1 later"
    host.send("u@dest.example", "it waits")
    with host.connect() as s:
        assert s.recv(200).startswith(b"220 ")
        tell(host, "down")
        assert wait(lambda: not host.ours(host.kind["listener"]))
        s.sendall(b"NOOP\r\nQUIT\r\n") # who is there is served to the end
        assert s.makefile("rb").read().startswith(b"250 ")
    assert not answers(host)
    assert wait(lambda: not host.ours()) and len(host.queued()) == 1
    assert not re.match("run|up", tell(host, "state"))
    up.say.clear()
    assert wait(lambda: cron(host) or up.messages)
    assert wait(lambda: not host.queued() and not host.ours())
    tell(host, "up")
    assert wait(lambda: answers(host))
    assert [m.recipients for m in up.messages] == [["u@dest.example"]]


def test_stopped_while_it_delivers(host, up):
    """I6: the relay outlives the listener, and ends by itself."""
    with up.held("END", "250 2.0.0 taken"):
        host.send("u@dest.example", "slow")
        assert wait(lambda: len(host.ours("relay")) == 2)
        tell(host, "down")
        assert wait(lambda: not host.ours("smtpd", host.kind["listener"]))
        assert len(host.ours("relay")) == 2 # the sink is held
    assert wait(lambda: up.messages)
    assert host.at_rest()
    assert len(up.messages) == 1


def test_killed_listener_is_started_again(host, up):
    if host.kind["init"] == "sleep":
        pytest.skip("OpenRC starts a service, and looks no more at it")
    [listener] = wait(lambda: len(found := host.ours(host.kind["listener"])) == 1 and found) # a child is its like
    os.kill(listener.pid, 9)
    assert wait(lambda: [p.pid for p in host.ours(host.kind["listener"])] not in ([], [listener.pid]))
    assert wait(lambda: answers(host))
    host.send("u@dest.example", "again")
    assert wait(lambda: up.messages)
