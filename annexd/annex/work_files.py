"""Putting files into the work tree and taking them out without ever losing what a person put there meanwhile.

A new file never overwrites; a replaced or removed one is looked at once more after it has left its name, and is put
back when it is not what was expected. Nor is the stat of somebody's newer file ever given out as that of ours: git's
index would take that file for committed, and the next checkout remove it. Temporary files lie in the git directory,
where no watcher sees them.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from annexd.annex.objects import PART, ObjectStore
from annexd.annex.work_entries import looks_same
from annexd.errors import ContentChanged, UnsafePath
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.system import files
from annexd.system.rename import exchange, rename_new

TEMP_PREFIX = b".annexd-tmp-"
"""Of temporary files in the work tree, made only where it lies on another file system than the git directory."""

_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

NO_SYMLINKS = (errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)
"""What file systems without symlinks say; then a file that holds the target stands for one, as with git."""


class WorkFiles:
    """Writes files and symlinks below `top`. Owned by one thread; remembers directories while it lives.

    Make one for each batch: what it remembers about directories gets old.
    """

    def __init__(self, top: bytes, store: ObjectStore, umask: int | None = None) -> None:
        self.top = top
        self._store = store
        self._umask = current_umask() if umask is None else umask
        self._real: set[bytes] = {b""}      # directories, relative to the top, known not to be reached through a link
        self._clone_works = True

    def absolute(self, path: bytes) -> bytes:
        """Where `path`, relative to the top, is."""
        return self.top + b"/" + path

    def lstat(self, path: bytes) -> os.stat_result | None:
        """What is at `path` now; None when nothing is, or it would have to be reached through a symlink or a file."""
        cut = path.rfind(b"/")
        if cut > 0 and not self.has_real_directory(path[:cut]):
            return None
        try:
            return os.lstat(self.top + b"/" + path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has_real_directory(self, directory: bytes) -> bool:
        """Whether `directory` exists and neither it nor one above it is a symlink."""
        if directory in self._real:
            return True
        cut = directory.rfind(b"/")
        if cut > 0 and not self.has_real_directory(directory[:cut]):
            return False
        try:
            is_real = stat.S_ISDIR(os.lstat(self.top + b"/" + directory).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if is_real:
            self._real.add(directory)
        return is_real

    def make_directories(self, directory: bytes) -> None:
        """Make `directory` and those above it. Raises UnsafePath when a symlink or file is in the way."""
        if directory in self._real:
            return
        cut = directory.rfind(b"/")
        if cut > 0:
            self.make_directories(directory[:cut])
        try:
            os.mkdir(self.top + b"/" + directory)
        except FileExistsError:
            if not self.has_real_directory(directory):
                raise UnsafePath(f"{display(directory)} is in the way: not a directory") from None
        self._real.add(directory)

    def remove_empty_directories(self, directory: bytes) -> None:
        """Remove `directory` and those above it, up to one that is not empty."""
        while directory:
            try:
                os.rmdir(self.top + b"/" + directory)
            except OSError:     # not empty, or not ours to remove: git leaves such directories too
                return
            self._real.discard(directory)
            directory = directory[: max(directory.rfind(b"/"), 0)]

    def forget_directories(self) -> None:
        """Look at directories anew from now on."""
        self._real = {b""}

    # making temporary files

    def temp_bytes(self, data: bytes, *, executable: bool) -> bytes:
        """A temporary file with this content and ordinary permissions; its path."""
        temp = self._store.temp_path()
        fd = self._create(temp, 0o777 if executable else 0o666)
        try:
            files.write_all(fd, data)
        finally:
            os.close(fd)
        return temp

    def temp_content(
        self, source: bytes | None, key: Key, *, executable: bool, thin: bool = False
    ) -> bytes | None:
        """A temporary file with the content of `key`, from the object at `source`; None when that is not whole."""
        if source is None:
            return None
        if thin and (temp := self.temp_hard_link(source, executable=executable)) is not None:
            return temp
        return self.temp_copy(source, executable=executable, size=key.size)

    def temp_copy(self, source: bytes, *, executable: bool, size: int | None) -> bytes | None:
        """A temporary copy of an object; None when that is gone, or has not `size` bytes."""
        try:
            src = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            found = os.fstat(src).st_size
            if size is not None and found != size:
                return None
            if found <= files.SMALL:
                data = os.read(src, found + 1)
                return self.temp_bytes(data, executable=executable) if len(data) == found else None
            return self._copy_large(src, found, executable=executable)
        finally:
            os.close(src)

    def temp_hard_link(self, source: bytes, *, executable: bool) -> bytes | None:
        """A second name of an object, made writable, as annex.thin has it; None where that cannot be."""
        temp = self._store.temp_path()
        try:
            os.makedirs(os.path.dirname(temp), exist_ok=True)
            found = os.stat(source)
            if found.st_nlink > 1 or bool(found.st_mode & 0o100) != executable:
                return None     # another path has it already, or needs other permissions
            os.link(source, temp, follow_symlinks=False)
            os.chmod(temp, (0o777 if executable else 0o666) & ~self._umask)
        except OSError:
            return None
        return temp

    def temp_symlink(self, target: bytes) -> bytes:
        """A temporary symlink."""
        temp = self._store.temp_path()
        try:
            os.symlink(target, temp)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(temp), exist_ok=True)
            return self.temp_symlink(target)
        except OSError as error:
            if error.errno not in NO_SYMLINKS:
                raise
            return self.temp_bytes(target, executable=False)
        return temp

    # putting them in place

    def new_symlink(self, target: bytes, path: bytes) -> os.stat_result:
        """Make a symlink where nothing may be yet; its stat. Raises ContentChanged when something has appeared."""
        place = self.top + b"/" + path
        try:
            os.symlink(target, place)
        except FileExistsError as error:
            raise _appeared(path) from error
        except OSError as error:
            if error.errno not in NO_SYMLINKS:
                raise
            return self.place_new(self.temp_bytes(target, executable=False), path)
        now = os.lstat(place)
        if not stat.S_ISLNK(now.st_mode):
            raise _changed(path)
        return now

    def set_executable(self, path: bytes, expected: os.stat_result, *, executable: bool) -> os.stat_result:
        """Change only the x bits of the file that looked like `expected`; its new stat. Raises ContentChanged."""
        target = self.top + b"/" + path
        if not unchanged(expected, _lstat(target)):
            raise _changed(path)
        mode = expected.st_mode & 0o777
        os.chmod(target, mode | (mode & 0o444) >> 2 if executable else mode & ~0o111)
        now = os.lstat(target)
        if not _is_same_content(expected, now):
            raise _changed(path)
        return now

    def place_new(self, temp: bytes, path: bytes) -> os.stat_result:
        """Give the temporary file the name `path`, where nothing may be yet; its stat there.

        Raises ContentChanged when something has appeared there; `temp` is gone either way.
        """
        target = self.top + b"/" + path
        try:
            made = os.lstat(temp)
            try:
                in_one = rename_new(temp, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                temp = self._bring_over(temp, target)
                made = os.lstat(temp)
                in_one = rename_new(temp, target)
        except FileExistsError as error:
            _unlink_quietly(temp)
            raise _appeared(path) from error
        except BaseException:
            _unlink_quietly(temp)
            raise
        return _still(made, target, has_inodes=in_one)

    def replace(self, temp: bytes, path: bytes, expected: os.stat_result) -> os.stat_result:
        """Put the temporary file in the place of the file that looked like `expected`; the new one's stat.

        Raises ContentChanged, with the file as it is, when it no longer looks so; `temp` is gone either way.
        """
        target = self.top + b"/" + path
        try:
            if not unchanged(expected, _lstat(target)):
                raise _changed(path)
            made = os.lstat(temp)
            try:
                swapped = exchange(temp, target)
            except FileNotFoundError as error:
                raise _changed(path) from error
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                temp = self._bring_over(temp, target)
                made = os.lstat(temp)
                swapped = exchange(temp, target)
            if not swapped:
                os.rename(temp, target)
                return _still(made, target, has_inodes=False)
            if not unchanged(expected, os.lstat(temp)) or _is_being_written(temp):
                exchange(temp, target)      # what a person just wrote, or is writing, goes back to its name
                raise _changed(path)
            os.unlink(temp)
            return _still(made, target, has_inodes=True)
        except BaseException:
            _unlink_quietly(temp)
            raise

    def remove(self, path: bytes, expected: os.stat_result) -> None:
        """Remove the file that looked like `expected`. Raises ContentChanged, the file being as it is, otherwise."""
        target = self.top + b"/" + path
        now = _lstat(target)
        if now is None:
            return
        if not unchanged(expected, now):
            raise _changed(path)
        aside = self._store.temp_path()
        if not self._move_aside(target, aside):
            return
        if not unchanged(expected, os.lstat(aside)) or _is_being_written(aside):
            with suppress(FileExistsError):     # a newer file still: this one stays in the scratch directory
                rename_new(aside, target)
            raise _changed(path)
        os.unlink(aside)

    def _move_aside(self, target: bytes, aside: bytes) -> bool:
        """False where that cannot be, and the file was removed instead (if it was there)."""
        try:
            os.makedirs(os.path.dirname(aside), exist_ok=True)
            os.rename(target, aside)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with suppress(FileNotFoundError):
                os.unlink(target)
            return False
        return True

    def _copy_large(self, src: int, size: int, *, executable: bool) -> bytes | None:
        fd, temp = self._store.create_temp(0o777 if executable else 0o666)
        try:
            try:
                self._clone_works = self._clone_works and files.reflink(src, fd)
                copied = size if self._clone_works else _copy(src, fd, size)
            finally:
                os.close(fd)
        except BaseException:
            _unlink_quietly(temp)
            raise
        if copied != size:
            _unlink_quietly(temp)
            return None
        whole = temp.removesuffix(PART)     # which may come to hold what a person wrote, when it is exchanged
        os.rename(temp, whole)
        return whole

    def _create(self, path: bytes, mode: int) -> int:
        try:
            return os.open(path, _FILE_FLAGS, mode)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, _FILE_FLAGS, mode)

    def _bring_over(self, temp: bytes, target: bytes) -> bytes:
        """The temporary file, moved beside `target` on another file system."""
        near = b"%b/%b%b" % (os.path.dirname(target), TEMP_PREFIX, os.path.basename(temp))
        try:
            if stat.S_ISLNK(os.lstat(temp).st_mode):
                os.symlink(os.readlink(temp), near)
            else:
                _copy_file(temp, near)
        except BaseException:
            _unlink_quietly(near)
            raise
        finally:
            _unlink_quietly(temp)
        return near


def unchanged(expected: os.stat_result, now: os.stat_result | None) -> bool:
    """Whether the same file is still there with the same content, as far as stat tells. A rename changes neither."""
    return (
        now is not None
        and expected.st_mode == now.st_mode
        and _is_same_content(expected, now)
    )


def _is_same_content(expected: os.stat_result, now: os.stat_result) -> bool:
    return (
        expected.st_mtime_ns == now.st_mtime_ns
        and expected.st_ino == now.st_ino
        and expected.st_size == now.st_size
        and expected.st_dev == now.st_dev
    )


def _is_being_written(path: bytes) -> bool:
    """Nobody can open it any more by the name it had; who has it open may be about to write."""
    with suppress(OSError):
        return files.has_open_writer(path)
    return False


def current_umask() -> int:
    """The process' umask, read without changing it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def _appeared(path: bytes) -> ContentChanged:
    return ContentChanged(f"{display(path)} appeared while it was being checked out")


