"""`undo` beside the daemons: what it takes back goes to the other side, and content that is missing comes."""

from __future__ import annotations

import pytest

from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair


@pytest.mark.slow
def test_undo_beside_the_daemons(pair: Pair, annexd: Annexd) -> None:
    pair.start()
    pair.assert_syncs("f.txt", b"first\n")
    pair.settle()
    key = annexd(pair.a.repo, "lookupkey", "f.txt").out.strip()
    pair.assert_syncs("f.txt", b"second\n")
    pair.settle()
    annexd(pair.a.repo, "drop", "--force", "--key", key)
    assert "the content of 1 file is not here" in annexd(pair.a.repo, "undo", "f.txt").out
    for side in pair:
        eventually(lambda: side.has("f.txt", b"first\n"), SYNC_LIMIT, f"the first content in {side.repo.name}")  # noqa: B023
    pair.settle()
    annexd(pair.b.repo, "undo", "--since", "1h", "f.txt", status=1)       # there is no history that old
    annexd(pair.b.repo, "undo", "f.txt")
    for side in pair:
        eventually(lambda: side.has("f.txt", b"second\n"), SYNC_LIMIT, f"the second content in {side.repo.name}")  # noqa: B023
    pair.settle()
