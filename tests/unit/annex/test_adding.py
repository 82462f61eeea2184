"""Files are found, and added where they belong; locked ones become unlocked and back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from annexd.annex.adding import Adder, Force, add_to_git, changed_below, untracked_below
from annexd.annex.annexed_files import AnnexedFile, annexed, annexed_at, in_tree, tracked
from annexd.annex.commit import stage
from annexd.annex.fix_links import fix_staged_links
from annexd.annex.fromkey import link_to_key
from annexd.annex.ingest import AddAs
from annexd.annex.relock import LocalChanges, lock_file, unlock_file
from annexd.annex.state import AnnexState
from annexd.errors import ContentError, RefusedError, UnsafePath, UserError
from annexd.formats.pointer import pointer_for
from tests.support.annexes import key_of, put
from tests.unit.annex.content_helpers import NOW, add, read, top, write
from tests.unit.annex.helpers import git

DATA = b"content\n"


@pytest.fixture
def adder(state: AnnexState) -> Iterator[Adder]:
    found = Adder(state)
    yield found
    found.close()


def file_at(state: AnnexState, path: bytes) -> AnnexedFile:
    found = annexed_at(state, path)
    assert found is not None
    return found


def test_a_new_file_is_annexed_locked(state: AnnexState, adder: Adder) -> None:
    write(state, b"f", DATA)
    added = adder.add(b"f")
    assert added is not None and added.key == key_of(DATA) and added.update is not None
    assert (top(state) / "f").is_symlink()
    assert state.locations.locations(key_of(DATA)) == {state.uuid}


def test_a_dotfile_and_what_is_forced_go_to_git(state: AnnexState, adder: Adder) -> None:
    write(state, b".hidden", DATA)
    write(state, b"f", DATA)
    hidden = adder.add(b".hidden")
    assert hidden is not None and hidden.update is None and hidden.reason.startswith("dotfile")
    small = Adder(state, force=Force.GIT)
    forced = small.add(b"f")
    small.close()
    assert forced is not None and forced.update is None and forced.reason == ""
    add_to_git(state, [b".hidden", b"f"])
    assert git(top(state), "ls-files") == b".hidden\nf"
    assert git(top(state), "cat-file", "blob", ":f") == DATA.rstrip()


def test_a_dotfile_is_annexed_by_force(state: AnnexState) -> None:
    write(state, b".hidden", DATA)
    large = Adder(state, force=Force.ANNEX)
    added = large.add(b".hidden")
    large.close()
    assert added is not None and added.key is not None


def test_an_empty_file_is_never_unlocked(state: AnnexState) -> None:
    write(state, b"empty", b"")
    unlocking = Adder(state, when_unset=AddAs.UNLOCKED)
    unlocking.add(b"empty")
    unlocking.close()
    assert (top(state) / "empty").is_symlink()


def test_a_pointer_is_staged_and_special_files_are_left_alone(state: AnnexState, adder: Adder) -> None:
    write(state, b"p", pointer_for(key_of(DATA)))
    os.mkfifo(top(state) / "fifo")
    added = adder.add(b"p")
    assert added is not None and added.key is None and added.update is not None
    assert added.update.content == pointer_for(key_of(DATA))
    assert adder.add(b"fifo") is None
    with pytest.raises(ContentError):
        adder.add(b"gone")


def test_new_and_changed_files_are_found_below_the_paths_asked_for(state: AnnexState) -> None:
    add(state, {b"same": b"1", b"changed": b"2", b"d/changed": b"3", b"gone": b"4"})
    for path in (b"changed", b"d/changed", b"d/new", b"new", b"[n]ew"):
        write(state, path, b"something else")
    (top(state) / "gone").unlink()
    os.utime(top(state) / "same", (1, 1))
    assert {change.path: change.status for change in changed_below(state, [])} == {
        b"changed": "M", b"d/changed": "M", b"gone": "D",
    }  # fmt: skip
    assert [change.path for change in changed_below(state, [b"d"])] == [b"d/changed"]
    assert untracked_below(state.repo, []) == [b"[n]ew", b"d/new", b"new"]
    assert untracked_below(state.repo, [b"[n]ew"]) == [b"[n]ew"]


def test_annexed_files_are_told_from_others(state: AnnexState) -> None:
    add(state, {b"unlocked": DATA})
    add(state, {b"d/locked": b"other"}, AddAs.LOCKED)
    write(state, b"plain", b"x" * 40_000)
    (top(state) / "link").symlink_to("nowhere")
    add_to_git(state, [b"plain", b"link"])
    found = {file.path: (file.key, file.is_unlocked) for file in annexed(state, tracked(state))}
    assert found == {b"unlocked": (key_of(DATA), True), b"d/locked": (key_of(b"other"), False)}
    assert [file.path for file in tracked(state, [b"d"])] == [b"d/locked"]
    assert {file.path for file in annexed(state, in_tree(state, "HEAD"))} == {b"unlocked", b"d/locked"}
    with pytest.raises(UserError):
        in_tree(state, "--help")


@pytest.mark.parametrize("is_here", [True, False], ids=["present", "absent"])
def test_unlocking_and_locking_lead_back_to_where_it_was(state: AnnexState, is_here: bool) -> None:
    add(state, {b"d/f": DATA}, AddAs.LOCKED)
    target = os.readlink(top(state) / "d/f")
    if not is_here:
        state.store.remove(key_of(DATA))
    stage(state, [unlock_file(state, file_at(state, b"d/f"))], NOW)
    assert read(state, b"d/f") == (DATA if is_here else pointer_for(key_of(DATA)))
    assert file_at(state, b"d/f").is_unlocked
    stage(state, [lock_file(state, file_at(state, b"d/f"), discard_changes=False)], NOW)
    assert os.readlink(top(state) / "d/f") == target
    assert git(top(state), "-c", "filter.annex.process=", "-c", "filter.annex.clean=", "status", "--porcelain") == b""


def test_a_modified_file_is_not_locked_unless_asked(state: AnnexState) -> None:
    add(state, {b"f": DATA})
    write(state, b"f", b"modified")
    with pytest.raises(LocalChanges):
        lock_file(state, file_at(state, b"f"), discard_changes=False)
    assert read(state, b"f") == b"modified"
    lock_file(state, file_at(state, b"f"), discard_changes=True)
    assert read(state, b"f") == DATA


def test_locking_saves_content_of_which_the_object_was_lost(state: AnnexState) -> None:
    add(state, {b"f": DATA})
    state.store.remove(key_of(DATA))
    lock_file(state, file_at(state, b"f"), discard_changes=False)
    assert state.store.is_present(key_of(DATA))
    assert read(state, b"f") == DATA


def test_staged_links_that_were_moved_are_put_right(state: AnnexState) -> None:
    add(state, {b"f": DATA}, AddAs.LOCKED)
    (top(state) / "d").mkdir()
    git(top(state), "mv", "f", "d/f")
    assert fix_staged_links(state, NOW) == [b"d/f"]
    assert read(state, b"d/f") == DATA
    assert fix_staged_links(state, NOW) == []
    assert git(top(state), "diff", "--name-only") == b""


def test_a_link_for_a_key_is_made_once_and_never_over_something_else(state: AnnexState) -> None:
    key = put(state, DATA)
    update = link_to_key(state, b"a/b/f", key)
    assert update is not None
    assert read(state, b"a/b/f") == DATA
    assert link_to_key(state, b"a/b/f", key) is None
    write(state, b"other", b"something")
    with pytest.raises(RefusedError):
        link_to_key(state, b"other", key)
    with pytest.raises(UnsafePath):
        link_to_key(state, b"../f", key)
    with pytest.raises(UnsafePath):
        link_to_key(state, b".git/f", key)
