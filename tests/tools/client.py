"""An SMTP client that does one thing at a time, in clear or inside TLS."""
import contextlib
import socket
import ssl

import tlsversions
from patience import PATIENCE

TIMEOUT = PATIENCE


def pair():
    """(client's end, server's end) of a TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), TIMEOUT)
        server, _ = listener.accept()
    return client, server


def make_room(sock, octets):
    """The kernel keeps so much of what is sent by it and not read yet (as root; others have what the host allows)."""
    forced = 32 # SO_SNDBUFFORCE
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, octets)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, octets)


def context(low=tlsversions.V12, high=tlsversions.NEWEST, certificate=None, ciphers=None):
    """Settings of a client that trusts anybody."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF # an end without close_notify is none
    if ciphers is not None:
        c.set_ciphers(ciphers)
    tlsversions.limit(c, low, high)
    if certificate is not None:
        c.load_cert_chain(certificate)
    return c


class Client:
    """A connection. Replies are their lines, joined by LF without the last one."""

    def __init__(self, sock, process=None):
        self.process = process
        self.use(sock)

    def use(self, sock):
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """One line without its end; "" if there is none."""
        with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return self.file.readline().decode().removesuffix("\r\n")
        return ""

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def ask(self, command):
        self.send(command + "\r\n")
        return self.reply()

    def hello(self):
        """The keywords that are offered, behind the greeting if it was not read yet."""
        return [x[4:] for x in self.ask("EHLO client.example").split("\n")[1:]]

    def envelope(self, sender="a@sender.example", recipient="u@dest.example"):
        assert self.ask(f"MAIL FROM:<{sender}>") == "250 2.1.0 Ok"
        assert self.ask(f"RCPT TO:<{recipient}>") == "250 2.1.5 Ok"
        assert self.ask("DATA")[:3] == "354"

    def message(self, body="Subject: x\r\n\r\nhello\r\n", **envelope):
        self.envelope(**envelope)
        return self.ask(body + ".")

    def wrap(self, settings=None, **more):
        """The handshake; more is of SSLContext.wrap_socket."""
        self.use((settings or context()).wrap_socket(self.sock, suppress_ragged_eofs=False, **more))

    def starttls(self, settings=None, **more):
        assert self.ask("STARTTLS") == "220 2.0.0 Ready to start TLS"
        self.wrap(settings, **more)

    def rest(self):
        """What still comes until the connection ends."""
        data = b""
        with contextlib.suppress(ConnectionResetError, ssl.SSLError):
            while piece := self.file.read1():
                data += piece
        return data

    def finish(self):
        """Says goodbye; the status of smtpd. TLS must end with close_notify."""
        assert self.ask("QUIT") == "221 2.0.0 Bye"
        assert self.file.read() == b""
        return self.end()

    def end(self):
        self.file.close()
        self.sock.close()
        return self.process.wait(TIMEOUT)


class ByHand:
    """TLS whose records are sent when we want, with other octets between them if we want."""

    def __init__(self, sock, settings=None, name=None):
        self.sock = sock
        self.come, self.go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (settings or context()).wrap_bio(self.come, self.go, server_hostname=name)

    def flush(self):
        if self.go.pending:
            self.sock.sendall(self.go.read())

    def until(self, step):
        """Repeats a step until it has what it wants to read."""
        while True:
            try:
                result = step()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if data:
                    self.come.write(data)
                else:
                    self.come.write_eof()

    def send(self, data):
        self.tls.write(data)
        self.flush()

    def close_notify(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def rest(self):
        data = b""
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            while piece := self.until(lambda: self.tls.read(65536)):
                data += piece
        return data
