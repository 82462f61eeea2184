"""Disks that tests may fill, freeze and take away: an ext4 in a file. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.privileges import may_mount


class Disk:
    """One that is mounted at `top`."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._filler = top / "filler"

    def fill(self, leave: int) -> None:
        """Take all room but about `leave` bytes, for superusers as well."""
        status = os.statvfs(self.top)
        size = status.f_bfree * status.f_frsize - leave
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def free(self) -> None:
        """Give that room back."""
        self._filler.unlink()

    def make_readonly(self, *, readonly: bool = True) -> None:
        """As a worn drive does; waits until nobody has a file open for writing there."""
        option = "remount,ro" if readonly else "remount,rw"
        eventually(lambda: _succeeds("mount", "-o", option, str(self.top)), 30.0, f"mount -o {option}")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Whoever writes hangs, and cannot even be killed, until the block ends."""
        subprocess.run(["fsfreeze", "--freeze", str(self.top)], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", str(self.top)], check=True)


@contextmanager
def disk(image: Path, top: Path, mib: int) -> Iterator[Disk]:
    """A new one, mounted at the directory `top`, which is made, in the file `image`."""
    may_mount()
    with image.open("wb") as file:
        file.truncate(mib << 20)
    top.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-J", "size=4", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(top)], check=True)
    try:
        yield Disk(top)
    finally:
        subprocess.run(["umount", "--lazy", str(top)], check=True)
        with suppress(OSError):
            image.unlink()


def _succeeds(*command: str) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return True


@contextmanager
def case_insensitive(image: Path, top: Path, mib: int = 64) -> Iterator[Path]:
    """An exFAT, by way of FUSE, mounted at the new directory `top`: no links, no modes, and "a" is "A" there."""
    may_mount()
    tools = [shutil.which(name) for name in ("mkfs.exfat", "mount.exfat-fuse")]
    if None in tools or not os.path.exists("/dev/fuse"):
        pytest.skip("there is no exFAT here")
    with image.open("wb") as file:
        file.truncate(mib << 20)
    top.mkdir()
    subprocess.run(["mkfs.exfat", str(image)], check=True, capture_output=True)
    attach = ["losetup", "--find", "--show", str(image)]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["mount.exfat-fuse", loop, str(top)], check=True, capture_output=True)
        try:
            yield top
        finally:
            subprocess.run(["umount", "--lazy", str(top)], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=False)
        with suppress(OSError):
            image.unlink()
