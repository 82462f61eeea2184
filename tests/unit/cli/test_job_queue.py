"""The queue of jobs: everything comes out once, no key twice at a time, small things in batches."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from annexd.cli.job_queue import SMALL, JobQueue, Shape
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread

Thing = tuple[int, int, int]    # key, size, serial number


def make(*, in_order: bool = False, batches: bool = True, most_large: int | None = None) -> JobQueue[Thing]:
    return JobQueue(Shape(lambda t: t[0], lambda t: t[1], in_order, batches, most_large))


THINGS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1, SMALL, SMALL + 1])), max_size=60)


@settings(max_examples=40, deadline=None)
@given(THINGS, st.integers(1, 4), st.booleans(), st.sampled_from([None, 1, 2]))
def test_everything_is_done_once_and_no_key_by_two_jobs(
    kinds: list[tuple[int, int]], jobs: int, batches: bool, most_large: int | None
) -> None:
    queue = make(in_order=jobs == 1, batches=batches, most_large=most_large)
    things = [(key, size, n) for n, (key, size) in enumerate(kinds)]
    lock = threading.Lock()
    active: Counter[int] = Counter()
    done: list[Thing] = []
    clashes: list[Thing] = []
    large = [0]
    crowds: list[int] = []

    def work() -> None:
        while taken := queue.take(8):
            with lock:
                active.update(t[0] for t in taken)
                large[0] += not batches or taken[0][1] > SMALL
                crowds.append(large[0])
                clashes.extend(t for t in taken if active[t[0]] > 1)
            with lock:
                done.extend(taken)
                active.subtract(t[0] for t in taken)
                large[0] -= not batches or taken[0][1] > SMALL
            queue.done(taken)

    threads = [NamedThread(f"job {n}", work) for n in range(jobs)]
    for thread in threads:
        thread.start()
    for thing in things:
        queue.put(thing)
    queue.close()
    assert all(thread.join(Deadline(10)) for thread in threads)
    assert sorted(done, key=lambda t: t[2]) == things
    assert not clashes
    assert max(crowds, default=0) <= (most_large or jobs)


@given(THINGS)
def test_with_one_job_the_order_stays(kinds: list[tuple[int, int]]) -> None:
    queue = make(in_order=True)
    things = [(n, size, n) for n, (_, size) in enumerate(kinds)]
    for thing in things:
        queue.put(thing)
    queue.close()
    out = []
    while taken := queue.take(5):
        assert len(taken) == 1 or all(t[1] <= SMALL for t in taken)
        out += taken
        queue.done(taken)
    assert out == things


def test_large_things_do_not_wait_behind_small_ones() -> None:
    queue = make()
    for n in range(10):
        queue.put((n, 1, n))
    queue.put((100, SMALL + 1, 100))
    assert len(queue.take(4)) == 4
    assert queue.take(4) == [(100, SMALL + 1, 100)]     # one job at a time has the small ones
    queue.close()
    assert len(queue.take(4)) == 4                      # unless there is nothing else to do


def test_only_so_many_large_things_are_out_at_a_time() -> None:
    queue = make(most_large=2)
    for n in range(3):
        queue.put((n, SMALL + 1, n))
    first, second = queue.take(), queue.take()
    assert [first[0][0], second[0][0]] == [0, 1]
    queue.put((9, 1, 9))
    assert queue.take() == [(9, 1, 9)]
    taken: list[list[Thing]] = []
    thread = NamedThread("job", lambda: taken.append(queue.take()))
    thread.start()
    assert not thread.join(Deadline(0.05)) and not taken
    queue.done(first)
    assert thread.join(Deadline(5)) and taken == [[(2, SMALL + 1, 2)]]


def test_while_more_is_looked_for_one_job_has_the_small_things() -> None:
    queue = make()
    for n in range(10):
        queue.put((n, 1, n))
    assert len(queue.take(4)) == 4
    taken: list[list[Thing]] = []
    thread = NamedThread("job", lambda: taken.append(queue.take(4)))
    thread.start()
    assert not thread.join(Deadline(0.05)) and not taken
    queue.put((10, SMALL + 1, 10))      # something that a second job can do meanwhile
    assert thread.join(Deadline(5)) and taken == [[(10, SMALL + 1, 10)]]


def test_a_key_that_is_worked_on_makes_the_second_wait_and_not_the_others() -> None:
    queue = make(batches=False)
    queue.put((1, 1, 1))
    queue.put((1, 1, 2))
    queue.put((2, 1, 3))
    first = queue.take()
    assert queue.take() == [(2, 1, 3)]
    queue.done(first)
    assert queue.take() == [(1, 1, 2)]


def test_stopping_wakes_those_who_wait() -> None:
    queue = make()
    taken: list[list[Thing]] = []
    thread = NamedThread("job", lambda: taken.append(queue.take()))
    thread.start()
    queue.stop()
    assert thread.join(Deadline(5)) and taken == [[]]
    queue.put((1, 1, 1))
    assert queue.take() == []
