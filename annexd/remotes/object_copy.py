"""Copies of content between files, checked on the way against the key, and continued where an earlier try ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from annexd.backends import registry as backends
from annexd.errors import TransferFailed, VerificationFailed
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.remotes.contract import Meter, Verified
from annexd.system import files
from annexd.system.lock_pool import LOCKS

CHUNK = 1 << 20
CONTINUE_FROM = 1 << 16     # a shorter start is not worth reading twice


class Check:
    """Digests the content of one key while it passes. Keys without a digest are checked by size alone."""

    def __init__(self, key: Key) -> None:
        backend = backends.backend(key.backend)
        self._key = key
        self._hasher = None if backend is None else backend.hasher()

    @property
    def digests(self) -> bool:
        """Whether there is a digest to compare."""
        return self._hasher is not None

    def update(self, data: bytes | memoryview) -> None:
        """The next piece of the content."""
        if self._hasher is not None:
            self._hasher.update(data)

    def finish(self, size: int) -> None:
        """All has passed, `size` bytes. Raises VerificationFailed."""
        expected = self._key.size
        if expected is not None and size != expected:
            raise VerificationFailed(f"the content of {self._key} has {size} bytes, not {expected}")
        if self._hasher is not None and not backends.verify(self._key, self._hasher.hexdigest()):
            raise VerificationFailed(f"the content of {self._key} does not match its checksum")


def check_bytes(key: Key, data: bytes) -> None:
    """Raise VerificationFailed when `data` is not the content of `key`."""
    check = Check(key)
    check.update(data)
    check.finish(len(data))


@contextmanager
def opened_object(path: bytes) -> Iterator[int]:
    """An object opened for reading. OSError.

    Before version 10 objects are their own lock files, and closing one in the ordinary way would drop a lock on it
    that another thread of ours relies on; so the pool of locks closes it.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        LOCKS.close(fd)


def read_object(path: bytes, limit: int) -> bytes:
    """The content of a small object; TransferFailed when it is longer than `limit` bytes. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise TransferFailed(f"{display(path)} has {size} bytes, more than its key tells")
        data = os.read(fd, size + 1)
        while len(data) < size and (more := os.read(fd, size - len(data))):
            data += more
        return data
    finally:
        LOCKS.close(fd)


def copy_object(source_fd: int, dest_fd: int, key: Key, meter: Meter, *, verify: Verified) -> None:
    """Make the destination hold the source's content; `verify` says whether it is compared with the key's digest.

    What the destination holds already counts as the beginning; when the whole then does not match, the copy is made
    again from the start. Raises VerificationFailed, with an empty destination; what the meter raises; OSError.
    """
    start = _usable_start(source_fd, dest_fd)
    try:
        _copy_from(source_fd, dest_fd, start, key, meter, verify)
    except VerificationFailed:
        os.ftruncate(dest_fd, 0)
        if not start:
            raise
        try:
            _copy_from(source_fd, dest_fd, 0, key, meter, verify)
        except VerificationFailed:
            os.ftruncate(dest_fd, 0)
            raise


def _usable_start(source_fd: int, dest_fd: int) -> int:
    size, there = os.fstat(source_fd).st_size, os.fstat(dest_fd).st_size
    if CONTINUE_FROM <= there <= size:
        return there
    if there:
        os.ftruncate(dest_fd, 0)
    return 0


def _copy_from(source_fd: int, dest_fd: int, start: int, key: Key, meter: Meter, verify: Verified) -> None:
    check = Check(key)
    is_digested = verify is Verified.YES and check.digests
    if not start and files.reflink(source_fd, dest_fd):     # nothing is moved, so no limit of speed holds it back
        size = _read_through(dest_fd, 0, None, check.update if is_digested else None, meter.start_at)
    elif is_digested:
        _read_through(dest_fd, 0, start, check.update, meter.start_at)
        os.lseek(source_fd, start, os.SEEK_SET)
        os.lseek(dest_fd, start, os.SEEK_SET)
        copy = files.copy_with_hash if meter.has_core_to_spare else files.copy_and_hash
        size = start + copy(source_fd, dest_fd, check, lambda done: meter.update(start + done), lambda: meter.step)
    else:
        meter.start_at(start)
        size = _copy_in_kernel(source_fd, dest_fd, start, meter)
    if is_digested:
        check.finish(size)
    elif key.size is not None and size != key.size:
        raise VerificationFailed(f"the content of {key} has {size} bytes, not {key.size}")


def _read_through(
    fd: int,
    offset: int,
    end: int | None,
    digest: Callable[[memoryview], None] | None,
    progress: Callable[[int], None] | None,
) -> int:
    """Read from `offset` to `end` (None: the end of the file) for the digest; the position reached."""
    if digest is None:
        return os.fstat(fd).st_size
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    while end is None or offset < end:
        wanted = CHUNK if end is None else min(CHUNK, end - offset)
        size = os.preadv(fd, [view[:wanted]], offset)
        if not size:
            break
        digest(view[:size])
        offset += size
        if progress is not None:
            progress(offset)
    return offset


def _copy_in_kernel(source_fd: int, dest_fd: int, start: int, meter: Meter) -> int:
    offset = start
    while size := _copy_range(source_fd, dest_fd, offset, meter.step):
        offset += size
        meter.update(offset)
    return offset


def _copy_range(source_fd: int, dest_fd: int, offset: int, step: int) -> int:
    try:
        return os.copy_file_range(source_fd, dest_fd, step, offset, offset)
    except OSError:     # across some file systems, or on old kernels
        data = os.pread(source_fd, step, offset)
        os.lseek(dest_fd, offset, os.SEEK_SET)
        files.write_all(dest_fd, data)
        return len(data)
