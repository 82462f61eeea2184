"""annexd and git-annex resolve the same conflicts, each by itself: the trees are the same, or become so in the end.

Many conflicts are merged at once, each in a directory of its own, as every run of git-annex takes its time.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from annexd.annex.state import AnnexState
from annexd.git.objects import Oid
from annexd.sync.merge import merge_commits
from tests.interop.oracle import Oracle
from tests.interop.sample import make_removable
from tests.support.conflicts import WHEN, Files, Shape, commit, key_for, shown, tree_with

HEAD = b"refs/heads/master"
Case = tuple[Files, Files, Files]


class Ground:
    """A repository that git-annex made, in which both programs merge the same commits."""

    def __init__(self, repo: Path, oracle: Oracle) -> None:
        self.repo = repo
        self.oracle = oracle
        self._numbers = itertools.count(1)
        oracle.git(repo.parent, "init", "-q", repo.name)
        oracle.git(repo, "commit", "-q", "--allow-empty", "-m", "first")
        oracle.annex(repo, "init", "-q", "ground")
        oracle.git(repo.parent, "init", "-q", "--bare", "x.git")
        oracle.git(repo, "remote", "add", "x", str(repo.parent / "x.git"))
        oracle.git(repo, "config", "remote.x.annex-ignore", "true")
        self.annex = AnnexState.open(os.fsencode(repo))

    def histories(self, cases: Mapping[str, Case]) -> tuple[Oid, Oid]:
        """Two commits that conflict in all of these, with all content: git-annex resolves less alike without."""
        for case in cases.values():
            for path, (_, content) in {item for side in case for item in side.items()}:
                key = key_for(path, content)
                if not self.annex.store.is_present(key):
                    self.annex.store.put_bytes(content.encode(), key)
        trees = [
            tree_with(self.annex, {f"{name}/{path}": shape for name, case in cases.items()
                                   for path, shape in case[side].items()})
            for side in range(3)
        ]  # fmt: skip
        start = commit(self.annex, trees[0])
        ours, theirs = (commit(self.annex, tree, start, when=WHEN + n) for n, tree in enumerate(trees[1:], 1))
        return ours, theirs

    def merge_by_annexd(self, ours: Oid, theirs: Oid) -> Oid:
        """The commit is left in the object store."""
        merged = merge_commits(self.annex, HEAD, ours, theirs, resolves=True)
        assert merged.new is not None
        return merged.new

    def merge_by_git_annex(self, ours: Oid, theirs: Oid, *, status: int | None = 0) -> Oid:
        """In a work tree where `ours` is checked out."""
        branch = f"side{next(self._numbers)}"
        self.oracle.git(self.repo, "push", "-q", "x", f"{theirs.hex()}:refs/heads/{branch}")
        self.oracle.git(self.repo, "checkout", "-q", "-f", "-B", branch, ours.hex())
        self.oracle.annex(self.repo, "pull", "--quiet", "--no-content", "x", status=status)
        merged = Oid(bytes.fromhex(self.oracle.git(self.repo, "rev-parse", "HEAD").strip()))
        self.oracle.git(self.repo, "reset", "-q", "--hard")
        self.oracle.git(self.repo, "clean", "-fdqx")
        self.annex.reset()
        return merged


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, interop_env: dict[str, str]) -> Iterator[Ground]:
    top = tmp_path_factory.mktemp("conflicts")
    made = Ground(top / "it", Oracle(interop_env))
    yield made
    made.annex.close()
    make_removable(top)


def both(name: str, base: Shape | None, ours: Shape | None, theirs: Shape | None) -> Case:
    """A conflict about one name."""
    base_files, our_files, their_files = ({} if shape is None else {name: shape} for shape in (base, ours, theirs))
    return base_files, our_files, their_files


L, U, X = "locked", "unlocked", "unlocked+x"
ALIKE: dict[str, Case] = {
    "keys": both("f.txt", (L, "a0"), (L, "a1"), (L, "a2")),
    "keys without base": both("f.txt", None, (L, "b1"), (L, "b2")),
    "unlocked keys": both("f", (U, "c0"), (U, "c1"), (X, "c2")),
    "locked and unlocked": both("f.tar.gz", (L, "d0"), (L, "d1"), (U, "d2")),
    "same key": both("f", (L, "e0"), (L, "e1"), (U, "e1")),
    "same key unlocked here": both("f", None, (U, "f1"), (L, "f1")),
    "same key executable": both("f.txt", None, (U, "g1"), (X, "g1")),
    "same key locked and executable": both("f.txt", None, (L, "h1"), (X, "h1")),
    "git file": both("f.txt", None, (L, "l1"), ("git", "l2\n")),
    "git file here": both("f.txt", (L, "m0"), ("git+x", "m2\n"), (U, "m1")),
    "symlink": both("f", None, (L, "n1"), ("symlink", "elsewhere")),
    "symlink here": both("f", (U, "o0"), ("symlink", "elsewhere"), (U, "o1")),
    "name of a variant": both("f.variant-1234.txt", (L, "p0"), (L, "p1"), (U, "p2")),
    "directory of a variant": both("d.variant-9/f.txt", (L, "q0"), (L, "q1"), (L, "q2")),
    "hidden": both(".hidden", None, (L, "r1"), (U, "r2")),
    "hidden in a directory": both("d/.hid", (L, "s0"), (L, "s1"), (L, "s2")),
    "deep": both("d/e/f g.x", (L, "t0"), (L, "t1"), (U, "t2")),
    "renamed": ({"f": (L, "u0")}, {"g": (L, "u0")}, {"f": (L, "u1")}),
    "renamed to one name": (
        {"f": (L, "w0"), "g": (L, "x0")}, {"h": (L, "w0"), "g": (L, "x0")}, {"f": (L, "w0"), "h": (L, "x0")}
    ),
    "renamed to a name in use": ({"f": (L, "y0")}, {"g": (L, "y0")}, {"f": (L, "y0"), "g": (L, "y2")}),
    "no conflict": ({"f": (L, "z0"), "t": ("git", "1\n2\n3\n4\n")}, {"f": (L, "z1"), "t": ("git", "0\n1\n2\n3\n4\n")},
                    {"f": (L, "z0"), "t": ("git", "1\n2\n3\n4\n5\n"), "g": (X, "z2")}),
    "executable": ({"f": (U, "A0")}, {"f": (X, "A0")}, {"f": (U, "A1")}),
    "unlocked twice": ({"f": (L, "B0")}, {"f": (U, "B0")}, {"f": (U, "B1")}),
    "variant is there": ({}, {"f": (L, "C1"), "f.variant-67ca": (L, "C0")}, {"f": (L, "C2")}),
}  # fmt: skip
GONE_THERE: dict[str, Case] = {
    "deleted": both("f.txt", (L, "i0"), (L, "i1"), None),
    "unlocked here and deleted there": both("f.txt", (L, "k0"), (U, "k0"), None),
    "renamed and deleted": ({"f": (L, "v0")}, {"g": (L, "v0")}, {}),
}
GONE_HERE: dict[str, Case] = {
    "removed here": both("f.txt", (U, "j0"), None, (X, "j1")),
    "removed and renamed": ({"f": (U, "D0")}, {}, {"g": (U, "D0")}),
}
"""Apart from each other, as git-annex may take halves of different conflicts, of which each side has one, for one."""


@pytest.mark.parametrize("cases", [ALIKE, GONE_THERE, GONE_HERE], ids=["both have it", "gone there", "gone here"])
def test_every_conflict_that_git_annex_resolves_alike_from_both_sides(
    ground: Ground, cases: dict[str, Case]
) -> None:
    agree(ground, cases)


UNEVEN: dict[str, Case] = {
    "file or directory": ({}, {"d.x": (L, "D1")}, {"d.x/s": (L, "D2")}),
    "file changed or directory": ({"d": (U, "E0")}, {"d": (U, "E1")}, {"d/s": (U, "E2"), "d/t": ("git", "E3")}),
    "renamed twice": ({"f": (L, "F0")}, {"g": (L, "F0")}, {"h": (L, "F0")}),
}
"""git-annex resolves these too, but to other names at each side."""

LEFT: dict[str, Case] = {
    "git files": both("f", ("git", "0\n"), ("git", "1\n"), ("git", "2\n")),
    "git file deleted": both("f", ("git", "3\n"), ("git", "4\n"), None),
    "git file or directory": ({}, {"d": ("git", "5\n")}, {"d/s": (L, "G1")}),
    "symlinks": both("f", None, ("symlink", "1"), ("symlink", "2")),
    "submodule": both("f", None, (L, "H1"), ("submodule", "")),
}
"""git-annex leaves these to the user, in the middle of a merge."""


def keys_of(ground: Ground, oid: Oid) -> set[str]:
    return {words.split(" ")[1] for words in shown(ground.annex, oid).values() if "locked" in words.split(" ")[0]}


def test_a_pair_of_both_programs_agrees_after_conflicts_that_git_annex_resolves_differently_at_each_side(
    ground: Ground,
) -> None:
    """Each resolved it alone; whoever merges the other's result first ends it, as the other has only to follow."""
    ours, theirs = ground.histories({**UNEVEN, "keys": both("f.txt", None, (L, "I1"), (L, "I2"))})
    mine = ground.merge_by_annexd(ours, theirs)
    wanted = keys_of(ground, ours) | keys_of(ground, theirs)
    for side in ((ours, theirs), (theirs, ours)):
        other = ground.merge_by_git_annex(*side)
        ends = ground.merge_by_annexd(mine, other), ground.merge_by_git_annex(other, mine)
        assert ground.merge_by_git_annex(other, ends[0]) == ends[0]
        last = ground.merge_by_annexd(*ends)        # even when both did it at once again
        assert all(wanted <= keys_of(ground, end) for end in (*ends, last))
        assert len({path for path in shown(ground.annex, last) if path.startswith("keys/")}) == 2


