"""When the committer acts on what it has collected: pure decisions, the time is passed in."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import NamedTuple

from annexd.assistant.changes import Change, ChangeKind

CHUNK = 2000            # changes committed together at most; the next chunk is hashed while this one is uploaded
CHUNK_SECONDS = 1.0     # ... or as much as was hashed in this time
BURST = 16              # so many changes at once are a burst, not a person
BURST_QUIET = 0.03      # seconds without an event that end a burst
BURST_PATIENCE = 0.3    # seconds after which a burst that goes on is begun with anyway
PAIR_WAIT = 0.02        # seconds that a removal waits for the arrival that makes it a rename
PAIR_PATIENCE = 0.05
INDEX_BACKOFF = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)   # seconds between tries while somebody else holds the index
INDEX_ALERT = 60.0      # seconds after which a person is told


class Decision(enum.Enum):
    """What to do with the collected changes."""

    COMMIT = "commit"
    WAIT = "wait"


class Verdict(NamedTuple):
    """A decision, and for WAIT the seconds after which to decide again."""

    decision: Decision
    wait: float = 0.0


COMMIT_NOW = Verdict(Decision.COMMIT)


def decide(changes: Collection[Change], now: float) -> Verdict:
    """Whether to act on `changes` at `now` (monotonic seconds), or to wait for more that belong together.

    A lone change is acted on at once. A burst is given a breath to end in, so that it becomes few commits. Removals
    alone wait for a moment, as each can be the first half of a rename.
    """
    if not changes:
        return Verdict(Decision.WAIT, 0.0)
    newest = max(change.seen for change in changes)
    oldest = min(change.seen for change in changes)
    if all(change.kind is ChangeKind.GONE for change in changes):
        return _wait_until_quiet(now, oldest, newest, PAIR_WAIT, PAIR_PATIENCE)
    if BURST <= len(changes) < CHUNK:
        return _wait_until_quiet(now, oldest, newest, BURST_QUIET, BURST_PATIENCE)
    return COMMIT_NOW


def _wait_until_quiet(now: float, oldest: float, newest: float, quiet: float, patience: float) -> Verdict:
    if now - newest >= quiet or now - oldest >= patience:
        return COMMIT_NOW
    return Verdict(Decision.WAIT, quiet - (now - newest))


def index_backoff(tries: int) -> float:
    """Seconds to wait before trying again for the lock on git's index, after `tries` failures."""
    return INDEX_BACKOFF[min(tries, len(INDEX_BACKOFF)) - 1] if tries else 0.0


def held_back(change: Change, now: float, delay: float) -> float:
    """Seconds for which a new file is still left alone by annex.delayadd (`delay` seconds); 0 when it is due."""
    return max(0.0, change.seen + delay - now)
