"""Does content match its key?"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable

from annexd.backends.registry import backend, hash_file, verify
from annexd.formats.key import Key


class Verdict(enum.Enum):
    """The outcome of holding content against its key."""

    MATCHES = "matches"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """The size fits, and the key says nothing about the content that can be checked here."""


class Depth(enum.Enum):
    """How closely to look."""

    SIZE = "size"
    CONTENT = "content"


Progress = Callable[[int], None]
"""Is told how many bytes were read so far; what it raises ends the reading."""


def verify_file(
    path: bytes, key: Key, depth: Depth = Depth.CONTENT, progress: Progress | None = None
) -> Verdict:
    """Hold the regular file at `path` against `key`. Reads all of it for Depth.CONTENT, so it blocks. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return verify_fd(fd, key, depth, progress)
    finally:
        os.close(fd)


def verify_fd(fd: int, key: Key, depth: Depth = Depth.CONTENT, progress: Progress | None = None) -> Verdict:
    """Like `verify_file`, for an open file, from its beginning. Moves the file position. OSError."""
    whole = key.chunk_size is None and key.chunk_number is None
    if whole and key.size is not None and os.fstat(fd).st_size != key.size:
        return Verdict.DIFFERS
    if depth is Depth.SIZE or not whole:
        return Verdict.UNKNOWN
    known = backend(key.backend)
    hasher = None if known is None else known.hasher()
    if hasher is None:
        return Verdict.UNKNOWN
    os.lseek(fd, 0, os.SEEK_SET)
    hash_file(fd, hasher, progress)
    return Verdict.MATCHES if verify(key, hasher.hexdigest()) else Verdict.DIFFERS


def verify_bytes(data: bytes, key: Key) -> Verdict:
    """Like `verify_file`, for content in memory."""
    if key.size is not None and len(data) != key.size:
        return Verdict.DIFFERS
    known = backend(key.backend)
    hasher = None if known is None else known.hasher()
    if hasher is None:
        return Verdict.UNKNOWN
    hasher.update(data)
    return Verdict.MATCHES if verify(key, hasher.hexdigest()) else Verdict.DIFFERS
