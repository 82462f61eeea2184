"""A lock that goes to whoever waits longest: a thread that takes it again and again lets the others in between."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class FairLock:
    """A mutex for `with`; not reentrant. Handing over costs a switch of threads, so it is for what is held long.

    An ordinary lock may be taken again by the one who just released it, however many wait and for however long.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()      # a leaf: guards the two fields below
        self._is_held = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._is_held:
                self._is_held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            turn.acquire()      # released by the one who hands over
        except BaseException:   # a signal's handler raised in the main thread: somebody else's turn
            self._give_way(turn)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            self._hand_over()

    def _give_way(self, turn: threading.Lock) -> None:
        with self._guard:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._hand_over()

    def _hand_over(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._is_held = False
