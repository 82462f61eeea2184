"""git's main index as an annex uses it: read when it changed, changed under git's own lock."""

from __future__ import annotations

import enum
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from annexd.errors import FormatError, UnsupportedIndex
from annexd.git.fidelity import FULL, Fidelity
from annexd.git.index import FileStamp, GitIndex, IndexCache, IndexEntry, stat_matches
from annexd.git.index_lock import IndexLock
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository
from annexd.threads.deadline import Deadline

TICK_NS = 20_000_000
"""Longest step of the clock that file systems stamp files with, and then some."""

_SECOND = 1_000_000_000
_FAR_FUTURE = 2**31


class WhenMissing(enum.Enum):
    """What to do when there is no index though there are commits."""

    REFUSE = "refuse"
    """To commit an empty index would delete all files."""
    BEGIN_EMPTY = "begin with an empty one"


@dataclass(slots=True)
class IndexMemory:
    """What is known of the index beyond the file itself: kept when all that can be read again is dropped."""

    unsettled: set[bytes] = field(default_factory=set)
    written: FileStamp | None = None
    is_mixed: bool = False      # we wrote over what somebody else had written, and have not committed it since
    may_commit: Callable[[], None] | None = None


class IndexAccess:
    """The index of one work tree. Owned by one thread; keeps the parsed index for as long as the file is the same.

    Formats that only git reads are turned into one that we read, by git, in a copy.
    """

    def __init__(
        self,
        repo: GitRepository,
        scratch_dir: bytes,
        memory: IndexMemory | None = None,
        fidelity: Fidelity = FULL,
    ) -> None:
        self._repo = repo
        self._fidelity = fidelity
        self._scratch = scratch_dir
        self._cache = IndexCache(repo.index_path)
        self._converted: GitIndex | None = None
        self._memory = memory or IndexMemory()

    @property
    def unsettled(self) -> set[bytes]:
        """Paths that were young when we last wrote the index, and were not settled since."""
        return self._memory.unsettled

    def foreign_age(self, now: float) -> float | None:
        """The seconds since somebody else wrote the index; None when it is ours, or there is none."""
        try:
            status = os.stat(self._repo.index_path)
        except FileNotFoundError:
            return None
        return None if FileStamp.of(status) == self._memory.written else now - status.st_mtime

    def may_hold_others(self) -> bool:
        """Whether somebody else may have put something into the index that is not committed: we may have written the
        index after them, as a merge does.
        """
        return self._memory.is_mixed or self.foreign_age(time.time()) is not None

    def current(self) -> GitIndex:
        """The index as it is on disk now; not to be changed. Raises FormatError, OSError, GitError."""
        try:
            index = self._cache.current()
        except UnsupportedIndex:
            index = self._convert()
        index.fidelity = self._fidelity
        return index

    @contextmanager
    def editing(self, deadline: Deadline, *, missing: WhenMissing = WhenMissing.REFUSE) -> Iterator[IndexEdit]:
        """Change the index under git's lock; nothing reaches the file without `IndexEdit.save`.

        Raises IndexLocked when somebody else has the lock until the deadline, FormatError also when there is no index
        though there are commits: see `index_repair`.
        """
        with IndexLock.acquire(self._repo, deadline) as lock:
            index = self.current()
            refuse = missing is WhenMissing.REFUSE
            if refuse and index.stamp is None and Refs(self._repo).head().oid is not None:
                raise FormatError("git's index is missing", source="index", hint="git reset makes it anew")
            is_mixed = self._memory.is_mixed or self._memory.written not in (None, index.stamp)
            edit = IndexEdit(self._repo, index, lock)
            try:
                yield edit
            finally:
                if edit.saved:
                    self._memory.written = index.stamp
                    self._memory.is_mixed = is_mixed and not edit.is_head
                    self.unsettled.update(index.young_paths())
                else:
                    self.forget()

    @property
    def gives_way(self) -> bool:
        """Whether it is a daemon's, which a person's git goes before."""
        return self._memory.may_commit is not None

    def give_way(self) -> None:
        """For who is about to move HEAD or lock the index. Raises IndexLocked when a daemon shall not do that now."""
        if self._memory.may_commit is not None:
            self._memory.may_commit()

    def forget(self) -> None:
        """Read the file again next time."""
        self._cache.forget()
        self._converted = None

    def _convert(self) -> GitIndex:
        """Let git write a copy in a format that we read, and read that."""
        stamp = FileStamp.of(os.stat(self._repo.index_path))
        if self._converted is not None and self._converted.stamp == stamp:
            return self._converted
        os.makedirs(self._scratch, exist_ok=True)
        copy = b"%b/index-%d" % (self._scratch, os.getpid())
        try:
            shutil.copyfile(self._repo.index_path, copy)
            os.utime(copy, (_FAR_FUTURE, _FAR_FUTURE))      # else git looks into young files, without the filter
            self._repo.with_index(copy).run(
                b"-c", b"index.version=2", b"-c", b"core.splitIndex=false", b"-c", b"index.sparse=false",
                b"update-index", b"--index-version", b"2", b"--no-split-index", b"--force-write-index",
            )  # fmt: skip
            index = GitIndex.read(copy)
        finally:
            for name in (copy, copy + b".lock"):
                with suppress(FileNotFoundError):
                    os.unlink(name)
        index.stamp = stamp
        self._converted = index
        return index


class IndexEdit:
    """The index while we hold its lock."""

    def __init__(self, repo: GitRepository, index: GitIndex, lock: IndexLock) -> None:
        self.index = index
        self.saved = False
        self.is_head = False        # whether HEAD says the same, or is about to
        self._repo = repo
        self._lock = lock

    def save(self) -> None:
        """Make the changes the index that everybody sees. Objects it names must be in the repository. OSError."""
        top = self._repo.work_tree
        second = int(time.time())
        if top is not None:
            self.index.smudge_racy(top, second)
        data = self.index.serialise()
        if top is not None and int(time.time()) > second and self.index.smudge_racy(top):
            data = self.index.serialise()       # the second passed, so more files stop being young with this write
        self.index.written(self._lock.commit(data))
        self.saved = True


def is_certain(index: GitIndex, entry: IndexEntry, status: os.stat_result) -> bool:
    """Whether a file with this status is sure to hold what the entry says, without reading it.

    Where the entry knows nanoseconds they are enough; else git's rule of whole seconds counts.
    """
    if index.stamp is None or not stat_matches(entry, status, fidelity=index.fidelity):
        return False
    if entry.mtime_ns % _SECOND == 0:
        return not index.is_racy(entry)
    return entry.mtime_ns + TICK_NS < index.stamp.mtime_ns
