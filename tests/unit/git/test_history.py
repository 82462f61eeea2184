"""Ancestry and merges."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annexd.errors import GitError
from annexd.git import history
from annexd.git.history import commits_between, is_ancestor, merge_base, merge_trees, read_commit
from annexd.git.object_store import GitObjects
from annexd.git.objects import Oid
from annexd.git.repository import GitRepository
from tests.support.repositories import git
from tests.unit.git.history import START, commit


@pytest.fixture
def objects(git_repo: Path) -> Iterator[GitObjects]:
    objects = GitObjects(GitRepository.discover(os.fsencode(git_repo)))
    yield objects
    objects.close()


def test_ancestors_are_found(objects: GitObjects) -> None:
    root = commit(objects, [])
    left, right = commit(objects, [root], {b"l": b""}), commit(objects, [root], {b"r": b""})
    merge = commit(objects, [left, right], {b"l": b"", b"r": b""})
    assert is_ancestor(objects, root, merge)
    assert is_ancestor(objects, right, merge)
    assert is_ancestor(objects, merge, merge)
    assert not is_ancestor(objects, merge, root)
    assert not is_ancestor(objects, left, right)
    assert merge_base(objects, left, right) == root
    assert merge_base(objects, left, merge) == left
    assert merge_base(objects, merge, left) == left


def test_long_histories_are_left_to_git(objects: GitObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_WALK_LIMIT", 5)
    chain = [commit(objects, [], {b"f": b"0"})]
    for n in range(1, 20):
        chain.append(commit(objects, [chain[-1]], {b"f": b"%d" % n}))
    assert is_ancestor(objects, chain[0], chain[-1])
    assert not is_ancestor(objects, chain[-1], chain[10])


def test_unrelated_histories_have_no_base(objects: GitObjects) -> None:
    a, b = commit(objects, [], {b"a": b""}), commit(objects, [], {b"b": b""})
    assert merge_base(objects, a, b) is None
    assert not is_ancestor(objects, a, b)
    with pytest.raises(GitError, match="unrelated"):
        merge_trees(objects.repo, a, b)
    outcome = merge_trees(objects.repo, a, b, allow_unrelated=True)
    assert outcome.conflicts == ()
    assert [entry.name for entry in objects.tree(outcome.tree)] == [b"a", b"b"]


def test_a_shallow_history_ends_where_it_was_cut(tmp_path: Path, git_repo: Path) -> None:
    for n in range(3):
        git(git_repo, "commit", "-q", "--allow-empty", "-m", str(n))
    git(tmp_path, "clone", "-q", "--depth", "1", git_repo.as_uri(), "shallow")
    objects = GitObjects(GitRepository.discover(os.fsencode(tmp_path / "shallow")))
    tip = Oid(bytes.fromhex(git(git_repo, "rev-parse", "HEAD").decode()))
    root = Oid(bytes.fromhex(git(git_repo, "rev-parse", "HEAD~2").decode()))
    assert read_commit(objects, root) is None
    assert not is_ancestor(objects, root, tip)
    objects.close()


def test_a_clean_merge_has_both_sides_files(objects: GitObjects) -> None:
    base = commit(objects, [], {b"f": b"1\n2\n3\n", b"g": b"x"})
    ours = commit(objects, [base], {b"f": b"1\n2\n3\n", b"g": b"x", b"new\nname": b""})
    theirs = commit(objects, [base], {b"f": b"1\n2\nthree\n"})
    objects.flush()
    outcome = merge_trees(objects.repo, ours, theirs)
    assert outcome.conflicts == ()
    assert [entry.name for entry in objects.tree(outcome.tree)] == [b"f", b"new\nname"]


def test_conflicts_name_their_sides(objects: GitObjects) -> None:
    base = commit(objects, [], {b"f": b"base", b"gone": b"x"})
    ours = commit(objects, [base], {b"f": b"ours", b"gone": b"changed", b"d": b"file"})
    theirs = commit(objects, [base], {b"f": b"theirs", b"d/in": b"directory"})
    objects.flush()
    outcome = merge_trees(objects.repo, ours, theirs)
    found = {conflict.path: [stage.stage for stage in conflict.stages] for conflict in outcome.conflicts}
    assert found[b"f"] == [1, 2, 3]
    assert found[b"gone"] == [1, 2]
    assert any(path.startswith(b"d~") for path in found)
    assert any(b"CONFLICT (content)" in note.text for note in outcome.notes)
    side = next(stage for c in outcome.conflicts if c.path == b"f" for stage in c.stages if stage.stage == 3)
    assert objects.read_blob(side.oid) == b"theirs"


histories = st.lists(st.tuples(st.lists(st.integers(0, 20), max_size=3), st.integers(0, 9)), min_size=1, max_size=14)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories, st.integers(0, 20), st.integers(0, 20))
def test_what_is_new_is_never_missed(
    objects: GitObjects, drawn: list[tuple[list[int], int]], a: int, b: int
) -> None:
    oids: list[Oid] = []
    for n, (parents, skew) in enumerate(drawn):
        known = dict.fromkeys(oids[p % len(oids)] for p in parents) if oids else ()
        oids.append(commit(objects, list(known), {b"n": b"%d" % n}, START + n - skew))
    new, old = oids[a % len(oids)], oids[b % len(oids)]

    def reach(tip: Oid) -> set[Oid]:
        found = {tip}
        todo = [tip]
        while todo:
            parsed = read_commit(objects, todo.pop())
            for parent in parsed.parents if parsed else ():
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    between = commits_between(objects, new, [old], 1000)
    assert between is not None
    listed = {oid for oid, _ in between}
    assert reach(new) - reach(old) <= listed <= reach(new)
    assert is_ancestor(objects, old, new) == (old in reach(new))
