"""Logs of one value alone, `TIME VALUE`: how many copies are wanted.

Source: git-annex, single value logs (format D).
"""

from __future__ import annotations

from collections.abc import Callable

from annexd.errors import FormatError
from annexd.formats.logs.lines import Entry, lines_of
from annexd.formats.vector_clock import VectorClock

Rank = Callable[[bytes], int | None]
"""Says which of two values set at one time is the greater; None for a value that the log cannot hold."""


def parse(data: bytes | None, rank: Rank) -> Entry | None:
    """The newest value; of values with equal times the greatest. Bad lines are passed over."""
    best: tuple[VectorClock, int, bytes] | None = None
    for line in lines_of(data):
        time, blank, value = line.partition(b" ")
        size = rank(value)
        if not blank or size is None:
            continue
        try:
            candidate = (VectorClock.parse(time), size, value)
        except FormatError:
            continue
        best = candidate if best is None else max(best, candidate)
    return None if best is None else Entry(best[2], best[0])


def set_value(data: bytes | None, value: bytes, now: VectorClock, rank: Rank) -> bytes:
    """The log after the value was set at `now`."""
    old = parse(data, rank)
    return b"%b %b\n" % (VectorClock.next(old.clock if old else None, now).format(), value)
