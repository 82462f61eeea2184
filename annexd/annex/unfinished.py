"""Whether a person's git is in the middle of something: then nothing is taken in, committed or merged.

Three things tell: files that git leaves while it waits for a person (a merge in conflict, a rebase), its lock on the
index, and git itself. The last matters as git lets go of the index before it moves HEAD: whoever commits in between
commits one branch's files onto another.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from annexd.annex.state import AnnexState
from annexd.errors import BusyError, IndexLocked
from annexd.git.at_work import git_at_work
from annexd.git.index_lock import is_locked

HEAD_FOLLOWS = 0.1      # seconds after which HEAD has followed the index, as a rule
HEAD_MAY_LAG = 10.0     # seconds in which it is worth looking for the git that wrote the index

_UNFINISHED = {
    b"MERGE_HEAD": "a merge",
    b"CHERRY_PICK_HEAD": "a cherry-pick",
    b"REVERT_HEAD": "a revert",
    b"rebase-merge": "a rebase",
    b"rebase-apply": "a rebase",
    b"sequencer": "a cherry-pick or revert of several commits",
}


def refuse_when_unfinished(state: AnnexState) -> None:
    """Raise BusyError while a person is in the middle of a merge, rebase, cherry-pick, revert or bisect."""
    reason = unfinished(state)
    if reason is not None:
        raise BusyError(reason, hint="finish or abort it")


def unfinished(state: AnnexState) -> str | None:
    """What a person has begun and not finished; None for nothing. Some looks for files."""
    git_dir = state.repo.git_dir
    for name, what in _UNFINISHED.items():
        if os.path.lexists(git_dir + b"/" + name):
            return f"{what} is under way in this repository"
    if os.path.lexists(git_dir + b"/BISECT_LOG") and state.refs.head().detached:
        return "a bisect is under way in this repository"
    return None


def at_work(state: AnnexState) -> str | None:
    """Why a daemon should keep its hands off index, HEAD and files just now; None when it need not.

    Costs some looks for files; only while somebody else's git has just been here are processes looked at.
    """
    if is_locked(state.repo):
        return "another git command changes the index, as index.lock says"
    return unfinished(state) or head_may_lag(state)


def refuse_while_at_work(state: AnnexState) -> None:
    """Raise IndexLocked while a person is in the middle of something; for who has git's lock on the index."""
    reason = unfinished(state) or head_may_lag(state)
    if reason is not None:
        raise IndexLocked(reason, hint="finish or abort it")


def refuse_between_steps(state: AnnexState) -> None:
    """Raise IndexLocked while git makes several commits, for each of which it locks the index anew, and gives up when
    it cannot. A rebase does not count: it gives up also when the index has not learnt that files got their content.
    """
    if os.path.lexists(state.repo.git_dir + b"/sequencer"):
        command = git_at_work(state.repo)
        if command is not None:
            raise IndexLocked(f"{command} is under way in this repository")


def head_may_lag(state: AnnexState) -> str | None:
    """Whether git may have written the index, or have a commit's message written, and not moved HEAD yet."""
    age = state.index.foreign_age(time.time())
    if age is not None and 0.0 <= age < HEAD_FOLLOWS:
        return "git has changed the index just now"
    if (age is not None and 0.0 <= age < HEAD_MAY_LAG) or _is_message_pending(state.repo.git_dir):
        command = git_at_work(state.repo)
        if command is not None:
            return f"{command} is under way in this repository"
    return None


def _is_message_pending(git_dir: bytes) -> bool:
    """Whether a commit's message was begun after HEAD last moved: an editor may be open for it."""
    with suppress(OSError):
        begun = os.stat(git_dir + b"/COMMIT_EDITMSG").st_mtime_ns
        with suppress(FileNotFoundError):
            return begun > os.stat(git_dir + b"/logs/HEAD").st_mtime_ns
    return False
