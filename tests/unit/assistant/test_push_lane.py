"""A lane goes on after a failure and after a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from annexd.annex.config import RemoteConfig
from annexd.annex.state import AnnexState
from annexd.assistant import push_lane
from annexd.assistant.changes import Commit, Moved
from annexd.assistant.push_lane import LaneParts, PushLane
from annexd.assistant.status import Status, StatusBoard
from annexd.errors import RepositoryError
from annexd.remotes.contract import ContentSupport, RemoteKind, RemoteSpec
from annexd.threads.deadline import Deadline
from annexd.threads.latest import Latest
from annexd.transfer.queue import TransferQueue
from tests.support.eventually import eventually

SPEC = RemoteSpec(
    "r", None, RemoteKind.GIT_SSH, 200.0, "host:path", None, RemoteConfig("r", "host:path"), True, ContentSupport()
)


class Forks:
    """Hands out no state, but an error; counts how often it was asked."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.count = 0

    def __call__(self) -> AnnexState:
        self.count += 1
        raise self.error


def make_lane(forks: Forks, board: StatusBoard) -> PushLane:
    parts = LaneParts(
        fork=forks, flush=lambda _: None, is_flush_due=lambda: True, queue=TransferQueue(),
        uploads_done=Latest(0), board=board, on_back=lambda: None,
    )  # fmt: skip
    return PushLane(SPEC, parts)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_lane, "CRASH_REST", 0.01)
    monkeypatch.setattr(push_lane, "FIRST_RETRY", 0.01)


@pytest.mark.parametrize("error", [RepositoryError("gone for a while"), ZeroDivisionError("a bug")])
def test_a_lane_that_failed_tries_again(error: BaseException) -> None:
    board = StatusBoard(Status(1, 0.0, "1"))
    forks = Forks(error)
    lane = make_lane(forks, board)
    lane.start()
    lane.give((Commit(Moved.TREE),))
    eventually(lambda: forks.count >= 3, 10.0, "three tries")
    lane.stop()
    assert lane.join(Deadline(5))


def test_a_crash_is_told() -> None:
    board = StatusBoard(Status(1, 0.0, "1"))
    lane = make_lane(Forks(ZeroDivisionError("a bug")), board)
    lane.start()
    lane.give((Commit(Moved.TREE),))
    eventually(lambda: any("a bug" in alert.message for alert in board.get().alerts), 10.0, "the alert")
    lane.stop()
    assert lane.join(Deadline(5))


def test_a_failure_is_in_the_status_with_the_time_of_the_next_try() -> None:
    board = StatusBoard(Status(1, 0.0, "1"))
    lane = make_lane(Forks(RepositoryError("gone for a while")), board)
    lane.start()
    lane.give((Commit(Moved.TREE),))

    def remote() -> Any:
        return next(iter(board.get().remotes), None)

    eventually(lambda: remote() is not None and "gone for a while" in remote().last_error, 10.0, "the status")
    assert remote().next_try > 0
    lane.stop()
    assert lane.join(Deadline(5))


def test_a_remote_that_is_not_to_be_synced_is_left_alone() -> None:
    board = StatusBoard(Status(1, 0.0, "1"))
    lane = make_lane(Forks(RepositoryError("never asked")), board)
    lane.configure(cast(RemoteSpec, replace(SPEC, config=RemoteConfig("r", "host:path", sync=False))))
    assert not lane.pushes()
