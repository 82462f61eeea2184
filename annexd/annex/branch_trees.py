"""Commits of the git-annex branch as files: reading them, and building the trees of new ones.

Knows no refs and no locks. Everything is read by object id, never by `ref:path`, which costs a hundred times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from annexd.errors import RepositoryError, UnsafePath
from annexd.formats.paths import check_repo_path
from annexd.formats.union_merge import union_merge
from annexd.git.commit import parse_commit
from annexd.git.object_store import GitObjects
from annexd.git.objects import BLOB, COMMIT, EMPTY_TREE, TREE, GitObject, Oid
from annexd.git.tree import MODE_DIR, MODE_FILE, Blob, Tree, Trees

_DIRECTORIES_AT_ONCE = 2048
_TOPS_AT_ONCE = 256

Root = Oid | None

Change = Callable[[bytes | None], bytes | None]
"""Old content (None: no such file) to new content; None when nothing is to be written."""

Edit = Mapping[bytes, bytes | None]
"""New contents by path; None removes the file."""


class _Both(NamedTuple):
    """A file that two trees have differently."""

    path: bytes
    local: Oid
    ref: Oid


class BranchTrees:
    """Files of branch commits. Owned by one thread, as its objects are. A root of None is the empty tree."""

    def __init__(self, objects: GitObjects) -> None:
        self._objects = objects
        self._trees = Trees(objects)

    def root(self, commit: Oid | None) -> Root:
        """The tree of a commit, or of no commit. Raises RepositoryError when it is something else."""
        if commit is None:
            return None
        found = self._objects.read(commit)
        if found is None or found.kind != COMMIT:
            raise RepositoryError(f"{commit.hex()} of the git-annex branch is not a commit", hint="run: git fsck")
        tree = parse_commit(found.data).tree
        return None if tree == EMPTY_TREE else tree

    def oid(self, root: Root) -> Oid:
        """The name of a root as a commit has it."""
        return self._objects.add(TREE, b"") if root is None else root

    def read(self, root: Root, path: bytes) -> bytes | None:
        """One file; None when the tree does not have it."""
        oid = self.file(root, path)
        return None if oid is None else self.blob(oid)

    def file(self, root: Root, path: bytes) -> Oid | None:
        """The blob at `path`."""
        return _blob_of(self._trees.lookup(root, path))

    def read_many(self, root: Root, paths: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Those of the files that exist, with their content. Exhaust it before the next call."""
        files = self._files(root, paths)
        yield from zip(files, self._blobs(list(files.values())), strict=True)

    def _files(self, root: Root, paths: Iterable[bytes]) -> dict[bytes, Oid]:
        """The blobs of all these paths, directories read level by level so that git works while we wait."""
        by_directory: dict[bytes, list[bytes]] = {}
        for path in paths:
            directory, _, name = path.rpartition(b"/")
            by_directory.setdefault(directory, []).append(name)
        found: dict[bytes, Oid] = {}
        for directory, node in self._directories(root, by_directory):
            for name in by_directory[directory]:
                oid = _blob_of(node.get(name))
                if oid is not None:
                    found[directory + b"/" + name if directory else name] = oid
        return found

    def _directories(self, root: Root, wanted: Iterable[bytes]) -> Iterator[tuple[bytes, Tree]]:
        """Those of the directories that exist; sorted, so that parents in the cache are used up one after the other."""
        ordered = sorted(wanted)
        for start in range(0, len(ordered), _DIRECTORIES_AT_ONCE):
            chains = [_chain(directory) for directory in ordered[start : start + _DIRECTORIES_AT_ONCE]]
            level = {} if root is None else {b"": root}
            depth = 0
            while level:
                self._objects.prefetch(list(level.values()))
                nodes = {directory: self._objects.node(oid) for directory, oid in level.items()}
                level = {}
                for chain in chains:
                    node = nodes.get(chain[depth]) if depth < len(chain) else None
                    if node is None:
                        continue
                    if depth + 1 == len(chain):
                        yield chain[depth], node
                    elif (oid := node.subtree(chain[depth + 1].rpartition(b"/")[2])) is not None:
                        level[chain[depth + 1]] = oid
                depth += 1

    def blob(self, oid: Oid) -> bytes:
        """Content of a blob. Raises RepositoryError when it is missing."""
        return _content(oid, self._objects.read(oid))

    def paths(self, root: Root) -> Iterator[bytes]:
        """The paths of all files."""
        return (path for path, _ in self._trees.entries(root))

    def changed(self, old: Root, new: Root) -> Iterator[bytes]:
        """The paths that differ between two trees; equal subtrees are not looked into."""
        return (change.path for change in self._trees.diff(old, new))

    def edited(self, root: Root, edit: Edit) -> Root:
        """The tree after `edit`; its new objects are pending until `objects.flush`."""
        if not edit:
            return root
        add = self._objects.add
        changes = {path: None if data is None else (MODE_FILE, add(BLOB, data)) for path, data in edit.items()}
        return self._trees.update(root, changes)

    def grafted(self, root: Root, name: bytes, tree: Oid) -> Root:
        """The tree with another one in it, as a directory at the top."""
        return self._trees.update(root, {name: (MODE_DIR, tree)})

    def changed_by(
        self, root: Root, changes: Mapping[bytes, Change], staged: Mapping[bytes, bytes]
    ) -> tuple[Root, list[bytes]]:
        """The tree with `staged`, after files went through functions; and the paths to which those gave new content.

        Goes through the top directories in order, some at a time, as then each tree is read and parsed only once.
        """
        by_top: dict[bytes, list[bytes]] = {}
        for path in {**changes, **staged} if staged else changes:
            by_top.setdefault(path.partition(b"/")[0] if b"/" in path else b"", []).append(path)
        tops = sorted(by_top)
        changed: list[bytes] = []
        edits: dict[bytes, Blob | None] = {}
        for start in range(0, len(tops), _TOPS_AT_ONCE):
            chunk = tops[start : start + _TOPS_AT_ONCE]
            old = dict(self.read_many(root, [path for top in chunk for path in by_top[top]]))
            for top in chunk:
                contents = {path: old.get(path) for path in by_top[top]}
                changed += self._apply(contents, changes, staged)
                new = {p: data for p, data in contents.items() if data is not None and data != old.get(p)}
                edits.update(self._new_top(root, top, new))
        return self._trees.update(root, edits), changed

    def _apply(
        self, contents: dict[bytes, bytes | None], changes: Mapping[bytes, Change], staged: Mapping[bytes, bytes]
    ) -> list[bytes]:
        """Put the new contents in the place of the old ones; the paths that `changes` gave something new."""
        changed = []
        for path, old in contents.items():
            before = contents[path] = staged.get(path, old)
            data = changes[path](before) if path in changes else None
            if data is not None and data != before:
                contents[path] = data
                changed.append(path)
        return changed

    def _new_top(self, root: Root, top: bytes, new: Mapping[bytes, bytes]) -> dict[bytes, Blob | None]:
        """One top directory (or, as b"", the files at the top) with its new contents, as changes of the root."""
        add = self._objects.add
        blobs = {path[len(top) + 1 if top else 0 :]: (MODE_FILE, add(BLOB, data)) for path, data in new.items()}
        if not blobs or not top:
            return {**blobs}
        there = self._trees.lookup(root, top)
        subtree = there[1] if there is not None and there[0] == MODE_DIR else None
        tree = self._trees.update(subtree, blobs)
        return {top: None if tree is None else (MODE_DIR, tree)}

    def merged(self, local: Root, ref: Root) -> Root:
        """The union of two trees: no file and no line of either is lost."""
        if local == ref or ref is None:
            return local
        taken: dict[bytes, Blob] = {}
        both: list[_Both] = []
        for change in self._trees.diff(local, ref):
            if change.new is None or not _is_acceptable(change.path, change.new[0]):
                continue  # only here: a file that another repository does not have was not deleted by it
            if change.old is None:
                taken[change.path] = (MODE_FILE, change.new[1])
            elif change.old[1] != change.new[1]:
                both.append(_Both(change.path, change.old[1], change.new[1]))
        taken.update(self._merged_files(both))
        return self._trees.update(local, taken)

    def _merged_files(self, both: Sequence[_Both]) -> Iterator[tuple[bytes, Blob]]:
        ours = list(self._blobs([files.local for files in both]))
        theirs = list(self._blobs([files.ref for files in both]))
        for files, our, their in zip(both, ours, theirs, strict=True):
            merged = union_merge(our, their)
            if merged != our:
                yield files.path, (MODE_FILE, self._objects.add(BLOB, merged))

    def _blobs(self, oids: Sequence[Oid]) -> Iterator[bytes]:
        for oid, found in zip(oids, self._objects.read_many(oids), strict=True):
            yield _content(oid, found)


def _chain(directory: bytes) -> list[bytes]:
    """The directories from the top to this one: b"", b"f87", b"f87/4d5"."""
    chain = [b""]
    if directory:
        parts = directory.split(b"/")
        chain += [b"/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return chain


def _blob_of(entry: Blob | None) -> Oid | None:
    return entry[1] if entry is not None and entry[0] & 0o170000 == 0o100000 else None


def _is_acceptable(path: bytes, mode: int) -> bool:
    """Others wrote that tree: submodules, and names that git itself would not check out, stay out of ours."""
    try:
        check_repo_path(path)
    except UnsafePath:
        return False
    return mode & 0o170000 in (0o100000, 0o120000)


def _content(oid: Oid, found: GitObject | None) -> bytes:
    if found is None or found.kind != BLOB:
        raise RepositoryError(f"file {oid.hex()} of the git-annex branch is missing", hint="run: git fsck")
    return found.data
