"""Plain git commands in an annex, on a machine without git-annex: annexd is all that filters and hooks can call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import isolated
from tests.support.repositories import make_removable


class Place:
    """A directory of repositories, and programs run there; `annexd` and git are all there is."""

    def __init__(self, top: Path) -> None:
        self.top = top
        programs = top / "programs"
        programs.mkdir()
        script = programs / "annexd"
        script.write_text(f"#!{sys.executable}\nimport sys\nfrom annexd.cli.main import main\nsys.exit(main())\n")
        script.chmod(0o755)
        self.env = isolated(top / "home")
        path = [str(programs), *(p for p in os.defpath.split(os.pathsep) if p)]
        self.env["PATH"] = os.pathsep.join([*path, str(Path(shutil.which("git") or "/usr/bin/git").parent)])
        assert shutil.which("git-annex", path=self.env["PATH"]) is None, "this machine has a git-annex beside git"

    def run(self, repo: Path, *argv: str, status: int = 0) -> str:
        done = subprocess.run(argv, cwd=repo, env=self.env, capture_output=True, timeout=60)
        out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        assert done.returncode == status, f"{' '.join(argv)}: {done.returncode}\n{out}\n{err}"
        return out

    def annex(self, name: str) -> Path:
        repo = self.top / name
        repo.mkdir()
        self.run(repo, "git", "init", "-q")
        self.run(repo, "annexd", "init", name)
        return repo

    def status(self, repo: Path) -> str:
        return self.run(repo, "git", "status", "--porcelain")

    def blob(self, repo: Path, path: str) -> str:
        return self.run(repo, "git", "cat-file", "blob", f":{path}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)
    make_removable(tmp_path)


@pytest.fixture
def annex(place: Place) -> Path:
    """One unlocked annexed file `big`, one locked `locked`, one in git `small`; all committed."""
    repo = place.annex("one")
    (repo / "big").write_text("content of big\n")
    (repo / "small").write_text("content of small\n")
    place.run(repo, "git", "-c", "annex.largefiles=include=big", "add", "big", "small")
    (repo / "locked").write_text("content of locked\n")
    place.run(repo, "annexd", "add", "locked")
    place.run(repo, "git", "commit", "-q", "-m", "first")
    return repo


def test_git_add_annexes_what_annex_largefiles_matches(place: Place, annex: Path) -> None:
    assert place.blob(annex, "big").startswith("/annex/objects/SHA256E-s15--")
    assert place.blob(annex, "small") == "content of small\n"
    assert (annex / "big").read_text() == "content of big\n"
    assert (annex / "locked").is_symlink()
    assert place.status(annex) == ""


def test_git_add_of_a_changed_annexed_file_annexes_the_new_content(place: Place, annex: Path) -> None:
    (annex / "big").write_text("other content\n")
    assert place.status(annex) == " M big\n"
    place.run(annex, "git", "add", "big")
    assert place.blob(annex, "big").startswith("/annex/objects/SHA256E-s14--")
    assert "[here]" in place.run(annex, "annexd", "whereis", "big")


def test_git_commit_of_everything_runs_the_hook(place: Place, annex: Path) -> None:
    (annex / "big").write_text("third content\n")
    (annex / "small").write_text("changed\n")
    place.run(annex, "git", "commit", "-q", "-a", "-m", "second")
    assert place.status(annex) == ""
    assert place.blob(annex, "big").startswith("/annex/objects/SHA256E-s14--")


def test_git_commit_of_one_file_leaves_the_others(place: Place, annex: Path) -> None:
    (annex / "big").write_text("third content\n")
    (annex / "small").write_text("changed\n")
    place.run(annex, "git", "commit", "-q", "-m", "second", "big")
    assert place.status(annex) == " M small\n"


def test_git_checkout_brings_contents_back(place: Place, annex: Path) -> None:
    place.run(annex, "git", "checkout", "-q", "-b", "other")
    (annex / "big").write_text("on the other branch\n")
    place.run(annex, "git", "commit", "-q", "-a", "-m", "second")
    place.run(annex, "git", "checkout", "-q", "main")
    assert (annex / "big").read_text() == "content of big\n"
    assert place.status(annex) == ""
    place.run(annex, "git", "checkout", "-q", "other")
    assert (annex / "big").read_text() == "on the other branch\n"
    assert place.status(annex) == ""


def test_git_checkout_of_one_file_and_smudge_update_bring_its_content(place: Place, annex: Path) -> None:
    (annex / "big").unlink()
    place.run(annex, "git", "checkout", "big")
    place.run(annex, "annexd", "smudge", "--update")
    assert (annex / "big").read_text() == "content of big\n"
    assert place.status(annex) == ""


def test_git_stash_and_pop_keep_a_change_of_an_annexed_file(place: Place, annex: Path) -> None:
    (annex / "big").write_text("stashed content\n")
    place.run(annex, "git", "stash", "-q")
    place.run(annex, "annexd", "smudge", "--update")
    assert (annex / "big").read_text() == "content of big\n"
    assert place.status(annex) == ""
    place.run(annex, "git", "stash", "pop", "-q")
    place.run(annex, "annexd", "smudge", "--update")
    assert (annex / "big").read_text() == "stashed content\n"


def test_git_merge_brings_contents(place: Place, annex: Path) -> None:
    place.run(annex, "git", "checkout", "-q", "-b", "other")
    (annex / "new").write_text("new on the other branch\n")
    place.run(annex, "git", "-c", "annex.largefiles=anything", "add", "new")
    place.run(annex, "git", "commit", "-q", "-m", "second")
    place.run(annex, "git", "checkout", "-q", "main")
    assert not (annex / "new").exists()
    place.run(annex, "git", "merge", "-q", "other")
    assert (annex / "new").read_text() == "new on the other branch\n"
    assert place.status(annex) == ""


def test_a_clone_becomes_an_annex_by_itself_and_gets_the_content(place: Place, annex: Path) -> None:
    place.run(place.top, "git", "clone", "-q", str(annex), "two")
    clone = place.top / "two"
    assert (clone / "big").read_text().startswith("/annex/objects/")
    place.run(clone, "annexd", "get", ".")
    assert (clone / "big").read_text() == "content of big\n"
    assert (clone / "locked").read_text() == "content of locked\n"
    assert place.status(clone) == ""
    assert place.run(clone, "git", "config", "filter.annex.process") == "annexd filter-process\n"


def test_a_push_merges_the_git_annex_branch_there(place: Place, annex: Path) -> None:
    place.run(place.top, "git", "clone", "-q", str(annex), "two")
    clone = place.top / "two"
    place.run(clone, "annexd", "get", "big")
    place.run(clone, "git", "push", "-q", "origin", "git-annex:synced/git-annex")
    tip = place.run(annex, "git", "rev-parse", "git-annex")
    assert tip == place.run(clone, "git", "rev-parse", "git-annex")


def test_a_file_name_that_is_no_text_passes_the_filter(place: Place, annex: Path) -> None:
    name = os.fsencode(annex) + b"/\xff\n name"
    with open(name, "w") as file:
        file.write("odd\n")
    place.run(annex, "git", "-c", "annex.largefiles=anything", "add", ".")
    place.run(annex, "git", "commit", "-q", "-m", "odd")
    assert place.status(annex) == ""
    assert place.run(annex, "annexd", "find", "--in", "here", "--include", "*name") == "\udcff\n name\n"


def test_many_files_pass_one_filter_process(place: Place, annex: Path) -> None:
    for number in range(200):
        (annex / f"f{number}").write_text(f"file {number}\n")
    place.run(annex, "git", "-c", "annex.largefiles=anything", "add", ".")
    place.run(annex, "git", "commit", "-q", "-m", "many")
    assert place.status(annex) == ""
    assert len(place.run(annex, "annexd", "find").splitlines()) == 202


def test_the_per_file_filters_work_where_there_is_no_filter_process(place: Place, annex: Path) -> None:
    place.run(annex, "git", "config", "--unset", "filter.annex.process")
    (annex / "big").write_text("by the other filter\n")
    place.run(annex, "git", "add", "big")
    assert place.blob(annex, "big").startswith("/annex/objects/SHA256E-s20--")
    place.run(annex, "git", "commit", "-q", "-m", "second")
    place.run(annex, "git", "checkout", "-q", "HEAD^")
    assert (annex / "big").read_text() == "content of big\n"
