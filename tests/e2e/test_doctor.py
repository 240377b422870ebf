"""`postern doctor`: a line for each thing that was looked at: ok, warn or fail, and what to do (L30, L44, L48, L65, L69)."""
import ipaddress
import os
import shutil
import socket
import subprocess

import pytest

import internet
import ports
import spoolfile
from asked import ask, ask_json
from conftest import HOST, own

STATES = {"ok", "skipped", "warn", "fail"}


class Doctor:
    """What it found, in the order in which it said it."""

    def __init__(self, postern, *words, **settings):
        port = ports.take()
        try:
            self.status, self.lines = ask_json(postern, "doctor", "--port", str(port), *words, **settings)
        finally:
            ports.give_back(port)
        assert all(line["state"] in STATES and line["text"] for line in self.lines)
        assert self.status in (0, 78) or any(line["state"] == "fail" for line in self.lines)

    def of(self, check):
        return [(line["state"], line["text"]) for line in self.lines if line["check"] == check]

    def one(self, check):
        (found,) = self.of(check)
        return found


@pytest.fixture
def well(secure, world, pki):
    """All that can be well in a test is."""
    users = secure.where / "users"
    users.write_text("joe:{SCRAM-SHA-256}4096,AAAA,AAAA,AAAA\n")
    users.chmod(0o600)
    own(users)
    world.zone |= {(HOST, "A"): ["127.0.0.2"], ("2.0.0.127.in-addr.arpa", "PTR"): [f"{HOST}."]}
    secure.settings.update(delivery_ca=pki.path("ca"), postmaster="root@d.example", auth_users=users)
    return secure


def test_all_is_well(well, world):
    world.domain("d.example")
    found = Doctor(well, "d.example")
    assert found.one("configuration")[0] == found.one("programs")[0] == found.one("owner")[0] == "ok", found.lines
    state, text = found.one("tls")
    assert state == "ok" and "is good for " in text and str(well.where / "server.pem") in text
    assert found.one("auth")[0] == "ok" and "users in it" in found.one("auth")[1]
    assert found.one("resolver") == ("ok", f"127.0.0.1:{world.dns.port} answers over UDP and TCP")
    assert found.one("hostname") == ("ok", f"{HOST} has an address")
    assert found.one("way out") == ("ok", f"mx.d.example[127.0.0.2]:{world.port} greets")
    assert found.one("rights")[1] == "to anybody may send: this host, users who log in; everybody to: nobody"
    assert found.one("listener")[0] == "warn" and found.of("spool") and found.of("clock")
    assert found.status == (1 if any(line["state"] == "fail" for line in found.lines) else 0)
    status, text, _ = ask(well, "doctor", "--port", "1", "d.example")
    assert status in (0, 1) and "ok      configuration " in text


def test_names(well, world):
    """Host name, address and PTR are to agree."""
    # Those of this machine if others can see them, else that of the name.
    looked_at = [ipaddress.ip_address(text.split()[0]) for _, text in Doctor(well).of("ptr")]
    assert looked_at
    for version, kind in ((4, "A"), (6, "AAAA")):
        world.zone[(HOST, kind)] = [str(a) for a in looked_at if a.version == version]

    def called(*names):
        for a in looked_at:
            world.zone[(a.reverse_pointer, "PTR")] = [f"{name}." for name in names]
        return Doctor(well).of("ptr")
    assert called() == [("warn", f"{a} has no name in the DNS") for a in looked_at]
    assert called("other.example") == [("warn", f"{a} is called other.example, and we say {HOST}") for a in looked_at]
    assert called("other.example", HOST) == called(HOST) == [
        ("ok", f"{a} is called {HOST}, and that has this address") for a in looked_at]
    world.zone[(looked_at[0].reverse_pointer, "fault")] = "SERVFAIL"
    state, text = Doctor(well, timeout_dns="2s").of("ptr")[0]
    assert state == "warn" and "cannot be found out" in text
    del world.zone[(looked_at[0].reverse_pointer, "fault")]
    world.zone[(HOST, "A")] = ["127.0.0.9"]
    found = Doctor(well).of("ptr")
    assert any(state == "warn" for state, _ in found), "nobody has that address"
    del world.zone[(HOST, "A")]
    del world.zone[(HOST, "AAAA")]
    state, text = Doctor(well, timeout_dns="2s").one("hostname")
    assert state == "warn" and HOST in text
    well.configure("[route all]", "domains = *", "hosts = 127.0.0.2")
    assert Doctor(well).one("hostname")[0] == "ok", "its hosts look at the login"


