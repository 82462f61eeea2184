"""Locks between processes: POSIX record locks over whole files, as git-annex takes them.

Such a lock belongs to the process. Closing *any* descriptor of the file drops it, and it never keeps the threads of one
process apart. So every lock file is opened in one place, here: the pool holds one descriptor for each file, counts its
holders, and keeps our own threads apart as well.

Source: git-annex, file locks (fcntl, whole file, mode 0666 less umask, empty).
"""

from __future__ import annotations

import enum
import errno
import fcntl
import os
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from annexd.errors import LockTimeout
from annexd.formats.paths import display
from annexd.threads.deadline import Deadline

SHORTEST_STEP = 0.001   # seconds between two tries while another process holds the lock
LONGEST_STEP = 0.05
DEFAULT_MODE = 0o666

_FLOCK = "@hhqqi0q"     # struct flock on 64-bit Linux
_Inode = tuple[int, int]


class _Kind(enum.Enum):
    SHARED = fcntl.F_RDLCK
    EXCLUSIVE = fcntl.F_WRLCK


class OnRelease(enum.Enum):
    """What becomes of the lock file when its last holder lets go."""

    KEEP = "keep"
    UNLINK = "unlink"


@dataclass(slots=True, eq=False)
class _Entry:
    """A lock that this process has; guarded by the pool's condition."""

    path: bytes
    inode: _Inode
    fd: int
    kind: _Kind
    on_release: OnRelease
    holders: int = 1
    late_fds: list[int] = field(default_factory=list)   # closing one of them now would drop the lock


