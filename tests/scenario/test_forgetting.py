"""The history of the git-annex branch is forgotten while daemons run: they go on, and it does not come back."""

from __future__ import annotations

from tests.support import annexd as programs
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side


def has_forgotten(side: Side) -> bool:
    subjects = side.git("log", "--format=%s", "git-annex")
    assert b"branch created" not in subjects, (side.repo.name, subjects)
    return True


def are_in_step(pair: Pair) -> bool:
    trees = [side.git("rev-parse", "git-annex^{tree}") for side in pair]
    assert trees[0] == trees[1]
    return True


def test_both_daemons_forget_what_one_side_has_forgotten(pair: Pair) -> None:
    pair.start()
    pair.assert_syncs("one")
    programs.Annexd(pair.a.env)(pair.a.repo, "forget", "--force")
    eventually(lambda: has_forgotten(pair.b), SYNC_LIMIT, "the other side has forgotten")
    pair.assert_syncs("two")
    pair.b.write("three", b"three\n")
    eventually(lambda: pair.a.has("three", b"three\n"), SYNC_LIMIT, "the way back")
    eventually(lambda: are_in_step(pair), SYNC_LIMIT, "both branches say the same")
    assert all(has_forgotten(side) for side in pair)
