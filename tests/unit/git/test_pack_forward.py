"""Whole packs are handed on where they are wanted, and only there."""

import os
from pathlib import Path

import pytest

from annexd.git.objects import BLOB, GitObject, Oid, write_objects
from annexd.git.pack_forward import PackForwarder, pack_oids
from annexd.git.repository import GitRepository
from tests.support.repositories import git, make_git_repo


@pytest.fixture
def repos(tmp_path: Path) -> tuple[GitRepository, GitRepository]:
    paths = [make_git_repo(tmp_path / name) for name in ("from", "to")]
    one, other = (GitRepository.discover(os.fsencode(path)) for path in paths)
    return one, other


def pack(repo: GitRepository, start: int) -> list[Oid]:
    result = write_objects(repo, [GitObject(BLOB, b"object %d" % n) for n in range(start, start + 150)])
    assert result.pack is not None
    return list(result.oids)


def test_a_wanted_pack_is_copied_whole_and_git_reads_it(repos: tuple[GitRepository, GitRepository]) -> None:
    one, other = repos
    oids = pack(one, 0)
    assert PackForwarder(one, other).forward(oids) == set(oids)
    assert git(Path(os.fsdecode(other.top)), "cat-file", "blob", oids[7].hex()) == b"object 7"
    assert b"error" not in git(Path(os.fsdecode(other.top)), "fsck", "--full")


def test_a_pack_with_little_that_is_wanted_stays(repos: tuple[GitRepository, GitRepository]) -> None:
    one, other = repos
    oids = pack(one, 0)
    assert PackForwarder(one, other).forward(oids[:10]) == set()
    assert not os.path.exists(other.objects_dir + b"/pack") or not os.listdir(other.objects_dir + b"/pack")


def test_each_pack_is_looked_at_once(repos: tuple[GitRepository, GitRepository]) -> None:
    one, other = repos
    forwarder = PackForwarder(one, other)
    first = pack(one, 0)
    assert forwarder.forward(first)
    second = pack(one, 1000)
    assert forwarder.forward(second) == set(second)
    assert forwarder.forward(first) == set()


def test_the_index_of_a_pack_names_its_objects(repos: tuple[GitRepository, GitRepository]) -> None:
    one, _ = repos
    oids = pack(one, 0)
    (idx,) = [name for name in os.listdir(one.objects_dir + b"/pack") if name.endswith(b".idx")]
    assert pack_oids(one.objects_dir + b"/pack/" + idx) == set(oids)


@pytest.mark.parametrize("junk", [b"", b"not an index", b"\xfftOc\x00\x00\x00\x02short"])
def test_what_is_no_index_names_nothing(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "idx").write_bytes(junk)
    assert pack_oids(os.fsencode(tmp_path / "idx")) == set()
