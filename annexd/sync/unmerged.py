"""Resolves a merge that a person's git began and could not finish: index and work tree are in the middle of it.

Only conflicts about annexed files are resolved; the others stay for the person. What git left in the work tree is
removed where it is nothing but a version of a file in conflict, or git's mixture of them.

Source: git-annex, resolvemerge.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from annexd.annex.commit import new_commit
from annexd.annex.index_access import IndexEdit
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import Holds, compare
from annexd.annex.work_files import WorkFiles
from annexd.errors import ContentChanged, RepositoryError, UserError
from annexd.formats.pointer import MAX_POINTER
from annexd.git.history import Conflict, MergeOutcome, Stage
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.objects import BLOB, EMPTY_TREE, Oid
from annexd.git.tree import MODE_DIR, MODE_EXECUTABLE, MODE_GITLINK, MODE_LINK, Blob
from annexd.sync.merge import RESOLVED_MESSAGE
from annexd.sync.resolve import NEWER, OLDER, Resolved, known_path, resolve
from annexd.sync.resolving import TwoSides
from annexd.threads.deadline import Deadline

OURS = b"HEAD"
"""git's name for the side that was checked out, in markers and in names of files."""

REFLOG = b"commit (merge): annexd"
_OF_THE_MERGE = (b"MERGE_HEAD", b"MERGE_MSG", b"MERGE_MODE", b"AUTO_MERGE")


class Untied(NamedTuple):
    """What was resolved, what is left to the person, and the merge's commit once nothing is left."""

    resolved: tuple[Resolved, ...]
    left: tuple[bytes, ...]
    commit: Oid | None


def resolve_unmerged(annex: AnnexState, deadline: Deadline) -> Untied:
    """Resolve the conflicts in the index, and commit the merge when that were all.

    The new files come first, then the index, then the commit: killed in between, it can be called again, or the merge
    be ended with git commit. Raises UserError when no merge is under way, IndexLocked, ContentChanged, OSError.
    """
    top = annex.repo.work_tree
    if top is None:
        raise RepositoryError("a bare repository has no work tree")
    ours, theirs = _sides(annex)
    with annex.index.editing(deadline) as edit:
        unmerged = [_conflict(edit.index, path) for path in edit.index.unmerged_paths()]
        around = _IndexAround(annex, edit.index, WorkFiles(top, annex.store), ours, theirs)
        labels = (OURS, *_labels(unmerged, around))
        conflicts = [one for one in unmerged if _is_annexed(one.path, unmerged, labels, around)]
        found = resolve(MergeOutcome(EMPTY_TREE, tuple(conflicts)), labels, around)
        for data in found.blobs.values():
            annex.objects.add(BLOB, data)
        work = _Work(annex, edit, around, conflicts, labels)
        for path, blob in found.changes.items():
            if blob is not None:
                work.write(path, blob)
        for path, blob in found.changes.items():
            if blob is None:
                work.clear(path)
        annex.objects.flush()
        left = tuple(edit.index.unmerged_paths())
        tree = None if left else edit.index.write_tree(annex.objects)
        annex.objects.flush()
        edit.save()
    commit = None if tree is None or not unmerged else _commit(annex, tree, ours, theirs)
    return Untied(found.resolved, left, commit)


def _sides(annex: AnnexState) -> tuple[Oid, Oid]:
    head = annex.refs.head()
    if head.ref is None or head.oid is None:
        raise UserError("No branch is currently checked out.")
    try:
        with open(annex.repo.git_dir + b"/MERGE_HEAD", "rb") as file:
            names = file.read().split()
    except FileNotFoundError as error:
        raise UserError("no merge is under way", hint="annexd sync resolves what it merges by itself") from error
    if len(names) != 1:
        raise UserError("more than two histories are being merged", hint="that is only resolved by hand")
    return head.oid, Oid(bytes.fromhex(names[0].decode("ascii")))


def _commit(annex: AnnexState, tree: Oid, ours: Oid, theirs: Oid) -> Oid:
    commit = new_commit(annex, tree, [ours, theirs], RESOLVED_MESSAGE.rstrip())
    annex.objects.flush()
    annex.refs.update(b"HEAD", commit, ours, REFLOG)
    for name in _OF_THE_MERGE:
        with suppress(FileNotFoundError):
            os.unlink(annex.repo.git_dir + b"/" + name)
    return commit


def _conflict(index: GitIndex, path: bytes) -> Conflict:
    return Conflict(path, tuple(Stage(n, entry.mode, entry.oid) for n, entry in sorted(index.stages(path).items())))


def _labels(conflicts: Iterable[Conflict], around: _IndexAround) -> Iterator[bytes]:
    """What git added to names of files that had to give way: neither side has such a file, but the one without it."""
    for conflict in conflicts:
        base, mark, label = conflict.path.rpartition(b"~")
        sides = [stage.stage for stage in conflict.stages if stage.stage in (OLDER, NEWER)]
        if mark and any(around.tip(side, base) and not around.tip(side, conflict.path) for side in sides):
            yield label


