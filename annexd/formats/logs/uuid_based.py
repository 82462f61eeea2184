"""Logs of one value per repository, `UUID VALUE timestamp=TIME`: descriptions, trust, groups, remotes and others.

Source: git-annex, uuid-based logs (format A).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from annexd.errors import FormatError
from annexd.formats.logs.lines import Entry, Normal, as_it_is, lines_of
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import UNKNOWN, VectorClock

_TIMESTAMP = b" timestamp="


def parse(data: bytes | None, normal: Normal = as_it_is) -> dict[UUID, Entry]:
    """The newest value of each repository; of values with equal times the last. Bad lines are passed over."""
    newest: dict[UUID, Entry] = {}
    for line in lines_of(data):
        text, clock = _split_timestamp(line)
        uuid, _, spelled = text.partition(b" ")
        value = normal(spelled)
        if not uuid or value is None:
            continue
        old = newest.get(UUID(uuid))
        if old is None or clock >= old.clock:
            newest[UUID(uuid)] = Entry(value, clock)
    return newest


def format(entries: Mapping[UUID, Entry]) -> bytes:
    """The log that holds these values, sorted."""
    return b"".join([_line(uuid, entries[uuid]) for uuid in sorted(entries)])


def set_value(data: bytes | None, uuid: UUID, value: bytes, now: VectorClock, normal: Normal = as_it_is) -> bytes:
    """The log after the repository's value was set at `now`."""
    entries = parse(data, normal)
    old = entries.get(uuid)
    entries[uuid] = Entry(value, VectorClock.next(old.clock if old else None, now))
    return format(entries)


def values(data: bytes | None) -> dict[UUID, bytes]:
    """Each repository's value, the times left out."""
    return {uuid: entry.value for uuid, entry in parse(data).items()}


def without(data: bytes | None, uuids: Set[UUID] | Iterable[UUID], normal: Normal = as_it_is) -> bytes:
    """The log without these repositories."""
    gone = frozenset(uuids)
    return format({uuid: entry for uuid, entry in parse(data, normal).items() if uuid not in gone})


def _split_timestamp(line: bytes) -> tuple[bytes, VectorClock]:
    text, mark, time = line.rpartition(_TIMESTAMP)
    if not mark:
        return line, UNKNOWN
    try:
        return text, VectorClock.parse(time)
    except FormatError:
        return line, UNKNOWN  # then it belongs to the value


def _line(uuid: UUID, entry: Entry) -> bytes:
    if entry.clock == UNKNOWN:
        return b"%b %b\n" % (uuid, entry.value)
    return b"%b %b timestamp=%b\n" % (uuid, entry.value, entry.clock.format())