class Hold:
    """One holder's share of a lock; a context manager. Whoever has it may release it, from any thread, once."""

    def __init__(self, pool: LockPool, entry: _Entry) -> None:
        self._pool = pool
        self._entry: _Entry | None = entry

    @property
    def fd(self) -> int:
        """The open lock file. Read and write it through this, never through another descriptor; do not close it."""
        if self._entry is None:
            raise ValueError("the lock was released")
        return self._entry.fd

    def release(self) -> None:
        """Let go; does nothing the second time."""
        entry, self._entry = self._entry, None
        if entry is not None:
            self._pool._release(entry)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class LockPool:
    """All record locks of this process. Any thread may call any method.

    Files are created when missing, with `mode` less umask; with mode None a missing file is FileNotFoundError.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()     # guards _entries and what is in them
        self._entries: dict[_Inode, _Entry] = {}

    def exclusive(
        self,
        path: bytes,
        deadline: Deadline | None = None,
        *,
        on_release: OnRelease = OnRelease.KEEP,
        mode: int | None = DEFAULT_MODE,
    ) -> Hold:
        """Wait for the lock, against other processes and our own threads; LockTimeout at the deadline (None: none)."""
        return self._wait(path, _Kind.EXCLUSIVE, deadline, on_release, mode)

    def shared(
        self,
        path: bytes,
        deadline: Deadline | None = None,
        *,
        on_release: OnRelease = OnRelease.KEEP,
        mode: int | None = DEFAULT_MODE,
    ) -> Hold:
        """Like `exclusive`, for a lock that several may have at once."""
        return self._wait(path, _Kind.SHARED, deadline, on_release, mode)

    def try_exclusive(
        self, path: bytes, *, on_release: OnRelease = OnRelease.KEEP, mode: int | None = DEFAULT_MODE
    ) -> Hold | None:
        """The lock, or None when anybody else has it now."""
        with self._condition:
            return self._try(path, _Kind.EXCLUSIVE, on_release, mode)

    def try_shared(
        self, path: bytes, *, on_release: OnRelease = OnRelease.KEEP, mode: int | None = DEFAULT_MODE
    ) -> Hold | None:
        """The shared lock, or None when somebody has it exclusively now."""
        with self._condition:
            return self._try(path, _Kind.SHARED, on_release, mode)

    def holder_pid(self, path: bytes) -> int | None:
        """The process that has a lock on the file, our own included; None when nobody has, or there is no file."""
        with self._condition:
            if self._find(path) is not None:
                return os.getpid()
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
            finally:
                self._close(fd)
            return None if kind == fcntl.F_UNLCK else int(pid)

    def close(self, fd: int) -> None:
        """Close a descriptor of a file that may be locked through this pool: then it closes when the lock goes.

        Needed for objects, which serve as their own lock files in repositories before version 10.
        """
        with self._condition:
            self._close(fd)

    def _wait(
        self, path: bytes, kind: _Kind, deadline: Deadline | None, on_release: OnRelease, mode: int | None
    ) -> Hold:
        budget = deadline or Deadline(None)
        step = SHORTEST_STEP
        with self._condition:
            while (hold := self._try(path, kind, on_release, mode)) is None:
                if budget.expired():
                    raise LockTimeout(f"{display(path)} is locked", hint=f"held by process {self.holder_pid(path)}")
                self._condition.wait(budget.limit(step))
                step = min(step * 2, LONGEST_STEP)
        return hold

    def _try(self, path: bytes, kind: _Kind, on_release: OnRelease, mode: int | None) -> Hold | None:
        while True:
            entry = self._find(path)
            if entry is not None:
                return self._join(entry, kind, on_release)
            fd = _open(path, kind, mode)
            try:
                inode = _inode(os.fstat(fd))
                locked = inode not in self._entries and _lock(fd, kind)
            except BaseException:
                self._close(fd)
                raise
            if locked and _still_there(path, inode):
                self._entries[inode] = entry = _Entry(path, inode, fd, kind, on_release)
                return Hold(self, entry)
            known = inode in self._entries
            self._close(fd)
            if not (locked or known):
                return None

    def _join(self, entry: _Entry, kind: _Kind, on_release: OnRelease) -> Hold | None:
        if kind is not _Kind.SHARED or entry.kind is not _Kind.SHARED:
            return None
        entry.holders += 1
        if on_release is OnRelease.UNLINK:
            entry.on_release = on_release
        return Hold(self, entry)

    def _find(self, path: bytes) -> _Entry | None:
        """By inode and not by name, as another name of the file leads to the same lock."""
        if not self._entries:
            return None
        try:
            return self._entries.get(_inode(os.stat(path)))
        except FileNotFoundError:
            return None

    def _release(self, entry: _Entry) -> None:
        with self._condition:
            entry.holders -= 1
            if entry.holders:
                return
            try:
                if entry.on_release is OnRelease.UNLINK:
                    _unlink(entry)
            finally:
                del self._entries[entry.inode]
                for fd in (*entry.late_fds, entry.fd):
                    os.close(fd)
                self._condition.notify_all()

    def _close(self, fd: int) -> None:
        entry = self._entries.get(_inode(os.fstat(fd)))
        if entry is None:
            os.close(fd)
        else:
            entry.late_fds.append(fd)


def _open(path: bytes, kind: _Kind, mode: int | None) -> int:
    create = 0 if mode is None else os.O_CREAT
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | create, mode or 0)
    except OSError as error:
        if kind is not _Kind.SHARED or error.errno not in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _lock(fd: int, kind: _Kind) -> bool:
    command = fcntl.LOCK_SH if kind is _Kind.SHARED else fcntl.LOCK_EX
    try:
        fcntl.lockf(fd, command | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _still_there(path: bytes, inode: _Inode) -> bool:
    """A lock on a file that was unlinked meanwhile keeps nobody out."""
    try:
        return _inode(os.stat(path)) == inode
    except FileNotFoundError:
        return False


def _unlink(entry: _Entry) -> None:
    """Remove the lock file unless others share the lock: they would go on holding a file that nobody finds.

    A directory that forbids it leaves the file lying there, which harms nobody.
    """
    with suppress(OSError):
        alone = entry.kind is _Kind.EXCLUSIVE or _lock(entry.fd, _Kind.EXCLUSIVE)
        if alone and _still_there(entry.path, entry.inode):
            os.unlink(entry.path)


def _inode(stat: os.stat_result) -> _Inode:
    return stat.st_dev, stat.st_ino


LOCKS = LockPool()
"""The pool of this process. Record locks belong to the process, so there can be only one."""
