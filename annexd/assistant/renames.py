"""A file that is in the index under another name need not be read again: device, inode, size and time tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from annexd.assistant.changes import ChangeKind
from annexd.assistant.classify import Finding, What, is_same_content
from annexd.assistant.root_guard import is_missing
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE

REMEMBERED = 20_000     # removed files whose return under another name is still recognised


class Renames:
    """Finds the old names of new files. Owned by the committer's thread."""

    def __init__(self) -> None:
        self._removed: OrderedDict[int, IndexEntry] = OrderedDict()     # by inode
        self._by_inode: dict[int, IndexEntry] = {}
        self._stamp: object = None
        self._found: dict[bytes, IndexEntry] = {}
        self._vanished: list[bytes] = []

    def remember(self, entry: IndexEntry) -> None:
        """A path was removed; the file may turn up again."""
        if entry.mode in (MODE_FILE, MODE_EXECUTABLE) and entry.ino and entry.size:
            self._removed[entry.ino] = entry
            if len(self._removed) > REMEMBERED:
                self._removed.popitem(last=False)

    def look_up(self, files: Sequence[Finding], index: GitIndex, top: bytes) -> None:
        """Find the old names of those of `files` that are new; call this while the index cannot change."""
        self._found.clear()
        self._vanished.clear()
        new = [f for f in files if _may_be_renamed(f)]
        if not new:
            return
        wanted = {f.stat.st_ino & 0xFFFFFFFF for f in new if f.stat is not None}
        for ino, entry in _with_inodes(index, wanted):
            self._by_inode[ino] = entry
        for finding in new:
            self._match(finding, index, top)
        self._by_inode.clear()

    def source(self, finding: Finding) -> IndexEntry | None:
        """The index entry, of another path, that holds the same content; None when the file has to be read."""
        return self._found.get(finding.path)

    def vanished(self) -> Iterable[bytes]:
        """Paths in the index that were found to be renamed, though their removal may not have been told yet."""
        return self._vanished

    def _match(self, finding: Finding, index: GitIndex, top: bytes) -> None:
        status = finding.stat
        assert status is not None
        ino = status.st_ino & 0xFFFFFFFF
        entry = self._by_inode.get(ino)
        if entry is not None and is_same_content(index, entry, status):
            self._found[finding.path] = entry
            if is_missing(top + b"/" + entry.path):
                self._vanished.append(entry.path)
            return
        removed = self._removed.pop(ino, None)
        if removed is not None and is_same_content(index, removed, status):
            self._found[finding.path] = removed


def _may_be_renamed(finding: Finding) -> bool:
    """A rename changes a file's ctime and not its mtime; who wrote it set both."""
    status = finding.stat
    if finding.what is not What.FILE or finding.entry is not None or status is None or not status.st_size:
        return False
    return finding.change.kind is not ChangeKind.WRITTEN and status.st_ctime_ns > status.st_mtime_ns


def _with_inodes(index: GitIndex, wanted: set[int]) -> Iterable[tuple[int, IndexEntry]]:
    for entry in index.entries():
        if entry.ino in wanted and entry.mode in (MODE_FILE, MODE_EXECUTABLE):
            yield entry.ino, entry
