"""What `unused` found: keys with the numbers that people call them by, and the time at which each was found first.

Source: git-annex, .git/annex/unused and its like.
"""

from __future__ import annotations

from typing import NamedTuple

from annexd.errors import FormatError
from annexd.formats.key import Key


class Unused(NamedTuple):
    """One line. `since` is kept as it was written; old versions wrote none."""

    number: int
    key: Key
    since: bytes = b""


def parse(data: bytes) -> list[Unused]:
    """The lines that make sense, in their order."""
    found = []
    for line in data.split(b"\n"):
        number, _, rest = line.partition(b" ")
        name, _, since = rest.rpartition(b" ") if b" " in rest else (rest, b"", b"")
        try:
            found.append(Unused(int(number), Key.parse(name), since))
        except (ValueError, FormatError):
            continue
    return found


def serialise(lines: list[Unused]) -> bytes:
    """The file's content; the inverse of `parse`."""
    return b"".join(b" ".join((b"%d" % number, bytes(key), since)).rstrip() + b"\n" for number, key, since in lines)
