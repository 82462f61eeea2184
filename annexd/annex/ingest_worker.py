"""Takes many small unlocked files into the annex, in a process of its own.

The daemon's threads share one interpreter, and while files come in fast, hashing and storing them is most of what it
does. What is not plain is not done here: whoever asked does that file again himself, and sees what is wrong with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from annexd.annex.ingest import SMALL, IngestOptions, same_file
from annexd.annex.objects import ObjectStore
from annexd.annex.store_place import StorePlace
from annexd.backends.registry import backend, key_for_digest
from annexd.errors import AnnexError, ProcessError
from annexd.formats.key import Key
from annexd.formats.pointer import parse_pointer
from annexd.system.logging import get_logger
from annexd.system.worker_process import WorkerProcess

TOGETHER = 128          # files for one request
WORTH_A_START = 256     # files, from which on a process is started

log = get_logger(__name__)


class Request(NamedTuple):
    """A file as it was seen, and the backend for its key."""

    path_abs: bytes
    backend: bytes
    seen: os.stat_result


@dataclass(frozen=True, slots=True)
class Setup:
    """What the other process works with."""

    place: StorePlace
    options: IngestOptions


class IngestWorker:
    """The process, started when it is worth it and ended by `close`. One thread owns it; one request at a time."""

    def __init__(self) -> None:
        self._process: WorkerProcess | None = None
        self._setup: Setup | None = None
        self._is_wanted = len(os.sched_getaffinity(0)) > 1

    def prepare(self, setup: Setup, count: int) -> bool:
        """Whether requests can be made now, by these settings; about `count` files are to come."""
        if not self._is_wanted or setup.options.thin:
            return False
        if setup != self._setup:
            self.close()
        try:
            if self._process is None:
                if count >= WORTH_A_START:
                    self._setup = setup
                    self._process = WorkerProcess("annexd.annex.ingest_worker:ingester", setup)
                    self._process.start()
                return False
            return self._process.is_ready()
        except ProcessError as error:
            self._give_up(error)
            return False

    def begin(self, requests: Sequence[Request]) -> None:
        """Have these files taken in; `finish` tells how that went."""
        try:
            if self._process is not None:
                self._process.send(list(requests))
        except ProcessError as error:
            self._give_up(error)

    def finish(self, count: int) -> list[Key | None]:
        """For each of the `count` files of the request: its key, or None when it is the caller's. Blocks."""
        if self._process is None:
            return [None] * count
        try:
            names: list[bytes] = self._process.receive()
        except ProcessError as error:
            self._give_up(error)
            return [None] * count
        return [Key.from_file_name(name) if name else None for name in names]

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _give_up(self, error: ProcessError) -> None:
        log.warning("ingest_worker.died", reason=str(error))
        self._is_wanted = False
        self.close()


def ingester(setup: Setup) -> Callable[[Sequence[Request]], list[bytes]]:
    """What runs in the other process: the file name of each key whose content is stored, b"" for what is not plain."""
    store, options = setup.place.open(), setup.options

    def take(request: Request) -> bytes:
        try:
            key = _take(store, options, request)
        except (AnnexError, OSError):
            return b""
        return b"" if key is None else key.file_name()

    return lambda requests: [take(request) for request in requests]


def _take(store: ObjectStore, options: IngestOptions, request: Request) -> Key | None:
    path, seen = request.path_abs, request.seen
    chosen = backend(request.backend)
    hasher = None if chosen is None else chosen.hasher()
    if chosen is None or hasher is None or not 0 < seen.st_size <= SMALL:
        return None
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        data = os.read(fd, seen.st_size + 1)
    finally:
        os.close(fd)
    if len(data) != seen.st_size or parse_pointer(data) is not None or not _is_unchanged(path, seen):
        return None
    hasher.update(data)
    name = path[path.rfind(b"/") + 1 :]
    key = key_for_digest(
        chosen, hasher.hexdigest(), seen.st_size, name, options.max_extension_length, options.max_extensions
    )
    store.put_bytes(data, key, seen.st_mode & 0o777)
    return key if _is_unchanged(path, seen) else None


def _is_unchanged(path: bytes, seen: os.stat_result) -> bool:
    """Whether the stat from before still tells all that git's index is to know of the file."""
    now = os.lstat(path)
    return same_file(seen, now) and (seen.st_ctime_ns, seen.st_mode) == (now.st_ctime_ns, now.st_mode)
