"""What a file system can do, found out by trying.

Source: git-annex, what `git annex init` probes for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from annexd.system.lock_pool import LockPool


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What was found out about the file system of one directory."""

    has_record_locks: bool
    has_symlinks: bool
    keeps_write_bits: bool      # removing write permission has an effect
    has_hard_links: bool
    has_fifos: bool

    @property
    def is_crippled(self) -> bool:
        """Whether git-annex would call it crippled: no locked files, no protection of contents."""
        return not (self.has_symlinks and self.keeps_write_bits)


def probe(directory: bytes) -> FileSystem:
    """Try it all out in `directory`, which must exist and be writable; what is made there is removed. OSError."""
    base = b"%s/annexd-probe-%d-%s" % (directory, os.getpid(), os.urandom(4).hex().encode())
    os.close(os.open(base, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    other = base + b".2"
    try:
        return FileSystem(
            has_record_locks=_works(lambda: _lock(base), other),
            has_symlinks=_works(lambda: os.symlink(b"target", other), other),
            keeps_write_bits=_keeps_write_bits(base),
            has_hard_links=_works(lambda: os.link(base, other), other),
            has_fifos=_works(lambda: os.mkfifo(other), other),
        )
    finally:
        os.unlink(base)


def _works(action: Callable[[], None], leftover: bytes) -> bool:
    try:
        action()
    except OSError:
        return False
    finally:
        with suppress(FileNotFoundError):
            os.unlink(leftover)
    return True


def _lock(path: bytes) -> None:
    hold = LockPool().try_exclusive(path)     # a pool of its own: nobody else knows this file
    if hold is not None:
        hold.release()


def _keeps_write_bits(path: bytes) -> bool:
    """The mode is looked at, as a write would succeed for root whatever the mode."""
    try:
        os.chmod(path, 0o444)
        return not os.stat(path).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.chmod(path, 0o644)
