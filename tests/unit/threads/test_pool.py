"""Pools and latest values."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, LockDisciplineError, holding
from annexd.threads.latest import Latest
from annexd.threads.named_thread import NamedThread
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal


@given(st.lists(st.lists(st.integers())))
def test_what_is_put_comes_out_in_order(batches: list[list[int]]) -> None:
    pool: Pool[int] = Pool()
    for batch in batches:
        pool.put_many(batch)
    expected = [item for batch in batches for item in batch]
    assert len(pool) == len(expected)
    assert pool.drain(StopSignal(), 0) == expected
    assert pool.take_all() == []


def test_nothing_is_lost_or_doubled_between_threads() -> None:
    pool, stop, taken = Pool[int](), StopSignal(), []

    def take() -> None:
        while items := pool.drain(stop, 5):
            taken.extend(items)

    consumer = NamedThread("consumer", take)

    def produce(first: int) -> None:
        for number in range(first, first + 1000):
            pool.put(number)

    producers = [NamedThread(f"p{n}", partial(produce, n * 1000)) for n in range(4)]
    consumer.start()
    for producer in producers:
        producer.start()
    assert all(producer.join(Deadline(10)) for producer in producers)
    pool.close()
    assert consumer.join(Deadline(10))
    assert sorted(taken) == list(range(4000))
    for n in range(4):
        mine = [item for item in taken if item // 1000 == n]
        assert mine == sorted(mine)


def test_a_waiting_drain_ends_with_the_stop_signal() -> None:
    pool, stop, results = Pool[int](), StopSignal(), []
    thread = NamedThread("drain", lambda: results.append(pool.drain(stop)))
    thread.start()
    stop.set()
    assert thread.join(Deadline(5))
    assert results == [[]]


def test_after_stop_a_drain_is_empty_and_the_rest_can_still_be_taken() -> None:
    pool, stop = Pool[int](), StopSignal()
    pool.put(1)
    stop.set()
    assert pool.drain(stop) == []
    assert pool.take_all() == [1]


def test_a_closed_pool_gives_what_it_has_and_takes_nothing_more() -> None:
    pool = Pool[int]()
    pool.put(1)
    pool.close()
    assert not pool.put(2)
    assert pool.drain(StopSignal()) == [1]
    assert pool.drain(StopSignal()) == []


def test_draining_is_refused_while_the_annex_state_is_held() -> None:
    pool = Pool[int]()
    with holding(Held.ANNEX_STATE):
        pool.put(1)
        with pytest.raises(LockDisciplineError):
            pool.drain(StopSignal())


def test_the_latest_value_is_seen_by_those_who_wait_for_it() -> None:
    latest, seen = Latest(0), []
    thread = NamedThread("wait", lambda: seen.append(latest.wait_for(lambda n: n >= 3, Deadline(10))))
    thread.start()
    for _ in range(3):
        latest.update(lambda n: n + 1)
    assert thread.join(Deadline(5))
    assert seen == [3]
    latest.replace(7)
    assert latest.get() == 7
    assert latest.wait_for(lambda n: n > 7, Deadline(0.01)) is None
