"""File names in messages, quoted as git quotes them (core.quotePath)."""

from __future__ import annotations

import enum
import re

_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
_CONTROL = re.compile(rb'[\x00-\x1f\x7f"\\]')
_UNUSUAL = re.compile(rb'[\x00-\x1f\x7f"\\\x80-\xff]')


class Quoting(enum.Enum):
    """Which bytes make git quote a name."""

    ALL = "all"             # core.quotePath=true, the default: bytes above 0x7f too
    CONTROL = "control"     # core.quotePath=false


def quote(path: bytes, quoting: Quoting) -> str:
    """`path` as git shows it: in double quotes with escapes if it holds an unusual byte, else as it is."""
    unusual = _UNUSUAL if quoting is Quoting.ALL else _CONTROL
    if not unusual.search(path):
        return path.decode("utf-8", "surrogateescape")
    escaped = unusual.sub(_escape, path)
    return f'"{escaped.decode("utf-8", "surrogateescape")}"'


def _escape(found: re.Match[bytes]) -> bytes:
    byte = found[0][0]
    return _NAMED.get(byte, f"\\{byte:03o}").encode("ascii")
