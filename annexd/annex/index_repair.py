"""Makes git's index anew when it is damaged or lost. To commit what is left of it would delete files for everybody."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from annexd.annex.annexed_files import annexed, tracked
from annexd.annex.state import AnnexState
from annexd.annex.worktree import populate
from annexd.errors import FormatError
from annexd.formats.paths import display
from annexd.git.index_lock import IndexLock
from annexd.system import files
from annexd.threads.deadline import Deadline


def repair_index(state: AnnexState, deadline: Deadline) -> list[str]:
    """If git's index is damaged, or missing while there are commits, make it from HEAD; what was done, one line each.

    A damaged one is kept. Files that are not in the work tree count as deleted where the index was damaged; where there
    was none at all they are written, as in a clone that was never checked out. Every file has to be looked at after
    this. Raises IndexLocked, GitError, OSError.
    """
    head = state.refs.head().oid
    if state.repo.is_bare or (head is None and not os.path.exists(state.repo.index_path)) or _is_sound(state):
        return []
    with IndexLock.acquire(state.repo, deadline) as lock:
        if _is_sound(state):
            return []
        kept = _keep(state)
        temp = b"%b/index-%b" % (state.layout.annexd_dir, secrets.token_hex(4).encode())
        try:
            state.repo.with_index(temp).run(b"read-tree", b"--empty" if head is None else b"HEAD")
            lock.commit(files.read_file(temp))
        finally:
            for name in (temp, temp + b".lock"):
                with suppress(FileNotFoundError):
                    os.unlink(name)
    state.index.forget()
    if kept is not None:
        return [f"git's index was damaged and has been made anew from HEAD; the old one is {display(kept)}"]
    _check_out_missing(state, deadline)
    return ["git's index was missing and has been made anew from HEAD"]


def _is_sound(state: AnnexState) -> bool:
    try:
        state.index.current()
    except FormatError:
        return False
    return os.path.exists(state.repo.index_path)


def _keep(state: AnnexState) -> bytes | None:
    """The damaged index under another name, which is returned; None when there is no index."""
    kept = b"%b/index.damaged-%b" % (state.layout.annexd_dir, secrets.token_hex(4).encode())
    os.makedirs(state.layout.annexd_dir, exist_ok=True)
    try:
        os.link(state.repo.index_path, kept)
    except FileNotFoundError:
        return None
    return kept


def _check_out_missing(state: AnnexState, deadline: Deadline) -> None:
    """Write the files that are not there, and touch no others."""
    state.repo.run(b"checkout-index", b"--all", b"--quiet", check=False)    # fails for each file that is there
    keys = {file.key for file in annexed(state, tracked(state)) if file.is_unlocked}
    populate(state, keys, deadline)
