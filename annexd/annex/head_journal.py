"""A note of the step from one commit to the next, so that a crash in the middle can be finished or undone.

Work tree, ref and index cannot change in one step. The order is: objects, work tree, ref, index; the note is written
before the first of them and goes after the last.
"""

from __future__ import annotations

import enum
import os
from contextlib import suppress
from dataclasses import dataclass

from annexd.annex.layout import RepoLayout
from annexd.errors import FormatError
from annexd.git.objects import Oid
from annexd.system.files import make_dirs, read_file, write_atomically

_NAME = b"/checkout.journal"
_NONE = b"-"
_LIMIT = 1 << 16
_OID_BYTES = 20


class MoveKind(enum.Enum):
    """Which side follows the other."""

    COMMIT = b"commit"
    """HEAD follows the work tree: before the ref has moved there is nothing to finish."""
    CHECKOUT = b"checkout"
    """The work tree follows HEAD."""


@dataclass(frozen=True, slots=True)
class HeadMove:
    """HEAD's branch `ref` (b"HEAD" when detached) goes from one commit and tree to another."""

    kind: MoveKind
    ref: bytes
    old_commit: Oid | None
    new_commit: Oid
    old_tree: Oid | None
    new_tree: Oid

    def __bytes__(self) -> bytes:
        oids = (self.old_commit, self.new_commit, self.old_tree, self.new_tree)
        names = (_NONE if oid is None else oid.hex().encode() for oid in oids)
        return b"%b %b\n%b\n" % (self.kind.value, b" ".join(names), self.ref)

    @classmethod
    def parse(cls, data: bytes) -> HeadMove:
        """The inverse of `bytes(move)`. Raises FormatError."""
        lines = data.split(b"\n")
        words = lines[0].split(b" ")
        if len(lines) != 3 or lines[2] or len(words) != 5 or words[0] not in _KINDS or not lines[1]:
            raise FormatError("not a note of a change of HEAD", source="checkout.journal")
        old_commit, new_commit, old_tree, new_tree = map(_oid, words[1:])
        if new_commit is None or new_tree is None:
            raise FormatError("a change of HEAD leads somewhere", source="checkout.journal")
        return cls(_KINDS[words[0]], lines[1], old_commit, new_commit, old_tree, new_tree)


_KINDS = {kind.value: kind for kind in MoveKind}


def note(layout: RepoLayout, move: HeadMove) -> None:
    """Remember that `move` has begun. OSError."""
    path = layout.annexd_dir + _NAME
    try:
        write_atomically(path, bytes(move))
    except FileNotFoundError:
        make_dirs(layout.annexd_dir, layout.annex_dir)
        write_atomically(path, bytes(move))


def noted(layout: RepoLayout) -> HeadMove | None:
    """The move that was begun and not finished, if any. Raises FormatError for a damaged note."""
    try:
        return HeadMove.parse(read_file(layout.annexd_dir + _NAME, limit=_LIMIT))
    except FileNotFoundError:
        return None


def forget(layout: RepoLayout) -> None:
    """The move is finished, or undone."""
    with suppress(FileNotFoundError):
        os.unlink(layout.annexd_dir + _NAME)


def _oid(word: bytes) -> Oid | None:
    if word == _NONE:
        return None
    try:
        oid = bytes.fromhex(word.decode("ascii"))
    except ValueError as problem:
        raise FormatError("not an object name", source="checkout.journal") from problem
    if len(oid) != _OID_BYTES:
        raise FormatError("not an object name", source="checkout.journal")
    return Oid(oid)
