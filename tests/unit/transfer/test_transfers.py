"""Queue, controller, slots and remotes together, on real repositories, with things going wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.shared import SharedAnnex
from annexd.annex.state import AnnexState
from annexd.errors import RemoteUnavailable
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes import registry
from annexd.remotes.contract import Meter, Remote, RemoteSpec, SmallResult, Verified
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.gate import GateState
from annexd.transfer.job import Direction, Finished, Job, Reason, Result
from annexd.transfer.transfers import Plan, RemoteTable, Transfers, build
from tests.support.annexes import add_remote, content, key_of, make_annex, put
from tests.support.eventually import eventually
from tests.support.repositories import make_removable

LARGE = os.urandom(1 << 16) * 24
LIMIT = 20.0


class Faulty:
    """A real remote with faults that tests switch on."""

    def __init__(self, inner: Remote, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    @property
    def spec(self) -> RemoteSpec:
        return self._inner.spec

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def store(self, key: Key, source: bytes, meter: Meter) -> None:
        self._faults.strike(self.spec)
        self._inner.store(key, source, meter)

    def store_small(self, batch: Sequence[tuple[Key, bytes]]) -> list[SmallResult]:
        self._faults.strike(self.spec)
        return self._inner.store_small(batch)

    def retrieve(self, key: Key, dest: bytes, meter: Meter) -> Verified:
        self._faults.strike(self.spec)
        return self._inner.retrieve(key, dest, meter)

    def retrieve_small(self, keys: Sequence[Key], accept: Callable[[Key, bytes], None]) -> list[SmallResult]:
        self._faults.strike(self.spec)
        return self._inner.retrieve_small(keys, accept)


class Faults:
    """What is wrong with each remote, by name: an exception to raise, or an event to wait for."""

    def __init__(self) -> None:
        self.now: dict[str, BaseException | threading.Event] = {}
        self.calls: list[str] = []

    def strike(self, spec: RemoteSpec) -> None:
        self.calls.append(spec.name)
        fault = self.now.get(spec.name)
        if isinstance(fault, threading.Event):
            assert fault.wait(LIMIT)
        elif fault is not None:
            raise fault


class World:
    """A repository with remotes, and everything that moves content, running."""

    def __init__(self, tmp_path: Path, remotes: Sequence[str], *, slots: int = 2) -> None:
        self.tmp_path = tmp_path
        self.here = make_annex(tmp_path / "here")
        self.others = {name: make_annex(tmp_path / name) for name in remotes}
        for cost, (name, other) in enumerate(self.others.items()):
            add_remote(self.here, name, other, annex_cost=str(100 + cost))
        self.faults = Faults()
        self.finished: list[Finished] = []
        self.bugs: list[BaseException] = []
        self.shared = SharedAnnex(self.here)
        self.table = RemoteTable(registry.load_specs(self.here))
        self.stop = StopSignal()
        self.parts = self._build(slots)
        self.thread = NamedThread("controller", lambda: self.parts.controller.run(self.stop))

    def _build(self, slots: int) -> Transfers:
        return build(
            Plan(
                layout=self.here.layout,
                us=self.here.uuid,
                table=self.table,
                fork=self.here.fork,
                open_remote=lambda spec: Faulty(registry.open_remote(spec), self.faults),   # type: ignore[arg-type]
                replan=self.replan,
                tell=self.finished.extend,
                on_bug=lambda _, error: self.bugs.append(error),
                slots=slots,
            )
        )

    def replan(self, jobs: Sequence[Job]) -> None:
        with self.shared.locked() as annex:
            self.parts.requests.replan(annex, jobs)

    def start(self) -> World:
        self.parts.slots.start()
        self.thread.start()
        return self

    def close(self) -> None:
        self.stop.set()
        assert self.parts.slots.close(Deadline(10))
        assert self.thread.join(Deadline(10))
        for state in (self.here, *self.others.values()):
            state.close()
        make_removable(self.tmp_path)

    def uuid(self, name: str) -> UUID:
        return self.others[name].uuid

    def upload(self, keys: Sequence[Key], reason: Reason = Reason.NEW) -> int:
        with self.shared.locked() as annex:
            return self.parts.requests.upload(annex, [(key, b"file") for key in keys], reason)

    def download(self, keys: Sequence[Key], reason: Reason = Reason.NEW) -> int:
        with self.shared.locked() as annex:
            return self.parts.requests.download(annex, [(key, b"file") for key in keys], reason)

    def believe(self, keys: Sequence[Key], name: str, presence: Presence = Presence.PRESENT) -> None:
        """The location logs say so; nobody is told of the change."""
        with self.shared.locked() as annex:
            annex.locations.record_many([(key, self.uuid(name), presence) for key in keys])

    def tell_news(self, keys: Sequence[Key]) -> None:
        with self.shared.locked() as annex:
            self.parts.requests.news(annex, keys)

    def is_back(self, name: str) -> None:
        self.parts.requests.remote_is_back(self.uuid(name))

    def is_quiet(self) -> bool:
        counts = self.parts.queue.counts()
        return not counts.queued and not counts.running and self.parts.slots.idle_count() == len(self.parts.slots)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*remotes: str, slots: int = 2) -> World:
        made.append(World(tmp_path, remotes, slots=slots))
        return made[-1].start()

    yield make
    for one in made:
        one.close()
        assert one.bugs == []


def test_uploads_arrive_at_every_remote_and_are_recorded(world: Callable[..., World]) -> None:
    w = world("a", "b")
    datas = [b"content %d" % n for n in range(300)] + [LARGE]
    keys = [put(w.here, data) for data in datas]

    assert w.upload(keys) == 602
    eventually(w.is_quiet, LIMIT)

    for name, other in w.others.items():
        assert [content(other, key) for key in keys] == datas, name
    assert len(w.parts.recorder) == 602
    with w.shared.locked() as annex:
        w.parts.recorder.flush(annex.locations)
        assert annex.locations.locations(keys[300]) == {w.uuid("a"), w.uuid("b")}
        assert w.parts.requests.upload(annex, [(key, None) for key in keys]) == 0, "they have it now"


def test_downloads_come_from_the_cheapest_remote_that_has_them(world: Callable[..., World]) -> None:
    w = world("near", "far")
    both = [put(w.others["near"], data) for data in (b"one", LARGE)]
    for data in (b"one", LARGE):
        put(w.others["far"], data)
    only_far = put(w.others["far"], b"two")
    w.believe(both, "near")
    w.believe([*both, only_far], "far")

    w.download([*both, only_far])
    eventually(w.is_quiet, LIMIT)

    sources = {f.job.key: f.outcome.remote for f in w.finished if f.outcome.is_success}
    assert sources == {both[0]: w.uuid("near"), both[1]: w.uuid("near"), only_far: w.uuid("far")}
    assert content(w.here, both[1]) == LARGE


def test_a_download_without_a_source_waits_for_news_of_one(world: Callable[..., World]) -> None:
    """The chain A-B-C: C hears of the file before B has its content."""
    w = world("b")
    keys = [put(w.others["b"], b"content %d" % n) for n in range(10)]
    assert w.download(keys) == 0
    assert len(w.parts.deferred) == 10

    w.believe(keys[:5], "b")
    w.tell_news(keys[:5])
    eventually(lambda: w.is_quiet() and content(w.here, keys[4]), LIMIT)

    assert len(w.parts.deferred) == 5
    assert [content(w.here, key) is not None for key in keys] == [True] * 5 + [False] * 5
    assert [f.outcome.result for f in w.finished] == [Result.TRANSFERRED] * 5


def test_a_near_copy_that_appears_while_the_job_waits_is_taken(world: Callable[..., World]) -> None:
    w = world("near", "far")
    keys = [put(w.others["far"], data) for data in (b"one", LARGE)]
    w.believe(keys, "far")
    w.parts.controller.pause_all()
    w.download(keys)
    for data in (b"one", LARGE):
        put(w.others["near"], data)
    w.believe(keys, "near")

    w.parts.controller.resume_all()
    eventually(lambda: w.is_quiet() and content(w.here, keys[1]), LIMIT)

    assert {f.outcome.remote for f in w.finished if f.outcome.is_success} == {w.uuid("near")}


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_a_lying_location_log_leads_to_the_next_source(world: Callable[..., World], data: bytes) -> None:
    w = world("liar", "honest")
    key = put(w.others["honest"], data)
    w.believe([key], "liar")
    w.believe([key], "honest")
    w.download([key])
    eventually(lambda: content(w.here, key) == data, LIMIT)
    eventually(w.is_quiet, LIMIT)
    assert len(w.parts.failed) == 0


def test_a_download_that_fails_everywhere_is_tried_again_until_it_works(world: Callable[..., World]) -> None:
    w = world("liar")
    key = key_of(LARGE)
    w.believe([key], "liar")
    w.download([key])
    eventually(lambda: len(w.parts.failed) == 1, LIMIT)
    (failure,) = w.parts.failed.failures(10)
    assert "liar" in failure.reason
    put(w.others["liar"], LARGE)
    eventually(lambda: content(w.here, key) == LARGE, LIMIT)
    eventually(lambda: len(w.parts.failed) == 0, LIMIT)


def test_before_a_retry_the_log_is_asked_for_other_sources(world: Callable[..., World]) -> None:
    w = world("a", "b")
    key = key_of(LARGE)
    w.believe([key], "a")
    w.download([key])
    eventually(lambda: len(w.parts.failed) == 1, LIMIT)
    put(w.others["b"], LARGE)
    w.believe([key], "a", Presence.MISSING)
    w.believe([key], "b")
    eventually(lambda: content(w.here, key) == LARGE, LIMIT)


def test_a_dead_remote_holds_up_no_other_and_gets_everything_when_it_is_back(world: Callable[..., World]) -> None:
    w = world("dead", "alive")
    w.faults.now["dead"] = RemoteUnavailable("no route")
    keys = [put(w.here, b"content %d" % n) for n in range(600)]
    w.upload(keys)
    eventually(lambda: content(w.others["alive"], keys[-1]), LIMIT)
    view = w.parts.gate.view()[w.uuid("dead")]
    assert view.state is not GateState.OPEN
    assert "no route" in view.reason
    assert not w.others["dead"].store.is_present(keys[0])

    del w.faults.now["dead"]
    w.is_back("dead")

    eventually(lambda: all(w.others["dead"].store.is_present(key) for key in keys), LIMIT)
    eventually(lambda: len(w.parts.failed) == 0, LIMIT)


def test_a_dead_remote_is_not_asked_again_and_again(world: Callable[..., World]) -> None:
    w = world("dead")
    w.faults.now["dead"] = RemoteUnavailable("no route")
    w.upload([put(w.here, LARGE + b"%d" % n) for n in range(50)])
    eventually(lambda: len(w.parts.failed) == 2, LIMIT)     # the first, and the first probe a second later
    assert w.faults.calls.count("dead") <= 3
    assert w.parts.queue.counts().queued >= 47


def test_a_hanging_remote_holds_up_no_other(world: Callable[..., World]) -> None:
    w = world("hangs", "alive")
    w.faults.now["hangs"] = threading.Event()
    keys = [put(w.here, LARGE + b"%d" % n) for n in range(4)]
    w.upload(keys)
    eventually(lambda: all(w.others["alive"].store.is_present(key) for key in keys), LIMIT)
    assert not w.others["hangs"].store.is_present(keys[0])
    fault = w.faults.now.pop("hangs")
    assert isinstance(fault, threading.Event)
    fault.set()
    eventually(lambda: all(w.others["hangs"].store.is_present(key) for key in keys), LIMIT)


def test_a_source_that_dies_is_replaced_by_another(world: Callable[..., World]) -> None:
    w = world("dead", "alive")
    w.faults.now["dead"] = RemoteUnavailable("no route")
    keys = [put(w.others["alive"], b"content %d" % n) for n in range(300)]
    for name in w.others:
        w.believe(keys, name)
    w.download(keys)
    eventually(lambda: all(w.here.store.is_present(key) for key in keys), LIMIT)
    eventually(w.is_quiet, LIMIT)
    assert len(w.parts.failed) == 0


def test_a_crash_in_a_transfer_is_a_failure_that_is_tried_again(world: Callable[..., World]) -> None:
    w = world("a")
    w.faults.now["a"] = ZeroDivisionError("a bug")
    key = put(w.here, LARGE)
    w.upload([key])
    eventually(lambda: len(w.parts.failed) == 1, LIMIT)
    assert isinstance(w.bugs.pop(), ZeroDivisionError)
    w.faults.now.clear()
    eventually(lambda: w.others["a"].store.is_present(key), LIMIT)
    w.bugs.clear()


def test_an_unmounted_drive_gets_its_content_once_it_is_back(world: Callable[..., World], tmp_path: Path) -> None:
    w = world("drive")
    (tmp_path / "drive").rename(tmp_path / "aside")
    keys = [put(w.here, b"content %d" % n) for n in range(20)] + [put(w.here, LARGE)]
    w.upload(keys)
    eventually(lambda: len(w.parts.failed) > 0, LIMIT)
    assert not (tmp_path / "drive").exists()
    (tmp_path / "aside").rename(tmp_path / "drive")
    w.is_back("drive")
    eventually(lambda: all(w.others["drive"].store.is_present(key) for key in keys), LIMIT)


def test_an_upload_that_is_not_needed_any_more_is_forgotten(world: Callable[..., World]) -> None:
    w = world("a")
    w.faults.now["a"] = RemoteUnavailable("no route")
    key = put(w.here, LARGE)
    w.upload([key])
    eventually(lambda: len(w.parts.failed) == 1, LIMIT)
    calls = len(w.faults.calls)
    w.believe([key], "a")
    eventually(lambda: len(w.parts.failed) == 0, LIMIT)
    assert w.parts.queue.counts().queued == 0
    assert len(w.faults.calls) == calls


def test_pausing_and_cancelling_what_runs(world: Callable[..., World]) -> None:
    w = world("a")
    gate = threading.Event()
    w.faults.now["a"] = gate
    first, second = put(w.here, LARGE + b"1"), put(w.here, LARGE + b"2")
    w.upload([first])
    eventually(lambda: w.parts.queue.counts().running == 1, LIMIT)
    identity = (Direction.UPLOAD, w.uuid("a"), first)
    assert w.parts.controller.pause(identity)
    gate.set()
    eventually(lambda: w.parts.queue.counts().held == 1, LIMIT)
    assert not w.others["a"].store.is_present(first)
    assert len(w.parts.failed) == 0
    assert w.parts.controller.resume(identity)
    eventually(lambda: w.is_quiet() and w.others["a"].store.is_present(first), LIMIT)

    gate.clear()
    w.upload([second])
    eventually(lambda: w.parts.queue.counts().running == 1, LIMIT)
    assert w.parts.controller.cancel((Direction.UPLOAD, w.uuid("a"), second))
    gate.set()
    eventually(w.is_quiet, LIMIT)
    assert w.finished[-1].outcome.result is Result.CANCELLED
    assert not w.others["a"].store.is_present(second)


def test_a_new_remote_is_used_for_what_was_deferred(world: Callable[..., World], tmp_path: Path) -> None:
    w = world("a")
    with make_annex(tmp_path / "new") as new:
        key = put(new, LARGE)
        with w.shared.locked() as annex:
            annex.locations.record_many([(key, new.uuid, Presence.PRESENT)])
        w.download([key])
        assert len(w.parts.deferred) == 1
        with w.shared.locked() as annex:
            add_remote(annex, "new", new)
            w.table.replace(registry.load_specs(annex))
        w.download([key])       # as the scan for a new remote does
        assert len(w.parts.deferred) == 0
        eventually(lambda: content(w.here, key) == LARGE, LIMIT)


def test_failures_noted_on_disk_are_tried_again_after_a_restart(world: Callable[..., World]) -> None:
    w = world("a")
    key = put(w.here, LARGE)
    note = Path(os.fsdecode(w.here.layout.failed_transfer(b"upload", w.uuid("a"), key)))
    note.parent.mkdir(parents=True)
    note.write_bytes(b"1795189979.631060744s\nfile\n")
    assert w.parts.failed.load() == 1
    w.parts.queue.wake()
    eventually(lambda: w.others["a"].store.is_present(key), LIMIT)
    eventually(lambda: not note.exists(), LIMIT)


def test_a_remote_that_is_not_configured_any_more_is_forgotten(world: Callable[..., World]) -> None:
    w = world("a", "b")
    w.faults.now["a"] = RemoteUnavailable("no route")
    keys = [put(w.here, LARGE + b"%d" % n) for n in range(5)]
    w.upload(keys)
    eventually(lambda: w.others["b"].store.is_present(keys[-1]), LIMIT)
    gone = w.table.replace([spec for spec in registry.load_specs(w.here) if spec.name == "b"])
    assert gone == {w.uuid("a")}
    for uuid in gone:
        w.parts.requests.remote_is_gone(uuid)
    eventually(lambda: w.is_quiet() and len(w.parts.failed) == 0, LIMIT)


def test_no_slot_keeps_the_state_of_the_daemon_waiting(world: Callable[..., World]) -> None:
    w = world("a")
    w.upload([put(w.here, os.urandom(4096)) for _ in range(500)])
    eventually(w.is_quiet, LIMIT)
    assert isinstance(w.here, AnnexState)
    assert w.shared.holder is None
