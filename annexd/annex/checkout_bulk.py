"""Many files to be written at once: by workers where that is faster, else in this thread."""

from __future__ import annotations

import os
from collections.abc import Callable

from annexd.annex.checkout_items import Item, Result, Site
from annexd.annex.checkout_worker import CONTENT, FAILED, SMALL, TEXT, write_items
from annexd.annex.state import AnnexState
from annexd.annex.work_files import current_umask
from annexd.errors import RepositoryError
from annexd.formats.key import Key

THRESHOLD = 1000
"""Files from which on it is worth starting workers, unless checkout.thresholdForParallelism says otherwise."""

THRESHOLD_RUNNING = 100
"""And when they are up already."""


class Bulk:
    """Files that are collected and then written together. Owned by one thread, for one use."""

    def __init__(self, state: AnnexState) -> None:
        top = state.repo.work_tree
        if top is None:
            raise RepositoryError("there is no work tree here")
        self._state = state
        self._site = Site.of(state.layout, top, current_umask())
        self._items: list[Item] = []
        self._actions: list[Callable[[Result], None]] = []
        self._thin_keys: set[Key] = set()

    def __len__(self) -> int:
        return len(self._items)

    def prepare(self, count: int) -> None:
        """So many files may come: let the workers start meanwhile, if they are going to be used."""
        if count >= self.threshold():
            self._state.checkout_workers.prepare()

    def threshold(self) -> int:
        """The number of files from which on workers write them; 0 for all numbers."""
        configured = self._state.config.checkout_threshold
        if configured is not None:
            return configured
        return THRESHOLD_RUNNING if self._state.checkout_workers.is_running() else THRESHOLD

    def is_large(self) -> bool:
        """Whether there is enough to be written in this way."""
        return len(self._items) >= max(self.threshold(), 1)

    def add_text(self, path: bytes, data: bytes, *, executable: bool, then: Callable[[Result], None]) -> None:
        """A file that git keeps. `path` as in an Item; `then` is told what became of it, and must not raise."""
        self._items.append(Item(path, executable, data))
        self._actions.append(then)

    def add_content(
        self, path: bytes, key: Key, pointer: bytes, *, executable: bool, then: Callable[[Result], None]
    ) -> None:
        """A file with the content of a key; `pointer` where that is not here."""
        thin = self._state.config.thin and key not in self._thin_keys   # an object gets one other name, and no more
        self._thin_keys.add(key)
        size = -1 if key.size is None else key.size
        self._items.append(
            Item(path, executable, pointer, bytes(key.without_chunk()), key.file_name(), size, thin)
        )
        self._actions.append(then)

    def fits_in_place(self, key: Key) -> bool:
        """Whether the content can be written under its final name, as one write makes it whole."""
        return key.size is not None and key.size <= SMALL and not self._state.config.thin

    def run(self) -> None:
        """Write them all, up to the first that fails."""
        items, actions = self._items, self._actions
        self._items, self._actions = [], []
        if not items:
            return
        if any(item.target.startswith(b"/") for item in items):
            self._state.store.make_temp_dir()
        if len(items) < self.threshold():
            for number, result in enumerate(write_items(self._site, items)):
                actions[number](result)
            return
        self._state.checkout_workers.write(self._site, items, lambda number, result: actions[number](result))


def failure(result: Result, path: bytes) -> OSError | None:
    """The failure that a result tells of."""
    outcome, detail = result
    if outcome != FAILED or detail is None:
        return None
    number, message = detail[0], detail[1]
    return OSError(int(number), str(message), os.fsdecode(path))


def is_written(result: Result) -> bool:
    """Whether the file is there, with content or as it is in git."""
    return result[0] in (CONTENT, TEXT)
