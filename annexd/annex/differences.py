"""Repositories that were tuned when they were made: refused, as their objects or logs lie elsewhere.

Source: git-annex, difference.log and annex.tune.*.
"""

from __future__ import annotations

from annexd.annex.config import AnnexConfig
from annexd.errors import DifferencesRefused
from annexd.formats.logs import difference

DIFFERENCE_LOG = b"difference.log"


def check_config(config: AnnexConfig) -> None:
    """Raise DifferencesRefused when git config says that this repository is tuned."""
    if config.tunings:
        names = ", ".join(config.tunings)
        raise DifferencesRefused(
            f"this repository is tuned ({names} is set in git config, difference.log says so to others), "
            "and annexd does not support tuned repositories yet",
            hint="use git-annex here, or clone the files into a repository made by a plain `annexd init`",
        )


def check_log(data: bytes | None, where: str = "the git-annex branch") -> None:
    """Raise DifferencesRefused when difference.log, with content `data`, says that there are differences."""
    if is_tuned(data):
        raise DifferencesRefused(
            f"{where} has a file difference.log, so this annex is tuned, "
            "and annexd does not support tuned repositories yet",
            hint="use git-annex here, or move the files to an annex made by a plain `annexd init`",
        )


def is_tuned(data: bytes | None) -> bool:
    """Whether a difference.log holds anything but empty sets; what does not parse counts as a difference."""
    return difference.parse(data) != difference.NONE
