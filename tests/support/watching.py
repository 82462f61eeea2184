"""A watcher on a real directory, and all that it told."""

from __future__ import annotations

import os
import time
from pathlib import Path

from annexd.system.fswatch import FsEvent, FsEventKind, TreeWatcher
from annexd.threads.deadline import Deadline
from tests.support.eventually import eventually

K = FsEventKind


class Told:
    """What a watcher called back."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root)
        self.events: list[FsEvent] = []
        self.times: dict[bytes, float] = {}
        self.overflows = 0
        self.limits: list[bytes] = []
        self.watcher = self.make()

    def make(self, recursive: bool = True, **intervals: float) -> TreeWatcher:
        self.watcher = TreeWatcher(
            self.root, self.take, self.overflow, self.limits.append, ignored, recursive, **intervals
        )
        return self.watcher

    def take(self, events: list[FsEvent]) -> None:
        now = time.perf_counter()
        self.events.extend(events)
        self.times.update((event.path, now) for event in events)

    def overflow(self) -> None:
        self.overflows += 1

    def path(self, name: bytes) -> bytes:
        return self.root + b"/" + name

    def of(self, kind: FsEventKind) -> list[bytes]:
        return [event.path for event in list(self.events) if event.kind is kind]

    def wait_for(self, event: FsEvent) -> None:
        eventually(lambda: event in self.events, Deadline(10), f"{event} (got {self.events[:50]})")

    def settle(self) -> list[FsEvent]:
        """All events so far, made sure of by a last one; and start afresh."""
        marker = b"marker-%d" % time.monotonic_ns()
        write(self.path(marker))
        self.wait_for(FsEvent(K.CLOSED, marker))
        events, self.events = self.events, []
        return [event for event in events if event.path != marker]


def ignored(path: bytes) -> bool:
    return path == b".git" or path.startswith(b".git/")


def write(path: bytes, data: bytes = b"data") -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, data)
    os.close(fd)
