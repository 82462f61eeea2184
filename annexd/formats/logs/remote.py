"""remote.log: the settings of special remotes that all repositories share."""

from __future__ import annotations

import re
from collections.abc import Mapping

from annexd.formats.logs import uuid_based
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock

_ESCAPED = re.compile(r"[\s&]")
_ESCAPE = re.compile(r"&(\d{1,7});", re.ASCII)


def parse(data: bytes | None) -> dict[UUID, dict[bytes, bytes]]:
    """The settings of each special remote."""
    return {uuid: parse_settings(entry.value) for uuid, entry in uuid_based.parse(data).items()}


def set_settings(data: bytes | None, uuid: UUID, settings: Mapping[bytes, bytes], now: VectorClock) -> bytes:
    """The log after the remote got just these settings at `now`."""
    return uuid_based.set_value(data, uuid, format_settings(settings), now)


def parse_settings(value: bytes) -> dict[bytes, bytes]:
    """The settings in one value of the log; words without "=" are passed over."""
    pairs = (word.partition(b"=") for word in value.split())
    return {name: unescape(text) for name, equals, text in pairs if equals}


def format_settings(settings: Mapping[bytes, bytes]) -> bytes:
    """The inverse of `parse_settings`, sorted by name."""
    return b" ".join([b"%b=%b" % (name, escape(settings[name])) for name in sorted(settings)])


def escape(text: bytes) -> bytes:
    """`text` with blanks and "&" written as "&DECIMAL;"."""
    return _ESCAPED.sub(lambda found: f"&{ord(found[0])};", _decoded(text)).encode("utf-8", "surrogateescape")


def unescape(text: bytes) -> bytes:
    """The inverse of `escape`; an "&" that starts no escape stands for itself."""
    return _ESCAPE.sub(_character, _decoded(text)).encode("utf-8", "surrogateescape")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _character(found: re.Match[str]) -> str:
    number = int(found[1])
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else found[0]
