"""What is sure when a commit is made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from annexd.annex import durability, ingest_worker
from annexd.annex.durability import BATCH
from annexd.annex.index_access import TICK_NS
from annexd.annex.state import AnnexState
from annexd.assistant.alerts import Alerts
from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.parts import Parts
from annexd.assistant.status import Status, StatusBoard
from annexd.formats.pointer import parse_pointer
from annexd.git.objects import Oid
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from tests.support.annexes import content, make_annex
from tests.support.eventually import eventually
from tests.support.repositories import git, make_removable

LIMIT = 20.0


@pytest.fixture
def annex(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


def _are_committed(board: StatusBoard, count: int) -> bool:
    return board.get().files_committed == count


@contextmanager
def committing(annex: AnnexState) -> Iterator[tuple[Parts, StatusBoard]]:
    """The committer of a daemon, alone, for as long as the block lasts."""
    board = StatusBoard(Status(os.getpid(), 0.0, "1"))
    parts = Parts(annex, board, Alerts(board))
    stop = StopSignal()
    thread = NamedThread("commit", lambda: parts.committer.run(stop))
    thread.start()
    try:
        yield parts, board
    finally:
        stop.set()
        thread.join(Deadline(LIMIT))


def write_index(parts: Parts) -> None:
    """As a merge does."""
    with parts.turn.held() as state, state.index.editing(Deadline(LIMIT)) as edit:
        edit.save()


def commit_files(annex: AnnexState, count: int, bursts: int = 1) -> None:
    """Write files, and have a daemon's committer alone take them in."""
    top = Path(os.fsdecode(annex.layout.work_tree or b""))
    with committing(annex) as (parts, board):
        for burst in range(bursts):
            names = [f"f{burst}-{number}.dat" for number in range(count)]
            for name in names:
                (top / name).write_bytes(b"content of " + name.encode())
            now = time.monotonic()
            parts.changes.put_many([Change(name.encode(), ChangeKind.WRITTEN, now) for name in names])
            eventually(partial(_are_committed, board, count * (burst + 1)), LIMIT)


@pytest.mark.parametrize(("count", "is_waited_for"), [(BATCH + 10, True), (3, False)])
def test_the_content_of_a_burst_is_on_the_disk_before_history_names_it(
    annex: AnnexState, monkeypatch: pytest.MonkeyPatch, count: int, is_waited_for: bool
) -> None:
    heads: list[Oid | None] = []
    monkeypatch.setattr(durability, "sync_filesystem", lambda _: heads.append(annex.refs.head().oid))
    before = annex.refs.head().oid
    commit_files(annex, count)
    assert heads == ([before] if is_waited_for else [])


def test_bursts_are_taken_in_whole_with_the_help_of_another_process(annex: AnnexState, tmp_path: Path) -> None:
    commit_files(annex, ingest_worker.WORTH_A_START, bursts=4)
    names = git(tmp_path / "here", "ls-files").decode().split()
    assert len(names) == 4 * ingest_worker.WORTH_A_START
    for name in (names[0], names[-1]):
        key = parse_pointer(git(tmp_path / "here", "cat-file", "-p", f"HEAD:{name}"))
        assert key is not None
        assert content(annex, key) == b"content of " + name.encode()
    assert git(tmp_path / "here", "status", "--porcelain") == b""


@pytest.mark.parametrize("told", ["d/moved.dat", "another.dat"])
def test_a_link_that_git_moved_leads_to_its_content_though_the_index_was_written_by_us_since(
    annex: AnnexState, tmp_path: Path, told: str
) -> None:
    """With news of another file the index is committed before there are news of the link."""
    top = tmp_path / "here"
    git(top, "config", "annex.addunlocked", "false")
    annex.reload_config()
    commit_files(annex, 1)
    moved = top / "d" / "moved.dat"
    moved.parent.mkdir()
    eventually(partial(_is_older_than_a_tick, top / "f0-0.dat"), LIMIT)
    with committing(annex) as (parts, _):
        write_index(parts)
        git(top, "mv", "f0-0.dat", "d/moved.dat")
        assert moved.is_symlink() and not moved.exists(), "git takes the link along as it is"
        (top / "another.dat").write_bytes(b"another")
        write_index(parts)
        parts.changes.put(Change(told.encode(), ChangeKind.APPEARED, time.monotonic()))
        eventually(lambda: git(top, "ls-tree", "--name-only", "HEAD", "d/moved.dat") != b"", LIMIT)
        eventually(moved.exists, LIMIT)
        eventually(lambda: git(top, "diff", "HEAD", "--", "d") == b"", LIMIT)
    assert moved.read_bytes() == b"content of f0-0.dat"
    commits = git(top, "log", "--format=%H", "--", "d/moved.dat").split()
    assert len(commits) == 1, "no commit has the link as it was"


def test_what_a_person_staged_is_committed_though_the_index_was_written_by_us_since(
    annex: AnnexState, tmp_path: Path
) -> None:
    top = tmp_path / "here"
    commit_files(annex, 2)
    with committing(annex) as (parts, _):
        write_index(parts)
        git(top, "rm", "-q", "f0-0.dat")
        write_index(parts)
        parts.changes.put(Change(b"f0-0.dat", ChangeKind.GONE, time.monotonic()))
        eventually(lambda: git(top, "ls-tree", "--name-only", "HEAD") == b"f0-1.dat\n", LIMIT)


def _is_older_than_a_tick(path: Path) -> bool:
    return time.time_ns() - path.lstat().st_mtime_ns > 2 * TICK_NS
