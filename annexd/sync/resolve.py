"""What becomes of a merge that git could not finish: every version is kept, under names that do not depend on who asks.

Two repositories that resolve the same conflict at the same moment have to come to the same tree, else each would next
be in conflict with the other's solution. Nothing here reads or writes a file.

Source: git-annex, automatic conflict resolution. What git-annex leaves to people (conflicts in which no side is
annexed, submodules) is resolved here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from annexd.formats.key import Key
from annexd.formats.pointer import pointer_for
from annexd.formats.variants import plain_variant_paths, variant_paths
from annexd.git.history import Conflict, MergeOutcome, Stage
from annexd.git.objects import BLOB, Oid, object_id
from annexd.git.tree import MODE_DIR, MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_LINK, Blob

BASE, OLDER, NEWER = 1, 2, 3
"""Stages of a conflict."""

COLLISION = b"CONFLICT (rename involved in collision)"
_REGULAR = {MODE_FILE, MODE_EXECUTABLE}


class Resolved(NamedTuple):
    """A path that was in conflict, and where its versions are now (nowhere when both sides did away with it)."""

    path: bytes
    kept: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What to change in a merge's tree (None is a removal), the blobs that are new, and which paths that is for."""

    changes: Mapping[bytes, Blob | None]
    blobs: Mapping[Oid, bytes]
    resolved: tuple[Resolved, ...]


class Surroundings(Protocol):
    """What a resolution has to know of the repository."""

    def entry(self, path: bytes) -> Blob | None:
        """What the merge's tree has at a path, directories included."""
        ...

    def tip(self, side: int, path: bytes) -> Blob | None:
        """The file that a side (OLDER or NEWER) has at a path."""
        ...

    def read(self, oid: Oid) -> bytes:
        """The content of a blob."""
        ...

    def key(self, blob: Blob) -> Key | None:
        """The key that a file stands for; None for one that is not annexed."""
        ...

    def link(self, path: bytes, key: Key) -> bytes:
        """The target of the symlink at `path` to the content of `key`."""
        ...


class Version(NamedTuple):
    """What one side has at a path."""

    blob: Blob
    key: Key | None

    @property
    def order(self) -> tuple[bytes, int, Oid]:
        """Sorts versions in a way that does not depend on whose they are."""
        return b"" if self.key is None else bytes(self.key), *self.blob


class Group(NamedTuple):
    """All that git says of one path. `older` and `newer` are the two sides' versions, None where a side has none."""

    path: bytes
    has_base: bool
    older: Version | None
    newer: Version | None

    @property
    def versions(self) -> tuple[Version, ...]:
        """The versions that there are."""
        return tuple(version for version in (self.older, self.newer) if version is not None)


def resolve(outcome: MergeOutcome, labels: Sequence[bytes], around: Surroundings) -> Resolution:
    """Resolve all conflicts of a merge. `labels` are the names git knew the two sides by, the older one's first."""
    outcome = untangled(outcome, labels, around)
    placing = _Placing(around, {conflict.path: None for conflict in outcome.conflicts})
    groups = group_conflicts(outcome.conflicts, labels, around.key)
    for group in groups:
        placing.keep(group)
    for group in groups:
        placing.move_away(group)
    resolved = tuple(Resolved(group.path, tuple(placing.kept[group.path])) for group in groups)
    return Resolution(placing.changes, placing.blobs, resolved)


def group_conflicts(
    conflicts: Iterable[Conflict], labels: Sequence[bytes], key: Callable[[Blob], Key | None]
) -> list[Group]:
    """The conflicts by the paths that people know. git records a version that cannot stay under a name of its own
    ("f~LABEL", or "f~LABEL_1" where that is taken); such a version belongs to the path it was moved from.
    """
    bases: dict[bytes, bool] = {}
    sides: dict[bytes, dict[int, Version]] = {}
    for conflict in conflicts:
        path = known_path(conflict.path, labels)
        bases.setdefault(path, False)
        found = sides.setdefault(path, {})
        for stage, mode, oid in conflict.stages:
            if stage == BASE:
                bases[path] = True
            else:
                found[stage] = Version((mode, oid), key((mode, oid)))
    return [Group(path, bases[path], sides[path].get(OLDER), sides[path].get(NEWER)) for path in sorted(sides)]


