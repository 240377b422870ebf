"""S18: `make install` over programs that run: each takes the place of the one before in one step. And `make uninstall`
leaves nothing of what was installed, wherever the GNU variables put it."""
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import TOP

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build")).resolve()


def make(*words, **more):
    """The programs are those of BUILD as they are, whatever they would be made from."""
    words = ["-o", "all", *words]
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    return subprocess.run(["make", "-s", "-C", str(TOP), f"B={BUILD}", *words], env=clean, check=True, text=True,
                          stdout=subprocess.PIPE, **more).stdout


def files(where):
    return {str(p.relative_to(where)) for p in where.rglob("*") if not p.is_dir() or p.is_symlink()}


def test_programs_are_replaced(where):
    words = ["install", f"DESTDIR={where}", "PREFIX=/usr"]
    programs = where / "usr/libexec/postern"
    make(*words)
    before = {p.name: p.stat().st_ino for p in programs.iterdir()}
    kept = {name: open(programs / name, "rb") for name in before}
    make(*words)
    assert set(before) == {"smtpd", "relay", "tls", "auth", "sign", "fetch", "sendmail", "postern-status",
                           "postern-tlsreport"}
    assert set(before) == {p.name for p in programs.iterdir()}
    for name, inode in before.items():
        assert (programs / name).stat().st_ino != inode, "not written to"
        with kept[name] as f:
            assert f.read() == (programs / name).read_bytes()
        assert (programs / name).stat().st_mode & 0o777 == 0o755
    for path in files(where): # libexec and hooks are programs; nothing is set-id, nothing is half-installed
        mode = (where / path).stat().st_mode & 0o7777
        assert mode in (0o755, 0o644) and "@LIBEXECDIR@" not in (where / path).read_bytes().decode(errors="ignore")


@pytest.mark.parametrize("words", [
    [], ["PREFIX=/usr"], ["prefix=/opt/postern", "exec_prefix=/opt/here", "libexecdir=/opt/here/lib"],
    ["prefix=/usr", "docdir=/usr/share/doc/other", "unitdir=/lib/systemd/system", "mandir=/usr/man"],
], ids=["default", "prefix", "exec_prefix", "directories"])
def test_uninstall(where, words):
    """What was there before stays, and nothing else is left: no file, no link, no directory of ours."""
    other = where / "usr/local/libexec/other"
    other.parent.mkdir(parents=True)
    other.touch()
    mta = [w for w in words if "=/opt" not in w] == words # with the links of a mail system, and without
    make("install-mta" if mta else "install", f"DESTDIR={where}", *words)
    installed = files(where)
    assert len(installed) > 30
    assert not mta or {p.name for p in where.rglob("*") if p.is_symlink()} == {"sendmail", "mailq", "newaliases"}
    make("uninstall", f"DESTDIR={where}", *words)
    assert files(where) == {"usr/local/libexec/other"}
    assert not [p for p in where.rglob("*postern*") if str(p) not in (f"{where}/opt/postern",)]


def test_links_of_another_mail_system_stay(where):
    link = where / "usr/sbin/sendmail"
    link.parent.mkdir(parents=True)
    link.symlink_to("exim4")
    make("uninstall", f"DESTDIR={where}", "PREFIX=/usr")
    assert link.is_symlink()


def test_directories(where):
    """Units name the directories that were chosen; listeners have their ports."""
    make("install", f"DESTDIR={where}", "prefix=/opt/p", "sysconfdir=/opt/etc", "localstatedir=/opt/var",
         "runstatedir=/opt/run")
    units = where / "opt/p/lib/systemd/system"
    assert "ExecStart=-/opt/p/libexec/postern/smtpd -p %j" in (units / "postern-submission@.service").read_text()
    assert ":587\n" in (units / "postern-submission.socket").read_text()
    assert "relay --due --now" in (units / "postern-now@.service").read_text()
    text = (where / "opt/p/lib/tmpfiles.d/postern.conf").read_text()
    assert re.findall(r"^d (\S+)", text, re.M) == ["/opt/etc/postern", "/opt/var/spool/postern", "/opt/run/postern"]
    assert not [p for p in files(where) if re.search(r"(?<![\w/])/(etc|run|var/spool)/postern", (where / p).read_text(
        errors="ignore")) and "lib/systemd" in p]


