"""L66, L67: kernels, containers and chroots that do not have what is usual. Mail goes; one line says what is missing."""
import errno
import os
import re
import shutil
import subprocess

import pytest

import client
import proc
from conftest import DROP, TOP
from patience import until
from test_client_auth import TOKEN, cards, place  # noqa: F401 (fixtures)


pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc, which is not installed")
WARNING = "this kernel or container does not let me have: "


@pytest.fixture(scope="module")
def forbid(tmp_path_factory):
    program = tmp_path_factory.mktemp("forbid") / "forbid"
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-o", str(program),
                    str(TOP / "tests/tools/forbid.c")], check=True)
    for path in list(program.parents)[:3]:
        path.chmod(0o755)
    return program


class Bare:
    """Makes the programs of `postern` run where some calls fail."""

    def __init__(self, postern, forbid):
        self.postern, self.forbid, self.usual = postern, forbid, postern.command
        if b"detect_leaks" in (postern.build / "smtpd").read_bytes():
            pytest.skip("such a build is not locked in")

    def without(self, **calls):
        words = [str(self.forbid), *(f"{name}={number}" for name, number in calls.items()), "--"]
        at = len(DROP) if os.geteuid() == 0 else 0

        def command(*arguments, **settings):
            usual = self.usual(*arguments, **settings)
            return [*usual[:at], *words, *usual[at:]]
        self.postern.command = command


@pytest.fixture
def bare(postern, world, forbid):
    world.domain("d.example")
    return Bare(postern, forbid)


@pytest.mark.parametrize("calls, missing", [
    ({"seccomp": errno.EINVAL}, "seccomp filters"), # CONFIG_SECCOMP_FILTER is not set
    ({"seccomp": errno.EPERM}, "seccomp filters"),
    ({"seccomp": errno.ENOSYS}, "seccomp filters"),
    ({"landlock_create_ruleset": errno.ENOSYS}, "Landlock"),
    ({"landlock_create_ruleset": errno.EPERM}, "Landlock"),
    ({"landlock_restrict_self": errno.EPERM}, "Landlock"),
    ({"capset": errno.EPERM}, "capset"),
    ({"seccomp": errno.EPERM, "landlock_create_ruleset": errno.ENOSYS, "close_range": errno.ENOSYS},
     "Landlock, seccomp filters"),
])
def test_missing(postern, world, bare, calls, missing):
    """L66: taken and delivered; one warning in all, for session, relay, and whatever else."""
    bare.without(**calls)
    assert "queued as" in postern.send("u@d.example")
    world.sink.wait_messages()
    assert postern.settled().count(WARNING) == 1
    assert f"{WARNING}{missing}; going on without" in postern.logged()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_no_fifos(postern, world, bare, error):
    """L66: as on a file system that has none, of a file server or by FUSE. Mail goes, also what comes while a relay
    is at work."""
    other = world.another("127.0.0.3")
    world.domain("e.example", "127.0.0.3")
    bare.without(mknodat=error)
    with world.sink.held("RCPT", "250 ok"):
        assert "queued as" in postern.send("u@d.example")
        until(lambda: any(line.startswith("RCPT") for line in world.sink.lines))
        assert "queued as" in postern.send("u@e.example")
        other.wait_messages()
    world.sink.wait_messages()
    assert "while I am at work I look for new mail each second" in postern.settled()
    p = subprocess.run(postern.command("smtpd", "--check"), capture_output=True, env=postern.environment(), text=True,
                       check=True)
    assert f"spool {postern.spool}: no FIFO can be made: " in p.stderr


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS])
def test_no_word_of_a_program_that_ends(place, forbid, error):
    """L66: delivery_token_command is waited for without pidfd_open, too."""
    Bare(place.postern, forbid).without(pidfd_open=error)
    place.token(f"echo {TOKEN}")
    sink = place.host(("XOAUTH2",))
    place.send()
    place.arrives()
    assert sink.proofs


def test_no_room_beforehand(postern, bare):
    """L66, L55: a file system that cannot reserve room has it all the same, and limits hold."""
    bare.without(fallocate=errno.EOPNOTSUPP)
    assert "221" in postern.pipe("QUIT\n", max_connections=0)
    assert "nothing is counted" not in postern.logged()
    [counts] = postern.runtime.iterdir()
    size = counts.stat()
    assert size.st_size > 4096 and size.st_blocks * 512 >= size.st_size


@pytest.mark.parametrize("call, said", [("linkat", "a file cannot have two names there"),
                                        ("fcntl", "its file system has no locks for open files")])
