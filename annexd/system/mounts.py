"""What is mounted, and waiting for that to change."""

from __future__ import annotations

import os
import re
import select
from contextlib import suppress
from typing import NamedTuple

from annexd.errors import FormatError
from annexd.threads.stop_signal import StopSignal

TABLE = b"/proc/self/mountinfo"

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mounted file system."""

    source: bytes
    point: bytes
    fstype: bytes
    options: bytes


def read_mounts(table: bytes = TABLE) -> tuple[Mount, ...]:
    """The mounts that this process sees, in the order in which they were made. OSError, FormatError."""
    with open(table, "rb") as lines:
        return tuple(parse_mount(line) for line in lines)


def parse_mount(line: bytes) -> Mount:
    """One line of the kernel's table. FormatError. Source: proc(5), /proc/[pid]/mountinfo."""
    fields = line.split()
    try:
        end = fields.index(b"-", 6)
        return Mount(_plain(fields[end + 2]), _plain(fields[4]), _plain(fields[end + 1]), fields[5])
    except (ValueError, IndexError):
        raise FormatError(f"{line[:200]!r} is not a line of a mount table", source=os.fsdecode(TABLE)) from None


def _plain(field: bytes) -> bytes:
    return _OCTAL.sub(lambda found: bytes((int(found[1], 8) & 255,)), field)


class MountPoller:
    """Waits for changes of the mount table; the kernel wakes it, nothing is asked in between. Owned by one thread."""

    def __init__(self, table: bytes = TABLE) -> None:
        self._table_fd = os.open(table, os.O_RDONLY | os.O_CLOEXEC)
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poller = select.poll()
        self._poller.register(self._table_fd, select.POLLPRI)   # POLLERR comes with it, always
        self._poller.register(self._wake_fd, select.POLLIN)

    def wait(self, stop: StopSignal, timeout: float | None = None) -> bool:
        """Block until something was mounted or unmounted since the last call (or since this object was made).

        False when `stop` was set or `timeout` seconds passed instead.
        """
        forget = stop.on_stop(self._wake)
        try:
            ready = self._poller.poll(None if timeout is None else timeout * 1000)
        finally:
            forget()
        return not stop.is_set() and any(fd == self._table_fd for fd, _ in ready)

    def close(self) -> None:
        """Free the descriptors; not during `wait`."""
        os.close(self._table_fd)
        os.close(self._wake_fd)

    def _wake(self) -> None:
        with suppress(OSError):
            os.eventfd_write(self._wake_fd, 1)
