"""Paths that differ in case only, where core.ignoreCase says that the file system takes them for the same."""

from __future__ import annotations

import os

from annexd.annex.state import AnnexState
from annexd.annex.twins import on_disk, renamed_from, set_aside_twins
from annexd.threads.deadline import Deadline
from tests.unit.annex.content_helpers import check_out, read, top, unlocked
from tests.unit.annex.helpers import git

NOW = Deadline(0)


def with_twins(state: AnnexState) -> None:
    """Case is in the work tree, case is set aside, as on a file system that has room for one of them."""
    git(top(state), "config", "core.ignorecase", "true")
    state.reload_config()
    check_out(state, {b"d/Case": unlocked(b"upper"), b"d/case": unlocked(b"lower"), b"other": unlocked(b"other")})
    (top(state) / "d/case").unlink()
    with state.index.editing(NOW) as edit:
        assert set_aside_twins(os.fsencode(top(state)), [b"d/Case", b"other"], edit.index) == [b"d/case"]
        edit.save()


def test_the_twin_without_a_file_is_set_aside_and_stands_for_the_other(state: AnnexState) -> None:
    with_twins(state)
    index, place = state.index.current(), os.fsencode(top(state))
    entry = index.get(b"d/case")
    assert entry is not None and entry.is_set_aside
    assert git(top(state), "status", "--porcelain") == b""
    assert on_disk(place, b"d/case", index) == b"d/Case"
    assert on_disk(place, b"d/CASE", index) == b"d/Case"
    assert on_disk(place, b"other", index) == b"other"


def test_a_twin_comes_back_when_there_is_room(state: AnnexState) -> None:
    with_twins(state)
    check_out(state, {b"d/Case": None})
    assert os.listdir(top(state) / "d") == ["case"]
    assert b"SHA256E-s5-" in read(state, b"d/case")
    entry = state.index.current().get(b"d/case")
    assert entry is not None and not entry.is_set_aside
    assert git(top(state), "status", "--porcelain") == b""


def test_a_new_name_in_another_case_tells_of_the_old_one(state: AnnexState) -> None:
    git(top(state), "config", "core.ignorecase", "true")
    state.reload_config()
    check_out(state, {b"name": unlocked(b"name")})
    (top(state) / "name").rename(top(state) / "Name")
    assert renamed_from(os.fsencode(top(state)), b"Name", state.index.current()) == [b"name"]
