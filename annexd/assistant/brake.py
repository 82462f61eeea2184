"""Tells a person what the brake holds back."""

from __future__ import annotations

import os
from collections.abc import Mapping

from annexd.assistant.alerts import Alerts
from annexd.assistant.status import Severity
from annexd.sync.brake_state import HINT, Hold


class BrakeAlerts:
    """An alert for each branch that is held. Any thread may call `tell`."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._told: frozenset[bytes] = frozenset()

    def tell(self, held: Mapping[bytes, Hold]) -> None:
        """These are held back now, and no others."""
        told, self._told = self._told, frozenset(held)
        for branch, hold in held.items():
            self._alerts.raise_alert(_name(branch), str(hold), hint=HINT, severity=Severity.ERROR)
        for branch in told - self._told:
            self._alerts.clear(_name(branch))


def _name(branch: bytes) -> str:
    return "brake " + os.fsdecode(branch)
