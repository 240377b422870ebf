"""What packages are made from agrees: each list of what a build needs, versions, shell scripts that a shell can read."""
import fnmatch
import pathlib
import re
import subprocess

import pytest

from conftest import BUILD, TOP
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


def test_links_of_a_mail_system():
    """Those of `make install-mta` are in both packages, and in sendmail(1)."""
    made = {f"/usr/{kind}/{name}" for kind, name in re.findall(
        r"\$\((s?bin|lib)dir\)/(\w+)", re.search(r"^MTA_LINKS = (.*)$", text_of("Makefile"), re.M)[1])}
    assert len(made) > 3
    assert {"/" + line.split()[1] for line in text_of("debian/postern-mta.links").splitlines()} == made
    page = re.search(r"^\.Sh FILES$(.*?)^Links to it", text_of("docs/man/sendmail.1"), re.M | re.S)[1]
    assert set(re.findall(r"/\S+", page)) == made
    spec = text_of("packaging/postern.spec").rpartition("%files mta\n")[2].partition("\n\n")[0]
    for macro, path in (("_sbindir", "/usr/sbin"), ("_prefix", "/usr"), ("_bindir", "/usr/bin")):
        spec = spec.replace(f"%{{{macro}}}", path)
    assert {line for line in spec.splitlines() if not line.startswith("%")} == made


# ---- containers: what the image has, and what the examples think that it has

def containerfile():
    """{instruction: [what stands behind it]} of the last stage."""
    last = text_of("packaging/Containerfile").rpartition("\nFROM ")[2]
    found = {}
    for word, rest in re.findall(r"^([A-Z]+) (.*)$", last, re.M):
        found.setdefault(word, []).append(rest.strip())
    return found


def image():
    """Port, directory of the volume, owner, variables, paths of programs."""
    c = containerfile()
    programs = re.search(r"^PROGRAMS = (.*)$", text_of("Makefile"), re.M)[1]
    names = set(re.findall(r"[a-z][\w-]*", re.sub(r"\$\(if \$\(filter 0,\$\(TLS\)\),,(.*?)\)", r"\1", programs)))
    assert {"smtpd", "relay", "tls", "sign"} <= names
    return {"port": c["EXPOSE"][0], "volume": c["VOLUME"][0], "owner": c["USER"][0].split(":"),
            "variables": dict(pair.split("=", 1) for pair in c["ENV"][0].split()),
            "programs": {f"/usr/libexec/postern/{name}" for name in names}}


def keys():
    return set(re.findall(r"^\t(?:KEY|DELIVERY)\((?:[A-Z]+, )?(\w+),", text_of("conf/keys.c"), re.M))


def assert_variables(names):
    """Each is a key, a file that holds one, or a secret."""
    for name in names:
        key = re.fullmatch(r"POSTERN_(\w+?)(_FILE)?", name)[1].lower()
        assert key in keys() or key.startswith("secret_"), name


def test_image_agrees_with_itself():
    """Its port, its user, its volume, its programs and its variables, wherever they are said."""
    c, i = containerfile(), image()
    assert i["port"] == re.search(r'"\*:(\d+)"', c["CMD"][0])[1]
    assert f"-o {i['owner'][0]} -g {i['owner'][1]} {i['volume']}" in c["RUN"][1]
    assert i["variables"]["POSTERN_SPOOL"].startswith(i["volume"] + "/") and i["variables"]["POSTERN_LOG"] == "stderr"
    assert i["variables"]["POSTERN_RUNTIME"].startswith("/dev/shm/"), "the root is read-only"
    assert_variables(i["variables"])
    copied = dict(rest.split() for rest in c["COPY"] if not rest.startswith("--from"))
    for source, target in copied.items():
        assert (TOP / source).stat().st_mode & 0o111 and f'["{target}"]' in c["ENTRYPOINT"]
    assert "prefix=/usr DESTDIR=/image" in text_of("packaging/Containerfile") and "--from=build /image /" in c["COPY"][0]
    script = text_of("packaging/entrypoint")
    own = re.search(r"^own=(.*)$", script, re.M)[1]
    used = {f"{own}/{name}" for name in re.findall(r'"\$own/(\w+)"', script)} | set(re.findall(r'"(/\S+/smtpd)"', c["HEALTHCHECK"][0]))
    assert used and used <= i["programs"], used
    assert set(re.findall(r"\$(POSTERN_\w+)", script)) <= set(i["variables"])


