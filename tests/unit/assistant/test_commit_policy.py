"""When the committer acts, as a table."""

from dataclasses import dataclass

import pytest

from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.commit_policy import CHUNK, Decision, decide, held_back, index_backoff

NOW = 1000.0


@dataclass(frozen=True)
class Case:
    name: str
    count: int
    newest: float       # seconds ago
    oldest: float
    expect: Decision
    kind: ChangeKind = ChangeKind.WRITTEN

    def __str__(self) -> str:
        return self.name

    def changes(self) -> list[Change]:
        ages = [self.newest] * (self.count - 1) + [self.oldest] if self.count else []
        return [Change(b"%d" % n, self.kind, NOW - age) for n, age in enumerate(ages)]


@pytest.mark.parametrize("case", [
    Case("nothing", 0, 0, 0, Decision.WAIT),
    Case("one fresh change is acted on at once", 1, 0.0, 0.0, Decision.COMMIT),
    Case("a few changes too", 5, 0.0, 0.01, Decision.COMMIT),
    Case("a burst is still going", 100, 0.001, 0.1, Decision.WAIT),
    Case("a burst has ended", 100, 0.05, 0.1, Decision.COMMIT),
    Case("a long burst is begun with", 100, 0.001, 0.5, Decision.COMMIT),
    Case("a chunk is full", CHUNK, 0.0, 0.01, Decision.COMMIT),
    Case("a removal waits for its other half", 1, 0.0, 0.0, Decision.WAIT, ChangeKind.GONE),
    Case("but not for long", 1, 0.03, 0.03, Decision.COMMIT, ChangeKind.GONE),
    Case("and many removals neither", 2, 0.001, 0.06, Decision.COMMIT, ChangeKind.GONE),
], ids=str)
def test_the_committer_decides_when_to_act(case: Case) -> None:
    assert decide(case.changes(), NOW).decision is case.expect


def test_waiting_ends_when_the_burst_has_been_quiet_long_enough() -> None:
    case = Case("burst", 100, 0.01, 0.1, Decision.WAIT)
    verdict = decide(case.changes(), NOW)
    assert decide(case.changes(), NOW + verdict.wait + 1e-6).decision is Decision.COMMIT


def test_the_wait_for_the_index_grows_up_to_two_seconds() -> None:
    waits = [index_backoff(tries) for tries in range(12)]
    assert waits == sorted(waits) and waits[0] == 0.0 and waits[-1] == 2.0


def test_delayadd_holds_a_file_until_it_is_old_enough() -> None:
    change = Change(b"f", ChangeKind.WRITTEN, NOW - 3)
    assert held_back(change, NOW, 5) == 2
    assert held_back(change, NOW, 0) == 0
