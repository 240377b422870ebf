"""A sink that speaks TLS, and asks who its clients are."""
import base64
import contextlib
import socket
import ssl
import threading

import internet
import tlsversions
from scram import ScramServer


def server_context(certificate, low=tlsversions.V12, high=tlsversions.NEWEST):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    tlsversions.limit(c, low, high)
    c.load_cert_chain(certificate)
    return c


def text_of(word):
    return base64.b64decode(word).decode()


class Lines:
    """What a conversation needs of a socket."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")
        self.readline, self.read = self.file.readline, self.file.read

    def write(self, data):
        self.sock.sendall(data)

    def flush(self):
        pass


class Connection:
    """One connection: what its STARTTLS and AUTH do."""

    def __init__(self, sink, sock):
        self.sink, self.sock = sink, sock

    def wrap(self):
        sink = self.sink
        if sink.fault is not None:
            sink.fault(self)
        sink.mine.name = None
        try:
            self.sock = sink.context.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=False)
        except (ssl.SSLError, OSError) as e:
            sink.failures.append(str(e))
            raise OSError("no TLS") from e
        with sink.lock:
            sink.shaken.append((self.sock.version(), self.sock.session_reused, sink.mine.name))
        return Lines(self.sock)

    def command(self, verb, text, rfile, wfile):
        self.rfile, self.wfile = rfile, wfile
        with self.sink.lock:
            self.sink.lines.append(text)
        if verb == "AUTH":
            self.put(self.authenticate(*text.split(" ")[1:]))
            return rfile, wfile
        said = self.sink.reply("STARTTLS", text, "220 go")
        if said is None:
            raise OSError("told to close")
        wfile.write(said.encode() + b"\r\n")
        wfile.flush()
        if said[:3] != "220":
            return rfile, wfile
        lines = self.wrap()
        self.sink.ehlo = self.sink.ehlo_inside
        return lines, lines

    def put(self, text):
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()

    def challenge(self, text):
        self.put("334 " + text)
        return self.rfile.readline().decode().rstrip("\r\n")

    def authenticate(self, mechanism, first=None):
        """The last reply."""
        if "AUTH" in self.sink.say:
            return self.sink.reply("AUTH", mechanism, "")
        if mechanism.startswith("SCRAM-"):
            return self.scram(mechanism, first)
        if mechanism == "LOGIN":
            said = (text_of(self.challenge("VXNlcm5hbWU6")), text_of(self.challenge("UGFzc3dvcmQ6")))
        else:
            said = text_of(first if first is not None else self.challenge(""))
        self.sink.proofs.append((mechanism, said))
        return "235 2.7.0 welcome"


    def scram(self, mechanism, first):
        s = ScramServer("sha256" if "256" in mechanism else "sha1", self.sink.password, text_of(first))
        s.final = s.last(text_of(self.challenge(s.challenge())))
        if not s.proved:
            return "535 5.7.8 no"
        self.sink.proofs.append((mechanism, s.says))
        if self.sink.impostor is not None: # does not know the password, but says so nicely
            return self.sink.impostor(self)
        assert self.challenge(s.final) == ""
        return "235 2.7.0 welcome"


class TlsSink(internet.Sink):
    """`ehlo` is offered in clear, `inside` within TLS; `shaken` are (version, resumed, SNI) of handshakes."""

    def __init__(self, context, address="127.0.0.2", port=0, implicit=False, inside=None, **more):
        self.mine = threading.local() # of one connection, which is one thread
        self.context, self.implicit = context, implicit
        self.shaken, self.failures, self.proofs = [], [], []
        self.password, self.impostor = "secret", None
        self.fault = None # called with a connection in place of, or ahead of, its handshake
        self.ehlo_outside = ("PIPELINING", "STARTTLS")
        self.ehlo_inside = inside or internet.Sink.EHLO
        if context is not None:
            context.sni_callback = lambda sock, name, ctx: setattr(self.mine, "name", name)
        super().__init__(address, port, **more)

    @property
    def secure(self):
        return self.mine.secure

    @property
    def ehlo(self):
        return self.mine.ehlo

    @ehlo.setter
    def ehlo(self, keywords):
        self.mine.ehlo = keywords

    def converse(self, connection, rfile, wfile, leave):
        self.mine.secure = Connection(self, connection)
        self.ehlo = self.ehlo_inside if self.implicit else self.ehlo_outside
        if self.implicit:
            rfile = wfile = self.secure.wrap()
        try:
            self.session(rfile, wfile, leave)
            if isinstance(self.secure.sock, ssl.SSLSocket): # it may have stayed in clear
                with contextlib.suppress(OSError, ValueError):
                    self.secure.sock.unwrap()
        except OSError: # without close_notify
            with contextlib.suppress(OSError):
                self.secure.sock.shutdown(socket.SHUT_RDWR)
            raise
