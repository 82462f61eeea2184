"""Two histories meet: what combines is combined, what does not is left alone and told."""

from __future__ import annotations

import os

import pytest

from tests.support import annexd as programs
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side
from tests.support.repositories import git


@pytest.fixture
def running(pair: Pair) -> Pair:
    """Both sides with their daemons."""
    pair.start()
    return pair


def make_common_file(pair: Pair, name: str = "common") -> None:
    pair.a.write(name, b"base\n")
    eventually(lambda: pair.b.has(name, b"base\n"), SYNC_LIMIT, "the common file")
    pair.settle()


def test_histories_that_began_apart_are_joined(pair: Pair) -> None:
    pair.a.start()
    pair.a.write("from a", b"a")
    eventually(lambda: b"from a" in pair.a.committed(), SYNC_LIMIT)
    pair.a.stop()
    pair.b.write("from b", b"b")
    pair.b.git("add", "from b")
    pair.b.git("commit", "-q", "-m", "by hand")
    pair.start()
    eventually(lambda: pair.b.has("from a", b"a") and pair.a.has("from b", b"b"), SYNC_LIMIT, "both files")
    pair.settle()


def test_a_fresh_clone_gets_its_work_tree_and_contents(pair: Pair) -> None:
    pair.a.start()
    pair.a.write("sub/file", b"for the clone")
    eventually(lambda: b"sub/file" in pair.a.committed(), SYNC_LIMIT)
    clone = Side(pair.a.repo.parent / "clone", pair.a.env)
    git(pair.a.repo.parent, "clone", "-q", str(pair.a.repo), "clone")
    try:
        clone.start()
        eventually(lambda: clone.has("sub/file", b"for the clone"), SYNC_LIMIT, "the content in the clone")
        clone.write("back", b"from the clone")
        eventually(lambda: clone.git("ls-tree", "HEAD", "back"), SYNC_LIMIT, "the clone's commit")
        eventually(lambda: pair.a.has("back", b"from the clone"), SYNC_LIMIT, "the way back")
    finally:
        clone.close()


def test_changes_of_different_files_at_both_sides_are_merged(running: Pair) -> None:
    make_common_file(running)
    running.stop()
    running.a.write("only a", b"a")
    running.b.write("only b", b"b")
    running.start()
    eventually(lambda: running.b.has("only a", b"a") and running.a.has("only b", b"b"), SYNC_LIMIT)
    running.settle()


def collide(pair: Pair) -> None:
    """Both sides change the common file while they cannot know of each other, and then can."""
    make_common_file(pair)
    pair.stop()
    for side, text in ((pair.a, b"a's version\n"), (pair.b, b"b's version\n")):
        side.write("common", text)
    pair.start()


def versions(side: Side) -> set[bytes]:
    return {path.read_bytes() for path in side.repo.glob("common.variant-*")}


def test_of_a_file_changed_at_both_sides_both_versions_are_kept_and_told_of(running: Pair) -> None:
    collide(running)
    both = {b"a's version\n", b"b's version\n"}
    eventually(lambda: all(versions(side) == both for side in running), SYNC_LIMIT, "both versions at both sides")
    running.settle()
    told = "conflicts: changed in two places at once, all versions are kept: common (now common.variant-"
    eventually(lambda: any(told in side.alerts() for side in running), SYNC_LIMIT, "a word about it")
    for side in running:
        assert not side.path("common").exists() and not side.path(".git/MERGE_HEAD").exists()
        assert side.git("ls-files", "-u") == side.git("status", "--porcelain") == b""
    (mine,) = (path for path in running.a.repo.glob("common.variant-*") if path.read_bytes() == b"a's version\n")
    mine.rename(running.a.path("common"))
    eventually(lambda: not any("conflicts:" in side.alerts() for side in running), SYNC_LIMIT, "the alert's end")
    running.settle()


def collide_unresolved(pair: Pair) -> None:
    for side in pair:
        side.git("config", "annex.resolvemerge", "false")
    collide(pair)


def test_a_conflict_that_is_not_to_be_resolved_changes_nothing_and_is_told(running: Pair) -> None:
    collide_unresolved(running)
    for side in running:
        side.wait_for_alert("merge", "common")
        assert not os.path.exists(side.repo / ".git/MERGE_HEAD")
        assert side.git("ls-files", "-u") == b""
    assert running.a.has("common", b"a's version\n")
    assert running.b.has("common", b"b's version\n")


