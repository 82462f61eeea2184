"""Where content is after what a command moved, collected to be written down for all of it at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from annexd.annex.layout import RepoLayout
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.annex.unrecorded import UnrecordedNote
from annexd.formats.key import Key
from annexd.formats.uuid import UUID

INTERVAL = 60.0     # seconds after which what is collected is written down while more comes
FEW = 50            # which are put into the journal where that cannot wait for the end
MANY = 500          # which the job that read their logs should write down itself


class LocationNews:
    """Any thread may tell; who ends the command records. A note on the disk survives what kills the command."""

    def __init__(self, layout: RepoLayout, here: UUID) -> None:
        self._here = here
        self._note = UnrecordedNote(layout)
        self._lock = threading.Lock()       # guards the fields; under it only the note is written
        self._changes: dict[tuple[Key, UUID], Presence] = {}
        self._recorded = time.monotonic()
        self._moved = False     # whether anything was recorded that was not known

    def expect(self, keys: Sequence[Key]) -> None:
        """The content of these may be here in a moment. OSError."""
        with self._lock:
            self._note.add(keys, self._here)

    def here(self, keys: Sequence[Key]) -> None:
        """The content of these is here, as was expected."""
        with self._lock:
            self._changes.update(((key, self._here), Presence.PRESENT) for key in keys)

    def there(self, keys: Sequence[Key], uuid: UUID) -> None:
        """Another repository has the content of these. OSError."""
        with self._lock:
            self._note.add(keys, uuid)
            self._changes.update(((key, uuid), Presence.PRESENT) for key in keys)

    def __len__(self) -> int:
        return len(self._changes)

    def record_when_due(self, annex: AnnexState) -> None:
        """Write it down if that was not done for a minute. Raises as `record`."""
        if time.monotonic() - self._recorded >= INTERVAL:
            self.record(annex)

    def record_now(self, annex: AnnexState) -> None:
        """Write it down because the next decision looks at it: few in the journal, many in a commit. As `record`."""
        with self._lock:
            few = list(self._changes.items()) if len(self._changes) < FEW else []
            for place, _ in few:
                del self._changes[place]
        for (key, uuid), what in few:
            self._moved = annex.locations.record(key, uuid, what) or self._moved
        if not few:
            self.record(annex)

    def settle(self, annex: AnnexState) -> bool:
        """The last of it, when no job runs any more: as `record`, and the note goes. Whether there was any news."""
        self.record(annex)
        self._note.remove()
        moved, self._moved = self._moved, False
        return moved

    def record(self, annex: AnnexState) -> None:
        """Write it down. Raises LockTimeout, OSError, GitError; then it is kept."""
        with self._lock:
            changes = dict(self._changes)
            self._recorded = time.monotonic()
        if not changes:
            return
        update = annex.locations.record_many((key, uuid, what) for (key, uuid), what in changes.items())
        with self._lock:
            for place, what in changes.items():
                if self._changes.get(place) is what:
                    del self._changes[place]
            self._moved = self._moved or update.moved
