"""The content of keys in one repository: where it is, how it comes in and goes; whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from annexd.annex.layout import RepoLayout
from annexd.annex.lockdown import Lockdown
from annexd.errors import ContentLocked, ContentMissing, FormatError, NoSpace
from annexd.formats.key import MAX_FILE_NAME, Key, check_safe
from annexd.formats.units import format_size
from annexd.system import files, processes
from annexd.system.lock_pool import LOCKS, Hold, OnRelease
from annexd.threads.faults import reach

FIRST_VERSION_WITH_LOCK_FILES = 10
PART = b".part"
REMEMBERED_KEYS = 1000
TRIES = 5       # others remove empty hash directories while we make them

_NOT_THERE = frozenset((errno.ENOENT, errno.EACCES, errno.ENOSPC, errno.EDQUOT, errno.EIO))

_serial = itertools.count()     # next() on it is atomic; it only makes temporary names differ


class StoreConfig(Protocol):
    """What the store needs of AnnexConfig."""

    @property
    def disk_reserve(self) -> int: ...
    @property
    def shared_repository(self) -> str | None: ...
    @property
    def crippled_file_system(self) -> bool: ...
    @property
    def freeze_command(self) -> str | None: ...
    @property
    def thaw_command(self) -> str | None: ...


class ObjectStore:
    """Content by key. Any thread may call any method; content appears under its name only when whole, and read-only.

    Its only mutable parts are caches, of which each step is atomic.

    Source: git-annex, .git/annex/objects.
    """

    def __init__(self, layout: RepoLayout, config: StoreConfig) -> None:
        self.layout = layout
        self.lockdown = Lockdown(
            shared_repository=config.shared_repository,
            freeze_command=config.freeze_command,
            thaw_command=config.thaw_command,
            crippled=config.crippled_file_system,
        )
        self._reserve = config.disk_reserve
        self._temp_dir = layout.annexd_dir + b"/tmp"
        self._known_places: dict[Key, tuple[bytes, ...]] = {}   # one key is looked for several times in a row
        self._known_version: tuple[tuple[int, int, int], int] | None = None    # replaced whole, so no lock is needed

    # asking

    def locate(self, key: Key) -> bytes | None:
        """Where the content of `key` is; None when it is not here. Raises UnsafeKey."""
        return _first_file(self._places(key))

    def is_present(self, key: Key) -> bool:
        """Whether the content of `key` is here. Raises UnsafeKey."""
        return self.locate(key) is not None

    def size(self, key: Key) -> int | None:
        """Bytes that the content takes here; None when it is not here."""
        path = self.locate(key)
        try:
            return None if path is None else os.stat(path).st_size
        except FileNotFoundError:
            return None

    def all_keys(self) -> Iterator[Key]:
        """Every key whose content is here, in no order. Walks the whole store, passing over names that are no keys."""
        seen: set[Key] = set()
        for directory in _leaf_directories(self.layout.objects_dir):
            name = os.path.basename(directory)
            with suppress(FormatError):
                key = Key.from_file_name(name)
                if key not in seen and _is_file(directory + b"/" + name):
                    seen.add(key)
                    yield key

    # bringing in

    def temp_path(self) -> bytes:
        """A new name for a temporary file on the file system of the objects. Its directory exists.

        The name holds our pid, so that clean-up can tell leftovers from what is in use.
        """
        return b"%b/%d-%d" % (self._temp_dir, os.getpid(), next(_serial))

    def own_temp(self, part: bytes) -> bytes:
        """A finished copy under a name that recovery does not take for that of a mere copy; the new path. OSError.

        When the file is exchanged with one in the work tree, a person's file will have that name for a moment.
        """
        temp = self.temp_path()
        os.rename(part, temp)
        return temp

    def make_temp_dir(self) -> None:
        """Make the directory of temporary files, where it is missing. OSError."""
        files.make_dirs(self._temp_dir, self.layout.annex_dir)

    def create_temp(self, mode: int = 0o600) -> tuple[int, bytes]:
        """An open, empty temporary file: descriptor (read-write) and path.

        The name says that it is a copy in the making, which nobody misses after a crash.
        """
        path = self.temp_path() + PART
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(path, flags, mode), path
        except FileNotFoundError:
            files.make_dirs(self._temp_dir, self.layout.annex_dir)
            return os.open(path, flags, mode), path

    def open_temp(self, key: Key) -> tuple[int, bytes]:
        """The place of a partial download of `key`, open for reading and writing; it may hold what came earlier."""
        path = self.layout.tmp_object(check_safe(key))
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, 0o666), path
        except FileNotFoundError:
            files.make_dirs(os.path.dirname(path), self.layout.annex_dir)
            return os.open(path, flags, 0o666), path

    def put_bytes(self, data: bytes, key: Key, mode: int = 0o444) -> bytes:
        """Store small content that matches `key`, unless it is here already; its path. OSError, UnsafeKey."""
        places = self._places(key)
        present = _first_file(places)
        if present is not None:
            return present
        return self._into_place(places[0], lambda path: self._write_new(path, data, mode & ~0o222))

    def put_file(self, temp: bytes, key: Key) -> bytes:
        """Take `temp`, a file on the same file system with the verified content of `key`, into the store; its new path.

        `temp` is gone afterwards, also when the content was here already. OSError, UnsafeKey.
        """
        places = self._places(key)
        present = _first_file(places)
        if present is not None:
            os.unlink(temp)
            return present
        self.lockdown.freeze_file(temp)
        return self._into_place(places[0], lambda path: os.rename(temp, path))

    def link_in(self, source: bytes, key: Key, *, frozen: bool = True) -> bytes:
        """Make the regular file `source`, whose content was verified, an object by a hard link; the object's path.

        With `frozen` off the write bits stay, as annex.thin has it. OSError with EXDEV or EMLINK where links cannot be.
        """
        places = self._places(key)
        present = _first_file(places)
        if present is not None:
            return present
        if frozen:
            self.lockdown.freeze_file(source)
        return self._into_place(places[0], lambda path: _link(source, path))

    # taking out

    def remove(self, key: Key) -> None:
        """Remove the content, its directory and the hash directories that get empty, if it is here.

        The caller holds `lock_for_drop` and has made sure of other copies. OSError.
        """
        for path in self._places(key):
            directory = os.path.dirname(path)
            if not os.path.isdir(directory):
                continue
            self.lockdown.thaw_dir(directory)
            for name in (path, path + b".lck"):
                with suppress(FileNotFoundError):
                    os.unlink(name)
            self._remove_empty(directory)

    def quarantine_bad(self, key: Key) -> bytes:
        """Move content that does not match `key` to where git-annex keeps bad content; the new path.

        Raises ContentMissing. OSError.
        """
        path = self.locate(key)
        if path is None:
            raise ContentMissing(f"the content of {key} is not here")
        target = self.layout.bad_object(key)
        files.make_dirs(os.path.dirname(target), self.layout.annex_dir)
        self.lockdown.thaw_dir(os.path.dirname(path))
        self.lockdown.thaw_file(path)
        os.rename(path, target)
        self._remove_empty(os.path.dirname(path))
        return target

    # locks

    @contextmanager
    def lock_for_drop(self, key: Key) -> Iterator[bytes]:
        """Keep everybody else from relying on the content or removing it; the object's path. Never waits.

        Raises ContentMissing, and ContentLocked while somebody else uses it. Source: git-annex, content locks.
        """
        path, hold = self._lock(key, exclusive=True)
        try:
            yield path
        finally:
            self._unlock(hold, path)

    @contextmanager
    def lock_shared(self, key: Key) -> Iterator[bytes]:
        """Keep everybody from removing the content; the object's path. Never waits. Raises as `lock_for_drop` does."""
        path, hold = self._lock(key, exclusive=False)
        try:
            yield path
        finally:
            self._unlock(hold, path)

    # space

    def check_reserve(self, size: int | None, already: int = 0, promised: int = 0) -> None:
        """Raise NoSpace when `size` more bytes would use up annex.diskreserve. An unknown size is always allowed.

        `already` bytes of it are on the disk, `promised` bytes are still to come from others.
        """
        if size is None:
            return
        needed = size - already
        free = files.free_space(self.layout.annex_dir) - promised - self._reserve
        if needed > 0 and free < needed:
            raise NoSpace(
                f"not enough free space, need {format_size(needed - free)} more",
                hint="free some space, or lower annex.diskreserve",
            )

    # helpers

    def _places(self, key: Key) -> tuple[bytes, ...]:
        """Where the content of `key` may be; new content goes to the first place. Raises UnsafeKey."""
        known = self._known_places.get(key)
        if known is not None:
            return known
        places = self.layout.object_candidates(key)
        first = places[0]
        if len(first) - first.rfind(b"/") > MAX_FILE_NAME or b"\0" in first:
            check_safe(key)     # says what is wrong
        if len(self._known_places) >= REMEMBERED_KEYS:
            self._known_places = {}
        self._known_places[key] = places
        return places

    def _into_place(self, path: bytes, act: Callable[[bytes], None]) -> bytes:
        """Call `act` with the object's path while its directory exists and is writable; the path."""
        directory = path[: path.rindex(b"/")]
        for attempt in range(TRIES):
            try:
                _make_directory(directory, self.lockdown, self.layout.annex_dir)
                act(path)
                reach("object-placed")
                self.lockdown.freeze_dir(directory)
                break
            except (FileNotFoundError, PermissionError):    # somebody dropped, or froze, the same key meanwhile
                if attempt == TRIES - 1:
                    raise
        return path

    def _write_new(self, path: bytes, data: bytes, mode: int) -> None:
        """Make a file whole under its name, by way of one without a name.

        That one lies in the directory it is for: ext4 takes many times longer to make files in one directory after
        others were removed there, and nothing is left lying about after a crash.
        """
        try:
            fd = os.open(path[: path.rindex(b"/")], os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
        except OSError as error:
            if error.errno not in files.NO_TMPFILE:
                raise
            self._write_by_rename(path, data, mode)
            return
        try:
            files.write_all(fd, data)
            os.link(b"/proc/self/fd/%d" % fd, path, src_dir_fd=fd, follow_symlinks=True)
        except FileExistsError:     # the same content came from elsewhere meanwhile
            return
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise
            self._write_by_rename(path, data, mode)
        finally:
            os.close(fd)

    def _write_by_rename(self, path: bytes, data: bytes, mode: int) -> None:
        fd, temp = self.create_temp(mode)
        try:
            try:
                files.write_all(fd, data)
            finally:
                os.close(fd)
            os.rename(temp, path)
        except BaseException:
            _remove_quietly(temp)
            raise

    def _remove_empty(self, directory: bytes) -> None:
        try:
            for _ in range(1 + self.layout.levels):
                os.rmdir(directory)
                directory = os.path.dirname(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _lock(self, key: Key, *, exclusive: bool) -> tuple[bytes, Hold]:
        path = self.locate(key)
        if path is None:
            raise ContentMissing(f"the content of {key} is not here")
        has_lock_files = self._version() >= FIRST_VERSION_WITH_LOCK_FILES
        attempt = self._try_lock_file if has_lock_files else self._try_object
        hold = attempt(path, exclusive=exclusive)
        if hold is None:
            raise ContentLocked(f"the content of {key} is locked")
        if not _is_file(path):      # it went while we were getting the lock
            self._unlock(hold, path)
            raise ContentMissing(f"the content of {key} is not here")
        return path, hold

    def _version(self) -> int:
        """annex.version now; asked for again when git's config file was replaced, which is how git changes it."""
        status = os.stat(self.layout.common_dir + b"/config")
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._known_version
        if known is None or known[0] != stamp:
            known = self._known_version = (stamp, read_version(self.layout))
        return known[1]

    def _try_lock_file(self, path: bytes, *, exclusive: bool) -> Hold | None:
        attempt = LOCKS.try_exclusive if exclusive else LOCKS.try_shared
        directory = os.path.dirname(path)
        try:
            self.lockdown.thaw_dir(directory)
            return attempt(path + b".lck", on_release=OnRelease.UNLINK)
        except FileNotFoundError:
            return None
        finally:
            with suppress(FileNotFoundError):
                self.lockdown.freeze_dir(directory)

    def _try_object(self, path: bytes, *, exclusive: bool) -> Hold | None:
        """Before version 10 the object itself is the lock, and must be writable to be locked exclusively."""
        try:
            if not exclusive:
                return LOCKS.try_shared(path, mode=None)
            self.lockdown.thaw_file(path)
            try:
                return LOCKS.try_exclusive(path, mode=None)
            finally:
                self.lockdown.freeze_file(path)
        except FileNotFoundError:
            return None

    def _unlock(self, hold: Hold, path: bytes) -> None:
        directory = os.path.dirname(path)
        there = True
        try:
            self.lockdown.thaw_dir(directory)
        except FileNotFoundError:
            there = False
        hold.release()
        if there and _is_file(path):
            self.lockdown.freeze_dir(directory)
        elif there:
            self._remove_empty(directory)


def read_version(layout: RepoLayout) -> int:
    """annex.version as it is now: another program may upgrade the repository at any time, which changes the locks."""
    argv = [b"git", b"--git-dir=" + layout.git_dir, b"config", b"--type=int", b"--get", b"annex.version"]
    status, out, _ = processes.run_status(argv)
    return int(out) if status == 0 else FIRST_VERSION_WITH_LOCK_FILES


def _make_directory(directory: bytes, lockdown: Lockdown, annex_dir: bytes) -> None:
    for _ in range(TRIES):
        try:
            os.mkdir(directory)
            return
        except FileExistsError:
            lockdown.thaw_dir(directory)
            return
        except FileNotFoundError:
            files.make_dirs(os.path.dirname(directory), annex_dir)
    files.make_dirs(directory, annex_dir)


def _first_file(places: tuple[bytes, ...]) -> bytes | None:
    return next(filter(_is_file, places), None)


def _is_file(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _leaf_directories(top: bytes) -> Iterator[bytes]:
    """The directories that hold content: two or three levels down, told by having a file of their own name."""
    try:
        with os.scandir(top) as entries:
            found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in found:
        if b"--" in os.path.basename(path):     # hash directories have no such names, keys always
            yield path
        else:
            yield from _leaf_directories(path)


def _link(source: bytes, path: bytes) -> None:
    with suppress(FileExistsError):
        os.link(source, path, follow_symlinks=False)


def _remove_quietly(path: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
