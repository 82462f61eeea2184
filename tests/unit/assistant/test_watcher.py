"""File events become changes; what is git's own is passed over."""

from __future__ import annotations

import pytest

from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.git_watcher import is_ref, is_unwatched
from annexd.assistant.watcher import changes_of, is_git_path
from annexd.system.fswatch import FsEvent, FsEventKind


@pytest.mark.parametrize(("event", "kinds"), [
    (FsEvent(FsEventKind.CLOSED, b"f"), [(b"f", ChangeKind.WRITTEN)]),
    (FsEvent(FsEventKind.APPEARED, b"f"), [(b"f", ChangeKind.APPEARED)]),
    (FsEvent(FsEventKind.ATTRIB, b"f"), [(b"f", ChangeKind.TOUCHED)]),
    (FsEvent(FsEventKind.GONE, b"f"), [(b"f", ChangeKind.GONE)]),
    (FsEvent(FsEventKind.DIR_GONE, b"d", True), [(b"d", ChangeKind.GONE)]),
    (FsEvent(FsEventKind.DIR_APPEARED, b"d", True), [(b"d", ChangeKind.DIRECTORY)]),
    (FsEvent(FsEventKind.MOVED, b"f", False, b"g"), [(b"f", ChangeKind.GONE), (b"g", ChangeKind.APPEARED)]),
])
def test_each_event_has_its_changes(event: FsEvent, kinds: list[tuple[bytes, ChangeKind]]) -> None:
    assert changes_of([event], 1.0) == [Change(path, kind, 1.0) for path, kind in kinds]


@pytest.mark.parametrize(("path", "expected"), [
    (b".git", True),
    (b".git/index", True),
    (b"sub/.git", True),
    (b"sub/.git/HEAD", True),
    (b".gitignore", False),
    (b"sub/.gitattributes", False),
    (b"x.git", False),
    (b"x.git/y", False),
    (b".github/y", False),
    (b"sub/.annexd-tmp-123", True),
    (b"annexd-tmp", False),
])
def test_paths_of_git_and_our_own_temporary_files_are_known(path: bytes, expected: bool) -> None:
    assert is_git_path(path) is expected


@pytest.mark.parametrize(("path", "watched", "ref"), [
    (b"HEAD", True, True),
    (b"packed-refs", True, True),
    (b"refs/heads/main", True, True),
    (b"refs/heads/main.lock", False, True),
    (b"reftable/0x1.ref", True, True),
    (b"index.lock", True, False),
    (b"index", True, False),
    (b"config", True, False),
    (b"config.lock", False, False),
    (b"info/exclude", True, False),
    (b"objects/ab/cd", False, False),
    (b"annex/journal/x", False, False),
    (b"MERGE_HEAD", True, False),
])
def test_what_is_watched_in_the_git_directory(path: bytes, watched: bool, ref: bool) -> None:
    assert is_unwatched(path) is not watched
    assert is_ref(path) is ref
