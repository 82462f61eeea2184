"""Reading and changing the git-annex branch."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from annexd.annex.branch import BranchUpdate
from annexd.annex.state import AnnexState
from annexd.errors import RepositoryError
from annexd.git.objects import Oid
from tests.unit.annex.helpers import commit_files, git, open_annex, show, subjects


def append(line: bytes):
    return lambda old: (old or b"") + line


def test_a_change_is_read_back_before_and_after_it_is_committed(state: AnnexState) -> None:
    assert state.branch.change(b"a/b.log", append(b"1\n"))
    assert state.branch.read(b"a/b.log") == b"1\n"
    assert state.branch.read_many([b"a/b.log", b"none.log"]) == {b"a/b.log": b"1\n"}
    assert state.branch.commit().moved
    assert state.branch.read(b"a/b.log") == b"1\n"
    assert state.branch.journal_is_empty()


def test_a_change_that_changes_nothing_writes_nothing(state: AnnexState, annex_path: Path) -> None:
    state.branch.change(b"x.log", append(b"1\n"))
    state.branch.commit()
    tip = state.branch.tip()
    assert not state.branch.change(b"x.log", lambda old: old)
    assert not state.branch.change(b"x.log", lambda old: None)
    update = state.branch.change_many({b"x.log": lambda old: old, b"y.log": lambda old: None})
    assert update == BranchUpdate(tip, tip)
    assert state.branch.commit() == BranchUpdate(tip, tip)
    assert os.listdir(annex_path / ".git/annex/journal") == []


def test_many_changes_make_one_commit_that_takes_in_the_journal(state: AnnexState, annex_path: Path) -> None:
    state.branch.change(b"journalled.log", append(b"j\n"))
    state.branch.change(b"both.log", append(b"1\n"))
    before = len(subjects(annex_path))
    update = state.branch.change_many({b"both.log": append(b"2\n"), b"dir/new.log": append(b"n\n")}, b"a message")
    assert set(update.changed) == {b"both.log", b"dir/new.log"}
    assert subjects(annex_path)[before:] == [b"a message"]
    assert show(annex_path, "both.log") == b"1\n2\n"
    assert show(annex_path, "journalled.log") == b"j\n"
    assert show(annex_path, "dir/new.log") == b"n\n"
    assert state.branch.journal_is_empty()
    assert git(annex_path, "fsck", "--strict") == b""


def test_files_replace_directories_and_stand_beside_them(state: AnnexState, annex_path: Path) -> None:
    state.branch.change_many({b"a/b.log": append(b"1\n"), b"a.log": append(b"2\n"), b"a/c/d.log": append(b"3\n")})
    state.branch.change_many({b"a/c/e.log": append(b"4\n")})
    assert sorted(state.branch.paths()) == [b"a.log", b"a/b.log", b"a/c/d.log", b"a/c/e.log", b"uuid.log"]
    assert git(annex_path, "fsck", "--strict") == b""


def test_a_journal_that_git_annex_left_is_honoured_even_when_it_is_odd(state: AnnexState, annex_path: Path) -> None:
    journal = annex_path / ".git/annex/journal"
    (journal / "odd_name.log").write_bytes(b"odd\n")
    (journal / "uuid.log").write_bytes(b"u x timestamp=1s\n")
    (journal / "under__score").write_bytes(b"_\n")
    (journal / "empty.log").write_bytes(b"")
    (journal / "directory").mkdir()
    (journal / ".git_config").write_bytes(b"hostile\n")
    (journal / "_etc_passwd").write_bytes(b"hostile\n")
    (journal / ".._up").write_bytes(b"hostile\n")
    with open(os.fsencode(journal) + b"/latin1-\xe9.log", "wb") as file:
        file.write(b"bytes\n")
    assert state.branch.read(b"odd/name.log") == b"odd\n"
    assert state.branch.read(b"uuid.log") == b"u x timestamp=1s\n"
    state.branch.commit()
    names = set(git(annex_path, "ls-tree", "-r", "-z", "--name-only", "git-annex").split(b"\0")) - {b""}
    assert names == {b"uuid.log", b"odd/name.log", b"under_score", b"empty.log", b"latin1-\xe9.log"}
    assert {entry.name for entry in journal.iterdir()} == {"directory", ".git_config", "_etc_passwd", ".._up"}
    assert git(annex_path, "fsck", "--strict") == b""


def test_a_branch_that_was_moved_back_gets_its_data_again(state: AnnexState, annex_path: Path) -> None:
    start = git(annex_path, "rev-parse", "git-annex").decode()
    state.branch.change_many({b"kept.log": append(b"1\n"), b"uuid.log": append(b"more x\n")})
    git(annex_path, "update-ref", "refs/heads/git-annex", start)
    state.branch.change_many({b"other.log": append(b"2\n")})
    assert show(annex_path, "kept.log") == b"1\n"
    assert b"more x\n" in show(annex_path, "uuid.log")


def test_journal_files_do_not_undo_what_was_pushed_meanwhile(state: AnnexState, annex_path: Path) -> None:
    state.branch.change_many({b"k.log": append(b"1s 1 A\n")})
    state.branch.change(b"k.log", append(b"2s 1 B\n"))
    tip = git(annex_path, "rev-parse", "git-annex").decode()
    files = {"k.log": b"1s 1 A\n3s 1 C\n", "uuid.log": show(annex_path, "uuid.log")}
    commit_files(annex_path, "refs/heads/git-annex", files, parent=tip)
    state.branch.commit()
    assert show(annex_path, "k.log") == b"1s 1 A\n2s 1 B\n3s 1 C\n"


def test_the_index_of_git_annex_is_taken_in_when_nobody_knows_what_it_holds(
    state: AnnexState, annex_path: Path
) -> None:
    git(annex_path, "read-tree", "--index-output=" + str(annex_path / ".git/annex/index"), "git-annex")
    blob = git(annex_path, "hash-object", "-w", "--stdin", stdin=b"only there\n").decode()
    git(annex_path, "update-index", "-q", check=False)
    env = dict(os.environ)
    os.environ["GIT_INDEX_FILE"] = str(annex_path / ".git/annex/index")
    try:
        git(annex_path, "update-index", "--add", "--cacheinfo", f"100644,{blob},lost.log")
    finally:
        os.environ.clear()
        os.environ.update(env)
    state.branch.change_many({b"x.log": append(b"x\n")})
    assert show(annex_path, "lost.log") == b"only there\n"
    assert not (annex_path / ".git/annex/index").exists()


def test_a_push_between_reading_and_writing_loses_nothing(state: AnnexState, annex_path: Path) -> None:
    tip = git(annex_path, "rev-parse", "git-annex").decode()
    calls = 0

    def racing(old: bytes | None) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 1:
            files = {"pushed.log": b"p\n", "mine.log": b"theirs\n", "uuid.log": show(annex_path, "uuid.log")}
            commit_files(annex_path, "refs/heads/git-annex", files, parent=tip)
        return (old or b"") + b"ours\n"

    state.branch.change_many({b"mine.log": racing})
    assert calls == 2
    assert show(annex_path, "pushed.log") == b"p\n"
    assert show(annex_path, "mine.log") == b"theirs\nours\n"


def test_threads_with_forks_of_their_own_lose_no_line(state: AnnexState, annex_path: Path) -> None:
    def work(number: int) -> None:
        with state.fork() as mine:
            for step in range(8):
                line = b"%d-%d\n" % (number, step)
                if (number + step) % 2:
                    mine.branch.change(b"shared.log", append(line))
                else:
                    mine.branch.change_many({b"shared.log": append(line)})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state.branch.commit()
    lines = show(annex_path, "shared.log").splitlines()
    assert sorted(lines) == sorted(b"%d-%d" % (n, s) for n in range(4) for s in range(8))


def test_ten_thousand_files_are_one_pack_and_one_commit(state: AnnexState, annex_path: Path) -> None:
    many = {b"%03x/%03x/f%d.log" % (n % 512, n % 64, n): append(b"%d\n" % n) for n in range(10_000)}
    before = len(subjects(annex_path))
    update = state.branch.change_many(many)
    assert len(update.changed) == 10_000
    assert len(subjects(annex_path)) == before + 1
    assert len(list((annex_path / ".git/objects/pack").glob("*.pack"))) == 1
    found = state.branch.read_many(list(many))
    assert found == {path: b"%d\n" % n for n, path in enumerate(many)}
    assert len(list(state.branch.changed_between(update.old, update.new))) == 10_000
    assert git(annex_path, "fsck", "--strict") == b""


def test_the_configured_commit_message_is_used(annex_path: Path) -> None:
    git(annex_path, "config", "annex.commitmessage", "said by config")
    with open_annex(annex_path) as state:
        state.branch.change_many({b"x.log": append(b"x\n")})
    git(annex_path, "config", "annex.commitmessage-command", "echo said by a command")
    with open_annex(annex_path) as state:
        state.branch.change(b"x.log", append(b"y\n"))
        state.branch.commit()
    assert subjects(annex_path)[-2:] == [b"said by config", b"said by a command"]


def test_without_alwayscommit_changes_stay_in_the_journal(annex_path: Path) -> None:
    git(annex_path, "config", "annex.alwayscommit", "false")
    with open_annex(annex_path) as state:
        update = state.branch.change_many({b"x.log": append(b"x\n")})
        assert update.changed == (b"x.log",) and not update.moved
        assert state.branch.read(b"x.log") == b"x\n"
        assert not state.branch.journal_is_empty()


def test_the_hook_of_the_user_is_told_of_each_commit(state: AnnexState, annex_path: Path) -> None:
    hook = annex_path / ".git/hooks/post-update-annex"
    hook.write_text("#!/bin/sh\necho called >> \"$GIT_DIR/called\"\n")
    hook.chmod(0o755)
    state.branch.change_many({b"x.log": append(b"x\n")})
    state.branch.change_many({b"x.log": lambda old: old})
    assert (annex_path / ".git/called").read_text() == "called\n"


def test_nobody_has_to_tell_git_who_they_are(
    annex_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    git(annex_path, "config", "user.useConfigOnly", "true")
    with open_annex(annex_path) as state:
        assert state.branch.change_many({b"x.log": append(b"x\n")}).moved


def test_a_branch_whose_objects_are_missing_is_an_error_with_a_remedy(state: AnnexState, annex_path: Path) -> None:
    state.branch.change_many({b"x.log": append(b"x\n")})
    blob = git(annex_path, "rev-parse", "git-annex:x.log").decode()
    (annex_path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with open_annex(annex_path) as fresh, pytest.raises(RepositoryError, match="git fsck"):
        fresh.branch.read(b"x.log")


def test_settings_have_a_version_that_changes_with_them_alone(state: AnnexState) -> None:
    version = state.branch.settings_version()
    state.branch.change_many({b"aaa/bbb/x.log": append(b"x\n")})
    state.branch.change(b"aaa/bbb/y.log", append(b"x\n"))
    assert state.branch.settings_version() == version
    state.branch.change(b"numcopies.log", append(b"1s 2\n"))
    changed = state.branch.settings_version()
    assert changed != version
    state.branch.change(b"numcopies.log", append(b"2s 3\n"))
    assert state.branch.settings_version() != changed
    assert state.settings.numcopies() == 3


def test_what_changed_between_two_tips_is_told(state: AnnexState) -> None:
    first = state.branch.change_many({b"a.log": append(b"1\n"), b"d/e/f.log": append(b"1\n")})
    second = state.branch.change_many({b"d/e/f.log": append(b"2\n"), b"d/g.log": append(b"2\n")})
    assert set(state.branch.changed_between(first.new, second.new)) == {b"d/e/f.log", b"d/g.log"}
    assert set(state.branch.changed_between(None, first.new)) == {b"a.log", b"d/e/f.log", b"uuid.log"}
    assert isinstance(first.new, bytes) and Oid(first.new) == first.new
