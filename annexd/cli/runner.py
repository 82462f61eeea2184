"""Doing something with many files, one after the other or several at a time (-J)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from annexd.annex.state import AnnexState
from annexd.cli.invocation import Invocation
from annexd.cli.seek import Item
from annexd.formats.key import Key
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread

Perform = Callable[[AnnexState, Item], bool]
"""Acts on one item with its thread's own state, telling the invocation's reporter; False if nothing was to be done."""


def for_each(call: Invocation, items: Iterable[Item], perform: Perform, *, is_batch: bool = False) -> None:
    """Call `perform` for every item. With -J N, from N threads, but never for one key twice at a time."""
    annex = call.annex()
    jobs = call.jobs()
    if jobs == 1 or is_batch:
        for item in items:
            if not perform(annex, item) and is_batch:
                call.reporter.blank()
        return
    shared = _SharedItems(items)
    workers = [_Worker(f"job {n + 1}", annex.fork(), shared, perform) for n in range(jobs)]
    for worker in workers:
        worker.thread.start()
    for worker in workers:
        worker.thread.join(Deadline(None))
    for worker in workers:
        if worker.crash is not None:
            raise worker.crash
    for item in shared.later:
        perform(annex, item)


class _SharedItems:
    """Items that several threads take from. Those of a key that was given out already are kept for later."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.later: list[Item] = []
        self._items: Iterator[Item] = iter(items)
        self._seen: set[Key] = set()
        # Leaf: guards the fields above. Who has it also looks for the next item, with the main thread's own state.
        self._lock = threading.Lock()

    def take(self) -> Item | None:
        """The next item; None when there is none."""
        with self._lock:
            for item in self._items:
                if item.key not in self._seen:
                    self._seen.add(item.key)
                    return item
                self.later.append(item)
            return None

    def stop(self) -> None:
        """Give out nothing more."""
        with self._lock:
            self._items = iter(())


class _Worker:
    """One thread of -J."""

    def __init__(self, name: str, annex: AnnexState, shared: _SharedItems, perform: Perform) -> None:
        self.thread = NamedThread(name, self._run)
        self.crash: BaseException | None = None
        self._annex = annex
        self._shared = shared
        self._perform = perform

    def _run(self) -> None:
        try:
            with self._annex:
                while (item := self._shared.take()) is not None:
                    self._perform(self._annex, item)
        except BaseException as crash:  # noqa: BLE001  # handed over: the main thread raises it again
            self._shared.stop()
            self.crash = crash
