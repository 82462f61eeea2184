"""A transfer that stalls is ended, however deep it sleeps, and its slot serves others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from annexd.errors import RemoteUnavailable, TransferStalled
from annexd.threads.deadline import Deadline
from annexd.transfer.job import Direction, Finished, Outcome, Result, Work
from annexd.transfer.limiter import Limiter
from annexd.transfer.meter import StopReason, TransferMeter
from annexd.transfer.slots import SlotPool
from annexd.transfer.speed_settings import SpeedSettings, StallRule
from annexd.transfer.stall_monitor import Patience
from annexd.transfer.worker import TransferWorker
from tests.support.annexes import add_remote, make_annex
from tests.support.eventually import eventually
from tests.unit.transfer.test_slots import Ends, R, work

QUICK = Patience(look=0.02, at_start=0.1, grace=0.1)
RULE = StallRule(1, 0.1)


class BlockingWorker:
    """Blocks until it is interrupted; with `is_deaf` until the test lets it go."""

    def __init__(self, *, is_deaf: bool = False, step: Callable[[TransferMeter], None] | None = None) -> None:
        self.let_go = threading.Event()
        self.is_deaf = is_deaf
        self.step = step
        self.began = threading.Event()

    def run(self, work: Work, meter: TransferMeter) -> Sequence[Finished]:
        self.began.set()
        if work.jobs[0].key.name == b"9":
            return [Finished(job, Outcome(Result.TRANSFERRED, R)) for job in work.jobs]
        while self.step is not None:
            self.step(meter)
        assert self.let_go.wait(20)
        raise RemoteUnavailable("the connection was cut")

    def interrupt(self) -> None:
        if not self.is_deaf:
            self.let_go.set()

    def close(self) -> None:
        pass


@pytest.fixture
def pools() -> Iterator[list[SlotPool]]:
    made: list[SlotPool] = []
    yield made
    for pool in made:
        pool.close(Deadline(5))


def start(
    pools: list[SlotPool], worker: BlockingWorker, ends: Ends, idle: Callable[[], None] = lambda: None
) -> SlotPool:
    pool = SlotPool(1, lambda: worker, on_finished=ends, on_idle=idle, stalls=lambda _: RULE, patience=QUICK)
    pools.append(pool)
    pool.start()
    return pool


def test_a_transfer_that_looks_at_its_meter_ends_by_itself(pools: list[SlotPool]) -> None:
    ends = Ends()
    pool = start(pools, BlockingWorker(step=lambda meter: meter.update(0)), ends)
    pool.give(work(1))
    eventually(lambda: ends.results() == [Result.FAILED])
    assert isinstance(ends.all[0][1][0].outcome.error, TransferStalled)


def test_a_transfer_that_blocks_has_its_connection_broken(pools: list[SlotPool]) -> None:
    ends = Ends()
    pool = start(pools, BlockingWorker(), ends)
    pool.give(work(1, 2))
    eventually(lambda: ends.results() == [Result.FAILED, Result.FAILED], what=f"{ends.results()}")
    assert len(pool) == 1
    eventually(lambda: pool.idle_count() == 1)


def test_a_slot_that_never_comes_back_is_replaced(pools: list[SlotPool]) -> None:
    ends = Ends()
    worker = BlockingWorker(is_deaf=True)
    rings = threading.Event()
    pool = start(pools, worker, ends, rings.set)
    pool.give(work(1))
    assert worker.began.wait(5)
    rings.clear()
    eventually(lambda: ends.results() == [Result.FAILED])
    assert rings.wait(5) and pool.idle_count() == 1 and len(pool) == 1
    pool.give(work(9))
    eventually(lambda: ends.results() == [Result.FAILED, Result.TRANSFERRED])
    worker.let_go.set()         # long after: nobody hears of it again
    eventually(lambda: pool.idle_count() == 1)
    assert ends.results() == [Result.FAILED, Result.TRANSFERRED] and not ends.bugs


def test_what_moves_is_left_alone(pools: list[SlotPool]) -> None:
    ends = Ends()
    done = threading.Event()

    def step(meter: TransferMeter) -> None:
        meter.update(meter.done + 1)
        if done.wait(0.01):
            meter.stop(StopReason.CANCELLED)

    pool = start(pools, BlockingWorker(step=step), ends)
    pool.give(work(1))
    eventually(lambda: pool.running() and pool.running()[0].done > 100)
    assert not ends.all
    done.set()
    eventually(lambda: ends.all)


@pytest.mark.parametrize("direction", [Direction.UPLOAD, Direction.DOWNLOAD])
def test_a_slot_keeps_to_the_limit_with_small_files_and_large_ones(tmp_path: Path, direction: Direction) -> None:
    from annexd.remotes.registry import load_specs, open_remote
    from annexd.transfer import policy
    from annexd.transfer.job import Job
    from tests.unit.transfer.test_perform import put

    with make_annex(tmp_path / "here") as here, make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there)
        source = here if direction is Direction.UPLOAD else there
        keys = [put(source, b"%d" % n * 40_000) for n in range(5)] + [put(source, bytes(200_000))]
        if direction is Direction.DOWNLOAD:
            from annexd.annex.location_log import Presence

            here.locations.record_many([(key, there.uuid, Presence.PRESENT) for key in keys])
        limiter = Limiter(lambda: SpeedSettings({"annex.bwlimit": "400kB"}))
        specs = policy.by_uuid(load_specs(here))
        worker = TransferWorker(here.fork(), lambda: specs, open_remote, None, limiter)
        jobs = tuple(Job(direction, key, (there.uuid,)) for key in keys)
        meter = TransferMeter(400_000)
        took = -_now()
        finished = worker.run(Work(direction, there.uuid, jobs), meter)
        took += _now()
        worker.close()
        assert {f.outcome.result for f in finished} == {Result.TRANSFERRED}
        assert meter.done == 400_000
        assert 0.85 < took < 3      # a second at that speed, less what may pass at once


def _now() -> float:
    import time

    return time.monotonic()
