"""News of content that a command keeps in memory, noted so that its death does not lose them.

One small file for each process in G/annex/annexd/unrecorded/, locked while that lives; what a dead one left there is
written into the location logs by the next command or daemon.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from annexd.annex.layout import RepoLayout
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.errors import FormatError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.system import files
from annexd.system.lock_pool import LOCKS, Hold, OnRelease

_serial = itertools.count()


class UnrecordedNote:
    """The file of one command. Its owner keeps two threads from writing at a time."""

    def __init__(self, layout: RepoLayout) -> None:
        self._directory = _directory(layout)
        self._hold: Hold | None = None

    def add(self, keys: Iterable[Key], uuid: UUID) -> None:
        """The repository has the content of these, or may have it in a moment when it is this one. OSError."""
        if self._hold is None:
            self._hold = self._open()
        files.write_all(self._hold.fd, b"".join(b"%b %b\0" % (uuid, bytes(key)) for key in keys))

    def remove(self) -> None:
        """All of it is recorded."""
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()

    def _open(self) -> Hold:
        files.make_dirs(self._directory, os.path.dirname(os.path.dirname(self._directory)))
        path = b"%b/%d-%d" % (self._directory, os.getpid(), next(_serial))
        hold = LOCKS.try_exclusive(path, on_release=OnRelease.UNLINK)
        if hold is None:
            raise OSError(f"{path!r} is in use")
        os.ftruncate(hold.fd, 0)
        return hold


def record_left_behind(state: AnnexState) -> int:
    """Write what dead commands noted into the location logs; how many contents. Nearly free when there is nothing.

    Of this repository only that is believed which is here. Raises LockTimeout, OSError, GitError; then the notes stay.
    """
    recorded = 0
    for name in _names(_directory(state.layout)):
        path = b"%b/%b" % (_directory(state.layout), name)
        hold = LOCKS.try_exclusive(path)
        if hold is None:        # its owner lives
            continue
        with hold:
            changes = [
                (key, uuid, Presence.PRESENT)
                for key, uuid in set(_read(hold.fd))
                if uuid != state.uuid or state.store.is_present(key)
            ]
            if changes:
                state.locations.record_many(changes)
                recorded += len(changes)
            with suppress(FileNotFoundError):
                os.unlink(path)
    return recorded


def _read(fd: int) -> Iterator[tuple[Key, UUID]]:
    data = b""
    os.lseek(fd, 0, os.SEEK_SET)
    while piece := os.read(fd, 1 << 20):
        data += piece
    for line in data.split(b"\0")[:-1]:     # the last one was cut off, or is empty
        uuid, _, key = line.partition(b" ")
        with suppress(FormatError):
            yield Key.parse(key), UUID(uuid)


def _directory(layout: RepoLayout) -> bytes:
    return layout.annexd_dir + b"/unrecorded"


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
