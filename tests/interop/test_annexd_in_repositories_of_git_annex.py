"""git-annex made the repository; annexd reads it, works in it, and git-annex finds nothing to complain about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle, whereis_of
from tests.interop.sample import json_lines


def expected(sample: Path) -> list[list[str]]:
    """Rows of expected.txt: path as git quotes it, kind, key, present."""
    return [line.split("\t") for line in (sample / "expected.txt").read_text().splitlines()]


def test_annexd_sees_the_same_annexed_files_and_keys(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    arguments = ("find", "--anything", "--json")
    ours = {str(line["file"]): line["key"] for line in json_lines(annexd_cli(sample / "main", *arguments))}
    theirs = {str(line["file"]): line["key"] for line in json_lines(oracle.annex(sample / "main", *arguments))}
    assert ours == theirs
    annexed = [row for row in expected(sample) if row[2] != "-"]
    assert len(ours) == len(annexed) > 30


def test_annexd_agrees_about_what_is_present(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    ours = sorted(annexd_cli(sample / "main", "find", "--print0").split("\0"))
    assert ours == sorted(oracle.annex(sample / "main", "find", "--print0").split("\0"))
    assert len([row for row in expected(sample) if row[3] == "1"]) == len([name for name in ours if name])


@pytest.mark.parametrize("repository", ["main", "peer", "bare.git"])
def test_annexd_agrees_about_where_everything_is(
    sample: Path, annexd_cli: Annexd, oracle: Oracle, repository: str
) -> None:
    arguments = ("whereis", "--json") if repository != "bare.git" else ("whereis", "--all", "--json")
    ours = whereis_of(annexd_cli(sample / repository, *arguments, status=None))
    theirs = whereis_of(oracle.annex(sample / repository, *arguments, status=None))
    assert ours == theirs
    assert ours


@pytest.mark.parametrize("repository", ["main", "peer", "v8", "v9", "emptyunlocked"])
def test_fsck_of_annexd_judges_as_git_annex_does(
    sample: Path, annexd_cli: Annexd, oracle: Oracle, repository: str
) -> None:
    arguments = ("fsck", "--json", "--json-error-messages")
    ours = {str(x["file"]): x["success"] for x in json_lines(annexd_cli(sample / repository, *arguments, status=None))}
    answers = json_lines(oracle.annex(sample / repository, *arguments, status=None))
    theirs = {str(x["file"]): x["success"] for x in answers}
    assert ours == theirs
    assert ours


def test_looking_changes_nothing(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    main = sample / "main"
    before = (oracle.git(main, "show-ref"), oracle.git(main, "status", "--porcelain"))
    for command in (["find"], ["whereis"], ["info", "--fast"], ["lookupkey", "locked.txt"], ["version"]):
        annexd_cli(main, *command, status=None)
    assert (oracle.git(main, "show-ref"), oracle.git(main, "status", "--porcelain")) == before


def test_get_drop_copy_and_move_leave_a_sound_repository(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    main = sample / "main"
    annexd_cli(main, "get", "seventy k.bin", "five.bin")
    annexd_cli(main, "copy", "--to", "peer", "seventy k.bin", "archive.tar.gz", "unlocked.txt")
    annexd_cli(main, "drop", "--force", "archive.tar.gz", "unlocked.txt")
    assert (main / "unlocked.txt").read_bytes().startswith(b"/annex/objects/")
    annexd_cli(main, "get", "--from", "peer", "unlocked.txt")
    assert (main / "unlocked.txt").read_text() == "unlocked content, edited\n"
    annexd_cli(main, "move", "--force", "--to", "bare", "./-dash.txt")
    assert not os.path.exists(main / "-dash.txt"), "the link dangles once its content moved away"
    oracle.assert_sound(main, numcopies_may_fail=True)
    oracle.annex(sample / "peer", "fsck", "--key", oracle.annex(main, "lookupkey", "archive.tar.gz").strip())
    assert whereis_of(annexd_cli(main, "whereis", "--json", status=None)) == oracle.whereis(main)


def test_added_files_have_the_keys_that_git_annex_gives(
    sample: Path, annexd_cli: Annexd, oracle: Oracle, tmp_path: Path
) -> None:
    main = sample / "main"
    names = ["new.tar.gz", "a b.TXT", "dir/neu.été", "x.iso", "note.md", ".hidden"]
    for name in names:
        (main / name).parent.mkdir(exist_ok=True)
        (main / name).write_text(f"content of {name}\n")
    annexd_cli(main, "add", ".")
    oracle.git(main, "commit", "-q", "-m", "added")
    for name in ("new.tar.gz", "a b.TXT", "dir/neu.été", "x.iso"):
        backend = "SHA512E" if name == "x.iso" else "SHA256E"
        wanted = oracle.annex(main, "calckey", f"--backend={backend}", str(main / name)).strip()
        assert oracle.annex(main, "lookupkey", name).strip() == wanted
    for name in ("note.md", ".hidden"):
        assert oracle.git(main, "show", f"HEAD:{name}") == f"content of {name}\n"
    oracle.assert_sound(main, numcopies_may_fail=True)


def test_unlock_edit_add_and_lock_round_trip(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    main = sample / "main"
    annexd_cli(main, "unlock", "locked-exec.sh", "five.bin")
    assert not (main / "five.bin").is_symlink()
    assert os.access(main / "locked-exec.sh", os.X_OK)
    (main / "five.bin").write_bytes(b"edited five\n")
    annexd_cli(main, "add", "five.bin")
    annexd_cli(main, "lock", "locked-exec.sh")
    oracle.git(main, "commit", "-q", "-m", "round trip")
    assert (main / "locked-exec.sh").is_symlink()
    wanted = oracle.annex(main, "calckey", str(main / "five.bin"))
    assert oracle.annex(main, "lookupkey", "five.bin") == wanted
    oracle.assert_sound(main, numcopies_may_fail=True)


def test_a_tuned_repository_is_used_as_it_is(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    tuned = sample / "tuned"
    assert whereis_of(annexd_cli(tuned, "whereis", "--json")) == oracle.whereis(tuned)
    (tuned / "new").write_text("new\n")
    annexd_cli(tuned, "add", "new")
    annexd_cli(tuned, "sync")
    annexd_cli(tuned, "fsck")
    oracle.assert_sound(tuned)


@pytest.mark.parametrize("version", ["v8", "v9"])
def test_older_versions_stay_what_they_are(sample: Path, annexd_cli: Annexd, oracle: Oracle, version: str) -> None:
    repo = sample / version
    (repo / "more.txt").write_text("more\n")
    annexd_cli(repo, "add", "more.txt")
    oracle.git(repo, "commit", "-q", "-m", "more")
    annexd_cli(repo, "drop", "--force", "more.txt")
    assert oracle.git(repo, "config", "annex.version").strip() == version[1:]
    assert oracle.annex(repo, "find", "--not", "--in", "here").split() == ["more.txt"]


def test_sync_brings_bare_and_main_together(sample: Path, annexd_cli: Annexd, oracle: Oracle) -> None:
    main = sample / "main"
    (main / "fresh.txt").write_text("fresh\n")
    annexd_cli(main, "add", "fresh.txt")
    oracle.git(main, "remote", "remove", "peer")
    annexd_cli(main, "sync", "--content")
    assert oracle.git(sample / "bare.git", "rev-parse", "master") == oracle.git(main, "rev-parse", "master")
    key = oracle.annex(main, "lookupkey", "fresh.txt").strip()
    bare_uuid = oracle.git(sample / "bare.git", "config", "annex.uuid").strip()
    # bare wants *.bin and important.*, and text files that lack two backups
    assert bare_uuid in oracle.whereis(main)["fresh.txt"]
    assert oracle.annex(sample / "bare.git", "contentlocation", key).strip()
    oracle.assert_sound(main, numcopies_may_fail=True)
