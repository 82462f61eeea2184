"""Finding files whose content may have to be moved: all of them, or what changed since a cursor.

Reads only, with a state of its own, and holds neither tree nor logs in memory. What is found is a superset: whoever
plans transfers looks at each key again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from annexd.annex.annexed_files import TrackedFile, annexed
from annexd.annex.state import AnnexState
from annexd.annex.tree_keys import KeyFile, TreeKeys
from annexd.formats.branch_paths import key_of_any_log
from annexd.formats.hash_dirs import place, place_of
from annexd.formats.key import Key, key_in_path
from annexd.formats.logs import presence
from annexd.formats.uuid import UUID
from annexd.git.listing import blobs_in, changes_in
from annexd.git.objects import EMPTY_TREE, Oid
from annexd.git.tree import MODE_GITLINK, TreeChange, Trees
from annexd.transfer.scan_cursor import Cursor

AT_ONCE = 2_000     # files whose logs are read together
KEYS_AT_ONCE = 500

_DIRECTORY_BITS = {2: 39, 1: 51}    # lower bits of a place; those above are the directories that a log is in


class FoundFile(NamedTuple):
    """A file whose content may have to be moved; `place` is that of its key."""

    place: int
    path: bytes
    is_unlocked: bool
    key: Key


class Log(NamedTuple):
    """A location log: the file name of its key, and the blob."""

    place: int
    name: bytes
    oid: Oid


class Lookout:
    """Who the scan is for. Belongs to the scanner's thread, which may take in more while a search is under way."""

    def __init__(self, us: UUID, *, is_for_us: bool, remotes: Iterable[UUID] = ()) -> None:
        self.us = us
        self.is_for_us = is_for_us
        self.remotes = set(remotes)

    def concerns(self, annex: AnnexState, file: KeyFile, log: Log | None, data: bytes) -> bool:
        """Whether somebody lacks what somebody else has, by the log; for us whether we have what it says we have."""
        is_here = says_present(data, self.us)
        if self.is_for_us and not (is_here and log is not None and _is_in_order(annex, file, log.name)):
            return True
        return any(says_present(data, remote) is not is_here for remote in self.remotes)


def says_present(log: bytes, uuid: UUID) -> bool:
    """Whether a location log says that the repository has the content; the usual log is not parsed for that."""
    line_end = b"%b\n" % uuid
    if log.count(uuid) == 1 and b"\r" not in log:
        if log.find(b" 1 " + line_end) > 0:
            return True
        if log.find(b" 0 " + line_end) > 0:
            return False
    elif log.find(uuid) < 0:
        return False
    return uuid in presence.present(log)


def everything(
    annex: AnnexState, keys: TreeKeys, tip: Oid | None, lookout: Lookout, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, list[FoundFile]]]:
    """Files of the tree that concern `lookout`, by place from `start` to `end` or a little further; and how far it is.

    `keys` has to be at the tree. Raises GitError, RepositoryError, DatabaseBroken.
    """
    root = annex.branch.root_of(tip)
    bits = _DIRECTORY_BITS[annex.layout.branch_levels]
    joined = _joined(keys.all_files(start), _logs(annex, root), bits)
    while some := list(islice(joined, AT_ONCE)):
        if end is not None and some[0][0].place > end:
            return
        logs = list(dict.fromkeys(log.oid for _, log in some if log is not None))
        blobs = annex.objects.read_many(logs)
        data = {oid: b"" if blob is None else blob.data for oid, blob in zip(logs, blobs, strict=True)}
        found = []
        for file, log in some:
            if lookout.concerns(annex, file, log, b"" if log is None else data[log.oid]):
                key = _key_at(annex, keys.tree, file) if log is None else key_in_path(log.name)
                if key is not None:
                    found.append(FoundFile(*file, key))
        yield some[-1][0].place, found


def changed_files(annex: AnnexState, old: Oid | None, new: Oid | None) -> Iterator[list[FoundFile]]:
    """Annexed files that are in the new tree and were not so in the old one. Raises RepositoryError, GitError."""
    changes = Trees(annex.objects).diff(_plain(old), _plain(new))
    files = annexed(annex, (file for change in changes if (file := _after(change)) is not None))
    while some := list(islice(files, KEYS_AT_ONCE)):
        yield [FoundFile(place(file.key), file.path, file.is_unlocked, file.key) for file in some]


def keys_gone(annex: AnnexState, keys: TreeKeys, old: Oid | None, new: Oid | None) -> Iterator[list[Key]]:
    """Keys that were in a file of the old tree and are in none of the new one, which `keys` has to be at."""
    changes = Trees(annex.objects).diff(_plain(old), _plain(new))
    files = annexed(annex, (file for change in changes if (file := _before(change)) is not None))
    while some := {file.key for file in islice(files, KEYS_AT_ONCE)}:
        yield list(some - keys.files_of(some).keys())


