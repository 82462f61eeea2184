"""What all logs share: lines, and values with the time they were set.

Source: git-annex, logs of the git-annex branch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from annexd.formats.vector_clock import VectorClock

_LINE_ENDS = re.compile(rb"[\r\n]+")

Normal = Callable[[bytes], bytes | None]
"""Puts a value into its usual spelling; None for a value that the log cannot hold, whose line is then passed over."""


class Entry(NamedTuple):
    """A value, and when it was set."""

    value: bytes
    clock: VectorClock


def as_it_is(value: bytes) -> bytes | None:
    """The `Normal` of logs whose values may be anything."""
    return value


def lines_of(data: bytes | None) -> list[bytes]:
    """The lines of a log, which end at any run of newlines and carriage returns."""
    if not data:
        return []
    return [line for line in _LINE_ENDS.split(data) if line]
