"""The adjusted branch that is checked out: entering it, taking its commits back to the original branch, moving it on.

An adjusted branch is one commit on top of the original branch. Commits made on it are made again on the original
branch, with the changes adjusted back; then it is one commit on top of the original branch again.
Source: git-annex, adjusted branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annexd.annex.adjusted_trees import Adjuster, adjusted_tree, reversed_tree
from annexd.annex.checkout import CheckoutResult, apply_tree
from annexd.annex.commit import tree_of
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_when_unfinished
from annexd.errors import BusyError, RefMoved, RepositoryError
from annexd.formats.adjustment import AdjustedBranch, Hide, adjusted_branch
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.git.commit import Commit, build_commit
from annexd.git.history import is_ancestor, merge_base, read_commit
from annexd.git.index_lock import IndexLock
from annexd.git.objects import COMMIT, Oid
from annexd.git.refs import Head, RefUpdate
from annexd.git.tree import Trees
from annexd.threads.deadline import Deadline

MESSAGE = b"git-annex adjusted branch"
REFLOG_REBASE = b"rebasing adjusted branch on top of updated original branch"


@dataclass(frozen=True, slots=True)
class Propagated:
    """How the branches stand: the original commit, and the commit of the adjusted branch on top of it.

    `made` are the commits that are new on the original branch. `is_stale` says that the adjusted tree may lack
    something of the original one.
    """

    original: Oid
    adjusted: Oid
    made: tuple[Oid, ...] = ()
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class _Chain:
    """The commits made on an adjusted branch, oldest first, and the original commit that it was made from."""

    commits: tuple[tuple[Oid, Commit], ...]
    start: Oid | None


def propagate(annex: AnnexState, deadline: Deadline) -> Propagated | None:
    """Take what was committed on the adjusted branch to the original one; None when no adjusted branch is checked out.

    Index and work tree stay as they are. Another history that came into the original branch meanwhile stays there, to
    be merged. Raises IndexLocked, BusyError (a person's rebase or merge is under way), RefMoved, RepositoryError.
    """
    branch = adjusted_branch(annex.refs.head().ref)
    if branch is None:
        return None
    done = _standing(annex, branch, annex.refs.head())
    if done is not None:
        return done
    refuse_when_unfinished(annex)
    with IndexLock.acquire(annex.repo, deadline):
        head = annex.refs.head()
        if head.ref != branch.ref or head.oid is None:
            raise RefMoved("another branch was checked out meanwhile")
        return _propagate(annex, branch, head.oid)


def move_to(
    annex: AnnexState,
    branch: AdjustedBranch,
    propagated: Propagated,
    original: Oid,
    deadline: Deadline,
) -> tuple[CheckoutResult, Oid]:
    """Have the original branch at `original`, and the adjusted one, which is checked out, on top of it.

    Also the commit of the adjusted branch. With `blocked` files in the result nothing has changed.
    Raises what `apply_tree` does.
    """
    old_tree = tree_of(annex.objects, propagated.adjusted)
    tree = adjusted_tree(annex, branch.adjustment, _tree(annex, original))
    commit = adjusting_commit(annex, tree, original)
    updates = _original_updates(annex, branch, original)
    annex.objects.flush()
    if commit == propagated.adjusted and not updates:
        return CheckoutResult(), commit
    new_head = (branch.ref, propagated.adjusted, commit)
    result = apply_tree(annex, old_tree, tree, new_head=new_head, deadline=deadline, also=updates)
    return result, commit


def adjusting_commit(annex: AnnexState, tree: Oid, original: Oid) -> Oid:
    """The commit that has the adjusted tree: the same wherever and whenever it is made. To be flushed."""
    basis = _commit(annex, original)
    data = build_commit(tree, [original], basis.author, basis.committer, MESSAGE)
    return annex.objects.add(COMMIT, data.removesuffix(b"\n"))      # git-annex's has no newline at the end


def original_ref(head: Head) -> bytes | None:
    """The full name of the branch whose history is exchanged with others, for the HEAD given."""
    branch = adjusted_branch(head.ref)
    return head.ref if branch is None else branch.original


def unlocks_new_files(head: Head) -> bool:
    """Whether files that are added on the branch given have to be unlocked. Source: git-annex, adding files there."""
    branch = adjusted_branch(head.ref)
    return branch is not None and branch.adjustment.unlocks


def tree_with_hidden_files(annex: AnnexState) -> Oid | None:
    """The tree that has all files: HEAD's, or that of the original branch where the adjusted one hides some."""
    head = annex.refs.head()
    branch = adjusted_branch(head.ref)
    basis = None
    if branch is not None and branch.adjustment.hide is not Hide.NOTHING:
        basis = annex.refs.read(branch.basis)
    return tree_of(annex.objects, basis or head.oid)


def hidden_keys(annex: AnnexState, branch: AdjustedBranch, old: Oid, new: Oid) -> list[Key]:
    """Keys that the original branch got between two of its commits, and the adjusted one hides for want of content."""
    if branch.adjustment.hide is Hide.NOTHING:
        return []
    changes = Trees(annex.objects).diff(_tree(annex, old), _tree(annex, new))
    files = [(change.path, change.new) for change in changes if change.new is not None]
    keys = set(Adjuster(annex, branch.adjustment).keys(files).values())
    return [key for key in keys if not annex.store.is_present(key)]


def _standing(annex: AnnexState, branch: AdjustedBranch, head: Head) -> Propagated | None:
    """How the branches stand, if there is nothing to be done."""
    basis, original = annex.refs.read(branch.basis), annex.refs.read(branch.original)
    if basis is None or head.oid is None or original is None:
        return None
    if original != basis and is_ancestor(annex.objects, original, basis):
        return None
    commit = _commit(annex, head.oid)
    if _is_adjusting(commit) and commit.parents == (basis,):
        return Propagated(basis, head.oid)
    return None


def _propagate(annex: AnnexState, branch: AdjustedBranch, head: Oid) -> Propagated:
    basis = annex.refs.read(branch.basis)
    chain = _chain(annex, head, basis)
    known = basis or chain.start
    if known is None:
        raise BusyError(        # it is just being entered, or somebody made it by hand
            f"it is not known what {display(branch.ref)} was made from",
            hint=f"check out {display(branch.original)}",
        )
    is_stale = chain.start != known
    if basis is not None and chain.start is not None and is_stale and is_ancestor(annex.objects, basis, chain.start):
        known, is_stale = chain.start, False    # whoever moved the branch on did not get to move this ref
    made = []
    for _, commit in chain.commits:
        known = _reversed_commit(annex, branch, known, commit)
        made.append(known)
    adjusted = adjusting_commit(annex, _tree(annex, head), known)
    updates = [*_original_updates(annex, branch, known, seen_basis=basis)]
    if adjusted != head:
        updates.append(RefUpdate(branch.ref, adjusted, head))
    annex.objects.flush()
    if updates:
        annex.refs.update_many(updates, REFLOG_REBASE)
    return Propagated(known, adjusted, tuple(made), is_stale)


def _original_updates(
    annex: AnnexState, branch: AdjustedBranch, new: Oid, *, seen_basis: Oid | None = None
) -> Sequence[RefUpdate]:
    """Both refs of the original history moved to `new`. What others put into the original branch is not overwritten."""
    updates = []
    basis = seen_basis if seen_basis is not None else annex.refs.read(branch.basis)
    if basis != new:
        updates.append(RefUpdate(branch.basis, new, basis))
    original = annex.refs.read(branch.original)
    if original != new and (original is None or is_ancestor(annex.objects, original, new)):
        updates.append(RefUpdate(branch.original, new, original))
    return updates


def _chain(annex: AnnexState, head: Oid, basis: Oid | None) -> _Chain:
    """What was committed since the branch was adjusted.

    A branch that was reset to before that has no commit that adjusts it; what was committed since it left the
    original history is then meant.
    """
    found: list[tuple[Oid, Commit]] = []
    oid: Oid | None = head
    while oid is not None and oid != basis:
        commit = read_commit(annex.objects, oid)
        if commit is None:
            break
        if _is_adjusting(commit):
            start = commit.parents[0] if commit.parents else None
            return _Chain(tuple(reversed(found)), start)
        found.append((oid, commit))
        oid = commit.parents[0] if commit.parents else None
    if oid is not None and oid == basis:
        return _Chain(tuple(reversed(found)), basis)
    fork = None if basis is None else merge_base(annex.objects, head, basis)
    oids = [oid for oid, _ in found]
    own = found[: oids.index(fork)] if fork in oids else []
    return _Chain(tuple(reversed(own)), fork)


def _reversed_commit(annex: AnnexState, branch: AdjustedBranch, parent: Oid, commit: Commit) -> Oid:
    """The commit as it would have been made on the original branch, on top of `parent`."""
    before = _tree(annex, commit.parents[0]) if commit.parents else None
    changes = list(Trees(annex.objects).diff(before, commit.tree))
    tree = reversed_tree(annex, branch.adjustment, _tree(annex, parent), changes)
    merged = [other for other in commit.parents[1:] if _is_original_history(annex, other)]
    data = build_commit(tree, [parent, *merged], commit.author, commit.committer, commit.message)
    return annex.objects.add(COMMIT, data)


def _is_original_history(annex: AnnexState, commit: Oid) -> bool:
    """Whether no adjusted branch is part of the history of a commit that a person merged."""
    found = annex.repo.run(b"rev-list", b"-n1", b"--fixed-strings", b"--grep=" + MESSAGE, commit.hex().encode())
    return not found.strip()


def _is_adjusting(commit: Commit) -> bool:
    return commit.message.rstrip(b"\n") == MESSAGE


def _tree(annex: AnnexState, commit: Oid) -> Oid:
    return _commit(annex, commit).tree


def _commit(annex: AnnexState, oid: Oid) -> Commit:
    found = read_commit(annex.objects, oid)
    if found is None:
        raise RepositoryError(f"commit {oid.hex()} is missing", hint="run git fsck")
    return found


