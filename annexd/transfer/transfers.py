"""The parts of transferring, put together for one repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from annexd.annex.config import AnnexConfig
from annexd.annex.layout import RepoLayout
from annexd.annex.state import AnnexState
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.threads.latest import Latest
from annexd.transfer import policy
from annexd.transfer.aftermath import Aftermath, Tell
from annexd.transfer.controller import Bell, Replan, TransferController
from annexd.transfer.deferred import DeferredDownloads
from annexd.transfer.deferred_store import DeferredStore
from annexd.transfer.failed import FailedTransfers
from annexd.transfer.gate import RemoteGate
from annexd.transfer.job import Direction, Job
from annexd.transfer.limiter import Limiter
from annexd.transfer.queue import TransferQueue
from annexd.transfer.record import LocationRecorder
from annexd.transfer.requests import TransferRequests, WantsNow
from annexd.transfer.slot_count import slots_for
from annexd.transfer.slots import OnBug, SlotPool
from annexd.transfer.speed_settings import StallSetting
from annexd.transfer.wanted import PreferredContent
from annexd.transfer.worker import OpenRemote, TransferWorker


@dataclass(frozen=True, slots=True)
class _Remotes:
    """Remotes by uuid; `version` counts the changes, and the others say in which one something was last true."""

    specs: Mapping[UUID, RemoteSpec]
    version: int = 0
    lapses: Mapping[UUID, int] = field(default_factory=dict)
    removals: Mapping[UUID, int] = field(default_factory=dict)


class RemoteTable:
    """The remotes that content moves to and from, as configured now. One thread replaces it; any thread reads it."""

    def __init__(self, specs: Sequence[RemoteSpec] = ()) -> None:
        self._latest: Latest[_Remotes] = Latest(_Remotes(policy.by_uuid(specs)))

    def replace(self, specs: Sequence[RemoteSpec]) -> frozenset[UUID]:
        """The remotes are these now; those that were there before and are no more."""
        before = self._latest.get()
        now = policy.by_uuid(specs)
        version = before.version + 1
        gone = frozenset(before.specs.keys() - now.keys())
        lapsed = {uuid for uuid, spec in before.specs.items() if _has_lapsed(spec, now.get(uuid))}
        lapses = {**before.lapses, **dict.fromkeys(lapsed, version)}
        removals = {**before.removals, **dict.fromkeys(gone, version)}
        self._latest.replace(_Remotes(now, version, lapses, removals))
        return gone

    def get(self) -> Mapping[UUID, RemoteSpec]:
        """The remotes by uuid."""
        return self._latest.get().specs

    def version(self) -> int:
        """Grows with each change."""
        return self._latest.get().version

    def has_lapsed(self, uuid: UUID, since: int) -> bool:
        """Whether the remote was away, or its settings were others, at some time since that version."""
        return self._latest.get().lapses.get(uuid, 0) > since

    def removals(self) -> Mapping[UUID, int]:
        """The remotes that were taken away at some time, and the version since when; some may be back."""
        return self._latest.get().removals

    def cost(self, uuid: UUID) -> float:
        """What a remote costs; much when it is unknown."""
        spec = self.get().get(uuid)
        return 1e9 if spec is None else spec.cost


def _has_lapsed(before: RemoteSpec, now: RemoteSpec | None) -> bool:
    return now is None or not now.available or policy.manner_of(before) != policy.manner_of(now)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `build` needs to know. `fork` makes a state of its own for the thread that calls it.

    `replan` is called by the controller's thread with jobs to be planned anew: it should hand them to
    `TransferRequests.replan` with a state that it may use. `tell` is called in a slot's thread with what ended.
    `deferred` keeps the downloads without a source (None: in memory only), and `on_much_deferred` is called when
    `DeferredDownloads.flush` should be. `slots` is their number at first; see `slots_for` for how
    many of them one remote gets.
    """

    layout: RepoLayout
    us: UUID
    table: RemoteTable
    fork: Callable[[], AnnexState]
    open_remote: OpenRemote
    replan: Replan
    tell: Tell
    on_bug: OnBug = lambda _name, _error: None
    config: Callable[[], AnnexConfig] | None = None
    on_satisfied: Callable[[Sequence[Job]], None] = lambda _: None
    wants: WantsNow = field(default_factory=PreferredContent)
    slots: int = 2
    limiter: Limiter = field(default_factory=Limiter)
    deferred: DeferredStore | None = None
    on_much_deferred: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Transfers:
    """The parts; each says who may use it."""

    queue: TransferQueue
    deferred: DeferredDownloads
    failed: FailedTransfers
    gate: RemoteGate
    recorder: LocationRecorder
    requests: TransferRequests
    slots: SlotPool
    controller: TransferController
    aftermath: Aftermath
    limiter: Limiter


def build(plan: Plan) -> Transfers:
    """Make and connect the parts; no thread is started (`slots.start()`, and `controller.run` in a thread, do that)."""
    bell = Bell()
    table = plan.table
    queue = TransferQueue(cost_of=table.cost, on_work=bell.ring)
    deferred = DeferredDownloads(plan.deferred, on_full=plan.on_much_deferred)
    failed = FailedTransfers(plan.layout, on_satisfied=plan.on_satisfied)
    gate = RemoteGate(lambda uuid: slots_for(table.get().get(uuid), len(slots)))
    recorder = LocationRecorder(plan.layout)
    requests = TransferRequests(queue, deferred, failed, gate, table.get, plan.wants)
    aftermath = Aftermath(
        plan.layout,
        plan.us,
        queue,
        gate,
        failed,
        recorder,
        replan_later=bell.replan,
        spec_of=lambda uuid: table.get().get(uuid),
        tell=plan.tell,
    )
    slots = SlotPool(
        plan.slots,
        lambda: TransferWorker(plan.fork(), table.get, plan.open_remote, plan.config, plan.limiter),
        on_finished=aftermath,
        on_idle=bell.ring,
        on_bug=plan.on_bug,
        stalls=lambda work: _stall_setting(plan.limiter, table.get().get(work.remote), work.direction),
    )
    controller = TransferController(bell, queue, slots, gate, failed, plan.replan)
    return Transfers(queue, deferred, failed, gate, recorder, requests, slots, controller, aftermath, plan.limiter)


def _stall_setting(limiter: Limiter, spec: RemoteSpec | None, direction: Direction) -> StallSetting | None:
    return None if spec is None else limiter.stall_setting(spec.name, direction)
