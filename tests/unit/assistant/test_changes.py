"""Changes of one path become one, scan requests for one remote become the strongest."""

from annexd.assistant.changes import Change, ChangeKind, Scan, ScanRequest, coalesce, merge_requests, nudge
from annexd.assistant.pending import Pending
from annexd.formats.uuid import UUID

A, B = UUID(b"a"), UUID(b"b")


def test_the_later_change_of_a_path_wins() -> None:
    pending: dict[bytes, Change] = {}
    coalesce(pending, [Change(b"f", ChangeKind.WRITTEN, 1.0), Change(b"f", ChangeKind.GONE, 2.0)])
    assert pending == {b"f": Change(b"f", ChangeKind.GONE, 2.0)}


def test_a_touch_does_not_hide_that_the_file_was_written() -> None:
    pending: dict[bytes, Change] = {}
    coalesce(pending, [Change(b"f", ChangeKind.WRITTEN, 1.0), Change(b"f", ChangeKind.TOUCHED, 2.0)])
    assert pending[b"f"].kind is ChangeKind.WRITTEN


def test_a_nudge_leaves_nothing_pending() -> None:
    pending: dict[bytes, Change] = {}
    coalesce(pending, [nudge()])
    assert pending == {}


def test_requests_for_one_remote_become_the_strongest() -> None:
    merged = merge_requests([ScanRequest(A, Scan.FAILED), ScanRequest(A, Scan.FULL), ScanRequest(B, Scan.FAILED)])
    assert set(merged) == {ScanRequest(A, Scan.FULL), ScanRequest(B, Scan.FAILED)}


def test_a_request_for_every_remote_covers_weaker_ones() -> None:
    merged = merge_requests([ScanRequest(None, Scan.FAILED), ScanRequest(A, Scan.FULL), ScanRequest(B, Scan.FAILED)])
    assert set(merged) == {ScanRequest(None, Scan.FAILED), ScanRequest(A, Scan.FULL)}


def test_what_is_put_off_comes_back_when_it_is_due() -> None:
    pending = Pending()
    pending.put_off(Change(b"f", ChangeKind.APPEARED, 1.0), until=5.0)
    pending.wake(4.9)
    assert not pending.now and pending.next_wake() == 5.0
    pending.wake(5.0)
    assert list(pending.now) == [b"f"] and pending.next_wake() is None


def test_news_of_a_path_that_is_put_off_makes_it_due() -> None:
    pending = Pending()
    pending.put_off(Change(b"f", ChangeKind.APPEARED, 1.0), until=5.0)
    pending.add([Change(b"f", ChangeKind.WRITTEN, 2.0)])
    assert pending.now[b"f"].kind is ChangeKind.WRITTEN
    assert pending.next_wake() is None and len(pending) == 1


def test_removals_are_taken_first() -> None:
    pending = Pending()
    pending.add([Change(b"new", ChangeKind.APPEARED, 1.0), Change(b"old", ChangeKind.GONE, 1.0)])
    assert [change.path for change in pending.take(10)] == [b"old", b"new"]


def test_no_more_is_taken_than_asked_for() -> None:
    pending = Pending()
    pending.add(Change(b"%d" % n, ChangeKind.WRITTEN, 1.0) for n in range(5))
    assert len(pending.take(2)) == 2 and len(pending) == 3
