"""Sees file systems come and go, by waiting for the kernel's mount table to change."""

from __future__ import annotations

from collections.abc import Callable

from annexd.system.logging import get_logger
from annexd.system.mounts import MountPoller
from annexd.threads.stop_signal import StopSignal

log = get_logger(__name__)


class MountWatcher:
    """One thread. `on_change` is told that something was mounted or unmounted; it must not block for long."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def run(self, stop: StopSignal) -> None:
        """Until `stop`; the kernel wakes it."""
        poller = MountPoller()
        try:
            while not stop.is_set():
                if poller.wait(stop):
                    log.debug("mounts.changed")
                    self._on_change()
        finally:
            poller.close()
