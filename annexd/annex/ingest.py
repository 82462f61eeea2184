"""A file of the work tree becomes a key with its content in the object store."""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from annexd.annex.config import AnnexConfig
from annexd.annex.layout import RepoLayout
from annexd.annex.objects import ObjectStore
from annexd.annex.work_entries import EXECUTABLE_MODE, FILE_MODE, LINK_MODE, looks_same
from annexd.backends.registry import Backend, backend, hash_file, key_for_digest, verify, worm_key
from annexd.errors import ContentChanged, ContentError
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.pointer import link_target, pointer_for
from annexd.system import files
from annexd.system.rename import replace_expected

SMALL = files.SMALL
"""Bytes up to which a file is read, hashed and written in one step."""


class AddAs(enum.Enum):
    """What becomes of the file in the work tree."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """The settings that making keys and objects depends on."""

    max_extension_length: int = 4
    max_extensions: int = 2
    thin: bool = False

    @classmethod
    def of(cls, config: AnnexConfig) -> IngestOptions:
        """Those of a repository."""
        return cls(config.max_extension_length, config.max_extensions, config.thin)


class Ingested(NamedTuple):
    """A file that is in the annex now, and what git is to know about it.

    `mode` is git's mode, `content` the pointer text or link target, `stat` that of the file now in the work tree.
    """

    key: Key
    mode: int
    content: bytes
    stat: os.stat_result
    size: int

    @property
    def is_empty(self) -> bool:
        """Empty files must not be annexed unlocked: git gets in trouble with them."""
        return self.size == 0


def ingest_file(
    store: ObjectStore,
    layout: RepoLayout,
    options: IngestOptions,
    path_abs: bytes,
    *,
    repo_path: bytes,
    backend: Backend,
    add_as: AddAs,
    known: tuple[Key, os.stat_result] | None = None,
    read: tuple[bytes, os.stat_result] | None = None,
) -> Ingested:
    """Put the content of the regular file into the store, and for LOCKED a symlink in the file's place.

    With `known`, the file held that key's content when it had that stat (it was renamed, say), and is not read if it
    still has it and the content is in the store. `read` is what was read of the file already, and its stat from before
    that. Needs no lock. Nobody should have the file open for writing; a change during the work is found and raises
    ContentChanged, with the file as the writer left it. Raises ContentError for what cannot be read, NoSpace.
    Blocks for as long as reading takes.
    """
    with _errors_name(path_abs):
        before = os.lstat(path_abs)
        if not stat.S_ISREG(before.st_mode):
            raise ContentError(f"{display(repo_path)} is not a regular file")
        job = _Job(store, options, path_abs, repo_path, backend, before)
        if known is not None and _still_holds(*known, before) and store.is_present(known[0]):
            key = known[0]
        elif add_as is AddAs.LOCKED:
            return _ingest_locked(job, layout)
        else:
            key = job.store_copy(None if read is None or not same_file(read[1], before) else read[0])
        if add_as is AddAs.LOCKED:
            return _replace_by_link(job, layout, key)
        mode = EXECUTABLE_MODE if before.st_mode & 0o100 else FILE_MODE
        return Ingested(key, mode, pointer_for(key), job.unchanged_stat(), before.st_size)


def same_file(before: os.stat_result, now: os.stat_result) -> bool:
    """Whether two looks at a path saw the same file with the same content, as far as stat tells."""
    return (
        before.st_mtime_ns == now.st_mtime_ns
        and before.st_ino == now.st_ino
        and before.st_size == now.st_size
        and before.st_dev == now.st_dev
        and stat.S_ISREG(now.st_mode)
    )


def _still_holds(key: Key, seen: os.stat_result, now: os.stat_result) -> bool:
    return same_file(seen, now) and key.size in (None, now.st_size)


def store_content(store: ObjectStore, path_abs: bytes, key: Key) -> bool:
    """Copy the file's content into the store if it is sure to be that of `key`; whether it was. OSError, NoSpace."""
    known = backend(key.backend)
    hasher = None if known is None else known.hasher()
    if hasher is None:
        return False
    source = os.open(path_abs, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size = os.fstat(source).st_size
        if key.size not in (None, size):
            return False
        store.check_reserve(size)
        target, temp = store.create_temp()
        try:
            try:
                files.copy_with_hash(source, target, hasher)
                os.fchmod(target, os.fstat(source).st_mode & 0o777)
            finally:
                os.close(target)
            if not verify(key, hasher.hexdigest()):
                return False
            store.put_file(temp, key)
            return True
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temp)
    finally:
        os.close(source)


