"""What the kernel knows about sockets: whether the other side has read what was sent to it."""
import fcntl
import struct
import termios

from patience import until


def octets(sock, request):
    return struct.unpack("i", fcntl.ioctl(sock.fileno(), request, bytes(4)))[0]


def unread(sock):
    """Octets that came in and that nobody has read yet. Of a socket that another process has too, they
    are those that it has not read."""
    return octets(sock, termios.FIONREAD)


def wait_read(sock):
    """Until whoever reads from this socket, or from a copy of it, has read all that came."""
    until(lambda: unread(sock) == 0)


def wait_taken(sock):
    """Until the other side of a UNIX socket has read all that was sent to it by this one."""
    until(lambda: octets(sock, termios.TIOCOUTQ) == 0)
