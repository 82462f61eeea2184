"""config.log: settings that all repositories share."""

from __future__ import annotations

from annexd.formats.logs import map as map_log
from annexd.formats.vector_clock import VectorClock


def parse(data: bytes | None) -> dict[bytes, bytes]:
    """The settings that are set, by name, e.g. b"annex.largefiles"."""
    return {name: value for name, value in map_log.values(data).items() if value}


def set_setting(data: bytes | None, name: bytes, value: bytes, now: VectorClock) -> bytes:
    """The log after the setting was set at `now`; an empty value unsets it."""
    return map_log.set_value(data, name, value, now)
