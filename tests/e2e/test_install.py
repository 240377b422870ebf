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
    assert set(before) == {"smtpd", "relay", "tls", "auth", "postern-status"} == {p.name for p in programs.iterdir()}
    for name, inode in before.items():
        assert (programs / name).stat().st_ino != inode, "not written to"
        with kept[name] as f:
            assert f.read() == (programs / name).read_bytes()
        assert (programs / name).stat().st_mode & 0o777 == 0o755
