"""Brings another history into the checked-out branch, work tree included, or changes nothing at all."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from annexd.annex.adjusted import Propagated, hidden_keys, move_to, original_ref, propagate
from annexd.annex.checkout import apply_tree
from annexd.annex.differences import REMEDY
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_when_unfinished
from annexd.errors import DifferencesRefused, RepositoryError
from annexd.formats.adjustment import adjusted_branch
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.git.commit import Identity, Signature, build_commit
from annexd.git.history import merge_trees, read_commit
from annexd.git.objects import COMMIT, Oid
from annexd.git.refs import Head
from annexd.sync.relation import Relation, relate
from annexd.sync.resolve import Resolved
from annexd.sync.resolving import ResolvedTree, resolved_tree
from annexd.threads.deadline import Deadline

HEADS = b"refs/heads/"
REMOTES = b"refs/remotes/"
SYNCED = b"synced/"
ADJUSTED = b"adjusted/"
RESOLVED_MESSAGE = b"git-annex automatic merge conflict fix\n"


class MergeKind(enum.Enum):
    """How a merge ended."""

    UP_TO_DATE = "nothing new"
    FAST_FORWARD = "fast-forward"
    MERGED = "merged"
    ADOPTED = "first history adopted"
    CONFLICT = "conflict; nothing was changed"
    BLOCKED = "local changes are in the way; nothing was changed"


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What became of merging `ref`. `paths` are in conflict or in the way, `missing` are keys without content here,
    `resolved` says which paths were in conflict, and where their versions are now, `collided` which paths are the same
    file as another one on this file system.
    """

    kind: MergeKind
    ref: bytes
    old: Oid | None = None
    new: Oid | None = None
    paths: tuple[bytes, ...] = ()
    missing: tuple[Key, ...] = ()
    written: int = 0
    resolved: tuple[Resolved, ...] = ()
    collided: tuple[bytes, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether HEAD is at another commit now."""
        return self.kind in (MergeKind.FAST_FORWARD, MergeKind.MERGED, MergeKind.ADOPTED)


def branch_to_sync(head: Head) -> bytes | None:
    """The name of the branch whose history is exchanged: on an adjusted branch the original one. None when HEAD is
    detached, or on an adjusted branch of a kind that is not known.
    """
    ref = original_ref(head)
    if ref is None or not ref.startswith(HEADS):
        return None
    branch = ref[len(HEADS) :]
    return None if branch.startswith(ADJUSTED) or branch == b"git-annex" else branch


def local_synced(branch: bytes) -> bytes:
    """The ref that others push our branch to, when it is checked out here."""
    return HEADS + SYNCED + branch


def remote_refs(remote: str, branch: bytes) -> tuple[bytes, bytes]:
    """The refs that hold what is known of the branch at a remote."""
    start = REMOTES + os.fsencode(remote) + b"/"
    return start + branch, start + SYNCED + branch


def refs_to_merge(branch: bytes, remotes: Iterable[str]) -> tuple[bytes, ...]:
    """All refs whose history belongs into `branch`. Source: git-annex, order of one sync.

    The branch itself is among them: when an adjusted one is checked out instead, others may push to it.
    """
    return (HEADS + branch, local_synced(branch), *(ref for remote in remotes for ref in remote_refs(remote, branch)))


def merge_into_head(
    annex: AnnexState, ref: bytes, deadline: Deadline, *, resolves: bool | None = None
) -> MergeReport:
    """Merge what `ref` points to. The caller holds the turn; blocks for as long as writing files takes.

    Conflicts are resolved if `resolves`, or annex.resolvemerge where that is None. Nothing is changed on one that is
    not, or when local changes are in the way. Raises BusyError while a person merges or holds the index, RefMoved when
    HEAD moved meanwhile. On an adjusted branch the original one is merged with, and the adjusted one follows.
    """
    refuse_apart(annex, ref)
    theirs = annex.refs.read(ref)
    stands = None if theirs is None else propagate(annex, deadline)
    head = annex.refs.head()
    original = original_ref(head)
    if theirs is None or head.ref is None or original is None:
        return MergeReport(MergeKind.UP_TO_DATE, ref)
    ours = head.oid if stands is None else stands.original
    if ours is None:
        refuse_when_unfinished(annex)
        return _move(annex, MergeReport(MergeKind.ADOPTED, ref, None, theirs), head.ref, deadline)
    relation = relate(annex.objects, ours, theirs)
    if relation is Relation.CONTAINED:
        return MergeReport(MergeKind.UP_TO_DATE, ref, ours, ours)
    refuse_when_unfinished(annex)
    if relation is Relation.AHEAD:
        return _move(annex, MergeReport(MergeKind.FAST_FORWARD, ref, ours, theirs), head.ref, deadline, stands)
    resolves = annex.config.resolve_merge if resolves is None else resolves
    merged = merge_commits(annex, original, ours, theirs, resolves=resolves)
    if merged.new is None:
        return MergeReport(MergeKind.CONFLICT, ref, ours, ours, merged.paths)
    report = MergeReport(MergeKind.MERGED, ref, ours, merged.new, resolved=merged.resolved)
    return _move(annex, report, head.ref, deadline, stands)


class Merged(NamedTuple):
    """A merge's commit, or the paths that are in conflict."""

    new: Oid | None
    paths: tuple[bytes, ...] = ()
    resolved: tuple[Resolved, ...] = ()


def merge_commits(annex: AnnexState, head: bytes, ours: Oid, theirs: Oid, *, resolves: bool) -> Merged:
    """The merge of two commits, in the object store alone. It is the same commit whichever of them is ours."""
    first, second = in_order(annex, ours, theirs)
    outcome = merge_trees(annex.repo, first, second, allow_unrelated=True)
    message, found = b"Merge branch '%b'\n" % head.removeprefix(HEADS), ResolvedTree(outcome.tree, ())
    if outcome.conflicts:
        solution = resolved_tree(annex, outcome, first, second) if resolves else None
        if solution is None:
            return Merged(None, tuple(dict.fromkeys(conflict.path for conflict in outcome.conflicts)))
        message, found = RESOLVED_MESSAGE, solution
    commit = annex.objects.add(COMMIT, _merge_commit(annex, found.tree, first, second, message))
    annex.objects.flush()
    return Merged(commit, resolved=found.resolved)


def refuse_apart(annex: AnnexState, ref: bytes) -> None:
    """Raise DifferencesRefused when the git-annex branch beside `ref` is of an annex tuned otherwise than ours."""
    for place in _places(ref):
        if reason := annex.branch.why_apart(place):
            text = f"{display(ref)} is not merged: {reason}"
            if place == HEADS:
                pushed = f"synced/git-annex {display(ref.removeprefix(HEADS))}"
                raise DifferencesRefused(text, hint=f"remove what was pushed here: git branch -D {pushed}")
            raise DifferencesRefused(text, hint=REMEDY)


def _places(ref: bytes) -> Iterator[bytes]:
    """Where `ref` may have come to together with a git-annex branch; names of remotes can have slashes."""
    if ref.startswith(HEADS + SYNCED):
        yield HEADS
    elif ref.startswith(REMOTES):
        at = ref.find(b"/", len(REMOTES))
        while at > 0:
            yield ref[: at + 1]
            at = ref.find(b"/", at + 1)


def in_order(annex: AnnexState, a: Oid, b: Oid) -> tuple[Oid, Oid]:
    """The two commits in an order that does not depend on who asks: the older first."""
    ordered = sorted((a, b), key=lambda oid: (_committed(annex, oid).time, oid))
    return ordered[0], ordered[1]


def _merge_commit(annex: AnnexState, tree: Oid, first: Oid, second: Oid, message: bytes) -> bytes:
    """Made of nothing but its parents and our identity, so that two repositories of one person that merge each
    other's history at the same moment make the same commit. Else each would next have to merge the other's merge,
    and so on for as long as they stay in step. Two persons' equal merges are joined in the name of the newer's maker.
    """
    who, when, zone = _committed(annex, second)
    is_said_already = tree_of(annex, first) == tree_of(annex, second)
    identity = Identity(who, who) if is_said_already else annex.identity
    author, committer = Signature(identity.author, when, zone), Signature(identity.committer, when, zone)
    return build_commit(tree, (first, second), author, committer, message)


def _committed(annex: AnnexState, oid: Oid) -> Signature:
    commit = read_commit(annex.objects, oid)
    if commit is None:
        raise RepositoryError(f"commit {oid.hex()} is missing", hint="run git fsck")
    return commit.committer


def _move(
    annex: AnnexState, report: MergeReport, head: bytes, deadline: Deadline, stands: Propagated | None = None
) -> MergeReport:
    """Go where the report says that we are now; on an adjusted branch, which `stands` there, by way of the original."""
    old, new = report.old, report.new
    assert new is not None
    branch = adjusted_branch(head)
    if stands is not None and branch is not None:
        result, commit = move_to(annex, branch, stands, new, deadline)
        if result.blocked:
            at = stands.adjusted
            return MergeReport(MergeKind.BLOCKED, report.ref, at, at, tuple(result.blocked))
        missing = (*result.missing, *hidden_keys(annex, branch, stands.original, new))
        report = replace(report, old=stands.adjusted, new=commit, missing=missing)
        return replace(report, written=result.written, collided=tuple(result.collided))
    old_tree = None if old is None else tree_of(annex, old)
    result = apply_tree(annex, old_tree, tree_of(annex, new), new_head=(head, old, new), deadline=deadline)
    if result.blocked:
        return MergeReport(MergeKind.BLOCKED, report.ref, old, old, tuple(result.blocked))
    if result.adopted:      # files that were lying there with just this content: so it is here now
        annex.locations.record_many([(key, annex.uuid, Presence.PRESENT) for key in result.adopted])
    collided = tuple(result.collided)
    return replace(report, missing=tuple(result.missing), written=result.written, collided=collided)


def tree_of(annex: AnnexState, commit: Oid) -> Oid:
    """The tree of a commit. Raises RepositoryError when the commit is not here."""
    found = read_commit(annex.objects, commit)
    if found is None:
        raise RepositoryError(f"commit {commit.hex()} is missing", hint="run git fsck")
    return found.tree
