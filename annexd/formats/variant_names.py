"""From the name of a variant back to the file that was in conflict. The other way is in `variants.py`."""

from __future__ import annotations

MARK = b".variant-"


def is_variant(path: bytes) -> bool:
    """Whether the path's last name is that of a version that lost its name in a conflict."""
    return MARK in path.rpartition(b"/")[2]


def original_path(path: bytes) -> bytes:
    """The path that a variant, also one of a variant, was made from; other paths as they are.

    A hidden file's variant lies beside its directory, and its own directory cannot be told from its name.
    """
    directory, slash, name = path.rpartition(b"/")
    base, found, rest = name.partition(MARK)
    if not found:
        return path
    tail = rest.rpartition(MARK)[2]
    dot, extension = (b".", tail.rpartition(b".")[2]) if b"." in tail else (b"", b"")
    return directory + slash + (b"" if base == b"." else base) + dot + extension


def numbered(path: bytes, label: bytes, number: int) -> bytes:
    """A plain name for a version: b"f (label).txt", for later numbers b"f (label 2).txt"."""
    directory, slash, name = path.rpartition(b"/")
    base, dot, extension = name.rpartition(b".")
    if not base:
        base, dot, extension = name, b"", b""
    count = b"" if number < 2 else b" %d" % number
    return directory + slash + base + b" (" + label + count + b")" + dot + extension
