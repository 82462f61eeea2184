"""What the transfer scan found and is not done yet; a cursor moves on only when nothing before it is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from annexd.formats.uuid import UUID
from annexd.transfer.job import Direction, Identity, Job
from annexd.transfer.scan_cursor import Cursor


@dataclass(slots=True)
class _Passed:
    """One or several scans in a row, the last of which came to `cursor`; `waiting` are jobs that may not be done."""

    cursor: Cursor
    waiting: list[Identity] = field(default_factory=list)


class ScanLedger:
    """Belongs to the scanner's thread. Repositories are named by uuid; our own stands for what is missing here.

    A scan begins where the last one came to, so that one that takes days to be done is not begun again. What is on disk
    is only what is done: after a crash everything else is looked at again.
    """

    def __init__(self, done: Mapping[UUID, Cursor]) -> None:
        self._done = dict(done)
        self._passed: dict[UUID, list[_Passed]] = {}
        self._current: dict[UUID, _Passed] = {}
        self._is_held = False

    def done(self) -> Mapping[UUID, Cursor]:
        """What may be written down, as of the last `settle`."""
        return dict(self._done)

    def base(self, uuid: UUID, rules: bytes) -> Cursor | None:
        """Where the next scan begins; None when it has to look at everything."""
        passed = self._passed.get(uuid)
        cursor = passed[-1].cursor if passed else self._done.get(uuid)
        return cursor if cursor is not None and cursor.rules == rules else None

    def begin(self, uuid: UUID, cursor: Cursor) -> None:
        """A scan that will come to `cursor` begins for this repository."""
        self._current[uuid] = _Passed(cursor)

    def add(self, us: UUID, jobs: Iterable[Job]) -> None:
        """The scans under way found these jobs. A download concerns us, and whoever may give the content."""
        for job in jobs:
            concerned = job.remotes if job.direction is Direction.UPLOAD else (us, *job.remotes)
            for uuid in concerned:
                scan = self._current.get(uuid)
                if scan is not None:
                    scan.waiting.append(job.identity)

    def complete(self) -> None:
        """The scans under way have seen everything."""
        for uuid, scan in self._current.items():
            passed = self._passed.setdefault(uuid, [])
            if len(passed) > 1:     # the first is what is nearest to being done; the later ones can wait for each other
                passed[-1] = _Passed(scan.cursor, passed[-1].waiting + scan.waiting)
            else:
                passed.append(scan)
        self._current = {}

    def under_way(self) -> frozenset[UUID]:
        """For whom there are scans under way."""
        return frozenset(self._current)

    def abandon(self, uuid: UUID | None = None) -> None:
        """The scans under way, or that for one repository, were cut off."""
        if uuid is None:
            self._current = {}
        else:
            self._current.pop(uuid, None)

    def hold(self) -> None:
        """Jobs were thrown away undone: from now on nothing counts as done, until all is looked at again."""
        self._is_held = True

    def forget(self, uuid: UUID | None = None) -> None:
        """Everything has to be looked at again: for one repository, or for all."""
        if uuid is None:
            self._done, self._passed, self._current, self._is_held = {}, {}, {}, False
        else:
            self._done.pop(uuid, None)
            self._passed.pop(uuid, None)
            self._current.pop(uuid, None)

    def settle(self, is_waiting: Callable[[Identity], bool], is_valid: Callable[[], bool] = lambda: True) -> bool:
        """Move on as far as jobs do not wait or run any more; whether there is something new in `done`.

        Nothing moves unless `is_valid` says, afterwards, that jobs do not wait because they were done.
        """
        over = {uuid: _count_over(passed, is_waiting) for uuid, passed in self._passed.items()}
        if self._is_held or not is_valid():
            return False
        for uuid, count in over.items():
            if count:
                self._done[uuid] = self._passed[uuid][count - 1].cursor
                del self._passed[uuid][:count]
        self._passed = {uuid: passed for uuid, passed in self._passed.items() if passed}
        return any(over.values())

    def has_open(self) -> bool:
        """Whether something that was found is not done yet, as far as `settle` knows."""
        return bool(self._passed) and not self._is_held


def _count_over(passed: list[_Passed], is_waiting: Callable[[Identity], bool]) -> int:
    """How many of them are over, from the first; and nothing is remembered that is."""
    for count, scan in enumerate(passed):
        while scan.waiting:
            if is_waiting(scan.waiting[-1]):
                return count
            scan.waiting.pop()
    return len(passed)
