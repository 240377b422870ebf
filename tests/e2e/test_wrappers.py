"""L50, L52: real programs between a client and smtpd. Who they say the client is decides what it may do.

No client of theirs comes from another host here, so nobody on this one is trusted but 127.0.0.9, by
relay_nets: a client from there may send anywhere if its address got through, and one from 127.0.0.10 may
not, whatever stands at standard input.
"""
import contextlib
import http.server
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import threading

import pytest

import client
import ports
from patience import PATIENCE, until
from peers import PEERS

KNOWN, STRANGER = "127.0.0.9", "127.0.0.10"
RULES = {"max_connections": 0, "relay_local": "no", "relay_nets": f"{KNOWN}/32"}
DENIED = "550 5.7.1 Error: relaying denied"
TAKEN = "250 2.1.5 Ok"
UNPACKED = PEERS / "between"


def need(program):
    """Its path: the host's, or of the one that tests/tools/need unpacked."""
    ours = [str(UNPACKED / "usr" / d) for d in ("bin", "sbin")]
    path = shutil.which(program, path=":".join([os.environ["PATH"], "/usr/sbin", "/sbin", *ours]))
    return path or pytest.skip(f"needs {program}; tests/tools/need check installs or unpacks it")


def nginx_module(name):
    """For a configuration of nginx; each is in a package of its own."""
    for root in (UNPACKED, pathlib.Path("/")):
        path = root / f"usr/lib/nginx/modules/ngx_{name}_module.so"
        if path.exists():
            return f"load_module {path};"
    return pytest.skip(f"needs nginx' module {name}")


@pytest.fixture
def port():
    number = ports.take()
    yield number
    ports.give_back(number)


@contextlib.contextmanager
def running(*command, environment=None):
    environment = dict(environment or os.environ)
    if str(command[0]).startswith(str(UNPACKED)):
        environment["LD_LIBRARY_PATH"] = ":".join(sorted({str(p.parent) for p in UNPACKED.glob("**/*.so.*")}))
    p = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield p
    finally:
        p.terminate()
        p.wait(PATIENCE)


def connect(port, source, to="127.0.0.1"):
    """A connection to a program that may not have begun to listen."""
    def attempt():
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection((to, port), client.TIMEOUT, (source, 0))
    return until(attempt)


def recipient(c):
    assert c.reply()[:3] == "220"
    c.hello()
    assert c.ask("MAIL FROM:<a@b.example>")[:3] == "250" # of nginx itself, perhaps
    said = c.ask("RCPT TO:<u@d.example>")
    assert c.ask("QUIT")[:3] == "221"
    c.file.close()
    c.sock.close()
    return said


def script(postern, **settings):
    """A program without arguments that is smtpd."""
    path = postern.where / "wrapped"
    command = shlex.join(map(str, postern.command("smtpd", **RULES, **settings)))
    path.write_text(f"#!/bin/sh\nexec {command} 2>>{postern.log}\n")
    path.chmod(0o755)
    return path


WRAPPERS = {
    "socat": "socat TCP-LISTEN:{port},bind=127.0.0.1,fork EXEC:{run}",
    "socat-pipes": "socat TCP-LISTEN:{port},bind=127.0.0.1,fork EXEC:{run},pipes",
    "socat-pty": "socat TCP-LISTEN:{port},bind=127.0.0.1,fork EXEC:{run},pty,raw,echo=0",
    "socat-both": "socat TCP6-LISTEN:{port},ipv6only=0,fork EXEC:{run}",
    "socat-named": "socat -lpmine TCP-LISTEN:{port},bind=127.0.0.1,fork EXEC:{run}",
    "ncat": "ncat -l -k -e {run} 127.0.0.1 {port}",
    "ncat-shell": "ncat -l -k --sh-exec {run} 127.0.0.1 {port}",
    "tcpserver": "tcpserver -H -R -l0 127.0.0.1 {port} {run}",
    "tcpserver-shell": "tcpserver -H -R -l0 127.0.0.1 {port} sh -c 'cat|{run}|cat'",
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapper(postern, port, name):
    """L50: the address that it names has the rights, not the descriptor."""
    words = shlex.split(WRAPPERS[name].format(port=port, run=script(postern)))
    need(words[0])
    with running(*words, environment=postern.environment()):
        assert recipient(client.Client(connect(port, STRANGER))) == DENIED
        assert recipient(client.Client(connect(port, KNOWN))) == TAKEN
    assert f"smtpd: connection from [{STRANGER}]" in postern.logged()
    assert f"smtpd: connection from [{KNOWN}]" in postern.logged()


def test_stunnel(postern, pki, port):
    """L50: exec of stunnel, which gives smtpd a socket of this host."""
    conf = postern.where / "stunnel.conf"
    conf.write_text(f"foreground = yes\npid =\n[smtps]\naccept = 127.0.0.1:{port}\n"
                    f"cert = {pki.path('server')}\nexec = {script(postern)}\n")
    with running(need("stunnel4"), conf, environment=postern.environment()):
        for source, said in ((STRANGER, DENIED), (KNOWN, TAKEN)):
            c = client.Client(connect(port, source))
            c.wrap()
            assert recipient(c) == said
    assert f"smtpd: connection from [{STRANGER}]" in postern.logged()


def test_unix_socket_behind_socat(postern):
    """L50: a client of which socat knows no address is a stranger, though socat itself is root or ours."""
    path = postern.where / "socket"
    with running(need("socat"), f"UNIX-LISTEN:{path},fork,mode=777", f"EXEC:{script(postern)}",
                 environment=postern.environment()):
        def attempt():
            s = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                s.connect(str(path))
                return s
            s.close()
        assert recipient(client.Client(until(attempt))) == DENIED
    assert "smtpd: connection from unknown" in postern.logged()


# ---- proxies


class Behind:
    """smtpd behind a proxy: at a UNIX socket that the configuration names, or at a port."""

    def __init__(self, postern, path=None):
        self.postern = postern
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        self.listener.listen()
        if path:
            path.chmod(0o777)
        self.proxies = f"unix:{path}" if path else "127.0.0.1"
        self.address = str(path) if path else f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    self.postern.start(connection, connection, proxy_nets=self.proxies, **RULES)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR) # closing alone leaves accept() waiting
        self.thread.join(PATIENCE)
        self.listener.close()


