"""git's clean and smudge filters: what goes into git in place of annexed content, and what is noted when it comes out.

Source: git-annex, filter process: smudge never yields content, clean takes the work tree file, not the piped bytes.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from typing import IO

from annexd.annex import smudge_log
from annexd.annex.add_policy import ATTRIBUTES, AddPolicy
from annexd.annex.index_access import is_certain
from annexd.annex.ingest import AddAs, IngestOptions, ingest_file
from annexd.annex.location_log import Presence
from annexd.annex.smudge_log import Smudged
from annexd.annex.state import AnnexState
from annexd.backends.registry import Backend, backend, backend_for_new_keys
from annexd.errors import ContentChanged, UnsafePath
from annexd.formats.key import Key
from annexd.formats.paths import check_repo_path
from annexd.formats.pointer import MAX_POINTER, parse_pointer, pointer_for
from annexd.git.attributes import CheckAttr
from annexd.git.index import IndexEntry
from annexd.git.objects import BLOB, object_id

TRIES = 3
IN_MEMORY = 8 << 20     # bytes of content on its way through; more than that goes to a temporary file
MANY = 1000             # keys whose location is written down in one go
_LINK = 0o120000
_CHUNK = 1 << 16


class Filters:
    """Both filters for one run of git; owned by one thread, and closed by its owner, which writes down what is new.

    Paths are relative to the top of the work tree, as git gives them.
    """

    def __init__(self, state: AnnexState) -> None:
        self._state = state
        self._top = state.layout.work_tree or b""
        self._attributes = CheckAttr(state.repo, ATTRIBUTES)
        self._policy = AddPolicy(state.config, state.settings, self._attributes)
        self._options = IngestOptions.of(state.config)
        self._new: list[Key] = []
        self._by_inode: dict[tuple[int, int, int], IndexEntry] | None = None

    def smudge(self, path: bytes, content: bytes) -> None:
        """Note that a pointer is checked out at `path`; its content is put there after git is done."""
        key = parse_pointer(content) if len(content) <= MAX_POINTER else None
        if key is not None:
            smudge_log.note(self._state.layout, [Smudged(key, path)])

    def clean(self, path: bytes) -> CleanJob:
        """Start cleaning one file; its content is to be fed to the job."""
        return CleanJob(self, path)

    def close(self) -> None:
        """Write down where new content is. Raises LockTimeout, OSError."""
        self._attributes.close()
        self._record()

    # decisions

    def annexed_before(self, path: bytes, status: os.stat_result) -> Key | None:
        """The key that git has for the file: under its name, or under the one it was renamed from."""
        index = self._state.index.current()
        entry = index.get(path)
        if entry is None:
            entry = self._inodes().get((status.st_ino & 0xFFFFFFFF, status.st_mtime_ns, status.st_size & 0xFFFFFFFF))
        if entry is None or entry.mode == _LINK:
            return None
        return self._key_of(entry)

    def is_in_git(self, path: bytes, content: IO[bytes]) -> bool:
        """Whether git has just this content for the path, so that it stays as it is."""
        entry = self._state.index.current().get(path)
        if entry is None:
            return False
        content.seek(0)
        return object_id(BLOB, content.read()) == entry.oid

    def wants_annexed(self, path: bytes, status: os.stat_result) -> bool:
        """Whether a file that git has not, or that changed, is to be annexed by `git add`."""
        if not self._state.config.git_add_to_annex or status.st_size == 0:
            return False
        return self._policy.wants_annexed(path, status.st_size, self._top + b"/" + path)

    def work_tree_file(self, path: bytes) -> os.stat_result | None:
        """The stat of the regular file at `path` in the work tree; None for what the annex does not take."""
        try:
            check_repo_path(path)
            status = os.lstat(self._top + b"/" + path)
        except (UnsafePath, FileNotFoundError, NotADirectoryError):
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    # acting

    def pointer(self, path: bytes, status: os.stat_result, before: Key | None) -> bytes:
        """Take the work tree file into the annex; the pointer to its key.

        Not read again when it is the file that git knows. Raises ContentChanged when it is being written, OSError.
        """
        if before is not None and self._is_untouched(path, status):
            return pointer_for(before)
        if before is not None and before.size == 0 == status.st_size:
            return pointer_for(before)
        for attempt in range(TRIES):
            try:
                done = ingest_file(
                    self._state.store,
                    self._state.layout,
                    self._options,
                    self._top + b"/" + path,
                    repo_path=path,
                    backend=self._backend(path, before),
                    add_as=AddAs.UNLOCKED,
                )
                break
            except ContentChanged:
                if attempt == TRIES - 1:
                    raise
        self._new.append(done.key)
        if len(self._new) >= MANY:
            self._record()
        return pointer_for(done.key)

    def _backend(self, path: bytes, before: Key | None) -> Backend:
        known = backend(before.backend) if before is not None else None
        if known is not None and known.hasher() is not None:
            return known
        return backend_for_new_keys(self._policy.backend_of(path))

    def _is_untouched(self, path: bytes, status: os.stat_result) -> bool:
        index = self._state.index.current()
        entry = index.get(path)
        return entry is not None and is_certain(index, entry, status)

    def _inodes(self) -> dict[tuple[int, int, int], IndexEntry]:
        """Entries by the file they were made of, to know a renamed one; made when the first new file is asked for."""
        if self._by_inode is None:
            self._by_inode = {
                (entry.ino, entry.mtime_ns, entry.size): entry
                for entry in self._state.index.current().entries()
                if entry.size and entry.mode != _LINK
            }
        return self._by_inode

    def _key_of(self, entry: IndexEntry) -> Key | None:
        blob = self._state.objects.read_blob(entry.oid)
        return None if blob is None else parse_pointer(blob)

    def _record(self) -> None:
        keys, self._new = self._new, []
        locations, uuid = self._state.locations, self._state.uuid
        if not keys:
            return
        if self._state.config.always_commit:
            locations.record_many([(key, uuid, Presence.PRESENT) for key in keys])
        else:
            for key in keys:
                locations.record(key, uuid, Presence.PRESENT)


class CleanJob:
    """One file being cleaned. The content that git pipes is kept only as far as it may have to be given back."""

    def __init__(self, filters: Filters, path: bytes) -> None:
        self._filters = filters
        self._path = path
        self._status = filters.work_tree_file(path)
        self._before: Key | None = None
        self._to_annex = False
        if self._status is not None:
            self._before = filters.annexed_before(path, self._status)
            self._to_annex = self._before is not None or filters.wants_annexed(path, self._status)
        self._piped = 0
        self._kept: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)     # closed in `output`

    def feed(self, data: bytes) -> None:
        """A piece of what git pipes."""
        self._piped += len(data)
        if self._before is None or self._piped <= MAX_POINTER:
            self._kept.write(data)

    def output(self) -> Iterator[bytes]:
        """What goes into git, once all was fed: the pointer, or what was piped. Raises as `Filters.pointer` does."""
        with self._kept:
            pointer = None if self._is_pointer() else self._pointer()
            if pointer is not None:
                yield pointer
                return
            self._kept.seek(0)
            while data := self._kept.read(_CHUNK):
                yield data

    def _is_pointer(self) -> bool:
        if not 0 < self._piped <= MAX_POINTER:
            return False
        self._kept.seek(0)
        return parse_pointer(self._kept.read()) is not None

    def _pointer(self) -> bytes | None:
        if not self._to_annex or self._status is None:
            return None
        if self._before is None and self._filters.is_in_git(self._path, self._kept):
            return None
        return self._filters.pointer(self._path, self._status, self._before)