def test_a_conflict_is_over_when_one_side_gives_way(running: Pair) -> None:
    collide_unresolved(running)
    for side in running:
        side.wait_for_alert("merge", "common")
    branch = b"refs/heads/synced/" + running.a.git("symbolic-ref", "--short", "HEAD").strip()
    running.a.git("-c", "core.hooksPath=/dev/null", "merge", "-q", "-s", "ours", "-m", "mine", branch)
    eventually(lambda: running.b.has("common", b"a's version\n"), SYNC_LIMIT, "a's decision at b")
    eventually(lambda: not any("merge" in side.alerts() for side in running), SYNC_LIMIT, "the alerts' end")
    running.settle()


def test_a_file_open_for_writing_is_left_to_its_writer(running: Pair) -> None:
    """What arrives for it meanwhile waits, and both versions are kept in the end."""
    make_common_file(running)
    before = running.b.git("rev-parse", "HEAD")
    with open(running.a.path("common"), "r+b") as file:
        running.b.write("common", b"b's version\n")
        arrived = "refs/heads/synced/" + running.a.git("symbolic-ref", "--short", "HEAD").decode().strip()
        eventually(lambda: running.b.git("rev-parse", "HEAD") != before, SYNC_LIMIT, "b's commit")
        tip = running.b.git("rev-parse", "HEAD")
        eventually(lambda: running.a.git("for-each-ref", "--format=%(objectname)", arrived) == tip, SYNC_LIMIT, "news")
        file.write(b"a's own")
        assert b"b's version" not in running.a.path("common").read_bytes()
    both = {b"a's own", b"b's version\n"}
    eventually(lambda: all(versions(side) == both for side in running), SYNC_LIMIT, "both versions at both sides")
    assert "was not merged" not in running.a.alerts()
    running.settle()


def test_a_fresh_write_is_not_taken_back_by_an_older_version(running: Pair) -> None:
    """Both sides write in turn, at once when they see the other's version: no write may be lost on the way."""
    make_common_file(running)
    sides = (running.a, running.b)
    last = b"base\n"
    for number in range(8):
        here, there = sides[number % 2], sides[1 - number % 2]
        fresh = b"v%03d\n" % number
        here.write("common", fresh)
        eventually(lambda there=there, fresh=fresh: there.has("common", fresh), SYNC_LIMIT, f"{fresh!r}")  # type: ignore[misc]
        assert here.has("common", fresh)
        last = fresh
    running.settle()
    assert all(side.has("common", last) for side in running)


def test_a_commit_by_hand_is_pushed_with_its_content(pair: Pair) -> None:
    pair.a.git("config", "annex.autocommit", "false")
    pair.start()
    pair.a.write("by hand", b"committed by a person")
    annexd = programs.Annexd(pair.a.env)
    annexd(pair.a.repo, "add", "by hand")
    pair.a.git("commit", "-q", "-m", "by hand")
    eventually(lambda: pair.b.has("by hand", b"committed by a person"), SYNC_LIMIT)


def test_many_files_at_once_arrive_whole(running: Pair) -> None:
    wanted = {f"burst/{n // 50}/{n}": os.urandom(100 + n) for n in range(300)}
    for name, data in wanted.items():
        running.a.write(name, data)
    for name, data in wanted.items():
        eventually(lambda name=name, data=data: running.b.has(name, data), SYNC_LIMIT, name)  # type: ignore[misc]
    running.settle()


def test_a_large_file_that_is_being_written_is_added_once(running: Pair) -> None:
    pieces = [os.urandom(1 << 20) for _ in range(4)]
    with open(running.a.path("slow"), "wb", buffering=0) as file:
        for number, piece in enumerate(pieces):
            file.write(piece)
            running.assert_syncs(f"meanwhile {number}")
            assert b"slow" not in running.a.committed()
    eventually(lambda: running.b.has("slow", b"".join(pieces)), SYNC_LIMIT, "the whole file")
    assert len(running.a.git("log", "--format=%H", "--", "slow").split()) == 1


def test_a_renamed_file_is_not_hashed_again(running: Pair) -> None:
    running.a.write("before", os.urandom(1 << 20))
    eventually(lambda: b"before" in running.a.committed(), SYNC_LIMIT)
    blob = running.a.git("rev-parse", "HEAD:before")
    running.settle()
    eventually(lambda: _is_settled(running.a, "before"), SYNC_LIMIT, "an index that trusts the file's time")
    running.a.path("before").rename(running.a.path("after.other"))
    eventually(lambda: b"after.other" in running.a.committed(), SYNC_LIMIT)
    # Hashed again, the key would have got the new extension.
    assert running.a.git("rev-parse", "HEAD:after.other") == blob
    assert b"before" not in running.a.committed()


def _is_settled(side: Side, path: str) -> bool:
    return (side.repo / ".git/index").stat().st_mtime > side.path(path).stat().st_mtime + 0.05
