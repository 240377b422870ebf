"""Hosts that have policies of MTA-STS: a web server that says what it is told, octet by octet if need be, and a real
one."""
import contextlib
import os
import pathlib
import socket
import socketserver
import ssl
import subprocess
import threading

import internet
import ports
import tlsversions
from patience import PATIENCE, until

PATH = "/.well-known/mta-sts.txt"
POLICY = "version: STSv1\nmode: {mode}\n{mx}max_age: {max_age}\n"


def policy(*mx, mode="enforce", max_age=86400):
    return POLICY.format(mode=mode, max_age=max_age, mx="".join(f"mx: {name}\n" for name in mx))


def answer(body, status="200 OK", kind="text/plain", more=""):
    """What a web server says, as octets."""
    body = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {kind}\r\n" if kind else ""
    return (head + more + "\r\n").encode() + body


class Web:
    """`say` is what it answers: octets, or a function of the connection, which writes itself. `asked` are the requests,
    head and body; `named` the names of their SNI; `context` its certificate, which may change."""

    def __init__(self, context, address="127.0.0.9", port=0, say=answer("")):
        self.say, self.context = say, context
        self.asked, self.named, self.connections = [], [], 0
        self.lock = threading.Lock()
        self.open_sockets = internet.Sockets()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with outer.lock:
                    outer.connections += 1
                with outer.open_sockets.noted(self.request):
                    try:
                        outer.serve(self.request)
                    except (OSError, ValueError):
                        pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.own = 0 if port else ports.take()
        self.address, self.port = address, port or self.own
        self.server = Server((address, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, raw):
        context = self.context
        context.sni_callback = lambda sock, name, ctx: self.named.append(name)
        sock = context.wrap_socket(raw, server_side=True)
        file = sock.makefile("rb")
        lines = list(iter(lambda: file.readline().decode().rstrip("\r\n"), ""))
        length = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
        body = file.read(length[0]) if length else b""
        with self.lock:
            self.asked.append((lines, body))
        if callable(self.say):
            self.say(sock)
        else:
            sock.sendall(self.say)
        with contextlib.suppress(OSError):
            sock.unwrap()

    def wait_asked(self, n=1):
        return until(lambda: len(self.asked) >= n and self.asked)

    def close(self):
        internet.end(self.server)
        self.open_sockets.end()
        ports.give_back(self.own)


def context_of(certificate, **versions):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tlsversions.limit(c, **versions)
    c.set_ciphers("DEFAULT@SECLEVEL=0") # where it is old on purpose
    c.load_cert_chain(certificate)
    return c


NGINX = """
daemon off;
master_process off;
pid {where}/nginx.pid;
error_log {where}/nginx.log;
events {{ }}
http {{
	access_log {where}/access.log;
	client_body_temp_path {where}/body; proxy_temp_path {where}/proxy; fastcgi_temp_path {where}/fastcgi;
	uwsgi_temp_path {where}/uwsgi; scgi_temp_path {where}/scgi;
	types {{ text/plain txt; }}
	server {{
		listen {address}:{port} ssl;
		server_name {name};
		ssl_certificate {certificate};
		ssl_certificate_key {certificate};
		root {where}/www;
	}}
}}
"""


class Nginx:
    """A real web server with the files below `where`/www."""

    def __init__(self, program, where, name, certificate, port, address="127.0.0.9"):
        self.where, self.address, self.port = where, address, port
        (where / "www/.well-known").mkdir(parents=True)
        conf = where / "nginx.conf"
        conf.write_text(NGINX.format(where=where, address=address, port=port, name=name, certificate=certificate))
        environment = dict(os.environ)
        root = pathlib.Path(program).parents[2]
        if root != pathlib.Path("/"): # unpacked, with its libraries
            found = {str(p.parent) for p in root.glob("**/*.so.*")}
            environment["LD_LIBRARY_PATH"] = ":".join(sorted(found))
        self.process = subprocess.Popen([program, "-e", where / "nginx.log", "-c", conf], env=environment)
        try:
            until(lambda: self.process.poll() is not None or self.listens())
            assert self.process.poll() is None, (where / "nginx.log").read_text()
        except BaseException:
            self.close()
            raise

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex((self.address, self.port)) == 0

    def publish(self, text):
        new = self.where / "www/.well-known/new"
        new.write_text(text)
        new.rename(self.where / "www" / PATH[1:])

    def asked(self):
        path = self.where / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
