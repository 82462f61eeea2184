"""Upgrades: when they are due, what they write, and what a crash in between leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex import upgrade
from annexd.annex.init import initialize
from annexd.annex.state import AnnexState
from annexd.annex.upgrade import WAIT, Manner, must_wait, time_of_upgrade
from annexd.errors import RepositoryError
from annexd.formats.vector_clock import PICOSECONDS, VectorClock
from annexd.git.config import set_config
from annexd.git.repository import GitRepository
from annexd.system.lock_pool import LOCKS
from tests.unit.annex.helpers import git, make_annex, open_annex

NOW = 2_000_000_000


class Clock:
    def time_ns(self) -> int:
        return NOW * 10**9 + 250_000_000

    def monotonic(self) -> float:
        return 0.0

    def vector_now(self) -> VectorClock:
        return VectorClock.at(NOW)


@pytest.fixture
def old(tmp_path: Path) -> AnnexState:
    """An annex of version 9; the log of its upgrades is the test's."""
    path = make_annex(tmp_path / "old")
    git(path, "config", "annex.version", "9")
    git(path, "config", "annex.autoupgraderepository", "false")
    return open_annex(path)


def note(state: AnnexState, *lines: str) -> None:
    Path(os.fsdecode(state.layout.lock(b"upgrade.log"))).write_text("".join(f"{line}\n" for line in lines))


def test_version_10_waits_for_a_year_after_version_9_unless_it_is_forced(old: AnnexState) -> None:
    year = WAIT // PICOSECONDS
    assert not must_wait(old.layout, Manner.ASKED, Clock())
    note(old, f"9 {NOW - year + 1}s", "junk", "9 nonsense", f"10 {NOW}s")
    assert must_wait(old.layout, Manner.ASKED, Clock()) and must_wait(old.layout, Manner.AUTOMATIC, Clock())
    assert not must_wait(old.layout, Manner.FORCED, Clock())
    note(old, f"9 {NOW - year}s", f"9 {NOW}s")
    assert time_of_upgrade(old.layout, 9) == VectorClock.at(NOW - year)
    assert not must_wait(old.layout, Manner.AUTOMATIC, Clock())
    assert upgrade.upgrade(old.repo, old.layout, Manner.AUTOMATIC, Clock()).reached == (10,)
    log = Path(os.fsdecode(old.layout.lock(b"upgrade.log"))).read_text()
    assert log.splitlines()[-1] == f"10 {NOW}.25s"


def test_a_daemon_is_not_upgraded_from_version_9_under_its_feet(old: AnnexState) -> None:
    with LOCKS.exclusive(old.layout.daemon_pid):
        assert must_wait(old.layout, Manner.AUTOMATIC, Clock())
        assert not must_wait(old.layout, Manner.ASKED, Clock())


def test_the_log_is_written_before_the_version_so_that_no_wait_is_forgotten(
    old: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(Path(os.fsdecode(old.repo.top)), "config", "annex.version", "8")

    real = set_config

    def crash(repo: GitRepository, name: str | bytes, value: str | bytes) -> None:
        if name == "annex.version":
            raise OSError("no more")
        real(repo, name, value)

    monkeypatch.setattr(upgrade, "set_config", crash)
    with pytest.raises(OSError, match="no more"):
        upgrade.upgrade(old.repo, old.layout, Manner.ASKED, Clock())
    monkeypatch.undo()
    assert time_of_upgrade(old.layout, 9) is not None
    done = upgrade.upgrade(old.repo, old.layout, Manner.ASKED, Clock())
    assert done.reached == (9,) and done.is_deferred


def test_an_upgrade_that_fails_by_itself_stops_nobody(old: AnnexState) -> None:
    path = Path(os.fsdecode(old.repo.top))
    git(path, "config", "annex.autoupgraderepository", "true")
    (path / ".git/config.lock").touch()
    with open_annex(path) as state:
        assert state.config.version == 9
    (path / ".git/config.lock").unlink()
    with open_annex(path) as state:
        assert state.config.version == 10


def test_init_changes_no_version(old: AnnexState) -> None:
    with pytest.raises(RepositoryError, match="already initialized with version 9"):
        initialize(old.repo.top, version=10)
    assert git(Path(os.fsdecode(old.repo.top)), "config", "annex.version") == b"9"
