"""Remotes that are tuned otherwise than we are: neither history nor content is exchanged with them.

Source: git-annex, difference.log; annex.tune.*.
"""

from __future__ import annotations

import os
from contextlib import suppress

from annexd.annex.branch_commit import BRANCH
from annexd.annex.branch_trees import BranchTrees
from annexd.annex.config import TUNINGS, AnnexConfig
from annexd.annex.differences import REMEDY, describe, of_config
from annexd.annex.state import AnnexState
from annexd.errors import AnnexError
from annexd.git.config_file import parse_config_file
from annexd.git.object_store import GitObjects
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository
from annexd.system.files import read_file

_TRUE = (b"true", b"yes", b"on", b"1")


def why_apart(annex: AnnexState, name: str, path: bytes | None, *, thoroughly: bool = True) -> str:
    """Why nothing may be exchanged with the remote called `name`, as far as it is known here; else "".

    A repository on this machine, at `path`, is asked itself; blocks for a look at it, and if `thoroughly` starts a git
    process in it when we cannot read its newest commit. Where there is none, or it has no git-annex branch, what was
    fetched before counts.
    """
    if path is not None:
        with suppress(AnnexError, OSError):
            if (said := _asked(annex, name, path, thoroughly=thoroughly)) is not None:
                return said
    reason = annex.branch.why_apart(b"refs/remotes/%b/" % os.fsencode(name))
    return with_remedy(reason)


def _by_config(annex: AnnexState, where: str, target: GitRepository) -> str:
    """What its git config says, as far as it is an annex already."""
    there = dict(parse_config_file(read_file(target.common_dir + b"/config")))
    if b"annex.uuid" not in there:
        return ""
    names = [name for name in TUNINGS if name.encode() in there and (there[name.encode()] or b"true").lower() in _TRUE]
    theirs, ours = of_config(AnnexConfig(tunings=tuple(names))), annex.branch.differences
    if theirs == ours:
        return ""
    return f"{where} is {describe(theirs)}, but this repository is {describe(ours)}; they keep files elsewhere"


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


def _asked(annex: AnnexState, name: str, path: bytes, *, thoroughly: bool) -> str | None:
    """What its own git-annex branch says; None when it has none, or it cannot be read.

    A repository that fits goes on fitting as long as it is that one: it merges nothing that does not.
    """
    target = repository_at(path)
    if target is None:
        return None
    marks = _marks(target)
    if annex.branch.fitting.get(path) == marks:
        return ""
    said = _read(annex, name, target, thoroughly=thoroughly)
    if said == "":
        annex.branch.fitting[path] = marks
    return said


def _marks(target: GitRepository) -> tuple[int, ...]:
    """What changes when another repository takes its place, or its settings change."""
    directory, config = os.stat(target.common_dir), os.stat(target.common_dir + b"/config")
    return (directory.st_dev, directory.st_ino, config.st_ino, config.st_mtime_ns)


def _read(annex: AnnexState, name: str, target: GitRepository, *, thoroughly: bool) -> str | None:
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
    if not thoroughly:
        return with_remedy(_by_config(annex, where, target)) or None
    objects = GitObjects(target)
    try:
        return with_remedy(annex.branch.why_commit_apart(tip, where, BranchTrees(objects)))
    finally:
        objects.close()
