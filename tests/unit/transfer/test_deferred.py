"""Downloads that wait for a source."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annexd.annex.database import DatabaseBroken
from annexd.formats.key import Key
from annexd.transfer.deferred import DeferredDownloads
from annexd.transfer.deferred_store import DeferredStore
from annexd.transfer.job import Direction, Job, Reason

Open = Callable[..., DeferredDownloads]


def job(number: int) -> Job:
    return Job(Direction.DOWNLOAD, key(number), (), b"dir/file%d" % number, Reason.NEW)


def key(number: int) -> Key:
    return Key(b"SHA256", b"%d" % number, 5)


@pytest.fixture
def open_at(tmp_path: Path) -> Iterator[Open]:
    made: list[DeferredDownloads] = []

    def open_one(**options: object) -> DeferredDownloads:
        store = DeferredStore(os.fsencode(tmp_path) + b"/annexd/deferred.db")
        made.append(DeferredDownloads(store, **options))    # type: ignore[arg-type]
        return made[-1]

    yield open_one
    for one in made:
        one.close()


@pytest.fixture(params=["memory", "written"])
def deferred(request: pytest.FixtureRequest, open_at: Open) -> DeferredDownloads:
    """One that keeps everything in memory for now, and one that writes each change down."""
    if request.param == "memory":
        return open_at()
    made: list[DeferredDownloads] = []
    made.append(open_at(limit=0, on_full=lambda: made[0].flush()))
    return made[0]


def test_news_of_a_key_releases_exactly_its_download(deferred: DeferredDownloads) -> None:
    for n in range(5):
        assert deferred.defer(job(n), deferred.news_count())
    assert deferred.release([key(3), key(99)]) == [job(3)]
    assert len(deferred) == 4
    assert deferred.release([key(3)]) == []


def test_news_that_comes_between_reading_the_log_and_deferring_is_not_missed(deferred: DeferredDownloads) -> None:
    before = deferred.news_count()
    deferred.release([key(1)])
    assert not deferred.defer(job(1), before)
    assert key(1) not in deferred
    assert deferred.defer(job(1), deferred.news_count())


def test_a_key_is_deferred_once(deferred: DeferredDownloads) -> None:
    for _ in range(3):
        deferred.defer(job(1), deferred.news_count())
    assert len(deferred) == 1
    assert deferred.release([key(1)]) == [job(1)]
    assert len(deferred) == 0


def test_satisfied_ones_leave(deferred: DeferredDownloads) -> None:
    deferred.defer(job(1), 0)
    deferred.satisfied([key(1), key(2)])
    assert len(deferred) == 0
    assert key(1) not in deferred
    assert deferred.waiting(10) == []


def test_some_of_them_can_be_looked_at(deferred: DeferredDownloads) -> None:
    deferred.defer_many([job(n) for n in range(20)], 0)
    assert len(deferred.waiting(5)) == 5
    assert {j.key for j in deferred.waiting(100)} == {key(n) for n in range(20)}
    assert deferred.find(key(7)) == job(7)
    assert deferred.find(key(77)) is None


def test_they_survive_the_end_of_the_process(open_at: Open) -> None:
    first = open_at()
    first.defer_many([job(n) for n in range(100)], 0)
    first.satisfied([key(5)])
    first.flush()
    first.satisfied([key(6)])
    identity = first.identity

    second = open_at()      # the first one was killed before it wrote down that 6 is here
    assert second.identity == identity
    assert len(second) == 99
    assert second.release([key(5), key(6), key(7)]) == [job(6), job(7)]


def test_what_is_changed_while_it_is_written_is_not_lost(open_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred = open_at()
    deferred.defer_many([job(1), job(2)], 0)
    change = DeferredStore.change

    def interrupted(store: DeferredStore, changes: dict[Key, Job | None]) -> int:
        deferred.satisfied([key(1)])
        assert deferred.release([key(2)]) == [job(2)]
        deferred.defer(job(2), deferred.news_count())
        deferred.defer(job(3), deferred.news_count())
        return change(store, changes)

    monkeypatch.setattr(DeferredStore, "change", interrupted)
    deferred.flush()
    monkeypatch.undo()
    for _ in range(2):
        assert len(deferred) == 2
        assert sorted(deferred.waiting(10), key=lambda j: j.key) == [job(2), job(3)]
        assert key(1) not in deferred
        deferred.flush()


def test_much_is_written_down_by_whoever_comes_when_nobody_does_it(open_at: Open) -> None:
    asked: list[int] = []
    deferred = open_at(limit=10, on_full=lambda: asked.append(1))
    for n in range(60):
        deferred.defer(job(n), 0)
    assert asked
    assert len(deferred) == 60
    assert len(open_at()) > 0


def test_a_full_disk_costs_a_scan_and_no_memory(open_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    deferred = open_at(limit=10)

    def full(store: DeferredStore, changes: dict[Key, Job | None]) -> int:
        raise DatabaseBroken("disk full")

    monkeypatch.setattr(DeferredStore, "change", full)
    for n in range(60):
        deferred.defer(job(n), 0)
    assert deferred.has_lost
    with pytest.raises(DatabaseBroken):
        deferred.sync()
    monkeypatch.undo()
    deferred.rescan_begins()
    assert not deferred.has_lost
    deferred.sync()


def test_a_damaged_file_is_made_anew_and_can_be_told(open_at: Open, tmp_path: Path) -> None:
    first = open_at()
    first.defer(job(1), 0)
    before = first.identity
    first.close()
    (tmp_path / "annexd/deferred.db").write_bytes(b"no database " * 1000)
    second = open_at()
    assert second.identity != before
    assert len(second) == 0


def test_rows_that_make_no_sense_are_passed_over(open_at: Open, tmp_path: Path) -> None:
    first = open_at()
    first.defer(job(1), 0)
    first.close()
    with sqlite3.connect(tmp_path / "annexd/deferred.db") as connection:
        connection.execute("INSERT INTO deferred(place, key, file, reason) VALUES(1, x'ff2f00', NULL, 77)")
    connection.close()
    assert [j.key for j in open_at().waiting(10)] == [key(1)]
