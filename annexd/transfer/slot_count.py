"""How many transfers run at a time, as git config has it.

Source: git-annex, annex.jobs.
"""

from __future__ import annotations

import os

from annexd.remotes.contract import RemoteSpec

DEFAULT_SLOTS = 2
MOST_SLOTS = 256


def slots_wanted(jobs: str | None) -> int:
    """The number of slots that annex.jobs asks for: a number, or "cpus"; what makes no sense counts as unset."""
    if jobs in ("cpus", "cpu"):
        return min(len(os.sched_getaffinity(0)), MOST_SLOTS)
    return _count(jobs) or DEFAULT_SLOTS


def slots_for(spec: RemoteSpec | None, slots: int) -> int:
    """How many of the slots one remote may have: remote.N.annex-jobs, else all but one, for the others."""
    limit = None if spec is None else _count(spec.config.setting("annex-jobs"))
    return min(limit or max(1, slots - 1), slots)


def _count(text: str | None) -> int | None:
    if text is None or not text.strip().isdigit():
        return None
    return min(int(text), MOST_SLOTS) or None
