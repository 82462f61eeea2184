"""Many files to be written at once: by workers where that is faster, else in this thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from annexd.annex.checkout_items import Item, Result, Site
from annexd.annex.checkout_worker import CONTENT, FAILED, SMALL, TEXT
from annexd.annex.objects import PART, ObjectStore
from annexd.annex.state import AnnexState
from annexd.annex.work_files import WorkFiles, current_umask
from annexd.errors import AnnexError, RepositoryError
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


class Replacement(NamedTuple):
    """A file of the work tree that looked like `seen`, and is to have the content of `key`, or else `pointer`, unless
    that is empty.
    """

    path: bytes
    seen: os.stat_result
    key: Key
    executable: bool
    pointer: bytes = b""


def replace_many(
    bulk: Bulk, work: WorkFiles, store: ObjectStore, files: Sequence[Replacement]
) -> dict[bytes, os.stat_result | AnnexError | OSError]:
    """Put content in the place of files, as many as can be dealt with here: the stat of each, or why it is as it was.

    Workers make the content, this thread puts it in place. Files without an answer are to be tried one by one.
    """
    done: dict[bytes, os.stat_result | AnnexError | OSError] = {}
    parts = [b""] * len(files)

    def item(number: int) -> Item:
        _, _, key, executable, pointer = files[number]
        part = parts[number] = store.temp_path() + PART
        return bulk.content(part, key, key.file_name(), pointer, executable=executable)

    def then(number: int, result: Result) -> None:
        path, seen, _, _, pointer = files[number]
        outcome = result[0]
        if outcome == CONTENT or (outcome == TEXT and pointer):
            try:
                done[path] = work.replace(store.own_temp(parts[number]), path, seen)
            except (AnnexError, OSError) as problem:
                done[path] = problem
            return
        if outcome == FAILED and (failed := failure(result, path)) is not None:
            done[path] = failed
            return
        with suppress(FileNotFoundError):
            os.unlink(parts[number])

    bulk.write(len(files), item, then)
    return done


def failure(result: Result, path: bytes) -> OSError | None:
    """The failure that a result tells of."""
    outcome, detail = result
    if outcome != FAILED or detail is None:
        return None
    number, message = detail[0], detail[1]
    return OSError(int(number), str(message), os.fsdecode(path))
