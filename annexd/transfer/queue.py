"""What waits to be moved, in the order in which it should be."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from annexd.formats.uuid import UUID
from annexd.transfer.gate import Admission
from annexd.transfer.job import SMALL, Direction, Identity, Job, Work
from annexd.transfer.lanes import Entry, FairTurns, Lane, urgency

BATCH_JOBS = 256
BATCH_BYTES = 16 * SMALL
IMPATIENCE = 60.0       # seconds after which what waits counts as urgent as what is new


class Put(enum.Enum):
    """What became of a job that was offered to the queue."""

    ADDED = "added"
    CHANGED = "it was queued already, and is now more urgent or has more sources"
    DUPLICATE = "it is queued or running already"
    CLOSED = "the queue is closed"


class Place(enum.Enum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many jobs are in which state."""

    queued: int
    running: int
    held: int


class TransferQueue:
    """Jobs that wait, run, or are held back; each identity is in at most one of the three.

    Order: what a person asked for; then what is new and small, or waits long; then the rest. Within that, remotes take
    turns by the bytes they were given, cheaper ones first, older jobs first. All methods may be called from any thread
    and none blocks. `on_work` is called, without any lock held, when there may be something new to take.
    """

    def __init__(
        self,
        *,
        cost_of: Callable[[UUID], float] = lambda _: 0.0,
        on_work: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()       # a leaf: guards all fields below
        self._cost_of = cost_of
        self._on_work = on_work
        self._monotonic = monotonic
        self._lanes: dict[tuple[Direction, tuple[UUID, ...]], Lane] = {}
        self._queued: dict[Identity, Entry] = {}
        self._running: dict[Identity, Entry] = {}
        self._held: dict[Identity, Entry] = {}
        self._to_hold: set[Identity] = set()        # running ones
        self._again: dict[Identity, Job] = {}       # running ones that were asked for since they were cancelled
        self._turns = FairTurns()
        self._paused: set[UUID] = set()
        self._all_paused = False
        self._closed = False
        self._sequence = 0

    # -- putting in

    def put(self, job: Job) -> Put:
        """Take in one job, unless it is there already."""
        with self._lock:
            what = self._put(job)
        if what is Put.ADDED or what is Put.CHANGED:
            self._on_work()
        return what

    def put_many(self, jobs: Iterable[Job]) -> int:
        """Take in jobs; how many of them were not there before."""
        with self._lock:
            results = [self._put(job) for job in jobs]
        if Put.ADDED in results or Put.CHANGED in results:
            self._on_work()
        return results.count(Put.ADDED)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Return running jobs that are not done, to the place in the order that their age gives them.

        Their sources may have changed. A job that is not running (any more) is put in as a new one.
        """
        with self._lock:
            for job in reversed(list(jobs)):     # each goes to the head, so the first comes last
                entry = self._running.pop(job.identity, None)
                if entry is None:
                    self._put(job)
                elif not self._closed:
                    self._again.pop(job.identity, None)
                    self._put_back(Entry(job, entry.sequence, entry.since))
        self._on_work()

    # -- taking out

    def next(self, admits: Callable[[UUID], Admission]) -> Work | None:
        """Take what should run now and mark it as running, in one step; None when there is nothing to run.

        A download takes its cheapest source that works; it waits for one that is only busy, unless another costs the
        same. `admits` tells whether a remote may be given work now; it must be quick and not call this queue.
        """
        with self._lock:
            if self._all_paused or self._closed:
                return None
            found = self._best(admits)
            if found is None:
                return None
            lane, remote, level = found
            entries = lane.take(level, BATCH_JOBS, BATCH_BYTES)
            for entry in entries:
                identity = entry.job.identity
                self._running[identity] = self._queued.pop(identity)
            self._turns.charge(remote, [entry.job.size for entry in entries])
            if lane.is_empty():
                del self._lanes[lane.name]
            return Work(lane.direction, remote, tuple(entry.job for entry in entries))

    def finished(self, jobs: Iterable[Job]) -> None:
        """These jobs run no more, whatever came of them."""
        with self._lock:
            for job in jobs:
                self._end(job.identity)

    def cancelled(self, jobs: Iterable[Job]) -> None:
        """These jobs run no more, as was wished; one that somebody asked for since then waits anew."""
        with self._lock:
            again = [job for cancelled in jobs if (job := self._end(cancelled.identity)) is not None]
            results = [self._put(job) for job in again]
        if Put.ADDED in results:
            self._on_work()

    # -- steering

    def cancel(self, identity: Identity) -> bool:
        """Forget a job that waits or is held; False when it is not there or runs already.

        What runs is for the caller to stop, and then for `cancelled`.
        """
        with self._lock:
            self._again.pop(identity, None)
            return self._withdraw(identity) is not None or self._held.pop(identity, None) is not None

    def cancel_remote(self, remote: UUID) -> int:
        """Forget the uploads to a remote, and the remote as a source of downloads; the number of jobs forgotten."""
        return len(self.withdraw_remote(remote))

    def withdraw_remote(self, remote: UUID) -> list[Job]:
        """`cancel_remote`, and the jobs that were forgotten."""
        with self._lock:
            affected = [e for e in self._queued.values() if remote in e.job.remotes]
            held = [e.job for e in self._held.values() if e.job.remotes == (remote,)]
            for entry in affected:
                self._withdraw(entry.job.identity)
            for job in held:
                del self._held[job.identity]
            for job in [job for job in self._again.values() if job.remotes == (remote,)]:
                del self._again[job.identity]
            survivors = [e for e in affected if len(e.job.remotes) > 1]
            for entry in survivors:
                self._enqueue(Entry(entry.job.after_failing_at(remote), entry.sequence, entry.since))
        if survivors:       # what waited for this remote may be had elsewhere at once
            self._on_work()
        return held + [e.job for e in affected if len(e.job.remotes) == 1]

    def cancel_all(self) -> int:
        """Forget everything that waits or is held; the number of jobs forgotten."""
        with self._lock:
            count = len(self._queued) + len(self._held)
            self._lanes.clear()
            self._queued.clear()
            self._held.clear()
            self._again.clear()
            return count

    def hold(self, identity: Identity) -> bool:
        """Keep a job until `unhold`: now if it waits, once it is put back if it runs. False when it does neither."""
        with self._lock:
            if identity in self._running:
                self._to_hold.add(identity)
                return True
            entry = self._withdraw(identity)
            if entry is not None:
                self._held[identity] = Entry(entry.job, entry.sequence, entry.since)
            return entry is not None

    def unhold(self, identity: Identity) -> bool:
        """Let a held job wait for its turn again, in its old place; False when it is not held."""
        with self._lock:
            self._to_hold.discard(identity)
            entry = self._held.pop(identity, None)
            if entry is not None:
                self._enqueue(entry, at_head=True)
        if entry is not None:
            self._on_work()
        return entry is not None

    def pause_remote(self, remote: UUID) -> None:
        """Give this remote no work until `resume_remote`."""
        with self._lock:
            self._paused.add(remote)

    def resume_remote(self, remote: UUID) -> None:
        """End `pause_remote`."""
        with self._lock:
            self._paused.discard(remote)
        self._on_work()

    def pause_all(self) -> None:
        """Give out no work until `resume_all`."""
        with self._lock:
            self._all_paused = True

    def resume_all(self) -> None:
        """End `pause_all`; remotes paused one by one stay paused."""
        with self._lock:
            self._all_paused = False
        self._on_work()

    def close(self) -> None:
        """Forget what waits and take nothing in any more."""
        with self._lock:
            self._closed = True
            self._lanes.clear()
            self._queued.clear()
            self._held.clear()

    # -- looking

    def __len__(self) -> int:
        return len(self._queued)

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._queued or identity in self._running or identity in self._held

    def place_of(self, identity: Identity) -> Place | None:
        """Where a job is; None when it is not here."""
        with self._lock:
            for place, jobs in (
                (Place.RUNNING, self._running), (Place.QUEUED, self._queued), (Place.HELD, self._held),
            ):  # fmt: skip
                if identity in jobs:
                    return place
            return None

    def find(self, identities: Iterable[Identity]) -> list[Job]:
        """Those of these jobs that wait."""
        with self._lock:
            return [entry.job for i in identities if (entry := self._queued.get(i)) is not None] if self._queued else []

    def wake(self) -> None:
        """Have somebody look whether there is something to take: what `admits` says has changed."""
        self._on_work()

    def counts(self) -> QueueCounts:
        """How many jobs wait, run, are held."""
        with self._lock:
            return QueueCounts(len(self._queued), len(self._running), len(self._held))

    def waiting_for(self) -> dict[UUID, int]:
        """How many jobs wait for each remote; one that several remotes can serve counts for each of them."""
        with self._lock:
            counts: dict[UUID, int] = {}
            for lane in self._lanes.values():
                for remote in lane.remotes:
                    counts[remote] = counts.get(remote, 0) + len(lane)
            return counts

    def waiting(self, limit: int) -> list[Job]:
        """Up to `limit` of the waiting jobs, in no particular order."""
        with self._lock:
            return [entry.job for entry, _ in zip(self._queued.values(), range(limit), strict=False)]

    def held(self, limit: int) -> list[Job]:
        """Up to `limit` of the jobs that are held back."""
        with self._lock:
            return [entry.job for entry, _ in zip(self._held.values(), range(limit), strict=False)]

    def paused(self) -> tuple[bool, frozenset[UUID]]:
        """Whether everything is paused, and the remotes that are."""
        with self._lock:
            return self._all_paused, frozenset(self._paused)

    # -- inside the lock

    def _end(self, identity: Identity) -> Job | None:
        """It runs no more; the job if it was asked for since it was cancelled."""
        self._running.pop(identity, None)
        self._to_hold.discard(identity)
        return self._again.pop(identity, None)

    def _put(self, job: Job) -> Put:
        if self._closed:
            return Put.CLOSED
        if not job.remotes:
            raise ValueError("a job without a remote cannot be queued")
        identity = job.identity
        if identity in self._running:
            self._again[identity] = job
            return Put.DUPLICATE
        if identity in self._held:
            return Put.DUPLICATE
        queued = self._queued.get(identity)
        if queued is None:
            self._sequence += 1
            self._enqueue(Entry(job, self._sequence, self._monotonic()))
            return Put.ADDED
        return self._improve(queued, job)

    def _improve(self, queued: Entry, job: Job) -> Put:
        is_more_urgent = urgency(job) < urgency(queued.job)
        has_news = bool(set(job.remotes) - set(queued.job.remotes))
        if not is_more_urgent and not has_news:
            return Put.DUPLICATE
        self._withdraw(job.identity)
        remotes = queued.job.remotes
        if has_news:
            remotes = tuple(sorted({*remotes, *job.remotes}, key=lambda uuid: (self._cost_of(uuid), uuid)))
        better = (job if is_more_urgent else queued.job).from_sources(remotes)
        self._enqueue(Entry(better, queued.sequence, queued.since), at_head=not is_more_urgent)
        return Put.CHANGED

    def _enqueue(self, entry: Entry, *, at_head: bool = False) -> None:
        name = (entry.job.direction, entry.job.remotes)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name)
        lane.add(entry, at_head=at_head)
        self._queued[entry.job.identity] = entry

    def _put_back(self, entry: Entry) -> None:
        identity = entry.job.identity
        if identity in self._to_hold:
            self._to_hold.discard(identity)
            self._held[identity] = entry
        else:
            self._enqueue(entry, at_head=True)

    def _withdraw(self, identity: Identity) -> Entry | None:
        entry = self._queued.pop(identity, None)
        if entry is not None:
            name = (entry.job.direction, entry.job.remotes)
            lane = self._lanes[name]
            lane.drop(entry)
            if lane.is_empty():
                del self._lanes[name]
        return entry

    def _best(self, admits: Callable[[UUID], Admission]) -> tuple[Lane, UUID, int] | None:
        impatient = self._monotonic() - IMPATIENCE
        admitted: dict[UUID, Admission] = dict.fromkeys(self._paused, Admission.CLOSED)
        best: tuple[Lane, UUID, int] | None = None
        best_rank: tuple[float, ...] = ()
        for lane in self._lanes.values():
            remote = self._open_remote(lane, admits, admitted)
            if remote is None:
                continue
            level, felt, oldest = lane.head(impatient)
            rank = (felt, self._turns.position(remote), self._cost_of(remote), oldest.sequence)
            if best is None or rank < best_rank:
                best, best_rank = (lane, remote, level), rank
        return best

    def _open_remote(
        self, lane: Lane, admits: Callable[[UUID], Admission], known: dict[UUID, Admission]
    ) -> UUID | None:
        most = float("inf")
        for remote in lane.remotes:
            admission = known.get(remote)
            if admission is None:
                admission = known[remote] = admits(remote)
            if self._cost_of(remote) > most:
                return None
            if admission is Admission.OPEN:
                return remote
            if admission is Admission.BUSY:
                most = self._cost_of(remote)
        return None
