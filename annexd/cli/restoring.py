"""What revert, undo and conflicts share: a commit that makes another tree of the branch, work tree included."""

from __future__ import annotations

from annexd.annex.checkout import CheckoutResult, apply_tree
from annexd.annex.commit import new_commit, tree_of
from annexd.annex.state import AnnexState
from annexd.cli.adding import commit_tracked
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Action
from annexd.cli.staging import INDEX_SECONDS
from annexd.errors import BusyError, RefMoved, UserError
from annexd.formats.paths import display
from annexd.git.objects import EMPTY_TREE, TREE, Oid
from annexd.git.tree import Changes, Trees
from annexd.threads.deadline import Deadline

TRIES = 5
SHOWN = 5


def head_commit(annex: AnnexState) -> Oid:
    """The commit that is checked out. Raises UserError when there is none yet, or no work tree."""
    if annex.layout.work_tree is None:
        raise UserError("You cannot run this command in a bare repository.")
    head = annex.refs.head().oid
    if head is None:
        raise UserError("nothing was committed yet")
    return head


def commit_first(call: Invocation) -> None:
    """Commit what was changed or staged and not committed, so that it can be got back. Raises BusyError."""
    commit_tracked(call, f"commit before {call.command}".encode())


def put_back(call: Invocation, changes: Changes, message: bytes, action: Action) -> Oid | None:
    """Commit `changes` on top of what is checked out, and write the files; None when there is nothing to change.

    Raises BusyError when files that git does not know are in the way; then nothing was changed.
    """
    annex = call.annex()
    for attempt in range(TRIES):
        try:
            return _try(call, annex, changes, message, action)
        except RefMoved:        # the daemon committed meanwhile
            if attempt == TRIES - 1:
                raise
    raise AssertionError


def _try(call: Invocation, annex: AnnexState, changes: Changes, message: bytes, action: Action) -> Oid | None:
    head = annex.refs.head()
    before = tree_of(annex.objects, head.oid)
    tree = Trees(annex.objects).update(before, changes) or annex.objects.add(TREE, b"")
    assert head.oid is not None     # callers asked for it
    if tree == (before or EMPTY_TREE):
        return None
    commit = new_commit(annex, tree, [head.oid], message)
    annex.objects.flush()
    ref = head.ref or b"HEAD"
    result = apply_tree(annex, before, tree, new_head=(ref, head.oid, commit), deadline=Deadline(INDEX_SECONDS))
    if result.blocked:
        more = f" and {len(result.blocked) - SHOWN} more" if len(result.blocked) > SHOWN else ""
        paths = ", ".join(map(display, result.blocked[:SHOWN])) + more
        raise BusyError(f"local changes are in the way: {paths}", hint="commit or move them")
    _tell(call, annex, result, action)
    return commit


def _tell(call: Invocation, annex: AnnexState, result: CheckoutResult, action: Action) -> None:
    if result.adopted:
        call.news.there(result.adopted, annex.uuid)
    if result.missing:
        count = len(result.missing)
        action.note(f"the content of {count} {'file is' if count == 1 else 'files is'} not here, and is to be got")
    action.field("missing", [str(key) for key in result.missing])
