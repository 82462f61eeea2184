"""Transfers that failed: noted on disk as git-annex does, and tried again after a while that grows."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from annexd.annex.layout import RepoLayout
from annexd.formats.transfer_info import Transfer
from annexd.formats.uuid import UUID
from annexd.transfer import failed_notes
from annexd.transfer.job import Identity, Job, Reason


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before the first retry and the longest wait; each failure in a row doubles the wait."""

    first: float = 1.0
    longest: float = 60.0

    def delay(self, attempts: int, jitter: float) -> float:
        """Seconds to wait after so many failures; `jitter` in [0, 1) spreads retries that failed together."""
        return min(self.first * 2.0 ** min(attempts - 1, 30), self.longest) * (0.75 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Failure:
    """A transfer that failed `attempts` times in a row; `due` is when it is tried again, in monotonic seconds."""

    job: Job
    remote: UUID
    attempts: int
    due: float
    reason: str


class FailedTransfers:
    """All transfers that failed and were not done since.

    Any thread may call any method; files are written in the caller's. A job that `take_due` handed out is remembered
    until it is `satisfied` or fails again, so that its wait grows. `on_satisfied` is told of failures that are over; it
    must not block, and may be called under the AnnexState lock.
    """

    def __init__(
        self,
        layout: RepoLayout,
        *,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        on_satisfied: Callable[[Sequence[Job]], None] = lambda _: None,
    ) -> None:
        self._layout = layout
        self._on_satisfied = on_satisfied
        self._backoff = backoff or Backoff()
        self._monotonic = monotonic
        self._jitter = jitter
        self._lock = threading.Lock()       # a leaf: guards the fields below
        self._failures: dict[Identity, Failure] = {}
        self._due: list[tuple[float, int, Identity]] = []
        self._serial = 0
        self._unwritten: set[Identity] = set()

    def __len__(self) -> int:
        return len(self._failures)

    def record(self, job: Job, remote: UUID, reason: str) -> Failure:
        """The job failed at that remote, and runs no more: note it, and plan the next try."""
        failure, is_known = self._fail(job, remote, reason)
        identity = job.identity
        if not is_known or identity in self._unwritten:
            try:
                failed_notes.write(self._layout, Transfer(job.direction, remote, job.key), failure.job.file)
            except OSError:     # on a full disk: the try is planned all the same
                self._unwritten.add(identity)
            else:
                self._unwritten.discard(identity)
        return failure

    def are_noted(self) -> bool:
        """Whether the notes on disk tell of all failures; else only a scan finds them after a crash."""
        return not self._unwritten

    def postpone(self, job: Job, remote: UUID, reason: str) -> Failure:
        """Plan another try as `record` does, for what did not really fail: nothing is noted on disk."""
        return self._fail(job, remote, reason)[0]

    def satisfied(self, jobs: Iterable[Job]) -> None:
        """These jobs are done, or not wanted any more."""
        with self._lock:
            if not self._failures:
                return
            gone = [f for job in jobs if (f := self._failures.pop(job.identity, None)) is not None]
        for failure in gone:
            self._unwritten.discard(failure.job.identity)
            self._remove_note(failure)
        if gone:
            self._on_satisfied([failure.job for failure in gone])

    def forget(self, concerns: Callable[[Failure], bool]) -> int:
        """Do not try these again; how many they are."""
        with self._lock:
            chosen = [failure.job for failure in self._failures.values() if concerns(failure)]
        self.satisfied(chosen)
        return len(chosen)

    def take_due(self) -> list[Job]:
        """The jobs to try again now."""
        now = self._monotonic()
        jobs = []
        with self._lock:
            while self._due and self._due[0][0] <= now:
                due, _, identity = heapq.heappop(self._due)
                failure = self._failures.get(identity)
                if failure is not None and failure.due == due:      # else it was planned anew meanwhile
                    jobs.append(failure.job)
        return jobs

    def next_due(self) -> float | None:
        """Seconds until `take_due` has something; None when nothing is planned."""
        with self._lock:
            return max(0.0, self._due[0][0] - self._monotonic()) if self._due else None

    def hurry(self, remote: UUID) -> int:
        """The remote is back, or there is news of it: what failed there is due now; how many that are."""
        with self._lock:
            now = self._monotonic()
            chosen = [f for f in self._failures.values() if f.remote == remote or remote in f.job.remotes]
            for f in chosen:
                self._plan(Failure(f.job, f.remote, f.attempts, now, f.reason))
            return len(chosen)

    def load(self) -> int:
        """Take in what is noted on disk, due now; how many. For the start of the daemon."""
        found = list(failed_notes.read_all(self._layout))
        with self._lock:
            now = self._monotonic()
            for transfer, info in found:
                job = Job(transfer.direction, transfer.key, (transfer.uuid,), info.file, Reason.RETRY)
                if job.identity not in self._failures:
                    self._plan(Failure(job, transfer.uuid, 0, now, "failed before the start"))
        return len(found)

    def failures(self, limit: int) -> list[Failure]:
        """Up to `limit` of them, for people."""
        with self._lock:
            return [failure for failure, _ in zip(self._failures.values(), range(limit), strict=False)]

    def failure_of(self, identity: Identity) -> Failure | None:
        """What is known of a transfer that failed."""
        return self._failures.get(identity)

    def find(self, identities: Iterable[Identity]) -> list[Job]:
        """Those of these jobs that failed."""
        with self._lock:
            return [f.job for i in identities if (f := self._failures.get(i)) is not None] if self._failures else []

    # helpers

    def _fail(self, job: Job, remote: UUID, reason: str) -> tuple[Failure, bool]:
        """The failure, and whether the same transfer failed before."""
        with self._lock:
            before = self._failures.get(job.identity)
            attempts = 1 if before is None else before.attempts + 1
            due = self._monotonic() + self._backoff.delay(attempts, self._jitter())
            failure = Failure(job.again(), remote, attempts, due, reason)
            self._plan(failure)
        return failure, before is not None and before.remote == remote

    def _plan(self, failure: Failure) -> None:
        identity = failure.job.identity
        self._failures[identity] = failure
        self._serial += 1
        heapq.heappush(self._due, (failure.due, self._serial, identity))

    def _remove_note(self, failure: Failure) -> None:
        """A download may have failed at several remotes before it was done."""
        job = failure.job
        failed_notes.remove(self._layout, job.direction, {failure.remote, *job.remotes}, job.key)
