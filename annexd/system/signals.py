"""Signals of the system, heard wherever they arrive."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType

from annexd.threads.stop_signal import StopSignal


class SignalListener:
    """Calls a function in the main thread for each signal, while the `with` block runs.

    The kernel may deliver a signal to any thread, and Python then runs the handler as soon as the main thread runs,
    which one that waits for a lock does not. So the main thread waits here, on a pipe that every signal writes to.
    """

    def __init__(self, handlers: Mapping[signal.Signals, Callable[[], None]]) -> None:
        self._handlers = dict(handlers)
        self._before: dict[signal.Signals, object] = {}
        self._old_fd = -1
        self._read_fd = self._write_fd = -1

    def __enter__(self) -> SignalListener:
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_fd = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number, handler in self._handlers.items():
            self._before[number] = signal.signal(number, lambda *_, handler=handler: handler())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]  # what signal.signal returned
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._read_fd)
        write_fd, self._write_fd = self._write_fd, -1
        os.close(write_fd)

    def wait(self, stop: StopSignal) -> None:
        """Block, handling signals, until `stop` is set. For the main thread."""
        forget = stop.on_stop(self._wake)
        poller = select.poll()
        poller.register(self._read_fd, select.POLLIN)
        try:
            while not stop.is_set():
                poller.poll()
                with suppress(BlockingIOError):
                    os.read(self._read_fd, 4096)
        finally:
            forget()

    def _wake(self) -> None:
        with suppress(OSError):     # full is as good; closed means that nobody waits
            os.write(self._write_fd, b"\0")
