"""REQUIRETLS as a client sees it (RFC 8689)."""
import pytest

from spoolfile import SpoolFile


def test_offered_and_kept(secure):
    """R84: inside TLS, where the site wants it, and the message says so in the queue."""
    c = secure.meet(requiretls="yes")
    assert "REQUIRETLS" not in c.hello()
    assert c.ask("MAIL FROM:<a@b.example> REQUIRETLS").startswith("555 5.5.4 ")
    c.starttls()
    assert "REQUIRETLS" in c.hello()
    for wrong in ("REQUIRETLS=yes", "REQUIRETLS=", "REQUIRETLS REQUIRETLS"):
        assert c.ask(f"MAIL FROM:<a@b.example> {wrong}").startswith("501 5.5.4 "), wrong
    for command in ("MAIL FROM:<a@b.example> REQUIRETLS", "RCPT TO:<u@d.example>"):
        assert c.ask(command).startswith("250 ")
    assert c.ask("DATA").startswith("354 ") and "queued as" in c.ask("Subject: x\r\n\r\nx\r\n.")
    assert c.finish() == 0
    [path] = secure.messages()
    assert SpoolFile(path).one("Require-Tls") == "yes"


@pytest.mark.parametrize("required", [False, True])
def test_field_stays(secure, required):
    """R85: TLS-Required is the sender's, whatever MAIL says; behind our own field it is as it came."""
    c = secure.meet(requiretls="yes")
    c.starttls()
    c.hello()
    text = "TLS-Required: No\r\nSubject: x\r\n\r\nx\r\n"
    for command in ("MAIL FROM:<a@b.example>" + " REQUIRETLS" * required, "RCPT TO:<u@d.example>"):
        assert c.ask(command).startswith("250 ")
    assert c.ask("DATA").startswith("354 ") and "queued as" in c.ask(text + ".")
    assert c.finish() == 0
    message = SpoolFile(secure.messages()[0])
    assert message.text.decode() == text and " with ESMTPS id " in message.received
    assert message.all("Require-Tls") == ["yes"] * required


@pytest.mark.parametrize("settings", [{}, {"requiretls": "no"}])
def test_not_offered(secure, settings):
    c = secure.meet(**settings)
    c.starttls()
    assert "REQUIRETLS" not in c.hello()
    assert c.ask("MAIL FROM:<a@b.example> REQUIRETLS").startswith("555 5.5.4 ")
    assert c.finish() == 0
