"""`forget`, here or at a remote, beside the real git-annex: the same branches, and nothing forgotten comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle
from tests.support.repositories import make_removable

LOCATIONS = "aaa/bbb/SHA256E-s3--0cf9180a764aba863a67b6d72f0918bc131c6772642cb2dce5a34f0a702f9470.log"
DEAD, SAME = "dddddddd-1111-4222-8333-444444444444", "eeeeeeee-1111-4222-8333-444444444444"


def journal(repo: Path, path: str, content: str) -> None:
    """A file of the branch, as if a git-annex had just written it."""
    (repo / ".git/annex/journal").mkdir(parents=True, exist_ok=True)
    (repo / ".git/annex/journal" / path.replace("_", "__").replace("/", "_")).write_text(content)


def tell_of_the_dead(repo: Path, uuid: str) -> None:
    """Lines about a dead repository, and about another configuration of it, in every kind of log."""
    lines = f"1700000000s 1 {DEAD}\n1700000000s 1 {DEAD}\n1600000000s 1 {uuid}\n1700000001s X {SAME}\nodd\n"
    journal(repo, LOCATIONS, lines)
    journal(repo, LOCATIONS + ".cnk", f"1s {DEAD}:100 3\n1s {uuid}:100 4\n")
    journal(repo, LOCATIONS + ".rmt", f"1s {DEAD} state\n2s {SAME} other\n1s {uuid} ours\n")
    journal(repo, LOCATIONS + ".cid", f"1s {DEAD} a:b\n1s {uuid} c\n")
    journal(repo, LOCATIONS + ".met", "1s a +b\n")
    journal(repo, LOCATIONS + ".rmet", f"1s {DEAD}:x +1\n2s {uuid}:x +2 {DEAD}:y +3\n3s {SAME}:z +4\n")
    journal(repo, LOCATIONS + ".web", "1s 1 http://localhost/x\n1s 1 http://localhost/x\n")
    journal(repo, "remote/web/aaa/bbb/SHA256E-s3--00.log", "1s 1 http://localhost/y\n2s 1 http://localhost/y\n")
    settings = f"{DEAD} name=gone type=directory timestamp=1s\n{SAME} sameas-uuid={DEAD} type=directory timestamp=2s\n"
    journal(repo, "remote.log", settings)
    journal(repo, "uuid.log", f"{DEAD} gone timestamp=1s\n{uuid} us timestamp=1s\n{uuid} we timestamp=2s\n")
    journal(repo, "trust.log", f"{uuid} 0 timestamp=1s\n{DEAD} X timestamp=1s\n")
    for name in ("group", "preferred-content", "required-content", "schedule", "activity", "difference", "multicast"):
        value = "fromList []" if name == "difference" else "standard"
        journal(repo, f"{name}.log", f"{DEAD} {value} timestamp=1s\n")
    journal(repo, "maxsize.log", f"1s {DEAD} 5000\n1s {uuid} 6000\n")
    journal(repo, "numcopies.log", "1s 2\n2s 3\n")
    journal(repo, "config.log", "1s annex.numcopies 2\n")
    journal(repo, "new-kind.log", f"1s {DEAD}\n")


def tree(oracle: Oracle, repo: Path) -> str:
    return oracle.git(repo, "ls-tree", "-r", "git-annex")


@pytest.fixture
def repo(tmp_path: Path, oracle: Oracle) -> Path:
    """An annex of git-annex's with a file."""
    made = tmp_path / "repo"
    oracle.git(tmp_path, "init", "-q", str(made))
    oracle.annex(made, "init", "us")
    (made / "file").write_text("file\n")
    oracle.annex(made, "add", "file")
    oracle.git(made, "commit", "-q", "-m", "file")
    return made