def known_path(path: bytes, labels: Sequence[bytes]) -> bytes:
    """The path that git moved away to `path`."""
    for label in labels:
        base, mark, number = path.rpartition(b"~" + label)
        if mark and base and (not number or (number[:1] == b"_" and number[1:].isdigit())):
            return base
    return path


def untangled(outcome: MergeOutcome, labels: Sequence[bytes], around: Surroundings) -> MergeOutcome:
    """The conflicts with each side's own version in the place of what git mixed while it followed renames.

    A file moved to one name here and to another there, or to a name that the other side uses as well, is merged first,
    and what comes of that counts as a version, conflict markers and all; at times the other side's version is dropped.
    """
    found = {conflict.path: list(conflict.stages) for conflict in outcome.conflicts}
    for note in outcome.notes:
        if note.kind == COLLISION and len(note.paths) == 2:
            _separate(found, known_path(note.paths[0], labels), note.paths[1], labels, around)
    for path, stages in found.items():
        for place, stage in enumerate(stages):
            if stage.mode in _REGULAR and stage.stage != BASE and is_half_merged(around.read(stage.oid), labels):
                own = around.tip(stage.stage, known_path(path, labels))
                stages[place] = stage if own is None else Stage(stage.stage, *own)
    return outcome._replace(conflicts=tuple(Conflict(path, tuple(stages)) for path, stages in found.items()))


def _separate(
    found: dict[bytes, list[Stage]], target: bytes, source: bytes, labels: Sequence[bytes], around: Surroundings
) -> None:
    """One side moved `source` to `target`, the other has `target` too, and a `source` that does not merge: keep all."""
    staying = [side for side in (OLDER, NEWER) if around.tip(side, source) is not None]
    if len(staying) != 1:
        return
    (side,) = staying
    own, left = around.tip(OLDER + NEWER - side, target), around.tip(side, source)
    for path, stages in found.items():
        if own is not None and known_path(path, labels) == target:
            stages[:] = [Stage(s.stage, *own) if s.stage == OLDER + NEWER - side else s for s in stages]
    there = around.entry(source)
    if left is not None and source not in found and (there is None or there[0] == MODE_DIR):
        found[source] = [Stage(BASE, *left), Stage(side, *left)]


def is_half_merged(data: bytes, labels: Sequence[bytes]) -> bool:
    """Whether git left conflict markers of this very merge in a text."""
    if not any(label in data for label in labels):
        return False
    lines = (line.lstrip(b"<>") for line in data.splitlines() if line.startswith((b"<<<<<<<", b">>>>>>>")))
    return any(line.startswith(b" " + label) for line in lines for label in labels)


def _divide(group: Group) -> tuple[Version | None, tuple[Version, ...]]:
    """The version that keeps the path, and those which go elsewhere. Two that are one in all but mode are joined."""
    older, newer = group.older, group.newer
    if older is None or newer is None:
        only = older or newer
        if only is not None and only.key is not None and group.has_base:
            return None, (only,)    # changed here, deleted there
        return only, ()
    if (joined := _joined(older, newer)) is not None:
        return joined, ()
    if older.key is not None and newer.key is not None:
        return None, (older, newer)
    if older.key is not None or newer.key is not None:
        return (newer, (older,)) if newer.key is None else (older, (newer,))
    return _divide_plain(group.path, older, newer)


