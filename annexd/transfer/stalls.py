"""Whether a transfer has stalled: decided from how far it had come, and when.

Source: git-annex, annex.stalldetection.
"""

from __future__ import annotations

from annexd.transfer.speed_settings import Probe, StallRule, StallSetting

PATIENCE_AT_START = 60.0    # seconds before anything moved, at least: a disk may have to spin up, a connection be made
PROBE_GAP = 30.0            # with Probe, seconds within which it has to advance, twice, to count as moving steadily
PROBE_SILENCE = 60.0        # and then the seconds without anything that count as a stall
STEADY_AFTER = 2


class StallWatch:
    """Watches one transfer. Belongs to the thread that looks.

    With a rule, each period of its length has to bring its amount. A transfer whose first bytes were long in coming,
    as one that moves large pieces, gets longer periods, so that it is not ended for the way it tells.
    """

    def __init__(self, setting: StallSetting | None, began: float, patience: float = PATIENCE_AT_START) -> None:
        self._setting = setting
        self._patience = patience
        self._mark = (began, 0)         # where the present period began: time, bytes
        self._last = (began, 0)         # when it advanced last
        self._scale = 0.0               # 0 until something moved
        self._steady = 0

    def look(self, now: float, done: int, total: int | None) -> bool:
        """Whether it has stalled, `done` bytes of `total` being in place at time `now` (monotonic seconds)."""
        if self._setting is None or (total is not None and done >= total):
            return False
        if isinstance(self._setting, Probe):
            return self._probe(now, done)
        return self._by_rule(self._setting, now, done)

    def change(self, setting: StallSetting | None) -> None:
        """Another setting holds from now on."""
        if setting != self._setting:
            self._setting = setting
            self._mark = self._last

    def _by_rule(self, rule: StallRule, now: float, done: int) -> bool:
        began, before = self._mark
        if not self._scale:
            if done <= before:
                return now - began >= max(rule.seconds, self._patience)
            slow_start = (now - began) * 3 > rule.seconds
            self._scale = max(1.0, (now - began) / rule.seconds) * 3 if slow_start else 1.0
            self._mark = self._last = (now, done)
            return False
        if now - began < rule.seconds * self._scale:
            return False
        self._mark = self._last = (now, done)
        return done - before < rule.amount * self._scale

    def _probe(self, now: float, done: int) -> bool:
        since, before = self._last
        if done > before:
            self._steady = self._steady + 1 if before and now - since <= PROBE_GAP else min(self._steady, STEADY_AFTER)
            self._last = (now, done)
            return False
        return self._steady >= STEADY_AFTER and now - since >= PROBE_SILENCE
