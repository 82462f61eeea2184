"""Received unlocked files get their content in every order of events; none stays a pointer once it is here."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from annexd.annex.checkout import CheckoutResult, apply_tree
from annexd.annex.commit import settle
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import EntryKind
from annexd.annex.worktree import annexed_paths, depopulate, populate, read_entry
from annexd.formats.pointer import pointer_for
from annexd.threads.deadline import Deadline
from tests.support.annexes import key_of, make_annex, put
from tests.unit.annex import content_helpers
from tests.unit.annex.content_helpers import (
    NOW,
    File,
    add,
    check_out,
    locked,
    next_commit,
    read,
    status,
    top,
    unlocked,
    write,
)
from tests.unit.annex.helpers import git, git_annex

DATA = b"content of some length"
POINTER = pointer_for(key_of(DATA))
BIG = b"0123456789abcdef" * (1 << 17)

NAMES = [
    b"plain",
    b"d/e/f",
    b"new\nline",
    b"latin1-\xe9",
    b"x" * 255,
    b"-dash",
    b"tab\tand\\backslash",
    "schön".encode(),
]
ODD = {
    "CRLF": POINTER[:-1] + b"\r\n",
    "no newline": POINTER[:-1],
    "further lines": POINTER + b"/annex/more\n",
    "link target": b"../.git/annex/objects/aa/bb/" + key_of(DATA).file_name() + b"/" + key_of(DATA).file_name(),
    "windows CR": POINTER[:-1] + b"\r",
}


def is_content(state: AnnexState, *paths: bytes) -> bool:
    """Whether the files hold the content, and git sees nothing to do."""
    for path in paths:
        assert read(state, path) == DATA, path
    return status(state) == b""


@pytest.fixture(autouse=True)
def start(state: AnnexState) -> None:
    """A first commit, which has nothing to do with the tests."""
    add(state, {b"start": b"start"})


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_content_that_is_here_first_is_checked_out(state: AnnexState, name: bytes) -> None:
    put(state, DATA)
    result = check_out(state, {name: unlocked(DATA)})
    assert (result.written, result.populated, result.missing) == (1, 1, [])
    assert is_content(state, name)


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_content_that_comes_later_goes_into_the_file(state: AnnexState, name: bytes) -> None:
    result = check_out(state, {name: unlocked(DATA)})
    assert (result.populated, result.missing) == (0, [key_of(DATA)])
    assert read(state, name) == POINTER
    assert status(state) == b""
    put(state, DATA)
    assert populate(state, [key_of(DATA)]).populated == [name]
    assert is_content(state, name)
    assert populate(state, [key_of(DATA)]).populated == []


def test_content_that_comes_during_the_checkout_goes_into_the_file(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the pointer was written, and who brings it does not find the file in the index yet."""
    commit, tree = next_commit(state, {b"f": unlocked(DATA)})
    head = state.refs.head()
    other = state.fork()
    original = state.refs.update_many

    def update_ref(*args: object, **options: object) -> None:
        put(other, DATA)
        assert populate(other, [key_of(DATA)], NOW).populated == []
        original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(state.refs, "update_many", update_ref)
    old = state.index.current().write_tree(state.objects)
    assert head.ref is not None
    result = apply_tree(state, old, tree, new_head=(head.ref, head.oid, commit), deadline=NOW)
    assert (result.populated, result.missing) == (1, [])
    assert is_content(state, b"f")