def changed_keys(
    annex: AnnexState, keys: TreeKeys, old: Oid | None, new: Oid | None, lookout: Lookout
) -> Iterator[list[FoundFile]]:
    """The files of keys about which two commits of the git-annex branch differ, as far as they concern `lookout`.

    Raises RepositoryError, GitError.
    """
    before, after = (annex.branch.root_of(commit) or EMPTY_TREE for commit in (old, new))
    if before == after:
        return
    changes = changes_in(annex.repo, before, after)
    while some := list(islice(changes, AT_ONCE)):
        changed: dict[Key, Oid | None] = {}
        for path, oid in some:
            key = key_of_any_log(path, annex.layout.branch_levels)
            if key is not None:     # whatever else is known of a key may matter to anybody
                changed[key] = oid if path.endswith(b".log") and key not in changed else None
        yield _that_concern(annex, keys.files_of(changed), changed, lookout)


def _that_concern(
    annex: AnnexState, files: Mapping[Key, Sequence[KeyFile]], changed: Mapping[Key, Oid | None], lookout: Lookout
) -> list[FoundFile]:
    logs = {key: oid for key in files if (oid := changed[key]) is not None}
    blobs = annex.objects.read_many(logs.values())
    data = {key: b"" if blob is None else blob.data for key, blob in zip(logs, blobs, strict=True)}
    found = []
    for key, names in files.items():
        oid = logs.get(key)
        for file in names:
            log = None if oid is None else Log(file.place, key.file_name(), oid)
            if log is None or lookout.concerns(annex, file, log, data[key]):
                found.append(FoundFile(*file, key))
    return found


def since(
    annex: AnnexState, keys: TreeKeys, bases: Iterable[Cursor], now: Cursor, lookout: Lookout
) -> Iterator[list[FoundFile]]:
    """What changed between any of the cursors and now, in tree or branch."""
    bases = list(bases)
    for tree in {base.tree for base in bases} - {now.tree}:
        yield from changed_files(annex, tree, now.tree)
    for tip in {base.tip for base in bases} - {now.tip}:
        yield from changed_keys(annex, keys, tip, now.tip, lookout)


# -- beside each other


def _logs(annex: AnnexState, root: Oid | None) -> Iterator[Log]:
    """All location logs in order of their directories, which is that of places but for their lower bits."""
    if root is None:
        return
    levels = annex.layout.branch_levels
    start = 4 * levels
    for path, oid in blobs_in(annex.repo, root):
        if path.endswith(b".log") and path.count(b"/") == levels:
            name = path[start:-4]
            number = place_of(name)
            if b"&" in name or b"%" in name:
                key = key_in_path(name)
                number = -1 if key is None else place(key)
            if path.startswith((b"%03x/%03x/" % (number >> 51, number >> 39 & 0xFFF))[:start]):     # else out of order
                yield Log(number, name, oid)


def _joined(files: Iterator[KeyFile], logs: Iterator[Log], bits: int) -> Iterator[tuple[KeyFile, Log | None]]:
    directory = -1
    there: dict[int, Log] = {}
    following = next(logs, None)
    for file in files:
        wanted = file.place >> bits
        if wanted != directory:
            directory, there = wanted, {}
            while following is not None and following.place >> bits < wanted:
                following = next(logs, None)
            while following is not None and following.place >> bits == wanted:
                there[following.place] = following
                following = next(logs, None)
        yield file, there.get(file.place)


def _is_in_order(annex: AnnexState, file: KeyFile, name: bytes) -> bool:
    """Whether the content is here, and an unlocked file is no pointer to it any more."""
    key = key_in_path(name)
    if key is None:
        return True
    # The usual place first: computing and trying all of them takes twice as long.
    is_here = os.path.lexists(annex.layout.object_path(key)) or annex.store.is_present(key)
    return is_here and not may_be_pointer(annex, FoundFile(*file, key))


def may_be_pointer(annex: AnnexState, file: FoundFile) -> bool:
    """Whether the unlocked file of content that is here may still stand for it; a look at its size."""
    if not file.is_unlocked or annex.repo.work_tree is None:
        return False
    with suppress(OSError):
        return os.lstat(annex.repo.work_tree + b"/" + file.path).st_size != file.key.size
    return False


def _key_at(annex: AnnexState, tree: Oid | None, file: KeyFile) -> Key | None:
    blob = Trees(annex.objects).lookup(_plain(tree), file.path)
    if blob is None:
        return None
    return next((found.key for found in annexed(annex, [TrackedFile(file.path, *blob)])), None)


def _after(change: TreeChange) -> TrackedFile | None:
    return None if change.new is None or change.new[0] == MODE_GITLINK else TrackedFile(change.path, *change.new)


def _before(change: TreeChange) -> TrackedFile | None:
    return None if change.old is None or change.old[0] == MODE_GITLINK else TrackedFile(change.path, *change.old)


def _plain(tree: Oid | None) -> Oid | None:
    return None if tree == EMPTY_TREE else tree


