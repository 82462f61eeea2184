"""The kernel's watches on a directory tree: setting them, and keeping them in step with the tree."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from annexd.system.fs_event import FsEvent, FsEventKind
from annexd.system.inotify import NO_MORE_INSTANCES, NO_MORE_WATCHES, In, Inotify, RawEvent
from annexd.system.watch_tree import WatchedDir, WatchTree

_DIR_MASK = (
    In.IN_CLOSE_WRITE | In.IN_ATTRIB | In.IN_CREATE | In.IN_DELETE | In.IN_MOVED_FROM | In.IN_MOVED_TO | In.IN_ONLYDIR
)
_ROOT_MASK = _DIR_MASK | In.IN_DELETE_SELF | In.IN_MOVE_SELF


class Watches:
    """All watches below one root. Owned by one thread.

    Where the kernel allows no more, `limit` holds its error, and `on_limit(path)` is called for each refusal.
    `on_unreadable(path)` is called for each directory that we may not read, and so not watch.
    """

    def __init__(
        self,
        root: bytes,
        ignore: Callable[[bytes], bool],
        on_limit: Callable[[bytes], None],
        on_unreadable: Callable[[bytes], None],
        *,
        recursive: bool,
    ) -> None:
        self.root = root
        self.tree = WatchTree(-1)
        self.limit: OSError | None = None
        self._ignore = ignore
        self._on_limit = on_limit
        self._on_unreadable = on_unreadable
        self._recursive = recursive
        self._inotify: Inotify | None = None

    def open(self) -> None:
        """Watch the root and what is below it. OSError when it cannot be watched, for another reason than a limit."""
        self.limit = None
        try:
            self._inotify = Inotify()
            self.tree = WatchTree(self._inotify.add(self.root, _ROOT_MASK))
        except OSError as error:
            self.close()
            if error.errno not in (*NO_MORE_WATCHES, *NO_MORE_INSTANCES):
                raise
            self._reach_limit(error, b"")
        else:
            self._watch_below()

    def close(self) -> None:
        """Give all watches back."""
        inotify, self._inotify = self._inotify, None
        self.tree = WatchTree(-1)
        if inotify is not None:
            inotify.close()

    def renew(self) -> None:
        """Set the watches anew after some may have been lost, keeping those that are right."""
        inotify = self._inotify
        if inotify is None:
            self.open()
            return
        self.limit = None
        before = set(self.tree)
        self.tree = WatchTree(self.tree.root.wd)
        self._watch_below()
        for wd in before.difference(self.tree):
            inotify.remove(wd)

    def fd(self) -> int | None:
        """What to poll for events; None when there is nothing to wait for."""
        return self._inotify.fd if self._inotify is not None else None

    def read(self) -> list[RawEvent]:
        """The events that wait, without blocking."""
        return self._inotify.read() if self._inotify is not None else []

    def adopt(self, parent: WatchedDir, name: bytes) -> list[FsEvent]:
        """Watch a directory that is new in its place; the events for it and all that is in it."""
        path = join(parent.path(), name)
        events = [FsEvent(FsEventKind.DIR_APPEARED, path, True)]
        if not self._recursive:
            return events
        before = parent.children.get(name)
        node = self._enter(parent, name)
        if node is not None and node is before and not node.is_stale:   # found already, when its parent was scanned
            self._scan_unsure(node, events)
        else:
            self._scan(node, path, events)
        return events

    def discover(self, parent: WatchedDir, name: bytes) -> list[FsEvent]:
        """Watch a directory that could not be watched before, if that is so, and can be now."""
        return self.adopt(parent, name) if self._recursive and name not in parent.children else []

    def follow(self, node: WatchedDir | None, source: bytes, parent: WatchedDir, name: bytes) -> list[FsEvent]:
        """Take the watches along with a directory that was moved inside the tree from the path `source`.

        `node` is what was known under the old name.
        """
        here = self._enter(parent, name)
        if here is None and node is not None and self.tree.move(node, parent, name):
            here = node         # already elsewhere; what led there is told next
        if here is None:
            return [FsEvent(FsEventKind.DIR_GONE, source, True), *self.adopt(parent, name)]
        events = [FsEvent(FsEventKind.MOVED, source, True, join(parent.path(), name))]
        if here is not node:    # another one has come to this place meanwhile
            self._scan(here, here.path(), events)
        self._scan_unsure(here, events)
        return events

    def drop(self, node: WatchedDir) -> None:
        """Give back the watches of a directory that is no longer in the tree, and of all below it."""
        for wd in self.tree.drop(node):
            if self._inotify is not None:
                self._inotify.remove(wd)

    def _watch_below(self) -> None:
        if self._recursive:
            self._scan(self.tree.root, b"", None)

    def _scan(self, top: WatchedDir | None, top_path: bytes, events: list[FsEvent] | None) -> None:
        """Watch all directories below `top` (None: it cannot be watched); add what is there to `events`, if given."""
        rest = [(top, top_path)]
        while rest:
            node, path = rest.pop()
            with self._opened(node, path) as fd:
                if node is not None:
                    node.is_stale = False
                for name, is_dir in _list(fd):
                    child = join(path, name)
                    if (events is None and not is_dir) or self._ignore(child):
                        continue
                    if events is not None:
                        kind = FsEventKind.DIR_APPEARED if is_dir else FsEventKind.APPEARED
                        events.append(FsEvent(kind, child, is_dir))
                    if is_dir:
                        below = self._enter_at(node, fd, name) if node is not None else None
                        if below is not None or events is not None:
                            rest.append((below, child))

    def _scan_unsure(self, top: WatchedDir, events: list[FsEvent]) -> None:
        for node in self.tree.take_unsure(top):
            self._scan(node, node.path(), events)

    def _enter(self, parent: WatchedDir, name: bytes) -> WatchedDir | None:
        with self._opened(parent, parent.path()) as fd:
            return self._enter_at(parent, fd, name) if fd is not None else None

    def _enter_at(self, parent: WatchedDir, parent_fd: int | None, name: bytes) -> WatchedDir | None:
        """Watch a directory; None when it is not there (any more), not readable, or one too many."""
        if self._inotify is None or parent_fd is None:
            return None
        try:
            wd = self._inotify.add(b"/proc/self/fd/%d/%s" % (parent_fd, name), _DIR_MASK | In.IN_DONT_FOLLOW)
        except OSError as error:
            if error.errno in NO_MORE_WATCHES:
                self._reach_limit(error, join(parent.path(), name))
            elif error.errno == errno.EACCES:
                self._on_unreadable(join(parent.path(), name))
            return None
        known = self.tree.get(wd)
        if known is None:
            return self.tree.add(wd, parent, name)
        return known if self.tree.move(known, parent, name) else None

    @contextmanager
    def _opened(self, node: WatchedDir | None, path: bytes) -> Iterator[int | None]:
        """Open a directory, and make sure that it is the one that is watched as `node`.

        Without that, what is found in a directory that has just taken the place of another one would be put under the
        wrong name, and stay there. When it is another one, or gone, an event will tell; until then it is unsure.
        """
        try:
            fd = os.open(join(self.root, path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if node is not None and error.errno in (errno.ENOENT, errno.ENOTDIR):
                self.tree.unsure.add(node)
            yield None
            return
        try:
            if node is None or self._is_watched_as(fd, node.wd):
                yield fd
            else:
                self.tree.unsure.add(node)
                yield None
        finally:
            os.close(fd)

    def _is_watched_as(self, fd: int, wd: int) -> bool:
        """The kernel gives the same number for the same directory, so ask it to watch it (once more, we hope)."""
        if self._inotify is None:
            return False
        try:
            found = self._inotify.add(b"/proc/self/fd/%d" % fd, _DIR_MASK | In.IN_MASK_ADD)
        except OSError:
            return False
        if found not in self.tree:
            self._inotify.remove(found)
        return found == wd

    def _reach_limit(self, error: OSError, path: bytes) -> None:
        self.limit = error
        self._on_limit(path)


def join(directory: bytes, name: bytes) -> bytes:
    """The path of `name` in `directory`; either may be empty."""
    if not directory:
        return name
    return directory + b"/" + name if name else directory


def identity(root: bytes) -> tuple[int, int] | None:
    """Which directory the root is now; None when there is none."""
    try:
        status = os.stat(root)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _list(fd: int | None) -> list[tuple[bytes, bool]]:
    if fd is None:
        return []
    with os.scandir(fd) as entries:
        return [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
