"""What a person should know: in the status until it is over, logged once, shown on the desktop where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from annexd.assistant.status import Alert, Severity, Status, StatusBoard
from annexd.system.logging import get_logger

SHOWN_AT_MOST = 100     # more alerts than a person reads; further ones are only logged

log = get_logger(__name__)


class Alerts:
    """Raises and takes back alerts. Any thread may call; `tell` (the desktop notification) must not block."""

    def __init__(self, board: StatusBoard, tell: Callable[[Alert], None] | None = None) -> None:
        self._board = board
        self._tell = tell

    def raise_alert(self, name: str, message: str, *, hint: str = "", severity: Severity = Severity.WARNING) -> None:
        """Have `message` shown until `clear(name)`. The same message under the same name is said once."""
        alert = Alert(name, severity, message, hint, time.time())
        is_news = False

        def change(status: Status) -> Status:
            nonlocal is_news
            before = next((a for a in status.alerts if a.name == name), None)
            is_news = before is None or before.message != message
            if not is_news:
                return status
            others = tuple(a for a in status.alerts if a.name != name)
            return replace(status, alerts=(*others, alert)[-SHOWN_AT_MOST:])

        self._board.update(change)
        if is_news:
            self._say(alert)

    def clear(self, name: str) -> None:
        """The matter is over; nothing happens when it was never raised."""
        if any(alert.name == name for alert in self._board.get().alerts):
            self._board.update(lambda s: replace(s, alerts=tuple(a for a in s.alerts if a.name != name)))
            log.info("alert.cleared", alert=name)

    def is_raised(self, name: str) -> bool:
        """Whether the matter is still open."""
        return any(alert.name == name for alert in self._board.get().alerts)

    def _say(self, alert: Alert) -> None:
        say = {Severity.INFO: log.info, Severity.WARNING: log.warning, Severity.ERROR: log.error}[alert.severity]
        say("alert.raised", alert=alert.name, message=alert.message, hint=alert.hint)
        if self._tell is not None:
            self._tell(alert)
