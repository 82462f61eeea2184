"""Trees: what we make and find is what git makes and finds, whatever the files are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annexd.errors import FormatError
from annexd.git.object_store import GitObjects
from annexd.git.objects import TREE, Oid, object_id
from annexd.git.repository import GitRepository
from annexd.git.scan import parse_raw_diff
from annexd.git.tree import MODE_DIR, Blob, TreeChange, TreeEntry, Trees, parse_tree, serialise_tree
from tests.property.git.scratch import BLOBS, FILES, NAMES, OIDS, PATHS, index_info, scratch_repository, tree_by_git

with_git = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def repo() -> Iterator[GitRepository]:
    with scratch_repository() as repo:
        yield repo


@pytest.fixture(scope="module")
def objects(repo: GitRepository) -> Iterator[GitObjects]:
    objects = GitObjects(repo)
    yield objects
    objects.close()


entries = st.dictionaries(
    NAMES, st.tuples(st.sampled_from([0o100644, 0o100755, 0o120000, MODE_DIR, 0o160000]), OIDS), max_size=9
).map(lambda found: [TreeEntry(mode, name, oid) for name, (mode, oid) in found.items()])


@given(entries)
def test_a_tree_survives_its_serialisation(entries: list[TreeEntry]) -> None:
    data = serialise_tree(entries)
    assert sorted(parse_tree(data)) == sorted(entries)
    assert serialise_tree(parse_tree(data)) == data


@given(st.binary(max_size=80) | entries.map(serialise_tree), st.integers(0, 80), st.binary(max_size=3))
def test_no_bytes_raise_anything_but_a_format_error(data: bytes, place: int, damage: bytes) -> None:
    with suppress(FormatError):
        parse_tree(data[:place] + damage + data[place + len(damage) :])


@with_git
@given(FILES)
def test_a_tree_built_from_nothing_is_gits(repo: GitRepository, objects: GitObjects, files: dict[bytes, Blob]) -> None:
    built = Trees(objects).update(None, files)
    objects.flush()
    expected = tree_by_git(repo, files)
    assert (built or object_id(TREE, b"")) == expected
    assert dict(Trees(objects).entries(built)) == files


@with_git
@given(FILES, st.dictionaries(PATHS, st.none() | BLOBS, max_size=8))
def test_changes_lead_to_the_tree_that_gits_index_makes(
    repo: GitRepository, objects: GitObjects, files: dict[bytes, Blob], changes: dict[bytes, Blob | None]
) -> None:
    trees = Trees(objects)
    root = trees.update(None, files)
    try:
        new = trees.update(root, changes)
    except ValueError:
        return  # a file and something below it
    objects.flush()
    index = repo.with_index(os.path.join(repo.git_dir, b"changed-index"))
    if os.path.exists(index.index_path):
        os.unlink(index.index_path)
    index.run(b"update-index", b"-z", b"--index-info", stdin=index_info(files))
    index.run(b"update-index", b"-z", b"--replace", b"--index-info", stdin=index_info(changes))
    expected = Oid(bytes.fromhex(index.run(b"write-tree", b"--missing-ok").decode()))
    assert (new or object_id(TREE, b"")) == expected


@with_git
@given(FILES, FILES)
def test_a_diff_is_gits(
    repo: GitRepository, objects: GitObjects, files: dict[bytes, Blob], others: dict[bytes, Blob]
) -> None:
    trees = Trees(objects)
    old, new = (trees.update(None, chosen) or objects.add(TREE, b"") for chosen in (files, others))
    objects.flush()
    found = list(trees.diff(old, new))
    listing = repo.run(b"diff-tree", b"-r", b"-z", b"--raw", b"--no-renames", old.hex().encode(), new.hex().encode())
    by_git = {change.path: (change.old_mode, change.new_mode) for change in parse_raw_diff(listing)}
    assert {change.path: ((change.old or (0,))[0], (change.new or (0,))[0]) for change in found} == by_git
    assert found == sorted(found, key=lambda change: change.path)


@given(FILES, FILES)
def test_a_diff_applied_to_the_old_tree_gives_the_new_one(
    objects: GitObjects, files: dict[bytes, Blob], others: dict[bytes, Blob]
) -> None:
    trees = Trees(objects)
    old, new = trees.update(None, files), trees.update(None, others)
    changes: list[TreeChange] = list(trees.diff(old, new))
    assert trees.update(old, {change.path: change.new for change in changes}) == new


@given(FILES, FILES)
def test_what_was_added_completes_the_new_tree(
    objects: GitObjects, files: dict[bytes, Blob], others: dict[bytes, Blob]
) -> None:
    trees = Trees(objects)
    old, new = trees.update(None, files), trees.update(None, others)
    known = set(trees.added(None, old))
    needed = set(trees.added(None, new))
    assert needed - known <= set(trees.added(old, new)) <= needed


@given(FILES, PATHS)
def test_lookup_finds_files_and_directories(objects: GitObjects, files: dict[bytes, Blob], path: bytes) -> None:
    trees = Trees(objects)
    root = trees.update(None, files)
    found = trees.lookup(root, path)
    below = {name: blob for name, blob in files.items() if name.startswith(path + b"/")}
    if path in files:
        assert found == files[path]
    else:
        assert (found is not None and found[0] == MODE_DIR) == bool(below)
    assert dict(trees.entries(root, path)) == (below or ({path: files[path]} if path in files else {}))
