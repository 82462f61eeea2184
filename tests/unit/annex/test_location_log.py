"""Who has what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.location_log import LocationLog, Presence
from annexd.annex.state import AnnexState
from annexd.formats.branch_paths import location_log
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from tests.unit.annex.helpers import OTHER, THIRD, git, key, open_annex, show

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())["location_log"]
K = key(7)
PATH = location_log(K)


class SetClock:
    """A clock that says what it is told."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def time_ns(self) -> int:
        return self.seconds * 10**9

    def monotonic(self) -> float:
        return float(self.seconds)

    def vector_now(self) -> VectorClock:
        return VectorClock.at(self.seconds)


@pytest.fixture
def logs(state: AnnexState) -> Iterator[LocationLog]:
    yield LocationLog(state.branch, SetClock(1000))


def test_statuses_are_recorded_one_by_one_and_in_bulk(state: AnnexState, logs: LocationLog) -> None:
    assert logs.record(K, OTHER, Presence.PRESENT)
    assert logs.locations(K) == {OTHER}
    update = logs.record_many(
        [(K, THIRD, Presence.PRESENT), (K, OTHER, Presence.MISSING), (key(8), OTHER, Presence.PRESENT)]
    )
    assert set(update.changed) == {PATH, location_log(key(8))}
    assert logs.locations_many([K, key(8), key(9)]) == {K: {THIRD}, key(8): {OTHER}, key(9): frozenset()}
    assert state.branch.read(PATH) == b"1001s 0 %b\n1000s 1 %b\n" % (OTHER, THIRD)


def test_nothing_is_written_when_the_status_is_known(state: AnnexState, logs: LocationLog) -> None:
    logs.record_many([(K, OTHER, Presence.PRESENT)])
    tip = state.branch.tip()
    assert not logs.record(K, OTHER, Presence.PRESENT)
    assert not logs.record_many([(K, OTHER, Presence.PRESENT)]).moved
    assert state.branch.tip() == tip and state.branch.journal_is_empty()


def test_the_last_of_several_statuses_counts(logs: LocationLog) -> None:
    logs.record_many([(K, OTHER, Presence.PRESENT), (K, OTHER, Presence.MISSING), (K, OTHER, Presence.PRESENT)])
    assert logs.locations(K) == {OTHER}


# git-annex loses unknown lines when it writes; we keep them, as it reads the same either way.
@pytest.mark.parametrize("case", [c for c in VECTORS["cases"] if "unknown" not in c["case"]], ids=lambda c: c["case"])
@pytest.mark.parametrize("bulk", [False, True], ids=["journal", "bulk"])
def test_logs_become_what_git_annex_makes_of_them(state: AnnexState, case: dict[str, object], bulk: bool) -> None:
    before, after, ops = case["before"], case["after"], case["ops"]
    assert isinstance(after, str) and isinstance(ops, list)
    if before is not None:
        assert isinstance(before, str)
        state.branch.change(PATH, lambda _: before.encode())
    clock = SetClock(0)
    clock.vector_now = lambda: VectorClock.parse(str(case["clock"]).encode())  # type: ignore[method-assign]
    log = LocationLog(state.branch, clock)
    for op in ops:
        if op == ["dead --key"]:
            log.give_up(K)
        elif bulk:
            log.record_many([(K, UUID(op[0].encode()), Presence(op[1].encode()))])
        else:
            log.record(K, UUID(op[0].encode()), Presence(op[1].encode()))
    assert state.branch.read(PATH) == after.encode()


def test_lines_that_nobody_knows_are_kept_behind_the_others(state: AnnexState, logs: LocationLog) -> None:
    state.branch.change(PATH, lambda _: b"what is this\n100s 5 %b\n100s 1 %b\n\n" % (THIRD, OTHER))
    logs.record(K, OTHER, Presence.MISSING)
    assert state.branch.read(PATH) == b"1000s 0 %b\nwhat is this\n100s 5 %b\n" % (OTHER, THIRD)
    assert logs.locations(K) == frozenset()


def test_a_key_that_was_given_up_is_dead_until_somebody_has_it(logs: LocationLog) -> None:
    logs.record(K, OTHER, Presence.PRESENT)
    logs.record(K, OTHER, Presence.MISSING)
    assert not logs.is_dead(K)
    assert logs.give_up(K)
    assert logs.is_dead(K)
    logs.record(K, THIRD, Presence.PRESENT)
    assert not logs.is_dead(K)


def test_what_a_private_repository_has_stays_here(annex_path: Path) -> None:
    git(annex_path, "config", "annex.private", "true")
    with open_annex(annex_path) as state:
        state.locations.record_many([(K, state.uuid, Presence.PRESENT), (K, OTHER, Presence.PRESENT)])
        state.locations.record(key(8), state.uuid, Presence.PRESENT)
        assert state.locations.locations(K) == {state.uuid, OTHER}
        assert state.locations.locations_many([K, key(8)]) == {K: {state.uuid, OTHER}, key(8): {state.uuid}}
        assert state.uuid not in show(annex_path, PATH.decode())
        state.locations.record(K, state.uuid, Presence.MISSING)
        assert state.locations.locations(K) == {OTHER}


def test_a_clock_that_went_back_does_not_hide_news(state: AnnexState) -> None:
    LocationLog(state.branch, SetClock(2000)).record(K, OTHER, Presence.PRESENT)
    LocationLog(state.branch, SetClock(1000)).record(K, OTHER, Presence.MISSING)
    assert state.branch.read(PATH) == b"2001s 0 %b\n" % OTHER
