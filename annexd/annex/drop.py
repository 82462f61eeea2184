"""Content goes only after it is proved that enough copies stay."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from annexd.annex.location_log import Presence
from annexd.annex.numcopies import Copies, copies_for
from annexd.annex.state import AnnexState
from annexd.annex.worktree import DepopulateResult, depopulate
from annexd.errors import ContentError, ContentLocked, NotEnoughCopies, RemoteError
from annexd.formats.key import Key
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.threads.held import Held, forbid_while_holding

HINT = "Use --force to override this check, or adjust numcopies."


class CopyKind(enum.Enum):
    """How sure a copy is."""

    LOCKED = "locked"
    """It is there, and cannot go while the proof is held."""
    TRUSTED = "trusted"
    """The location log says so of a trusted repository."""
    CHECKED = "checked"
    """It was there when asked for."""


class DropFrom(enum.Enum):
    """Where the content is to go from."""

    HERE = "here"
    """Our own lock on the content keeps others from relying on it, so that copies that were checked are enough."""
    REMOTE = "remote"
    """mincopies copies must not be able to go at the same time."""


class Proof(NamedTuple):
    """One copy."""

    uuid: UUID
    kind: CopyKind


class Prover(Protocol):
    """Somebody who can prove that one repository has content; remotes make these."""

    @property
    def uuid(self) -> UUID:
        """Of which repository."""

    def prove(self, key: Key) -> AbstractContextManager[CopyKind | None]:
        """Within the block the proof holds; None when the content is not there. May block on a network.

        Raises RemoteError or ContentError when it cannot be found out.
        """


@dataclass(frozen=True, slots=True)
class DropDecision:
    """Whether the copies that are proved are enough."""

    copies: Copies
    proofs: tuple[Proof, ...]
    drop_from: DropFrom

    @property
    def is_safe(self) -> bool:
        """Source: git-annex, safe drops."""
        if len(self.proofs) < self.copies.numcopies:
            return False
        return self.drop_from is DropFrom.HERE or self._lasting() >= self.copies.mincopies

    def explain(self) -> str:
        """Why it is not safe, in git-annex's words."""
        needed, least = self.copies
        if len(self.proofs) >= needed:
            return f"Unable to lock down {least} {_plural(least)} of file that is required to safely drop it."
        if needed == 1:
            return "Could not verify the existence of the 1 necessary copy."
        return f"Could only verify the existence of {len(self.proofs)} out of {needed} necessary {_plural(needed)}."

    def _lasting(self) -> int:
        return sum(proof.kind is not CopyKind.CHECKED for proof in self.proofs)


class ProveHere:
    """Proves that this repository has content; for drops from remotes."""

    def __init__(self, state: AnnexState) -> None:
        self._state = state

    @property
    def uuid(self) -> UUID:
        """Ours."""
        return self._state.uuid

    @contextmanager
    def prove(self, key: Key) -> Iterator[CopyKind | None]:
        """Locks the content; raises ContentLocked, ContentMissing."""
        with self._state.store.lock_shared(key):
            yield CopyKind.LOCKED


def numcopies_for(state: AnnexState, path: bytes | None) -> int:
    """How many copies of a file there should be."""
    return copies_for(state, path).numcopies


@contextmanager
def enough_copies(
    state: AnnexState, key: Key, copies: Copies, provers: Iterable[Prover], *, drop_from: DropFrom, lost: UUID
) -> Iterator[DropDecision]:
    """Within the block enough copies besides that of repository `lost` are proved, and stay.

    Asks the provers in their order, until it is enough. Untrusted and dead repositories do not count. Raises
    NotEnoughCopies. Blocks on the provers; holds no lock of ours.
    """
    forbid_while_holding(Held.ANNEX_STATE, "proving copies")
    with ExitStack() as held:
        proofs = {proof.uuid: proof for proof in _trusted(state, key, lost)}
        decision = DropDecision(copies, tuple(proofs.values()), drop_from)
        for prover in provers:
            if decision.is_safe:
                break
            if prover.uuid == lost or not _counts(state, prover.uuid):
                continue
            kind = _prove(held, prover, key)
            if kind is not None:
                proofs[prover.uuid] = Proof(prover.uuid, kind)
                decision = DropDecision(copies, tuple(proofs.values()), drop_from)
        if not decision.is_safe:
            raise NotEnoughCopies(decision.explain(), hint=HINT)
        yield decision


def drop_local(state: AnnexState, key: Key, copies: Copies, provers: Sequence[Prover]) -> DepopulateResult:
    """Remove the content from this repository, once enough copies elsewhere are proved.

    Unmodified unlocked files become pointers, modified ones stay (and are returned). The location log is told last.
    Raises NotEnoughCopies, ContentLocked while somebody uses it, ContentMissing. Blocks on the provers.
    """
    with (
        state.store.lock_for_drop(key),
        enough_copies(state, key, copies, provers, drop_from=DropFrom.HERE, lost=state.uuid),
    ):
        return _remove(state, key)


def drop_unchecked(state: AnnexState, key: Key) -> DepopulateResult:
    """Remove the content from this repository though it may be the last copy: a person said --force.

    Raises ContentLocked, ContentMissing.
    """
    with state.store.lock_for_drop(key):
        return _remove(state, key)


def _remove(state: AnnexState, key: Key) -> DepopulateResult:
    result = depopulate(state, key) if not state.repo.is_bare else DepopulateResult()
    state.store.remove(key)
    state.locations.record(key, state.uuid, Presence.MISSING)
    return result


def _trusted(state: AnnexState, key: Key, lost: UUID) -> list[Proof]:
    settings = state.settings
    places = sorted(state.locations.locations(key) - {lost, state.uuid})
    return [Proof(uuid, CopyKind.TRUSTED) for uuid in places if settings.trust(uuid) is TrustLevel.TRUSTED]


def _counts(state: AnnexState, uuid: UUID) -> bool:
    return state.settings.trust(uuid) not in (TrustLevel.UNTRUSTED, TrustLevel.DEAD)


def _prove(held: ExitStack, prover: Prover, key: Key) -> CopyKind | None:
    """A repository that cannot be asked proves nothing."""
    try:
        return held.enter_context(prover.prove(key))
    except (RemoteError, ContentError, ContentLocked):
        return None


def _plural(number: int) -> str:
    return "copy" if number == 1 else "copies"