def _divide_plain(path: bytes, older: Version, newer: Version) -> tuple[Version | None, tuple[Version, ...]]:
    """Of a submodule there can be only one, and git has to find its own files in their places."""
    is_module = [version.blob[0] == MODE_GITLINK for version in (older, newer)]
    if all(is_module):
        return newer, ()
    if any(is_module):
        return (older, (newer,)) if is_module[0] else (newer, (older,))
    if path.rpartition(b"/")[2].startswith(b".git"):
        return newer, (older,)
    return None, (older, newer)


def _joined(a: Version, b: Version) -> Version | None:
    """What two versions with the same content are together: unlocked if either is, executable if either is."""
    modes = {a.blob[0], b.blob[0]}
    if a.key is not None and a.key == b.key:
        unlocked = modes - {MODE_LINK}
        return Version((max(unlocked, default=MODE_LINK), a.blob[1]), a.key)
    if a.key is None and b.key is None and a.blob[1] == b.blob[1] and (len(modes) == 1 or modes == _REGULAR):
        return Version((max(modes), a.blob[1]), None)
    return None


class _Placing:
    """Finds a place for each version. What keeps its path comes first, so that no variant takes it."""

    def __init__(self, around: Surroundings, changes: dict[bytes, Blob | None]) -> None:
        self.changes = changes
        self.blobs: dict[Oid, bytes] = {}
        self.kept: dict[bytes, list[bytes]] = {}
        self._around = around
        self._homeless: dict[bytes, list[Version]] = {}
        self._placed: dict[bytes, Version] = {}
        self._directories: set[bytes] = set()       # that the placed versions need

    def keep(self, group: Group) -> None:
        """Put what stays at the path there; note what has to go elsewhere."""
        staying, leaving = _divide(group)
        self.kept[group.path] = []
        if staying is not None and not self._is_free(group.path):
            leaving = (*leaving, staying)
        elif staying is not None:
            self._put(group, group.path, staying)
        self._homeless[group.path] = sorted(set(leaving), key=lambda version: version.order)

    def move_away(self, group: Group) -> None:
        """Find names for the versions that could not stay."""
        for version in self._homeless[group.path]:
            self._put(group, *self._place(group.path, version))

    def _place(self, path: bytes, version: Version) -> tuple[bytes, Version]:
        """Where a version goes: to a free name, or to what is the same content already."""
        if version.key is not None:
            names = variant_paths(path, version.key)
        else:
            names = plain_variant_paths(path, version.blob[1].hex().encode())
        for name in names:
            if self._is_free(name):
                break
            there = self._version_at(name)
            if there is not None and (joined := _joined(there, version)) is not None:
                return name, joined
        return name, version

    def _put(self, group: Group, path: bytes, version: Version) -> None:
        mode, oid = version.blob
        if version.key is not None:
            data = self._around.link(path, version.key) if mode == MODE_LINK else pointer_for(version.key)
            oid = object_id(BLOB, data)
            self.blobs[oid] = data
        self.changes[path] = (mode, oid)
        self.kept[group.path].append(path)
        self._placed[path] = version
        self._directories.update(_above(path))

    def _is_free(self, path: bytes) -> bool:
        """Whether nothing is at a path, and only directories or nothing above it."""
        if path in self._directories or self._blob_at(path) is not None:
            return False
        return all((there := self._blob_at(above)) is None or there[0] == MODE_DIR for above in _above(path))

    def _blob_at(self, path: bytes) -> Blob | None:
        planned = self.changes.get(path)
        if planned is not None:
            return planned
        found = self._around.entry(path)
        return None if found is not None and path in self.changes and found[0] != MODE_DIR else found

    def _version_at(self, path: bytes) -> Version | None:
        if path in self._placed:
            return self._placed[path]
        blob = self._blob_at(path)
        return None if blob is None or blob[0] == MODE_DIR else Version(blob, self._around.key(blob))


def _above(path: bytes) -> Iterator[bytes]:
    """The directories that a path is in."""
    end = path.find(b"/")
    while end >= 0:
        yield path[:end]
        end = path.find(b"/", end + 1)
