"""The transfer scan with all that it works with; the queue is real, and nothing takes from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.assistant.changes import ScanRequest
from annexd.assistant.transfer_scanner import KeyDelta, Nudge, ScanItems, TransferScanner
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes import registry
from annexd.remotes.contract import RemoteSpec
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.deferred_store import DeferredStore
from annexd.transfer.gate import Admission
from annexd.transfer.job import Direction, Identity, Job, Reason
from annexd.transfer.requests import Items, Planned, TransferRequests
from annexd.transfer.transfers import Plan, RemoteTable, Transfers, build
from tests.support.annexes import add_remote, make_annex, put
from tests.support.eventually import eventually
from tests.support.many_keys import commit_keys, make_key, path_of
from tests.support.repositories import make_removable

LIMIT = 60.0


class Looking(TransferRequests):
    """Requests that remember what they were asked about."""

    def __init__(self, inner: TransferRequests, looked: list[Key], hook: Callable[[], None]) -> None:
        self.__dict__.update(inner.__dict__)
        self.looked = looked
        self.hook = hook

    def plan_uploads(self, annex: AnnexState, items: Items, reason: Reason) -> Planned:
        listed = list(items)
        self.looked += [key for key, _ in listed]
        self.hook()
        return super().plan_uploads(annex, listed, reason)

    def plan_downloads(self, annex: AnnexState, items: Items, reason: Reason) -> Planned:
        listed = list(items)
        self.looked += [key for key, _ in listed]
        return super().plan_downloads(annex, listed, reason)


class Running:
    """One life of the scanner, with the parts around it that live as long."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.looked: list[Key] = []
        self.hook: Callable[[], None] = lambda: None
        self.wishes: ScanItems = Pool()
        self.parts = self._build()
        self.stop = StopSignal()
        self.scanner = TransferScanner(
            self.wishes, world.here.layout, world.here.fork, self.parts, world.table, lambda _: None,
            is_populated=lambda: True, flush=lambda annex: self.parts.recorder.flush(annex.locations),
        )  # fmt: skip
        self.thread = NamedThread("scan", lambda: self.scanner.run(self.stop))
        self.thread.start()

    def _build(self) -> Transfers:
        here = self.world.here
        parts = build(
            Plan(
                layout=here.layout, us=here.uuid, table=self.world.table, fork=here.fork,
                open_remote=registry.open_remote, replan=lambda _: None, tell=lambda _: None,
                deferred=DeferredStore.open(here.layout.annexd_dir + b"/deferred.db"),
            )
        )  # fmt: skip
        return replace(parts, requests=Looking(parts.requests, self.looked, lambda: self.hook()))

    def ask(self, *wishes: ScanRequest | KeyDelta | Nudge) -> None:
        before = self.scanner.rounds.get()
        self.wishes.put_many(wishes)
        self.wait(before)

    def wait(self, rounds: int = 0) -> None:
        """Until all wishes are done: those since `rounds` were."""
        assert self.scanner.rounds.wait_for(lambda now: now > rounds, Deadline(LIMIT)) is not None

    def queued(self) -> set[Identity]:
        return {job.identity for job in self.parts.queue.waiting(100_000)}

    def finish_all(self) -> list[Job]:
        """Everything that waits is done, as far as the queue is concerned."""
        done: list[Job] = []
        while (work := self.parts.queue.next(lambda _: Admission.OPEN)) is not None:
            done += work.jobs
            self.parts.queue.finished(work.jobs)
        self.wishes.put(Nudge.ENDED)
        return done

    def wait_until_noted(self) -> None:
        eventually(lambda: not self.scanner._ledger.has_open() and not self.scanner._unsaved, LIMIT, "a saved cursor")

    def end(self) -> None:
        """What a kill leaves: nothing is tidied up."""
        self.stop.set()
        assert self.thread.join(Deadline(LIMIT))


class World:
    """An annex with remotes."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.here = make_annex(top / "here")
        self.others: dict[str, AnnexState] = {}
        self.table = RemoteTable()
        self.specs: Sequence[RemoteSpec] = ()
        self.lives: list[Running] = []
        self.files = 0

    def add_remote(self, name: str) -> UUID:
        self.others[name] = make_annex(self.top / name)
        add_remote(self.here, name, self.others[name])
        self.use(registry.load_specs(self.here))
        return self.others[name].uuid

    def use(self, specs: Sequence[RemoteSpec]) -> None:
        """What the settings monitor does when the remotes are these."""
        self.specs = specs
        for gone in self.table.replace(specs):
            for life in self.lives[-1:]:
                life.parts.requests.remote_is_gone(gone)

    def available(self, name: str, *, is_there: bool) -> None:
        self.use([replace(spec, available=is_there) if spec.name == name else spec for spec in self.specs])

    def add_files(self, count: int, *, present: bool = True, told: bool = True) -> list[Key]:
        """New files, committed; their content is here, and the log says so, or not."""
        keys = []
        for _ in range(count):
            self.files += 1
            keys.append(put(self.here, b"content %d" % self.files) if present else make_key(self.files))
        first = self.files - count
        commit_keys(self.here, {path_of(first + n): key for n, key in enumerate(keys)})
        if present and told:
            self.tell(keys, self.here.uuid)
        return keys

    def tell(self, keys: Sequence[Key], uuid: UUID, presence: Presence = Presence.PRESENT) -> None:
        self.here.locations.record_many([(key, uuid, presence) for key in keys])

    def run(self, *, wait: bool = True) -> Running:
        """A scanner as at a start of the daemon; one that ran is killed. With `wait`, the first scan is over."""
        for life in self.lives:
            life.end()
        self.lives.append(Running(self))
        if wait:
            self.lives[-1].wait()
        return self.lives[-1]

    def close(self) -> None:
        for life in self.lives:
            life.end()
            life.parts.deferred.close()
        for annex in (self.here, *self.others.values()):
            annex.close()
        make_removable(self.top)


def uploads(remote: UUID, keys: Sequence[Key]) -> set[Identity]:
    return {(Direction.UPLOAD, remote, key) for key in keys}


def downloads(keys: Sequence[Key]) -> set[Identity]:
    return {(Direction.DOWNLOAD, None, key) for key in keys}
