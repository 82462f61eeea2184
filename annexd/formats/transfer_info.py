"""Transfers, and the files that tell other processes about them.

Source: git-annex, transfer information files.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from annexd.errors import FormatError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock

_LOCK_PREFIX = b"lck."


class Direction(enum.Enum):
    """Which way content goes, seen from here; each value is the name of a directory."""

    UPLOAD = b"upload"
    DOWNLOAD = b"download"


@dataclass(frozen=True, slots=True)
class Transfer:
    """The identity of one transfer; `uuid` is the remote's."""

    direction: Direction
    uuid: UUID
    key: Key

    def info_path(self) -> bytes:
        """Path of the info file below the directory of transfers."""
        return b"%b/%b/%b" % (self.direction.value, self.uuid, self.key.file_name())

    def lock_path(self) -> bytes:
        """Path of the lock file below the directory of transfers."""
        return b"%b/%b/lck.%b" % (self.direction.value, self.uuid, self.key.file_name())

    def failed_path(self) -> bytes:
        """Path of the info file of a failed transfer below the directory of transfers."""
        return b"failed/" + self.info_path()


@dataclass(frozen=True, slots=True)
class TransferInfo:
    """What is known of a started transfer: when it started, how many bytes are done, for which file it is."""

    started: VectorClock | None = None
    bytes_done: int | None = None
    file: bytes | None = None

    @staticmethod
    def parse(data: bytes) -> TransferInfo:
        """Reads an info file. It may be read while it is written, so what is not there yet is None."""
        head, newline, rest = data.partition(b"\n")
        time, _, done = head.partition(b" ")
        file = rest.removesuffix(b"\n") if newline else b""
        return TransferInfo(_clock(time), int(done) if done.isdigit() and len(done) < 20 else None, file or None)

    def serialise(self) -> bytes:
        """The content of the info file; the inverse of `parse`."""
        started = self.started.format() if self.started is not None else b""
        done = b" %d" % self.bytes_done if self.bytes_done is not None else b""
        return b"%b%b\n%b\n" % (started, done, self.file or b"")


def parse_info_path(path: bytes) -> Transfer | None:
    """The transfer whose info file has this path below the directory of transfers, failed ones included.

    None for lock files, temporary files, and all else.
    """
    parts = path.removeprefix(b"failed/").split(b"/")
    if len(parts) != 3 or parts[2].startswith(_LOCK_PREFIX):
        return None
    try:
        return Transfer(Direction(parts[0]), UUID(parts[1]), Key.from_file_name(parts[2]))
    except (FormatError, ValueError):
        return None


def _clock(text: bytes) -> VectorClock | None:
    try:
        return VectorClock.parse(text)
    except FormatError:
        return None
