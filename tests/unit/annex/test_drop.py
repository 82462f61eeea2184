"""Content goes only when enough copies stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annexd.annex.drop import (
    CopyKind,
    DropDecision,
    DropFrom,
    Proof,
    ProveHere,
    drop_local,
    drop_unchecked,
    enough_copies,
    numcopies_for,
)
from annexd.annex.location_log import Presence
from annexd.annex.numcopies import Copies, copies_for, copies_for_key
from annexd.annex.repository_log import MINCOPIES_LOG, NUMCOPIES_LOG
from annexd.annex.state import AnnexState
from annexd.errors import ContentLocked, ContentMissing, NotEnoughCopies, RemoteUnavailable
from annexd.formats.key import Key
from annexd.formats.logs import numcopies, trust
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.pointer import pointer_for
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.threads.held import Held, LockDisciplineError, holding
from tests.support.annexes import key_of, put
from tests.unit.annex.content_helpers import add, locked, read, status, top, write
from tests.unit.annex.helpers import OTHER, THIRD, git, git_annex

KEY = key_of(b"one")
NOW = VectorClock.parse(b"1700000000s")


class Prover:
    """A repository that has content, has not, or cannot be asked."""

    def __init__(self, uuid: UUID, answer: CopyKind | Exception | None) -> None:
        self.uuid = uuid
        self.answer = answer
        self.asked = 0
        self.holds = False

    @contextmanager
    def prove(self, key: Key) -> Iterator[CopyKind | None]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        self.holds = True
        yield self.answer
        self.holds = False


def set_trust(state: AnnexState, uuid: UUID, level: TrustLevel) -> None:
    """Write the trust log."""
    state.branch.change(b"trust.log", lambda data: trust.set_trust(data, uuid, level, NOW))


def set_copies(state: AnnexState, log: bytes, number: int) -> None:
    """Write numcopies.log or mincopies.log."""
    state.branch.change(log, lambda data: numcopies.set_copies(data, number, NOW))


@pytest.mark.parametrize(
    ("copies", "kinds", "drop_from", "safe"),
    [
        (Copies(1, 1), [], DropFrom.HERE, False),
        (Copies(1, 1), [CopyKind.CHECKED], DropFrom.HERE, True),
        (Copies(1, 1), [CopyKind.CHECKED], DropFrom.REMOTE, False),
        (Copies(1, 1), [CopyKind.LOCKED], DropFrom.REMOTE, True),
        (Copies(1, 1), [CopyKind.TRUSTED], DropFrom.REMOTE, True),
        (Copies(2, 1), [CopyKind.LOCKED], DropFrom.REMOTE, False),
        (Copies(2, 1), [CopyKind.LOCKED, CopyKind.CHECKED], DropFrom.REMOTE, True),
        (Copies(2, 2), [CopyKind.LOCKED, CopyKind.CHECKED], DropFrom.REMOTE, False),
        (Copies(0, 0), [], DropFrom.REMOTE, True),
    ],
)  # fmt: skip
def test_a_drop_is_safe_by_number_and_kind_of_copies(
    copies: Copies, kinds: list[CopyKind], drop_from: DropFrom, safe: bool
) -> None:
    proofs = tuple(Proof(UUID(b"%d" % number), kind) for number, kind in enumerate(kinds))
    assert DropDecision(copies, proofs, drop_from).is_safe is safe


def test_the_reason_is_told_in_git_annexes_words(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    add(state, {b"a": b"one"})
    for copies, text in ((Copies(1, 1), "the 1 necessary copy."), (Copies(3, 1), "0 out of 3 necessary copies.")):
        with pytest.raises(NotEnoughCopies, match=text):
            drop_local(state, KEY, copies, [])
        git_annex(annex_path, "numcopies", str(copies.numcopies))
        assert text.encode() in git_annex(annex_path, "drop", "a", status=1)


def test_dropped_content_leaves_pointers_and_a_line_in_the_log(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    prover = Prover(OTHER, CopyKind.CHECKED)
    result = drop_local(state, KEY, Copies(), [prover])
    assert (result.depopulated, result.modified) == ([b"a"], [])
    assert read(state, b"a") == pointer_for(KEY)
    assert not state.store.is_present(KEY)
    assert state.uuid not in state.locations.locations(KEY)
    assert not prover.holds
    assert status(state) == b""


def test_nothing_goes_without_proof(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    provers = [Prover(OTHER, None), Prover(THIRD, RemoteUnavailable("gone")), Prover(state.uuid, CopyKind.LOCKED)]
    with pytest.raises(NotEnoughCopies):
        drop_local(state, KEY, Copies(), provers)
    assert state.store.is_present(KEY)
    assert read(state, b"a") == b"one"
    assert [prover.asked for prover in provers] == [1, 1, 0]


def test_no_more_are_asked_than_needed(state: AnnexState) -> None:
    put(state, b"one")
    provers = [Prover(OTHER, CopyKind.CHECKED), Prover(THIRD, CopyKind.CHECKED)]
    drop_local(state, KEY, Copies(), provers)
    assert [prover.asked for prover in provers] == [1, 0]


@pytest.mark.parametrize("level", [TrustLevel.UNTRUSTED, TrustLevel.DEAD])
def test_copies_of_untrusted_and_dead_repositories_do_not_count(state: AnnexState, level: TrustLevel) -> None:
    put(state, b"one")
    set_trust(state, OTHER, level)
    prover = Prover(OTHER, CopyKind.LOCKED)
    with pytest.raises(NotEnoughCopies):
        drop_local(state, KEY, Copies(), [prover])
    assert prover.asked == 0


def test_a_trusted_repository_need_not_be_asked(state: AnnexState) -> None:
    put(state, b"one")
    set_trust(state, OTHER, TrustLevel.TRUSTED)
    state.locations.record(KEY, OTHER, Presence.PRESENT)
    drop_local(state, KEY, Copies(), [])
    assert not state.store.is_present(KEY)


def test_proofs_are_held_while_content_goes_from_a_remote(state: AnnexState) -> None:
    put(state, b"one")
    prover = Prover(THIRD, CopyKind.LOCKED)
    with enough_copies(
        state, KEY, Copies(2, 2), [ProveHere(state), prover], drop_from=DropFrom.REMOTE, lost=OTHER
    ) as decision:
        assert prover.holds
        assert {proof.uuid for proof in decision.proofs} == {state.uuid, THIRD}
        with pytest.raises(ContentLocked):
            drop_unchecked(state, KEY)
    assert not prover.holds


def test_content_that_is_used_or_gone_is_not_dropped(state: AnnexState) -> None:
    put(state, b"one")
    with state.store.lock_shared(KEY), pytest.raises(ContentLocked):
        drop_local(state, KEY, Copies(0, 0), [])
    drop_local(state, KEY, Copies(0, 0), [])
    with pytest.raises(ContentMissing):
        drop_local(state, KEY, Copies(0, 0), [])


def test_nobody_is_asked_while_the_state_is_locked(state: AnnexState) -> None:
    put(state, b"one")
    with holding(Held.ANNEX_STATE), pytest.raises(LockDisciplineError):
        drop_local(state, KEY, Copies(), [])


def test_modified_files_survive_a_drop(state: AnnexState) -> None:
    add(state, {b"a": b"one", b"b": b"one"})
    write(state, b"a", b"edited")
    result = drop_unchecked(state, KEY)
    assert (result.depopulated, result.modified) == ([b"b"], [b"a"])
    assert read(state, b"a") == b"edited"


def test_git_annex_agrees_after_a_drop(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    add(state, {b"a": b"one", b"d/b": b"two"})
    drop_unchecked(state, KEY)
    state.branch.commit()
    assert status(state) == b""
    assert git_annex(annex_path, "find", "--in=here") == b"d/b\n"
    git_annex(annex_path, "fsck", "-q", "d/b")


def test_copies_come_from_attributes_then_logs_then_config(state: AnnexState) -> None:
    assert copies_for(state, b"a.txt") == Copies(1, 1)
    git(top(state), "config", "annex.numcopies", "2")
    state.reload_config()
    assert copies_for(state, b"a.txt") == Copies(2, 1)
    set_copies(state, NUMCOPIES_LOG, 3)
    assert numcopies_for(state, b"a.txt") == numcopies_for(state, None) == 3
    write(state, b".gitattributes", b"*.txt annex.numcopies=4\n*.bin annex.mincopies=9\n")
    state.attributes.reset()
    assert copies_for(state, b"a.txt") == Copies(4, 1)
    assert copies_for(state, b"a.bin") == Copies(9, 9)
    assert copies_for(state, None) == Copies(3, 1)
    set_copies(state, MINCOPIES_LOG, 5)
    assert copies_for(state, None) == Copies(5, 5)


def test_the_strictest_of_a_keys_files_counts(state: AnnexState) -> None:
    write(state, b".gitattributes", b"*.txt annex.numcopies=4\n")
    add(state, {b"a": b"one", b"b.txt": b"two"})
    key = key_of(b"two", b".txt")
    assert copies_for_key(state, key) == copies_for_key(state, key, [b"a"]) == Copies(4, 1)
    assert copies_for_key(state, KEY, [b"a"]) == Copies(1, 1)


def test_a_locked_file_is_dropped_without_touching_its_link(state: AnnexState) -> None:
    put(state, b"one")
    link = locked(state, b"l", b"one")
    assert link is not None
    os.symlink(link[1], top(state) / "l")
    drop_unchecked(state, KEY)
    assert os.path.islink(top(state) / "l")
