"""Objects of one repository: read through caches, written in batches, new ones readable before they are on disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from annexd.errors import RepositoryError
from annexd.git.cat_file import CatFile
from annexd.git.objects import BLOB, TREE, FlushResult, GitObject, ObjectWriter, Oid
from annexd.git.repository import GitRepository
from annexd.git.tree import Tree, TreeEntry

# An entry takes about 200 bytes, so at most some 8 MB.
_TREE_ENTRIES = 40_000
_BLOB_BYTES = 2 << 20
_LARGEST_CACHED_BLOB = 1 << 15


class GitObjects:
    """Objects read and written by one owner thread (or under one lock).

    Caches only hold what can never change: objects by their name.
    """

    def __init__(self, repo: GitRepository) -> None:
        self.repo = repo
        self._cat = CatFile(repo)
        self._writer = ObjectWriter(repo)
        self._trees: OrderedDict[Oid, Tree] = OrderedDict()
        self._tree_entries = 0
        self._others: OrderedDict[Oid, GitObject] = OrderedDict()
        self._other_bytes = 0

    def read(self, oid: Oid) -> GitObject | None:
        """An object, or None when there is none of that name. Raises GitError."""
        found = self._others.get(oid)
        if found is not None:
            self._others.move_to_end(oid)
            return found
        found = self._writer.pending(oid)
        if found is None:
            found = self._cat.read(oid)
            if found is not None:
                self._keep(oid, found)
        return found

    def read_blob(self, oid: Oid) -> bytes | None:
        """A blob's content, or None when there is none of that name."""
        found = self.read(oid)
        return None if found is None or found.kind != BLOB else found.data

    def read_many(self, oids: Iterable[Oid]) -> Iterator[GitObject | None]:
        """Objects in the order asked for; those on disk are read with many requests under way. Not cached.

        Make no other call on this object until the iterator is exhausted or closed.
        """
        wanted = list(oids)
        here: dict[Oid, GitObject] = {}
        for oid in wanted:
            found = self._writer.pending(oid) or self._others.get(oid)
            if found is not None:
                here[oid] = found
        from_disk = self._cat.read_many([oid for oid in wanted if oid not in here])
        for oid in wanted:
            yield here[oid] if oid in here else next(from_disk)

    def tree(self, oid: Oid) -> tuple[TreeEntry, ...]:
        """Entries of a tree. Raises RepositoryError when it is missing or no tree, FormatError when damaged."""
        return self.node(oid).entries()

    def node(self, oid: Oid) -> Tree:
        """A tree in the form that Trees works on; same errors as `tree`."""
        tree = self._trees.get(oid)
        if tree is not None:
            self._trees.move_to_end(oid)
            return tree
        return self._parsed(oid, self._writer.pending(oid) or self._cat.read(oid))

    def prefetch(self, oids: Sequence[Oid]) -> None:
        """Read these trees into the cache at once, as far as it holds them."""
        missing = [oid for oid in oids if oid not in self._trees and self._writer.pending(oid) is None]
        if len(missing) < 2:
            return
        for oid, found in zip(missing, list(self._cat.read_many(missing)), strict=True):
            self._parsed(oid, found)

    def _parsed(self, oid: Oid, found: GitObject | None) -> Tree:
        if found is None or found.kind != TREE:
            what = "is missing" if found is None else f"is a {found.kind.decode()}"
            raise RepositoryError(f"tree {oid.hex()} {what}", hint="run git fsck")
        tree = Tree.parse(found.data)
        self._keep_tree(oid, tree)
        return tree

    def add(self, kind: bytes, data: bytes) -> Oid:
        """Keep an object for the next flush; it can be read at once.

        That we read it before is no reason to leave it out: a gc may have pruned it since.
        """
        return self._writer.add(kind, data)

    def add_tree(self, tree: Tree) -> Oid:
        """Like `add`, for a tree, which then is in the cache already."""
        oid = self.add(TREE, tree.serialise())
        self._keep_tree(oid, tree)
        return oid

    def flush(self) -> FlushResult:
        """Put the new objects into the repository; see ObjectWriter.flush. Raises OSError."""
        return self._writer.flush()

    @property
    def pending_bytes(self) -> int:
        """Memory that objects not flushed yet take, in bytes."""
        return self._writer.pending_bytes

    def discard(self) -> None:
        """Drop the objects not flushed yet, and the caches, which may name them."""
        self._writer.discard()
        self.forget()

    def forget(self) -> None:
        """Empty the caches. New objects stay until they are flushed."""
        self._trees.clear()
        self._others.clear()
        self._tree_entries = self._other_bytes = 0

    def close(self) -> None:
        """End the git process; a later read starts it again."""
        self._cat.close()

    def _keep(self, oid: Oid, found: GitObject) -> None:
        if len(found.data) > _LARGEST_CACHED_BLOB:
            return
        self._others[oid] = found
        self._other_bytes += len(found.data)
        while self._other_bytes > _BLOB_BYTES:
            self._other_bytes -= len(self._others.popitem(last=False)[1].data)

    def _keep_tree(self, oid: Oid, tree: Tree) -> None:
        if oid in self._trees:
            return
        self._trees[oid] = tree
        self._tree_entries += len(tree.keys) + 1
        while self._tree_entries > _TREE_ENTRIES and len(self._trees) > 2:
            self._tree_entries -= len(self._trees.popitem(last=False)[1].keys) + 1
