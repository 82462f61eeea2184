"""Finishes what a crash left between one commit of HEAD and the next."""

from __future__ import annotations

import os

from annexd.annex import head_journal
from annexd.annex.checkout import apply_tree
from annexd.annex.checkout_convert import Conversions
from annexd.annex.checkout_plan import Blobs, is_cut_off
from annexd.annex.checkout_run import Run
from annexd.annex.commit import refresh_stat
from annexd.annex.head_finish import catch_up, keys_of
from annexd.annex.head_journal import HeadMove, MoveKind
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import GITLINK_MODE, Holds, compare
from annexd.annex.work_files import WorkFiles
from annexd.annex.worktree import populate
from annexd.errors import BusyError, ContentChanged, FormatError, RepositoryError
from annexd.git.tree import Blob, Trees
from annexd.threads.deadline import Deadline

INDEX_WAIT = 5.0


def recover_checkout(state: AnnexState, deadline: Deadline | None = None) -> list[str]:
    """Finish a checkout or commit that was cut off; what was done, one line each. May be cut off itself, and repeated.

    If HEAD had not moved yet and a person's files are in the way by now, it is given up: what it wrote then counts as
    changes of the work tree, and what it removed comes back, as it may be under another name in the new tree that was
    not written any more. Raises IndexLocked or BusyError, to be tried again, and OSError.
    """
    try:
        move = head_journal.noted(state.layout)
    except FormatError:
        head_journal.forget(state.layout)
        return ["dropped a damaged note of a change of HEAD"]
    if move is None or state.repo.work_tree is None:
        return []
    if move.old_tree is not None and not os.path.exists(state.repo.index_path):
        return []       # the index has to be made anew first
    budget = deadline or Deadline(INDEX_WAIT)
    now = state.refs.read(move.ref)
    head = state.refs.head()
    if (head.ref or b"HEAD") != move.ref or now not in (move.old_commit, move.new_commit):
        head_journal.forget(state.layout)
        return ["dropped the note of a change of HEAD that went elsewhere since"]
    if now == move.new_commit:
        catch_up(state, budget)
        populate(state, keys_of(state, move), budget)
        return ["finished a change of HEAD in git's index"]
    if move.kind is MoveKind.COMMIT:        # what was to be committed is in the work tree, and may be newer by now
        head_journal.forget(state.layout)
        return ["dropped the note of a commit that was cut off before it was made"]
    return _go_on(state, move, budget)


def _go_on(state: AnnexState, move: HeadMove, deadline: Deadline) -> list[str]:
    new_head = (move.ref, move.old_commit, move.new_commit)
    try:
        if state.objects.read(move.new_commit) is None:
            raise RepositoryError("the commit was lost")
        result = apply_tree(state, move.old_tree, move.new_tree, new_head=new_head, deadline=deadline)
    except (BusyError, OSError):
        raise
    except (RepositoryError, ContentChanged, FormatError):
        _bring_back(state, move, deadline)
        head_journal.forget(state.layout)
        return ["gave up a checkout that was cut off: its objects or files are no longer there"]
    if result.blocked:
        _remove_cut_off(state, move)
        _bring_back(state, move, deadline)
        head_journal.forget(state.layout)
        return ["gave up a checkout that was cut off: files were changed since"]
    return ["finished a checkout that was cut off"]


def _remove_cut_off(state: AnnexState, move: HeadMove) -> None:
    """Files of a checkout that is given up stay if they are whole; of the others nothing would be worth committing."""
    assert state.repo.work_tree is not None
    work = WorkFiles(state.repo.work_tree, state.store)
    blobs = Blobs(state.objects)
    index = state.index.current()
    for path, old, new in Trees(state.objects).diff(move.old_tree, move.new_tree):
        if old is not None or new is None or path in index:
            continue
        status = work.lstat(path)
        if status is None or not is_cut_off(work.absolute(path), status, new, blobs, state.store):
            continue
        key = blobs.key(new)
        place = None if key is None else state.store.locate(key)
        if compare(work.absolute(path), status, new[0], blobs.data(new[1]), place) is Holds.NO:
            work.remove(path, status)


def _bring_back(state: AnnexState, move: HeadMove, deadline: Deadline) -> None:
    """What the checkout removed, or a person since: to keep too much loses nothing."""
    assert state.repo.work_tree is not None
    work, blobs, index = WorkFiles(state.repo.work_tree, state.store), Blobs(state.objects), state.index.current()
    gone: dict[bytes, Blob] = {}
    for path, old, _ in Trees(state.objects).diff(move.old_tree, move.new_tree):
        entry = index.get(path)
        if old is None or old[0] == GITLINK_MODE or entry is None or (entry.mode, entry.oid) != old:
            continue
        if work.lstat(path) is None:
            gone[path] = old
    blobs.load(oid for _, oid in gone.values())
    conversions = Conversions(state, blobs, index, gone)
    try:
        stats = Run(state, work, blobs, conversions).bring_back(gone)
    finally:
        conversions.close()
    refresh_stat(state, {path: (gone[path][1], status) for path, status in stats.items()}, deadline)
