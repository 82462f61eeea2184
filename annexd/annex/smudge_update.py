"""Files that git checked out as pointers get their content, as far as it is here."""

from __future__ import annotations

from annexd.annex import smudge_log
from annexd.annex.relock import work_files
from annexd.annex.smudge_log import Smudged
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import EXECUTABLE, EntryKind, read_entry
from annexd.annex.work_files import WorkFiles
from annexd.annex.worktree import populate
from annexd.errors import AnnexError
from annexd.formats.paths import check_repo_path
from annexd.threads.deadline import Deadline

INDEX_SECONDS = 5.0
"""git calls the hooks while it still may hold the index; what cannot be told to it then is noted for later."""


def fill_checked_out(state: AnnexState) -> list[tuple[bytes, str]]:
    """Do what the smudge filter took note of; paths that could not be filled, with the reason, stay noted.

    Files that the index has are filled first, so that it learns their new stat; then those that it has not, or has
    otherwise, as after `git stash pop`. LockTimeout, OSError.
    """
    noted = smudge_log.pending(state.layout)
    if not noted:
        return []
    failed = dict(populate(state, [one.key for one in noted], Deadline(INDEX_SECONDS)).failed)
    work = work_files(state)
    for one in noted:
        try:
            _fill(state, work, one)
        except (AnnexError, OSError) as problem:
            failed[one.path] = str(problem)
    smudge_log.forget(state.layout, [one for one in noted if one.path not in failed])
    return list(failed.items())


def _fill(state: AnnexState, work: WorkFiles, one: Smudged) -> None:
    """Content in the place of a pointer that is still there."""
    found = read_entry(work.absolute(check_repo_path(one.path)))
    if found.kind is not EntryKind.POINTER or found.key != one.key or found.stat is None:
        return
    executable = bool(found.stat.st_mode & EXECUTABLE)
    temp = work.temp_content(state.store.locate(one.key), one.key, executable=executable, thin=state.config.thin)
    if temp is not None:
        work.replace(temp, one.path, found.stat)
