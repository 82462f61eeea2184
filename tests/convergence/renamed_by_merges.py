"""What git-annex named after another file while it resolved a conflict.

It takes two neighbouring files in conflict for one, where each of them is on one side only (the one changed here and
deleted there, the other renamed there and deleted here), and makes both variants of the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.convergence.chronicle import Chronicle, Token
from tests.support.pair import Side


class MergesOf:
    """Looks at the merges that one side makes, and tells the chronicle."""

    def __init__(self, side: Side, chronicle: Chronicle) -> None:
        self._side = side
        self._chronicle = chronicle
        self._seen = b""

    def look(self) -> None:
        """To be called after each command that may merge: what was merged since the last time."""
        tip = self._side.git("for-each-ref", "--format=%(objectname)", "refs/heads/main").strip()
        old, self._seen = self._seen, tip
        if tip == old:
            return
        new = (tip, b"^" + old) if old else (tip,)
        merges = self._side.git("rev-list", "--first-parent", "--merges", "--parents", *new)
        for line in merges.splitlines():
            merge, *parents = line.split()
            for parent in parents:
                for source, target in self._moved(parent, merge):
                    self._chronicle.renamed(source, target)

    def _moved(self, parent: bytes, merge: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Where something was on the merged side, and where it is now, if that is elsewhere."""
        gone: dict[Token, bytes] = {}
        come: dict[Token, bytes] = {}
        fields = self._side.git("diff-tree", "-r", "-z", "--no-renames", parent, merge).split(b"\0")
        for info, path in zip(fields[::2], fields[1::2], strict=False):
            _, _, old, new, _ = info.split(b" ")
            gone |= dict.fromkeys(self._tokens(old), path)
            come |= dict.fromkeys(self._tokens(new), path)
        return ((gone[token], come[token]) for token in gone.keys() & come.keys() if gone[token] != come[token])

    def _tokens(self, oid: bytes) -> frozenset[Token]:
        if not oid.strip(b"0"):
            return frozenset()
        return self._chronicle.tokens_in_blob(self._side.git("cat-file", "blob", oid))
