"""Finishes what a crash left between one commit of HEAD and the next."""

from __future__ import annotations

import os

from annexd.annex import head_journal
from annexd.annex.checkout import apply_tree
from annexd.annex.checkout_plan import Blobs
from annexd.annex.head_journal import HeadMove
from annexd.annex.index_access import IndexEdit
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import GITLINK_MODE, Holds, compare
from annexd.annex.work_files import WorkFiles
from annexd.annex.worktree import populate
from annexd.errors import BusyError, ContentChanged, FormatError, RepositoryError
from annexd.git.index import IndexEntry
from annexd.git.tree import Blob, TreeChange, Trees
from annexd.threads.deadline import Deadline

INDEX_WAIT = 5.0


def recover_checkout(state: AnnexState, deadline: Deadline | None = None) -> list[str]:
    """Finish a checkout or commit that was cut off; what was done, one line each. May be cut off itself, and repeated.

    If HEAD had not moved yet and a person's files are in the way by now, it is given up: what it wrote then counts as
    changes of the work tree. Raises IndexLocked or BusyError, to be tried again, and OSError.
    """
    try:
        move = head_journal.noted(state.layout)
    except FormatError:
        head_journal.forget(state.layout)
        return ["dropped a damaged note of a change of HEAD"]
    if move is None or state.repo.work_tree is None:
        return []
    budget = deadline or Deadline(INDEX_WAIT)
    now = state.refs.read(move.ref)
    head = state.refs.head()
    if (head.ref or b"HEAD") != move.ref or now not in (move.old_commit, move.new_commit):
        head_journal.forget(state.layout)
        return ["dropped the note of a change of HEAD that went elsewhere since"]
    if now == move.new_commit:
        _finish_index(state, move, budget)
        return ["finished a change of HEAD in git's index"]
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
        head_journal.forget(state.layout)
        return ["gave up a checkout that was cut off: its objects or files are no longer there"]
    if result.blocked:
        head_journal.forget(state.layout)
        return ["gave up a checkout that was cut off: files were changed since"]
    return ["finished a checkout that was cut off"]


def _finish_index(state: AnnexState, move: HeadMove, deadline: Deadline) -> None:
    """HEAD is at the new commit, the index perhaps not: to commit that index would undo the new commit's changes."""
    assert state.repo.work_tree is not None
    blobs = Blobs(state.objects)
    changes = list(Trees(state.objects).diff(move.old_tree, move.new_tree))
    work = WorkFiles(state.repo.work_tree, state.store)
    with state.index.editing(deadline) as edit:
        for change in changes:
            _finish_entry(state, edit, change, work, blobs)
        edit.save()
        head_journal.forget(state.layout)
    keys = {blobs.key(change.new) for change in changes if change.new is not None}
    populate(state, [key for key in keys if key is not None], deadline)


def _finish_entry(state: AnnexState, edit: IndexEdit, change: TreeChange, work: WorkFiles, blobs: Blobs) -> None:
    path, old, new = change
    entry = edit.index.get(path)
    staged = None if entry is None else (entry.mode, entry.oid)
    if staged != old or path in edit.index.unmerged_paths():
        return      # it is as it should be, or somebody staged something meanwhile
    if new is None:
        edit.index.remove(path)
        return
    status = _stat_of(state, work, path, new, blobs)
    mode, oid = new
    edit.index.set(IndexEntry(path, mode, oid) if status is None else IndexEntry.from_stat(path, mode, oid, status))


def _stat_of(state: AnnexState, work: WorkFiles, path: bytes, blob: Blob, blobs: Blobs) -> os.stat_result | None:
    """The stat of the file if it is what the blob says; None leaves it to git to see what a person made of it."""
    status = work.lstat(path)
    mode, oid = blob
    if status is None or mode == GITLINK_MODE:
        return status
    key = blobs.key(blob)
    place = None if key is None else state.store.locate(key)
    held = compare(work.absolute(path), status, mode, blobs.data(oid), place)
    return None if held is Holds.NO else status
