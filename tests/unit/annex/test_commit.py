"""Index updates and commits on HEAD."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from annexd.annex import head_journal, restage
from annexd.annex.commit import REMOVE, IndexUpdate, refresh_stat, settle, stage, stage_and_commit, tree_of
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_while_at_work
from annexd.errors import BusyError, IndexLocked, RefMoved, UnsafePath
from annexd.git.objects import BLOB, object_id
from annexd.threads.deadline import Deadline
from tests.support.annexes import put
from tests.unit.annex.content_helpers import NOW, add, ingest, next_commit, read, status, top, update, write
from tests.unit.annex.helpers import git, git_annex


def tracked(state: AnnexState, ref: str = "HEAD") -> list[bytes]:
    """Paths of a commit."""
    return git(top(state), "ls-tree", "-r", "-z", "--name-only", ref).split(b"\0")[:-1]


def test_the_first_commit_makes_the_branch(state: AnnexState) -> None:
    result = add(state, {b"a": b"one", b"d/b": b"two"})
    assert result.old is None
    assert tracked(state) == [b"a", b"d/b"]
    assert git(top(state), "rev-parse", "HEAD", "HEAD^{tree}").split() == [
        result.new.hex().encode(), result.tree.hex().encode(),
    ]  # fmt: skip
    assert status(state) == b""
    assert git(top(state), "fsck", "--strict") == b""


def test_the_next_commit_has_the_first_as_parent(state: AnnexState) -> None:
    first = add(state, {b"a": b"one"})
    second = add(state, {b"b": b"two"})
    assert second.old == first.new
    assert git(top(state), "log", "--format=%s %an") == b"added Test Person\nadded Test Person"
    assert git(top(state), "reflog", "-1", "--format=%gs") == b"commit: annexd"
    assert head_journal.noted(state.layout) is None


def test_nothing_new_makes_no_commit(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    assert stage_and_commit(state, [], b"again", NOW) is None
    assert stage_and_commit(state, [update(b"a", ingest(state, b"a"))], b"again", NOW) is None
    assert len(git(top(state), "log", "--format=%H").split()) == 1


def test_an_empty_repository_gets_no_empty_commit(state: AnnexState) -> None:
    assert stage_and_commit(state, [], b"nothing", NOW) is None


def test_removal_takes_what_is_below_along(state: AnnexState) -> None:
    add(state, {b"d/a": b"1", b"d/e/b": b"2", b"dd": b"3"})
    for path in (b"d/a", b"d/e/b"):
        os.unlink(os.path.join(os.fsencode(top(state)), path))
    stage_and_commit(state, [IndexUpdate(b"d", REMOVE)], b"gone", NOW)
    assert tracked(state) == [b"dd"]
    assert status(state) == b""


def test_a_file_replaces_a_directory_and_the_reverse(state: AnnexState) -> None:
    add(state, {b"d/a": b"1", b"f": b"2"})
    os.unlink(write(state, b"d/a", b""))
    (top(state) / "d").rmdir()
    (top(state) / "f").unlink()
    add(state, {b"d": b"3", b"f/x": b"4"})
    assert tracked(state) == [b"d", b"f/x"]
    assert status(state) == b""


def test_what_a_person_staged_is_committed_too(state: AnnexState) -> None:
    (top(state) / "mine").write_bytes(b"mine")
    git(top(state), "-c", "filter.annex.process=", "-c", "filter.annex.clean=", "add", "mine")
    add(state, {b"a": b"one"})
    assert tracked(state) == [b"a", b"mine"]


def test_staging_makes_no_commit(state: AnnexState) -> None:
    write(state, b"a", b"one")
    stage(state, [update(b"a", ingest(state, b"a"))], NOW)
    assert status(state) == b"A  a\n"
    assert state.refs.head().oid is None


@pytest.mark.parametrize("name", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"])
def test_a_merge_or_rebase_of_a_person_is_not_disturbed(state: AnnexState, name: str) -> None:
    (top(state) / ".git" / name).mkdir()
    with pytest.raises(BusyError):
        stage_and_commit(state, [], b"x", NOW)


def test_a_conflicted_index_is_not_committed(state: AnnexState) -> None:
    blob = git(top(state), "hash-object", "-w", "--stdin", stdin=b"x").decode()
    git(top(state), "update-index", "--index-info", stdin=f"100644 {blob} 2\tf\n".encode())
    with pytest.raises(BusyError):
        stage_and_commit(state, [], b"x", NOW)


def test_a_locked_index_is_left_alone(state: AnnexState) -> None:
    lock = top(state) / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(IndexLocked):
        stage_and_commit(state, [], b"x", NOW)
    assert lock.exists()


def test_when_head_moves_meanwhile_nothing_is_committed(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    first = add(state, {b"a": b"one"})
    commit, _ = next_commit(state, {b"theirs": (0o100644, b"theirs")})
    original = head_journal.note

    def note(layout: object, move: head_journal.HeadMove) -> None:
        original(state.layout, move)
        git(top(state), "update-ref", move.ref.decode(), commit.hex())

    monkeypatch.setattr(head_journal, "note", note)
    write(state, b"b", b"two")
    with pytest.raises(RefMoved):
        stage_and_commit(state, [update(b"b", ingest(state, b"b"))], b"x", NOW)
    assert state.refs.head().oid == commit != first.new
    assert head_journal.noted(state.layout) is None
    assert state.index.current().get(b"b") is None


@pytest.mark.parametrize("path", [b"../x", b"/x", b".git/config", b"a/.GIT/x", b"a/../b", b"", b"a//b"])
def test_paths_that_lead_elsewhere_are_refused(state: AnnexState, path: bytes) -> None:
    with pytest.raises(UnsafePath):
        stage(state, [IndexUpdate(path, 0o100644, b"x")], NOW)


def test_an_update_without_a_blob_is_a_bug(state: AnnexState) -> None:
    with pytest.raises(ValueError, match="no blob"):
        stage(state, [IndexUpdate(b"a", 0o100644)], NOW)


def test_a_detached_head_moves_itself(state: AnnexState) -> None:
    first = add(state, {b"a": b"one"})
    git(top(state), "-c", "filter.annex.process=", "checkout", "-q", "--detach")
    second = add(state, {b"b": b"two"})
    head = state.refs.head()
    assert head.detached and head.oid == second.new
    assert git(top(state), "rev-parse", "main").decode() == first.new.hex()


def test_young_entries_are_settled_a_second_later(state: AnnexState) -> None:
    result = add(state, {b"a": b"one", b"b": b"two"})
    if not result.young:  # the second ended between writing the files and the index
        result = add(state, {b"c": b"three"})
    assert result.young
    deadline = time.time() + 5
    while settle(state, NOW) and time.time() < deadline:
        time.sleep(0.05)  # waits for the clock's next second, which nothing tells
    assert state.index.current().young_paths() == []
    assert status(state) == b""


def test_a_file_that_changes_in_the_same_second_is_seen_by_git(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    write(state, b"a", b"two")
    deadline = time.time() + 5
    while settle(state, NOW) and time.time() < deadline:
        time.sleep(0.05)
    assert b"a" in git(top(state), "diff-files", "--name-only")


def test_a_refresh_teaches_the_index_the_new_stat(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    entry = state.index.current().get(b"a")
    assert entry is not None
    place = write(state, b"a", b"one")
    os.utime(place, ns=(0, 5))
    assert refresh_stat(state, {b"a": (entry.oid, os.lstat(place))}, NOW) == [b"a"]
    assert status(state) == b""
    assert refresh_stat(state, {b"a": (object_id(BLOB, b"else"), os.lstat(place))}, NOW) == []
    assert refresh_stat(state, {}, NOW) == []


def test_a_refresh_of_a_locked_index_is_made_up_for(state: AnnexState) -> None:
    add(state, {b"a": b"one", b"b\n": b"two"})
    index = state.index.current()
    stats = {}
    for path in (b"a", b"b\n"):
        entry = index.get(path)
        assert entry is not None
        place = write(state, path, read(state, path))
        os.utime(place, ns=(0, 5))
        stats[path] = (entry.oid, os.lstat(place))
    lock = top(state) / ".git" / "index.lock"
    lock.touch()
    assert refresh_stat(state, stats, NOW) == []
    assert list(restage.pending(state.layout)) == [b"a"]
    lock.unlink()
    settle(state, NOW)
    assert b"a" not in git(top(state), "diff-files", "--name-only", "-z").split(b"\0")
    assert restage.pending(state.layout) == {}


def test_a_daemon_leaves_the_index_to_a_person_who_reverts_several_commits(state: AnnexState) -> None:
    """git takes the index's lock for each of them, and gives up half-way when somebody else has it."""
    add(state, {b"a": b"one"})
    write(state, b"a", b"two")      # to be settled, for as long as the index is as young
    entry = state.index.current().get(b"a")
    assert entry is not None
    os.utime(top(state) / ".git/index", ns=(entry.mtime_ns, entry.mtime_ns))
    assert state.index.current().young_paths() == [b"a"]
    state.give_way(lambda: refuse_while_at_work(state))
    (top(state) / ".git/sequencer").mkdir()
    before = (top(state) / ".git/index").read_bytes()
    with pytest.raises(IndexLocked):
        settle(state, NOW)
    assert (top(state) / ".git/index").read_bytes() == before


