"""A place that mail goes to by TLS, with certificates of all kinds."""
from tlssink import TlsSink, server_context

EVIL = "mx.dest.example!evil"


def issue_cards(pki):
    """Certificates of hosts."""
    mine, server = "DNS:mx.dest.example", {"usage": "serverAuth"}
    pki.authority("stranger")
    pki.issue("host", "/CN=host", mine, **server)
    pki.issue("domain", "/CN=domain", "DNS:dest.example", **server)
    pki.issue("address", "/CN=address", "IP:127.0.0.2", **server)
    pki.issue("wildcard", "/CN=wildcard", "DNS:*.dest.example", **server)
    pki.issue("no-subject", "/", mine, **server)
    pki.issue("no-names", "/", **server)
    pki.issue("other", "/CN=other", "DNS:mx.other.example", **server)
    pki.issue("common", "/CN=mx.dest.example", **server)
    pki.issue("partial", "/CN=partial", "DNS:m*.dest.example", **server)
    pki.issue("above", "/CN=above", "DNS:*.example", **server)
    pki.issue("expired", "/CN=expired", mine, days=-1, **server)
    pki.issue("foreign", "/CN=foreign", mine, ca="stranger", **server)
    pki.issue("client", "/CN=client", mine)
    pki.issue("nul", "/CN=nul", "DNS:" + EVIL, **server)
    pki.forge("nul", EVIL.encode(), EVIL.replace("!", "\0").encode())
    pki.issue("common-nul", f"/CN={EVIL}", **server)
    pki.forge("common-nul", EVIL.encode(), EVIL.replace("!", "\0").encode())
    return pki


class Place:
    """Where mail for dest.example goes, by TLS if it wants to."""

    def __init__(self, postern, world, cards):
        self.postern, self.world, self.cards = postern, world, cards
        world.domain("dest.example")
        world.domain("sender.example", "127.0.0.3") # reports
        postern.settings["delivery_ca"] = cards.path("ca")

    def host(self, card="host", **more):
        """Takes the place of the world's sink."""
        context = more.pop("context", None) or server_context(self.cards.path(card))
        self.world.sink.close()
        sink = self.world.sink = TlsSink(context, "127.0.0.2", self.world.port, **more)
        return sink

    def name(self, *hosts):
        """The operator names the host, so that a certificate may be for it (S15)."""
        self.postern.configure("[route named]", "domains = dest.example",
                               "hosts = " + " ".join(hosts or [f"mx.dest.example:{self.world.port}"]))

    def send(self, **settings):
        """Under `verify` the host is one that a route names, so the certificates of all kinds are for it or not."""
        self.postern.settings.update(settings)
        if settings.get("delivery_tls") == "verify":
            self.name()
        self.postern.send("u@dest.example")