def test_content_and_tree_that_race_end_in_content(state: AnnexState) -> None:
    """Many times, both at once: whoever is last puts the content in place."""
    for number in range(30):
        data = b"%d" % number + DATA
        path = b"f%d" % number
        other = state.fork()
        barrier = threading.Barrier(2)

        def bring(data: bytes = data, other: AnnexState = other, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            key = put(other, data)
            populate(other, [key], Deadline(5))
            other.close()

        thread = threading.Thread(target=bring)
        thread.start()
        barrier.wait()
        commit, tree = next_commit(state, {path: unlocked(data)})
        head = state.refs.head()
        assert head.ref is not None
        old = content_helpers.tree_of(state.objects, head.oid)
        apply_tree(state, old, tree, new_head=(head.ref, head.oid, commit), deadline=Deadline(5))
        thread.join()
        assert read(state, path) == data
    settle(state, NOW)
    assert status(state) == b""


def test_all_paths_of_a_key_get_its_content(state: AnnexState) -> None:
    paths = [b"a", b"b", b"d/c", b"d/e/f", b"z.txt"]
    check_out(state, dict.fromkeys(paths, unlocked(DATA)))
    put(state, DATA)
    assert sorted(populate(state, [key_of(DATA)]).populated) == paths
    assert is_content(state, *paths)


def test_a_second_path_of_a_key_that_came_before_gets_content_too(state: AnnexState) -> None:
    put(state, DATA)
    check_out(state, {b"a": unlocked(DATA)})
    check_out(state, {b"b": unlocked(DATA)})
    assert is_content(state, b"a", b"b")


@pytest.mark.parametrize("order", ["content first", "tree first"])
def test_the_executable_bit_is_the_paths_own(state: AnnexState, order: str) -> None:
    files: dict[bytes, File] = {b"tool": unlocked(DATA, executable=True), b"text": unlocked(DATA)}
    if order == "content first":
        put(state, DATA)
        check_out(state, files)
    else:
        check_out(state, files)
        put(state, DATA)
        populate(state, [key_of(DATA)])
    assert os.access(top(state) / "tool", os.X_OK)
    assert not stat.S_IMODE(os.stat(top(state) / "text").st_mode) & 0o111
    assert is_content(state, b"tool", b"text")


@pytest.mark.parametrize("present", [True, False])
def test_a_change_of_the_executable_bit_keeps_the_content(state: AnnexState, present: bool) -> None:
    if present:
        put(state, DATA)
    check_out(state, {b"f": unlocked(DATA)})
    check_out(state, {b"f": unlocked(DATA, executable=True)})
    if not present:
        put(state, DATA)
        populate(state, [key_of(DATA)])
    assert os.access(top(state) / "f", os.X_OK)
    assert is_content(state, b"f")
    check_out(state, {b"f": unlocked(DATA)})
    assert not os.access(top(state) / "f", os.X_OK)
    assert is_content(state, b"f")


@pytest.mark.parametrize("order", ["content first", "tree first"])
def test_a_key_that_is_locked_here_and_unlocked_there(state: AnnexState, order: str) -> None:
    files = {b"d/link": locked(state, b"d/link", DATA), b"file": unlocked(DATA)}
    if order == "content first":
        put(state, DATA)
        check_out(state, files)
    else:
        assert check_out(state, files).missing
        put(state, DATA)
        assert populate(state, [key_of(DATA)]).populated == [b"file"]
    assert os.path.islink(top(state) / "d/link")
    assert not os.path.islink(top(state) / "file")
    assert is_content(state, b"d/link", b"file")


@pytest.mark.parametrize("present", [True, False])
def test_locked_becomes_unlocked_and_the_reverse(state: AnnexState, present: bool) -> None:
    if present:
        put(state, DATA)
    check_out(state, {b"f": locked(state, b"f", DATA)})
    check_out(state, {b"f": unlocked(DATA)})
    assert read(state, b"f") == (DATA if present else POINTER)
    assert status(state) == b""
    check_out(state, {b"f": locked(state, b"f", DATA)})
    assert os.path.islink(top(state) / "f")
    assert status(state) == b""


@pytest.mark.parametrize("form", ODD)
@pytest.mark.parametrize("order", ["content first", "tree first", "by git, then content"])
def test_unusual_pointers_get_content_too(state: AnnexState, form: str, order: str) -> None:
    files: dict[bytes, File] = {b"d/odd": (0o100644, ODD[form]), b"usual": unlocked(DATA)}
    match order:
        case "content first":
            put(state, DATA)
            check_out(state, files)
        case "tree first":
            check_out(state, files)
            assert read(state, b"d/odd") == ODD[form]
            put(state, DATA)
            populate(state, [key_of(DATA)])
        case _:
            commit, _ = next_commit(state, files)
            put(state, DATA)
            git(
                top(state),
                "-c",
                "filter.annex.process=",
                "-c",
                "filter.annex.smudge=",
                "reset",
                "-q",
                "--hard",
                commit.hex(),
            )
            assert sorted(populate(state, [key_of(DATA)]).populated) == [b"d/odd", b"usual"]
    assert is_content(state, b"d/odd", b"usual")
    assert annexed_paths(state, key_of(DATA)) == [b"d/odd", b"usual"]


@pytest.mark.parametrize("form", ODD)
def test_a_file_with_an_unusual_pointer_gets_just_that_text_back(state: AnnexState, form: str) -> None:
    put(state, DATA)
    check_out(state, {b"odd": (0o100755, ODD[form])})
    assert depopulate(state, key_of(DATA)).depopulated == [b"odd"]
    assert read(state, b"odd") == ODD[form]
    assert os.access(top(state) / "odd", os.X_OK)
    assert status(state) == b""


def test_text_that_only_looks_like_a_pointer_is_a_file(state: AnnexState) -> None:
    put(state, DATA)
    looks = POINTER + b"and more\n"
    check_out(state, {b"f": (0o100644, looks)})
    assert read(state, b"f") == looks
    assert populate(state, [key_of(DATA)]).populated == []


def test_large_content_is_checked_out_and_populated(state: AnnexState) -> None:
    put(state, BIG)
    check_out(state, {b"f": unlocked(BIG)})
    assert read(state, b"f") == BIG
    state.store.remove(key_of(BIG))
    depopulate(state, key_of(BIG))
    put(state, BIG)
    assert populate(state, [key_of(BIG)]).populated == [b"f"]
    assert read(state, b"f") == BIG
    assert status(state) == b""


def test_a_new_version_replaces_the_old_content_or_pointer(state: AnnexState) -> None:
    put(state, DATA)
    check_out(state, {b"f": unlocked(b"version 1")})
    check_out(state, {b"f": unlocked(DATA)})
    assert is_content(state, b"f")
    check_out(state, {b"f": unlocked(b"version 3")})
    assert read(state, b"f") == pointer_for(key_of(b"version 3"))
    put(state, b"version 3")
    populate(state, [key_of(b"version 3")])
    assert read(state, b"f") == b"version 3"


def test_a_pointer_that_a_person_replaced_is_left_alone(state: AnnexState) -> None:
    check_out(state, {b"f": unlocked(DATA)})
    write(state, b"f", b"a person's own")
    put(state, DATA)
    result = populate(state, [key_of(DATA)])
    assert (result.populated, result.failed) == ([], [])
    assert read(state, b"f") == b"a person's own"


def test_a_pointer_that_is_replaced_at_the_last_moment_is_left_alone(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annexd.annex import work_files

    check_out(state, {b"f": unlocked(DATA)})
    put(state, DATA)
    original = work_files.exchange

    def person_is_quicker(temp: bytes, target: bytes) -> bool:
        if read(state, b"f") == POINTER:
            os.unlink(target)
            write(state, b"f", b"a person's own")
        return original(temp, target)

    monkeypatch.setattr(work_files, "exchange", person_is_quicker)
    assert populate(state, [key_of(DATA)]).populated == []
    assert read(state, b"f") == b"a person's own"


def test_a_deleted_file_stays_deleted_when_its_content_comes(state: AnnexState) -> None:
    check_out(state, {b"f": unlocked(DATA)})
    (top(state) / "f").unlink()
    put(state, DATA)
    assert populate(state, [key_of(DATA)]).populated == []
    assert not (top(state) / "f").exists()


def test_a_directory_that_became_a_symlink_is_not_followed(state: AnnexState, tmp_path: Path) -> None:
    check_out(state, {b"d/f": unlocked(DATA)})
    (top(state) / "d").rename(tmp_path / "away")
    (top(state) / "d").symlink_to(tmp_path / "away")
    put(state, DATA)
    assert populate(state, [key_of(DATA)]).populated == []
    assert (tmp_path / "away/f").read_bytes() == POINTER


def test_content_of_the_wrong_size_is_not_put_into_files(state: AnnexState) -> None:
    check_out(state, {b"f": unlocked(DATA)})
    path = state.store.put_bytes(DATA, key_of(DATA))
    os.chmod(path, 0o644)
    with open(path, "ab") as file:
        file.write(b"damaged")
    result = populate(state, [key_of(DATA)])
    assert result.populated == [] and [path for path, _ in result.failed] == [b"f"]
    assert read(state, b"f") == POINTER
    check_out(state, {b"g": unlocked(DATA)})
    assert read(state, b"g") == POINTER


def test_content_comes_while_the_index_is_locked(state: AnnexState) -> None:
    check_out(state, {b"f": unlocked(DATA)})
    put(state, DATA)
    lock = top(state) / ".git/index.lock"
    lock.touch()
    assert populate(state, [key_of(DATA)], NOW).populated == [b"f"]
    assert read(state, b"f") == DATA
    lock.unlink()
    settle(state, NOW)
    assert is_content(state, b"f")


def test_thin_files_share_the_objects_inode(tmp_path: Path) -> None:
    with make_annex(tmp_path / "a", annex_thin="true") as annex:
        add(annex, {b"start": b"start"})
        put(annex, DATA)
        check_out(annex, {b"f": unlocked(DATA), b"second": unlocked(DATA), b"tool": unlocked(DATA, executable=True)})
        place = annex.store.locate(key_of(DATA)) or b""
        inodes = {os.stat(top(annex) / name).st_ino for name in ("f", "second", "tool")}
        assert os.stat(place).st_ino in inodes and len(inodes) == 3
        assert os.access(top(annex) / "f", os.W_OK)
        assert is_content(annex, b"f", b"second", b"tool")


def test_files_of_content_that_goes_become_pointers(state: AnnexState) -> None:
    put(state, DATA)
    check_out(state, {b"a": unlocked(DATA), b"d/b": unlocked(DATA, executable=True)})
    result = depopulate(state, key_of(DATA))
    assert (result.depopulated, result.modified) == ([b"a", b"d/b"], [])
    assert read(state, b"a") == read(state, b"d/b") == POINTER
    assert os.access(top(state) / "d/b", os.X_OK)
    assert status(state) == b""


def test_modified_files_of_content_that_goes_stay(state: AnnexState) -> None:
    put(state, DATA)
    check_out(state, {b"f": unlocked(DATA), b"same": unlocked(DATA)})
    write(state, b"f", DATA[::-1])
    write(state, b"same", DATA)  # another stat, the same content
    result = depopulate(state, key_of(DATA))
    assert (result.depopulated, result.modified) == ([b"same"], [b"f"])
    assert read(state, b"f") == DATA[::-1]


def test_an_entry_is_told_for_what_it_is(state: AnnexState, tmp_path: Path) -> None:
    base = os.fsencode(tmp_path)
    (tmp_path / "pointer").write_bytes(POINTER)
    (tmp_path / "file").write_bytes(DATA)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "link").symlink_to(b"../.git/annex/objects/x/y/K/".decode() + str(key_of(DATA)))
    (tmp_path / "other").symlink_to("/etc/passwd")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    kinds = {
        name: read_entry(base + b"/" + name).kind
        for name in (b"pointer", b"file", b"empty", b"link", b"other", b"directory", b"fifo", b"nowhere", b"file/x")
    }
    assert kinds == {
        b"pointer": EntryKind.POINTER,
        b"file": EntryKind.FILE,
        b"empty": EntryKind.FILE,
        b"link": EntryKind.LINK,
        b"other": EntryKind.OTHER_LINK,
        b"directory": EntryKind.DIRECTORY,
        b"fifo": EntryKind.SPECIAL,
        b"nowhere": EntryKind.MISSING,
        b"file/x": EntryKind.MISSING,
    }
    assert read_entry(base + b"/pointer").key == read_entry(base + b"/link").key == key_of(DATA)


def use_filter_of_git_annex(path: Path) -> None:
    """Have git run the real git-annex as its filter."""
    git(path, "config", "filter.annex.process", "git-annex filter-process")
    git(path, "config", "filter.annex.clean", "git-annex smudge --clean -- %f")
    git(path, "config", "filter.annex.smudge", "git-annex smudge -- %f")


def test_git_annex_agrees_with_a_populated_work_tree(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    """Without a newline in a name: git-annex's own filter does not find unlocked files of such names in the index."""
    from annexd.annex.location_log import Presence

    files: dict[bytes, File] = {
        b"a": unlocked(DATA), b"d/tool": unlocked(DATA, executable=True), b"t a\tb": unlocked(b"other"),
        b"latin1-\xe9": unlocked(b"third"), b"link": locked(state, b"link", DATA),
    }  # fmt: skip
    use_filter_of_git_annex(annex_path)
    check_out(state, files)
    for data in (DATA, b"other", b"third"):
        put(state, data)
        state.locations.record(key_of(data), state.uuid, Presence.PRESENT)
    populate(state, [key_of(DATA), key_of(b"other"), key_of(b"third")])
    state.branch.commit()
    assert status(state) == b""
    git_annex(annex_path, "fsck", "--quiet")
    found = git_annex(annex_path, "find", "--format=${file}\\000").split(b"\0")[:-1]
    assert set(found) == {*files, b"start"}
    assert git(annex_path, "fsck", "--strict") == b""
    assert git(annex_path, "status", "--porcelain") == b""


def test_git_annex_drops_what_annexd_populated_and_the_reverse(
    state: AnnexState, annex_path: Path, annex_oracle: Path
) -> None:
    use_filter_of_git_annex(annex_path)
    put(state, DATA)
    check_out(state, {b"f": unlocked(DATA), b"g": unlocked(DATA)})
    git_annex(annex_path, "fsck", "--quiet", status=None)  # records where the content is
    git_annex(annex_path, "drop", "--force", "f")
    assert read(state, b"f") == read(state, b"g") == POINTER
    state.reset()
    put(state, DATA)
    assert sorted(populate(state, [key_of(DATA)]).populated) == [b"f", b"g"]
    assert is_content(state, b"f", b"g")


def test_a_result_starts_empty() -> None:
    assert CheckoutResult().blocked == []
