"""Moves work tree, HEAD and index from one tree to another, or changes nothing when a person's changes are in the way.

Unlocked annexed files get their content at once if it is here: a pointer is only written for content that is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from annexd.annex import head_journal, odd_pointers
from annexd.annex.checkout_plan import Blobs, Plan, Step, make_plan
from annexd.annex.head_finish import catch_up
from annexd.annex.head_journal import HeadMove, MoveKind
from annexd.annex.index_access import IndexEdit
from annexd.annex.ingest import store_content
from annexd.annex.objects import ObjectStore
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_when_unfinished
from annexd.annex.work_entries import EXECUTABLE_MODE, GITLINK_MODE, LINK_MODE
from annexd.annex.work_files import WorkFiles
from annexd.annex.worktree import populate
from annexd.errors import AnnexError, BusyError, GitError, RefMoved, RepositoryError
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.git.index import IndexEntry
from annexd.git.objects import Oid
from annexd.git.refs import RefUpdate
from annexd.git.tree import Blob, Trees
from annexd.threads.deadline import Deadline
from annexd.threads.faults import reach

REFLOG_MERGE = b"merge: annexd"

NewHead = tuple[bytes, Oid | None, Oid]
"""The ref that HEAD is, the commit it is at, and the commit it is to be at."""


@dataclass(slots=True)
class CheckoutResult:
    """What a checkout did. With `blocked` paths it did nothing at all.

    `missing` are keys of files whose content is not here, `populated` counts files that got theirs, `adopted` are keys
    whose content came into the annex from files that lay in the work tree: the location log has to be told.
    """

    written: int = 0
    removed: int = 0
    missing: list[Key] = field(default_factory=list)
    adopted: list[Key] = field(default_factory=list)
    populated: int = 0
    blocked: list[bytes] = field(default_factory=list)


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
    with state.index.editing(deadline) as edit:
        if edit.index.unmerged_paths():
            raise BusyError("files are in conflict in the index", hint="resolve the conflicts")
        _check_ref(state, move)
        changes = list(Trees(state.objects).diff(old, new))
        blobs = Blobs(state.objects)
        blobs.load(change.new[1] for change in changes if change.new and change.new[0] != GITLINK_MODE)
        work = WorkFiles(top, state.store)
        plan = make_plan(changes, edit.index, work, blobs, state.store)
        if plan.blocked:
            return CheckoutResult(blocked=plan.blocked)
        run = _Run(work, blobs, state.store, thin=state.config.thin)
        head_journal.note(state.layout, move)
        try:
            run.execute(plan)
            reach("checkout-before-ref")
            _move_ref(state, move, also)
        except BaseException:
            _back_out(run, edit, state)
            raise
        reach("checkout-before-index")
        _update_index(edit, run.stats, plan.steps)
        edit.save()
        odd_pointers.advance(state.layout, old, new, blobs.odd_pointers())
        head_journal.forget(state.layout)
    _take_late_content(state, run.result)
    return run.result


def _take_late_content(state: AnnexState, result: CheckoutResult) -> None:
    """Content may have come while its pointer was being written, when who brought it did not find the file yet."""
    late = {key for key in result.missing if state.store.is_present(key)}
    if late:
        result.populated += len(populate(state, late).populated)
        result.missing = [key for key in result.missing if key not in late]


class _Run:
    """Carries out a plan, and can undo what it has done so far."""

    def __init__(self, work: WorkFiles, blobs: Blobs, store: ObjectStore, *, thin: bool) -> None:
        self.result = CheckoutResult()
        self.stats: dict[bytes, os.stat_result] = {}
        self._work = work
        self._blobs = blobs
        self._store = store
        self._thin = thin
        self._done: list[Step] = []
        self._made: list[bytes] = []        # directories that were needed

    def execute(self, plan: Plan) -> None:
        """Removals first, so that a directory can come where a file was, and the reverse."""
        emptied: set[bytes] = set()
        for step in plan.steps:
            if step.new is None:
                self._remove(step, emptied)
        for directory in sorted(emptied, key=len, reverse=True):
            self._work.remove_empty_directories(directory)
        for directory in plan.directories:
            self._clear_directory(directory)
        for step in plan.steps:
            if step.new is not None:
                self._write(step, step.new)

    def undo(self) -> dict[bytes, os.stat_result]:
        """Bring back what was there, as far as nobody changed it since; the stat of what was brought back."""
        stats = self.stats
        self.stats = {}
        for step in reversed(self._done):
            with suppress(AnnexError, OSError):     # somebody's newer file stays
                if step.old is None:
                    self._work.remove(step.path, stats[step.path])
                else:
                    self._work.make_directories(_parent(step.path))
                    self._put(step.path, step.old, stats.get(step.path))
        for directory in sorted(self._made, key=len, reverse=True):
            self._work.remove_empty_directories(directory)
        return self.stats

    def _remove(self, step: Step, emptied: set[bytes]) -> None:
        if step.old is not None and step.old[0] == GITLINK_MODE:
            with suppress(OSError):     # a submodule with files in it stays, as with git
                os.rmdir(self._work.absolute(step.path))
        elif step.seen is not None:
            self._work.remove(step.path, step.seen)
            self._done.append(step)
            self.result.removed += 1
        emptied.add(_parent(step.path))

    def _write(self, step: Step, new: Blob) -> None:
        if step.is_done:
            if step.seen is not None:
                self.stats[step.path] = step.seen
                self._adopt(step.path, new)
            self._note_missing(new)
            return
        self._made.append(_parent(step.path))
        self._work.make_directories(_parent(step.path))
        if step.old is not None and step.seen is not None and _differ_in_mode_only(step.old, new):
            self.stats[step.path] = self._work.set_executable(
                step.path, step.seen, executable=new[0] == EXECUTABLE_MODE
            )
        else:
            self._put(step.path, new, step.seen)
        self._done.append(step)
        self.result.written += 1
        reach("checkout-half")

    def _put(self, path: bytes, blob: Blob, seen: os.stat_result | None) -> None:
        """Write one file, in the place of what was `seen` there."""
        mode, oid = blob
        if mode == GITLINK_MODE:
            self._work.make_directories(path)
            self.stats[path] = os.lstat(self._work.absolute(path))
            return
        if seen is None and mode == LINK_MODE:
            self._note_missing(blob)
            self.stats[path] = self._work.new_symlink(self._blobs.data(oid), path)
            return
        temp = self._temp(blob)
        if seen is None:
            self.stats[path] = self._work.place_new(temp, path)
        else:
            self.stats[path] = self._work.replace(temp, path, seen)

    def _temp(self, blob: Blob) -> bytes:
        mode, oid = blob
        key = self._blobs.key(blob)
        if mode == LINK_MODE:
            self._note_missing(blob)
            return self._work.temp_symlink(self._blobs.data(oid))
        executable = mode == EXECUTABLE_MODE
        if key is not None:
            temp = self._work.temp_content(self._store.locate(key), key, executable=executable, thin=self._thin)
            if temp is not None:
                self.result.populated += 1
                return temp
            self.result.missing.append(key)
        return self._work.temp_bytes(self._blobs.data(oid), executable=executable)

    def _adopt(self, path: bytes, blob: Blob) -> None:
        """A file that was there with the content of a key may be the only copy of it."""
        key = self._blobs.key(blob)
        if key is None or blob[0] == LINK_MODE or self._store.is_present(key):
            return
        if store_content(self._store, self._work.absolute(path), key):
            self.result.adopted.append(key)

    def _note_missing(self, blob: Blob) -> None:
        key = self._blobs.key(blob)
        if key is not None and not self._store.is_present(key):
            self.result.missing.append(key)

    def _clear_directory(self, path: bytes) -> None:
        """Remove a directory, if it is still there, that holds nothing but directories."""
        for base, _, _ in os.walk(self._work.absolute(path), topdown=False):
            os.rmdir(base)
        self._work.forget_directories()


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


def _back_out(run: _Run, edit: IndexEdit, state: AnnexState) -> None:
    """The work tree goes back to what it was, and the index learns the stat of what was written back."""
    stats = run.undo()
    for path, status in stats.items():
        entry = edit.index.get(path)
        if entry is not None:
            edit.index.set(IndexEntry.from_stat(path, entry.mode, entry.oid, status))
    if stats:
        edit.save()
    head_journal.forget(state.layout)


def _update_index(edit: IndexEdit, stats: dict[bytes, os.stat_result], steps: Iterable[Step]) -> None:
    index = edit.index
    for step in steps:
        if step.new is None:
            index.remove(step.path)
    for path, _, new, _, _ in steps:
        if new is not None:
            mode, oid = new
            status = stats.get(path)
            entry = IndexEntry(path, mode, oid) if status is None else IndexEntry.from_stat(path, mode, oid, status)
            index.set(entry)


def _differ_in_mode_only(old: Blob, new: Blob) -> bool:
    return old[1] == new[1] and old[0] != new[0] and LINK_MODE not in (old[0], new[0])


def _parent(path: bytes) -> bytes:
    return path[: max(path.rfind(b"/"), 0)]
