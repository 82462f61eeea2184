"""What stands at a path of the work tree, as an annex sees it."""

from __future__ import annotations

import enum
import os
import stat
from dataclasses import dataclass

from annexd.annex.verify import Verdict, verify_fd
from annexd.formats.key import Key
from annexd.formats.pointer import MAX_POINTER, parse_link, parse_pointer
from annexd.git.fidelity import FULL, Fidelity
from annexd.system import files

EXECUTABLE = 0o100
LINK_MODE = 0o120000
GITLINK_MODE = 0o160000
EXECUTABLE_MODE = 0o100755
FILE_MODE = 0o100644

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class EntryKind(enum.Enum):
    """The kinds of things in a work tree."""

    MISSING = "nothing"
    POINTER = "pointer file"
    LINK = "annex symlink"
    FILE = "file"
    OTHER_LINK = "symlink"
    DIRECTORY = "directory"
    SPECIAL = "special file"


@dataclass(frozen=True, slots=True)
class WorkTreeEntry:
    """One path. `key` is set for pointers and annex links, `target` for symlinks, `stat` unless it is missing."""

    kind: EntryKind
    stat: os.stat_result | None = None
    key: Key | None = None
    target: bytes | None = None

    @property
    def git_mode(self) -> int:
        """The mode that git would give it; 0 for what git does not keep."""
        if self.stat is None or self.kind is EntryKind.SPECIAL:
            return 0
        return git_mode(self.stat)


_MISSING = WorkTreeEntry(EntryKind.MISSING)


def read_entry(path_abs: bytes) -> WorkTreeEntry:
    """Look at one path: reads small files to see whether they are pointers. OSError other than its absence."""
    try:
        status = os.lstat(path_abs)
    except (FileNotFoundError, NotADirectoryError):
        return _MISSING
    if stat.S_ISREG(status.st_mode):
        key = read_pointer(path_abs, status)
        return WorkTreeEntry(EntryKind.FILE if key is None else EntryKind.POINTER, status, key)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path_abs)
        key = parse_link(target)
        return WorkTreeEntry(EntryKind.OTHER_LINK if key is None else EntryKind.LINK, status, key, target)
    if stat.S_ISDIR(status.st_mode):
        return WorkTreeEntry(EntryKind.DIRECTORY, status)
    return WorkTreeEntry(EntryKind.SPECIAL, status)


def read_pointer(path_abs: bytes, status: os.stat_result) -> Key | None:
    """The key of the pointer file at `path_abs`; None when the regular file there is none. OSError."""
    if not 0 < status.st_size <= MAX_POINTER:
        return None
    data = read_small(path_abs, status.st_size)
    return None if data is None else parse_pointer(data)


def git_mode(status: os.stat_result) -> int:
    """git's mode for what has this stat."""
    if stat.S_ISREG(status.st_mode):
        return EXECUTABLE_MODE if status.st_mode & EXECUTABLE else FILE_MODE
    return LINK_MODE if stat.S_ISLNK(status.st_mode) else GITLINK_MODE


class Holds(enum.Enum):
    """Whether a file in the work tree is what git records for it."""

    NO = "no"
    YES = "yes"
    POINTER = "pointer"
    """It is a pointer to the right key, where content could be."""


def compare(
    path_abs: bytes,
    status: os.stat_result,
    mode: int,
    data: bytes,
    object_path: bytes | None = None,
    fidelity: Fidelity = FULL,
) -> Holds:
    """Does the work tree hold at `path_abs` what git records as `mode` and blob `data`? Reads the file. OSError.

    For annexed files the content of the key is as good as its pointer. Where the key does not tell (WORM), the file is
    held against the object at `object_path`, and is not taken for equal without it.
    """
    if not fidelity.allows(mode, status.st_mode):
        return Holds.NO
    if mode == GITLINK_MODE:
        return Holds.YES
    if mode == LINK_MODE and stat.S_ISREG(status.st_mode):
        return Holds.YES if status.st_size == len(data) and read_small(path_abs, len(data)) == data else Holds.NO
    if mode == LINK_MODE:
        return Holds.YES if os.readlink(path_abs) == data else Holds.NO
    key = parse_pointer(data)
    if key is None:
        if status.st_size != len(data):
            return Holds.NO
        return Holds.YES if read_small(path_abs, len(data)) == data else Holds.NO
    if read_pointer(path_abs, status) == key:
        return Holds.POINTER
    if key.size is not None and status.st_size != key.size:
        return Holds.NO
    return Holds.YES if _matches(path_abs, key, object_path) else Holds.NO


def _matches(path_abs: bytes, key: Key, object_path: bytes | None) -> bool:
    fd = os.open(path_abs, _READ)
    try:
        verdict = verify_fd(fd, key)
        if verdict is Verdict.UNKNOWN and object_path is not None:
            return _same_bytes(fd, object_path)
        return verdict is Verdict.MATCHES
    finally:
        os.close(fd)


def _same_bytes(fd: int, other_path: bytes, *, whole: bool = True) -> bool:
    try:
        other = os.open(other_path, _READ)
    except FileNotFoundError:
        return False
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        while data := os.read(fd, files.CHUNK):
            if os.read(other, len(data)) != data:
                return False
        return not whole or not os.read(other, 1)
    finally:
        os.close(other)


def is_beginning(path_abs: bytes, status: os.stat_result, other_path: bytes) -> bool:
    """Whether the other file begins with all that the first one holds. OSError."""
    if status.st_size > os.stat(other_path).st_size:
        return False
    fd = os.open(path_abs, _READ)
    try:
        return _same_bytes(fd, other_path, whole=False)
    finally:
        os.close(fd)


def read_small(path_abs: bytes, size: int) -> bytes | None:
    """The content of a file of exactly `size` bytes; None when it is of another size, or no longer a plain file."""
    try:
        fd = os.open(path_abs, _READ)
    except OSError:
        return None
    try:
        data = os.read(fd, size + 1)
        while 0 < len(data) <= size and (more := os.read(fd, min(size + 1 - len(data), files.CHUNK))):
            data += more
    finally:
        os.close(fd)
    return data if len(data) == size else None


def looks_same(made: os.stat_result, now: os.stat_result) -> bool:
    """Whether a file may be the one that we made a moment ago under another name, inode numbers aside."""
    return (made.st_mode, made.st_size, made.st_mtime_ns) == (now.st_mode, now.st_size, now.st_mtime_ns)
