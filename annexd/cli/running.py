"""The transfers that a command's jobs make now: how they are held back, watched for stalls, and stopped."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from annexd.formats.transfer_info import Direction
from annexd.remotes.contract import Remote
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.limiter import Limiter
from annexd.transfer.meter import StopReason, TransferMeter
from annexd.transfer.stalls import StallWatch

GRACE_SECONDS = 5.0     # that a stalled transfer has to notice that it is to end, before its connection is cut


@dataclass(slots=True, eq=False)
class _Transfer:
    remote: Remote
    meter: TransferMeter
    watch: StallWatch
    cut_at: float | None = None


class RunningTransfers:
    """The jobs enter and leave; the main thread looks and stops."""

    def __init__(self, limiter: Callable[[], Limiter]) -> None:
        self._limiter = limiter
        self._lock = threading.RLock()      # leaf: guards the set; reentrant, for signal handlers
        self._stop = StopSignal()
        self._transfers: set[_Transfer] = set()
        self._cores = os.cpu_count() or 1
        self._stopped: StopReason | None = None

    @contextmanager
    def transfer(
        self,
        remote: Remote,
        direction: Direction,
        total: int | None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Iterator[TransferMeter]:
        """The meter of one transfer, or of one batch, while the block runs."""
        limiter = self._limiter()
        name = remote.spec.name
        meter = TransferMeter(total, on_progress, limiter.pacer(name, direction))
        watch = StallWatch(limiter.stall_setting(name, direction), time.monotonic())
        one = _Transfer(remote, meter, watch)
        with self._lock:
            self._transfers.add(one)
            meter.has_core_to_spare = 2 * len(self._transfers) <= self._cores
            if self._stopped is not None:
                meter.stop(self._stopped)
        try:
            yield meter
        finally:
            with self._lock:
                self._transfers.discard(one)

    def look(self, now: float) -> None:
        """End what has stalled; `now` in monotonic seconds."""
        for one in self._all():
            if one.meter.stopped is None and one.watch.look(now, one.meter.done, one.meter.total):
                one.meter.stop(StopReason.STALLED)
                one.cut_at = now + GRACE_SECONDS
            elif one.cut_at is not None and now >= one.cut_at:
                one.cut_at = None
                one.remote.close()

    def stop(self, reason: StopReason) -> None:
        """End all that run, and all that begin from now on, as soon as they look. May be called by a signal handler."""
        self._stopped = reason
        self._stop.set()
        for one in self._all():
            one.meter.stop(reason)

    def pause(self, seconds: float) -> bool:
        """Wait, until everything is to end at most; whether it is."""
        return self._stop.wait(seconds)

    def cut(self) -> None:
        """Break what does not notice that it is to end."""
        for one in self._all():
            one.remote.close()

    def _all(self) -> list[_Transfer]:
        with self._lock:
            return list(self._transfers)
