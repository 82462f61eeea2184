"""The index through git's own commands, for formats that we leave to git: version 4, split, sparse.

Same operations as GitIndex, slower: for repositories whose owner chose such a format.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress

from annexd.errors import BusyError, GitError, IndexLocked
from annexd.git.index import GitIndex
from annexd.git.index_format import IndexEntry
from annexd.git.object_store import GitObjects
from annexd.git.objects import ZERO, Oid
from annexd.git.repository import GitRepository

_SETTINGS = (b"-c", b"core.splitIndex=false", b"-c", b"index.sparse=false")


class PlumbingIndex:
    """An index that git reads and writes. Changes are in memory until `save`; one owner thread.

    Entries that git stages get no stat data: the next git status looks into their files.
    """

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._changes: dict[bytes, IndexEntry | None] = {}
        self._index = self._plain_copy()

    def __contains__(self, path: bytes) -> bool:
        return path in self._index

    def get(self, path: bytes) -> IndexEntry | None:
        """The merged entry of a path."""
        return self._index.get(path)

    def unmerged_paths(self) -> list[bytes]:
        """Paths in conflict."""
        return self._index.unmerged_paths()

    def paths(self) -> Sequence[bytes]:
        """All paths in order."""
        return self._index.paths()

    def paths_under(self, directory: bytes) -> list[bytes]:
        """Paths below a directory."""
        return self._index.paths_under(directory)

    def entries_for_oid(self, oid: Oid) -> list[bytes]:
        """Paths whose blob is `oid`."""
        return self._index.entries_for_oid(oid)

    def set(self, entry: IndexEntry) -> None:
        """Put a merged entry."""
        self._index.set(entry)
        self._changes[entry.path] = entry

    def remove(self, path: bytes) -> bool:
        """Remove a path; False when it was not there."""
        self._changes[path] = None
        return self._index.remove(path)

    def remove_tree(self, directory: bytes) -> list[bytes]:
        """Remove all paths below a directory and return them."""
        paths = self._index.remove_tree(directory)
        self._changes.update(dict.fromkeys(paths))
        return paths

    def write_tree(self, objects: GitObjects) -> Oid:
        """The tree of the entries, by git. Flushes `objects`. Raises GitError, also when paths are unmerged."""
        objects.flush()
        copy = self._repo.with_index(self._temporary())
        try:
            if os.path.exists(self._repo.index_path):
                shutil.copyfile(self._repo.index_path, copy.index_path)
            self._stage(copy)
            return Oid(bytes.fromhex(copy.run(b"write-tree").decode("ascii")))
        finally:
            _remove(copy.index_path)

    def save(self) -> None:
        """Stage the changes in git's index. Raises IndexLocked, GitError."""
        self._stage(self._repo)
        self._changes.clear()

    def _stage(self, repo: GitRepository) -> None:
        lines = []
        # Removals first, so that a file can go where a directory was.
        for path, entry in sorted(self._changes.items(), key=lambda item: item[1] is not None):
            mode, oid = (0, ZERO) if entry is None else (entry.mode, entry.oid)
            lines.append(b"%o %b\t%b\0" % (mode, oid.hex().encode(), path))
        if not lines:
            return
        try:
            repo.run(b"update-index", b"-z", b"--replace", b"--index-info", stdin=b"".join(lines))
        except GitError as e:
            raise _sorted_failure(e) from e

    def _plain_copy(self) -> GitIndex:
        """The entries, from a copy that git converts to version 2 for us."""
        path = self._temporary()
        copy = self._repo.with_index(path)
        try:
            if not os.path.exists(self._repo.index_path):
                return GitIndex()
            shutil.copyfile(self._repo.index_path, path)
            copy.run(
                *_SETTINGS, b"update-index", b"--index-version", b"2", b"--no-split-index", b"--force-write-index"
            )
            return GitIndex.read(path)
        finally:
            _remove(path)

    def _temporary(self) -> bytes:
        # In the same directory as the index, where git looks for the shared part of a split one.
        return self._repo.index_path + b".annexd-" + secrets.token_hex(4).encode()


def _remove(path: bytes) -> None:
    for name in (path, path + b".lock"):
        with suppress(FileNotFoundError):
            os.unlink(name)


def _sorted_failure(error: GitError) -> GitError | BusyError:
    if b"index.lock" in error.stderr and b"File exists" in error.stderr:
        return IndexLocked(error.stderr.decode("utf-8", "backslashreplace").strip())
    return error
