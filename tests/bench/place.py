"""Where the benchmark works: a new file system when that can be had, so that figures do not depend on a worn one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FRESH_BYTES = 24 << 30      # sparse: only what is written takes space


@contextmanager
def work_directory(under: str | None, *, fresh: bool) -> Iterator[Path]:
    """A new directory, removed afterwards.

    With `fresh`, and as root, it is on an ext4 made for this run in a sparse file: on a file system where many files
    were deleted before, making directories can take ten times as long, for every contestant and the floor alike.
    """
    top = Path(tempfile.mkdtemp(prefix="annexd-bench-", dir=under))
    image = top / "ext4.img"
    work = top / "work"
    work.mkdir()
    is_mounted = fresh and _mount(image, work)
    try:
        yield work
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(work)], check=False)
        remove(top)


def _mount(image: Path, work: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        print("not root, or no mkfs.ext4: measuring on the file system as it is")
        return False
    with image.open("wb") as file:
        file.truncate(FRESH_BYTES)
    make = ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image)]
    for command in (make, ["mount", "-o", "loop", str(image), str(work)]):
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            print(f"{command[0]} failed ({done.stderr.decode().strip()}): measuring on the file system as it is")
            return False
    return True


def remove(place: Path) -> None:
    """Delete a tree with read-only directories in it."""
    for root, directories, _ in os.walk(place):
        for directory in directories:
            path = os.path.join(root, directory)
            if not os.path.islink(path):
                os.chmod(path, 0o755)
    shutil.rmtree(place, ignore_errors=True)
