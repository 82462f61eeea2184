"""The index: what we read is what git has, and git reads what we write as if it had written it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annexd.errors import FormatError, UnsupportedIndex
from annexd.git.cache_tree import CacheTree, parse_cache_tree, serialise_cache_tree
from annexd.git.index import GitIndex
from annexd.git.index_format import IndexEntry, decode_record, encode_record, parse_index
from annexd.git.object_store import GitObjects
from annexd.git.objects import Oid
from annexd.git.repository import GitRepository
from annexd.git.tree import Blob
from tests.property.git.scratch import BLOBS, FILES, NAMES, OIDS, PATHS, index_info, scratch_repository, tree_by_git

with_git = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.integers(0, 2**32 - 1)
times = st.integers(0, (2**32 - 1) * 10**9 + 999_999_999)
index_entries = st.builds(
    IndexEntry,
    path=PATHS | st.integers(4090, 4100).map(lambda size: b"n" * size),
    mode=st.sampled_from([0o100644, 0o100755, 0o120000]),
    oid=OIDS,
    ctime_ns=times,
    mtime_ns=times,
    dev=words,
    ino=words,
    uid=words,
    gid=words,
    size=words,
    stage=st.just(0),
    flags=st.sampled_from([0, 0x8000]),
    ext_flags=st.sampled_from([0, 0, 0x4000]),
)


@pytest.fixture(scope="module")
def repo() -> Iterator[GitRepository]:
    with scratch_repository() as repo:
        yield repo


@pytest.fixture(scope="module")
def objects(repo: GitRepository) -> Iterator[GitObjects]:
    objects = GitObjects(repo)
    yield objects
    objects.close()


@given(index_entries)
def test_an_entry_survives_its_record(entry: IndexEntry) -> None:
    record = encode_record(entry)
    assert len(record) % 8 == 0
    assert record.endswith(b"\0")
    assert decode_record(entry.path, record) == entry


@given(st.lists(index_entries, max_size=8))
def test_an_index_survives_its_serialisation(entries: list[IndexEntry]) -> None:
    index = GitIndex()
    for entry in entries:
        index.set(entry)
    again = GitIndex(parse_index(index.serialise()))
    assert list(again.entries()) == list(index.entries())
    assert again.serialise() == index.serialise()


@given(st.binary(max_size=100), st.integers(0, 400), st.binary(max_size=2))
def test_no_bytes_raise_anything_but_the_two_errors(data: bytes, place: int, damage: bytes) -> None:
    index = GitIndex()
    index.set(IndexEntry(b"a/b", 0o100644, Oid(b"\1" * 20)))
    index.set(IndexEntry(b"c", 0o100644, Oid(b"\1" * 20), ext_flags=0x4000))
    # Without checksum (twenty zeros stand for "none") the damage reaches the parser.
    sound = index.serialise()[:-20] + bytes(20)
    for candidate in (data, sound[:place] + damage + sound[place + len(damage) :]):
        with suppress(FormatError, UnsupportedIndex):
            parse_index(candidate)


@st.composite
def cache_trees(draw: st.DrawFn, depth: int = 3) -> CacheTree:
    known = draw(st.booleans())
    node = CacheTree(draw(OIDS) if known else None, draw(st.integers(0, 9)) if known else 0)
    if depth:
        node.children = draw(st.dictionaries(NAMES, cache_trees(depth - 1), max_size=2))
    return node


@given(cache_trees())
def test_a_cache_tree_survives_its_serialisation(tree: CacheTree) -> None:
    data = serialise_cache_tree(tree)
    assert serialise_cache_tree(parse_cache_tree(data)) == data


@with_git
@given(FILES, st.lists(st.tuples(PATHS, st.none() | BLOBS), max_size=8), st.booleans())
def test_changes_lead_to_gits_index_and_tree(
    repo: GitRepository,
    objects: GitObjects,
    files: dict[bytes, Blob],
    changes: list[tuple[bytes, Blob | None]],
    knows_trees: bool,
) -> None:
    ours = repo.with_index(os.path.join(repo.git_dir, b"ours"))
    tree_by_git(repo, files)
    os.rename(os.path.join(repo.git_dir, b"scratch-index"), ours.index_path)
    index = GitIndex.read(ours.index_path)
    if not knows_trees:
        index = GitIndex()
        for path, (mode, oid) in files.items():
            index.set(IndexEntry(path, mode, oid))
    else:
        index.write_tree(objects)  # git made no trees for parts that it may not know
    expected = repo.with_index(os.path.join(repo.git_dir, b"expected"))
    with suppress(FileNotFoundError):
        os.unlink(expected.index_path)
    expected.run(b"update-index", b"-z", b"--index-info", stdin=index_info(files))
    for path, blob in changes:
        if blob is None:
            index.remove(path)
        else:
            index.set(IndexEntry(path, blob[0], blob[1]))
    steps = b"".join(index_info({path: blob}) for path, blob in changes)
    expected.run(b"update-index", b"-z", b"--replace", b"--index-info", stdin=steps)
    tree = index.write_tree(objects)
    objects.flush()
    with open(ours.index_path, "wb") as file:
        file.write(index.serialise())
    listing = (b"ls-files", b"--stage", b"-z")
    assert ours.run(*listing) == expected.run(*listing)
    assert ours.run(b"write-tree", b"--missing-ok") == tree.hex().encode() + b"\n"
    assert expected.run(b"write-tree", b"--missing-ok") == tree.hex().encode() + b"\n"
    # What git writes after write-tree knows all trees: ours must say the same, counts included.
    assert tree_extension(ours) == tree_extension(expected)
    assert index.serialise()[:-20].endswith(serialise_cache_tree(tree_extension_node(expected)))


def tree_extension_node(repo: GitRepository) -> CacheTree:
    with open(repo.index_path, "rb") as file:
        content = parse_index(file.read())
    assert content.tree_extension is not None
    return parse_cache_tree(content.tree_extension)


def tree_extension(repo: GitRepository) -> bytes:
    return serialise_cache_tree(tree_extension_node(repo))


@given(st.lists(st.tuples(PATHS, st.integers(0, 3), st.booleans()), max_size=15))
def test_order_lookup_and_oids_agree_after_any_changes(steps: list[tuple[bytes, int, bool]]) -> None:
    index = GitIndex()
    index.entries_for_oid(Oid(b"\1" * 20))  # from here on it keeps track
    for path, number, removes in steps:
        if removes:
            index.remove(path)
        else:
            index.set(IndexEntry(path, 0o100644, Oid(bytes([number]) * 20)))
        assert list(index.paths()) == sorted(index.paths())
    entries = list(index.entries())
    assert [entry.path for entry in entries] == list(index.paths())
    for number in range(4):
        oid = Oid(bytes([number]) * 20)
        assert sorted(index.entries_for_oid(oid)) == [entry.path for entry in entries if entry.oid == oid]
    for path, _, _ in steps:
        assert index.paths_under(path) == [name for name in index.paths() if name.startswith(path + b"/")]
