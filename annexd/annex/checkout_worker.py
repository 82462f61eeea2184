"""Writes new files of a work tree; the process of its own that does so beside others of its kind.

It imports next to nothing, as it has to be up in some milliseconds. What blocks a path was removed, and directories
were made, before anything comes here: whatever is found in the way now is told of, and left alone. A symlink is never
followed, and nothing is removed but a file that was made here and could not be filled.

Source: git, design notes on parallel checkout.
"""

from __future__ import annotations

import errno
import os
import sys

from annexd.formats.hash_dirs import both_of
from annexd.git.packed_stat import packed_stat

TYPE_CHECKING = False       # without importing typing, which takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence

    from annexd.annex.checkout_items import Item, Result, Site

IDLE_SECONDS = 5.0
SMALL = 1 << 20             # bytes of content that one read and one write deal with
PART = b".part"             # the name of a copy in the making, see ObjectStore.create_temp
HEAD_BYTES = 4

CONTENT, TEXT, COLLIDED, FAILED, LOST = range(5)
"""What became of an item: it has the content of its key; it has the given bytes; something is in its way; it could not
be written; nobody knows, as the process has died."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = frozenset((errno.EEXIST, errno.ENOTDIR, errno.ELOOP, errno.ENOENT))
_NO_COPY = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))
_FICLONE = 0x40049409       # ioctl_ficlone(2)


class Writer:
    """Writes items, in an order that has neighbours together. Holds the directory it works in open; close it."""

    def __init__(self, site: Site) -> None:
        self._top, self._objects, self._levels, self._styles, self._umask = site
        self._directory: bytes | None = None
        self._fd = -1
        self._objects_fd = -1

    def write(self, item: Item) -> Result:
        """Write one file. Never raises OSError: what went wrong is in the result."""
        target, executable, data, key, name, size, thin = item
        try:
            if not target.startswith(b"/"):
                return self._write_new(target, executable, data, key, name, size)
            if key and (thin and self._link(target, executable, key, name)):
                return CONTENT, None
            if key and self._copy(target, executable, key, name, size):
                return CONTENT, None
            make_file(target, data, executable)
            return TEXT, None
        except OSError as problem:
            return FAILED, (problem.errno or errno.EIO, problem.strerror or str(problem))

    def close(self) -> None:
        """Let go of the directory."""
        if self._fd >= 0:
            os.close(self._fd)
        if self._objects_fd >= 0:
            os.close(self._objects_fd)
        self._fd, self._directory, self._objects_fd = -1, None, -1

    def _write_new(self, target: bytes, executable: bool, data: bytes, key: bytes, name: bytes, size: int) -> Result:
        content = self._small_content(key, name, size) if key else None
        directory, _, base = target.rpartition(b"/")
        try:
            if directory != self._directory:
                self._enter(directory)
            fd = os.open(base, _NEW, 0o777 if executable else 0o666, dir_fd=self._fd)
        except OSError as problem:
            if problem.errno not in _IN_THE_WAY:
                raise
            return COLLIDED, None
        try:
            write_all(fd, data if content is None else content)
            return TEXT if content is None else CONTENT, packed_stat(os.fstat(fd))
        except BaseException:
            self._take_back(fd, base)
            raise
        finally:
            os.close(fd)

    def _enter(self, directory: bytes) -> None:
        """Open the directory, one step after the other, so that no symlink is followed. OSError."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._directory = -1, None
        fd = os.open(self._top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in directory.split(b"/") if directory else ():
            above = fd
            try:
                fd = os.open(name, _DIRECTORY, dir_fd=above)
            finally:
                os.close(above)
        self._fd, self._directory = fd, directory

    def _take_back(self, fd: int, name: bytes) -> None:
        """Remove the file that was made just now, unless another one has its name by now."""
        try:
            if os.path.samestat(os.fstat(fd), os.lstat(name, dir_fd=self._fd)):
                os.unlink(name, dir_fd=self._fd)
        except OSError:     # what made the writing fail counts
            pass

    def _open_content(self, key: bytes, name: bytes) -> int:
        """The object of a key, open for reading; -1 when it is not here. OSError."""
        places = both_of(key, self._levels)
        for style in self._styles:
            try:
                if self._objects_fd < 0:
                    self._objects_fd = os.open(self._objects, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                return os.open(b"%b/%b/%b" % (places[style], name, name), _READ, dir_fd=self._objects_fd)
            except FileNotFoundError:
                continue
        return -1

    def _small_content(self, key: bytes, name: bytes, size: int) -> bytes | None:
        """The content if it is here, and as long as it has to be."""
        fd = self._open_content(key, name)
        if fd < 0:
            return None
        try:
            data = os.read(fd, size + 1)
        finally:
            os.close(fd)
        return data if len(data) == size else None

    def _copy(self, target: bytes, executable: bool, key: bytes, name: bytes, size: int) -> bool:
        """A copy of the content at `target`; False when there is none that is whole."""
        source = self._open_content(key, name)
        if source < 0:
            return False
        try:
            found = os.fstat(source).st_size
            if size not in (-1, found):
                return False
            if found > SMALL:
                return _copy_large(source, target, found, executable)
            data = os.read(source, found + 1)
            if len(data) != found:
                return False
            make_file(target, data, executable)
            return True
        finally:
            os.close(source)

    def _link(self, target: bytes, executable: bool, key: bytes, name: bytes) -> bool:
        """A second name for the object, made writable, as annex.thin has it; False where that cannot be."""
        source = self._open_content(key, name)
        if source < 0:
            return False
        try:
            found = os.fstat(source)
            if found.st_nlink > 1 or bool(found.st_mode & 0o100) != executable:
                return False    # another path has it already, or needs other permissions
            os.link(b"/proc/self/fd/%d" % source, target, src_dir_fd=source, follow_symlinks=True)
            try:
                os.fchmod(source, (0o777 if executable else 0o666) & ~self._umask)
            except OSError:
                os.unlink(target)
                raise
        except OSError:
            return False
        finally:
            os.close(source)
        return True


def _copy_large(source: int, target: bytes, size: int, executable: bool) -> bool:
    part = target + PART
    fd = os.open(part, _NEW, 0o777 if executable else 0o666)
    try:
        is_whole = clone(source, fd) or copy(source, fd, size) == size
        if is_whole:
            os.rename(part, target)
        else:
            os.unlink(part)
        return is_whole
    except BaseException:
        os.unlink(part)
        raise
    finally:
        os.close(fd)


def make_file(path: bytes, data: bytes, executable: bool) -> None:
    """A new file with this content, or none at all. OSError."""
    fd = os.open(path, _NEW, 0o777 if executable else 0o666)
    try:
        write_all(fd, data)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


def clone(source: int, target: int) -> bool:
    """Let the target share the source's blocks; False when the file system cannot."""
    import fcntl  # few files are large

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy(source: int, target: int, size: int) -> int:
    """Copy in the kernel where it can; the bytes copied. OSError."""
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, size - done)
        except OSError as problem:
            if problem.errno not in _NO_COPY or done:
                raise
            break
        if not count:
            return done
        done += count
    while data := os.read(source, SMALL):
        write_all(target, data)
        done += len(data)
    return done


def write_all(fd: int, data: bytes) -> None:
    """Write every byte. OSError."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


# the process


def frame(value: tuple[object, ...] | list[Result]) -> bytes:
    """A value on its way through a pipe; both ends run the same Python."""
    import marshal

    data = marshal.dumps(value)  # type: ignore[arg-type]  # of plain values
    return len(data).to_bytes(HEAD_BYTES, "little") + data


def main(parent: int, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answer requests on standard input until it ends, nothing comes for a while, or the `parent` process is gone."""
    import marshal
    import select

    poll = select.poll()
    poll.register(0, select.POLLIN)
    while poll.poll(idle_seconds * 1000):
        head = _read(HEAD_BYTES)
        if len(head) < HEAD_BYTES:
            return
        site, items = marshal.loads(_read(int.from_bytes(head, "little")))
        write_all(1, frame(write_items(site, items, parent)))


def write_items(site: Site, items: Sequence[Item], parent: int | None = None) -> list[Result]:
    """Write them in order, up to the first that fails. With `parent`, the process ends when that one has."""
    writer = Writer(site)
    results: list[Result] = []
    try:
        for item in items:
            if parent is not None and os.getppid() != parent:   # what is not written yet is for its successor
                sys.exit(1)
            results.append(writer.write(item))
            if results[-1][0] == FAILED:
                break
    finally:
        writer.close()
    return results


def _read(size: int) -> bytes:
    """That many bytes from standard input, fewer at its end."""
    pieces = []
    while size and (piece := os.read(0, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
