"""From what the kernel says to what happened: halves of moves are put together, new directories looked into."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import NamedTuple

from annexd.system.fs_event import FsEvent, FsEventKind
from annexd.system.inotify import In, RawEvent
from annexd.system.watch_tree import WatchedDir
from annexd.system.watches import Watches, join

CREATE_GRACE = 0.002        # seconds in which a new file is expected to be closed, before it is reported without that
MOVE_GRACE = 0.01           # seconds in which the second half of a move is expected

_ROOT_GONE = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT | In.IN_IGNORED


class Trouble(enum.Enum):
    """Why single events are no longer enough."""

    NONE = enum.auto()
    UNMOUNTED = enum.auto()     # something below the root: the directory that it lay upon needs watches
    OVERFLOW = enum.auto()      # the kernel dropped events
    ROOT_LOST = enum.auto()     # the root was deleted, moved or unmounted


class _MovedFrom(NamedTuple):
    """The first half of a move."""

    parent: WatchedDir
    name: bytes
    is_dir: bool
    watched: WatchedDir | None      # what was known under the name: a newer directory may come there any moment

    def path(self) -> bytes:
        """Where it was."""
        return join(self.parent.path(), self.name)


class Interpreter:
    """Turns raw events into `events`, which its owner takes away. Owned by one thread.

    A new file waits a little for its close event, and the first half of a move for the second: `due` says until when,
    then `release` reports them as they are.
    """

    def __init__(self, watches: Watches, ignore: Callable[[bytes], bool]) -> None:
        self.events: list[FsEvent] = []
        self.trouble = Trouble.NONE
        self._watches = watches
        self._ignore = ignore
        self._created: dict[bytes, None] = {}                               # in order; not seen closed yet
        self._moved_from: dict[int, _MovedFrom] = {}                        # first halves of moves, by cookie
        self._held_since = 0.0

    def take(self) -> list[FsEvent]:
        """The events so far."""
        events, self.events = self.events, []
        return events

    def due(self) -> float | None:
        """The moment (of the monotonic clock) to call `release`; None when nothing waits."""
        if not (self._created or self._moved_from):
            return None
        return self._held_since + (MOVE_GRACE if self._moved_from else CREATE_GRACE)

    def release(self) -> None:
        """Wait no longer: report new files although not closed, and halves of moves as what left the tree."""
        self._release_created()
        moved, self._moved_from = self._moved_from, {}
        for source in moved.values():
            self._moved_out(source)

    def forget(self) -> None:
        """Drop what waits: everything is going to be looked at anyway."""
        self._created.clear()
        self._moved_from.clear()
        self.trouble = Trouble.NONE

    def interpret(self, raw: list[RawEvent]) -> None:
        """Take in events of the kernel, in their order."""
        node: WatchedDir | None = None
        prefix = b""
        last_wd = -2            # the path of a directory is put together once for a run of events in it
        for wd, mask, cookie, name in raw:
            if wd != last_wd:
                last_wd = wd
                node = self._watches.tree.get(wd)
                if node is not None:
                    path = node.path()
                    prefix = path + b"/" if path else b""
            if mask & In.IN_Q_OVERFLOW:
                self.trouble = Trouble.OVERFLOW
            elif node is not None and not name:
                last_wd = -2
                self._happened_to_itself(node, mask)
            elif node is not None and self._ignore(prefix + name):
                self._happened_to_ignored(mask, cookie)
            elif node is not None and mask & In.IN_ISDIR:
                last_wd = -2
                self._happened_to_dir(node, prefix + name, name, mask, cookie)
            elif node is not None:
                self._happened_to_file(node, prefix + name, name, mask, cookie)
            if self.trouble is Trouble.ROOT_LOST:
                return

    def _happened_to_file(self, node: WatchedDir, path: bytes, name: bytes, mask: int, cookie: int) -> None:
        if mask & In.IN_CREATE:
            self._hold()
            self._created[path] = None
            return
        if mask & In.IN_ATTRIB:
            if path not in self._created:
                self.events.append(FsEvent(FsEventKind.ATTRIB, path))
            return
        self._created.pop(path, None)
        if mask & In.IN_CLOSE_WRITE:
            self.events.append(FsEvent(FsEventKind.CLOSED, path))
        elif mask & In.IN_DELETE:
            self.events.append(FsEvent(FsEventKind.GONE, path))
        elif mask & In.IN_MOVED_FROM:
            self._hold()
            self._moved_from[cookie] = _MovedFrom(node, name, False, None)
        elif mask & In.IN_MOVED_TO:
            self._moved_to(path, self._moved_from.pop(cookie, None))

    def _moved_to(self, path: bytes, source: _MovedFrom | None) -> None:
        if source is None:
            self.events.append(FsEvent(FsEventKind.APPEARED, path))
        else:
            self.events.append(FsEvent(FsEventKind.MOVED, source.path(), False, path))

    def _happened_to_dir(self, parent: WatchedDir, path: bytes, name: bytes, mask: int, cookie: int) -> None:
        self._release_created()     # some may be inside of it, and should be told under the right name
        if mask & In.IN_CREATE:
            self.events += self._watches.adopt(parent, name)
            self._claim(parent.children.get(name))
        elif mask & In.IN_ATTRIB:
            self.events += self._watches.discover(parent, name)
        elif mask & In.IN_DELETE:
            if name in parent.children:
                parent.children[name].is_stale = True
            self.events.append(FsEvent(FsEventKind.DIR_GONE, path, True))
        elif mask & In.IN_MOVED_FROM:
            self._hold()
            self._moved_from[cookie] = _MovedFrom(parent, name, True, parent.children.get(name))
        elif mask & In.IN_MOVED_TO:
            source = self._moved_from.pop(cookie, None)
            if source is None:
                self.events += self._watches.adopt(parent, name)
            else:
                self.events += self._watches.follow(source.watched, source.path(), parent, name)
            self._claim(parent.children.get(name))

    def _claim(self, node: WatchedDir | None) -> None:
        """This one has arrived, so it is not the one of which only the leaving was told."""
        for cookie, source in self._moved_from.items():
            if node is not None and source.watched is node:
                self._moved_from[cookie] = source._replace(watched=None)

    def _happened_to_itself(self, node: WatchedDir, mask: int) -> None:
        if node.parent is None:
            if mask & _ROOT_GONE:
                self.trouble = Trouble.ROOT_LOST
        elif mask & In.IN_UNMOUNT:
            if self.trouble is Trouble.NONE:
                self.trouble = Trouble.UNMOUNTED
        elif mask & In.IN_IGNORED:
            self._watches.drop(node)

    def _happened_to_ignored(self, mask: int, cookie: int) -> None:
        """A move to an ignored name is, for us, a move out of the tree."""
        source = self._moved_from.pop(cookie, None) if mask & In.IN_MOVED_TO else None
        if source is not None:
            self._moved_out(source)

    def _moved_out(self, source: _MovedFrom) -> None:
        kind = FsEventKind.DIR_GONE if source.is_dir else FsEventKind.GONE
        self.events.append(FsEvent(kind, source.path(), source.is_dir))
        node = source.watched
        if node is not None and node.parent is source.parent and node.name == source.name:
            self._watches.drop(node)

    def _hold(self) -> None:
        if not (self._created or self._moved_from):
            self._held_since = time.monotonic()

    def _release_created(self) -> None:
        created, self._created = self._created, {}
        self.events.extend(FsEvent(FsEventKind.APPEARED, path) for path in created)
