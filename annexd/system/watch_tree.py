"""Which watch of the kernel belongs to which directory of a tree."""

from __future__ import annotations

from collections.abc import Iterator


class WatchedDir:
    """A watched directory: `wd` is the kernel's number for the watch, `name` that of the directory in its parent."""

    __slots__ = ("children", "is_stale", "name", "parent", "wd")

    def __init__(self, wd: int, name: bytes, parent: WatchedDir | None) -> None:
        self.wd = wd
        self.name = name
        self.parent = parent
        self.children: dict[bytes, WatchedDir] = {}
        self.is_stale = False       # a deletion was seen under this name: look again if it is made anew

    def path(self) -> bytes:
        """Relative to the root; b"" is the root itself."""
        parts = []
        node = self
        while node.parent is not None:
            parts.append(node.name)
            node = node.parent
        return b"/".join(reversed(parts))

    def is_inside(self, other: WatchedDir) -> bool:
        """Whether it is `other`, or below it."""
        node: WatchedDir | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False


class WatchTree:
    """Follows moves of directories in one step however large they are. Owned by one thread."""

    def __init__(self, root_wd: int) -> None:
        self.root = WatchedDir(root_wd, b"", None)
        self.unsure: set[WatchedDir] = set()    # may hold directories that are not watched
        self._by_wd = {root_wd: self.root}

    def __len__(self) -> int:
        return len(self._by_wd)

    def __contains__(self, wd: int) -> bool:
        return wd in self._by_wd

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_wd)

    def get(self, wd: int) -> WatchedDir | None:
        """The directory with that watch, None when it is not (or no longer) in the tree."""
        return self._by_wd.get(wd)

    def add(self, wd: int, parent: WatchedDir, name: bytes) -> WatchedDir:
        """Note a new watch; a directory that was noted under the same name before stays known by its watch only."""
        node = WatchedDir(wd, name, parent)
        parent.children[name] = node
        self._by_wd[wd] = node
        return node

    def move(self, node: WatchedDir, parent: WatchedDir, name: bytes) -> bool:
        """Put a directory, with all below it, elsewhere. False, and nothing done, if that is inside of itself."""
        if parent.is_inside(node):
            return False
        self._unlink(node)
        node.parent, node.name = parent, name
        parent.children[name] = node
        return True

    def take_unsure(self, top: WatchedDir) -> list[WatchedDir]:
        """Those that are `top` or below it; they are not unsure any more."""
        found = [node for node in self.unsure if node.is_inside(top)]
        self.unsure.difference_update(found)
        return found

    def drop(self, node: WatchedDir) -> list[int]:
        """Forget a directory and all below it; their watches."""
        self._unlink(node)
        gone = []
        rest = [node]
        while rest:
            node = rest.pop()
            rest.extend(node.children.values())
            if self._by_wd.get(node.wd) is node:
                del self._by_wd[node.wd]
                self.unsure.discard(node)
                gone.append(node.wd)
        return gone

    def _unlink(self, node: WatchedDir) -> None:
        if node.parent is not None and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]