class _Job:
    """One file on its way into the store."""

    def __init__(
        self,
        store: ObjectStore,
        options: IngestOptions,
        path_abs: bytes,
        repo_path: bytes,
        backend: Backend,
        before: os.stat_result,
    ) -> None:
        self.store = store
        self.options = options
        self.path_abs = path_abs
        self.repo_path = repo_path
        self.backend = backend
        self.before = before

    def store_copy(self, read: bytes | None = None) -> Key:
        """The file's content as an object of its own, or for annex.thin as a second name of the file.

        `read` is its content, if that is known already.
        """
        if self.options.thin:
            with suppress(_CannotLink):
                return self._store_link(frozen=False)
        if read is not None and len(read) == self.before.st_size:
            return self._store_small(read)
        fd = self.open()
        try:
            if self.before.st_size <= SMALL:
                return self._store_small(self._read_small(fd))
            return self._store_large(fd)
        finally:
            os.close(fd)

    def hash_in_place(self) -> Key:
        """The key of the file, from reading it."""
        fd = self.open()
        try:
            if self.before.st_size <= SMALL:
                return self.key(self._digest(self._read_small(fd)))
            hasher = self.backend.hasher()
            if hasher is None:
                return self.key(None)
            hash_file(fd, hasher)
            return self.key(hasher.hexdigest())
        finally:
            os.close(fd)

    def link(self, key: Key, *, frozen: bool) -> None:
        """Make the file itself the object. Raises _CannotLink where the file system has no such links."""
        try:
            self.store.link_in(self.path_abs, key, frozen=frozen)
        except OSError as error:
            raise _CannotLink from error

    def open(self) -> int:
        """The file, open for reading, and sure to be the one that was looked at."""
        fd = os.open(self.path_abs, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if os.fstat(fd).st_ino != self.before.st_ino:
            os.close(fd)
            raise self.changed()
        return fd

    def key(self, digest: str | None) -> Key:
        """The key for content of this digest; None for a backend that does not hash."""
        if digest is None:
            return worm_key(self.repo_path, self.before.st_size, self.before.st_mtime_ns // 1_000_000_000)
        name = self.repo_path[self.repo_path.rfind(b"/") + 1 :]
        return key_for_digest(
            self.backend,
            digest,
            self.before.st_size,
            name,
            self.options.max_extension_length,
            self.options.max_extensions,
        )

    def is_unchanged(self, path_abs: bytes) -> bool:
        """Whether the file, by the name it has now, is as it was when we started."""
        return same_file(self.before, os.lstat(path_abs))

    def unchanged_stat(self) -> os.stat_result:
        """The file's stat now, provided it is as it was when we started. Raises ContentChanged."""
        now = os.lstat(self.path_abs)
        if not same_file(self.before, now):
            raise self.changed()
        return now

    def refuse_open(self) -> None:
        """Raises ContentChanged while somebody has the file open for writing: what they write next would go into the
        object, or into a file that has no name any more.
        """
        is_open = False
        with suppress(OSError):     # something else is there by now: its stat tells
            is_open = files.has_open_writer(self.path_abs)
        if is_open:
            raise self.changed()

    def changed(self) -> ContentChanged:
        """The error to raise when the file is no longer what it was."""
        return ContentChanged(f"{display(self.repo_path)} changed while it was being added")

    def _digest(self, data: bytes) -> str | None:
        hasher = self.backend.hasher()
        if hasher is None:
            return None
        hasher.update(data)
        return hasher.hexdigest()

    def _read_small(self, fd: int) -> bytes:
        size = self.before.st_size
        data = os.read(fd, size + 1)
        if len(data) != size:
            raise self.changed()
        return data

    def _store_small(self, data: bytes) -> Key:
        key = self.key(self._digest(data))
        self.unchanged_stat()
        self.store.put_bytes(data, key, self.before.st_mode & 0o777)
        return key

    def _store_link(self, *, frozen: bool) -> Key:
        key = self.hash_in_place()
        self.unchanged_stat()
        self.link(key, frozen=frozen)
        return key

    def _store_large(self, fd: int) -> Key:
        """One pass over the file: its bytes are hashed while they are copied."""
        self.store.check_reserve(self.before.st_size)
        hasher = self.backend.hasher()
        target, temp = self.store.create_temp()
        try:
            try:
                if files.reflink(fd, target):
                    size = os.fstat(target).st_size
                    if hasher is not None:
                        hash_file(target, hasher)
                else:
                    size = files.copy_with_hash(fd, target, hasher or _NoHash())
                os.fchmod(target, self.before.st_mode & 0o777)
            finally:
                os.close(target)
            if size != self.before.st_size:
                raise self.changed()
            self.unchanged_stat()
            key = self.key(None if hasher is None else hasher.hexdigest())
            self.store.put_file(temp, key)
            return key
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temp)
            raise


def _ingest_locked(job: _Job, layout: RepoLayout) -> Ingested:
    """The file loses its write bits first, so that who opens it later cannot write into what becomes an object."""
    mode = job.before.st_mode & 0o7777
    with _mode_restored_on_failure(job, mode):
        os.chmod(job.path_abs, mode & ~0o222)
        key = job.hash_in_place()
        job.refuse_open()
        job.unchanged_stat()
        try:
            job.link(key, frozen=True)
        except _CannotLink:
            key = job.store_copy()
        return _replace_by_link(job, layout, key)


def _replace_by_link(job: _Job, layout: RepoLayout, key: Key) -> Ingested:
    """The object is in place; now the symlink takes the file's name, unless the file changed."""
    target = link_target(job.repo_path, layout.link_object_path(key))
    temp = job.store.temp_path()
    _symlink(target, temp)
    try:
        job.refuse_open()
        made = os.lstat(temp)
        job.unchanged_stat()
        try:
            is_done = replace_expected(temp, job.path_abs, job.is_unchanged)
        except OSError:     # the work tree is on another file system than the git directory
            os.unlink(temp)
            temp = job.path_abs + b".annexd-%d" % os.getpid()
            os.symlink(target, temp)
            made = os.lstat(temp)
            is_done = replace_expected(temp, job.path_abs, job.is_unchanged)
        if not is_done:
            raise job.changed()
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temp)
        raise
    now = os.lstat(job.path_abs)
    if not looks_same(made, now):   # somebody's newer file: its stat must not go with our link
        raise job.changed()
    return Ingested(key, LINK_MODE, target, now, job.before.st_size)


def _symlink(target: bytes, path: bytes) -> None:
    try:
        os.symlink(target, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)


class _CannotLink(Exception):
    """The file system has no hard links here; a copy will do."""


class _NoHash:
    def update(self, _data: bytes | memoryview, /) -> object:
        """Backends that do not hash need no bytes."""
        return None


@contextmanager
def _mode_restored_on_failure(job: _Job, mode: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            now = os.lstat(job.path_abs)
            if now.st_ino == job.before.st_ino and stat.S_ISREG(now.st_mode):
                os.chmod(job.path_abs, mode)
        raise


@contextmanager
def _errors_name(path: bytes) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ContentChanged(f"{display(path)} vanished while it was being added") from error
    except OSError as error:
        raise ContentError(f"{display(path)} could not be added: {error.strerror}") from error


