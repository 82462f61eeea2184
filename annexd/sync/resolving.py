"""From a merge with conflicts to a tree without any, in the object store alone."""

from __future__ import annotations

from typing import NamedTuple

from annexd.annex.checkout_plan import Blobs
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.pointer import link_target
from annexd.git.history import MergeOutcome, merge_trees
from annexd.git.objects import BLOB, EMPTY_TREE, Oid
from annexd.git.tree import MODE_GITLINK, Blob, Trees
from annexd.sync.resolve import Resolved, is_mixed_up, resolve


class ResolvedTree(NamedTuple):
    """A tree, and what was in conflict before it came to be."""

    tree: Oid
    resolved: tuple[Resolved, ...]


def resolved_tree(annex: AnnexState, outcome: MergeOutcome, first: Oid, second: Oid) -> ResolvedTree | None:
    """Resolve what was in conflict when git merged `second` into `first`; new objects wait for a flush.

    Where following renames cost a version, the merge is done once more without. None if git left half-merged text even
    then, which no known conflict brings about. Raises GitError, RepositoryError.
    """
    labels = (first.hex().encode(), second.hex().encode())
    blobs = Blobs(annex.objects)

    def read(blob: Blob) -> bytes:
        return blobs.data(blob[1])

    if is_mixed_up(outcome, labels, read):
        outcome = merge_trees(annex.repo, first, second, allow_unrelated=True, follow_renames=False)
        if is_mixed_up(outcome, labels, read):
            return None
    sides = (stage for conflict in outcome.conflicts for stage in conflict.stages)
    blobs.load(oid for _, mode, oid in sides if mode != MODE_GITLINK)
    found = resolve(outcome, labels, RepositoryAround(annex, outcome.tree, blobs))
    for data in found.blobs.values():
        annex.objects.add(BLOB, data)
    return ResolvedTree(Trees(annex.objects).update(outcome.tree, found.changes) or EMPTY_TREE, found.resolved)


class RepositoryAround:
    """The repository as a resolution sees it."""

    def __init__(self, annex: AnnexState, tree: Oid, blobs: Blobs) -> None:
        self._layout = annex.layout
        self._trees = Trees(annex.objects)
        self._tree = tree
        self._blobs = blobs

    def entry(self, path: bytes) -> Blob | None:
        """What the merge's tree has at a path."""
        return self._trees.lookup(self._tree, path)

    def key(self, blob: Blob) -> Key | None:
        """The key that a file stands for."""
        return self._blobs.key(blob)

    def link(self, path: bytes, key: Key) -> bytes:
        """The target of the symlink at `path`."""
        return link_target(path, self._layout.link_object_path(key))
