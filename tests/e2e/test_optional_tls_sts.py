"""R85: TLS-Required: No, where it is MTA-STS that keeps mail from the hosts of a domain."""
import pytest

from policyhost import policy
from test_optional_tls import WISH, strip_starttls, subjects
from test_sts import cards_too, domain  # noqa: F401 (fixtures)


@pytest.mark.parametrize("fault, how", [("certificate", "not verified"), ("starttls", "in clear"), ("name", "not verified")])
def test_what_a_policy_asks_for(domain, fault, how): # noqa: F811
    """R85, R82: a certificate of somebody else, TLS that was taken away, a host that the policy does not name."""
    domain.publish(policy("mx.other.example" if fault == "name" else "mx.dest.example"))
    sink = domain.place.host("other" if fault == "certificate" else "host")
    if fault == "starttls":
        strip_starttls(sink)
    for body in (WISH, "Subject: plain\n\nhello\n", WISH):
        domain.postern.send("u@dest.example", body=body, max_connections=0)
    domain.postern.due()
    log = domain.postern.settled(1)
    assert subjects(sink) == ["wish", "wish"], log
    assert f"{how}, for mail that says TLS-Required: No" in log


def test_the_next_time(domain): # noqa: F811
    """R85: nothing of that is remembered for other mail, nor by another connection."""
    domain.publish(policy("mx.dest.example"))
    sink = domain.place.host("other")
    domain.postern.send("u@dest.example", body=WISH)
    domain.postern.settled()
    domain.postern.send("u@dest.example", body="Subject: plain\n\nhello\n", linger="1s")
    domain.again()
    domain.postern.settled(1)
    assert subjects(sink) == ["wish"]
