"""--time-limit and --size-limit."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.budget import Budget


def test_without_limits_everything_is_admitted() -> None:
    budget = Budget.of(Namespace(), lambda _: None)
    assert budget.admits(None) and budget.admits(10**18)
    assert not budget.is_over and not budget.was_reached


def test_what_does_not_fit_is_left_out_and_smaller_ones_may_follow() -> None:
    budget = Budget(size=10)
    assert [budget.admits(size) for size in (6, 6, None, 4, 1)] == [True, False, True, True, False]
    assert budget.was_reached


def test_the_end_of_the_time_is_told_once() -> None:
    now, told = [0.0], []
    budget = Budget(5, told_as="5s", on_over=told.append, monotonic=lambda: now[0])
    assert budget.admits(1)
    now[0] = 5.0
    assert not budget.admits(1) and budget.is_over and budget.was_reached
    assert told == ["  Time limit (5s) reached! Shutting down..."]
