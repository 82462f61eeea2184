"""Which git commands of other people change what is checked out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from annexd.git.at_work import changing_command, git_at_work
from annexd.git.repository import GitRepository
from annexd.git.work_trees import checked_out
from tests.support.eventually import eventually
from tests.support.repositories import git, make_git_repo


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("git commit -m x", b"commit"),
        ("/usr/bin/git -c user.name=x -C /tmp --no-pager rebase -i", b"rebase"),
        ("git --git-dir=/x/.git switch main", b"switch"),
        ("git cat-file --batch", None),
        ("git annex sync", None),
        ("git", None),
        ("git -c", None),
    ],
)
def test_a_command_line_tells_what_git_does(line: str, expected: bytes | None) -> None:
    assert changing_command([os.fsencode(word) for word in line.split()]) == expected


def test_a_commit_with_an_open_editor_is_seen_until_it_ends(git_repo: Path) -> None:
    repo = GitRepository.discover(os.fsencode(git_repo))
    gate = git_repo / ".git/go"
    editor = f"sh -c 'while test ! -e {gate}; do sleep 0.02; done; echo message > \"$0\"'"
    inside = git_repo / "directory"
    inside.mkdir()
    assert git_at_work(repo) is None
    process = subprocess.Popen(
        ["git", "commit", "-q", "--allow-empty"], cwd=inside, env={**os.environ, "GIT_EDITOR": editor}
    )
    try:
        assert "git commit" in eventually(lambda: git_at_work(repo))
    finally:
        gate.touch()
        assert process.wait(10) == 0
    assert git_at_work(repo) is None


def test_a_git_in_an_embedded_repository_is_none_of_our_business(git_repo: Path) -> None:
    inner = make_git_repo(git_repo / "inner")
    gate = git_repo / ".git/go"
    editor = f"sh -c 'while test ! -e {gate}; do sleep 0.02; done; echo message > \"$0\"'"
    process = subprocess.Popen(
        ["git", "commit", "-q", "--allow-empty"], cwd=inner, env={**os.environ, "GIT_EDITOR": editor}
    )
    try:
        eventually(lambda: git_at_work(GitRepository.discover(os.fsencode(inner))))
        assert git_at_work(GitRepository.discover(os.fsencode(git_repo))) is None
    finally:
        gate.touch()
        process.wait(10)


def test_branches_of_linked_work_trees_are_checked_out(git_repo: Path) -> None:
    git(git_repo, "commit", "-q", "--allow-empty", "-m", "first")
    git(git_repo, "worktree", "add", "-q", "-b", "topic", str(git_repo.with_name("linked")))
    git(git_repo, "worktree", "add", "-q", "--detach", str(git_repo.with_name("detached")))
    found = checked_out(GitRepository.discover(os.fsencode(git_repo)))
    assert found == {b"refs/heads/main", b"refs/heads/topic"}
