"""Port numbers that are nobody else's.

take() gives a number that belongs to this process until give_back(), or until it ends. While it does

- no other process of this network namespace gets that number from here, nor this one again;
- the kernel gives it to nobody who asks for just any port, for TCP or UDP, at any address: it is
  outside of net.ipv4.ip_local_port_range. So a resolver's socket never has it, nor a client's;
- when it was given out, nothing held it at any address, IPv4 or IPv6, for TCP or UDP, not even a
  connection in TIME_WAIT. Only a program that insists on this very number could take it since.

So it may be bound at as many addresses as a test likes, left, bound again, and handed to programs
that want a number. What is bound to port 0 and keeps its socket needs none.

The reservation is an abstract UNIX socket of that name: the kernel keeps those for each network
namespace, as it keeps ports, and removes them with the process. There is nothing to clean up.
"""
import errno
import pathlib
import random
import socket

FIRST, LAST = 10000, 65535 # below are the numbers of services
NAME = "\0postern-test-port-{}"
SYSTEM = pathlib.Path("/proc/sys/net/ipv4")
TAKEN = (errno.EADDRINUSE, errno.EACCES)


def read(name):
    try:
        return (SYSTEM / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def candidates(local_range, reserved):
    """Numbers that the kernel does not choose, given what its two files say."""
    low, high = map(int, local_range.split()) if local_range else (32768, 60999)
    kept = set()
    for part in filter(None, reserved.split(",")):
        first, _, last = part.partition("-")
        kept.update(range(int(first), int(last or first) + 1))
    return [n for n in range(FIRST, LAST + 1) if not low <= n <= high or n in kept]


def is_free(number):
    """Whether it can be bound at every address, by a program that shares with nobody."""
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as s:
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind((everywhere, number))
            except OSError as e:
                if e.errno in TAKEN:
                    return False
                if family == socket.AF_INET: # a host may have no IPv6
                    raise
    return True


def reserve(number):
    """The socket that reserves it, or None."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        s.bind(NAME.format(number))
        if is_free(number):
            return s
    except OSError as e:
        if e.errno not in TAKEN:
            s.close()
            raise
    s.close()
    return None


numbers = [] # each is tried in turn, so that one that was given back rests for long
held = {}    # {number: the socket that reserves it}


def take():
    """A number that is ours until it is given back."""
    if not numbers:
        found = candidates(read("ip_local_port_range"), read("ip_local_reserved_ports"))
        if not found:
            raise RuntimeError("the kernel gives every port to anybody (net.ipv4.ip_local_port_range): "
                               "leave some to the tests, as in net.ipv4.ip_local_reserved_ports=20000-29999")
        first = random.SystemRandom().randrange(len(found))
        numbers.extend(found[first:] + found[:first])
    for _ in numbers:
        number = numbers.pop(0)
        numbers.append(number)
        reservation = reserve(number)
        if reservation is not None:
            held[number] = reservation
            return number
    raise RuntimeError("no port is free")


def give_back(number):
    """Nothing of ours may be bound to it any more. One that is not ours stays as it is."""
    reservation = held.pop(number, None)
    if reservation is not None:
        reservation.close()
