"""What a container, a template, an editor or a boot leaves around smtpd: variables, a host's name, a missing
directory, a file that only root can read."""
import os
import subprocess
import sys

import pytest

import client
from conftest import DROP, NOBODY, own

KUBERNETES = {"POSTERN_PORT": "tcp://10.0.0.1:25", "POSTERN_PORT_25_TCP": "tcp://10.0.0.1:25",
              "POSTERN_PORT_25_TCP_ADDR": "10.0.0.1", "POSTERN_SERVICE_HOST": "10.0.0.1",
              "POSTERN_SERVICE_PORT": "25", "POSTERN_SERVICE_PORT_SMTP": "25"}


@pytest.fixture
def variables(postern, monkeypatch):
    """Of the environment of the programs, as a dictionary."""
    more, before = {}, postern.environment
    monkeypatch.setattr(postern, "environment", lambda: {**before(), **more})
    return more


def move(postern, variables, *keys):
    """Settings become variables: what is not read of the environment has its default."""
    for key in keys:
        variables[f"POSTERN_{key.upper()}"] = str(postern.settings.pop(key))


# ---- variables

def test_service_of_kubernetes(world, postern, variables):
    """L60: variables that are no key are told once, by name and not by value, and mail goes."""
    world.domain("dest.example")
    variables.update(KUBERNETES)
    postern.send("u@dest.example")
    log = postern.settled()
    assert len(world.sink.messages) == 1
    told = [line for line in log.splitlines() if "is no key" in line]
    assert len(told) == 1 and "10.0.0.1" not in told[0]
    assert all(name in told[0] for name in KUBERNETES)


def test_misspelt_key_in_the_file(postern):
    """L60: there it is an error still."""
    postern.configure("max_sise = 1M")
    assert postern.pipe("QUIT\r\n").startswith("421 4.3.5 ")
    postern.wait_logged("max_sise: unknown key")


LOST = r"""
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay -o lowerdir=/etc,upperdir="$1/upper",workdir="$1/work" overlay /etc
mkdir -p /etc/postern
ln -sf /nonexistent/postern.conf /etc/postern/postern.conf
shift
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts")
def test_file_that_was_lost(postern, monkeypatch):
    """L60: where the configuration is a link, and what it leads to is not there, mail goes not by the defaults."""
    usual = postern.command
    (postern.where / "etc").mkdir()
    monkeypatch.setattr(postern, "command", lambda *arguments, **settings: [
        "unshare", "-m", "--propagation", "private", "sh", "-c", LOST, "sh", str(postern.where / "etc"),
        *usual(*arguments, **settings)])
    assert postern.pipe("QUIT\r\n", max_connections=0).startswith("421 4.3.5 ")
    postern.wait_logged("/etc/postern/postern.conf: No such file or directory")


def test_empty_variables(postern, variables):
    """L61: of each key, as a template without values has them."""
    checked = subprocess.run(postern.command("smtpd", "--check"), stdout=subprocess.PIPE, text=True,
                             env=postern.environment(), check=True).stdout
    for line in checked.splitlines():
        variables[f"POSTERN_{line.partition(' = ')[0].upper()}"] = ""
    again = subprocess.run(postern.command("smtpd", "--check"), stdout=subprocess.PIPE, text=True,
                           env=postern.environment(), check=True).stdout
    assert again == checked and "environment" not in again
    assert postern.pipe("QUIT\r\n").startswith("220 ")


def test_many_variables(world, postern, variables):
    """L62: relay sees the last of them too."""
    world.domain("dest.example")
    variables.update({f"POSTERN_SECRET_{n}": "x" for n in range(200)})
    move(postern, variables, "nameserver", "smtp_port", "allow_destinations")
    postern.send("u@dest.example")
    postern.settled()
    assert len(world.sink.messages) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", " \r\n\n"], ids=repr)
def test_ends_of_lines_in_variables(world, postern, variables, end):
    """L63: smtpd and relay read them the same."""
    world.domain("dest.example")
    move(postern, variables, "nameserver", "smtp_port", "allow_destinations", "hostname")
    for name in variables:
        variables[name] += end
    said = postern.send("u@dest.example")
    assert said.startswith("220 mx.test.example ESMTP")
    postern.settled()
    assert len(world.sink.messages) == 1


def test_file_of_windows(world, postern):
    """L63: a mark, CRLF and comments."""
    world.domain("dest.example")
    postern.file = postern.where / "postern.conf"
    lines = ["# made by an editor", "hostname = win.example # ours", "", "[route all]", "domains = *",
             f"hosts = [127.0.0.2]:{world.port}"]
    del postern.settings["hostname"]
    postern.file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert postern.send("u@dest.example").startswith("220 win.example ")
    postern.settled()
    assert len(world.sink.messages) == 1


def test_file_of_an_old_mac(postern):
    """L63: all of it would be a comment."""
    postern.file = postern.where / "postern.conf"
    postern.file.write_bytes(b"# comment\rhostname = mac.example\r")
    assert postern.pipe("QUIT\r\n").startswith("421 4.3.5 ")
    postern.wait_logged("a CR that ends no line")


# ---- the name of the host

def named(postern, name, *arguments, **settings):
    """The command, on a machine of this name."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    script = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"
    return ["unshare", "--uts", sys.executable, "-c", script, name,
            *postern.command("smtpd", *arguments, **settings)]


