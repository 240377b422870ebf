"""R1, L1: a build without TLS and without libsystemd (make TLS=0 SYSTEMD=0): its programs are made where neither is
installed, take mail and deliver it in clear, and promise nothing that they cannot do."""
import subprocess

import pytest

import conftest

NO_TLS = "this program was built without TLS (make TLS=0)"


@pytest.fixture(scope="module")
def build():
    return conftest.within_reach(conftest.made("lean"))


@pytest.fixture
def lean(postern, build):
    postern.build = build
    return postern


def test_programs(build):
    """There is no tls and no fetch; the others are linked with neither library, and load none."""
    assert not (build / "tls").exists() and not (build / "fetch").exists()
    for program in ("smtpd", "relay", "auth"):
        linked = subprocess.run(["objdump", "-p", build / program], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert "libc.so" in linked
        for library in (b"libssl", b"libcrypto", b"libcurl.so", b"libsystemd"):
            assert library.decode() not in linked and library not in (build / program).read_bytes()


@pytest.mark.parametrize("unit", ["conf/test_routes", "sending/test_sending", "sending/test_sending_learns"])
def test_unit(build, unit):
    subprocess.run([conftest.TOP / "build/lean/unit" / unit], check=True, capture_output=True)


@pytest.mark.parametrize("key, value", [
    ("delivery_tls", "may"), ("delivery_tls", "encrypt"), ("delivery_tls", "verify"), ("delivery_tls_implicit", "yes"),
    ("tls", "required"), ("tls", "implicit"), ("tls_certificate", "/etc/postern/certificate.pem")])
def test_promise_is_refused(lean, key, value):
    """By --check, and by each start: the line names the key."""
    p = subprocess.run(lean.command("smtpd", "--check", **{key: value}), capture_output=True, text=True, check=False)
    assert p.returncode == 78 and f": {key}: {NO_TLS}" in p.stderr
    assert lean.pipe("QUIT\n", **{key: value}).startswith("421 ")


def test_policies_are_not_fetched(lean):
    """Nobody asks for them, and who wants that is told."""
    p = subprocess.run(lean.command("smtpd", "--check", mta_sts="yes"), capture_output=True, text=True, check=False)
    assert p.returncode == 78 and ": mta_sts: this program was built without TLS or libcurl" in p.stderr
    p = subprocess.run(lean.command("smtpd", "--check"), capture_output=True, text=True, check=False)
    assert "mta_sts = no" in p.stdout


def test_promise_of_a_route_is_refused(lean):
    lean.configure("[route r]", "domains = *", "hosts = mail.example.net:587", "delivery_tls = verify")
    p = subprocess.run(lean.command("smtpd", "--check"), capture_output=True, text=True, check=False)
    assert p.returncode == 78 and f"postern.conf:4: delivery_tls: {NO_TLS}" in p.stderr


def test_mail_goes_in_clear(lean, world, wait):
    """The host offers STARTTLS; and smtpd does not."""
    world.domain("dest.example")
    world.sink.ehlo = ("PIPELINING", "STARTTLS")
    said = lean.send("u@dest.example")
    assert "STARTTLS" not in said and "250 2.0.0 Ok: queued as" in said
    assert "502 5.5.1" in lean.pipe("EHLO c.example\nSTARTTLS\nQUIT\n")
    assert wait(lambda: world.sink.messages), lean.logged()
    assert f"mx.dest.example[127.0.0.2]:{world.port}, in clear\n" in lean.settled()
