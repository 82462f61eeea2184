"""Finds what a person has put into git's index and not committed: the file is as the index says, HEAD is not."""

from __future__ import annotations

import stat

from annexd.annex.commit import tree_of
from annexd.annex.state import AnnexState
from annexd.assistant.changes import ChangeKind
from annexd.assistant.classify import Finding, What
from annexd.formats.key import Key
from annexd.formats.pointer import MAX_POINTER, parse_pointer
from annexd.git.tree import Trees


class Staged:
    """Good for one look at some paths, while the work tree's turn is held. Costs a stat while the index is our own."""

    def __init__(self, annex: AnnexState) -> None:
        self._is_foreign = annex.index.may_hold_others()
        self._annex = annex
        self._trees = Trees(annex.objects)
        self._head = tree_of(annex.objects, annex.refs.head().oid) if self._is_foreign else None

    def pointer_key(self, finding: Finding) -> Key | None:
        """The key of a file that somebody else's git has checked out as a pointer, whose content it may be time for."""
        entry, status = finding.entry, finding.stat
        if not self._is_foreign or finding.what is not What.SAME or entry is None or status is None:
            return None
        if not stat.S_ISREG(status.st_mode) or entry.is_set_aside or not 0 < status.st_size <= MAX_POINTER:
            return None
        blob = self._annex.objects.read_blob(entry.oid)
        return parse_pointer(blob) if blob is not None and len(blob) == status.st_size else None

    def may_have(self, finding: Finding) -> bool:
        """Whether the path is as the index says, and differs from HEAD, or holds up a merge. Raises RepositoryError."""
        if finding.what is not What.SAME and (finding.what is not What.GONE or finding.entry is not None):
            return False
        if finding.change.kind in (ChangeKind.BLOCKING, ChangeKind.STAGED):
            return True
        if not self._is_foreign or self._head is None:
            return False
        entry = finding.entry
        committed = self._trees.lookup(self._head, finding.path)
        return committed != (None if entry is None else (entry.mode, entry.oid))
