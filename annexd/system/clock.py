"""What time it is."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Protocol

from annexd.errors import ConfigError, FormatError
from annexd.formats.vector_clock import VectorClock

VECTOR_CLOCK_VARIABLE = "GIT_ANNEX_VECTOR_CLOCK"


class Clock(Protocol):
    """Time, as a value that is handed in, so that tests can set it."""

    def time_ns(self) -> int:
        """Wall clock, nanoseconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""

    def vector_now(self) -> VectorClock:
        """The time stamp for a new log entry."""


class SystemClock:
    """The machine's own clock."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def time_ns(self) -> int:
        """Wall clock, nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()

    def vector_now(self) -> VectorClock:
        """Whole seconds since the epoch, or what the environment sets; ConfigError when that is no time stamp.

        Source: git-annex, vector clocks of logs and GIT_ANNEX_VECTOR_CLOCK.
        """
        fixed = self._environ.get(VECTOR_CLOCK_VARIABLE)
        if fixed is None:
            return VectorClock.at(int(time.time()))
        try:
            return VectorClock.parse(os.fsencode(fixed))
        except FormatError as error:
            raise ConfigError(
                f"{VECTOR_CLOCK_VARIABLE} is {fixed!r}, which is not a time stamp", hint="use seconds since the epoch"
            ) from error