def test_spool_that_will_not_do(postern, bare, call, said):
    """L66, L69: by --check, before mail is refused for it."""
    bare.without(**{call: errno.EINVAL})
    p = subprocess.run(postern.command("smtpd", "--check"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       env=postern.environment(), text=True, check=False)
    assert p.returncode == 78
    assert f"spool {postern.spool}: {said}" in p.stderr
    assert not list((postern.spool / "tmp").iterdir())


def test_tls(secure, forbid):
    """L66: with TLS too."""
    Bare(secure, forbid).without(seccomp=errno.EPERM)
    c = secure.meet()
    c.starttls()
    c.hello()
    assert "queued as" in c.message()
    assert c.finish() == 0


def test_reply_when_it_cannot_begin(postern, bare):
    """L66: not what is wrong with the queue, for nothing is."""
    bare.without(seccomp=errno.ENOMEM)
    said = postern.pipe("QUIT\n", max_connections=0)
    assert said == "421 4.3.0 mx.test.example Error: no process for this connection\r\n"
    said = postern.logged() # by glibc or by musl
    assert re.search("cannot lock myself in: (Cannot allocate|Out of) memory", said), said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look at what is not dumpable")
@pytest.mark.parametrize("calls", [{}, {"close_range": errno.ENOSYS}, {"close_range": errno.EPERM}])
def test_inherited(postern, world, bare, calls):
    """K1, L66: what smtpd inherits reaches neither session nor relay, though there be no close_range."""
    if calls:
        bare.without(**calls)
    secret = postern.where / "secret"
    secret.write_text("secret")
    ours, theirs = client.pair()
    with theirs, open(secret, "rb") as f, open(postern.log, "ab") as log:
        p = subprocess.Popen(postern.command("smtpd"), stdin=theirs, stdout=theirs, stderr=log,
                             pass_fds=[f.fileno()], env=postern.environment())
    postern.started.append(p)
    c = client.Client(ours, p)
    assert c.reply()[:3] == "220"
    c.hello()
    with world.sink.held("RCPT", "250 ok"):
        assert "queued as" in c.message(recipient="u@d.example")
        postern.wait_at_work()
        until(lambda: any(line.startswith("RCPT") for line in world.sink.lines)) # it is locked in by then
        for pid in (p.pid, *proc.children(p.pid), *postern.relays()):
            assert str(secret) not in proc.descriptors(pid).values()
    assert c.finish() == 0
    postern.settled()


# ---- a chroot

NULL = r"""
[ -e "$root/dev/null" ] || touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
"""
CHROOT = r"""
set -e
mount -t tmpfs tmpfs "$1/mounts"
mkdir "$1/mounts/upper" "$1/mounts/work" "$1/mounts/root"
root=$1/mounts/root
mount -t overlay -o lowerdir=/,upperdir="$1/mounts/upper",workdir="$1/mounts/work" overlay "$root"
mkdir -p "$root$1" "$root$2"
mount --rbind "$2" "$root$2"
mount --bind "$1" "$root$1"
""" + NULL + r"""
[ ! -e "$root/proc/self" ]
shift 2
exec chroot "$root" "$@"
"""


@pytest.fixture
def chroot(secure, world):
    """Only /proc is not there."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts")
    world.domain("d.example")
    (secure.where / "mounts").mkdir()
    usual = secure.command
    secure.command = lambda *arguments, **settings: [
        "unshare", "-m", "--propagation", "private", "sh", "-c", CHROOT, "sh", str(secure.where), str(secure.build),
        *usual(*arguments, **settings)]
    return secure


def test_without_proc(chroot, world):
    """L67: the programs find each other: smtpd its tls, its relay; and the relay of the timer its own."""
    c = chroot.connect(max_connections=20)
    assert c.reply()[:3] == "220"
    c.hello()
    c.starttls()
    c.hello()
    assert "queued as" in c.message(recipient="u@d.example")
    world.sink.wait_messages()
    assert c.finish() == 0
    chroot.settled()
    assert "queued as" in chroot.send("u@d.example", max_connections=0)
    chroot.due()
    world.sink.wait_messages(2)
    chroot.settled()


def test_without_devices(chroot, world):
    """L67: nor is /dev/null, which what is started has in place of a client."""
    usual, gone = chroot.command, CHROOT.replace(NULL, '\nrm -f "$root/dev/null"\n')
    chroot.command = lambda *arguments, **settings: [gone if word == CHROOT else word
                                                     for word in usual(*arguments, **settings)]
    assert "queued as" in chroot.send("u@d.example")
    world.sink.wait_messages()
    assert "cannot start" not in chroot.settled()


def test_check_without_proc(chroot):
    p = subprocess.run(chroot.command("smtpd", "--check"), capture_output=True, text=True,
                       env=chroot.environment(), check=False)
    assert f"relay_path = {chroot.build}/relay  # " in p.stdout and " error: " not in p.stderr, p.stderr


@pytest.mark.skipif(os.path.exists("/run/postern/local"), reason="a socket is there")
def test_sendmail_without_proc(chroot):
    """L67: it finds smtpd, though it is called by a link as everybody calls it."""
    if chroot.watched("sendmail"):
        pytest.skip("its checker needs /proc")
    link = chroot.where / "sendmail"
    link.symlink_to(chroot.build / "sendmail")
    settings = {f"POSTERN_{k.upper()}": str(v) for k, v in {**chroot.settings, "max_connections": 0}.items()}
    command = chroot.command("sendmail")
    before = command[:command.index(str(chroot.build / "sendmail"))]
    p = subprocess.run([*before, str(link), "-f", "a@sender.example", "u@d.example"], input="Subject: x\n\nhello\n",
                       capture_output=True, text=True, env=chroot.environment() | settings, check=False)
    assert p.returncode == 0, p.stderr
    assert len(chroot.messages()) == 1
