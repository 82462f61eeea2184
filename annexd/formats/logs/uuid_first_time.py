"""Logs of one value per repository with the time in front, `TIME UUID VALUE`: sizes, clusters, states of remotes.

Source: git-annex, uuid-based logs (format B).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from annexd.formats.logs import map as map_log
from annexd.formats.logs.lines import Entry, Normal, as_it_is
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock


def parse(data: bytes | None, normal: Normal = as_it_is) -> dict[UUID, Entry]:
    """The newest value of each repository; of values with equal times the last. Bad lines are passed over."""
    return {UUID(uuid): entry for uuid, entry in map_log.parse(data, normal).items()}


def format(entries: Mapping[UUID, Entry]) -> bytes:
    """The log that holds these values, sorted."""
    return map_log.format({bytes(uuid): entry for uuid, entry in entries.items()})


def set_value(data: bytes | None, uuid: UUID, value: bytes, now: VectorClock, normal: Normal = as_it_is) -> bytes:
    """The log after the repository's value was set at `now`."""
    return map_log.set_value(data, uuid, value, now, normal)


def values(data: bytes | None) -> dict[UUID, bytes]:
    """Each repository's value, the times left out."""
    return {uuid: entry.value for uuid, entry in parse(data).items()}


def without(data: bytes | None, uuids: Iterable[UUID]) -> bytes:
    """The log without these repositories."""
    gone = frozenset(uuids)
    return format({uuid: entry for uuid, entry in parse(data).items() if uuid not in gone})
