"""Transfers that fail for a reason that a person can do something about: told by kind, until they succeed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from annexd.assistant.alerts import Alerts
from annexd.errors import AnnexError, NoSpace, RefusedError, RemoteRefused, VerificationFailed
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.transfer.job import Finished, Identity, Job

NAMED = 3       # files that an alert names

_SENTENCES = {
    "transfer-no-space": "there is not enough space for the content of",
    "transfer-damaged": "content that does not match its key was not taken over, of",
    "transfer-refused": "these transfers were refused:",
}


class TransferTroubles:
    """Any thread may call. `still_failing` picks, of some transfers, those that are still to be done; `file_of` finds a
    file that has the content of a key.
    """

    def __init__(
        self,
        alerts: Alerts,
        still_failing: Callable[[Iterable[Identity]], list[Job]],
        file_of: Callable[[Key], bytes | None],
    ) -> None:
        self._alerts = alerts
        self._still_failing = still_failing
        self._file_of = file_of
        self._lock = threading.Lock()       # a leaf: guards _kinds
        self._kinds: dict[str, dict[Identity, tuple[Job, AnnexError]]] = {}

    def ended(self, finished: Sequence[Finished]) -> None:
        """What came of some transfers."""
        if not any(self._kinds.values()) and all(f.outcome.is_success for f in finished):
            return
        with self._lock:
            changed = {kind for f in finished for kind in self._take(f)}
        for kind in changed:
            self._tell(kind)

    def look_again(self) -> None:
        """Forget what is not to be done any more."""
        with self._lock:
            known = {identity for failures in self._kinds.values() for identity in failures}
        if not known:
            return
        gone = known - {job.identity for job in self._still_failing(known)}
        with self._lock:
            changed = {kind for identity in gone for kind in self._forget(identity)}
        for kind in changed:
            self._tell(kind)

    def _take(self, finished: Finished) -> set[str]:
        """The kinds of trouble that are not as they were."""
        job, error = finished.job, finished.outcome.error
        kind = None if error is None else _kind(error)
        if kind is None or error is None:
            return self._forget(job.identity)
        changed = self._forget(job.identity) if job.identity not in self._kinds.get(kind, {}) else set()
        self._kinds.setdefault(kind, {})[job.identity] = (job, error)      # in its old place, if it has one
        return changed | {kind}

    def _forget(self, identity: Identity) -> set[str]:
        return {kind for kind, failures in self._kinds.items() if failures.pop(identity, None) is not None}

    def _tell(self, kind: str) -> None:
        with self._lock:
            failures = list(self._kinds.get(kind, {}).values())
        if not failures:
            self._alerts.clear(kind)
            return
        shown = ", ".join(f"{self._name(job)} ({error.message})" for job, error in failures[:NAMED])
        more = f" and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
        self._alerts.raise_alert(kind, f"{_SENTENCES[kind]} {shown}{more}", hint=failures[0][1].hint)

    def _name(self, job: Job) -> str:
        file = job.file if job.file is not None else self._file_of(job.key)
        return display(file) if file is not None else str(job.key)


def _kind(error: AnnexError) -> str | None:
    """None for what passes by itself, or concerns the remote as a whole."""
    match error:
        case NoSpace():
            return "transfer-no-space"
        case VerificationFailed():
            return "transfer-damaged"
        case RefusedError() | RemoteRefused():
            return "transfer-refused"
    return None
