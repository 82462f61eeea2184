"""The order in which the transfer queue hands out work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.transfer.gate import Admission
from annexd.transfer.job import Direction, Job, Reason
from annexd.transfer.lanes import MAX_LAG
from annexd.transfer.queue import BATCH_JOBS, IMPATIENCE, Put, TransferQueue

NEAR, FAR = UUID(b"near"), UUID(b"far")
COSTS = {NEAR: 100.0, FAR: 200.0}
SMALL, LARGE = 1000, 5 << 20


class Time:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Admits = Callable[[UUID], Admission]


def everything(_: UUID) -> Admission:
    return Admission.OPEN


def only(*remotes: UUID, otherwise: Admission = Admission.CLOSED) -> Admits:
    return lambda remote: Admission.OPEN if remote in remotes else otherwise


def upload(number: int, remote: UUID = NEAR, *, size: int | None = LARGE, reason: Reason = Reason.SCAN) -> Job:
    return Job(Direction.UPLOAD, Key(b"SHA256", b"%d" % number, size), (remote,), None, reason)


def download(number: int, *remotes: UUID, size: int | None = LARGE, reason: Reason = Reason.SCAN) -> Job:
    return Job(Direction.DOWNLOAD, Key(b"SHA256", b"%d" % number, size), remotes, None, reason)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def queue(time: Time) -> TransferQueue:
    return TransferQueue(cost_of=COSTS.__getitem__, monotonic=time)


def order(queue: TransferQueue) -> list[int]:
    """The numbers of all jobs in the order in which they are handed out."""
    numbers = []
    while (work := queue.next(everything)) is not None:
        numbers += [int(job.key.name) for job in work.jobs]
        queue.finished(work.jobs)
    return numbers


def test_what_a_person_asked_for_comes_first_then_new_and_small_then_the_rest(queue: TransferQueue) -> None:
    queue.put_many([
        upload(1, reason=Reason.SCAN),
        upload(2, reason=Reason.NEW),
        upload(3, size=SMALL, reason=Reason.SCAN),
        upload(4, size=SMALL, reason=Reason.NEW),
        upload(5, reason=Reason.ASKED),
        upload(6, size=None, reason=Reason.ASKED),
    ])  # fmt: skip
    assert order(queue) == [5, 6, 4, 1, 2, 3]


def test_of_equals_the_older_comes_first(queue: TransferQueue) -> None:
    queue.put_many(upload(n) for n in range(20))
    assert order(queue) == list(range(20))


def test_what_waits_long_is_not_overtaken_for_ever_by_what_is_new(queue: TransferQueue, time: Time) -> None:
    queue.put(upload(1, reason=Reason.SCAN))
    time.now = IMPATIENCE + 1
    queue.put(upload(2, size=SMALL, reason=Reason.NEW))
    assert order(queue) == [1, 2]


def test_the_cheaper_remote_comes_first(queue: TransferQueue) -> None:
    queue.put_many([upload(1, FAR), upload(2, NEAR)])
    assert order(queue) == [2, 1]


def test_remotes_take_turns(queue: TransferQueue) -> None:
    queue.put_many([upload(n, NEAR) for n in range(50)] + [upload(n, FAR) for n in range(100, 150)])
    first = order(queue)[:40]
    assert sum(n >= 100 for n in first) == 20


def test_turns_are_counted_in_bytes(queue: TransferQueue) -> None:
    queue.put_many([upload(n, NEAR, size=4 * LARGE) for n in range(50)])
    queue.put_many([upload(n, FAR, size=LARGE) for n in range(100, 300)])
    first = order(queue)[:100]
    assert 75 <= sum(n >= 100 for n in first) <= 85


def test_a_remote_that_was_idle_does_not_make_the_others_wait_for_long(queue: TransferQueue) -> None:
    queue.put_many(upload(n, NEAR) for n in range(200))
    for _ in range(100):
        assert queue.next(everything) is not None
    queue.put_many(upload(n, FAR) for n in range(1000, 1200))
    first = order(queue)[:60]
    assert sum(n < 1000 for n in first) >= 60 // 2 - MAX_LAG // LARGE // 2


def test_a_download_takes_the_cheapest_source_that_is_open(queue: TransferQueue) -> None:
    queue.put_many([download(1, NEAR, FAR), download(2, NEAR, FAR)])
    first, second = queue.next(everything), queue.next(only(FAR))
    assert first is not None and first.remote == NEAR
    assert second is not None and second.remote == FAR


def test_a_download_waits_for_a_near_source_that_is_only_busy(queue: TransferQueue) -> None:
    queue.put(download(1, NEAR, FAR))
    assert queue.next(only(FAR, otherwise=Admission.BUSY)) is None
    assert queue.next(only(FAR, otherwise=Admission.CLOSED)) is not None


def test_downloads_are_spread_over_sources_of_the_same_cost(time: Time) -> None:
    queue = TransferQueue(cost_of=lambda _: 100.0, monotonic=time)
    queue.put(download(1, NEAR, FAR))
    work = queue.next(only(FAR, otherwise=Admission.BUSY))
    assert work is not None and work.remote == FAR


def test_a_closed_remote_holds_up_nobody_else(queue: TransferQueue) -> None:
    queue.put_many([upload(n, NEAR, reason=Reason.ASKED) for n in range(100)] + [upload(200, FAR)])
    work = queue.next(only(FAR))
    assert work is not None and work.remote == FAR
    assert queue.next(only(FAR)) is None


def test_small_jobs_of_one_remote_come_as_a_batch_and_large_ones_alone(queue: TransferQueue) -> None:
    queue.put_many([upload(n, size=SMALL) for n in range(BATCH_JOBS + 5)] + [upload(900), upload(901, FAR, size=SMALL)])
    work = queue.next(only(NEAR))
    assert work is not None and len(work.jobs) == BATCH_JOBS
    assert {job.remotes for job in work.jobs} == {(NEAR,)}
    sizes = []
    while (work := queue.next(only(NEAR))) is not None:
        sizes.append(len(work.jobs))
    assert sorted(sizes) == [1, 5]


def test_the_same_transfer_is_queued_once_whether_it_waits_or_runs(queue: TransferQueue) -> None:
    assert queue.put(upload(1)) is Put.ADDED
    assert queue.put(upload(1)) is Put.DUPLICATE
    work = queue.next(everything)
    assert work is not None
    assert queue.put(upload(1)) is Put.DUPLICATE
    queue.finished(work.jobs)
    assert queue.put(upload(1)) is Put.ADDED


def test_a_key_is_downloaded_once_whatever_it_may_come_from(queue: TransferQueue) -> None:
    assert queue.put(download(1, NEAR)) is Put.ADDED
    assert queue.put(download(1, FAR)) is Put.CHANGED
    work = queue.next(only(FAR))
    assert work is not None and work.jobs[0].remotes == (NEAR, FAR)
    assert queue.next(everything) is None


def test_asking_for_what_is_queued_moves_it_to_the_front(queue: TransferQueue) -> None:
    queue.put_many(upload(n) for n in range(5))
    assert queue.put(upload(3, reason=Reason.ASKED)) is Put.CHANGED
    assert order(queue) == [3, 0, 1, 2, 4]


def test_what_is_put_back_keeps_its_place(queue: TransferQueue) -> None:
    queue.put_many(upload(n) for n in range(3))
    work = queue.next(everything)
    assert work is not None
    queue.put_back(work.jobs)
    assert order(queue) == [0, 1, 2]


def test_a_batch_that_is_put_back_keeps_its_order(queue: TransferQueue) -> None:
    queue.put_many(upload(n, size=SMALL) for n in range(10))
    work = queue.next(everything)
    assert work is not None
    queue.put_back(work.jobs)
    assert order(queue) == list(range(10))


def test_a_paused_job_waits_until_it_is_resumed(queue: TransferQueue) -> None:
    queue.put_many([upload(1), upload(2)])
    assert queue.hold(upload(1).identity)
    assert order(queue) == [2]
    assert queue.put(upload(1)) is Put.DUPLICATE
    assert queue.unhold(upload(1).identity)
    assert order(queue) == [1]


def test_a_running_job_that_is_paused_is_held_once_it_comes_back(queue: TransferQueue) -> None:
    queue.put(upload(1))
    work = queue.next(everything)
    assert work is not None
    assert queue.hold(upload(1).identity)
    queue.put_back(work.jobs)
    assert order(queue) == []
    assert queue.unhold(upload(1).identity)
    assert order(queue) == [1]


def test_cancelled_jobs_never_run(queue: TransferQueue) -> None:
    queue.put_many(upload(n) for n in range(4))
    assert queue.cancel(upload(2).identity)
    assert not queue.cancel(upload(2).identity)
    assert order(queue) == [0, 1, 3]
    queue.put_many([upload(1, NEAR), upload(2, FAR), download(3, NEAR, FAR), download(4, FAR)])
    assert queue.cancel_remote(FAR) == 2
    assert order(queue) == [1, 3]
    queue.put_many([upload(1, NEAR), upload(2, FAR)])
    assert queue.cancel_all() == 2
    assert order(queue) == []


def test_what_is_asked_for_while_its_cancelled_transfer_still_ends_waits_anew(queue: TransferQueue) -> None:
    job = download(1, NEAR)
    queue.put(job)
    queue.next(everything)
    queue.put(job)                      # before it is cancelled: that does not count
    queue.cancel(job.identity)
    queue.cancelled([job])
    assert job.identity not in queue
    queue.put(job)
    queue.next(everything)
    queue.cancel(job.identity)
    assert queue.put(job) is Put.DUPLICATE
    queue.cancelled([job])
    assert order(queue) == [1]


@pytest.mark.parametrize("forget", [lambda q: q.cancel_all(), lambda q: q.cancel_remote(NEAR)], ids=["all", "remote"])
def test_what_was_asked_for_again_can_be_cancelled_again(
    queue: TransferQueue, forget: Callable[[TransferQueue], int]
) -> None:
    job = upload(1)
    queue.put(job)
    queue.next(everything)
    queue.cancel(job.identity)
    queue.put(job)
    forget(queue)
    queue.cancelled([job])
    assert job.identity not in queue


def test_a_closed_queue_takes_and_gives_nothing(queue: TransferQueue) -> None:
    queue.put(upload(1))
    queue.close()
    assert queue.next(everything) is None
    assert queue.put(upload(2)) is Put.CLOSED
    assert queue.put_many([upload(3)]) == 0


def test_a_job_without_any_remote_is_a_bug(queue: TransferQueue) -> None:
    with pytest.raises(ValueError, match="remote"):
        queue.put(download(1))


def test_somebody_is_told_when_there_is_something_to_take(time: Time) -> None:
    rings: list[int] = []
    queue = TransferQueue(monotonic=time, on_work=lambda: rings.append(1))
    queue.put(upload(1))
    assert len(rings) == 1
    queue.put(upload(1))
    assert len(rings) == 1
    queue.put_many(upload(n) for n in range(100))
    assert len(rings) == 2


def test_the_queue_is_quick_with_many_jobs(queue: TransferQueue) -> None:
    """Linear: quadratic duplicate detection would take minutes."""
    many = [upload(n, FAR if n % 2 else NEAR, size=SMALL) for n in range(50_000)]
    queue.put_many(many)
    queue.put_many(many)
    assert len(order(queue)) == 50_000


def test_somebody_is_told_when_a_remote_that_goes_leaves_jobs_to_others(time: Time) -> None:
    told: list[int] = []
    queue = TransferQueue(on_work=lambda: told.append(1), monotonic=time)
    queue.put(Job(Direction.DOWNLOAD, Key(b"X", b"1", 10), (NEAR, FAR)))
    before = len(told)
    queue.cancel_remote(NEAR)
    assert len(told) == before + 1
