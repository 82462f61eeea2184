"""annexd made the repository; git-annex works in it as if it were its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle, whereis_of

NAMES = [
    b"plain.txt", b"two.tar.gz", b"with space/a  b.txt", b"new\nline.txt", b"latin1-\xe9.txt", "uni/été.dé".encode(),
    b"quo\"te's.txt", b"back\\slash.txt", b"-dash.txt", b"glob[*]?.txt", b"c:colon%percent&amp.txt", b"n" * 255,
    b"deep/1/2/3/4/5/6/7/8/file.bin", b"tab\there",
]


def write(repo: Path, name: bytes, content: bytes) -> None:
    path = os.path.join(os.fsencode(repo), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


@pytest.fixture
def made(tmp_path: Path, annexd_cli: Annexd, oracle: Oracle) -> Path:
    """A repository made by annexd alone, with awkward names, locked and unlocked files."""
    repo = tmp_path / "made"
    repo.mkdir()
    oracle.git(repo, "init", "-q")
    annexd_cli(repo, "init", "made by annexd")
    for name in NAMES:
        write(repo, name, b"content of " + name + b"\n")
    annexd_cli(repo, "add", ".")
    oracle.git(repo, "commit", "-q", "-m", "locked")
    annexd_cli(repo, "unlock", "plain.txt", "two.tar.gz")
    oracle.git(repo, "commit", "-q", "-m", "unlocked")
    return repo


def test_git_annex_finds_nothing_to_complain_about(made: Path, oracle: Oracle) -> None:
    oracle.assert_sound(made)
    assert len(oracle.whereis(made)) == len(NAMES)


def test_both_see_the_same_locations(made: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    assert whereis_of(annexd_cli(made, "whereis", "--json")) == oracle.whereis(made)


def test_git_annex_goes_on_where_annexd_stopped(made: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    (made / "theirs.txt").write_text("by git-annex\n")
    oracle.annex(made, "add", "theirs.txt")
    oracle.annex(made, "lock", "plain.txt")
    (made / "two.tar.gz").write_text("edited\n")
    oracle.git(made, "add", "two.tar.gz")
    oracle.git(made, "commit", "-q", "-m", "by git-annex")
    oracle.annex(made, "drop", "--force", "theirs.txt")
    oracle.assert_sound(made, numcopies_may_fail=True)
    assert "theirs.txt" not in annexd_cli(made, "find").split("\n")
    assert whereis_of(annexd_cli(made, "whereis", "--json", status=None)) == oracle.whereis(made)


def test_a_clone_initialised_by_git_annex_gets_contents_from_it(made: Path, oracle: Oracle, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    oracle.git(made.parent, "clone", "-q", str(made), str(clone))
    oracle.annex(clone, "init", "clone")
    oracle.annex(clone, "get", ".")
    assert (clone / "plain.txt").read_bytes() == b"content of plain.txt\n"
    oracle.assert_sound(clone)


def test_a_clone_initialises_itself_when_annexd_is_used_in_it(
    made: Path, annexd_cli: Annexd, oracle: Oracle, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    oracle.git(made.parent, "clone", "-q", str(made), str(clone))
    annexd_cli(clone, "get", ".")
    assert (clone / "two.tar.gz").read_bytes() == b"content of two.tar.gz\n"
    oracle.assert_sound(clone)
    annexd_cli(clone, "sync")
    assert len(oracle.whereis(made)["plain.txt"]) == 2


def test_plain_git_commands_work_with_the_filter_that_annexd_set_up(
    made: Path, annexd_cli: Annexd, oracle: Oracle
) -> None:
    oracle.git(made, "config", "annex.largefiles", "largerthan=10b")
    (made / "big.dat").write_text("more than ten bytes\n")
    (made / "tiny.dat").write_text("tiny\n")
    oracle.git(made, "add", "big.dat", "tiny.dat")
    oracle.git(made, "commit", "-q", "-m", "by git add")
    assert oracle.git(made, "show", "HEAD:big.dat").startswith("/annex/objects/SHA256E-s20--")
    assert oracle.git(made, "show", "HEAD:tiny.dat") == "tiny\n"
    oracle.git(made, "checkout", "-q", "HEAD~1")
    assert not (made / "big.dat").exists()
    oracle.git(made, "checkout", "-q", "-")
    assert (made / "big.dat").read_text() == "more than ten bytes\n", "content is put back at checkout"
    oracle.assert_sound(made)


def test_a_journal_that_git_annex_left_is_taken_in(made: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    key = oracle.annex(made, "lookupkey", "plain.txt").strip()
    other = "cccccccc-0000-4000-8000-000000000003"
    oracle.annex(made, "setpresentkey", "-c", "annex.alwayscommit=false", key, other, "1")
    assert any((made / ".git/annex/journal").iterdir())
    places = whereis_of(annexd_cli(made, "whereis", "--json"))["plain.txt"]
    assert other in places, "the journal is read before the branch"
    annexd_cli(made, "merge")
    assert other in oracle.git(made, "show", f"git-annex:{location_log(made, oracle, key)}")


def location_log(repo: Path, oracle: Oracle, key: str) -> str:
    directory = oracle.annex(repo, "examinekey", key, "--format=${hashdirlower}").strip()
    return f"{directory}{key}.log"
