"""How fast this machine is just now, for tests that hold annexd to a time."""

from __future__ import annotations

import os


def busy_factor() -> float:
    """By how much everything takes longer because others use the processors, too; 1 on a machine with nothing else."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