@pytest.mark.parametrize("names", [
    list(LEFT), *(pytest.param([name], marks=pytest.mark.slow) for name in LEFT),
], ids=", ".join)  # fmt: skip
def test_what_git_annex_leaves_in_conflict_annexd_resolves_and_git_annex_follows(
    ground: Ground, names: list[str]
) -> None:
    ours, theirs = ground.histories({name: LEFT[name] for name in names})
    assert ground.merge_by_git_annex(ours, theirs, status=1) == ours
    mine = ground.merge_by_annexd(ours, theirs)
    assert ground.merge_by_git_annex(theirs, mine) == mine


@st.composite
def random_cases(draw: st.DrawFn, number: int) -> dict[str, Case]:
    """Conflicts about annexed files, each in its own directory and with keys of its own, so that nothing is renamed.

    Neither side removes any: see GONE_HERE.
    """
    names = ("f.txt", "g", ".h", "d/i.tar.gz", "j.variant-12ab")
    cases = {}
    for case in range(number):
        shapes = st.tuples(st.sampled_from((L, L, U, X)), st.sampled_from("0123"))
        sides: list[Files] = []
        for side in range(3):
            kept = dict(sides[0]) if sides else {}
            for name in names:
                if not side or draw(st.booleans()):
                    kind, content = draw(shapes)
                    kept[name] = kind, f"{case} {name} {content}"
                if not side and draw(st.integers(0, 5)) == 0:
                    kept.pop(name, None)
            sides.append(kept)
        cases[f"case {case}"] = (sides[0], sides[1], sides[2])
    return cases


@settings(
    deadline=None, max_examples=1, phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(random_cases(8))
def test_random_conflicts_of_annexed_files_end_alike(ground: Ground, cases: dict[str, Case]) -> None:
    agree(ground, cases)


@pytest.mark.slow
@settings(
    deadline=None, max_examples=12, phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(random_cases(12))
def test_many_random_conflicts_of_annexed_files_end_alike(ground: Ground, cases: dict[str, Case]) -> None:
    agree(ground, cases)


def agree(ground: Ground, cases: dict[str, Case]) -> None:
    ours, theirs = ground.histories(cases)
    if ours == theirs:
        return
    wanted = shown(ground.annex, ground.merge_by_annexd(ours, theirs))
    assert shown(ground.annex, ground.merge_by_git_annex(ours, theirs)) == wanted
    assert shown(ground.annex, ground.merge_by_git_annex(theirs, ours)) == wanted
