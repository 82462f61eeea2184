"""The TREE extension of git's index: which directories' trees are known already.

Source: git, documentation of gitformat-index, "Cache tree".
"""

from __future__ import annotations

from annexd.errors import FormatError
from annexd.git.objects import Oid


class CacheTree:
    """One directory: its tree, how many index entries are below it, and its subdirectories.

    `oid` None means that the tree is not known; `count` is then meaningless.
    """

    __slots__ = ("children", "count", "oid")

    def __init__(self, oid: Oid | None = None, count: int = 0) -> None:
        self.oid = oid
        self.count = count
        self.children: dict[bytes, CacheTree] = {}


def parse_cache_tree(data: bytes) -> CacheTree:
    """Raises FormatError."""
    try:
        name, root, end = _parse(data, 0)
    except (ValueError, RecursionError) as e:
        raise FormatError("damaged TREE extension", source="index") from e
    if name or end != len(data):
        raise FormatError("damaged TREE extension", source="index")
    return root


def _parse(data: bytes, position: int) -> tuple[bytes, CacheTree, int]:
    nul = data.index(b"\0", position)
    newline = data.index(b"\n", nul)
    count, subtrees = map(int, data[nul + 1 : newline].split(b" "))
    name = data[position:nul]
    position = newline + 1
    node = CacheTree(None, max(count, 0))
    if count >= 0:
        node.oid = Oid(data[position : position + 20])
        if len(node.oid) != 20:
            raise ValueError("object name ends early")
        position += 20
    for _ in range(subtrees):
        child_name, child, position = _parse(data, position)
        node.children[child_name] = child
    return name, node, position


def serialise_cache_tree(root: CacheTree) -> bytes:
    """The extension's content."""
    parts: list[bytes] = []
    _serialise(b"", root, parts)
    return b"".join(parts)


def _serialise(name: bytes, node: CacheTree, parts: list[bytes]) -> None:
    count = -1 if node.oid is None else node.count
    parts.append(b"%b\0%d %d\n" % (name, count, len(node.children)))
    if node.oid is not None:
        parts.append(node.oid)
    # git looks subtrees up by length first, then by bytes.
    for child in sorted(node.children, key=lambda child: (len(child), child)):
        _serialise(child, node.children[child], parts)
