"""Another history comes into HEAD, or nothing changes."""

from __future__ import annotations

import os

import pytest

from annexd.annex.state import AnnexState
from annexd.errors import BusyError
from annexd.formats.pointer import pointer_for
from annexd.git.history import read_commit
from annexd.git.objects import Oid
from annexd.git.refs import Head
from annexd.sync.merge import MergeKind, branch_to_sync, in_order, merge_into_head, refs_to_merge
from annexd.sync.relation import Relation, relate
from annexd.threads.deadline import Deadline
from tests.support.annexes import content, key_of
from tests.support.repositories import git
from tests.unit.sync.conftest import Two

REF = b"refs/heads/synced/other"


def bring(two: Two, commit: Oid) -> bytes:
    """Have a commit of `b` in `a`, at REF."""
    git(two.path(two.a, "."), "fetch", "-q", os.fsdecode(two.b.repo.top), f"+{commit.hex()}:{REF.decode()}")
    return REF


def share(two: Two) -> Oid:
    """A first commit that both have checked out."""
    base = two.commit(two.b, common=b"base\n")
    merge_into_head(two.a, bring(two, base), Deadline(5))
    return base


def merge(annex: AnnexState) -> MergeKind:
    return merge_into_head(annex, REF, Deadline(5)).kind


def test_an_unborn_branch_adopts_the_history(two: Two) -> None:
    commit = two.commit(two.b, f=b"theirs")
    report = merge_into_head(two.a, bring(two, commit), Deadline(5))
    assert report.kind is MergeKind.ADOPTED and report.new == commit
    assert two.path(two.a, "f").read_bytes() == b"theirs"
    assert git(two.path(two.a, "."), "status", "--porcelain") == b""


def test_a_descendant_is_a_fast_forward(two: Two) -> None:
    share(two)
    commit = two.commit(two.b, f=b"more")
    bring(two, commit)
    assert merge(two.a) is MergeKind.FAST_FORWARD
    assert two.a.refs.head().oid == commit


def test_what_is_contained_is_up_to_date(two: Two) -> None:
    share(two)
    two.commit(two.a, own=b"own")
    assert merge(two.a) is MergeKind.UP_TO_DATE


def test_different_files_are_merged(two: Two) -> None:
    share(two)
    ours = two.commit(two.a, ours=b"ours")
    theirs = two.commit(two.b, theirs=b"theirs")
    bring(two, theirs)
    report = merge_into_head(two.a, REF, Deadline(5))
    assert report.kind is MergeKind.MERGED and report.new is not None
    commit = read_commit(two.a.objects, report.new)
    assert commit is not None and set(commit.parents) == {ours, theirs}
    assert two.path(two.a, "theirs").read_bytes() == b"theirs"


def test_two_repositories_make_the_same_merge(two: Two) -> None:
    share(two)
    ours, theirs = two.commit(two.a, ours=b"ours"), two.commit(two.b, theirs=b"theirs")
    bring(two, theirs)
    git(two.path(two.b, "."), "fetch", "-q", os.fsdecode(two.a.repo.top), f"+{ours.hex()}:{REF.decode()}")
    merged = [merge_into_head(annex, REF, Deadline(5)).new for annex in (two.a, two.b)]
    assert merged[0] == merged[1] is not None
    assert in_order(two.a, ours, theirs) == in_order(two.a, theirs, ours)


def test_a_conflict_that_is_not_to_be_resolved_changes_nothing(two: Two) -> None:
    share(two)
    ours = two.commit(two.a, common=b"ours\n")
    bring(two, two.commit(two.b, common=b"theirs\n"))
    report = merge_into_head(two.a, REF, Deadline(5), resolves=False)
    assert report.kind is MergeKind.CONFLICT and report.paths == (b"common",)
    assert two.a.refs.head().oid == ours
    assert two.path(two.a, "common").read_bytes() == b"ours\n"
    assert not two.path(two.a, ".git/MERGE_HEAD").exists()


