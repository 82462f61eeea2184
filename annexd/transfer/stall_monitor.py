"""Ends transfers that stall: asks them to, then breaks their connection, then goes on without them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.job import Work
from annexd.transfer.meter import StopReason, TransferMeter
from annexd.transfer.speed_settings import StallSetting
from annexd.transfer.stalls import PATIENCE_AT_START, StallWatch


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: between two looks; for the first byte; for each step towards going on without a transfer."""

    look: float = 1.0
    at_start: float = PATIENCE_AT_START
    grace: float = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What a slot does now, and how to break it. `began` in monotonic seconds."""

    slot: str
    work: Work
    meter: TransferMeter
    began: float
    interrupt: Callable[[], None]


@dataclass(slots=True)
class _Case:
    """One piece of work under watch; `ends` counts how often it was told to end, the last time at `told_at`."""

    watch: StallWatch
    ends: int = 0
    told_at: float = 0.0


class StallMonitor:
    """A thread. `running` gives what slots do now, `give_up` is told which of them to go on without."""

    def __init__(
        self,
        running: Callable[[], list[Watched]],
        give_up: Callable[[Watched], None],
        setting_of: Callable[[Work], StallSetting | None],
        patience: Patience,
    ) -> None:
        self._running = running
        self._give_up = give_up
        self._setting_of = setting_of
        self._patience = patience
        self._bell: Pool[None] = Pool()
        self._cases: dict[int, tuple[Watched, _Case]] = {}

    def ring(self) -> None:
        """There is new work. Any thread may call."""
        if not len(self._bell):
            self._bell.put(None)

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. Sleeps for as long as nothing runs."""
        while not stop.is_set():
            if self._look(time.monotonic()):
                stop.wait(self._patience.look)
                self._bell.take_all()
            else:
                self._bell.drain(stop)

    def _look(self, now: float) -> bool:
        """Whether anything runs; what does may come to be watched by a change of settings."""
        running = {id(watched.meter): watched for watched in self._running()}
        self._cases = {name: known for name, known in self._cases.items() if name in running}
        for name, watched in running.items():
            setting = self._setting_of(watched.work)
            _, case = self._cases.setdefault(
                name, (watched, _Case(StallWatch(setting, watched.began, self._patience.at_start)))
            )
            case.watch.change(setting)
            self._judge(watched, case, now)
        return bool(running)

    def _judge(self, watched: Watched, case: _Case, now: float) -> None:
        meter = watched.meter
        if not case.ends:
            if case.watch.look(now, meter.done, meter.total):
                meter.stop(StopReason.STALLED)
                case.ends, case.told_at = 1, now
        elif now - case.told_at >= self._patience.grace:
            case.told_at = now
            case.ends += 1
            if case.ends == 2:
                watched.interrupt()
            else:
                self._give_up(watched)
