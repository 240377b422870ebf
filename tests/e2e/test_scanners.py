"""What those find who look for open relays and weak TLS. Client and server are strangers to each other."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import patience
from conftest import TOP

ADDRESS = "192.0.2.1" # of tests/tools/netns
GREETED = f'import socket; socket.create_connection(("{ADDRESS}", 25)).close()'


def scan(postern, *scanner, worst=0, **settings):
    """What the scanner says of a server of its own, in a network of its own. Its status is `worst` at
    most."""
    if shutil.which(scanner[0]) is None:
        pytest.skip(f"{scanner[0]} is not installed")
    serve = [sys.executable, str(TOP / "tests/tools/inetd.py"), f"{ADDRESS}:25",
             *postern.command("smtpd", max_connections=0, **settings)]
    script = (f'"$@" 2>>{postern.log} & served=$!\n'
              'trap \'kill "$served"\' EXIT\n'
              f"until {sys.executable} -c '{GREETED}'; do kill -0 \"$served\" || exit 1; done\n" + " ".join(scanner))
    p = subprocess.run([str(TOP / "tests/tools/netns"), "sh", "-c", script, "sh", *serve],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
                       env=postern.environment(), check=False)
    if p.returncode == 77:
        pytest.skip(f"needs root or user namespaces: {p.stderr.strip()}")
    assert 0 <= p.returncode <= worst, p.stdout + p.stderr
    return p.stdout


@pytest.mark.parametrize("settings", [{}, {"relay_domains": ADDRESS.replace(".", "-") + ".example"}])
def test_open_relay(postern, settings):
    """H6, D8, R45: none of nmap's probes gets through."""
    found = scan(postern, "nmap", "-Pn", "-n", "-p", "25", "--script", "smtp-open-relay", ADDRESS,
                 **settings)
    assert "all tests failed" in found, found
    postern.wait_logged("relaying denied", 10)


@pytest.mark.parametrize("tls, how", [("starttls", ["--starttls-smtp"]), ("implicit", [])])
def test_tls(secure, tls, how):
    """B11: what sslscan calls weak is not there, and what it calls good is."""
    found = scan(secure, "sslscan", "--no-colour", f"--timeout={patience.PATIENCE}", *how, f"{ADDRESS}:25", tls=tls)
    state = dict(re.findall(r"^((?:SSL|TLS)v[0-9.]+) +(\w+)$", found, re.M))
    assert state == {"SSLv2": "disabled", "SSLv3": "disabled", "TLSv1.0": "disabled",
                     "TLSv1.1": "disabled", "TLSv1.2": "enabled", "TLSv1.3": "enabled"}
    assert "renegotiation not supported" in found and "vulnerable" in found
    assert not re.search(r"(?<!not )vulnerable", found)
    ciphers = re.findall(r"^(?:Preferred|Accepted) +\S+ +(\d+) bits +(\S+)", found, re.M)
    assert ciphers and all(int(bits) >= 128 for bits, _ in ciphers)
    assert all(re.search("GCM|CHACHA20", name) for _, name in ciphers), ciphers


# What testssl.sh says of itself.
EXCUSED = {
    "engine_problem": "it has no GOST",
    "service": "it would expect HTTP inside TLS",
}


@pytest.mark.skipif("POSTERN_FIELD" not in os.environ, reason="make check-field")
def test_tls_by_another(secure):
    """B11: testssl.sh finds no fault, not even a small one. It takes minutes, so it is no part of make check, and looks
    at what is ours: not at the certificate of a test, and once at what is the same by STARTTLS and without."""
    found = secure.where / "found.json"
    scan(secure, "testssl", "--starttls", "smtp", "--protocols", "--std", "--fs", "--server-preference",
         "--vulnerable", "--jsonfile", str(found), "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
         f"{ADDRESS}:25", tls="starttls", worst=49)
    findings = json.loads(found.read_text())
    assert {"TLS1_2", "TLS1_3", "cipherlist_NULL", "heartbleed", "ROBOT", "LUCKY13", "scanTime"} <= {f["id"] for f in findings}
    bad = [f for f in findings if f["severity"] not in ("OK", "INFO")]
    assert not [f for f in bad if f["id"] not in EXCUSED], bad
