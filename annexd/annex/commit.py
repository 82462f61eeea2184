"""Changes of files become changes of git's index, and commits on the branch that is checked out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from annexd.annex import head_journal, restage
from annexd.annex.head_finish import catch_up
from annexd.annex.head_journal import HeadMove, MoveKind
from annexd.annex.index_access import IndexEdit
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_between_steps, refuse_when_unfinished
from annexd.annex.verify import Verdict, verify_file
from annexd.annex.work_files import unchanged
from annexd.errors import BusyError, GitError, IndexLocked, RepositoryError
from annexd.formats.paths import check_repo_path
from annexd.formats.pointer import parse_pointer
from annexd.git.commit import build_commit, commit_by_git, parse_commit
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.object_store import GitObjects
from annexd.git.objects import BLOB, COMMIT, EMPTY_TREE, Oid
from annexd.git.refs import Head
from annexd.git.tree import MODE_LINK
from annexd.threads.deadline import Deadline
from annexd.threads.faults import reach

REFLOG_COMMIT = b"commit: annexd"
REMOVE = 0
"""As the mode of an IndexUpdate: the path goes, and all below it."""


class IndexUpdate(NamedTuple):
    """What one path becomes in the index: `mode` REMOVE, or a git mode with a blob.

    The blob is given by its `content` or, if it is in the repository already, its `oid`. `stat` is that of the file in
    the work tree that corresponds to it; without it git looks into the file at its next status.
    """

    path: bytes
    mode: int
    content: bytes | None = None
    oid: Oid | None = None
    stat: os.stat_result | None = None


class CommitResult(NamedTuple):
    """A new commit. `young` are paths to `settle` a second later."""

    old: Oid | None
    new: Oid
    tree: Oid
    young: list[bytes]


def stage(state: AnnexState, updates: Sequence[IndexUpdate], deadline: Deadline) -> None:
    """Put the updates into the index, without a commit. Raises IndexLocked, UnsafePath, OSError."""
    with state.index.editing(deadline) as edit:
        _apply(state.objects, edit, updates)
        take_restaged(state, edit)
        state.objects.flush()
        edit.save()


def stage_and_commit(
    state: AnnexState,
    updates: Sequence[IndexUpdate],
    message: bytes,
    deadline: Deadline,
    *,
    on_moved: Callable[[Oid], None] = lambda _: None,
) -> CommitResult | None:
    """Put the updates into the index, and commit the whole index (what a person staged too) on HEAD.

    `on_moved` is called as soon as the branch is at the new commit, before the index is written, which takes longer the
    more files there are. It must not raise nor block.

    None when the tree is HEAD's already; the index is updated all the same. Makes the first commit of an unborn branch.
    Raises IndexLocked, RefMoved, BusyError (also during somebody's merge or rebase), UnsafePath, OSError; then nothing
    has changed but for unused objects. Content that the updates stand for must be in the object store before.
    """
    refuse_when_unfinished(state)
    catch_up(state, deadline)
    with state.index.editing(deadline) as edit:
        state.index.give_way()
        if unmerged := edit.index.unmerged_paths():
            raise BusyError(f"{len(unmerged)} files are in conflict in the index", hint="resolve the conflicts")
        _apply(state.objects, edit, updates)
        take_restaged(state, edit)
        tree = edit.index.write_tree(state.objects)
        head = state.refs.head()
        old_tree = tree_of(state.objects, head.oid)
        edit.is_head = True
        if tree == (old_tree or EMPTY_TREE):
            state.objects.flush()
            edit.save()
            return None
        commit = new_commit(state, tree, [] if head.oid is None else [head.oid], message)
        state.objects.flush()
        move = HeadMove(MoveKind.COMMIT, _ref(head), head.oid, commit, old_tree, tree)
        head_journal.note(state.layout, move)
        reach("commit-before-ref")
        try:
            # Through HEAD: who has just put it onto another branch at the same commit gets the commit there.
            state.refs.update(b"HEAD", commit, head.oid, REFLOG_COMMIT)
        except (GitError, BusyError):
            if state.refs.read(move.ref) != commit:     # else only git's answer was lost
                head_journal.forget(state.layout)
                raise
        on_moved(commit)
        reach("commit-before-index")
        edit.save()
        reach("commit-after-index")
        head_journal.forget(state.layout)
        return CommitResult(head.oid, commit, tree, edit.index.young_paths())


def settle(state: AnnexState, deadline: Deadline) -> list[bytes]:
    """Have git trust the stat of files written in the second of the index's last change; those still too young.

    To be called a second or more after a batch: an index written together with its files makes every `git status` read
    them again. Files that changed since are marked for git to look into. Raises IndexLocked, for a daemon also while a
    person's git is at work.
    """
    marked = _marked(state.index.current(), state.index.unsettled)
    unmarked = _unmarked(state)
    if not (state.index.current().young_paths() or unmarked or restage.pending(state.layout)):
        state.index.unsettled.clear()
        return []
    state.index.give_way()      # a person's git that works in steps gives up when it finds the index locked
    with state.index.editing(deadline) as edit:
        take_restaged(state, edit)
        apply_stats(edit, unmarked)
        edit.save()
        late = _marked(edit.index, state.index.unsettled) - marked      # by a git that was quicker at the lock
        young = sorted(late.union(edit.index.young_paths()))
    state.index.unsettled.intersection_update(young)
    return young


def _marked(index: GitIndex, paths: Iterable[bytes]) -> set[bytes]:
    return {path for path in paths if (entry := index.get(path)) is not None and not entry.size}


def _unmarked(state: AnnexState) -> dict[bytes, tuple[Oid, os.stat_result]]:
    """Files just written that somebody's git marked for looking into, as git-annex's filter would now choose another
    key for them, or cannot take their names, though they hold what their entries stand for.
    """
    index, stats = state.index.current(), {}
    for path in state.index.unsettled:
        entry = index.get(path)
        if entry is None or entry.size or entry.mode == MODE_LINK:
            continue
        blob = state.objects.read_blob(entry.oid)
        key = None if blob is None else parse_pointer(blob)
        place = (state.repo.work_tree or b"") + b"/" + path
        with suppress(OSError):
            status = os.lstat(place)
            if key is None or not stat.S_ISREG(status.st_mode) or verify_file(place, key) is not Verdict.MATCHES:
                continue
            if unchanged(status, os.lstat(place)):
                stats[path] = (entry.oid, status)
    return stats


def refresh_stat(
    state: AnnexState, stats: Mapping[bytes, tuple[Oid, os.stat_result]], deadline: Deadline
) -> list[bytes]:
    """Tell the index the new stat of files whose content came or went while their blob stayed; the paths refreshed.

    `stats` gives the blob that each file stands for and the stat it got. Entries with other blobs stay. When the
    index is locked, or a daemon finds git at work in steps, the paths are noted for `git annex restage` and for our own
    next time, and [] is returned.
    """
    if not stats:
        return []
    try:
        if state.index.gives_way:
            refuse_between_steps(state)
        with state.index.editing(deadline) as edit:
            refreshed = apply_stats(edit, stats)
            if refreshed:
                edit.save()
            return refreshed
    except IndexLocked:
        restage.note(state.layout, {path: status for path, (_, status) in stats.items()})
        return []


def apply_stats(edit: IndexEdit, stats: Mapping[bytes, tuple[Oid, os.stat_result]]) -> list[bytes]:
    """Set the stat of entries that still have the blob given."""
    done = []
    for path, (oid, status) in stats.items():
        entry = edit.index.get(path)
        if entry is not None and entry.oid == oid:
            fresh = IndexEntry.from_stat(path, entry.mode, oid, status)
            edit.index.set(fresh._replace(flags=entry.flags, ext_flags=entry.ext_flags))
            done.append(path)
    return done


def take_restaged(state: AnnexState, edit: IndexEdit) -> None:
    """Tell the index what was noted while it was locked (by git-annex too), as part of a change under way. OSError."""
    noted = restage.pending(state.layout)
    if not noted or state.repo.work_tree is None:
        return
    stats: dict[bytes, tuple[Oid, os.stat_result]] = {}
    for path, cache in noted.items():
        entry = edit.index.get(path)
        with suppress(OSError):
            status = os.lstat(state.repo.work_tree + b"/" + path)
            if entry is not None and cache == restage.inode_cache(status) and _fits(state, entry, status):
                stats[path] = (entry.oid, status)
    apply_stats(edit, stats)
    restage.forget(state.layout, frozenset(noted))


def _fits(state: AnnexState, entry: IndexEntry, status: os.stat_result) -> bool:
    """Whether a file that nobody touched since it got or lost its content can be what the entry stands for."""
    blob = None if entry.mode == MODE_LINK else state.objects.read_blob(entry.oid)
    key = None if blob is None else parse_pointer(blob)
    return key is not None and blob is not None and status.st_size in (key.size, len(blob))


def new_commit(state: AnnexState, tree: Oid, parents: Sequence[Oid], message: bytes) -> Oid:
    """A commit made now by the user of this repository; to be flushed with the other new objects."""
    if state.config.signs_commits:
        state.objects.flush()
        return commit_by_git(state.repo, tree, parents, message, sign=True)
    author, committer = state.identity.signatures()
    return state.objects.add(COMMIT, build_commit(tree, parents, author, committer, message))


def tree_of(objects: GitObjects, commit: Oid | None) -> Oid | None:
    """The tree of a commit; None for none. Raises RepositoryError when it cannot be read."""
    if commit is None:
        return None
    found = objects.read(commit)
    if found is None or found.kind != COMMIT:
        raise RepositoryError(f"commit {commit.hex()} is missing", hint="run git fsck")
    return parse_commit(found.data).tree


def _ref(head: Head) -> bytes:
    return b"HEAD" if head.ref is None else head.ref


def _apply(objects: GitObjects, edit: IndexEdit, updates: Iterable[IndexUpdate]) -> None:
    index = edit.index
    for path, mode, content, oid, status in updates:
        check_repo_path(path)
        if mode == REMOVE:
            for gone in (path, *index.paths_under(path)):
                known = index.get(gone)
                if known is None or not known.is_set_aside:     # a sparse checkout may have come in between
                    index.remove(gone)
            continue
        if content is not None:
            oid = objects.add(BLOB, content)
        before = index.get(path)
        mode = index.fidelity.recorded(mode, None if before is None else before.mode)
        if oid is None:
            raise ValueError(f"no blob for {path!r}")
        index.set(IndexEntry(path, mode, oid) if status is None else IndexEntry.from_stat(path, mode, oid, status))
