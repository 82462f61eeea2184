"""Tells a person of files that were changed in two places at once, until the person has dealt with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annexd.assistant.alerts import Alerts
from annexd.formats.paths import display
from annexd.sync.resolve import Resolved
from annexd.system.logging import get_logger

ALERT = "conflicts"
NAMED = 3       # files that the alert names

log = get_logger(__name__)


class ConflictNews:
    """The conflicts that were resolved here and left more than one version, or one under another name.

    Owned by one thread. A conflict is over for a person who moved or removed one of the versions.
    """

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._open: dict[bytes, tuple[bytes, ...]] = {}

    @property
    def has_any(self) -> bool:
        """Whether any conflict awaits a person."""
        return bool(self._open)

    def tell(self, resolved: Sequence[Resolved]) -> None:
        """A merge resolved these."""
        for path, kept in resolved:
            log.info("conflict.resolved", path=path, kept=kept)
            if any(version != path for version in kept):
                self._open[path] = kept
        self._say()

    def look_again(self, is_there: Callable[[bytes], bool]) -> None:
        """The branch moved; `is_there` says which paths it has now."""
        gone = [path for path, kept in self._open.items() if not all(map(is_there, kept))]
        for path in gone:
            del self._open[path]
        if gone:
            self._say()

    def _say(self) -> None:
        if not self._open:
            self._alerts.clear(ALERT)
            return
        newest = list(self._open.items())[-NAMED:]
        shown = "; ".join(f"{display(path)} (now {', '.join(map(display, kept))})" for path, kept in newest)
        more = f"; and {len(self._open) - NAMED} more" if len(self._open) > NAMED else ""
        self._alerts.raise_alert(
            ALERT,
            f"changed in two places at once, all versions are kept: {shown}{more}",
            hint="annexd conflicts lists them, and settles them",
        )
