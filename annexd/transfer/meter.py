"""How far a transfer has come, and the way to stop it."""

from __future__ import annotations

import enum
from collections.abc import Callable

from annexd.errors import TransferCancelled


class StopReason(enum.Enum):
    """Why a running transfer is to end early."""

    CANCELLED = "cancelled"
    PAUSED = "paused"


class TransferMeter:
    """Bytes done so far. The transfer's own thread writes it; any thread may read it or call `stop`.

    `on_progress` is called in the transfer's thread with the bytes done.
    """

    __slots__ = ("_on_progress", "_stop", "done", "total")

    def __init__(self, total: int | None = None, on_progress: Callable[[int], None] | None = None) -> None:
        self.done = 0
        self.total = total
        self._on_progress = on_progress
        self._stop: StopReason | None = None

    def update(self, done: int) -> None:
        """`done` bytes are in place, what was there before included. Raises TransferCancelled after `stop`."""
        if self._stop is not None:
            raise TransferCancelled(f"the transfer was {self._stop.value}")
        self.done = done
        if self._on_progress is not None:
            self._on_progress(done)

    def stop(self, reason: StopReason = StopReason.CANCELLED) -> None:
        """End the transfer at its next update."""
        self._stop = reason

    @property
    def stopped(self) -> StopReason | None:
        """Why the transfer is to end, or None."""
        return self._stop


class Chained:
    """Tells a meter and a second listener, such as an information file."""

    __slots__ = ("_listener", "_meter")

    def __init__(self, meter: TransferMeter, listener: Callable[[int], None]) -> None:
        self._meter = meter
        self._listener = listener

    def update(self, done: int) -> None:
        """As `TransferMeter.update`."""
        self._meter.update(done)
        self._listener(done)
