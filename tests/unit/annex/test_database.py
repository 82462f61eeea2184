"""Databases that may be lost at any time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex.database import Database, DatabaseBroken, remove

SCHEMA = "CREATE TABLE IF NOT EXISTS things(name TEXT PRIMARY KEY)"


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path / "annexd/things.db")


def names(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT name FROM things ORDER BY name")]


def test_what_was_committed_is_there_for_the_next_one(path: bytes) -> None:
    first = Database(path, SCHEMA)
    first.run_many("INSERT INTO things VALUES(?)", [("a",), ("b",)])
    first.set_fact("tree", b"\0\xff")
    second = Database(path, SCHEMA)     # as after a kill: the first was not closed
    assert names(second) == ["a", "b"]
    assert second.fact("tree") == b"\0\xff"
    assert second.fact("nothing") is None
    assert second.identity == first.identity
    first.close()
    second.close()


def test_a_transaction_that_fails_leaves_nothing(path: bytes) -> None:
    database = Database(path, SCHEMA)
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.run("INSERT INTO things VALUES('a')")
        raise ZeroDivisionError
    assert names(database) == []
    with database.transaction():
        database.run("INSERT INTO things VALUES('b')")
    assert names(database) == ["b"]
    database.sync()
    database.close()


def test_a_file_that_is_no_database_is_replaced_and_has_another_identity(path: bytes) -> None:
    first = Database(path, SCHEMA)
    before = first.identity
    first.close()
    with open(path, "r+b") as file:
        file.write(b"no database at all " * 100)
    second = Database(path, SCHEMA)
    assert second.identity != before
    assert names(second) == []
    second.close()


def test_a_mistake_is_an_error_of_ours(path: bytes) -> None:
    database = Database(path, SCHEMA)
    with pytest.raises(DatabaseBroken, match=r"things\.db"):
        database.rows("SELECT * FROM nothing")
    database.close()
    with pytest.raises(DatabaseBroken):
        names(database)


def test_nothing_is_left_when_it_is_removed(path: bytes) -> None:
    database = Database(path, SCHEMA)
    database.run("INSERT INTO things VALUES('a')")
    database.close()
    remove(path)
    remove(path)
    assert os.listdir(os.path.dirname(path)) == []
