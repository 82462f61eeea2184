"""One thing to move: values that the queue, the slots and the status share."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from annexd.errors import AnnexError
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction, Transfer
from annexd.formats.uuid import UUID

__all__ = ["SMALL", "Direction", "Finished", "Identity", "Job", "Outcome", "Reason", "Result", "Transfer", "Work"]

SMALL = 1 << 20     # bytes; content up to this size is read into memory and moved in batches

Identity = tuple[Direction, UUID | None, Key]


class Reason(enum.IntEnum):
    """Why a job is there, most urgent first."""

    ASKED = 0       # a person waits for it
    NEW = 1         # a file was just added, or just arrived without content
    SCAN = 2        # a scan found it
    NEWS = 3        # a location log told of a source, or of a lack
    RETRY = 4       # it failed before


@dataclass(frozen=True, slots=True)
class Job:
    """One content that should go to one remote, or come from any of some remotes.

    `remotes` are the places that may give it, cheapest first; an upload names exactly one. `tried` are sources that
    failed already during this attempt.
    """

    direction: Direction
    key: Key
    remotes: tuple[UUID, ...]
    file: bytes | None = None
    reason: Reason = Reason.SCAN
    tried: frozenset[UUID] = frozenset()

    @property
    def identity(self) -> Identity:
        """What makes two jobs the same: a key is downloaded once, whatever it comes from."""
        return (self.direction, self.remotes[0] if self.direction is Direction.UPLOAD else None, self.key)

    @property
    def size(self) -> int | None:
        """Bytes to move, when the key tells."""
        return self.key.size

    @property
    def is_small(self) -> bool:
        """Whether it may be moved as part of a batch."""
        size = self.key.size
        return size is not None and size <= SMALL

    def from_sources(self, remotes: tuple[UUID, ...]) -> Job:
        """The same job with other sources."""
        return replace(self, remotes=remotes)

    def after_failing_at(self, remote: UUID) -> Job:
        """The same job with `remote` struck out as a source."""
        return replace(self, remotes=tuple(r for r in self.remotes if r != remote), tried=self.tried | {remote})

    def again(self, reason: Reason = Reason.RETRY) -> Job:
        """The same job as a fresh attempt, for which every source counts again."""
        return replace(self, remotes=self.remotes + tuple(sorted(self.tried)), reason=reason, tried=frozenset())


@dataclass(frozen=True, slots=True)
class Work:
    """What one slot gets at a time: one job, or several small ones of the same direction and remote."""

    direction: Direction
    remote: UUID
    jobs: tuple[Job, ...]


class Result(enum.Enum):
    """How one job ended."""

    TRANSFERRED = "transferred"
    ALREADY_THERE = "already there"
    FAILED = "failed"
    IN_PROGRESS = "another process transfers it"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    NO_SOURCE = "no known source"
    ELSEWHERE = "another source should be used"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one transfer; `error` says why it failed, `remote` which remote was used or failed last."""

    result: Result
    remote: UUID | None = None
    error: AnnexError | None = None

    @property
    def is_success(self) -> bool:
        """Whether the content is now where it should be."""
        return self.result is Result.TRANSFERRED or self.result is Result.ALREADY_THERE


@dataclass(frozen=True, slots=True)
class Finished:
    """A job and how it ended. `job` may carry fresher sources than the one that was handed out."""

    job: Job
    outcome: Outcome
