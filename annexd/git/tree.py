"""git trees: parsing and writing one, and looking up, changing and comparing whole hierarchies.

Source: git, "Git Objects" in its user manual; entries are ordered as if directory names ended in "/".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import lt
from typing import NamedTuple, Protocol

from annexd.errors import FormatError
from annexd.git.objects import Oid

MODE_DIR = 0o40000
MODE_FILE = 0o100644
MODE_EXECUTABLE = 0o100755
MODE_LINK = 0o120000
MODE_GITLINK = 0o160000

Blob = tuple[int, Oid]
"""Mode and object of one path."""

Changes = Mapping[bytes, Blob | None]
"""New content of paths; None removes the file."""

_ENTRY = re.compile(rb"(([0-7]+) ([^\0/]+)\0.{20})", re.DOTALL)
_FEW = 64
_CHUNK = 512
_AHEAD = 4096


class TreeEntry(NamedTuple):
    """One name in a tree (a NamedTuple as there are very many: 0.22 us to make one)."""

    mode: int
    name: bytes
    oid: Oid


class TreeChange(NamedTuple):
    """What differs between two hierarchies at one path; None where the path is not there."""

    path: bytes
    old: Blob | None
    new: Blob | None


class Tree:
    """One tree object as two lists of equal length; never changed after it was made.

    `keys` are the names, with "/" after directories, which is git's order; `raws` the entries as stored.
    Changing one entry of a tree of ten thousand is two list copies and a join.
    """

    __slots__ = ("keys", "raws")

    def __init__(self, keys: list[bytes], raws: list[bytes]) -> None:
        self.keys = keys
        self.raws = raws

    @classmethod
    def parse(cls, data: bytes) -> Tree:
        """Raises FormatError, also when names are not in order or not unique."""
        found = _ENTRY.findall(data)
        raws = [entry[0] for entry in found]
        if sum(map(len, raws)) != len(data):
            raise FormatError("not a git tree", source="tree")
        keys = [
            name + b"/" if mode == b"40000" or mode.lstrip(b"0") == b"40000" else name for _, mode, name in found
        ]
        if not all(map(lt, keys, islice(keys, 1, None))):
            raise FormatError("tree entries out of order", source="tree")
        return cls(keys, raws)

    def serialise(self) -> bytes:
        """The tree object's content."""
        return b"".join(self.raws)

    def entries(self) -> tuple[TreeEntry, ...]:
        """All entries, in git's order."""
        return tuple([_decode(raw) for raw in self.raws])

    def get(self, name: bytes) -> Blob | None:
        """Mode and object of a name."""
        place = self._find(name)
        if place is None:
            return None
        raw = self.raws[place]
        return int(raw[: raw.index(b" ")], 8), Oid(raw[-20:])

    def _find(self, name: bytes) -> int | None:
        for key in (name, name + b"/"):
            place = bisect_left(self.keys, key)
            if place < len(self.keys) and self.keys[place] == key:
                return place
        return None

    def subtree(self, name: bytes) -> Oid | None:
        """Object of the directory `name`."""
        key = name + b"/"
        place = bisect_left(self.keys, key)
        if place < len(self.keys) and self.keys[place] == key:
            return Oid(self.raws[place][-20:])
        return None

    def edited(self, edits: Mapping[bytes, bytes | None]) -> Tree:
        """A tree with entries set (key -> raw) and removed (key -> None)."""
        if len(edits) > _FEW:
            return self._merged(edits)
        keys, raws = self.keys.copy(), self.raws.copy()
        for key, raw in edits.items():
            place = bisect_left(keys, key)
            there = place < len(keys) and keys[place] == key
            if raw is None:
                if there:
                    del keys[place], raws[place]
            elif there:
                raws[place] = raw
            else:
                keys.insert(place, key)
                raws.insert(place, raw)
        return Tree(keys, raws)

    def _merged(self, edits: Mapping[bytes, bytes | None]) -> Tree:
        entries: dict[bytes, bytes | None] = dict(zip(self.keys, self.raws, strict=True))
        entries.update(edits)
        ordered = sorted([(key, raw) for key, raw in entries.items() if raw is not None])
        return Tree([key for key, _ in ordered], [raw for _, raw in ordered])


def _decode(raw: bytes) -> TreeEntry:
    space = raw.index(b" ")
    return TreeEntry(int(raw[:space], 8), raw[space + 1 : -21], Oid(raw[-20:]))


def _encode(mode: int, name: bytes, oid: Oid) -> bytes:
    return b"%o %b\0%b" % (mode, name, oid)


EMPTY = Tree([], [])


