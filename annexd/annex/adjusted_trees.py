"""Trees of an adjusted branch made from those of the original one, and changes brought back the other way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from annexd.annex.state import AnnexState
from annexd.formats.adjustment import Adjustment, Hide, Links
from annexd.formats.key import Key
from annexd.formats.pointer import MAX_POINTER, link_target, parse_link, parse_pointer, pointer_for
from annexd.git.objects import BLOB, EMPTY_TREE, Oid
from annexd.git.tree import MODE_FILE, MODE_GITLINK, MODE_LINK, Blob, TreeChange, Trees

BATCH = 4096    # files whose blobs are read together

_ABOUT_LINKS = (None, Links.UNLOCK, Links.FIX, Links.UNFIX)
"""Kinds that leave regular files as they are."""


def adjusted_tree(annex: AnnexState, adjustment: Adjustment, root: Oid) -> Oid:
    """What `root` looks like when adjusted; new objects wait for their flush. Reads every blob that may matter.

    Unwanted files are not hidden. Source: git-annex, adjustments of a tree.
    """
    trees, adjuster = Trees(annex.objects), Adjuster(annex, adjustment)
    changes: dict[bytes, Blob | None] = {}
    entries = trees.entries(root)
    for batch in _batches(entries):
        for path, old, new in adjuster.adjust(batch):
            if new != old:
                changes[path] = new
    return trees.update(root, changes) or EMPTY_TREE


def reversed_tree(
    annex: AnnexState, adjustment: Adjustment, root: Oid | None, changes: Sequence[TreeChange]
) -> Oid:
    """The original tree `root` with the changes made that somebody made to the adjusted one."""
    adjuster = Adjuster(annex, adjustment.reversed())
    updates: dict[bytes, Blob | None] = {change.path: None for change in changes if change.new is None}
    kept = [(change.path, change.new) for change in changes if change.new is not None]
    updates.update((path, new) for path, _, new in adjuster.adjust(kept))
    return Trees(annex.objects).update(root, updates) or EMPTY_TREE


class Adjuster:
    """Adjusts single files."""

    def __init__(self, annex: AnnexState, adjustment: Adjustment) -> None:
        self._annex = annex
        self._adjustment = adjustment
        self._is_about_links = adjustment.hide is Hide.NOTHING and adjustment.links in _ABOUT_LINKS

    def adjust(self, files: Sequence[tuple[bytes, Blob]]) -> Iterator[tuple[bytes, Blob, Blob | None]]:
        """(path, before, after) of each file; None for one that is hidden."""
        keys = self.keys(files)
        for path, blob in files:
            key = keys.get(blob)
            yield path, blob, blob if key is None else self._adjusted(path, blob, key)

    def _adjusted(self, path: bytes, blob: Blob, key: Key) -> Blob | None:
        if self._adjustment.hide is Hide.MISSING and not self._annex.store.is_present(key):
            return None
        is_link = blob[0] == MODE_LINK
        match self._adjustment.links:
            case Links.UNLOCK:
                return self._pointer(key) if is_link else blob
            case Links.LOCK | Links.LOCK_PRESENT:
                return blob if is_link else self._link(path, key)
            case Links.FIX | Links.UNFIX:
                return self._link(path, key) if is_link else blob
            case Links.UNLOCK_PRESENT:
                return self._pointer(key) if self._annex.store.is_present(key) else self._link(path, key)
            case None:
                return blob

    def _pointer(self, key: Key) -> Blob:
        return MODE_FILE, self._annex.objects.add(BLOB, pointer_for(key))

    def _link(self, path: bytes, key: Key) -> Blob:
        target = link_target(path, self._annex.layout.link_object_path(key))
        return MODE_LINK, self._annex.objects.add(BLOB, target)

    def keys(self, files: Iterable[tuple[bytes, Blob]]) -> dict[Blob, Key]:
        """The keys of those blobs that stand for annexed content."""
        wanted = {blob for _, blob in files if self._may_matter(blob[0])}
        oids = list({oid for _, oid in wanted})
        found = {
            oid: blob.data
            for oid, blob in zip(oids, self._annex.objects.read_many(oids), strict=True)
            if blob is not None and blob.kind == BLOB and len(blob.data) <= MAX_POINTER
        }
        keys = {}
        for mode, oid in wanted:
            data = found.get(oid)
            key = None if data is None else (parse_link if mode == MODE_LINK else parse_pointer)(data)
            if key is not None:
                keys[mode, oid] = key
        return keys

    def _may_matter(self, mode: int) -> bool:
        return mode == MODE_LINK or (mode != MODE_GITLINK and not self._is_about_links)


def _batches(entries: Iterator[tuple[bytes, Blob]]) -> Iterator[list[tuple[bytes, Blob]]]:
    while batch := list(islice(entries, BATCH)):
        yield batch
