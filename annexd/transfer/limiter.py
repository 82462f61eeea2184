"""Holds transfers back to the speed that is allowed, for all of them together, by the settings as they are now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress

from annexd.annex.state import AnnexState
from annexd.errors import AnnexError
from annexd.formats.transfer_info import Direction
from annexd.git.config import GitConfig
from annexd.git.config_places import config_places, stamp_of
from annexd.remotes.contract import LONGEST_STEP
from annexd.threads.held import Held, forbid_while_holding
from annexd.transfer.speed_settings import NO_SETTINGS, Limit, LoadSettings, SpeedSettings, StallSetting

LOOK_SECONDS = 0.5      # between two looks at whether the settings changed
BURST_SECONDS = 0.05    # of the allowed rate that may pass at once after a pause
STEP_SECONDS = 0.05     # of the allowed rate that is moved in one piece
SHORTEST_STEP = 512     # bytes
NAP_SECONDS = 0.05      # the longest wait between two looks at whether the transfer is to stop


class Bucket:
    """Bytes that may pass now; fills at a rate. Spending more than there is makes a debt, which all who share it wait
    for. Any thread may call.
    """

    def __init__(self, rate: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()       # a leaf: guards the fields below
        self._monotonic = monotonic
        self._rate = rate
        self._level = 0.0
        self._at = monotonic()

    @property
    def rate(self) -> int:
        """Bytes a second."""
        return self._rate

    def set_rate(self, rate: int) -> None:
        """The rate from now on; a debt stays, and is worked off at the new rate."""
        with self._lock:
            self._fill()
            self._rate = rate

    def spend(self, count: int) -> None:
        """`count` bytes passed."""
        with self._lock:
            self._fill()
            self._level -= count

    def wait_seconds(self) -> float:
        """How long to wait until there is no debt; 0 when there is none."""
        with self._lock:
            self._fill()
            return max(0.0, -self._level / self._rate)

    def _fill(self) -> None:
        now = self._monotonic()
        self._level = min(self._level + (now - self._at) * self._rate, self._rate * BURST_SECONDS)
        self._at = now


class Pacer:
    """Holds one transfer back. Belongs to the thread that transfers."""

    def __init__(self, limiter: Limiter, remote: str, direction: Direction) -> None:
        self._limiter = limiter
        self._remote = remote
        self._direction = direction

    @property
    def step(self) -> int:
        """How many bytes to move in one piece, so that the speed is even."""
        bucket = self._limiter.bucket(self._remote, self._direction)
        if bucket is None:
            return LONGEST_STEP
        return max(SHORTEST_STEP, min(int(bucket.rate * STEP_SECONDS), LONGEST_STEP))

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit now."""
        return self._limiter.bucket(self._remote, self._direction) is not None

    def spend(self, count: int, check: Callable[[], None]) -> None:
        """`count` bytes passed: wait until the next may. `check` is called now and then, and may raise to stop that."""
        bucket = self._limiter.bucket(self._remote, self._direction)
        if bucket is None:
            return
        bucket.spend(count)
        while seconds := bucket.wait_seconds():
            forbid_while_holding(Held.ANNEX_STATE, "waiting for bandwidth")
            time.sleep(min(seconds, NAP_SECONDS))
            check()
            current = self._limiter.bucket(self._remote, self._direction)
            if current is not bucket:       # another setting holds now, and owes nothing for what passed before
                return


class Limiter:
    """The limits of one process, which all its transfers share. Any thread may call any method.

    `load` reads the settings, `stamp` gives a value that changes when they may have changed; it must be quick.
    """

    def __init__(
        self,
        load: LoadSettings = lambda: NO_SETTINGS,
        stamp: Callable[[], Hashable] = lambda: None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._stamp = stamp
        self._monotonic = monotonic
        self._lock = threading.Lock()       # guards the fields below; under it only settings are read
        self._buckets: dict[str, Bucket] = {}
        self._settings: SpeedSettings | None = None
        self._seen: Hashable = None
        self._next_look = 0.0

    def pacer(self, remote: str, direction: Direction) -> Pacer:
        """For one transfer with the named remote, which begins now: by settings that are not half a second old."""
        self._next_look = 0.0
        return Pacer(self, remote, direction)

    def stall_setting(self, remote: str, direction: Direction) -> StallSetting | None:
        """When a transfer with the named remote counts as stalled."""
        return self.settings().stall(remote, direction)

    def settings(self) -> SpeedSettings:
        """As of now, or of at most half a second ago."""
        found = self._settings
        if found is not None and self._monotonic() < self._next_look:
            return found
        with self._lock:
            if self._settings is None or self._monotonic() >= self._next_look:
                self._look()
            return self._settings or NO_SETTINGS

    def bucket(self, remote: str, direction: Direction) -> Bucket | None:
        """The bucket that such a transfer draws from; None when nothing holds it back."""
        limit = self.settings().limit(remote, direction)
        return None if limit is None else self._bucket(limit)

    def limits(self, remotes: tuple[str, ...]) -> Mapping[tuple[str, Direction], int]:
        """The rates that hold now, for people."""
        settings = self.settings()
        found = {(remote, way): settings.limit(remote, way) for remote in remotes for way in Direction}
        return {place: limit.rate for place, limit in found.items() if limit is not None}

    def _bucket(self, limit: Limit) -> Bucket:
        bucket = self._buckets.get(limit.name)
        if bucket is None:
            with self._lock:
                bucket = self._buckets.setdefault(limit.name, Bucket(limit.rate, self._monotonic))
        if bucket.rate != limit.rate:
            bucket.set_rate(limit.rate)
        return bucket

    def _look(self) -> None:
        stamp = self._stamp()
        if self._settings is None or stamp != self._seen:
            try:
                self._settings = self._load()
                self._seen = stamp
            except (AnnexError, OSError):       # half-written: what held before holds until it can be read
                self._settings = self._settings or NO_SETTINGS
        self._next_look = self._monotonic() + LOOK_SECONDS


def limiter_of(state: AnnexState, environ: Mapping[bytes, bytes]) -> Limiter:
    """The limiter of a repository, by git's settings, which are read anew when one of their files changed."""
    repo = state.repo
    places = config_places(repo, environ)

    def load() -> SpeedSettings:
        git = GitConfig.load(repo)
        return SpeedSettings.load(git, git.remotes())

    limiter = Limiter(load, lambda: stamp_of(places))
    with suppress(AnnexError, OSError):
        limiter.settings()
    return limiter
