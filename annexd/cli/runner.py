"""Doing something with many files: one after the other, or in several jobs at a time (-J)."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from annexd.annex.state import AnnexState
from annexd.cli.invocation import Invocation
from annexd.cli.job_queue import FIRST_BATCH, LARGEST_BATCH, JobQueue, Shape
from annexd.cli.news import MANY
from annexd.cli.reporters.contract import Board
from annexd.cli.seek import Item
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.transfer.meter import StopReason

T = TypeVar("T")

Perform = Callable[[AnnexState, T], bool]
"""Acts on one thing with its thread's own state, telling the invocation's reporter; False if nothing was to be done."""

PerformMany = Callable[[AnnexState, Sequence[T]], Iterable[T]]
"""Acts on several small things; yields those that have to be acted on one by one, each when its turn has come."""

SizeOf = Callable[[T], int | None]

ITEMS: Shape[Item] = Shape(key_of=lambda item: item.key, size_of=lambda item: item.key.size)

TICK_SECONDS = 0.1          # between two looks at what the jobs do
QUICK_SECONDS = 0.2         # a batch that took less may be larger next time
END_SECONDS = 5.0           # that jobs get to end after Ctrl-C, before connections are cut
CUT_SECONDS = 2.0           # and after that


def _always(_annex: AnnexState, _thing: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """What a command does with each of its things.

    `is_due` is a cheap look at whether anything is to be done, with the main thread's state; `act` looks again, as
    much may have changed. Things up to 1 MiB are given to `act_on_many` where there is one. Of larger ones, or where
    there is none, `most_large` are worked on at a time, however many jobs there are (None: any).
    """

    act: Perform[T]
    is_due: Perform[T] = _always
    act_on_many: PerformMany[T] | None = None
    most_large: int | None = None


def for_each(
    call: Invocation,
    items: Iterable[Item],
    perform: Perform[Item],
    is_due: Perform[Item] = _always,
    *,
    is_batch: bool = False,
) -> None:
    """Call `perform` for every item that is due: in this thread, or with -J N in N threads with states of their own."""
    if call.jobs() > 1 and not is_batch:
        run_jobs(call, items, Task(perform, is_due))
    else:
        one_by_one(call, items, Task(perform, is_due), ITEMS, is_batch=is_batch)


def run_jobs(call: Invocation, items: Iterable[Item], task: Task[Item], *, is_batch: bool = False) -> None:
    """`run_things` for items. With `is_batch` they answer lines of standard input, and are acted on one by one."""
    if is_batch:
        one_by_one(call, items, task, ITEMS, is_batch=True)
    else:
        run_things(call, items, task, ITEMS)


def run_things(call: Invocation, things: Iterable[T], task: Task[T], shape: Shape[T]) -> None:
    """Have `task` done with everything, in as many jobs as are wished, each with a thread and a state of its own.

    No key is worked on by two jobs at a time. This thread looks for the things and shows how far they have come.
    Ctrl-C stops what is running where it can be continued, and raises KeyboardInterrupt once that is so.
    """
    jobs = call.jobs()
    batches = task.act_on_many is not None
    queue = JobQueue(replace(shape, in_order=jobs == 1, batches=batches, most_large=task.most_large))
    with call.reporter.showing(jobs) as board:
        _Run(call, queue, task, board, jobs, shape.size_of).run(things)


def one_by_one(
    call: Invocation, things: Iterable[T], task: Task[T], shape: Shape[T] | None = None, *, is_batch: bool = False
) -> None:
    """The same in this thread. With `is_batch` an empty line answers what was nothing to be done for."""
    annex = call.annex()
    for thing in things:
        did = False
        if task.is_due(annex, thing) and call.budget.admits(None if shape is None else shape.size_of(thing)):
            did = task.act(annex, thing)
        if is_batch and not did:
            call.reporter.blank()


class _Run(Generic[T]):
    """One round of jobs. Belongs to the main thread."""

    def __init__(
        self, call: Invocation, queue: JobQueue[T], task: Task[T], board: Board, jobs: int, size_of: SizeOf[T]
    ) -> None:
        self._call = call
        self._queue = queue
        self._task = task
        self._board = board
        self._size_of = size_of
        self._jobs = [_Job(f"job {n + 1}", call, queue, task, board, size_of) for n in range(jobs)]
        self._interrupted = False

    def run(self, things: Iterable[T]) -> None:
        with ExitStack() as ended, _on_interrupt(self._interrupt):
            ended.callback(self._end)
            for job in self._jobs:
                job.thread.start()
            self._feed(things)
            self._queue.close()
            while any(job.thread.is_alive() for job in self._jobs) and not self._interrupted:
                self._jobs_alive()[0].thread.join(Deadline(TICK_SECONDS))
                self._look()
        if self._interrupted:
            raise KeyboardInterrupt
        crash = next((job.crash for job in self._jobs if job.crash is not None), None)
        if crash is not None:
            raise crash

    def _feed(self, things: Iterable[T]) -> None:
        annex, budget = self._call.annex(), self._call.budget
        next_look = time.monotonic() + TICK_SECONDS
        for thing in things:
            size = self._size_of(thing)
            if self._task.is_due(annex, thing) and budget.admits(size):
                self._board.expect(size)
                self._queue.put(thing)
            while self._queue.is_full or time.monotonic() >= next_look:
                self._look()
                next_look = time.monotonic() + TICK_SECONDS
                self._queue.wait_for_room(TICK_SECONDS)
            if self._queue.is_stopped:
                return
        self._board.all_known()

    def _look(self) -> None:
        self._board.tick()
        self._call.running.look(time.monotonic())
        if self._queue.has_waiting and self._call.budget.is_over:
            self._queue.stop()

    def _interrupt(self) -> None:
        """In the signal handler."""
        self._interrupted = self._call.is_interrupted = True
        self._queue.stop()
        self._call.running.stop(StopReason.PAUSED)

    def _end(self) -> None:
        """Whatever happened: no job goes on."""
        self._queue.stop()
        deadline = Deadline(END_SECONDS)
        if not self._wait(deadline):
            self._call.running.cut()
            self._wait(Deadline(CUT_SECONDS))

    def _wait(self, deadline: Deadline) -> bool:
        while alive := self._jobs_alive():
            if deadline.expired() and self._interrupted:
                return False
            alive[0].thread.join(Deadline(TICK_SECONDS))
            self._board.tick()
        return True

    def _jobs_alive(self) -> list[_Job[T]]:
        return [job for job in self._jobs if job.thread.is_alive()]


class _Job(Generic[T]):
    """One thread of -J with its state."""

    def __init__(
        self, name: str, call: Invocation, queue: JobQueue[T], task: Task[T], board: Board, size_of: SizeOf[T]
    ) -> None:
        self.thread = NamedThread(name, self._run)
        self.crash: BaseException | None = None
        self._annex = call.annex().fork()
        self._news = call.news
        self._queue = queue
        self._task = task
        self._board = board
        self._size_of = size_of
        self._most = FIRST_BATCH

    def _run(self) -> None:
        try:
            with self._annex:
                while things := self._queue.take(self._most):
                    try:
                        self._do(things)
                    finally:
                        self._queue.done(things)
        except BaseException as crash:  # noqa: BLE001  # handed over: the main thread raises it again
            self._queue.stop()
            self.crash = crash

    def _do(self, things: Sequence[T]) -> None:
        many = self._task.act_on_many
        is_batch = many is not None and len(things) > 1
        began = time.monotonic()
        handled = len(things)
        size = sum(self._size_of(thing) or 0 for thing in things)
        for thing in things if many is None or not is_batch else many(self._annex, things):
            handled -= 1
            size -= self._size_of(thing) or 0
            if not self._queue.is_stopped:
                tell = self._board.done if self._task.act(self._annex, thing) else self._board.needless
                tell(self._size_of(thing))
        self._board.done(size, handled)
        if time.monotonic() - began < QUICK_SECONDS:
            self._most = min(2 * self._most, LARGEST_BATCH)
        else:
            self._most = max(self._most // 2, FIRST_BATCH)
        if is_batch and len(self._news) >= MANY and self._queue.has_no_batches:
            self._news.record(self._annex)      # while others move large files, and knowing the logs already


@contextmanager
def _on_interrupt(handle: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls `handle`, and a second one raises KeyboardInterrupt. Outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        handle()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
