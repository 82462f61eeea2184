"""Dropping content from here or from a remote, with the other remotes as witnesses."""

from __future__ import annotations

from collections.abc import Sequence

from annexd.annex.drop import DropFrom, ProveHere, Prover, drop_local, drop_unchecked, enough_copies
from annexd.annex.location_log import Presence
from annexd.annex.numcopies import Copies
from annexd.annex.state import AnnexState
from annexd.annex.worktree import DepopulateResult
from annexd.errors import RemoteRefused
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Remote
from annexd.remotes.prover import RemoteProver

NO_CHECK = Copies(0, 0)
"""For a person who said --force."""


def drop_here(state: AnnexState, key: Key, copies: Copies, remotes: Sequence[Remote]) -> DepopulateResult:
    """Remove the content from this repository. Blocks on the remotes; raises as `drop_local` does."""
    if copies == NO_CHECK:
        return drop_unchecked(state, key)
    return drop_local(state, key, copies, [RemoteProver(remote) for remote in remotes])


def drop_there(state: AnnexState, key: Key, copies: Copies, remote: Remote, others: Sequence[Remote]) -> None:
    """Remove the content from `remote`, and note that. Our own copy and `others` are the witnesses.

    Raises NotEnoughCopies, ContentLocked, RemoteError. Blocks.
    """
    uuid = _uuid(remote)
    if copies != NO_CHECK:
        provers: list[Prover] = [RemoteProver(other) for other in others]
        if state.store.is_present(key):
            provers.insert(0, ProveHere(state))
        with enough_copies(state, key, copies, provers, drop_from=DropFrom.REMOTE, lost=uuid):
            remote.remove(key)
    else:
        remote.remove(key)
    state.locations.record(key, uuid, Presence.MISSING)


def _uuid(remote: Remote) -> UUID:
    if remote.spec.uuid is None:
        raise RemoteRefused(f"remote {remote.spec.name} is no annex")
    return remote.spec.uuid
