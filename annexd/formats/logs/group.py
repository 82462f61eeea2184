"""group.log: the groups that each repository is in."""

from __future__ import annotations

from collections.abc import Iterable

from annexd.formats.logs import uuid_based
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock


def parse(data: bytes | None) -> dict[UUID, frozenset[bytes]]:
    """The groups of each repository that the log speaks of."""
    return {uuid: frozenset(entry.value.split()) for uuid, entry in uuid_based.parse(data).items()}


def set_groups(data: bytes | None, uuid: UUID, groups: Iterable[bytes], now: VectorClock) -> bytes:
    """The log after the repository was put in just these groups at `now`."""
    return uuid_based.set_value(data, uuid, b" ".join(sorted(set(groups))), now, _sorted)


def _sorted(value: bytes) -> bytes | None:
    return b" ".join(sorted(set(value.split())))
