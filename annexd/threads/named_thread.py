"""A thread that is known by its name, in logs and in the system's own list of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from annexd.threads.deadline import Deadline

COMM_LIMIT = 15     # bytes of a thread name that Linux keeps


class NamedThread:
    """Runs `target` once in a thread of its own. The thread does not keep the program alive."""

    def __init__(self, name: str, target: Callable[[], None]) -> None:
        self.name = name
        self._target = target
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; RuntimeError when it was started before."""
        self._thread.start()

    def join(self, deadline: Deadline) -> bool:
        """Wait for the end of the thread; False when it still runs at the deadline. True if never started."""
        if self._thread.ident is None:
            return True
        self._thread.join(deadline.remaining())
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        with suppress(OSError), open(f"/proc/self/task/{threading.get_native_id()}/comm", "wb") as comm:
            comm.write(self.name.encode()[:COMM_LIMIT])
        self._target()
