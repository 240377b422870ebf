"""Both sides of SCRAM (RFC 5802, RFC 7677, RFC 9266), independent of the product's."""
import base64
import hashlib
import hmac
import os


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class Scram:
    """One exchange. `binding`: the octets of tls-exporter, for -PLUS."""

    def __init__(self, hash_name, user, password, binding=None, other="", flag=None):
        self.hash, self.password = hash_name, password.encode()
        flag = flag or ("n" if binding is None else "p=tls-exporter")
        self.head = f"{flag},{'a=' + other if other else ''},"
        self.binding = binding or b""
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={b64(os.urandom(18))}"

    def first(self):
        return b64(self.head + self.bare)

    def mac(self, key, text):
        return hmac.new(key, text if isinstance(text, bytes) else text.encode(), self.hash).digest()

    def final(self, challenge):
        """The answer to the server's first message, which is kept in parts."""
        said = base64.b64decode(challenge).decode()
        self.nonce, self.salt, self.iterations = (x[2:] for x in said.split(","))
        assert self.nonce.startswith(self.bare.split("r=")[1])
        without = f"c={b64(self.head.encode() + self.binding)},r={self.nonce}"
        everything = f"{self.bare},{said},{without}"
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(self.salt),
                                     int(self.iterations))
        key = self.mac(salted, "Client Key")
        signature = self.mac(hashlib.new(self.hash, key).digest(), everything)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.expected = self.mac(self.mac(salted, "Server Key"), everything)
        return b64(f"{without},p={b64(proof)}")

    def verified(self, challenge):
        """Did the server prove that it knows the secret?"""
        return base64.b64decode(challenge) == b"v=" + b64(self.expected).encode()


class ScramServer:
    """One exchange. `says` is who the client is, `proved` that it knows the password."""

    ROUNDS = 4096

    def __init__(self, hash_name, password, first):
        self.hash = hash_name
        self.salt = os.urandom(16)
        self.salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), self.salt, self.ROUNDS)
        self.head, self.bare = (lambda x: (x[0] + "," + x[1] + ",", x[2]))(first.split(",", 2))
        name, nonce = self.bare.split(",r=")
        self.says, self.nonce = name[2:], nonce + b64(os.urandom(9))

    def challenge(self):
        self.said = f"r={self.nonce},s={b64(self.salt)},i={self.ROUNDS}"
        return b64(self.said)

    def mac(self, key, text):
        return hmac.new(key, text.encode(), self.hash).digest()

    def last(self, final):
        """The signature that proves that we know the password."""
        without, proof = final.rsplit(",p=", 1)
        assert without == f"c={b64(self.head)},r={self.nonce}"
        everything = f"{self.bare},{self.said},{without}"
        key = self.mac(self.salted, "Client Key")
        signature = self.mac(hashlib.new(self.hash, key).digest(), everything)
        expected = bytes(a ^ b for a, b in zip(key, signature))
        self.proved = base64.b64decode(proof) == expected
        return b64("v=" + b64(self.mac(self.mac(self.salted, "Server Key"), everything)))
