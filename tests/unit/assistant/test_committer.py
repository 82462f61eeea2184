"""What is sure when a commit is made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex import durability
from annexd.annex.durability import BATCH
from annexd.annex.state import AnnexState
from annexd.assistant.alerts import Alerts
from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.parts import Parts
from annexd.assistant.status import Status, StatusBoard
from annexd.git.objects import Oid
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from tests.support.annexes import make_annex
from tests.support.eventually import eventually
from tests.support.repositories import make_removable

LIMIT = 20.0


@pytest.fixture
def annex(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


def commit_files(annex: AnnexState, count: int) -> None:
    """Write files, and have a daemon's committer alone take them in."""
    board = StatusBoard(Status(os.getpid(), 0.0, "1"))
    parts = Parts(annex, board, Alerts(board))
    top = Path(os.fsdecode(annex.layout.work_tree or b""))
    for number in range(count):
        (top / f"f{number}").write_bytes(b"content %d" % number)
    now = time.monotonic()
    parts.changes.put_many([Change(b"f%d" % number, ChangeKind.WRITTEN, now) for number in range(count)])
    stop = StopSignal()
    thread = NamedThread("commit", lambda: parts.committer.run(stop))
    thread.start()
    before = annex.refs.head().oid
    try:
        eventually(lambda: annex.refs.head().oid != before, LIMIT)
    finally:
        stop.set()
        thread.join(Deadline(LIMIT))


@pytest.mark.parametrize(("count", "is_waited_for"), [(BATCH + 10, True), (3, False)])
def test_the_content_of_a_burst_is_on_the_disk_before_history_names_it(
    annex: AnnexState, monkeypatch: pytest.MonkeyPatch, count: int, is_waited_for: bool
) -> None:
    heads: list[Oid | None] = []
    monkeypatch.setattr(durability, "sync_filesystem", lambda _: heads.append(annex.refs.head().oid))
    before = annex.refs.head().oid
    commit_files(annex, count)
    assert heads == ([before] if is_waited_for else [])
