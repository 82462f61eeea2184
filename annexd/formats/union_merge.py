"""The merge of two versions of one file of the git-annex branch.

Source: git-annex, union merge.
"""

from __future__ import annotations


def union_merge(local: bytes | None, ref: bytes | None) -> bytes:
    """All lines of both versions; None is a version in which there is no such file.

    A version that already holds every line is kept as it is, `ref` first, so that repositories that merge each
    other's branches end with the same blob. Otherwise the lines come out sorted, each once.
    """
    if local is None or ref is None or local == ref:
        return (local or b"") if ref is None else ref
    ours, theirs = set(_lines(local)), set(_lines(ref))
    if ours <= theirs:
        return ref
    if theirs <= ours:
        return local
    return b"".join([line + b"\n" for line in sorted(ours | theirs)])


def _lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()  # what follows a final newline is not a line
    return lines