def test_a_local_change_in_the_way_blocks_and_stays(two: Two) -> None:
    share(two)
    bring(two, two.commit(two.b, common=b"theirs\n"))
    two.path(two.a, "common").write_bytes(b"not committed yet\n")
    report = merge_into_head(two.a, REF, Deadline(5))
    assert report.kind is MergeKind.BLOCKED and report.paths == (b"common",)
    assert two.path(two.a, "common").read_bytes() == b"not committed yet\n"


def test_a_merge_of_a_person_is_not_interfered_with(two: Two) -> None:
    base = share(two)
    bring(two, two.commit(two.b, f=b"more"))
    two.path(two.a, ".git/MERGE_HEAD").write_text(base.hex() + "\n")
    with pytest.raises(BusyError):
        merge(two.a)


def test_a_history_of_its_own_is_merged_too(two: Two) -> None:
    two.commit(two.a, ours=b"ours")
    bring(two, two.commit(two.b, theirs=b"theirs"))
    assert merge(two.a) is MergeKind.MERGED


@pytest.mark.parametrize(("head", "branch"), [
    (Head(b"refs/heads/main", None), b"main"),
    (Head(b"refs/heads/topic/x", None), b"topic/x"),
    (Head(b"refs/heads/adjusted/main(unlocked)", None), b"main"),
    (Head(b"refs/heads/adjusted/main(enlightened)", None), None),
    (Head(b"refs/heads/git-annex", None), None),
    (Head(None, Oid(bytes(20))), None),
])
def test_an_ordinary_branch_is_synced_for_an_adjusted_one_its_original(head: Head, branch: bytes | None) -> None:
    assert branch_to_sync(head) == branch


def test_the_refs_to_merge_are_those_of_git_annex_sync() -> None:
    assert refs_to_merge(b"main", ["origin"]) == (
        b"refs/heads/main",
        b"refs/heads/synced/main",
        b"refs/remotes/origin/main",
        b"refs/remotes/origin/synced/main",
    )


def test_relations_of_near_and_far_commits(two: Two) -> None:
    first = two.commit(two.a, f=b"0")
    last = first
    for number in range(40):
        last = two.commit(two.a, f=b"%d" % (number + 1))
    assert relate(two.a.objects, last, first) is Relation.CONTAINED
    assert relate(two.a.objects, first, last) is Relation.AHEAD
    assert relate(two.a.objects, last, last) is Relation.CONTAINED
    other = two.commit(two.b, g=b"apart")
    bring(two, other)
    assert relate(two.a.objects, last, other) is Relation.DIVERGED


def test_the_merges_of_two_persons_are_joined_in_one_round(two: Two) -> None:
    share(two)
    two.commit(two.a, common=b"ours\n")
    two.commit(two.b, common=b"theirs\n")
    for annex, name in ((two.a, "Alice"), (two.b, "Bob")):
        git(two.path(annex, "."), "config", "user.name", name)
        annex.reload_config()
    rounds = []
    for _ in range(2):
        for annex, other in ((two.a, two.b), (two.b, two.a)):
            oid = other.refs.head().oid
            assert oid is not None
            git(two.path(annex, "."), "fetch", "-q", os.fsdecode(other.repo.top), f"+{oid.hex()}:{REF.decode()}")
        rounds.append([merge_into_head(annex, REF, Deadline(5)).new for annex in (two.a, two.b)])
    assert rounds[0][0] != rounds[0][1]
    assert rounds[1][0] == rounds[1][1] is not None


def test_a_file_that_was_there_with_the_content_that_comes_is_known_to_be_here(two: Two) -> None:
    share(two)
    data = b"the same at both"
    key = key_of(data)
    commit = two.commit(two.b, f=pointer_for(key))
    two.path(two.a, "f").write_bytes(data)
    bring(two, commit)
    assert merge(two.a) is MergeKind.FAST_FORWARD
    assert content(two.a, key) == data
    assert two.a.uuid in two.a.locations.locations(key)
