"""S18: `make install` over programs that run: each takes the place of the one before in one step."""
import os
import pathlib
import subprocess

from conftest import TOP

BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", TOP / "build")).resolve()


def test_programs_are_replaced(where):
    command = ["make", "-s", "-C", str(TOP), "install", f"DESTDIR={where}", "PREFIX=/usr", f"B={BUILD}"]
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    programs = where / "usr/libexec/postern"
    subprocess.run(command, env=clean, check=True)
    before = {p.name: p.stat().st_ino for p in programs.iterdir()}
    kept = {name: open(programs / name, "rb") for name in before}
    subprocess.run(command, env=clean, check=True)
    assert set(before) == {"smtpd", "relay", "tls", "auth"} == {p.name for p in programs.iterdir()}
    for name, inode in before.items():
        assert (programs / name).stat().st_ino != inode, "not written to"
        with kept[name] as f:
            assert f.read() == (programs / name).read_bytes()
        assert (programs / name).stat().st_mode & 0o777 == 0o755


def test_postern_finds_the_others(postern, world):
    """It lies where users look for programs, and starts the relay that lies beside smtpd."""
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    subprocess.run(["make", "-s", "-C", str(TOP), "install", f"DESTDIR={postern.where}", "PREFIX=/usr", f"B={BUILD}"],
                   env=clean, check=True)
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
