"""transitions.log: the times at which the history of the git-annex branch was cut off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from annexd.errors import FormatError
from annexd.formats.logs.lines import lines_of
from annexd.formats.vector_clock import VectorClock

FORGET_GIT_HISTORY = b"ForgetGitHistory"
FORGET_DEAD_REMOTES = b"ForgetDeadRemotes"


class Transition(NamedTuple):
    """One transition; `name` may be one that we do not know."""

    name: bytes
    clock: VectorClock


def parse(data: bytes | None) -> frozenset[Transition]:
    """All transitions in the log.

    Raises FormatError for a line that is none: what it asks for must not be ignored.
    """
    found = set()
    for line in lines_of(data):
        name, blank, time = line.partition(b" ")
        if not blank or not name:
            raise FormatError("a line is no transition", source="transitions.log")
        found.add(Transition(name, VectorClock.parse(time)))
    return frozenset(found)


def in_order(transitions: Iterable[Transition]) -> list[Transition]:
    """The oldest first; of one time in the order in which git-annex performs them."""
    return sorted(transitions, key=lambda entry: (entry.clock, entry.name != FORGET_GIT_HISTORY, entry.name))


def format(transitions: Iterable[Transition]) -> bytes:
    """The log that holds these transitions."""
    return b"".join([b"%b %b\n" % (entry.name, entry.clock.format()) for entry in in_order(transitions)])
