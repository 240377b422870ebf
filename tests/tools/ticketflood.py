"""A host that says nothing but tickets of sessions in TLS 1.3, and those faster than anybody takes them in.

`ssl` sends no ticket that is not asked for, so the records are made here, by the secret that it logs.
"""
import contextlib
import ctypes
import hashlib
import hmac
import os
import pathlib
import socket

import tlsversions

KEY, IV, TAG, RECORD = 32, 12, 16, 16384
GET_TAG = 16 # EVP_CTRL_AEAD_GET_TAG
# NewSessionTicket (RFC 8446 section 4.6.1): an hour, a nonce and a ticket of an octet each, no extensions.
TICKET = bytes.fromhex("04 00000f 00000e10 00000000 01 00 0001 00 0000")
AT_ONCE = 16


def derive(secret, label, n):
    """HKDF-Expand-Label (RFC 8446 section 7.1), of no more than one hash."""
    label = b"tls13 " + label
    info = n.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    return hmac.new(secret, info + b"\1", hashlib.sha384).digest()[:n]


def library():
    lib = ctypes.CDLL("libcrypto.so.3")
    p, n, s = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, restype, *argtypes in [
            ("EVP_CIPHER_CTX_new", p), ("EVP_CIPHER_CTX_free", None, p), ("EVP_aes_256_gcm", p),
            ("EVP_EncryptInit_ex", n, p, p, p, s, s), ("EVP_EncryptUpdate", n, p, p, p, s, n),
            ("EVP_EncryptFinal_ex", n, p, p, p), ("EVP_CIPHER_CTX_ctrl", n, p, n, n, p)]:
        function = getattr(lib, name)
        function.restype, function.argtypes = restype, argtypes
    return lib


class Records:
    """What the server of a connection encrypts, from its first record behind the handshake on."""

    def __init__(self, secret):
        self.lib, self.number = library(), 0
        self.key, self.iv = derive(secret, b"key", KEY), derive(secret, b"iv", IV)

    def make(self, text):
        """A record of handshake messages."""
        inner = text + b"\x16"
        head = b"\x17\x03\x03" + (len(inner) + TAG).to_bytes(2, "big")
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.number.to_bytes(IV, "big")))
        self.number += 1
        out, tag, n = (ctypes.create_string_buffer(len(inner)), ctypes.create_string_buffer(TAG),
                       ctypes.c_int())
        ctx = self.lib.EVP_CIPHER_CTX_new()
        done = self.lib.EVP_EncryptInit_ex(ctx, self.lib.EVP_aes_256_gcm(), None, self.key, nonce) == 1 and \
            self.lib.EVP_EncryptUpdate(ctx, None, ctypes.byref(n), head, len(head)) == 1 and \
            self.lib.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), inner, len(inner)) == 1 and \
            self.lib.EVP_EncryptFinal_ex(ctx, None, ctypes.byref(n)) == 1 and \
            self.lib.EVP_CIPHER_CTX_ctrl(ctx, GET_TAG, TAG, tag) == 1
        self.lib.EVP_CIPHER_CTX_free(ctx)
        assert done
        return head + out.raw + tag.raw


def prepare(context, keys):
    """Of a context of `ssl`: nothing is sent behind the handshake, and its secrets are written to the file `keys`."""
    tlsversions.limit(context, tlsversions.V13, tlsversions.V13)
    context.num_tickets = 0
    context.keylog_filename = str(keys)


def flood(sock, keys, over):
    """Until this is over, or the client has gone. Nothing was sent behind the handshake of `sock`, the last one."""
    assert sock.cipher()[0] == "TLS_AES_256_GCM_SHA384"
    lines = [line.split() for line in pathlib.Path(keys).read_text().splitlines()]
    records = Records(bytes.fromhex([line[2] for line in lines if line[0] == "SERVER_TRAFFIC_SECRET_0"][-1]))
    tickets = TICKET * (RECORD // len(TICKET))
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as plain:
        while not over.is_set():
            plain.sendall(b"".join(records.make(tickets) for _ in range(AT_ONCE)))
