"""Single transfers between two real repositories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from annexd.annex.state import AnnexState
from annexd.errors import (
    ContentMissing,
    NoSpace,
    RefusedError,
    RemoteUnavailable,
    TransferFailed,
    VerificationFailed,
)
from annexd.formats.key import Key
from annexd.formats.transfer_info import TransferInfo
from annexd.remotes import registry
from annexd.remotes.contract import Remote
from annexd.transfer import perform, small_batch
from annexd.transfer.job import Direction, Result
from annexd.transfer.locks import announced
from annexd.transfer.meter import StopReason, TransferMeter
from tests.support.annexes import add_remote, content, key_of, make_annex, put
from tests.support.repositories import git, make_removable

LARGE = os.urandom(1 << 16) * 48
SMALL = b"small content"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "there") as state:
        yield state


@pytest.fixture
def remote(here: AnnexState, there: AnnexState) -> Iterator[Remote]:
    add_remote(here, "there", there)
    (spec,) = registry.load_specs(here)
    made = registry.open_remote(spec)
    yield made
    made.close()


def leftovers(state: AnnexState) -> list[str]:
    root = Path(os.fsdecode(state.layout.annex_dir))
    return [str(p) for top in ("transfer", "tmp") for p in (root / top).rglob("*") if p.is_file()]


@pytest.mark.parametrize("data", [LARGE, SMALL, b""], ids=["large", "small", "empty"])
def test_content_goes_and_comes_and_leaves_nothing_behind(
    here: AnnexState, there: AnnexState, remote: Remote, data: bytes
) -> None:
    key = put(here, data)
    outcome = perform.upload(here, remote, key, b"file")
    assert (outcome.result, outcome.remote) == (Result.TRANSFERRED, there.uuid)
    assert content(there, key) == data

    here.store.remove(key)
    assert perform.download(here, [remote], key, b"file").result is Result.TRANSFERRED
    assert content(here, key) == data
    assert leftovers(here) == leftovers(there) == []


def test_what_is_there_already_is_not_sent_again(here: AnnexState, there: AnnexState, remote: Remote) -> None:
    key = put(here, LARGE)
    put(there, LARGE)
    assert perform.upload(here, remote, key).result is Result.ALREADY_THERE
    assert perform.download(here, [remote], key).result is Result.ALREADY_THERE


def test_both_repositories_know_of_a_running_transfer(here: AnnexState, there: AnnexState, remote: Remote) -> None:
    key = put(here, LARGE)
    seen: list[TransferInfo] = []

    def look(_: int) -> None:
        ours = here.layout.transfer_info(b"upload", there.uuid, key)
        theirs = there.layout.transfer_info(b"download", here.uuid, key)
        seen.extend(TransferInfo.parse(Path(os.fsdecode(path)).read_bytes()) for path in (ours, theirs))

    perform.upload(here, remote, key, b"file", meter=TransferMeter(on_progress=look))
    assert {info.file for info in seen} == {b"file"}


@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("side", ["here", "there"])
def test_what_another_process_transfers_is_left_to_it(
    here: AnnexState, there: AnnexState, remote: Remote, data: bytes, side: str
) -> None:
    key = put(here, data)
    layout, direction, uuid = (
        (here.layout, Direction.UPLOAD, there.uuid) if side == "here" else (there.layout, Direction.DOWNLOAD, here.uuid)
    )
    with announced(layout, direction, uuid, key):
        assert perform.upload(here, remote, key).result is Result.IN_PROGRESS
    assert not there.store.is_present(key)
    assert perform.upload(here, remote, key).result is Result.TRANSFERRED


@pytest.mark.parametrize(
    ("reason", "result"), [(StopReason.PAUSED, Result.PAUSED), (StopReason.CANCELLED, Result.CANCELLED)]
)
def test_a_stopped_download_continues_later(
    here: AnnexState, there: AnnexState, remote: Remote, reason: StopReason, result: Result
) -> None:
    key = put(there, LARGE)
    meter = TransferMeter(on_progress=lambda done: meter.stop(reason) if done >= 1 << 20 else None)
    assert perform.download(here, [remote], key, meter=meter).result is result
    assert Path(os.fsdecode(here.layout.tmp_object(key))).stat().st_size >= 1 << 20

    before = Path(os.fsdecode(here.layout.tmp_object(key))).stat().st_size
    moved: list[int] = []
    again = TransferMeter()
    again.pace(Mock(step=1 << 20, spend=lambda count, _check: moved.append(count)))
    assert perform.download(here, [remote], key, meter=again).result is Result.TRANSFERRED
    assert sum(moved) == len(LARGE) - before
    assert content(here, key) == LARGE


def test_the_next_source_is_taken_when_one_fails(tmp_path: Path, here: AnnexState, there: AnnexState) -> None:
    with make_annex(tmp_path / "bad") as bad:
        add_remote(here, "bad", bad)
        add_remote(here, "there", there)
        key = put(there, LARGE)
        path = Path(os.fsdecode(bad.store.put_bytes(LARGE, key)))
        os.chmod(path, 0o644)
        path.write_bytes(b"?" * len(LARGE))
        remotes = [registry.open_remote(spec) for spec in registry.load_specs(here)]
        outcome = perform.download(here, remotes, key)
        for remote in remotes:
            remote.close()
    assert (outcome.result, outcome.remote) == (Result.TRANSFERRED, there.uuid)
    assert content(here, key) == LARGE


def test_without_a_source_there_is_no_download(here: AnnexState) -> None:
    assert perform.download(here, [], key_of(LARGE)).result is Result.NO_SOURCE


def test_failures_are_told_and_typed(here: AnnexState, there: AnnexState, remote: Remote, tmp_path: Path) -> None:
    for data in (LARGE, SMALL):
        absent = key_of(data + b"absent")
        for outcome in (perform.upload(here, remote, absent), perform.download(here, [remote], absent)):
            assert outcome.result is Result.FAILED
            assert isinstance(outcome.error, ContentMissing)
    key = put(here, LARGE)
    (tmp_path / "there").rename(tmp_path / "gone")
    for outcome in (perform.upload(here, remote, key), perform.download(here, [remote], key_of(b"x"))):
        assert outcome.result is Result.FAILED
        assert isinstance(outcome.error, RemoteUnavailable)


@pytest.mark.parametrize("data", [LARGE, SMALL], ids=["large", "small"])
def test_the_disk_reserve_is_kept_here_and_there(
    here: AnnexState, there: AnnexState, remote: Remote, data: bytes
) -> None:
    ours, theirs = put(here, data + b"1"), put(there, data + b"2")
    for state in (here, there):
        git(Path(os.fsdecode(state.repo.top)), "config", "annex.diskreserve", "1000000 tb")
        state.reload_config()
    for outcome in (perform.upload(here, remote, ours), perform.download(here, [remote], theirs)):
        assert isinstance(outcome.error, NoSpace), outcome
    assert not there.store.is_present(ours)
    assert not here.store.is_present(theirs)


@pytest.mark.parametrize("size", [len(LARGE), len(SMALL)], ids=["large", "small"])
def test_insecure_keys_are_refused_where_that_is_configured(
    here: AnnexState, there: AnnexState, remote: Remote, size: int
) -> None:
    key = Key(b"WORM", b"name", size, 1)
    there.store.put_bytes(b"x" * size, key)
    git(Path(os.fsdecode(here.repo.top)), "config", "annex.securehashesonly", "true")
    here.reload_config()
    outcome = perform.download(here, [remote], key)
    assert isinstance(outcome.error, RefusedError)
    git(Path(os.fsdecode(here.repo.top)), "config", "annex.securehashesonly", "false")
    here.reload_config()
    assert perform.download(here, [remote], key).result is Result.TRANSFERRED


def test_corrupt_content_is_not_taken_in_and_not_left_as_a_beginning(
    here: AnnexState, there: AnnexState, remote: Remote
) -> None:
    key = put(there, LARGE)
    path = Path(os.fsdecode(there.store.locate(key) or b""))
    os.chmod(path, 0o644)
    path.write_bytes(b"?" * len(LARGE))
    outcome = perform.download(here, [remote], key)
    assert isinstance(outcome.error, VerificationFailed)
    assert not here.store.is_present(key)
    path.write_bytes(LARGE)
    assert perform.download(here, [remote], key).result is Result.TRANSFERRED


def test_a_remote_without_identity_is_no_place_for_content(here: AnnexState, remote: Remote) -> None:
    nameless = registry.open_remote(replace(remote.spec, uuid=None))
    key = put(here, LARGE)
    assert isinstance(perform.upload(here, nameless, key).error, TransferFailed)
    nameless.close()


def test_a_batch_tells_what_came_of_each(here: AnnexState, there: AnnexState, remote: Remote) -> None:
    keys = [put(here, b"content %d" % n) for n in range(10)]
    put(there, b"content 3")
    here.store.remove(keys[5])
    with announced(here.layout, Direction.UPLOAD, there.uuid, keys[7]):
        outcomes = small_batch.upload(here, remote, keys)
    results = [outcome.result for outcome in outcomes]
    assert results[5] is Result.FAILED
    assert results[7] is Result.IN_PROGRESS
    assert all(results[n] is Result.TRANSFERRED for n in (0, 1, 2, 3, 4, 6, 8, 9))
    assert there.store.is_present(keys[9]) and not there.store.is_present(keys[7])

    fetched = [put(there, b"other %d" % n) for n in range(10)]
    put(here, b"other 4")
    there.store.remove(fetched[6])
    results = [outcome.result for outcome in small_batch.download(here, remote, fetched)]
    assert results[4] is Result.ALREADY_THERE
    assert results[6] is Result.FAILED
    assert sum(result is Result.TRANSFERRED for result in results) == 8
    assert content(here, fetched[9]) == b"other 9"


def test_a_hostile_key_fails_alone(here: AnnexState, remote: Remote) -> None:
    good = put(here, b"good")
    results = [o.result for o in small_batch.upload(here, remote, [Key(b"X", b"y" * 300, 3), good])]
    assert results == [Result.FAILED, Result.TRANSFERRED]