def test_git_annex_restages_what_annexd_noted(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    add(state, {b"a b": b"one"})
    entry = state.index.current().get(b"a b")
    assert entry is not None
    place = write(state, b"a b", b"one")
    os.utime(place, ns=(0, 5_000_000_007))
    lock = annex_path / ".git" / "index.lock"
    lock.touch()
    refresh_stat(state, {b"a b": (entry.oid, os.lstat(place))}, NOW)
    lock.unlink()
    git_annex(annex_path, "restage")
    assert git(annex_path, "diff-files", "--name-only") == b""
    assert restage.pending(state.layout) == {}


def test_annexd_takes_what_git_annex_noted(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    add(state, {b"a": b"one"})
    git_annex(annex_path, "drop", "--force", "a")
    state.reset()
    put(state, b"one")
    lock = annex_path / ".git" / "index.lock"
    lock.touch()
    (annex_path / "a").write_bytes(b"one")
    line = restage.inode_cache(os.lstat(annex_path / "a")) + b":a\n"
    (annex_path / ".git/annex/restage.log").write_bytes(b"nonsense\n" + line + b"1 2 3 4:gone\n")
    lock.unlink()
    settle(state, NOW)
    assert git(annex_path, "diff-files", "--name-only") == b""


@pytest.mark.parametrize(
    "settings", [["index.version=4"], ["core.splitIndex=true"], ["feature.manyFiles=true"]], ids=str
)
def test_an_index_that_only_git_reads_is_worked_with(state: AnnexState, settings: list[str]) -> None:
    add(state, {b"a": b"one", b"d/b": b"two"})
    assert status(state) == b""
    options = [word for setting in settings for word in ("-c", setting)]
    version = ["--index-version", "4"] if "splitIndex" not in settings[0] else ["--split-index"]
    git(top(state), *options, "update-index", *version, "--force-write-index")
    result = add(state, {b"c": b"three"})
    assert tracked(state) == [b"a", b"c", b"d/b"]
    assert tree_of(state.objects, result.new) == result.tree
    assert status(state) == b""


def test_waiting_for_the_index_ends_at_the_deadline(state: AnnexState) -> None:
    (top(state) / ".git" / "index.lock").touch()
    start = time.monotonic()
    with pytest.raises(IndexLocked):
        stage(state, [], Deadline(0.05))
    assert time.monotonic() - start < 2
