"""Short notes in an annex of what was just copied into it, for the daemon that watches it.

Many small contents come without the lock file for each that tells of a transfer's end, and the location log tells of
them only once they are safely on the disk. A daemon makes the directory for such notes; without it none are left.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from contextlib import suppress

from annexd.annex.layout import RepoLayout
from annexd.errors import AnnexError, FormatError
from annexd.formats.key import Key
from annexd.system import files

MAX_WAITING = 256       # notes; a daemon that leaves so many unread is dead, or finds the content otherwise
MAX_BYTES = 1 << 20

_serial = itertools.count()     # next() on it is atomic; it only makes names differ


def directory(layout: RepoLayout) -> bytes:
    """Where the notes are left."""
    return layout.annexd_dir + b"/arrived"


def leave(layout: RepoLayout, keys: Iterable[Key]) -> None:
    """Tell the daemon there, if one runs, that the content of the keys is in this annex now. Never fails."""
    place = directory(layout)
    lines = b"".join(key.file_name() + b"\n" for key in keys if b"\n" not in key.name)
    with suppress(OSError):     # it is only sooner than the location log
        if lines and len(os.listdir(place)) < MAX_WAITING:
            files.write_atomically(b"%b/%d-%d" % (place, os.getpid(), next(_serial)), lines, temp_dir=layout.annexd_dir)


def take(layout: RepoLayout) -> list[Key]:
    """The keys of all notes, which are removed. OSError."""
    place = directory(layout)
    keys: list[Key] = []
    for name in os.listdir(place):
        path = place + b"/" + name
        with suppress(FileNotFoundError):
            with suppress(AnnexError):      # nobody leaves one that long
                keys += _parse(files.read_file(path, limit=MAX_BYTES))
            os.unlink(path)
    return keys


def _parse(data: bytes) -> list[Key]:
    keys = []
    for line in data.splitlines():
        with suppress(FormatError):     # whoever may write there may write nonsense
            keys.append(Key.from_file_name(line))
    return keys
