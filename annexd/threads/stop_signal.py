"""One signal that ends every wait of a program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from annexd.threads.held import Held, forbid_while_holding

Callback = Callable[[], None]


class StopSignal:
    """Set once, never cleared; every wait that was given it then ends.

    All methods may be called from any thread. `set` may also be called from a signal handler: the lock inside is
    reentrant, so a handler that interrupts a waiting main thread does not block.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()     # guards the two fields below; reentrant
        self._is_set = False
        self._callbacks: list[Callback] = []

    def is_set(self) -> bool:
        """True from the first call of `set` on."""
        return self._is_set

    def set(self) -> None:
        """Wake all waiters, and call every registered callback once, in this thread. Does nothing the second time."""
        with self._condition:
            if self._is_set:
                return
            self._is_set = True
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            callback()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the signal is set or `timeout` seconds are over; True when it is set."""
        if self._is_set:
            return True
        forbid_while_holding(Held.ANNEX_STATE, "waiting for a stop signal")
        end = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            while not self._is_set:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._condition.wait(left)
            return True

    def on_stop(self, callback: Callback) -> Callback:
        """Have `callback` called when the signal is set, at once if it is set already.

        The callback must not block nor raise. Returns a function that takes the registration back.
        """
        with self._condition:
            if not self._is_set:
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def _forget(self, callback: Callback) -> None:
        with self._condition:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
