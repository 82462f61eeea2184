"""What a path in the work tree is now, compared with what git's index says of it: one lstat, no file is read."""

from __future__ import annotations

import enum
import os
import stat
from typing import NamedTuple

from annexd.annex.commit import REMOVE, IndexUpdate
from annexd.annex.index_access import TICK_NS, is_certain
from annexd.annex.work_entries import git_mode
from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.root_guard import means_gone
from annexd.formats.pointer import leads_astray
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_LINK
from annexd.system.files import is_named

_WORD = 0xFFFFFFFF


class What(enum.Enum):
    """What is to be done about a path."""

    SAME = "same"               # the index knows it as it is; most often our own work
    GONE = "gone"               # in the index, not in the work tree
    FILE = "file"               # a regular file that is new or was changed
    MODE = "mode"               # a file whose content is known, with another mode or a new time stamp
    LINK = "link"               # a symbolic link that is new or was changed
    DIRECTORY = "directory"
    SPECIAL = "special"         # a FIFO, socket or device
    TROUBLE = "trouble"         # the file system would not say


class Finding(NamedTuple):
    """One path as it was found. A NamedTuple as there is one for each change."""

    change: Change
    what: What
    stat: os.stat_result | None = None
    entry: IndexEntry | None = None
    error: OSError | None = None

    @property
    def path(self) -> bytes:
        """From the top of the work tree."""
        return self.change.path


def look(top: bytes, change: Change, index: GitIndex) -> Finding:
    """Look at one path. Raises nothing: what cannot be looked at is a finding too."""
    try:
        status = os.lstat(top + b"/" + change.path)
    except OSError as error:
        if means_gone(error):
            entry = index.get(change.path)
            what = What.SAME if entry is not None and entry.is_set_aside else What.GONE
            return Finding(change, what, entry=entry)
        return Finding(change, What.TROUBLE, error=error)
    entry = index.get(change.path)
    if entry is not None and entry.is_set_aside:
        return Finding(change, What.SAME, status, entry)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        return Finding(change, _regular(change, entry, status, index), status, entry)
    if kind == stat.S_IFLNK:
        is_same = entry is not None and entry.mode == MODE_LINK and is_certain(index, entry, status)
        is_same = is_same and not _leads_astray(top, change.path)
        return Finding(change, What.SAME if is_same else What.LINK, status, entry)
    if kind == stat.S_IFDIR:
        is_submodule = entry is not None and entry.mode == MODE_GITLINK
        return Finding(change, What.SAME if is_submodule else What.DIRECTORY, status, entry)
    return Finding(change, What.SPECIAL, status, entry)


def _leads_astray(top: bytes, path: bytes) -> bool:
    """Whether a link has to be made anew, however sure the index is of it: `git mv` takes links along as they are, and
    has the index say so. Who wrote the index last does not tell: a merge of ours may have come in between.
    """
    try:
        return leads_astray(path, os.readlink(top + b"/" + path))
    except OSError:
        return False    # it changed just now, which will be told


def _regular(change: Change, entry: IndexEntry | None, status: os.stat_result, index: GitIndex) -> What:
    is_link = entry is not None and entry.mode == MODE_LINK and not index.fidelity.symlinks
    if entry is None or (entry.mode not in (MODE_FILE, MODE_EXECUTABLE) and not is_link):
        return What.FILE
    if is_certain(index, entry, status):
        return What.SAME
    if change.kind is not ChangeKind.WRITTEN and is_same_content(index, entry, status):
        return What.MODE
    return What.LINK if is_link else What.FILE


def still_holds(top: bytes, update: IndexUpdate) -> bool:
    """Whether the path still is what the update says that it is. One lstat.

    A merge may have written there since the path was looked at: to commit the update then would take the merge back.
    """
    try:
        now = os.lstat(top + b"/" + update.path)
    except OSError as error:
        return means_gone(error) and update.mode == REMOVE
    if update.mode == REMOVE:
        is_there = stat.S_IFMT(now.st_mode) in (stat.S_IFREG, stat.S_IFLNK)
        return not is_there or not is_named(top, update.path)       # perhaps in another case only
    return update.stat is None or (now.st_ino, now.st_mtime_ns, now.st_size, now.st_mode) == (
        update.stat.st_ino, update.stat.st_mtime_ns, update.stat.st_size, update.stat.st_mode,
    )  # fmt: skip


def is_same_content(index: GitIndex, entry: IndexEntry, status: os.stat_result) -> bool:
    """Whether the file still is the one of the entry, unwritten, whatever its name or mode is now.

    Only for entries that know nanoseconds, and that the index file is sure to be younger than.
    """
    return (
        entry.ino == status.st_ino & _WORD
        and entry.size == status.st_size & _WORD
        and entry.dev == status.st_dev & _WORD
        and entry.mtime_ns == status.st_mtime_ns
        and index.stamp is not None
        and entry.mtime_ns + TICK_NS < index.stamp.mtime_ns
    )


__all__ = ["Finding", "What", "git_mode", "is_same_content", "look", "still_holds"]
