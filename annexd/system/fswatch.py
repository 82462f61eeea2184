"""Watches a directory tree for changes."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress

from annexd.system.fs_event import FsEvent, FsEventKind
from annexd.system.fs_interpreter import Interpreter, Trouble
from annexd.system.inotify import NO_MORE_INSTANCES, sysctl
from annexd.system.watches import Watches, identity
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal

__all__ = ["FsEvent", "FsEventKind", "TreeWatcher"]

LARGEST_BATCH = 8192        # events handed over at once, more or less
ROOT_CHECK = 5.0            # seconds between two looks whether the root is still the same directory
ROOT_RETRY = 1.0            # seconds between two looks for a root that is gone
FALLBACK_INTERVAL = 30.0    # seconds between two scans while not everything can be watched


class TreeWatcher:
    """Tells of changes below `root`, in lists, in the order in which they happened.

    `open` sets the watches, so that a scan made after it misses nothing; then `run` blocks and calls back, in its
    thread:

    * `on_events(events)`. A path may be told more than once: look at the disk before acting.
    * `on_overflow()`: changes were lost; the watches are in order again, scan everything.
    * `on_limit(path)`: the kernel allows no more watches, first seen at directory `path` (may come from `open`, too);
      `limit_advice` says what to do. From then on `on_overflow` is called every 30 s, until all can be watched.
    * `on_unreadable(path)`: the directory may not be read, so nothing is told of what is in it until it may (may come
      from `open`, too).

    A root that is deleted, moved away, unmounted or replaced is told as DIR_GONE of b"" (nothing is told of what was in
    it); when a directory is there again, DIR_APPEARED of b"" and `on_overflow` follow.

    `ignore` says for a relative path that neither it nor anything below it matters. Symbolic links are not followed.
    """

    def __init__(
        self,
        root: bytes,
        on_events: Callable[[list[FsEvent]], None],
        on_overflow: Callable[[], None],
        on_limit: Callable[[bytes], None],
        ignore: Callable[[bytes], bool],
        recursive: bool = True,
        *,
        fallback_interval: float = FALLBACK_INTERVAL,
        root_check: float = ROOT_CHECK,
        root_retry: float = ROOT_RETRY,
        on_unreadable: Callable[[bytes], None] | None = None,
    ) -> None:
        self._on_events = on_events
        self._on_overflow = on_overflow
        self._on_limit = on_limit
        self._intervals = (fallback_interval, root_check, root_retry)
        self._watches = Watches(root, ignore, self._reach_limit, on_unreadable or _say_nothing, recursive=recursive)
        self._interpreter = Interpreter(self._watches, ignore)
        self._root_identity: tuple[int, int] | None = None      # None while there is no root
        self._limit_was_told = False
        self._next_fallback = 0.0
        self._next_root_look = 0.0
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._own_stop = StopSignal()
        self._is_stale = False
        self._thread = NamedThread("fswatch", lambda: self.run(self._own_stop))

    def open(self) -> None:
        """Set the watches; blocks for about 15 us per directory. OSError when the root cannot be watched."""
        self._root_identity = identity(self._watches.root)
        self._watches.open()
        self._plan()

    def run(self, stop: StopSignal) -> None:
        """Report changes until `stop` is set; blocks. `open` comes first."""
        forget = stop.on_stop(self._wake)
        try:
            while not stop.is_set():
                self._step()
        finally:
            forget()

    def start(self) -> None:
        """`open` unless that was done, then `run` in a thread of its own until `stop`."""
        if self._root_identity is None:
            self.open()
        self._thread.start()

    def stop(self) -> None:
        """End the thread of `start` and give the watches back."""
        self._own_stop.set()
        if not self._thread.is_current():
            self._thread.join(Deadline(None))
        self.close()

    def close(self) -> None:
        """Give the watches back; only when `run` has ended."""
        self._watches.close()
        wake_fd, self._wake_fd = self._wake_fd, -1
        if wake_fd >= 0:
            os.close(wake_fd)

    def refresh(self) -> None:
        """Some directories may be others than before, with no event to tell, as something was mounted: set the watches
        anew, and then call `on_overflow`. Any thread."""
        self._is_stale = True
        self._wake()

    def watch_count(self) -> int:
        """How many directories are watched."""
        return len(self._watches.tree) if self._watches.fd() is not None else 0

    def limit_advice(self) -> str:
        """What to do about the limit that was reached; empty when all is watched."""
        limit = self._watches.limit
        if limit is None:
            return ""
        name = "max_user_instances" if limit.errno in NO_MORE_INSTANCES else "max_user_watches"
        allowed = sysctl(name)
        return (
            f"the kernel allows only {allowed}; raise it with "
            f"`sudo sysctl fs.inotify.{name}={max(allowed * 4, 1024)}`, and for good in /etc/sysctl.d"
        )

    # What follows runs in the thread that calls `run`.

    def _step(self) -> None:
        if self._wait():
            self._take_events()
        if self._is_stale:
            self._is_stale = False
            self._recover()
        due = self._interpreter.due()
        now = time.monotonic()
        if due is not None and now >= due:
            self._interpreter.release()
        self._deliver()
        self._act_on_trouble()
        if now >= self._next_root_look:
            self._look_at_root()
        if self._watches.limit is not None and now >= self._next_fallback:
            self._next_fallback = now + self._intervals[0]
            self._recover()

    def _wait(self) -> bool:
        """Sleep until there are events, or something else is due; whether there are events."""
        due = self._interpreter.due()
        until = self._next_root_look if due is None else min(due, self._next_root_look)
        if self._watches.limit is not None:
            until = min(until, self._next_fallback)
        poller = select.poll()
        poller.register(self._wake_fd, select.POLLIN)
        fd = self._watches.fd()
        if fd is not None:
            poller.register(fd, select.POLLIN)
        ready = [found for found, _ in poller.poll(max(0.0, until - time.monotonic()) * 1000)]
        if self._wake_fd in ready:
            os.eventfd_read(self._wake_fd)
        return fd is not None and fd in ready

    def _take_events(self) -> None:
        interpreter = self._interpreter
        while len(interpreter.events) < LARGEST_BATCH and interpreter.trouble is Trouble.NONE:
            raw = self._watches.read()
            if not raw:
                return
            interpreter.interpret(raw)

    def _deliver(self) -> None:
        if self._interpreter.events:
            self._on_events(self._interpreter.take())

    def _act_on_trouble(self) -> None:
        trouble = self._interpreter.trouble
        if trouble is Trouble.ROOT_LOST:
            self._lose_root()
        elif trouble is Trouble.OVERFLOW:
            self._recover()
        elif trouble is Trouble.UNMOUNTED:
            self._interpreter.forget()
            self._renew()

    def _recover(self) -> None:
        self._interpreter.forget()
        self._renew()
        self._on_overflow()

    def _renew(self) -> None:
        try:
            self._watches.renew()
        except OSError:
            self._lose_root()
        self._plan()

    def _reach_limit(self, path: bytes) -> None:
        if not self._limit_was_told:
            self._limit_was_told = True
            self._next_fallback = time.monotonic() + self._intervals[0]
            self._on_limit(path)

    def _lose_root(self) -> None:
        self._interpreter.forget()
        self._watches.close()
        self._watches.limit = None
        self._root_identity = None
        self._plan()
        self._on_events([FsEvent(FsEventKind.DIR_GONE, b"", True)])

    def _look_at_root(self) -> None:
        """The kernel does not tell when a directory above the root moves, or when something is mounted over it."""
        self._plan()
        now = identity(self._watches.root)
        if self._root_identity is not None and now != self._root_identity:
            self._lose_root()
        if self._root_identity is None and now is not None:
            self._find_root(now)

    def _find_root(self, found: tuple[int, int]) -> None:
        try:
            self._watches.open()
        except OSError:
            return      # gone again already, or not for us to read: the next look tells
        self._root_identity = found
        self._plan()
        self._on_events([FsEvent(FsEventKind.DIR_APPEARED, b"", True)])
        self._on_overflow()

    def _plan(self) -> None:
        _, root_check, root_retry = self._intervals
        self._limit_was_told = self._watches.limit is not None
        self._next_root_look = time.monotonic() + (root_retry if self._root_identity is None else root_check)

    def _wake(self) -> None:
        with suppress(OSError):
            os.eventfd_write(self._wake_fd, 1)


def _say_nothing(_path: bytes) -> None:
    """Who does not ask is not told."""
