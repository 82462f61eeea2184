"""Many files to be written at once: by workers where that is faster, else in this thread."""

from __future__ import annotations

import os
from collections.abc import Callable

from annexd.annex.checkout_items import Item, Result, Site
from annexd.annex.checkout_worker import FAILED, SMALL
from annexd.annex.state import AnnexState
from annexd.annex.work_files import current_umask
from annexd.errors import RepositoryError
from annexd.formats.key import Key

THRESHOLD = 1000
"""Files from which on it is worth starting workers, unless checkout.thresholdForParallelism says otherwise."""

THRESHOLD_RUNNING = 100
"""And when they are up already."""


class Bulk:
    """Writes many files of one work tree. Owned by one thread, for one use."""

    def __init__(self, state: AnnexState) -> None:
        top = state.repo.work_tree
        if top is None:
            raise RepositoryError("there is no work tree here")
        self._site = Site.of(state.layout, top, current_umask())
        self._workers = state.checkout_workers
        self._configured = state.config.checkout_threshold
        self._store = state.store
        self._thin = state.config.thin
        self._thin_keys: set[Key] = set()

    def is_worth(self, count: int) -> bool:
        """Whether so many files are to be written in this way; the workers begin to start then."""
        threshold = self._configured
        if threshold is None:
            threshold = THRESHOLD_RUNNING if self._workers.is_running() else THRESHOLD
        if count < max(threshold, 1):
            return False
        self._workers.prepare()
        return True

    def fits_in_place(self, key: Key) -> bool:
        """Whether the content can be written under its final name, as one write makes it whole."""
        return key.size is not None and key.size <= SMALL and not self._thin

    def content(self, target: bytes, key: Key, name: bytes, pointer: bytes, *, executable: bool) -> Item:
        """A file with the content of a key, whose file name is `name`; `pointer` where that is not here."""
        spelled = name if b"&" not in name and b"%" not in name else bytes(key)
        if key.chunk_number is not None:
            spelled = bytes(key.without_chunk())
        thin = self._thin and key not in self._thin_keys    # an object gets one other name, and no more
        if thin:
            self._thin_keys.add(key)
        return Item(target, executable, pointer, spelled, name, -1 if key.size is None else key.size, thin)

    def write(self, count: int, item: Callable[[int], Item], on_result: Callable[[int, Result], None]) -> None:
        """Write `count` files, up to the first that fails; `item` makes them when their turn comes, by number.

        `on_result` is told what became of each. It must not raise: nobody would know then what else was written.
        """
        self._store.make_temp_dir()
        self._workers.write(self._site, count, item, on_result)


def failure(result: Result, path: bytes) -> OSError | None:
    """The failure that a result tells of."""
    outcome, detail = result
    if outcome != FAILED or detail is None:
        return None
    number, message = detail[0], detail[1]
    return OSError(int(number), str(message), os.fsdecode(path))
