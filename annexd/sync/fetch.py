"""Gets the history of one remote into its remote-tracking refs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from annexd.annex.state import AnnexState
from annexd.errors import AnnexError
from annexd.git import remotes as git_remotes
from annexd.git.refs import Refs
from annexd.remotes.apart import repository_at, why_apart
from annexd.remotes.contract import RemoteKind, RemoteSpec
from annexd.sync.merge import HEADS, REMOTES
from annexd.threads.stop_signal import StopSignal

_ANNEX_BRANCHES = (b"git-annex", b"synced/git-annex")


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What became of a fetch; `reason` says why it failed. With `is_apart` the remote is tuned otherwise than we."""

    is_done: bool
    reason: str = ""
    is_apart: bool = False


def may_fetch(spec: RemoteSpec) -> bool:
    """Whether history is taken from this remote at all."""
    return spec.config.sync and spec.config.pull and spec.url is not None


def fetch_remote(annex: AnnexState, spec: RemoteSpec, stop: StopSignal) -> FetchOutcome:
    """Fetch; no process is started when a repository on this machine has nothing new. Blocks; holds no lock.

    `annex` belongs to the caller alone. Expected failures come as an outcome. Of a remote that is tuned otherwise than
    we are no branch is fetched but git-annex, which tells that.
    """
    try:
        reason = why_apart(annex, spec.name, spec.path)
        if spec.path is None and (reason or _is_unknown(annex, spec)):
            _fetch_annex_branch(annex, spec, stop)      # it may be another repository by now
            reason = why_apart(annex, spec.name, spec.path)
        if reason:
            return FetchOutcome(is_done=False, reason=reason, is_apart=True)
        if not _has_nothing_new(annex, spec):
            git_remotes.fetch(annex.repo, spec.name, stop=stop)
    except (AnnexError, OSError) as error:
        return FetchOutcome(is_done=False, reason=str(error))
    return FetchOutcome(is_done=True)


def _is_unknown(annex: AnnexState, spec: RemoteSpec) -> bool:
    """Whether nothing was ever fetched from it."""
    return not annex.refs.list(REMOTES + os.fsencode(spec.name) + b"/")


def _fetch_annex_branch(annex: AnnexState, spec: RemoteSpec, stop: StopSignal) -> None:
    """With patterns, as the branches need not be there."""
    start = REMOTES + os.fsencode(spec.name) + b"/"
    specs = [b"+" + HEADS + name + b"*:" + start + name + b"*" for name in _ANNEX_BRANCHES]
    git_remotes.fetch(annex.repo, spec.name, specs, stop=stop)


def _has_nothing_new(annex: AnnexState, spec: RemoteSpec) -> bool:
    """Whether each branch of a repository on this machine is noted here as it is there."""
    if spec.kind is not RemoteKind.GIT_LOCAL or spec.path is None:
        return False
    target = repository_at(spec.path)
    if target is None or not target.is_plain:
        return False
    there = Refs(target)
    try:
        branches = there.list(HEADS)
    finally:
        there.close()
    prefix = REMOTES + os.fsencode(spec.name) + b"/"
    return all(annex.refs.read(prefix + name[len(HEADS) :]) == oid for name, oid in branches.items())
