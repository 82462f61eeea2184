"""Why one content is where it is: for each repository what it has, wants and waits for, and what can be done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.units import format_size
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.transfer import policy
from annexd.transfer.gate import GateState
from annexd.transfer.job import Direction, Identity, Reason
from annexd.transfer.policy import Wants
from annexd.transfer.queue import Place
from annexd.transfer.transfers import Transfers

HERE = "here"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one repository stands with one content. `next_try` is in seconds from now, None when nothing is planned.

    `has_it` and `wants_it` are what logs and preferred content say; `state` is one of few words, `reason` a sentence.
    """

    name: str
    has_it: bool
    wants_it: bool
    state: str
    reason: str = ""
    advice: str = ""
    next_try: float | None = None


def explain(
    annex: AnnexState, transfers: Transfers, specs: Mapping[UUID, RemoteSpec], key: Key, file: bytes | None
) -> list[Standing]:
    """Ourselves first, then the remotes by name. Reads location logs; no remote is asked."""
    locations = annex.locations.locations(key)
    wants = transfers.requests.wants_now(annex)
    present = annex.store.is_present(key)
    seen = _Seen(transfers, specs, wants, key, file)
    found = [seen.us(annex.uuid, locations, present=present)]
    for uuid, spec in sorted(specs.items(), key=lambda item: item[1].name):
        found.append(seen.remote(uuid, spec, has_it=uuid in locations, present=present))
    return found


@dataclass(frozen=True, slots=True)
class HoldUp:
    """What a queued transfer waits for; fields as those of Standing."""

    state: str
    reason: str
    advice: str = ""
    next_try: float | None = None


class HoldUps:
    """What queued transfers wait for, all as of one moment."""

    def __init__(self, transfers: Transfers, specs: Mapping[UUID, RemoteSpec]) -> None:
        self._specs = specs
        self._all_paused, self._paused = transfers.queue.paused()
        self._gates = transfers.gate.view()
        self._ahead = len(transfers.queue)
        self._idle = transfers.slots.idle_count()
        self._slots = len(transfers.slots)

    def of(self, remotes: Sequence[UUID]) -> HoldUp:
        """A transfer that any of these remotes can serve."""
        if self._all_paused:
            return HoldUp("paused", "all transfers are paused", "annexd resume")
        if remotes and self._paused.issuperset(remotes):
            return HoldUp("paused", "transfers with that remote are paused", "annexd resume --remote REMOTE")
        gates = [gate for remote in remotes if (gate := self._gates.get(remote)) is not None]
        shut = [gate for gate in gates if gate.state is not GateState.OPEN]
        if shut and len(shut) == len(remotes):
            wait = min(gate.opens_in for gate in shut)
            return HoldUp("waiting", f"the remote failed: {shut[0].reason}", self._advice(remotes), wait)
        away = [spec.name for remote in remotes if (spec := self._specs.get(remote)) and not spec.available]
        if away and len(away) == len(remotes):
            return HoldUp("waiting", f"{', '.join(away)} is not there", "connect it")
        if self._idle:
            return HoldUp("queued", "the remote has as many transfers as it may have")
        return HoldUp("queued", f"all {self._slots} slots are at work; {self._ahead} transfers wait for their turn")

    def _advice(self, remotes: Sequence[UUID]) -> str:
        absent = any((spec := self._specs.get(remote)) is not None and not spec.available for remote in remotes)
        return "connect it" if absent else "it is tried again by itself"


@dataclass(frozen=True, slots=True)
class _Seen:
    transfers: Transfers
    specs: Mapping[UUID, RemoteSpec]
    wants: Wants
    key: Key
    file: bytes | None

    def us(self, uuid: UUID, locations: frozenset[UUID], *, present: bool) -> Standing:
        wanted = self.wants.wants(uuid, self.key, self.file)
        if present:
            said = "" if uuid in locations else "the location log does not say so yet"
            return Standing(HERE, True, wanted, "present", said)
        if (found := self._known((Direction.DOWNLOAD, None, self.key), HERE, wanted)) is not None:
            return found
        if not wanted:
            return Standing(HERE, False, False, "not wanted", "this repository's preferred content does not include it")
        sources = policy.sources_of(specs=self.specs, locations=locations, reason=Reason.SCAN)
        away = [self.specs[source].name for source in sources if not self.specs[source].available]
        if away and len(away) == len(sources):
            return Standing(HERE, False, True, "waiting", f"only {', '.join(away)} has it", "connect it")
        if self.key in self.transfers.deferred:
            others = f"; {len(locations)} repositories that are no remotes are" if locations else ""
            advice = "it is fetched once a location log tells of a source"
            return Standing(HERE, False, True, "deferred", f"no remote is known to have it{others}", advice)
        return Standing(HERE, False, True, "unplanned", "the next transfer scan finds it")

    def remote(self, uuid: UUID, spec: RemoteSpec, *, has_it: bool, present: bool) -> Standing:
        name = spec.name
        wanted = self.wants.wants(uuid, self.key, self.file)
        if has_it:
            return Standing(name, True, wanted, "present")
        if (found := self._known((Direction.UPLOAD, uuid, self.key), name, wanted)) is not None:
            return found
        if not wanted:
            return Standing(name, False, False, "not wanted", "its preferred content does not include it")
        if not policy.may_upload(spec, Reason.SCAN):
            return Standing(name, False, True, "left out", "the settings of this remote keep content from being sent")
        if not spec.available:
            return Standing(name, False, True, "waiting", "it is not there", "connect it")
        if not present:
            return Standing(name, False, True, "waiting", "the content is not here either")
        return Standing(name, False, True, "unplanned", "the next transfer scan finds it")

    def _known(self, identity: Identity, name: str, wanted: bool) -> Standing | None:
        """What the queue and the failures know of a transfer."""
        place = self.transfers.queue.place_of(identity)
        match place:
            case Place.RUNNING:
                return Standing(name, False, wanted, "running", self._progress(identity))
            case Place.HELD:
                return Standing(name, False, wanted, "paused", "paused by hand", "annexd resume FILE")
            case Place.QUEUED:
                return self._queued(identity, name, wanted)
        failure = self.transfers.failed.failure_of(identity)
        if failure is None:
            return None
        wait = max(0.0, failure.due - time.monotonic())
        where = self.specs[failure.remote].name if failure.remote in self.specs else "a remote that is gone"
        reason = f"{where}: {failure.reason} (tried {failure.attempts} times)"
        return Standing(name, False, wanted, "failed", reason, "it is tried again by itself", wait)

    def _progress(self, identity: Identity) -> str:
        for running in self.transfers.slots.running():
            if any(job.identity == identity for job in running.work.jobs):
                total = "" if running.total is None else f" of {format_size(running.total)}"
                batch = f", with {len(running.work.jobs) - 1} others" if len(running.work.jobs) > 1 else ""
                return f"{format_size(running.done)}{total} done{batch}"
        return ""

    def _queued(self, identity: Identity, name: str, wanted: bool) -> Standing:
        jobs = self.transfers.queue.find((identity,))
        hold_up = HoldUps(self.transfers, self.specs).of(jobs[0].remotes if jobs else ())
        return Standing(name, False, wanted, hold_up.state, hold_up.reason, hold_up.advice, hold_up.next_try)
