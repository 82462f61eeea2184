"""Downloads of content that no reachable remote is known to have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from annexd.annex.database import DatabaseBroken
from annexd.formats.key import Key
from annexd.transfer.deferred_store import DeferredStore
from annexd.transfer.job import Job

LIMIT = 10_000          # changes in memory, some 600 bytes each, before somebody is asked to write them down
TOO_MANY = 4            # times that: whoever comes writes them down

Changes = dict[Key, Job | None]


class DeferredDownloads:
    """Downloads that wait for news of a source, one for each key. Any thread may call any method.

    The newest changes are in memory and the rest on disk. `on_full` is called when there is much in memory: `flush`
    should then be called by a thread that holds no lock. What a crash takes with the memory is found again by the
    transfer scan, as that notes its progress only after `flush`.

    News and deferring race: between reading a location log and deferring, the news may come. So who reads a log takes
    `news_count()` before, and `defer` refuses the job when news came since: then the log has to be read again.
    """

    def __init__(
        self, store: DeferredStore | None = None, *, limit: int = LIMIT, on_full: Callable[[], None] = lambda: None
    ) -> None:
        self._lock = threading.Lock()           # guards the fields below, and reading the store
        self._writing = threading.Lock()        # held by the one thread that writes to the store; taken before _lock
        self._store = store
        self._limit = limit
        self._on_full = on_full
        self._changes: Changes = {}
        self._on_their_way: Changes = {}
        self._count = 0 if store is None else store.count()
        self._stored = self._count              # how many the store has; 0 saves asking it
        self._news = 0
        self._has_lost = False

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return bool(self._find([key]))

    @property
    def identity(self) -> bytes:
        """Differs when what was deferred before is lost."""
        return b"" if self._store is None else self._store.identity

    @property
    def has_lost(self) -> bool:
        """Whether some were dropped as they could not be written down: only a scan of everything finds them."""
        return self._has_lost

    def rescan_begins(self) -> None:
        """A scan of everything starts, which will find what was dropped."""
        self._has_lost = False

    def news_count(self) -> int:
        """How often there was news so far; take it before reading the location log."""
        return self._news

    def defer(self, job: Job, news_count: int) -> bool:
        """Keep the job until there is news of its key; False when there was news since `news_count`."""
        return not self.defer_many((job,), news_count)

    def defer_many(self, jobs: Iterable[Job], news_count: int) -> list[Job]:
        """Keep the jobs until there is news of their keys; those that there was news of since `news_count`."""
        wanted = {job.key: job for job in jobs}
        with self._lock:
            if self._news != news_count:
                return list(wanted.values())
            known = self._find(wanted)
            for key, job in wanted.items():
                if key not in known:
                    self._changes[key] = job
                    self._count += 1
        self._make_room()
        return []

    def release(self, keys: Iterable[Key]) -> list[Job]:
        """There is news of these keys: the jobs of those that were deferred, which are then no longer so."""
        with self._lock:
            self._news += 1
            jobs = self._take(keys)
        self._make_room()
        return jobs

    def satisfied(self, keys: Iterable[Key]) -> None:
        """The content of these keys is here or on its way, or nobody wants it any more."""
        with self._lock:
            self._take(keys)
        self._make_room()

    def waiting(self, limit: int) -> list[Job]:
        """Up to `limit` of the deferred jobs."""
        with self._lock:
            found = {key: job for key, job in self._overlay().items() if job is not None}
            if self._store is not None and len(found) < limit:
                for job in self._store.some(limit + len(self._overlay())):
                    if job.key not in self._overlay():
                        found.setdefault(job.key, job)
            return list(found.values())[:limit]

    def find(self, key: Key) -> Job | None:
        """The deferred download of this key."""
        with self._lock:
            return self._find([key]).get(key)

    def flush(self) -> None:
        """Write down what is only in memory. Blocks; hold no lock. Raises DatabaseBroken when that cannot be done."""
        with self._writing:
            self._flush()

    def sync(self) -> None:
        """`flush`, and block until it is on the disk."""
        with self._writing:
            self._flush()
            if self._store is not None:
                self._store.sync()

    def close(self) -> None:
        """Write down what is in memory, as far as that is possible, and let go of the file."""
        with self._writing, self._lock:
            try:
                if self._store is not None and self._changes:
                    self._store.change(self._changes)
            except DatabaseBroken:      # the next start finds it again
                pass
            finally:
                if self._store is not None:
                    self._store.close()
                    self._store = None

    # -- holding _writing

    def _flush(self) -> None:
        store = self._store
        if store is None:
            return
        with self._lock:
            self._on_their_way, self._changes = self._changes, {}
            changes = self._on_their_way
        if not changes:
            return
        try:
            more = store.change(changes)
        except BaseException:
            with self._lock:
                self._changes = {**changes, **self._changes}
                self._on_their_way = {}
            raise
        with self._lock:
            self._on_their_way = {}
            self._stored += more

    # -- holding _lock

    def _overlay(self) -> Changes:
        return {**self._on_their_way, **self._changes} if self._on_their_way else self._changes

    def _find(self, keys: Iterable[Key]) -> dict[Key, Job]:
        if not self._count:
            return {}
        found: dict[Key, Job] = {}
        elsewhere = []
        for key in keys:
            for changes in (self._changes, self._on_their_way):
                if key in changes:
                    job = changes[key]
                    if job is not None:
                        found[key] = job
                    break
            else:
                elsewhere.append(key)
        if elsewhere and self._stored and self._store is not None:
            try:
                found.update(self._store.find(elsewhere))
            except DatabaseBroken:
                self._has_lost, self._count, self._stored = True, self._count - self._stored, 0
        return found

    def _take(self, keys: Iterable[Key]) -> list[Job]:
        found = self._find(keys)
        for key in found:
            if self._stored or key in self._on_their_way:
                self._changes[key] = None
            else:
                del self._changes[key]
        self._count -= len(found)
        return list(found.values())

    # -- holding nothing

    def _make_room(self) -> None:
        waiting = len(self._changes)
        if self._has_lost:
            self._on_full()
        if waiting <= self._limit or self._store is None:
            return
        if waiting > TOO_MANY * self._limit:
            try:
                self.flush()
            except DatabaseBroken:
                self._drop()
        self._on_full()

    def _drop(self) -> None:
        """Nothing can be written, as on a full disk, and memory has its limit."""
        with self._lock:
            self._has_lost = True
            self._count -= sum(job is not None for job in self._changes.values())
            self._changes = {}
