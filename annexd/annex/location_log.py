"""Which repositories have the content of which keys, as far as anybody told.

Source: git-annex, location logs.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from functools import partial

from annexd.annex.branch import AnnexBranch, BranchUpdate
from annexd.annex.branch_trees import Change
from annexd.formats.branch_paths import location_log
from annexd.formats.key import Key
from annexd.formats.logs import presence
from annexd.formats.logs.lines import lines_of
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.system.clock import Clock
from annexd.system.logging import get_logger

_USUAL = re.compile(rb"(?:\d{1,19}s [01X] [^\r\n]*\n)*")


COMPLAINTS = 1000   # damaged logs that are remembered, so that each is told of once
SHOWN = 100         # bytes of damage that a warning shows

log = get_logger(__name__)


class Presence(enum.Enum):
    """What a repository says about a key; each value is its spelling in the log."""

    PRESENT = presence.PRESENT
    MISSING = presence.MISSING
    DEAD = presence.DEAD


class LocationLog:
    """The location logs of one git-annex branch. Owned by the thread that owns the branch."""

    def __init__(self, branch: AnnexBranch, clock: Clock) -> None:
        self._branch = branch
        self._levels = branch.levels
        self._clock = clock
        self._odd: set[bytes] = set()       # logs that were complained about

    def locations(self, key: Key) -> frozenset[UUID]:
        """The repositories that are said to have the content."""
        path = location_log(key, self._levels)
        return self._present(path, self._branch.read(path))

    def locations_many(self, keys: Iterable[Key]) -> dict[Key, frozenset[UUID]]:
        """The same for many keys at once, which is much faster."""
        paths = {key: location_log(key, self._levels) for key in keys}
        logs = self._branch.read_many(list(paths.values()))
        return {key: self._present(path, logs.get(path)) for key, path in paths.items()}

    def _present(self, path: bytes, data: bytes | None) -> frozenset[UUID]:
        if data and not _USUAL.fullmatch(data) and path not in self._odd and (odd := _unknown_lines(data)):
            if len(self._odd) < COMPLAINTS:
                self._odd.add(path)
            log.warning("location_log.damaged", file=path, ignored=odd[:SHOWN])
        return frozenset(presence.present(data))

    def is_dead(self, key: Key) -> bool:
        """Whether the key was given up everywhere."""
        return presence.is_dead(self._branch.read(location_log(key, self._levels)))

    def record(self, key: Key, uuid: UUID, status: Presence) -> bool:
        """Note a status in the journal; whether it was news. Nothing is written when the log says so already."""
        fn = partial(_changed, ((uuid, status),), self._clock.vector_now())
        return self._branch.change(location_log(key, self._levels), fn, about=uuid)

    def record_many(
        self, changes: Iterable[tuple[Key, UUID, Presence]], message: bytes | None = None
    ) -> BranchUpdate:
        """Note many in one commit of the branch. Of several about one key and repository the last counts."""
        now = self._clock.vector_now()
        by_path: dict[bytes, dict[UUID, Presence]] = {}
        for key, uuid, status in changes:
            if self._branch.is_private(uuid):
                self.record(key, uuid, status)
            else:
                by_path.setdefault(location_log(key, self._levels), {})[uuid] = status
        edits: dict[bytes, Change] = {
            path: partial(_changed, tuple(statuses.items()), now) for path, statuses in by_path.items()
        }
        return self._branch.change_many(edits, message)

    def give_up(self, key: Key) -> bool:
        """Note that the key is not expected to be found again where it is missing; whether that was news."""
        return self._branch.change(location_log(key, self._levels), presence.mark_dead)


def _changed(statuses: tuple[tuple[UUID, Presence], ...], now: VectorClock, old: bytes | None) -> bytes | None:
    """The log after these changes; None when it says all that already."""
    new: bytes | None = None
    for uuid, status in statuses:
        changed = presence.set_status(old if new is None else new, uuid, status.value, now)
        if changed is not None:
            new = changed
    return new if new is None or not old else new + _unknown_lines(old)


def _unknown_lines(old: bytes) -> bytes:
    """Lines that git-annex of today passes over, and loses when it writes: who made them may still read them."""
    if _USUAL.fullmatch(old):
        return b""
    return b"".join([line + b"\n" for line in lines_of(old) if not presence.parse(line)])
