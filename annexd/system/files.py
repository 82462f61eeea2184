"""Files: atomic writes, durability, copies that hash on the way, and questions about a file."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol

from annexd.errors import AnnexError
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread

SMALL = 1 << 20             # bytes up to which a copy is one read and one write
CHUNK = 1 << 20
COPY_CHUNK = 1 << 18        # what is read, hashed and written while it is in a processor's cache; larger is slower
SMALLEST_CHUNK = 1 << 16
CHUNKS_IN_FLIGHT = 4
SLOW_SECONDS = 0.2          # a chunk that took longer has to be smaller next time, so that progress is seen
REMEMBERED_DIRECTORIES = 100_000

_FICLONE = 0x40049409       # ioctl_ficlone(2)

NO_TMPFILE = frozenset((errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL))
"""What opening with O_TMPFILE fails with where files must have a name from the start."""


class Hasher(Protocol):
    """What hashlib's objects have in common."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Take in more bytes."""


def write_atomically(
    path: bytes, data: bytes, *, mode: int = 0o666, durable: bool = False, temp_dir: bytes | None = None
) -> None:
    """Make `path` hold `data`; readers see the old file or the new one, whole. `mode` is less umask.

    The temporary file lies in `temp_dir`, which must be on the same file system (default: beside the file). With
    `durable`, the data is on the disk before the name points to it. OSError, with nothing left behind.
    """
    directory = os.path.dirname(path) or b"."
    temp = b"%s/.annexd-%d-%s" % (temp_dir or directory, os.getpid(), os.urandom(6).hex().encode())
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            write_all(fd, data)
            if durable:
                os.fdatasync(fd)
        finally:
            os.close(fd)
        os.rename(temp, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temp)
        raise
    if durable:
        sync_directory(directory)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte; a single write may stop short (signals, limits of 2 GiB)."""
    done = os.write(fd, data)
    if done == len(data):
        return
    rest = memoryview(data)[done:]
    while rest:
        rest = rest[os.write(fd, rest):]


def read_file(path: bytes, *, limit: int | None = None) -> bytes:
    """The content of a small file in one go; AnnexError when it is longer than `limit` bytes. OSError as usual."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if limit is not None and size > limit:
            raise AnnexError(f"{os.fsdecode(path)!r} has {size} bytes, more than the {limit} that it may have")
        data = os.read(fd, size + 1)
        while len(data) > size:     # it grew, or is a file of /proc that claims to be empty
            more = os.read(fd, CHUNK)
            if not more:
                break
            data += more
        return data
    finally:
        os.close(fd)


def fdatasync(fd: int) -> None:
    """Block until the data of the file, and its size, are on the disk."""
    os.fdatasync(fd)


def sync_directory(path: bytes) -> None:
    """Block until the names in the directory are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS, errno.ENOTSUP):   # some file systems have no such call
            raise
    finally:
        os.close(fd)


def sync_filesystem(fd: int) -> None:
    """Block until all that was written to the file system of `fd` is on the disk: one call for a batch. OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def sync_filesystem_of(path: bytes) -> None:
    """The same for the file system that a directory lies on. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_filesystem(fd)
    finally:
        os.close(fd)


def reflink(src_fd: int, dst_fd: int) -> bool:
    """Let the destination share the source's blocks; False when the file system cannot, with nothing changed."""
    try:
        fcntl.ioctl(dst_fd, _FICLONE, src_fd)
    except OSError:
        return False
    return True


def copy_with_hash(
    src_fd: int,
    dst_fd: int,
    hasher: Hasher,
    progress: Callable[[int], None] | None = None,
    step: Callable[[], int] | None = None,
) -> int:
    """Copy from the current position to the end, feeding the bytes to `hasher` on the way; the number of bytes.

    Above 1 MiB the hashing runs in a thread of its own beside reading and writing. `progress` is told the bytes
    copied so far, after every `step()` bytes at most. OSError from reading or writing.
    """
    wanted = SMALL if step is None else min(step(), SMALL)
    first = os.read(src_fd, wanted)
    write_all(dst_fd, first)
    hasher.update(first)
    done = len(first)
    if progress is not None:
        progress(done)
    if done < wanted and not (rest := os.read(src_fd, 1)):      # a short read is not yet the end
        return done
    if done < wanted:
        write_all(dst_fd, rest)
        hasher.update(rest)
        done += 1
    return _copy_overlapped(src_fd, dst_fd, hasher, progress, step, done)


