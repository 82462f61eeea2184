"""Hands out what waits to the slots, and brings back what failed or lost its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annexd.formats.uuid import UUID
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.failed import FailedTransfers
from annexd.transfer.gate import RemoteGate, Verdict
from annexd.transfer.job import Direction, Identity, Job
from annexd.transfer.meter import StopReason
from annexd.transfer.queue import TransferQueue
from annexd.transfer.slots import SlotPool

Replan = Callable[[Sequence[Job]], None]


class Bell:
    """Wakes the controller; any thread may ring, or leave jobs to be planned anew. Ringing never blocks."""

    def __init__(self) -> None:
        self._pool: Pool[Sequence[Job]] = Pool()

    def ring(self) -> None:
        """Something changed: look at queue and slots."""
        if not len(self._pool):     # one unheard ring is enough; nothing the controller looks at is lost by that
            self._pool.put(())

    def replan(self, jobs: Sequence[Job]) -> None:
        """Plan these jobs anew."""
        self._pool.put(jobs)

    def wait(self, stop: StopSignal, timeout: float | None) -> list[Job]:
        """Until somebody rings, `stop` is set or `timeout` seconds are over; the jobs that were left."""
        return [job for jobs in self._pool.drain(stop, timeout) for job in jobs]


class TransferController:
    """A thread: waits for a free slot and for work, then takes the best; the order may change until the last moment.

    `replan` looks at the location logs again and queues, defers or forgets jobs; it may take the AnnexState lock.
    """

    def __init__(
        self,
        bell: Bell,
        queue: TransferQueue,
        slots: SlotPool,
        gate: RemoteGate,
        failed: FailedTransfers,
        replan: Replan,
    ) -> None:
        self._bell = bell
        self._queue = queue
        self._slots = slots
        self._gate = gate
        self._failed = failed
        self._replan = replan
        self.cancels = 0        # how often something was cancelled; grows before it is

    def run(self, stop: StopSignal) -> None:
        """Until `stop` is set. Blocks on the bell alone."""
        while not stop.is_set():
            self.listen(stop, self.look())

    def look(self) -> float | None:
        """Give the slots what they can do now; seconds until the next look is due, None when only the bell tells."""
        jobs = self._failed.take_due()
        if jobs:
            self._replan(jobs)
        looked = self._gate.now()
        self._hand_out()
        return self._next_look(looked)

    def listen(self, stop: StopSignal, timeout: float | None) -> None:
        """Wait for the bell, for `timeout` seconds at most, and plan anew what was left there."""
        left = self._bell.wait(stop, timeout)
        if left:
            self._replan(left)

    # steering; any thread

    def cancel(self, identity: Identity) -> bool:
        """Forget a transfer, whether it waits, runs or failed, until the next start; False when there is none."""
        self.cancels += 1
        found = self._failed.forget(lambda failure: failure.job.identity == identity) > 0
        return self._queue.cancel(identity) or self._slots.stop_transfer(identity, StopReason.CANCELLED) or found

    def cancel_remote(self, remote: UUID) -> int:
        """Forget all transfers with a remote (downloads that others can serve stay); how many."""
        self.cancels += 1
        failed = self._failed.forget(lambda failure: failure.remote == remote)
        running = self._slots.stop_where(lambda i: _is_to(i, remote), StopReason.CANCELLED)
        return self._queue.cancel_remote(remote) + running + failed

    def cancel_all(self) -> int:
        """Forget everything; how many transfers that was."""
        self.cancels += 1
        failed = self._failed.forget(lambda _: True)
        return self._queue.cancel_all() + self._slots.stop_where(lambda _: True, StopReason.CANCELLED) + failed

    def pause(self, identity: Identity) -> bool:
        """Stop a transfer, or keep it from starting; False when there is none."""
        found = self._queue.hold(identity)
        self._slots.stop_transfer(identity, StopReason.PAUSED)
        return found

    def resume(self, identity: Identity) -> bool:
        """End `pause`; the transfer goes on where it was. False when it was not paused."""
        return self._queue.unhold(identity)

    def pause_remote(self, remote: UUID) -> None:
        """Move nothing to or from a remote until `resume_remote`."""
        self._queue.pause_remote(remote)
        for running in self._slots.running():
            if running.work.remote == remote:
                self._slots.stop_transfer(running.work.jobs[0].identity, StopReason.PAUSED)

    def resume_remote(self, remote: UUID) -> None:
        """End `pause_remote`."""
        self._queue.resume_remote(remote)

    def pause_all(self) -> None:
        """Move nothing until `resume_all`."""
        self._queue.pause_all()
        self._slots.stop_where(lambda _: True, StopReason.PAUSED)

    def resume_all(self) -> None:
        """End `pause_all`."""
        self._queue.resume_all()

    # helpers

    def _hand_out(self) -> None:
        while self._slots.idle_count():
            work = self._queue.next(self._gate.admits)
            if work is None:
                return
            self._gate.enter(work.remote)
            try:
                self._slots.give(work)
            except BaseException:
                self._gate.leave(work.remote, Verdict.NOTHING)
                self._queue.put_back(work.jobs)
                raise

    def _next_look(self, looked: float) -> float | None:
        """Seconds until a retry is due, or a gate opens that was closed when we looked."""
        times = [self._failed.next_due()]
        if len(self._queue) and self._slots.idle_count():
            times.append(self._gate.next_opening(looked))
        known = [t for t in times if t is not None]
        return min(known, default=None)


def _is_to(identity: Identity, remote: UUID) -> bool:
    direction, target, _ = identity
    return direction is Direction.UPLOAD and target == remote
