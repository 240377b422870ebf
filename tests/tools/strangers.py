"""A TCP connection between chosen addresses, whoever runs the tests.

Sockets belong for life to the network namespace they were made in. So a helper makes a connected
pair inside a namespace of its own, where lo has every address that is wanted, and hands both ends
over; the programs under test need not know.
"""
import pathlib
import socket
import subprocess
import sys

from patience import PATIENCE

NETNS = pathlib.Path(__file__).resolve().parent / "netns"
NO_NAMESPACE = 77


class NoNamespace(Exception):
    """Why there is none."""


def connection(client, listening=False):
    """(client's end, server's end). `::ffff:a.b.c.d`: an IPv4 client of an IPv6 listener. `listening`: the
    server's end is the socket where it waits to be accepted."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        p = subprocess.run([str(NETNS), sys.executable, __file__, client, str(theirs.fileno()),
                            *(["listening"] if listening else [])],
                           pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, check=False,
                           timeout=PATIENCE)
        theirs.close()
        if p.returncode == NO_NAMESPACE:
            raise NoNamespace(p.stderr.decode().strip())
        assert p.returncode == 0, p.stderr.decode()
        _, fds, _, _ = socket.recv_fds(ours, 1, 2)
        return tuple(socket.socket(fileno=fd) for fd in fds)


def main():
    address, out, listening = sys.argv[1], socket.socket(fileno=int(sys.argv[2])), len(sys.argv) > 3
    mapped = address.startswith("::ffff:")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    where = address.removeprefix("::ffff:") if mapped else address
    with socket.create_server(("::" if mapped else address, 0), family=family,
                              dualstack_ipv6=mapped) as listener:
        client = socket.create_connection((where, listener.getsockname()[1]), PATIENCE, (where, 0))
        server = listener if listening else listener.accept()[0]
        client.settimeout(None)
        socket.send_fds(out, [b"x"], [client.fileno(), server.fileno()])


if __name__ == "__main__":
    main()