def test_image_has_the_libraries():
    """What was built with -dev is there when it runs: the packages of libraries that are linked or loaded."""
    built = set(re.search(r"^RUN .* gcc (.*)$", text_of("packaging/Containerfile"), re.M)[1].split())
    there = containerfile()["RUN"][0].split()
    other = {"libcurl4-openssl-dev": "libcurl4-dev"} # what is built against, of several
    for dev in {other.get(d, d) for d in libraries(built)} - {"libsystemd-dev", "libncurses-dev", "musl-dev"}: # no journal; top, without which it prints
        assert any(re.fullmatch(re.escape(dev.removesuffix("-dev")) + r"[\d.-]*", p) for p in there), dev


def test_compose_fits_the_image():
    text, i = text_of("packaging/compose.yaml"), image()
    assert (TOP / re.search(r"dockerfile: (\S+)", text)[1]).is_file() and "context: ..\n" in text
    assert re.findall(r"^ +- \w+:(/\S+)$", text, re.M) == [i["volume"]]
    named = re.findall(r"^ +(POSTERN_\w+): ", text, re.M)
    assert_variables(named)
    assert "POSTERN_RELAY_NETS" in named and len(set(re.findall(r"\d+\.\d+\.\d+\.\d+/\d+", text))) == 1, "its own network"
    assert re.search(r"sends to postern:(\d+)", text)[1] == i["port"]
    assert "read_only: true" in text and "cap_drop: [ALL]" in text


def test_kubernetes_fits_the_image(tmp_path):
    """Ports and ids are those of the image, paths are mounted, and the configuration can be read."""
    text, i = text_of("packaging/kubernetes.yaml"), image()
    ports = re.findall(r"(?:targetPort|containerPort): (\d+)|- \{port: (\d+)\}|tcpSocket: \{port: (\d+)\}", text)
    assert len(ports) == 4 and {p for found in ports for p in found if p} == {i["port"]}
    assert re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", text) == [i["owner"][0], i["owner"][1], i["owner"][1]]
    mounts = dict(re.findall(r"- \{name: (\w+), mountPath: (\S+)\}", text))
    volumes = set(re.findall(r"^        - name: (\w+)$", text, re.M)) | set(re.findall(r"metadata: \{name: (\w+)\}", text))
    assert mounts["queue"] == i["volume"] and set(mounts) == volumes - {"postern"}
    assert set(re.findall(r"/usr/libexec/postern/\w+", text)) <= i["programs"]
    assert_variables(re.findall(r"name: (POSTERN_\w+)", text))
    conf = re.search(r"^  postern\.conf: \|\n((?:    .*\n|\n)+)", text, re.M)[1].replace("\n    ", "\n").removeprefix("    ")
    for path in re.findall(r"= (/\S+)$", conf, re.M):
        assert any(path.startswith(m + "/") for m in mounts.values()), path
    assert mounts["configuration"] + "/postern.conf" == "/etc/postern/postern.conf"
    (tmp_path / "postern.conf").write_text(conf)
    p = subprocess.run([str(BUILD / "smtpd"), "-c", str(tmp_path / "postern.conf"), "--check"], env={}, capture_output=True,
                       text=True, check=False)
    assert "relay_nets = 10.0.0.0/8" in p.stdout, p.stderr
    secret = re.search(r"^#\s+kubectl create secret generic (\w+) --from-\w+=(\w+)=", text, re.M)
    assert f"secretName: {secret[1]}," in text and f"{mounts['secrets']}/{secret[2]}\n" in conf
