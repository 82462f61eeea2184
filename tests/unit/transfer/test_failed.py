"""Failed transfers: notes on disk, waits that grow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex.layout import RepoLayout
from annexd.formats.key import Key
from annexd.formats.transfer_info import TransferInfo
from annexd.formats.uuid import UUID
from annexd.transfer.failed import Backoff, FailedTransfers
from annexd.transfer.job import Direction, Job, Reason

R, S = UUID(b"uuid-r"), UUID(b"uuid-s")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def layout(tmp_path: Path) -> RepoLayout:
    git_dir = os.fsencode(tmp_path)
    os.makedirs(git_dir + b"/annex")      # as every annex has it
    return RepoLayout(git_dir, git_dir, None, True)


@pytest.fixture
def failed(layout: RepoLayout, clock: Clock) -> FailedTransfers:
    return FailedTransfers(layout, monotonic=clock, jitter=lambda: 0.5)


def upload(number: int, remote: UUID = R) -> Job:
    return Job(Direction.UPLOAD, Key(b"SHA256", b"%d" % number, 5), (remote,), b"a file", Reason.NEW)


def download(number: int, *remotes: UUID) -> Job:
    return Job(Direction.DOWNLOAD, Key(b"SHA256", b"%d" % number, 5), remotes, b"a file", Reason.NEW)


def test_waits_double_up_to_a_minute(failed: FailedTransfers, clock: Clock) -> None:
    waits = []
    for _ in range(9):
        failed.record(upload(1), R, "no")
        assert failed.take_due() == []
        waits.append(failed.next_due())
        clock.now += waits[-1] or 0
        assert [job.key for job in failed.take_due()] == [upload(1).key]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_waits_are_spread_a_little() -> None:
    assert Backoff().delay(1, 0.0) == 0.75
    assert Backoff().delay(1, 0.99) < 1.25
    assert Backoff().delay(5000, 0.5) == 60


def test_the_note_on_disk_is_as_git_annex_has_it_and_goes_on_success(
    failed: FailedTransfers, layout: RepoLayout
) -> None:
    failed.record(upload(1), R, "no")
    path = layout.failed_transfer(b"upload", R, upload(1).key)
    info = TransferInfo.parse(Path(os.fsdecode(path)).read_bytes())
    assert info.file == b"a file"
    assert info.started is not None
    assert path.endswith(b"annex/transfer/failed/upload/uuid-r/SHA256-s5--1")
    failed.satisfied([upload(1), upload(2)])
    assert not os.path.exists(path)
    assert len(failed) == 0


def test_notes_of_all_sources_go_when_a_download_succeeds(failed: FailedTransfers, layout: RepoLayout) -> None:
    failed.record(download(1, R).after_failing_at(R), R, "no")
    failed.record(download(1, R, S).after_failing_at(R).after_failing_at(S), S, "no")
    assert os.path.exists(layout.failed_transfer(b"download", R, download(1).key))
    assert os.path.exists(layout.failed_transfer(b"download", S, download(1).key))
    failed.satisfied([download(1, S)])
    assert not os.path.exists(layout.failed_transfer(b"download", R, download(1).key))
    assert not os.path.exists(layout.failed_transfer(b"download", S, download(1).key))


def test_notes_survive_a_restart_and_are_due_at_once(layout: RepoLayout, clock: Clock) -> None:
    before = FailedTransfers(layout, monotonic=clock)
    before.record(upload(1), R, "no")
    before.record(download(2, S), S, "no")
    (Path(os.fsdecode(layout.transfer_root)) / "failed/upload/uuid-r/not a key").write_bytes(b"junk")

    after = FailedTransfers(layout, monotonic=clock)
    assert after.load() == 2
    assert {job.identity for job in after.take_due()} == {upload(1).identity, download(2).identity}


def test_a_postponed_transfer_leaves_no_note(failed: FailedTransfers, layout: RepoLayout, clock: Clock) -> None:
    failed.postpone(upload(1), R, "somebody else does it")
    assert not os.path.exists(layout.failed_transfer(b"upload", R, upload(1).key))
    clock.now += 2
    assert len(failed.take_due()) == 1


def test_a_remote_that_is_back_makes_its_transfers_due(failed: FailedTransfers) -> None:
    failed.record(upload(1, R), R, "no")
    failed.record(upload(2, S), S, "no")
    failed.record(download(3, R, S).after_failing_at(R).after_failing_at(S), S, "no")
    assert failed.hurry(R) == 2
    assert {job.key.name for job in failed.take_due()} == {b"1", b"3"}


def test_a_retry_may_use_every_source_again(failed: FailedTransfers, clock: Clock) -> None:
    failed.record(download(1, R, S).after_failing_at(R).after_failing_at(S), S, "no")
    clock.now += 5
    (job,) = failed.take_due()
    assert set(job.remotes) == {R, S}
    assert not job.tried
