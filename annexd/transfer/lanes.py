"""The parts of the transfer queue: jobs that the same remotes can serve, and whose turn it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from annexd.formats.uuid import UUID
from annexd.transfer.job import Direction, Job, Reason

LEVELS = 3
JOB_CHARGE = 64 << 10       # bytes that a job counts for besides its content
UNKNOWN_SIZE = 64 << 20     # bytes that content of unknown size counts for
MAX_LAG = 64 << 20          # bytes of turns that a remote can catch up on after it had nothing to do


def urgency(job: Job) -> int:
    """0: a person asked; 1: new and small; 2: the rest."""
    if job.reason is Reason.ASKED:
        return 0
    return 1 if job.reason is Reason.NEW and job.is_small else 2


class Entry:
    """A queued job with its place in the order. `is_gone` marks one that was withdrawn and still lies in its lane."""

    __slots__ = ("is_gone", "job", "sequence", "since")

    def __init__(self, job: Job, sequence: int, since: float) -> None:
        self.job = job
        self.sequence = sequence
        self.since = since      # seconds on the monotonic clock
        self.is_gone = False


class Lane:
    """The waiting jobs of one direction that have the same remotes, oldest first. Belongs to one TransferQueue.

    Small and large jobs of a level lie in two lines, so that small ones can be taken in batches.
    """

    __slots__ = ("_count", "_lines", "name")

    def __init__(self, name: tuple[Direction, tuple[UUID, ...]]) -> None:
        self.name = name
        self._lines: list[deque[Entry]] = [deque() for _ in range(2 * LEVELS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def direction(self) -> Direction:
        """Which way the jobs go."""
        return self.name[0]

    @property
    def remotes(self) -> tuple[UUID, ...]:
        """The remotes that can serve the jobs, cheapest first."""
        return self.name[1]

    def is_empty(self) -> bool:
        """Whether no job is left."""
        return self._count == 0

    def add(self, entry: Entry, *, at_head: bool = False) -> None:
        """Take in a job: as the youngest, or with `at_head` as the oldest of its level."""
        line = self._lines[2 * urgency(entry.job) + (not entry.job.is_small)]
        if at_head:
            line.appendleft(entry)
        else:
            line.append(entry)
        self._count += 1

    def drop(self, entry: Entry) -> None:
        """Forget a job; it leaves its line when it gets to the head, so this costs the same for every place."""
        entry.is_gone = True
        self._count -= 1

    def head(self, impatient: float) -> tuple[int, int, Entry]:
        """Level, felt level and entry of the next job. What waits since before `impatient` feels like level 1 at least.

        Only for a lane that is not empty.
        """
        best: tuple[int, int, Entry] | None = None
        for level in range(LEVELS):
            entry = self._oldest(level)
            if entry is None:
                continue
            felt = min(level, 1) if entry.since < impatient else level
            if best is None or (felt, entry.sequence) < (best[1], best[2].sequence):
                best = (level, felt, entry)
        if best is None:
            raise LookupError("an empty lane has no head")
        return best

    def take(self, level: int, max_jobs: int, max_bytes: int) -> list[Entry]:
        """Remove and return the oldest job of a level; when it is small, more small ones with it, up to the limits."""
        first = self._oldest(level)
        if first is None:
            return []
        if not first.job.is_small:
            self._count -= 1
            return [self._lines[2 * level + 1].popleft()]
        return self._take_small(self._lines[2 * level], max_jobs, max_bytes)

    def _take_small(self, line: deque[Entry], max_jobs: int, max_bytes: int) -> list[Entry]:
        taken: list[Entry] = []
        room = max_bytes
        while line and len(taken) < max_jobs:
            entry = line[0]
            if not entry.is_gone:
                room -= entry.job.size or 0
                if room < 0 and taken:
                    break
                taken.append(entry)
            line.popleft()
        self._count -= len(taken)
        return taken

    def _oldest(self, level: int) -> Entry | None:
        small, large = self._first(2 * level), self._first(2 * level + 1)
        if small is None or large is None:
            return small or large
        return small if small.sequence < large.sequence else large

    def _first(self, number: int) -> Entry | None:
        line = self._lines[number]
        while line and line[0].is_gone:
            line.popleft()
        return line[0] if line else None


class FairTurns:
    """Start-time fair queueing: a remote's position moves on by the bytes it is given. Belongs to one queue."""

    __slots__ = ("_now", "_positions")

    def __init__(self) -> None:
        self._positions: dict[UUID, int] = {}
        self._now = 0

    def position(self, remote: UUID) -> int:
        """Lower means that its turn is nearer."""
        return max(self._positions.get(remote, self._now), self._now - MAX_LAG)

    def charge(self, remote: UUID, sizes: Iterable[int | None]) -> None:
        """Note that this remote was given jobs of these sizes."""
        start = self.position(remote)
        cost = sum(JOB_CHARGE + (UNKNOWN_SIZE if size is None else size) for size in sizes)
        self._positions[remote] = start + cost
        self._now = max(self._now, start)
