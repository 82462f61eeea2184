"""What a slot does with its work: the last look at the sources, then the transfer itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from annexd.annex.config import AnnexConfig
from annexd.annex.state import AnnexState
from annexd.errors import AnnexError, RemoteUnavailable
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Remote, RemoteSpec
from annexd.transfer import perform, policy, small_batch
from annexd.transfer.job import Direction, Finished, Job, Outcome, Result, Work
from annexd.transfer.limiter import Limiter
from annexd.transfer.meter import StopReason, TransferMeter

Specs = Callable[[], Mapping[UUID, RemoteSpec]]
OpenRemote = Callable[[RemoteSpec], Remote]


class TransferWorker:
    """Moves content with a state copy and open remotes of its own. Belongs to one slot.

    `config` tells the settings as they are now; without it they are what they were in the beginning. `limiter` holds
    transfers back.
    """

    def __init__(
        self,
        state: AnnexState,
        specs: Specs,
        open_remote: OpenRemote,
        config: Callable[[], AnnexConfig] | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self._limiter = limiter or Limiter()
        self._state = state
        self._config = config
        self._seen = config() if config is not None else None
        self._specs = specs
        self._open_remote = open_remote
        self._remotes: dict[UUID, Remote] = {}

    def run(self, work: Work, meter: TransferMeter) -> Sequence[Finished]:
        """Move what `work` says."""
        self._follow_config()
        specs = self._specs()
        spec = specs.get(work.remote)
        if spec is None:
            gone = RemoteUnavailable("this remote is not configured any more")
            return [Finished(job, Outcome(Result.FAILED, work.remote, gone)) for job in work.jobs]
        finished: list[Finished] = []
        jobs = list(work.jobs)
        if work.direction is Direction.DOWNLOAD:
            jobs = self._check_sources(work, specs, finished)
        if jobs:
            remote = self._remote(work.remote, spec)
            meter.pace(self._limiter.pacer(spec.name, work.direction))
            outcomes = self._move(work.direction, remote, jobs, meter)
            finished += [Finished(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
        return finished

    def interrupt(self) -> None:
        """Break what blocks on a remote."""
        for remote in list(self._remotes.values()):
            remote.close()

    def close(self) -> None:
        """Close the remotes and end helper processes."""
        remotes, self._remotes = self._remotes, {}
        for remote in remotes.values():
            remote.close()
        self._state.close()

    def _follow_config(self) -> None:
        now = self._config() if self._config is not None else None
        if now is not self._seen and now != self._seen:
            with suppress(AnnexError):      # whoever reloads the settings for all tells what is wrong with them
                self._state.reload_config()
        self._seen = now

    def _move(self, direction: Direction, remote: Remote, jobs: Sequence[Job], meter: TransferMeter) -> list[Outcome]:
        if len(jobs) == 1:
            return [self._move_one(direction, remote, jobs[0], meter)]
        if meter.is_limited and any(not perform.is_small(job.key, meter) for job in jobs):
            return self._move_slowly(direction, remote, jobs, meter)
        move = small_batch.upload if direction is Direction.UPLOAD else small_batch.download
        return move(self._state, remote, [job.key for job in jobs], meter)

    def _move_slowly(
        self, direction: Direction, remote: Remote, jobs: Sequence[Job], meter: TransferMeter
    ) -> list[Outcome]:
        """One by one and in pieces, as the speed is limited."""
        outcomes: list[Outcome] = []
        for job in jobs:
            before = meter.done
            part = TransferMeter(job.size, lambda done, before=before: meter.start_at(before + done))  # type: ignore[misc]
            part.pace(self._limiter.pacer(remote.spec.name, direction))
            outcome = self._move_one(direction, remote, job, part)
            if outcome.result is Result.CANCELLED and meter.stopped is StopReason.PAUSED:
                outcome = Outcome(Result.PAUSED, outcome.remote, outcome.error)
            outcomes.append(outcome)
        return outcomes

    def _move_one(self, direction: Direction, remote: Remote, job: Job, meter: TransferMeter) -> Outcome:
        if direction is Direction.UPLOAD:
            return perform.upload(self._state, remote, job.key, job.file, meter=meter)
        return perform.download(self._state, (remote,), job.key, job.file, meter=meter)

    def _check_sources(self, work: Work, specs: Mapping[UUID, RemoteSpec], finished: list[Finished]) -> list[Job]:
        """The downloads that this remote should serve; the others go back with the sources they have now.

        A source that the queue knew of and did not choose has its reasons; one that it did not know may be nearer.
        """
        here = []
        logs = self._state.locations.locations_many([job.key for job in work.jobs])
        for job in work.jobs:
            locations = logs.get(job.key, frozenset())
            fresh = policy.sources_of(specs=specs, locations=locations, reason=job.reason, tried=job.tried)
            if not fresh:
                finished.append(Finished(job.from_sources(()), Outcome(Result.NO_SOURCE)))
            elif work.remote in fresh and (fresh[0] == work.remote or fresh[0] in job.remotes):
                here.append(job)
            else:
                finished.append(Finished(job.from_sources(fresh), Outcome(Result.ELSEWHERE)))
        return here

    def _remote(self, uuid: UUID, spec: RemoteSpec) -> Remote:
        remote = self._remotes.get(uuid)
        if remote is not None and remote.spec != spec:      # it was configured anew
            remote.close()
            remote = None
        if remote is None:
            remote = self._remotes[uuid] = self._open_remote(spec)
        return remote
