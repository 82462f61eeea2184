"""Moves work tree, HEAD and index from one tree to another, or changes nothing when a person's changes are in the way.

Unlocked annexed files get their content at once if it is here: a pointer is only written for content that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from annexd.annex import head_journal, odd_pointers
from annexd.annex.checkout_bulk import Bulk
from annexd.annex.checkout_convert import Conversions
from annexd.annex.checkout_plan import Blobs, Plan, Step, make_plan
from annexd.annex.checkout_run import CheckoutResult, Run
from annexd.annex.head_finish import catch_up
from annexd.annex.head_journal import HeadMove, MoveKind
from annexd.annex.index_access import IndexEdit
from annexd.annex.state import AnnexState
from annexd.annex.twins import returning, set_aside_twins
from annexd.annex.unfinished import refuse_when_unfinished
from annexd.annex.work_entries import GITLINK_MODE
from annexd.annex.work_files import WorkFiles
from annexd.annex.worktree import populate
from annexd.errors import BusyError, FormatError, GitError, RefMoved, RepositoryError
from annexd.formats.paths import display
from annexd.git.index import IndexEntry
from annexd.git.objects import Oid
from annexd.git.refs import RefUpdate
from annexd.git.tree import TreeChange, Trees
from annexd.system.garbage import without_collection
from annexd.threads.deadline import Deadline
from annexd.threads.faults import reach

__all__ = ["CheckoutResult", "NewHead", "apply_tree"]

REFLOG_MERGE = b"merge: annexd"

NewHead = tuple[bytes, Oid | None, Oid]
"""The ref that HEAD is, the commit it is at, and the commit it is to be at."""


def apply_tree(
    state: AnnexState,
    old: Oid | None,
    new: Oid,
    *,
    new_head: NewHead,
    deadline: Deadline,
    also: Sequence[RefUpdate] = (),
) -> CheckoutResult:
    """Bring work tree, ref and index from tree `old` to tree `new`.

    Every path that differs has to be unchanged in index and work tree, else it comes back in `blocked` and nothing was
    touched. The refs of `also` move together with HEAD's. `deadline` is for git's index lock alone. Blocks for as long
    as writing the files takes.
    Raises IndexLocked, RefMoved, BusyError, ContentChanged (somebody wrote meanwhile), UnsafePath (hostile tree),
    OSError; the work tree is then as it was. A crash is finished by `checkout_recovery`.
    """
    top = state.repo.work_tree
    if top is None:
        raise RepositoryError("a bare repository has no work tree")
    refuse_when_unfinished(state)
    ref, old_commit, new_commit = new_head
    move = HeadMove(MoveKind.CHECKOUT, ref, old_commit, new_commit, old, new)
    catch_up(state, deadline)
    with state.index.editing(deadline) as edit, without_collection():
        state.index.give_way()
        if edit.index.unmerged_paths():
            raise BusyError("files are in conflict in the index", hint="resolve the conflicts")
        _check_ref(state, move)
        changes = list(Trees(state.objects).diff(old, new))
        Bulk(state).is_worth(len(changes))      # workers start while the plan is made
        blobs = Blobs(state.objects)
        blobs.load(change.new[1] for change in changes if change.new and change.new[0] != GITLINK_MODE)
        work = WorkFiles(top, state.store)
        conversions = Conversions(state, blobs, edit.index, {change.path: change.new for change in changes})
        plan = make_plan(
            changes, edit.index, work, blobs, state.store,
            goes_on=_goes_on(state, move), is_converted=conversions.holds,
        )  # fmt: skip
        if plan.blocked:
            return CheckoutResult(blocked=plan.blocked)
        back = _coming_back(edit, blobs, changes)
        plan = plan._replace(steps=[*plan.steps, *back])
        run = Run(state, work, blobs, conversions)
        head_journal.note(state.layout, move)
        try:
            run.execute(plan)
            reach("checkout-before-ref")
            _move_ref(state, move, also)
        except BaseException:
            _back_out(run, edit, state)
            raise
        finally:
            conversions.close()
        reach("checkout-before-index")
        _write_index(edit, run, plan, back, top)
        odd_pointers.advance(state.layout, old, new, blobs.odd_pointers())
        head_journal.forget(state.layout)
    _take_late_content(state, run.result)
    return run.result


def _write_index(edit: IndexEdit, run: Run, plan: Plan, back: Sequence[Step], top: bytes) -> None:
    for step in back:
        edit.index.remove(step.path)        # so that it is set aside no more
    _update_index(edit, run, plan.steps)
    if not edit.index.fidelity.case:
        written = [step.path for step in plan.steps if step.new is not None]
        run.result.collided = set_aside_twins(top, written, edit.index)
    edit.save()


def _coming_back(edit: IndexEdit, blobs: Blobs, changes: Iterable[TreeChange]) -> list[Step]:
    """Steps that write files which had no room beside what goes now."""
    changed = {change.path for change in changes}
    steps = []
    for path in returning([change.path for change in changes if change.new is None], edit.index):
        entry = edit.index.get(path)
        if entry is not None and path not in changed:
            steps.append(Step(path, None, (entry.mode, entry.oid), None))
    blobs.load(step.new[1] for step in steps if step.new is not None)
    return steps


def _take_late_content(state: AnnexState, result: CheckoutResult) -> None:
    """Content may have come while its pointer was being written, when who brought it did not find the file yet."""
    late = {key for key in result.missing if state.store.is_present(key)}
    if late:
        result.populated += len(populate(state, late).populated)
        result.missing = [key for key in result.missing if key not in late]


def _goes_on(state: AnnexState, move: HeadMove) -> bool:
    """Whether the same checkout was begun before, and cut off."""
    try:
        return head_journal.noted(state.layout) == move
    except FormatError:
        return False


def _check_ref(state: AnnexState, move: HeadMove) -> None:
    if (state.refs.head().ref or b"HEAD") != move.ref:
        raise RefMoved(f"{display(move.ref)} is not checked out any more")
    now = state.refs.read(move.ref)
    if now not in (move.old_commit, move.new_commit):
        raise RefMoved(f"{display(move.ref)} moved meanwhile")


def _move_ref(state: AnnexState, move: HeadMove, also: Sequence[RefUpdate]) -> None:
    if state.refs.read(move.ref) == move.new_commit and not also:
        return
    try:
        state.refs.update_many([RefUpdate(move.ref, move.new_commit, move.old_commit), *also], REFLOG_MERGE)
    except (GitError, BusyError):
        if state.refs.read(move.ref) != move.new_commit:    # else only git's answer was lost
            raise


def _back_out(run: Run, edit: IndexEdit, state: AnnexState) -> None:
    """The work tree goes back to what it was, and the index learns the stat of what was written back."""
    stats = run.undo()
    for path, status in stats.items():
        entry = edit.index.get(path)
        if entry is not None:
            edit.index.set(IndexEntry.from_stat(path, entry.mode, entry.oid, status))
    if stats:
        edit.save()
    head_journal.forget(state.layout)


def _update_index(edit: IndexEdit, run: Run, steps: Iterable[Step]) -> None:
    index, stats, packed = edit.index, run.stats, run.packed
    for step in steps:
        if step.new is None:
            index.remove(step.path)
    for path, _, new, _, _ in steps:
        if new is not None:
            mode, oid = new
            if path in packed:
                index.set_packed(path, mode, oid, packed[path])
                continue
            status = stats.get(path)
            entry = IndexEntry(path, mode, oid) if status is None else IndexEntry.from_stat(path, mode, oid, status)
            index.set(entry)
