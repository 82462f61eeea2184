"""Random small histories meet: both sides come to the same commit, and nothing that anybody made is lost."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annexd.annex.state import AnnexState
from annexd.formats.pointer import parse_link, parse_pointer
from annexd.git.history import read_commit
from annexd.git.objects import Oid
from annexd.git.tree import MODE_GITLINK, MODE_LINK, Blob, Trees
from annexd.sync.merge import MergeKind, merge_commits, merge_into_head
from annexd.threads.deadline import Deadline
from tests.support.annexes import make_annex
from tests.support.conflicts import WHEN, Files, Shape, commit, tree_with
from tests.support.repositories import git

HEAD = b"refs/heads/main"
REF = b"refs/heads/synced/other"
TAKEN = ("f.variant-2355.txt", "d/g.variant-6b86", "f.variant-2355.variant-x.txt")
PATHS = ("f.txt", "f.txt/in", "d", "d/g", "d/.h", "d/s/deep", ".h", "g", ".gitattributes", *TAKEN)
BODY = "".join(f"line {number}\n" for number in range(12))

annexed = st.tuples(st.sampled_from(("locked", "unlocked", "unlocked+x")), st.sampled_from("123"))
lines = st.lists(st.sampled_from(string.ascii_lowercase[:6]), max_size=2)
texts = st.tuples(lines, lines).map(lambda ends: "".join(f"top {x}\n" for x in ends[0]) + BODY
                                    + "".join(f"end {x}\n" for x in ends[1]))
plain = st.one_of(
    st.tuples(st.sampled_from(("git", "git+x")), st.sampled_from(("", "1", "\0binary", "2\n"))),
    st.tuples(st.just("git"), texts),
    st.tuples(st.just("symlink"), st.sampled_from(("1", "elsewhere"))),
)
shapes: st.SearchStrategy[Shape] = st.one_of(annexed, annexed, plain)


class Put(NamedTuple):
    path: str
    shape: Shape | None


class Move(NamedTuple):
    source: int
    target: str


edits = st.lists(
    st.one_of(
        st.builds(Put, st.sampled_from(PATHS), st.one_of(shapes, shapes, st.none())),
        st.builds(Move, st.integers(0, 9), st.sampled_from(PATHS)),
    ),
    max_size=4,
)


def edited(files: Files, changes: list[Put | Move]) -> Files:
    result = dict(files)
    for change in changes:
        if isinstance(change, Put):
            path, shape = change
        else:
            names = sorted(result)
            if not names:
                continue
            path, shape = change.target, result.pop(names[change.source % len(names)])
        result.pop(path, None)
        if shape is None:
            continue
        for other in [other for other in result if other.startswith(path + "/") or path.startswith(other + "/")]:
            del result[other]
        result[path] = shape
    return result


@pytest.fixture(scope="module")
def annex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnnexState]:
    with make_annex(tmp_path_factory.mktemp("conflicts") / "it") as state:
        yield state


def contents(annex: AnnexState, oid: Oid) -> set[object]:
    """Keys, lines of texts, targets of links: what somebody would miss."""
    found = read_commit(annex.objects, oid)
    assert found is not None
    return {thing for _, blob in Trees(annex.objects).entries(found.tree) for thing in things_in(annex, blob)}


def things_in(annex: AnnexState, blob: Blob) -> set[object]:
    mode, oid = blob
    if mode == MODE_GITLINK:
        return {oid}
    data = annex.objects.read_blob(oid)
    assert data is not None
    key = parse_link(data) if mode == MODE_LINK else parse_pointer(data)
    if key is not None:
        return {key}
    assert not any(line.startswith((b"<<<<<<<", b">>>>>>>")) for line in data.splitlines()), data
    return {(mode == MODE_LINK, line) for line in data.splitlines()}


def meet(annex: AnnexState, bases: list[Oid], ours: Oid, theirs: Oid) -> Oid:
    """Merge in both directions."""
    merged = merge_commits(annex, HEAD, ours, theirs, resolves=True)
    assert merge_commits(annex, HEAD, theirs, ours, resolves=True) == merged
    assert merged.new is not None, merged.paths
    known = set().union(*(contents(annex, base) for base in bases))
    kept = contents(annex, merged.new)
    for side in (ours, theirs):
        assert contents(annex, side) - known <= kept
    return merged.new


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(edits, edits, edits)
def test_two_sides_come_to_the_same_commit_and_lose_nothing(
    annex: AnnexState, base: list[Put | Move], ours: list[Put | Move], theirs: list[Put | Move]
) -> None:
    files = edited({"f.txt": ("locked", "0"), "g": ("git", BODY), "d/g": ("unlocked", "0")}, base)
    start = commit(annex, tree_with(annex, files))
    tips = [
        commit(annex, tree_with(annex, edited(files, changes)), start, when=WHEN + number)
        for number, changes in enumerate((ours, theirs), 1)
    ]
    if tips[0] != tips[1]:
        meet(annex, [start], *tips)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(edits, min_size=5, max_size=5))
def test_sides_that_merged_each_other_before_agree_too(annex: AnnexState, rounds: list[list[Put | Move]]) -> None:
    """A criss-cross: each side merged the other's last commit, in its own way, and went on."""
    base = edited({"f.txt": ("locked", "0"), "g": ("git", BODY)}, rounds[0])
    start = commit(annex, tree_with(annex, base))
    firsts = [edited(base, changes) for changes in rounds[1:3]]
    a, b = (
        commit(annex, tree_with(annex, files), start, when=WHEN + number) for number, files in enumerate(firsts, 1)
    )
    if a == b:
        return
    seconds = [edited(files, changes) for files, changes in zip(firsts, rounds[3:], strict=True)]
    mine = commit(annex, tree_with(annex, seconds[0]), a, b, when=WHEN + 3)
    other = commit(annex, tree_with(annex, seconds[1]), b, a, when=WHEN + 4)
    meet(annex, [a, b], mine, other)


def plain_git(annex: AnnexState, *args: str) -> bytes:
    """git as if there were no annex: its filters belong to another program."""
    filters = [word for name in ("process", "clean", "smudge") for word in ("-c", f"filter.annex.{name}=")]
    return git(Path(os.fsdecode(annex.repo.top)), *filters, *args)


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(edits, edits, edits)
def test_the_work_tree_goes_along_in_one_step(
    annex: AnnexState, base: list[Put | Move], ours: list[Put | Move], theirs: list[Put | Move]
) -> None:
    files = edited({"f.txt": ("unlocked", "0"), "g": ("git", BODY), "d/g": ("locked", "0")}, base)
    start = commit(annex, tree_with(annex, files))
    tips = [
        commit(annex, tree_with(annex, edited(files, changes)), start, when=WHEN + number)
        for number, changes in enumerate((ours, theirs), 1)
    ]
    git(Path(os.fsdecode(annex.repo.top)), "update-ref", REF.decode(), tips[1].hex())
    plain_git(annex, "checkout", "-q", "-f", "-B", "trial", tips[0].hex())
    plain_git(annex, "clean", "-fdxq")
    report = merge_into_head(annex, REF, Deadline(5))
    assert report.kind in (MergeKind.MERGED, MergeKind.UP_TO_DATE)
    assert plain_git(annex, "status", "--porcelain", "--ignored") == plain_git(annex, "ls-files", "-u") == b""
    assert not os.path.exists(annex.repo.git_dir + b"/MERGE_HEAD")
