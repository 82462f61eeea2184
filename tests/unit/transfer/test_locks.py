"""Locks and information files of transfers, as other processes see them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annexd.annex.layout import RepoLayout
from annexd.errors import TransferInProgress
from annexd.formats.key import Key
from annexd.formats.transfer_info import TransferInfo
from annexd.formats.uuid import UUID
from annexd.transfer.job import Direction
from annexd.transfer.locks import announced, busy_keys

R = UUID(b"uuid-r")
KEY = Key(b"SHA256", b"1", 1000)
LOCK = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print("ok", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> RepoLayout:
    git_dir = os.fsencode(tmp_path)
    os.makedirs(git_dir + b"/annex")      # as every annex has it
    return RepoLayout(git_dir, git_dir, None, True)


@contextmanager
def locked_by_another_process(path: bytes) -> Iterator[None]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    argv = [sys.executable, "-c", LOCK, os.fsdecode(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ok\n"
        yield


def files(layout: RepoLayout) -> set[str]:
    root = Path(os.fsdecode(layout.transfer_root))
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def test_a_running_transfer_is_visible_as_git_annex_shows_it(layout: RepoLayout) -> None:
    with announced(layout, Direction.DOWNLOAD, R, KEY, file=b"a\nfile") as info:
        assert files(layout) == {
            "download/lck/lck.SHA256-s1000--1",
            "download/uuid-r/lck.SHA256-s1000--1",
            "download/uuid-r/SHA256-s1000--1",
        }
        path = Path(os.fsdecode(layout.transfer_info(b"download", R, KEY)))
        first = TransferInfo.parse(path.read_bytes())
        assert (first.bytes_done, first.file) == (None, b"a\nfile")
        info.update(1)
        assert TransferInfo.parse(path.read_bytes()) == first
        info.update(500)
        assert TransferInfo.parse(path.read_bytes()).bytes_done == 500
    assert files(layout) == set()


def test_an_upload_takes_one_lock(layout: RepoLayout) -> None:
    with announced(layout, Direction.UPLOAD, R, KEY):
        assert files(layout) == {"upload/uuid-r/lck.SHA256-s1000--1", "upload/uuid-r/SHA256-s1000--1"}


def test_nothing_is_left_after_a_failure(layout: RepoLayout) -> None:
    with pytest.raises(ValueError, match="x"), announced(layout, Direction.DOWNLOAD, R, KEY):
        raise ValueError("x")
    assert files(layout) == set()


@pytest.mark.parametrize("which", ["key", "remote"])
def test_a_download_of_another_process_is_respected(layout: RepoLayout, which: str) -> None:
    path = layout.download_key_lock(KEY) if which == "key" else layout.transfer_lock(b"download", R, KEY)
    with locked_by_another_process(path):
        with pytest.raises(TransferInProgress), announced(layout, Direction.DOWNLOAD, R, KEY):
            pytest.fail("both would transfer")
        assert busy_keys(layout, Direction.DOWNLOAD, R) == {KEY.file_name()}
    with announced(layout, Direction.DOWNLOAD, R, KEY):
        pass


def test_our_own_threads_exclude_each_other_too(layout: RepoLayout) -> None:
    with announced(layout, Direction.DOWNLOAD, R, KEY):
        other = UUID(b"uuid-s")
        with pytest.raises(TransferInProgress), announced(layout, Direction.DOWNLOAD, other, KEY):
            pytest.fail("one download for each key")
        with announced(layout, Direction.UPLOAD, R, KEY):
            pass


def test_lock_files_that_nobody_holds_are_not_busy_and_not_in_the_way(layout: RepoLayout) -> None:
    path = layout.transfer_lock(b"upload", R, KEY)
    os.makedirs(os.path.dirname(path))
    Path(os.fsdecode(path)).touch()
    assert busy_keys(layout, Direction.UPLOAD, R) == frozenset()
    with announced(layout, Direction.UPLOAD, R, KEY):
        assert busy_keys(layout, Direction.UPLOAD, R) == {KEY.file_name()}
    assert files(layout) == set()


def test_looking_at_a_repository_without_transfers_finds_none(layout: RepoLayout) -> None:
    assert busy_keys(layout, Direction.DOWNLOAD, R) == frozenset()
