"""Names for the versions of a file that were changed in two places at once.

Source: git-annex, automatic conflict resolution; what git-annex leaves to people is named in the same manner.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from itertools import chain, count

from annexd.formats.key import Key

_MARK = b".variant-"
_SHORT = 4
LONGEST_NAME = 255
"""Bytes that a file system takes as the name of one file."""


def variant_path(path: bytes, key: Key) -> bytes:
    """The path that the version with this key gets, when it loses `path` in a conflict.

    Every repository must find the same name, so git-annex's quirk about names that start with their only dot is kept:
    such a variant lands beside the directory it belongs in.
    """
    suffix = key.file_name() if _MARK in path else md5(bytes(key), usedforsecurity=False).hexdigest()[:_SHORT].encode()
    directory, slash, name = path.rpartition(b"/")
    base, dot, extension = name.rpartition(b".")
    if not dot:
        base, extension = name, b""
    if not base:
        return (directory or b".") + _MARK + suffix + dot + extension
    return directory + slash + base + _MARK + suffix + dot + extension


def variant_paths(path: bytes, key: Key) -> Iterator[bytes]:
    """Where the version with this key may go, best first, without end: for when something else is there already.

    The first is that of git-annex, unless no file system would take it.
    """
    found = path
    for number in count():
        found = variant_path(found, key)
        yield found if _fits(found) else _shortened(path, b"%b %d" % (bytes(key), number))


def plain_variant_paths(path: bytes, object_name: bytes) -> Iterator[bytes]:
    """The same for a version that is not annexed; `object_name` is git's name of it, in hex.

    A name that starts with its only dot is kept whole, and no version leaves its directory.
    """
    directory, slash, base, extension = _split(path)
    numbered = (b"%b-%d" % (object_name, number) for number in count(1))
    short = () if _MARK in path else (object_name[:_SHORT],)
    for suffix in chain(short, (object_name,), numbered):
        found = directory + slash + base + _MARK + suffix + extension
        yield found if _fits(found) else _shortened(path, suffix)


def _split(path: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    directory, slash, name = path.rpartition(b"/")
    base, dot, extension = name.rpartition(b".")
    return (directory, slash, base, dot + extension) if base else (directory, slash, name, b"")


def _fits(path: bytes) -> bool:
    return len(path) - path.rfind(b"/") - 1 <= LONGEST_NAME


def _shortened(path: bytes, unique: bytes) -> bytes:
    directory, slash, base, extension = _split(path)
    if len(extension) > LONGEST_NAME // 4:
        base, extension = base + extension, b""
    end = _MARK + md5(unique, usedforsecurity=False).hexdigest().encode() + extension
    cut = base[: LONGEST_NAME - len(end)]
    while cut and len(cut) < len(base) and base[len(cut)] & 0xC0 == 0x80:     # not within a letter of UTF-8
        cut = cut[:-1]
    return directory + slash + (cut or base[: LONGEST_NAME - len(end)]) + end
