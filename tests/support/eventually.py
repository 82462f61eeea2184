"""Waiting for a condition, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from annexd.threads.deadline import Deadline

T = TypeVar("T")

FIRST_STEP = 0.001
LONGEST_STEP = 0.05


def eventually(condition: Callable[[], T], deadline: Deadline | float = 10.0, what: str = "") -> T:
    """The first true result of `condition`, asked again and again; AssertionError when none came in time.

    A condition may raise AssertionError instead of returning something false; the last one is shown.
    """
    budget = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
    step = FIRST_STEP
    while True:
        problem = None
        try:
            result = condition()
            if result:
                return result
        except AssertionError as error:
            problem, result = error, None       # type: ignore[assignment]
        if budget.expired():
            message = f"{what or 'the condition'} did not come true in time; last: {problem or result!r}"
            raise AssertionError(message) from problem
        time.sleep(budget.limit(step))
        step = min(step * 1.5, LONGEST_STEP)
