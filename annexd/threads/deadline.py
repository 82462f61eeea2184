"""One time budget that is spent over several waits."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A moment `seconds` from now, or never when None. Frozen; may be shared by threads."""

    __slots__ = ("_end", "_monotonic")

    def __init__(self, seconds: float | None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = None if seconds is None else monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds left, never below 0; None when there is no end."""
        return None if self._end is None else max(0.0, self._end - self._monotonic())

    def expired(self) -> bool:
        """True once the moment is reached."""
        return self._end is not None and self._monotonic() >= self._end

    def limit(self, seconds: float) -> float:
        """`seconds`, or what is left when that is less: for waiting in short steps."""
        left = self.remaining()
        return seconds if left is None else min(seconds, left)
