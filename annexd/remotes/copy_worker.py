"""Copies many small objects from one repository's store into another's, in a process of its own.

Our threads share one interpreter: while they take a burst of files in, or copy large files, copying small ones as well
would take twice as long. What goes wrong here is not told: whoever asked does that object again, and sees it himself.
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

Meanwhile = Callable[[Sequence[Key]], None]
"""Does some of the keys in the thread that asks, while the process does the others."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """The store that objects go to; those above `max_bytes` are not copied."""

    place: StorePlace
    max_bytes: int


class CopyWorker:
    """A process that copies, as long as one helps. One thread owns it."""

    def __init__(self, target: Target, worth_a_start: int = WORTH_A_START) -> None:
        self.target = target
        self._worth_a_start = worth_a_start
        self._process = WorkerProcess("annexd.remotes.copy_worker:copier", target)
        self._is_wanted = len(os.sched_getaffinity(0)) > 1

    def copy(self, source: RepoLayout, keys: Sequence[Key], meanwhile: Meanwhile | None = None) -> frozenset[Key]:
        """The keys whose content, from the store at `source`, is now whole and verified in the other store; blocks.

        The rest is the caller's. Half of the keys are left to `meanwhile` where there is one; what it raises is raised.
        """
        try:
            if self._is_wanted and self._process.is_ready() and len(keys) >= WORTH_IT:
                return self._share(source, keys, meanwhile)
            if self._is_wanted and len(keys) >= self._worth_a_start:
                self._process.start()
        except ProcessError as error:
            log.warning("copy_worker.died", reason=str(error))
            self._is_wanted = False
        return frozenset()

    def _share(self, source: RepoLayout, keys: Sequence[Key], meanwhile: Meanwhile | None) -> frozenset[Key]:
        share = keys if meanwhile is None else keys[: len(keys) // 2]
        self._process.send((source, [key.file_name() for key in share]))
        try:
            if meanwhile is not None:
                meanwhile(keys[len(share) :])
        finally:
            done = self._process.receive()      # whatever happened: the next answer must be that to the next request
        return frozenset(key for key, is_done in zip(share, done, strict=True) if is_done)

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
