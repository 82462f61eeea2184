"""From one tree to another: what changes, what is protected, what is refused, what survives a crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annexd.annex import checkout as checkout_module
from annexd.annex import checkout_run, head_journal, index_access, work_files
from annexd.annex.checkout import apply_tree
from annexd.annex.checkout_recovery import recover_checkout
from annexd.annex.commit import IndexUpdate, stage, stage_and_commit, tree_of
from annexd.annex.head_journal import HeadMove, MoveKind
from annexd.annex.ingest import AddAs
from annexd.annex.recovery import recover
from annexd.annex.state import AnnexState
from annexd.errors import (
    AnnexError,
    BusyError,
    ContentChanged,
    FormatError,
    GitError,
    IndexLocked,
    RefMoved,
    UnsafePath,
)
from annexd.formats.key import Key
from annexd.formats.pointer import pointer_for
from annexd.git.objects import BLOB, TREE, Oid
from tests.support.annexes import key_of, put
from tests.unit.annex.content_helpers import (
    NOW,
    File,
    add,
    check_out,
    ingest,
    locked,
    next_commit,
    read,
    status,
    top,
    unlocked,
    update,
    write,
)
from tests.unit.annex.helpers import git, make_annex, open_annex

PLAIN: File = (0o100644, b"plain text\n")


@pytest.fixture(autouse=True)
def start(state: AnnexState) -> None:
    """A first commit: unlocked files with content."""
    add(state, {b"a": b"one", b"d/b": b"two", b"d/e/c": b"three"})


def names(state: AnnexState) -> list[str]:
    """All files and empty directories of the work tree."""
    found = []
    for base, directories, files in os.walk(top(state)):
        directories[:] = [name for name in directories if name != ".git"]
        inner = [name for name in directories if os.path.islink(os.path.join(base, name))]
        found += [os.path.relpath(os.path.join(base, name), top(state)) for name in (*files, *inner)]
        if not directories and not files:
            found.append(os.path.relpath(base, top(state)) + "/")
    return sorted(found)


def snapshot(state: AnnexState) -> tuple[object, ...]:
    """Everything that must be unchanged when a checkout does nothing."""
    contents = [
        (name, os.readlink(top(state) / name) if os.path.islink(top(state) / name) else read(state, os.fsencode(name)))
        for name in names(state)
    ]
    return state.refs.head(), contents, git(top(state), "ls-files", "-s"), head_journal.noted(state.layout)


def test_files_of_git_come_change_and_go(state: AnnexState) -> None:
    assert check_out(state, {b"p": PLAIN, b"x/y/tool": (0o100755, b"#!/bin/sh\n")}).written == 2
    assert read(state, b"p") == b"plain text\n"
    assert os.access(top(state) / "x/y/tool", os.X_OK)
    assert status(state) == b""
    check_out(state, {b"p": (0o100644, b"other\n"), b"x/y/tool": None})
    assert read(state, b"p") == b"other\n"
    assert names(state) == ["a", "d/b", "d/e/c", "p"]
    assert status(state) == b""
    assert git(top(state), "fsck", "--strict") == b""


def test_the_ref_moves_with_a_reflog_entry(state: AnnexState) -> None:
    check_out(state, {b"p": PLAIN})
    assert git(top(state), "log", "-1", "--format=%s") == b"made elsewhere"
    assert git(top(state), "reflog", "-1", "--format=%gs") == b"merge: annexd"
    assert head_journal.noted(state.layout) is None


def test_emptied_directories_go_and_others_stay(state: AnnexState) -> None:
    write(state, b"d/untracked", b"mine")
    result = check_out(state, {b"d/b": None, b"d/e/c": None})
    assert result.removed == 2
    assert names(state) == ["a", "d/untracked"]
    assert status(state) == b"?? d/\n"


def test_content_of_removed_files_stays_in_the_annex(state: AnnexState) -> None:
    check_out(state, {b"a": None})
    assert state.store.is_present(key_of(b"one"))


def test_a_directory_comes_where_a_file_was_and_the_reverse(state: AnnexState) -> None:
    put(state, b"new")
    check_out(state, {b"a": None, b"a/inner": unlocked(b"new"), b"d/b": None, b"d/e/c": None, b"d": unlocked(b"new")})
    assert names(state) == ["a/inner", "d"]
    assert read(state, b"a/inner") == read(state, b"d") == b"new"
    assert status(state) == b""


def test_symlinks_come_change_and_go(state: AnnexState) -> None:
    check_out(state, {b"l": (0o120000, b"a"), b"d/l": locked(state, b"d/l", b"absent")})
    assert os.readlink(top(state) / "l") == "a"
    result = check_out(state, {b"l": (0o120000, b"d/b"), b"d/l": None})
    assert os.readlink(top(state) / "l") == "d/b"
    assert result.missing == []
    check_out(state, {b"l": PLAIN})
    assert read(state, b"l") == b"plain text\n"
    assert status(state) == b""


def test_a_locked_file_without_content_is_missing(state: AnnexState) -> None:
    assert check_out(state, {b"l": locked(state, b"l", b"absent")}).missing == [key_of(b"absent")]


def test_submodules_are_directories_of_somebody_else(state: AnnexState) -> None:
    commit = state.refs.head().oid
    assert commit is not None
    git(top(state), "update-index", "--add", "--cacheinfo", f"160000,{commit.hex()},sub")
    (top(state) / "sub").mkdir()
    base = stage_and_commit(state, [], b"sub", NOW)
    assert base is not None
    check_out(state, {b"p": PLAIN})
    assert status(state) == b""
    (top(state) / "sub/file").write_bytes(b"mine")
    check_out(state, {b"sub": None})
    assert (top(state) / "sub/file").read_bytes() == b"mine"


# what is in the way


def modify(state: AnnexState) -> None:
    """A person edits the file."""
    write(state, b"a", b"edited")


def touch_and_modify(state: AnnexState) -> None:
    """An edit that changes neither size nor second."""
    write(state, b"a", b"two")


def delete(state: AnnexState) -> None:
    """A person deletes the file."""
    (top(state) / "a").unlink()


def make_executable(state: AnnexState) -> None:
    """A person changes the mode."""
    (top(state) / "a").chmod(0o755)


def make_link(state: AnnexState) -> None:
    """A person puts a symlink there."""
    (top(state) / "a").unlink()
    (top(state) / "a").symlink_to("d/b")


def make_directory(state: AnnexState) -> None:
    """A person puts a directory there."""
    (top(state) / "a").unlink()
    (top(state) / "a").mkdir()
    (top(state) / "a/mine").write_bytes(b"mine")


def make_fifo(state: AnnexState) -> None:
    """A person puts a pipe there."""
    (top(state) / "a").unlink()
    os.mkfifo(top(state) / "a")


def stage_other(state: AnnexState) -> None:
    """A person stages something else."""
    write(state, b"a", b"staged")
    stage(state, [update(b"a", ingest(state, b"a"))], NOW)


def stage_removal(state: AnnexState) -> None:
    """A person removes the file from the index."""
    stage(state, [IndexUpdate(b"a", 0)], NOW)


CHANGES = pytest.mark.parametrize(
    "change",
    [modify, touch_and_modify, delete, make_executable, make_link, make_directory, stage_other, stage_removal],
    ids=lambda function: function.__name__,
)


@CHANGES
def test_a_change_of_a_person_blocks_a_new_version(state: AnnexState, change: Callable[[AnnexState], None]) -> None:
    change(state)
    before = snapshot(state)
    result = check_out(state, {b"a": PLAIN, b"new": PLAIN, b"d/b": None})
    assert result.blocked == [b"a"]
    assert snapshot(state) == before


@pytest.mark.parametrize(
    "change", [modify, touch_and_modify, make_link, make_directory, stage_other], ids=lambda f: f.__name__
)
def test_a_change_of_a_person_blocks_a_removal(state: AnnexState, change: Callable[[AnnexState], None]) -> None:
    change(state)
    before = snapshot(state)
    assert check_out(state, {b"a": None, b"d/b": None}).blocked == [b"a"]
    assert snapshot(state) == before


def test_a_pipe_blocks_without_being_opened(state: AnnexState) -> None:
    make_fifo(state)
    assert check_out(state, {b"a": PLAIN}).blocked == [b"a"]


def test_a_file_that_is_deleted_here_and_there_is_no_obstacle(state: AnnexState) -> None:
    delete(state)
    assert check_out(state, {b"a": None}).blocked == []
    assert status(state) == b""


def test_changes_elsewhere_are_no_obstacle(state: AnnexState) -> None:
    write(state, b"d/b", b"edited")
    write(state, b"untracked", b"mine")
    assert check_out(state, {b"a": PLAIN}).blocked == []
    assert read(state, b"d/b") == b"edited"


@pytest.mark.parametrize("make", ["file", "directory", "link", "fifo"])
def test_an_untracked_file_in_the_way_blocks(state: AnnexState, make: str) -> None:
    place = top(state) / "new"
    match make:
        case "file":
            place.write_bytes(b"mine")
        case "directory":
            write(state, b"new/inner", b"mine")
        case "link":
            place.symlink_to("a")
        case _:
            os.mkfifo(place)
    before = status(state), names(state)
    assert check_out(state, {b"new": PLAIN, b"a": None}).blocked == [b"new/inner" if make == "directory" else b"new"]
    assert (status(state), names(state)) == before


def test_an_untracked_file_or_link_in_the_place_of_a_directory_blocks(state: AnnexState, tmp_path: Path) -> None:
    write(state, b"file", b"mine")
    (tmp_path / "elsewhere").mkdir()
    (top(state) / "link").symlink_to(tmp_path / "elsewhere")
    assert check_out(state, {b"file/x": PLAIN}).blocked == [b"file"]
    assert check_out(state, {b"link/x": PLAIN, b"link/y/z": PLAIN}).blocked == [b"link"]
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_directory_swapped_for_a_link_is_not_followed(state: AnnexState, tmp_path: Path) -> None:
    (top(state) / "d").rename(tmp_path / "away")
    (top(state) / "d").symlink_to(tmp_path / "away")
    assert check_out(state, {b"d/b": PLAIN}).blocked == [b"d"]
    assert check_out(state, {b"d/b": None}).blocked == []
    assert (tmp_path / "away/b").read_bytes() == b"two"


def test_empty_directories_are_no_obstacle(state: AnnexState) -> None:
    (top(state) / "new/deep/er").mkdir(parents=True)
    assert check_out(state, {b"new": PLAIN}).blocked == []
    assert read(state, b"new") == b"plain text\n"


def test_an_embedded_repository_is_an_obstacle(state: AnnexState) -> None:
    git(top(state), "init", "-q", "new")
    blocked = check_out(state, {b"new": PLAIN}).blocked
    assert blocked and all(path.startswith(b"new/.git/") for path in blocked)
    assert (top(state) / "new/.git/HEAD").exists()


@pytest.mark.parametrize("present", [True, False])
def test_an_untracked_file_with_the_coming_content_is_adopted(state: AnnexState, present: bool) -> None:
    if present:
        put(state, b"same")
    place = write(state, b"new", b"same")
    inode = os.stat(place).st_ino
    result = check_out(state, {b"new": unlocked(b"same")})
    assert result.blocked == []
    assert os.stat(place).st_ino == inode and read(state, b"new") == b"same"
    assert state.store.is_present(key_of(b"same"))
    assert result.adopted == ([] if present else [key_of(b"same")])
    assert status(state) == b""


def test_untracked_plain_files_links_and_pointers_are_adopted(state: AnnexState) -> None:
    put(state, b"same")
    write(state, b"plain", b"plain text\n")
    write(state, b"pointer", pointer_for(key_of(b"same")))
    (top(state) / "link").symlink_to("a")
    files: dict[bytes, File] = {b"plain": PLAIN, b"pointer": unlocked(b"same"), b"link": (0o120000, b"a")}
    assert check_out(state, files).blocked == []
    assert read(state, b"pointer") == b"same"
    assert status(state) == b""


def test_a_touched_file_is_not_a_changed_file(state: AnnexState) -> None:
    os.utime(top(state) / "a", ns=(0, 0))
    assert check_out(state, {b"a": PLAIN}).blocked == []


def test_worm_content_is_held_against_the_object(state: AnnexState) -> None:
    write(state, b"w", b"worm")
    done = ingest(state, b"w", name=b"WORM")
    stage_and_commit(state, [update(b"w", done)], b"worm", NOW)
    os.utime(top(state) / "w", ns=(0, 0))
    assert check_out(state, {b"w": PLAIN}).blocked == []


def test_a_person_who_stages_just_what_comes_is_no_obstacle(state: AnnexState) -> None:
    write(state, b"new", b"plain text\n")
    stage(state, [IndexUpdate(b"new", 0o100644, b"plain text\n", None, os.lstat(top(state) / "new"))], NOW)
    assert check_out(state, {b"new": PLAIN}).blocked == []
    assert status(state) == b""


# refusals


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT", b".gIt", b"."])
@pytest.mark.parametrize("inside", [True, False], ids=["as directory", "as file"])
def test_hostile_names_in_a_tree_are_refused(state: AnnexState, name: bytes, inside: bool) -> None:
    blob = state.objects.add(BLOB, b"evil")
    entry = b"100644 config\0" + blob
    tree = (
        state.objects.add(TREE, b"40000 " + name + b"\0" + state.objects.add(TREE, entry))
        if inside
        else state.objects.add(TREE, b"100644 " + name + b"\0" + blob)
    )
    state.objects.flush()
    check_refused(state, tree)


def check_refused(state: AnnexState, tree: Oid) -> None:
    """Nothing happens for such a tree."""
    before = snapshot(state)
    head = state.refs.head()
    assert head.ref is not None and head.oid is not None
    with pytest.raises((UnsafePath, FormatError)):
        apply_tree(state, tree_of(state.objects, head.oid), tree, new_head=(head.ref, head.oid, head.oid), deadline=NOW)
    assert snapshot(state) == before


@pytest.mark.parametrize("name", [b"/etc/x", b"a/b", b"", b"a/../b"])
def test_names_that_no_tree_can_hold_are_refused(state: AnnexState, name: bytes) -> None:
    tree = state.objects.add(TREE, b"100644 " + name + b"\0" + state.objects.add(BLOB, b"evil"))
    state.objects.flush()
    check_refused(state, tree)


@pytest.mark.parametrize(
    "text",
    [
        b"/annex/objects/" + Key(b"SHA256E", b"a" * 250, 1).file_name() + b"\n",
        b"/annex/objects/..\n",
        b"/annex/objects/.\n",
        b"/annex/objects/X--nul\0byte\n",
        b"/annex/objects/../../../../etc/passwd\n",
    ],
    ids=["long", "dotdot", "dot", "NUL", "path"],
)
def test_pointers_to_keys_that_are_no_file_names_are_just_text(state: AnnexState, text: bytes) -> None:
    result = check_out(state, {b"f": (0o100644, text), b"l": (0o120000, b"x" + text.rstrip(b"\n").replace(b"\0", b""))})
    assert result.populated == 0
    assert read(state, b"f") == text
    assert status(state) == b""


def test_a_locked_index_a_merge_or_a_moved_head_stop_it(state: AnnexState) -> None:
    commit, tree = next_commit(state, {b"p": PLAIN})
    head = state.refs.head()
    assert head.ref is not None and head.oid is not None
    old = tree_of(state.objects, head.oid)
    with pytest.raises(RefMoved):
        apply_tree(state, old, tree, new_head=(head.ref, None, commit), deadline=NOW)
    (top(state) / ".git/index.lock").touch()
    with pytest.raises(IndexLocked):
        apply_tree(state, old, tree, new_head=(head.ref, head.oid, commit), deadline=NOW)
    (top(state) / ".git/index.lock").unlink()
    (top(state) / ".git/MERGE_HEAD").touch()
    with pytest.raises(BusyError):
        apply_tree(state, old, tree, new_head=(head.ref, head.oid, commit), deadline=NOW)
    assert names(state) == ["a", "d/b", "d/e/c"]


# failures on the way


EVERYTHING: dict[bytes, File] = {
    b"a": None, b"d/b": (0o100755, b"changed"), b"d/e/c": (0o120000, b"link"), b"n/e/w": PLAIN, b"new": PLAIN,
}  # fmt: skip


@pytest.mark.parametrize("number", range(5))
def test_a_failure_on_the_way_is_undone(state: AnnexState, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    before = snapshot(state)
    calls = iter(range(100))

    def fails(kind: str) -> Callable[..., object]:
        original = getattr(work_files.WorkFiles, kind)

        def step(*args: object, **options: object) -> object:
            if next(calls) == number:
                raise OSError(28, "No space left on device")
            return original(*args, **options)

        return step

    for kind in ("remove", "replace", "place_new", "new_symlink"):
        monkeypatch.setattr(work_files.WorkFiles, kind, fails(kind))
    with pytest.raises(OSError, match="No space"):
        check_out(state, EVERYTHING)
    monkeypatch.undo()
    assert snapshot(state) == before
    assert status(state) == b""
    assert check_out(state, EVERYTHING).blocked == []
    assert status(state) == b""


def test_when_the_ref_moves_at_the_last_moment_all_is_undone(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(state)

    def moved(*_: object) -> None:
        raise RefMoved("meanwhile")

    monkeypatch.setattr(checkout_module, "_move_ref", moved)
    with pytest.raises(RefMoved):
        check_out(state, EVERYTHING)
    assert snapshot(state) == before
    assert status(state) == b""


def test_what_was_removed_comes_back_when_a_person_renames_its_directory_on_the_way(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, before = work_files.WorkFiles.replace, read(state, b"d/e/c")

    def person_first(self: work_files.WorkFiles, temp: bytes, path: bytes, expected: os.stat_result) -> os.stat_result:
        os.rename(self.absolute(b"d"), self.absolute(b"moved"))
        return original(self, temp, path, expected)

    monkeypatch.setattr(work_files.WorkFiles, "replace", person_first)
    with pytest.raises(ContentChanged):
        check_out(state, {b"d/e/c": None, b"d/b": PLAIN})
    monkeypatch.undo()
    assert read(state, b"d/e/c") == before
    assert names(state) == ["a", "d/e/c", "moved/b"]


def test_what_a_person_writes_on_the_way_is_kept(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    original = work_files.WorkFiles.replace

    def person_first(self: work_files.WorkFiles, temp: bytes, path: bytes, expected: os.stat_result) -> os.stat_result:
        write(state, path, b"a person's own")
        return original(self, temp, path, expected)

    monkeypatch.setattr(work_files.WorkFiles, "replace", person_first)
    with pytest.raises(ContentChanged):
        check_out(state, {b"a": None, b"d/b": PLAIN, b"new": PLAIN})
    monkeypatch.undo()
    assert read(state, b"d/b") == b"a person's own"
    assert read(state, b"a") == b"one"
    assert names(state) == ["a", "d/b", "d/e/c"]
    assert git(top(state), "diff-files", "--name-only") == b"d/b"


# crashes


class Killed(BaseException):
    """Stands for the end of the process."""


def crash_at(monkeypatch: pytest.MonkeyPatch, point: str, pass_number: int = 0) -> None:
    """End the work at a named point, without any clean-up but that of the operating system."""
    passes = iter(range(1000))

    def reach(name: str) -> None:
        if name == point and next(passes) == pass_number:
            raise Killed

    monkeypatch.setattr(checkout_module, "reach", reach)
    monkeypatch.setattr(checkout_run, "reach", reach)
    monkeypatch.setattr(checkout_module, "_back_out", lambda *_: None)


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("checkout-half", 0),
        ("checkout-half", 2),
        ("checkout-half", 3),
        ("checkout-before-ref", 0),
        ("checkout-before-index", 0),
    ],
)
def test_a_checkout_that_was_killed_is_finished(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, point: str, number: int
) -> None:
    crash_at(monkeypatch, point, number)
    with pytest.raises(Killed):
        check_out(state, EVERYTHING)
    monkeypatch.undo()
    assert head_journal.noted(state.layout) is not None
    state.reset()
    assert recover_checkout(state)
    assert recover_checkout(state) == []
    assert names(state) == ["d/b", "d/e/c", "n/e/w", "new"]
    assert status(state) == b""
    assert git(top(state), "log", "-1", "--format=%s") == b"made elsewhere"


def test_after_a_crash_a_persons_newer_file_wins_over_nothing(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_at(monkeypatch, "checkout-before-index")
    with pytest.raises(Killed):
        check_out(state, EVERYTHING)
    monkeypatch.undo()
    state.reset()
    write(state, b"new", b"newer")
    assert recover_checkout(state)
    assert git(top(state), "diff-files", "--name-only") == b"new"
    assert git(top(state), "diff-index", "--cached", "--name-only", "HEAD") == b""


def test_after_a_crash_before_the_ref_a_persons_file_ends_the_checkout(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_at(monkeypatch, "checkout-half", 1)
    with pytest.raises(Killed):
        check_out(state, EVERYTHING)
    monkeypatch.undo()
    state.reset()
    write(state, b"new", b"mine")
    assert recover_checkout(state)
    assert read(state, b"new") == b"mine"
    assert head_journal.noted(state.layout) is None
    assert git(top(state), "log", "-1", "--format=%s") == b"added"


@pytest.mark.parametrize("is_locked", [False, True])
def test_what_a_checkout_removed_comes_back_when_it_is_given_up(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    """Its content is under another name in the new tree, which was not written any more."""
    add(state, {b"gone/f": b"two"}, AddAs.LOCKED if is_locked else AddAs.UNLOCKED)
    crash_at(monkeypatch, "checkout-before-ref")
    with pytest.raises(Killed):
        check_out(state, {b"gone/f": None, b"elsewhere": unlocked(b"two"), b"a": (0o100644, b"theirs")})
    monkeypatch.undo()
    state.reset()
    (top(state) / "elsewhere").unlink()
    write(state, b"a", b"mine")
    assert not (top(state) / "gone").exists()
    assert recover_checkout(state) == ["gave up a checkout that was cut off: files were changed since"]
    assert read(state, b"gone/f") == b"two"
    assert (top(state) / "gone/f").is_symlink() is is_locked
    assert git(top(state), "diff-files", "--name-only") == b"a"


def test_a_commit_that_was_killed_before_its_index_is_finished(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise Killed

    write(state, b"new", b"content")
    done = ingest(state, b"new")
    monkeypatch.setattr(index_access.IndexEdit, "save", killed)
    with pytest.raises(Killed):
        stage_and_commit(state, [update(b"new", done), IndexUpdate(b"a", 0)], b"killed", NOW)
    monkeypatch.undo()
    (top(state) / "a").unlink()
    state.reset()
    assert recover_checkout(state)
    assert git(top(state), "diff-index", "--cached", "--name-only", "HEAD") == b""
    assert status(state) == b""


def test_a_commit_that_was_killed_before_its_ref_does_not_bring_back_what_is_deleted_since(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise Killed

    write(state, b"new", b"content")
    done = ingest(state, b"new")
    monkeypatch.setattr(state.refs, "update", killed)
    with pytest.raises(Killed):
        stage_and_commit(state, [update(b"new", done)], b"killed", NOW)
    monkeypatch.undo()
    state.reset()
    (top(state) / "new").unlink()
    recover_checkout(state)
    assert "new" not in names(state)
    assert head_journal.noted(state.layout) is None


def test_the_very_first_commit_that_was_killed_makes_its_index_and_brings_nothing_back(
    annex_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise Killed

    with open_annex(make_annex(annex_path.parent / "fresh")) as fresh:
        updates = []
        for path in (b"kept", b"deleted"):
            write(fresh, path, path)
            updates.append(update(path, ingest(fresh, path)))
        monkeypatch.setattr(index_access.IndexEdit, "save", killed)
        with pytest.raises(Killed):
            stage_and_commit(fresh, updates, b"first", NOW)
        monkeypatch.undo()
        fresh.reset()
        (top(fresh) / "deleted").unlink()
        recover(fresh)
        assert names(fresh) == ["kept"]
        assert git(top(fresh), "diff-files", "--name-status").split() == [b"D", b"deleted"]
        assert head_journal.noted(fresh.layout) is None


@pytest.mark.parametrize("then", ["commit", "checkout"])
def test_a_running_daemon_does_not_take_back_a_commit_whose_index_failed(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    def disk_is_full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_access.IndexEdit, "save", disk_is_full)
    with pytest.raises(OSError, match="No space"):
        check_out(state, EVERYTHING)
    monkeypatch.undo()
    if then == "commit":
        add(state, {b"later": b"later"})
    else:
        check_out(state, {b"later": PLAIN})
    assert names(state) == ["d/b", "d/e/c", "later", "n/e/w", "new"]
    assert git(top(state), "ls-tree", "-r", "--name-only", "HEAD") == b"d/b\nd/e/c\nlater\nn/e/w\nnew"
    assert status(state) == b""
    assert head_journal.noted(state.layout) is None


@pytest.mark.parametrize("what", ["commit", "checkout"])
def test_a_ref_that_moved_without_an_answer_has_moved(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    original = state.refs.update

    def update_ref(*args: Any) -> None:
        original(*args)
        raise GitError((b"git",), 1, b"lost")

    monkeypatch.setattr(state.refs, "update", update_ref)
    if what == "commit":
        write(state, b"new", b"new")
        assert stage_and_commit(state, [update(b"new", ingest(state, b"new"))], b"new", NOW)
    else:
        check_out(state, {b"new": PLAIN})
    assert "new" in names(state)
    assert status(state) == b""


def test_a_note_about_another_history_or_a_damaged_one_is_dropped(state: AnnexState) -> None:
    head = state.refs.head()
    assert head.ref is not None and head.oid is not None
    tree = tree_of(state.objects, head.oid)
    assert tree is not None
    before = snapshot(state)
    for data in (bytes(HeadMove(MoveKind.CHECKOUT, head.ref, Oid(b"x" * 20), Oid(b"y" * 20), None, tree)), b"nonsense"):
        path = Path(os.fsdecode(state.layout.annexd_dir)) / "checkout.journal"
        path.write_bytes(data)
        recover_checkout(state)
        assert not path.exists()
        assert snapshot(state) == before


@pytest.mark.parametrize("old", [None, Oid(b"o" * 20)])
def test_a_note_survives_its_serialisation(old: Oid | None) -> None:
    move = HeadMove(MoveKind.COMMIT, b"refs/heads/main", old, Oid(b"n" * 20), old, Oid(b"t" * 20))
    assert HeadMove.parse(bytes(move)) == move


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1",
        b"commit - - - -\nHEAD\n",
        b"other - - - -\nHEAD\n",
        b"commit x x x x\nHEAD\n",
        b"checkout aa aa aa aa\nr\n",
    ],
)
def test_a_damaged_note_is_recognised(data: bytes) -> None:
    with pytest.raises(FormatError):
        HeadMove.parse(data)


def test_errors_of_the_checkout_are_expected_ones() -> None:
    assert issubclass(ContentChanged, AnnexError)
