"""Two annexes with daemons to kill, and the programs that judge what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash import ground
from tests.crash.load import Person
from tests.interop.oracle import Oracle
from tests.support.eventually import eventually
from tests.support.pair import Pair, make_pair

RECOVERY_LIMIT = 60.0       # seconds until two daemons that were killed have everything in step again


@pytest.fixture
def pair(tmp_path: Path, clean_environment: dict[str, str], annex_oracle: Path) -> Iterator[Pair]:
    """Both repositories, empty, without daemons."""
    with make_pair(tmp_path, clean_environment) as made:
        yield made


@pytest.fixture
def people(pair: Pair) -> Callable[[int], tuple[Person, Person]]:
    """people(seed) are at work, one on each side."""
    return lambda seed: (Person(pair.a.repo, "alice", seed), Person(pair.b.repo, "bob", seed))


Judge = Callable[..., None]


@pytest.fixture
def judge(pair: Pair, clean_environment: dict[str, str]) -> Judge:
    """judge(*people): with both daemons up, all comes into step; then git and git-annex find nothing wrong."""
    oracle = Oracle(clean_environment)

    def decide(*people: Person) -> None:
        expected = {path: data for person in people for path, data in person.expected.items()}
        eventually(lambda: ground.assert_all_there(pair, expected), RECOVERY_LIMIT, "every file at both sides")
        pair.rest(RECOVERY_LIMIT)
        pair.stop()
        ground.assert_nothing_named_is_absent(pair)
        for side in pair:
            ground.assert_no_locks_left(side.repo)
            oracle.assert_sound(side.repo)

    return decide
