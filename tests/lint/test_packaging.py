"""What packages are made from agrees: each list of what a build needs, versions, shell scripts that a shell can read."""
import fnmatch
import pathlib
import re
import subprocess

import pytest

from conftest import TOP
from test_tree import listeners

SCRIPTS = ["packaging/entrypoint", "packaging/postern.openrc", "packaging/postern.runit", "tests/packages/check",
           "debian/tests/relay", *(f"debian/{p}" for p in ("postern.config", "postern.postinst", "postern.postrm",
                                                          "postern.prerm", "postern-mta.postinst", "postern-mta.prerm"))]


def text_of(path):
    return (TOP / path).read_text(encoding="utf-8")


def libraries(words):
    """Packages of libraries; compilers and the like are called differently everywhere, or are always there."""
    return {w for w in words if re.fullmatch(r"lib[\w.+-]+-dev|musl-dev", w)} - {"libc6-dev", "linux-libc-dev"}


def needed():
    return libraries(re.search(r"\tbuild\) echo (.*) ;;", text_of("tests/tools/need"))[1].split())


def test_debian_needs_the_same():
    listed = re.search(r"^Build-Depends:\n((?: .*\n)+)", text_of("debian/control"), re.M)[1]
    assert libraries(re.findall(r"[\w.+-]+", listed)) == needed() and len(needed()) > 6


def test_container_needs_the_same():
    line = re.search(r"^RUN .* gcc (.*)$", text_of("packaging/Containerfile"), re.M)[1]
    assert libraries(line.split()) >= needed() - {"libsystemd-dev"}


@pytest.mark.parametrize("path, pattern", [("debian/changelog", r"^postern \((.*?)\)"),
                                           ("packaging/postern.spec", r"^Version: +(\S+)"),
                                           ("packaging/postern.spec", r"> - (\S+)-1$")])
def test_version(path, pattern):
    version = re.search(r"^VERSION = (.*)$", text_of("Makefile"), re.M)[1]
    assert re.search(pattern, text_of(path), re.M)[1] == version


@pytest.mark.parametrize("path", SCRIPTS)
def test_script_can_be_read(path):
    subprocess.run(["sh", "-n", TOP / path], check=True)
    assert "#DEBHELPER#" in text_of(path) or not re.search(r"debian/postern.*\.(post|pre)", path)


@pytest.mark.parametrize("path, found", [
    ("lane/d.example/02mx8sgaawb7w3gqjygp", True), ("held/d.example/02mx8sgaawb7w3gqjygp", True),
    ("aside/02mx8sgaawb7w3gqjygp", True), ("lane/d.example/02mx8sgaawb7w3gqjygp.log", False),
    ("lane/d.example/@lock", False), ("tmp/02mx8sgaawb7w3gqjygp", False)])
def test_purge_sees_mail(tmp_path, path, found):
    """A purge throws nothing away that was taken; what is in tmp never was."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).touch()
    code = re.search(r"^messages\(\) \{\n.*?^\}$", text_of("debian/postern.postrm"), re.M | re.S)[0]
    said = subprocess.run(["sh", "-euc", f'spool=$1\n{code}\nmessages', "sh", tmp_path], check=True, capture_output=True)
    assert bool(said.stdout) == found


def test_health_check_is_of_the_port_that_listens():
    for path in ("packaging/Containerfile", "packaging/kubernetes.yaml"):
        asked = re.search(r'--health"?, "127\.0\.0\.1:(\d+)"', text_of(path))[1]
        assert asked == re.search(r"--listen\", \"\*:(\d+)", text_of("packaging/Containerfile"))[1]


# ---- units

def installed_units():
    """Names of the units that `make install` makes; the lists of the Makefile are all it knows."""
    text = text_of("Makefile")
    units = re.search(r"^UNITS = ((?:.*\\\n)*.*)$", text, re.M)[1].replace("\\\n", " ").split()
    assert "$(foreach u,.service @.service,units/postern-due$u=$(unitdir)/postern-now$u)" in text
    return units + [u.replace("postern-due", "postern-now") for u in ("postern-due.service", "postern-due@.service")] + listeners()


def test_each_unit_is_installed():
    """What lies in units/ and is one."""
    there = {p.name for p in (TOP / "units").iterdir() if p.suffix in (".service", ".socket", ".timer")}
    assert there <= set(installed_units()) and len(there) > 10


def test_spec_knows_each_unit():
    """An upgrade and a removal tell systemd of each; a template has no state of its own, and others start its instances."""
    text = text_of("packaging/postern.spec")
    lists = dict(re.findall(r"^%global (listeners|busy|timers) (.*)$", text, re.M))
    assert sorted(" ".join(lists.values()).split()) == sorted(u for u in installed_units() if "@" not in u)
    for scriptlet in ("post", "preun", "postun"):
        assert f"%{{?systemd_{scriptlet}:%systemd_{scriptlet} %{{listeners}} %{{busy}} %{{timers}}}}" in text


def test_debian_knows_each_unit():
    """Each that can be enabled is given to dh_installsystemd, but postern.socket, which postern-mta has; and a removal
    stops whatever goes on, that was started by hand, too."""
    rules = text_of("debian/rules")
    given = re.search(r"^ENABLED = (.*)$", rules, re.M)[1].split()
    wild = re.search(r"^OTHERS = \$\(filter-out \$\(ENABLED\) postern\.socket,\$\(call installed,(.*)\)\)$", rules, re.M)[1].split()
    stopped = re.search(r"^\tfor unit in (.*); do$", text_of("debian/postern.prerm"), re.M)[1].split()
    for unit in installed_units():
        if unit.endswith((".socket", ".timer")):
            assert unit in given or any(fnmatch.fnmatch(unit, w) for w in wild), unit
            assert any(fnmatch.fnmatch(unit, pathlib.Path(w).name) for w in stopped), unit
        elif unit.startswith("postern-busy"): # of all others the programs end by themselves
            assert any(fnmatch.fnmatch(unit, pathlib.Path(w).name) for w in stopped), unit
    assert rules.count("$(OTHERS)") == 1 and "postern.socket" in text_of("debian/postern-mta.postinst")


def test_manual_knows_each_unit():
    text = text_of("docs/man/postern-systemd.7").replace("\\&", "")
    missing = [u for u in installed_units() if not re.search(rf"(?<![\w@.-]){re.escape(u)}(?![\w@.-])", text)]
    # the services of a listener are called like its socket, which it says
    assert not [u for u in missing if not re.fullmatch(r"postern-(busy-)?(submissions?|lan)(@)?\.service", u)], missing
