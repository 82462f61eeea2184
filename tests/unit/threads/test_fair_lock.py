"""The lock that goes round."""

from __future__ import annotations

import threading

import pytest

from annexd.threads.deadline import Deadline
from annexd.threads.fair_lock import FairLock
from annexd.threads.named_thread import NamedThread
from tests.support.eventually import eventually


def test_one_thread_at_a_time_has_it() -> None:
    lock, inside, most, rounds = FairLock(), [0], [0], 200

    def work() -> None:
        for _ in range(rounds):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [NamedThread(f"worker {n}", work) for n in range(4)]
    for thread in threads:
        thread.start()
    assert all(thread.join(Deadline(30)) for thread in threads)
    assert most == [1]
    assert inside == [0]


def test_it_goes_to_those_who_wait_in_their_order_and_not_back_to_who_had_it() -> None:
    lock, order = FairLock(), list[str]()
    threads = []

    def take(name: str) -> None:
        with lock:
            order.append(name)

    with lock:
        for n in range(3):
            thread = NamedThread(str(n), lambda name=str(n): take(name))    # type: ignore[misc]
            thread.start()
            threads.append(thread)
            eventually(lambda count=n + 1: len(lock._waiting) == count)     # type: ignore[misc]
    with lock:
        order.append("again")
    assert all(thread.join(Deadline(10)) for thread in threads)
    assert order == ["0", "1", "2", "again"]


def test_a_failure_inside_lets_go_of_it() -> None:
    lock = FairLock()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    with lock:
        assert threading.active_count() >= 1
