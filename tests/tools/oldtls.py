"""A server's TLS 1.2 as it was before RFC 5746, which OpenSSL no longer plays: by GnuTLS, in place of a context of `ssl`."""
import ctypes
import socket
import threading

SERVER, X509_PEM, CRD_CERTIFICATE, SHUT_RDWR = 1, 1, 1, 0
PRIORITY = b"NORMAL:-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION"


def library():
    """None: it is not there."""
    try:
        lib = ctypes.CDLL("libgnutls.so.30")
    except OSError:
        return None
    lib.gnutls_record_recv.restype = lib.gnutls_record_send.restype = ctypes.c_ssize_t
    lib.gnutls_record_recv.argtypes = lib.gnutls_record_send.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    return lib


class Plain:
    """Our end of what goes through it, with what a sink asks of a socket of `ssl`."""

    session_reused = False

    def __init__(self, sock, done):
        self.sock, self.done = sock, done
        self.makefile, self.sendall, self.recv = sock.makefile, sock.sendall, sock.recv

    @staticmethod
    def version():
        return "TLSv1.2"

    def unwrap(self):
        self.shutdown(socket.SHUT_WR)

    def shutdown(self, how):
        self.sock.shutdown(how)
        self.done.wait()


class OldTls:
    def __init__(self, certificate):
        self.lib, self.certificate = library(), str(certificate).encode()
        self.sni_callback = None # is never called

    def call(self, name, *arguments):
        r = getattr(self.lib, name)(*arguments)
        if r < 0:
            raise OSError(f"{name}: {r}")
        return r

    def wrap_socket(self, sock, **_):
        session, credentials = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("gnutls_certificate_allocate_credentials", ctypes.byref(credentials))
        self.call("gnutls_certificate_set_x509_key_file", credentials, self.certificate, self.certificate, X509_PEM)
        self.call("gnutls_init", ctypes.byref(session), SERVER)
        self.call("gnutls_priority_set_direct", session, PRIORITY, None)
        self.call("gnutls_credentials_set", session, CRD_CERTIFICATE, credentials)
        self.lib.gnutls_transport_set_int2(session, sock.fileno(), sock.fileno())
        self.call("gnutls_handshake", session)
        ours, theirs = socket.socketpair()
        done = threading.Event()
        threading.Thread(target=self.decrypt, args=(session, theirs), daemon=True).start()
        threading.Thread(target=self.encrypt, args=(session, theirs, done), daemon=True).start()
        return Plain(ours, done)

    def decrypt(self, session, theirs):
        room = ctypes.create_string_buffer(16384)
        while (n := self.lib.gnutls_record_recv(session, room, len(room))) > 0:
            theirs.sendall(room.raw[:n])
        theirs.shutdown(socket.SHUT_WR)

    def encrypt(self, session, theirs, done):
        while data := theirs.recv(16384):
            self.lib.gnutls_record_send(session, data, len(data))
        self.lib.gnutls_bye(session, SHUT_RDWR)
        done.set()
