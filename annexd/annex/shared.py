"""The AnnexState that all threads of the daemon share, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from annexd.annex.config import AnnexConfig
from annexd.annex.layout import RepoLayout
from annexd.annex.state import AnnexState
from annexd.threads.fair_lock import FairLock
from annexd.threads.held import Held, forbid_while_holding, holding

LONG_HOLD_NS = 50_000_000


class SharedAnnex:
    """Owner of the lock around the shared AnnexState.

    `on_long_hold(thread name, nanoseconds)` is called, without the lock, after a hold of more than 50 ms.
    """

    def __init__(
        self,
        state: AnnexState,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        on_long_hold: Callable[[str, int], None] = lambda _name, _ns: None,
    ) -> None:
        self._state = state
        self._lock = FairLock()     # a committer that takes it for batch after batch lets others in between
        self._monotonic_ns = monotonic_ns
        self._on_long_hold = on_long_hold
        self._layout = state.layout
        self._config = state.config
        self.longest_hold_ns = 0
        self.longest_holder = ""        # the thread that held it for so long
        self.holder: str | None = None

    @property
    def layout(self) -> RepoLayout:
        """The paths; needs no lock."""
        return self._layout

    @property
    def config(self) -> AnnexConfig:
        """The configuration as of the end of the last hold; needs no lock."""
        return self._config

    @contextmanager
    def locked(self) -> Iterator[AnnexState]:
        """The state, for this thread alone until the block ends. Do nothing slow inside.

        An exception drops the state's caches: a half-done change may have left a stale one, and the disk is right.
        """
        forbid_while_holding(Held.ANNEX_STATE, "locking it again")
        with self._lock, holding(Held.ANNEX_STATE):
            began = self._monotonic_ns()
            self.holder = threading.current_thread().name
            try:
                yield self._state
                self._config = self._state.config
                self._layout = self._state.layout
            except BaseException:
                self._state.reset()
                raise
            finally:
                self.holder = None
                took = self._monotonic_ns() - began
                if took > self.longest_hold_ns:
                    self.longest_hold_ns, self.longest_holder = took, threading.current_thread().name
        if took > LONG_HOLD_NS:
            self._on_long_hold(threading.current_thread().name, took)

    def close(self) -> None:
        """End the helper processes of the state, once nobody uses it."""
        with self._lock:
            self._state.close()


class OwnState:
    """A state of one thread's own, for what would take too long under the lock; follows the shared configuration."""

    def __init__(self, shared: SharedAnnex) -> None:
        self._shared = shared
        self._state: AnnexState | None = None
        self._config: AnnexConfig | None = None

    def get(self) -> AnnexState:
        """The state; made when there is none, or when the configuration has changed. Not under the lock."""
        config = self._shared.config
        if self._state is None or self._config is not config:
            self.rest()
            with self._shared.locked() as annex:
                self._state, self._config = annex.fork(), config
        return self._state

    def is_made(self) -> bool:
        """Whether there is something to `rest`."""
        return self._state is not None

    def rest(self) -> None:
        """Let go of the state and its helper processes; the next `get` makes another."""
        state, self._state = self._state, None
        if state is not None:
            state.close()