@pytest.mark.parametrize("options", [[], ["--drop-dead"]], ids=["history", "dead"])
def test_the_branch_after_it_is_git_annexs(
    repo: Path,
    tmp_path: Path,
    oracle: Oracle,
    annexd_cli: Annexd,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    monkeypatch.setitem(oracle.env, "GIT_ANNEX_VECTOR_CLOCK", "1800000000")
    tell_of_the_dead(repo, oracle.git(repo, "config", "annex.uuid").strip())
    exported = oracle.git(repo, "rev-parse", "HEAD^{tree}").strip()
    journal(repo, "export.log", f"1s {DEAD}:{SAME} {exported}\n")
    ours = tmp_path / "ours"
    shutil.copytree(repo, ours, symlinks=True)
    try:
        said = oracle.annex(repo, "forget", "--force", *options)
        before = oracle.git(ours, "rev-parse", "git-annex")
        annexd_cli(ours, "forget", *options, status=1)
        assert oracle.git(ours, "rev-parse", "git-annex") == before
        assert set(annexd_cli(ours, "forget", "--force", *options).splitlines()) <= {
            "forget git-annex (recording state in git...)", *said.splitlines()
        }
        assert tree(oracle, ours) == tree(oracle, repo)
        subjects = [oracle.git(side, "log", "--format=%s", "git-annex") for side in (ours, repo)]
        assert subjects[0] == subjects[1]
        assert oracle.git(ours, "show", "git-annex~1:export.tree/file") == oracle.git(repo, "show", "HEAD:file")
    finally:
        make_removable(ours)


@pytest.mark.parametrize(
    "who", ["annexd forgets", "git-annex forgets", pytest.param("annexd does all", marks=pytest.mark.slow)]
)
def test_after_a_sync_both_ways_both_sides_have_forgotten(
    repo: Path, tmp_path: Path, oracle: Oracle, annexd_cli: Annexd, who: str
) -> None:
    first = oracle.annex if who == "git-annex forgets" else annexd_cli
    second = oracle.annex if who == "annexd forgets" else annexd_cli
    other = tmp_path / "other"
    oracle.git(tmp_path, "clone", "-q", str(repo), str(other))
    oracle.annex(other, "get", "file")
    oracle.annex(other, "sync")
    oracle.git(repo, "remote", "add", "other", str(other))
    oracle.annex(repo, "sync")
    tell_of_the_dead(repo, oracle.git(repo, "config", "annex.uuid").strip())
    tell_of_the_dead(other, oracle.git(other, "config", "annex.uuid").strip())
    second(other, "sync")
    first(repo, "forget", "--drop-dead", "--force")
    assert DEAD not in oracle.git(repo, "grep", "-h", DEAD, "git-annex", "--", LOCATIONS, "group.log", status=None)
    (other / "more").write_text("more\n")
    second(other, "add", "more")
    second(other, "sync")
    for _ in range(2):
        first(repo, "sync")
        second(other, "sync")
    assert tree(oracle, repo) == tree(oracle, other)
    for side in (repo, other):
        for path in (LOCATIONS, "uuid.log", "group.log", "maxsize.log"):
            assert DEAD not in oracle.git(side, "show", f"git-annex:{path}", status=None), (side, path)
        assert "branch created" not in oracle.git(side, "log", "--format=%s", "git-annex")
        assert len(oracle.whereis(side)["file"]) == 2
        first(side, "merge")
        second(side, "merge")
    assert tree(oracle, repo) == tree(oracle, other)


@pytest.mark.slow
def test_a_forced_branch_reaches_a_bare_repository_and_whoever_syncs_with_it(
    repo: Path, tmp_path: Path, oracle: Oracle, annexd_cli: Annexd
) -> None:
    bare, other = tmp_path / "bare", tmp_path / "other"
    oracle.git(tmp_path, "clone", "-q", "--bare", str(repo), str(bare))
    oracle.git(repo, "remote", "add", "origin", str(bare))
    annexd_cli(repo, "sync")
    oracle.git(tmp_path, "clone", "-q", str(bare), str(other))
    oracle.annex(other, "sync")
    annexd_cli(repo, "sync")
    annexd_cli(repo, "forget", "--force")
    annexd_cli(repo, "sync")
    oracle.annex(other, "sync")
    assert "branch created" not in oracle.git(other, "log", "--format=%s", "git-annex")
    annexd_cli(repo, "sync")
    assert tree(oracle, repo) == tree(oracle, other)
    assert "branch created" not in oracle.git(repo, "log", "--format=%s", "git-annex")
