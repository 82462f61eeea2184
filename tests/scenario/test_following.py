"""What is done in one folder is done in the other: one pair of daemons, many small deeds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.pair import Pair, Side

LIMIT = 20.0


@pytest.fixture(params=["a to b", "b to a"])
def way(running_pair: Pair, request: pytest.FixtureRequest) -> tuple[Side, Side]:
    here, there = running_pair.a, running_pair.b
    return (here, there) if request.param == "a to b" else (there, here)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "".join(c if c.isalnum() else "_" for c in request.node.name)


def arrives(side: Side, path: str | bytes, data: bytes) -> None:
    eventually(lambda: side.has(path, data), LIMIT, f"{path!r} at {side.repo.name}")


def is_gone(side: Side, path: str) -> None:
    eventually(lambda: not os.path.lexists(side.path(path)), LIMIT, f"{path} to go at {side.repo.name}")


def test_a_new_file_arrives_with_its_content(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"content")
    arrives(there, name, b"content")
    eventually(lambda: there.committed().get(name.encode()) == "100644", LIMIT, "an unlocked file")


def test_an_edit_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"one")
    arrives(there, name, b"one")
    here.write(name, b"two")
    arrives(there, name, b"two")


def test_an_edit_of_what_just_arrived_comes_back(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"one")
    arrives(there, name, b"one")
    there.write(name, b"TWO")       # at once, and of the same size
    arrives(here, name, b"TWO")
    assert there.has(name, b"TWO")


def test_a_deletion_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"soon gone")
    arrives(there, name, b"soon gone")
    here.path(name).unlink()
    is_gone(there, name)


def test_a_rename_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"moves")
    arrives(there, name, b"moves")
    here.path(name).rename(here.path(name + ".new"))
    arrives(there, name + ".new", b"moves")
    is_gone(there, name)


def test_a_renamed_directory_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    for number in range(3):
        here.write(f"{name}/sub/{number}", b"%d" % number)
    arrives(there, f"{name}/sub/2", b"2")
    arrives(there, f"{name}/sub/0", b"0")
    here.path(name).rename(here.path(name + ".new"))
    for number in range(3):
        arrives(there, f"{name}.new/sub/{number}", b"%d" % number)
    is_gone(there, name)


def test_a_directory_that_is_renamed_and_made_again_at_once_leaves_nothing_behind(
    way: tuple[Side, Side], name: str
) -> None:
    here, there = way
    here.write(f"{name}/old", b"content")
    arrives(there, f"{name}/old", b"content")
    here.path(name).rename(here.path(f"{name}-moved"))
    here.path(name).mkdir()
    here.write(f"{name}/new", b"other")
    arrives(there, f"{name}-moved/old", b"content")
    arrives(there, f"{name}/new", b"other")
    is_gone(there, f"{name}/old")


def test_a_mode_change_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"#!/bin/sh\n")
    arrives(there, name, b"#!/bin/sh\n")
    here.path(name).chmod(0o755)
    eventually(lambda: there.path(name).stat().st_mode & 0o100, LIMIT, "the x bit")
    here.path(name).chmod(0o644)
    eventually(lambda: not there.path(name).stat().st_mode & 0o100, LIMIT, "no x bit")


def test_a_tree_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(f"{name}/a/b/c/d/e", b"deep")
    arrives(there, f"{name}/a/b/c/d/e", b"deep")


def test_a_tree_moved_in_arrives(way: tuple[Side, Side], name: str, tmp_path: Path) -> None:
    here, there = way
    outside = here.repo.parent / (name + ".outside")
    (outside / "x/y").mkdir(parents=True)
    (outside / "x/y/f").write_bytes(b"from outside")
    outside.rename(here.path(name))
    arrives(there, f"{name}/x/y/f", b"from outside")


def test_a_symlink_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.path(name).symlink_to("nowhere/at/all")
    eventually(lambda: os.path.islink(there.path(name)), LIMIT, "the link")
    assert os.readlink(there.path(name)) == "nowhere/at/all"


def test_an_empty_file_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"")
    arrives(there, name, b"")


def test_a_file_becomes_a_directory(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(name, b"a file")
    arrives(there, name, b"a file")
    here.path(name).unlink()
    here.write(f"{name}/inside", b"a directory")
    arrives(there, f"{name}/inside", b"a directory")


def test_a_directory_becomes_a_file(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    here.write(f"{name}/inside", b"a directory")
    arrives(there, f"{name}/inside", b"a directory")
    here.path(f"{name}/inside").unlink()
    here.path(name).rmdir()
    here.write(name, b"a file")
    arrives(there, name, b"a file")


@pytest.mark.parametrize("odd", [b"\xff\xfe", b"x" * 255, "ümläut".encode(), b"-dash", b"sp ace "])
def test_an_odd_name_arrives(running_pair: Pair, odd: bytes) -> None:
    running_pair.a.write(odd, b"odd " + odd[:10])
    arrives(running_pair.b, odd, b"odd " + odd[:10])


def test_the_same_content_under_two_names_arrives(running_pair: Pair) -> None:
    running_pair.a.write("twin 1", b"twins")
    running_pair.a.write("twin 2", b"twins")
    arrives(running_pair.b, "twin 1", b"twins")
    arrives(running_pair.b, "twin 2", b"twins")


def test_a_large_file_arrives(way: tuple[Side, Side], name: str) -> None:
    here, there = way
    data = os.urandom(1 << 20) * 5
    here.write(name, data)
    arrives(there, name, data)


def test_both_sides_end_equal_and_clean(running_pair: Pair) -> None:
    running_pair.a.write("last", b"after all the others")
    arrives(running_pair.b, "last", b"after all the others")
    running_pair.settle()
    for side in running_pair:
        assert side.alerts() == ""
    running_pair.stop()         # what is written while git fsck looks is an error to it
    for side in running_pair:
        assert b"error" not in side.git("fsck")
