"""What follows from the end of a transfer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from annexd.annex.layout import RepoLayout
from annexd.annex.location_log import Presence
from annexd.errors import TransferFailed
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.transfer.failed import FailedTransfers
from annexd.transfer.gate import RemoteGate, Verdict, verdict_on
from annexd.transfer.job import Direction, Finished, Job, Outcome, Result, Work
from annexd.transfer.queue import TransferQueue
from annexd.transfer.record import LocationChange, LocationRecorder

Tell = Callable[[Sequence[Finished]], None]


class Aftermath:
    """Called in a slot's thread with what came of its work.

    Notes new locations and failures, frees the queue and the gate, and then tells whoever wants to know.
    `replan_later` is given downloads without a source; `spec_of` finds the description of a remote.
    """

    def __init__(
        self,
        layout: RepoLayout,
        us: UUID,
        queue: TransferQueue,
        gate: RemoteGate,
        failed: FailedTransfers,
        recorder: LocationRecorder,
        *,
        replan_later: Callable[[Sequence[Job]], None],
        spec_of: Callable[[UUID], RemoteSpec | None],
        tell: Tell,
    ) -> None:
        self._layout = layout
        self._us = us
        self._queue = queue
        self._gate = gate
        self._failed = failed
        self._recorder = recorder
        self._replan_later = replan_later
        self._spec_of = spec_of
        self._tell = tell
        self._lock = threading.Lock()       # a leaf: guards _under_way
        self._under_way = 0

    def is_idle(self) -> bool:
        """Whether all that left the queue so far is noted wherever it has to be."""
        return self._under_way == 0

    def __call__(self, work: Work, finished: Sequence[Finished]) -> None:
        """The work has ended. Jobs that nothing was said of count as failed."""
        complete = _complete(work, finished)
        self._count(+1)
        try:
            self._note(work, complete)
            self._tell(complete)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._under_way += change

    def _note(self, work: Work, complete: Sequence[Finished]) -> None:
        try:
            self._record(work, [f for f in complete if f.outcome.is_success])
        finally:
            self._gate.leave(work.remote, *_verdict(complete))
            self._free(complete)
            # Only now: a failure may be due at once, and what is tried again must not count as running still.
            self._note_failures(work, complete)

    def _record(self, work: Work, successes: Sequence[Finished]) -> None:
        if not successes:
            return
        is_upload = work.direction is Direction.UPLOAD
        holder = work.remote if is_upload else self._us
        changes: list[LocationChange] = [(f.job.key, holder, Presence.PRESENT) for f in successes]
        spec = self._spec_of(work.remote)
        self._recorder.add(changes, (spec.path if spec is not None else None) if is_upload else self._layout.annex_dir)
        self._failed.satisfied(f.job for f in successes)

    def _note_failures(self, work: Work, finished: Sequence[Finished]) -> None:
        for f in finished:
            match f.outcome.result:
                case Result.FAILED if not _has_another_source(f.job, work.remote):
                    self._failed.record(f.job, work.remote, str(f.outcome.error))
                case Result.IN_PROGRESS:
                    self._failed.postpone(f.job, work.remote, str(f.outcome.error))
                case Result.CANCELLED:
                    self._failed.satisfied((f.job,))

    def _free(self, finished: Sequence[Finished]) -> None:
        """The jobs run no more; those that want another source, or were interrupted, wait again."""
        back, over, cancelled, sourceless = [], [], [], []
        for f in finished:
            match f.outcome.result:
                case Result.ELSEWHERE | Result.PAUSED:
                    back.append(f.job)
                case Result.FAILED if f.outcome.remote is not None and _has_another_source(f.job, f.outcome.remote):
                    back.append(f.job.after_failing_at(f.outcome.remote))
                case Result.CANCELLED:
                    cancelled.append(f.job)
                case Result.NO_SOURCE:
                    over.append(f.job)
                    sourceless.append(f.job)
                case _:
                    over.append(f.job)
        self._queue.finished(over)
        if cancelled:
            self._queue.cancelled(cancelled)
        if back:
            self._queue.put_back(back)
        if sourceless:
            self._replan_later(sourceless)


def _has_another_source(job: Job, remote: UUID) -> bool:
    return job.direction is Direction.DOWNLOAD and any(source != remote for source in job.remotes)


def _complete(work: Work, finished: Sequence[Finished]) -> list[Finished]:
    told = {f.job.identity for f in finished}
    if len(told) == len(work.jobs):
        return list(finished)
    bug = TransferFailed("nothing is known of how it ended")
    lost = [Finished(job, Outcome(Result.FAILED, work.remote, bug)) for job in work.jobs if job.identity not in told]
    return [*finished, *lost]


def _verdict(finished: Sequence[Finished]) -> tuple[Verdict, str]:
    """What the results of one piece of work say of its remote, and the words of a failure."""
    verdict, reason = Verdict.NOTHING, ""
    for f in finished:
        if f.outcome.is_success:
            verdict = Verdict.GOOD if verdict is not Verdict.FAULT else verdict
        elif f.outcome.result is Result.FAILED:
            found = verdict_on(f.outcome.error)
            if found is Verdict.FAULT or verdict is Verdict.NOTHING:
                verdict, reason = found, str(f.outcome.error)
    return verdict, reason
