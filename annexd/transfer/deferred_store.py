"""Deferred downloads on disk: a table that holds as many as there are, and needs memory for none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from annexd.annex.database import Database, DatabaseBroken, remove
from annexd.formats.hash_dirs import place
from annexd.formats.key import Key, key_in_path
from annexd.transfer.job import Direction, Job, Reason

AT_ONCE = 500       # values in one query

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS deferred(
        id INTEGER PRIMARY KEY, place INTEGER NOT NULL, key BLOB NOT NULL, file BLOB, reason INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS by_place ON deferred(place);
"""


class DeferredStore:
    """The table. Reading has a connection of its own, so that it never waits for a change that is under way.

    One thread at a time may read, and one may write; those can be two.
    """

    @classmethod
    def open(cls, path: bytes) -> DeferredStore:
        """The store at `path`; an empty one in its place when it cannot be read. Raises DatabaseBroken."""
        store = None
        try:
            store = cls(path)
            store.count()
        except DatabaseBroken:
            if store is not None:
                store.close()
            remove(path)
            return cls(path)
        return store

    def __init__(self, path: bytes) -> None:
        self._writer = Database(path, _SCHEMA)
        self._reader = Database(path, _SCHEMA)
        self.identity = self._writer.identity

    def count(self) -> int:
        """How many there are; looks at all of them."""
        return int(self._reader.rows("SELECT count(*) FROM deferred")[0][0])

    def find(self, keys: Iterable[Key]) -> dict[Key, Job]:
        """Those of the keys that are there. Raises DatabaseBroken."""
        wanted = {place(key): key for key in keys}
        found = {}
        for _, job in self._rows(self._reader, list(wanted)):
            found[job.key] = job
        return {key: found[key] for key in wanted.values() if key in found}

    def change(self, changes: Mapping[Key, Job | None]) -> int:
        """Take in these jobs, and forget the keys that have None; by how many there are more now.

        All or nothing; raises DatabaseBroken.
        """
        places = sorted({place(key) for key in changes})
        with self._writer.transaction():
            old = [(number,) for number, job in self._rows(self._writer, places) if job.key in changes]
            self._writer.run_many("DELETE FROM deferred WHERE id = ?", old)
            new = [
                (place(key), key.file_name(), job.file, int(job.reason))
                for key, job in changes.items()
                if job is not None
            ]
            new.sort(key=lambda row: row[0])    # neighbours share a page
            self._writer.run_many("INSERT INTO deferred(place, key, file, reason) VALUES(?, ?, ?, ?)", new)
        return len(new) - len(old)

    def some(self, limit: int) -> list[Job]:
        """Up to `limit` of them."""
        rows = self._reader.rows("SELECT key, file, reason FROM deferred LIMIT ?", (limit,))
        return [job for row in rows if (job := _job(*row)) is not None]

    def sync(self) -> None:
        """Block until everything is on the disk. Raises DatabaseBroken."""
        self._writer.sync()

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()

    def _rows(self, database: Database, places: list[int]) -> Iterator[tuple[int, Job]]:
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT id, key, file, reason FROM deferred WHERE place IN ({marks})"
            for number, *row in database.rows(query, tuple(some)):
                job = _job(*row)
                if job is not None:
                    yield number, job


def _job(key_name: bytes, file: bytes | None, reason: int) -> Job | None:
    key = key_in_path(key_name)
    if key is None or reason not in Reason.__members__.values():
        return None
    return Job(Direction.DOWNLOAD, key, (), file, Reason(reason))


__all__ = ["DatabaseBroken", "DeferredStore"]
