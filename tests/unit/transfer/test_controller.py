"""The controller under stress: whatever workers do, every job ends, and none runs beside itself."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from annexd.annex.layout import RepoLayout
from annexd.errors import RemoteUnavailable, TransferFailed
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.aftermath import Aftermath
from annexd.transfer.controller import Bell, TransferController
from annexd.transfer.failed import Backoff, FailedTransfers
from annexd.transfer.gate import GatePolicy, RemoteGate
from annexd.transfer.job import Direction, Finished, Identity, Job, Outcome, Reason, Result, Work
from annexd.transfer.meter import TransferMeter
from annexd.transfer.queue import TransferQueue
from annexd.transfer.record import LocationRecorder
from annexd.transfer.slots import SlotPool
from tests.support.eventually import eventually

REMOTES = [UUID(b"a"), UUID(b"b"), UUID(b"c")]
US = UUID(b"us")
LIMIT = 2
JOBS = 300


class Chaos:
    """Workers that fail in every way, up to `patience` times for each job; notes what ran beside what."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.failures: Counter[Identity] = Counter()
        self.running: Counter[Identity] = Counter()
        self.per_remote: Counter[UUID] = Counter()
        self.complaints: list[str] = []
        self.done: Counter[Identity] = Counter()

    def run(self, work: Work, _: TransferMeter) -> Sequence[Finished]:
        self._begin(work)
        try:
            with self.lock:
                whole = self.random.random()
            if whole < 0.05:
                raise ZeroDivisionError("a bug")
            if whole < 0.1:
                raise RemoteUnavailable("gone for a moment")
            return [f for job in work.jobs if (f := self._one(work, job)) is not None]
        finally:
            self._end(work)

    def close(self) -> None:
        """Nothing to close."""

    def _one(self, work: Work, job: Job) -> Finished | None:
        with self.lock:
            self.failures[job.identity] += 1
            chance = 1.0 if self.failures[job.identity] > 4 else self.random.random()
            if chance > 0.7:
                self.done[job.identity] += 1
                return Finished(job, Outcome(Result.TRANSFERRED, work.remote))
        if chance < 0.1:
            return None     # nothing is said of it
        if chance < 0.2:
            return Finished(job, Outcome(Result.IN_PROGRESS, work.remote, TransferFailed("somebody else")))
        if chance < 0.3 and job.direction is Direction.DOWNLOAD:
            return Finished(job.from_sources(()), Outcome(Result.NO_SOURCE))
        if chance < 0.4:
            return Finished(job, Outcome(Result.ELSEWHERE))
        return Finished(job, Outcome(Result.FAILED, work.remote, TransferFailed("no")))

    def _begin(self, work: Work) -> None:
        with self.lock:
            self.per_remote[work.remote] += 1
            if self.per_remote[work.remote] > LIMIT:
                self.complaints.append(f"{self.per_remote[work.remote]} slots work with {work.remote!r}")
            for job in work.jobs:
                self.running[job.identity] += 1
                if self.running[job.identity] > 1:
                    self.complaints.append(f"{job} runs twice at a time")

    def _end(self, work: Work) -> None:
        with self.lock:
            self.per_remote[work.remote] -= 1
            for job in work.jobs:
                self.running[job.identity] -= 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_job_ends_whatever_happens(tmp_path: Path, seed: int) -> None:
    chaos, bell, stop = Chaos(seed), Bell(), StopSignal()
    git_dir = os.fsencode(tmp_path)
    layout = RepoLayout(git_dir, git_dir, None, True)
    queue = TransferQueue(on_work=bell.ring)
    gate = RemoteGate(lambda _: LIMIT, policy=GatePolicy(0.005, 0.02))
    failed = FailedTransfers(layout, backoff=Backoff(0.005, 0.02))
    recorder = LocationRecorder()

    def replan(jobs: Sequence[Job]) -> None:
        queue.put_many(job if job.remotes else job.from_sources(tuple(REMOTES)) for job in jobs)

    aftermath = Aftermath(
        layout, US, queue, gate, failed, recorder,
        replan_later=bell.replan, spec_of=lambda _: None, tell=lambda _: None,
    )  # fmt: skip
    slots = SlotPool(4, lambda: chaos, on_finished=aftermath, on_idle=bell.ring)
    controller = TransferController(bell, queue, slots, gate, failed, replan)
    thread = NamedThread("controller", lambda: controller.run(stop))
    slots.start()
    thread.start()
    jobs = make_jobs(chaos.random)
    for job in jobs:
        queue.put(job)
        if chaos.random.random() < 0.1:
            failed.hurry(chaos.random.choice(REMOTES))
            gate.retry_now(chaos.random.choice(REMOTES))
            bell.ring()

    wanted = {job.identity for job in jobs}
    eventually(lambda: wanted <= chaos.done.keys(), 60, "the end of all jobs")
    eventually(lambda: len(failed) == 0 and queue.counts().running == 0 == queue.counts().queued, 20)

    stop.set()
    assert slots.close(Deadline(10))
    assert thread.join(Deadline(10))
    assert chaos.complaints == []
    assert len(recorder) == len(wanted)
    assert all(view.running == 0 for view in gate.view().values())
    notes = [p for p in (tmp_path / "annex/transfer").rglob("*") if p.is_file()]
    assert notes == []


def make_jobs(chance: random.Random) -> list[Job]:
    jobs = []
    for n in range(JOBS):
        key = Key(b"X", b"%d" % n, chance.choice((10, 1 << 30)))
        reason = chance.choice(list(Reason))
        jobs.append(Job(Direction.UPLOAD, key, (chance.choice(REMOTES),), None, reason))
        jobs.append(Job(Direction.DOWNLOAD, key, tuple(chance.sample(REMOTES, chance.randint(1, 3))), None, reason))
    return jobs


def test_the_controller_sleeps_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    """It wakes for what happens, and for nothing else."""
    bell, stop = Bell(), StopSignal()
    git_dir = os.fsencode(tmp_path)
    looks: list[int] = []

    class Watched(FailedTransfers):
        def take_due(self) -> list[Job]:
            looks.append(1)
            return super().take_due()

    failed = Watched(RepoLayout(git_dir, git_dir, None, True))
    gate = RemoteGate(lambda _: 1)
    queue = TransferQueue(on_work=bell.ring)
    slots = SlotPool(1, lambda: Chaos(1), on_finished=lambda *_: None)
    controller = TransferController(bell, queue, slots, gate, failed, lambda _: None)
    thread = NamedThread("controller", lambda: controller.run(stop))
    thread.start()
    eventually(lambda: looks)
    before = len(looks)
    assert not thread.join(Deadline(0.3))
    assert len(looks) == before
    stop.set()
    assert thread.join(Deadline(10))
