"""Opening, forking and closing states; the settings of the branch; the lock around the shared state."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from annexd.annex import repository_log
from annexd.annex.location_log import Presence
from annexd.annex.shared import LONG_HOLD_NS, SharedAnnex
from annexd.annex.state import AnnexState
from annexd.errors import ConfigError, DifferencesRefused, RepositoryError
from annexd.formats.logs.trust import TrustLevel
from annexd.threads.held import LockDisciplineError
from tests.unit.annex.helpers import OTHER, commit_files, git, git_annex, key, make_annex, open_annex, show


def test_a_state_is_found_from_inside_the_work_tree(state: AnnexState, annex_path: Path) -> None:
    (annex_path / "deep/er").mkdir(parents=True)
    for place in ("deep/er", ".git", ".git/annex"):
        with open_annex(annex_path / place) as found:
            assert found.uuid == state.uuid


def test_opening_is_cheap(annex_path: Path) -> None:
    def once() -> float:
        began = time.perf_counter()
        with open_annex(annex_path):
            return time.perf_counter() - began

    assert min(once() for _ in range(5)) < 0.04


@pytest.mark.parametrize(
    ("setting", "value", "error", "words"),
    [
        ("annex.pidlock", "true", ConfigError, "pidlock"),
        ("annex.version", "11", RepositoryError, "version 11"),
        ("annex.version", "5", RepositoryError, "git annex upgrade"),
        ("annex.tune.objecthash1", "true", DifferencesRefused, r"difference\.log"),
        ("annex.thin", "perhaps", ConfigError, "annex.thin"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    state: AnnexState, annex_path: Path, setting: str, value: str, error: type[Exception], words: str
) -> None:
    before = state.config
    git(annex_path, "config", setting, value)
    with pytest.raises(error, match=words):
        open_annex(annex_path)
    with pytest.raises(error, match=words):
        state.reload_config()
    assert state.config is before


@pytest.mark.parametrize("version", ["8", "9", "10"])
def test_known_versions_are_opened(annex_path: Path, version: str) -> None:
    git(annex_path, "config", "annex.version", version)
    git(annex_path, "config", "annex.autoupgraderepository", "false")
    with open_annex(annex_path) as state:
        assert state.config.version == int(version)


def test_a_branch_that_says_otherwise_than_git_config_is_refused_with_the_file_and_a_remedy(annex_path: Path) -> None:
    uuid_log = show(annex_path, "uuid.log")
    files = {"difference.log": b"u fromList [ObjectHashLower] timestamp=1s\n", "uuid.log": uuid_log}
    tip = git(annex_path, "rev-parse", "git-annex").decode()
    commit_files(annex_path, "refs/heads/git-annex", files, parent=tip)
    with pytest.raises(DifferencesRefused, match=r"difference\.log") as refused:
        open_annex(annex_path)
    assert "git config annex.tune.objecthashlower true" in refused.value.hint
    git(annex_path, "config", "annex.tune.objecthashlower", "true")
    open_annex(annex_path).close()
    git(annex_path, "config", "--unset", "annex.tune.objecthashlower")
    commit_files(annex_path, "refs/heads/git-annex", {**files, "difference.log": b"u what timestamp=1s\n"})
    with pytest.raises(DifferencesRefused, match="not known"):
        open_annex(annex_path)
    commit_files(annex_path, "refs/heads/git-annex", {**files, "difference.log": b"u fromList [] timestamp=1s\n"})
    open_annex(annex_path).close()


@pytest.mark.usefixtures("annex_oracle")
def test_a_repository_that_git_annex_tuned_is_opened_with_its_layout(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "tuned")], check=True)
    git_annex(tmp_path / "tuned", "init", "-c", "annex.tune.branchhash1=true")
    with open_annex(tmp_path / "tuned") as state:
        assert (state.layout.levels, state.layout.branch_levels, state.branch.levels) == (2, 1, 1)


def test_config_log_counts_where_git_config_is_silent(state: AnnexState, annex_path: Path) -> None:
    assert state.config.autocommit
    repository_log.set_config(state, b"annex.autocommit", b"false")
    repository_log.set_config(state, b"annex.dotfiles", b"true")
    assert state.settings.config == {b"annex.autocommit": b"false", b"annex.dotfiles": b"true"}
    assert not state.config.autocommit and state.config.dotfiles
    git(annex_path, "config", "annex.autocommit", "true")
    state.reload_config()
    assert state.config.autocommit and state.config.dotfiles


def test_settings_follow_the_branch(state: AnnexState, annex_path: Path) -> None:
    first = state.settings
    assert state.settings is first
    assert set(first.descriptions) == {state.uuid}
    assert first.trust(OTHER) is TrustLevel.SEMITRUSTED and first.groups(OTHER) == frozenset()
    assert (first.numcopies(), first.mincopies()) == (None, None)
    repository_log.describe(state, OTHER, b"the other")
    repository_log.set_trust(state, OTHER, TrustLevel.UNTRUSTED)
    repository_log.set_groups(state, OTHER, [b"backup", b"archive"])
    repository_log.set_copies(state, b"numcopies.log", 3)
    repository_log.set_expression(state, b"preferred-content.log", OTHER, b"include=*.mp3")
    for _ in range(2):
        found = state.settings
        assert found.descriptions[OTHER] == b"the other"
        assert found.trust(OTHER) is TrustLevel.UNTRUSTED
        assert found.groups(OTHER) == {b"backup", b"archive"}
        assert (found.numcopies(), found.mincopies()) == (3, None)
        assert (found.wanted(OTHER), found.required(OTHER)) == (b"include=*.mp3", None)
        state.branch.commit()
    with state.fork() as other:
        assert other.settings == state.settings


def test_trust_in_git_config_counts_more_than_the_log(state: AnnexState, annex_path: Path) -> None:
    repository_log.set_trust(state, OTHER, TrustLevel.UNTRUSTED)
    git(annex_path, "config", "remote.r.annex-uuid", OTHER.decode())
    git(annex_path, "config", "remote.r.annex-trustlevel", "trusted")
    state.reload_config()
    assert state.settings.trust(OTHER) is TrustLevel.TRUSTED


def test_a_closed_or_reset_state_goes_on(state: AnnexState) -> None:
    for end in (state.close, state.reset):
        state.locations.record_many([(key(1), OTHER, Presence.PRESENT)])
        end()
        assert state.locations.locations(key(1)) == {OTHER}


def test_a_work_tree_of_another_repository_shares_its_annex(annex_path: Path, tmp_path: Path) -> None:
    git(annex_path, "commit", "-q", "--allow-empty", "-m", "x")
    hooks = ["-c", f"core.hooksPath={tmp_path}"]
    git(annex_path, *hooks, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other")
    assert (tmp_path / "linked/.git").is_file()
    with open_annex(tmp_path / "linked") as linked, open_annex(annex_path) as main:
        assert linked.uuid == main.uuid
        linked.locations.record(key(1), OTHER, Presence.PRESENT)
        assert main.locations.locations(key(1)) == {OTHER}
    assert os.readlink(tmp_path / "linked/.git") == "../annex/.git/worktrees/linked"
    assert os.readlink(tmp_path / "linked/.git/annex") == "../../annex"
    with open_annex(tmp_path / "linked") as again:
        assert again.layout.annex_dir == os.fsencode(annex_path / ".git/annex")
        assert again.repo.work_tree == os.fsencode(tmp_path / "linked")
    assert git(tmp_path / "linked", "status", "--porcelain") == b""


def test_a_submodule_gets_a_git_directory_that_symlinks_can_lead_through(tmp_path: Path) -> None:
    origin = make_annex(tmp_path / "origin")
    git(origin, "commit", "-q", "--allow-empty", "-m", "x")
    subprocess.run(["git", "init", "-q", str(tmp_path / "super")], check=True)
    git(tmp_path / "super", "submodule", "--quiet", "add", str(origin), "sub")
    with open_annex(tmp_path / "super/sub") as first, open_annex(tmp_path / "super/sub") as again:
        assert first.uuid == again.uuid
    assert os.readlink(tmp_path / "super/sub/.git") == "../.git/modules/sub"
    assert git(tmp_path / "super/sub", "config", "core.worktree", check=False) == b""
    assert git(tmp_path / "super", "status", "--porcelain") == b"A  .gitmodules\nA  sub"


def test_one_thread_at_a_time_has_the_shared_state(state: AnnexState) -> None:
    shared = SharedAnnex(state)
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with shared.locked() as mine:
                inside.append(1)
                most.append(len(inside))
                assert mine.uuid == state.uuid
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 80
    assert shared.config == state.config and shared.layout == state.layout


def test_the_shared_state_is_not_locked_twice_and_is_reset_after_a_failure(state: AnnexState) -> None:
    shared = SharedAnnex(state)
    with pytest.raises(LockDisciplineError), shared.locked(), shared.locked():
        pass
    branch = state.branch
    with pytest.raises(ZeroDivisionError), shared.locked():
        raise ZeroDivisionError
    assert state.branch is not branch
    with shared.locked() as mine:
        assert mine.branch.tip() is not None


def test_a_long_hold_is_told_with_its_holder(state: AnnexState) -> None:
    times = iter([0, LONG_HOLD_NS - 1, 0, LONG_HOLD_NS + 1])
    told: list[tuple[str, int]] = []
    shared = SharedAnnex(
        state, monotonic_ns=lambda: next(times), on_long_hold=lambda name, took: told.append((name, took))
    )
    for _ in range(2):
        with shared.locked():
            pass
    assert told == [(threading.current_thread().name, LONG_HOLD_NS + 1)]
    assert shared.longest_hold_ns == LONG_HOLD_NS + 1
