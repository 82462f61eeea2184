"""How long a command may take, and how much it may work on: --time-limit and --size-limit.

Source: git-annex, common options.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable

LIMIT_REACHED = 101     # exit status


class Budget:
    """The limits of one command run. Belongs to the main thread."""

    def __init__(
        self,
        seconds: float | None = None,
        size: int | None = None,
        *,
        told_as: str = "",
        on_over: Callable[[str], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._end = None if seconds is None else monotonic() + seconds
        self._left = size
        self._told_as = told_as
        self._on_over = on_over
        self._is_over = False
        self._was_too_large = False

    @classmethod
    def of(cls, options: Namespace, on_over: Callable[[str], None]) -> Budget:
        """What the options ask for; `on_over` is given a line for people once the time is over."""
        time_limit: tuple[str, int] | None = getattr(options, "time_limit", None)
        size: int | None = getattr(options, "size_limit", None)
        if time_limit is None:
            return cls(None, size)
        return cls(time_limit[1], size, told_as=time_limit[0], on_over=on_over)

    @property
    def is_over(self) -> bool:
        """Whether the time is over, which is told once."""
        if self._end is None or self._monotonic() < self._end:
            return False
        if not self._is_over:
            self._is_over = True
            self._on_over(f"  Time limit ({self._told_as}) reached! Shutting down...")
        return True

    def admits(self, size: int | None) -> bool:
        """Whether one more may be worked on, of this size. Smaller ones may still fit when one did not."""
        if self.is_over:
            return False
        if self._left is None or size is None:
            return True
        if size > self._left:
            self._was_too_large = True
            return False
        self._left -= size
        return True

    @property
    def was_reached(self) -> bool:
        """Whether something was left undone for it."""
        return self._is_over or self._was_too_large
