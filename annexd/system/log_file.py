"""A log file that does not grow for ever.

Source: git-annex, names and number of the daemon's log files (daemon.log, daemon.log.1 to .9).
"""

from __future__ import annotations

import os
from contextlib import suppress

LARGEST = 2_000_000     # bytes of one file
KEPT = 9                # older files


class RotatingFile:
    """Appends lines to a file; above a size it becomes FILE.1, what was FILE.1 becomes FILE.2, and so on.

    Not for several threads at once. When the disk is full, lines are lost and nothing else happens: a log must not
    bring the daemon down.
    """

    def __init__(self, path: bytes, *, largest: int = LARGEST, kept: int = KEPT) -> None:
        self._path = path
        self._largest = largest
        self._kept = kept
        self._fd = _open(path)
        self._size = os.fstat(self._fd).st_size

    def write_line(self, line: bytes) -> None:
        """Append a line, whole."""
        if self._size and self._size + len(line) >= self._largest:
            self._rotate()
        with suppress(OSError):
            self._size += os.write(self._fd, line + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _rotate(self) -> None:
        """A step that fails (no such file, read-only directory) leaves the log longer, or with a gap in the numbers."""
        for number in range(self._kept - 1, 0, -1):
            with suppress(OSError):
                os.rename(b"%s.%d" % (self._path, number), b"%s.%d" % (self._path, number + 1))
        with suppress(OSError):
            os.rename(self._path, self._path + b".1")
        with suppress(OSError):
            fresh = _open(self._path)
            os.close(self._fd)
            self._fd = fresh
        self._size = 0


def _open(path: bytes) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
