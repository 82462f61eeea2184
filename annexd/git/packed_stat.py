"""A file's status in the form that git's index has it in.

Imports next to nothing: short-lived processes use it too. Source: git, index format.
"""

from __future__ import annotations

import os
from _struct import Struct  # without the regular expressions that the module around it loads

MODE_AT = slice(24, 28)
SIZE = 40

_SECOND = 1_000_000_000
_WORD = 0xFFFFFFFF
_pack = Struct(">10I").pack


def packed_stat(status: os.stat_result) -> bytes:
    """The first bytes of an index entry. The mode is the file's own, not git's."""
    changed, modified = status.st_ctime_ns, status.st_mtime_ns
    return _pack(
        changed // _SECOND & _WORD, changed % _SECOND, modified // _SECOND & _WORD, modified % _SECOND,
        status.st_dev & _WORD, status.st_ino & _WORD, status.st_mode, status.st_uid & _WORD, status.st_gid & _WORD,
        status.st_size & _WORD,
    )  # fmt: skip
