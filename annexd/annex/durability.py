"""How sure it is that content outlives a power cut, before history names it."""

from __future__ import annotations

import enum
import os

from annexd.annex.layout import RepoLayout
from annexd.system.files import sync_filesystem
from annexd.threads.held import Held, forbid_while_holding

BATCH = 50
"""From that many files on Durability.BATCHES waits for the disk."""


class Durability(enum.Enum):
    """When to wait for the disk between storing content and committing what names it.

    Without waiting, a power cut within the next seconds can leave a commit whose content here is empty: fsck finds it,
    other copies are not touched. git's own default for loose objects is no different.
    """

    ALWAYS = "always"
    BATCHES = "batches"
    """A single file is on its way at once; many are worth one wait of a few milliseconds up to seconds."""
    NEVER = "never"


def make_durable(layout: RepoLayout, stored: int, durability: Durability = Durability.BATCHES) -> None:
    """Have the content of `stored` new objects on the disk, as `durability` says. To be called before the commit.

    Blocks, for seconds after large files, so hold no lock. OSError.
    """
    wanted = BATCH if durability is Durability.BATCHES else 1
    if durability is Durability.NEVER or stored < wanted:
        return
    forbid_while_holding(Held.ANNEX_STATE, "waiting for the disk")
    fd = os.open(layout.common_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_filesystem(fd)
    finally:
        os.close(fd)
