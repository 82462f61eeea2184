"""trust.log: how far each repository is trusted to keep what it has."""

from __future__ import annotations

import enum

from annexd.formats.logs import uuid_based
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock


class TrustLevel(enum.Enum):
    """The levels; each value is its spelling in the log."""

    TRUSTED = b"1"
    SEMITRUSTED = b"?"
    UNTRUSTED = b"0"
    DEAD = b"X"


DEFAULT = TrustLevel.SEMITRUSTED

_LEVELS = {level.value: level for level in TrustLevel}


def parse(data: bytes | None) -> dict[UUID, TrustLevel]:
    """The level of each repository that the log speaks of; the others have `DEFAULT`."""
    return {uuid: _LEVELS[entry.value] for uuid, entry in uuid_based.parse(data, _known).items()}


def set_trust(data: bytes | None, uuid: UUID, level: TrustLevel, now: VectorClock) -> bytes:
    """The log after the repository got this level at `now`."""
    return uuid_based.set_value(data, uuid, level.value, now, _known)


def _known(value: bytes) -> bytes | None:
    return value if value in _LEVELS else None