def copy_and_hash(
    src_fd: int,
    dst_fd: int,
    hasher: Hasher,
    progress: Callable[[int], None] | None = None,
    step: Callable[[], int] | None = None,
) -> int:
    """As `copy_with_hash`, in this thread alone: for when others have all processors busy."""
    buffer = memoryview(bytearray(COPY_CHUNK))
    done = 0
    while size := os.readv(src_fd, [buffer if step is None else buffer[: step()]]):
        hasher.update(buffer[:size])
        write_all(dst_fd, buffer[:size])
        done += size
        if progress is not None:
            progress(done)
    return done


def _copy_overlapped(
    src_fd: int,
    dst_fd: int,
    hasher: Hasher,
    progress: Callable[[int], None] | None,
    step: Callable[[], int] | None,
    done: int,
) -> int:
    free: SimpleQueue[bytearray] = SimpleQueue()
    filled: SimpleQueue[tuple[bytearray, int] | None] = SimpleQueue()
    for _ in range(CHUNKS_IN_FLIGHT):
        free.put(bytearray(COPY_CHUNK))
    wanted = COPY_CHUNK

    def hash_chunks() -> None:
        while (chunk := filled.get()) is not None:
            buffer, size = chunk
            hasher.update(memoryview(buffer)[:size])
            free.put(buffer)

    thread = NamedThread("hash", hash_chunks)
    thread.start()
    try:
        while True:
            buffer = free.get()
            began = time.monotonic()
            size = os.readv(src_fd, [memoryview(buffer)[: wanted if step is None else min(wanted, step())]])
            if not size:
                return done
            filled.put((buffer, size))      # hashing and writing both only read the buffer
            write_all(dst_fd, memoryview(buffer)[:size])
            wanted = _next_chunk(wanted, time.monotonic() - began)
            done += size
            if progress is not None:
                progress(done)
    finally:
        filled.put(None)
        thread.join(Deadline(None))


def _next_chunk(size: int, seconds: float) -> int:
    return max(size // 2, SMALLEST_CHUNK) if seconds > SLOW_SECONDS else min(2 * size, COPY_CHUNK)


def has_open_writer(path: bytes) -> bool:
    """Whether any process, ours too, has the regular file open for writing. False for other kinds of files.

    Asks the kernel for a read lease, which it refuses while there is a writer. Where leases cannot be had (files of
    other users, some network file systems) it looks through the open files of the processes that we may see.
    OSError when the file cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return False
        # A writer that comes while we have the lease makes the kernel send a signal: SIGIO would end this process,
        # SIGURG is ignored unless asked for.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return True
            return _writer_in_proc(status)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(fd)


def _writer_in_proc(status: os.stat_result) -> bool:
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), status) and _is_for_writing(pid, number):
                        return True
    return False


def _is_for_writing(pid: str, number: str) -> bool:
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def make_dirs(path: bytes, below: bytes) -> None:
    """Make the directory `path`, and what is missing between it and `below`, which is above it. OSError.

    FileNotFoundError when `below` is gone: where a disk was mounted nothing is to be made in its place.
    """
    missing = []
    while len(path) > len(below):
        try:
            os.mkdir(path)
            break
        except FileExistsError:
            break
        except FileNotFoundError:
            missing.append(path)
            path = os.path.dirname(path)
    else:
        os.stat(below)      # raises, unless it has come back just now
    for directory in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(directory)


def is_named(top: bytes, path: bytes) -> bool:
    """Whether the path is there under just these names, upper and lower case included. Reads directories. OSError."""
    directory = top
    for name in path.split(b"/"):
        try:
            if name not in os.listdir(directory):
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
        directory += b"/" + name
    return True


def free_space(path: bytes) -> int:
    """Bytes that an ordinary user can still write on the file system of `path`. OSError."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


class DirMaker:
    """Makes directories and remembers which exist, as asking the kernel once per file costs too much.

    Owned by one thread. Somebody else may remove a directory meanwhile: on FileNotFoundError `forget` and try again.
    """

    def __init__(self, mode: int = 0o777) -> None:
        self._mode = mode
        self._known: set[bytes] = set()

    def ensure(self, directory: bytes) -> None:
        """Make the directory and its parents where missing (`mode` less umask). OSError."""
        if directory in self._known:
            return
        try:
            os.mkdir(directory, self._mode)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise
        except FileNotFoundError:
            parent = os.path.dirname(directory)
            if parent == directory:
                raise
            self._known.discard(parent)
            self.ensure(parent)
            os.mkdir(directory, self._mode)
        if len(self._known) >= REMEMBERED_DIRECTORIES:
            self._known.clear()
        self._known.add(directory)

    def forget(self) -> None:
        """Look anew from now on."""
        self._known.clear()
