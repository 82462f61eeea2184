"""Threads that crash are started again, parked, or end the program."""

from __future__ import annotations

import pytest

from annexd.errors import FatalError
from annexd.threads import stacks
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal
from annexd.threads.supervisor import RestartPolicy, Supervisor
from tests.support.eventually import eventually

QUICK = RestartPolicy(first_delay=0.001, longest_delay=0.002)
Crash = tuple[str, str, bool]


def supervisor(stop: StopSignal, crashes: list[Crash], policy: RestartPolicy = QUICK) -> Supervisor:
    return Supervisor(stop, lambda name, error, parked: crashes.append((name, str(error), parked)), policy)


def test_a_crashed_thread_is_started_again() -> None:
    stop, crashes, runs = StopSignal(), list[Crash](), list[int]()

    def run(stop: StopSignal) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("boom")
        stop.wait()

    group = supervisor(stop, crashes)
    group.add("worker", run)
    group.start()
    eventually(lambda: len(runs) == 2)
    stop.set()
    assert group.join(Deadline(5)) == ()
    assert crashes == [("worker", "boom", False)]


def test_a_thread_that_keeps_crashing_is_parked_and_the_others_go_on() -> None:
    stop, crashes = StopSignal(), list[Crash]()

    def crash(_stop: StopSignal) -> None:
        raise ValueError("again")

    group = supervisor(stop, crashes)
    group.add("bad", crash)
    group.add("good", lambda stop: stop.wait() and None)
    group.start()
    eventually(lambda: group.parked() == ("bad",))
    assert [parked for _, _, parked in crashes] == [False] * 4 + [True]
    assert group.alive() == ("good",)
    stop.set()
    assert group.join(Deadline(5)) == ()


def test_a_fatal_error_stops_all_and_is_raised_by_join() -> None:
    stop, crashes = StopSignal(), list[Crash]()

    def fail(_stop: StopSignal) -> None:
        raise FatalError("no disk", exit_status=3)

    group = supervisor(stop, crashes)
    group.add("other", lambda stop: stop.wait() and None)
    group.add("fatal", fail)
    group.start()
    assert stop.wait(5)
    with pytest.raises(FatalError) as caught:
        group.join(Deadline(5))
    assert caught.value.exit_status == 3
    assert crashes == []


def test_a_thread_that_returns_has_ended_for_good() -> None:
    stop, crashes, runs = StopSignal(), list[Crash](), list[int]()
    group = supervisor(stop, crashes)
    group.add("once", lambda _stop: runs.append(1))
    group.start()
    assert group.join(Deadline(5)) == ()
    assert runs == [1]
    assert crashes == []


def test_join_names_the_threads_that_do_not_end_in_time() -> None:
    stop, release, runs = StopSignal(), StopSignal(), list[int]()

    def run(_stop: StopSignal) -> None:
        runs.append(1)
        release.wait()

    group = supervisor(stop, [])
    group.add("stuck", run)
    group.start()
    eventually(lambda: runs)
    stop.set()
    assert group.join(Deadline(0.05)) == ("stuck",)
    assert "stuck" in stacks.dump_all()
    release.set()
    assert group.join(Deadline(5)) == ()


def test_waiting_for_a_restart_ends_with_the_stop_signal() -> None:
    stop, crashes = StopSignal(), list[Crash]()

    def crash(_stop: StopSignal) -> None:
        raise ValueError("boom")

    group = supervisor(stop, crashes, RestartPolicy(first_delay=60))
    group.add("worker", crash)
    group.start()
    eventually(lambda: crashes)
    stop.set()
    assert group.join(Deadline(5)) == ()
