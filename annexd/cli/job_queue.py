"""What several jobs take their work from: small things in batches, and never one key for two jobs at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from annexd.threads.deadline import Deadline

T = TypeVar("T")

SMALL = 1 << 20             # bytes up to which things are taken in batches
BATCH_BYTES = 16 << 20
FIRST_BATCH = 16            # things; a job that is quick with them gets more next time
LARGEST_BATCH = 512
FULL = 4096                 # things that wait, after which whoever looks for more should pause


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """What a queue has to know of its things: the key that no two jobs may have at a time, and the size if known.

    With `in_order` they come out as they went in; otherwise large ones and small ones may overtake each other.
    With `batches` small ones come out several at a time. Of large ones `most_large` are out at a time (None: any).
    """

    key_of: Callable[[T], Hashable]
    size_of: Callable[[T], int | None]
    in_order: bool = True
    batches: bool = False
    most_large: int | None = None


class JobQueue(Generic[T]):
    """Things on their way from one thread to several. Any thread may call any method."""

    def __init__(self, shape: Shape[T]) -> None:
        self._shape = shape
        self._condition = threading.Condition()     # guards the fields below; reentrant, for signal handlers
        self._small: deque[T] = deque()
        self._large: deque[T] = deque()             # with in_order everything is here
        self._active: set[Hashable] = set()
        self._behind: dict[Hashable, deque[T]] = {}     # those whose key a job has just now
        self._batchers = 0
        self._large_out = 0
        self._is_closed = False
        self._is_stopped = False

    def put(self, thing: T) -> None:
        """Take one in."""
        with self._condition:
            line = self._line(thing)
            line.append(thing)
            if self._is_open(line):     # waking a job for nothing takes the interpreter from who looks for more
                self._condition.notify()

    def close(self) -> None:
        """Nothing more will come."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def stop(self) -> None:
        """Give out nothing more, whatever is left. May be called from a signal handler."""
        with self._condition:
            self._is_stopped = True
            self._condition.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether enough waits."""
        return len(self._small) + len(self._large) >= FULL and not self._is_stopped

    @property
    def has_waiting(self) -> bool:
        """Whether anything waits for a job."""
        return bool(self._small or self._large or self._behind)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopped

    @property
    def has_no_batches(self) -> bool:
        """Whether no more batches will be given out, as far as can be seen."""
        line = self._large if self._shape.in_order else self._small
        return self._is_closed and not any(map(self._is_small, line))

    def take(self, most: int = FIRST_BATCH) -> list[T]:
        """The next thing, or up to `most` small ones; [] when there will be no more. Blocks.

        They count as worked on until `done` is called with them.
        """
        with self._condition:
            while not self._is_stopped:
                taken = self._next(most)
                if taken:
                    return taken
                if self._is_closed and not self._active:
                    self._condition.notify_all()
                    return []
                self._condition.wait()
            return []

    def done(self, things: Iterable[T]) -> None:
        """A job is through with these."""
        with self._condition:
            batch = list(things)
            for thing in batch:
                key = self._shape.key_of(thing)
                self._active.discard(key)
                behind = self._behind.pop(key, None)
                if behind:
                    for other in reversed(behind):
                        self._line(other).appendleft(other)
            if batch and self._is_batch(batch):
                self._batchers -= 1
            elif batch and not self._is_small(batch[0]):
                self._large_out -= 1
            self._condition.notify_all()

    def wait_for_room(self, seconds: float) -> None:
        """Wait a moment for jobs to take something."""
        deadline = Deadline(seconds)
        with self._condition:
            while self.is_full and not deadline.expired():
                self._condition.wait(deadline.remaining())

    # inside the condition

    def _line(self, thing: T) -> deque[T]:
        return self._small if not self._shape.in_order and self._is_small(thing) else self._large

    def _is_small(self, thing: T) -> bool:
        size = self._shape.size_of(thing)
        return self._shape.batches and size is not None and size <= SMALL

    def _is_batch(self, things: list[T]) -> bool:
        return not self._shape.in_order and self._is_small(things[0])

    def _next(self, most: int) -> list[T]:
        if self._small and self._is_open(self._small):
            taken = self._batch(self._small, most)
            if taken:
                self._batchers += 1
                return taken
        return self._batch(self._large, most) if self._is_open(self._large) else []

    def _is_open(self, line: deque[T]) -> bool:
        """Whether a job may take from this line now.

        One job at a time has small things while others, or who looks for more, have something else to do: all of them
        need the interpreter, which only one thread has.
        """
        if line is self._small:
            return self._batchers == 0 or (not self._large and (self._is_closed or self.is_full))
        return self._shape.most_large is None or self._large_out < self._shape.most_large

    def _batch(self, line: deque[T], most: int) -> list[T]:
        taken: list[T] = []
        room = BATCH_BYTES
        while line and len(taken) < most:
            thing = line[0]
            key = self._shape.key_of(thing)
            if key in self._active:
                line.popleft()
                self._behind.setdefault(key, deque()).append(thing)
                continue
            is_small = self._is_small(thing)
            room -= self._shape.size_of(thing) or 0
            if taken and (not is_small or room < 0):
                break
            line.popleft()
            self._active.add(key)
            taken.append(thing)
            if not is_small:
                self._large_out += 1
                break
        return taken
