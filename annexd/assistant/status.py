"""What the daemon knows of itself, for people and programs: an immutable value that writers replace as a whole."""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from annexd.threads.latest import Latest


class Phase(enum.Enum):
    """Where in its life the daemon is."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Severity(enum.Enum):
    """How much a person should care."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know. `name` identifies it, so that it can be raised twice and taken back."""

    name: str
    severity: Severity
    message: str
    hint: str = ""
    since: float = 0.0      # seconds since the epoch


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """How things stand with one remote. Times are seconds since the epoch, 0 for never."""

    name: str
    uuid: str = ""
    kind: str = ""
    available: bool = True
    note: str = ""                  # e.g. why contents are not transferred
    last_push: float = 0.0
    last_error: str = ""
    next_try: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `annexd status` shows."""

    pid: int
    started: float
    version: str
    phase: Phase = Phase.STARTING
    scan_complete: bool = False
    branch: str = ""
    last_commit: float = 0.0
    files_committed: int = 0
    pending_changes: int = 0
    transfers_queued: int = 0
    transfers_deferred: int = 0
    transfers_done: int = 0
    longest_hold_ms: int = 0        # of the AnnexState lock, by one thread
    longest_holder: str = ""
    parked: tuple[str, ...] = ()
    remotes: tuple[RemoteStatus, ...] = ()
    alerts: tuple[Alert, ...] = field(default=())

    def to_json(self) -> bytes:
        """One JSON object, with enums as their values."""
        return json.dumps(asdict(self), default=_plain, indent=1, sort_keys=True).encode() + b"\n"


def _plain(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} in a status")


class StatusBoard(Latest[Status]):
    """The newest status. Any thread may read and write it; nobody waits for long."""

    def set(self, **fields: Any) -> None:
        """Replace some fields."""
        self.update(lambda status: replace(status, **fields))

    def count(self, **deltas: int) -> None:
        """Add to counters."""
        self.update(lambda status: replace(status, **{k: getattr(status, k) + v for k, v in deltas.items()}))

    def set_remote(self, name: str, **fields: Any) -> None:
        """Replace some fields of one remote's status; a remote not yet known is taken in."""

        def change(status: Status) -> Status:
            known = {remote.name: remote for remote in status.remotes}
            known[name] = replace(known.get(name, RemoteStatus(name)), **fields)
            return replace(status, remotes=tuple(known.values()))

        self.update(change)

    def keep_remotes(self, names: frozenset[str]) -> None:
        """Forget the remotes that are not among `names`."""
        self.update(lambda status: replace(status, remotes=tuple(r for r in status.remotes if r.name in names)))
