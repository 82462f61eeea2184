"""Which files of the checked-out branch stand for which keys, in the order that the git-annex branch has its logs in.

A table on disk that follows the branch by what changed, so that asking for the files of some keys costs the same in a
tree of any size, and that all of them can be gone through beside the location logs without holding either in memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from annexd.annex import database
from annexd.annex.annexed_files import LINK, TrackedFile, annexed
from annexd.annex.database import Database, DatabaseBroken
from annexd.annex.state import AnnexState
from annexd.errors import FormatError, RepositoryError
from annexd.formats.hash_dirs import place, place_of
from annexd.formats.key import Key
from annexd.formats.pointer import MAX_POINTER, parse_link, parse_pointer
from annexd.git.listing import ListedFile, files_in
from annexd.git.objects import BLOB, EMPTY_TREE, Oid
from annexd.git.tree import MODE_GITLINK, TreeChange, Trees

AT_ONCE = 500           # values in one query
_SORTED_AT_ONCE = 100_000
_READ_AT_ONCE = 5_000
_PAGE = 2_000

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS files(
        place INTEGER NOT NULL, path BLOB NOT NULL, unlocked INTEGER NOT NULL, PRIMARY KEY(place, path)
    ) WITHOUT ROWID
"""
_INSERT = "INSERT OR REPLACE INTO files VALUES(?, ?, ?)"

_USUAL_POINTER = re.compile(rb"/annex/objects/([A-Z0-9_]+-s(?:0|[1-9]\d*)--[\w.]{1,200})\n", re.ASCII)
_USUAL_LINK = re.compile(rb"[^\0]*/annex/objects/[^\0]*/([A-Z0-9_]+-s(?:0|[1-9]\d*)--[\w.]{1,200})", re.ASCII)
"""What needs no more parsing to know its place: canonical keys without anything escaped."""


class KeyFile(NamedTuple):
    """A file that stands for the key whose place in the order this is."""

    place: int
    path: bytes
    is_unlocked: bool


class TreeKeys:
    """The table of one repository. Belongs to one thread; states are given to each call.

    What it holds is found out anew when it is lost or damaged, or follows a tree that is gone.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._database = Database(path, _SCHEMA)

    @property
    def tree(self) -> Oid | None:
        """The tree that the table is of; None when it is of none."""
        found = self._database.fact("tree")
        return Oid(found) if found and len(found) == len(EMPTY_TREE) else None

    def follow(self, annex: AnnexState, tree: Oid | None) -> None:
        """Bring the table to this tree (None: no files). Blocks: for little when little differs.

        Raises GitError, RepositoryError when the tree itself cannot be read.
        """
        wanted = EMPTY_TREE if tree is None else tree
        try:
            if self.tree == wanted:
                return
            if self.tree is not None:
                self._change(annex, self.tree, tree)
                return
        except (RepositoryError, FormatError):      # the old tree was pruned, or the table is damaged
            pass
        self._build(annex, wanted)

    def files_of(self, keys: Iterable[Key]) -> dict[Key, list[KeyFile]]:
        """The files of those of the keys that are in the tree. Raises DatabaseBroken."""
        by_place = {place(key): key for key in keys}
        found: dict[Key, list[KeyFile]] = {}
        places = list(by_place)
        for start in range(0, len(places), AT_ONCE):
            some = tuple(places[start : start + AT_ONCE])
            marks = ",".join("?" * len(some))
            query = f"SELECT place, path, unlocked FROM files WHERE place IN ({marks})"
            for number, path, unlocked in self._database.rows(query, some):
                found.setdefault(by_place[number], []).append(KeyFile(number, path, bool(unlocked)))
        return found

    def all_files(self, start: int = 0) -> Iterator[KeyFile]:
        """All files whose place is `start` or more, in order. The table may be changed meanwhile. DatabaseBroken."""
        at, path = start, b""
        while True:
            rows = self._database.rows(
                "SELECT place, path, unlocked FROM files WHERE (place, path) > (?, ?) ORDER BY place, path LIMIT ?",
                (at, path, _PAGE),
            )
            yield from (KeyFile(number, name, bool(unlocked)) for number, name, unlocked in rows)
            if len(rows) < _PAGE:
                return
            at, path = rows[-1][:2]

    def count(self) -> int:
        """How many files there are; looks at all of them."""
        return int(self._database.rows("SELECT count(*) FROM files")[0][0])

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # -- following

    def _change(self, annex: AnnexState, old: Oid, new: Oid | None) -> None:
        before = None if old == EMPTY_TREE else old
        changes = list(Trees(annex.objects).diff(before, new))
        gone = [_side(change, change.old) for change in changes]
        come = [_side(change, change.new) for change in changes]
        removed = [(place(file.key), file.path) for file in annexed(annex, filter(None, gone))]
        added = [(place(file.key), file.path, file.is_unlocked) for file in annexed(annex, filter(None, come))]
        with self._database.transaction():
            self._database.run_many("DELETE FROM files WHERE place = ? AND path = ?", removed)
            self._database.run_many(_INSERT, added)
            self._database.set_fact("tree", EMPTY_TREE if new is None else new)

    def _build(self, annex: AnnexState, tree: Oid) -> None:
        """In a file of its own that takes the place of the old one when it is complete."""
        fresh = self._path + b".new"
        database.remove(fresh)
        made = Database(fresh, _SCHEMA)
        try:
            files = iter(()) if tree == EMPTY_TREE else files_in(annex.repo, tree)
            rows = _rows(annex, files)
            while some := sorted(islice(rows, _SORTED_AT_ONCE)):
                with made.transaction():
                    made.run_many(_INSERT, some)
            made.set_fact("tree", tree)
            made.sync()
        finally:
            made.close()
        self._database.close()
        database.remove(self._path)
        os.rename(fresh, self._path)
        database.remove(fresh)
        self._database = Database(self._path, _SCHEMA)


def _side(change: TreeChange, blob: tuple[int, Oid] | None) -> TrackedFile | None:
    return None if blob is None or blob[0] == MODE_GITLINK else TrackedFile(change.path, *blob)


def _rows(annex: AnnexState, files: Iterator[ListedFile]) -> Iterator[tuple[int, bytes, bool]]:
    candidates = (file for file in files if file.size <= MAX_POINTER)
    while some := list(islice(candidates, _READ_AT_ONCE)):
        blobs = annex.objects.read_many([file.oid for file in some])
        for file, blob in zip(some, blobs, strict=True):
            if blob is None or blob.kind != BLOB:
                continue
            number = _place_in(blob.data, is_link=file.mode == LINK)
            if number is not None:
                yield number, file.path, file.mode != LINK


def _place_in(data: bytes, *, is_link: bool) -> int | None:
    """The place of the key that a link or pointer names; most need no more than one look."""
    found = (_USUAL_LINK if is_link else _USUAL_POINTER).fullmatch(data)
    if found is not None and not (found[1].partition(b"-")[0].endswith(b"E") and len(found[1]) > 100):
        return place_of(found[1])
    key = parse_link(data) if is_link else parse_pointer(data)
    return None if key is None else place(key)


__all__ = ["DatabaseBroken", "KeyFile", "TreeKeys"]
