"""What can be said of a key and its file, as fields for --json and as variables for --format."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from annexd.formats import hash_dirs
from annexd.formats.key import Key
from annexd.formats.units import format_size_short

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{3})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def key_fields(key: Key, levels: int = 2) -> dict[str, str]:
    """The fields that depend on the key alone, under git-annex's names."""
    unknown = "unknown"
    return {
        "backend": os.fsdecode(key.backend),
        "bytesize": unknown if key.size is None else str(key.size),
        "hashdirlower": os.fsdecode(hash_dirs.lower(key, levels)) + "/",
        "hashdirmixed": os.fsdecode(hash_dirs.mixed(key, levels)) + "/",
        "humansize": unknown if key.size is None else format_size_short(key.size),
        "key": os.fsdecode(bytes(key)),
        "keyname": os.fsdecode(key.name),
        "mtime": unknown if key.mtime is None else str(key.mtime),
    }


def fill_format(template: str, variables: Mapping[str, str]) -> bytes:
    """The template with its variables and backslash escapes replaced; unknown variables become nothing."""
    pieces = []
    at = 0
    for found in _VARIABLE.finditer(template):
        pieces += [_unescape(template[at : found.start()]), variables.get(found[1], "")]
        at = found.end()
    pieces.append(_unescape(template[at:]))
    return os.fsencode("".join(pieces))


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_replacement, text)


def _replacement(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    if found[2]:
        return chr(int(found[2], 8) & 0xFF)
    return _NAMED.get(found[3], found[3])
