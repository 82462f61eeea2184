"""How far a transfer has come, how fast it may go on, and the way to stop it."""

from __future__ import annotations

import enum
from collections.abc import Callable

from annexd.errors import TransferCancelled, TransferStalled
from annexd.remotes.contract import LONGEST_STEP
from annexd.transfer.limiter import Pacer


class StopReason(enum.Enum):
    """Why a running transfer is to end early."""

    CANCELLED = "cancelled"
    PAUSED = "paused"
    STALLED = "stalled"


class TransferMeter:
    """Bytes done so far. The transfer's own thread writes it; any thread may read it or call `stop`.

    `on_progress` is called in the transfer's thread with the bytes done.
    """

    __slots__ = ("_on_progress", "_pacer", "_stop", "done", "has_core_to_spare", "total")

    def __init__(
        self,
        total: int | None = None,
        on_progress: Callable[[int], None] | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        self.done = 0
        self.total = total
        self.has_core_to_spare = True
        self._on_progress = on_progress
        self._pacer = pacer
        self._stop: StopReason | None = None

    @property
    def step(self) -> int:
        """How many bytes to move before the next update."""
        return LONGEST_STEP if self._pacer is None else self._pacer.step

    @property
    def is_limited(self) -> bool:
        """Whether the speed is limited now."""
        return self._pacer is not None and self._pacer.is_limited

    def pace(self, pacer: Pacer) -> None:
        """Let `pacer` hold the transfer back. For the transfer's own thread, before it begins."""
        self._pacer = pacer

    def start_at(self, done: int) -> None:
        """`done` bytes are in place that need not be moved. Raises as `update`."""
        self.check()
        self.done = done
        if self._on_progress is not None:
            self._on_progress(done)

    def update(self, done: int) -> None:
        """`done` bytes are in place, what was there before included; waits until more may be moved.

        Raises TransferCancelled or TransferStalled after `stop`.
        """
        moved = done - self.done
        self.start_at(done)
        if self._pacer is not None and moved > 0:
            self._pacer.spend(moved, self.check)

    def check(self) -> None:
        """Raise what `update` raises after `stop`."""
        if self._stop is StopReason.STALLED:
            raise TransferStalled("Transfer stalled")
        if self._stop is not None:
            raise TransferCancelled(f"the transfer was {self._stop.value}")

    def stop(self, reason: StopReason = StopReason.CANCELLED) -> None:
        """End the transfer at its next update."""
        self._stop = reason

    @property
    def stopped(self) -> StopReason | None:
        """Why the transfer is to end, or None."""
        return self._stop