def parse_tree(data: bytes) -> tuple[TreeEntry, ...]:
    """Entries of a tree object. Raises FormatError."""
    return Tree.parse(data).entries()


def serialise_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Content of a tree object with these entries, put into git's order."""
    ordered = sorted(entries, key=lambda entry: entry.name + b"/" if entry.mode == MODE_DIR else entry.name)
    return b"".join([_encode(*entry) for entry in ordered])


class TreeSource(Protocol):
    """Where trees are read from and new ones go; GitObjects is one."""

    def node(self, oid: Oid) -> Tree:
        """The tree of that name. Raises RepositoryError when it is missing."""
        ...

    def prefetch(self, oids: Sequence[Oid]) -> None:
        """Have these trees at hand for `node`."""
        ...

    def add_tree(self, tree: Tree) -> Oid:
        """Keep a new tree for the next flush."""
        ...


class Trees:
    """Hierarchies of trees by the object name of their root; None is the empty one. Owner is that of `source`."""

    def __init__(self, source: TreeSource) -> None:
        self._source = source

    def lookup(self, root: Oid | None, path: bytes) -> Blob | None:
        """Mode and object at a path (a directory's too), or None. b"" is the root itself."""
        if root is None:
            return None
        found: Blob = (MODE_DIR, root)
        if not path:
            return found
        for part in path.split(b"/"):
            if found[0] != MODE_DIR:
                return None
            inner = self._source.node(found[1]).get(part)
            if inner is None:
                return None
            found = inner
        return found

    def entries(self, root: Oid | None, prefix: bytes = b"") -> Iterator[tuple[bytes, Blob]]:
        """(path, (mode, oid)) of every file at or below the path `prefix`, in git's order; gitlinks included."""
        found = self.lookup(root, prefix.rstrip(b"/"))
        if found is None:
            return
        if found[0] != MODE_DIR:
            yield prefix, found
            return
        yield from self._walk(found[1], prefix.rstrip(b"/") + b"/" if prefix else b"")

    def _walk(self, oid: Oid, base: bytes) -> Iterator[tuple[bytes, Blob]]:
        entries = self._source.node(oid).entries()
        self._source.prefetch([entry.oid for entry in entries if entry.mode == MODE_DIR])
        for mode, name, inner in entries:
            if mode == MODE_DIR:
                yield from self._walk(inner, base + name + b"/")
            else:
                yield base + name, (mode, inner)

    def update(self, root: Oid | None, changes: Changes) -> Oid | None:
        """The hierarchy with `changes` made; only touched trees are built, empty directories vanish.

        A file put where a directory is replaces it, and the reverse. None removes a file (or what else is a single
        entry), but leaves a directory of that name. ValueError if the changes hold both "a" and "a/b" as files.
        """
        if not changes:
            return root
        return self._update(root, _grouped(changes))

    def _update(self, oid: Oid | None, group: _Group) -> Oid | None:
        tree = EMPTY if oid is None else self._source.node(oid)
        edits: dict[bytes, bytes | None] = {}
        for name, value in group.files.items():
            if value is None:
                edits[name] = None
                continue
            key = name + b"/" if value[0] == MODE_DIR else name
            edits[name if value[0] == MODE_DIR else name + b"/"] = None
            edits[key] = _encode(value[0], name, value[1])
        if group.dirs:
            self._update_dirs(tree, group, edits)
        edited = tree.edited(edits)
        if edited.raws == tree.raws:
            return oid
        return self._source.add_tree(edited) if edited.keys else None

    def _update_dirs(self, tree: Tree, group: _Group, edits: dict[bytes, bytes | None]) -> None:
        # Where a file goes, the directory goes as a whole, whatever else is said of its contents.
        names = [name for name in group.dirs if group.files.get(name) is None]
        for start in range(0, len(names), _CHUNK):
            chunk = [(name, tree.subtree(name), group.dirs[name]) for name in names[start : start + _CHUNK]]
            self._look_ahead([(old, inner) for _, old, inner in chunk if old is not None])
            for name, old, inner in chunk:
                new = self._update(old, inner)
                if new == old:
                    continue
                edits[name + b"/"] = None if new is None else _encode(MODE_DIR, name, new)
                if new is not None:
                    edits[name] = None

    def _look_ahead(self, touched: list[tuple[Oid, _Group]]) -> None:
        """Read trees, and those in them that will be touched, with many requests under way."""
        self._source.prefetch([oid for oid, _ in touched])
        inner = (self._source.node(oid).subtree(name) for oid, group in touched for name in group.dirs)
        self._source.prefetch([oid for oid in inner if oid is not None][:_AHEAD])

    def diff(self, old: Oid | None, new: Oid | None) -> Iterator[TreeChange]:
        """Paths of files that differ, in order, without looking into equal directories; gitlinks count as files."""
        changes: list[TreeChange] = []
        for base, befores, afters in self._levels(old, new):
            for key in befores.keys() | afters.keys():
                if not key.endswith(b"/"):
                    changes.append(TreeChange(base + key, _blob(befores.get(key)), _blob(afters.get(key))))
        changes.sort()
        return iter(changes)

    def added(self, old: Oid | None, new: Oid | None) -> Iterator[Oid]:
        """Every tree and blob that `new` names at a place where `old` does not; what a receiver of `new` lacks.

        Trees come before what they name.
        """
        if new is not None and new != old:
            yield new
        for _, _, afters in self._levels(old, new):
            for raw in afters.values():
                if not raw.startswith(b"160000 "):
                    yield Oid(raw[-20:])

    def _levels(
        self, old: Oid | None, new: Oid | None
    ) -> Iterator[tuple[bytes, dict[bytes, bytes], dict[bytes, bytes]]]:
        """(directory, differing entries before, after) for each directory that differs; level by level, so that
        a level's trees are read with many requests under way."""
        level: list[tuple[bytes, Oid | None, Oid | None]] = [(b"", old, new)] if old != new else []
        while level:
            following: list[tuple[bytes, Oid | None, Oid | None]] = []
            for start in range(0, len(level), _CHUNK):
                chunk = level[start : start + _CHUNK]
                self._source.prefetch([oid for _, *pair in chunk for oid in pair if oid is not None])
                for base, before, after in chunk:
                    befores, afters = self._differing(before, after)
                    yield base, befores, afters
                    for key in befores.keys() | afters.keys():
                        if key.endswith(b"/"):
                            following.append((base + key, _oid(befores.get(key)), _oid(afters.get(key))))
            level = following

    def _differing(self, old: Oid | None, new: Oid | None) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Entries (key -> raw) of two trees less those that both have."""
        a = EMPTY if old is None else self._source.node(old)
        b = EMPTY if new is None else self._source.node(new)
        start = _common_prefix(a.raws, b.raws)
        end = _common_suffix(a.raws, b.raws, start)
        befores = dict(zip(a.keys[start : len(a.keys) - end], a.raws[start : len(a.raws) - end], strict=True))
        afters = dict(zip(b.keys[start : len(b.keys) - end], b.raws[start : len(b.raws) - end], strict=True))
        same = [key for key, raw in befores.items() if afters.get(key) == raw]
        for key in same:
            del befores[key], afters[key]
        return befores, afters


class _Group:
    """Changes within one directory: its own files, and groups for directories in it."""

    __slots__ = ("dirs", "files")

    def __init__(self) -> None:
        self.files: dict[bytes, Blob | None] = {}
        self.dirs: dict[bytes, _Group] = {}


def _grouped(changes: Changes) -> _Group:
    top = _Group()
    groups: dict[bytes, _Group] = {b"": top}
    for path, value in changes.items():
        directory, _, name = path.rpartition(b"/")
        group = groups.get(directory)
        if group is None:
            group = _group_for(directory, groups)
        group.files[name] = value
    for group in groups.values():
        for name in group.dirs.keys() & group.files.keys():
            if group.files[name] is not None and _sets_something(group.dirs[name]):
                raise ValueError(f"{name!r} is to be both a file and a directory")
    return top


def _group_for(directory: bytes, groups: dict[bytes, _Group]) -> _Group:
    group = groups[directory] = _Group()
    child = group
    while directory:
        directory, _, name = directory.rpartition(b"/")
        parent = groups.get(directory)
        if parent is not None:
            parent.dirs[name] = child
            break
        parent = groups[directory] = _Group()
        parent.dirs[name] = child
        child = parent
    return group


def _sets_something(group: _Group) -> bool:
    return any(value is not None for value in group.files.values()) or any(map(_sets_something, group.dirs.values()))


def _oid(raw: bytes | None) -> Oid | None:
    return None if raw is None else Oid(raw[-20:])


def _blob(raw: bytes | None) -> Blob | None:
    if raw is None:
        return None
    return int(raw[: raw.index(b" ")], 8), Oid(raw[-20:])


def _common_prefix(a: list[bytes], b: list[bytes]) -> int:
    """How many first elements are equal; halving is quicker than a loop as list comparison runs in C."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_suffix(a: list[bytes], b: list[bytes], start: int) -> int:
    low, high = 0, min(len(a), len(b)) - start
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low
