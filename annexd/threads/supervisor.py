"""Runs the threads of the daemon, and starts again those that crash."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from annexd.errors import FatalError
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal

Run = Callable[[StopSignal], None]
OnCrash = Callable[[str, BaseException, bool], None]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long a crashed thread rests, and when it is given up. All in seconds, but for the count."""

    first_delay: float = 1.0
    longest_delay: float = 300.0
    crashes_until_parked: int = 5
    within: float = 600.0


@dataclass(slots=True)
class _Member:
    """One supervised thread; touched by that thread alone, but for `parked`, which others read."""

    name: str
    run: Run
    thread: NamedThread | None = None
    crashes: deque[float] = field(default_factory=deque)
    parked: bool = False


class Supervisor:
    """Owns a fixed set of threads.

    A thread that raises is started again after a delay that doubles; one that keeps crashing is parked and the others
    go on. FatalError sets the stop signal, and `join` raises it. A thread whose `run` returns has ended for good.
    `on_crash(name, error, parked)` is called in the crashed thread and must not raise.
    """

    def __init__(self, stop: StopSignal, on_crash: OnCrash, policy: RestartPolicy | None = None) -> None:
        self._stop = stop
        self._on_crash = on_crash
        self._policy = policy or RestartPolicy()
        self._members: list[_Member] = []
        self._lock = threading.Lock()       # guards _fatal
        self._fatal: FatalError | None = None

    def add(self, name: str, run: Run) -> None:
        """Take in a thread that `start` will start; only before `start`."""
        self._members.append(_Member(name, run))

    def start(self) -> None:
        """Start all threads, in the order in which they were added."""
        for member in self._members:
            member.thread = NamedThread(member.name, lambda member=member: self._supervise(member))   # type: ignore[misc]
            member.thread.start()

    def join(self, deadline: Deadline) -> tuple[str, ...]:
        """Wait for all threads to end; the names of those that still run at the deadline.

        Raises the FatalError that a thread ended with, if any.
        """
        late = tuple(m.name for m in self._members if m.thread is not None and not m.thread.join(deadline))
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
        return late

    def parked(self) -> tuple[str, ...]:
        """The names of the threads that were given up."""
        return tuple(m.name for m in self._members if m.parked)

    def alive(self) -> tuple[str, ...]:
        """The names of the threads that have not ended (one that rests after a crash counts as alive)."""
        return tuple(m.name for m in self._members if m.thread is not None and m.thread.is_alive())

    def _supervise(self, member: _Member) -> None:
        while not self._stop.is_set():
            try:
                member.run(self._stop)
                return
            except FatalError as error:
                self._end_all(error)
                return
            except BaseException as error:  # boundary: one thread  # noqa: BLE001
                delay = self._note_crash(member)
                member.parked = delay is None
                self._on_crash(member.name, error, member.parked)
                if delay is None:
                    return
            self._stop.wait(delay)

    def _note_crash(self, member: _Member) -> float | None:
        """Seconds until the next try, None when there shall be none."""
        now = time.monotonic()
        member.crashes.append(now)
        while member.crashes[0] < now - self._policy.within:
            member.crashes.popleft()
        count = len(member.crashes)
        if count >= self._policy.crashes_until_parked:
            return None
        return min(self._policy.first_delay * 2.0 ** (count - 1), self._policy.longest_delay)

    def _end_all(self, error: FatalError) -> None:
        with self._lock:
            self._fatal = self._fatal or error
        self._stop.set()
