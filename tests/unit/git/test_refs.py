"""Refs: read wherever git keeps them, changed only from where we think they are."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from annexd.errors import BusyError, GitError, RefMoved, RepositoryError
from annexd.git.objects import Oid
from annexd.git.refs import Expect, Refs, RefUpdate
from annexd.git.repository import GitRepository
from tests.support.eventually import eventually
from tests.support.repositories import git

MAIN = b"refs/heads/main"


@pytest.fixture
def commits(git_repo: Path) -> list[Oid]:
    found = []
    for n in range(3):
        git(git_repo, "commit", "-q", "--allow-empty", "-m", str(n))
        found.append(Oid(bytes.fromhex(git(git_repo, "rev-parse", "HEAD").decode())))
    return found


@pytest.fixture
def refs(git_repo: Path) -> Refs:
    return Refs(GitRepository.discover(os.fsencode(git_repo)))


def test_refs_are_read_loose_packed_and_symbolic(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    git(git_repo, "symbolic-ref", "refs/remotes/o/HEAD", "refs/heads/main")
    git(git_repo, "tag", "-a", "-m", "x", "tagged", "HEAD~1")
    assert refs.read(MAIN) == refs.read(b"HEAD") == refs.read(b"refs/remotes/o/HEAD") == commits[2]
    before = refs.list()
    git(git_repo, "pack-refs", "--all")
    assert not (git_repo / ".git/refs/heads/main").exists()
    assert refs.read(MAIN) == commits[2]
    assert refs.list() == before
    git(git_repo, "update-ref", "refs/heads/main", commits[0].hex())
    assert refs.read(MAIN) == commits[0]
    listing = git(git_repo, "for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
    assert [f"{ref.decode()} {oid.hex()}" for ref, oid in refs.list().items()] == listing


def test_a_ref_that_is_not_there_is_none(refs: Refs, commits: list[Oid]) -> None:
    assert refs.read(b"refs/heads/none") is None
    assert refs.read(b"refs/heads") is None
    assert refs.read(b"refs/heads/main/below") is None


def test_lists_are_limited_by_prefix(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    for name in ("synced/main", "synced/git-annex", "sync"):
        git(git_repo, "branch", name)
    assert list(refs.list(b"refs/heads/synced/")) == [b"refs/heads/synced/git-annex", b"refs/heads/synced/main"]
    assert list(refs.list(b"refs/heads/sync")) == [
        b"refs/heads/sync", b"refs/heads/synced/git-annex", b"refs/heads/synced/main"
    ]  # fmt: skip
    assert refs.list(b"refs/remotes/") == {}


def test_head_tells_branch_and_commit(git_repo: Path, refs: Refs) -> None:
    assert refs.head() == (MAIN, None)
    git(git_repo, "commit", "-q", "--allow-empty", "-m", "x")
    oid = Oid(bytes.fromhex(git(git_repo, "rev-parse", "HEAD").decode()))
    assert refs.head() == (MAIN, oid)
    git(git_repo, "checkout", "-q", "--detach")
    assert refs.head() == (None, oid)
    assert refs.head().detached


def test_a_damaged_ref_is_an_error(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    (git_repo / ".git/refs/heads/bad").write_text("nonsense\n")
    with pytest.raises(RepositoryError, match="bad"):
        refs.read(b"refs/heads/bad")


def test_updates_go_from_the_expected_place_only(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    refs.update(b"refs/heads/x", commits[0], None, b"annexd: made")
    with pytest.raises(RefMoved):
        refs.update(b"refs/heads/x", commits[2], commits[1])
    with pytest.raises(RefMoved):
        refs.update(b"refs/heads/x", commits[2], None)
    with pytest.raises(RefMoved):
        refs.update(b"refs/heads/y", commits[2], commits[1])
    refs.update(b"refs/heads/x", commits[1], commits[0])
    refs.update(b"refs/heads/x", commits[2], Expect.ANYTHING)
    assert refs.read(b"refs/heads/x") == commits[2]
    assert b"annexd: made" in git(git_repo, "reflog", "show", "x")
    refs.delete(b"refs/heads/x", commits[2])
    assert refs.read(b"refs/heads/x") is None
    refs.close()


def test_updating_the_branch_of_head_is_in_its_reflog(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    refs.update(MAIN, commits[0], commits[2], b"annexd: back")
    assert b"annexd: back" in git(git_repo, "reflog", "show", "HEAD")
    refs.close()


def test_a_reflog_tells_when_each_update_was_made(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    """`undo --since` and a person's `main@{5 minutes ago}` go by these times, also in a daemon's tenth week."""
    refs.update(MAIN, commits[0], commits[2])
    begin = time.time()
    eventually(lambda: time.time() >= begin + 2, 10)
    refs.update(MAIN, commits[1], commits[0])
    newest = git(git_repo, "reflog", "--format=%gd", "--date=unix", "-n", "1", "main").decode()
    assert int(newest.split("{")[1].rstrip("}\n")) >= int(begin) + 2


def test_a_transaction_is_all_or_nothing(refs: Refs, commits: list[Oid]) -> None:
    with pytest.raises(RefMoved):
        refs.update_many([RefUpdate(b"refs/heads/n", commits[0], None), RefUpdate(MAIN, commits[0], commits[1])])
    assert refs.read(b"refs/heads/n") is None
    refs.update_many([RefUpdate(b"refs/heads/n", commits[0], None), RefUpdate(MAIN, commits[1], commits[2])])
    assert (refs.read(b"refs/heads/n"), refs.read(MAIN)) == (commits[0], commits[1])
    refs.close()


def test_a_locked_ref_is_busy(git_repo: Path, refs: Refs, commits: list[Oid]) -> None:
    (git_repo / ".git/refs/heads/main.lock").touch()
    with pytest.raises(BusyError):
        refs.update(MAIN, commits[0], commits[2])
    (git_repo / ".git/refs/heads/main.lock").unlink()
    refs.update(MAIN, commits[0], commits[2])
    refs.close()


def test_a_missing_object_is_gits_error(refs: Refs, commits: list[Oid]) -> None:
    with pytest.raises(GitError):
        refs.update(MAIN, Oid(b"\x11" * 20), commits[2])
    assert refs.read(MAIN) == commits[2]
    refs.close()


def test_a_name_that_would_break_the_protocol_is_refused(refs: Refs, commits: list[Oid]) -> None:
    with pytest.raises(ValueError, match="no ref name"):
        refs.update(b"refs/heads/a b", commits[0], None)
    with pytest.raises(GitError):
        refs.update(b"refs/heads/a..b", commits[0], None)
    refs.close()


def test_many_messages_do_not_pile_up_processes(refs: Refs, commits: list[Oid]) -> None:
    for n in range(8):
        refs.update(b"refs/heads/x%d" % n, commits[0], None, b"message %d" % n)
    assert len(refs.list(b"refs/heads/x")) == 8
    assert len(refs._processes) <= 3
    refs.close()


def test_a_linked_work_tree_has_its_own_head(git_repo: Path, commits: list[Oid]) -> None:
    git(git_repo, "worktree", "add", "-q", "../linked", "-b", "linked", commits[0].hex())
    refs = Refs(GitRepository.discover(os.fsencode(git_repo.parent / "linked")))
    assert refs.head() == (b"refs/heads/linked", commits[0])
    assert refs.read(MAIN) == commits[2]
    refs.update(b"refs/heads/linked", commits[1], commits[0])
    assert refs.head().oid == commits[1]
    refs.close()


def test_refs_of_a_sha256_repository_are_read_and_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    for n in range(2):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", str(n))
    refs = Refs(GitRepository.discover(os.fsencode(tmp_path)))
    tip = refs.read(MAIN)
    assert tip is not None
    assert tip.hex().encode() == git(tmp_path, "rev-parse", "HEAD").strip()
    refs.update(b"refs/heads/x", tip, None)
    with pytest.raises(RefMoved):
        refs.update(b"refs/heads/x", tip, None)
    refs.close()
