"""What counts as named after another file by a merge."""

from __future__ import annotations

from pathlib import Path

from annexd.formats.pointer import pointer_for
from tests.convergence.chronicle import Chronicle, tokens_of
from tests.convergence.renamed_by_merges import MergesOf
from tests.support.annexes import key_of
from tests.support.pair import Side
from tests.support.repositories import git, make_git_repo

DATA = b"content of f"


def test_a_version_that_a_merge_named_after_another_file_is_one_of_that(
    tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    repo = make_git_repo(tmp_path / "repo")
    chronicle = Chronicle()
    chronicle.knows(DATA)
    merges = MergesOf(Side(repo, clean_environment), chronicle)
    merges.look()
    key = key_of(DATA, b".dat")
    (repo / "f.dat").write_bytes(pointer_for(key))
    _commit(repo)
    merges.look()
    git(repo, "checkout", "-q", "-b", "theirs")
    git(repo, "commit", "-q", "--allow-empty", "-m", "theirs")
    git(repo, "checkout", "-q", "main")
    git(repo, "merge", "-q", "--no-ff", "--no-commit", "theirs")
    (repo / "f.dat").unlink()
    (repo / "g.variant-1234.dat").symlink_to(f".git/annex/objects/{key}")
    _commit(repo)
    merges.look()
    chronicle.wrote(b"f.dat", tokens_of(DATA), frozenset(), "write")
    assert not chronicle.faults({b"g.dat": tokens_of(DATA)})
    assert chronicle.faults({b"h.dat": tokens_of(DATA)})


def _commit(repo: Path) -> None:
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "x")
