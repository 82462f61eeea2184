"""Waiting for the disk between content and commit."""

from __future__ import annotations

import pytest

from annexd.annex import durability
from annexd.annex.durability import BATCH, Durability, make_durable
from annexd.annex.state import AnnexState
from annexd.threads.held import Held, LockDisciplineError, holding


@pytest.mark.parametrize(
    ("wish", "stored", "syncs"),
    [
        (Durability.ALWAYS, 1, 1),
        (Durability.ALWAYS, 0, 0),
        (Durability.BATCHES, BATCH - 1, 0),
        (Durability.BATCHES, BATCH, 1),
        (Durability.NEVER, 10_000, 0),
    ],
)
def test_the_disk_is_waited_for_once_when_it_is_worth_it(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, wish: Durability, stored: int, syncs: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(durability, "sync_filesystem", calls.append)
    make_durable(state.layout, stored, wish)
    assert len(calls) == syncs


def test_nobody_waits_for_the_disk_while_holding_the_state(state: AnnexState) -> None:
    make_durable(state.layout, 1, Durability.ALWAYS)
    with holding(Held.ANNEX_STATE), pytest.raises(LockDisciplineError):
        make_durable(state.layout, 1, Durability.ALWAYS)
