"""git tells what is in trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.errors import ProcessError, RepositoryError
from annexd.git.listing import ListedFile, blobs_in, changes_in, files_in
from annexd.git.objects import BLOB, EMPTY_TREE, Oid, object_id
from annexd.git.repository import GitRepository
from annexd.system.output import output_of
from tests.support.repositories import git

ODD = "a\tb\n\u00fc"


@pytest.fixture
def repo(git_repo: Path) -> GitRepository:
    (git_repo / "dir").mkdir()
    (git_repo / "dir" / ODD).write_bytes(b"content")
    (git_repo / "run").write_bytes(b"#!")
    (git_repo / "run").chmod(0o755)
    (git_repo / "link").symlink_to("target")
    commit(git_repo, "one")
    return GitRepository.discover(os.fsencode(git_repo))


def commit(top: Path, message: str) -> None:
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", message)


def tree(repo: GitRepository, revision: str = "HEAD") -> Oid:
    name = git(Path(os.fsdecode(repo.top)), "rev-parse", revision + "^{tree}")
    return Oid(bytes.fromhex(name.decode().strip()))


def blob(data: bytes) -> Oid:
    return object_id(BLOB, data)


def test_all_files_are_listed_with_mode_and_size(repo: GitRepository) -> None:
    assert list(files_in(repo, tree(repo))) == [
        ListedFile(b"dir/" + os.fsencode(ODD), 0o100644, blob(b"content"), 7),
        ListedFile(b"link", 0o120000, blob(b"target"), 6),
        ListedFile(b"run", 0o100755, blob(b"#!"), 2),
    ]
    assert list(blobs_in(repo, tree(repo))) == [
        (b"dir/" + os.fsencode(ODD), blob(b"content")),
        (b"run", blob(b"#!")),
    ]


def test_submodules_are_left_out(repo: GitRepository) -> None:
    top = Path(os.fsdecode(repo.top))
    git(top, "update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",module")
    git(top, "commit", "-q", "-m", "module")
    assert b"module" not in [file.path for file in files_in(repo, tree(repo))]
    assert b"module" not in dict(blobs_in(repo, tree(repo)))


def test_changes_between_two_trees_are_told(repo: GitRepository) -> None:
    top = Path(os.fsdecode(repo.top))
    (top / "run").write_bytes(b"#!new")
    (top / "dir" / ODD).rename(top / "moved")
    commit(top, "two")
    assert dict(changes_in(repo, tree(repo, "HEAD~"), tree(repo))) == {
        b"run": blob(b"#!new"),
        b"moved": blob(b"content"),
        b"dir/" + os.fsencode(ODD): None,
    }
    assert len(list(changes_in(repo, EMPTY_TREE, tree(repo)))) == 3
    assert list(changes_in(repo, tree(repo), tree(repo))) == []


def test_a_missing_tree_is_an_error_that_names_the_repository(repo: GitRepository) -> None:
    missing = Oid(b"\x11" * 20)
    for listing in (files_in(repo, missing), blobs_in(repo, missing), changes_in(repo, missing, tree(repo))):
        with pytest.raises(RepositoryError):
            list(listing)


def test_output_is_read_as_it_comes_and_a_failure_is_told_at_the_end() -> None:
    env = dict(os.environb)
    assert b"".join(output_of((b"sh", b"-c", b"echo one; echo two"), env)) == b"one\ntwo\n"
    pieces = output_of((b"sh", b"-c", b"echo one; echo trouble >&2; exit 3"), env)
    assert next(pieces) == b"one\n"
    with pytest.raises(ProcessError, match="trouble") as problem:
        next(pieces)
    assert problem.value.returncode == 3


def test_a_program_that_is_not_read_to_its_end_is_ended() -> None:
    pieces = output_of((b"sh", b"-c", b"echo $$; exec sleep 1000"), dict(os.environb))
    pid = int(next(pieces))
    pieces.close()      # type: ignore[attr-defined]  # a generator
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ProcessError):
        next(output_of((b"/nonexistent",), {}))
