"""Content that arrives is announced, though no file changed, and in few steps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from tests.support.annexes import make_annex, put
from tests.support.eventually import eventually
from tests.support.many_keys import commit_keys, path_of
from tests.support.pair import Side
from tests.support.repositories import git, make_git_repo, make_removable

LIMIT = 60.0
COUNT = 1000


class Chain:
    """An annex with content, a clone of it without, and a repository that the clone pushes to."""

    def __init__(self, top: Path, env: dict[str, str]) -> None:
        with make_annex(top / "a") as state:
            self.keys = [put(state, os.urandom(2000)) for _ in range(COUNT)]
            commit_keys(state, {path_of(n): key for n, key in enumerate(self.keys)})
            state.locations.record_many([(key, state.uuid, Presence.PRESENT) for key in self.keys])
        git(top, "clone", "-q", str(top / "a"), "b")
        self.b = Side(top / "b", env)
        self.c = make_git_repo(top / "c", bare=True)
        self.b.git("config", "annex.diskreserve", "0")
        self.b.git("config", "remote.origin.annex-push", "false")
        self.b.git("remote", "add", "c", str(self.c))
        git(self.c, "config", "core.logAllRefUpdates", "always")

    def branch_commits(self) -> int:
        return int(self.b.git("rev-list", "--count", "git-annex"))

    def pushes(self) -> int:
        return len(git(self.c, "reflog", "show", "synced/git-annex").splitlines())

    def is_told_of(self, keys: Sequence[Key]) -> bool:
        """Whether c knows that b has them."""
        with AnnexState.open(os.fsencode(self.b.repo)) as there:
            uuid = there.uuid
        listing = git(self.c, "grep", "-l", "-F", os.fsdecode(uuid), "synced/git-annex", "--", "*.log").splitlines()
        found = len([line for line in listing if line.count(b"/") >= 3])
        assert found >= len(keys), f"{found} of {len(keys)} are told of"
        return True





@pytest.fixture
def chain(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Chain]:
    made = Chain(tmp_path, clean_environment)
    yield made
    made.b.close()
    make_removable(tmp_path)


def test_a_thousand_contents_are_announced_in_few_commits_and_pushes(chain: Chain) -> None:
    chain.b.start()
    eventually(lambda: chain.is_told_of(chain.keys), LIMIT, "the news at the third")
    commits, pushes = chain.branch_commits(), chain.pushes()
    print(f"{COUNT} transfers: {commits} commits of the git-annex branch, {pushes} pushes")
    assert commits <= 20
    assert pushes <= 20
