"""The controller as a state machine: nothing lost, nothing run twice, limits kept, no slot idle while there is work.

Queue, gate, failures, aftermath and controller are the real ones, on a clock that the machine turns. Only the slots
are played: what they are given ends when and how the machine wants. The controller looks only when it was rung for or
when the time has come that it named, so whatever fails to ring is found as a slot that stays idle.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from annexd.annex.layout import RepoLayout
from annexd.errors import AnnexError, RemoteUnavailable, TransferFailed, TransferStalled
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.aftermath import Aftermath
from annexd.transfer.controller import Bell, TransferController
from annexd.transfer.failed import FailedTransfers
from annexd.transfer.gate import Admission, RemoteGate
from annexd.transfer.job import Direction, Finished, Identity, Job, Outcome, Reason, Result, Work
from annexd.transfer.meter import StopReason
from annexd.transfer.queue import TransferQueue
from annexd.transfer.record import LocationRecorder
from annexd.transfer.slots import Running

REMOTES = [UUID(name) for name in (b"near", b"mid", b"far")]
COSTS = {uuid: float(n) for n, uuid in enumerate(REMOTES)}
LIMITS = {REMOTES[0]: 2, REMOTES[1]: 1, REMOTES[2]: 3}
SIZES = (10, 1 << 20, 50 << 20, None)

keys = st.integers(0, 7).map(lambda n: Key(b"SHA256", b"%d" % n, SIZES[n % len(SIZES)]))
remotes = st.sampled_from(REMOTES)
sources = st.sets(remotes, min_size=1).map(lambda s: tuple(sorted(s, key=COSTS.__getitem__)))
reasons = st.sampled_from(Reason)
uploads = st.builds(Job, st.just(Direction.UPLOAD), keys, remotes.map(lambda r: (r,)), st.none(), reasons)
downloads = st.builds(Job, st.just(Direction.DOWNLOAD), keys, sources, st.none(), reasons)
jobs = st.one_of(uploads, downloads)
ends = st.sampled_from((
    Result.TRANSFERRED, Result.TRANSFERRED, Result.ALREADY_THERE, Result.FAILED, Result.FAILED, Result.IN_PROGRESS,
    Result.NO_SOURCE, Result.ELSEWHERE, None,
))  # fmt: skip
errors: st.SearchStrategy[AnnexError] = st.sampled_from((
    TransferFailed("no"), RemoteUnavailable("gone"), TransferStalled("Transfer stalled"),
))  # fmt: skip


@dataclass(eq=False)
class Given:
    """Work that a slot has."""

    work: Work
    stop: StopReason | None = None


class Slots:
    """As many as `count`, played by the machine."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.given: list[Given] = []

    def __len__(self) -> int:
        return self.count

    def idle_count(self) -> int:
        return max(0, self.count - len(self.given))

    def give(self, work: Work) -> None:
        assert self.idle_count() > 0, "no slot is idle"
        self.given.append(Given(work))

    def running(self) -> list[Running]:
        return [Running(n, one.work, 0.0, 0, None) for n, one in enumerate(self.given)]

    def stop_transfer(self, identity: Identity, reason: StopReason) -> bool:
        return self.stop_where(lambda running: running == identity, reason) > 0

    def stop_where(self, concerns: Callable[[Identity], bool], reason: StopReason) -> int:
        chosen = [one for one in self.given if all(concerns(job.identity) for job in one.work.jobs)]
        for one in chosen:
            one.stop = reason
        return len(chosen)


