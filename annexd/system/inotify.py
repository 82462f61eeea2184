"""The kernel's inotify, through watchdog's bindings.

Only the bindings of watchdog are used. Its observer makes several objects for each event and passes them through two
threads, says nothing when the kernel's queue overflows, and cannot ask for changed modes without being told of every
write as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from typing import NamedTuple, cast

from watchdog.observers import inotify_c

In = inotify_c.InotifyConstants

READ_SIZE = 1 << 18         # bytes; room for about 8,000 events

NO_MORE_WATCHES = (errno.ENOSPC, errno.ENOMEM)
NO_MORE_INSTANCES = (errno.EMFILE, errno.ENFILE)

# These have been in watchdog since version 0.x; only the names of their argument types came and went.
_init: Callable[[], int] = inotify_c.inotify_init
_add = cast("Callable[[int, bytes, int], int]", inotify_c.inotify_add_watch)
_remove = cast("Callable[[int, int], int]", inotify_c.inotify_rm_watch)
_HEADER = struct.Struct("iIII")


class RawEvent(NamedTuple):
    """One event as the kernel has it: number of the watch, what happened, cookie of a move, name in the directory."""

    wd: int
    mask: int
    cookie: int
    name: bytes


class Inotify:
    """One inotify instance of the kernel."""

    def __init__(self) -> None:
        fd = _init()
        if fd < 0:
            raise _os_error()
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        self.fd = fd

    def add(self, path: bytes, mask: int) -> int:
        """Watch a directory; the number of the watch, the same one if it is watched already. OSError."""
        wd = _add(self.fd, path, mask)
        if wd < 0:
            raise _os_error(path)
        return wd

    def remove(self, wd: int) -> None:
        """Take a watch back; one that the kernel removed itself is no error."""
        _remove(self.fd, wd)

    def read(self) -> list[RawEvent]:
        """Events that wait in the queue, as (watch, mask, cookie, name); does not block."""
        try:
            data = os.read(self.fd, READ_SIZE)
        except BlockingIOError:
            return []
        events = []
        offset, end = 0, len(data)
        while offset < end:
            wd, mask, cookie, length = _HEADER.unpack_from(data, offset)
            offset += 16
            name = data[offset : offset + length].rstrip(b"\0") if length else b""
            events.append(RawEvent(wd, mask, cookie, name))
            offset += length
        return events

    def close(self) -> None:
        """Give back all watches."""
        os.close(self.fd)


def sysctl(name: str) -> int:
    """The limit fs.inotify.NAME of this machine."""
    with open(f"/proc/sys/fs/inotify/{name}", encoding="ascii") as file:
        return int(file.read())


def _os_error(path: bytes | None = None) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)
