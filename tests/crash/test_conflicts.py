"""A merge in conflict is killed at any step: there is the old state or the new one, and the next try ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.recovery import recover
from annexd.annex.state import AnnexState
from annexd.sync.merge import MergeKind, merge_into_head
from annexd.threads.deadline import Deadline
from tests.support.annexes import make_annex
from tests.support.conflicts import WHEN, Files, commit, key_for, tree_with
from tests.support.environment import isolated
from tests.support.repositories import git, make_removable

REF = "refs/heads/synced/other"
OURS: Files = {"f.txt": ("unlocked", "1"), "d": ("locked", "1"), "g": ("git", "1\n"), "gone": ("unlocked", "2")}
THEIRS: Files = {"f.txt": ("unlocked", "2"), "d/in": ("locked", "2"), "g": ("git", "2\n")}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An annex that is about to merge a history in conflict with its own."""
    top = tmp_path_factory.mktemp("conflict")
    with make_annex(top / "it") as annex:
        for name, text in (("f.txt", "1"), ("f.txt", "2"), ("d", "1"), ("in", "2"), ("gone", "2")):
            annex.store.put_bytes(text.encode(), key_for(name, text))
        start = commit(annex, tree_with(annex, {"gone": ("unlocked", "1")}))
        ours, theirs = (
            commit(annex, tree_with(annex, files), start, when=WHEN + n) for n, files in enumerate((OURS, THEIRS), 1)
        )
        for oid in (ours, theirs):
            git(top / "it", "update-ref", REF, oid.hex())
            if oid == ours:
                assert merge_into_head(annex, REF.encode(), Deadline(5)).kind is MergeKind.ADOPTED
    yield top / "it"
    make_removable(top)


def state_of(repo: Path) -> tuple[bytes, dict[str, bytes]]:
    """HEAD, and what all files hold."""
    assert git(repo, "status", "--porcelain") == b""
    assert git(repo, "ls-files", "-u") == b"" and not (repo / ".git/MERGE_HEAD").exists()
    paths = [path for path in repo.rglob("*") if ".git" not in path.parts and not path.is_dir()]
    return git(repo, "rev-parse", "HEAD"), {str(path.relative_to(repo)): path.read_bytes() for path in paths}


def merge(repo: Path, home: Path, fault: str = "") -> int:
    env = {**isolated(home), "ANNEXD_FAULT": fault}
    argv = [sys.executable, "-m", "annexd", "merge", REF]
    return subprocess.run(argv, cwd=repo, env=env, capture_output=True).returncode


@pytest.fixture(scope="module")
def after(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes]]:
    top = tmp_path_factory.mktemp("merged")
    shutil.copytree(before, top / "it", symlinks=True)
    assert merge(top / "it", top / "home") == 0
    found = state_of(top / "it")
    make_removable(top)
    assert sorted(found[1].values()) == [b"1", b"1", b"1\n", b"2", b"2", b"2", b"2\n"]
    return found


@pytest.mark.parametrize("fault", [
    pytest.param("checkout-half", marks=pytest.mark.slow),
    "checkout-half:3",
    pytest.param("checkout-before-ref", marks=pytest.mark.slow),
    "checkout-before-index",
])  # fmt: skip
def test_a_killed_resolution_leaves_the_old_or_the_new_state(
    before: Path, after: tuple[bytes, dict[str, bytes]], tmp_path: Path, fault: str
) -> None:
    repo = tmp_path / "it"
    shutil.copytree(before, repo, symlinks=True)
    git(repo, "update-index", "-q", "--really-refresh")
    old = state_of(repo)
    assert merge(repo, tmp_path / "home", fault) == -signal.SIGKILL
    with AnnexState.open(os.fsencode(repo)) as annex:
        recover(annex)
    assert state_of(repo) in (old, after)
    assert merge(repo, tmp_path / "home") == 0
    assert state_of(repo) == after
    make_removable(tmp_path)