def _changed(path: bytes) -> ContentChanged:
    return ContentChanged(f"{display(path)} changed while it was being replaced")


def _still(made: os.stat_result, target: bytes, *, has_inodes: bool) -> os.stat_result:
    """The stat of the file that we `made` and put in place, also when a person's newer one is there by now.

    That one then differs from what git's index knows, and is committed on top of ours. Where a file has another inode
    number under each name, only the rest of the stat tells.
    """
    now = _lstat(target)
    if now is None or not looks_same(made, now) or (has_inodes and made.st_ino != now.st_ino):
        return made
    return now


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _copy(src: int, dst: int, size: int) -> int:
    """In the kernel where it can. Returns the bytes copied."""
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(src, dst, size - done)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP) or done:
                raise
            return _copy_through_memory(src, dst)
        if not count:
            return done
        done += count
    return done


def _copy_through_memory(src: int, dst: int) -> int:
    done = 0
    while data := os.read(src, files.CHUNK):
        files.write_all(dst, data)
        done += len(data)
    return done


def _copy_file(source: bytes, target: bytes) -> None:
    src = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(src)
        dst = os.open(target, _FILE_FLAGS, status.st_mode & 0o777)
        try:
            _copy_through_memory(src, dst)
        finally:
            os.close(dst)
    finally:
        os.close(src)


def _unlink_quietly(path: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
