"""git's index in memory: entries, their order, and the tree they make."""

from __future__ import annotations

import os
import stat
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from annexd.errors import FormatError, MergeConflict, RepositoryError
from annexd.git.cache_tree import CacheTree, parse_cache_tree, serialise_cache_tree
from annexd.git.fidelity import FULL, Fidelity
from annexd.git.index_format import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    MTIME_AT,
    OID_AT,
    SKIP_WORKTREE,
    IndexContent,
    IndexEntry,
    decode_record,
    encode_record,
    is_extended,
    packed_record,
    parse_index,
    serialise_index,
)
from annexd.git.index_tree import build_trees, refresh_cache
from annexd.git.object_store import GitObjects
from annexd.git.objects import TREE, Oid
from annexd.git.packed_stat import packed_stat
from annexd.git.tree import MODE_GITLINK, Blob, Trees

__all__ = ["FileStamp", "GitIndex", "IndexCache", "IndexEntry", "is_racy", "stat_matches"]

Paths = set[bytes]

_FEW = 64
_SECOND = 1_000_000_000
_WORD = 0xFFFFFFFF
_PLAIN, _EXECUTABLE = (mode.to_bytes(4, "big") for mode in (0o100644, 0o100755))


class FileStamp(NamedTuple):
    """What tells whether the index file was replaced."""

    ino: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """The stamp of a file with this status."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class GitIndex:
    """The entries of one index file. Not tied to the file after `read`; one owner thread.

    Putting a file where entries of a directory are replaces those, and the reverse, as in git.
    """

    def __init__(self, content: IndexContent | None = None, stamp: FileStamp | None = None) -> None:
        content = content or IndexContent()
        self.stamp = stamp
        self.fidelity = FULL
        self._records = content.records
        self._unmerged = content.unmerged
        self._order = sorted([*content.records, *content.unmerged])
        self._unordered: Paths = set()
        self._directories: dict[bytes, int] | None = None
        self._by_oid: dict[bytes, list[bytes]] | None = None
        self._by_fold: dict[str, list[bytes]] | None = None
        self._extended = {path for path, record in content.records.items() if record[60] & 0x40}
        self._cache = _usable_cache(content.tree_extension)
        self._base = self._cache.oid if self._cache is not None else None
        self._changed: Paths = set()
        self._young = self._find_young()

    @classmethod
    def read(cls, path: bytes) -> GitIndex:
        """Parse the file; an absent one is an empty index. Raises UnsupportedIndex, FormatError, OSError."""
        try:
            with open(path, "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                data = file.readall()
        except FileNotFoundError:
            return cls()
        return cls(parse_index(data or b""), FileStamp.of(status))

    def __len__(self) -> int:
        return len(self._records) + len(self._unmerged)

    def __contains__(self, path: bytes) -> bool:
        return path in self._records or path in self._unmerged

    def get(self, path: bytes) -> IndexEntry | None:
        """The merged entry of a path; None also when it is unmerged."""
        record = self._records.get(path)
        return None if record is None else decode_record(path, record)

    def stages(self, path: bytes) -> dict[int, IndexEntry]:
        """Entries of an unmerged path by stage: 1 base, 2 ours, 3 theirs."""
        found = self._unmerged.get(path, {})
        return {stage: decode_record(path, record) for stage, record in found.items()}

    def unmerged_paths(self) -> list[bytes]:
        """Paths in conflict."""
        return sorted(self._unmerged)

    def paths(self) -> Sequence[bytes]:
        """All paths in order; do not change the list."""
        return self._ordered()

    def entries(self) -> Iterator[IndexEntry]:
        """All merged entries in order."""
        for path in self._ordered():
            record = self._records.get(path)
            if record is not None:
                yield decode_record(path, record)

    def paths_under(self, directory: bytes) -> list[bytes]:
        """Paths below a directory; all for b""."""
        order = self._ordered()
        if not directory:
            return list(order)
        return order[bisect_left(order, directory + b"/") : bisect_left(order, directory + b"0")]

    def entries_for_oid(self, oid: Oid) -> list[bytes]:
        """Paths whose blob is `oid`, such as all files that point to one key."""
        if self._by_oid is None:
            self._by_oid = {}
            for path, record in self._records.items():
                self._by_oid.setdefault(record[OID_AT], []).append(path)
        return list(self._by_oid.get(oid, ()))

    def twins(self, path: bytes) -> list[bytes]:
        """Other paths that differ from this one, which need not be there, in upper and lower case alone."""
        if self._by_fold is None:
            self._by_fold = {}
            for one in self._records:
                self._by_fold.setdefault(_folded(one), []).append(one)
        return [one for one in self._by_fold.get(_folded(path), ()) if one != path]

    def set(self, entry: IndexEntry) -> None:
        """Put an entry; stage 0 resolves a conflict of its path. What a person has set aside stays so."""
        path = entry.path
        if path not in self:
            self._make_room(path)
        if entry.stage:
            self._drop_merged(path)
            self._unmerged.setdefault(path, {})[entry.stage] = encode_record(entry)
            self._unordered.add(path)
            return
        self._set_merged(path, encode_record(entry))

    def set_packed(self, path: bytes, mode: int, oid: Oid, packed: bytes) -> None:
        """Put an entry of a file whose status is packed as in the index, but for the mode."""
        if path not in self:
            self._make_room(path)
        self._set_merged(path, packed_record(path, mode, oid, packed))

    def _set_merged(self, path: bytes, record: bytes) -> None:
        if self._unmerged.pop(path, None) is not None or path not in self._records:
            self._unordered.add(path)
            self._by_fold = None
        self._changed.add(path)
        before = self._records.get(path)
        if before is not None and before[60] & 0xC0:
            record = _set_aside_as(path, record, before)
        self._set_record(path, record)
        if record[60] & 0x40:
            self._extended.add(path)
        else:
            self._extended.discard(path)
        if self.stamp is None or int.from_bytes(record[MTIME_AT], "big") >= self.stamp.mtime_ns // _SECOND & _WORD:
            self._young.add(path)

    def remove(self, path: bytes) -> bool:
        """Remove a path with all its stages; False when it was not there."""
        if path not in self:
            return False
        self._by_fold = None
        self._unmerged.pop(path, None)
        self._drop_merged(path)
        self._unordered.add(path)
        self._forget_in_directory(path)
        return True

    def remove_tree(self, directory: bytes) -> list[bytes]:
        """Remove all paths below a directory and return them."""
        paths = self.paths_under(directory)
        for path in paths:
            self.remove(path)
        return paths

    def write_tree(self, objects: GitObjects) -> Oid:
        """The tree of the entries; new trees are added to `objects`, to be flushed before anybody names them.

        Cost is that of the directories changed since the last known tree. Raises MergeConflict when a path is unmerged.
        """
        if self._unmerged:
            raise MergeConflict("the index has unmerged paths", self.unmerged_paths())
        if self._base is not None:
            try:
                return self._update_tree(objects, self._base)
            except RepositoryError:
                self._cache = None  # what the extension names is not there (any more): build all anew
        self._cache = self._cache or CacheTree()
        self._invalidate_changed()
        root = build_trees(self._ordered(), self._blob, objects, self._cache)
        self._base = root
        self._changed = set()
        return root

    def _update_tree(self, objects: GitObjects, base: Oid) -> Oid:
        if not self._changed:
            return base
        trees = Trees(objects)
        root = trees.update(base, {path: self._blob(path) for path in self._changed})
        if root is None:
            root = objects.add(TREE, b"")
        if self._cache is not None:
            refresh_cache(self._cache, root, self._changed, self._ordered(), objects)
        self._base = root
        self._changed = set()
        return root

    def serialise(self) -> bytes:
        """The content of the index file, with the trees known by the last `write_tree`."""
        records = self._records
        order = self._ordered()
        if self._unmerged:
            body: list[bytes] = []
            for path in order:
                stages = self._unmerged.get(path)
                body += [records[path]] if stages is None else [stages[stage] for stage in sorted(stages)]
        else:
            body = list(map(records.__getitem__, order))
        return serialise_index(
            body, len(body), extended=self._needs_version_3(), tree_extension=self._tree_extension()
        )

    def young_paths(self) -> list[bytes]:
        """Paths whose file changed in or after the second that the index was written in.

        git reads the content of these at each status, until the index is written anew in a later second.
        """
        return sorted(self._young)

    def smudge_racy(self, work_tree: bytes, before: int | None = None) -> list[bytes]:
        """Before the index is written: have git look into young files that differ from their entries; returns them.

        Their entries get size 0. Without this a file changed in the same second, at the same size, would pass
        for unchanged once the index is younger than it. With `before`, only files older than that second are looked
        at: those that stay young need it only when the index is written again.
        """
        smudged = []
        limit = None if before is None else (before & _WORD).to_bytes(4, "big")
        for path in self._young:
            if limit is not None and (record := self._records.get(path)) is not None and record[MTIME_AT] >= limit:
                continue
            try:
                status = os.lstat(work_tree + b"/" + path)
            except OSError:
                continue
            record = self._records.get(path)
            if record is not None and _is_exactly(record, status):
                continue
            entry = self.get(path)
            if entry is None or entry.mode == MODE_GITLINK or entry.size == 0:
                continue
            if not stat_matches(entry, status, fidelity=self.fidelity):
                self._set_record(path, encode_record(entry._replace(size=0)))
                smudged.append(path)
        return smudged

    def written(self, status: os.stat_result) -> None:
        """Tell that `serialise()` is now the index file with this status."""
        self.stamp = FileStamp.of(status)
        second = status.st_mtime_ns // _SECOND
        self._young = {
            path
            for path in self._young
            if (record := self._records.get(path)) is not None
            and int.from_bytes(record[MTIME_AT], "big") >= second
        }

    def is_racy(self, entry: IndexEntry) -> bool:
        """Whether git would read the file's content to know if it is unchanged."""
        return self.stamp is None or is_racy(entry, self.stamp.mtime_ns)

    def _blob(self, path: bytes) -> Blob | None:
        record = self._records.get(path)
        if record is None or (path in self._extended and decode_record(path, record).ext_flags & INTENT_TO_ADD):
            return None
        return int.from_bytes(record[24:28], "big"), Oid(record[OID_AT])

    def _set_record(self, path: bytes, record: bytes) -> None:
        if self._by_oid is not None:
            self._unlist_oid(path)
            self._by_oid.setdefault(record[OID_AT], []).append(path)
        self._records[path] = record

    def _drop_merged(self, path: bytes) -> None:
        self._changed.add(path)
        if path in self._records:
            self._unlist_oid(path)
            del self._records[path]
            self._extended.discard(path)
            self._young.discard(path)

    def _unlist_oid(self, path: bytes) -> None:
        record = self._records.get(path)
        if self._by_oid is not None and record is not None:
            paths = self._by_oid[record[OID_AT]]
            paths.remove(path)
            if not paths:
                del self._by_oid[record[OID_AT]]

    def _make_room(self, path: bytes) -> None:
        directories = self._known_directories()
        if path in directories:
            self.remove_tree(path)
        parent = path.rpartition(b"/")[0]
        if parent not in directories:
            ancestor = parent
            while ancestor:
                if ancestor in self:
                    self.remove(ancestor)
                    break
                ancestor = ancestor.rpartition(b"/")[0]
        _count_in(directories, path)

    def _forget_in_directory(self, path: bytes) -> None:
        directories = self._known_directories()
        while path:
            path = path.rpartition(b"/")[0]
            if directories.get(path, 0) > 1:
                directories[path] -= 1
                return
            directories.pop(path, None)

    def _known_directories(self) -> dict[bytes, int]:
        """Directories with the number of names directly in them; b"" is the top."""
        if self._directories is None:
            self._directories = {}
            for paths in (self._records, self._unmerged):
                for path in paths:
                    _count_in(self._directories, path)
        return self._directories

    def _ordered(self) -> list[bytes]:
        if self._unordered:
            if len(self._unordered) > _FEW:
                self._order = sorted([*self._records, *self._unmerged])
            else:
                for path in self._unordered:
                    self._place(path)
            self._unordered = set()
        return self._order

    def _place(self, path: bytes) -> None:
        place = bisect_left(self._order, path)
        there = place < len(self._order) and self._order[place] == path
        if path in self and not there:
            insort(self._order, path)
        elif there and path not in self:
            del self._order[place]

    def _find_young(self) -> Paths:
        if self.stamp is None:
            return set()
        second = (self.stamp.mtime_ns // _SECOND & _WORD).to_bytes(4, "big")
        return {path for path, record in self._records.items() if record[8:12] >= second}

    def _invalidate_changed(self) -> None:
        for path in self._changed:
            node: CacheTree | None = self._cache
            for part in path.split(b"/"):
                if node is None:
                    break
                node.oid = None
                node = node.children.get(part)

    def _needs_version_3(self) -> bool:
        return bool(self._extended) or any(
            is_extended(record) for stages in self._unmerged.values() for record in stages.values()
        )

    def _tree_extension(self) -> bytes | None:
        # With entries that are not part of the tree the counts would lie; git writes such trees as unknown.
        if self._cache is None or self._changed or self._unmerged or self._has_intent_to_add():
            return None
        return serialise_cache_tree(self._cache)

    def _has_intent_to_add(self) -> bool:
        return any(decode_record(path, self._records[path]).ext_flags & INTENT_TO_ADD for path in self._extended)


class IndexCache:
    """The index of one file, parsed again only when the file was replaced. One owner thread."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._index: GitIndex | None = None

    def current(self) -> GitIndex:
        """The index as the file has it; do not change it unless the index lock is held. Errors as GitIndex.read.

        After a change that did not reach the file, call `forget`.
        """
        try:
            stamp: FileStamp | None = FileStamp.of(os.stat(self._path))
        except FileNotFoundError:
            stamp = None
        if self._index is None or self._index.stamp != stamp:
            self._index = GitIndex.read(self._path)
        return self._index

    def forget(self) -> None:
        """Read the file again next time."""
        self._index = None


def _is_exactly(record: bytes, status: os.stat_result) -> bool:
    """Whether the regular file is the very one that the entry is of; False may be said of others too."""
    packed = packed_stat(status)
    if packed[:24] != record[:24] or packed[28:] != record[28:40]:
        return False
    return record[24:28] == (_EXECUTABLE if status.st_mode & 0o100 else _PLAIN) and stat.S_ISREG(status.st_mode)


def stat_matches(
    entry: IndexEntry, status: os.stat_result, *, trust_ctime: bool = True, fidelity: Fidelity = FULL
) -> bool:
    """Whether lstat says what the entry says, so that the file is as it was staged.

    Nanoseconds count where the writer of the entry knew them. A racy entry (GitIndex.is_racy) proves nothing.
    """
    if entry.size != status.st_size & _WORD or entry.ino != status.st_ino & _WORD:
        return False
    if not _same_time(entry.mtime_ns, status.st_mtime_ns):
        return False
    if trust_ctime and not _same_time(entry.ctime_ns, status.st_ctime_ns):
        return False
    if entry.uid != status.st_uid & _WORD or entry.gid != status.st_gid & _WORD:
        return False
    return fidelity.allows(entry.mode, status.st_mode)


def is_racy(entry: IndexEntry, index_mtime_ns: int) -> bool:
    """git's rule, which counts whole seconds: the file is not older than the index."""
    return entry.mtime_ns // _SECOND >= index_mtime_ns // _SECOND


def _same_time(recorded: int, actual: int) -> bool:
    if recorded % _SECOND == 0:
        return recorded // _SECOND == actual // _SECOND & _WORD
    return recorded == actual


def _set_aside_as(path: bytes, record: bytes, before: bytes) -> bytes:
    """The record, with what a person told git about the path in an earlier one."""
    entry, earlier = decode_record(path, record), decode_record(path, before)
    flags, ext_flags = earlier.flags & ASSUME_VALID, earlier.ext_flags & SKIP_WORKTREE
    return encode_record(entry._replace(flags=entry.flags | flags, ext_flags=entry.ext_flags | ext_flags))


def _folded(path: bytes) -> str:
    return os.fsdecode(path).casefold()


def _count_in(directories: dict[bytes, int], path: bytes) -> None:
    while path:
        path = path.rpartition(b"/")[0]
        if path in directories:
            directories[path] += 1
            return
        directories[path] = 1


def _usable_cache(extension: bytes | None) -> CacheTree | None:
    if extension is None:
        return None
    try:
        return parse_cache_tree(extension)
    except FormatError:
        return None  # it only saves work
