"""The way in: what the daemon's threads say about content becomes jobs that wait, are deferred, or are not needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.transfer import policy
from annexd.transfer.deferred import DeferredDownloads
from annexd.transfer.failed import FailedTransfers
from annexd.transfer.gate import RemoteGate
from annexd.transfer.job import Direction, Job, Reason
from annexd.transfer.policy import Wants
from annexd.transfer.queue import TransferQueue

Items = Iterable[tuple[Key, bytes | None]]
WantsNow = Callable[[AnnexState], Wants]


class Planned(NamedTuple):
    """What came of planning: how many jobs were `queued` anew, and all `jobs`, those included that waited already.

    `locations` are what the logs said, as far as they were read.
    """

    queued: int
    jobs: list[Job]
    locations: Mapping[Key, Set[UUID]] = {}     # never changed


class TransferRequests:
    """Plans transfers. Any thread may call; methods with an AnnexState need one that the caller holds, and only read
    location logs, so they may be called under the AnnexState lock with some hundreds of keys at a time.

    Remotes that are known not to be there now get no jobs: the transfer scan finds what they lack when they are back.
    """

    def __init__(
        self,
        queue: TransferQueue,
        deferred: DeferredDownloads,
        failed: FailedTransfers,
        gate: RemoteGate,
        specs: Callable[[], Mapping[UUID, RemoteSpec]],
        wants: WantsNow = lambda _: policy.WantsAll(),
    ) -> None:
        self._queue = queue
        self._deferred = deferred
        self._failed = failed
        self._gate = gate
        self._specs = specs
        self._wants = wants

    def wants_now(self, annex: AnnexState) -> Wants:
        """Who wants what, for as long as the state is the caller's."""
        return self._wants(annex)

    def upload(self, annex: AnnexState, items: Items, reason: Reason = Reason.NEW) -> int:
        """Content is here: queue it for the remotes that want and lack it; how many uploads were queued."""
        return self.plan_uploads(annex, items, reason).queued

    def download(self, annex: AnnexState, items: Items, reason: Reason = Reason.NEW) -> int:
        """Content is missing: queue its download, or defer it until somebody has it; how many were queued."""
        return self.plan_downloads(annex, items, reason).queued

    def plan_uploads(self, annex: AnnexState, items: Items, reason: Reason) -> Planned:
        """`upload`, and the jobs that came of it."""
        listed = list(items)
        specs, wants = self._reachable(), self._wants(annex)
        logs = annex.locations.locations_many(dict.fromkeys(key for key, _ in listed)) if specs else {}
        jobs = [
            job
            for key, file in listed
            for job in policy.uploads_for(
                key, file, specs=specs, locations=logs.get(key, frozenset()), wants=wants, reason=reason
            )
        ]
        return Planned(self._queue.put_many(jobs), jobs, logs)

    def plan_downloads(self, annex: AnnexState, items: Items, reason: Reason) -> Planned:
        """`download`, and the jobs that were or are queued."""
        files: dict[Key, list[bytes | None]] = {}
        for key, file in items:
            files.setdefault(key, []).append(file)
        planned = Planned(0, [])
        while files:       # again for those about which there was news while we looked
            news = self._deferred.news_count()
            jobs = self._downloads(annex, files, reason)
            sourced = [job for job in jobs if job.remotes]
            queued = self._queue.put_many(sourced)
            planned = Planned(planned.queued + queued, planned.jobs + sourced)
            sourceless = [job for job in jobs if not job.remotes]
            again = self._deferred.defer_many(sourceless, news)
            self._deferred.satisfied(files.keys() - {job.key for job in sourceless})
            files = {job.key: files[job.key] for job in again}
        return planned

    def _downloads(self, annex: AnnexState, files: Mapping[Key, Collection[bytes | None]], reason: Reason) -> list[Job]:
        """The wanted ones, as one of their files each."""
        specs, wants, here = self._reachable(), self._wants(annex), annex.uuid
        logs = annex.locations.locations_many(list(files))
        found = []
        for key, names in files.items():
            locations = logs.get(key, frozenset())
            for file in names:
                job = policy.download_for(
                    key, file, here=here, specs=specs, locations=locations, wants=wants, reason=reason
                )
                if job is not None:
                    found.append(job)
                    break
        return found

    def news(self, annex: AnnexState, keys: Iterable[Key]) -> int:
        """The location logs of these keys changed: release what was deferred, give what waits its new sources."""
        changed = list(keys)
        released = self._deferred.release(changed)
        waiting = [(Direction.DOWNLOAD, None, key) for key in changed]
        known = {job.key: job for job in released}
        known |= {job.key: job for job in self._queue.find(waiting)}
        known |= {job.key: job for job in self._failed.find(waiting)}
        return self.replan(annex, list(known.values()))

    def replan(self, annex: AnnexState, jobs: Sequence[Job]) -> int:
        """Jobs planned earlier: look at the logs again, and queue, defer or forget them. How many were queued."""
        queued = self._replan_uploads(annex, [job for job in jobs if job.direction is Direction.UPLOAD])
        downloads = [job for job in jobs if job.direction is Direction.DOWNLOAD]
        missing = []
        for job in downloads:
            if annex.store.is_present(job.key):
                self._failed.satisfied((job,))
            else:
                missing.append(job)
        for reason in {job.reason for job in missing}:
            items = [(job.key, job.file) for job in missing if job.reason is reason]
            queued += self.download(annex, items, reason)
        return queued

    def remote_is_back(self, uuid: UUID) -> None:
        """The remote can be reached again, or is new: use it at once for what waits. A scan is needed for the rest."""
        self._gate.retry_now(uuid)
        self._failed.hurry(uuid)
        self._queue.wake()

    def remote_is_gone(self, uuid: UUID) -> int:
        """The remote is not configured any more: forget what was for it; how many jobs that was.

        Downloads that nobody else can serve are deferred.
        """
        forgotten = self._queue.withdraw_remote(uuid)
        downloads = [job.from_sources(()) for job in forgotten if job.direction is Direction.DOWNLOAD]
        if downloads:       # that there was news meanwhile does not matter: it would have been of other sources
            self._deferred.defer_many(downloads, self._deferred.news_count())
        return len(forgotten)

    def not_wanted(self, keys: Iterable[Key]) -> None:
        """These keys are in no file any more: their downloads need not be kept."""
        gone = list(keys)
        self._deferred.satisfied(gone)
        for key in gone:
            self._queue.cancel((Direction.DOWNLOAD, None, key))

    def _replan_uploads(self, annex: AnnexState, jobs: Sequence[Job]) -> int:
        if not jobs:
            return 0
        specs, wants = self._specs(), self._wants(annex)
        logs = annex.locations.locations_many([job.key for job in jobs])
        useful: list[Job] = []
        useless: list[Job] = []
        for job in jobs:
            locations = logs.get(job.key, frozenset())
            is_useful = policy.still_useful(job, specs=specs, locations=locations, wants=wants)
            (useful if is_useful and annex.store.is_present(job.key) else useless).append(job)
        self._failed.satisfied(useless)
        return self._queue.put_many(useful)

    def _reachable(self) -> dict[UUID, RemoteSpec]:
        return {uuid: spec for uuid, spec in self._specs().items() if spec.available}
