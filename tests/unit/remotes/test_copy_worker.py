"""Many small objects are copied by another process, and what it cannot do is left to us."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.annex.store_place import StorePlace
from annexd.errors import RemoteUnavailable
from annexd.formats.key import Key
from annexd.remotes import copy_worker
from annexd.remotes.copy_worker import CopyWorker, Target
from annexd.remotes.registry import load_specs, open_remote
from annexd.transfer import small_batch
from annexd.transfer.job import Result
from annexd.transfer.meter import TransferMeter
from tests.support.annexes import add_remote, content, key_of, make_annex, put
from tests.support.eventually import eventually
from tests.support.repositories import make_removable

COUNT = copy_worker.WORTH_A_START
LIMIT = 20.0


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
def worker(there: AnnexState) -> Iterator[CopyWorker]:
    made = CopyWorker(Target(StorePlace.of(there.layout, there.config), 1 << 20))
    yield made
    made.close()


def damage(here: AnnexState, key: Key) -> None:
    path = here.store.locate(key)
    assert path is not None
    os.chmod(path, 0o644)
    Path(os.fsdecode(path)).write_bytes(b"something else")


def test_it_copies_what_is_whole_and_leaves_the_rest(here: AnnexState, there: AnnexState, worker: CopyWorker) -> None:
    keys = [put(here, b"content %d" % number) for number in range(COUNT)]
    damage(here, keys[3])
    absent = key_of(b"not here")

    def copied() -> frozenset[Key]:
        return worker.copy(here.layout, [*keys, absent])

    assert copied() == frozenset(), "it is not up yet, and is not waited for"
    done = eventually(copied, LIMIT)
    assert done == frozenset(keys) - {keys[3]}
    assert {key for key in keys if there.store.is_present(key)} == done
    assert content(there, keys[7]) == b"content 7"


def test_few_are_not_worth_a_process(here: AnnexState, worker: CopyWorker) -> None:
    keys = [put(here, b"content %d" % number) for number in range(copy_worker.WORTH_IT - 1)]
    assert not worker.copy(here.layout, keys)
    assert not worker._process.is_ready()


def test_a_process_that_died_is_done_without(
    here: AnnexState, there: AnnexState, worker: CopyWorker
) -> None:
    keys = [put(here, b"content %d" % number) for number in range(COUNT)]
    eventually(lambda: worker.copy(here.layout, keys), LIMIT)
    pid = worker._process._process.pid()
    assert pid is not None
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert worker.copy(here.layout, keys) == frozenset()
    assert worker.copy(here.layout, keys) == frozenset()


def test_each_content_of_a_batch_has_its_outcome_whoever_copied_it(here: AnnexState, there: AnnexState) -> None:
    add_remote(here, "there", there)
    here.reload_config()
    (spec,) = load_specs(here)
    remote = open_remote(spec)
    keys = [put(here, b"content %d" % number) for number in range(COUNT)]
    rounds = 0

    def with_worker() -> bool:
        nonlocal rounds
        rounds += 1
        more = [put(here, b"more %d %d" % (rounds, number)) for number in range(COUNT)]
        damage(here, more[5])
        outcomes = small_batch.upload(here, remote, [*more, key_of(b"absent")])
        assert [outcome.result for outcome in outcomes[:5]] == [Result.TRANSFERRED] * 5
        assert outcomes[5].result is Result.FAILED
        assert outcomes[-1].result is Result.FAILED
        return bool(remote.copy_small(here.layout, more))     # type: ignore[attr-defined]

    assert {o.result for o in small_batch.upload(here, remote, keys)} == {Result.TRANSFERRED}
    eventually(with_worker, LIMIT)
    remote.close()


def test_half_of_the_keys_are_left_to_who_asks_and_can_do_them_meanwhile(
    here: AnnexState, there: AnnexState, worker: CopyWorker
) -> None:
    keys = [put(here, b"content %d" % number) for number in range(COUNT)]
    left: list[Key] = []
    done = eventually(lambda: worker.copy(here.layout, keys, left.extend), LIMIT)
    assert set(left) == set(keys) - done
    assert len(left) == len(done) == COUNT // 2
    assert all(there.store.is_present(key) == (key in done) for key in keys)


def test_what_is_raised_meanwhile_does_not_confuse_the_next_answer(
    here: AnnexState, there: AnnexState, worker: CopyWorker
) -> None:
    keys = [put(here, b"content %d" % number) for number in range(COUNT)]
    damage(here, keys[0])
    eventually(lambda: worker.copy(here.layout, keys), LIMIT)

    def fails(_: Sequence[Key]) -> None:
        raise RemoteUnavailable("the drive went away")

    with pytest.raises(RemoteUnavailable):
        worker.copy(here.layout, keys, fails)
    assert worker.copy(here.layout, keys[1:]) == frozenset(keys[1:])


@pytest.mark.parametrize("alone", [False, True], ids=["shared", "all by the process"])
def test_contents_that_come_have_their_outcome_whoever_brought_them(
    here: AnnexState, there: AnnexState, alone: bool
) -> None:
    add_remote(here, "there", there)
    here.reload_config()
    (spec,) = load_specs(here)
    remote = open_remote(spec)
    brought: list[int] = []
    real = remote.bring_small       # type: ignore[attr-defined]

    def watched(*args: object) -> frozenset[Key]:
        keys: frozenset[Key] = real(*args)
        brought.append(len(keys))
        return keys

    remote.bring_small = watched    # type: ignore[attr-defined]
    rounds = 0

    def with_worker() -> bool:
        nonlocal rounds
        rounds += 1
        brought.clear()
        keys = [put(there, b"content %d %d" % (rounds, number)) for number in range(COUNT)]
        damage(there, keys[5])
        meter = TransferMeter()
        meter.has_core_to_spare = not alone
        outcomes = small_batch.download(here, remote, [*keys, key_of(b"absent")], meter)
        assert [o.result for o in outcomes[:5]] == [Result.TRANSFERRED] * 5
        assert outcomes[5].result is outcomes[-1].result is Result.FAILED
        assert all(here.store.is_present(key) for key in keys if key != keys[5])
        assert not here.store.is_present(keys[5])
        assert meter.done == sum(key.size or 0 for key in keys if key != keys[5])
        return sum(brought) > 0

    eventually(with_worker, LIMIT)
    assert sum(brought) == (COUNT - 1 if alone else COUNT // 2 - 1)
    remote.close()
