"""How two commits relate, found near their tips in all but rare cases."""

from __future__ import annotations

import enum

from annexd.git.history import is_ancestor, read_commit
from annexd.git.object_store import GitObjects
from annexd.git.objects import Oid

NEAR = 32       # commits looked at on each side before the whole history is asked


class Relation(enum.Enum):
    """Of another history to ours."""

    CONTAINED = "it is part of ours, or the same"
    AHEAD = "it is ours and more"
    DIVERGED = "each has something of its own"


def relate(objects: GitObjects, ours: Oid, theirs: Oid) -> Relation:
    """What `theirs` is to `ours`. Both commits must be here. Raises GitError, RepositoryError."""
    if ours == theirs or _is_near(objects, theirs, ours):
        return Relation.CONTAINED
    if _is_near(objects, ours, theirs):
        return Relation.AHEAD
    if is_ancestor(objects, theirs, ours):
        return Relation.CONTAINED
    if is_ancestor(objects, ours, theirs):
        return Relation.AHEAD
    return Relation.DIVERGED


def _is_near(objects: GitObjects, ancestor: Oid, descendant: Oid) -> bool:
    """Whether `ancestor` is found among the commits just before `descendant`."""
    seen = {descendant}
    layer = [descendant]
    while layer and len(seen) < NEAR:
        before = []
        for oid in layer:
            commit = read_commit(objects, oid)
            for parent in commit.parents if commit is not None else ():
                if parent == ancestor:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    before.append(parent)
        layer = before
    return False
