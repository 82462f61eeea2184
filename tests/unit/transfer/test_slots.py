"""Slots outlive whatever happens in them, and nobody misses the end of their work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from annexd.errors import RemoteUnavailable, TransferCancelled
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.threads.deadline import Deadline
from annexd.transfer.job import Direction, Finished, Job, Outcome, Result, Work
from annexd.transfer.meter import StopReason, TransferMeter
from annexd.transfer.slots import SlotPool
from tests.support.eventually import eventually

R = UUID(b"r")


def work(*numbers: int) -> Work:
    return Work(Direction.UPLOAD, R, tuple(Job(Direction.UPLOAD, Key(b"X", b"%d" % n, 5), (R,)) for n in numbers))


class ScriptedWorker:
    """Does what the script says for a work's first key: an exception to raise, or a function to call."""

    def __init__(self, script: dict[bytes, BaseException | Callable[[TransferMeter], None]]) -> None:
        self.script = script
        self.closed = 0

    def run(self, work: Work, meter: TransferMeter) -> Sequence[Finished]:
        step = self.script.get(work.jobs[0].key.name)
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            step(meter)
        return [Finished(job, Outcome(Result.TRANSFERRED, R)) for job in work.jobs]

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


class Ends:
    """Collects what ended."""

    def __init__(self) -> None:
        self.all: list[tuple[Work, Sequence[Finished]]] = []
        self.bugs: list[BaseException] = []

    def __call__(self, work: Work, finished: Sequence[Finished]) -> None:
        self.all.append((work, finished))

    def results(self) -> list[Result]:
        return [f.outcome.result for _, finished in self.all for f in finished]

    def bug(self, _name: str, error: BaseException) -> None:
        self.bugs.append(error)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def pools() -> Iterator[list[SlotPool]]:
    made: list[SlotPool] = []
    yield made
    for pool in made:
        assert pool.close(Deadline(10))


def start(
    pools: list[SlotPool], ends: Ends, count: int, script: dict[bytes, BaseException | Callable[[TransferMeter], None]]
) -> SlotPool:
    pool = SlotPool(count, lambda: ScriptedWorker(script), on_finished=ends, on_bug=ends.bug)
    pool.start()
    pools.append(pool)
    return pool


@pytest.mark.parametrize(
    "error",
    [RemoteUnavailable("gone"), OSError(5, "i/o"), ValueError("bug"), SystemExit(1), KeyboardInterrupt()],
    ids=repr,
)
def test_a_slot_outlives_whatever_its_transfer_raises(pools: list[SlotPool], ends: Ends, error: BaseException) -> None:
    pool = start(pools, ends, 1, {b"1": error})
    pool.give(work(1, 2))
    eventually(lambda: pool.idle_count() == 1)
    assert ends.results() == [Result.FAILED, Result.FAILED]
    assert len(ends.bugs) == (0 if isinstance(error, RemoteUnavailable) else 1)
    pool.give(work(3))
    eventually(lambda: len(ends.all) == 2)
    assert ends.results()[2] is Result.TRANSFERRED


def test_a_slot_that_cannot_get_a_worker_says_so_and_tries_again(pools: list[SlotPool], ends: Ends) -> None:
    tries: list[int] = []

    def make() -> ScriptedWorker:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(24, "too many open files")
        return ScriptedWorker({})

    pool = SlotPool(1, make, on_finished=ends, on_bug=ends.bug)
    pool.start()
    pools.append(pool)
    for _ in range(2):
        pool.give(work(1))
        eventually(lambda: pool.idle_count() == 1)
    assert ends.results() == [Result.FAILED, Result.TRANSFERRED]


def test_a_slot_becomes_idle_even_if_nobody_can_bear_the_news(pools: list[SlotPool], ends: Ends) -> None:
    def unbearable(_work: Work, _finished: Sequence[Finished]) -> None:
        raise RuntimeError("no")

    pool = SlotPool(1, lambda: ScriptedWorker({}), on_finished=unbearable, on_bug=ends.bug)
    pool.start()
    pools.append(pool)
    pool.give(work(1))
    eventually(lambda: pool.idle_count() == 1)
    assert isinstance(ends.bugs[0], RuntimeError)


def test_a_thousand_instant_transfers_are_all_noticed(pools: list[SlotPool], ends: Ends) -> None:
    idle = threading.Semaphore(0)
    pool = SlotPool(3, lambda: ScriptedWorker({}), on_finished=ends, on_idle=idle.release)
    pool.start()
    pools.append(pool)
    for n in range(1000):
        if not pool.idle_count():
            assert idle.acquire(timeout=10)
            eventually(pool.idle_count)
        pool.give(work(n))
    eventually(lambda: len(ends.all) == 1000)
    assert {w.jobs[0].key.name for w, _ in ends.all} == {b"%d" % n for n in range(1000)}