@pytest.mark.parametrize("name, ours", [
    ("my_app_1", "my-app-1"), ("web-", "web"), ("(none)", "["), ("mail.example.org.", "mail.example.org"),
    ("", "["), ("x" * 64, "["), ("web", "web"), ("mail.example.org", "mail.example.org")])
def test_name_that_nobody_wrote(world, postern, name, ours):
    """L64: a usable one, or an address; mail is taken and delivered; one warning, unless all is well."""
    world.domain("dest.example")
    del postern.settings["hostname"]
    script = ("EHLO c.example\nMAIL FROM:<a@sender.example>\nRCPT TO:<u@dest.example>\nDATA\nx\n.\nQUIT\n")
    with open(postern.log, "ab") as log:
        p = subprocess.run(named(postern, name), input=script.encode(), stdout=subprocess.PIPE, stderr=log,
                           env=postern.environment(), timeout=client.TIMEOUT, check=True)
    assert p.stdout.decode().startswith(f"220 {ours}")
    log = postern.settled()
    assert len(world.sink.messages) == 1
    assert log.count("hostname is not set") == (name != "mail.example.org")


def test_name_that_somebody_wrote(postern):
    """L64: that is an error still."""
    assert postern.pipe("QUIT\r\n", hostname="(none)").startswith("421 4.3.5 ")


# ---- the runtime directory

def test_runtime_directory_is_missing(postern):
    """L55: it is made where that can be done; else somebody hears of it, each time, and from --check."""
    postern.runtime.rmdir()
    missing = postern.where / "no" / "such"
    for _ in range(2):
        assert postern.pipe("QUIT\r\n", runtime=missing).startswith("220 ")
    postern.wait_logged(f"runtime {missing}: No such file or directory: nothing is counted", 2)
    p = subprocess.run(postern.command("smtpd", "--check", runtime=missing), stderr=subprocess.PIPE, text=True,
                       stdout=subprocess.DEVNULL, env=postern.environment(), check=True)
    assert "limit_ keys not in force" in p.stderr
    inside = postern.spool / "run" # where its user may make one
    assert postern.pipe("QUIT\r\n", runtime=inside).startswith("220 ") and inside.is_dir()


def as_root(postern, user):
    """smtpd started by root, to become `user`."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    command = postern.command("smtpd", user=user, max_connections=0)
    with open(postern.log, "ab") as log:
        p = subprocess.run(command[len(DROP):], input=b"QUIT\r\n", stdout=subprocess.PIPE, stderr=log,
                           env=postern.environment(), timeout=client.TIMEOUT, check=False)
    return p.stdout.decode()


def test_root_makes_the_runtime_directory(postern):
    """L55: as of a container that starts as root: for the user."""
    postern.runtime.rmdir()
    assert as_root(postern, "nobody").startswith("220 ")
    st = postern.runtime.stat()
    assert (st.st_uid, st.st_mode & 0o777) == (NOBODY, 0o700)
    assert "nothing is counted" not in postern.settled()


def test_configuration_for_root_alone(postern):
    """S19: what relay could not read is refused at once, not when the mail is there."""
    postern.configure("max_size = 1M")
    postern.file.chmod(0o600)
    assert as_root(postern, "nobody").startswith("421 4.3.5 ")
    postern.wait_logged("became user nobody: ")
    postern.wait_logged("Permission denied")
    own(postern.file)
    assert as_root(postern, "nobody").startswith("220 ")


# ---- authorities

@pytest.mark.parametrize("policy, told", [("verify", True), ("may", False)])
def test_no_authorities(world, postern, policy, told):
    """Mail that waits for want of them does not wait without a word; where none are asked nobody is told."""
    world.domain("dest.example")
    postern.send("u@dest.example", delivery_tls=policy, delivery_ca=postern.where / "none")
    log = postern.settled(waiting=1 if told else 0)
    assert ("no host's certificate can be verified" in log) == told
