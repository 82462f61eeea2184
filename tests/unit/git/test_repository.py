"""Where a repository is found, and what kind it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.errors import FormatError, GitError, RepositoryError
from annexd.git.config import GitConfig, set_config, unset_config
from annexd.git.config_file import parse_config_file
from annexd.git.repository import GitRepository
from tests.support.repositories import git, make_git_repo


def at(path: Path) -> bytes:
    return os.fsencode(path)


def test_a_repository_is_found_from_deep_inside(git_repo: Path) -> None:
    (git_repo / "a/b").mkdir(parents=True)
    repo = GitRepository.discover(at(git_repo / "a/b"))
    assert (repo.work_tree, repo.git_dir, repo.is_bare) == (at(git_repo), at(git_repo / ".git"), False)


def test_no_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError):
        GitRepository.discover(at(tmp_path))


def test_a_bare_repository_has_no_work_tree(tmp_path: Path) -> None:
    path = make_git_repo(tmp_path / "r.git", bare=True)
    repo = GitRepository.discover(at(path / "refs"))
    assert (repo.work_tree, repo.git_dir, repo.top) == (None, at(path), at(path))


def test_inside_the_git_directory_the_work_tree_is_known(git_repo: Path) -> None:
    assert GitRepository.discover(at(git_repo / ".git/objects")).work_tree == at(git_repo)


def test_a_git_directory_marked_bare_has_no_work_tree(git_repo: Path) -> None:
    git(git_repo, "config", "core.bare", "true")
    assert GitRepository.discover(at(git_repo)).is_bare


def test_a_linked_work_tree_shares_objects(git_repo: Path) -> None:
    git(git_repo, "commit", "-q", "--allow-empty", "-m", "x")
    git(git_repo, "worktree", "add", "-q", "../linked")
    repo = GitRepository.discover(at(git_repo.parent / "linked"))
    assert repo.common_dir == at(git_repo / ".git")
    assert repo.git_dir == at(git_repo / ".git/worktrees/linked")
    assert repo.work_tree == at(git_repo.parent / "linked")
    assert repo.run(b"rev-parse", b"--show-toplevel").rstrip() == repo.work_tree


def test_a_submodule_has_its_own_work_tree(git_repo: Path, tmp_path: Path) -> None:
    inner = make_git_repo(tmp_path / "inner")
    git(inner, "commit", "-q", "--allow-empty", "-m", "x")
    git(git_repo, "submodule", "add", "-q", str(inner), "sub")
    repo = GitRepository.discover(at(git_repo / "sub"))
    assert (repo.work_tree, repo.git_dir) == (at(git_repo / "sub"), at(git_repo / ".git/modules/sub"))


def test_object_and_ref_formats_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.mkdir()
    git(path, "init", "-q", "--object-format=sha256")
    repo = GitRepository.discover(at(path))
    assert (repo.object_format, repo.ref_format, repo.is_plain) == ("sha256", "files", False)
    with pytest.raises(RepositoryError, match="sha256"):
        repo.require_sha1()


def test_hooks_learn_their_repository_from_the_environment(git_repo: Path) -> None:
    environ = {b"GIT_DIR": b".git", b"GIT_INDEX_FILE": b".git/index.lock"}
    repo = GitRepository.discover(at(git_repo), environ)
    assert repo.git_dir == at(git_repo / ".git")
    assert repo.work_tree == at(git_repo)
    assert repo.index_path == at(git_repo / ".git/index.lock")


def test_receive_hooks_run_inside_the_git_directory(git_repo: Path) -> None:
    repo = GitRepository.discover(at(git_repo / ".git"), {b"GIT_DIR": b"."})
    assert (repo.git_dir, repo.work_tree) == (at(git_repo / ".git"), at(git_repo))


def test_location_variables_do_not_lead_git_astray(
    git_repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_git_repo(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    repo = GitRepository.discover(at(git_repo))
    assert repo.run(b"rev-parse", b"--absolute-git-dir").rstrip() == at(git_repo / ".git")


def test_failing_git_is_an_error_with_its_words(git_repo: Path) -> None:
    repo = GitRepository.discover(at(git_repo))
    with pytest.raises(GitError, match="no-such-ref"):
        repo.run(b"rev-parse", b"--verify", b"no-such-ref^{commit}")
    assert repo.run(b"rev-parse", b"--verify", b"-q", b"no-such-ref", check=False) == b""


def test_git_runs_no_filter_of_the_annex(git_repo: Path) -> None:
    git(git_repo, "config", "filter.annex.clean", "false")
    git(git_repo, "config", "filter.annex.required", "true")
    (git_repo / ".gitattributes").write_text("* filter=annex\n")
    (git_repo / "f").write_text("content")
    repo = GitRepository.discover(at(git_repo))
    assert repo.run(b"hash-object", b"-w", b"--no-filters", b"f")
    assert repo.run(b"diff-files", b"--raw") == b""


@pytest.mark.parametrize(
    ("value", "bits"), [("group", 0o660), ("all", 0o664), ("umask", 0), ("0640", 0o640), ("false", 0), ("true", 0o660)]
)
def test_shared_repositories_are_known(git_repo: Path, value: str, bits: int) -> None:
    git(git_repo, "config", "core.sharedRepository", value)
    assert GitRepository.discover(at(git_repo)).shared_bits == bits


def test_settings_are_read_as_git_reads_them(git_repo: Path) -> None:
    git(git_repo, "config", "annex.number", "2k")
    git(git_repo, "config", "annex.weird", 'a "quoted" # \\ value \n\t')
    git(git_repo, "config", "remote.Some.Name.url", "/x")
    git(git_repo, "config", "--add", "annex.many", "one")
    git(git_repo, "config", "--add", "annex.many", "two")
    with open(git_repo / ".git/config", "a") as file:
        file.write("[annex]\n\tbare-name\n\tempty =\n")
    config = GitConfig.load(GitRepository.discover(at(git_repo)))
    assert config.get_int("Annex.Number", 0) == 2048
    assert config.get("annex.weird") == 'a "quoted" # \\ value \n\t'
    assert config.get("remote.Some.Name.URL") == "/x"
    assert config.get("remote.some.name.url") is None
    assert config.get_all("annex.many") == [b"one", b"two"]
    assert config.get_bool("annex.bare-name", default=False)
    assert not config.get_bool("annex.empty", default=True)
    assert config.remotes() == ("Some.Name",)
    assert config.section("remote.Some.Name") == {b"url": b"/x"}


def test_settings_are_written_and_removed(git_repo: Path) -> None:
    repo = GitRepository.discover(at(git_repo))
    set_config(repo, "annex.uuid", "x")
    set_config(repo, "annex.uuid", "y")
    assert git(git_repo, "config", "annex.uuid") == b"y\n"
    unset_config(repo, "annex.uuid")
    unset_config(repo, "annex.uuid")
    assert GitConfig.load(repo).get("annex.uuid") is None


def test_our_reading_of_a_config_file_is_gits(git_repo: Path) -> None:
    text = (
        b'[core]\n\tbare = false ; comment\n[Remote "a.B\\"c"]url=  x y  # z\n[a "b"]\n k = "  q # " tail\\\n  more\n'
        b"\tflag\n[old.Style]\n\tkey = v\n"
    )
    (git_repo / "other").write_bytes(text)
    listing = git(git_repo, "config", "-f", "other", "--list", "-z")
    ours = b"".join(name + (b"" if value is None else b"\n" + value) + b"\0" for name, value in parse_config_file(text))
    assert ours == listing


@pytest.mark.parametrize("text", [b"x = 1", b"[a\n", b'[a]\nb = "c\n', b"[a]\nb = \\q\n"])
def test_a_damaged_config_file_is_a_format_error(text: bytes) -> None:
    with pytest.raises(FormatError):
        list(parse_config_file(text))
