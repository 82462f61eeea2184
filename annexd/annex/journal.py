"""The journal: changes to files of the git-annex branch that are not committed yet.

Each file of the journal is the whole new content of one file of the branch. It outlives the process that wrote it, be
that annexd or git-annex, and everybody who reads the branch looks here first.
Source: git-annex, journal.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from annexd.annex.layout import RepoLayout
from annexd.errors import UnsafePath
from annexd.formats.journal_names import from_journal_name, to_journal_name
from annexd.formats.paths import check_repo_path
from annexd.system.files import make_dirs, read_file, write_atomically
from annexd.system.lock_pool import LOCKS
from annexd.threads.deadline import Deadline

LOCK_SECONDS = 60.0
"""How long to wait for journal.lck by default; git-annex holds it for moments, and for a merge of big branches."""


class JournalLocked:
    """Witness that journal.lck is held; there is no other way to get one than `Journal.locked`."""

    __slots__ = ("_valid",)

    def __init__(self) -> None:
        self._valid = True

    def check(self) -> None:
        """Raise AssertionError when the lock was released: a bug of whoever kept the witness."""
        assert self._valid, "the journal lock was released already"


class Journal:
    """The journal of one repository. Reading needs no lock; the journal file then wins over the branch."""

    def __init__(self, layout: RepoLayout) -> None:
        self._layout = layout
        self._public = layout.journal_dir
        self._private = layout.journal_private_dir

    @contextmanager
    def locked(self, deadline: Deadline | None = None) -> Iterator[JournalLocked]:
        """Keep everybody else, git-annex included, from changing journal and branch. LockTimeout when that fails.

        Hold it shortly: never over the network, hashing, or waiting for another lock.
        """
        lock = self._layout.lock(b"journal.lck")
        with LOCKS.exclusive(lock, deadline or Deadline(LOCK_SECONDS)):
            witness = JournalLocked()
            try:
                yield witness
            finally:
                witness._valid = False

    def read(self, path: bytes) -> bytes | None:
        """The journalled content of a file of the branch; None when there is none."""
        return _read(self._public, path)

    def read_private(self, path: bytes) -> bytes | None:
        """What is known about private repositories, to be appended to the file of the branch."""
        return _read(self._private, path)

    def has_private(self) -> bool:
        """Whether anything was ever noted about a private repository."""
        return os.path.isdir(self._private)

    def write(self, witness: JournalLocked, path: bytes, data: bytes) -> None:
        """Set the content of one file of the branch, to be committed later."""
        self._write(witness, self._public, path, data)

    def write_private(self, witness: JournalLocked, path: bytes, data: bytes) -> None:
        """Set what is known about private repositories in one file; this is never committed."""
        self._write(witness, self._private, path, data)

    def pending(self, witness: JournalLocked | None = None) -> list[bytes]:
        """The files of the branch that have journalled content. Without the witness it may change at once.

        A file whose name is no path that a branch could hold is passed over, and stays.
        """
        if witness is not None:
            witness.check()
        return [path for name in _names(self._public) if (path := _branch_path(name)) is not None]

    def staged(self, witness: JournalLocked) -> dict[bytes, bytes]:
        """All journalled content by path of the branch."""
        found = ((path, self.read(path)) for path in self.pending(witness))
        return {path: data for path, data in found if data is not None}

    def is_empty(self) -> bool:
        """Whether nothing waits to be committed just now."""
        return not _names(self._public)

    def stamp(self, path: bytes) -> tuple[int, int, int] | None:
        """Changes whenever the journalled content of `path` does; None while there is none."""
        try:
            status = os.stat(_place(self._public, path))
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def remove(self, witness: JournalLocked, paths: Iterable[bytes]) -> None:
        """Forget the journalled content of `paths`, once it is in the branch."""
        witness.check()
        for path in paths:
            with suppress(FileNotFoundError):
                os.unlink(_place(self._public, path))

    def _write(self, witness: JournalLocked, directory: bytes, path: bytes, data: bytes) -> None:
        witness.check()
        check_repo_path(path)
        othertmp = self._layout.othertmp
        # Whoever ends last empties othertmp, unless the lock says that somebody uses it.
        with LOCKS.shared(self._layout.lock(b"othertmp.lck"), Deadline(LOCK_SECONDS)):
            for needed in (directory, othertmp):
                make_dirs(needed, self._layout.annex_dir)
            write_atomically(_place(directory, path), data, temp_dir=othertmp)


def _place(directory: bytes, path: bytes) -> bytes:
    return directory + b"/" + to_journal_name(path)


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _branch_path(name: bytes) -> bytes | None:
    try:
        return check_repo_path(from_journal_name(name))
    except UnsafePath:
        return None


def _read(directory: bytes, path: bytes) -> bytes | None:
    place = _place(directory, path)
    try:
        return read_file(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if _is_regular(place):
            raise
        return None  # a directory or the like, which git-annex would not commit either


def _is_regular(place: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(place).st_mode)
    except OSError:
        return False
