"""The way in: what the daemon's threads say about content becomes jobs that wait, are deferred, or are not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

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


class TransferRequests:
    """Plans transfers. Any thread may call; methods with an AnnexState need one that the caller holds, and only read
    location logs, so they may be called under the AnnexState lock with some hundreds of keys at a time.
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

    def upload(self, annex: AnnexState, items: Items, reason: Reason = Reason.NEW) -> int:
        """Content is here: queue it for the remotes that want and lack it; how many uploads were queued."""
        listed = list(items)
        specs, wants = self._specs(), self._wants(annex)
        logs = annex.locations.locations_many([key for key, _ in listed]) if specs else {}
        jobs = [
            job
            for key, file in listed
            for job in policy.uploads_for(
                key, file, specs=specs, locations=logs.get(key, frozenset()), wants=wants, reason=reason
            )
        ]
        return self._queue.put_many(jobs)

    def download(self, annex: AnnexState, items: Items, reason: Reason = Reason.NEW) -> int:
        """Content is missing: queue its download, or defer it until somebody has it; how many were queued."""
        listed = dict(items)
        specs, wants, here = self._specs(), self._wants(annex), annex.uuid
        queued = 0
        while listed:       # again for those about which there was news while we looked
            news = self._deferred.news_count()
            logs = annex.locations.locations_many(list(listed))
            jobs, sourceless = [], {}
            for key, file in listed.items():
                locations = logs.get(key, frozenset())
                job = policy.download_for(
                    key, file, here=here, specs=specs, locations=locations, wants=wants, reason=reason
                )
                if job is not None and job.remotes:
                    jobs.append(job)
                elif job is not None and not self._deferred.defer(job, news):
                    sourceless[key] = file
            queued += self._queue.put_many(jobs)
            listed = sourceless
        return queued

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

    def remote_is_back(self, annex: AnnexState, uuid: UUID) -> int:
        """The remote can be reached again, or is new: use it at once, and look again at what waited for any source."""
        self._gate.retry_now(uuid)
        self._failed.hurry(uuid)
        self._queue.wake()
        return self.replan(annex, self._deferred.release_all())

    def remote_is_gone(self, uuid: UUID) -> int:
        """The remote is not configured any more: forget what was for it; how many jobs that was."""
        return self._queue.cancel_remote(uuid)

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
