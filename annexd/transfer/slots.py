"""The threads that move content. A slot shares nothing that changes with anybody, and outlives every transfer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from annexd.errors import AnnexError, TransferFailed, TransferStalled
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.job import Finished, Identity, Outcome, Result, Work
from annexd.transfer.meter import StopReason, TransferMeter
from annexd.transfer.speed_settings import StallSetting
from annexd.transfer.stall_monitor import Patience, StallMonitor, Watched

IDLE_SECONDS = 20.0     # after so long without work a slot lets go of its worker, so that a drive can be unmounted


class Worker(Protocol):
    """What a slot works with: a state copy and open remotes of its own. Used by one thread only."""

    def run(self, work: Work, meter: TransferMeter) -> Sequence[Finished]:
        """Move what `work` says; one Finished for each job, failures included."""

    def interrupt(self) -> None:
        """Break what blocks in `run`; for another thread, which must not be held up by this for long."""

    def close(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True, slots=True)
class Running:
    """A piece of work that a slot does now: bytes done so far, and when it began (monotonic seconds)."""

    slot: int
    work: Work
    began: float
    done: int
    total: int | None


OnFinished = Callable[[Work, Sequence[Finished]], None]
OnBug = Callable[[str, BaseException], None]
StallSettingOf = Callable[[Work], StallSetting | None]


class SlotPool:
    """Slots, whose number may change. `give` and `idle_count` are for one thread, the controller; the rest for any.

    `on_finished` is called in the slot's thread, exactly once for each work given, whatever happened; when it returns
    the slot counts as idle and `on_idle` is called. `on_bug` learns of errors that are not expected ones. `stalls`
    tells which transfers are ended when they stall: one that does not even notice that it should end is given up, and
    another slot takes the place of its own; then `on_finished` is called in the thread that watches.
    """

    def __init__(
        self,
        count: int,
        make_worker: Callable[[], Worker],
        *,
        on_finished: OnFinished,
        on_idle: Callable[[], None] = lambda: None,
        on_bug: OnBug = lambda _name, _error: None,
        stalls: StallSettingOf = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        cores = len(os.sched_getaffinity(0))
        self._on_idle = on_idle
        self._monitor = StallMonitor(self._watched, self._replace, stalls, patience or Patience())
        self._surroundings = _Surroundings(
            make_worker, on_finished, self._ended, on_bug, self._monitor.ring, lambda: 2 * len(self.running()) <= cores
        )
        self._stop = StopSignal()
        self._lock = threading.Lock()       # a leaf: guards the fields below
        self._is_started = False
        self._made = 0
        self._slots: list[_Slot] = []
        self._idle: list[_Slot] = []
        self._leaving: list[_Slot] = []     # too many, but at work still
        self.resize(count)

    def __len__(self) -> int:
        return len(self._slots)

    def start(self) -> None:
        """Start the threads."""
        with self._lock:
            self._is_started = True
            for slot in self._slots:
                slot.start(self._stop)
        self._monitor_thread = NamedThread("stalls", lambda: self._monitor.run(self._stop))
        self._monitor_thread.start()

    def resize(self, count: int) -> None:
        """Have this many slots from now on; those that are too many end after the work they do."""
        with self._lock:
            while len(self._slots) < count:
                self._made += 1
                slot = _Slot(self._made, self._surroundings)
                self._slots.append(slot)
                self._idle.append(slot)
                if self._is_started:
                    slot.start(self._stop)
            surplus = self._slots[count:]
            del self._slots[count:]
            over = [slot for slot in surplus if slot in self._idle]
            self._idle = [slot for slot in self._idle if slot not in surplus]
            self._leaving += [slot for slot in surplus if slot not in over]
        for slot in over:
            slot.end()
        self._on_idle()

    def idle_count(self) -> int:
        """How many slots could be given work now."""
        return len(self._idle)

    def give(self, work: Work) -> None:
        """Hand work to an idle slot. LookupError when there is none."""
        with self._lock:
            if not self._idle:
                raise LookupError("no slot is idle")
            slot = self._idle.pop()     # the one that worked last still has its remotes open
        slot.give(work)

    def running(self) -> list[Running]:
        """What the slots do now."""
        return [running for slot in self._all() if (running := slot.running()) is not None]

    def stop_transfer(self, identity: Identity, reason: StopReason) -> bool:
        """End a running transfer early; False when it does not run, or in a batch with others, which ends soon."""
        return self.stop_where(lambda running: running == identity, reason) > 0

    def stop_where(self, concerns: Callable[[Identity], bool], reason: StopReason) -> int:
        """End early the transfers that `concerns` picks; how many."""
        return sum(slot.stop_transfer(concerns, reason) for slot in self._all())

    def close(self, deadline: Deadline) -> bool:
        """Stop what runs, end the threads; whether all ended before the deadline."""
        self._stop.set()
        self.stop_where(lambda _: True, StopReason.PAUSED)
        late = [slot for slot in self._all() if not slot.join(deadline)]
        return not late

    def _all(self) -> list[_Slot]:
        with self._lock:
            return [*self._slots, *self._leaving]

    def _watched(self) -> list[Watched]:
        return [watched for slot in self._all() if (watched := slot.watched()) is not None]

    def _replace(self, watched: Watched) -> None:
        """Give up a slot that does not come back from its work."""
        slot = next((slot for slot in self._all() if slot.name == watched.slot), None)
        if slot is None or not slot.abandon(watched.work):
            return
        with self._lock:
            if slot in self._slots:
                self._made += 1
                fresh = _Slot(self._made, self._surroundings)
                self._slots[self._slots.index(slot)] = fresh
                self._idle.append(fresh)
                fresh.start(self._stop)
            else:
                self._leaving.remove(slot)
        slot.report(watched.work, TransferStalled("Transfer stalled, and could not be ended"))
        self._on_idle()

    def _ended(self, slot: _Slot) -> None:
        with self._lock:
            if slot in self._slots:
                self._idle.append(slot)
            else:
                self._leaving.remove(slot)
                slot.end()
        self._on_idle()


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What slots know of their pool."""

    make_worker: Callable[[], Worker]
    on_finished: OnFinished
    on_ended: Callable[[_Slot], None]
    on_bug: OnBug
    on_begun: Callable[[], None]
    has_core_to_spare: Callable[[], bool]


