"""REQUIRETLS as a client sees it (RFC 8689)."""
import pytest

import spoolfile
import test_secure
from test_secure import said

pytestmark = test_secure.pytestmark
secure = test_secure.secure


def test_offered_and_kept(postern, secure):
    """R84: inside TLS, where the site wants it, and the message says so in the queue."""
    client = secure(requiretls="yes")
    client.ehlo()
    assert not client.has_extn("requiretls") and client.has_extn("starttls")
    assert said(client, "MAIL FROM:<a@b.example> REQUIRETLS").startswith("555 5.5.4 ")
    client.starttls(context=test_secure.anybody())
    client.ehlo()
    assert client.esmtp_features["requiretls"] == ""
    for wrong in ("REQUIRETLS=yes", "REQUIRETLS=", "REQUIRETLS REQUIRETLS"):
        assert said(client, f"MAIL FROM:<a@b.example> {wrong}").startswith("501 5.5.4 "), wrong
    client.sendmail("a@b.example", "u@d.example", "Subject: x\r\n\r\nx\r\n", ["REQUIRETLS"])
    client.quit()
    [path] = postern.messages()
    assert spoolfile.SpoolFile(path).one("Require-Tls") == "yes"


@pytest.mark.parametrize("settings", [{}, {"requiretls": "no"}])
def test_not_offered(secure, settings):
    client = secure(**settings)
    client.starttls(context=test_secure.anybody())
    client.ehlo()
    assert not client.has_extn("requiretls")
    assert said(client, "MAIL FROM:<a@b.example> REQUIRETLS").startswith("555 5.5.4 ")
    client.quit()
