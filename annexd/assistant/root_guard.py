"""Tells a deleted file from one whose disk went away: an unmounted folder must never look like a mass deletion."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from annexd.annex.layout import RepoLayout
from annexd.system.files import write_atomically
from annexd.system.mounts import read_mounts

Identity = tuple[int, int]

MEANS_GONE = frozenset((errno.ENOENT, errno.ENOTDIR))


class RootGuard:
    """Remembers which directory the work tree is, and which file systems are mounted inside it. Owned by the committer.

    `note` is a file of ours that keeps the inner mount points over a restart, when the disk may be missing already.
    `mount_points` lists all mount points of the system.
    """

    def __init__(self, root: bytes, note: bytes, mount_points: Callable[[], Iterable[bytes]]) -> None:
        self._root = root
        self._note = note
        self._mount_points = mount_points
        self._identity = _identity(root)
        self._inner = self._read_note()
        self.look_at_mounts()

    def is_root_there(self) -> bool:
        """Whether the work tree's top still is the directory it was at the start, and can be read."""
        return self._identity is not None and _identity(self._root) == self._identity

    def look_at_mounts(self) -> None:
        """Take in the file systems that are mounted inside the work tree now."""
        found = frozenset(p for p in self._mount_points() if p.startswith(self._root + b"/"))
        if not found <= self._inner:
            self._inner |= found
            with suppress(FileExistsError):
                os.mkdir(os.path.dirname(self._note))
            write_atomically(self._note, b"".join(p + b"\0" for p in sorted(self._inner)))

    def missing_mounts(self) -> tuple[bytes, ...]:
        """The inner mount points, absolute, where nothing is mounted now though something was."""
        if not self._inner:
            return ()
        mounted = frozenset(self._mount_points())       # os.path.ismount does not know bind mounts
        return tuple(p for p in sorted(self._inner) if p not in mounted and os.path.lexists(p))

    def is_deleted(self, path: bytes, missing: tuple[bytes, ...]) -> bool:
        """Whether the absolute `path`, found absent, was removed by somebody rather than lost with its disk."""
        return not any(path.startswith(point + b"/") for point in missing)

    def forget_mount(self, point: bytes) -> None:
        """A mount point was removed for good: what was in it counts as deleted."""
        self._inner -= {point}

    def _read_note(self) -> frozenset[bytes]:
        with suppress(OSError), open(self._note, "rb") as file:
            return frozenset(p for p in file.read().split(b"\0") if p)
        return frozenset()


def means_gone(error: OSError) -> bool:
    """Whether the error says that there is no such file, rather than that the disk is in trouble."""
    return error.errno in MEANS_GONE


def is_missing(path: bytes) -> bool:
    """Whether a file is said not to be there: one that cannot be looked at is no removal. One lstat."""
    try:
        os.lstat(path)
    except OSError as error:
        return means_gone(error)
    return False


def guard_of(layout: RepoLayout) -> RootGuard:
    """The guard of a repository's work tree, as this machine's mount table has it now."""
    top, note = layout.work_tree or b"", layout.annexd_dir + b"/mounts"
    return RootGuard(top, note, lambda: [mount.point for mount in read_mounts()])


def _identity(path: bytes) -> Identity | None:
    try:
        stat = os.stat(path)
        os.stat(path + b"/.git")
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
