"""How far the scan has come, on disk and in memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.git.objects import Oid
from annexd.transfer.job import Direction, Identity, Job
from annexd.transfer.scan_cursor import Cursor, Progress, load, parse, save, serialise
from annexd.transfer.scan_ledger import ScanLedger

US, A, B = UUID(b"us"), UUID(b"a"), UUID(b"b")

oids = st.binary(min_size=20, max_size=20).map(Oid)
cursors = st.builds(Cursor, oids, st.none() | oids, st.binary())
progresses = st.builds(
    Progress, st.binary().map(UUID), st.binary(), st.dictionaries(st.binary().map(UUID), cursors, max_size=4)
)


def cursor(number: int, rules: bytes = b"rules") -> Cursor:
    return Cursor(Oid(bytes([number]) * 20), None, rules)


def upload(number: int, remote: UUID = A) -> Job:
    return Job(Direction.UPLOAD, Key(b"SHA256", b"%d" % number), (remote,))


def download(number: int, *remotes: UUID) -> Job:
    return Job(Direction.DOWNLOAD, Key(b"SHA256", b"%d" % number), remotes)


@given(progresses)
def test_progress_survives_its_serialisation(progress: Progress) -> None:
    assert parse(serialise(progress)) == progress


@given(progresses, st.data())
def test_any_damage_is_noticed(progress: Progress, data: st.DataObject) -> None:
    written = serialise(progress)
    at = data.draw(st.integers(0, len(written) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != written[at]))
    with pytest.raises(ValueError):
        parse(written[:at] + bytes([other]) + written[at + 1 :])


@pytest.mark.parametrize("cut", [0, 1, 30, -1])
def test_a_file_that_was_cut_off_counts_for_nothing(tmp_path: Path, cut: int) -> None:
    path = os.fsencode(tmp_path / "annexd/cursors")
    save(path, Progress(US, b"d", {A: cursor(1)}))
    whole = (tmp_path / "annexd/cursors").read_bytes()
    (tmp_path / "annexd/cursors").write_bytes(whole[:cut])
    assert load(path, US, b"d").cursors == {}


def test_what_was_saved_is_loaded_for_the_same_repository_only(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "annexd/cursors")
    saved = Progress(US, b"d", {US: cursor(1), A: cursor(2)})
    assert load(path, US, b"d").cursors == {}
    save(path, saved)
    assert load(path, US, b"d") == saved
    assert load(path, B, b"d").cursors == {}
    assert load(path, US, b"others").cursors == {A: cursor(2)}, "what is missing here has to be found again"


def test_a_cursor_moves_on_only_when_what_was_found_is_over() -> None:
    ledger = ScanLedger({})
    waiting: set[Identity] = {upload(1).identity, upload(2).identity}
    ledger.begin(A, cursor(1))
    ledger.begin(US, cursor(1))
    ledger.add(US, [upload(1), upload(2)])
    ledger.complete()
    assert ledger.settle(waiting.__contains__)
    assert dict(ledger.done()) == {US: cursor(1)}
    waiting.discard(upload(1).identity)
    assert not ledger.settle(waiting.__contains__)
    waiting.clear()
    assert ledger.settle(waiting.__contains__)
    assert dict(ledger.done()) == {US: cursor(1), A: cursor(1)}
    assert not ledger.has_open()


def test_a_download_holds_up_us_and_whoever_may_give_it() -> None:
    ledger = ScanLedger({})
    for uuid in (US, A, B):
        ledger.begin(uuid, cursor(1))
    ledger.add(US, [download(1, A)])
    ledger.complete()
    ledger.settle(lambda _: True)
    assert set(ledger.done()) == {B}


def test_the_next_scan_begins_where_the_last_one_came_to_though_that_is_not_done() -> None:
    ledger = ScanLedger({A: cursor(1)})
    assert ledger.base(A, b"rules") == cursor(1)
    ledger.begin(A, cursor(2))
    ledger.add(US, [upload(1)])
    assert ledger.base(A, b"rules") == cursor(1)
    ledger.complete()
    assert ledger.base(A, b"rules") == cursor(2)
    assert ledger.done()[A] == cursor(1)


def test_many_scans_behind_one_that_is_not_done_are_done_together() -> None:
    ledger = ScanLedger({})
    for number in range(1, 6):
        ledger.begin(A, cursor(number))
        ledger.add(US, [upload(number)])
        ledger.complete()
    ledger.settle(lambda identity: identity != upload(1).identity)
    assert ledger.done()[A] == cursor(1)
    ledger.settle(lambda identity: identity == upload(3).identity)
    assert ledger.done()[A] == cursor(1)
    ledger.settle(lambda _: False)
    assert ledger.done()[A] == cursor(5)


def test_other_rules_and_forgetting_mean_looking_at_everything() -> None:
    ledger = ScanLedger({A: cursor(1), B: cursor(1)})
    assert ledger.base(A, b"others") is None
    ledger.forget(A)
    assert ledger.base(A, b"rules") is None
    assert ledger.base(B, b"rules") == cursor(1)
    ledger.forget()
    assert ledger.base(B, b"rules") is None


def test_a_scan_that_was_cut_off_counts_for_nothing() -> None:
    ledger = ScanLedger({A: cursor(1)})
    ledger.begin(A, cursor(2))
    ledger.abandon()
    assert not ledger.settle(lambda _: False)
    assert ledger.base(A, b"rules") == cursor(1)


def test_nothing_counts_as_done_after_jobs_were_thrown_away() -> None:
    ledger = ScanLedger({A: cursor(1)})
    ledger.begin(A, cursor(2))
    ledger.add(US, [upload(1)])
    ledger.complete()
    assert not ledger.settle(lambda _: False, lambda: False)
    assert ledger.base(A, b"rules") == cursor(2), "it is not looked at again before the next start"
    ledger.hold()
    ledger.begin(A, cursor(3))
    ledger.complete()
    assert not ledger.settle(lambda _: False)
    assert dict(ledger.done()) == {A: cursor(1)}
    assert ledger.base(A, b"rules") == cursor(3)
    assert not ledger.has_open()


def test_a_scan_for_one_repository_can_be_abandoned() -> None:
    ledger = ScanLedger({})
    for uuid in (A, B):
        ledger.begin(uuid, cursor(1))
    assert ledger.under_way() == {A, B}
    ledger.abandon(A)
    ledger.complete()
    ledger.settle(lambda _: False)
    assert set(ledger.done()) == {B}
