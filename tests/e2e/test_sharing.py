"""Many domains with one exchanger: few connections, each of which goes from lane to lane, where it may (S7, M2)."""
import re
import threading

import pytest

import spoolfile
from tlssink import TlsSink, server_context

N = 1000
PER_HOST = 20
FEW = 60 # connections, for all of them
TEXT = b"Subject: x\r\n\r\nx\r\n"


def domains(n):
    return [f"d{i}.example" for i in range(n)]


@pytest.fixture
def crowd(postern, world, names):
    """n domains with one exchanger at 127.0.0.2, each with a message. `host` is the name that a domain's MX has."""
    def gather(n, host="mx.provider.example".format):
        zone = {}
        for d in domains(n):
            zone[(d, "MX")] = [f"10 {host(d)}."]
            zone[(host(d), "A")] = ["127.0.0.2"]
        names(zone)
        postern.settings["max_connections"] = N # so that nobody is given up for others, on a machine that is very slow
        for i, d in enumerate(domains(n)):
            spoolfile.write(postern.spool, spoolfile.new_id(i), [f"u@{d}"], TEXT)
    return gather


def served(sink):
    """The domains whose mail it took."""
    return sorted(r.partition("@")[2] for m in sink.messages for r in m.recipients)


def shared(log):
    """Lanes that went by the connection of another one."""
    return re.findall(r"lane (\S+): by the connection to", log)


def deliver_by_few(postern, sink, n, wait):
    """All of it arrives, and almost all by the connection of another lane. Connections stay open, for on a slow machine
    it takes who knows how long until it is known where the next lane goes."""
    postern.settings["linger"] = "1h"
    postern.due()
    sink.wait_messages(n)
    assert served(sink) == sorted(domains(n))
    assert sink.most_open <= PER_HOST and sink.connections < FEW
    wait(lambda: len(shared(postern.logged())) > n - FEW)


def test_one_exchanger_for_a_thousand_domains(crowd, postern, world, wait):
    """S7: never more connections to a host than it may have, and each is used for many lanes."""
    crowd(N)
    deliver_by_few(postern, world.sink, N, wait)


@pytest.fixture
def certified(postern, world, pki):
    """The exchanger speaks TLS and shows a certificate for these domains; that is demanded and verified."""
    def show(fit):
        pki.issue("provider", "/CN=provider", ",".join(f"DNS:{d}" for d in fit), usage="serverAuth")
        postern.settings.update(delivery_ca=pki.path("ca"), delivery_tls="verify")
        world.sink.close()
        world.sink = TlsSink(server_context(pki.path("provider")), "127.0.0.2", world.port)
        return world.sink
    return show


def test_certificate_for_all(crowd, certified, postern, wait):
    """S15: a certificate that fits all of them: as in clear, and each lane's is verified."""
    n = 300
    crowd(n)
    deliver_by_few(postern, certified(domains(n)), n, wait)


def test_certificate_for_some(crowd, certified, postern, wait):
    """M3, S15: nobody's mail goes by a connection whose certificate is not for its domain, though that is open and was
    verified for another one; it asks for a connection of its own and waits."""
    n = 200
    fit = [d for i, d in enumerate(domains(n)) if i % 4 != 3]
    unfit = sorted(set(domains(n)) - set(fit))
    crowd(n)
    sink = certified(fit)
    postern.settings["linger"] = "1h" # as in deliver_by_few
    postern.due()
    sink.wait_messages(len(fit))
    wait(lambda: sorted(set(re.findall(r"lane (\S+): .*next try in", postern.logged()))) == unfit)
    log = postern.logged()
    assert served(sink) == sorted(fit)
    assert set(shared(log)) <= set(fit) and shared(log)
    postern.wait_messages(len(unfit))


def test_certificate_for_each(crowd, certified, postern, pki):
    """M3: a host with a certificate for each domain, by the name that it is asked for. All mail arrives, and each by a
    connection of its own."""
    n, most = 8, 5
    postern.settings["max_connections_per_host"] = most
    crowd(n, "mx.{}".format)
    sink = certified(["provider.example"])
    contexts = {}
    for d in domains(n):
        pki.issue(f"only-{d}", f"/CN={d}", f"DNS:{d}", usage="serverAuth")
        contexts[d] = server_context(pki.path(f"only-{d}"))

    def choose(sock, name, _):
        sock.context = contexts[name.removeprefix("mx.")]
    sink.context.sni_callback = choose
    postern.due()
    log = postern.settled()
    assert served(sink) == sorted(domains(n))
    assert sink.connections == n and not shared(log)
    assert sink.most_open <= most


def test_host_that_serves_one_by_a_connection(crowd, postern, world):
    """L9: by a connection that another domain's mail has gone by it closes at MAIL, without a word. That is the fault of
    nobody, and all is delivered in the same run."""
    n = 6
    crowd(n)
    here = threading.local()

    def close_at_second(line):
        del line
        here.times = getattr(here, "times", 0) + 1
        return "250 2.1.0 ok" if here.times == 1 else None
    world.sink.say["MAIL"] = close_at_second
    postern.due(max_connections_per_host=1)
    log = postern.settled()
    assert served(world.sink) == sorted(domains(n)) and shared(log)
    assert ": deferred" not in log and "next try in" not in log


def test_policy_that_asks_for_none(crowd, certified, postern, wait):
    """Where TLS is enough, as under `encrypt`, the certificate does not matter to any lane."""
    n = 200
    crowd(n)
    sink = certified(["provider.example"])
    postern.settings["delivery_tls"] = "encrypt"
    deliver_by_few(postern, sink, n, wait)
