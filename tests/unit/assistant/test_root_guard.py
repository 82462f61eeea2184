"""A work tree that is gone is told from one whose files were deleted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from annexd.annex.commit import REMOVE, IndexUpdate
from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.classify import What, look, still_holds
from annexd.assistant.root_guard import RootGuard, is_missing, means_gone
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.objects import Oid


def make_guard(top: Path, *points: str) -> RootGuard:
    (top / "tree/.git").mkdir(parents=True, exist_ok=True)
    mounts = [os.fsencode(top / "tree" / point) for point in points]
    return RootGuard(os.fsencode(top / "tree"), os.fsencode(top / "note/mounts"), lambda: mounts)


def test_the_work_tree_is_there_until_it_goes(tmp_path: Path) -> None:
    guard = make_guard(tmp_path)
    assert guard.is_root_there()
    (tmp_path / "tree").rename(tmp_path / "away")
    assert not guard.is_root_there()
    (tmp_path / "away").rename(tmp_path / "tree")
    assert guard.is_root_there()


def test_another_directory_in_its_place_is_not_it(tmp_path: Path) -> None:
    guard = make_guard(tmp_path)
    (tmp_path / "tree").rename(tmp_path / "away")
    (tmp_path / "tree/.git").mkdir(parents=True)
    assert not guard.is_root_there()


def test_what_was_on_a_missing_disk_is_not_deleted(tmp_path: Path) -> None:
    make_guard(tmp_path, "disk")
    (tmp_path / "tree/disk").mkdir()        # an empty mount point
    guard = make_guard(tmp_path)            # nothing is mounted there any more
    missing = guard.missing_mounts()
    assert missing == (os.fsencode(tmp_path / "tree/disk"),)
    assert not guard.is_deleted(os.fsencode(tmp_path / "tree/disk/f"), missing)
    assert guard.is_deleted(os.fsencode(tmp_path / "tree/f"), missing)


def test_a_disk_that_is_mounted_again_is_not_missing(tmp_path: Path) -> None:
    make_guard(tmp_path, "disk")
    (tmp_path / "tree/disk").mkdir()
    assert make_guard(tmp_path, "disk").missing_mounts() == ()


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES])
def test_a_disk_in_trouble_is_no_deletion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The one thing that is played here: no disk can be told to fail on demand."""
    guard = make_guard(tmp_path)
    (tmp_path / "tree/f").write_bytes(b"f")
    path = os.fsencode(tmp_path / "tree/f")
    index = GitIndex()
    index.set(IndexEntry.from_stat(b"f", 0o100644, Oid(bytes(20)), os.lstat(path)))

    def fail(where: bytes, **_: object) -> os.stat_result:
        raise OSError(code, os.strerror(code), where)

    with monkeypatch.context() as broken:
        broken.setattr(os, "lstat", fail)
        broken.setattr(os, "stat", fail)
        assert not guard.is_root_there()
        assert not is_missing(path)
        assert look(os.fsencode(tmp_path / "tree"), Change(b"f", ChangeKind.GONE, 0.0), index).what is What.TROUBLE
        assert not still_holds(os.fsencode(tmp_path / "tree"), IndexUpdate(b"f", REMOVE))
    assert guard.is_root_there()
    assert not is_missing(path)
    assert is_missing(path + b"/below") and is_missing(os.fsencode(tmp_path / "tree/g"))


@pytest.mark.parametrize(("code", "expected"), [
    (errno.ENOENT, True), (errno.ENOTDIR, True), (errno.EIO, False), (errno.EACCES, False), (errno.ESTALE, False),
])
def test_only_some_errors_mean_that_there_is_no_file(code: int, expected: bool) -> None:
    assert means_gone(OSError(code, "")) is expected
