"""Renames that never destroy what they did not expect to find.

Plain rename(2) overwrites whatever has come to lie at the new name in the meantime. These do not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import cache

_AT_FDCWD = -100
_NOREPLACE = 1      # renameat2(2)
_EXCHANGE = 2
_UNSUPPORTED = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP))
_NO_LINKS = _UNSUPPORTED | {errno.EPERM}


def rename_new(source: bytes, target: bytes) -> bool:
    """Rename unless `target` exists; False where the file system could only do it in steps.

    Raises FileExistsError, other OSError; then `source` is where it was.
    """
    code = _renameat2()(source, target, _NOREPLACE)
    if code in _UNSUPPORTED:
        _rename_by_link(source, target)
    elif code:
        raise OSError(code, os.strerror(code), source, None, target)
    return not code


def _rename_by_link(source: bytes, target: bytes) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # FAT and its like: whatever comes there between these two lines is lost.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, target) from None
        os.rename(source, target)
    else:
        os.unlink(source)


def exchange(one: bytes, other: bytes) -> bool:
    """Let two files swap names in one step; False where the file system cannot. OSError."""
    code = _renameat2()(one, other, _EXCHANGE)
    if code in _UNSUPPORTED:
        return False
    if code:
        raise OSError(code, os.strerror(code), one, None, other)
    return True


def replace_expected(temp: bytes, target: bytes, is_expected: Callable[[bytes], bool]) -> bool:
    """Put `temp` in the place of the file at `target`, which is removed, provided that is what is expected.

    `is_expected` is asked about a path where the old file is when it has left its name, so that none that came in the
    meantime is taken for it. False when it is not: then it has its name again, and `temp` is where it was. Where the
    file system cannot exchange, the file is asked about at its own name, and what replaces it after that is lost.
    Raises FileNotFoundError when nothing is at `target`, other OSError.
    """
    if not exchange(temp, target):
        if not is_expected(target):
            return False
        os.rename(temp, target)
        return True
    if not is_expected(temp):
        exchange(temp, target)
        return False
    os.unlink(temp)
    return True


@cache
def _renameat2() -> Callable[[bytes, bytes, int], int]:
    """renameat2(2) as a function that returns an errno, 0 for success."""
    import ctypes

    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return lambda _source, _target, _flags: errno.ENOSYS
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    get_errno = ctypes.get_errno

    def call(source: bytes, target: bytes, flags: int) -> int:
        return get_errno() if function(_AT_FDCWD, source, _AT_FDCWD, target, flags) else 0

    return call
