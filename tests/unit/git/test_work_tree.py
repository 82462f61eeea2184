"""What git says of the work tree: changes, untracked files, attributes, ignore rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.errors import GitError
from annexd.git.attributes import CheckAttr, CheckIgnore
from annexd.git.repository import GitRepository
from annexd.git.scan import changed_paths, deleted_paths, untracked
from tests.support.repositories import git, make_git_repo


@pytest.fixture
def repo(git_repo: Path) -> GitRepository:
    return GitRepository.discover(os.fsencode(git_repo))


def test_changes_are_found_without_reading_content(git_repo: Path, repo: GitRepository) -> None:
    for name in ("same", "changed", "gone", "link", "ex\nec"):
        (git_repo / name).write_text("1")
        os.utime(git_repo / name, (1, 1))
    git(git_repo, "add", "-A")
    git(git_repo, "commit", "-qm", "x")
    (git_repo / "changed").write_text("22")
    (git_repo / "gone").unlink()
    (git_repo / "link").unlink()
    (git_repo / "link").symlink_to("same")
    (git_repo / "ex\nec").chmod(0o755)
    found = {change.path: (change.status, change.old_mode, change.new_mode) for change in changed_paths(repo)}
    assert found == {
        b"changed": ("M", 0o100644, 0o100644),
        b"gone": ("D", 0o100644, 0),
        b"link": ("T", 0o100644, 0o120000),
        b"ex\nec": ("M", 0o100644, 0o100755),
    }
    assert deleted_paths(repo) == [b"gone"]


def test_no_filter_runs_while_looking(git_repo: Path, repo: GitRepository) -> None:
    (git_repo / "f").write_text("1")
    git(git_repo, "add", "-A")
    (git_repo / ".gitattributes").write_text("* filter=annex\n")
    git(git_repo, "config", "filter.annex.clean", "touch ../filter-ran")
    git(git_repo, "config", "filter.annex.process", "touch ../filter-ran")
    (git_repo / "f").write_text("2")
    assert [change.path for change in changed_paths(repo)] == [b"f"]
    assert not (git_repo.parent / "filter-ran").exists()


def test_untracked_files_are_listed_less_the_ignored(git_repo: Path, repo: GitRepository) -> None:
    (git_repo / ".gitignore").write_text("*.o\n")
    (git_repo / "dir").mkdir()
    for name in ("dir/new", "dir/x.o", "tracked", "odd\nname"):
        (git_repo / name).write_text("")
    (git_repo / os.fsdecode(b"\xff\xfe")).write_text("")
    git(git_repo, "add", "tracked")
    inner = make_git_repo(git_repo / "inner")
    git(inner, "commit", "-q", "--allow-empty", "-m", "x")
    assert untracked(repo) == [b".gitignore", b"dir/new", b"inner/", b"odd\nname", b"\xff\xfe"]


def test_attributes_are_answered_for_each_name(git_repo: Path, repo: GitRepository) -> None:
    (git_repo / ".gitattributes").write_text("*.big annex.largefiles=anything\n*.bin -diff\n")
    attributes = CheckAttr(repo, [b"annex.largefiles", b"diff"])
    assert attributes.get(b"x.big") == {b"annex.largefiles": b"anything", b"diff": b"unspecified"}
    assert attributes.get(b"odd\nname.bin") == {b"annex.largefiles": b"unspecified", b"diff": b"unset"}
    paths = [b"d/%d" % n + b"x" * 200 + (b".big" if n % 2 else b"") for n in range(500)]
    found = attributes.get_many(paths)
    assert [found[path][b"annex.largefiles"] for path in paths] == [b"unspecified", b"anything"] * 250
    (git_repo / ".gitattributes").write_text("")
    attributes.reset()
    assert attributes.get(b"x.big")[b"annex.largefiles"] == b"unspecified"
    attributes.close()


def test_ignore_rules_are_gits(git_repo: Path, repo: GitRepository) -> None:
    (git_repo / ".gitignore").write_text("*.o\n!keep.o\nbuild/\n")
    (git_repo / ".git/info").mkdir(exist_ok=True)
    (git_repo / ".git/info/exclude").write_text("/private\n")
    (git_repo / "tracked.o").write_text("")
    git(git_repo, "add", "-f", "tracked.o")
    ignore = CheckIgnore(repo)
    assert ignore.ignored(b"x.o")
    assert ignore.ignored(b"sub/new\nline.o")
    assert not ignore.ignored(b"keep.o")
    assert ignore.ignored(b"private")
    assert ignore.ignored(b"build/deep/file")
    assert ignore.ignored(b"build/")
    assert not ignore.ignored(b"build")
    assert ignore.ignored(b"tracked.o")
    rule = ignore.rule(b"x.o")
    assert rule is not None
    assert (rule.source, rule.line, rule.pattern) == (b".gitignore", 1, b"*.o")
    assert ignore.rule(b"plain") is None
    (git_repo / ".gitignore").write_text("")
    ignore.reset()
    assert not ignore.ignored(b"x.o")
    ignore.close()


def test_a_path_that_git_refuses_does_not_hide_the_others(git_repo: Path, repo: GitRepository) -> None:
    (git_repo / ".gitignore").write_text("*.o\n")
    (git_repo / "dir").mkdir()
    (git_repo / "link").symlink_to("dir")
    ignore = CheckIgnore(repo)
    paths = [b"a.o", b"link/b.o", b"c.o", b"../d.o", b"e.o", b""]
    assert ignore.ignored_many(paths) == {b"a.o", b"c.o", b"e.o"}
    ignore.close()


def test_a_path_outside_has_no_attributes(repo: GitRepository) -> None:
    attributes = CheckAttr(repo, [b"diff"])
    with pytest.raises(GitError):
        attributes.get(b"../outside")
    assert attributes.get(b"inside") == {b"diff": b"unspecified"}
    attributes.close()
