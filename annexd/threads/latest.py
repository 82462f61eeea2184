"""The newest version of one value; readers never wait for writers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, forbid_while_holding

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds a frozen value that writers replace as a whole. All methods may be called from any thread."""

    def __init__(self, value: T) -> None:
        self._condition = threading.Condition()     # guards replacing `_value`
        self._value = value

    def get(self) -> T:
        """The value now."""
        return self._value

    def replace(self, value: T) -> None:
        """Make `value` the newest and wake those who wait for it."""
        with self._condition:
            self._value = value
            self._condition.notify_all()

    def update(self, change: Callable[[T], T]) -> T:
        """Replace the value by `change(value)` in one step, and return it; `change` must be quick and take no lock."""
        with self._condition:
            self._value = change(self._value)
            self._condition.notify_all()
            return self._value

    def wait_for(self, predicate: Callable[[T], bool], deadline: Deadline) -> T | None:
        """Wait until the value satisfies `predicate`; that value, or None when the deadline passed first."""
        forbid_while_holding(Held.ANNEX_STATE, "waiting for a value")
        with self._condition:
            while not predicate(self._value):
                if deadline.expired():
                    return None
                self._condition.wait(deadline.remaining())
            return self._value
