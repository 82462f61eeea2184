"""Timestamps of log lines."""

from __future__ import annotations

import re
from typing import NamedTuple

from annexd.errors import FormatError

PICOSECONDS = 10**12

_GRAMMAR = re.compile(rb"(-?)(\d{1,20})(?:\.(\d+))?s?")


class VectorClock(NamedTuple):
    """A point in time, in picoseconds since the epoch; exact, as two logs must agree on which line is newer."""

    picoseconds: int

    @staticmethod
    def at(seconds: int) -> VectorClock:
        """The clock at whole seconds since the epoch, as new log entries have it."""
        return VectorClock(seconds * PICOSECONDS)

    @staticmethod
    def parse(text: bytes) -> VectorClock:
        """Timestamp of a log line, e.g. b"1287290776.765152s": seconds since the epoch.

        The fraction and the final "s" are optional; digits beyond picoseconds are dropped.
        Raises FormatError. Source: git-annex, vector clocks of logs.
        """
        if text[-1:] == b"s" and len(text) <= 21 and text[:-1].isdigit():  # nearly all are of this kind
            return VectorClock(int(text[:-1]) * PICOSECONDS)
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise FormatError(f"{ascii(text[:100])[2:-1]} is not a timestamp")
        size = int(found[2]) * PICOSECONDS + int((found[3] or b"")[:12].ljust(12, b"0"))
        return VectorClock(-size if found[1] else size)

    @staticmethod
    def next(prev: VectorClock | None, now: VectorClock) -> VectorClock:
        """The time of an entry that replaces one of time `prev`: now, or a second after `prev` if that is later.

        Source: git-annex, vector clocks.
        """
        if prev is None or now > prev:
            return now
        return VectorClock(prev.picoseconds + PICOSECONDS)

    @property
    def is_known(self) -> bool:
        """Whether the line had a timestamp at all."""
        return self != UNKNOWN

    def format(self) -> bytes:
        """The clock as logs have it, e.g. b"1700000000s" or b"1700000000.25s"; b"0" when unknown."""
        seconds, fraction = divmod(self.picoseconds, PICOSECONDS)
        if not fraction and seconds >= 0:
            return b"%ds" % seconds
        if self == UNKNOWN:
            return b"0"
        seconds, fraction = divmod(abs(self.picoseconds), PICOSECONDS)
        digits = (b".%012d" % fraction).rstrip(b"0").rstrip(b".")
        return b"%b%d%bs" % (b"-" if self.picoseconds < 0 else b"", seconds, digits)


UNKNOWN = VectorClock(-(10**40))
"""The time of a line without a timestamp: before all others (parsed clocks have at most 20 digits of seconds)."""
