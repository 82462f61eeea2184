"""What the brake knows of each branch, on disk: what was let through when, and what is held back since when.

A file that is missing or damaged says nothing is known; what the remotes are known to have then counts as let through.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from annexd.annex.layout import RepoLayout
from annexd.git.objects import Oid
from annexd.system.files import write_atomically

SLOTS = 10          # moments within the window that are told apart
MARKS_IN_SLOT = 3


class Mark(NamedTuple):
    """A commit that was let through, and when (seconds since the epoch)."""

    time: float
    commit: Oid


class Foreign(NamedTuple):
    """History of others that was found at `tip` when `known` was let through; what it has beyond that is theirs."""

    time: float
    tip: Oid
    known: Oid


@dataclass(frozen=True, slots=True)
class Hold:
    """A branch is held back. `since` is in seconds since the epoch.

    `base` is the commit before the losses, `start` the one at the beginning of the time that was looked at.
    """

    branch: str
    base: str
    start: str
    since: float
    deleted: int
    rewritten: int
    files: int

    def __str__(self) -> str:
        parts = [(self.deleted, "deleted"), (self.rewritten, "overwritten")]
        what = " and ".join(f"{count} {how}" for count, how in parts if count)
        return f"{self.branch} is held back: of {self.files} files {what}"


HINT = "annexd accept lets it go out, annexd revert takes it back"


@dataclass(frozen=True, slots=True)
class BranchState:
    """One branch. `last` is what was let through last; `marks`, oldest first, are what there was in between."""

    last: Mark
    marks: tuple[Mark, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    hold: Hold | None = None

    def points(self, after: float) -> tuple[Oid, ...]:
        """What had been let through at the moment `after`, as near to it as is known, and since then."""
        known = (*self.marks, self.last)
        old = sum(1 for mark in known if mark.time <= after)
        return tuple(dict.fromkeys(mark.commit for mark in known[max(old - 1, 0) :]))

    def let_through(self, now: float, commit: Oid, window: float, *, takes_away: bool) -> BranchState:
        """The state after that, without what is older than needed.

        `takes_away`: it deletes or rewrites, so that what was there before it is worth keeping as a mark.
        """
        slot = window / SLOTS
        marks = self.marks
        is_new_slot = not marks or not 0 <= now - marks[-1].time < slot
        in_slot = sum(1 for mark in marks if 0 <= now - mark.time < slot)
        if self.last not in marks and (is_new_slot or (takes_away and in_slot < MARKS_IN_SLOT)):
            marks = (*marks, self.last)
        if is_new_slot:
            marks = (*marks, Mark(now, commit))
        old = sum(1 for mark in marks if mark.time <= now - window)
        marks = marks[max(old - 1, 0) :]
        foreign = tuple(each for each in self.foreign if each.time >= marks[0].time)
        return BranchState(Mark(now, commit), marks, foreign)

    def with_foreign(self, found: Iterable[Foreign]) -> BranchState:
        """The same with more history of others; of a tip the first news counts."""
        known = {each.tip for each in self.foreign}
        return replace(self, foreign=(*self.foreign, *(each for each in found if each.tip not in known)))


@dataclass(frozen=True, slots=True)
class BrakeFile:
    """The file. Whoever changes it holds `lock`."""

    layout: RepoLayout

    @property
    def path(self) -> bytes:
        """Where it is."""
        return self.layout.annexd_dir + b"/brake"

    @property
    def lock(self) -> bytes:
        """The lock file beside it."""
        return self.layout.annexd_dir + b"/brake.lck"

    def mark(self) -> object:
        """What changes when the file does; None when there is none."""
        with suppress(OSError):
            status = os.stat(self.path)
            return status.st_ino, status.st_size, status.st_mtime_ns
        return None

    def load(self) -> dict[bytes, BranchState]:
        """All branches."""
        with suppress(OSError, ValueError, KeyError, TypeError), open(self.path, "rb") as file:
            return {os.fsencode(name): _branch(value) for name, value in json.load(file).items()}
        return {}

    def save(self, branches: dict[bytes, BranchState], *, durable: bool = False) -> None:
        """Replace the file. OSError."""
        os.makedirs(self.layout.annexd_dir, exist_ok=True)
        value = {os.fsdecode(name): _plain(branch) for name, branch in branches.items()}
        write_atomically(self.path, json.dumps(value).encode() + b"\n", durable=durable)

    def remove(self) -> None:
        """Forget everything. OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)


def holds(layout: RepoLayout) -> tuple[Hold, ...]:
    """What is held back in a repository now."""
    return tuple(state.hold for state in BrakeFile(layout).load().values() if state.hold is not None)


def _branch(value: Any) -> BranchState:
    return BranchState(
        last=_mark(value["last"]),
        marks=tuple(_mark(each) for each in value["marks"]),
        foreign=tuple(Foreign(float(when), _oid(tip), _oid(known)) for when, tip, known in value["foreign"]),
        hold=None if value["hold"] is None else Hold(**value["hold"]),
    )


def _plain(state: BranchState) -> dict[str, Any]:
    return {
        "last": (state.last.time, state.last.commit.hex()),
        "marks": [(when, commit.hex()) for when, commit in state.marks],
        "foreign": [(when, tip.hex(), known.hex()) for when, tip, known in state.foreign],
        "hold": None if state.hold is None else asdict(state.hold),
    }


def _mark(value: Any) -> Mark:
    return Mark(float(value[0]), _oid(value[1]))


def _oid(text: Any) -> Oid:
    return Oid(bytes.fromhex(text))
