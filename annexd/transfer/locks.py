"""Locks and information files of running transfers: what keeps git-annex and us from doing the same transfer twice.

Source: git-annex, .git/annex/transfer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from annexd.annex.layout import RepoLayout
from annexd.errors import TransferInProgress
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction, Transfer, TransferInfo, parse_info_path
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.system import files
from annexd.system.lock_pool import LOCKS, OnRelease

STEPS = 100                 # a transfer of known size writes its information file about this often
STEP_OF_UNKNOWN = 100_000   # bytes
SHORTEST_INTERVAL = 0.1     # seconds
LOCK_PREFIX = b"lck."

OPPOSITE = {Direction.UPLOAD: Direction.DOWNLOAD, Direction.DOWNLOAD: Direction.UPLOAD}


class InfoFile:
    """The information file of one transfer. Belongs to the thread that transfers."""

    def __init__(self, path: bytes, info: TransferInfo, total: int | None) -> None:
        self._path = path
        self._info = info
        self._step = STEP_OF_UNKNOWN if total is None else max(1, total // STEPS)
        self._next = self._step
        self._not_before = 0.0
        self._write(info)

    def update(self, done: int) -> None:
        """`done` bytes are in place; written down when that is a visible step."""
        if done < self._next:
            return
        now = time.monotonic()
        if now >= self._not_before:
            self._next = done + self._step
            self._not_before = now + SHORTEST_INTERVAL
            self._write(TransferInfo(self._info.started, done, self._info.file))

    def remove(self) -> None:
        """The transfer has ended."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def _write(self, info: TransferInfo) -> None:
        files.write_atomically(self._path, info.serialise())


@contextmanager
def announced(
    layout: RepoLayout,
    direction: Direction,
    uuid: UUID,
    key: Key,
    *,
    file: bytes | None = None,
    started: VectorClock | None = None,
) -> Iterator[InfoFile]:
    """Hold the lock of one transfer in one repository, with its information file, while the block runs.

    `uuid` is the other repository, `direction` as seen from `layout`'s. Raises TransferInProgress when any process, or
    another thread of ours, has it.
    """
    with ExitStack() as held:
        if direction is Direction.DOWNLOAD:
            _take(held, layout, layout.download_key_lock(key), key)
        _take(held, layout, layout.transfer_lock(direction.value, uuid, key), key)
        began = started or VectorClock(time.time_ns() * 1000)
        info = InfoFile(layout.transfer_info(direction.value, uuid, key), TransferInfo(began, None, file), key.size)
        held.callback(info.remove)
        yield info


def _take(held: ExitStack, layout: RepoLayout, path: bytes, key: Key) -> None:
    try:
        lock = LOCKS.try_exclusive(path, on_release=OnRelease.UNLINK)
    except FileNotFoundError:
        files.make_dirs(os.path.dirname(path), layout.annex_dir)
        lock = LOCKS.try_exclusive(path, on_release=OnRelease.UNLINK)
    if lock is None:
        raise TransferInProgress(f"another process transfers {key} already")
    held.enter_context(lock)


def busy_keys(layout: RepoLayout, direction: Direction, uuid: UUID) -> frozenset[bytes]:
    """File names of the keys that somebody transfers now in this direction; one look at one or two directories.

    Lock files that nobody holds (left by a crash) do not count.
    """
    places = [layout.transfer_dir(direction.value, uuid)]
    if direction is Direction.DOWNLOAD:
        places.append(os.path.join(layout.transfer_root, b"download", b"lck"))
    busy = set()
    for place in places:
        for name in _names(place):
            if name.startswith(LOCK_PREFIX) and LOCKS.holder_pid(os.path.join(place, name)) is not None:
                busy.add(name[len(LOCK_PREFIX) :])
    return frozenset(busy)


def running_transfers(layout: RepoLayout) -> Iterator[tuple[Transfer, TransferInfo]]:
    """The transfers that somebody works on now, as far as their information files tell."""
    for direction in Direction:
        for uuid in _names(os.path.join(layout.transfer_root, direction.value)):
            place = os.path.join(layout.transfer_root, direction.value, uuid)
            for name in _names(place):
                transfer = parse_info_path(b"/".join((direction.value, uuid, name)))
                lock = os.path.join(place, LOCK_PREFIX + name)
                if transfer is None or LOCKS.holder_pid(lock) is None:
                    continue
                with suppress(OSError):
                    yield transfer, TransferInfo.parse(files.read_file(os.path.join(place, name)))


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
