"""Hosts by the thousand that keep a connection and do nothing for it, each with an address of its own.

One thread serves them all. A host does as it should up to one point, and from there on nothing:

	greeting   accepts, and never greets
	chatter    has a greeting that does not end: another line of it each second
	ehlo       greets, and never answers EHLO
	body       takes a message at one octet a second
	dot        never answers the final dot
	handshake  never accepts: its queue is full, so that the kernel lets nobody in

Port and addresses are the caller's: addresses(n) gives those that no other server of the tests has.
"""
import contextlib
import resource
import select
import socket
import threading
import time

import patience

PLACES = 250 # addresses in a net of 127.x.y.0/24
BUFFER = 4096 # octets that a host which reads slowly has room for
SEGMENT = 536 # ... and the largest segment, so that whoever sends keeps no megabytes for it
CHATTER = b"220-" + b"x" * 300 + b"\r\n"
REPLIES = {b"EHLO": b"250 silent\r\n", b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n", b"DATA": b"354 go\r\n"}


def addresses(n):
    return [f"127.77.{i // PLACES}.{i % PLACES + 1}" for i in range(n)]


def domains(n):
    return [f"silent{i}.example" for i in range(n)]


def zone(n):
    """A domain for each of n hosts."""
    return {key: text for domain, address in zip(domains(n), addresses(n)) for key, text in (
        ((domain, "MX"), [f"10 mx.{domain}."]), ((f"mx.{domain}", "A"), [address]))}


def room_for_files(n):
    """Sees to it that this process, and those that it starts, may open so many. False: they may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError): # to raise the hard one is for root only
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), max(hard, n)))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard >= n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))
    return hard >= n


class Guest:
    """A connection to one of them."""

    def __init__(self, sock):
        self.sock, self.line, self.body, self.silent = sock, b"", False, False


class Hosts:
    """`silent` are the connections that came to that point so far, `open` those of them that were not ended by the
    other side, `at_once` the most connections that were open at a time."""

    def __init__(self, port, n, how="greeting"):
        assert how in ("greeting", "chatter", "ehlo", "body", "dot", "handshake"), how
        self.how, self.port, self.addresses = how, port, addresses(n)
        self.silent = self.open = self.connections = self.most_open = 0
        self.guests, self.listeners, self.slow = {}, {}, set()
        self.poll, self.over = select.epoll(), False
        for address in self.addresses:
            self.listen(address)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def listen(self, address):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.how == "body":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        s.bind((address, self.port))
        s.listen(0 if self.how == "handshake" else 16)
        s.setblocking(False)
        self.listeners[s.fileno()] = s
        if self.how == "handshake": # one fills the queue; who gave it up stays in it
            with socket.create_connection((address, self.port)):
                pass
        else:
            self.poll.register(s, select.EPOLLIN)

    # ---- the thread

    def serve(self):
        tick = time.monotonic() + 1
        while not self.over:
            for fd, _ in self.poll.poll(max(0.0, min(tick - time.monotonic(), 0.2))):
                if fd in self.listeners:
                    self.accept(self.listeners[fd])
                else:
                    self.hear(self.guests[fd])
            if time.monotonic() >= tick:
                self.do_a_little()
                tick += 1

    def accept(self, listener):
        try:
            s, _ = listener.accept()
        except OSError:
            return
        s.setblocking(False)
        guest = self.guests[s.fileno()] = Guest(s)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.poll.register(s, select.EPOLLIN)
        if self.how in ("greeting", "chatter"):
            self.fall_silent(guest)
        else:
            self.say(guest, b"220 silent\r\n")

    @staticmethod
    def say(guest, text):
        """That it is gone is heard when its turn is."""
        with contextlib.suppress(OSError):
            guest.sock.send(text)

    def fall_silent(self, guest):
        if not guest.silent:
            guest.silent = True
            self.silent += 1
        if self.how in ("body", "chatter"):
            self.slow.add(guest)
            self.poll.modify(guest.sock, select.EPOLLRDHUP)

    def leave(self, guest):
        self.slow.discard(guest)
        self.poll.unregister(guest.sock)
        del self.guests[guest.sock.fileno()]
        guest.sock.close()
        self.open -= 1
        self.silent -= guest.silent

    def hear(self, guest):
        """Of one that takes an octet a second only the end is heard."""
        if guest in self.slow:
            self.leave(guest)
            return
        try:
            data = guest.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.leave(guest)
        elif guest.body:
            self.take_text(guest, data)
        else:
            guest.line += data
            self.answer(guest)

    def take_text(self, guest, data):
        guest.line = (guest.line + data)[-5:]
        if self.how == "body" or guest.line == b"\r\n.\r\n":
            self.fall_silent(guest)

    def answer(self, guest):
        while b"\r\n" in guest.line and not guest.silent:
            line, _, guest.line = guest.line.partition(b"\r\n")
            verb = line[:4].upper()
            if verb == b"EHLO" and self.how == "ehlo":
                self.fall_silent(guest)
                return
            self.say(guest, REPLIES.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                rest, guest.line, guest.body = guest.line, b"\r\n", True
                self.take_text(guest, rest)
                return

    def do_a_little(self):
        for guest in list(self.slow):
            if self.how == "body":
                with contextlib.suppress(OSError):
                    guest.sock.recv(1)
            else:
                self.say(guest, CHATTER)

    # ---- what a test does

    def connecting(self):
        """Connections to them that the kernel has not let in: as /proc/net/tcp has them. For "handshake"."""
        ours = {f"{socket.inet_aton(a)[::-1].hex().upper()}:{self.port:04X}" for a in self.addresses}
        waiting = "02" # SYN_SENT
        with open("/proc/net/tcp", encoding="ascii") as f:
            found = [line.split()[1:4] for line in f] # one may be listed twice while others come and go
        return len({(here, there) for here, there, state in found if there in ours and state == waiting})

    def caught(self):
        """Connections that are at the point where nothing comes any more."""
        return self.connecting() if self.how == "handshake" else self.silent

    def wait_caught(self, n):
        patience.until(lambda: self.caught() >= n)

    def close(self):
        """They are gone, and so are their connections."""
        self.over = True
        self.thread.join()
        for s in [*self.listeners.values(), *(guest.sock for guest in self.guests.values())]:
            s.close()
        self.poll.close()