def test_dnssec(well, world):
    """R79: DANE takes a resolver that validates, and is believed; where it must be there, that is a fault."""
    server = f"127.0.0.1:{world.dns.port}"
    world.zone[("", "SOA")] = ["ns.example. root.example. 1 2 3 4 5"]
    assert Doctor(well).one("dnssec") == ("skipped", f"{server} does not validate (DNSSEC), so there is no DANE")
    assert Doctor(well, dane="only").one("dnssec")[0] == "fail"
    assert Doctor(well, dane="off").of("dnssec") == []
    world.dns.secure = True
    assert Doctor(well).one("dnssec") == ("ok", f"{server} validates, so DANE counts")
    elsewhere = Doctor(well, nameserver="192.0.2.53", timeout_dns="1s").one("dnssec")
    assert elsewhere == ("skipped", "192.0.2.53:53 is neither on this host nor in dnssec_trusted, so there is no DANE")


def test_resolver(well, world):
    """Over UDP and over TCP, each by itself; one that is not there."""
    def udp_only(query, reply, how):
        return reply.pack() if how == "udp" else None
    world.zone[(HOST, "fault")] = udp_only
    state, text = Doctor(well).one("resolver")
    assert state == "warn" and "over TCP" in text
    world.zone[(HOST, "fault")] = "REFUSED"
    assert Doctor(well, timeout_dns="1s").one("resolver")[0] == "fail"
    port = ports.take()
    state, text = Doctor(well, nameserver=f"127.0.0.1:{port}", timeout_dns="1s").one("resolver")
    assert state == "fail" and f"127.0.0.1:{port}" in text
    ports.give_back(port)


def test_way_out(well, world):
    """To a host that was named, and to no other."""
    assert Doctor(well).one("way out")[0] == "skipped" and world.sink.connections == 0
    assert Doctor(well, f"127.0.0.2:{world.port}").one("way out")[0] == "ok"
    assert world.sink.connections == 1 and world.sink.lines == []
    world.sink.close()
    state, text = Doctor(well, f"127.0.0.2:{world.port}").one("way out")
    assert state == "fail" and "Connection refused" in text
    assert Doctor(well, "gone.example").one("way out")[0] == "fail"
    assert Doctor(well, "unix:/x").one("way out")[0] == "skipped"


