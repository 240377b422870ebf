"""A spool on a file system of its own, which can be filled: with octets, or with files."""
import contextlib
import errno
import os
import shutil
import subprocess
import tempfile

import pytest

CHUNK, SMALLEST = 1 << 20, 1 << 12


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


class Disk:
    """A mounted file system. What is made full stays so until it is emptied, if top_up() is called."""

    def __init__(self, point):
        self.point, self.octets, self.inodes, self.crowders = point, False, False, 0
        (point / "filler").touch() # both while there is room for them
        (point / "crowders").mkdir()

    def fill(self):
        """No block is left."""
        self.octets = True
        self.top_up()

    def crowd(self):
        """No inode is left."""
        self.inodes = True
        self.top_up()

    def top_up(self):
        """Takes what became free meanwhile."""
        size = CHUNK if self.octets else 0
        while size >= SMALLEST:
            try:
                with open(self.point / "filler", "r+b", buffering=0) as f:
                    f.seek(0, os.SEEK_END)
                    f.write(bytes(size))
                    if size > SMALLEST:
                        os.fsync(f.fileno())
            except OSError as e:
                assert e.errno == errno.ENOSPC, e
                size //= 16
        while self.inodes:
            try:
                (self.point / "crowders" / str(self.crowders)).touch()
                self.crowders += 1
            except OSError as e:
                assert e.errno == errno.ENOSPC, e
                return

    def empty(self):
        """There is room again."""
        self.octets = self.inodes = False
        (self.point / "filler").unlink()
        shutil.rmtree(self.point / "crowders")


def mount(kind, point, room, inodes):
    """Mounts it, or skips the test. What is to be removed at the end, or None."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    if kind == "tmpfs":
        image, words = None, ["-t", "tmpfs", "-o", f"size={room},nr_inodes={inodes}", "tmpfs"]
    else:
        if shutil.which(f"mkfs.{kind}") is None:
            pytest.skip(f"needs mkfs.{kind}")
        fd, image = tempfile.mkstemp(prefix="postern-disk-")
        os.ftruncate(fd, room)
        os.close(fd)
        options = {"ext4": ["-q", "-m", "0", "-N", str(inodes)], "btrfs": ["-q", "-M"]}.get(kind, ["-q"])
        made = run(f"mkfs.{kind}", *options, image)
        assert made.returncode == 0, made.stdout
        words = ["-t", kind, "-o", "loop", image]
    r = run("mount", *words, str(point))
    if r.returncode != 0:
        if image is not None:
            os.unlink(image)
        pytest.skip(f"cannot mount {kind}: {r.stdout.strip()}")
    return image


@contextlib.contextmanager
def spool_on(postern, kind, room, inodes):
    """The spool of this fixture lies on a file system of its own inside. No relay may be at work at the end."""
    image = mount(kind, postern.spool, room, inodes)
    try:
        owner = postern.runtime.stat()
        os.chown(postern.spool, owner.st_uid, owner.st_gid)
        postern.spool.chmod(0o700)
        yield Disk(postern.spool)
        postern.rested()
    finally:
        run("umount", "--lazy", str(postern.spool))
        if image is not None:
            os.unlink(image)
