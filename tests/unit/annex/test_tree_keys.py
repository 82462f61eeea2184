"""The table of which files stand for which keys."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.annex.tree_keys import TreeKeys
from annexd.formats.hash_dirs import lower, place
from annexd.formats.key import Key
from annexd.git.objects import EMPTY_TREE, Oid
from annexd.transfer.scan_pass import tree_of_commit
from tests.support.annexes import make_annex
from tests.support.many_keys import commit_keys, make_key
from tests.support.repositories import git, make_removable

ODD_KEYS = [
    Key(b"URL", b"http://example.com/a?b=c&d=e"),
    Key(b"WORM", b"dir/na:me% &", 5, 1234567890),
    Key(b"SHA256E", b"0" * 64 + b".tar.gz", 0),
    Key(b"SHA256E", b"1" * 64 + b"." + b"x" * 30, 17),
]


@pytest.fixture
def annex(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "annex") as state:
        yield state
    make_removable(tmp_path)


@pytest.fixture
def table(annex: AnnexState) -> Iterator[TreeKeys]:
    table = TreeKeys(annex.layout.annexd_dir + b"/tree-keys.db")
    yield table
    table.close()


def follow(table: TreeKeys, annex: AnnexState, commit: Oid | None) -> None:
    table.follow(annex, None if commit is None else tree_of_commit(annex, commit))


def shown(table: TreeKeys) -> set[tuple[bytes, bool]]:
    return {(file.path, file.is_unlocked) for file in table.all_files()}


def test_it_knows_the_files_of_each_key(table: TreeKeys, annex: AnnexState) -> None:
    keys = [make_key(n) for n in range(5)]
    follow(table, annex, commit_keys(annex, {b"a": keys[0], b"sub/b": keys[1], b"copy": keys[0]}))
    found = table.files_of(keys)
    assert {key: sorted(file.path for file in files) for key, files in found.items()} == {
        keys[0]: [b"a", b"copy"],
        keys[1]: [b"sub/b"],
    }


@pytest.mark.parametrize("locked", [False, True], ids=["unlocked", "locked"])
@pytest.mark.parametrize("key", ODD_KEYS, ids=str)
def test_odd_keys_are_found_as_well(table: TreeKeys, annex: AnnexState, key: Key, locked: bool) -> None:
    follow(table, annex, commit_keys(annex, {b"sub/file": key}, locked=locked))
    ((found,),) = table.files_of([key]).values()
    assert (found.path, found.is_unlocked) == (b"sub/file", not locked)


def test_it_follows_changes_in_both_directions(table: TreeKeys, annex: AnnexState) -> None:
    first = commit_keys(annex, {b"a": make_key(1), b"b": make_key(2)})
    second = commit_keys(annex, {b"a": make_key(3), b"b": None, b"c": make_key(2)})
    for commit, expected in ((first, {b"a", b"b"}), (second, {b"a", b"c"}), (first, {b"a", b"b"})):
        follow(table, annex, commit)
        assert {path for path, _ in shown(table)} == expected
        assert table.tree == tree_of_commit(annex, commit)
    assert table.files_of([make_key(3)]) == {}
    table.follow(annex, None)
    assert shown(table) == set()
    assert table.tree == EMPTY_TREE


def test_files_that_are_not_annexed_are_left_out(table: TreeKeys, annex: AnnexState, tmp_path: Path) -> None:
    repo = tmp_path / "annex"
    (repo / "plain").write_bytes(b"text\n")
    (repo / "large").write_bytes(b"/annex/objects/SHA256--x\n" + b"\n" * 40_000)
    (repo / "link").symlink_to("plain")
    git(repo, "-c", "filter.annex.process=", "-c", "filter.annex.clean=cat", "add", ".")
    git(repo, "-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "plain")
    commit = commit_keys(annex, {b"annexed": make_key(1)})
    follow(table, annex, commit)
    assert shown(table) == {(b"annexed", True)}


def test_the_order_is_that_of_location_logs(table: TreeKeys, annex: AnnexState) -> None:
    keys = [make_key(n) for n in range(3000)]
    follow(table, annex, commit_keys(annex, {b"file%d" % n: key for n, key in enumerate(keys)}))
    places = [file.place for file in table.all_files()]
    assert places == sorted(places) == [place(key) for key in sorted(keys, key=place)]
    assert [lower(key) for key in sorted(keys, key=place)] == sorted(lower(key) for key in keys)
    assert [file.place for file in table.all_files(places[1000])] == places[1000:]


def test_it_is_there_again_after_a_restart(table: TreeKeys, annex: AnnexState) -> None:
    commit = commit_keys(annex, {b"a": make_key(1)})
    follow(table, annex, commit)
    again = TreeKeys(annex.layout.annexd_dir + b"/tree-keys.db")
    assert again.tree == tree_of_commit(annex, commit)
    assert shown(again) == {(b"a", True)}
    again.close()


def test_a_damaged_table_is_made_anew(annex: AnnexState) -> None:
    path = annex.layout.annexd_dir + b"/tree-keys.db"
    os.makedirs(annex.layout.annexd_dir, exist_ok=True)
    commit = commit_keys(annex, {b"a": make_key(1)})
    with open(path, "wb") as file:
        file.write(b"no database " * 1000)
    table = TreeKeys(path)
    follow(table, annex, commit)
    assert shown(table) == {(b"a", True)}
    table.close()


def test_a_tree_that_was_pruned_leads_to_a_new_table(table: TreeKeys, annex: AnnexState) -> None:
    follow(table, annex, commit_keys(annex, {b"a": make_key(1)}))
    with sqlite3.connect(os.fsdecode(annex.layout.annexd_dir) + "/tree-keys.db") as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'tree'", (b"\x11" * 20,))
    connection.close()
    follow(table, annex, commit_keys(annex, {b"b": make_key(2)}))
    assert shown(table) == {(b"a", True), (b"b", True)}
