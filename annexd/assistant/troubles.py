"""Paths that cannot be taken in, told to a person by kind and not one by one."""

from __future__ import annotations

from annexd.assistant.alerts import Alerts
from annexd.assistant.status import Severity
from annexd.formats.paths import display
from annexd.system.logging import get_logger

NAMED = 3       # paths that an alert names

log = get_logger(__name__)


class Troubles:
    """The paths in trouble, by kind of trouble. Owned by one thread; `names` are the alerts' names and sentences."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._kinds: dict[str, dict[bytes, str]] = {}
        self._hints: dict[str, str] = {}
        self._sentences: dict[str, str] = {}

    def note(self, kind: str, path: bytes, sentence: str, reason: str = "", hint: str = "") -> None:
        """`path` is in trouble, for `reason`. `sentence` says what the trouble is, as "cannot be read"."""
        known = self._kinds.setdefault(kind, {})
        if known.get(path) == reason:
            return
        known[path] = reason
        self._sentences[kind], self._hints[kind] = sentence, hint
        log.info("path.skipped", path=path, kind=kind, reason=reason)
        self._tell(kind)

    def forget(self, path: bytes) -> None:
        """The path, and all below it, is fine now, or gone."""
        for kind, known in self._kinds.items():
            gone = [p for p in known if p == path or p.startswith(path + b"/")]
            for each in gone:
                del known[each]
            if gone:
                self._tell(kind)

    def over(self, kind: str) -> None:
        """No path has this trouble any more."""
        if self._kinds.pop(kind, None):
            self._alerts.clear(kind)

    def has_any(self) -> bool:
        """Whether any path is in trouble."""
        return any(self._kinds.values())

    def _tell(self, kind: str) -> None:
        known = self._kinds[kind]
        if not known:
            self._alerts.clear(kind)
            return
        first = list(known.items())[:NAMED]
        shown = ", ".join(display(path) + (f" ({reason})" if reason else "") for path, reason in first)
        more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
        sentence = self._sentences[kind]
        self._alerts.raise_alert(kind, f"{sentence}: {shown}{more}", hint=self._hints[kind], severity=Severity.WARNING)
