"""A box that many threads put values into and one takes all of them out of."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, forbid_while_holding
from annexd.threads.stop_signal import StopSignal

T = TypeVar("T")


class Pool(Generic[T]):
    """Values in order of arrival. Putting never blocks; all methods may be called from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()     # guards the two fields below
        self._items: list[T] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Add one value; False when the pool is closed and the value was not taken."""
        return self.put_many((item,))

    def put_many(self, items: Iterable[T]) -> bool:
        """Add values that are then seen together; False when the pool is closed and they were not taken."""
        with self._condition:
            if self._is_closed:
                return False
            self._items.extend(items)
            if self._items:
                self._condition.notify_all()
            return True

    def drain(self, stop: StopSignal, timeout: float | None = None) -> list[T]:
        """Wait for values and take all of them.

        Empty when `stop` is set (what is left can still be had by `take_all`), when `timeout` seconds passed, or when
        the pool is closed and empty.
        """
        forbid_while_holding(Held.ANNEX_STATE, "waiting for a pool")
        deadline = Deadline(timeout)
        forget = stop.on_stop(self._wake)
        try:
            with self._condition:
                while not (self._items or self._is_closed or stop.is_set() or deadline.expired()):
                    self._condition.wait(deadline.remaining())
                return [] if stop.is_set() else self._take()
        finally:
            forget()

    def take_all(self) -> list[T]:
        """Take what is there, without waiting."""
        with self._condition:
            return self._take()

    def close(self) -> None:
        """Take nothing in any more; waiters get what is there, then nothing."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def _take(self) -> list[T]:
        items, self._items = self._items, []
        return items

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()