def test_directories_are_compiled_in(where):
    """The same variables, when the programs are made: where they look for what nobody named."""
    program = where / "conf.o"
    flags = make("--eval", "show:;@:$(info $(ALLFLAGS))", "show", "sysconfdir=/opt/etc", "localstatedir=/opt/var",
                 "runstatedir=/opt/run").strip()
    subprocess.run(f"cc {flags} -c -o {program} conf/keys.c", shell=True, check=True, cwd=TOP)
    octets = program.read_bytes()
    assert b"/opt/var/spool/postern" in octets and b"/opt/run/postern" in octets


def test_without_systemd(where):
    """There is no unit, and no hook that would start one."""
    make("install", f"DESTDIR={where}", "SYSTEMD=0", "PREFIX=/usr")
    assert not [p for p in files(where) if "systemd" in p or p.endswith(("sysusers.d", "tmpfiles.d"))]
    assert "usr/libexec/postern/smtpd" in files(where)


RPM = {"_prefix": "/usr", "_bindir": "/usr/bin", "_sbindir": "/usr/sbin", "_libexecdir": "/usr/libexec", "_sysconfdir": "/etc",
       "_datadir": "/usr/share", "_mandir": "/usr/share/man", "_pkgdocdir": "/usr/share/doc/postern"}


def test_rpm_packages_hold_all(where):
    """Each file that is installed as the spec says is in one of the two packages, once; and each word of theirs is a file."""
    text = re.sub(r"%\{(_\w+)\}", lambda m: RPM.get(m[1], m[0]), (TOP / "packaging/postern.spec").read_text())
    places = re.search(r"^%global places (.*)$", text, re.M)[1].split()
    assert "%make_install install-mta %{how} %{places}" in text
    make("install-mta", f"DESTDIR={where}", *places)
    lists = re.findall(r"^%files.*\n((?:.+\n)+)", text, re.M)
    words = [w.split()[-1] for lines in lists for w in lines.splitlines() if not w.startswith(("%license", "%dir", "%config"))]
    found = {word: {f for f in files(where) if any(fnmatch.fnmatch(f"/{f}", w) for w in (word, f"{word}/*"))} for word in words}
    assert len(lists) == 2 and not [word for word in words if not found[word]], found
    assert sorted(f for some in found.values() for f in some) == sorted(files(where))


# ---- the same octets again

def test_no_trace_of_where_it_was_built():
    """Neither the directory of the sources nor a date is in a program (the whole build twice: make check-packages)."""
    for program in ("smtpd", "relay", "tls", "auth"):
        assert str(TOP).encode() not in (BUILD / program).read_bytes(), program
    for source in [*TOP.glob("*.[ch]"), *TOP.glob("*/*.[ch]")]:
        assert not re.search(r"\b__(DATE|TIME|TIMESTAMP)__\b", source.read_text()), source


def test_object_is_the_same_elsewhere(where):
    """One object, made in two directories, with all that a debugger is told."""
    made = []
    for name in ("a", "b"):
        tree = where / name
        tree.mkdir()
        for part in ("Makefile", "lib", "conf", "mail"):
            subprocess.run(["cp", "-a", TOP / part, tree], check=True)
        make("-C", str(tree), f"B={tree}/build", "build/lib/buf.o", "build/conf/load.o")
        made.append([(tree / "build" / o).read_bytes() for o in ("lib/buf.o", "conf/load.o")])
    assert made[0] == made[1]


def test_dist(where):
    """The archive is what is committed, and the same each time."""
    if shutil.which("git") is None or \
            subprocess.run(["git", "-C", TOP, "rev-parse", "HEAD"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a clone")
    archives = []
    for name in ("a", "b"):
        make(f"B={where / name}", "dist")
        archives.append(next((where / name).glob("postern-*.tar.gz")).read_bytes())
    assert archives[0] == archives[1]
    listed = subprocess.run(["tar", "tzf", "-"], input=archives[0], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert {"Makefile", "smtpd.c", "LICENSE"} <= {line.partition("/")[2] for line in listed.splitlines()}


def test_postern_finds_the_others(postern, world):
    """It lies where users look for programs, and starts the relay that lies beside smtpd."""
    make("install", f"DESTDIR={postern.where}", "PREFIX=/usr")
    world.domain("dest.example")
    postern.send("u@dest.example", max_connections=0)
    words = postern.command("postern", "retry", "--all")
    words[words.index(str(postern.build / "postern"))] = str(postern.where / "usr/bin/postern")
    with open(postern.log, "ab") as log:
        assert subprocess.run(words, stderr=log, stdout=subprocess.DEVNULL, check=False).returncode == 0
    world.sink.wait_messages(1)
    postern.settled()
    completion = (postern.where / "usr/share/bash-completion/completions/postern").read_text()
    assert "complete -F _postern postern" in completion
