"""What counts as a person being in the middle of something."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.commit import IndexUpdate, stage_and_commit
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import HEAD_FOLLOWS, at_work, refuse_when_unfinished, unfinished
from annexd.errors import BusyError, IndexLocked
from annexd.git.tree import MODE_FILE
from annexd.threads.deadline import Deadline
from tests.support.annexes import make_annex
from tests.support.repositories import git, make_removable


@pytest.fixture
def annex(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "annex") as state:
        commit(state, b"first")
        yield state
    make_removable(tmp_path)


def commit(state: AnnexState, name: bytes) -> None:
    stage_and_commit(state, [IndexUpdate(name, MODE_FILE, b"text")], b"message", Deadline(1.0))


def test_nothing_is_under_way_after_our_own_commit(annex: AnnexState) -> None:
    assert at_work(annex) is None


@pytest.mark.parametrize("name", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "sequencer"])
def test_what_git_leaves_while_it_waits_is_known(annex: AnnexState, name: str) -> None:
    (Path(os.fsdecode(annex.repo.git_dir)) / name).mkdir()
    assert "is under way" in (unfinished(annex) or "")
    with pytest.raises(BusyError):
        refuse_when_unfinished(annex)
    with pytest.raises(BusyError):
        commit(annex, b"second")


def test_a_bisect_counts_once_it_has_detached_head(annex: AnnexState) -> None:
    (Path(os.fsdecode(annex.repo.git_dir)) / "BISECT_LOG").touch()
    assert unfinished(annex) is None
    git(Path(os.fsdecode(annex.repo.top)), "checkout", "-q", "--detach")
    assert "a bisect" in (unfinished(annex) or "")


def test_an_index_that_somebody_has_just_written_is_given_time(annex: AnnexState) -> None:
    repo = Path(os.fsdecode(annex.repo.top))
    (repo / "by hand").write_text("x")
    git(repo, "add", "by hand")
    index = repo / ".git/index"
    os.utime(index)
    assert "just now" in (at_work(annex) or "")
    past = time.time() - HEAD_FOLLOWS - 1
    os.utime(index, (past, past))
    assert at_work(annex) is None


def test_a_daemon_gives_way_under_the_lock(annex: AnnexState) -> None:
    def refuse() -> None:
        raise IndexLocked("not now")

    annex.give_way(refuse)
    with pytest.raises(IndexLocked):
        commit(annex, b"second")
    assert not os.path.exists(annex.repo.index_path + b".lock")
    annex.give_way(lambda: None)
    commit(annex, b"second")
