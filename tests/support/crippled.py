"""A file system without symlinks, hard links, modes and two names that differ in case only: exFAT, mounted by FUSE."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 512 << 20
PROGRAMS = ("losetup", "mkfs.exfat", "mount.exfat-fuse", "umount")


def why_not() -> str | None:
    """What this machine lacks for it."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "only root may mount"
    return None if os.path.exists("/dev/fuse") and os.path.exists("/dev/loop-control") else "no FUSE or loop devices"


@contextmanager
def exfat(top: Path) -> Iterator[Path]:
    """An empty exFAT for the time of the block, on an image in `top`. Skips the test where that cannot be."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    image, point = top / "exfat.img", top / "exfat"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.exfat", str(image)], check=True, capture_output=True)
    point.mkdir()
    done = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True)
    device = done.stdout.strip()
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    try:
        mounted = subprocess.run(["mount.exfat-fuse", device, str(point)], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"cannot mount exFAT: {mounted.stdout}{mounted.stderr}".strip())
        try:
            yield point
        finally:
            subprocess.run(["umount", "-l", str(point)], check=True, capture_output=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=False, capture_output=True)
        image.unlink()