def test_host_of_the_operators_file(well, world):
    """L32: a host that is named is looked up where relay does."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root: another /etc/hosts in a mount namespace")
    file = well.where / "hosts"
    file.write_text("127.0.0.2 smarthost\n")
    command = well.command("postern", "doctor", f"smarthost:{world.port}")
    found = subprocess.run(["unshare", "--mount", "sh", "-c", f'mount --bind {file} /etc/hosts && exec "$@"', "sh",
                            *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           env=well.environment(), check=False).stdout
    assert f"smarthost[127.0.0.2]:{world.port} greets" in found


def test_host_that_expects_tls(well):
    """L47: such a one says nothing first."""
    with socket.socket() as host:
        try:
            host.bind(("127.0.0.77", 465)) # lint: it is about this port
        except OSError as e:
            pytest.skip(f"needs port 465: {e}")
        host.listen()
        assert Doctor(well, "127.0.0.77:465").one("way out")[0] == "ok" # lint: this port


def test_listener(well):
    """Whoever has the port is named."""
    port = ports.take()
    with socket.create_server(("127.0.0.1", port)):
        status, lines = ask_json(well, "doctor", "--port", str(port))
        (found,) = [line for line in lines if line["check"] == "listener"]
    ports.give_back(port)
    assert status in (0, 1) and f"port {port}" in found["text"]
    # As root the programs of a test are somebody else's, who may not see whose it is.
    assert (found["state"] == "skipped") if os.geteuid() == 0 else ("python" in found["text"])
    assert ask(well, "doctor", "--port", "0")[0] == 64


def test_what_programs_find(well):
    """Their lines are told, as findings."""
    well.settings["tls_certificate"].unlink()
    found = Doctor(well)
    state, text = found.one("tls")
    assert state == "fail" and "tls_certificate" in text and found.status == 1
    assert not any(state == "ok" for state, _ in found.of("programs"))
    well.settings["auth_users"].chmod(0)
    assert Doctor(well).one("auth")[0] == "fail"


def test_configuration_that_is_wrong(well):
    well.configure("max_size = 12x")
    status, lines = ask_json(well, "doctor")
    assert status == 78 and [line["state"] for line in lines] == ["fail"]
    assert f"{well.file}:1: max_size" in lines[0]["text"]


def test_open_relay(well):
    """L65"""
    found = Doctor(well, relay_nets="0.0.0.0/0", open_relay="yes")
    assert found.one("rights")[0] == "fail" and "whole world" in found.one("rights")[1]


def test_owner(well):
    well.spool.chmod(0o770)
    assert Doctor(well).one("owner")[0] == "fail"


def test_found_where_it_is_installed(postern, where):
    """What people call is in bin, the other programs in libexec/postern beside that."""
    for directory, programs in (("bin", ["postern"]), ("libexec/postern", ["smtpd", "relay", "tls", "auth"])):
        (where / directory).mkdir(parents=True)
        for program in programs:
            shutil.copy(postern.build / program, where / directory)
    postern.build = where / "bin"
    status, lines = ask_json(postern, "doctor")
    assert status in (0, 1) and not [line for line in lines if "all of Postern installed" in str(line["advice"])]
    p = subprocess.run([where / "libexec" / "postern" / "smtpd", "--check"], capture_output=True, text=True, check=False)
    assert f"relay_path = {where}/libexec/postern/relay" in p.stdout


def test_hostile(well, world):
    """Names from the DNS, and a host's greeting, cannot move the cursor: ask() looks."""
    world.zone[("2.0.0.127.in-addr.arpa", "PTR")] = ["a\\027[2J.example."]
    world.domain("d.example")
    world.sink.say["GREETING"] = internet.Last("220 \x1b[2J\r\n")
    assert ask(well, "doctor", "--port", "1", "d.example")[0] in (0, 1)


def test_what_mail_goes_out_with(well):
    """Signatures, reports on TLS and MTA-STS: what is on, and how to look further."""
    assert Doctor(well).one("dkim") == ("skipped", "dkim_keys is not set, so mail is not signed")
    assert Doctor(well).of("tls reports") == []
    found = Doctor(well, dkim_keys="/dev/null", tls_reports="yes", tls_reports_from="t@d.example", mta_sts="yes")
    assert found.one("dkim")[0] == "ok" and "the keys of /dev/null sign mail" in found.one("dkim")[1]
    assert found.one("tls reports") == ("ok", "domains that ask for reports on TLS are sent them, from t@d.example")
    assert found.one("mta-sts")[0] == "ok" and "port 443" in found.one("mta-sts")[1]
    assert Doctor(well, mta_sts="no").one("mta-sts") == ("skipped", "it is off: policies of domains do not count")
    well.configure("[route all]", "domains = *", "hosts = 127.0.0.1:1")
    assert Doctor(well).of("mta-sts") == []


def test_policies_that_cannot_be_fetched(well):
    """R83: where relays have given up to fetch any, mail goes as if domains had none. Who may not look is told that."""
    spoolfile.no_fetch(well.spool, 3599, 60, 9)
    assert Doctor(well, mta_sts="yes").one("mta-sts")[0] == "ok", "mail still waits for it"
    spoolfile.no_fetch(well.spool, 7200, 60, 9)
    found = Doctor(well, mta_sts="yes")
    (line,) = [line for line in found.lines if line["check"] == "mta-sts"]
    assert line["state"] == "warn" and "mail goes by the policies that are kept alone" in line["text"]
    assert "fetch --check" in line["advice"]
    well.spool.chmod(0)
    state, text = Doctor(well, mta_sts="yes").one("mta-sts")
    well.spool.chmod(0o700)
    assert state == "skipped" and "this user may not see" in text
