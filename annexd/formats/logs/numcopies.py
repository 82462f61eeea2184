"""numcopies.log and mincopies.log: how many copies there should and must be."""

from __future__ import annotations

import re

from annexd.formats.logs import single
from annexd.formats.vector_clock import VectorClock

_NUMBER = re.compile(rb"-?\d{1,18}")


def parse(data: bytes | None) -> int | None:
    """The number of copies that the log asks for; None when it was never set."""
    entry = single.parse(data, _count)
    return None if entry is None else int(entry.value)


def set_copies(data: bytes | None, copies: int, now: VectorClock) -> bytes:
    """The log after `copies` were asked for at `now`."""
    return single.set_value(data, b"%d" % copies, now, _count)


def _count(value: bytes) -> int | None:
    return int(value) if _NUMBER.fullmatch(value) else None
