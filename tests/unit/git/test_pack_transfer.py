"""Direct delivery: the other repository is as after a push, and is left to git push where that matters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annexd.errors import RepositoryError
from annexd.git import pack_transfer
from annexd.git.object_store import GitObjects
from annexd.git.objects import Oid
from annexd.git.pack_transfer import (
    Delivery,
    DirectDelivery,
    Outcome,
    direct_delivery_possible,
    missing_objects,
    send_objects,
)
from annexd.git.refs import Expect, Refs
from annexd.git.repository import GitRepository
from tests.support.repositories import git, make_git_repo
from tests.unit.git.history import START, commit

SYNCED = b"refs/heads/synced/main"


@pytest.fixture
def objects(git_repo: Path) -> Iterator[GitObjects]:
    objects = GitObjects(GitRepository.discover(os.fsencode(git_repo)))
    yield objects
    objects.close()


@pytest.fixture
def other(tmp_path: Path) -> GitRepository:
    return GitRepository.discover(os.fsencode(make_git_repo(tmp_path / "other")))


@pytest.fixture
def way(other: GitRepository) -> Iterator[DirectDelivery]:
    way = DirectDelivery(other)
    yield way
    way.close()


def files(count: int, mark: str = "") -> dict[bytes, bytes]:
    return {b"d%d/f%d" % (n % 5, n): f"{mark}{n}".encode() for n in range(count)}


def fsck(repo: GitRepository) -> bytes:
    return repo.run(b"fsck", b"--strict", b"--full", b"--no-dangling")


def test_a_lone_change_arrives(objects: GitObjects, other: GitRepository, way: DirectDelivery) -> None:
    first = commit(objects, [], files(20))
    second = commit(objects, [first], files(20) | {b"d1/new": b"new"})
    objects.flush()
    assert way.deliver(objects, [Delivery(SYNCED, first, None)]) == {SYNCED: Outcome.DELIVERED}
    assert len(missing_objects(objects, [second], [first])) == 4  # commit, two trees, blob
    assert way.deliver(objects, [Delivery(SYNCED, second, first)]) == {SYNCED: Outcome.DELIVERED}
    assert Refs(other).read(SYNCED) == second
    assert fsck(other) == b""
    assert other.run(b"show", b"synced/main:d1/new") == b"new"
    assert way.deliver(objects, [Delivery(SYNCED, second)]) == {SYNCED: Outcome.UNCHANGED}


def test_many_changes_arrive_as_one_pack(objects: GitObjects, other: GitRepository, way: DirectDelivery) -> None:
    tip = commit(objects, [], files(500))
    objects.flush()
    way.deliver(objects, [Delivery(SYNCED, tip)])
    assert fsck(other) == b""
    assert b"packs: 1" in other.run(b"count-objects", b"-v")


def test_pending_objects_are_sent_too(objects: GitObjects, other: GitRepository, way: DirectDelivery) -> None:
    way.deliver(objects, [Delivery(SYNCED, commit(objects, [], files(3)))])
    assert fsck(other) == b""


def test_commits_that_only_the_other_has_are_kept(
    objects: GitObjects, other: GitRepository, way: DirectDelivery
) -> None:
    base = commit(objects, [], files(3))
    ours, theirs = commit(objects, [base], files(4)), commit(objects, [base], files(5))
    objects.flush()
    way.deliver(objects, [Delivery(SYNCED, theirs)])
    assert way.deliver(objects, [Delivery(SYNCED, ours)]) == {SYNCED: Outcome.NOT_FAST_FORWARD}
    assert way.deliver(objects, [Delivery(SYNCED, ours, base)]) == {SYNCED: Outcome.MOVED}
    assert Refs(other).read(SYNCED) == theirs
    assert way.deliver(objects, [Delivery(SYNCED, ours, force=True)]) == {SYNCED: Outcome.DELIVERED}
    assert Refs(other).read(SYNCED) == ours


def test_a_commit_unknown_here_is_not_overwritten(
    objects: GitObjects, other: GitRepository, way: DirectDelivery
) -> None:
    path = Path(os.fsdecode(other.top))
    git(path, "commit", "-q", "--allow-empty", "-m", "theirs")
    git(path, "branch", "synced/main")
    tip = commit(objects, [], files(3))
    assert way.deliver(objects, [Delivery(SYNCED, tip)]) == {SYNCED: Outcome.NOT_FAST_FORWARD}


def test_refs_that_cannot_go_do_not_hinder_the_others(
    objects: GitObjects, other: GitRepository, way: DirectDelivery
) -> None:
    base = commit(objects, [], files(3))
    ours, theirs = commit(objects, [base], files(4)), commit(objects, [base], files(5))
    way.deliver(objects, [Delivery(SYNCED, theirs)])
    annex = b"refs/heads/synced/git-annex"
    outcomes = way.deliver(objects, [Delivery(SYNCED, ours), Delivery(annex, ours, Expect.ANYTHING)])
    assert outcomes == {SYNCED: Outcome.NOT_FAST_FORWARD, annex: Outcome.DELIVERED}
    assert Refs(other).read(annex) == ours
    assert fsck(other) == b""


def test_very_long_histories_are_listed_by_git(
    objects: GitObjects, other: GitRepository, way: DirectDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_transfer, "_COMMIT_LIMIT", 5)
    tip = commit(objects, [], files(1))
    for n in range(20):
        tip = commit(objects, [tip], files(2, f"{n}-"), START + n)
    way.deliver(objects, [Delivery(SYNCED, tip)])
    assert fsck(other) == b""
    assert other.run(b"rev-list", b"--count", b"synced/main") == b"21\n"


def test_a_missing_object_is_an_error_before_any_ref_moves(
    objects: GitObjects, other: GitRepository, way: DirectDelivery
) -> None:
    tip = commit(objects, [], {b"f": b"content"})
    objects.flush()
    blob = git(Path(os.fsdecode(objects.repo.top)), "rev-parse", f"{tip.hex()}:f").decode().strip()
    os.unlink(os.path.join(objects.repo.objects_dir, blob[:2].encode(), blob[2:].encode()))
    objects.forget()
    with pytest.raises(RepositoryError, match="missing"):
        way.deliver(objects, [Delivery(SYNCED, tip)])
    assert Refs(other).read(SYNCED) is None


histories = st.lists(st.tuples(st.lists(st.integers(0, 20), max_size=2), st.integers(0, 5)), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories, st.integers(0, 20))
def test_any_history_arrives_whole(
    tmp_path: Path, objects: GitObjects, drawn: list[tuple[list[int], int]], known: int
) -> None:
    oids: list[Oid] = []
    for n, (parents, content) in enumerate(drawn):
        before = list(dict.fromkeys(oids[p % len(oids)] for p in parents)) if oids else []
        oids.append(commit(objects, before, files(content + 1, str(content)), START + n))
    there = GitRepository.discover(os.fsencode(make_git_repo(tmp_path / f"there{len(os.listdir(tmp_path))}")))
    old = oids[known % len(oids)]
    send_objects(objects, there, [old])
    send_objects(objects, there, oids, [old])
    refs = Refs(there)
    for n, oid in enumerate(oids):
        refs.update(b"refs/heads/b%d" % n, oid, None)
    refs.close()
    assert fsck(there) == b""


# -- when it is possible


OWN_POST_RECEIVE = (
    "#!/bin/sh\n# automatically configured by git-annex\n"
    "if git annex post-receive --help >/dev/null 2>&1; then git annex post-receive; fi\n"
)


def possible(objects: GitObjects, other: GitRepository, *refs: bytes) -> bool:
    return direct_delivery_possible(objects.repo, GitRepository.discover(other.top), refs)


def hook(other: GitRepository, name: str, text: str, mode: int = 0o755) -> None:
    path = Path(os.fsdecode(other.common_dir)) / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_a_plain_repository_takes_direct_delivery(objects: GitObjects, other: GitRepository) -> None:
    assert possible(objects, other, SYNCED, b"refs/heads/git-annex")


def test_the_checked_out_branch_is_left_to_git(objects: GitObjects, other: GitRepository, tmp_path: Path) -> None:
    assert not possible(objects, other, b"refs/heads/main")
    assert possible(objects, other, b"refs/heads/side")
    git(Path(os.fsdecode(other.top)), "commit", "-q", "--allow-empty", "-m", "x")
    git(Path(os.fsdecode(other.top)), "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert not possible(objects, other, b"refs/heads/side")
    bare = GitRepository.discover(os.fsencode(make_git_repo(tmp_path / "bare", bare=True)))
    assert possible(objects, bare, b"refs/heads/main")


@pytest.mark.parametrize(
    ("name", "text", "mode", "expected"),
    [
        ("post-receive", OWN_POST_RECEIVE, 0o755, True),
        ("post-receive", "#!/bin/sh\nannexd post-receive\n", 0o755, True),
        ("post-receive", "#!/bin/sh\nmail -s pushed me\n", 0o755, False),
        ("post-receive", OWN_POST_RECEIVE + "mail -s pushed me\n", 0o755, False),
        ("post-receive", "#!/bin/sh\ngit annex post-receive; mail me\n", 0o755, False),
        ("post-receive", "#!/bin/sh\nmail me\n", 0o644, True),
        ("post-receive.sample", "#!/bin/sh\nmail me\n", 0o755, True),
        ("update", "#!/bin/sh\nexit 1\n", 0o755, False),
        ("pre-receive", "\x7fELF", 0o755, False),
        ("pre-commit", "#!/bin/sh\nexit 1\n", 0o755, True),
    ],
)
def test_only_hooks_that_would_do_something_matter(
    objects: GitObjects, other: GitRepository, name: str, text: str, mode: int, expected: bool
) -> None:
    hook(other, name, text, mode)
    assert possible(objects, other) is expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("receive.denyCurrentBranch", "ignore", True),
        ("receive.autogc", "false", True),
        ("receive.denyNonFastForwards", "true", False),
        ("receive.fsckObjects", "true", False),
        ("transfer.hideRefs", "refs/x", False),
        ("core.hooksPath", "/nowhere", True),
    ],
)
def test_settings_that_restrict_are_honoured(
    objects: GitObjects, other: GitRepository, name: str, value: str, expected: bool
) -> None:
    git(Path(os.fsdecode(other.top)), "config", name, value)
    assert possible(objects, other) is expected


def test_hooks_elsewhere_matter_too(objects: GitObjects, other: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/update").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "hooks/update").chmod(0o755)
    git(Path(os.fsdecode(other.top)), "config", "core.hooksPath", str(tmp_path / "hooks"))
    assert not possible(objects, other)


def test_incomplete_histories_are_left_to_git(objects: GitObjects, other: GitRepository) -> None:
    (Path(os.fsdecode(other.git_dir)) / "shallow").write_text("1" * 40 + "\n")
    assert not possible(objects, other)


def test_other_formats_are_left_to_git(objects: GitObjects, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q", "--object-format=sha256")
    assert not direct_delivery_possible(objects.repo, GitRepository.discover(os.fsencode(tmp_path / "new")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_repositories_of_others_are_left_to_git(objects: GitObjects, other: GitRepository) -> None:
    os.chown(other.git_dir, 12345, 12345)
    assert not direct_delivery_possible(objects.repo, other)
