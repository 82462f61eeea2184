"""The table of conflicts: as git-annex resolves them where it does, and in both directions alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annexd.annex.state import AnnexState
from annexd.git.history import read_commit
from annexd.git.tree import Trees
from annexd.sync.merge import Merged, merge_commits
from tests.support.annexes import make_annex
from tests.support.conflicts import WHEN, Files, blob_of, commit, key_for, shown, tree_with

VECTORS = json.loads((Path(__file__).parents[2] / "data/vectors.json").read_text())["conflicts"]
HEAD = b"refs/heads/main"


@pytest.fixture(scope="module")
def annex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnnexState]:
    with make_annex(tmp_path_factory.mktemp("conflicts") / "it") as state:
        yield state


def merge(annex: AnnexState, base: Files, ours: Files, theirs: Files) -> tuple[dict[str, str], Merged]:
    """The tree of the merge, which has to be the same commit in both directions; the side named first is the older."""
    start = commit(annex, tree_with(annex, base))
    trees = [tree_with(annex, side) for side in (ours, theirs)]
    sides = [commit(annex, tree, start, when=WHEN + number) for number, tree in enumerate(trees, 1)]
    merged = merge_commits(annex, HEAD, sides[0], sides[1], resolves=True)
    assert merge_commits(annex, HEAD, sides[1], sides[0], resolves=True) == merged
    assert merged.new is not None
    found = read_commit(annex.objects, merged.new)
    assert found is not None and found.parents == tuple(sides)
    return shown(annex, merged.new), merged


def from_vector(case: dict[str, Any]) -> list[Files]:
    base = {path: tuple(shape) for path, shape in case["base"].items()}
    sides = []
    for side in ("ours", "theirs"):
        files = dict(base)
        for path, shape in case[side].items():
            if shape is None:
                del files[path]
            else:
                for old in [old for old in files if old == path or path.startswith(old + "/")]:
                    del files[old]
                files[path] = tuple(shape)
        sides.append(files)
    return [base, *sides]


def is_settled_by_git_annex(case: dict[str, Any]) -> bool:
    sides = case["ours_merges_theirs"], case["theirs_merges_ours"]
    if case["case"].startswith("executable bit only"):
        return False        # git merges it without a conflict, and the program that made the vectors did not stage +x
    return bool(sides[0]["exit"] == 0 and sides[0]["tree"] == sides[1]["tree"])


@pytest.mark.parametrize("case", [c for c in VECTORS if is_settled_by_git_annex(c)], ids=lambda case: case["case"])
def test_conflicts_are_resolved_as_git_annex_does(annex: AnnexState, case: dict[str, Any]) -> None:
    tree, _ = merge(annex, *from_vector(case))
    assert tree == case["ours_merges_theirs"]["tree"]


ONE, TWO, THREE = ("locked", "1"), ("locked", "2"), ("locked", "3")
TEXT = "".join(f"{number}\n" for number in range(20))

OURS_ALONE: dict[str, tuple[Files, Files, Files, dict[str, str]]] = {
    "git files": (
        {"f.txt": ("git", "0\n")}, {"f.txt": ("git", "1\n")}, {"f.txt": ("git+x", "2\n")},
        {"f.variant-d004.txt": "git '1\\n'", "f.variant-0cfb.txt": "git '2\\n' +x"},
    ),
    "git files that combine": (
        {"f": ("git", TEXT)}, {"f": ("git", "a\n" + TEXT)}, {"f": ("git", TEXT + "z\n")},
        {"f": f"git {'a' + chr(10) + TEXT + 'z' + chr(10)!r}"},
    ),
    "binary git files": (
        {"f": ("git", "\0")}, {"f": ("git", "\0 1")}, {"f": ("git", "\0 2")},
        {"f.variant-2b71": "git '\\x00 1'", "f.variant-85ca": "git '\\x00 2'"},
    ),
    "git file modified / deleted": (
        {"f": ("git", "0\n")}, {"f": ("git", "1\n")}, {}, {"f": "git '1\\n'"},
    ),
    "git files that differ in mode alone": (
        {}, {"f": ("git", "1")}, {"f": ("git+x", "1")}, {"f": "git '1' +x"},
    ),
    "symlinks": (
        {"f": ("symlink", "0")}, {"f": ("symlink", "1")}, {"f": ("symlink", "2")},
        {"f.variant-56a6": "symlink 1", "f.variant-d826": "symlink 2"},
    ),
    "a git file and a symlink of the same bytes": (
        {}, {"f": ("git", "1")}, {"f": ("symlink", "1")},
        {"f.variant-56a6": "git '1'", "f.variant-56a6051ca2b02b04ef92d5150c9ef600403cb1de": "symlink 1"},
    ),
    "a hidden git file stays hidden": (
        {}, {"d/.h": ("git", "1")}, {"d/.h": ("git", "2")},
        {"d/.h.variant-56a6": "git '1'", "d/.h.variant-d826": "git '2'"},
    ),
    "git's own files keep their place": (
        {}, {".gitattributes": ("git", "* text\n")}, {".gitattributes": ("git", "* -text\n")},
        {".gitattributes": "git '* -text\\n'", ".gitattributes.variant-9acf": "git '* text\\n'"},
    ),
    "git file / directory": (
        {}, {"d": ("git", "1")}, {"d/s": ("git", "2")}, {"d.variant-56a6": "git '1'", "d/s": "git '2'"},
    ),
    "symlink / directory": (
        {}, {"d": ("symlink", "1")}, {"d/s": TWO}, {"d.variant-56a6": "symlink 1", "d/s": "2"},
    ),
    "annexed file / directory": (
        {"d.x": ("locked", "0")}, {"d.x": ONE}, {"d.x/s": TWO}, {"d.variant-36f8.x": "1", "d.x/s": "2"},
    ),
    "directory changed / replaced by an annexed file": (
        {"d/s": ("locked", "0")}, {"d/s": ONE}, {"d": TWO}, {"d/s.variant-4009": "1", "d.variant-cfac": "2"},
    ),
    "annexed file / submodule": (
        {}, {"f.txt": ONE}, {"f.txt": ("submodule", "")}, {"f.txt": "submodule", "f.variant-2355.txt": "1"},
    ),
    "git file / submodule": (
        {}, {"f": ("git", "1")}, {"f": ("submodule", "")}, {"f": "submodule", "f.variant-56a6": "git '1'"},
    ),
    "directory / submodule": (
        {}, {"d/s": ONE}, {"d": ("submodule", "")}, {"d/s": "1", "d.variant-1234": "submodule"},
    ),
    "submodules": (
        {"d": ("submodule", "0")}, {"d": ("submodule", "1")}, {"d": ("submodule", "2")}, {"d": "submodule"},
    ),
    "two renames of an annexed file": (
        {"f": ("locked", "0")}, {"g": ("locked", "0")}, {"h": ("locked", "0")}, {"g": "0", "h": "0"},
    ),
    "two renames of a text that both changed": (
        {"f": ("git", TEXT)}, {"g": ("git", "1\n" + TEXT)}, {"h": ("git", "2\n" + TEXT)},
        {"g": f"git {'1' + chr(10) + TEXT!r}", "h": f"git {'2' + chr(10) + TEXT!r}"},
    ),
    "two renames to one name": (
        {"a": ONE, "b": TWO}, {"g": ONE, "b": TWO}, {"a": ONE, "g": TWO},
        {"g.variant-4009": "1", "g.variant-cfac": "2"},
    ),
    "a rename and a deletion": (
        {"f": ("locked", "0")}, {"g": ("locked", "0")}, {}, {"g.variant-b3ac": "0"},
    ),
    "a rename, and another file of its new name": (
        {"f": ("locked", "0")}, {"g": ("locked", "0")}, {"f": ONE, "g": TWO},
        {"g.variant-4009": "1", "g.variant-cfac": "2"},
    ),
    "a changed rename, another file of its new name, and another change": (
        {"f": ("git", TEXT)}, {"g": ("git", "1\n" + TEXT)}, {"f": ("git", "2\n" + TEXT), "g": ("git", "3\n")},
        {
            "f": f"git {'2' + chr(10) + TEXT!r}", "g.variant-0075": "git '3\\n'",
            "g.variant-9645": f"git {'1' + chr(10) + TEXT!r}",
        },
    ),
    "a variant's name is taken by another file": (
        {}, {"f.txt": ONE, "f.variant-2355.txt": THREE}, {"f.txt": TWO},
        {
            "f.variant-2355.txt": "3", "f.variant-ee31.txt": "2",
            "f.variant-2355.variant-SHA256E-s1--6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.txt.txt":
            "1",
        },
    ),
    "a variant's name is taken by a directory": (
        {}, {"f": ONE, "f.variant-4009/x": THREE}, {"f": TWO},
        {
            "f.variant-4009/x": "3", "f.variant-cfac": "2",
            "f.variant-SHA256E-s1--6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.variant-4009": "1",
        },
    ),
    "a variant is there already, unlocked": (
        {}, {"f": ONE, "f.variant-4009": ("unlocked+x", "1")}, {"f": TWO},
        {"f.variant-4009": "1 unlocked +x", "f.variant-cfac": "2"},
    ),
}  # fmt: skip


def brief(words: str) -> str:
    """What the table says in place of long keys: the content of the key, as far as there are tests of it."""
    kind, _, rest = words.partition(" ")
    if kind not in ("locked", "unlocked"):
        return words
    key, _, executable = rest.partition(" ")
    content = next(text for text in "0123" if bytes(key_for("f", text)).decode() in key)
    return " ".join(part for part in (content, "unlocked" * (kind == "unlocked"), executable) if part)


@pytest.mark.parametrize("name", OURS_ALONE)
def test_what_git_annex_leaves_to_people_is_resolved_too(annex: AnnexState, name: str) -> None:
    *sides, wanted = OURS_ALONE[name]
    tree, _ = merge(annex, *sides)
    assert {path: brief(words) for path, words in tree.items()} == wanted


def test_of_two_commits_of_a_submodule_the_newer_sides_stays(annex: AnnexState) -> None:
    base, older, newer = ({"d": ("submodule", text)} for text in "012")
    _, merged = merge(annex, base, older, newer)
    assert merged.new is not None
    found = read_commit(annex.objects, merged.new)
    assert found is not None and Trees(annex.objects).lookup(found.tree, b"d") == blob_of(annex, "d", newer["d"])


def test_who_wants_no_resolution_is_told_the_paths_in_conflict(annex: AnnexState) -> None:
    start = commit(annex, tree_with(annex, {}))
    sides = [commit(annex, tree_with(annex, {"f": shape, "g": shape}), start) for shape in (ONE, TWO)]
    merged = merge_commits(annex, HEAD, *sides, resolves=False)
    assert merged.new is None and merged.paths == (b"f", b"g")


def test_what_was_in_conflict_is_told_with_where_it_is_now(annex: AnnexState) -> None:
    base: Files = {"f": ("locked", "0"), "g": ("git", "0")}
    _, merged = merge(annex, base, {"f": ONE, "g": ("git", "1")}, {"f": TWO})
    assert [(path, kept) for path, kept in merged.resolved] == [
        (b"f", (b"f.variant-4009", b"f.variant-cfac")), (b"g", (b"g",)),
    ]
