"""The right to change index, HEAD and work tree: committer and merger take it in turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from annexd.annex.state import AnnexState
from annexd.errors import BusyError
from annexd.threads.held import Held, forbid_while_holding


class WorkTreeTurn:
    """A lock, and the AnnexState that belongs to whoever has it; so git's index is parsed once for both threads.

    It may be held for long: a merge writes files meanwhile. Take it before the AnnexState lock, never inside.
    """

    def __init__(self, state: AnnexState, is_there: Callable[[], bool] = lambda: True) -> None:
        self._state = state
        self._is_there = is_there
        self._lock = threading.Lock()
        self.holder: str | None = None

    @contextmanager
    def held(self) -> Iterator[AnnexState]:
        """The turn's state until the block ends. After an exception its caches are dropped: the disk is right.

        Raises BusyError while the work tree is gone, or another directory is in its place.
        """
        forbid_while_holding(Held.ANNEX_STATE, "waiting for the work tree's turn")
        with self._lock:
            self.holder = threading.current_thread().name
            try:
                if not self._is_there():
                    raise BusyError("the work tree is not there", hint="mount it again")
                yield self._state
            except BaseException:
                self._state.reset()
                raise
            finally:
                self.holder = None

    def close(self) -> None:
        """End the helper processes of the state."""
        with self._lock:
            self._state.close()
