"""The one asyncio loop, in a thread of its own, for libraries that know nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, forbid_while_holding
from annexd.threads.named_thread import NamedThread

T = TypeVar("T")


class EventLoop:
    """Runs coroutines that other threads hand in. Starts on first use; any thread may call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()       # guards _loop and _thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: NamedThread | None = None
        self._is_closed = False

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in the loop's thread, without waiting; RuntimeError when the loop is closed."""
        try:
            loop = self._running()
        except RuntimeError:
            coroutine.close()
            raise
        return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def call(self, coroutine: Coroutine[Any, Any, T], deadline: Deadline) -> T:
        """Run it and wait for its result; TimeoutError at the deadline, and then it is cancelled."""
        forbid_while_holding(Held.ANNEX_STATE, "waiting for the event loop")
        future = self.submit(coroutine)
        try:
            return future.result(deadline.remaining())
        except TimeoutError:
            future.cancel()
            raise

    def close(self, deadline: Deadline) -> None:
        """Cancel what still runs, and end the thread."""
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(deadline)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the event loop is closed")
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                self._thread = NamedThread("event-loop", lambda: _run(loop))
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
