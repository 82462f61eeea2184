"""Making repositories annexes: held against git-annex's own `init`, and the rules for clones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annexd.annex import hooks
from annexd.annex.init import initialize
from annexd.annex.state import AnnexState, AutoInit
from annexd.errors import DifferencesRefused, NotAnAnnex, RepositoryError
from annexd.formats.uuid import UUID
from tests.unit.annex.helpers import OTHER, git, git_annex, make_annex, open_annex, show, subjects

INIT = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())["init"]
ANNEX_SETTINGS = (b"annex.", b"filter.", b"core.")
OURS = UUID(b"aaaaaaaa-1111-4222-8333-444444444444")


@pytest.fixture
def only_annexd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH without git-annex; the directory on it that holds annexd."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "annexd").symlink_to(Path(sys.executable).parent / "annexd")
    for name in ("git", "sh"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    return programs


def new_repo(path: Path, *args: str) -> Path:
    subprocess.run(["git", "init", "-q", "--template=", *args, str(path)], check=True)
    return path


def by_annexd(path: Path, *args: str) -> Path:
    initialize(os.fsencode(new_repo(path, *args))).close()
    return path


def by_git_annex(path: Path, *args: str) -> Path:
    git_annex(new_repo(path, *args), "init")
    return path


def settings(repo: Path) -> list[bytes]:
    lines = git(repo, "config", "--local", "--list").splitlines()
    return [re.sub(rb"^annex.uuid=.*", b"annex.uuid=", line) for line in lines if line.startswith(ANNEX_SETTINGS)]


def hook_files(git_dir: Path) -> dict[str, tuple[bytes, int]]:
    directory = git_dir / "hooks"
    names = sorted(directory.iterdir()) if directory.exists() else []
    return {file.name: (file.read_bytes(), file.stat().st_mode & 0o777) for file in names}


@pytest.mark.usefixtures("annex_oracle")
@pytest.mark.parametrize("args", [(), ("--bare",)], ids=["work tree", "bare"])
def test_init_leaves_what_git_annex_leaves(tmp_path: Path, args: tuple[str, ...]) -> None:
    one, two = by_annexd(tmp_path / "repo", *args), by_git_annex(tmp_path / "other" / "repo", *args)
    assert settings(one) == settings(two)
    dirs = [repo if args else repo / ".git" for repo in (one, two)]
    assert hook_files(dirs[0]) == hook_files(dirs[1])
    attributes = [git_dir / "info/attributes" for git_dir in dirs]
    assert attributes[0].exists() == attributes[1].exists()
    assert args or attributes[0].read_bytes() == attributes[1].read_bytes()
    assert subjects(one) == subjects(two)
    described = [show(repo, "uuid.log").split()[1].removesuffix(os.fsencode(repo)) for repo in (one, two)]
    assert described[0] == described[1]
    assert (dirs[0] / "annex/sentinal").read_bytes() == b""
    inode, size, seconds, nanoseconds = (dirs[0] / "annex/sentinal.cache").read_bytes().split(b" ")
    status = (dirs[0] / "annex/sentinal").stat()
    assert (int(inode), int(size)) == (status.st_ino, 0)
    assert int(seconds) * 10**9 + int(nanoseconds) == status.st_mtime_ns


@pytest.mark.usefixtures("annex_oracle")
def test_git_annex_works_in_a_repository_that_annexd_made(tmp_path: Path) -> None:
    repo = by_annexd(tmp_path / "repo")
    (repo / "file").write_bytes(b"content")
    git_annex(repo, "add", "file")
    git(repo, "commit", "-qm", "x")
    git_annex(repo, "unlock", "file")
    git(repo, "commit", "-qam", "y")
    assert b"ok" in git_annex(repo, "fsck")
    assert b"file" in git_annex(repo, "find")
    assert git(repo, "status", "--porcelain") == b""
    assert b"repo [here]" in git_annex(repo, "info")
    assert git(repo, "fsck", "--strict", "--no-dangling") == b""
    before = (settings(repo), hook_files(repo / ".git"), show(repo, "uuid.log"))
    git_annex(repo, "init")
    assert (settings(repo), hook_files(repo / ".git"), show(repo, "uuid.log")) == before


@pytest.mark.usefixtures("annex_oracle")
def test_the_vectors_of_init_hold(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    initialize(os.fsencode(repo), b"repo a", uuid=OURS).close()
    found = {name: text.decode() for name, (text, _) in hook_files(repo / ".git").items()}
    assert found == INIT["hooks"]
    assert (repo / ".git/info/attributes").read_text() == INIT["attributes"]
    config = git(repo, "config", "--local", "--list").decode().splitlines()
    assert sorted(line for line in config if line.startswith(("annex.", "filter."))) == INIT["config"]
    assert [subject.decode() for subject in subjects(repo)] == INIT["branch_subjects_oldest_first"]
    bare = new_repo(tmp_path / "bare", "--bare")
    initialize(os.fsencode(bare), uuid=UUID(b"bbbbbbbb-1111-4222-8333-444444444444")).close()
    assert {name: text.decode() for name, (text, _) in hook_files(bare).items()} == INIT["bare_hooks"]
    config = git(bare, "config", "--local", "--list").decode().splitlines()
    assert sorted(line for line in config if line.startswith(("annex.", "filter."))) == INIT["bare_config"]


@pytest.mark.parametrize("version", [8, 9, 10, 7, None])
def test_versions_are_as_asked_for_and_unknown_ones_the_newest(tmp_path: Path, version: int | None) -> None:
    repo = new_repo(tmp_path / "repo")
    initialize(os.fsencode(repo), version=version).close()
    assert git(repo, "config", "annex.version") == b"%d" % (version if version in (8, 9) else 10)
    assert bool(git(repo, "config", "filter.annex.process", check=False)) == (version != 8)


def test_init_again_changes_nothing_but_the_description(tmp_path: Path) -> None:
    repo = by_annexd(tmp_path / "repo")
    before = (settings(repo), git(repo, "rev-parse", "git-annex"), hook_files(repo / ".git"))
    initialize(os.fsencode(repo)).close()
    assert (settings(repo), git(repo, "rev-parse", "git-annex"), hook_files(repo / ".git")) == before
    initialize(os.fsencode(repo), b"new name").close()
    assert b" new name timestamp=" in show(repo, "uuid.log")


def test_a_half_initialised_repository_is_refused_and_completed_by_init(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    git(repo, "config", "annex.uuid", OURS.decode())
    with pytest.raises(RepositoryError, match="annexd init"):
        open_annex(repo)
    with initialize(os.fsencode(repo)) as state:
        assert state.uuid == OURS


@pytest.mark.parametrize("clone", ["--no-shared", "--shared", "--bare"])
def test_a_clone_of_an_annex_initialises_itself(tmp_path: Path, clone: str) -> None:
    origin = by_annexd(tmp_path / "origin")
    subprocess.run(["git", "clone", "-q", clone, str(origin), str(tmp_path / "clone")], check=True, stderr=-3)
    with pytest.raises(NotAnAnnex):
        AnnexState.open(os.fsencode(tmp_path / "clone"), auto_init=AutoInit.NO)
    with open_annex(tmp_path / "clone") as state:
        assert set(state.settings.descriptions) == {state.uuid, open_annex(origin).uuid}
        assert (state.settings.trust(state.uuid).name == "UNTRUSTED") == (clone == "--shared")
    assert (git(tmp_path / "clone", "config", "annex.hardlink", check=False) == b"true") == (clone == "--shared")


def test_what_is_no_clone_of_an_annex_does_not_initialise_itself(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    with pytest.raises(NotAnAnnex, match="annexd init"):
        open_annex(repo)
    with pytest.raises(RepositoryError, match="not in a git repository"):
        open_annex(tmp_path)
    assert not (repo / ".git/annex").exists()


def test_content_without_configuration_is_not_taken_for_a_new_clone(tmp_path: Path) -> None:
    repo = by_annexd(tmp_path / "repo")
    git(repo, "config", "--remove-section", "annex")
    (repo / ".git/annex/objects").mkdir()
    with pytest.raises(NotAnAnnex, match="configuration"):
        open_annex(repo)


def test_noannex_forbids_it_with_its_own_words(tmp_path: Path) -> None:
    origin = by_annexd(tmp_path / "origin")
    subprocess.run(["git", "clone", "-q", str(origin), str(tmp_path / "clone")], check=True, stderr=-3)
    (tmp_path / "clone/.noannex").write_text("not here, please\n")
    for attempt in (open_annex, lambda path: initialize(os.fsencode(path))):
        with pytest.raises(RepositoryError, match="not here, please"):
            attempt(tmp_path / "clone")
    assert b"annex." not in git(tmp_path / "clone", "config", "--local", "--list")


def test_a_clone_of_an_annex_tuned_in_an_unknown_way_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    origin = by_annexd(tmp_path / "origin")
    with open_annex(origin) as state:
        log = b"%b fromList [SomethingNew] timestamp=1s\n" % state.uuid
        state.branch.change_many({b"difference.log": lambda _: log})
    with pytest.raises(DifferencesRefused, match="difference") as refused:
        open_annex(origin)
    assert refused.value.hint
    subprocess.run(["git", "clone", "-q", str(origin), str(tmp_path / "clone")], check=True, stderr=-3)
    with pytest.raises(DifferencesRefused):
        open_annex(tmp_path / "clone")
    assert not (tmp_path / "clone/.git/annex").exists()
    assert b"annex." not in git(tmp_path / "clone", "config", "--local", "--list")


def test_hooks_of_others_are_left_alone(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    (repo / ".git/hooks").mkdir()
    (repo / ".git/hooks/pre-commit").write_text("#!/bin/sh\necho mine\n")
    warnings: list[str] = []
    initialize(os.fsencode(repo), warn=warnings.append).close()
    assert len(warnings) == 1 and "pre-commit" in warnings[0]
    assert (repo / ".git/hooks/pre-commit").read_text() == "#!/bin/sh\necho mine\n"
    assert "post-merge" in hook_files(repo / ".git")


def test_where_only_annexd_is_installed_hooks_and_filters_call_it(only_annexd: Path, tmp_path: Path) -> None:
    repo = by_annexd(tmp_path / "repo")
    text, mode = hook_files(repo / ".git")["pre-commit"]
    assert text == b"#!/bin/sh\n# automatically configured by annexd\nannexd pre-commit .\n"
    assert mode == 0o755
    assert git(repo, "config", "filter.annex.process") == b"annexd filter-process"
    (only_annexd / "annexd").unlink()
    program = hooks.installed_program({"PATH": str(only_annexd)})
    assert program.filter_command.startswith("/")
    assert subprocess.run(["sh", "-c", f"{program.hook} --version || {program.hook} version"]).returncode == 0


def test_hooks_follow_the_program_that_is_installed(only_annexd: Path, tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    (repo / ".git/hooks").mkdir()
    for name, text in INIT["hooks"].items():
        (repo / ".git/hooks" / name).write_text(text)
    initialize(os.fsencode(repo)).close()
    assert all(b"by annexd\n" in text for text, _ in hook_files(repo / ".git").values())


def test_attributes_are_not_added_twice(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    (repo / ".gitattributes").write_text("* filter=annex\n")
    initialize(os.fsencode(repo)).close()
    assert not (repo / ".git/info/attributes").exists()
    other = new_repo(tmp_path / "other")
    (other / ".git/info").mkdir()
    (other / ".git/info/attributes").write_text("*.c text")
    for _ in range(2):
        initialize(os.fsencode(other)).close()
        assert (other / ".git/info/attributes").read_text() == "*.c text\n* filter=annex\n"


def test_a_private_annex_tells_nobody_of_itself(tmp_path: Path) -> None:
    repo = new_repo(tmp_path / "repo")
    git(repo, "config", "annex.private", "true")
    with initialize(os.fsencode(repo), b"secret") as state:
        assert state.settings.descriptions[state.uuid] == b"secret"
    assert show(repo, "uuid.log") == b""
    assert (repo / ".git/annex/journal-private/uuid.log").exists()


def test_a_repository_goes_on_under_the_uuid_given(tmp_path: Path) -> None:
    repo = by_annexd(tmp_path / "repo")
    with initialize(os.fsencode(repo), uuid=OTHER) as state:
        assert state.uuid == OTHER
        assert OTHER in state.settings.descriptions


def test_the_default_description_is_of_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "somebody")
    git(tmp_path, "config", "--global", "user.name", "x")
    git(tmp_path, "config", "--global", "user.email", "x")
    repo = make_annex(tmp_path / "docs")
    assert re.search(rb" somebody@[^ ]+:~/docs timestamp=", show(repo, "uuid.log"))
