"""git's configuration file grammar, for the few settings that are needed before git can be asked.

Includes are not followed, as git itself does not follow them when it looks for a repository's format.
Source: git, documentation of git-config, "Syntax".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from annexd.errors import FormatError

_SECTION = re.compile(rb'\[([-.0-9A-Za-z]+)(?:[ \t]+"((?:[^"\\\n]|\\.)*)")?[ \t]*\]')
_NAME = re.compile(rb"([A-Za-z][-0-9A-Za-z]*)[ \t]*")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"b": b"\b", b'"': b'"', b"\\": b"\\"}


def parse_config_file(data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """(name, value) in file order; names as b"core.bare" or b"remote.Some Name.url"; None for a bare `name` line.

    Raises FormatError.
    """
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    position, section = 0, b""
    while position < len(data):
        byte = data[position : position + 1]
        if byte in b" \t\n":
            position += 1
        elif byte in b"#;":
            position = _line_end(data, position)
        elif byte == b"[":
            section, position = _section(data, position)
        else:
            name = _NAME.match(data, position)
            if name is None or not section:
                raise FormatError("not a git configuration file", source="config", offset=position)
            value, position = _value(data, name.end())
            yield section + b"." + name[1].lower(), value


def _line_end(data: bytes, position: int) -> int:
    end = data.find(b"\n", position)
    return len(data) if end < 0 else end


def _section(data: bytes, position: int) -> tuple[bytes, int]:
    found = _SECTION.match(data, position)
    if found is None:
        raise FormatError("unreadable section name", source="config", offset=position)
    if found[2] is None:
        return found[1].lower(), found.end()
    return found[1].lower() + b"." + re.sub(rb"\\(.)", rb"\1", found[2]), found.end()


def _value(data: bytes, position: int) -> tuple[bytes | None, int]:
    if data[position : position + 1] != b"=":
        return None, position
    position += 1
    value = bytearray()
    solid = 0  # length up to the last byte that must stay: blanks at the end only count inside quotes
    quoted = False
    while position < len(data):
        byte = data[position : position + 1]
        position += 1
        if byte == b"\n":
            if quoted:
                raise FormatError("quote not closed", source="config", offset=position)
            break
        if byte == b"\\":
            following = data[position : position + 1]
            position += 1
            if following == b"\n":
                continue
            if following not in _ESCAPES:
                raise FormatError("unknown escape", source="config", offset=position)
            value += _ESCAPES[following]
            solid = len(value)
        elif byte == b'"':
            quoted = not quoted
            solid = len(value)
        elif quoted or byte not in b" \t#;":
            value += byte
            solid = len(value)
        elif byte in b"#;":
            position = _line_end(data, position)
        elif value:
            value += byte
    return bytes(value[:solid]), position


def parse_bool(value: bytes | None) -> bool:
    """git's idea of a boolean; a setting without value is true. Raises ValueError."""
    if value is None:
        return True
    word = value.lower()
    if word in (b"true", b"yes", b"on"):
        return True
    if word in (b"false", b"no", b"off", b""):
        return False
    return parse_int(value) != 0


def parse_int(value: bytes) -> int:
    """A number with git's optional k, m or g. Raises ValueError."""
    text = value.strip().lower()
    factor = {b"k": 1 << 10, b"m": 1 << 20, b"g": 1 << 30}.get(text[-1:], 1)
    return int(text[:-1] if factor > 1 else text, 0) * factor
