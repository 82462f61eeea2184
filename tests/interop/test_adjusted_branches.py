"""Adjusted branches: annexd's are git-annex's, to the commit, and each program goes on with what the other made."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.oracle import Oracle
from tests.interop.sample import run
from tests.support.repositories import make_removable

MODES = {
    "unlocked": ["--unlock"],
    "locked": ["--lock"],
    "fixed": ["--fix"],
    "unlockpresent": ["--unlock-present"],
    "hidemissing": ["--hide-missing"],
    "hidemissing-unlocked": ["--hide-missing", "--unlock"],
}
HIDING = [mode for mode in MODES if mode.startswith("hide")]
EVERY_DAY_ONE = [mode if mode == "unlocked" else pytest.param(mode, marks=pytest.mark.slow) for mode in MODES]


class Ground:
    """One history in two repositories, in one of which git-annex works and annexd in the other."""

    def __init__(self, top: Path, oracle: Oracle) -> None:
        self.theirs, self.ours = top / "theirs", top / "ours"
        when = "2026-01-01T00:00:00Z"
        self.env = {**oracle.env, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        self.oracle = Oracle(self.env)
        self.theirs.mkdir()
        self.git(self.theirs, "init", "-q")
        self.annex(self.theirs, "init", "theirs")
        for name in ("a", "d/b", "d/e/gone.txt", "exe"):
            self.write(self.theirs, name, name.encode())
        self.annex(self.theirs, "add", "-q", ".")
        self.write(self.theirs, "small", b"in git\n")
        self.git(self.theirs, "-c", "annex.gitaddtoannex=false", "add", "small")
        self.git(self.theirs, "commit", "-qm", "first")
        self.annex(self.theirs, "unlock", "-q", "d/b", "exe")
        (self.theirs / "exe").chmod(0o755)
        self.git(self.theirs, "commit", "-qam", "unlocked")
        self.git(top, "clone", "-q", str(self.theirs), str(self.ours))
        self.annexd("init", "ours")
        self.annexd("get", "a", "d/b", "exe")
        self.git(self.ours, "remote", "rm", "origin")
        self.annex(self.theirs, "drop", "-q", "--force", "d/e/gone.txt")

    def git(self, repo: Path, *args: str) -> str:
        return self.oracle.git(repo, *args)

    def annex(self, repo: Path, *args: str) -> str:
        return self.oracle.annex(repo, *args)

    def annexd(self, *args: str, status: int | None = 0) -> str:
        return run([sys.executable, "-m", "annexd", *args], self.ours, self.env, status=status)


    def write(self, repo: Path, name: str, data: bytes) -> None:
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_bytes(data)

    def tree(self, repo: Path, ref: str = "HEAD") -> str:
        return self.git(repo, "ls-tree", "-r", ref)

    def work(self, repo: Path) -> None:
        """What a person does on an adjusted branch, with git and git-annex."""
        self.write(repo, "new", b"new\n")
        self.annex(repo, "add", "-q", "new")
        self.git(repo, "commit", "-qm", "new")
        self.git(repo, "mv", "a", "d/a2")
        self.git(repo, "rm", "-q", "d/b")
        self.git(repo, "commit", "-qm", "moved\n\nand removed")
        self.annex(repo, "unlock", "-q", "d/a2")
        (repo / "d/a2").write_bytes(b"edited")
        (repo / "d/a2").chmod(0o755)
        self.git(repo, "commit", "-qam", "edited")


@pytest.fixture
def ground(tmp_path: Path, oracle: Oracle) -> Iterator[Ground]:
    yield Ground(tmp_path, oracle)
    make_removable(tmp_path)


@pytest.mark.parametrize("mode", EVERY_DAY_ONE)
def test_the_adjusted_branch_and_what_is_committed_on_it_are_as_git_annex_makes_them(ground: Ground, mode: str) -> None:
    ground.annex(ground.theirs, "adjust", *MODES[mode])
    ground.annexd("adjust", *MODES[mode])
    for repo in (ground.theirs, ground.ours):
        assert ground.git(repo, "symbolic-ref", "HEAD").strip() == f"refs/heads/adjusted/master({mode})"
        assert ground.git(repo, "status", "--porcelain") == ""
    assert ground.tree(ground.ours) == ground.tree(ground.theirs)
    if mode not in HIDING:      # where all of a directory is hidden git-annex leaves an empty tree
        assert ground.git(ground.ours, "rev-parse", "HEAD") == ground.git(ground.theirs, "rev-parse", "HEAD")
    for repo in (ground.theirs, ground.ours):
        ground.work(repo)
    ground.annex(ground.theirs, "sync", "-q")
    ground.annexd("sync")
    assert ground.tree(ground.ours) == ground.tree(ground.theirs)
    for name in ("master", f"refs/basis/adjusted/master({mode})"):
        assert ground.git(ground.ours, "rev-parse", name) == ground.git(ground.theirs, "rev-parse", name)
    at = ground.git(ground.ours, "rev-parse", "HEAD", "master")
    ground.annex(ground.ours, "sync", "-q")
    if mode not in HIDING:
        assert ground.git(ground.ours, "rev-parse", "HEAD", "master") == at, "git-annex found something to mend"
    assert ground.tree(ground.ours) == ground.tree(ground.theirs)


@pytest.mark.parametrize("mode", ["unlocked", pytest.param("hidemissing", marks=pytest.mark.slow)])
def test_annexd_goes_on_with_an_adjusted_branch_that_git_annex_made(ground: Ground, mode: str) -> None:
    ground.annex(ground.ours, "adjust", *MODES[mode])
    ground.work(ground.ours)
    ground.git(ground.ours, "remote", "add", "theirs", str(ground.theirs))
    ground.annexd("sync", "--content")
    assert ground.git(ground.theirs, "rev-parse", "synced/master") == ground.git(ground.ours, "rev-parse", "master")
    ground.annex(ground.theirs, "sync", "-q", "--content")
    assert (ground.theirs / "d/a2").read_bytes() == b"edited"
    assert (ground.theirs / "d/a2").is_symlink() == (mode == "unlocked")
    ground.write(ground.theirs, "back", b"from there\n")
    ground.annex(ground.theirs, "add", "-q", "back")
    ground.annex(ground.theirs, "sync", "-q")
    ground.annexd("sync", "--content")
    assert (ground.ours / "back").read_bytes() == b"from there\n"
    assert (ground.ours / "back").is_symlink() == (mode != "unlocked")
    assert ground.git(ground.ours, "status", "--porcelain") == ""
    ground.annex(ground.ours, "sync", "-q")
    assert ground.git(ground.ours, "log", "-1", "--format=%s") == "git-annex adjusted branch\n"


def test_missing_files_show_when_their_content_comes_and_hide_when_it_goes(ground: Ground) -> None:
    ground.git(ground.ours, "remote", "add", "theirs", str(ground.theirs))
    ground.annexd("adjust", "--hide-missing")
    assert not (ground.ours / "d/e").exists()
    ground.git(ground.ours, "config", "annex.adjustedbranchrefresh", "1")
    ground.annexd("drop", "--force", "a")
    assert not (ground.ours / "a").is_symlink()
    ground.annexd("get", "--all", status=None)
    assert (ground.ours / "a").read_bytes() == b"a"
    ground.git(ground.ours, "config", "annex.adjustedbranchrefresh", "0")
    ground.annexd("drop", "--force", "a")
    assert (ground.ours / "a").is_symlink()
    ground.annex(ground.ours, "sync", "-q", "--no-content")
    assert not (ground.ours / "a").is_symlink(), "git-annex does not know that content went"
    ground.annexd("sync", "--content")
    assert (ground.ours / "a").read_bytes() == b"a"


@pytest.mark.slow
def test_an_adjusted_branch_that_exists_is_overwritten_only_by_force(ground: Ground) -> None:
    ground.annexd("adjust", "--unlock")
    ground.git(ground.ours, "checkout", "-q", "master")
    ground.annexd("adjust", "--unlock", status=1)
    assert ground.git(ground.ours, "symbolic-ref", "HEAD") == "refs/heads/master\n"
    ground.annexd("adjust", "--unlock", "--force")
    assert ground.git(ground.ours, "symbolic-ref", "HEAD") == "refs/heads/adjusted/master(unlocked)\n"


def test_what_others_pushed_to_the_original_branch_is_merged_and_not_overwritten(ground: Ground) -> None:
    ground.annexd("adjust", "--unlock")
    ground.write(ground.theirs, "pushed", b"pushed\n")
    ground.annex(ground.theirs, "add", "-q", "pushed")
    ground.git(ground.theirs, "commit", "-qm", "pushed")
    ground.git(ground.theirs, "push", "-q", str(ground.ours), "master")
    ground.work(ground.ours)
    ground.annexd("sync")
    pushed = ground.git(ground.theirs, "rev-parse", "HEAD").strip()
    ground.git(ground.ours, "merge-base", "--is-ancestor", pushed, "master")
    assert {"pushed", "d/a2", "new"} <= set(ground.git(ground.ours, "ls-tree", "-r", "--name-only", "HEAD").split())
