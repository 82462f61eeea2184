"""A person's file that comes the moment after we put ours in its place is not taken for ours.

git's index would have its stat with our content: it would count as committed, and the next checkout would remove it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from annexd.annex import work_files
from annexd.annex.ingest import AddAs
from annexd.annex.state import AnnexState
from annexd.annex.work_files import WorkFiles
from annexd.errors import ContentChanged
from annexd.system import rename
from tests.unit.annex.content_helpers import ingest, read, write

NEWER = b"newer"
OURS = b"ours!"         # no longer and no shorter, as that would tell


@pytest.fixture
def work(state: AnnexState) -> WorkFiles:
    return WorkFiles(state.repo.work_tree or b"", state.store)


def save_after(monkeypatch: pytest.MonkeyPatch, state: AnnexState, module: object, name: str) -> None:
    """Once the function was called with the path of the file, a person saves another one there."""
    original: Callable[..., object] = getattr(module, name)
    place = (state.repo.work_tree or b"") + b"/f"
    replace = os.replace

    def call(*args: object, **keywords: object) -> object:
        result = original(*args, **keywords)
        if place in args:
            monkeypatch.undo()
            newer = write(state, b"being-saved", NEWER)
            replace(newer, place)
        return result

    monkeypatch.setattr(module, name, call)


def test_after_a_new_file_was_put_in_place(
    state: AnnexState, work: WorkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = work.temp_bytes(OURS, executable=False)
    save_after(monkeypatch, state, work_files, "rename_new")
    placed = work.place_new(temp, b"f")
    assert placed.st_mtime_ns != os.lstat(work.absolute(b"f")).st_mtime_ns, "git sees that the file is another one"
    assert read(state, b"f") == NEWER


def test_after_a_file_was_replaced(state: AnnexState, work: WorkFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(state, b"f", b"older")
    temp, seen = work.temp_bytes(OURS, executable=False), os.lstat(place)
    save_after(monkeypatch, state, work_files, "exchange")
    placed = work.replace(temp, b"f", seen)
    assert placed.st_mtime_ns != os.lstat(work.absolute(b"f")).st_mtime_ns
    assert read(state, b"f") == NEWER


def test_after_a_symlink_was_made(state: AnnexState, work: WorkFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    save_after(monkeypatch, state, os, "symlink")
    with pytest.raises(ContentChanged):
        work.new_symlink(b"where", b"f")
    assert read(state, b"f") == NEWER


def test_after_the_mode_was_changed(state: AnnexState, work: WorkFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(state, b"f", b"older")
    save_after(monkeypatch, state, os, "chmod")
    with pytest.raises(ContentChanged):
        work.set_executable(b"f", os.lstat(place), executable=True)
    assert read(state, b"f") == NEWER


def test_after_a_file_was_locked(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    write(state, b"f", b"older")
    save_after(monkeypatch, state, rename, "exchange")
    with pytest.raises(ContentChanged):
        ingest(state, b"f", AddAs.LOCKED)
    assert read(state, b"f") == NEWER


@pytest.mark.parametrize("is_in_one", [False, True])
def test_a_file_of_ours_is_known_by_its_stat(
    state: AnnexState, work: WorkFiles, monkeypatch: pytest.MonkeyPatch, is_in_one: bool
) -> None:
    if not is_in_one:       # as where file systems know neither of these calls
        monkeypatch.setattr("annexd.system.rename._renameat2", lambda: lambda *_: 22)
    placed = work.place_new(work.temp_bytes(OURS, executable=False), b"f")
    assert placed == os.lstat(work.absolute(b"f"))
    replaced = work.replace(work.temp_bytes(NEWER, executable=True), b"f", placed)
    assert replaced == os.lstat(work.absolute(b"f"))
    assert read(state, b"f") == NEWER
