"""Notes which big lock the current thread holds, and refuses what must not be done meanwhile.

The check stays on in production: it costs well under a microsecond, and turns a stall that nobody can explain into a
stack trace.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Held(enum.Enum):
    """The locks whose holders must not block."""

    ANNEX_STATE = "the annex state lock"


class LockDisciplineError(RuntimeError):
    """A bug: something slow or blocking was tried by a thread that holds a lock others wait for."""


class _HeldByThread(threading.local):
    def __init__(self) -> None:
        self.locks: frozenset[Held] = frozenset()


_current = _HeldByThread()      # per thread by its nature, so nothing here is shared


@contextmanager
def holding(lock: Held) -> Iterator[None]:
    """Note, for the time of the block, that this thread holds `lock`."""
    before = _current.locks
    _current.locks = before | {lock}
    try:
        yield
    finally:
        _current.locks = before


def is_holding(lock: Held) -> bool:
    """Whether this thread is inside `holding(lock)`."""
    return lock in _current.locks


def forbid_while_holding(lock: Held, what: str) -> None:
    """Raise LockDisciplineError when this thread holds `lock`; `what` names the forbidden action."""
    if lock in _current.locks:
        raise LockDisciplineError(f"{what} is forbidden while holding {lock.value}")
