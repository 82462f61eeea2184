"""Remotes that are tuned otherwise than we are: neither history nor content is exchanged with them.

Source: git-annex, difference.log; annex.tune.*.
"""

from __future__ import annotations

import os
from contextlib import suppress

from annexd.annex.branch_commit import BRANCH
from annexd.annex.branch_trees import BranchTrees
from annexd.annex.differences import REMEDY
from annexd.annex.state import AnnexState
from annexd.errors import AnnexError
from annexd.git.object_store import GitObjects
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository


def why_apart(annex: AnnexState, name: str, path: bytes | None) -> str:
    """Why nothing may be exchanged with the remote called `name`, as far as it is known here; else "".

    A repository on this machine, at `path`, is asked itself; blocks for a look at it. Where there is none, or it has no
    git-annex branch, what was fetched before counts.
    """
    if path is not None:
        with suppress(AnnexError, OSError):
            if (said := _asked(annex, name, path)) is not None:
                return said
    reason = annex.branch.why_apart(b"refs/remotes/%b/" % os.fsencode(name))
    return with_remedy(reason)


def with_remedy(reason: str) -> str:
    """The reason, with what a person can do about it."""
    return f"{reason} ({REMEDY})" if reason else ""


def repository_at(path: bytes) -> GitRepository | None:
    """The repository just there: discovery goes upwards, and must not end above a missing drive's mount point.

    Raises RepositoryError when there is none.
    """
    repo = GitRepository.discover(path)
    with suppress(OSError):
        if os.path.samefile(path, repo.top) or os.path.samefile(path, repo.git_dir):
            return repo
    return None


def _asked(annex: AnnexState, name: str, path: bytes) -> str | None:
    """What its own git-annex branch says; None when it has none."""
    target = repository_at(path)
    if target is None:
        return None
    refs = Refs(target)
    try:
        tip = refs.read(BRANCH)
    finally:
        refs.close()
    if tip is None:
        return None
    where = f"remote {name}"
    if annex.objects.read(tip) is not None:
        return with_remedy(annex.branch.why_commit_apart(tip, where))
    objects = GitObjects(target)
    try:
        return with_remedy(annex.branch.why_commit_apart(tip, where, BranchTrees(objects)))
    finally:
        objects.close()
