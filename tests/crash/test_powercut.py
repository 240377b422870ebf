"""J7: a few power cuts on each file system; `make powercut` makes many."""
import os
import pathlib
import subprocess

import pytest

from conftest import BUILD, made

POWERCUT = pathlib.Path(__file__).with_name("powercut")
BREAK = ["NO_FILE_FSYNC", "NO_LANE_FSYNC", "EARLY_250"]


def cut(kind, *words):
    """Ten trials; what was said."""
    p = subprocess.run([str(POWERCUT), "-n", "10", "--fs", kind, *words], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    if p.returncode == 77:
        pytest.skip(p.stdout.strip().removeprefix("powercut: skipped: "))
    assert p.returncode == 0, p.stdout
    return p.stdout


@pytest.fixture(scope="module")
def broken():
    """Makes the builds that lose mail."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount file systems")
    return made("broken")


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_survives(kind):
    assert "10 of 10 whole and delivered" in cut(kind, "--build", str(BUILD))


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("how", BREAK)
def test_broken_build_loses(broken, kind, how):
    """The test can fail: for want of either sync, or for a 250 that comes before them."""
    cut(kind, "--expect-loss", "--build", str(broken / how))
