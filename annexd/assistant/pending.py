"""The committer's own list of what is to be looked at, now or later."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from annexd.assistant.changes import Change, ChangeKind, coalesce


class Pending:
    """Changes by path; some are put off until a moment. Owned by the committer's thread."""

    def __init__(self) -> None:
        self.now: dict[bytes, Change] = {}
        self._later: dict[bytes, tuple[float, Change]] = {}
        self._queue: list[tuple[float, bytes]] = []     # may name paths that are no longer put off

    def __len__(self) -> int:
        return len(self.now) + len(self._later)

    def add(self, changes: Iterable[Change]) -> None:
        """Take in new changes; news of a path that is put off makes it due at once."""
        news = list(changes)
        coalesce(self.now, news)
        if self._later:
            for change in news:
                self._later.pop(change.path, None)

    def put_off(self, change: Change, until: float) -> None:
        """Look at the path again at `until` (monotonic seconds), unless there is news of it before."""
        if change.path not in self.now:
            self._later[change.path] = (until, change)
            heapq.heappush(self._queue, (until, change.path))

    def wake(self, now: float) -> None:
        """Make everything due that was put off until `now` or earlier."""
        while self._queue and self._queue[0][0] <= now:
            until, path = heapq.heappop(self._queue)
            waiting = self._later.get(path)
            if waiting is not None and waiting[0] == until:
                del self._later[path]
                self.now.setdefault(path, waiting[1])

    def hurry(self) -> None:
        """Make everything due that was put off."""
        for path, (_, change) in self._later.items():
            self.now.setdefault(path, change)
        self._later.clear()
        self._queue.clear()

    def next_wake(self) -> float | None:
        """The moment at which something that was put off becomes due, None when nothing was."""
        while self._queue:
            until, path = self._queue[0]
            waiting = self._later.get(path)
            if waiting is not None and waiting[0] == until:
                return until
            heapq.heappop(self._queue)
        return None

    def take(self, count: int) -> list[Change]:
        """Up to `count` changes that are due; removals first, so that a renamed file's old name is known to be free."""
        if len(self.now) <= count:
            taken = list(self.now.values())
            self.now.clear()
        else:
            taken = [self.now.pop(path) for path in list(self.now)[:count]]
        taken.sort(key=lambda change: change.kind is not ChangeKind.GONE)
        return taken

    def forget_all(self) -> None:
        """Drop everything."""
        self.now.clear()
        self._later.clear()
        self._queue.clear()
