"""A small internet on loopback: a DNS server and mail sinks that do as they are told.

Everything runs in threads of the test process. The DNS server speaks UDP (with truncation) and
TCP; a zone is a dict {(name, type): [text, ...]}. Its entry (name, "fault") is SILENT, an rcode, or
a function of the question, the honest reply, and "udp" or "tcp": the octets to send, or None.

A server without a number gets a port of its own (ports.py), and gives it back when it is closed.
"""
import contextlib
import hashlib
import socket
import socketserver
import threading

import dnslib

import ports
from patience import PATIENCE, hold, until

UDP_LIMIT = 512

wait_until = until # a name that has been


def end(server):
    """Its loop hears at once that there is nothing more to wait for, instead of when it looks up."""
    with contextlib.suppress(OSError): # UDP is not connected, and wakes up all the same
        server.socket.shutdown(socket.SHUT_RDWR)
    server.shutdown()
    server.server_close()


class Sockets:
    """The open connections of a server, which its threads hold; to end them from outside."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = set()
        self.over = False # what was accepted and comes here later ends at once

    @contextlib.contextmanager
    def noted(self, sock):
        with sock.dup() as same: # TLS takes the socket over
            with self.lock:
                self.now.add(same)
                over = self.over
            if over:
                self.cut()
            try:
                yield
            finally:
                with self.lock:
                    self.now.discard(same)

    def cut(self):
        with self.lock:
            for s in self.now:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

    def end(self):
        """The same for those too whose thread has not begun."""
        with self.lock:
            self.over = True
        self.cut()


class Dns:
    """One DNS server, UDP and TCP on the same port."""

    def __init__(self, zone, address="127.0.0.1", port=0):
        self.zone = zone
        self.secure = False # it says that it has validated what it says
        self.asked = []
        self.lock = threading.Lock()
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                reply = outer.answer(data, "udp") if data else None # it is being ended
                if reply is not None:
                    sock.sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                head = self.request.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                data = self.request.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
                reply = outer.answer(data, "tcp")
                if reply is not None:
                    self.request.sendall(len(reply).to_bytes(2, "big") + reply)

        class Streams(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        self.own = 0 if port else ports.take()
        self.port = port or self.own
        self.tcp = Streams((address, self.port), Tcp)
        self.udp = socketserver.ThreadingUDPServer((address, self.port), Udp)
        self.address = address
        for server in (self.udp, self.tcp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, data, how):
        query = dnslib.DNSRecord.parse(data)
        name = str(query.q.qname).lower().rstrip(".")
        kind = dnslib.QTYPE[query.q.qtype]
        with self.lock:
            self.asked.append((how, name, kind))
        reply = query.reply()
        reply.header.ad = self.secure # or it would be as the question has it
        fault = self.zone.get((name, "fault"))
        if fault == "SILENT":
            return None
        if isinstance(fault, str):
            reply.header.rcode = getattr(dnslib.RCODE, fault)
            return reply.pack()
        names = {n for n, _ in list(self.zone)} # to which a test may add meanwhile
        cname = self.zone.get((name, "CNAME"))
        if cname:
            reply.add_answer(*dnslib.RR.fromZone(f"{name}. 60 CNAME {cname[0]}"))
        for text in self.zone.get((name, kind), []):
            if not cname:
                reply.add_answer(*dnslib.RR.fromZone(f"{name}. 60 {kind} {text}"))
        if not reply.rr: # a "no" carries a SOA
            reply.add_auth(*dnslib.RR.fromZone(f"{name}. 60 SOA . . 1 2 3 4 5"))
        if name not in names:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        if fault is not None:
            return fault(query, reply, how)
        packed = reply.pack()
        if how == "udp" and len(packed) > UDP_LIMIT:
            cut = query.reply()
            cut.header.tc, cut.header.ad = 1, self.secure
            packed = cut.pack()
        return packed

    def wait_asked(self, name, kind):
        """Until somebody asked for it, by UDP or TCP."""
        until(lambda: [a for a in list(self.asked) if a[1:] == (name, kind)])

    def close(self):
        for server in (self.udp, self.tcp):
            end(server)
        ports.give_back(self.own)


class Message:
    def __init__(self, sender, recipients, data, helo):
        self.sender, self.recipients, self.data, self.helo = sender, recipients, data, helo

    @property
    def digest(self):
        return hashlib.sha256(self.data).hexdigest()


class Last(str):
    """What a sink says as it stands, line ends and all; then it closes."""


ESTABLISHED = 1 # of the kernel's tcp_states.h


def is_held(sock):
    """Does the other side have the connection still, whether somebody here has heard of its end or not?"""
    return sock.family == socket.AF_UNIX or sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED


class Sink:
    """An SMTP server, LMTP behind LHLO, whose replies can be changed while it runs.

    `address` may be the path of a UNIX socket. `say` maps a verb ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END") to a reply line, or to a
    function of the command line; None as a reply closes the connection without a word, a Last after it. `lines` are
    the command lines of MAIL, RCPT, DATA and BDAT as they came, `clients` whence. With LMTP "END" is
    said of each recipient, whose address is the line. `secure`: see tlssink.py.
    """

    secure = None

    EHLO = ("PIPELINING", "8BITMIME", "SIZE 100000000")

    def __init__(self, address="127.0.0.2", port=0, family=None, say=None, ehlo=EHLO):
        self.say = dict(say or {})
        self.ehlo = ehlo
        self.messages = []
        self.lines = []
        self.clients = []
        self.connections = 0
        self.open = 0
        self.most_open = 0 # that the other side had, and had not said QUIT by
        self.here = set()
        self.delay = 0
        self.lock = threading.Lock()
        self.open_sockets = Sockets()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            left = False

            def handle(self):
                with self.request.dup() as self.same: # TLS takes the socket over
                    with outer.lock:
                        outer.clients.append(self.client_address[:1])
                        outer.connections += 1
                        outer.open += 1
                        outer.here.add(self)
                        outer.most_open = max(outer.most_open, sum(is_held(h.same) for h in outer.here))
                    try:
                        with outer.open_sockets.noted(self.request):
                            outer.converse(self.request, self.rfile, self.wfile, self.leave)
                    except (OSError, ValueError):
                        pass
                    finally:
                        self.leave()

            def leave(self):
                """Once; with QUIT before the answer, for then the other side may begin anew."""
                with outer.lock:
                    outer.open -= not self.left
                    outer.here.discard(self)
                    self.left = True

        class Server(socketserver.ThreadingTCPServer):
            address_family = family or (socket.AF_UNIX if "/" in address else
                                        socket.AF_INET6 if ":" in address else socket.AF_INET)
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 256

        self.own = 0 if port or "/" in address else ports.take()
        self.address, self.port = address, port or self.own or None
        self.server = Server((address, self.port) if self.port else address, Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reply(self, verb, line, default):
        said = self.say.get(verb, default)
        return said(line) if callable(said) else said

    @contextlib.contextmanager
    def held(self, verb, reply):
        """Within, it says nothing to this; then so."""
        go = threading.Event()

        def say(_):
            go.wait(PATIENCE)
            return reply
        self.say[verb] = say
        try:
            yield
        finally:
            go.set()

    def converse(self, connection, rfile, wfile, leave):
        """One connection from its first octet."""
        del connection
        self.session(rfile, wfile, leave)

    def session(self, rfile, wfile, leave):
        sender, recipients, helo, chunks = None, [], "", b""
        take = self.take

        def put(text):
            if text is None:
                raise OSError("told to close")
            last = isinstance(text, Last)
            wfile.write(text.encode() + (b"" if last else b"\r\n"))
            wfile.flush()
            if last:
                raise OSError("told to close behind it")
            return text

        put(self.reply("GREETING", "", "220 sink ESMTP"))
        while True:
            line = rfile.readline()
            if not line:
                return
            text = line.decode("latin-1").rstrip("\r\n")
            verb = text[:4].upper()
            if verb in ("MAIL", "RCPT", "DATA", "BDAT"):
                with self.lock:
                    self.lines.append(text)
            if verb in ("EHLO", "LHLO"):
                helo = text[5:]
                take = self.take_each if verb == "LHLO" else self.take
                default = "\r\n".join(
                    ["250-sink"] + [f"250-{k}" for k in self.ehlo] + ["250 HELP"])
                put(self.reply("EHLO", text, default))
            elif verb == "MAIL":
                nested = sender is not None
                said = put(self.reply("MAIL", text, "503 5.5.1 nested MAIL" if nested else "250 2.1.0 ok"))
                if nested and said[0] != "2":
                    continue
                sender = text[text.index("<") + 1:text.index(">")] if said[0] == "2" else None
                recipients, chunks = [], b""
            elif verb == "RCPT":
                said = put(self.reply("RCPT", text, "250 2.1.5 ok"))
                if said[0] == "2" and sender is not None:
                    recipients.append(text[text.index("<") + 1:text.rindex(">")])
            elif verb == "DATA":
                default = "354 go" if recipients else "554 5.5.1 no valid recipients"
                if put(self.reply("DATA", text, default))[:3] == "354":
                    take(put, sender, recipients, self.data(rfile), helo)
                    sender, recipients = None, []
            elif verb == "BDAT":
                words = text.split(" ")
                chunks += rfile.read(int(words[1]))
                if not recipients: # and the transaction stays as it is
                    put("503 5.5.1 no recipients")
                elif words[2:] == ["LAST"]:
                    take(put, sender, recipients, chunks, helo)
                    sender, recipients, chunks = None, [], b""
                else:
                    put("250 2.0.0 more")
            elif verb == "QUIT":
                leave()
                put(self.reply("QUIT", text, "221 bye"))
                return
            elif self.secure is not None and verb in ("STAR", "AUTH"):
                rfile, wfile = self.secure.command(verb, text, rfile, wfile)
            else:
                if verb == "RSET":
                    sender, recipients, chunks = None, [], b""
                put(self.reply(verb, text, "250 ok"))

    @staticmethod
    def data(rfile):
        body = []
        while True:
            line = rfile.readline()
            if not line:
                raise OSError("cut in a message")
            if line == b".\r\n":
                break
            body.append(line[1:] if line.startswith(b".") else line)
        return b"".join(body)

    def take(self, put, sender, recipients, data, helo):
        if self.delay:
            hold(self.delay)
        said = self.reply("END", "", "250 2.0.0 taken")
        if recipients and said is not None and said[:1] == "2":
            with self.lock:
                self.messages.append(Message(sender, recipients, data, helo))
        put(said)

    def take_each(self, put, sender, recipients, data, helo):
        """LMTP."""
        said = [(r, self.reply("END", r, "250 2.0.0 taken")) for r in recipients]
        taken = [r for r, reply in said if reply is not None and reply[:1] == "2"]
        if taken:
            with self.lock:
                self.messages.append(Message(sender, taken, data, helo))
        for _, reply in said or [("", "503 5.5.1 no recipients")]:
            put(reply)

    # ---- what a test waits for

    def wait_messages(self, n=1):
        """Until it took at least so many."""
        return until(lambda: len(self.messages) >= n and self.messages)

    def wait_lines(self, n=1):
        return until(lambda: len(self.lines) >= n and self.lines)

    def wait_connections(self, n=1):
        return until(lambda: self.connections >= n and self.connections)

    def wait_left(self):
        """Until all who came have gone: then it has read all that they said."""
        until(lambda: self.open == 0)

    def cut(self):
        """Ends the connections that are open."""
        self.open_sockets.cut()

    def close(self):
        """No new connections; those that are open go on."""
        end(self.server)
        ports.give_back(self.own)

    def end(self):
        """Neither."""
        self.close()
        self.open_sockets.end()


class Listener:
    """Serves each connection in a thread: `talk` is called with the socket and an unbuffered file of
    it, and may break off."""

    def __init__(self, port, talk, address="127.0.0.7"):
        self.talk = talk
        self.connections = 0
        self.open_sockets = Sockets()
        self.own = 0 if port else ports.take()
        self.port = port or self.own
        self.listener = socket.create_server((address, self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.play, args=(s,), daemon=True).start()

    def play(self, s):
        with s, s.makefile("rwb", buffering=0) as f:
            try:
                with self.open_sockets.noted(s):
                    self.talk(s, f)
            except OSError:
                pass

    def wait_connections(self, n=1):
        return until(lambda: self.connections >= n and self.connections)

    def cut(self):
        """Ends the connections that are open."""
        self.open_sockets.cut()

    def close(self):
        """No new connections; those that are open go on."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR) # closing alone leaves accept() waiting, and the port taken
        self.listener.close()
        ports.give_back(self.own)