HAPROXY = """
defaults
    mode tcp
    timeout connect 1m
    timeout client 1m
    timeout server 1m
listen smtp
    bind :::{port} v4v6
    server one {to} {header}
"""

NGINX = """
daemon off;
pid {where}/nginx.pid;
error_log {where}/nginx.log;
{module}
events {{ }}
stream {{
    server {{
        listen [::]:{port} ipv6only=off;
        proxy_pass {to};
        proxy_protocol on;
    }}
}}
"""


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize("proxy", ["haproxy-v1", "haproxy-v2", "nginx"])
def test_proxy(postern, port, proxy, kind):
    """L52: a listener for both families writes IPv4 clients as IPv6; to smtpd they are what they are."""
    program = need(proxy.partition("-")[0])
    behind = Behind(postern, postern.where / "smtp" if kind == "unix" else None)
    conf = postern.where / "proxy.conf"
    if proxy == "nginx":
        to = ("unix:" if kind == "unix" else "") + behind.address
        conf.write_text(NGINX.format(port=port, to=to, where=postern.where, module=nginx_module("stream")))
        command = [program, "-e", postern.where / "nginx.log", "-c", conf]
    else:
        to = ("unix@" if kind == "unix" else "") + behind.address
        header = "send-proxy-v2" if proxy.endswith("v2") else "send-proxy"
        conf.write_text(HAPROXY.format(port=port, to=to, header=header))
        command = [program, "-f", conf]
    with running(*command):
        assert recipient(client.Client(connect(port, STRANGER))) == DENIED
        assert recipient(client.Client(connect(port, KNOWN))) == TAKEN
    behind.close()
    assert f"smtpd: connection from [{STRANGER}]" in postern.logged()


NGINX_MAIL = """
daemon off;
pid {where}/nginx.pid;
error_log {where}/nginx.log;
{module}
events {{ }}
mail {{
    auth_http 127.0.0.1:{auth}/;
    server {{
        listen [::]:{port} ipv6only=off;
        protocol smtp;
        smtp_auth none;
        xclient off;
        proxy_protocol on;
    }}
}}
"""


class Director(http.server.BaseHTTPRequestHandler):
    """Tells nginx where a client's mail goes."""

    def do_GET(self):
        host, _, port = self.server.goal.partition(":")
        self.send_response(200)
        for name, value in (("Auth-Status", "OK"), ("Auth-Server", host), ("Auth-Port", port)):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_mail_proxy(postern, port):
    """L52: nginx' mail proxy has a listener for both families too. It speaks to smtpd in lock-step."""
    program = need("nginx")
    behind = Behind(postern)
    conf = postern.where / "proxy.conf"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Director) as director:
        director.goal = behind.address
        threading.Thread(target=director.serve_forever, daemon=True).start()
        conf.write_text(NGINX_MAIL.format(port=port, auth=director.server_port, where=postern.where,
                                          module=nginx_module("mail")))
        with running(program, "-e", postern.where / "nginx.log", "-c", conf):
            assert recipient(client.Client(connect(port, STRANGER))) == DENIED
            assert recipient(client.Client(connect(port, KNOWN))) == TAKEN
        director.shutdown()
    behind.close()
    assert f"smtpd: connection from [{STRANGER}]" in postern.logged()
