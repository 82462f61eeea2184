"""A daemon on an adjusted branch, and one on an ordinary branch at the other side: what is done here is done there."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import Pair, Side, make_pair

LIMIT = 30.0
MODES = ["--unlock", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("--lock", "--unlock-present"))]


@pytest.fixture(scope="module", params=MODES)
def adjusted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str]
) -> Iterator[Pair]:
    """Both daemons run; a is on an adjusted branch, and both have the file `first`."""
    with make_pair(tmp_path_factory.mktemp("adjusted"), clean_environment) as pair:
        pair.start()
        pair.assert_syncs("first")
        pair.settle()
        Annexd(clean_environment)(pair.a.repo, "adjust", request.param)
        yield pair


def original(side: Side) -> bytes:
    """The commit of the branch that both have."""
    name = adjusted_name(side)
    return side.git("rev-parse", f"refs/basis/{name}" if name else "HEAD")


def adjusted_name(side: Side) -> str:
    """The adjusted branch that is checked out, without refs/heads/."""
    name = side.git("symbolic-ref", "HEAD").decode().strip().removeprefix("refs/heads/")
    return name if name.startswith("adjusted/") else ""


def in_step(pair: Pair) -> bool:
    """Whether both sides have one history, and nothing is left to do."""
    assert original(pair.a) == original(pair.b), "histories differ"
    branch = adjusted_name(pair.a)
    base = branch.removeprefix("adjusted/").partition("(")[0]
    assert pair.a.git("rev-parse", base) == original(pair.a), "the original branch stayed behind"
    assert pair.a.git("log", "-1", "--format=%s", "HEAD") == b"git-annex adjusted branch\n"
    assert pair.a.git("rev-parse", "HEAD^") == original(pair.a), "commits are left on the adjusted branch"
    for side in pair:
        left = side.git("status", "--porcelain")
        assert not left, f"git status in {side.repo.name}: {left!r}"
    return True


def arrives(side: Side, path: str, data: bytes) -> None:
    eventually(lambda: side.has(path, data), LIMIT, f"{path} at {side.repo.name}")


def is_gone(side: Side, path: str) -> None:
    eventually(lambda: not os.path.lexists(side.path(path)), LIMIT, f"{path} to go at {side.repo.name}")


@pytest.fixture(params=["a to b", "b to a"])
def way(adjusted: Pair, request: pytest.FixtureRequest) -> Iterator[tuple[Side, Side]]:
    here, there = (adjusted.a, adjusted.b) if request.param == "a to b" else (adjusted.b, adjusted.a)
    yield here, there
    eventually(lambda: in_step(adjusted), LIMIT, "both sides in step")


def test_files_are_made_edited_renamed_and_removed(way: tuple[Side, Side]) -> None:
    here, there = way
    name = f"from {here.repo.name}"
    here.write(name, b"one\n")
    arrives(there, name, b"one\n")
    if not here.path(name).is_symlink():
        here.write(name, b"two\n")
        arrives(there, name, b"two\n")
    data = here.path(name).read_bytes()
    here.path(name).rename(here.path(name + " moved"))
    arrives(there, name + " moved", data)
    is_gone(there, name)
    here.path(name + " moved").unlink()
    is_gone(there, name + " moved")


def test_what_a_person_commits_here_gets_to_the_other_side(adjusted: Pair) -> None:
    adjusted.a.git("mv", "first", "renamed by git")
    adjusted.a.git("commit", "-qm", "by hand")
    arrives(adjusted.b, "renamed by git", b"first is well\n")
    eventually(lambda: in_step(adjusted), LIMIT, "both sides in step")
    assert b"by hand" in adjusted.b.git("log", "--format=%s")
    adjusted.b.git("mv", "renamed by git", "first")
    adjusted.b.git("commit", "-qm", "back again")
    arrives(adjusted.a, "first", b"first is well\n")
    eventually(lambda: in_step(adjusted), LIMIT, "both sides in step")


def test_files_without_content_are_hidden_until_it_comes(pair: Pair, clean_environment: dict[str, str]) -> None:
    a, b = pair
    program = Annexd(clean_environment)
    pair.start()
    pair.assert_syncs("here")
    pair.settle()
    program(a.repo, "adjust", "--hide-missing")
    a.git("config", "remote.b.annex-pull", "false")
    a.stop()
    b.write("there", b"there\n")
    eventually(lambda: b"there" in b.git("ls-tree", "HEAD"), LIMIT, "the commit at b")
    a.git("config", "--unset", "remote.b.annex-pull")
    a.start()
    arrives(a, "there", b"there\n")
    eventually(lambda: in_step(pair), LIMIT, "both sides in step")
    program(a.repo, "wanted", ".", "exclude=there")     # else it is fetched again at once
    program(a.repo, "drop", "there")
    is_gone(a, "there")
    assert b.has("there", b"there\n")
    a.write("more", b"more\n")
    arrives(b, "more", b"more\n")
    assert b.has("there", b"there\n"), "hidden means deleted"