def wait_for(event: threading.Event) -> None:
    assert event.wait(10)


def test_there_is_no_giving_to_a_pool_without_an_idle_slot(pools: list[SlotPool], ends: Ends) -> None:
    go = threading.Event()
    pool = start(pools, ends, 1, {b"1": lambda _: wait_for(go)})
    pool.give(work(1))
    with pytest.raises(LookupError):
        pool.give(work(2))
    go.set()


def wait_for_stop(meter: TransferMeter) -> None:
    done = 0
    deadline = Deadline(10)
    while not deadline.expired():
        done += 1
        meter.update(done)


@pytest.mark.parametrize("reason", StopReason)
def test_a_running_transfer_can_be_stopped(pools: list[SlotPool], ends: Ends, reason: StopReason) -> None:
    seen: list[TransferMeter] = []

    def run(meter: TransferMeter) -> None:
        seen.append(meter)
        with pytest.raises(TransferCancelled):
            wait_for_stop(meter)

    pool = start(pools, ends, 2, {b"1": run})
    assert not pool.stop_transfer(work(1).jobs[0].identity, reason)
    pool.give(work(1))
    eventually(lambda: [r.done for r in pool.running() if r.done])
    assert not pool.stop_transfer(work(2).jobs[0].identity, reason)
    assert pool.stop_transfer(work(1).jobs[0].identity, reason)
    eventually(lambda: ends.all)
    assert seen[0].stopped is reason
    assert pool.running() == []


def test_closing_ends_what_runs(ends: Ends) -> None:
    def run(meter: TransferMeter) -> None:
        with pytest.raises(TransferCancelled):
            wait_for_stop(meter)

    pool = start([], ends, 2, {b"1": run})
    pool.give(work(1))
    eventually(pool.running)
    assert pool.close(Deadline(10))
    assert len(ends.all) == 1


def test_a_worker_is_closed_after_a_failure_and_at_the_end(ends: Ends) -> None:
    workers: list[ScriptedWorker] = []

    def make() -> ScriptedWorker:
        workers.append(ScriptedWorker({b"1": ValueError("bug")}))
        return workers[-1]

    pool = SlotPool(1, make, on_finished=ends)
    pool.start()
    for n in (1, 2, 3):
        eventually(pool.idle_count)
        pool.give(work(n))
    eventually(lambda: len(ends.all) == 3)
    assert pool.close(Deadline(10))
    assert [w.closed for w in workers] == [1, 1]


def test_stopping_wakes_idle_slots(ends: Ends) -> None:
    pool = start([], ends, 4, {})
    began = Deadline(5)
    assert pool.close(Deadline(5))
    assert not began.expired()


def test_more_slots_can_be_had_while_some_are_at_work(pools: list[SlotPool], ends: Ends) -> None:
    hold = threading.Event()
    pool = start(pools, ends, 1, {b"1": lambda _: _wait(hold), b"2": lambda _: _wait(hold)})
    pool.give(work(1))
    assert pool.idle_count() == 0
    pool.resize(2)
    assert len(pool) == 2
    pool.give(work(2))
    eventually(lambda: len(pool.running()) == 2)
    hold.set()
    eventually(lambda: len(ends.all) == 2 and pool.idle_count() == 2)


def test_slots_that_are_too_many_finish_their_work_first(pools: list[SlotPool], ends: Ends) -> None:
    hold = threading.Event()
    pool = start(pools, ends, 3, {b"%d" % n: lambda _: _wait(hold) for n in (1, 2)})
    threads = [slot._thread for slot in pool._slots]
    pool.give(work(1))
    pool.give(work(2))
    pool.resize(1)
    assert len(pool) == 1
    eventually(lambda: len(pool.running()) == 2, what="what runs can still be seen, and stopped")
    hold.set()
    eventually(lambda: len(ends.all) == 2 and pool.idle_count() == 1)
    eventually(lambda: sum(thread is not None and thread.is_alive() for thread in threads) == 1)
    pool.give(work(3))
    eventually(lambda: len(ends.all) == 3)


def test_the_number_of_slots_can_change_again_and_again_under_load(pools: list[SlotPool], ends: Ends) -> None:
    pool = start(pools, ends, 2, {})
    for number in range(200):
        pool.resize(1 + number % 3)
        eventually(pool.idle_count)
        pool.give(work(number))
    eventually(lambda: len(ends.all) == 200 and pool.idle_count() == len(pool) == 2)


def _wait(event: threading.Event) -> None:
    assert event.wait(10)
