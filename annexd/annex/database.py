"""Small databases of annexd's own, in files that may be lost at any time: what they hold can be found out anew.

The only home of sqlite.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from annexd.errors import RepositoryError

_BUSY_SECONDS = 5.0
_SUFFIXES = (b"", b"-wal", b"-shm", b"-journal")
_TABLE_OF_FACTS = "CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"


class DatabaseBroken(RepositoryError):
    """A database of annexd's own cannot be read or written; it can be thrown away."""


class Database:
    """One connection. May be used by several threads if they take turns.

    The file has a random `identity`, so that whoever notes elsewhere what it holds can tell when it was made anew.
    Nothing is forced to the disk but by `sync`: a process that is killed loses nothing that was committed.
    """

    def __init__(self, path: bytes, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._connection = self._open()

    @property
    def identity(self) -> bytes:
        """Differs from that of every earlier file of this name."""
        return self.fact("identity") or b""

    def fact(self, name: str) -> bytes | None:
        """A value that was kept by `set_fact`."""
        rows = self.rows("SELECT value FROM facts WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def set_fact(self, name: str, value: bytes | None) -> None:
        """Keep one value under a name."""
        self.run("INSERT OR REPLACE INTO facts VALUES(?, ?)", (name, value))

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple]:  # type: ignore[type-arg]  # as sqlite has it
        """All that the query finds. Raises DatabaseBroken."""
        with _translated(self._path):
            return self._connection.execute(query, values).fetchall()

    def iterate(self, query: str, values: tuple[object, ...] = ()) -> Iterator[tuple]:  # type: ignore[type-arg]
        """What the query finds, some at a time; change nothing before it is exhausted. Raises DatabaseBroken."""
        with _translated(self._path):
            cursor = self._connection.execute(query, values)
            while found := cursor.fetchmany(1000):
                yield from found

    def run(self, statement: str, values: tuple[object, ...] = ()) -> int:
        """Change something; how many rows. Raises DatabaseBroken."""
        with _translated(self._path):
            return self._connection.execute(statement, values).rowcount

    def run_many(self, statement: str, values: Sequence[tuple[object, ...]]) -> int:
        """The same change with many values; how many rows. Raises DatabaseBroken."""
        with _translated(self._path):
            return self._connection.executemany(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes of the block, or none. Raises DatabaseBroken."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(DatabaseBroken):
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def sync(self) -> None:
        """Block until everything committed is on the disk. Raises DatabaseBroken."""
        self.run("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        """Let go of the file."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(self._path))
        with suppress(DatabaseBroken):
            return self._connect()
        remove(self._path)
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        with _translated(self._path):
            connection = sqlite3.connect(
                os.fsdecode(self._path), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(f"{_TABLE_OF_FACTS};{self._schema}")
                connection.execute("INSERT OR IGNORE INTO facts VALUES('identity', ?)", (os.urandom(8),))
                connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            except BaseException:
                connection.close()
                raise
        return connection


def remove(path: bytes) -> None:
    """Throw a database away. Nobody may have it open."""
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


@contextmanager
def _translated(path: bytes) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseBroken(f"{os.fsdecode(path)}: {error}", hint="it is made anew at the next start") from error
