"""When others are told where content is."""

from __future__ import annotations

import itertools

import pytest

from annexd.assistant.announcer import FIRST_PATIENCE, LONGEST_PATIENCE, QUIET, STREAM_GAP, AnnouncePolicy


def tellings(ends: list[float], *, busy_until: float = 0.0) -> list[float]:
    """The moments at which something is told, when transfers end at these moments."""
    policy = AnnouncePolicy()
    told = []
    for end in [*ends, float("inf")]:
        while (due := policy.due(is_busy=policy.last < busy_until)) is not None and due < end:
            told.append(due)
            policy.told()
        if end < float("inf"):
            policy.news(end)
    return told


def test_a_single_transfer_is_told_of_at_once() -> None:
    assert tellings([100.0]) == [pytest.approx(100.0 + QUIET)]


def test_single_transfers_with_pauses_are_each_told_of_at_once() -> None:
    ends = [100.0, 110.0, 130.0]
    assert tellings(ends) == [pytest.approx(end + QUIET) for end in ends]


@pytest.mark.parametrize("seconds", [1.0, 10.0, 100.0, 600.0])
@pytest.mark.parametrize("is_busy", [True, False], ids=["one after the other", "each by itself"])
def test_a_thousand_transfers_are_told_of_at_most_twenty_times(seconds: float, is_busy: bool) -> None:
    ends = [seconds * n / 1000 for n in range(1000)]
    told = tellings(ends, busy_until=ends[-1] if is_busy else 0.0)
    assert len(told) <= 20
    assert ends[-1] < told[-1] <= ends[-1] + STREAM_GAP, "the last is not forgotten, and does not wait for long"


def test_the_first_of_many_is_told_of_soon() -> None:
    assert tellings([n / 100 for n in range(1000)], busy_until=10.0)[0] == pytest.approx(FIRST_PATIENCE)


def test_nothing_waits_for_longer_than_a_minute() -> None:
    ends = [float(n) for n in range(2000)]
    told = tellings(ends, busy_until=ends[-1])
    assert max(after - before for before, after in itertools.pairwise(told)) <= LONGEST_PATIENCE + 1
