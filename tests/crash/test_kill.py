"""kill -9 at moments that nobody chose, while people work on both sides."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.crash import ground
from tests.crash.conftest import Judge
from tests.crash.load import Person
from tests.support.pair import Pair, Side

LONGEST_LIFE = 1.6      # seconds from the start of a daemon to its end; the shortest ends are before it is ready
PACE = 0.05             # seconds between two things that people do

People = Callable[[int], tuple[Person, Person]]
Kill = Callable[[Side], None]


def kill_and_restart(
    pair: Pair, alice: Person, bob: Person, moments: random.Random, rounds: int, kill: Kill = Side.kill
) -> None:
    """So many times: people work, and one daemon or both die and are started again."""
    for side in pair:
        side.spawn()
    for _ in range(rounds):
        end = time.monotonic() + moments.uniform(0.1, LONGEST_LIFE)
        while time.monotonic() < end:
            moments.choice((alice, bob)).work(1)
            time.sleep(moments.uniform(0, PACE))
        victims = moments.choice(([pair.a], [pair.b], [pair.a, pair.b]))
        for side in victims:
            assert side.running is not None and side.running.is_running(), "a daemon died by itself"
            kill(side)
        ground.assert_nothing_named_is_absent(pair)
        for person in (alice, bob):
            person.work(moments.randrange(3))
        for side in victims:
            side.spawn()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_kills_under_load_lose_nothing(pair: Pair, people: People, judge: Judge, seed: int) -> None:
    alice, bob = people(seed)
    kill_and_restart(pair, alice, bob, random.Random(seed), rounds=4)
    judge(alice, bob)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(100, 130))
def test_many_kills_under_load_lose_nothing(pair: Pair, people: People, judge: Judge, seed: int) -> None:
    alice, bob = people(seed)
    kill_and_restart(pair, alice, bob, random.Random(seed), rounds=15)
    judge(alice, bob)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(200, 210))
def test_kills_of_daemons_with_their_helpers_lose_nothing(pair: Pair, people: People, judge: Judge, seed: int) -> None:
    """As when the machine runs out of memory: git commands die half-way, too."""
    alice, bob = people(seed)
    kill_and_restart(pair, alice, bob, random.Random(seed), rounds=15, kill=Side.kill_all)
    judge(alice, bob)


def test_a_daemon_killed_in_its_recovery_recovers_the_next_time(pair: Pair, people: People, judge: Judge) -> None:
    alice, bob = people(3)
    pair.b.start()
    pair.a.spawn(ANNEXD_FAULT="commit-before-index")
    alice.work(10)
    assert pair.a.running is not None
    assert pair.a.running.process.wait(30) == -9
    for step in range(7):
        pair.a.spawn(ANNEXD_FAULT=f"recovery-half:{step}")
        assert pair.a.running.process.wait(30) == -9
    pair.a.start()
    judge(alice, bob)
