"""Copies many small objects into another repository's store, in a process of its own.

The daemon's threads share one interpreter: while it takes a burst of files in, copying them there as well would take
twice as long. What goes wrong here is not told: whoever asked does that object again, and sees it himself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from annexd.annex.layout import RepoLayout
from annexd.annex.objects import ObjectStore
from annexd.annex.store_place import StorePlace
from annexd.errors import AnnexError, ProcessError
from annexd.formats.key import Key
from annexd.remotes.object_copy import check_bytes, read_object
from annexd.system.logging import get_logger
from annexd.system.worker_process import WorkerProcess

WORTH_IT = 64           # objects, from which on asking another process costs less than doing it
WORTH_A_START = 256     # objects, from which on a process is started

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """The store that objects go to; those above `max_bytes` are not copied."""

    place: StorePlace
    max_bytes: int


class CopyWorker:
    """A process that copies, as long as one helps. One thread owns it."""

    def __init__(self, target: Target) -> None:
        self._process = WorkerProcess("annexd.remotes.copy_worker:copier", target)
        self._is_wanted = len(os.sched_getaffinity(0)) > 1

    def copy(self, source: RepoLayout, keys: Sequence[Key]) -> frozenset[Key]:
        """The keys whose content, from the store at `source`, is now whole and verified in the other store; blocks.

        The rest is the caller's.
        """
        if not self._is_wanted or len(keys) < WORTH_IT:
            return frozenset()
        try:
            if self._process.is_ready():
                done = self._process.ask((source, [key.file_name() for key in keys]))
                return frozenset(key for key, is_done in zip(keys, done, strict=True) if is_done)
            if len(keys) >= WORTH_A_START:
                self._process.start()
        except ProcessError as error:
            log.warning("copy_worker.died", reason=str(error))
            self._is_wanted = False
        return frozenset()

    def close(self) -> None:
        """End the process."""
        self._process.close()


def copier(target: Target) -> Callable[[tuple[RepoLayout, Sequence[bytes]]], bytes]:
    """What runs in the other process: for each key's file name, whether its content was copied."""
    store = target.place.open()

    def copy(name: bytes, source: ObjectStore) -> bool:
        try:
            key = Key.from_file_name(name)
            path = source.locate(key)
            if path is None:
                return False
            data = read_object(path, target.max_bytes)
            check_bytes(key, data)
            store.put_bytes(data, key)
        except (AnnexError, OSError):
            return False
        return True

    def serve(request: tuple[RepoLayout, Sequence[bytes]]) -> bytes:
        layout, names = request
        source = ObjectStore(layout, target.place)      # whose settings do not matter for reading
        return bytes(copy(name, source) for name in names)

    return serve
