"""difference.log: how the repositories are tuned, which cannot be changed afterwards."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import NamedTuple

from annexd.formats.logs import uuid_based
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock


class Difference(enum.Enum):
    """The tunings, in the order in which git-annex writes them; each value is its spelling in the log."""

    OBJECT_HASH_LOWER = b"ObjectHashLower"
    ONE_LEVEL_OBJECT_HASH = b"OneLevelObjectHash"
    ONE_LEVEL_BRANCH_HASH = b"OneLevelBranchHash"


CONFIG_NAMES = {
    Difference.OBJECT_HASH_LOWER: "annex.tune.objecthashlower",
    Difference.ONE_LEVEL_OBJECT_HASH: "annex.tune.objecthash1",
    Difference.ONE_LEVEL_BRANCH_HASH: "annex.tune.branchhash1",
}

_VALUE = re.compile(rb"\s*fromList\s*\[\s*(.*?)\s*\]\s*", re.DOTALL)
_NAMES = {difference.value: difference for difference in Difference}


class Differences(NamedTuple):
    """A set of tunings. One that was not understood makes the whole unlike any other, itself included."""

    known: frozenset[Difference] = frozenset()
    has_unknown: bool = False

    def fits(self, other: Differences) -> bool:
        """Whether repositories tuned like this and like `other` may be merged."""
        return not self.has_unknown and not other.has_unknown and self.known == other.known

    def object_levels(self) -> int:
        """How many directory levels objects are spread over."""
        return 1 if Difference.ONE_LEVEL_OBJECT_HASH in self.known else 2

    def has_lower_objects(self) -> bool:
        """Whether objects are in lower-case directories only."""
        return Difference.OBJECT_HASH_LOWER in self.known

    def branch_levels(self) -> int:
        """How many directory levels the logs of keys are spread over."""
        return 1 if Difference.ONE_LEVEL_BRANCH_HASH in self.known else 2


NONE = Differences()
UNKNOWN_DIFFERENCES = Differences(frozenset(), True)


def parse(data: bytes | None) -> Differences:
    """The tunings of all repositories in the log, together."""
    return union(parse_value(entry.value) for entry in uuid_based.parse(data).values())


def parse_value(value: bytes) -> Differences:
    """The tunings in one value, e.g. b"fromList [ObjectHashLower]"."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return UNKNOWN_DIFFERENCES
    names = [name.strip() for name in found[1].split(b",")] if found[1] else []
    if any(name not in _NAMES for name in names):
        return UNKNOWN_DIFFERENCES
    return Differences(frozenset(_NAMES[name] for name in names))


def format_value(differences: Differences) -> bytes:
    """The inverse of `parse_value` for known tunings."""
    names = b",".join([difference.value for difference in Difference if difference in differences.known])
    return b"fromList [%b]" % names


def union(all_differences: Iterable[Differences]) -> Differences:
    """What repositories with these tunings have together."""
    known: frozenset[Difference] = frozenset()
    for differences in all_differences:
        if differences.has_unknown:
            return UNKNOWN_DIFFERENCES
        known |= differences.known
    return Differences(known)


def set_differences(data: bytes | None, uuid: UUID, differences: Differences, now: VectorClock) -> bytes:
    """The log after the repository's tunings were noted at `now`."""
    return uuid_based.set_value(data, uuid, format_value(differences), now)
