"""Which remotes may be given work: a circuit breaker and a limit of slots for each."""

from __future__ import annotations

import enum
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from annexd.errors import AnnexError, RemoteProtocolError, RemoteRefused, RemoteUnavailable, TransferStalled
from annexd.formats.uuid import UUID

FAILURES_IN_A_ROW = 8       # failures of whatever kind that count as a fault of the remote
BUSY_SECONDS = 10.0         # a remote that ended no work for so long is not worth waiting for


class Admission(enum.Enum):
    """Whether a remote may be given work now."""

    OPEN = "yes"
    BUSY = "no, but soon: it has all the work it may have, and gets on with it"
    CLOSED = "no, and nobody knows when"


class Verdict(enum.Enum):
    """What a transfer tells of the remote it used."""

    GOOD = "it works"
    FAULT = "it cannot be used now"
    FAILURE = "this transfer failed; perhaps it is not the remote's fault"
    NOTHING = "the remote was not used"


class GateState(enum.Enum):
    """Whether a remote gets work."""

    OPEN = "open"
    CLOSED = "closed"       # until a time
    PROBING = "probing"     # one transfer finds out


@dataclass(frozen=True, slots=True)
class GateView:
    """The gate of one remote, for people: `opens_in` seconds when closed, `reason` is the last fault."""

    state: GateState
    running: int
    opens_in: float
    reason: str


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """For how many seconds a remote at fault is left alone; doubles with each fault that follows."""

    first_rest: float = 1.0
    longest_rest: float = 60.0


@dataclass(slots=True)
class _Remote:
    running: int = 0
    changed: float = 0.0        # when work began or ended last
    state: GateState = GateState.OPEN
    until: float = 0.0
    rest: float = 0.0
    failures: int = 0
    reason: str = ""


def verdict_on(error: AnnexError | None) -> Verdict:
    """What an error says of the remote; None means that all went well."""
    if error is None:
        return Verdict.GOOD
    if isinstance(error, RemoteUnavailable | RemoteRefused | RemoteProtocolError | TransferStalled):
        return Verdict.FAULT
    return Verdict.FAILURE


class RemoteGate:
    """Keeps a dead or slow remote from taking slots that others could use. Any thread may call any method.

    A fault closes the gate for a while; then one piece of work may pass, and what becomes of it opens or closes the
    gate again.
    """

    def __init__(
        self,
        limit: Callable[[UUID], int],
        *,
        policy: GatePolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._lock = threading.Lock()       # a leaf: guards _remotes and what is in it
        self._limit = limit
        self._policy = policy or GatePolicy()
        self._monotonic = monotonic
        self._jitter = jitter
        self._remotes: dict[UUID, _Remote] = {}

    def admits(self, remote: UUID) -> Admission:
        """Whether a slot may begin work with this remote now."""
        with self._lock:
            known = self._remotes.get(remote)
            now = self._monotonic()
            if known is None:
                return Admission.OPEN if self._limit(remote) > 0 else Admission.CLOSED
            if known.state is GateState.OPEN:
                if known.running < self._limit(remote):
                    return Admission.OPEN
                return Admission.BUSY if now < known.changed + BUSY_SECONDS else Admission.CLOSED
            may_probe = known.state is GateState.CLOSED and known.running == 0 and now >= known.until
            return Admission.OPEN if may_probe else Admission.CLOSED

    def enter(self, remote: UUID) -> None:
        """A slot begins work with this remote. Only one thread may call `admits` and `enter`."""
        with self._lock:
            known = self._get(remote)
            known.running += 1
            known.changed = self._monotonic()
            if known.state is GateState.CLOSED:
                known.state = GateState.PROBING

    def leave(self, remote: UUID, verdict: Verdict, reason: str = "") -> bool:
        """The work has ended; whether the remote is usable again after it was not."""
        with self._lock:
            known = self._get(remote)
            known.running -= 1
            known.changed = self._monotonic()
            match verdict:
                case Verdict.GOOD:
                    return self._open(known)
                case Verdict.FAULT:
                    self._close(known, reason)
                case Verdict.FAILURE:
                    known.failures += 1
                    if known.state is GateState.PROBING:
                        return self._open(known)        # it answered, if only to say no
                    if known.failures >= FAILURES_IN_A_ROW:
                        self._close(known, reason)
                case Verdict.NOTHING:
                    if known.state is GateState.PROBING:
                        known.state = GateState.CLOSED
            return False

    def retry_now(self, remote: UUID) -> None:
        """The remote may be back: let the next work pass at once."""
        with self._lock:
            known = self._remotes.get(remote)
            if known is not None and known.state is GateState.CLOSED:
                known.until, known.rest = 0.0, 0.0

    def now(self) -> float:
        """The time by which gates open, in monotonic seconds."""
        return self._monotonic()

    def next_opening(self, after: float) -> float | None:
        """Seconds until what `admits` said at time `after` changes by itself; None for never."""
        with self._lock:
            times = [t for r in self._remotes.values() if (t := _next_change(r)) > after]
            return max(0.0, min(times) - self._monotonic()) if times else None

    def view(self) -> Mapping[UUID, GateView]:
        """All remotes that were used so far."""
        with self._lock:
            now = self._monotonic()
            return {uuid: _view(remote, now) for uuid, remote in self._remotes.items()}

    def _get(self, remote: UUID) -> _Remote:
        known = self._remotes.get(remote)
        if known is None:
            known = self._remotes[remote] = _Remote()
        return known

    def _open(self, known: _Remote) -> bool:
        was_closed = known.state is not GateState.OPEN
        known.state, known.rest, known.failures, known.reason = GateState.OPEN, 0.0, 0, ""
        return was_closed

    def _close(self, known: _Remote, reason: str) -> None:
        if known.state is not GateState.CLOSED:     # slots that began before the fault do not prolong the rest
            known.rest = min(max(known.rest * 2, self._policy.first_rest), self._policy.longest_rest)
            known.until = self._monotonic() + known.rest * (1 + self._jitter() / 4)
        known.state, known.failures, known.reason = GateState.CLOSED, 0, reason


def _next_change(remote: _Remote) -> float:
    if remote.state is GateState.CLOSED:
        return remote.until
    return remote.changed + BUSY_SECONDS if remote.running else 0.0


def _view(remote: _Remote, now: float) -> GateView:
    opens_in = max(0.0, remote.until - now) if remote.state is GateState.CLOSED else 0.0
    return GateView(remote.state, remote.running, opens_in, remote.reason)