class ControllerMachine(RuleBasedStateMachine):
    """Knows what is wanted: what was asked for, and was neither done nor cancelled since."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.top = Path(tempfile.mkdtemp())
        git_dir = os.fsencode(self.top)
        layout = RepoLayout(git_dir, git_dir, None, True)
        self.bell = Bell()
        self.rings = Counter[str]()
        self.queue = TransferQueue(cost_of=COSTS.__getitem__, monotonic=self.time, on_work=self.ring)
        self.gate = RemoteGate(LIMITS.__getitem__, monotonic=self.time, jitter=lambda: 0.0)
        self.failed = FailedTransfers(layout, monotonic=self.time, jitter=lambda: 0.5)
        self.recorder = LocationRecorder()
        self.slots = Slots(3)
        self.controller = TransferController(
            self.bell, self.queue, self.slots, self.gate, self.failed, self.replan,  # type: ignore[arg-type]
        )  # fmt: skip
        self.aftermath = Aftermath(
            layout, UUID(b"us"), self.queue, self.gate, self.failed, self.recorder,
            replan_later=self.leave, spec_of=lambda _: None, tell=lambda _: None,
        )  # fmt: skip
        self.stop = StopSignal()
        self.is_rung = True
        self.due: float | None = None
        self.wanted: set[Identity] = set()
        self.paused: set[UUID] = set()
        self.all_paused = False

    def time(self) -> float:
        return self.now

    def ring(self) -> None:
        self.is_rung = True
        self.bell.ring()

    def leave(self, left: Sequence[Job]) -> None:
        self.is_rung = True
        self.bell.replan(left)

    def replan(self, planned: Sequence[Job]) -> None:
        """A download without a source has them all again, as if a log had told of them."""
        self.queue.put_many(job if job.remotes else job.from_sources(tuple(REMOTES)) for job in planned)

    def settle(self) -> None:
        """What the controller's thread does until it sleeps."""
        while self.is_rung or (self.due is not None and self.now >= self.due):
            self.is_rung = False
            self.controller.listen(self.stop, 0.0)
            before = len(self.slots.given)
            wait = self.controller.look()
            self.due = None if wait is None else self.now + wait
            for one in self.slots.given[before:]:
                assert not self.all_paused
                assert one.work.remote not in self.paused

    # what is asked for

    @rule(job=jobs)
    def ask(self, job: Job) -> None:
        self.queue.put(job)
        self.wanted.add(job.identity)
        self.settle()

    @rule(many=st.lists(jobs, max_size=12))
    def ask_for_many(self, many: list[Job]) -> None:
        self.queue.put_many(many)
        self.wanted |= {job.identity for job in many}
        self.settle()

    # what comes of it

    @precondition(lambda self: self.slots.given)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        one = self.slots.given.pop(data.draw(st.integers(0, len(self.slots.given) - 1)))
        told = [self.ended(job, one, data) for job in one.work.jobs]
        self.aftermath(one.work, [finished for finished in told if finished is not None])
        self.ring()
        self.settle()

    def ended(self, job: Job, one: Given, data: st.DataObject) -> Finished | None:
        remote = one.work.remote
        if one.stop is not None and not data.draw(st.booleans(), "it was done all the same"):
            result = Result.CANCELLED if one.stop is StopReason.CANCELLED else Result.PAUSED
            return Finished(job, Outcome(result, remote, TransferFailed("stopped")))
        end = Result.TRANSFERRED if one.stop is not None else data.draw(ends)
        if end is None or (job.direction is Direction.UPLOAD and end is Result.NO_SOURCE):
            return None
        if end is Result.NO_SOURCE:
            return Finished(job.from_sources(()), Outcome(end))
        if end in (Result.TRANSFERRED, Result.ALREADY_THERE):
            self.wanted.discard(job.identity)
            return Finished(job, Outcome(end, remote))
        return Finished(job, Outcome(end, remote, data.draw(errors) if end is Result.FAILED else None))

    @rule(seconds=st.sampled_from((0.1, 1.0, 11.0, 70.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    @rule(remote=remotes)
    def a_remote_is_back(self, remote: UUID) -> None:
        self.gate.retry_now(remote)
        self.failed.hurry(remote)
        self.queue.wake()
        self.settle()

    # steering

    @rule(job=jobs)
    def cancel(self, job: Job) -> None:
        if self.controller.cancel(job.identity):
            self.wanted.discard(job.identity)
        assert job.identity not in self.queue or self.is_at_work(job.identity)
        self.settle()

    @rule(remote=remotes)
    def cancel_remote(self, remote: UUID) -> None:
        before = self.known()
        self.controller.cancel_remote(remote)
        self.wanted -= before - self.known()
        self.wanted -= self.ending()
        assert remote not in self.queue.waiting_for()
        self.settle()

    @rule()
    def cancel_all(self) -> None:
        self.controller.cancel_all()
        assert self.queue.counts().queued == self.queue.counts().held == len(self.failed) == 0
        self.wanted.clear()
        self.settle()

    @rule(job=jobs)
    def pause(self, job: Job) -> None:
        self.controller.pause(job.identity)
        self.settle()

    @rule(job=jobs)
    def resume(self, job: Job) -> None:
        self.controller.resume(job.identity)
        self.settle()

    @rule(remote=remotes, is_paused=st.booleans())
    def pause_remote(self, remote: UUID, is_paused: bool) -> None:
        (self.controller.pause_remote if is_paused else self.controller.resume_remote)(remote)
        (self.paused.add if is_paused else self.paused.discard)(remote)
        self.settle()

    @rule(is_paused=st.booleans())
    def pause_all(self, is_paused: bool) -> None:
        (self.controller.pause_all if is_paused else self.controller.resume_all)()
        self.all_paused = is_paused
        self.settle()

    @rule(count=st.integers(1, 5))
    def resize(self, count: int) -> None:
        self.slots.count = count
        self.ring()
        self.settle()

    # what holds at all times

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.wanted <= self.known(), self.wanted - self.known()

    @invariant()
    def nothing_runs_twice_and_limits_are_kept(self) -> None:
        running = [job.identity for one in self.slots.given for job in one.work.jobs]
        assert len(running) == len(set(running))
        per_remote = Counter(one.work.remote for one in self.slots.given)
        assert all(per_remote[remote] <= LIMITS[remote] for remote in REMOTES)
        assert per_remote == Counter({u: view.running for u, view in self.gate.view().items() if view.running})
        assert self.queue.counts().running == len(running)

    @invariant()
    def no_slot_is_idle_while_there_is_work(self) -> None:
        """A download waits for a near source that is only busy: that it could go elsewhere does not count."""
        if self.all_paused or not self.slots.idle_count():
            return
        is_open = {r: r not in self.paused and self.gate.admits(r) is Admission.OPEN for r in REMOTES}
        stuck = [job for job in self.queue.waiting(1000) if is_open[job.remotes[0]]]
        assert not stuck, f"{self.slots.idle_count()} slots are idle, and {stuck} wait"

    def known(self) -> set[Identity]:
        held = {job.identity for job in self.queue.held(1000)}
        waiting = {job.identity for job in self.queue.waiting(1000)}
        failed = {failure.job.identity for failure in self.failed.failures(1000)}
        running = {job.identity for one in self.slots.given for job in one.work.jobs}
        return held | waiting | failed | running

    def ending(self) -> set[Identity]:
        """What was cancelled while it ran, and has not ended."""
        stopped = [one for one in self.slots.given if one.stop is StopReason.CANCELLED]
        return {job.identity for one in stopped for job in one.work.jobs}

    def is_at_work(self, identity: Identity) -> bool:
        return any(job.identity == identity for one in self.slots.given for job in one.work.jobs)

    def teardown(self) -> None:
        """When all goes well from now on, everything that is wanted is done, and nothing is left of it."""
        try:
            self.pause_all(False)
            for remote in REMOTES:
                self.pause_remote(remote, False)
            for job in self.queue.held(1000):
                self.controller.resume(job.identity)
            for _ in range(1000):
                self.settle()
                if not self.slots.given and not len(self.failed) and not len(self.queue):
                    break
                while self.slots.given:
                    self.finish(self.slots.given.pop())
                for job in self.queue.held(1000):
                    self.controller.resume(job.identity)
                self.now += 10.0
            assert not self.wanted
            assert not [path for path in (self.top / "annex/transfer").rglob("*") if path.is_file()]
        finally:
            shutil.rmtree(self.top)

    def finish(self, one: Given) -> None:
        done = [Finished(job, Outcome(Result.TRANSFERRED, one.work.remote)) for job in one.work.jobs]
        self.wanted -= {job.identity for job in one.work.jobs}
        self.aftermath(one.work, done)
        self.ring()


TestTransferController = ControllerMachine.TestCase
TestTransferController.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
