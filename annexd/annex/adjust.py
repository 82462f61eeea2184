"""Entering an adjusted branch, and bringing the one that is checked out up to date.

Source: git-annex, `git annex adjust`.
"""

from __future__ import annotations

from annexd.annex import adjust_log
from annexd.annex.adjusted import Propagated, adjusting_commit, move_to, original_ref, propagate
from annexd.annex.adjusted_trees import adjusted_tree
from annexd.annex.checkout import CheckoutResult, apply_tree
from annexd.annex.commit import tree_of
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_when_unfinished
from annexd.errors import RepositoryError, UserError
from annexd.formats.adjustment import AdjustedBranch, Adjustment, Links, adjusted_branch, adjusted_from
from annexd.formats.paths import display
from annexd.git.objects import Oid
from annexd.git.refs import Expect, RefUpdate
from annexd.threads.deadline import Deadline

HEADS = b"refs/heads/"
FIRST_COMMIT = b"commit before entering adjusted branch"
INDEX_WAIT = 10.0       # seconds
REFLOG_ENTER = b"entering adjusted branch"


class BranchExists(UserError):
    """There is an adjusted branch of that name, which may hold commits that are nowhere else."""


def enter(
    annex: AnnexState, adjustment: Adjustment, deadline: Deadline, *, overwrite: bool = False
) -> CheckoutResult:
    """Check out the branch that is checked out in this adjustment; one that is adjusted so is brought up to date.

    Files that are in the way come back as `blocked`, and nothing has changed then. Raises BranchExists unless it may
    `overwrite` the branch, UserError when there is nothing to adjust, and what `apply_tree` does.
    """
    head = annex.refs.head()
    original = original_ref(head)
    if original is None or not original.startswith(HEADS):
        raise UserError("not on any branch!")
    if head.oid is None:
        raise UserError("there are no commits yet", hint="commit something first")
    branch = adjusted_from(original, adjustment)
    if branch.ref == head.ref:
        stands = propagate(annex, deadline)
        return CheckoutResult() if stands is None else adjust_again(annex, branch, stands, deadline)
    if annex.refs.read(branch.ref) is not None and not overwrite:
        name, base = (display(ref.removeprefix(HEADS)) for ref in (branch.ref, original))
        raise BranchExists(
            f"adjusted branch {name} already exists.\n"
            f"Aborting because that branch may have changes that have not yet reached {base}\n"
            "You can check out the adjusted branch manually to enter it, "
            "or add the --force option to overwrite the old branch."
        )
    propagate(annex, deadline)      # commits on the adjusted branch that we come from must not stay behind
    return _enter(annex, branch, deadline)


def settle_branch(annex: AnnexState) -> list[str]:
    """What init does about branches; what a person should know. Raises what `enter` does.

    A clone of an adjusted branch gets the refs that go with it. Where the file system has no locked files, an
    adjusted branch is entered. Source: git-annex, init on crippled file systems, and in clones of adjusted branches.
    """
    deadline = Deadline(INDEX_WAIT)
    if adjusted_branch(annex.refs.head().ref) is not None:
        propagate(annex, deadline)
        return []
    if not annex.config.crippled_file_system or annex.refs.head().ref is None:
        return []
    if annex.refs.head().oid is None:
        annex.repo.run(b"commit", b"--quiet", b"--allow-empty", b"--no-verify", b"-m", FIRST_COMMIT)
        annex.index.forget()
    told = ["Entering an adjusted branch where files are unlocked as this filesystem does not support locked files."]
    try:
        result = enter(annex, Adjustment(Links.UNLOCK), deadline)
    except BranchExists as problem:
        return [*told, f"Failed to enter adjusted branch! {problem}"]
    if result.blocked:
        told.append(f"Failed to enter adjusted branch! Local changes are in the way: {display(result.blocked[0])}")
    return told


def refresh(annex: AnnexState, deadline: Deadline) -> CheckoutResult:
    """Bring the adjusted branch that is checked out up to date with what content is here; commits on it are kept.

    Nothing is done on other branches, and where no content came or went. Raises what `propagate` and `apply_tree` do.
    """
    branch = adjusted_branch(annex.refs.head().ref)
    stands = propagate(annex, deadline)
    if branch is None or stands is None:
        return CheckoutResult()
    if not stands.is_stale and (branch.adjustment.is_stable or not adjust_log.is_due(annex.layout)):
        return CheckoutResult()
    return adjust_again(annex, branch, stands, deadline)


def adjust_again(
    annex: AnnexState, branch: AdjustedBranch, stands: Propagated, deadline: Deadline
) -> CheckoutResult:
    """Adjust the original branch anew as it `stands`, whatever the adjusted one has. Raises what `apply_tree` does."""
    result, _ = move_to(annex, branch, stands, stands.original, deadline)
    if not result.blocked:
        adjust_log.done(annex.layout)
    return result


def _enter(annex: AnnexState, branch: AdjustedBranch, deadline: Deadline) -> CheckoutResult:
    refuse_when_unfinished(annex)
    head = annex.refs.head()
    original = annex.refs.read(branch.original)
    old_tree = tree_of(annex.objects, head.oid)
    if original is None or head.oid is None or head.ref is None or old_tree is None:
        raise RepositoryError(f"{display(branch.original)} is gone")
    tree = adjusted_tree(annex, branch.adjustment, _tree(annex, original))
    commit = adjusting_commit(annex, tree, original)
    annex.objects.flush()
    before = annex.refs.read(branch.ref), annex.refs.read(branch.basis)
    annex.refs.update_many([RefUpdate(branch.ref, head.oid, before[0])], REFLOG_ENTER)
    _switch(annex, head.ref, branch.ref)
    try:
        result = apply_tree(
            annex, old_tree, tree, new_head=(branch.ref, head.oid, commit), deadline=deadline,
            also=[RefUpdate(branch.basis, original, before[1])],
        )  # fmt: skip
    except BaseException:
        _go_back(annex, head.ref, branch, before[0])
        raise
    if result.blocked:
        _go_back(annex, head.ref, branch, before[0])
    else:
        adjust_log.done(annex.layout)
    return result


def _switch(annex: AnnexState, old: bytes, new: bytes) -> None:
    """HEAD to another branch at the same commit; the words are git's own, for `git checkout -`."""
    words = b"checkout: moving from %b to %b" % (old.removeprefix(HEADS), new.removeprefix(HEADS))
    annex.repo.run(b"symbolic-ref", b"-m", words, b"HEAD", new)


def _go_back(annex: AnnexState, head: bytes, branch: AdjustedBranch, before: Oid | None) -> None:
    _switch(annex, branch.ref, head)
    if before is None:
        annex.refs.delete(branch.ref)
    else:
        annex.refs.update(branch.ref, before, Expect.ANYTHING)


def _tree(annex: AnnexState, commit: Oid) -> Oid:
    tree = tree_of(annex.objects, commit)
    assert tree is not None     # a commit has one
    return tree
