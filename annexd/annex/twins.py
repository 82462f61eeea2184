"""Paths that are one file where the file system takes upper and lower case for the same: twins.

Only one of them can be in the work tree. The others are set aside in the index (skip-worktree), so that nobody, git
included, takes the file of one for that of another, or for its deletion.
"""

from __future__ import annotations

from collections.abc import Iterable

from annexd.git.index import GitIndex
from annexd.git.index_format import SKIP_WORKTREE
from annexd.system.files import is_named


def on_disk(top: bytes, path: bytes, index: GitIndex) -> bytes:
    """The path, or its twin if that is the one that is in the work tree."""
    if index.fidelity.case:
        return path
    twins = index.twins(path)
    if not twins or is_named(top, path):
        return path
    return next((twin for twin in twins if is_named(top, twin)), path)


def renamed_from(top: bytes, path: bytes, index: GitIndex) -> list[bytes]:
    """Earlier names of a file that changed in case only."""
    twins = () if index.fidelity.case else index.twins(path)
    found = []
    for twin in twins:
        entry = index.get(twin)
        if entry is not None and not entry.is_set_aside and not is_named(top, twin):
            found.append(twin)
    return found


def set_aside_twins(top: bytes, paths: Iterable[bytes], index: GitIndex) -> list[bytes]:
    """Set aside in the index those of these paths and their twins that are not in the work tree; they."""
    aside: dict[bytes, None] = {}
    for path in paths:
        twins = index.twins(path)
        for one in (path, *twins) if twins else ():
            entry = index.get(one)
            if entry is None or one in aside or is_named(top, one):
                continue
            index.set(entry._replace(ext_flags=entry.ext_flags | SKIP_WORKTREE))
            aside[one] = None
    return list(aside)


def returning(paths: Iterable[bytes], index: GitIndex) -> list[bytes]:
    """Of the twins of paths that go those that now have room in the work tree, one for each."""
    gone = list(paths)
    found: dict[bytes, None] = {}
    for path in gone if not index.fidelity.case else ():
        entry = index.get(path)
        if entry is None or entry.is_set_aside:
            continue
        twin = next((one for one in index.twins(path) if one not in gone), None)
        kept = None if twin is None else index.get(twin)
        if twin is not None and kept is not None and kept.is_set_aside:
            found[twin] = None
    return list(found)
