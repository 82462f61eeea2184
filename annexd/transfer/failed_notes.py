"""Notes on disk about transfers that failed, one small file each: what the daemon and commands leave for each other.

Source: git-annex, .git/annex/transfer/failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from annexd.annex.layout import RepoLayout
from annexd.errors import UnsafePath
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction, Transfer, TransferInfo, parse_info_path
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.system import files


def write(layout: RepoLayout, transfer: Transfer, file: bytes | None) -> None:
    """Note that it failed; `file` is for people. OSError, UnsafePath."""
    path = layout.failed_transfer(transfer.direction.value, transfer.uuid, transfer.key)
    data = TransferInfo(VectorClock(time.time_ns() * 1000), None, file).serialise()
    try:
        files.write_atomically(path, data)
    except FileNotFoundError:
        files.make_dirs(os.path.dirname(path), layout.annex_dir)
        files.write_atomically(path, data)


def remove(layout: RepoLayout, direction: Direction, uuids: Iterable[UUID], key: Key) -> None:
    """The transfer is done, or not wanted any more. A download may have failed at several remotes before. OSError."""
    for uuid in uuids:
        with suppress(FileNotFoundError, UnsafePath):
            os.unlink(layout.failed_transfer(direction.value, uuid, key))


def read_all(layout: RepoLayout) -> Iterator[tuple[Transfer, TransferInfo]]:
    """All notes that make sense, in no particular order."""
    root = layout.transfer_root
    for direction in Direction:
        top = b"%b/failed/%b" % (root, direction.value)
        for uuid in _names(top):
            for name in _names(b"%b/%b" % (top, uuid)):
                path = b"failed/%b/%b/%b" % (direction.value, uuid, name)
                transfer = parse_info_path(path)
                if transfer is not None:
                    with suppress(OSError):     # it was removed just now
                        yield transfer, TransferInfo.parse(files.read_file(b"%b/%b" % (root, path)))


class NotesOfCommand:
    """What one command finds and leaves. The jobs of -J share it: it holds nothing that changes but a table, of which
    each step is atomic, and no two jobs work on one key.

    Only notes that were there when the command began, or that it wrote, are removed when a transfer works after all,
    so that the many transfers about which there is no note cost nothing.
    """

    def __init__(self, layout: RepoLayout) -> None:
        self._layout = layout
        self._noted: dict[tuple[Direction, Key], frozenset[UUID]] = {}
        for transfer, _ in read_all(layout):
            self._add(transfer)

    def failed(self, transfer: Transfer, file: bytes | None) -> None:
        """Note it where that can be done: on a full disk the command tells of the failure all the same."""
        with suppress(OSError, UnsafePath):
            write(self._layout, transfer, file)
            self._add(transfer)

    def done(self, transfer: Transfer) -> None:
        """It worked. What was downloaded is here, whoever could not give it before."""
        place = (transfer.direction, transfer.key)
        noted = self._noted.get(place)
        if noted is None:
            return
        is_download = transfer.direction is Direction.DOWNLOAD
        over = noted if is_download else noted & {transfer.uuid}
        self._noted[place] = noted - over
        with suppress(OSError):
            remove(self._layout, transfer.direction, over, transfer.key)

    def _add(self, transfer: Transfer) -> None:
        place = (transfer.direction, transfer.key)
        self._noted[place] = self._noted.get(place, frozenset()) | {transfer.uuid}


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