def _is_annexed(
    path: bytes, conflicts: Iterable[Conflict], labels: tuple[bytes, ...], around: _IndexAround
) -> bool:
    """Whether any version of the file in conflict is annexed."""
    known = known_path(path, labels)
    same = [stage for one in conflicts if known_path(one.path, labels) == known for stage in one.stages]
    return any(around.key((stage.mode, stage.oid)) is not None for stage in same)


class _IndexAround(TwoSides):
    """The index, and the untracked files beside it."""

    def __init__(self, annex: AnnexState, index: GitIndex, work: WorkFiles, ours: Oid, theirs: Oid) -> None:
        super().__init__(annex, ours, theirs)
        self.work = work
        self._index = index

    def entry(self, path: bytes) -> Blob | None:
        """What is staged at a path; a directory also where something else lies that git does not know."""
        found = self._index.get(path)
        if found is not None:
            return found.mode, found.oid
        if self._index.paths_under(path) or (path not in self._index and self.work.lstat(path) is not None):
            return MODE_DIR, EMPTY_TREE
        return None


class _Work:
    """Puts the versions into work tree and index, and takes away what git left."""

    def __init__(
        self, annex: AnnexState, edit: IndexEdit, around: _IndexAround, conflicts: list[Conflict],
        labels: tuple[bytes, ...],
    ) -> None:  # fmt: skip
        self._annex = annex
        self._index = edit.index
        self._around = around
        self._work = around.work
        self._labels = labels
        self._versions: dict[bytes, list[Blob]] = {}
        for path, stages in conflicts:
            known = self._versions.setdefault(known_path(path, labels), [])
            known += [(stage.mode, stage.oid) for stage in stages]

    def write(self, path: bytes, blob: Blob) -> None:
        """Stage a version, and write it unless something of the person's is in its place."""
        mode, oid = blob
        status = self._work.lstat(path)
        if mode == MODE_GITLINK or (status is not None and not self._may_go(path, status)):
            self._index.set(IndexEntry(path, mode, oid))
            return
        self._work.make_directories(path.rpartition(b"/")[0])
        temp = self._temp(blob)
        placed = self._work.place_new(temp, path) if status is None else self._work.replace(temp, path, status)
        self._index.set(IndexEntry.from_stat(path, mode, oid, placed))

    def clear(self, path: bytes) -> None:
        """Unstage a path in conflict, and remove what git wrote there."""
        self._index.remove(path)
        status = self._work.lstat(path)
        if status is not None and self._may_go(path, status):
            with suppress(ContentChanged):
                self._work.remove(path, status)
            self._work.remove_empty_directories(path.rpartition(b"/")[0])

    def _temp(self, blob: Blob) -> bytes:
        mode, oid = blob
        data = self._around.read(oid)
        if mode == MODE_LINK:
            return self._work.temp_symlink(data)
        key = self._around.key(blob)
        executable = mode == MODE_EXECUTABLE
        if key is not None:
            place, thin = self._annex.store.locate(key), self._annex.config.thin
            temp = self._work.temp_content(place, key, executable=executable, thin=thin)
            if temp is not None:
                return temp
        return self._work.temp_bytes(data, executable=executable)

    def _may_go(self, path: bytes, status: os.stat_result) -> bool:
        """Whether a file is nothing but a version of a file in conflict, or git's mixture of its versions."""
        versions = self._versions.get(known_path(path, self._labels), [])
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return False
        return any(self._is(path, status, blob) for blob in versions) or self._is_mixture(path, status, versions)

    def _is(self, path: bytes, status: os.stat_result, blob: Blob) -> bool:
        mode, oid = blob
        if mode == MODE_GITLINK:
            return False
        if mode != MODE_LINK and stat.S_ISREG(status.st_mode):
            mode = MODE_EXECUTABLE if status.st_mode & 0o100 else MODE_EXECUTABLE & ~0o111
        key = self._around.key(blob)
        place = None if key is None else self._annex.store.locate(key)
        return compare(self._work.absolute(path), status, mode, self._around.read(oid), place) is not Holds.NO

    def _is_mixture(self, path: bytes, status: os.stat_result, versions: Iterable[Blob]) -> bool:
        if not stat.S_ISREG(status.st_mode):
            return False
        texts = [self._around.read(oid) for mode, oid in versions if mode != MODE_GITLINK]
        if status.st_size > 2 * sum(map(len, texts)) + MAX_POINTER:
            return False
        with open(self._work.absolute(path), "rb") as file:
            found = file.read().splitlines()
        lines = {line for text in texts for line in text.splitlines()}
        is_marked = any(line.startswith(b"<<<<<<<") for line in found)
        return is_marked and all(line in lines or line[:7] in _MARKERS for line in found)


_MARKERS = (b"<" * 7, b"|" * 7, b"=" * 7, b">" * 7)
