"""Downloads of content that no reachable remote is known to have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from annexd.formats.key import Key
from annexd.transfer.job import Job

DEFAULT_LIMIT = 200_000     # some 50 MB


class DeferredDownloads:
    """Downloads that wait for news of a source, one for each key. Any thread may call any method; none blocks.

    News and deferring race: between reading a location log and deferring, the news may come. So who reads a log takes
    `news_count()` before, and `defer` refuses the job when news came since: then the log has to be read again.

    At most `limit` are kept. When one more comes, it is not kept and `on_overflow` is called, once until
    `rescan_begins`: whoever is behind it looks through everything again later.
    """

    def __init__(self, *, limit: int = DEFAULT_LIMIT, on_overflow: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()       # a leaf: guards the fields below
        self._limit = limit
        self._on_overflow = on_overflow
        self._jobs: dict[Key, Job] = {}
        self._news = 0
        self._overflowed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, key: Key) -> bool:
        return key in self._jobs

    @property
    def has_overflowed(self) -> bool:
        """Whether some are not kept here, so that only a scan finds them."""
        return self._overflowed

    def news_count(self) -> int:
        """How often there was news so far; take it before reading the location log."""
        return self._news

    def defer(self, job: Job, news_count: int) -> bool:
        """Keep the job until there is news of its key; False when there was news since `news_count`."""
        with self._lock:
            if self._news != news_count:
                return False
            if job.key in self._jobs or len(self._jobs) < self._limit:
                self._jobs[job.key] = job
                return True
            first_overflow, self._overflowed = not self._overflowed, True
        if first_overflow:
            self._on_overflow()
        return True

    def release(self, keys: Iterable[Key]) -> list[Job]:
        """There is news of these keys: the jobs of those that were deferred, which are then no longer so."""
        with self._lock:
            self._news += 1
            if not self._jobs:
                return []
            return [job for key in keys if (job := self._jobs.pop(key, None)) is not None]

    def release_all(self) -> list[Job]:
        """There is news that may concern every key, as of a new remote."""
        with self._lock:
            self._news += 1
            jobs, self._jobs = list(self._jobs.values()), {}
            return jobs

    def satisfied(self, keys: Iterable[Key]) -> None:
        """The content of these keys is here, or nobody wants it any more."""
        with self._lock:
            for key in keys if self._jobs else ():
                self._jobs.pop(key, None)

    def rescan_begins(self) -> None:
        """A scan of everything starts, which will find what was not kept."""
        with self._lock:
            self._overflowed = False

    def waiting(self, limit: int) -> list[Job]:
        """Up to `limit` of the deferred jobs."""
        with self._lock:
            return [job for job, _ in zip(self._jobs.values(), range(limit), strict=False)]
