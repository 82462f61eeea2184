"""What has to happen in the work tree to get from one tree to another, and what stands in the way. Changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from annexd.annex.index_access import is_certain
from annexd.annex.objects import ObjectStore
from annexd.annex.twins import on_disk
from annexd.annex.work_entries import GITLINK_MODE, LINK_MODE, Holds, compare, is_beginning, read_small
from annexd.annex.work_files import WorkFiles
from annexd.errors import RepositoryError
from annexd.formats.key import Key
from annexd.formats.paths import check_repo_path
from annexd.formats.pointer import MAX_POINTER, POINTER_START, parse_link, parse_pointer
from annexd.git.index import GitIndex
from annexd.git.object_store import GitObjects
from annexd.git.objects import BLOB, Oid
from annexd.git.tree import Blob, TreeChange


class Step(NamedTuple):
    """One path. `seen` is the stat of what is there and may be replaced; `is_done` if it is as it should be already."""

    path: bytes
    old: Blob | None
    new: Blob | None
    seen: os.stat_result | None
    is_done: bool = False


class Plan(NamedTuple):
    """All steps, or the paths that are in the way: then nothing may be done.

    `directories` are those that give way to a file, and hold nothing but directories once the removals are done.
    """

    steps: list[Step]
    blocked: list[bytes]
    directories: frozenset[bytes]


class Blobs:
    """Content of the blobs that a checkout deals with: small ones are read once, many at a time."""

    def __init__(self, objects: GitObjects) -> None:
        self._objects = objects
        self._small: dict[Oid, bytes] = {}
        self._keys: dict[Oid, Key | None] = {}
        self._names: dict[Oid, bytes] = {}

    def load(self, oids: Iterable[Oid]) -> None:
        """Read these blobs ahead."""
        wanted = [oid for oid in dict.fromkeys(oids) if oid not in self._small]
        for oid, found in zip(wanted, self._objects.read_many(wanted), strict=True):
            if found is not None and found.kind == BLOB and len(found.data) <= MAX_POINTER:
                self._small[oid] = found.data

    def is_loaded(self, oid: Oid) -> bool:
        """Whether the content was read ahead, as it is small."""
        return oid in self._small

    def data(self, oid: Oid) -> bytes:
        """The content. Raises RepositoryError when the repository lacks it."""
        found = self._small.get(oid)
        if found is None:
            found = self._objects.read_blob(oid)
            if found is None:
                raise RepositoryError(f"blob {oid.hex()} is missing", hint="run git fsck")
        return found

    def key(self, blob: Blob) -> Key | None:
        """The key that a file of this mode and content stands for; None for one that is not annexed.

        A key whose name could lead astray is no key: such a file is checked out as the text that it is.
        """
        mode, oid = blob
        if mode == GITLINK_MODE:
            return None
        if mode == LINK_MODE:
            return parse_link(self.data(oid))
        if oid not in self._keys:
            self._keys[oid] = parse_pointer(self.data(oid))
        return self._keys[oid]

    def key_name(self, oid: Oid, key: Key) -> bytes:
        """The file name of `key`, for which the pointer `oid` stands."""
        name = self._names.get(oid)
        if name is None:
            name = self._names[oid] = key.file_name()
        return name

    def odd_pointers(self) -> list[Oid]:
        """Those of the blobs asked about that are pointers in another form than the one git-annex writes."""
        return [
            oid for oid, key in self._keys.items()
            if key and self.data(oid) != POINTER_START + self.key_name(oid, key) + b"\n"
        ]  # fmt: skip


def make_plan(
    changes: Sequence[TreeChange],
    index: GitIndex,
    work: WorkFiles,
    blobs: Blobs,
    store: ObjectStore,
    *,
    goes_on: bool = False,
    is_converted: Callable[[bytes, Blob], bool] = lambda _path, _blob: False,
) -> Plan:
    """Look at every path that changes; `goes_on` when this checkout was begun before, and cut off.

    `is_converted` knows whether a file is what git makes of a blob that is not annexed.

    Raises UnsafePath for trees with names that lead out of the work tree.
    """
    for change in changes:
        check_repo_path(change.path)
    return _Planner(changes, index, work, blobs, store, is_converted, goes_on=goes_on).plan()


def is_cut_off(path_abs: bytes, status: os.stat_result, new: Blob, blobs: Blobs, store: ObjectStore) -> bool:
    """Whether the file holds but the beginning of what it is to be, or all of it: nothing that could be lost. OSError.

    A file that is written under its own name is left so by a crash.
    """
    mode, oid = new
    if not stat.S_ISREG(status.st_mode) or mode in (LINK_MODE, GITLINK_MODE):
        return False
    key = blobs.key(new)
    place = None if key is None else store.locate(key)
    if place is not None and is_beginning(path_abs, status, place):
        return True
    data = blobs.data(oid)
    return status.st_size <= len(data) and read_small(path_abs, status.st_size) == data[: status.st_size]


class _Planner:
    def __init__(
        self, changes: Sequence[TreeChange], index: GitIndex, work: WorkFiles, blobs: Blobs, store: ObjectStore,
        is_converted: Callable[[bytes, Blob], bool], *, goes_on: bool,
    ) -> None:  # fmt: skip
        self._is_converted = is_converted
        self._goes_on = goes_on
        self._changes = changes
        self._index = index
        self._work = work
        self._blobs = blobs
        self._store = store
        self._leaving = {change.path for change in changes if change.new is None}
        self._directories: dict[bytes, bytes | None] = {b"": b""}
        self._giving_way: set[bytes] = set()

    def plan(self) -> Plan:
        steps: list[Step] = []
        blocked: dict[bytes, None] = {}
        for change in self._changes:
            found = self._step(change)
            if isinstance(found, Step):
                steps.append(found)
            else:
                blocked.update(dict.fromkeys(found))
        return Plan(steps, list(blocked), frozenset(self._giving_way))

    def _step(self, change: TreeChange) -> Step | list[bytes]:
        """The step, or what is in its way."""
        path, old, new = change
        entry = self._index.get(path)
        staged = None if entry is None else (entry.mode, entry.oid)
        if staged not in (old, new) or (entry is None and path in self._index):
            return [path]       # somebody staged something else
        if new is not None and (obstacle := self._obstacle(_parent(path))):
            return [obstacle]
        status = self._work.lstat(path) if self._is_there(_parent(path)) else None
        if status is None:
            if entry is not None and entry.is_set_aside:
                return Step(path, old, new, None, is_done=True)     # only the index follows
            # Deleted, and the deletion is not committed: it must not be taken back.
            gone = staged is not None and new is not None
            return [path] if gone else Step(path, old, new, None, is_done=new is None)
        if (entry is None or entry.is_set_aside) and (twin := self._twin(path)):
            return Step(path, old, new, None, is_done=entry is not None or twin not in self._leaving)
        if stat.S_ISDIR(status.st_mode):
            return self._directory_step(change, status)
        if entry is not None and is_certain(self._index, entry, status):
            return Step(path, old, new, status, is_done=staged == new)
        return self._looked_into(change, status)

    def _twin(self, path: bytes) -> bytes | None:
        """The path whose file is in the work tree where this one would be."""
        twin = on_disk(self._work.top, path, self._index)
        return None if twin == path else twin

    def _looked_into(self, change: TreeChange, status: os.stat_result) -> Step | list[bytes]:
        """stat does not tell whether the file is clean, so its content has to."""
        path, old, new = change
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return [path]
        if new is not None and (held := self._holds(path, status, new)) is not Holds.NO:
            return Step(path, old, new, status, is_done=held is Holds.YES or not self._is_present(new))
        if old is not None and self._holds(path, status, old) is not Holds.NO:
            return Step(path, old, new, status)
        if self._goes_on and old is None and new is not None and self._is_cut_off(path, status, new):
            return Step(path, old, new, status)
        return [path]

    def _is_cut_off(self, path: bytes, status: os.stat_result, new: Blob) -> bool:
        return is_cut_off(self._work.absolute(path), status, new, self._blobs, self._store)

    def _holds(self, path: bytes, status: os.stat_result, blob: Blob) -> Holds:
        mode, oid = blob
        if mode == GITLINK_MODE:
            return Holds.NO
        key = self._blobs.key(blob)
        place = None if key is None or mode == LINK_MODE else self._store.locate(key)
        held = compare(self._work.absolute(path), status, mode, self._blobs.data(oid), place, self._index.fidelity)
        may_be_converted = held is Holds.NO and key is None and mode != LINK_MODE
        may_be_converted = may_be_converted and self._index.fidelity.allows(mode, status.st_mode)
        return Holds.YES if may_be_converted and self._is_converted(path, blob) else held

    def _is_present(self, blob: Blob) -> bool:
        key = self._blobs.key(blob)
        return key is not None and self._store.is_present(key)

    def _directory_step(self, change: TreeChange, status: os.stat_result) -> Step | list[bytes]:
        path, old, new = change
        if new is not None and new[0] == GITLINK_MODE:
            return Step(path, old, new, status, is_done=True)
        if old is not None and old[0] == GITLINK_MODE:
            if new is None:
                return Step(path, old, new, None)
            return [path]
        if self._goes_on and new is None:
            return Step(path, old, new, None, is_done=True)     # the directory for which the file had to go
        if new is None or old is not None:
            return [path]       # a person put a directory in the file's place
        self._giving_way.add(path)
        return self._strangers(path) or Step(path, old, new, None)

    def _strangers(self, directory: bytes) -> list[bytes]:
        """Files below a directory that has to go which do not go by themselves."""
        found = []
        cut = len(self._work.top) + 1
        for base, directories, names in os.walk(self._work.absolute(directory)):
            links = [name for name in directories if os.path.islink(base + b"/" + name)]
            paths = [(base + b"/" + name)[cut:] for name in (*names, *links)]
            found += [path for path in paths if path not in self._leaving]
        return found

    def _obstacle(self, directory: bytes) -> bytes | None:
        """What keeps `directory` from being made or used: something that is not a directory and stays."""
        self._visit(directory)
        return self._directories[directory] or None

    def _is_there(self, directory: bytes) -> bool:
        self._visit(directory)
        return self._directories[directory] == b""

    def _visit(self, directory: bytes) -> None:
        """Note about a directory: b"" if it is there, None if it can be made, else what is in the way."""
        if directory in self._directories:
            return
        above = _parent(directory)
        self._visit(above)
        found = self._directories[above]
        if found == b"":
            status = self._work.lstat(directory)
            if status is None or (not stat.S_ISDIR(status.st_mode) and directory in self._leaving):
                found = None
            elif not stat.S_ISDIR(status.st_mode):
                found = directory
        self._directories[directory] = found


def _parent(path: bytes) -> bytes:
    return path[: max(path.rfind(b"/"), 0)]
