"""What the daemon's threads tell each other: changes of the work tree, commits, wishes for a scan."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.threads.pool import Pool


class ChangeKind(enum.Enum):
    """What is known of a path that may have changed. A hint: the path itself is looked at before anything is done."""

    WRITTEN = "written"         # a writer closed it, so its content is complete
    APPEARED = "appeared"       # it is there; whether somebody still writes to it is not known
    TOUCHED = "touched"         # mode or times changed, not the content
    GONE = "gone"               # it went away, with everything below it
    DIRECTORY = "directory"     # a directory is there; what is in it is told separately
    BLOCKING = "blocking"       # a merge is waiting for it to be committed, staged as it may be already
    STAGED = "staged"           # somebody staged it and it was not committed, perhaps while nobody watched
    NUDGE = "nudge"             # nothing changed, but what was put off may work now


class Change(NamedTuple):
    """One path that may have changed. A NamedTuple because there is one per file event (0.2 us against 0.5)."""

    path: bytes         # from the top of the work tree
    kind: ChangeKind
    seen: float         # monotonic seconds


ChangePool = Pool[Change]


def nudge() -> Change:
    """A change that only wakes the committer."""
    return Change(b"", ChangeKind.NUDGE, time.monotonic())


def coalesce(pending: dict[bytes, Change], new: Iterable[Change]) -> None:
    """Take `new` changes into `pending`, which holds one per path; the later one wins, but no knowledge is lost."""
    for change in new:
        before = pending.get(change.path)
        if before is not None and before.kind is ChangeKind.WRITTEN and change.kind is ChangeKind.TOUCHED:
            change = Change(change.path, ChangeKind.WRITTEN, change.seen)
        pending[change.path] = change
    pending.pop(b"", None)      # a nudge has done its work by arriving


class Moved(enum.Enum):
    """What a commit moved."""

    TREE = "tree"               # the checked-out branch
    MERGE = "merge"             # the checked-out branch, or git-annex, by merging what came from elsewhere
    LOCATIONS = "locations"     # only the git-annex branch


class Commit(NamedTuple):
    """A branch moved here and shall be pushed; `small` are keys whose uploads are worth waiting for."""

    moved: Moved
    small: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconnect:
    """A remote may be back: fetch from it and push to it. `name` None means that the list of remotes changed."""

    name: str | None


Commits = Pool[Commit | Reconnect]


class Scan(enum.IntEnum):
    """How much a scan for transfers looks at."""

    FAILED = 1      # what failed or was put off
    CHANGED = 2     # what changed since the last one, and for whom there was none every file
    FULL = 3        # every file


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """Somebody became reachable, or what is wanted changed: look for transfers. `uuid` None means every remote."""

    uuid: UUID | None
    scan: Scan


ScanRequests = Pool[ScanRequest]


def merge_requests(requests: Iterable[ScanRequest]) -> tuple[ScanRequest, ...]:
    """One request per remote, the strongest; one for every remote covers weaker or equal ones for single remotes."""
    strongest: dict[UUID | None, Scan] = {}
    for request in requests:
        strongest[request.uuid] = max(request.scan, strongest.get(request.uuid, Scan.FAILED))
    everywhere = strongest.get(None)
    return tuple(
        ScanRequest(uuid, scan)
        for uuid, scan in strongest.items()
        if uuid is None or everywhere is None or scan > everywhere
    )


class TreeScan(enum.Enum):
    """How the work tree is looked through for changes that no event told of."""

    FULL = "full"               # changed, deleted and untracked files
    UNTRACKED = "untracked"     # files that git did not have and may now take, after a change of what is ignored


TreeScans = Pool[TreeScan]
