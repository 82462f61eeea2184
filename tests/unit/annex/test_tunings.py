"""Initialising tuned repositories: what is asked for, what others have, what is recorded."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from annexd.annex.differences import Decision, decide, describe
from annexd.annex.init import initialize
from annexd.errors import DifferencesRefused
from annexd.formats.logs.difference import NONE, Difference, Differences
from annexd.formats.uuid import UUID
from tests.unit.annex.helpers import OTHER, git, make_annex, open_annex, show

US = UUID(b"aaaaaaaa-1111-4222-8333-444444444444")
LOWER = Differences(frozenset({Difference.OBJECT_HASH_LOWER}))
BOTH = Differences(frozenset({Difference.OBJECT_HASH_LOWER, Difference.ONE_LEVEL_BRANCH_HASH}))
THEIR_UUIDS = b"%b other timestamp=1s\n" % OTHER
ALREADY, CLONE, OTHERS = "already initialized", "clone of an existing", "differ from values being used in other clones"


def log(*entries: tuple[UUID, bytes]) -> bytes:
    return b"".join(b"%b fromList [%b] timestamp=1s\n" % entry for entry in entries)


@pytest.mark.parametrize(
    ("wanted", "is_first", "difference_log", "uuid_log", "result", "record", "words"),
    [
        (NONE, True, None, None, NONE, None, ""),
        (NONE, False, None, THEIR_UUIDS, NONE, None, ""),
        (LOWER, True, None, None, LOWER, LOWER, ""),
        (LOWER, True, None, THEIR_UUIDS, NONE, NONE, CLONE),
        (NONE, True, log((OTHER, b"ObjectHashLower")), THEIR_UUIDS, LOWER, LOWER, ""),
        (LOWER, True, log((OTHER, b"ObjectHashLower,OneLevelBranchHash")), THEIR_UUIDS, BOTH, BOTH, ""),
        (BOTH, True, log((OTHER, b"ObjectHashLower")), THEIR_UUIDS, LOWER, LOWER, OTHERS),
        (LOWER, False, None, None, NONE, NONE, ALREADY),
        (LOWER, False, log((US, b"ObjectHashLower")), None, LOWER, None, ""),
        (BOTH, False, log((US, b"ObjectHashLower")), None, LOWER, LOWER, ALREADY),
    ],
)
def test_tunings_are_chosen_as_git_annex_chooses_them(
    wanted: Differences,
    is_first: bool,
    difference_log: bytes | None,
    uuid_log: bytes | None,
    result: Differences,
    record: Differences | None,
    words: str,
) -> None:
    found: Decision = decide(wanted, US, is_first_init=is_first, log=difference_log, uuid_log=uuid_log)
    assert (found.differences, found.record) == (result, record)
    assert words in found.warning and bool(words) == bool(found.warning)


@pytest.mark.parametrize("value", [b"fromList [New]", b"[ObjectHashLower]", b"junk"])
def test_others_that_are_tuned_in_an_unknown_way_are_not_joined(value: bytes) -> None:
    with pytest.raises(DifferencesRefused, match="not known"):
        decide(NONE, US, is_first_init=True, log=b"%b %b timestamp=1s\n" % (OTHER, value), uuid_log=None)


def test_tunings_have_names_for_people() -> None:
    assert describe(BOTH) == "tuned (ObjectHashLower, OneLevelBranchHash)"
    assert describe(NONE) == "not tuned"


def test_a_clone_takes_the_tunings_over_with_a_line_of_its_own(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    subprocess.run(["git", "init", "-q", str(origin)], check=True)
    git(origin, "config", "annex.tune.objecthash1", "true")
    initialize(os.fsencode(origin)).close()
    git(tmp_path, "clone", "-q", "-o", "elsewhere", str(origin), str(tmp_path / "clone"))
    with open_annex(tmp_path / "clone") as state:
        assert (state.layout.levels, state.layout.branch_levels) == (1, 2)
        lines = show(tmp_path / "clone", "difference.log").splitlines()
        assert [line.partition(b" timestamp")[0] for line in sorted(lines)] == sorted(
            b"%b fromList [OneLevelObjectHash]" % uuid for uuid in state.settings.descriptions
        )
    assert git(tmp_path / "clone", "config", "--local", "annex.tune.objecthash1") == b"true"


def test_an_annex_that_exists_keeps_its_layout_whatever_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_annex(tmp_path / "plain")
    for name, value in (("COUNT", "1"), ("KEY_0", "annex.tune.branchhash1"), ("VALUE_0", "true")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    said: list[str] = []
    with initialize(os.fsencode(path), warn=said.append) as state:
        assert state.branch.levels == 2
    assert any("already initialized" in text for text in said)
    monkeypatch.delenv("GIT_CONFIG_COUNT")
    assert b"tune" not in git(path, "config", "--local", "--list")
    open_annex(path).close()


def test_settings_that_change_under_a_running_daemon_are_not_taken_over(tmp_path: Path) -> None:
    path = make_annex(tmp_path / "plain")
    with open_annex(path) as state:
        git(path, "config", "annex.tune.objecthashlower", "true")
        with pytest.raises(DifferencesRefused, match="not tuned") as refused:
            state.reload_config()
        assert "annex.tune.objecthashlower" in refused.value.hint
        assert not state.layout.lower_only
