"""git-annex's note of whether content came or went since an adjusted branch was last brought up to date.

One line: the time of the last adjusting, and a count of what changed since, 0 for nothing.
Source: git-annex, adjust.log as its commands write it.
"""

from __future__ import annotations

import os
import time

from annexd.annex.layout import RepoLayout
from annexd.system.files import read_file, write_atomically

_NAME = b"adjust.log"
_LIMIT = 1 << 12


def done(layout: RepoLayout) -> None:
    """The branch is up to date. OSError."""
    _write(layout, 0)


def changed(layout: RepoLayout) -> None:
    """Content came or went, and the branch was not brought up to date. OSError."""
    _write(layout, _count(layout) + 1)


def is_due(layout: RepoLayout) -> bool:
    """Whether content came or went since; so too when nobody knows."""
    return not os.path.exists(layout.lock(_NAME)) or _count(layout) > 0


def _count(layout: RepoLayout) -> int:
    try:
        words = read_file(layout.lock(_NAME), limit=_LIMIT).split()
        return int(words[1])
    except (FileNotFoundError, IndexError, ValueError):
        return 0


def _write(layout: RepoLayout, count: int) -> None:
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    write_atomically(layout.lock(_NAME), b"%d.%09ds %d" % (seconds, nanoseconds, count))
