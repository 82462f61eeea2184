"""Gets the history of one remote into its remote-tracking refs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from annexd.annex.state import AnnexState
from annexd.errors import AnnexError
from annexd.git import remotes as git_remotes
from annexd.git.refs import Refs
from annexd.remotes.contract import RemoteKind, RemoteSpec
from annexd.sync.direct import repository_at
from annexd.sync.merge import HEADS, REMOTES
from annexd.threads.stop_signal import StopSignal


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What became of a fetch; `reason` says why it failed."""

    is_done: bool
    reason: str = ""


def may_fetch(spec: RemoteSpec) -> bool:
    """Whether history is taken from this remote at all."""
    return spec.config.sync and spec.config.pull and spec.url is not None


def fetch_remote(annex: AnnexState, spec: RemoteSpec, stop: StopSignal) -> FetchOutcome:
    """Fetch; no process is started when a repository on this machine has nothing new. Blocks; holds no lock.

    `annex` belongs to the caller alone. Expected failures come as an outcome.
    """
    try:
        if not _has_nothing_new(annex, spec):
            git_remotes.fetch(annex.repo, spec.name, stop=stop)
    except (AnnexError, OSError) as error:
        return FetchOutcome(is_done=False, reason=str(error))
    return FetchOutcome(is_done=True)


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
