"""Files that were checked out as pointers, and whose content is to be put in their place if it is here.

git forbids touching the work tree while a filter runs, so the smudge filter only takes notes, and the hooks after a
checkout or merge do the work. git-annex uses the same file. Source: git-annex, smudge.log: lines of "KEY PATH".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from annexd.annex.layout import RepoLayout
from annexd.errors import FormatError
from annexd.formats.key import Key
from annexd.system.files import read_file, write_all, write_atomically
from annexd.system.lock_pool import LOCKS
from annexd.threads.deadline import Deadline

LOG = b"smudge.log"
LOCK = b"smudge.lck"
LOCK_SECONDS = 30.0


class Smudged(NamedTuple):
    """One file that was checked out as a pointer."""

    key: Key
    path: bytes


def note(layout: RepoLayout, smudged: Iterable[Smudged]) -> None:
    """Remember these files. LockTimeout, OSError. The log cannot hold names with a newline: a scan finds those."""
    lines = [b"%b %b\n" % (bytes(key), path) for key, path in smudged if b"\n" not in path and b" " not in bytes(key)]
    if not lines:
        return
    with LOCKS.exclusive(layout.lock(LOCK), Deadline(LOCK_SECONDS)):
        fd = os.open(layout.lock(LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            write_all(fd, b"".join(lines))
        finally:
            os.close(fd)


def pending(layout: RepoLayout) -> list[Smudged]:
    """The files noted, each once; lines that make no sense are passed over. OSError."""
    return list(dict.fromkeys(found for line in _lines(layout) if (found := _parse(line)) is not None))


def forget(layout: RepoLayout, done: Iterable[Smudged]) -> None:
    """Take these files off the log, and what makes no sense; what came meanwhile stays. LockTimeout, OSError."""
    gone = set(done)
    with LOCKS.exclusive(layout.lock(LOCK), Deadline(LOCK_SECONDS)):
        left = [line for line in _lines(layout) if (found := _parse(line)) is not None and found not in gone]
        if left:
            write_atomically(layout.lock(LOG), b"".join([line + b"\n" for line in left]))
        else:
            with suppress(FileNotFoundError):
                os.unlink(layout.lock(LOG))


def _lines(layout: RepoLayout) -> list[bytes]:
    try:
        return read_file(layout.lock(LOG)).split(b"\n")
    except FileNotFoundError:
        return []


def _parse(line: bytes) -> Smudged | None:
    text, blank, path = line.partition(b" ")
    if not blank or not path:
        return None
    try:
        return Smudged(Key.parse(text), path)
    except FormatError:
        return None
