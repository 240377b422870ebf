"""sendmail -qR, -qS and -qI: some of what waits, and never all of it, is tried, as by `postern retry`."""
import shutil
import subprocess

import pytest

from conftest import DROP


@pytest.mark.parametrize("word, status, said", [
    ("-qRexample.org", 0, "postern retry --no-wait --to example.org"),
    ("-qSjoe@x.example", 0, "postern retry --no-wait --from joe@x.example"),
    ("-qI06ab4c2d8f00xyzabc01", 0, "postern retry --no-wait -- 06ab4c2d8f00xyzabc01"),
    ("-qI--all", 0, "postern retry --no-wait -- --all"), ("-q", 0, "relay --due --now"),
    ("-qGgroup", 64, "sendmail: -q: what waits cannot be chosen by this: Ggroup")])
def test_chosen(postern, word, status, said):
    programs = postern.where / "programs"
    programs.mkdir(mode=0o755)
    shutil.copy(postern.build / "sendmail", programs)
    for name in ("postern", "relay"):
        (programs / name).write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        (programs / name).chmod(0o755)
    postern.where.chmod(0o755)
    p = subprocess.run([*(w for w in postern.command("relay")[:len(DROP)] if w in DROP), programs / "sendmail", word],
                       capture_output=True, text=True, check=False,
                       env=postern.environment() | {"POSTERN_SPOOL": str(postern.spool)})
    assert (p.returncode, (p.stdout + p.stderr).strip()) == (status, said)
