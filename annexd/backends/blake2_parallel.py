"""BLAKE2bp and BLAKE2sp: several leaves that take turns in the input, and a root over their digests.

Source: BLAKE2 specification, sections 2.10 and 2.11 (tree hashing, parallel variants).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol


class _Blake2(Protocol):
    def update(self, data: bytes | bytearray | memoryview, /) -> object: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


class ParallelBlake2:
    """A hash object of one parallel variant, with the `update` and `hexdigest` of hashlib's."""

    def __init__(self, new_node: Callable[[int, int, bool], _Blake2], leaves: int, block: int) -> None:
        """`new_node(depth, offset, is_last)` makes a node of the tree; `block` is bytes a leaf takes in its turn."""
        self._leaves = [new_node(0, offset, offset == leaves - 1) for offset in range(leaves)]
        self._root = new_node(1, 0, True)
        self._block = block
        self._stripe = block * leaves
        self._pending = bytearray()

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Takes in more bytes."""
        self._pending += data
        whole = len(self._pending) - len(self._pending) % self._stripe
        if whole:
            self._distribute(bytes(self._pending[:whole]))
            del self._pending[:whole]

    def hexdigest(self) -> str:
        """The digest of all that was taken in; call it once, at the end."""
        self._distribute(bytes(self._pending))
        self._pending.clear()
        for leaf in self._leaves:
            self._root.update(leaf.digest())
        return self._root.hexdigest()

    def _distribute(self, data: bytes) -> None:
        block, stripe = self._block, self._stripe
        for turn, leaf in enumerate(self._leaves):
            first = turn * block
            leaf.update(b"".join([data[start : start + block] for start in range(first, len(data), stripe)]))


def blake2bp512() -> ParallelBlake2:
    """BLAKE2bp with a digest of 512 bits."""

    def node(depth: int, offset: int, is_last: bool) -> _Blake2:
        return hashlib.blake2b(
            fanout=4, depth=2, inner_size=64, node_depth=depth, node_offset=offset, last_node=is_last
        )

    return ParallelBlake2(node, leaves=4, block=128)


def blake2sp256() -> ParallelBlake2:
    """BLAKE2sp with a digest of 256 bits."""

    def node(depth: int, offset: int, is_last: bool) -> _Blake2:
        return hashlib.blake2s(
            fanout=8, depth=2, inner_size=32, node_depth=depth, node_offset=offset, last_node=is_last
        )

    return ParallelBlake2(node, leaves=8, block=64)
