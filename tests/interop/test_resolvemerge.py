"""`resolvemerge` ends a merge that git stopped in as git-annex does, and leaves alone what is a person's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle
from tests.interop.sample import make_removable

HERE = "here"
THERE = "there"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, interop_env: dict[str, str]) -> Iterator[Path]:
    """A repository of git-annex in which `git merge there` has stopped; to be copied."""
    oracle = Oracle(interop_env)
    top = tmp_path_factory.mktemp("stopped")
    repo = top / "it"
    oracle.git(top, "init", "-q", "it")
    oracle.annex(repo, "init", "-q", "it")
    fill(repo, oracle, {"keys.txt": "0", "d/keys": "0", "gone": "0", "mixed": "0"})
    oracle.git(repo, "branch", THERE)
    fill(repo, oracle, {"keys.txt": "1", "d/keys": "1", "gone": "1", "mixed": "1", "file": "1", "dir": "1"}, "mixed")
    oracle.git(repo, "checkout", "-q", THERE)
    (repo / "gone").unlink()
    (repo / "file").write_text("kept in git\n")
    oracle.git(repo, "-c", "annex.largefiles=nothing", "add", "file")
    fill(repo, oracle, {"keys.txt": "2", "d/keys": "2", "mixed": "2", "dir/in": "2"})
    oracle.git(repo, "checkout", "-q", "master")
    oracle.git(repo, "merge", "-q", THERE, status=1)
    yield repo
    make_removable(top)


def fill(repo: Path, oracle: Oracle, files: dict[str, str], *unlocked: str) -> None:
    for name, text in files.items():
        path = repo / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(f"{name} {text}")
    oracle.annex(repo, "add", "-q", *files)
    if unlocked:
        oracle.annex(repo, "unlock", "-q", *unlocked)
    oracle.git(repo, "commit", "-q", "-a", "-m", "made for a test")


@pytest.fixture
def repo(stopped: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(stopped, tmp_path / "it", symlinks=True)
    yield tmp_path / "it"
    make_removable(tmp_path)


def tree(repo: Path, oracle: Oracle) -> dict[str, str]:
    lines = oracle.git(repo, "ls-tree", "-r", "HEAD").splitlines()
    return {name: info for info, _, name in (line.partition("\t") for line in lines)}


def files(repo: Path) -> set[str]:
    paths = (path for path in repo.rglob("*") if ".git" not in path.parts and (path.is_symlink() or path.is_file()))
    return {str(path.relative_to(repo)) for path in paths}


def test_a_stopped_merge_is_ended_as_git_annex_ends_it(
    repo: Path, stopped: Path, tmp_path: Path, oracle: Oracle, annexd_cli: Annexd
) -> None:
    other = tmp_path / "other"
    shutil.copytree(stopped, other, symlinks=True)
    said = annexd_cli(repo, "resolvemerge")
    assert "keys.txt: keys.variant-" in said and "automatically resolved" in said
    oracle.annex(other, "resolvemerge")
    mine, wanted = tree(repo, oracle), tree(other, oracle)
    for names in (mine, wanted):        # git-annex keeps git's name for what had to give way to a directory
        (moved,) = [name for name in names if name.startswith("dir") and "variant" in name]
        names["moved"] = names.pop(moved)
    assert mine == wanted
    assert oracle.git(repo, "status", "--porcelain") == "" and files(repo) == set(tree(repo, oracle))
    assert not (repo / ".git/MERGE_HEAD").exists() and not (repo / ".git/MERGE_MSG").exists()
    assert oracle.git(repo, "log", "-1", "--format=%s").strip() == "git-annex automatic merge conflict fix"
    heads = oracle.git(repo, "rev-parse", "HEAD^1", "HEAD^2").split()
    assert heads == oracle.git(stopped, "rev-parse", "HEAD", THERE).split()
    contents = {path.read_text() for path in repo.glob("*variant*")}
    assert {"mixed 1", "mixed 2", "keys.txt 1", "keys.txt 2", "gone 1", "file 1", "dir 1"} == contents
    oracle.assert_sound(repo)


def test_what_a_person_wrote_into_a_file_in_conflict_stays(repo: Path, oracle: Oracle, annexd_cli: Annexd) -> None:
    (repo / "keys.txt").unlink()
    (repo / "keys.txt").write_text("made by hand of both\n")
    (repo / "note~HEAD").write_text("of no conflict\n")
    annexd_cli(repo, "resolvemerge")
    assert (repo / "keys.txt").read_text() == "made by hand of both\n"
    assert (repo / "note~HEAD").exists()
    assert set(oracle.git(repo, "status", "--porcelain").splitlines()) == {"?? keys.txt", "?? note~HEAD"}


def test_an_untracked_file_keeps_the_name_that_a_variant_wanted(
    repo: Path, oracle: Oracle, annexd_cli: Annexd
) -> None:
    first = next(iter(sorted(path.name for path in variants_of(repo, oracle, annexd_cli))))
    other = repo.parent / "again"
    (other / first).write_text("mine\n")
    annexd_cli(other, "resolvemerge")
    assert (other / first).read_text() == "mine\n"
    assert {path.read_text() for path in other.glob("keys.variant*")} == {"mine\n", "keys.txt 1", "keys.txt 2"}


def variants_of(repo: Path, oracle: Oracle, annexd_cli: Annexd) -> list[Path]:
    shutil.copytree(repo, repo.parent / "again", symlinks=True)
    annexd_cli(repo, "resolvemerge")
    return list(repo.glob("keys.variant*"))


def test_conflicts_of_texts_are_left_to_the_person(repo: Path, oracle: Oracle, annexd_cli: Annexd) -> None:
    oracle.git(repo, "reset", "-q", "--hard")
    for branch, text in (("master", "1\n"), (THERE, "2\n")):
        oracle.git(repo, "checkout", "-q", "-f", branch)
        (repo / "text").write_text(text)
        oracle.git(repo, "-c", "annex.largefiles=nothing", "add", "text")
        oracle.git(repo, "commit", "-q", "-m", "text")
    oracle.git(repo, "merge", "-q", "master", status=1)
    annexd_cli(repo, "resolvemerge", status=1)
    assert oracle.git(repo, "ls-files", "-u").count("\ttext") == 2
    assert {line.partition("\t")[2] for line in oracle.git(repo, "ls-files", "-u").splitlines()} == {"text"}
    assert (repo / ".git/MERGE_HEAD").exists() and "<<<<<<<" in (repo / "text").read_text()


def test_without_a_merge_there_is_nothing_to_resolve(repo: Path, oracle: Oracle, annexd_cli: Annexd) -> None:
    oracle.git(repo, "reset", "-q", "--hard")
    annexd_cli(repo, "resolvemerge", status=1)


def test_sync_resolves_unless_it_is_told_not_to(
    repo: Path, tmp_path: Path, oracle: Oracle, annexd_cli: Annexd
) -> None:
    """By an option for once, by git config for this repository, by config.log for all."""
    oracle.git(repo, "reset", "-q", "--hard")
    before = oracle.git(repo, "rev-parse", "HEAD")
    oracle.git(repo, "branch", "-q", "-m", THERE, "synced/master")
    annexd_cli(repo, "sync", "--no-resolvemerge", status=1)
    annexd_cli(repo, "config", "--set", "annex.resolvemerge", "false")
    annexd_cli(repo, "sync", status=1)
    assert oracle.git(repo, "rev-parse", "HEAD") == before and not (repo / ".git/MERGE_HEAD").exists()
    assert oracle.git(repo, "ls-files", "-u") == oracle.git(repo, "status", "--porcelain") == ""
    said = annexd_cli(repo, "sync", "--resolvemerge")
    assert "automatically resolved" in said and "keys.variant-" in said
    assert oracle.git(repo, "status", "--porcelain") == "" and files(repo) == set(tree(repo, oracle))
    assert oracle.git(repo, "log", "-1", "--format=%s").strip() == "git-annex automatic merge conflict fix"
