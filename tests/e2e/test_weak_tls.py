"""Hosts whose TLS is weak: better than none under `may`, and not good enough for the other policies (M9)."""
import base64
import socket
import ssl

import pytest

import tlsversions
from conftest import own
from oldtls import OldTls, library
from pki import openssl, sequence
from tlsplace import issue_cards

# The group of 1024 bits in RFC 2409 section 6.2.
PRIME = int("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A0879"
            "8E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B"
            "0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF", 16)


def rsa(pki, name, bits, *how):
    """A certificate for mx.dest.example with such a key; `how` it is signed."""
    key, path = pki.directory / f"{name}.key", pki.path(name)
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", key)
    extensions = pki.directory / f"{name}.ext"
    extensions.write_text("extendedKeyUsage=serverAuth\nsubjectAltName=DNS:mx.dest.example\n")
    request = openssl("req", "-new", "-key", key, "-subj", f"/CN={name}")
    openssl("x509", "-req", "-CA", pki.path("ca"), "-CAkey", pki.key("ca"), "-days", 30, *how,
            "-extfile", extensions, "-out", path, stdin=request)
    path.write_text(path.read_text() + key.read_text())


@pytest.fixture(scope="module")
def cards(pki):
    rsa(pki, "rsa-2048", 2048)
    rsa(pki, "rsa-1024", 1024)
    rsa(pki, "sha-1", 2048, "-sha1")
    numbers = b"".join(sequence(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in (PRIME, 2))
    pki.path("dhe-2048").write_bytes(
        openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"))
    pki.path("dhe-1024").write_text("-----BEGIN DH PARAMETERS-----\n" +
                              base64.encodebytes(sequence(0x30, numbers)).decode() +
                              "-----END DH PARAMETERS-----\n")
    return issue_cards(pki)


def host(place, weakness, **more):
    """With this weakness, and with no other."""
    card = weakness if weakness in ("rsa-1024", "sha-1") else "rsa-2048"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0" if weakness.startswith("dhe")
                        else "DEFAULT:@SECLEVEL=0")
    if weakness.startswith("dhe"):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_dh_params(place.cards.path(weakness))
    context.load_cert_chain(place.cards.path(card))
    return place.host(context=context, **more)


@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
@pytest.mark.parametrize("weakness, careful, judged", [
    ("none", None, None),
    ("dhe-2048", None, None),
    ("dhe-1024", "TLS: dh key too small", "TLS: dh key too small"),
    # `encrypt` takes any certificate, so it takes a weak one.
    ("rsa-1024", None, "certificate: not good for mx.dest.example: EE certificate key too weak"),
    ("sha-1", None, "certificate: not good for mx.dest.example: CA signature digest algorithm too weak"),
])
def test_weak(place, wait, weakness, careful, judged, policy):
    why = {"may": None, "encrypt": careful, "verify": judged}[policy]
    sink = host(place, weakness)
    place.send(delivery_tls=policy)
    if why is None:
        assert wait(lambda: len(sink.messages) == 1 and not place.postern.messages()), place.postern.logged()
        assert wait(lambda: (", verified\n" if policy == "verify" else ", not verified\n") in place.postern.logged())
    else:
        assert wait(lambda: "; next try" in place.postern.logged()), place.postern.logged()
        assert f": {why}; next try" in place.postern.logged()
        assert sink.lines == ["STARTTLS"] and len(place.postern.messages()) == 1


@pytest.mark.parametrize("policy", ["encrypt", "verify"])
def test_weak_session(place, policy):
    """What was agreed on with weak keys, where these are better than none, is not gone on with where they are not."""
    sink = host(place, "dhe-1024")
    place.send(delivery_tls="may", linger="0s")
    sink.wait_messages(1)
    place.postern.settled()
    place.send(delivery_tls=policy)
    assert ": TLS: dh key too small; next try" in place.postern.settled(1)
    assert len(sink.messages) == 1


@pytest.mark.parametrize("weakness", ["dhe-2048", "dhe-1024"])
def test_password_and_weak_keys(place, weakness):
    """M9: under `may` weak keys are better than none for mail, but whoever can break them sees what is said, however
    good the certificate is: no password goes there in clear, nor by a session that was agreed on so."""
    sink = host(place, weakness, inside=("AUTH PLAIN",))
    sink.password = "s3cret"
    secret = place.postern.where / "password"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    own(secret)
    place.postern.configure("[route named]", "domains = dest.example", f"hosts = mx.dest.example:{place.world.port}",
                            "delivery_user = us", f"delivery_password_file = {secret}")
    for n in (1, 2):
        place.postern.send("u@dest.example", delivery_tls="may", linger="0s")
        if weakness == "dhe-1024":
            place.postern.wait_logged("cannot authenticate as us: ", n)
            place.postern.rested()
            assert not sink.proofs and not sink.messages
            place.postern.make_due()
        else:
            sink.wait_messages(n)
            log = place.postern.settled()
    if weakness == "dhe-2048":
        assert log.count(", verified, authenticated by PLAIN") == 2 and log.count(", resumed") == 1


@pytest.mark.parametrize("version", [tlsversions.V10, tlsversions.V11])
@pytest.mark.parametrize("policy", ["may", "encrypt"])
def test_before_tls_1_2(place, version, policy):
    """L23: where mail would go in clear, it goes by the TLS that the host has; each time, for no session is saved."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tlsversions.limit(context, version, version)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(place.cards.path("rsa-2048"))
    sink = place.host(context=context)
    for n in range(2):
        place.send(delivery_tls=policy, linger="0s")
        if policy == "may":
            sink.wait_messages(n + 1)
    log = place.postern.settled(0 if policy == "may" else 2)
    if policy == "may":
        assert log.count(f"connected to mx.dest.example[127.0.0.2]:{sink.port}, TLSv1") == 2 and "clear" not in log
        assert "resumed" not in log and len(sink.shaken) == sink.connections == 2
    else:
        assert not sink.messages


@pytest.mark.skipif(library() is None, reason="needs libgnutls")
@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
def test_before_rfc_5746(place, policy):
    """L23: old TLS is better than none where none is allowed, and good enough where no certificate is asked for."""
    sink = place.host(context=OldTls(place.cards.path("rsa-2048")))
    place.send(delivery_tls=policy)
    if policy == "verify":
        place.postern.wait_logged("; next try")
        assert not sink.messages and "TLS: unsafe legacy renegotiation disabled" in place.postern.settled(1)
    else:
        sink.wait_messages(1)
        assert "TLSv1.2 " in place.postern.settled() and len(sink.shaken) == sink.connections == 1


@pytest.mark.parametrize("versions", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
@pytest.mark.parametrize("alert, text", [
    (ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME, "unrecognized name"),
    (ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE, "handshake failure"),
    (ssl.ALERT_DESCRIPTION_INTERNAL_ERROR, "internal error"),
    (ssl.ALERT_DESCRIPTION_ACCESS_DENIED, "access denied"),
])
def test_a_name_that_the_host_minds(place, policy, versions, alert, text):
    """L23: an alert that may be about the name: once more without one, unless the certificate is to be for it. In
    clear it does not go: who points the exchanger of a domain of his own at a host would have all mail for that host
    go in clear."""
    sink = place.host(card="host")
    sink.context.minimum_version = sink.context.maximum_version = versions
    sink.context.sni_callback = lambda sock, name, ctx: \
        alert if name is not None else None
    place.send(delivery_tls=policy)
    if policy == "verify":
        place.postern.wait_logged("; next try")
        assert not sink.messages and text in place.postern.settled(1)
    else:
        sink.wait_messages(1)
        place.postern.settled()
        assert len(sink.shaken) == 1 and sink.connections == 2


@pytest.mark.parametrize("policy", ["may", "encrypt", "verify"])
def test_closed_for_the_name(place, policy):
    """L23: the same without an alert. That a handshake was cut is no proof that TLS does not work: `may` goes in clear
    when it was cut without the name as well, so who can close connections gets what he could get before."""
    sink = place.host(card="host")

    def choose(sock, name, context):
        del context
        if name is not None:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    sink.context.sni_callback = choose
    place.send(delivery_tls=policy)
    if policy == "verify":
        place.postern.wait_logged("; next try")
        assert not sink.messages and "connection closed by the host" in place.postern.settled(1)
    else:
        sink.wait_messages(1)
        log = place.postern.settled()
        assert len(sink.shaken) == 1 and sink.connections == 2 and "in clear" not in log