class _Slot:
    """One thread with its worker."""

    def __init__(self, number: int, surroundings: _Surroundings) -> None:
        self._number = number
        self._pool = surroundings
        self._inbox: Pool[Work] = Pool()
        self._current: tuple[Work, TransferMeter, float] | None = None      # replaced as a whole
        self._worker: Worker | None = None                                  # the slot's thread only
        self._thread: NamedThread | None = None
        self._is_over = False
        self._is_abandoned = False
        self._stop_lock = threading.Lock()      # a leaf: guards _current against a stop that comes as work changes

    @property
    def name(self) -> str:
        return f"slot-{self._number}"

    def start(self, stop: StopSignal) -> None:
        self._thread = NamedThread(self.name, lambda: self._run(stop))
        self._thread.start()

    def give(self, work: Work) -> None:
        self._inbox.put(work)

    def end(self) -> None:
        """There will be no more work."""
        self._is_over = True
        self._inbox.close()

    def join(self, deadline: Deadline) -> bool:
        return self._thread is None or self._thread.join(deadline)

    def running(self) -> Running | None:
        current = self._current
        if current is None:
            return None
        work, meter, began = current
        return Running(self._number, work, began, meter.done, meter.total)

    def stop_transfer(self, concerns: Callable[[Identity], bool], reason: StopReason) -> bool:
        with self._stop_lock:
            if self._current is None:
                return False
            work, meter, _ = self._current
            if not all(concerns(job.identity) for job in work.jobs):
                return False
            meter.stop(reason)
            return True

    def watched(self) -> Watched | None:
        current = self._current
        if current is None:
            return None
        work, meter, began = current
        return Watched(self.name, work, meter, began, self._interrupt)

    def abandon(self, work: Work) -> bool:
        """Expect nothing more of this slot; False when it is not at this work (any more)."""
        with self._stop_lock:
            if self._current is None or self._current[0] is not work:
                return False
            self._current = None
            self._is_abandoned = True
        self.end()
        return True

    def report(self, work: Work, error: AnnexError) -> None:
        """Tell that all of it failed. For who abandoned the slot."""
        try:
            self._pool.on_finished(work, _all(work, Outcome(Result.FAILED, work.remote, error)))
        except BaseException as bug:  # boundary: the watching must go on  # noqa: BLE001
            self._pool.on_bug(self.name, bug)

    def _interrupt(self) -> None:
        worker = self._worker
        if worker is not None:
            with suppress(OSError, AnnexError):     # it is broken anyway
                worker.interrupt()

    def _run(self, stop: StopSignal) -> None:
        try:
            while not (stop.is_set() or self._is_over):
                works = self._inbox.drain(stop, timeout=IDLE_SECONDS if self._worker is not None else None)
                for work in works:
                    self._do(work)
                if not works:
                    self._drop_worker()
        finally:
            for work in self._inbox.take_all():     # given just before the end
                self._report(work, _all(work, Outcome(Result.PAUSED, work.remote)))
            self._drop_worker()

    def _do(self, work: Work) -> None:
        sizes = [job.size for job in work.jobs]
        meter = TransferMeter(None if None in sizes else sum(size or 0 for size in sizes))
        meter.has_core_to_spare = self._pool.has_core_to_spare()
        with self._stop_lock:
            self._current = (work, meter, time.monotonic())
        self._pool.on_begun()
        finished: Sequence[Finished] = ()
        try:
            if self._worker is None:
                self._worker = self._pool.make_worker()
            finished = self._worker.run(work, meter)
        except BaseException as error:  # boundary: one transfer in a slot  # noqa: BLE001
            finished = _all(work, self._failure(work, error))
            self._drop_worker()
        finally:
            with self._stop_lock:
                self._current = None
                is_ours = not self._is_abandoned
            if is_ours:
                self._report(work, finished)

    def _failure(self, work: Work, error: BaseException) -> Outcome:
        if isinstance(error, AnnexError):
            return Outcome(Result.FAILED, work.remote, error)
        self._pool.on_bug(self.name, error)
        return Outcome(Result.FAILED, work.remote, TransferFailed(f"{type(error).__name__}: {error}"))

    def _report(self, work: Work, finished: Sequence[Finished]) -> None:
        try:
            self._pool.on_finished(work, finished)
        except BaseException as error:  # boundary: the slot must become idle again  # noqa: BLE001
            self._pool.on_bug(self.name, error)
        finally:
            self._pool.on_ended(self)

    def _drop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            with suppress(OSError, AnnexError):     # what cannot be closed is given up
                worker.close()


def _all(work: Work, outcome: Outcome) -> list[Finished]:
    return [Finished(job, outcome) for job in work.jobs]
