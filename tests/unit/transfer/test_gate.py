"""The circuit breaker in front of each remote."""

from __future__ import annotations

import pytest

from annexd.errors import AnnexError, NoSpace, RemoteUnavailable, VerificationFailed
from annexd.formats.uuid import UUID
from annexd.transfer.gate import (
    BUSY_SECONDS,
    FAILURES_IN_A_ROW,
    Admission,
    GateState,
    RemoteGate,
    Verdict,
    verdict_on,
)

R, OTHER = UUID(b"r"), UUID(b"other")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> RemoteGate:
    return RemoteGate(lambda _: 2, monotonic=clock, jitter=lambda: 0.0)


def pass_through(gate: RemoteGate, verdict: Verdict) -> bool:
    assert gate.admits(R) is Admission.OPEN
    gate.enter(R)
    return gate.leave(R, verdict, "why")


def test_no_more_slots_work_with_a_remote_than_its_limit(gate: RemoteGate) -> None:
    gate.enter(R)
    assert gate.admits(R) is Admission.OPEN
    gate.enter(R)
    assert gate.admits(R) is Admission.BUSY
    assert gate.admits(OTHER) is Admission.OPEN
    gate.leave(R, Verdict.GOOD)
    assert gate.admits(R) is Admission.OPEN


def test_a_remote_that_ends_no_work_is_not_worth_waiting_for(gate: RemoteGate, clock: Clock) -> None:
    gate.enter(R)
    gate.enter(R)
    assert gate.next_opening(clock.now) == BUSY_SECONDS
    clock.now += BUSY_SECONDS
    assert gate.admits(R) is Admission.CLOSED
    gate.leave(R, Verdict.GOOD)
    gate.enter(R)
    assert gate.admits(R) is Admission.BUSY


def test_a_fault_closes_the_gate_for_times_that_grow(gate: RemoteGate, clock: Clock) -> None:
    waits = []
    for _ in range(9):
        pass_through(gate, Verdict.FAULT)
        assert gate.admits(R) is Admission.CLOSED
        waits.append(gate.next_opening(clock.now))
        clock.now += waits[-1] or 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert gate.view()[R].reason == "why"


def test_one_at_a_time_finds_out_whether_the_remote_is_back(gate: RemoteGate, clock: Clock) -> None:
    pass_through(gate, Verdict.FAULT)
    clock.now += 1
    gate.enter(R)
    assert gate.view()[R].state is GateState.PROBING
    assert gate.admits(R) is Admission.CLOSED
    assert gate.leave(R, Verdict.GOOD)
    assert gate.view()[R].state is GateState.OPEN
    assert not pass_through(gate, Verdict.GOOD)
    pass_through(gate, Verdict.FAULT)
    assert gate.next_opening(clock.now) == 1        # the wait begins anew


def test_a_probe_that_did_not_use_the_remote_says_nothing(gate: RemoteGate, clock: Clock) -> None:
    pass_through(gate, Verdict.FAULT)
    clock.now += 1
    assert not pass_through(gate, Verdict.NOTHING)
    assert gate.admits(R) is Admission.OPEN


def test_slots_that_began_before_the_fault_do_not_prolong_it(gate: RemoteGate, clock: Clock) -> None:
    gate.enter(R)
    gate.enter(R)
    gate.leave(R, Verdict.FAULT)
    gate.leave(R, Verdict.FAULT)
    assert gate.next_opening(clock.now) == 1


def test_single_failures_are_not_the_remotes_fault_but_many_in_a_row_are(gate: RemoteGate) -> None:
    for _ in range(FAILURES_IN_A_ROW - 1):
        pass_through(gate, Verdict.FAILURE)
    pass_through(gate, Verdict.GOOD)
    for _ in range(FAILURES_IN_A_ROW):
        pass_through(gate, Verdict.FAILURE)
    assert gate.admits(R) is Admission.CLOSED


def test_news_that_the_remote_is_back_opens_at_once(gate: RemoteGate, clock: Clock) -> None:
    pass_through(gate, Verdict.FAULT)
    gate.retry_now(R)
    assert gate.admits(R) is Admission.OPEN
    assert gate.next_opening(clock.now) is None


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, Verdict.GOOD),
        (RemoteUnavailable("gone"), Verdict.FAULT),
        (VerificationFailed("bad"), Verdict.FAILURE),
        (NoSpace("full"), Verdict.FAILURE),
    ],
)
def test_what_an_error_says_of_the_remote(error: AnnexError | None, verdict: Verdict) -> None:
    assert verdict_on(error) is verdict
