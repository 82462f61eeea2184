"""How fsck's findings are told."""

from __future__ import annotations

from collections.abc import Sequence

from annexd.annex.fsck import FsckProblem, ProblemKind
from annexd.annex.state import AnnexState
from annexd.backends.registry import backend
from annexd.cli.content import who
from annexd.cli.reporters.contract import Action
from annexd.cli.repositories import Names
from annexd.formats.key import Key


def is_checkable(annex: AnnexState, key: Key) -> bool:
    """Whether content is here, of a size that fits, and of a kind that can be held against its key."""
    known = backend(key.backend)
    if known is None or known.hasher() is None:
        return False
    size = annex.store.size(key)
    return size is not None and key.size in (None, size)


def tell(names: Names, action: Action, problems: Sequence[FsckProblem]) -> bool:
    """Say what was found; whether something is wrong still."""
    for problem in problems:
        if not problem.is_failure:
            if problem.message:
                action.note(problem.message)
            continue
        text = problem.message
        if problem.kind is ProblemKind.COPIES:
            action.field("untrusted", who(names, problem.untrusted))
            action.field("dead", who(names, problem.dead))
            if problem.untrusted:
                text += "\n" + "".join(f"\t{names.line(uuid)}\n" for uuid in problem.untrusted)
                text += "Back it up to trusted locations with git-annex copy."
        action.warning(text)
    return any(problem.is_failure for problem in problems)
