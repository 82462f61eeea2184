"""Names for the versions of a file that were changed in two places at once.

Source: git-annex, automatic conflict resolution.
"""

from __future__ import annotations

from hashlib import md5

from annexd.formats.key import Key

_MARK = b".variant-"


def variant_path(path: bytes, key: Key) -> bytes:
    """The path that the version with this key gets, when it loses `path` in a conflict.

    Every repository must find the same name, so git-annex's quirk about names that start with their only dot is kept:
    such a variant lands beside the directory it belongs in.
    """
    suffix = key.file_name() if _MARK in path else md5(bytes(key), usedforsecurity=False).hexdigest()[:4].encode()
    directory, slash, name = path.rpartition(b"/")
    base, dot, extension = name.rpartition(b".")
    if not dot:
        base, extension = name, b""
    if not base:
        return (directory or b".") + _MARK + suffix + dot + extension
    return directory + slash + base + _MARK + suffix + dot + extension
