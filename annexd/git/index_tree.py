"""From index entries to tree objects, with the trees that are known already."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from annexd.git.cache_tree import CacheTree
from annexd.git.object_store import GitObjects
from annexd.git.objects import EMPTY_TREE, Oid
from annexd.git.tree import MODE_DIR, Blob, Tree

BlobOf = Callable[[bytes], Blob | None]


def build_trees(order: Sequence[bytes], blob_of: BlobOf, objects: GitObjects, cache: CacheTree) -> Oid:
    """Build the tree of sorted paths; directories whose tree `cache` knows are taken as they are.

    Paths for which `blob_of` gives None are left out. Afterwards `cache` is complete.
    """
    return _Builder(order, blob_of, objects).build(0, len(order), b"", cache)


class _Builder:
    def __init__(self, order: Sequence[bytes], blob_of: BlobOf, objects: GitObjects) -> None:
        self._order = order
        self._blob_of = blob_of
        self._objects = objects

    def build(self, start: int, end: int, base: bytes, node: CacheTree) -> Oid:
        """Tree of order[start:end], all of which begin with `base`."""
        if node.oid is not None and node.count == end - start:
            return node.oid
        entries: list[tuple[bytes, bytes]] = []
        children: dict[bytes, CacheTree] = {}
        place = start
        while place < end:
            path = self._order[place]
            slash = path.find(b"/", len(base))
            if slash < 0:
                blob = self._blob_of(path)
                if blob is not None:
                    name = path[len(base) :]
                    entries.append((name, b"%o %b\0%b" % (blob[0], name, blob[1])))
                place += 1
                continue
            name = path[len(base) : slash]
            after = bisect_left(self._order, path[:slash] + b"0", place, end)
            child = children[name] = node.children.get(name) or CacheTree()
            oid = self.build(place, after, path[: slash + 1], child)
            if oid != EMPTY_TREE:
                entries.append((name + b"/", b"%o %b\0%b" % (MODE_DIR, name, oid)))
            place = after
        # Sorted paths come in git's tree order, as "/" is where a directory's name ends in both.
        node.children = children
        node.count = end - start
        node.oid = self._objects.add_tree(Tree([key for key, _ in entries], [raw for _, raw in entries]))
        return node.oid


def refresh_cache(
    cache: CacheTree, root: Oid, changed: Iterable[bytes], order: Sequence[bytes], objects: GitObjects
) -> None:
    """Bring `cache` up to the tree `root` of the paths in `order`, which differs from before at `changed` only."""
    touched: set[bytes] = set()
    for path in changed:
        directory = path.rpartition(b"/")[0]
        while directory not in touched:
            touched.add(directory)
            directory = directory.rpartition(b"/")[0]
    nodes = {b"": cache}
    trees = {b"": objects.node(root)}
    cache.oid = root
    cache.count = len(order)
    for directory in sorted(touched - {b""}):  # parents come first
        parent, _, name = directory.rpartition(b"/")
        if parent not in nodes:
            continue  # it went away with its parent
        siblings = nodes[parent].children
        oid = trees[parent].subtree(name)
        if oid is None:
            siblings.pop(name, None)
            continue
        node = nodes[directory] = siblings.setdefault(name, CacheTree())
        node.oid = oid
        node.count = bisect_left(order, directory + b"0") - bisect_left(order, directory + b"/")
        trees[directory] = objects.node(oid)
