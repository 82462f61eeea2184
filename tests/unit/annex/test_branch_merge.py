"""Merging git-annex branches that came from elsewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.errors import RefusedError
from annexd.formats.logs.transitions import FORGET_DEAD_REMOTES, FORGET_GIT_HISTORY
from annexd.formats.vector_clock import VectorClock
from annexd.git.objects import Oid
from tests.unit.annex.helpers import (
    OTHER,
    THIRD,
    commit_files,
    git,
    git_annex,
    key,
    make_annex,
    open_annex,
    show,
    subjects,
)

SIBLING = "refs/remotes/o/git-annex"


def oid(text: str | bytes) -> Oid:
    return Oid(bytes.fromhex(text.decode() if isinstance(text, bytes) else text))


def test_lines_of_both_sides_are_kept(state: AnnexState, annex_path: Path) -> None:
    state.branch.change_many({b"k.log": lambda _: b"1s 1 A\n", b"ours.log": lambda _: b"o\n"})
    theirs = commit_files(annex_path, SIBLING, {"k.log": b"2s 1 B\n", "d/theirs.log": b"t\n"})
    update = state.branch.merge_siblings()
    assert update.moved and not update.refused
    assert show(annex_path, "k.log") == b"1s 1 A\n2s 1 B\n"
    assert show(annex_path, "ours.log") == b"o\n"
    assert show(annex_path, "d/theirs.log") == b"t\n"
    assert subjects(annex_path)[-1] == b"merging o/git-annex into git-annex"
    parents = git(annex_path, "rev-parse", "git-annex^1", "git-annex^2").split()
    assert update.old is not None
    assert parents == [update.old.hex().encode(), theirs.encode()]
    assert not state.branch.merge_siblings().moved
    assert theirs.encode() + b"\t" + SIBLING.encode() in (annex_path / ".git/annex/mergedrefs").read_bytes()


def test_a_descendant_is_fast_forwarded_to(state: AnnexState, annex_path: Path) -> None:
    tip = git(annex_path, "rev-parse", "git-annex").decode()
    files = {"new.log": b"n\n", "uuid.log": show(annex_path, "uuid.log")}
    newer = commit_files(annex_path, "refs/heads/synced/git-annex", files, parent=tip)
    assert state.branch.merge_siblings().new == oid(newer)
    assert state.branch.read(b"new.log") == b"n\n"


def test_a_descendant_is_merged_when_the_journal_holds_something(state: AnnexState, annex_path: Path) -> None:
    tip = git(annex_path, "rev-parse", "git-annex").decode()
    commit_files(annex_path, SIBLING, {"new.log": b"n\n"}, parent=tip)
    state.branch.change(b"new.log", lambda _: b"journal\n")
    assert state.branch.merge_siblings().moved
    assert show(annex_path, "new.log") == b"journal\nn\n"
    assert state.branch.journal_is_empty()


def test_several_siblings_become_parents_of_one_commit(state: AnnexState, annex_path: Path) -> None:
    commit_files(annex_path, "refs/remotes/a/git-annex", {"k.log": b"1s 1 A\n"})
    commit_files(annex_path, "refs/remotes/b/synced/git-annex", {"k.log": b"1s 1 B\n"})
    commit_files(annex_path, "refs/remotes/b/other", {"k.log": b"1s 1 no\n"})
    state.branch.merge_siblings()
    assert show(annex_path, "k.log") == b"1s 1 A\n1s 1 B\n"
    assert subjects(annex_path)[-1] == b"merging a/git-annex b/synced/git-annex into git-annex"
    assert len(git(annex_path, "log", "-1", "--format=%P", "git-annex").split()) == 3


def test_what_git_annex_merged_or_ignores_is_not_merged_again(state: AnnexState, annex_path: Path) -> None:
    merged = commit_files(annex_path, SIBLING, {"k.log": b"1s 1 A\n"})
    ignored = commit_files(annex_path, "refs/remotes/p/git-annex", {"k.log": b"1s 1 B\n"})
    (annex_path / ".git/annex/mergedrefs").write_text(f"{merged}\t{SIBLING}\njunk\n")
    (annex_path / ".git/annex/ignoredrefs").write_text(f"{ignored}\n")
    assert not state.branch.merge_siblings().moved


def test_a_sibling_that_holds_nothing_new_is_noted_and_makes_no_commit(state: AnnexState, annex_path: Path) -> None:
    tip = git(annex_path, "rev-parse", "git-annex").decode()
    state.branch.change_many({b"x.log": lambda _: b"x\n"})
    git(annex_path, "update-ref", SIBLING, tip)
    assert not state.branch.merge_siblings().moved
    assert tip in (annex_path / ".git/annex/mergedrefs").read_text()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("difference.log", b"u fromList [OneLevelObjectHash] timestamp=1s\n", "LevelObjectHash.*this .* is not tuned"),
        ("difference.log", b"u junk timestamp=1s\n", "tuned in a way that is not known"),
        ("transitions.log", b"ForgetEverything 1s\n", "unknown transitions .*ForgetEverything"),
        ("transitions.log", b"what is this\n", "transitions.log"),
    ],
)
def test_a_sibling_that_does_not_fit_is_refused_and_the_others_are_merged(
    state: AnnexState, annex_path: Path, name: str, content: bytes, reason: str
) -> None:
    commit_files(annex_path, SIBLING, {name: content, "k.log": b"1s 1 A\n"})
    commit_files(annex_path, "refs/remotes/p/git-annex", {"fine.log": b"f\n"})
    update = state.branch.merge_siblings()
    assert [refused.ref for refused in update.refused] == [SIBLING.encode()]
    assert re.search(reason, update.refused[0].reason)
    assert show(annex_path, "k.log") == b""
    assert show(annex_path, "fine.log") == b"f\n"
    assert [refused.ref for refused in state.branch.merge_siblings().refused] == [SIBLING.encode()]


def test_untuned_difference_logs_and_equal_transitions_do_not_stand_in_the_way(
    state: AnnexState, annex_path: Path
) -> None:
    state.branch.change_many({b"transitions.log": lambda _: b"ForgetGitHistory 1s\n"})
    files = {"transitions.log": b"ForgetGitHistory 1.0s\n", "difference.log": b"u fromList [] timestamp=1s\n"}
    commit_files(annex_path, SIBLING, files)
    update = state.branch.merge_siblings()
    assert update.moved and not update.refused


def test_what_a_sibling_has_forgotten_is_forgotten_here(state: AnnexState, annex_path: Path) -> None:
    dead = b"%b X timestamp=1s\n" % THIRD
    state.branch.change_many({b"aaa/bbb/%b.log" % bytes(key(1)): lambda _: b"1s 1 %b\n2s 1 %b\n" % (OTHER, THIRD)})
    old = git(annex_path, "rev-parse", "git-annex").decode()
    files = {"transitions.log": b"ForgetGitHistory 1s\nForgetDeadRemotes 1s\n", "trust.log": dead, "x.log": b"x\n"}
    commit = commit_files(annex_path, SIBLING, files)
    commit_files(annex_path, "refs/remotes/old/git-annex", {"trust.log": dead, "y.log": b"y\n"})
    old_sibling = git(annex_path, "rev-parse", "refs/remotes/old/git-annex").decode()
    state.branch.change(b"z.log", lambda _: b"from the journal\n")
    update = state.branch.merge_siblings()
    assert update.moved and not update.refused
    assert subjects(annex_path)[-1] == b"continuing transition forget git history, forget dead remotes"
    assert git(annex_path, "log", "-1", "--format=%P", "git-annex").decode() == commit
    assert show(annex_path, f"aaa/bbb/{key(1)}.log") == b"1s 1 %b\n" % OTHER
    assert [show(annex_path, f"{name}.log") for name in "xyz"] == [b"x\n", b"y\n", b"from the journal\n"]
    ignored = (annex_path / ".git/annex/ignoredrefs").read_text().split()
    assert set(ignored) == {old, old_sibling}
    git(annex_path, "update-ref", "refs/remotes/late/git-annex", old)
    assert not state.branch.merge_siblings().moved


def test_a_sibling_that_has_not_forgotten_gives_its_lines_but_not_its_history(
    state: AnnexState, annex_path: Path
) -> None:
    state.branch.forget([FORGET_GIT_HISTORY, FORGET_DEAD_REMOTES], VectorClock.at(5))
    assert subjects(annex_path) == [b"new branch for transition forget git history, forget dead remotes"]
    assert show(annex_path, "transitions.log") == b"ForgetGitHistory 5s\nForgetDeadRemotes 5s\n"
    dead, gone = b"%b X timestamp=1s\n" % THIRD, b"%b gone timestamp=1s\n" % THIRD
    files = {"trust.log": dead, "uuid.log": gone, "x.log": b"x\n"}
    sibling = commit_files(annex_path, SIBLING, files)
    assert state.branch.merge_siblings().moved
    assert subjects(annex_path)[-1].startswith(b"continuing transition forget git history")
    assert len(git(annex_path, "log", "-1", "--format=%P", "git-annex").split()) == 1
    assert show(annex_path, "x.log") == b"x\n"
    assert bytes(THIRD) not in show(annex_path, "uuid.log")
    assert sibling in (annex_path / ".git/annex/ignoredrefs").read_text()
    assert not state.branch.merge_siblings().moved


def test_nothing_is_merged_or_forgotten_by_who_does_not_know_what_was_forgotten(
    state: AnnexState, annex_path: Path
) -> None:
    state.branch.change_many({b"transitions.log": lambda _: b"ForgetEverything 1s\n"})
    commit_files(annex_path, SIBLING, {"transitions.log": b"ForgetEverything 1s\n", "x.log": b"x\n"})
    assert "ForgetEverything" in state.branch.merge_siblings().refused[0].reason
    with pytest.raises(RefusedError, match="ForgetEverything"):
        state.branch.forget([FORGET_GIT_HISTORY], VectorClock.at(5))
    assert show(annex_path, "x.log") == b""


def test_a_damaged_sibling_is_reported_and_harms_nothing(state: AnnexState, annex_path: Path) -> None:
    blob = git(annex_path, "hash-object", "-w", "--stdin", stdin=b"x").decode()
    (annex_path / ".git/refs/remotes/o").mkdir(parents=True)
    (annex_path / ".git/refs/remotes/o/git-annex").write_text(blob + "\n")
    update = state.branch.merge_siblings()
    assert not update.moved
    assert [refused.ref for refused in update.refused] == [SIBLING.encode()]


def test_hostile_names_and_submodules_of_a_sibling_stay_out(state: AnnexState, annex_path: Path) -> None:
    blob = git(annex_path, "hash-object", "-w", "--stdin", stdin=b"x").decode()
    lines = f"100644 blob {blob}\tfine.log\n120000 blob {blob}\tlink.log\n160000 commit {'1' * 40}\tmodule\n"
    tree = git(annex_path, "mktree", "--missing", stdin=lines.encode()).decode()
    outer = f"040000 tree {tree}\t.git\n040000 tree {tree}\t..\n040000 tree {tree}\tdir\n"
    tree = git(annex_path, "mktree", stdin=outer.encode()).decode()
    commit = git(annex_path, "commit-tree", tree, "-m", "x").decode()
    git(annex_path, "update-ref", SIBLING, commit)
    state.branch.merge_siblings()
    names = git(annex_path, "ls-tree", "-r", "--name-only", "git-annex").split()
    assert names == [b"dir/fine.log", b"dir/link.log", b"uuid.log"]


def test_nothing_is_merged_where_the_configuration_forbids_it(annex_path: Path) -> None:
    commit_files(annex_path, SIBLING, {"k.log": b"1s 1 A\n"})
    git(annex_path, "config", "annex.merge-annex-branches", "false")
    with open_annex(annex_path) as state:
        assert not state.branch.merge_siblings().moved


def test_a_missing_branch_is_made_from_the_siblings(state: AnnexState, annex_path: Path) -> None:
    git(annex_path, "update-ref", "-d", "refs/heads/git-annex")
    (annex_path / ".git/annex/annexd/branch-tip").unlink()
    commit_files(annex_path, SIBLING, {"k.log": b"1s 1 A\n"})
    assert state.branch.merge_siblings().moved
    assert show(annex_path, "k.log") == b"1s 1 A\n"


def test_a_deleted_branch_comes_back_with_all_it_held(state: AnnexState, annex_path: Path) -> None:
    state.branch.change_many({b"k.log": lambda _: b"1s 1 A\n"})
    git(annex_path, "update-ref", "-d", "refs/heads/git-annex")
    state.branch.change_many({b"x.log": lambda _: b"x\n"})
    assert show(annex_path, "k.log") == b"1s 1 A\n"


def test_five_thousand_diverged_logs_merge_into_the_union(tmp_path: Path) -> None:
    one = make_annex(tmp_path / "one")
    two = tmp_path / "two"
    subprocess.run(["git", "clone", "-q", str(one), str(two)], check=True)
    keys = [key(number) for number in range(5000)]
    with open_annex(one) as first, open_annex(two) as second:
        first.locations.record_many((k, OTHER, Presence.PRESENT) for k in keys)
        second.locations.record_many((k, THIRD, Presence.PRESENT) for k in keys)
        git(two, "fetch", "-q", "origin")
        assert second.branch.merge_siblings().moved
        found = second.locations.locations_many(keys)
        assert all(uuids == {OTHER, THIRD} for uuids in found.values())
        assert git(two, "fsck", "--strict") == b""


def test_git_annex_and_annexd_merge_to_the_same_tree(annex_oracle: Path, tmp_path: Path) -> None:
    base = make_annex(tmp_path / "base")
    with open_annex(base) as state:
        logs = {"a.log": b"b\na\n", "b.log": b"10s 1 A\n9s 1 A\n", "e.log": b"a\r\n"}
        state.branch.change_many({name.encode(): (lambda _, data=data: data) for name, data in logs.items()})
    tip = git(base, "rev-parse", "git-annex").decode()
    theirs = {"a.log": b"a\nb\n", "b.log": b"9s 1 A\n11s 1 A\n", "d.log": b"only\n", "e.log": b"a\n"}
    commit_files(base, SIBLING, theirs, parent=tip)
    for name in ("by-annexd", "by-git-annex"):
        subprocess.run(["cp", "-a", str(base), str(tmp_path / name)], check=True)
    for repo in (tmp_path / "by-annexd", tmp_path / "by-git-annex"):
        ours = {"a.log": b"c\na\n", "b.log": b"10s 1 A\n", "e.log": b"a\r\n"}
        commit_files(repo, "refs/heads/git-annex", ours, parent=tip)
    with open_annex(tmp_path / "by-annexd") as state:
        state.branch.merge_siblings()
    git_annex(tmp_path / "by-git-annex", "merge")
    for name in theirs:
        assert show(tmp_path / "by-annexd", name) == show(tmp_path / "by-git-annex", name), name
    assert show(tmp_path / "by-annexd", "a.log") == b"a\nb\nc\n"
