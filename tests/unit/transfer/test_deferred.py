"""Downloads that wait for a source."""

from __future__ import annotations

from annexd.formats.key import Key
from annexd.transfer.deferred import DeferredDownloads
from annexd.transfer.job import Direction, Job


def job(number: int) -> Job:
    return Job(Direction.DOWNLOAD, key(number), ())


def key(number: int) -> Key:
    return Key(b"SHA256", b"%d" % number, 5)


def test_news_of_a_key_releases_exactly_its_download() -> None:
    deferred = DeferredDownloads()
    for n in range(5):
        assert deferred.defer(job(n), deferred.news_count())
    assert deferred.release([key(3), key(99)]) == [job(3)]
    assert len(deferred) == 4
    assert deferred.release([key(3)]) == []


def test_news_that_comes_between_reading_the_log_and_deferring_is_not_missed() -> None:
    deferred = DeferredDownloads()
    before = deferred.news_count()
    deferred.release([key(1)])
    assert not deferred.defer(job(1), before)
    assert key(1) not in deferred
    assert deferred.defer(job(1), deferred.news_count())


def test_a_key_is_deferred_once() -> None:
    deferred = DeferredDownloads()
    for _ in range(3):
        deferred.defer(job(1), deferred.news_count())
    assert len(deferred) == 1


def test_satisfied_ones_leave() -> None:
    deferred = DeferredDownloads()
    deferred.defer(job(1), 0)
    deferred.satisfied([key(1), key(2)])
    assert len(deferred) == 0


def test_more_than_the_limit_are_left_to_a_scan_which_is_asked_for_once() -> None:
    asked: list[int] = []
    deferred = DeferredDownloads(limit=3, on_overflow=lambda: asked.append(1))
    for n in range(10):
        assert deferred.defer(job(n), 0)
    assert len(deferred) == 3
    assert deferred.has_overflowed
    assert asked == [1]
    deferred.rescan_begins()
    assert not deferred.has_overflowed
    assert deferred.defer(job(11), 0)
    assert asked == [1, 1]


def test_everything_is_released_when_a_remote_is_new() -> None:
    deferred = DeferredDownloads()
    for n in range(5):
        deferred.defer(job(n), 0)
    assert deferred.release_all() == [job(n) for n in range(5)]
    assert len(deferred) == 0
