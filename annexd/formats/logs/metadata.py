"""Metadata logs: fields of a key with sets of values, `TIME FIELD +VALUE -VALUE ...`.

Each line says what was set and unset at a time; lines stay while they say something that newer ones do not.
Source: git-annex, metadata logs.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from annexd.errors import FormatError
from annexd.formats.logs.lines import lines_of
from annexd.formats.vector_clock import VectorClock

Changes = dict[bytes, dict[bytes, bool]]
"""Field -> value -> whether it was set (True) or unset (False)."""

_NEEDS_BASE64 = re.compile(rb"[ \r\n]|\A!")


class MetadataLine(NamedTuple):
    """One line of the log."""

    clock: VectorClock
    changes: Changes


def parse(data: bytes | None) -> list[MetadataLine]:
    """All lines, oldest first; bad lines are passed over."""
    lines = []
    for line in lines_of(data):
        time, _, rest = line.partition(b" ")
        try:
            lines.append(MetadataLine(VectorClock.parse(time), _parse_changes(rest)))
        except FormatError:
            continue
    return sorted(lines, key=lambda line: line.clock)


def format(lines: Iterable[MetadataLine]) -> bytes:
    """The log that holds these lines, in this order."""
    return b"".join([b"%b%b\n" % (line.clock.format(), _format_changes(line.changes)) for line in lines])


def current(data: bytes | None) -> dict[bytes, frozenset[bytes]]:
    """The values that are set now, by field; field names are folded to lower case."""
    state: dict[bytes, dict[bytes, bool]] = {}
    for line in parse(data):
        for field, values in line.changes.items():
            state.setdefault(fold(field), {}).update(values)
    set_now = {field: frozenset(v for v, is_set in values.items() if is_set) for field, values in state.items()}
    return {field: values for field, values in set_now.items() if values}


def change(data: bytes | None, changes: Mapping[bytes, Mapping[bytes, bool]], now: VectorClock) -> bytes:
    """The log after values were set (True) and unset (False) at `now`; lines that say nothing new any more are gone."""
    lines = parse(data)
    clock = VectorClock.next(lines[-1].clock if lines else None, now)
    added = {field: dict(values) for field, values in changes.items() if values}
    return format(_compact([*lines, MetadataLine(clock, added)] if added else lines))


def of_remotes(data: bytes | None, wants: Callable[[bytes], bool]) -> bytes:
    """A log whose fields are `UUID:FIELD`, with those only whose uuid is wanted."""
    kept = []
    for line in _compact(parse(data)):
        changes = {field: values for field, values in line.changes.items() if wants(field.partition(b":")[0])}
        if changes:
            kept.append(MetadataLine(line.clock, changes))
    return format(kept)


def replacing(data: bytes | None, field: bytes, values: Iterable[bytes]) -> Changes:
    """The changes after which the field has just these values."""
    wanted = dict.fromkeys(values, True)
    old = current(data).get(fold(field), frozenset())
    return {field: {**{value: False for value in old if value not in wanted}, **wanted}}


def fold(field: bytes) -> bytes:
    """The field's name as it is compared: letter case does not count."""
    return field.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")


def _compact(lines: list[MetadataLine]) -> list[MetadataLine]:
    known: set[tuple[bytes, bytes]] = set()
    kept = []
    for line in reversed(lines):
        said = {(fold(field), value) for field, values in line.changes.items() for value in values}
        if not said <= known:
            known |= said
            kept.append(line)
    return kept[::-1]


def _parse_changes(text: bytes) -> Changes:
    changes: Changes = {}
    field: bytes | None = None
    for word in text.split(b" "):
        value = _parse_value(word)
        if field is None or value is None:
            field = word
        else:
            changes.setdefault(field, {})[value[0]] = value[1]
    return changes


def _parse_value(word: bytes) -> tuple[bytes, bool] | None:
    if word[:1] not in (b"+", b"-"):
        return None
    value = word[1:]
    if value.startswith(b"!"):
        try:
            value = b64decode(value[1:], validate=True)
        except binascii.Error:
            return None
    return value, word.startswith(b"+")


def _format_changes(changes: Changes) -> bytes:
    words = []
    for field in sorted(changes, key=fold):
        words.append(b" " + field)
        words.extend(
            b" %b%b" % (b"+" if is_set else b"-", _format_value(value))
            for value, is_set in sorted(changes[field].items())
        )
    return b"".join(words)


def _format_value(value: bytes) -> bytes:
    return b"!" + b64encode(value) if _NEEDS_BASE64.search(value) else value
