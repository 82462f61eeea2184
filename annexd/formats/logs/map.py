"""Logs of one value per field, `TIME FIELD VALUE`: settings, expressions of groups, chunk counts.

Source: git-annex, map logs (format C).
"""

from __future__ import annotations

from collections.abc import Mapping

from annexd.errors import FormatError
from annexd.formats.logs.lines import Entry, Normal, as_it_is, lines_of
from annexd.formats.vector_clock import VectorClock


def parse(data: bytes | None, normal: Normal = as_it_is) -> dict[bytes, Entry]:
    """The newest value of each field; of values with equal times the last. Bad lines are passed over."""
    newest: dict[bytes, Entry] = {}
    for line in lines_of(data):
        parts = line.split(b" ", 2)
        if len(parts) != 3:
            continue
        value = normal(parts[2])
        try:
            clock = VectorClock.parse(parts[0])
        except FormatError:
            continue
        old = newest.get(parts[1])
        if value is not None and (old is None or clock >= old.clock):
            newest[parts[1]] = Entry(value, clock)
    return newest


def format(entries: Mapping[bytes, Entry]) -> bytes:
    """The log that holds these values, sorted."""
    return b"".join(
        [b"%b %b %b\n" % (entries[field].clock.format(), field, entries[field].value) for field in sorted(entries)]
    )


def set_value(data: bytes | None, field: bytes, value: bytes, now: VectorClock, normal: Normal = as_it_is) -> bytes:
    """The log after the field was set at `now`; an empty value unsets it where unsetting is possible."""
    entries = parse(data, normal)
    old = entries.get(field)
    entries[field] = Entry(value, VectorClock.next(old.clock if old else None, now))
    return format(entries)


def values(data: bytes | None) -> dict[bytes, bytes]:
    """Each field's value, the times left out."""
    return {field: entry.value for field, entry in parse(data).items()}
