"""Upgrades from version 8 on, beside the real git-annex: the same settings and the same files of the annex."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from annexd.system.lock_pool import LOCKS
from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle
from tests.support.repositories import make_removable

DAY = 24 * 3600


def make(oracle: Oracle, path: Path, version: int, *, bare: bool = False) -> Path:
    oracle.git(path.parent, "init", "-q", *(["--bare"] if bare else []), str(path))
    oracle.annex(path, "init", "old", f"--version={version}")
    return path


def git_dir(repo: Path) -> Path:
    return repo / ".git" if (repo / ".git").exists() else repo


def state(repo: Path) -> tuple[str, str | None]:
    """Git config, and upgrade.log with its times left out."""
    log = git_dir(repo) / "annex/upgrade.log"
    text = re.sub(r" [0-9.]+s$", " TIME", log.read_text(), flags=re.MULTILINE) if log.exists() else None
    return (git_dir(repo) / "config").read_text(), text


def note(repo: Path, version: int, days_ago: float) -> None:
    with (git_dir(repo) / "annex/upgrade.log").open("a") as log:
        log.write(f"{version} {time.time() - days_ago * DAY:.3f}s\n")


@pytest.fixture
def both(tmp_path: Path, oracle: Oracle, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """Two copies of one repository, of the version and with the log that the test names."""
    version, bare, days, automatic = request.param
    repo = make(oracle, tmp_path / "theirs", version, bare=bare)
    for at in days:
        note(repo, 9, at)
    if not automatic:
        oracle.git(repo, "config", "annex.autoupgraderepository", "false")
    shutil.copytree(repo, tmp_path / "ours", symlinks=True)
    return repo, tmp_path / "ours"


CASES = {
    "8": (8, False, (), True),
    "8, bare": (8, True, (), True),
    "8, not by itself": (8, False, (), False),
    "9, never noted": (9, False, (), True),
    "9, for 40 days": (9, False, (40,), True),
    "9, for 364 days": (9, False, (364,), True),
    "9, for 366 days": (9, False, (366,), True),
    "9, for 366 days and noted again": (9, False, (40, 366), True),
    "9, not by itself": (9, False, (), False),
}


SELDOM = {"9, for 40 days", "9, for 366 days", "9, not by itself"}   # the everyday tests have their like


@pytest.mark.parametrize(
    "both",
    [pytest.param(case, id=name, marks=[pytest.mark.slow] * (name in SELDOM)) for name, case in CASES.items()],
    indirect=True,
)
def test_any_command_upgrades_as_far_as_one_of_git_annexs_does(
    both: tuple[Path, Path], oracle: Oracle, annexd_cli: Annexd
) -> None:
    theirs, ours = both
    oracle.annex(theirs, "info", "--fast", "--json")
    annexd_cli(ours, "info", "--fast", "--json")
    assert state(ours) == state(theirs)


@pytest.mark.parametrize(
    "options",
    [[], ["--force"], *(pytest.param([word], marks=pytest.mark.slow) for word in ("--autoonly", "--json"))],
    ids=" ".join,
)
@pytest.mark.parametrize("both", [CASES["8"], CASES["9, for 40 days"], CASES["8, not by itself"]], indirect=True)
def test_upgrade_says_and_does_what_git_annexs_does(
    both: tuple[Path, Path], oracle: Oracle, annexd_cli: Annexd, options: list[str]
) -> None:
    theirs, ours = both
    said = oracle.annex(theirs, "upgrade", *options)
    assert annexd_cli(ours, "upgrade", *options) == said
    assert state(ours) == state(theirs)


@pytest.mark.parametrize("both", [CASES["9, never noted"]], indirect=True)
def test_nothing_is_upgraded_under_a_running_daemon(
    both: tuple[Path, Path], oracle: Oracle, annexd_cli: Annexd
) -> None:
    for repo, annex in zip(both, (oracle.annex, annexd_cli), strict=True):
        with LOCKS.exclusive(bytes(repo / ".git/annex/daemon.pid")) as hold:
            os.pwrite(hold.fd, b"%d" % os.getpid(), 0)
            annex(repo, "upgrade", status=1)
            assert oracle.git(repo, "config", "annex.version") == "9\n"
            if annex is annexd_cli:     # git-annex does it, though a daemon that began before goes on as it did
                annex(repo, "info", "--fast", "--json")
    assert state(both[1]) == state(both[0])


@pytest.mark.parametrize("version", [pytest.param(7, marks=pytest.mark.slow), 11])
def test_versions_that_we_do_not_know_are_refused_and_nothing_is_touched(
    tmp_path: Path, oracle: Oracle, annexd_cli: Annexd, version: int
) -> None:
    repo = make(oracle, tmp_path / "repo", 10)
    oracle.git(repo, "config", "annex.version", str(version))
    before = {path: path.lstat().st_mtime_ns for path in sorted((repo / ".git").rglob("*"))}
    for command in (["find"], ["upgrade", "--force"], ["init", "--version=10"], ["sync"]):
        annexd_cli(repo, *command, status=1)
    assert {path: path.lstat().st_mtime_ns for path in sorted((repo / ".git").rglob("*"))} == before


def test_a_repository_that_was_upgraded_works_with_both(tmp_path: Path, oracle: Oracle, annexd_cli: Annexd) -> None:
    repo = make(oracle, tmp_path / "repo", 8)
    (repo / "file").write_text("file\n")
    annexd_cli(repo, "upgrade", "--force")
    annexd_cli(repo, "add", "file")
    oracle.git(repo, "commit", "-q", "-m", "file")
    annexd_cli(repo, "unlock", "file")
    oracle.git(repo, "commit", "-q", "-m", "unlocked")
    oracle.assert_sound(repo, numcopies_may_fail=True)
    assert oracle.git(repo, "config", "annex.version").strip() == "10"
    make_removable(repo)
