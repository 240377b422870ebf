"""A network of a test's own, in which tests/tools/netns has given this host many addresses.

What the test, or a program that it starts, makes of sockets meanwhile is there; those that were made before stay where
they are, and so do other threads.
"""
import contextlib
import ctypes
import os
import pathlib
import subprocess

import pytest

NETNS = pathlib.Path(__file__).resolve().parent / "netns"
CLONE_NEWNET = 0x40000000


def must(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def own():
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        must(libc.unshare(CLONE_NEWNET))
    except OSError as e:
        os.close(before)
        pytest.skip(f"no network of its own: {e}")
    try:
        subprocess.run([str(NETNS), "--inside", "true"], check=True)
        yield
    finally:
        must(libc.setns(before, CLONE_NEWNET))
        os.close(before)
