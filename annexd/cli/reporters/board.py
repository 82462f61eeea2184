"""How far the jobs of a command have come, as numbers: counted here, shown elsewhere."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 5.0        # over which speed is measured
SLOWEST_SAMPLE = 0.1


class NoBoard:
    """For output that shows no progress of the whole."""

    def expect(self, size: int | None) -> None:
        """Nothing."""

    def all_known(self) -> None:
        """Nothing."""

    def done(self, size: int | None, files: int = 1) -> None:
        """Nothing."""

    def needless(self, size: int | None) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""


class Speed:
    """Bytes a second over the last seconds. Belongs to one thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._samples: deque[tuple[float, int]] = deque()

    def at(self, done: int) -> float | None:
        """The speed, now that `done` bytes are done; None while nobody can tell."""
        now = self._monotonic()
        if not self._samples or now - self._samples[-1][0] >= SLOWEST_SAMPLE:
            self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] > WINDOW_SECONDS:
            self._samples.popleft()
        began, before = self._samples[0]
        if now - began < 2 * SLOWEST_SAMPLE or done < before:
            return None
        return (done - before) / (now - began)


class Row:
    """One running action: its job writes how far it is and calls `end`, the main thread reads."""

    __slots__ = ("_on_end", "done", "label", "speed", "total")

    def __init__(self, label: str, on_end: Callable[[Row], None]) -> None:
        self.label = label
        self.done = 0
        self.total: int | None = None
        self.speed = Speed()
        self._on_end = on_end

    def end(self) -> None:
        """It runs no more."""
        self._on_end(self)


class Totals:
    """Sums over all that a command works on. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()       # leaf: guards the numbers
        self.files = 0
        self.files_done = 0
        self.bytes = 0
        self.bytes_done = 0
        self.is_complete = False
        self.speed = Speed()

    def expect(self, size: int | None, files: int = 1) -> None:
        """So much more is to be done; less when `files` is negative."""
        with self._lock:
            self.files += files
            self.bytes += files * (size or 0)

    def done(self, size: int | None, files: int = 1) -> None:
        """So many are done, or failed, `size` bytes in all."""
        with self._lock:
            self.files_done += files
            self.bytes_done += size or 0
