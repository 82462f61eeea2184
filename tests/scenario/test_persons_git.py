"""A person uses git in a folder while the daemons run: these step aside, then catch up, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.interop.oracle import Oracle
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side, paused
from tests.support.persons import Person, alerts, stays_aside


@pytest.fixture(scope="module", autouse=True)
def sound_at_the_end(running_pair: Pair, clean_environment: dict[str, str], annex_oracle: object) -> Iterator[None]:
    """git and git-annex find nothing wrong after all that. Text is kept by git itself, all else annexed."""
    running_pair.a.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
    eventually(lambda: running_pair.b.path(".gitattributes").exists(), SYNC_LIMIT)
    yield
    running_pair.rest()
    oracle = Oracle(clean_environment)
    for side in running_pair:
        oracle.assert_sound(side.repo)


@pytest.fixture
def person(running_pair: Pair) -> Person:
    return Person(running_pair.a)


@pytest.fixture
def there(running_pair: Pair) -> Side:
    return running_pair.b


def arrives(side: Side, path: str, text: str) -> None:
    eventually(lambda: side.has(path, text.encode()), SYNC_LIMIT, f"{path} at {side.repo.name}")


def is_gone(side: Side, path: str) -> None:
    eventually(lambda: not side.path(path).is_symlink() and not side.path(path).exists(), SYNC_LIMIT, f"{path} gone")


def begin(pair: Pair, person: Person, *names: str) -> None:
    """Files, known on both sides, and everything at rest."""
    for name in names:
        person.write(name, f"{name} at first\n")
    for name in names:
        arrives(pair.b, name, f"{name} at first\n")
    pair.settle()


# -- commits of one's own


def test_files_moved_and_removed_by_git(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "mv/one", "mv/two", "mv/three")
    person("mv", "mv/one", "mv/renamed")
    person("rm", "-q", "mv/two")
    person("mv", "mv/three", "three")
    person.commit("moved by hand")
    arrives(there, "mv/renamed", "mv/one at first\n")
    arrives(there, "three", "mv/three at first\n")
    is_gone(there, "mv/two")
    running_pair.settle()


def test_commits_of_ones_own(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "own/a", "own/b")
    with person.working():      # so that the daemon leaves something to commit
        person.write("own/a", "a, changed\n")
        person.write("own/b", "b, changed\n")
        stays_aside(person.side)
    person("commit", "-q", "-a", "-m", "all of it", "--allow-empty")
    person("add", "own/a")
    person.write("own/a", "a, after it was staged\n")
    person.write("own/new", "new\n")
    person.commit("a part of it", "own/a")
    arrives(there, "own/a", "a, after it was staged\n")
    arrives(there, "own/b", "b, changed\n")
    arrives(there, "own/new", "new\n")
    running_pair.settle()


def test_a_commit_message_that_is_still_being_written(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "editor")
    gate = person.where / ".git/editor-may-end"
    editor = f"sh -c 'while test ! -e {gate}; do sleep 0.05; done; echo written by hand > \"$0\"'"
    with person.working():
        person.write("editor", "while the editor is open\n")
        stays_aside(person.side)
    arrives(there, "editor", "while the editor is open\n")      # else who comes second finds the index locked
    running_pair.settle()
    committing = subprocess.Popen(
        ["git", "commit", "--allow-empty", "-q"], cwd=person.where, env={**person.side.env, "GIT_EDITOR": editor}
    )
    try:
        eventually(lambda: (person.where / ".git/COMMIT_EDITMSG").exists(), SYNC_LIMIT)
        person.write("meanwhile", "meanwhile\n")
        stays_aside(person.side)
        assert "meanwhile" not in person("ls-tree", "--name-only", "HEAD").split()
    finally:
        gate.touch()
    assert committing.wait(SYNC_LIMIT) == 0
    arrives(there, "meanwhile", "meanwhile\n")
    assert "written by hand" in person("log", "-5", "--format=%s")
    running_pair.settle()


def test_a_branch_that_is_brought_to_the_commit_checked_out_before(
    running_pair: Pair, person: Person, there: Side
) -> None:
    begin(running_pair, person, "forward.txt")
    person("switch", "-q", "-c", "side-forward")
    person.write("forward.txt", "on the side\n")
    sent = ("log", "--format=%H", "synced/side-forward", "^main", "--", "forward.txt")
    eventually(lambda: "side-forward" in there.git("branch", "--list", "synced/*").decode(), SYNC_LIMIT)
    eventually(lambda: there.git(*sent), SYNC_LIMIT, "the commit on the branch at the other side")
    assert running_pair.a.running is not None
    with paused(running_pair.a.running):        # so that it sees HEAD at the same commit before and after
        person("switch", "-q", "main")
        person("merge", "-q", "side-forward")
    arrives(there, "forward.txt", "on the side\n")
    running_pair.settle()


def test_a_commit_amended(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "amended")
    person("commit", "-q", "--amend", "-m", "in better words")
    person.write("after", "after amending\n")
    arrives(there, "after", "after amending\n")
    running_pair.settle()
    assert "in better words" in there.git("log", "--format=%s").decode()


def test_a_commit_reverted(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "reverted")
    person.write("reverted", "a mistake\n")
    arrives(there, "reverted", "a mistake\n")
    running_pair.settle()
    person("revert", "--no-edit", "HEAD")
    arrives(there, "reverted", "reverted at first\n")
    running_pair.settle()


# -- branches


def test_another_branch_and_back(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "branches/common")
    main = person("rev-parse", "HEAD").strip()
    person("switch", "-q", "-c", "feature")
    person.write("branches/on feature", "feature\n")
    person.write("branches/common", "changed on feature\n")
    eventually(lambda: not person("status", "--porcelain") and person("rev-parse", "HEAD").strip() != main, SYNC_LIMIT)
    eventually(lambda: b"feature" in there.git("branch", "--list", "feature"), SYNC_LIMIT, "the new branch there")
    assert person("rev-parse", "main").strip() == main
    assert not there.path("branches/on feature").exists()
    for _ in range(3):
        person("switch", "-q", "main")
        person("switch", "-q", "feature")
    person("switch", "-q", "main")
    assert person("rev-parse", "main").strip() == main, "a commit went onto the branch that was left"
    person.write("branches/on main", "main\n")
    arrives(there, "branches/on main", "main\n")
    running_pair.settle()
    assert b"branches/on feature" not in person.side.committed()
    assert "branches/on main" not in person("ls-tree", "-r", "--name-only", "feature")
    person("merge", "-q", "-m", "feature is done", "feature")
    arrives(there, "branches/on feature", "feature\n")
    arrives(there, "branches/common", "changed on feature\n")
    running_pair.settle()


def test_an_orphan_branch(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "orphan")
    main = person("rev-parse", "main")
    person("switch", "-q", "--orphan", "pages")
    person.write("page", "page\n")
    eventually(lambda: person("rev-parse", "--verify", "-q", "pages", status=None), SYNC_LIMIT, "its first commit")
    eventually(lambda: person("ls-tree", "--name-only", "pages").split() == ["page"], SYNC_LIMIT)
    person("switch", "-q", "main")
    assert person("rev-parse", "main") == main
    running_pair.settle()
    assert not there.path("page").exists()


def test_a_detached_head_stays_where_it_is(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "detached")
    main = person("rev-parse", "main")
    person("checkout", "-q", "--detach")
    person.write("on no branch", "detached\n")
    eventually(lambda: person("rev-parse", "HEAD") != main and not person("status", "--porcelain"), SYNC_LIMIT)
    eventually(lambda: "detached" in alerts(person.side), SYNC_LIMIT, "the alert")
    there.write("from there", b"from there\n")
    eventually(lambda: b"from there" in there.committed(), SYNC_LIMIT)
    assert person("symbolic-ref", "-q", "HEAD", status=1) == ""
    assert "on no branch" not in person("ls-tree", "--name-only", "main")
    assert not there.path("on no branch").exists()
    person("branch", "kept")
    person("switch", "-q", "main")
    arrives(person.side, "from there", "from there\n")
    person("cherry-pick", "kept")
    arrives(there, "on no branch", "detached\n")
    running_pair.settle()
    eventually(lambda: "detached" not in alerts(person.side), SYNC_LIMIT, "the alert's end")


# -- resets and stashes


@pytest.mark.parametrize("how", ["--hard", "--mixed", "--soft"])
def test_a_reset_of_what_others_have_comes_back(running_pair: Pair, person: Person, there: Side, how: str) -> None:
    name = f"reset{how}"
    begin(running_pair, person, name)
    person.write(name, "second\n")
    arrives(there, name, "second\n")
    running_pair.settle()
    person("reset", "-q", how, "HEAD~1")
    person.write(f"{name} after", "after\n")
    arrives(there, f"{name} after", "after\n")
    arrives(person.side, name, "second\n")
    running_pair.settle()


def test_a_file_checked_out_anew(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "anew")
    person.write("anew", "second\n")
    arrives(there, "anew", "second\n")
    running_pair.settle()
    person("checkout", "-q", "HEAD~1", "--", "anew")
    arrives(there, "anew", "anew at first\n")
    running_pair.settle()
    person.write("scratch", "untracked\n")
    person("clean", "-q", "-f", "-d")
    running_pair.settle()


def test_a_stash_comes_back(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "stashed", "other")
    person("config", "annex.autocommit", "false")
    try:
        eventually(lambda: _keeps_changes(person), SYNC_LIMIT, "a daemon that commits nothing")
        person.write("stashed", "work in progress\n")
        person("stash", "push", "-q", "--include-untracked")
    finally:
        person("config", "--unset", "annex.autocommit")
    person.write("other", "something urgent\n")
    arrives(there, "other", "something urgent\n")
    running_pair.settle()
    assert there.has("stashed", b"stashed at first\n")
    person("stash", "pop", "-q")
    arrives(there, "stashed", "work in progress\n")
    running_pair.settle()


def _keeps_changes(person: Person) -> bool:
    """Whether a change stays uncommitted; it may take the daemon a moment to learn that it should."""
    head = person("rev-parse", "HEAD")
    person.write("probe", "probe\n")
    try:
        eventually(lambda: person("rev-parse", "HEAD") != head, 0.4)
    except AssertionError:
        return True
    finally:
        (person.where / "probe").unlink()
    return False


# -- operations that stop in the middle


def conflicting_branch(running_pair: Pair, person: Person, name: str) -> None:
    """A branch `side-NAME` with a change of file NAME, and another change of it here."""
    begin(running_pair, person, name)
    person("switch", "-q", "-c", f"side-{name.removesuffix('.txt')}")
    person.write(name, "theirs\n")
    eventually(lambda: not person("status", "--porcelain") and "theirs" in shown(person, name), SYNC_LIMIT)
    person("switch", "-q", "main")
    person.write(name, "ours\n")
    eventually(lambda: not person("status", "--porcelain"), SYNC_LIMIT)
    running_pair.settle()


def shown(person: Person, name: str) -> str:
    return (person.where / name).read_text()


def test_a_merge_that_stops_in_a_conflict(running_pair: Pair, person: Person, there: Side) -> None:
    conflicting_branch(running_pair, person, "merge")
    head = person("rev-parse", "HEAD")
    person("merge", "-q", "side-merge", status=1)
    person.write("merge meanwhile", "meanwhile\n")
    there.write("merge from there", b"from there\n")
    stays_aside(person.side)
    assert person("rev-parse", "HEAD") == head
    assert person("ls-files", "-u")
    person("checkout", "-q", "--theirs", "merge")
    person("add", "merge")
    person("commit", "-q", "-m", "merged by hand")
    arrives(there, "merge", "theirs\n")
    arrives(there, "merge meanwhile", "meanwhile\n")
    arrives(person.side, "merge from there", "from there\n")
    running_pair.settle()
    assert "merged by hand" in there.git("log", "--format=%s").decode()


def test_a_rebase_that_stops_in_a_conflict(running_pair: Pair, person: Person, there: Side) -> None:
    conflicting_branch(running_pair, person, "rebase.txt")
    person("switch", "-q", "side-rebase")
    person("rebase", "-q", "main", status=1)
    person.write("rebase meanwhile", "meanwhile\n")
    stays_aside(person.side)
    assert person("ls-files", "-u")
    person("checkout", "-q", "--theirs", "rebase.txt")
    person("add", "rebase.txt")
    person("rebase", "--continue")
    eventually(lambda: not person("status", "--porcelain"), SYNC_LIMIT, "what changed meanwhile committed")
    assert "rebase meanwhile" in person("ls-tree", "-r", "--name-only", "side-rebase")
    person("switch", "-q", "main")
    person("merge", "-q", "side-rebase")
    arrives(there, "rebase.txt", "theirs\n")
    arrives(there, "rebase meanwhile", "meanwhile\n")
    running_pair.settle()


def test_an_interactive_rebase(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "interactive")
    for number in range(3):
        person.write(f"interactive {number}", f"{number}\n")
        arrives(there, f"interactive {number}", f"{number}\n")
    running_pair.settle()
    editor = "sed -i -e '1s/^pick/edit/' -e '2s/^pick/reword/'"
    person("rebase", "-q", "-i", "HEAD~2", env={"GIT_SEQUENCE_EDITOR": editor})
    person.write("interactive meanwhile", "meanwhile\n")
    stays_aside(person.side)
    person("rebase", "--continue", env={"GIT_EDITOR": "sed -i 1s/^/reworded:/"})
    arrives(there, "interactive meanwhile", "meanwhile\n")
    running_pair.settle()
    assert "reworded:" in there.git("log", "--format=%s").decode()


def test_a_cherry_pick_that_stops_in_a_conflict(running_pair: Pair, person: Person, there: Side) -> None:
    conflicting_branch(running_pair, person, "pick.txt")
    person("cherry-pick", "side-pick", status=1)
    person.write("pick meanwhile", "meanwhile\n")
    stays_aside(person.side)
    person("checkout", "-q", "--theirs", "pick.txt")
    person("add", "pick.txt")
    person("cherry-pick", "--continue")
    arrives(there, "pick.txt", "theirs\n")
    arrives(there, "pick meanwhile", "meanwhile\n")
    running_pair.settle()


def test_an_operation_that_is_aborted(running_pair: Pair, person: Person, there: Side) -> None:
    conflicting_branch(running_pair, person, "abort")
    person("merge", "-q", "side-abort", status=1)
    person.write("abort meanwhile", "meanwhile\n")
    stays_aside(person.side)
    person("merge", "--abort")
    arrives(there, "abort meanwhile", "meanwhile\n")
    running_pair.settle()
    assert there.has("abort", b"ours\n")


def test_a_bisect(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "bisect")
    for number in range(4):
        person.write("bisect", f"{number}\n")
        arrives(there, "bisect", f"{number}\n")
    running_pair.settle()
    main = person("rev-parse", "main").strip()
    person("bisect", "start", "HEAD", "HEAD~4")
    tried = person("rev-parse", "HEAD")
    person.write("bisect meanwhile", "meanwhile\n")
    stays_aside(person.side)
    assert person("rev-parse", "HEAD") == tried
    person("bisect", "good")
    person("bisect", "reset")
    person("merge-base", "--is-ancestor", main, "main")
    arrives(there, "bisect meanwhile", "meanwhile\n")
    running_pair.settle()


# -- locks and housekeeping


def test_an_index_that_is_locked_for_a_while(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "locked")
    with person.working():
        person.write("locked", "changed under the lock\n")
        there.write("locked from there", b"from there\n")
        stays_aside(person.side)
        eventually(lambda: b"locked from there" in there.committed(), SYNC_LIMIT)
    arrives(there, "locked", "changed under the lock\n")
    arrives(person.side, "locked from there", "from there\n")
    running_pair.settle()


def test_housekeeping_meanwhile(running_pair: Pair, person: Person, there: Side) -> None:
    for number, chore in enumerate((
        ("pack-refs", "--all"), ("gc", "-q"), ("repack", "-q", "-a", "-d"), ("prune", "--expire=1.hour.ago"),
        ("reflog", "expire", "--expire=1.hour.ago", "--all"), ("gc", "-q", "--prune=1.hour.ago"),
    )):  # fmt: skip
        person.write(f"chore {number}", f"{number}\n")
        person(*chore)
        Person(there)(*chore)
        person.write(f"chore {number}", f"{number}, again\n")
    for number in range(6):
        arrives(there, f"chore {number}", f"{number}, again\n")
    running_pair.settle()
