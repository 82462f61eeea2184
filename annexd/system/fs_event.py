"""What can happen to a path of a watched directory tree."""

from __future__ import annotations

import enum
from typing import NamedTuple


class FsEventKind(enum.Enum):
    """What happened to a path."""

    CLOSED = "closed"                   # a file that was open for writing was closed
    APPEARED = "appeared"               # a file is there and no close was seen: a link, moved in, in a new directory
    MOVED = "moved"                     # from `path` to `dest`, both inside the tree
    GONE = "gone"
    DIR_APPEARED = "dir appeared"       # its content follows, as events of its own
    DIR_GONE = "dir gone"               # with all that was in it; b"" is the root itself
    ATTRIB = "attrib"                   # mode, owner or times of a file changed


class FsEvent(NamedTuple):
    """One change. Paths are relative to the root. (A tuple, as there are tens of thousands: 0.2 us each.)"""

    kind: FsEventKind
    path: bytes
    is_dir: bool = False
    dest: bytes | None = None
