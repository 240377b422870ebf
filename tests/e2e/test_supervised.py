"""L60, S5: where there is no systemd: a health check of an smtpd that listens, and the listener of the OpenRC example."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

import patience
import ports
from conftest import BUILD, DROP, TOP


@pytest.fixture
def port():
    number = ports.take()
    yield number
    ports.give_back(number)


def ask(port):
    return subprocess.run([BUILD / "smtpd", "--health", f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True, check=False)


def test_health(postern, port):
    """A session begins: 0. Nobody listens: 69. The queue cannot be opened: 69, though somebody does listen."""
    assert (p := ask(port)).returncode == 69 and "Connection refused" in p.stderr
    p = postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "smtpd", "--listen", f"127.0.0.1:{port}", max_connections=0)
    patience.until(lambda: ask(port).returncode == 0)
    p.terminate()
    assert p.wait(patience.PATIENCE) == 0
    p = postern.start(subprocess.DEVNULL, subprocess.DEVNULL, "smtpd", "--listen", f"127.0.0.1:{port}", spool="/absent")
    patience.until(lambda: "it takes no mail now" in ask(port).stderr)
    assert ask(port).returncode == 69
    p.send_signal(signal.SIGTERM)


@pytest.mark.skipif(shutil.which("tcpserver") is None, reason="needs ucspi-tcp")
def test_openrc_listener(postern, port):
    """The command line of packaging/postern.openrc, as OpenRC reads it."""
    script = f"address=127.0.0.1; port={port}; . {TOP}/packaging/postern.openrc; echo $command $command_args"
    words = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    words = [w.replace("@LIBEXECDIR@", str(BUILD)) for w in words]
    environment = {**os.environ, "POSTERN_SPOOL": str(postern.spool), "POSTERN_RUNTIME": str(postern.runtime),
                   "POSTERN_LOG": "none", "POSTERN_HOSTNAME": "mx.test.example"}
    with subprocess.Popen([*(DROP if os.geteuid() == 0 else []), *words], env=environment) as p:
        try:
            def greeted():
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", port)) != 0:
                        return False
                    s.settimeout(patience.PATIENCE)
                    return s.recv(100).startswith(b"220 mx.test.example")
            assert patience.until(greeted)
        finally:
            p.terminate()
