"""annexd and the real git-annex take turns in tuned repositories, each also in those that the other made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle
from tests.support.repositories import make_removable

NAMES = ("objecthash1", "objecthashlower", "branchhash1")
SETS = [
    pytest.param(NAMES, id="all"),
    *(pytest.param((name,), id=name, marks=pytest.mark.slow) for name in NAMES),
]


def tune(names: tuple[str, ...]) -> list[str]:
    return [word for name in names for word in ("-c", f"annex.tune.{name}=true")]


def paths_of(repo: Path) -> list[str]:
    """Where contents lie, below the directory of objects."""
    objects = (repo / ".git" if (repo / ".git").exists() else repo) / "annex/objects"
    return sorted(str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file())


@pytest.mark.parametrize("names", SETS)
@pytest.mark.parametrize("maker", ["annexd", pytest.param("git-annex", marks=pytest.mark.slow)])
def test_they_work_in_each_others_tuned_repositories(
    tmp_path: Path, oracle: Oracle, annexd_cli: Annexd, names: tuple[str, ...], maker: str
) -> None:
    first, second = (annexd_cli, oracle.annex) if maker == "annexd" else (oracle.annex, annexd_cli)
    repo, clone, bare = (tmp_path / name for name in ("repo", "clone", "bare"))
    oracle.git(tmp_path, "init", "-q", str(repo))
    first(repo, "init", "repo", *tune(names))
    (repo / "one").write_text("one\n")
    first(repo, "add", "one")
    (repo / "two").write_text("two\n")
    second(repo, "add", "two")
    oracle.git(repo, "commit", "-q", "-m", "files")
    assert (repo / "one").read_text() == "one\n" and (repo / "two").read_text() == "two\n"

    oracle.git(tmp_path, "clone", "-q", str(repo), str(clone))
    second(clone, "get", "one")
    first(clone, "get", "two")
    assert paths_of(clone) == paths_of(repo)
    second(clone, "unlock", "two")
    first(clone, "lock", "two")
    first(clone, "drop", "one")
    second(clone, "sync")
    first(repo, "sync")

    oracle.git(tmp_path, "clone", "-q", "--bare", str(repo), str(bare))
    first(bare, "init", "bare")
    oracle.git(repo, "remote", "add", "bare", str(bare))
    second(repo, "copy", "--to", "bare", "one")
    first(repo, "copy", "--to", "bare", "two")
    second(repo, "sync")
    for side in (repo, clone):
        wanted = oracle.whereis(side) if side is repo else None
        annexd_cli(side, "fsck")
        if wanted is not None:
            assert {name: len(places) for name, places in wanted.items()} == {"one": 2, "two": 3}
    second(bare, "fsck", "--all")
    first(bare, "fsck", "--all")
    assert len(paths_of(bare)) == 2
    levels = 1 if "objecthash1" in names else 2
    assert all(path.count("/") == levels + 1 for path in (*paths_of(repo), *paths_of(bare)))
    for side in (repo, clone, bare):
        lines = oracle.git(side, "config", "--get-regexp", r"annex\.tune\.").splitlines()
        assert sorted(lines) == sorted(f"annex.tune.{name} true" for name in names)
    first(repo, "forget", "--force", "--drop-dead")
    second(repo, "whereis")
    for side in (repo, clone):
        oracle.assert_sound(side)
        make_removable(side)
    make_removable(bare)


@pytest.mark.slow
def test_an_annex_that_is_tuned_otherwise_is_refused_by_both(
    tmp_path: Path, oracle: Oracle, annexd_cli: Annexd
) -> None:
    plain, tuned = tmp_path / "plain", tmp_path / "tuned"
    for repo, words in ((plain, []), (tuned, tune(NAMES[:1]))):
        oracle.git(tmp_path, "init", "-q", str(repo))
        annexd_cli(repo, "init", repo.name, *words)
        (repo / f"of {repo.name}").write_text(repo.name)
        annexd_cli(repo, "add", f"of {repo.name}")
        oracle.git(repo, "commit", "-q", "-m", "file")
    oracle.git(plain, "remote", "add", "tuned", str(tuned))
    oracle.git(tuned, "remote", "add", "plain", str(plain))
    for repo in (plain, tuned):
        annexd_cli(repo, "sync", status=1)
    assert oracle.whereis(plain).keys() == {"of plain"}     # we left nothing there that git-annex would stumble over
    oracle.annex(plain, "sync", status=1)
    refs = oracle.git(plain, "show-ref", "--heads")
    annexd_cli(plain, "sync", status=1)
    annexd_cli(plain, "whereis")
    assert oracle.git(plain, "show-ref", "--heads") == refs
    for repo in (plain, tuned):
        make_removable(repo)
