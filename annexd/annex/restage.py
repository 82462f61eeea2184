"""Files whose new stat git's index has yet to learn, because the index was locked when their content came or went.

`git annex restage` reads the same file. Source: git-annex, restage.log: lines of "INODE SIZE SECONDS NANOSECONDS:PATH".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from annexd.annex.layout import RepoLayout
from annexd.system import files
from annexd.system.lock_pool import LOCKS
from annexd.threads.deadline import Deadline

LOG = b"restage.log"
LOCK = b"restage.lck"
LOCK_SECONDS = 5.0

_SECOND = 1_000_000_000


def note(layout: RepoLayout, stats: Mapping[bytes, os.stat_result]) -> None:
    """Remember that the index does not know these files' stat. LockTimeout, OSError.

    The log cannot hold names with a newline: the next scan of the work tree finds those.
    """
    lines = [_line(path, status) for path, status in stats.items() if b"\n" not in path]
    if not lines:
        return
    with LOCKS.exclusive(layout.lock(LOCK), Deadline(LOCK_SECONDS)):
        fd = os.open(layout.lock(LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            files.write_all(fd, b"".join(lines))
        finally:
            os.close(fd)


def pending(layout: RepoLayout) -> dict[bytes, bytes]:
    """The paths that were noted, with the inode cache of each; lines that make no sense are passed over. OSError."""
    return {path: cache for path, cache in map(_parse, _lines(layout)) if path}


def inode_cache(status: os.stat_result) -> bytes:
    """A file's stat in git-annex's words: inode, size, mtime in seconds and nanoseconds."""
    return b"%d %d %d %d" % (status.st_ino, status.st_size, *divmod(status.st_mtime_ns, _SECOND))


def forget(layout: RepoLayout, paths: frozenset[bytes]) -> None:
    """Take the paths off the log, and what makes no sense. LockTimeout, OSError."""
    with LOCKS.exclusive(layout.lock(LOCK), Deadline(LOCK_SECONDS)):
        left = [line for line in _lines(layout) if (path := _parse(line)[0]) and path not in paths]
        if left:
            files.write_atomically(layout.lock(LOG), b"".join(line + b"\n" for line in left))
        else:
            with suppress(FileNotFoundError):
                os.unlink(layout.lock(LOG))


def _line(path: bytes, status: os.stat_result) -> bytes:
    return b"%b:%b\n" % (inode_cache(status), path)


def _lines(layout: RepoLayout) -> list[bytes]:
    try:
        return files.read_file(layout.lock(LOG)).split(b"\n")
    except FileNotFoundError:
        return []


def _parse(line: bytes) -> tuple[bytes, bytes]:
    """The path and the stat; two empty values for a line that is none of the log."""
    cache, colon, path = line.partition(b":")
    words = cache.split(b" ")
    if not colon or len(words) != 4 or not all(word.isdigit() for word in words):
        return b"", b""
    return path, cache
