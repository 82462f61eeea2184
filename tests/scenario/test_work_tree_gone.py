"""A work tree, or a disk in it, that goes away is no deletion of what was in it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.oracle import Oracle
from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair
from tests.support.privileges import may_mount

AWAY = 3.0      # seconds; the root is looked at more often
NAMES = tuple(f"folder-{number % 5}/{number}.txt" for number in range(30))


def fill(pair: Pair) -> bytes:
    """Thirty files on both sides; the commit that has them."""
    for name in NAMES:
        pair.a.write(name, name.encode())
    eventually(lambda: all(pair.b.has(name, name.encode()) for name in NAMES), SYNC_LIMIT)
    pair.settle()
    return pair.a.git("rev-parse", "HEAD")


def nothing_goes(pair: Pair, seconds: float) -> None:
    """The other side loses no file for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert all(pair.b.has(name, name.encode()) for name in NAMES), "files were deleted at the other side"
        time.sleep(0.1)


@pytest.mark.parametrize("instead", ["nothing", "an empty directory", "a git repository", "a file"])
def test_a_work_tree_that_was_moved_away_loses_nothing(pair: Pair, oracle: Oracle, instead: str) -> None:
    pair.start()
    head = fill(pair)
    root, away = pair.a.repo, pair.a.repo.with_name("away")
    root.rename(away)
    if instead == "a file":
        root.write_bytes(b"")
    elif instead != "nothing":
        root.mkdir()
    if instead == "a git repository":
        oracle.git(root, "init", "-q")
    nothing_goes(pair, AWAY)
    assert oracle.git(away, "rev-parse", "HEAD").encode() == head
    assert oracle.git(away, "status", "--porcelain") == ""
    assert pair.a.running is not None and pair.a.running.is_running()
    if instead == "a file":
        root.unlink()
    elif instead != "nothing":
        subprocess.run(["rm", "-r", str(root)], check=True)
    (away / "while-away.txt").write_bytes(b"written while it was away\n")
    away.rename(root)
    assert "the work tree is gone" in pair.a.log() + pair.a.alerts()
    eventually(lambda: pair.b.has("while-away.txt", b"written while it was away\n"), SYNC_LIMIT, "work goes on")
    pair.assert_syncs("after.txt")
    eventually(lambda: "the work tree is gone" not in pair.a.alerts(), SYNC_LIMIT, "the alert's end")
    pair.settle()
    assert set(NAMES) <= {os.fsdecode(path) for path in pair.a.committed()}


def test_files_that_are_deleted_together_are_deleted(pair: Pair) -> None:
    """The guard is about disks, not about numbers."""
    pair.start()
    fill(pair)
    for name in NAMES:
        pair.a.path(name).unlink()
    eventually(lambda: not any(pair.b.path(name).exists() for name in NAMES), SYNC_LIMIT)


@contextmanager
def mounted(source: Path, point: Path) -> Iterator[None]:
    """A directory, mounted over another one."""
    subprocess.run(["mount", "--bind", str(source), str(point)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(point)], check=False, capture_output=True)


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_a_disk_in_the_work_tree_that_is_unmounted_loses_nothing(pair: Pair, tmp_path: Path, restart: bool) -> None:
    may_mount()
    disk, point = tmp_path / "disk", pair.a.path("disk")
    disk.mkdir()
    point.mkdir()
    pair.start()
    with mounted(disk, point):
        pair.assert_syncs("disk/on-the-disk.txt", b"on the disk\n")
        fill(pair)
        if restart:
            pair.a.stop()
        subprocess.run(["umount", "-l", str(point)], check=True)
        if restart:
            pair.a.start()
        pair.assert_syncs("beside-the-disk.txt")
        point.joinpath("stray.txt").write_bytes(b"in the mount point\n")
        nothing_goes(pair, AWAY)
        assert pair.b.has("disk/on-the-disk.txt", b"on the disk\n")
        assert b"disk/on-the-disk.txt" in pair.a.committed()
        with mounted(disk, point):
            pair.assert_syncs("disk/mounted again.txt")
            assert pair.b.has("disk/on-the-disk.txt", b"on the disk\n")
            (disk / "on-the-disk.txt").unlink()
            eventually(lambda: not pair.b.path("disk/on-the-disk.txt").exists(), SYNC_LIMIT, "a real removal")


def test_sync_takes_no_missing_disk_for_a_deletion(pair: Pair, tmp_path: Path, annexd: Annexd) -> None:
    may_mount()
    disk, point, repo = tmp_path / "disk", pair.a.path("disk"), pair.a.repo
    disk.mkdir()
    point.mkdir()
    pair.a.write("beside.txt", b"beside\n")
    with mounted(disk, point):
        pair.a.write("disk/on-the-disk.txt", b"on the disk\n")
        annexd(repo, "assist")
    pair.a.path("beside.txt").unlink()
    said = annexd(repo, "sync")
    assert "1 of the missing files" in said.out + said.err
    assert set(pair.a.committed()) == {b"disk/on-the-disk.txt"}
    with mounted(disk, point):
        (disk / "on-the-disk.txt").unlink()
        annexd(repo, "sync")
    assert pair.a.committed() == {}


def test_a_work_tree_that_is_unmounted_loses_nothing(pair: Pair, tmp_path: Path) -> None:
    may_mount()
    root, disk = pair.a.repo, tmp_path / "disk"
    root.rename(disk)
    root.mkdir()
    with mounted(disk, root):
        pair.start()
        head = fill(pair)
        subprocess.run(["umount", "-l", str(root)], check=True)
        nothing_goes(pair, AWAY)
        with mounted(disk, root):
            pair.assert_syncs("mounted again.txt")
            assert pair.a.git("merge-base", head.strip(), "HEAD") == head
            assert set(NAMES) <= {os.fsdecode(path) for path in pair.a.committed()}
            pair.a.stop()
