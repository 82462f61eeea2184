"""`undo` takes changes back in a new commit, and loses nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from annexd.cli.undoing import parse_moment
from annexd.errors import UserError
from tests.support.annexd import Annexd
from tests.support.repositories import git, make_git_repo, make_removable


class Repo:
    """An annex whose commits can be dated."""

    def __init__(self, top: Path, annexd: Annexd) -> None:
        self.top = top
        self.annexd = annexd
        make_git_repo(top)
        annexd(top, "init", "here")

    def write(self, name: str, text: str) -> None:
        path = self.top / name
        path.parent.mkdir(exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_text(text)

    def commit(self, age: int = 0, **files: str) -> str:
        for name, text in files.items():
            self.write(name, text)
        moment = f"{int(time.time()) - age} +0000"
        env = {**self.annexd.env, "GIT_COMMITTER_DATE": moment, "GIT_AUTHOR_DATE": moment}
        self.annexd(self.top, "-c", "annex.addunlocked=true", "add", ".")
        subprocess.run(["git", "commit", "-q", "-m", "files"], cwd=self.top, env=env, check=True)
        return git(self.top, "rev-parse", "HEAD").decode().strip()

    def texts(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.top.iterdir() if path.is_file()}

    def status(self) -> bytes:
        return git(self.top, "status", "--porcelain")


@pytest.fixture
def repo(tmp_path: Path, annexd: Annexd) -> Iterator[Repo]:
    yield Repo(tmp_path / "repo", annexd)
    make_removable(tmp_path)


def test_the_last_change_of_a_file_is_undone_and_redone(repo: Repo) -> None:
    repo.commit(f="one\n", g="g\n")
    repo.commit(f="two\n")
    repo.commit(g="G\n")
    out = repo.annexd(repo.top, "undo", "f").out
    assert out.startswith("undo f (1 file changed back) ok\n")
    assert repo.texts() == {"f": "one\n", "g": "G\n"}
    assert repo.status() == b""
    repo.annexd(repo.top, "undo", "f")
    assert repo.texts() == {"f": "two\n", "g": "G\n"}


def test_a_file_that_was_deleted_comes_back(repo: Repo) -> None:
    repo.commit(f="one\n", g="g\n")
    git(repo.top, "rm", "-q", "f")
    git(repo.top, "commit", "-q", "-m", "gone")
    repo.annexd(repo.top, "undo", "f")
    assert repo.texts() == {"f": "one\n", "g": "g\n"}


def test_what_is_not_committed_is_committed_first(repo: Repo) -> None:
    repo.commit(f="one\n")
    repo.commit(f="two\n")
    repo.write("f", "three\n")
    repo.annexd(repo.top, "undo", "f")
    assert repo.texts() == {"f": "two\n"}
    repo.annexd(repo.top, "undo", "f")
    assert repo.texts() == {"f": "three\n"}


def test_a_directory_is_undone_with_all_in_it(repo: Repo) -> None:
    repo.write("d/a", "a\n")
    repo.write("d/b", "b\n")
    repo.commit(f="one\n")
    repo.write("d/a", "A\n")
    repo.write("d/b", "B\n")
    repo.write("d/c", "C\n")
    repo.commit(f="two\n")
    repo.annexd(repo.top / "d", "undo", ".")
    assert {p.name: p.read_text() for p in (repo.top / "d").iterdir()} == {"a": "a\n", "b": "b\n"}
    assert repo.texts() == {"f": "two\n"}


def test_files_that_git_does_not_know_are_refused(repo: Repo) -> None:
    repo.commit(f="one\n")
    repo.write("new", "new\n")
    said = repo.annexd(repo.top, "undo", "new", status=1).err
    assert "Cannot undo changes to files that are not checked into git: new" in said
    assert "say what to undo" in repo.annexd(repo.top, "undo", status=1).err


def test_undo_since_restores_the_earlier_tree(repo: Repo) -> None:
    """The reflog says where the branch was; dates of commits may be anything."""
    repo.commit(age=7200, f="one\n", g="g\n")
    repo.commit(age=3000, f="two\n", h="h\n")
    git(repo.top, "rm", "-q", "g")
    git(repo.top, "commit", "-q", "-m", "gone")
    assert "does not go back" in repo.annexd(repo.top, "undo", "--since", "3h", status=None).err
    repo.annexd(repo.top, "undo", "--since", "1h", "f")
    assert repo.texts() == {"f": "one\n", "h": "h\n"}
    repo.annexd(repo.top, "undo", "--since", "1h")
    assert repo.texts() == {"f": "one\n", "g": "g\n"}
    assert repo.status() == b""
    repo.annexd(repo.top, "undo", "h")
    assert repo.texts() == {"f": "one\n", "g": "g\n", "h": "h\n"}


def test_content_that_is_not_here_stays_a_pointer_and_is_told_of(repo: Repo) -> None:
    repo.commit(f="one\n")
    key = repo.annexd(repo.top, "lookupkey", "f").out.strip()
    repo.commit(f="two\n")
    repo.annexd(repo.top, "drop", "--force", "--key", key)
    said = repo.annexd(repo.top, "undo", "f").out
    assert "the content of 1 file is not here" in said
    assert (repo.top / "f").read_text().startswith("/annex/objects/")


def test_a_file_that_git_does_not_know_is_not_overwritten(repo: Repo) -> None:
    repo.commit(f="one\n", g="g\n")
    git(repo.top, "rm", "-q", "f")
    git(repo.top, "commit", "-q", "-m", "gone")
    repo.write("f", "precious\n")
    assert "f" in repo.annexd(repo.top, "undo", "--since", "1s", "f", status=1).err
    assert repo.texts() == {"f": "precious\n", "g": "g\n"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [("10m", 999_400), ("1h30m", 994_600), ("1970-01-12T13:46:40+00:00", 1_000_000), ("1970-01-02T00:00Z", 86_400)],
)
def test_moments(text: str, moment: int) -> None:
    assert parse_moment(text, 1_000_000.5) == moment


def test_a_moment_without_zone_is_local() -> None:
    assert parse_moment("2026-11-20 18:30", 0.0) == datetime(2026, 11, 20, 18, 30).timestamp()
    with pytest.raises(UserError):
        parse_moment("teatime", 0.0)
