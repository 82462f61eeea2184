"""What is sure when a commit is made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from annexd.annex import durability, ingest_worker
from annexd.annex.durability import BATCH
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


def commit_files(annex: AnnexState, count: int, bursts: int = 1) -> Parts:
    """Write files, and have a daemon's committer alone take them in."""
    board = StatusBoard(Status(os.getpid(), 0.0, "1"))
    parts = Parts(annex, board, Alerts(board))
    top = Path(os.fsdecode(annex.layout.work_tree or b""))
    stop = StopSignal()
    thread = NamedThread("commit", lambda: parts.committer.run(stop))
    thread.start()
    try:
        for burst in range(bursts):
            names = [f"f{burst}-{number}.dat" for number in range(count)]
            for name in names:
                (top / name).write_bytes(b"content of " + name.encode())
            now = time.monotonic()
            parts.changes.put_many([Change(name.encode(), ChangeKind.WRITTEN, now) for name in names])
            eventually(partial(_are_committed, board, count * (burst + 1)), LIMIT)
    finally:
        stop.set()
        thread.join(Deadline(LIMIT))
    return parts


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
