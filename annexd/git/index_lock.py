"""git's lock on its index, and the step from one index to the next.

Source: git, its lock file protocol: who creates index.lock may replace the index.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from annexd.errors import IndexLocked
from annexd.git.repository import GitRepository
from annexd.system.files import NO_TMPFILE, write_all
from annexd.threads.deadline import Deadline
from annexd.threads.faults import reach

_FIRST_WAIT = 0.001
_LONGEST_WAIT = 0.02
_MARK = b"annexd"


class IndexLock:
    """While it exists, no git command changes the index. Released by `commit` or at the end of the `with`.

    The lock file holds our process's identity instead of the new index, so that what a killed annexd left is known
    for what it is; a lock of a person's git is never removed. The new index goes into a file of its own.
    """

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._index = repo.index_path
        self._lock = self._index + b".lock"
        self._held = False

    @classmethod
    def acquire(cls, repo: GitRepository, deadline: Deadline | None = None) -> IndexLock:
        """Take the lock, waiting until `deadline` (default: no waiting). Raises IndexLocked."""
        lock = cls(repo)
        wait = _FIRST_WAIT
        while not lock._try():
            if deadline is None or deadline.expired():
                raise IndexLocked(
                    f"{os.fsdecode(lock._lock)!r} exists: another git command changes the index",
                    hint="if none is running, a git command crashed: remove the file",
                )
            time.sleep(deadline.limit(wait))  # nobody tells when git lets go of its lock
            wait = min(2 * wait, _LONGEST_WAIT)
        return lock

    def commit(self, data: bytes) -> os.stat_result:
        """Make `data` the index, release the lock, and return the new file's status. Raises OSError."""
        temporary = self._index + b".annexd"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(fd, data)
            self._repo.share(fd)
            status = os.fstat(fd)
        finally:
            os.close(fd)
        reach("index-before-rename")
        os.rename(temporary, self._index)
        reach("index-before-unlock")
        self.release()
        return status

    def release(self) -> None:
        """Give the lock back; twice is fine."""
        if self._held:
            self._held = False
            with suppress(FileNotFoundError):
                os.unlink(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try(self) -> bool:
        if os.path.lexists(self._lock) and not remove_stale_lock(self._repo):
            return False
        try:
            _create(self._lock, _identity(os.getpid()))
        except FileExistsError:
            return False
        self._held = True
        return True


def is_locked(repo: GitRepository) -> bool:
    """Whether somebody has the lock now; one that a dead annexd left does not count."""
    lock = repo.index_path + b".lock"
    return os.path.lexists(lock) and not _is_stale(lock)


def _create(path: bytes, data: bytes) -> None:
    """Make a file that has its content from the first moment, where nothing may be yet: who is killed while making it
    must not leave an empty lock, which could be anybody's. FileExistsError, OSError.
    """
    try:
        fd = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in NO_TMPFILE:
            raise
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        is_named = True
    else:
        is_named = False
    try:
        write_all(fd, data)
        reach("index-lock-made")
        if not is_named:
            os.link(b"/proc/self/fd/%d" % fd, path, src_dir_fd=fd, follow_symlinks=True)
    finally:
        os.close(fd)


def remove_stale_lock(repo: GitRepository) -> bool:
    """Remove index.lock if an annexd that is gone left it; True if it was removed."""
    lock = repo.index_path + b".lock"
    if not _is_stale(lock):
        return False
    aside = lock + b".stale%d" % os.getpid()
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return True
    stale = _is_stale(aside)
    if not stale:  # somebody else was quicker, and this is a new lock: put it back
        with suppress(FileExistsError):
            os.link(aside, lock)
    os.unlink(aside)
    return stale


def _is_stale(path: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            text = file.read(512)
    except OSError:
        return False
    fields = text.split(b" ")
    if len(fields) != 5 or fields[0] != _MARK or not fields[1].isdigit():
        return False
    if fields[4] != _host():
        return False  # on a network drive: that machine's processes are out of sight
    return text != _identity(int(fields[1]))


def _identity(pid: int) -> bytes:
    """Names one run of one process: pid, start time since boot, boot, machine. Start is empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            started = file.read().rpartition(b")")[2].split()[19]
    except (OSError, IndexError):
        started = b""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        boot = file.read().strip()
    return b" ".join((_MARK, b"%d" % pid, started, boot, _host()))


def _host() -> bytes:
    return os.fsencode(os.uname().nodename).replace(b" ", b"_") + b"\n"
