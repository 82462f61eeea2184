"""The transfer queue as a state machine: nothing lost, nothing run twice, limits kept, turns taken fairly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.transfer.gate import Admission, GateState, RemoteGate, Verdict
from annexd.transfer.job import Identity, Job, Reason, Work
from annexd.transfer.lanes import JOB_CHARGE, UNKNOWN_SIZE, urgency
from annexd.transfer.queue import BATCH_BYTES, BATCH_JOBS, Put, TransferQueue

REMOTES = [UUID(name) for name in (b"near", b"mid", b"far")]
COSTS = {uuid: float(n) for n, uuid in enumerate(REMOTES)}
LIMITS = {REMOTES[0]: 2, REMOTES[1]: 1, REMOTES[2]: 3}
SIZES = (0, 10, 1 << 20, (1 << 20) + 1, 50 << 20, None)

# few keys, so that the same one is met again in every state
keys = st.integers(0, len(SIZES) - 1).map(lambda n: Key(b"SHA256", b"%d" % n, SIZES[n]))
remotes = st.sampled_from(REMOTES)
source_sets = st.sets(remotes, min_size=1).map(lambda s: tuple(sorted(s, key=COSTS.__getitem__)))
reasons = st.sampled_from(Reason)
uploads = st.builds(Job, st.just(Direction.UPLOAD), keys, remotes.map(lambda r: (r,)), st.none(), reasons)
downloads = st.builds(Job, st.just(Direction.DOWNLOAD), keys, source_sets, st.none(), reasons)
jobs = st.one_of(uploads, downloads)


def source_of(job: Job, admissions: dict[UUID, Admission]) -> UUID | None:
    """Where the job should go: the cheapest remote that is not closed, if that one is open."""
    usable = [remote for remote in job.remotes if admissions[remote] is not Admission.CLOSED]
    return usable[0] if usable and admissions[usable[0]] is Admission.OPEN else None


class QueueMachine(RuleBasedStateMachine):
    """Keeps the simplest possible model beside the queue: which identity is where, and from which remotes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.gate = RemoteGate(LIMITS.__getitem__, monotonic=lambda: self.now, jitter=lambda: 0.0)
        self.queue = TransferQueue(cost_of=COSTS.__getitem__, monotonic=lambda: self.now)
        self.waiting: dict[Identity, Job] = {}
        self.running: dict[Identity, Job] = {}
        self.held: dict[Identity, Job] = {}
        self.urgent: dict[Identity, Job] = {}       # of those that wait: what they were last asked for as
        self.hold_later: set[Identity] = set()
        self.works: list[Work] = []
        self.paused: set[UUID] = set()
        self.all_paused = False

    # putting in

    @rule(job=jobs)
    def put(self, job: Job) -> None:
        what = self.queue.put(job)
        known = job.identity in self.running or job.identity in self.held
        if known:
            assert what is Put.DUPLICATE
        elif job.identity not in self.waiting:
            assert what is Put.ADDED
            self.waiting[job.identity] = self.urgent[job.identity] = job
        else:
            old = self.waiting[job.identity]
            merged = tuple(sorted({*old.remotes, *job.remotes}, key=COSTS.__getitem__))
            changes = set(merged) != set(old.remotes) or urgency(job) < urgency(self.urgent[job.identity])
            assert what is (Put.CHANGED if changes else Put.DUPLICATE)
            self.waiting[job.identity] = old.from_sources(merged)
            self.urgent[job.identity] = min(job, self.urgent[job.identity], key=urgency)

    @rule(many=st.lists(jobs, max_size=8))
    def put_many(self, many: list[Job]) -> None:
        for job in many:
            self.put(job)

    # taking out

    @rule()
    def take(self) -> None:
        before = {r: Admission.CLOSED if r in self.paused else self.gate.admits(r) for r in REMOTES}
        work = self.queue.next(self.gate.admits)
        if work is None:
            assert self.all_paused or not any(source_of(job, before) for job in self.waiting.values())
            return
        assert not self.all_paused
        assert work.remote not in self.paused
        assert before[work.remote] is Admission.OPEN
        self.gate.enter(work.remote)
        assert self.gate.view()[work.remote].running <= LIMITS[work.remote]
        assert 1 <= len(work.jobs) <= BATCH_JOBS
        assert len(work.jobs) == 1 or all(job.is_small for job in work.jobs)
        assert len(work.jobs) == 1 or sum(job.size or 0 for job in work.jobs) <= BATCH_BYTES
        for job in work.jobs:
            assert job.direction is work.direction
            assert job.identity not in self.running, "it would run twice"
            assert work.remote in self.waiting[job.identity].remotes
            assert source_of(self.waiting[job.identity], before) == work.remote
            self.running[job.identity] = self.waiting.pop(job.identity)
        self.works.append(work)

    # ending

    @precondition(lambda self: self.works)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def finish(self, data: st.DataObject, verdict: Verdict) -> None:
        work = self.pop_work(data)
        self.queue.finished(work.jobs)
        self.gate.leave(work.remote, verdict)
        for job in work.jobs:
            del self.running[job.identity]
            self.hold_later.discard(job.identity)

    @precondition(lambda self: self.works)
    @rule(data=st.data())
    def fail_over(self, data: st.DataObject) -> None:
        """Jobs go back; downloads lose the source that failed, if there is another."""
        work = self.pop_work(data)
        back = []
        for job in work.jobs:
            others = job.direction is Direction.DOWNLOAD and len(job.remotes) > 1
            back.append(job.after_failing_at(work.remote) if others else job)
        self.queue.put_back(back)
        self.gate.leave(work.remote, Verdict.FAILURE)
        for job in back:
            del self.running[job.identity]
            target = self.held if job.identity in self.hold_later else self.waiting
            self.hold_later.discard(job.identity)
            target[job.identity] = job

    def pop_work(self, data: st.DataObject) -> Work:
        return self.works.pop(data.draw(st.integers(0, len(self.works) - 1)))

    # steering

    @rule(job=jobs)
    def cancel(self, job: Job) -> None:
        found = self.queue.cancel(job.identity)
        assert found == (job.identity in self.waiting or job.identity in self.held)
        self.waiting.pop(job.identity, None)
        self.held.pop(job.identity, None)

    @rule(job=jobs)
    def hold(self, job: Job) -> None:
        found = self.queue.hold(job.identity)
        assert found == (job.identity in self.waiting or job.identity in self.running)
        if job.identity in self.waiting:
            self.held[job.identity] = self.waiting.pop(job.identity)
        elif job.identity in self.running:
            self.hold_later.add(job.identity)

    @rule(job=jobs)
    def unhold(self, job: Job) -> None:
        found = self.queue.unhold(job.identity)
        assert found == (job.identity in self.held)
        self.hold_later.discard(job.identity)
        if found:
            self.waiting[job.identity] = self.held.pop(job.identity)

    @rule(remote=remotes)
    def pause_remote(self, remote: UUID) -> None:
        self.queue.pause_remote(remote)
        self.paused.add(remote)

    @rule(remote=remotes)
    def resume_remote(self, remote: UUID) -> None:
        self.queue.resume_remote(remote)
        self.paused.discard(remote)

    @rule(pause=st.booleans())
    def pause_or_resume_all(self, pause: bool) -> None:
        (self.queue.pause_all if pause else self.queue.resume_all)()
        self.all_paused = pause

    @rule(remote=remotes)
    def forget_remote(self, remote: UUID) -> None:
        only = [i for i, j in (self.waiting | self.held).items() if j.remotes == (remote,)]
        assert self.queue.cancel_remote(remote) == len(only)
        for identity in only:
            self.waiting.pop(identity, None)
            self.held.pop(identity, None)
        for identity, job in list(self.waiting.items()):
            if remote in job.remotes:
                self.waiting[identity] = job.after_failing_at(remote)

    @rule(seconds=st.sampled_from((0.1, 1.0, 30.0, 100.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # what holds at all times

    @invariant()
    def every_job_is_in_exactly_one_place(self) -> None:
        counts = self.queue.counts()
        assert (counts.queued, counts.running, counts.held) == (len(self.waiting), len(self.running), len(self.held))
        assert {job.identity for job in self.queue.waiting(10_000)} == set(self.waiting)
        assert not (self.waiting.keys() & self.running.keys() or self.held.keys() & self.running.keys())
        for remote, count in self.queue.waiting_for().items():
            assert count == sum(remote in job.remotes for job in self.waiting.values())

    @invariant()
    def a_gate_that_probes_lets_one_through(self) -> None:
        for view in self.gate.view().values():
            assert view.state is not GateState.PROBING or view.running >= 1

    def teardown(self) -> None:
        """Whatever happened, everything that waits can be run to the end."""
        self.queue.resume_all()
        for remote in REMOTES:
            self.queue.resume_remote(remote)
        for work in self.works:
            self.queue.finished(work.jobs)
        left = set(self.waiting)
        while (work := self.queue.next(lambda _: Admission.OPEN)) is not None:
            for job in work.jobs:
                left.remove(job.identity)
            self.queue.finished(work.jobs)
        assert not left
        assert self.queue.counts().queued == 0


TestTransferQueue = QueueMachine.TestCase
TestTransferQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(SIZES), min_size=1, max_size=40), min_size=2, max_size=3))
def test_no_remote_gets_more_than_one_turn_ahead_of_another_that_waits(sizes: list[list[int | None]]) -> None:
    """Whatever lies in front of whom: by bytes, and what each job costs besides."""
    queue = TransferQueue()
    for remote, wanted in zip(REMOTES, sizes, strict=False):
        for n, size in enumerate(wanted):
            queue.put(Job(Direction.UPLOAD, Key(b"SHA256", b"%d" % n, size), (remote,)))
    given_to = dict.fromkeys(REMOTES[: len(sizes)], 0)
    longest = 0
    while len(queue.waiting_for()) == len(sizes):
        work = queue.next(lambda _: Admission.OPEN)
        assert work is not None
        turn = sum(JOB_CHARGE + (UNKNOWN_SIZE if job.size is None else job.size) for job in work.jobs)
        given_to[work.remote] += turn
        longest = max(longest, turn)
        queue.finished(work.jobs)
        assert max(given_to.values()) - min(given_to.values()) <= longest
