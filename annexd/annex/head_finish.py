"""The index catches up with a HEAD that moved without it.

To commit an index from before the move would take the new commit's changes back. So whoever is about to commit, or
starts up, looks here first. While one holds git's index lock, a note of a move can only be of one that was cut off.
"""

from __future__ import annotations

import os

from annexd.annex import head_journal
from annexd.annex.checkout_plan import Blobs
from annexd.annex.head_journal import HeadMove
from annexd.annex.index_access import IndexEdit, WhenMissing
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import GITLINK_MODE, Holds, compare
from annexd.annex.work_files import WorkFiles
from annexd.errors import FormatError
from annexd.formats.key import Key
from annexd.git.index import IndexEntry
from annexd.git.tree import Blob, TreeChange, Trees
from annexd.threads.deadline import Deadline


def catch_up(state: AnnexState, deadline: Deadline) -> HeadMove | None:
    """Bring the index up to a move of HEAD that was cut off after the ref; that move. Costs little when there is none.

    Raises IndexLocked, OSError.
    """
    try:
        move = head_journal.noted(state.layout)
    except FormatError:
        return None
    if move is None:
        return None
    # The very first commit of all makes the index itself.
    missing = WhenMissing.BEGIN_EMPTY if move.old_tree is None else WhenMissing.REFUSE
    with state.index.editing(deadline, missing=missing) as edit:
        if finish_earlier(state, edit) is None:
            return None
        edit.save()
        head_journal.forget(state.layout)
    return move


def finish_earlier(state: AnnexState, edit: IndexEdit) -> HeadMove | None:
    """Bring the index up to a move of HEAD that was cut off after the ref, if there was one; that move.

    The caller saves the index and forgets the note afterwards. Reads files whose stat says nothing. OSError.
    """
    try:
        move = head_journal.noted(state.layout)
    except FormatError:
        return None
    if move is None or state.repo.work_tree is None or state.refs.read(move.ref) != move.new_commit:
        return None
    if move.old_tree is not None and not os.path.exists(state.repo.index_path):
        return None     # the whole index is lost: what is made from HEAD instead knows of the move
    blobs = Blobs(state.objects)
    work = WorkFiles(state.repo.work_tree, state.store)
    for change in Trees(state.objects).diff(move.old_tree, move.new_tree):
        _finish_entry(state, edit, change, work, blobs)
    return move


def keys_of(state: AnnexState, move: HeadMove) -> list[Key]:
    """The keys that the new tree has where it differs from the old one."""
    blobs = Blobs(state.objects)
    changes = Trees(state.objects).diff(move.old_tree, move.new_tree)
    keys = {blobs.key(change.new) for change in changes if change.new is not None}
    return [key for key in keys if key is not None]


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
    held = compare(work.absolute(path), status, mode, blobs.data(oid), place, state.config.fidelity)
    return None if held is Holds.NO else status
