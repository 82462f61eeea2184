"""A person's work trees, submodules and settings of git beside the daemons: what git leaves alone, these do too."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.oracle import Oracle
from tests.support import annexd as programs
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side
from tests.support.persons import Person
from tests.support.repositories import git


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


def begin(pair: Pair, person: Person, *names: str) -> None:
    for name in names:
        person.write(name, f"{name} at first\n")
    for name in names:
        arrives(pair.b, name, f"{name} at first\n")
    pair.settle()


def test_a_linked_work_tree_is_its_owners(running_pair: Pair, person: Person, there: Side, tmp_path: Path) -> None:
    begin(running_pair, person, "linked")
    place = person.where.with_name("linked tree")
    person("worktree", "add", "-q", "-b", "topic", place)
    inner = Person(person.side, place)
    inner.write("topic.txt", "topic\n")
    inner("add", "topic.txt")
    inner("commit", "-q", "-m", "on the topic")
    topic = inner("rev-parse", "topic").strip()
    person.write("main meanwhile", "main\n")
    arrives(there, "main meanwhile", "main\n")
    # The other side has the same branch; it must not move under the feet of the linked work tree.
    away = Person(there)
    away("fetch", "-q", "a", "topic")
    away("switch", "-q", "-c", "topic", "FETCH_HEAD")
    away.write("from there.txt", "there\n")
    eventually(lambda: person("for-each-ref", "refs/heads/synced/topic"), SYNC_LIMIT, "the branch of the other side")
    assert inner("rev-parse", "topic").strip() == topic
    assert inner("status", "--porcelain") == ""
    inner("merge", "-q", "synced/topic")
    away("switch", "-q", "main")
    shutil.rmtree(place)        # git's own command stumbles over the .git that annexes turn into a link
    person("worktree", "prune")
    running_pair.settle()


def test_a_daemon_in_a_linked_work_tree(clean_environment: dict[str, str], tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    git(main, "init", "-q")
    program = programs.Annexd(dict(clean_environment))
    program(main, "init", "main")
    (main / "first").write_text("first\n")
    program(main, "add", "first")
    git(main, "commit", "-q", "-m", "first")
    linked = Side(tmp_path / "linked", clean_environment)
    git(main, "worktree", "add", "-q", "-b", "topic", str(linked.repo))
    head = git(main, "rev-parse", "main")
    try:
        linked.start()
        linked.write("in the linked tree", b"linked\n")
        eventually(lambda: b"in the linked tree" in linked.committed(), SYNC_LIMIT, "its commit")
        eventually(lambda: not linked.git("status", "--porcelain"), SYNC_LIMIT)
        assert linked.path("first").read_text() == "first\n"
        assert git(main, "rev-parse", "main") == head
        assert git(main, "status", "--porcelain") == b""
        second = program(main, "run", status=None)
        assert second.status != 0
        assert "already running" in second.err
    finally:
        linked.close()


def test_a_submodule_is_left_to_the_person(running_pair: Pair, person: Person, there: Side, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    for version in ("one", "two"):
        (library / "code").write_text(version)
        git(library, "add", "code")
        git(library, "commit", "-q", "-m", version)
    person("submodule", "--quiet", "add", library, "sub")
    person("-C", "sub", "checkout", "-q", "HEAD~1")
    person("add", "sub")
    person.commit("a library")
    eventually(lambda: there.committed().get(b"sub") == "160000", SYNC_LIMIT, "the submodule there")
    person.write("sub/made here", "not ours\n")
    person("-C", "sub", "checkout", "-q", "main")
    person("add", "sub")
    person.commit("a newer library")
    newer = git(library, "rev-parse", "HEAD").decode().strip()
    eventually(lambda: newer in there.git("ls-tree", "HEAD", "sub").decode(), SYNC_LIMIT, "the newer submodule")
    person.write("beside the submodule", "beside\n")
    arrives(there, "beside the submodule", "beside\n")
    assert not person("-C", "sub", "ls-files", "made here")
    (person.where / "sub/made here").unlink()
    Person(there)("submodule", "--quiet", "update", "--init")
    assert there.path("sub/code").read_text() == "two"
    person("rm", "-q", "sub")
    person.commit("without the library")
    eventually(lambda: b"sub" not in there.committed(), SYNC_LIMIT, "the submodule gone")
    shutil.rmtree(there.path("sub"))        # with files in it git leaves it behind, too
    running_pair.settle()


def test_files_that_git_was_told_not_to_look_at(running_pair: Pair, person: Person, there: Side) -> None:
    begin(running_pair, person, "aside/local.txt", "aside/skipped.txt", "aside/other.txt")
    person("update-index", "--assume-unchanged", "aside/local.txt")
    person("update-index", "--skip-worktree", "aside/skipped.txt")
    person.write("aside/local.txt", "my own settings\n")
    (person.where / "aside/skipped.txt").unlink()
    person.write("aside/other.txt", "changed\n")
    arrives(there, "aside/other.txt", "changed\n")
    running_pair.settle()
    assert there.has("aside/local.txt", b"aside/local.txt at first\n")
    assert there.path("aside/skipped.txt").exists()
    there.write("aside/skipped.txt", b"changed there\n")
    there.write("aside/after.txt", b"after\n")
    arrives(person.side, "aside/after.txt", "after\n")
    eventually(lambda: "changed there" in person("show", "HEAD:aside/skipped.txt"), SYNC_LIMIT, "the merge")
    assert (person.where / "aside/local.txt").read_text() == "my own settings\n"
    assert not (person.where / "aside/skipped.txt").exists()
    assert "S aside/skipped.txt" in person("ls-files", "-v", "aside")
    person("update-index", "--no-skip-worktree", "aside/skipped.txt")
    person("update-index", "--no-assume-unchanged", "aside/local.txt")
    person("checkout", "-q", "--", "aside/skipped.txt", "aside/local.txt")
    running_pair.settle()


def test_a_sparse_checkout_is_no_removal(running_pair: Pair, person: Person, there: Side) -> None:
    names = [f"{where}/{number}" for where in ("wide", "narrow") for number in range(5)]
    begin(running_pair, person, *names)
    person("sparse-checkout", "set", "narrow", "aside")
    person.write("narrow/new", "new\n")
    arrives(there, "narrow/new", "new\n")
    assert not (person.where / "wide").exists()
    there.write("wide/0", b"changed there\n")
    there.write("narrow/0", b"changed there\n")
    arrives(person.side, "narrow/0", "changed there\n")
    running_pair.settle()
    assert all(there.path(name).exists() for name in names)
    assert not (person.where / "wide/0").exists()
    person("sparse-checkout", "disable")
    arrives(person.side, "wide/0", "changed there\n")
    arrives(person.side, "wide/1", "wide/1 at first\n")
    running_pair.settle()


def test_line_ends_are_gits_business(running_pair: Pair, person: Person, there: Side) -> None:
    person("config", "core.autocrlf", "true")
    try:
        person.write(".gitignore", "*.ignored\n")       # so that the settings are known to be read anew
        arrives(there, ".gitignore", "*.ignored\n")
        eventually(lambda: _is_normalised(person, there), SYNC_LIMIT, "line ends as git has them")
        running_pair.settle()
        for file in person.where.glob("lines *.txt"):       # without the setting git would see them as changed
            file.unlink()
        running_pair.settle()
    finally:
        person("config", "--unset", "core.autocrlf")
    person.write("latin.txt", "plain\n")
    arrives(there, "latin.txt", "plain\n")
    running_pair.settle()


def _is_normalised(person: Person, there: Side) -> bool:
    """Tried with one file after the other, as the daemon may take a moment to learn of the setting."""
    name = f"lines {os.urandom(4).hex()}.txt"
    person.write(name, "one\r\ntwo\r\n")
    arrives_somehow = eventually(lambda: name.encode() in there.committed(), SYNC_LIMIT)
    return bool(arrives_somehow) and there.has(name, b"one\ntwo\n")


def test_commits_are_signed_where_that_is_asked_for(running_pair: Pair, person: Person, there: Side) -> None:
    key = person.where.with_name("signing key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    settings = {"gpg.format": "ssh", "user.signingkey": str(key), "commit.gpgsign": "true", "annex.allowsign": "true"}
    for name, value in settings.items():
        person("config", name, value)
    try:
        eventually(lambda: _signs(person), SYNC_LIMIT, "a signed commit")
        running_pair.settle()
    finally:
        for name in settings:
            person("config", "--unset", name)


def _signs(person: Person) -> bool:
    name = f"signed {os.urandom(4).hex()}"
    person.write(name, "signed\n")
    eventually(lambda: name.encode() in person.side.committed(), SYNC_LIMIT)
    return "BEGIN SSH SIGNATURE" in person("cat-file", "commit", "HEAD")
