"""The versions that conflicts left in the tree: which there are, who made them, and how they are settled."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annexd.annex.annexed_files import TrackedFile, annexed, in_tree
from annexd.annex.state import AnnexState
from annexd.errors import UserError
from annexd.formats.key import Key
from annexd.formats.paths import check_repo_path, display
from annexd.formats.pointer import link_target
from annexd.formats.units import format_size
from annexd.formats.uuid import UUID
from annexd.formats.variant_names import is_variant, numbered, original_path
from annexd.git.commit import Commit
from annexd.git.history import read_commit
from annexd.git.objects import BLOB, Oid
from annexd.git.tree import MODE_LINK, Blob, Trees

MESSAGE = b"git-annex in "
MERGES = 10         # in a row that a version is followed through
LONGEST_LABEL = 40

Settled = dict[bytes, Blob | None]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file. `uuid` is known where the commit names a repository that is known."""

    path: bytes
    blob: Blob
    key: Key | None
    size: int | None
    is_here: bool
    commit: Oid | None
    time: int
    author: str
    device: str
    uuid: UUID | None

    def line(self) -> str:
        """For people."""
        size = "size unknown" if self.size is None else format_size(self.size)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time)) if self.time else "unknown time"
        here = "here" if self.is_here else "content not here"
        return f"  {display(self.path)}: {self.device or self.author or 'unknown'}, {when}, {size}, {here}"

    def record(self) -> dict[str, Any]:
        """For machines."""
        return {
            "file": display(self.path), "key": None if self.key is None else str(self.key), "size": self.size,
            "here": self.is_here, "device": self.device, "uuid": None if self.uuid is None else display(self.uuid),
            "author": self.author, "time": self.time, "commit": None if self.commit is None else self.commit.hex(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conflict:
    """What is left of one: the versions, the one that kept the name first, then by time."""

    path: bytes
    versions: tuple[Version, ...]


def find_conflicts(annex: AnnexState) -> list[Conflict]:
    """All of them in the tree that is checked out, by name."""
    files = in_tree(annex, "HEAD")
    groups: dict[bytes, list[TrackedFile]] = {}
    for file in files:
        if is_variant(file.path):
            groups.setdefault(original_path(file.path), []).append(file)
    for file in files:
        if file.path in groups and not is_variant(file.path):
            groups[file.path].append(file)
    keys = {file.path: file.key for file in annexed(annex, [file for group in groups.values() for file in group])}
    origins = _Origins(annex, keys)
    found = []
    for path, group in sorted(groups.items()):
        versions = sorted(
            (origins.version(path, file) for file in group), key=lambda v: (v.path != path, v.time, v.path)
        )
        found.append(Conflict(path, tuple(versions)))
    return found


class _Origins:
    """Looks for the commits that versions come from."""

    def __init__(self, annex: AnnexState, keys: Mapping[bytes, Key]) -> None:
        self._annex = annex
        self._keys = keys
        self._trees = Trees(annex.objects)
        self._uuids = {description: uuid for uuid, description in annex.settings.descriptions.items()}

    def version(self, original: bytes, file: TrackedFile) -> Version:
        """The facts about one file."""
        key = self._keys.get(file.path)
        oid, commit = self._origin(original, file, key)
        first = b"" if commit is None else commit.message.partition(b"\n")[0]
        device = first[len(MESSAGE) :] if first.startswith(MESSAGE) else b""
        return Version(
            file.path, (file.mode, file.oid), key, self._size(file, key),
            key is None or self._annex.store.is_present(key), oid,
            0 if commit is None else commit.author.time, "" if commit is None else display(commit.author.who),
            display(device), self._uuids.get(device) if device else None,
        )  # fmt: skip

    def _size(self, file: TrackedFile, key: Key | None) -> int | None:
        if key is not None:
            return key.size
        return int(self._annex.repo.run(b"cat-file", b"-s", file.oid.hex().encode()))

    def _origin(self, original: bytes, file: TrackedFile, key: Key | None) -> tuple[Oid | None, Commit | None]:
        """The commit that wrote this version: behind the merge that gave it its name, on the side that it came from."""
        path, start = file.path, b"HEAD"
        oid, commit = self._last(start, path)
        for _ in range(MERGES):
            if commit is None or len(commit.parents) < 2:
                break
            side = self._side(commit, (path, original), file, key)
            if side is None:
                break
            start, path = side[0].hex().encode(), side[1]
            oid, commit = self._last(start, path)
        return oid, commit

    def _side(
        self, merge: Commit, paths: Sequence[bytes], file: TrackedFile, key: Key | None
    ) -> tuple[Oid, bytes] | None:
        for parent in merge.parents:
            commit = read_commit(self._annex.objects, parent)
            for path in paths if commit is not None else ():
                found = self._trees.lookup(commit.tree, path)       # type: ignore[union-attr]
                if found is not None and self._is_same(found, file, key):
                    return parent, path
        return None

    def _is_same(self, found: Blob, file: TrackedFile, key: Key | None) -> bool:
        if found[1] == file.oid:
            return True
        known = next(annexed(self._annex, [TrackedFile(b"", *found)]), None)
        return key is not None and known is not None and known.key == key

    def _last(self, start: bytes, path: bytes) -> tuple[Oid | None, Commit | None]:
        name = self._annex.repo.run(b"--literal-pathspecs", b"log", b"-n1", b"--format=%H", start, b"--", path).strip()
        if not name:
            return None, None
        oid = Oid(bytes.fromhex(name.decode()))
        return oid, read_commit(self._annex.objects, oid)


def keep_one(annex: AnnexState, conflict: Conflict, chosen: bytes) -> Settled:
    """The chosen version gets the name that was fought for; the others go."""
    changes: Settled = {version.path: None for version in conflict.versions}
    version = next(version for version in conflict.versions if version.path == chosen)
    changes[conflict.path] = _moved(annex, version, conflict.path)
    return changes


def keep_all(annex: AnnexState, conflict: Conflict, names: Sequence[bytes]) -> Settled:
    """Every version gets a plain name: those given, in the order in which they are listed, else one that tells whose
    it is; the first keeps the name that was fought for. Raises UserError, UnsafePath.
    """
    if len(names) > len(conflict.versions):
        raise UserError(f"{display(conflict.path)} has {len(conflict.versions)} versions, and {len(names)} names")
    taken = {file.path for file in in_tree(annex, "HEAD")} - {version.path for version in conflict.versions}
    changes: Settled = {version.path: None for version in conflict.versions}
    for number, version in enumerate(conflict.versions):
        if number < len(names):
            target = check_repo_path(names[number])
            if target in taken or is_variant(target):
                raise UserError(f"{display(target)} cannot be its name", hint="choose one that is free")
        else:
            target = next(name for name in _plain_names(conflict.path, version, number) if name not in taken)
        taken.add(target)
        changes[target] = _moved(annex, version, target)
    return changes


def _plain_names(path: bytes, version: Version, number: int) -> Iterator[bytes]:
    if number == 0:
        yield path
    label = version.device or time.strftime("%Y-%m-%d", time.localtime(version.time)) if version.time else "version"
    clean = "".join(letter if letter.isalnum() or letter in " -_@." else "-" for letter in label)[:LONGEST_LABEL]
    for count in range(1, 10**6):
        yield numbered(path, clean.strip().encode("utf-8", "replace"), count)


def _moved(annex: AnnexState, version: Version, path: bytes) -> Blob:
    """The version's blob under another path: where a link leads to depends on where it is."""
    if version.blob[0] != MODE_LINK or version.key is None:
        return version.blob
    return MODE_LINK, annex.objects.add(BLOB, link_target(path, annex.layout.link_object_path(version.key)))
