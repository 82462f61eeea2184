"""Changes of git's index that a command collects, so that the index is written once for many files."""

from __future__ import annotations

import threading

from annexd.annex.commit import IndexUpdate, stage
from annexd.annex.state import AnnexState
from annexd.threads.deadline import Deadline

_FEW = 1000
INDEX_SECONDS = 30.0
"""How long a command waits for another git command to let go of the index."""


class Staging:
    """Index updates on their way. Any thread may add; `settle` writes what is left."""

    def __init__(self) -> None:
        self.any = False
        self._lock = threading.Lock()       # leaf: guards the list
        self._updates: list[IndexUpdate] = []

    def add(self, annex: AnnexState, update: IndexUpdate) -> None:
        """Note one."""
        with self._lock:
            self.any = True
            self._updates.append(update)
            if len(self._updates) < _FEW:
                return
        self.settle(annex)

    def settle(self, annex: AnnexState) -> None:
        """Write them. Raises IndexLocked when the index is not free in time."""
        with self._lock:
            updates, self._updates = self._updates, []
        if updates:
            stage(annex, updates, Deadline(INDEX_SECONDS))
