"""What packages are made from agrees: each list of what a build needs, versions, shell scripts that a shell can read."""
import re
import subprocess

import pytest

from conftest import TOP

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
