"""The stop signal ends waits."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, LockDisciplineError, forbid_while_holding, holding, is_holding
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from tests.support.eventually import eventually


def test_a_wait_ends_when_the_signal_is_set() -> None:
    stop, results = StopSignal(), []
    thread = NamedThread("waiter", lambda: results.append(stop.wait(30)))
    thread.start()
    stop.set()
    assert thread.join(Deadline(5))
    assert results == [True]


def test_a_wait_ends_at_its_timeout() -> None:
    assert StopSignal().wait(0.01) is False


def test_callbacks_run_once_and_only_while_registered() -> None:
    stop, called = StopSignal(), []
    stop.on_stop(lambda: called.append("kept"))
    stop.on_stop(lambda: called.append("taken back"))()
    stop.set()
    stop.set()
    stop.on_stop(lambda: called.append("late"))
    assert called == ["kept", "late"]


def test_it_can_be_set_in_a_signal_handler_that_interrupts_a_wait() -> None:
    stop = StopSignal()
    before = signal.signal(signal.SIGUSR2, lambda *_: stop.set())
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2)).start()
        assert stop.wait(10)
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_waiting_is_refused_while_the_annex_state_is_held() -> None:
    with holding(Held.ANNEX_STATE), pytest.raises(LockDisciplineError):
        StopSignal().wait(1)


def test_holding_ends_with_its_block_and_is_for_one_thread_only() -> None:
    with holding(Held.ANNEX_STATE):
        seen: list[bool] = []
        thread = NamedThread("other", lambda: seen.append(is_holding(Held.ANNEX_STATE)))
        thread.start()
        assert thread.join(Deadline(5))
        assert seen == [False]
        assert is_holding(Held.ANNEX_STATE)
    forbid_while_holding(Held.ANNEX_STATE, "anything")


def test_a_deadline_counts_down_and_never_below_zero() -> None:
    now = [100.0]
    deadline = Deadline(5, monotonic=lambda: now[0])
    assert (deadline.remaining(), deadline.expired(), deadline.limit(9)) == (5.0, False, 5.0)
    now[0] = 106.0
    assert (deadline.remaining(), deadline.expired()) == (0.0, True)
    assert (Deadline(None).remaining(), Deadline(None).expired(), Deadline(None).limit(3)) == (None, False, 3)


def test_a_thread_has_its_name_in_the_system_too() -> None:
    names: list[str] = []

    def note() -> None:
        with open(f"/proc/self/task/{threading.get_native_id()}/comm") as comm:
            names.append(comm.read().strip())

    thread = NamedThread("a-very-long-thread-name", note)
    assert thread.join(Deadline(0)), "a thread that was never started needs no waiting"
    thread.start()
    eventually(lambda: not thread.is_alive())
    assert names == ["a-very-long-thr"]
