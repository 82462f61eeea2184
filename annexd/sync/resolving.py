"""From a merge with conflicts to a tree without any, in the object store alone."""

from __future__ import annotations

from typing import NamedTuple

from annexd.annex.checkout_plan import Blobs
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.pointer import link_target
from annexd.git.history import MergeOutcome, read_commit
from annexd.git.objects import BLOB, EMPTY_TREE, Oid
from annexd.git.tree import MODE_DIR, MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, Blob, Trees
from annexd.sync.resolve import NEWER, OLDER, Resolved, is_half_merged, resolve


class ResolvedTree(NamedTuple):
    """A tree, and what was in conflict before it came to be."""

    tree: Oid
    resolved: tuple[Resolved, ...]


def resolved_tree(annex: AnnexState, outcome: MergeOutcome, first: Oid, second: Oid) -> ResolvedTree | None:
    """Resolve what was in conflict when git merged `second` into `first`; new objects wait for a flush.

    None if conflict markers would be left, which no known conflict brings about. Raises GitError, RepositoryError.
    """
    labels = (first.hex().encode(), second.hex().encode())
    around = _TreeAround(annex, outcome.tree, first, second)
    sides = [stage for conflict in outcome.conflicts for stage in conflict.stages if stage.mode != MODE_GITLINK]
    around.blobs.load(stage.oid for stage in sides)
    found = resolve(outcome, labels, around)
    for data in found.blobs.values():
        annex.objects.add(BLOB, data)
    plain = [blob for blob in found.changes.values() if blob is not None and blob[1] not in found.blobs]
    if any(mode in (MODE_FILE, MODE_EXECUTABLE) and is_half_merged(around.read(oid), labels) for mode, oid in plain):
        return None
    return ResolvedTree(Trees(annex.objects).update(outcome.tree, found.changes) or EMPTY_TREE, found.resolved)


class TwoSides:
    """What a resolution asks of the repository, whichever way it was merged; `entry` is for who knows the merge."""

    def __init__(self, annex: AnnexState, older: Oid, newer: Oid) -> None:
        self.blobs = Blobs(annex.objects)
        self._annex = annex
        self._trees = Trees(annex.objects)
        self._tips = {OLDER: older, NEWER: newer}

    def tip(self, side: int, path: bytes) -> Blob | None:
        """The file that a side has at a path."""
        commit = read_commit(self._annex.objects, self._tips[side])
        found = None if commit is None else self._trees.lookup(commit.tree, path)
        return None if found is None or found[0] == MODE_DIR else found

    def read(self, oid: Oid) -> bytes:
        """The content of a blob."""
        return self.blobs.data(oid)

    def key(self, blob: Blob) -> Key | None:
        """The key that a file stands for."""
        return self.blobs.key(blob)

    def link(self, path: bytes, key: Key) -> bytes:
        """The target of the symlink at `path`."""
        return link_target(path, self._annex.layout.link_object_path(key))


class _TreeAround(TwoSides):
    """The tree that git could make of the merge."""

    def __init__(self, annex: AnnexState, tree: Oid, first: Oid, second: Oid) -> None:
        super().__init__(annex, first, second)
        self._tree = tree

    def entry(self, path: bytes) -> Blob | None:
        """What the merge's tree has at a path."""
        return self._trees.lookup(self._tree, path)
