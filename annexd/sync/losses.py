"""What a change of trees takes away: content that was at a path and is at no other path afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from annexd.annex.annexed_files import TrackedFile, annexed
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.git.history import read_commit
from annexd.git.objects import Oid
from annexd.git.tree import MODE_GITLINK, Blob, TreeChange, Trees

Content = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """Paths with what they were: of files that are gone, and of files that hold something else now."""

    deleted: dict[bytes, Blob]
    rewritten: dict[bytes, Blob]

    def __len__(self) -> int:
        return len(self.deleted) + len(self.rewritten)

    def among(self, paths: Collection[bytes]) -> Losses:
        """Those of them that are at `paths`."""
        return Losses(
            {path: blob for path, blob in self.deleted.items() if path in paths},
            {path: blob for path, blob in self.rewritten.items() if path in paths},
        )


NOTHING = Losses({}, {})


def find_losses(
    annex: AnnexState, old: Oid | None, new: Oid | None, *, start: Oid | None = None, least: int = 1
) -> Losses:
    """What tree `new` lacks of tree `old`; nothing when there are fewer than `least` files of it.

    Content that is at another path than before was moved, and is not lost; each copy counts. `start` is an earlier
    tree (default: `old`): what came to a path since then may have been moved there, too. Nor is a file that was
    locked, unlocked, or got other mode bits. Submodules are left out. Reads the blobs of changed files alone.
    """
    changes = _file_changes(annex, old, new)
    if sum(1 for change in changes if change.old is not None) < least:
        return NOTHING
    arrived = changes if start in (None, old) else _file_changes(annex, start, new)
    if len(_unmatched(changes, arrived, _by_blob)) < least:
        return NOTHING
    contents = _Contents(annex, (*changes, *arrived))
    return _as_losses(_unmatched(changes, arrived, contents.of))


def touched_paths(annex: AnnexState, commits: Iterable[Oid]) -> set[bytes]:
    """Paths of files that these commits deleted or rewrote. Merges are passed over: they only repeat others."""
    trees = Trees(annex.objects)
    found: set[bytes] = set()
    for oid in commits:
        commit = read_commit(annex.objects, oid)
        if commit is None or len(commit.parents) != 1:
            continue
        before = read_commit(annex.objects, commit.parents[0])
        if before is not None:
            found.update(c.path for c in trees.diff(before.tree, commit.tree) if c.old is not None)
    return found


def count_files(annex: AnnexState, tree: Oid | None) -> int:
    """How many files a tree has."""
    return sum(1 for _ in Trees(annex.objects).entries(tree))


def _file_changes(annex: AnnexState, old: Oid | None, new: Oid | None) -> list[TreeChange]:
    return [c for c in Trees(annex.objects).diff(old, new) if not _is_submodule(c.old) and not _is_submodule(c.new)]


def _unmatched(
    changes: Iterable[TreeChange], arrivals: Iterable[TreeChange], content: Callable[[Blob], Content]
) -> list[TreeChange]:
    """The changes that took content away which is not at a path that it came to meanwhile."""
    places = Counter(content(change.new) for change in _differing(arrivals, content) if change.new is not None)
    lost = []
    for change in _differing(changes, content):
        if change.old is None:
            continue
        what = content(change.old)
        if places[what] > 0:
            places[what] -= 1
        else:
            lost.append(change)
    return lost


def _differing(changes: Iterable[TreeChange], content: Callable[[Blob], Content]) -> list[TreeChange]:
    return [c for c in changes if c.old is None or c.new is None or content(c.old) != content(c.new)]


def _by_blob(blob: Blob) -> Content:
    return (blob[1],)


class _Contents:
    """What files hold, whichever blob stands for it: a link's depends on where it is, a key on its extension."""

    def __init__(self, annex: AnnexState, changes: Iterable[TreeChange]) -> None:
        blobs = {blob for change in changes for blob in (change.old, change.new) if blob is not None}
        files = [TrackedFile(b"", mode, oid) for mode, oid in blobs]
        self._keys = {(file.mode, file.oid): file.key for file in annexed(annex, files)}

    def of(self, blob: Blob) -> Content:
        key = self._keys.get(blob)
        return _by_blob(blob) if key is None else _of_key(key)


def _of_key(key: Key) -> Content:
    if not key.backend.endswith(b"E"):
        return (key,)
    return key.backend, key.name.partition(b".")[0], key.size


def _as_losses(lost: Iterable[TreeChange]) -> Losses:
    found = Losses({}, {})
    for change in lost:
        assert change.old is not None
        (found.deleted if change.new is None else found.rewritten)[change.path] = change.old
    return found


def _is_submodule(blob: Blob | None) -> bool:
    return blob is not None and blob[0] == MODE_GITLINK
