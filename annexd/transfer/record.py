"""News of where content is now, collected from transfers and written down for many at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress

from annexd.annex.branch import BranchUpdate
from annexd.annex.layout import RepoLayout
from annexd.annex.location_log import LocationLog, Presence
from annexd.annex.unrecorded import UnrecordedNote
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.system import files

LocationChange = tuple[Key, UUID, Presence]


class LocationRecorder:
    """Collects changes of location logs. Any thread may `add`; who pushes flushes before.

    With a `layout`, what is collected is noted there too, so that a death in between does not lose it.
    """

    def __init__(self, layout: RepoLayout | None = None) -> None:
        self._lock = threading.Lock()       # a leaf: guards the fields below; under it only the note is written
        self._layout = layout
        self._note: UnrecordedNote | None = None
        self._changes: dict[tuple[Key, UUID], Presence] = {}
        self._places: set[bytes] = set()
        self._since: float | None = None    # monotonic seconds of the oldest change

    def waiting_for(self) -> float:
        """Seconds for which the oldest change has waited; 0 when there is none."""
        since = self._since
        return time.monotonic() - since if since is not None else 0.0

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, changes: Iterable[LocationChange], stored_in: bytes | None = None) -> None:
        """Take note; for the same key and repository the last one counts.

        `stored_in` is a directory on the file system that received the content: `flush` makes that durable first, as
        nobody shall read of content that a power cut takes back.
        """
        news = list(changes)
        with self._lock:
            for key, uuid, presence in news:
                self._changes[key, uuid] = presence
            self._write_note(news)
            if self._changes and self._since is None:
                self._since = time.monotonic()
            if stored_in is not None:
                self._places.add(stored_in)

    def flush(self, locations: LocationLog, message: bytes | None = None) -> BranchUpdate | None:
        """Write everything collected in one commit of the git-annex branch; None when there was nothing.

        When that fails, everything is kept for the next flush, and the error is raised.
        """
        with self._lock:
            changes, self._changes = self._changes, {}
            places, self._places = self._places, set()
            since, self._since = self._since, None
            note, self._note = self._note, None
        if not changes:
            return None
        try:
            _make_durable(places)
            rows = [(key, uuid, presence) for (key, uuid), presence in changes.items()]
            update = locations.record_many(rows, message)
        except BaseException:
            with self._lock:
                self._changes = {**changes, **self._changes}    # what came meanwhile is newer
                self._places |= places
                self._since = since
                self._write_note([(key, uuid, presence) for (key, uuid), presence in changes.items()])
            raise
        finally:
            if note is not None:
                note.remove()
        return update

    def _write_note(self, news: Iterable[LocationChange]) -> None:
        """Only of what came to be somewhere; when something is gone, what is noted of it must not come back."""
        if self._layout is None:
            return
        if any(presence is not Presence.PRESENT for _, _, presence in news):
            if self._note is not None:
                self._note.remove()
            self._note = None
            news = [(key, uuid, presence) for (key, uuid), presence in self._changes.items()]
        by_uuid: dict[UUID, list[Key]] = {}
        for key, uuid, presence in news:
            if presence is Presence.PRESENT:
                by_uuid.setdefault(uuid, []).append(key)
        with suppress(OSError):     # a full disk, say: then a crash loses what it always did
            for uuid, keys in by_uuid.items():
                self._note = self._note or UnrecordedNote(self._layout)
                self._note.add(keys, uuid)


def _make_durable(places: Iterable[bytes]) -> None:
    synced: set[int] = set()
    for place in places:
        with suppress(OSError):     # an unmounted drive was written out when it was unmounted
            fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                device = os.fstat(fd).st_dev
                if device not in synced:
                    synced.add(device)
                    files.sync_filesystem(fd)
            finally:
                os.close(fd)
